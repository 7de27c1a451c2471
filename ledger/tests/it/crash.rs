//! Something fails in the middle, and the ledger is opened again.
//!
//! For each fault there are several truths: the entries were stored, or not, or a part of them. In
//! all of them the chain must verify, no answered entry may be lost, and the next append succeeds.

use std::{fs, sync::Arc};

use ledger::{
    Draft, Head, Index, Log, LogError, SegmentLog, Seq, TornTail, VerifyOptions, Writer,
    log::faulty::{Fault, FaultyLog},
    verify, verify_dir,
};

use crate::{
    forge::Ledger,
    story::{START_US, entry, note, opened, record, redaction, strict},
};

struct Case {
    fault: Fault,
    stored_after_crash: u64,
}

#[test]
fn after_a_failed_append_the_chain_goes_on() {
    let cases = [
        Case { fault: Fault::FailAndLose, stored_after_crash: 3 },
        Case { fault: Fault::FailAndKeep(1), stored_after_crash: 4 },
        Case { fault: Fault::FailButKeep, stored_after_crash: 5 },
    ];
    for Case { fault, stored_after_crash } in cases {
        let log = Arc::new(FaultyLog::default());
        let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
        commit(&mut writer, vec![opened(), note("a"), note("b")]).unwrap();
        let (answered, follower) = (writer.head(), writer.follow());

        log.set(Some(fault));
        assert!(commit(&mut writer, vec![note("c"), note("d")]).is_err());
        assert_eq!(follower.head(), answered, "{fault:?}: nothing in doubt is published");

        // The fault passes, but the writer does not trust its head any more.
        log.set(None);
        assert!(commit(&mut writer, vec![note("e")]).is_err());

        let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
        assert_eq!(verified(&*log).next, Seq(stored_after_crash), "{fault:?}");
        // What was in doubt is sent again, and is there once.
        commit(&mut writer, vec![note("c"), note("d"), note("e")]).unwrap();
        assert_eq!(verified(&*log).next, Seq(6), "{fault:?}");
        assert_eq!(entry(&*log, 2).hash(), answered.hash, "{fault:?}: lost an answer");
    }
}

fn commit(writer: &mut Writer, drafts: Vec<Draft>) -> Result<(), ledger::InDoubt> {
    let submissions = drafts.into_iter().map(Into::into).collect();
    writer.commit(submissions, START_US).map(drop)
}

fn verified(log: &dyn Log) -> Head {
    let report = verify(log, &strict()).unwrap();
    assert!(report.is_good(), "{report:?}");
    report.head
}

/// A ledger that was not closed: an opening, a commit of two, and a last commit of three. Also the
/// places in its file where the last two commits end.
fn unclosed(ledger: &Ledger) -> (u64, u64) {
    let log = Arc::new(SegmentLog::create(ledger.log()).unwrap());
    let size = || fs::metadata(&ledger.segments()[0]).unwrap().len();
    record(&log, vec![vec![opened()], vec![note("a"), note("b")]]);
    let before = size();
    record(&log, vec![vec![note("c"), note("d"), note("e")]]);
    (before, size())
}

/// Opens a ledger after a crash, and checks that it goes on from there.
fn reopened(ledger: &Ledger, name: &str) -> (u64, Option<TornTail>) {
    let log = Arc::new(SegmentLog::open(ledger.log()).unwrap());
    let torn = log.torn_tail().cloned();
    let stored = log.head().next.0;
    let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
    commit(&mut writer, vec![note("c"), note("x")]).unwrap();
    let head = verified(&*log);
    log.close().unwrap();
    drop((writer, log));
    let log = SegmentLog::open(ledger.log()).unwrap();
    assert_eq!(log.head(), head, "{name}");
    assert_eq!(log.torn_tail(), None, "{name}");
    assert!(verify_dir(&ledger.log(), &strict()).unwrap().is_good(), "{name}");
    (stored, torn)
}

#[test]
fn every_part_of_the_last_commit_that_reached_the_disk_is_cut_off_or_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    let whole = Ledger { dir: dir.path().join("whole") };
    let (before, end) = unclosed(&whole);
    let bytes = fs::read(&whole.segments()[0]).unwrap();
    for size in (before..=end).step_by(5).chain([before + 1, end - 1, end]) {
        let copy = whole.copy_to(&dir.path().join(size.to_string()));
        copy.cut(0, end - size);
        let (stored, torn) = reopened(&copy, &format!("cut at {size}"));
        let (expected, kept) = match size {
            _ if size == before => (3, None),
            _ if size == end => (6, None),
            _ => {
                (3, Some(&bytes[usize::try_from(before).unwrap()..usize::try_from(size).unwrap()]))
            }
        };
        assert_eq!(stored, expected, "cut at {size}");
        let found = torn.map(|torn| {
            assert_eq!((torn.seq, torn.bytes), (Seq(3), size - before));
            fs::read(torn.kept_at.unwrap()).unwrap()
        });
        assert_eq!(found.as_deref(), kept, "cut at {size}");
    }
}

