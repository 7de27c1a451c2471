//! How fast the ledger records, beside what the machine can do at best: `cargo bench -p ledger
//! --bench append`.
//!
//! The baseline is a plain file, to which the same bytes are written and synced in turn.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

mod measure;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use ledger::{Draft, Outcome, SharedWriter, log::segments::SEGMENT_SIZE};
use measure::{
    FRAME_OVERHEAD, NOW_US, PAYLOAD_SIZE, Plain, median, payloads, rate, record, report, scratch,
    submissions, time, writer,
};

/// Callers that record one event after another, each waiting for its receipt.
const CALLERS: usize = 64;
/// Turns that callers and plain file take, and the events of each caller in one.
const ROUNDS: usize = 12;
const EACH: usize = 60;

fn main() {
    let dir = scratch();
    one(&dir.path().join("one"));
    callers(&dir.path().join("callers"));
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
    let mut plain = Plain::create(dir);
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
        baseline += plain.commit(batch_len * (PAYLOAD_SIZE + FRAME_OVERHEAD));
    }
    let events = batch_len * commits;
    report(name, "events/s", rate(events, ours), rate(events, baseline), (">=", target));
}

/// One durable append of a caller that is alone, drafting included.
fn one(dir: &Path) {
    let (writer, _log) = writer(dir, SEGMENT_SIZE);
    let writer = SharedWriter::new(writer, CALLERS, || NOW_US);
    let mut plain = Plain::create(dir);
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for payload in payloads(0, 2_000, PAYLOAD_SIZE) {
        ours.push(time(|| record_one(&writer, payload)));
        baseline.push(plain.commit(PAYLOAD_SIZE + FRAME_OVERHEAD));
    }
    let (ours, baseline) = (median(&mut ours), median(&mut baseline));
    report("append_one_p50", "us", ours, baseline, ("<=", 1.3));
}

/// Many threads, one event at a time each; beside commits of the size that they reached.
fn callers(dir: &Path) {
    let (mut writer, _log) = writer(dir, SEGMENT_SIZE);
    let commits = Arc::new(AtomicUsize::new(0));
    let count = commits.clone();
    writer.on_publish(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let writer = SharedWriter::new(writer, CALLERS, || NOW_US);
    let mut plain = Plain::create(dir);
    let (mut ours, mut baseline) = (Duration::ZERO, Duration::ZERO);
    let events = CALLERS * EACH;
    for round in 0..ROUNDS {
        let mut payloads = payloads(round * events, events, PAYLOAD_SIZE);
        let before = commits.load(Ordering::Relaxed);
        ours += time(|| {
            thread::scope(|scope| {
                while !payloads.is_empty() {
                    let (writer, own) = (&writer, payloads.split_off(payloads.len() - EACH));
                    scope.spawn(|| own.into_iter().for_each(|one| record_one(writer, one)));
                }
            });
        });
        let reached = commits.load(Ordering::Relaxed) - before;
        let size = events * (PAYLOAD_SIZE + FRAME_OVERHEAD) / reached;
        baseline += (0..reached).map(|_| plain.commit(size)).sum::<Duration>();
    }
    let (events, commits) = (events * ROUNDS, commits.load(Ordering::Relaxed));
    let rates = (rate(events, ours), rate(events, baseline));
    report("append_64_threads", "events/s", rates.0, rates.1, (">=", 0.6));
    println!("append_64_threads: {commits} commits of {} events on average", events / commits);
}

fn record_one(writer: &SharedWriter, payload: Vec<u8>) {
    let draft = Draft::new(payload).expect("a canonical event");
    let outcome = writer.record(draft.into()).expect("the disk has room");
    assert!(matches!(outcome, Outcome::Recorded(receipts) if !receipts[0].duplicate));
}
