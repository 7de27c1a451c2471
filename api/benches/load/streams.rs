//! Subscribers: many idle ones, many live ones, some that read nothing, and a stop under all that.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use api::clock;
use ledger::{Log as _, SegmentLog, Seq};
use serde_json::{Value, json};

use super::{
    connection::Connection,
    data,
    open_loop::Latencies,
    process::Server,
    report,
    subscribers::{Arrival, Reading, waiting},
};

const IDLE: usize = 10_000;
const LIVE: usize = 1_000;
/// Events a second, each in a request of its own.
pub(crate) const RATE: u32 = 200;
/// How long events are sent to live subscribers.
const LIVE_FOR: Duration = Duration::from_secs(10);
/// Subscribers that read nothing at all.
const SILENT: usize = 50;

/// What is never recorded: whoever wants only this is idle, and news alone.
const IDLE_PATH: &str = "/api/v1/events/stream?rollout=never-heard-of&after=head";
const LIVE_PATH: &str = "/api/v1/events/stream?after=head";

pub(crate) fn run(dir: &Path) {
    let constant = crate::constant::server();
    let ledger = data::empty(dir);
    let server = Server::of(&ledger, &dir.join("streams.log"));
    idle(&server, &constant);
    live(&server, &constant);
    silent(&server);
    stop(server, &ledger);
}

fn idle(server: &Server, constant: &Server) {
    let each = |server: &Server, path: &str| {
        let before = settled(server);
        let open = waiting(server.address, path, IDLE);
        let grown = settled(server).saturating_sub(before);
        drop(open);
        grown as f64 / IDLE as f64 / 1_024.0
    };
    let baseline = each(constant, "/wait");
    let ours = each(server, IDLE_PATH);
    report("subscriber_idle_memory", "KiB", ours, Some(baseline), Some(20.0));
}

/// Memory once it has stopped to grow.
fn settled(server: &Server) -> u64 {
    let mut memory = server.memory();
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = server.memory();
        if now <= memory + memory / 200 {
            return now;
        }
        memory = now;
    }
}

fn live(server: &Server, constant: &Server) {
    let reading = Reading::start(constant.address, "/ticks", LIVE);
    thread::sleep(LIVE_FOR / 2);
    let since = |(sent, arrived): &Arrival| Duration::from_micros(arrived.saturating_sub(*sent));
    let baseline = Latencies::of(reading.end().iter().flatten().map(since).collect());

    let reading = Reading::start(server.address, LIVE_PATH, LIVE);
    let appender = Appender::new("live");
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| appender.run(server, &enough));
        thread::sleep(LIVE_FOR);
        enough.store(true, Ordering::Relaxed);
    });
    thread::sleep(Duration::from_secs(1));
    let arrivals = reading.end();
    let sent: HashMap<u64, u64> = appender.receipts().iter().map(|r| (r.seq, r.sent_us)).collect();
    let latency =
        |(seq, at): &Arrival| Some(Duration::from_micros(at.saturating_sub(*sent.get(seq)?)));
    let all: Vec<Duration> = arrivals.iter().flatten().filter_map(latency).collect();
    let expected = sent.len() * LIVE;
    assert_eq!(all.len(), expected, "each subscriber gets each event once");
    let rate = sent.len() as f64 / LIVE_FOR.as_secs_f64();
    report("subscriber_live_events", "events/s", rate, None, None);
    let ours = Latencies::of(all);
    for (rank, target) in [(500, None), (990, Some(250.0))] {
        let name = format!("subscriber_live_p{}", rank / 10);
        report(&name, "ms", ours.per_mille(rank), Some(baseline.per_mille(rank)), target);
    }
}

