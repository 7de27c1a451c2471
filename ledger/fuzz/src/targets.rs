//! What must hold for any bytes: the functions that the fuzzer calls, and a test beside it.
//!
//! Neither may panic or go on for ever, whatever it is given; and what one reader calls good is good
//! for every other one.

mod pack;
pub mod seeds;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use ledger::{
    Draft, Entry, Hash, Index, Log, LogError, Report, SegmentLog, Seq, VerifyOptions, Writer,
    log::segments::probe, verify_dir,
};
use pack::Derived;
use tempfile::TempDir;

/// Segments are sealed early, so that an append seals one now and then.
const SEGMENT_SIZE: u64 = 400;

/// Entries read at once.
const PAGE_LEN: usize = 64;

/// The frame decoder: whole, in pieces, and looking for a later commit.
pub fn frame(bytes: &[u8]) {
    let mut rest = bytes;
    let mut whole = Vec::new();
    let why = loop {
        match probe::decode(rest) {
            Ok(found) => {
                let again = probe::encode(&found.entry, found.left);
                assert_eq!(again, &rest[..found.size], "a frame has one form");
                assert_eq!(found.entry.hash(), found.entry.header().hash());
                rest = &rest[found.size..];
                whole.push(found);
            }
            Err(why) => break why,
        }
    };
    // However little comes at a time, the same is read.
    for buffer in [bytes.len(), 1, 100] {
        let read = probe::read_all(Slowly(bytes), buffer).expect("a slice does not fail");
        assert_eq!(read, (whole.clone(), why));
    }
    let (seq, parent) = whole.last().map_or((Seq(0), Hash([0; 32])), |found| {
        (Seq(found.entry.seq().0.saturating_add(1)), found.entry.hash())
    });
    let later = probe::later_commit(rest, seq, parent);
    assert!(later.is_none_or(|later| later >= seq));
}

/// Hands on a few bytes at a time.
struct Slowly<'a>(&'a [u8]);

impl std::io::Read for Slowly<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let len = room.len().min(13);
        self.0.read(&mut room[..len])
    }
}

/// A directory that holds anything: see [`pack`] for how the bytes are read.
pub fn open(bytes: &[u8]) {
    let scratch = Scratch::new();
    let derived = pack::unpack(bytes, &scratch.log(), true);
    let before = seen_by_all(&scratch.log());
    let files = scratch.files();
    let read_only = SegmentLog::open_read_only(scratch.log());
    if let Ok(log) = &read_only {
        let read = read_through(log);
        if derived == Derived::Honest && good(before.as_ref()) {
            read.expect("what verifies can be read");
        }
    }
    assert_eq!(scratch.files(), files, "a read-only open changes nothing");
    let opened = append(&scratch.log());
    if derived == Derived::Honest {
        judge(&scratch.log(), before.as_ref(), opened);
    }

    // Without what is derived, to open is to check.
    let scratch = Scratch::new();
    pack::unpack(bytes, &scratch.log(), false);
    let before = seen(&scratch.log());
    match SegmentLog::open_read_only(scratch.log()) {
        Ok(log) => {
            let report = before.as_ref().expect("what can be opened can be verified");
            assert!(report.is_good(), "opened, but {report:?}");
            assert_eq!(log.head(), report.head);
            let torn = |seq: Seq, bytes: u64| (seq, bytes);
            let ours = log.torn_tail().map(|tail| torn(tail.seq, tail.bytes));
            assert_eq!(ours, report.torn.as_ref().map(|tail| torn(tail.seq, tail.bytes)));
            assert_eq!(read_through(&log).expect("what is opened is read"), report.entries);
        }
        Err(LogError::Corrupt(bad)) => {
            let refused = ["floor_unreadable"].contains(&bad.code);
            assert!(refused || !good(before.as_ref()), "refused for {bad}, but {before:?}");
        }
        Err(_) => assert!(!good(before.as_ref()), "not opened, but {before:?}"),
    }
    let opened = append(&scratch.log());
    judge(&scratch.log(), before.as_ref(), opened);
}

/// What was good, or was opened without the help of anything derived, is good with one entry more.
fn judge(log: &Path, before: Option<&Report>, appended: Option<u64>) {
    let after = seen(log);
    match (before, appended) {
        (Some(before), Some(entries)) if before.is_good() => {
            let after = after.expect("a log is still there");
            assert!(after.is_good(), "good before and not after an append: {after:?}");
            assert_eq!(after.entries, entries);
            assert!(after.entries >= before.entries && after.torn.is_none());
        }
        // Whoever may not write leaves things as they are: a torn tail alone is cut before that.
        (Some(before), None) if before.is_good() => {
            let after = after.expect("a log is still there");
            assert!(after.is_good(), "good before and not after an opening: {after:?}");
            assert_eq!(after.entries, before.entries);
        }
        _ => {}
    }
}

fn good(report: Option<&Report>) -> bool {
    report.is_some_and(Report::is_good)
}

/// What `verify` says of the chain, whatever the payloads are.
fn seen(log: &Path) -> Option<Report> {
    let lenient =
        VerifyOptions { payloads: false, opened_first: false, ..VerifyOptions::default() };
    verify_dir(log, &lenient).ok()
}

/// The same, compared with the stricter measure and with more threads.
fn seen_by_all(log: &Path) -> Option<Report> {
    let lenient = seen(log);
    let verify =
        |threads| verify_dir(log, &VerifyOptions { threads, ..VerifyOptions::default() }).ok();
    let (strict, threads) = (verify(1), verify(3));
    assert!(good(lenient.as_ref()) || !good(strict.as_ref()), "the stricter check finds less");
    assert_eq!(format!("{strict:?}"), format!("{threads:?}"), "threads change the answer");
    lenient
}

/// Reads every entry, and how many there are.
fn read_through(log: &SegmentLog) -> Result<u64, LogError> {
    let mut next = Seq(0);
    while next < log.head().next {
        let page: Vec<Entry> = log.read(next, PAGE_LEN)?;
        let Some(last) = page.last() else { break };
        assert!(last.seq() >= next, "reading goes forward");
        next = last.seq().next();
    }
    assert!(log.read(next, 1)?.is_empty(), "there is nothing past the head");
    Ok(next.0)
}

/// Opens for writing, records one event, and stops cleanly. How many entries there are then.
fn append(dir: &Path) -> Option<u64> {
    let log = Arc::new(SegmentLog::open_with_segment_size(dir, SEGMENT_SIZE).ok()?);
    let index = Index::in_dir_with_tail_len(log.index_dir(), 4);
    let mut writer = Writer::open(log.clone(), index).ok()?;
    let before = writer.head();
    let event = br#"{"id":"appended","source":"fuzz","type":"rollout.note.added.v1"}"#;
    let draft = Draft::new(event.to_vec()).expect("the event is canonical");
    writer.commit(vec![draft.into()], before.recorded_at_us).ok()?;
    log.close().ok()?;
    Some(writer.head().next.0)
}

/// A directory in memory, where there is one.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Scratch {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Scratch(dir.expect("a directory can be made"))
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// Every file with its size.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        let (mut found, mut dirs) = (Vec::new(), vec![self.log()]);
        while let Some(dir) = dirs.pop() {
            for file in fs::read_dir(dir).into_iter().flatten().flatten() {
                let metadata = file.metadata().expect("a file that is listed is there");
                if metadata.is_dir() {
                    dirs.push(file.path());
                } else {
                    found.push((file.path(), metadata.len()));
                }
            }
        }
        found.sort();
        found
    }
}
