//! What the benchmarks of this crate share: events to record, and the line that each prints.
//!
//! Each line is `bench NAME VALUE UNIT baseline VALUE ratio R target >= T`, both values from one run
//! in which the two took turns, so that a busy machine slows both.
#![allow(
    dead_code,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its results, panics if it is wrong, and uses a part of this"
)]

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ledger::{Draft, Index, Outcome, SegmentLog, Submission, Writer};

/// When all of it is recorded: 2026-01-01, in Unix microseconds.
pub(crate) const NOW_US: u64 = 1_767_225_600_000_000;
/// The size of a usual payload in bytes.
pub(crate) const PAYLOAD_SIZE: usize = 600;
/// What a frame adds to its payload.
pub(crate) const FRAME_OVERHEAD: usize = 92;
/// Smaller than the product's, so that a short run has segments for every thread.
pub(crate) const SMALL_SEGMENT_SIZE: u64 = 16 * 1024 * 1024;

/// A directory that is removed at the end, on the disk that the product is built on.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made")
}

/// A writer of a new log in `dir/log`.
pub(crate) fn writer(dir: &Path, segment_size: u64) -> (Writer, Arc<SegmentLog>) {
    fs::create_dir_all(dir).expect("a directory can be made");
    let log = SegmentLog::create_with_segment_size(dir.join("log"), segment_size);
    let log = Arc::new(log.expect("a new log"));
    let index = Index::in_dir(log.index_dir());
    (Writer::open(log.clone(), index).expect("a new writer"), log)
}

/// Canonical events with ids of their own, of this many bytes each, most of them one long string.
pub(crate) fn payloads(first: usize, len: usize, size: usize) -> Vec<Vec<u8>> {
    let payload = |n: usize| {
        let tail = format!(
            r#""}},"id":"{n:010}","source":"bench","specversion":"1.0","type":"rollout.note.added.v1"}}"#
        );
        let head = r#"{"data":{"text":""#;
        let text = "x".repeat(size - head.len() - tail.len());
        format!("{head}{text}{tail}").into_bytes()
    };
    (first..first + len).map(payload).collect()
}

/// Drafts of these payloads, each a submission of its own.
pub(crate) fn submissions(payloads: Vec<Vec<u8>>) -> Vec<Submission> {
    let draft = |payload| Draft::new(payload).expect("a canonical event");
    payloads.into_iter().map(|payload| draft(payload).into()).collect()
}

/// Records submissions of which none is a duplicate.
pub(crate) fn record(writer: &mut Writer, submissions: Vec<Submission>) {
    let outcomes = writer.commit(submissions, NOW_US).expect("the disk has room");
    let is_new = |outcome: &Outcome| matches!(outcome, Outcome::Recorded(r) if !r[0].duplicate);
    assert!(outcomes.iter().all(is_new));
}

/// A file that nothing is promised of but its bytes: the baseline of all that records.
pub(crate) struct Plain {
    file: File,
    bytes: Vec<u8>,
}

impl Plain {
    pub(crate) fn create(dir: &Path) -> Plain {
        let file = File::create(dir.join("plain")).expect("a file can be made");
        Plain { file, bytes: Vec::new() }
    }

    /// One write and one sync of this many bytes; how long they took.
    pub(crate) fn commit(&mut self, size: usize) -> Duration {
        self.bytes.resize(size, b'x');
        time(|| {
            self.file.write_all(&self.bytes).expect("the disk has room");
            self.file.sync_data().expect("the disk syncs");
        })
    }
}

/// The one in the middle, in microseconds.
pub(crate) fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// The one below which so many of a hundred are, in microseconds.
pub(crate) fn percentile(times: &mut [Duration], of_100: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() * of_100 / 100).min(times.len() - 1)].as_secs_f64() * 1e6
}

/// The segment files of a log.
pub(crate) fn segment_files(log: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(log).expect("a log").flatten().map(|file| file.path());
    files.filter(|path| path.extension().is_some_and(|found| found == "seg")).collect()
}

/// How long it takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// So many a second.
#[expect(clippy::cast_precision_loss, reason = "a benchmark rounds")]
pub(crate) fn rate(events: usize, elapsed: Duration) -> f64 {
    events as f64 / elapsed.as_secs_f64()
}

/// Prints the line of a measure whose baseline took turns with it; `target` is of their ratio.
pub(crate) fn report(name: &str, unit: &str, value: f64, baseline: f64, target: (&str, f64)) {
    let digits = if value < 10.0 { 3 } else { 0 };
    let (relation, target) = target;
    println!(
        "bench {name} {value:.digits$} {unit} baseline {baseline:.digits$} ratio {:.2} target \
         {relation} {target}",
        value / baseline
    );
}
