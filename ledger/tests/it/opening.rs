//! Who may open a log, what opening touches, and what derived files are worth.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use ledger::{Envelope, Index, Log, LogError, SegmentLog, Seq, Submission, Writer, verify_dir};

use crate::{
    forge::{Ledger, frames, ledger},
    story::{START_US, chain, entry, note, note_saying, opened, record, redaction, strict},
};

/// Every file below a directory, with its bytes.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        if file.is_dir() {
            found.extend(contents(&file));
        } else {
            found.insert(file.clone(), fs::read(file).unwrap());
        }
    }
    found
}

#[test]
fn creating_and_opening_are_different_acts() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("some/log");
    for opened in [SegmentLog::open(&log), SegmentLog::open_read_only(&log)] {
        assert!(matches!(opened, Err(LogError::Missing(_))), "{opened:?}");
    }
    assert!(contents(dir.path()).is_empty(), "a misspelled path stays untouched");
    drop(SegmentLog::create(&log).unwrap());
    let before = contents(dir.path());
    let again = SegmentLog::create(&log);
    assert!(matches!(again, Err(LogError::Exists(_))), "{again:?}");
    assert_eq!(contents(dir.path()), before);
    assert_eq!(SegmentLog::open(&log).unwrap().head(), ledger::Head::GENESIS);
}

#[test]
fn one_process_writes_and_any_number_read() {
    let dir = tempfile::tempdir().unwrap();
    let writer = SegmentLog::create(dir.path()).unwrap();
    writer.append(&chain(3)).unwrap();
    let second = SegmentLog::open(dir.path());
    assert!(matches!(second, Err(LogError::Locked(_))), "{second:?}");
    let reader = SegmentLog::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.read(Seq(0), 9).unwrap(), chain(3));
    for refused in [reader.append(&chain(4)[3..]), reader.erase(Seq(0)), reader.close()] {
        assert!(matches!(refused, Err(LogError::ReadOnly)), "{refused:?}");
    }
    drop(writer);
    SegmentLog::open(dir.path()).unwrap();
}

#[test]
fn reading_alone_writes_nothing_whatever_it_finds() {
    type Change = fn(&Ledger);
    let cases: [(&str, Change, u64); 4] = [
        ("closed", |_| {}, 15),
        ("torn", |l| l.append(2, &[7; 50]), 15),
        ("without maps", |l| fs::remove_dir_all(l.log().join("map")).unwrap(), 15),
        ("a temporary file", |l| drop(fs::write(l.log().join("x.tmp"), "x")), 15),
    ];
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(&dir.path().join("whole"));
    for (name, change, expected) in cases {
        let copy = whole.copy_to(&dir.path().join(name.replace(' ', "-")));
        change(&copy);
        let before = contents(&copy.dir);
        let log = SegmentLog::open_read_only(copy.log()).unwrap();
        assert_eq!(log.read(Seq(0), 99).unwrap().len(), 15, "{name}");
        log.refresh().unwrap();
        assert_eq!(log.head().next, Seq(expected), "{name}");
        assert_eq!(contents(&copy.dir), before, "{name}");
        assert_eq!(log.torn_tail().is_some(), name == "torn");
    }
}

#[test]
fn a_reader_follows_a_writer_through_seals_and_erasures() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(SegmentLog::create_with_segment_size(dir.path(), 1_500).unwrap());
    let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
    let reader = SegmentLog::open_read_only(dir.path()).unwrap();
    for n in 0..20 {
        let before = reader.head();
        let notes = (0..3).map(|at| note(&format!("{n}-{at}"))).collect();
        writer.commit(vec![Submission::new(notes).unwrap()], START_US).unwrap();
        if n % 4 == 1 {
            // One that the reader has in its active segment, or in one that it knows as sealed.
            let target = log.read(Seq(0), 99).unwrap().into_iter().nth(n).unwrap();
            let envelope = Envelope::read(target.payload().unwrap()).unwrap();
            let redaction = redaction(&format!("r{n}"), &target, envelope.id());
            writer.redact(redaction, START_US).unwrap();
        }
        assert_eq!(reader.head(), before, "a head moves only when it is asked to");
        if n % 2 == 0 {
            reader.refresh().unwrap();
            assert_eq!(reader.head(), log.head(), "commit {n}");
        }
        let all = reader.head().len_from(Seq(0));
        assert_eq!(reader.read(Seq(0), all).unwrap(), log.read(Seq(0), all).unwrap());
    }
}

