//! How fast the ledger is, beside what the machine can do at best: `cargo bench -p ledger`.
//!
//! Each line is `bench NAME VALUE UNIT baseline VALUE ratio R target >= T`, both values from one run
//! in which the two took turns, so that a busy machine slows both. With the argument `flat` it
//! measures instead whether appending stays as fast up to ten million ids (2 GB of disk).
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ledger::{
    Draft, HASH_CONTEXT, HEADER_SIZE, Index, Log, Outcome, SegmentLog, Submission, VerifyOptions,
    Writer, log::segments::SEGMENT_SIZE, verify_dir,
};
use sha2::{Digest as _, Sha256};

const NOW_US: u64 = 1_767_225_600_000_000;
const PAYLOAD_SIZE: usize = 600;
const FRAME_OVERHEAD: usize = 92;
/// Smaller than the product's, so that a short run has segments for every thread.
const SMALL_SEGMENT_SIZE: u64 = 16 * 1024 * 1024;

fn main() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
    if std::env::args().any(|arg| arg == "flat") {
        return flat(dir.path());
    }
    let log = dir.path().join("verify");
    let events = fill(&log, 400);
    bytes_on_disk(&log, events);
    verify(&log);
    open(&log);
    append(&dir.path().join("1"), "append_durable_1", 1, 400, 0.5);
    append(&dir.path().join("64"), "append_durable_64", 64, 300, 0.5);
    append(&dir.path().join("1024"), "append_durable_1024", 1_024, 160, 0.5);
    let one_thread = Drafting::InTurn;
    append_drafting(&dir.path().join("1t"), "append_one_thread_1024", 1_024, 60, 0.4, one_thread);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drafting {
    /// Drafts were made before, as by the threads of many callers.
    Before,
    /// Each is read and hashed in the writer's own turn.
    InTurn,
}

fn append(dir: &Path, name: &str, batch_len: usize, commits: usize, target: f64) {
    append_drafting(dir, name, batch_len, commits, target, Drafting::Before);
}

/// Durable commits through the writer, each beside a write of the same bytes to a plain file.
fn append_drafting(
    dir: &Path,
    name: &str,
    batch_len: usize,
    commits: usize,
    target: f64,
    drafting: Drafting,
) {
    let (mut writer, _log) = writer(dir, SEGMENT_SIZE);
    let mut plain = File::create(dir.join("plain")).expect("a file can be made");
    let bytes = vec![b'x'; batch_len * (PAYLOAD_SIZE + FRAME_OVERHEAD)];
    let (mut ours, mut baseline) = (Duration::ZERO, Duration::ZERO);
    for commit in 0..commits {
        let payloads = payloads(commit * batch_len, batch_len, PAYLOAD_SIZE);
        let elapsed = match drafting {
            Drafting::Before => {
                let submissions = submissions(payloads);
                time(|| record(&mut writer, submissions))
            }
            Drafting::InTurn => time(|| record(&mut writer, submissions(payloads))),
        };
        ours += elapsed;
        baseline += time(|| {
            plain.write_all(&bytes).expect("the disk has room");
            plain.sync_data().expect("the disk syncs");
        });
    }
    let events = batch_len * commits;
    report(name, "events/s", rate(events, ours), rate(events, baseline), (">=", target));
}

fn writer(dir: &Path, segment_size: u64) -> (Writer, Arc<SegmentLog>) {
    fs::create_dir_all(dir).expect("a directory can be made");
    let log = SegmentLog::create_with_segment_size(dir.join("log"), segment_size);
    let log = Arc::new(log.expect("a new log"));
    let index = Index::in_dir(log.index_dir());
    (Writer::open(log.clone(), index).expect("a new writer"), log)
}

