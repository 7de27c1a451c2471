//! A copy of a log, on a disk that stops, fails or is full at each of its steps.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use ledger::{
    BackupError, Build, Head, Index, Log, LogError, SegmentLog, Seq, VerifyOptions, Writer,
    verify_dir,
};

use crate::{
    sim::{
        disk::{Fault, SimDisk},
        image::Image,
    },
    story::{START_US, entry, event, note, note_saying, opened, record, redaction, strict},
};

/// So small that a dozen entries make several segments.
const SEGMENT_SIZE: u64 = 900;

/// Stands in the payload that is erased.
const ERASED: &str = "rhubarb";

/// A log of several segments, one of whose payloads is to be erased.
fn early(dir: &Path) -> Head {
    let log = SegmentLog::create_with_segment_size(dir, SEGMENT_SIZE).unwrap();
    let log = Arc::new(log);
    let groups = (0..6).map(|n| vec![note(&format!("a{n}")), note(&format!("b{n}"))]);
    let first = vec![opened(), note_saying("gone", ERASED)];
    record(&log, [first].into_iter().chain(groups).collect());
    log.close().unwrap();
    log.head()
}

/// What becomes of it: more segments, and the redaction.
fn later(dir: &Path) -> Head {
    let log = Arc::new(SegmentLog::open_with_segment_size(dir, SEGMENT_SIZE).unwrap());
    record(&log, (0..5).map(|n| vec![note(&format!("c{n}")), note(&format!("d{n}"))]).collect());
    let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
    writer.redact(redaction("r", &entry(&*log, 1), "gone"), START_US + 90_000).unwrap();
    record(&log, vec![vec![note("e")]]);
    log.close().unwrap();
    log.head()
}

fn back_up(from: &Path, to: &Path) -> Result<ledger::BackedUp, BackupError> {
    SegmentLog::open_read_only(from).unwrap().back_up(to, false, &AtomicU64::new(0))
}

/// What `verify` says of a copy that must hold this head.
fn verdict(dir: &Path, head: Head) -> Option<&'static str> {
    let expect_head = head.last_seq().map(|seq| (seq, head.hash));
    let report = verify_dir(dir, &VerifyOptions { expect_head, ..strict() }).unwrap();
    assert_eq!(report.torn, None);
    report.first_bad.map(|damage| damage.code)
}

fn holds_erased(dir: &Path) -> bool {
    let files = fs::read_dir(dir).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(ERASED.len()).any(|w| w == ERASED.as_bytes()))
}

#[test]
fn a_copy_comes_up_to_date_by_what_is_new_alone() {
    let temp = tempfile::tempdir().unwrap();
    let (from, to) = (temp.path().join("log"), temp.path().join("copy"));
    let first = early(&from);
    let segments = SegmentLog::open_read_only(&from).unwrap().segments();
    assert!(segments.len() >= 3);
    let all = segments.len() as u64;
    let made = back_up(&from, &to).unwrap();
    assert_eq!((made.head, made.copied.0, made.kept), (first, all, 0));
    let again = back_up(&from, &to).unwrap();
    assert_eq!((again.head, again.copied, again.kept), (first, (0, 0), all));

    let second = later(&from);
    let now = SegmentLog::open_read_only(&from).unwrap().segments();
    let made = back_up(&from, &to).unwrap();
    // The first segment was rewritten, the last one of before has grown, the others are new.
    assert_eq!(made.head, second);
    assert_eq!((made.copied.0, made.kept), (now.len() as u64 - all + 2, all - 2));
    assert!(!holds_erased(&to));
    assert_eq!(verdict(&to, second), None);
    for segment in &now {
        let copy = to.join(segment.path.file_name().unwrap());
        assert_eq!(fs::read(copy).unwrap(), fs::read(&segment.path).unwrap());
    }
    // The list of the sealed segments lets a reader open the copy without reading all of it.
    assert_eq!(fs::read(to.join("manifest")).unwrap(), fs::read(from.join("manifest")).unwrap());
}