#[test]
fn maps_are_made_again_from_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(&dir.path().join("whole"));
    // The first segment holds an erased payload, and the second its redaction.
    for map in ["map/00000000000000000000.map", "map/00000000000000000005.map"] {
        map_is_made_again(&whole, map);
    }
}

fn map_is_made_again(whole: &Ledger, map: &str) {
    let good = fs::read(whole.log().join(map)).unwrap();
    let entries = SegmentLog::open_read_only(whole.log()).unwrap().read(Seq(0), 99).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(whole.log().join(map), bad).unwrap();
        let log = SegmentLog::open_read_only(whole.log()).unwrap();
        assert_eq!(log.read(Seq(0), 99).unwrap(), entries, "byte {at}");
    }
    for bad in [&good[..good.len() - 1], b""] {
        fs::write(whole.log().join(map), bad).unwrap();
        let log = SegmentLog::open(whole.log()).unwrap();
        assert_eq!(log.read(Seq(0), 99).unwrap(), entries);
    }
    fs::remove_dir_all(whole.log().join("map")).unwrap();
    drop(SegmentLog::open(whole.log()).unwrap());
    assert_eq!(fs::read(whole.log().join(map)).unwrap(), good);
}

/// Someone takes payloads away and mends checksums, maps or no maps: nothing may show them as
/// lawfully redacted.
/// Found by the fuzzer: what was recorded next held the hash that the map said, and verified no more.
#[test]
fn a_map_of_another_history_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let dir = dir.path().join(name);
        let log = Arc::new(SegmentLog::create_with_segment_size(dir.join("log"), 600).unwrap());
        record(&log, vec![vec![opened()], vec![note(name), note("2")], vec![note("3")]]);
        Ledger { dir }
    };
    let (ours, theirs) = (made("ours1"), made("their"));
    let sealed = |ledger: &Ledger| fs::read(&ledger.segments()[0]).unwrap();
    assert_eq!(sealed(&ours).len(), sealed(&theirs).len());
    // The last commit is lost in a crash, and the map is that of the other ledger.
    ours.cut(1, 1);
    let map = "map/00000000000000000000.map";
    fs::copy(theirs.log().join(map), ours.log().join(map)).unwrap();
    let log = Arc::new(SegmentLog::open(ours.log()).unwrap());
    record(&log, vec![vec![note("4")]]);
    let report = verify_dir(&ours.log(), &strict()).unwrap();
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.entries, 4);
}

#[test]
fn a_payload_that_no_redaction_takes_away_stops_every_opening() {
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(&dir.path().join("whole"));
    let cases = [("sealed first", 0, 1, 1), ("sealed", 1, 2, 7), ("active", 2, 4, 13)];
    for (name, segment, at, seq) in cases {
        for maps in [true, false] {
            let copy = whole.copy_to(&dir.path().join(format!("{name} {maps}")));
            copy.forge(segment, |frames| {
                frames[at].flags = 1;
                frames[at].payload.clear();
            });
            if !maps {
                fs::remove_dir_all(copy.log().join("map")).unwrap();
            }
            let before = contents(&copy.dir);
            for opened in [SegmentLog::open_read_only(copy.log()), SegmentLog::open(copy.log())] {
                let Err(LogError::Corrupt(damage)) = opened else { panic!("{name}: {opened:?}") };
                assert_eq!((damage.code, damage.seq), ("missing", Seq(seq)), "{name}");
            }
            let after = contents(&copy.dir);
            let kept = |path: &Path| path.extension().is_some_and(|e| e == "seg");
            assert!(
                before.iter().filter(|(path, _)| kept(path)).all(|(p, b)| after.get(p) == Some(b))
            );
        }
    }
    // The one that was redacted by the rules is no reason to stop.
    assert_eq!(entry(&SegmentLog::open(whole.log()).unwrap(), 2).payload(), None);
}