/// Canonical events with ids of their own, of this many bytes each.
fn payloads(first: usize, len: usize, size: usize) -> Vec<Vec<u8>> {
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

fn submissions(payloads: Vec<Vec<u8>>) -> Vec<Submission> {
    let draft = |payload| Draft::new(payload).expect("a canonical event");
    payloads.into_iter().map(|payload| draft(payload).into()).collect()
}

fn record(writer: &mut Writer, submissions: Vec<Submission>) {
    let outcomes = writer.commit(submissions, NOW_US).expect("the disk has room");
    let is_new = |outcome: &Outcome| matches!(outcome, Outcome::Recorded(r) if !r[0].duplicate);
    assert!(outcomes.iter().all(is_new));
}

/// A closed log of this many commits of 1,024 events; returns how many there are.
fn fill(dir: &Path, commits: usize) -> usize {
    let (mut writer, log) = writer(dir, SMALL_SEGMENT_SIZE);
    for commit in 0..commits {
        record(&mut writer, submissions(payloads(commit * 1_024, 1_024, PAYLOAD_SIZE)));
    }
    log.close().expect("the disk has room");
    commits * 1_024
}

fn bytes_on_disk(dir: &Path, events: usize) {
    fn size(dir: &Path) -> u64 {
        let files = fs::read_dir(dir).expect("a directory").flatten();
        let sizes = files.map(|file| match file.metadata().expect("a file") {
            found if found.is_dir() => size(&file.path()),
            found => found.len(),
        });
        sizes.sum()
    }
    #[expect(clippy::cast_precision_loss, reason = "a benchmark rounds")]
    let per_event = size(&dir.join("log")) as f64 / events as f64;
    #[expect(clippy::cast_precision_loss, reason = "a benchmark rounds")]
    let payload = PAYLOAD_SIZE as f64;
    report("bytes_on_disk", "bytes/event", per_event, payload, ("<=", 1.25));
}

/// Everything that `verify` checks, beside reading and hashing the same files on as many threads.
fn verify(dir: &Path) {
    let log = dir.join("log");
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let options = VerifyOptions { threads, opened_first: false, ..VerifyOptions::default() };
    let names = fs::read_dir(&log).expect("a log").flatten().map(|file| file.path());
    let names = names.filter(|path| path.extension().is_some_and(|found| found == "seg"));
    let files: Vec<_> = names.collect();
    let (mut ours, mut baseline, mut entries) = (Duration::MAX, Duration::MAX, 0);
    // The best of each: both need the processors alone, and whatever else ran only added to them.
    for _ in 0..7 {
        ours = ours.min(time(|| {
            let report = verify_dir(&log, &options).expect("a log");
            assert!(report.is_good(), "{report:?}");
            entries = usize::try_from(report.entries).expect("a small log");
        }));
        baseline = baseline.min(time(|| hash_all(&files, threads)));
    }
    report("verify", "entries/s", rate(entries, ours), rate(entries, baseline), (">=", 0.5));
}

/// Both hashes of every entry, and nothing else.
fn hash_all(files: &[PathBuf], threads: usize) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut sum = 0u8;
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            sum ^= hash_file(&fs::read(file).expect("a segment"));
        }
        sum
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| std::hint::black_box(work()));
        }
    });
}

fn hash_file(file: &[u8]) -> u8 {
    let context = blake3::hazmat::hash_derive_key_context(HASH_CONTEXT);
    let (mut rest, mut sum) = (file, 0);
    while let Some((size, _)) = rest.split_first_chunk::<4>() {
        let size = u32::from_be_bytes(*size) as usize;
        let (header, payload) = rest[7..88 + size].split_at(HEADER_SIZE);
        let mut hasher: blake3::Hasher = blake3::hazmat::HasherExt::new_from_context_key(&context);
        sum ^= hasher.update(header).finalize().as_bytes()[0];
        sum ^= Sha256::digest(payload)[0];
        rest = &rest[FRAME_OVERHEAD + size..];
    }
    sum
}

/// Opening after a clean stop, index included, beside reading the last segment's bytes.
fn open(dir: &Path) {
    let log = dir.join("log");
    let ours = time(|| {
        let log = Arc::new(SegmentLog::open(&log).expect("a log"));
        let index = Index::in_dir(log.index_dir());
        Writer::open(log, index).expect("a writer");
    });
    report("open", "s", ours.as_secs_f64(), 1.0, ("<=", 1.0));
}

/// Appends ten million ids and compares the first million with the last.
fn flat(dir: &Path) {
    const COMMITS: usize = 1_000;
    let (mut writer, log) = writer(dir, SEGMENT_SIZE);
    let mut rates = Vec::new();
    for million in 0..10 {
        let mut elapsed = Duration::ZERO;
        for commit in 0..COMMITS {
            let first = (million * COMMITS + commit) * 1_000;
            let submissions = submissions(payloads(first, 1_000, 120));
            elapsed += time(|| record(&mut writer, submissions));
        }
        rates.push(rate(COMMITS * 1_000, elapsed));
        println!("after {} million ids: {:.0} events/s", million + 1, rates[million]);
    }
    report("append_flat", "events/s", rates[9], rates[0], (">=", 0.8));
    log.close().expect("the disk has room");
    drop((writer, log));
    open(dir);
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "a benchmark rounds")]
fn rate(events: usize, elapsed: Duration) -> f64 {
    events as f64 / elapsed.as_secs_f64()
}

fn report(name: &str, unit: &str, value: f64, baseline: f64, (relation, target): (&str, f64)) {
    let digits = if value < 10.0 { 3 } else { 0 };
    println!(
        "bench {name} {value:.digits$} {unit} baseline {baseline:.digits$} ratio {:.2} target \
         {relation} {target}",
        value / baseline
    );
}