/// Subscribers that ask for all there is, more than any buffer takes, and never read.
fn silent(server: &Server) {
    let mut connection = Connection::open(server.address);
    let text = "x".repeat(8_000);
    for n in 0..40 {
        let many: Vec<Value> = (0..100).map(|m| note(&format!("large-{n}-{m}"), &text)).collect();
        connection.post(&json!(many).to_string()).expect("it is recorded");
    }
    let before = settled(server);
    let open = waiting(server.address, "/api/v1/events/stream", SILENT);
    let (mut most, begun) = (before, Instant::now());
    let cut_off = || {
        let metrics = server.get("/metrics");
        let line = metrics.lines().find_map(|line| {
            line.strip_prefix("rollout_ledger_subscribers_cut_off_total ")?.trim().parse().ok()
        });
        line.unwrap_or(0_usize)
    };
    while cut_off() < SILENT {
        assert!(begun.elapsed() < Duration::from_mins(2), "silent subscribers are cut off");
        most = most.max(server.memory());
        thread::sleep(Duration::from_millis(100));
    }
    drop(open);
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    let grown = mib(most.saturating_sub(before));
    report("subscriber_silent_memory_all_50", "MiB", grown, None, Some(32.0));
    report("subscriber_silent_cut_off_after", "s", begun.elapsed().as_secs_f64(), None, None);
}

/// SIGTERM while thousands listen and events come in.
fn stop(server: Server, ledger: &Path) {
    let idle = waiting(server.address, IDLE_PATH, IDLE);
    let reading = Reading::start(server.address, LIVE_PATH, LIVE);
    let appender = Appender::new("stop");
    let enough = AtomicBool::new(false);
    let took = thread::scope(|scope| {
        scope.spawn(|| appender.run(&server, &enough));
        thread::sleep(Duration::from_secs(2));
        let took = server.stop_now();
        enough.store(true, Ordering::Relaxed);
        took
    });
    drop((reading.end(), idle));
    let acknowledged = appender.receipts();
    let log = SegmentLog::open_read_only(ledger.join("log")).unwrap();
    for receipt in &acknowledged {
        let entry = log.read(Seq(receipt.seq), 1).unwrap().pop().expect("what was acknowledged");
        assert_eq!(entry.hash().to_string(), receipt.hash, "it is as it was acknowledged");
    }
    assert!(!acknowledged.is_empty());
    report("stop_under_load", "s", took.as_secs_f64(), None, Some(5.0));
    println!(
        "bench stop_under_load_lost 0 of {} acknowledged events target <= 0 met",
        acknowledged.len()
    );
}

fn note(id: &str, text: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://bench.example/load",
        "type": "rollout.note.added.v1", "subject": "bench-live",
        "data": { "text": text, "basis": "observed" },
    })
}

/// What was acknowledged, and when its request was sent, in Unix microseconds.
#[derive(Clone, Debug)]
struct Receipt {
    seq: u64,
    hash: String,
    sent_us: u64,
}

/// Appends at a fixed rate.
struct Appender {
    name: &'static str,
    receipts: Mutex<Vec<Receipt>>,
}

impl Appender {
    /// Connections, so that one slow commit does not keep the next event waiting.
    const CONNECTIONS: usize = 16;

    fn new(name: &'static str) -> Appender {
        Appender { name, receipts: Mutex::default() }
    }

    fn receipts(&self) -> Vec<Receipt> {
        self.receipts.lock().unwrap().clone()
    }

    fn run(&self, server: &Server, enough: &AtomicBool) {
        let (next, begin) = (AtomicU32::new(0), Instant::now());
        let work = || {
            let mut connection = Connection::open(server.address);
            while !enough.load(Ordering::Relaxed) {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let due = begin + Duration::from_secs(1) / RATE * n;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let body = note(&format!("{}-{n}", self.name), "A small event.").to_string();
                let sent_us = clock::wall_us();
                // No answer: the server stops, and nothing was acknowledged.
                let Some(answer) = connection.post(&body) else { return };
                let Ok(answer) = serde_json::from_str::<Value>(&answer) else { return };
                let receipt = &answer["receipts"][0];
                let (seq, hash) = (receipt["seq"].as_u64().unwrap(), receipt["hash"].as_str());
                let hash = hash.unwrap().to_owned();
                self.receipts.lock().unwrap().push(Receipt { seq, hash, sent_us });
            }
        };
        thread::scope(|scope| {
            for _ in 0..Self::CONNECTIONS {
                scope.spawn(work);
            }
        });
    }
}