#[test]
fn a_floor_that_is_missing_past_the_first_entry_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = SegmentLog::create(dir.path()).unwrap();
    assert!(!log.floor_missing());
    drop(log);
    let told = || {
        let told = SegmentLog::open(dir.path()).unwrap().floor_missing();
        assert_eq!(SegmentLog::open_read_only(dir.path()).unwrap().floor_missing(), told);
        assert_eq!(verify_dir(dir.path(), &strict()).unwrap().notes.len(), usize::from(told));
        told
    };
    let append = |from: usize, to: usize| {
        let log = SegmentLog::open(dir.path()).unwrap();
        log.append(&chain(to)[from..]).unwrap();
        log
    };
    drop(append(0, 1));
    assert!(!told(), "a crash before the first clean stop");
    drop(append(1, 2));
    assert!(told());
    append(2, 3).close().unwrap();
    assert!(!told());
    fs::remove_file(dir.path().join("head")).unwrap();
    assert!(told());
}

/// A segment that was put back from a backup holds a payload that was erased since.
#[test]
fn a_payload_that_comes_back_is_erased_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(SegmentLog::create_with_segment_size(dir.path(), 1).unwrap());
    record(&log, vec![vec![opened()], vec![note("a")], vec![note("b")]]);
    let file = dir.path().join("00000000000000000001.seg");
    let backup = fs::read(&file).unwrap();
    let redaction = redaction("r", &entry(&*log, 1), "a");
    let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
    writer.redact(redaction, START_US).unwrap();
    record(&log, vec![vec![note("c")]]);
    drop((writer, log));
    fs::write(&file, backup).unwrap();
    let log = SegmentLog::open(dir.path()).unwrap();
    assert_eq!(entry(&log, 1).payload(), None);
}

/// A header read without its payload is judged by the chain, which says more than a checksum.
#[test]
fn a_header_that_was_changed_is_not_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let log = SegmentLog::create_with_segment_size(dir.path().join("log"), 40_000).unwrap();
    let log = Arc::new(log);
    let text = "x".repeat(9_000);
    let notes = (0..12).map(|n| vec![note_saying(&n.to_string(), &text)]);
    record(&log, std::iter::once(vec![opened()]).chain(notes).collect());
    let whole = log.headers(Seq(0), 99).unwrap();
    let ledger = Ledger { dir: dir.path().to_path_buf() };
    let mut seq = 0;
    for (n, file) in ledger.segments().iter().enumerate() {
        let mut at = 0;
        for frame in frames(&fs::read(file).unwrap()) {
            // The size, the seq, the time, the parent and the digest, in turn.
            let byte = at + [2, 12, 18, 30, 70][usize::try_from(seq).unwrap() % 5];
            ledger.damage(n, byte);
            for limit in [1, 2] {
                let found = log.headers(Seq(seq), limit);
                assert!(matches!(found, Err(LogError::Corrupt(_))), "{seq}: {found:?}");
            }
            ledger.damage(n, byte);
            assert_eq!(log.headers(Seq(seq), 1).unwrap(), [whole[usize::try_from(seq).unwrap()]]);
            at += frame.bytes().len();
            seq += 1;
        }
    }
    assert_eq!(seq, 13);
}

/// A map whose checksum fits says that an entry was redacted; the chain does not.
#[test]
fn a_forged_map_erases_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let file = ledger.log().join("map/00000000000000000000.map");
    let mut map = fs::read(&file).unwrap();
    assert_eq!(map[72..80], [0, 0, 0, 0, 0, 0, 0, 1]);
    map[75] = 1;
    let target = frames(&fs::read(&ledger.segments()[0]).unwrap())[1].decoded();
    let row = [&target.seq.0.to_be_bytes()[..], &target.hash().0].concat();
    map.splice(80..80, row);
    let crc = crc32fast::hash(&map[..160]);
    map[160..164].copy_from_slice(&crc.to_be_bytes());
    fs::write(&file, map).unwrap();
    let log = SegmentLog::open(ledger.log()).unwrap();
    assert!(entry(&log, 1).payload().is_some());
    assert!(verify_dir(&ledger.log(), &strict()).unwrap().is_good());
}
