//! How fast a ledger is verified: `cargo bench -p ledger --bench verify`.
//!
//! Beside each measure the same files are read and hashed with the same two crates on as many
//! threads, and nothing else: what verification cannot do without.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

mod measure;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use ledger::{Envelope, HASH_CONTEXT, HEADER_SIZE, Log as _, VerifyOptions, verify_dir};
use measure::{
    FRAME_OVERHEAD, PAYLOAD_SIZE, SMALL_SEGMENT_SIZE, payloads, rate, record, report, scratch,
    segment_files, submissions, time, writer,
};
use sha2::{Digest as _, Sha256};

/// Commits of 1,024 events in each log.
const COMMITS: usize = 400;
/// How often each is measured; the best counts.
const TURNS: usize = 9;

fn main() {
    canonical("canonical", |first| payloads(first, 1_024, PAYLOAD_SIZE));
    canonical("canonical_lifelike", lifelike_events);
    if std::env::args().any(|arg| arg == "canonical") {
        return;
    }
    let dir = scratch();
    let plain = dir.path().join("plain");
    fill(&plain, |first| payloads(first, 1_024, PAYLOAD_SIZE));
    bytes_on_disk(&plain);
    verify(&plain, "verify");
    fs::remove_dir_all(&plain).expect("it was just made");
    let lifelike = dir.path().join("lifelike");
    fill(&lifelike, lifelike_events);
    verify(&lifelike, "verify_lifelike");
}

/// Whether each payload is a canonical event, on one thread, beside its SHA-256.
fn canonical(name: &str, events: impl Fn(usize) -> Vec<Vec<u8>>) {
    let events = events(0);
    let (mut ours, mut baseline) = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS * 50 {
        ours = ours.min(time(|| {
            let good = |event: &&Vec<u8>| Envelope::read(event).is_ok();
            assert_eq!(events.iter().filter(good).count(), events.len());
        }));
        baseline = baseline.min(time(|| {
            let sum = events.iter().fold(0, |sum, event| sum ^ Sha256::digest(event)[0]);
            std::hint::black_box(sum);
        }));
    }
    let len = events.len();
    report(name, "events/s", rate(len, ours), rate(len, baseline), (">=", 1.0));
}

fn lifelike_events(first: usize) -> Vec<Vec<u8>> {
    (first..first + 1_024).map(lifelike_event).collect()
}

/// A closed log of many commits.
fn fill(dir: &Path, events: impl Fn(usize) -> Vec<Vec<u8>>) {
    let (mut writer, log) = writer(dir, SMALL_SEGMENT_SIZE);
    for commit in 0..COMMITS {
        record(&mut writer, submissions(events(commit * 1_024)));
    }
    log.close().expect("the disk has room");
}

/// An event as they are in life, of about 600 bytes: many members, short strings, escapes, text
/// beyond ASCII.
fn lifelike_event(n: usize) -> Vec<u8> {
    let (minute, second, flag) = (n / 60 % 60, n % 60, n % 97);
    format!(
        concat!(
            r#"{{"authid":"anna.müller","authtype":"user","data":{{"actor":{{"id":"anna.müller","kind":"human"}},"#,
            r#""basis":{{"kind":"policy","reference":"§ 4.2 – Freigabe"}},"flag":{{"environment":"production","key":"checkout-{flag:02}","system":"flags"}},"#,
            r#""note":"Rückrufe geprüft:\n\t\"alles grün\" → weiter (C:\\logs)","occurrence":{{"earliest":"2026-01-01T10:{minute:02}:{second:02}.000000Z"}},"#,
            r#""percentage_bp":{bp},"previous":[0,100,{bp}],"stage":"stage-3","verified":true}},"id":"{n:010}","recordedvia":"cli","#,
            r#""salt":"q83vASNFZ4mrze8BI0Vniw","source":"urn:example:pipeline:eu-1","specversion":"1.0","subject":"checkout-{flag:02}-2026","#,
            r#""time":"2026-01-01T10:{minute:02}:{second:02}.000000Z","type":"rollout.flag.changed.v1"}}"#
        ),
        flag = flag,
        minute = minute,
        second = second,
        bp = n % 10_001,
        n = n,
    )
    .into_bytes()
}

fn bytes_on_disk(dir: &Path) {
    fn size(dir: &Path) -> u64 {
        let files = fs::read_dir(dir).expect("a directory").flatten();
        let sizes = files.map(|file| match file.metadata().expect("a file") {
            found if found.is_dir() => size(&file.path()),
            found => found.len(),
        });
        sizes.sum()
    }
    #[expect(clippy::cast_precision_loss, reason = "a benchmark rounds")]
    let per_event = size(&dir.join("log")) as f64 / (COMMITS * 1_024) as f64;
    #[expect(clippy::cast_precision_loss, reason = "a benchmark rounds")]
    let payload = PAYLOAD_SIZE as f64;
    report("bytes_on_disk", "bytes/event", per_event, payload, ("<=", 1.25));
}

/// Everything that `verify` checks, beside reading and hashing the same files on as many threads.
fn verify(dir: &Path, name: &str) {
    let log = dir.join("log");
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let options = VerifyOptions { threads, opened_first: false, ..VerifyOptions::default() };
    let files = segment_files(&log);
    let (mut ours, mut baseline) = (Duration::MAX, Duration::MAX);
    // For a profiler: its baseline calls the same functions.
    let alone = std::env::args().any(|arg| arg == "alone");
    let (mut our_work, mut baseline_work) = (Duration::ZERO, Duration::ZERO);
    // The best of each: both need the processors alone, and whatever else ran only added to them.
    for _ in 0..TURNS {
        let start = processor_time();
        ours = ours.min(time(|| {
            let report = verify_dir(&log, &options).expect("a log");
            assert!(report.is_good(), "{report:?}");
            assert_eq!(report.entries, (COMMITS * 1_024) as u64);
        }));
        let middle = processor_time();
        if alone {
            continue;
        }
        baseline = baseline.min(time(|| hash_all(&files, threads)));
        our_work += middle.saturating_sub(start);
        baseline_work += processor_time().saturating_sub(middle);
    }
    if alone {
        return;
    }
    let entries = COMMITS * 1_024;
    report(name, "entries/s", rate(entries, ours), rate(entries, baseline), (">=", 0.7));
    let all = entries * TURNS;
    let name = format!("{name}_by_processor_time");
    report(&name, "entries/s", rate(all, our_work), rate(all, baseline_work), (">=", 0.7));
}

/// The time that processors have spent on this program, to a hundredth of a second. What else the
/// machine does changes it far less than the time that passes.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux says so");
    let fields = stat.rsplit(')').next().expect("a name ends").split_whitespace();
    // Fields 14 and 15 of proc(5): in user mode and in the system's.
    let ticks: u64 = fields.skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
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