#[test]
fn a_copy_that_is_broken_off_is_as_good_as_before_or_is_finished_by_the_next() {
    let temp = tempfile::tempdir().unwrap();
    let (from, root, root_again) =
        (temp.path().join("log"), temp.path().join("disk"), temp.path().join("again"));
    let first = early(&from);
    back_up(&from, &temp.path().join("start/copy")).unwrap();
    let start = Image::read(&temp.path().join("start"));
    let second = later(&from);
    let log = SegmentLog::open_read_only(&from).unwrap();
    let clean = SimDisk::new(&root, &start);
    log.back_up_on(&clean, &root.join("copy"), false, &AtomicU64::new(0)).unwrap();
    let (steps, mut tried) = (clean.steps_len(), 0);
    for step in 0..steps {
        for fault in [Fault::Crash, Fault::Lost, Fault::Kept, Fault::Full, Fault::Short] {
            let disk = SimDisk::new(&root, &start);
            disk.fail_at(step, fault);
            let ended = log.back_up_on(&disk, &root.join("copy"), false, &AtomicU64::new(0));
            for image in disk.corners(None) {
                image.write_anew(&root_again);
                let copy = root_again.join("copy");
                let place = format!("step {step}, {fault:?}");
                if ended.is_ok() {
                    assert_eq!(verdict(&copy, second), None, "{place}");
                    assert!(!holds_erased(&copy), "{place}");
                } else {
                    let verdict = verdict(&copy, first);
                    assert!(matches!(verdict, None | Some("missing")), "{place}: {verdict:?}");
                }
                let made = back_up(&from, &copy).unwrap_or_else(|e| panic!("{place}: {e}"));
                assert_eq!(made.head, second, "{place}");
                assert_eq!(verdict_after(&copy, second), None, "{place}");
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "only {tried} crashes were tried in {steps} steps");
}

/// [`verdict`] of a copy that is finished: nothing is left over either.
fn verdict_after(dir: &Path, head: Head) -> Option<&'static str> {
    assert!(!holds_erased(dir));
    let names = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let left: Vec<_> = names.filter(|path| path.extension().is_some_and(|e| e == "tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
    verdict(dir, head)
}

#[test]
fn a_copy_of_something_else_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    early(&at("log"));
    fs::create_dir(at("short")).unwrap();
    for file in fs::read_dir(at("log")).unwrap().map(|file| file.unwrap().path()) {
        if file.is_file() {
            fs::copy(&file, at("short").join(file.file_name().unwrap())).unwrap();
        }
    }
    later(&at("log"));
    back_up(&at("log"), &at("copy")).unwrap();
    let before = Image::read(&at("copy"));
    assert!(matches!(back_up(&at("short"), &at("copy")), Err(BackupError::Ahead { .. })));
    let other = Arc::new(SegmentLog::open_with_segment_size(at("short"), SEGMENT_SIZE).unwrap());
    record(&other, (0..9).map(|n| vec![note(&format!("x{n}")), note(&format!("y{n}"))]).collect());
    drop(other);
    assert!(matches!(back_up(&at("short"), &at("copy")), Err(BackupError::Forked { .. })));
    let made = Arc::new(SegmentLog::create_with_segment_size(at("other"), SEGMENT_SIZE).unwrap());
    let opening = r#"{"home":"h","ledger":"another","origin":"o"}"#;
    let opening = event("rollout.ledger.opened.v1", "opened", opening);
    record(&made, vec![vec![opening, note("mine")]]);
    assert!(matches!(back_up(&at("other"), &at("copy")), Err(BackupError::OtherLedger)));
    assert_eq!(Image::read(&at("copy")), before);
}

#[test]
fn a_log_that_is_built_again_has_the_same_frames() {
    let temp = tempfile::tempdir().unwrap();
    let (from, to) = (temp.path().join("log"), temp.path().join("built"));
    early(&from);
    let head = later(&from);
    let log = SegmentLog::open_read_only(&from).unwrap();
    let mut build = Build::create_with_segment_size(&to, SEGMENT_SIZE).unwrap();
    let walked = log
        .walk(Seq(0), |stored| build.push(&stored.header, stored.payload, stored.left).map(drop));
    assert_eq!(walked.unwrap(), head);
    assert_eq!(build.finish().unwrap(), head);
    assert_eq!(verdict(&to, head), None);
    let frames = |dir: &Path| {
        let segments = SegmentLog::open_read_only(dir).unwrap().segments();
        segments.iter().flat_map(|segment| fs::read(&segment.path).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(frames(&to), frames(&from));
    assert!(matches!(Build::create(&to, None), Err(LogError::Exists(_))));
    // From the middle on it is the same entries.
    let mut seqs = Vec::new();
    let part = log.walk(Seq(9), |stored| {
        assert_eq!(stored.hash, entry(&log, stored.header.seq.0).hash());
        seqs.push(stored.header.seq.0);
        Ok::<(), LogError>(())
    });
    assert_eq!(part.unwrap(), head);
    assert_eq!(seqs, (9..head.next.0).collect::<Vec<_>>());
}