/// Parts of one write can reach the disk in any order.
#[test]
fn a_last_commit_with_a_hole_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let whole = Ledger { dir: dir.path().join("whole") };
    let (before, end) = unclosed(&whole);
    let (before, end) = (usize::try_from(before).unwrap(), usize::try_from(end).unwrap());
    for (n, hole) in [before..before + 92, before..before + 200, before + 100..end, before..end]
        .into_iter()
        .chain((before..end).step_by(13).map(|at| at..at + 1))
        .enumerate()
    {
        let copy = whole.copy_to(&dir.path().join(n.to_string()));
        let file = &copy.segments()[0];
        let mut bytes = fs::read(file).unwrap();
        bytes[hole.clone()].iter_mut().for_each(|byte| *byte = !*byte);
        fs::write(file, bytes).unwrap();
        let (stored, torn) = reopened(&copy, &format!("{hole:?}"));
        assert_eq!((stored, torn.unwrap().seq), (3, Seq(3)), "{hole:?}");
    }
}

#[test]
fn damage_before_the_last_commit_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let whole = Ledger { dir: dir.path().join("whole") };
    let (before, _) = unclosed(&whole);
    for at in (0..usize::try_from(before).unwrap()).step_by(7) {
        let copy = whole.copy_to(&dir.path().join(at.to_string()));
        copy.damage(0, at);
        let bytes = fs::read(&copy.segments()[0]).unwrap();
        let opened = SegmentLog::open(copy.log());
        let Err(LogError::Corrupt(damage)) = opened else { panic!("byte {at}: {opened:?}") };
        let report = verify_dir(&copy.log(), &strict()).unwrap();
        assert_eq!(Some(damage.seq), report.first_bad.map(|bad| bad.seq), "byte {at}");
        assert_eq!(fs::read(&copy.segments()[0]).unwrap(), bytes, "nothing was cut off");
    }
}

