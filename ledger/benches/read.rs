//! What reading costs: pages of entries, single entries, and headers alone, for payloads of several
//! sizes: `cargo bench -p ledger --bench read`. Processor time, since a call of the system is most.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

mod measure;

use std::{fs, fs::File, os::unix::fs::FileExt as _};

use ledger::{Log, Seq, log::segments::SEGMENT_SIZE};
use measure::{payloads, record, scratch, segment_files, submissions, writer};

/// Bytes of payloads in a log.
const LOG_SIZE: usize = 40 << 20;
/// Entries read at once.
const PAGE_LEN: usize = 500;

fn main() {
    for size in [600, 2_000, 4_000, 8_000, 32_000] {
        let dir = scratch();
        let (mut writer, log) = writer(dir.path(), SEGMENT_SIZE);
        let (len, commit_len) = (LOG_SIZE / size, (800_000 / size).min(1_024));
        for first in (0..len).step_by(commit_len) {
            record(&mut writer, submissions(payloads(first, commit_len, size)));
        }
        let len = usize::try_from(log.head().next.0).expect("a small log");
        let file = segment_files(&dir.path().join("log")).pop().expect("a segment");
        let file = File::open(file).expect("a segment");
        let mut frame = vec![0; size + measure::FRAME_OVERHEAD];
        let pages = || (0..len).step_by(PAGE_LEN).map(|at| Seq(at as u64));
        let places = || (0..len).map(|n| n * 7_919 % len);
        tell(size, "bare read of one", len, || {
            for place in places() {
                let at = (place * frame.len()) as u64;
                file.read_exact_at(&mut frame, at).expect("it is there");
            }
        });
        tell(size, "read of one", len, || {
            for place in places() {
                assert_eq!(log.read(Seq(place as u64), 1).expect("a log").len(), 1);
            }
        });
        tell(size, "header of one", len, || {
            for place in places() {
                assert_eq!(log.headers(Seq(place as u64), 1).expect("a log").len(), 1);
            }
        });
        tell(size, "read of a page, for each", len, || {
            pages().for_each(|from| drop(log.read(from, PAGE_LEN).expect("a log")));
        });
        tell(size, "headers of a page, for each", len, || {
            pages().for_each(|from| drop(log.headers(from, PAGE_LEN).expect("a log")));
        });
    }
}

/// Prints what one of `len` costs.
fn tell(size: usize, what: &str, len: usize, mut work: impl FnMut()) {
    let (start, mut turns) = (processor_time(), 0);
    // The system counts in steps of some milliseconds.
    while processor_time() - start < 200_000_000 {
        work();
        turns += 1;
    }
    let each = (processor_time() - start) / (turns * len as u64);
    println!("{size}-byte payloads: {what} {each} ns");
}

/// Nanoseconds that a processor was busy with this thread: the first number of proc(5)'s schedstat.
fn processor_time() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says so");
    text.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}
