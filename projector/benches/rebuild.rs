//! How fast all views are made again from the log: `cargo bench -p projector`.
//!
//! Each line is `bench NAME VALUE events/s baseline VALUE ratio R target >= T`. The baseline reads
//! the same entries in the same run, in as many threads, and parses their JSON without keeping it.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ledger::{BATCH_LEN_MAX, Draft, Head, Log, SegmentLog, Seq};
use projector::views::Views;
use schemas::canonical;
use serde_json::{Value, json};

const EVENTS: usize = 200_000;
const ROLLOUTS: usize = 200;
/// Payloads are padded to this many bytes.
const PAYLOAD_SIZE: usize = 600;
const THREADS: usize = 2;
/// Events a second, on two cores.
const TARGET: f64 = 150_000.0;
const BEGIN_US: i64 = 1_767_225_600_000_000;
/// Between two events.
const PACE_US: i64 = 30_000_000;

fn main() {
    // One event of 101 was recorded long after it happened, so its rollout folds again.
    for (name, late_every) in [("rebuild", usize::MAX), ("rebuild_backfilled", 101)] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let log = filled(&dir.path().join("log"), late_every);
        let (views, _) = Views::open(&dir.path().join("views"), &log).expect("new views");
        // Once before, so that both find the files in memory.
        parse_all(&log);
        let baseline = time(|| parse_all(&log));
        let ours = time(|| views.rebuild(&log, log.head(), THREADS).expect("a rebuild"));
        assert_eq!(views.counts().value.events, EVENTS as u64);
        assert_eq!(views.rollouts().expect("rows").value.len(), ROLLOUTS);
        let (ours, baseline) = (rate(ours), rate(baseline));
        let ratio = ours / baseline;
        println!(
            "bench {name} {ours:.0} events/s baseline {baseline:.0} ratio {ratio:.2} \
             target >= {TARGET:.0}"
        );
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(elapsed: Duration) -> f64 {
    EVENTS as f64 / elapsed.as_secs_f64()
}

/// Reads and parses every entry, each thread its own part of the log.
fn parse_all(log: &SegmentLog) {
    let share = EVENTS.div_ceil(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let (mut next, end) = (thread * share, EVENTS.min((thread + 1) * share));
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

fn filled(dir: &Path, late_every: usize) -> SegmentLog {
    let log = SegmentLog::create(dir).expect("a new log");
    let (mut head, mut commit) = (Head::GENESIS, Vec::with_capacity(BATCH_LEN_MAX));
    for n in 0..EVENTS {
        let at = BEGIN_US + i64::try_from(n).expect("a small number") * PACE_US;
        let late = if n % late_every == late_every - 1 { 7 * 86_400_000_000 } else { 0 };
        let draft = Draft::new(payload(n, at - late)).expect("a canonical event");
        let entry = head.seal(draft, at.unsigned_abs());
        head = head.accept(&entry).expect("a chain");
        commit.push(entry);
        if commit.len() == BATCH_LEN_MAX || n + 1 == EVENTS {
            log.append(&commit).expect("room on the disk");
            commit.clear();
        }
    }
    log
}

/// One event of a rollout that is under way, as monitors, people and a flag's service send them.
fn payload(n: usize, time_us: i64) -> Vec<u8> {
    let rollout = n * 7_919 % ROLLOUTS;
    let (turn, stage) = (n / ROLLOUTS, format!("stage-{}", ["a", "b", "c", "d"][n / 50_000 % 4]));
    let flag = format!("feature_{rollout}_enabled");
    let (name, mut data) = match turn % 50 {
        0 if turn == 0 => {
            let title = format!("Feature {rollout} for everyone");
            ("release.defined", json!({ "title": title, "kind": "flag" }))
        }
        1 if turn == 1 => ("flag.registered", json!({ "key": flag, "role": "rollout" })),
        2 if turn < 50 => {
            let exposure = json!([{ "kind": "percent", "min_bp": 2_500, "max_bp": 2_500 }]);
            let data =
                json!({ "stage": stage, "label": stage, "ordinal": 1, "exposures": exposure });
            ("stage.planned", data)
        }
        3 => ("stage.started", json!({ "stage": stage })),
        4 => ("gate.decided", json!({ "gate": "stage", "stage": stage, "verdict": "go" })),
        5..=6 => {
            let bug = format!("B-{turn}");
            ("bug.found", json!({ "bug": bug, "title": "a button is grey", "stage": stage }))
        }
        7 => ("bug.fixed", json!({ "bug": format!("B-{}", turn - 2) })),
        8..=13 => {
            let value = (turn % 100).to_string();
            let data = json!({
                "key": flag, "operation": "enable", "gate": "percentage_of_actors",
                "value": value, "service": "flipper", "environment": "production", "row": n,
            });
            ("flag.changed", data)
        }
        14..=17 => ("alert.raised", json!({ "monitor": "error rate", "stage": stage })),
        18..=23 => ("error.observed", json!({ "code": "E-17", "stage": stage })),
        24..=26 => ("note.added", json!({ "text": "looked at the dashboard" })),
        _ => {
            let quantity = json!({ "raw": "118 clicks", "value": "118", "unit": "clicks" });
            let metric = format!("metric {}", turn % 5);
            ("metric.observed", json!({ "metric": metric, "quantity": quantity, "stage": stage }))
        }
    };
    data["basis"] = if n.is_multiple_of(3) { "reported" } else { "observed" }.into();
    data["actor"] = json!({ "kind": "person", "id": format!("staff-{}", n % 40) });
    let mut event = json!({
        "specversion": "1.0", "id": format!("{n:012}"), "source": "urn:bench", "data": data,
        "type": format!("rollout.{name}.v1"), "authtype": "token", "authid": "monitor-17",
        "recordedvia": "http", "salt": format!("{:022}", n * 7_919),
    });
    if name != "flag.changed" {
        event["subject"] = format!("rollout-{rollout:03}").into();
    }
    let time = jiff::Timestamp::from_microsecond(time_us).expect("a moment of this century");
    event["time"] = format!("{time:.6}").into();
    let padding = PAYLOAD_SIZE.saturating_sub(canonical::to_bytes(&event).len() + 10);
    event["data"]["note"] = "x".repeat(padding).into();
    canonical::to_bytes(&event)
}
