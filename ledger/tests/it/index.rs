//! The index of ids is derived: whatever becomes of its files, no event is recorded twice.

use std::{fs, path::Path, sync::Arc};

use ledger::{Index, Log, MemoryLog, Outcome, Seq, Submission, Writer};

use crate::story::{START_US, chain, note, note_saying};

const TAIL_LEN: usize = 40;
const LEN: u64 = 1_000;

fn open(log: &Arc<MemoryLog>, dir: &Path) -> Writer {
    Writer::open(log.clone(), Index::in_dir_with_tail_len(dir, TAIL_LEN)).unwrap()
}

/// Records ids in commits of ten.
fn record(writer: &mut Writer, ids: std::ops::Range<u64>) -> u64 {
    let ids: Vec<_> = ids.collect();
    let mut duplicates = 0;
    for ids in ids.chunks(10) {
        let drafts = ids.iter().map(|id| note(&id.to_string())).collect();
        let outcomes = writer.commit(vec![Submission::new(drafts).unwrap()], START_US).unwrap();
        let [Outcome::Recorded(receipts)] = &outcomes[..] else { panic!("{outcomes:?}") };
        for (id, receipt) in ids.iter().zip(receipts) {
            assert_eq!(receipt.seq, Seq(*id), "ids are recorded in the order of their numbers");
            duplicates += u64::from(receipt.duplicate);
        }
    }
    duplicates
}

/// A log of a thousand ids, and its index.
fn indexed(dir: &Path) -> Arc<MemoryLog> {
    let log = Arc::new(MemoryLog::default());
    assert_eq!(record(&mut open(&log, dir), 0..LEN), 0);
    log
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn ids_are_known_across_runs_merges_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let log = indexed(dir.path());
    // 25 runs of 40 were merged by fours.
    assert!((2..8).contains(&files(dir.path()).len()), "{:?}", files(dir.path()));
    for _ in 0..2 {
        let mut writer = open(&log, dir.path());
        assert_eq!(record(&mut writer, 0..LEN), LEN);
        assert_eq!(log.head().next, Seq(LEN));
    }
    let mut writer = open(&log, dir.path());
    assert_eq!(record(&mut writer, LEN - 50..LEN + 50), 50);
    let other = writer.commit(vec![note_saying("7", "another").into()], START_US).unwrap();
    assert_eq!(other, [Outcome::Conflict { index: 0, seq: Some(Seq(7)) }]);
}

#[test]
fn damaged_and_missing_runs_are_made_again() {
    let whole = tempfile::tempdir().unwrap();
    let log = indexed(whole.path());
    let largest = files(whole.path())[0].clone();
    let size = fs::read(&largest).unwrap().len();
    // The header, the filter, the pages; then none at all, an empty file, and a file of another kind.
    for at in (0..size).step_by(97).map(Some).chain([None]) {
        let dir = tempfile::tempdir().unwrap();
        for file in files(whole.path()) {
            fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
        }
        let copy = dir.path().join(largest.file_name().unwrap());
        match at {
            Some(at) => {
                let mut bytes = fs::read(&copy).unwrap();
                bytes[at] ^= 4;
                fs::write(&copy, bytes).unwrap();
            }
            None => fs::remove_file(&copy).unwrap(),
        }
        fs::write(dir.path().join("junk"), "junk").unwrap();
        let mut writer = open(&log, dir.path());
        assert_eq!(record(&mut writer, 0..LEN), LEN, "{at:?}");
    }
}

#[test]
fn an_index_of_another_chain_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    indexed(dir.path());
    let other = Arc::new(MemoryLog::of(chain(100)));
    let mut writer = open(&other, dir.path());
    let outcomes = writer.commit(vec![note("5").into()], START_US).unwrap();
    let [Outcome::Recorded(receipts)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((receipts[0].seq, receipts[0].duplicate), (Seq(100), false));
}

#[test]
fn a_disk_without_room_for_the_index_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("a file and no directory");
    fs::write(&blocked, "").unwrap();
    let log = Arc::new(MemoryLog::default());
    let mut writer = open(&log, &blocked);
    assert_eq!(record(&mut writer, 0..200), 0);
    assert_eq!(record(&mut writer, 0..200), 200);
}