#[test]
fn a_loss_below_the_floor_stops_the_start_with_the_seq_and_a_way_out() {
    type Loss = fn(&Ledger);
    let cases: [(&str, Loss, &str, u64); 9] = [
        ("a byte", |l| l.cut(2, 1), "truncated", 14),
        ("the last commit", |l| l.forge(2, |f| f.truncate(3)), "truncated", 12),
        ("a bit of the last commit", |l| l.damage(2, 700), "crc", 12),
        ("the last segment", |l| fs::remove_file(&l.segments()[2]).unwrap(), "truncated", 9),
        ("the first segment", |l| fs::remove_file(&l.segments()[0]).unwrap(), "segment_missing", 0),
        ("a sealed segment", |l| fs::remove_file(&l.segments()[1]).unwrap(), "segment_missing", 5),
        ("a sealed segment's end", |l| l.cut(1, 1), "truncated", 8),
        ("the floor", Ledger::remove_head, "floor_unreadable", 9),
        (
            "the floor's text",
            |l| fs::write(l.log().join("head"), "14\n").unwrap(),
            "floor_unreadable",
            9,
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let whole = crate::forge::ledger(&dir.path().join("whole"));
    for (name, loss, code, seq) in cases {
        let copy = whole.copy_to(&dir.path().join(name.replace(' ', "-")));
        loss(&copy);
        for opened in [SegmentLog::open(copy.log()), SegmentLog::open_read_only(copy.log())] {
            let Err(LogError::Corrupt(damage)) = opened else { panic!("{name}: {opened:?}") };
            assert_eq!((damage.code, damage.seq), (code, Seq(seq)), "{name}");
            assert!(damage.to_string().contains(damage.advice), "{name}");
        }
    }
    // What another hash under the floor means: the log is not the one that was closed.
    let copy = whole.copy_to(&dir.path().join("another"));
    for seq in [1, 7, 13] {
        copy.write_head(seq, &ledger::Hash([7; 32]));
        let Err(LogError::Corrupt(damage)) = SegmentLog::open(copy.log()) else { panic!("{seq}") };
        assert_eq!((damage.code, damage.seq), ("floor", Seq(seq)));
    }
}

#[test]
fn a_crash_while_a_segment_is_begun_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let whole = crate::forge::ledger(&dir.path().join("whole"));
    // After the new file, before its first commit, and before the map of the one before it.
    let copy = whole.copy_to(&dir.path().join("empty"));
    fs::write(copy.log().join("00000000000000000015.seg"), b"").unwrap();
    assert_eq!(reopened(&copy, "an empty segment").0, 15);
    // In the middle of its first commit.
    let copy = whole.copy_to(&dir.path().join("torn"));
    fs::write(copy.log().join("00000000000000000015.seg"), [0; 100]).unwrap();
    let (stored, torn) = reopened(&copy, "a torn first commit");
    assert_eq!((stored, torn.unwrap().seq), (15, Seq(15)));
}

#[test]
fn an_erasure_that_a_crash_interrupted_is_finished_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    for (name, segment_size, closed) in [("active", 1 << 20, false), ("sealed", 1, true)] {
        let ledger = Ledger { dir: dir.path().join(name) };
        let open = || SegmentLog::open_with_segment_size(ledger.log(), segment_size).unwrap();
        let log = SegmentLog::create_with_segment_size(ledger.log(), segment_size).unwrap();
        let log = Arc::new(log);
        record(&log, vec![vec![opened()], vec![note("a")], vec![note("b")]]);
        // The redaction is recorded, and the crash comes before the payload is taken away.
        let target = entry(&*log, 1);
        record(&log, vec![vec![redaction("r", &target, "a")], vec![note("c")]]);
        if closed {
            log.close().unwrap();
        }
        drop(log);
        let half_done = ledger.log().join("00000000000000000000.seg.tmp");
        fs::write(&half_done, b"what a crash left").unwrap();
        let report = verify_dir(&ledger.log(), &strict()).unwrap();
        assert!(report.is_good() && !report.redactions[0].erased, "{name}: {report:?}");

        let log = open();
        assert_eq!(entry(&log, 1).payload(), None, "{name}");
        assert!(!half_done.exists(), "{name}: it may hold the payload");
        let files = ledger.segments().into_iter().map(|file| fs::read(file).unwrap());
        let mut files = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(!files.any(|text| text.contains(r#""},"id":"a""#)), "{name}");
        drop(log);
        assert_eq!(entry(&open(), 1).payload(), None, "{name}: still, after another start");
        let report = verify_dir(&ledger.log(), &strict()).unwrap();
        assert!(report.is_good() && report.redactions[0].erased, "{name}: {report:?}");
    }
}

/// A redaction that no door would take, but that somebody wrote, takes nothing away.
#[test]
fn a_redaction_of_what_holds_the_ledger_together_erases_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(SegmentLog::create(dir.path()).unwrap());
    record(&log, vec![vec![opened()]]);
    record(&log, vec![vec![redaction("r", &entry(&*log, 0), "opened")]]);
    drop(log);
    let log = SegmentLog::open(dir.path()).unwrap();
    assert!(entry(&log, 0).payload().is_some());
}

#[test]
fn after_a_failure_between_files_nothing_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    // A directory stands where a file is to be written.
    let fails = |blocked: &str, act: &dyn Fn(&SegmentLog) -> Result<(), LogError>| {
        let log = dir.path().join(blocked);
        let entries = crate::story::chain(4);
        let writable = SegmentLog::create_with_segment_size(&log, 1).unwrap();
        writable.append(&entries[..1]).unwrap();
        fs::create_dir(log.join(blocked)).unwrap();
        assert!(matches!(act(&writable), Err(LogError::Unavailable { .. })), "{blocked}");
        let again = writable.append(&entries[1..2]);
        assert!(matches!(again, Err(LogError::InDoubt(None))), "{blocked}: {again:?}");
        assert!(matches!(writable.close(), Err(LogError::InDoubt(None))), "{blocked}");
        assert_eq!(writable.read(Seq(0), 9).unwrap().len(), 1, "reading goes on");
        drop(writable);
        fs::remove_dir(log.join(blocked)).unwrap();
        let log = SegmentLog::open(&log).unwrap();
        log.append(&entries[1..]).unwrap();
        assert_eq!(log.head().next, Seq(4), "{blocked}");
    };
    let second = crate::story::chain(2)[1].clone();
    fails("head.tmp", &|log| log.append(std::slice::from_ref(&second)));
    fails("00000000000000000000.seg.tmp", &|log| log.erase(Seq(0)));
}

#[test]
fn verifying_a_torn_tail_says_so_and_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger { dir: dir.path().to_path_buf() };
    let (before, end) = unclosed(&ledger);
    ledger.cut(0, 1);
    let report = verify_dir(&ledger.log(), &VerifyOptions::default()).unwrap();
    assert!(report.is_good());
    let torn = report.torn.unwrap();
    assert_eq!((torn.seq, torn.offset, torn.bytes), (Seq(3), before, end - 1 - before));
    assert_eq!(report.entries, 3);
}
