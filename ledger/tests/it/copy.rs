//! A copy into a directory: what an earlier run left there, and what fails on the way.

use ledger::{
    Log as _, LogError, MemoryLog, SegmentLog, Seq, VerifyOptions,
    copy::{CopyError, Survey, check, copy},
    log::faulty::{Fault, FaultyLog},
    verify_dir,
};
use tempfile::tempdir;

use crate::{
    copy_contract::{redacted_chain, without_3},
    story::chain,
};

/// The beginning of a copy lacks the redaction that allows what is missing in it.
#[test]
fn a_copy_that_ended_before_a_redaction_goes_on() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("log");
    let entries = redacted_chain(60);
    let begun = SegmentLog::open_for_copy(&path).unwrap();
    begun.append(&without_3(entries[..20].to_vec())).unwrap();
    drop(begun);
    let refused = SegmentLog::open_read_only(&path).unwrap_err();
    assert!(matches!(&refused, LogError::Corrupt(damage) if damage.code == "missing"), "{refused}");

    let source = MemoryLog::of(entries.clone());
    let survey = Survey::of(&source).unwrap();
    let again = SegmentLog::open_for_copy(&path).unwrap();
    assert_eq!(copy(&source, &survey, &again).unwrap().stored, 42);
    assert_eq!(again.erased_len(), 1);
    check(&again, &survey).unwrap();
    again.close().unwrap();
    drop(again);
    let report = verify_dir(&path, &VerifyOptions::default()).unwrap();
    assert!(report.is_good() && report.redactions[0].erased);
    let opened = SegmentLog::open(&path).unwrap();
    assert_eq!(opened.read(Seq(0), 100).unwrap(), without_3(entries));
}

/// Two copies into one directory would mix.
#[test]
fn one_copy_at_a_time_writes_a_directory() {
    let dir = tempdir().unwrap();
    let first = SegmentLog::open_for_copy(dir.path()).unwrap();
    let second = SegmentLog::open_for_copy(dir.path()).unwrap_err();
    assert!(matches!(second, LogError::Locked(_)), "{second}");
    drop(first);
}

/// As after a crash: the next run finds a part of what was sent, and finishes.
#[test]
fn a_target_that_failed_has_a_beginning_and_the_next_run_finishes_it() {
    let entries = chain(3_000);
    let source = MemoryLog::of(entries.clone());
    let survey = Survey::of(&source).unwrap();
    for fault in [Fault::FailAndLose, Fault::FailAndKeep(7), Fault::FailButKeep] {
        let target = FaultyLog::default();
        target.set(Some(fault));
        let failed = copy(&source, &survey, &target).unwrap_err();
        assert!(matches!(failed, CopyError::Target(LogError::InDoubt(_))), "{failed}");
        let there = target.head().next.0;
        target.set(None);
        assert_eq!(copy(&source, &survey, &target).unwrap().stored, 3_000 - there, "{fault:?}");
        assert_eq!(target.read(Seq(0), 3_000).unwrap(), entries, "{fault:?}");
    }
}
