//! How fast a ledger is opened for writing, its index of ids included: `cargo bench -p ledger --bench
//! open`. With the argument `open10m` it is one of ten million entries (8 GB of disk).
//!
//! Each opening happens in a process of its own, so that nothing is known from before; it says how
//! long it took and how much memory it holds. `cold` is after the system has been made to forget the
//! files (`dd iflag=nocache`).
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

mod measure;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use ledger::{Index, Log as _, SegmentLog, Writer, log::segments::SEGMENT_SIZE};
use measure::{
    PAYLOAD_SIZE, SMALL_SEGMENT_SIZE, payloads, rate, record, report, scratch, segment_files,
    submissions, time, writer,
};

/// Entries of a commit.
const COMMIT_LEN: usize = 1_024;
/// Commits of the large ledger: 10,000,384 entries.
const LARGE_COMMITS: usize = 9_766;
/// How often each way of opening is measured; the best counts.
const TURNS: usize = 3;

fn main() {
    let args: Vec<_> = std::env::args().collect();
    if let [_, child, how, log, ..] = args.as_slice()
        && child == "child"
    {
        return open_and_tell(how, Path::new(log));
    }
    let dir = scratch();
    if args.iter().any(|arg| arg == "open10m") {
        large(dir.path());
    } else {
        fill(dir.path(), SMALL_SEGMENT_SIZE, 400, true);
        let log = dir.path().join("log");
        let turns = (0..TURNS).map(|_| open(&log, "write", false));
        let best = turns.min_by_key(|opened| opened.elapsed).expect("there are turns");
        report("open", "s", best.elapsed.as_secs_f64(), 1.0, ("<=", 1.0));
        let least = best.processor.as_secs_f64();
        report("open_processor_time", "s", least, 1.0, ("<=", 1.0));
    }
}

fn fill(dir: &Path, segment_size: u64, commits: usize, close: bool) {
    let (mut writer, log) = writer(dir, segment_size);
    let elapsed = time(|| {
        for commit in 0..commits {
            let payloads = payloads(commit * COMMIT_LEN, COMMIT_LEN, PAYLOAD_SIZE);
            record(&mut writer, submissions(payloads));
        }
    });
    println!("{:.0} events/s were recorded", rate(commits * COMMIT_LEN, elapsed));
    if close {
        log.close().expect("the disk has room");
    }
}

/// Ten million entries: after a clean stop, and after a writer was killed inside of a commit.
fn large(dir: &Path) {
    fill(dir, SEGMENT_SIZE, LARGE_COMMITS, false);
    let log = dir.join("log");
    for (name, how, cold) in [
        ("open10m_killed", "killed", false),
        ("open10m_killed_cold", "killed", true),
        ("open10m_clean", "write", false),
        ("open10m_clean_cold", "write", true),
        ("open10m_read_only", "read", false),
    ] {
        let turns = (0..TURNS).map(|_| open(&log, how, cold));
        let best = turns.min_by_key(|opened| opened.elapsed).expect("there are turns");
        let allowed = if how == "killed" { 3.0 } else { 1.0 };
        report(name, "s", best.elapsed.as_secs_f64(), allowed, ("<=", 1.0));
        let least = best.processor.as_secs_f64();
        report(&format!("{name}_processor_time"), "s", least, allowed, ("<=", 1.0));
        if name == "open10m_clean" {
            #[expect(clippy::cast_precision_loss, reason = "a benchmark rounds")]
            let per_million = best.memory as f64 * 1e6 / (LARGE_COMMITS * COMMIT_LEN) as f64;
            println!("bench open_memory {:.2} MB per million entries", per_million / 1e6);
        }
    }
}

/// What a process that opened a ledger says of it.
struct Opened {
    elapsed: Duration,
    /// What of it a processor was busy with: on a machine with much else to do, far less.
    processor: Duration,
    /// Bytes of memory that it holds more than before.
    memory: u64,
}

fn open(log: &Path, how: &str, cold: bool) -> Opened {
    if how == "killed" {
        tear(log);
    }
    if cold {
        forget(log);
    }
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this).args(["child", how]).arg(log).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("three numbers");
    let mut numbers = text.split_whitespace().map(|number| number.parse().expect("a number"));
    let mut number = || numbers.next().expect("three numbers");
    let (elapsed, processor) = (Duration::from_nanos(number()), Duration::from_nanos(number()));
    Opened { elapsed, processor, memory: number() }
}

/// Nanoseconds that a processor was busy with this thread: the first number of proc(5)'s schedstat.
fn processor_time() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says so");
    text.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

/// The child: opens, and prints nanoseconds, those of a processor, and bytes.
fn open_and_tell(how: &str, log: &Path) {
    let before = resident();
    let (start, start_busy) = (Instant::now(), processor_time());
    let log = Arc::new(match how {
        "read" => SegmentLog::open_read_only(log).expect("a log"),
        _ => SegmentLog::open(log).expect("a log"),
    });
    assert_eq!(log.torn_tail().is_some(), how == "killed");
    let writer = (how != "read").then(|| {
        let index = Index::in_dir(log.index_dir());
        Writer::open(log.clone(), index).expect("a writer")
    });
    let (elapsed, busy) = (start.elapsed(), processor_time() - start_busy);
    println!("{} {busy} {}", elapsed.as_nanos(), resident().saturating_sub(before));
    if how == "write" {
        log.close().expect("the disk has room");
    }
    drop(writer);
}

/// Bytes of memory that this process holds.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux says so");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    let kib = line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number");
    kib * 1_024
}

/// The first half of a commit behind the last whole one, as a killed writer may leave it.
fn tear(log: &Path) {
    let mut files = segment_files(log);
    files.sort();
    let last = files.last().expect("a segment");
    let whole = fs::read(last).expect("a segment");
    let front = whole.get(..200).expect("a segment has entries");
    let mut file = fs::OpenOptions::new().append(true).open(last).expect("a segment");
    file.write_all(front).expect("the disk has room");
}

/// Makes the system forget what it has read of these files.
fn forget(dir: &Path) {
    for file in fs::read_dir(dir).expect("a directory").flatten().map(|file| file.path()) {
        if file.is_dir() {
            forget(&file);
            continue;
        }
        let mut source = std::ffi::OsString::from("if=");
        source.push(&file);
        let mut dd = Command::new("dd");
        let dd = dd.arg(source).args(["iflag=nocache", "count=0", "status=none"]);
        assert!(dd.status().expect("dd is there").success());
    }
}
