//! How fast all views are made again from the log: `cargo bench -p projector --bench rebuild`.
//!
//! Each line is `bench NAME VALUE events/s baseline VALUE ratio R target >= T`. The baseline reads
//! the same entries in the same run, in as many threads, and parses their JSON without keeping it;
//! the two take turns, and the median of the turns counts. Names as arguments choose measures.
//! The last number of a line is the processor time of both cores that an event takes: unlike the
//! others it is the same on a machine that has other work.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

#[path = "../data/mod.rs"]
#[expect(dead_code, reason = "the other benchmark uses the rest")]
mod data;

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use data::{BEGIN_US, Growing, admitted, mixed, padded};
use ledger::{Log, SegmentLog, Seq};
use projector::views::Views;
use serde_json::Value;

const EVENTS: usize = 500_000;
const ROLLOUTS: usize = 500;
const THREADS: usize = 2;
const TURNS: usize = 3;
/// Events a second, on two cores.
const TARGET: f64 = 300_000.0;
/// Between two events.
const PACE_US: i64 = 30_000_000;
/// By how much a late event was recorded after it happened.
const LATE_US: i64 = 7 * 86_400_000_000;

fn main() {
    measure("rebuild", |dir| padded_log(dir, usize::MAX));
    // One event of 101 was recorded long after it happened.
    measure("rebuild_backfilled", |dir| padded_log(dir, 101));
    measure("rebuild_mixed", mixed_log);
}

fn measure(name: &str, fill: impl FnOnce(&Path) -> SegmentLog) {
    let mut asked = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).peekable();
    if asked.peek().is_some() && !asked.any(|arg| arg == name) {
        return;
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let log = fill(&dir.path().join("log"));
    let events = log.head().next.0;
    let (views, _) = Views::open(&dir.path().join("views"), &log).expect("new views");
    // Once before, so that both find the files in memory.
    parse_all(&log);
    let (mut baseline, mut ours, mut cpu) = (vec![], vec![], Duration::ZERO);
    for _ in 0..TURNS {
        baseline.push(time(|| parse_all(&log)));
        let before = cpu_time();
        ours.push(time(|| views.rebuild(&log, log.head(), THREADS).expect("a rebuild")));
        cpu += cpu_time().saturating_sub(before);
    }
    assert_eq!(views.counts().value.events, events);
    assert_eq!(views.counts().value.unread_events, 0);
    assert_eq!(views.rollouts().expect("rows").value.len(), ROLLOUTS);
    let rate = |mut turns: Vec<Duration>| {
        turns.sort();
        events as f64 / turns[TURNS / 2].as_secs_f64()
    };
    let (ours, baseline) = (rate(ours), rate(baseline));
    let ratio = ours / baseline;
    let cpu_us = cpu.as_secs_f64() * 1e6 / (TURNS as f64 * events as f64);
    println!(
        "bench {name} {ours:.0} events/s baseline {baseline:.0} ratio {ratio:.2} \
         target >= {TARGET:.0} cpu {cpu_us:.2} us/event"
    );
}

/// What all threads of this process have used, those that ended included.
fn cpu_time() -> Duration {
    /// Of the numbers in `/proc`, in all builds of Linux for servers.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The name, in brackets, may hold anything; user and system time are the 12th and 13th behind.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 1_000 / TICKS_PER_SECOND)
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Reads and parses every entry, each thread its own part of the log.
fn parse_all(log: &SegmentLog) {
    let events = usize::try_from(log.head().next.0).unwrap();
    let share = events.div_ceil(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let (mut next, end) = (thread * share, events.min((thread + 1) * share));
                while next < end {
                    let len = 10_000.min(end - next);
                    for entry in log.read(Seq(next as u64), len).expect("a readable log") {
                        let payload = entry.payload().expect("nothing is erased");
                        serde_json::from_slice::<Value>(payload).expect("JSON");
                    }
                    next += len;
                }
            });
        }
    });
}

fn padded_log(dir: &Path, late_every: usize) -> SegmentLog {
    let mut growing = Growing::new(dir);
    for n in 0..EVENTS {
        let at = BEGIN_US + n as i64 * PACE_US;
        let late = if n % late_every == late_every - 1 { LATE_US } else { 0 };
        growing.push(padded::payload(n, ROLLOUTS, at - late), at);
    }
    growing.flush();
    growing.log
}

fn mixed_log(dir: &Path) -> SegmentLog {
    let mut growing = Growing::new(dir);
    let templates = mixed::Templates::read();
    for (n, (rollout, place)) in mixed::order(&mixed::lengths(ROLLOUTS, EVENTS)).enumerate() {
        growing.push(admitted(&templates.event(rollout, place), n), BEGIN_US + n as i64 * PACE_US);
    }
    growing.flush();
    growing.log
}
