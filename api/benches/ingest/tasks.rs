//! Tasks that record one event after another, each waiting for its receipt, through the writer's
//! thread as a server has it.

use std::{
    collections::HashSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    engine::{self, Engine},
    ingest::{self, Intake},
    metrics::Metrics,
};
use ledger::{Draft, Outcome, Receipt};
use tokio::runtime::Runtime;

use crate::{FRAME_OVERHEAD, Latencies, PAYLOAD_SIZE, plain::Plain, report};

const TASKS: usize = 64;
/// Turns that tasks and plain file take, and the events of each task in one.
const ROUNDS: usize = 12;
const EACH: usize = 150;

pub(crate) fn run(dir: &Path) {
    let (home, _) = engine::init(&dir.join("tasks"), None).unwrap();
    let engine = Engine::open(&home).unwrap();
    let (intake, writer) = ingest::start(engine, Arc::new(Metrics::new("bench", 0))).unwrap();
    let runtime = Runtime::new().unwrap();
    let mut plain = Plain::create(&dir.join("plain"));
    measure(&runtime, &intake, &mut plain, 1, 40, "append_1_task");
    measure(&runtime, &intake, &mut plain, TASKS, EACH, "append_64_tasks");
    intake.stop();
    writer.join().unwrap();
}

fn measure(
    runtime: &Runtime,
    intake: &Intake,
    plain: &mut Plain,
    tasks: usize,
    each: usize,
    name: &str,
) {
    let (mut ours, mut all_commits) = (Duration::ZERO, 0);
    let (mut latencies, mut baseline) = (Latencies::default(), Latencies::default());
    for round in 0..ROUNDS {
        let prepared: Vec<Vec<_>> =
            (0..tasks).map(|task| payloads(name, round, task, each)).collect();
        let begun = Instant::now();
        let receipts = runtime.block_on(async {
            let record = |own: Vec<Vec<u8>>| tokio::spawn(record_all(intake.clone(), own));
            let tasks: Vec<_> = prepared.into_iter().map(record).collect();
            let mut receipts = Vec::new();
            for task in tasks {
                receipts.extend(task.await.unwrap());
            }
            receipts
        });
        ours += begun.elapsed();
        latencies.0.extend(receipts.iter().map(|(_, took)| *took));
        // A commit stamps all its entries with one moment, and takes longer than a microsecond.
        let stamps: HashSet<_> = receipts.iter().map(|(r, _)| r.recorded_at_us).collect();
        let commits = stamps.len();
        let size = tasks * each * (PAYLOAD_SIZE + FRAME_OVERHEAD) / commits;
        baseline.0.extend(plain.commits(commits, size));
        all_commits += commits;
    }
    let events = tasks * each * ROUNDS;
    if tasks > 1 {
        report(name, events, ours, baseline.0.iter().sum(), Some(0.6));
        let mean = events as f64 / all_commits as f64;
        println!("{name}: {all_commits} commits of {mean:.1} events on average");
        return latencies.report(name);
    }
    let (own, sync) = (latencies.per_mille(500), baseline.per_mille(500));
    println!(
        "bench {name}_p50 {own:.0} us baseline {sync:.0} ratio {:.2} target <= 1.3",
        own / sync
    );
}

/// What a handler does once it has read the request: digest, hand over, wait.
async fn record_all(intake: Intake, payloads: Vec<Vec<u8>>) -> Vec<(Receipt, Duration)> {
    let mut receipts = Vec::with_capacity(payloads.len());
    for payload in payloads {
        let begun = Instant::now();
        let draft = Draft::new(payload).unwrap();
        let outcome = intake.record(draft.into()).await.unwrap();
        let Outcome::Recorded(own) = outcome else { panic!("{outcome:?}") };
        assert!(!own[0].duplicate);
        receipts.push((own[0], begun.elapsed()));
    }
    receipts
}

/// Canonical events with ids of their own.
fn payloads(name: &str, round: usize, task: usize, len: usize) -> Vec<Vec<u8>> {
    let payload = |n: usize| {
        let tail = format!(
            r#""}},"id":"{name}-{round}-{task}-{n}","source":"bench","specversion":"1.0","type":"rollout.note.added.v1"}}"#
        );
        let head = r#"{"data":{"text":""#;
        let text = "x".repeat(PAYLOAD_SIZE - head.len() - tail.len());
        format!("{head}{text}{tail}").into_bytes()
    };
    (0..len).map(payload).collect()
}
