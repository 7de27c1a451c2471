//! The scheduler on a server's own parts, by a clock that the tests set.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ledger::Seq;
use projector::schedule::SOURCE;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{serving::Wall, *};
use crate::{
    engine::{self, Engine},
    facts::{Facts, ViewsThread},
    home::Home,
    ingest::{self, Intake, WriterThread},
    intake::{Submitter, admit_all, own::Own},
    metrics::Metrics,
};

/// A clock that stands still until it is set, and when it was last looked at. Short rests are over
/// at once.
#[derive(Clone)]
struct Set(watch::Sender<Moment>, Arc<Mutex<Moment>>);

impl Set {
    fn to(text: &str) -> Set {
        let now = at(text);
        Set(watch::channel(now).0, Arc::new(Mutex::new(now)))
    }

    /// The same clock for another scheduler, which looks at it at other moments.
    fn of_another(&self) -> Set {
        Set(self.0.clone(), Arc::new(Mutex::new(*self.0.borrow())))
    }
}

impl Wall for Set {
    fn now(&self) -> Moment {
        let now = *self.0.borrow();
        *self.1.lock().unwrap() = now;
        now
    }

    async fn pass(&self, time: Duration) {
        if time <= LOOK_GAP {
            return;
        }
        let mut set = self.0.subscribe();
        let asked = self.1.lock().unwrap().0;
        let until = Moment(asked + i64::try_from(time.as_micros()).unwrap());
        // A real clock would wake it then, and not before.
        let _ = set.wait_for(|now| *now >= until).await;
    }
}

/// A server's parts over one directory.
struct Parts {
    log: Arc<dyn ledger::Log>,
    facts: Arc<Facts>,
    intake: Intake,
    writer: WriterThread,
    views: ViewsThread,
}

impl Parts {
    fn open(home: &Home) -> Parts {
        let engine = Engine::open(home).unwrap();
        let log = engine.log.clone();
        let metrics = Arc::new(Metrics::new("test", 0));
        let (intake, writer) = ingest::start(engine, metrics).unwrap();
        let (facts, views) = Facts::start(log.clone(), home, intake.heads()).unwrap();
        Parts { log, facts, intake, writer, views }
    }

    async fn record(&self, event: Value) {
        let submission = admit_all(&[event], &Submitter::here(Own::Nobody)).unwrap();
        self.intake.record(submission).await.unwrap();
    }

    fn spawn(&self, wall: &Set, stop: &CancellationToken) -> tokio::task::JoinHandle<()> {
        let (facts, intake) = (self.facts.clone(), self.intake.clone());
        let metrics = Arc::new(Metrics::new("test", 0));
        tokio::spawn(serving::run(facts, intake, wall.of_another(), metrics, stop.clone()))
    }

    /// Every announcement in the log: type, checkpoint or flag, `time`.
    fn announced(&self) -> Vec<String> {
        let entries = self.log.read(Seq(0), usize::MAX).unwrap();
        let events = entries
            .iter()
            .filter_map(|e| serde_json::from_slice::<Value>(e.payload().unwrap_or_default()).ok());
        let ours = events.filter(|e| e["source"] == SOURCE);
        ours.map(|e| {
            assert_eq!(e["recordedvia"], "scheduler");
            let what = e["data"]["checkpoint"].as_str().or(e["data"]["flag"].as_str()).unwrap();
            let kind = e["type"].as_str().unwrap().trim_start_matches("rollout.");
            format!("{kind} {what} {}", e["time"].as_str().unwrap())
        })
        .collect()
    }

    /// Waits until so many announcements stand in the log.
    async fn until(&self, len: usize) -> Vec<String> {
        let mut heads = self.intake.heads();
        let enough = heads.wait_for(|_| self.announced().len() >= len);
        let waited = tokio::time::timeout(Duration::from_mins(1), enough).await;
        assert!(waited.is_ok(), "only {:?}", self.announced());
        self.announced()
    }

    async fn close(self) {
        self.intake.stop();
        drop((self.facts, self.intake));
        tokio::task::spawn_blocking(move || {
            self.writer.join().unwrap();
            self.views.join().unwrap();
        })
        .await
        .unwrap();
    }
}

fn at(text: &str) -> Moment {
    moment(text).unwrap()
}

fn launched(rollout: &str, time: &str) -> Value {
    json!({
        "specversion": "1.0", "id": format!("launched-{rollout}"), "source": "urn:test",
        "type": "rollout.rollout.launched.v1", "subject": rollout, "time": time,
        "data": { "basis": "reported", "exposures": [{ "kind": "all" }] },
    })
}

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let (home, _) = engine::init(&dir.path().join("ledger"), None).unwrap();
    (dir, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_fall_due_while_the_clocks_change() {
    let (_dir, home) = home();
    let parts = Parts::open(&home);
    let wall = Set::to("2025-03-06T12:00:00Z");
    let stop = CancellationToken::new();
    let running = parts.spawn(&wall, &stop);
    // New York goes forward on 9 March and back on 2 November.
    parts.record(launched("spring", "2025-03-05T20:00:00Z")).await;
    parts.record(launched("autumn", "2025-10-29T20:00:00Z")).await;
    // A minute before nine o'clock nothing has happened; the clock then moves to the instant.
    wall.0.send_replace(at("2025-03-12T12:59:59Z"));
    wall.0.send_replace(at("2025-03-12T13:00:00Z"));
    let found = parts.until(1).await;
    assert_eq!(found, ["checkpoint.due.v1 P7D 2025-03-12T13:00:00.000000Z"]);
    wall.0.send_replace(at("2025-11-05T14:00:00Z"));
    let found = parts.until(5).await;
    let expected = [
        "checkpoint.due.v1 P7D 2025-03-12T13:00:00.000000Z",
        "checkpoint.missed.v1 P7D 2025-03-19T13:00:00.000000Z",
        "checkpoint.due.v1 P1M 2025-04-05T13:00:00.000000Z",
        "checkpoint.missed.v1 P1M 2025-04-12T13:00:00.000000Z",
        "checkpoint.due.v1 P7D 2025-11-05T14:00:00.000000Z",
    ];
    assert_eq!(found, expected);
    stop.cancel();
    running.await.unwrap();
    parts.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_outages_and_two_schedulers_announce_once() {
    let (_dir, home) = home();
    let expected = [
        "checkpoint.due.v1 P7D 2025-01-22T14:00:00.000000Z",
        "checkpoint.missed.v1 P7D 2025-01-29T14:00:00.000000Z",
        "checkpoint.due.v1 P1M 2025-02-15T14:00:00.000000Z",
        "checkpoint.missed.v1 P1M 2025-02-22T14:00:00.000000Z",
    ];
    // Forty days without any scheduler, then two at once, then a restart.
    let parts = Parts::open(&home);
    parts.record(launched("letters", "2025-01-15T15:00:00Z")).await;
    let wall = Set::to("2025-02-24T12:00:00Z");
    let stop = CancellationToken::new();
    let running = [parts.spawn(&wall, &stop), parts.spawn(&wall, &stop)];
    assert_eq!(parts.until(4).await, expected);
    stop.cancel();
    for running in running {
        running.await.unwrap();
    }
    parts.close().await;

    let parts = Parts::open(&home);
    let stop = CancellationToken::new();
    let running = parts.spawn(&wall, &stop);
    // Something falls due after all that was announced, so a look was had at the whole.
    parts.record(launched("more", "2025-02-16T15:00:00Z")).await;
    let found = parts.until(5).await;
    assert_eq!(found[..4], expected);
    assert_eq!(found[4..], ["checkpoint.due.v1 P7D 2025-02-23T14:00:00.000000Z"]);
    stop.cancel();
    running.await.unwrap();
    parts.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_or_back_is_looked_at_again() {
    let (_dir, home) = home();
    let parts = Parts::open(&home);
    parts.record(launched("letters", "2025-01-15T15:00:00Z")).await;
    let wall = Set::to("2025-01-20T00:00:00Z");
    let stop = CancellationToken::new();
    let running = parts.spawn(&wall, &stop);
    wall.0.send_replace(at("2025-01-10T00:00:00Z"));
    wall.0.send_replace(at("2025-01-23T00:00:00Z"));
    assert_eq!(parts.until(1).await, ["checkpoint.due.v1 P7D 2025-01-22T14:00:00.000000Z"]);
    stop.cancel();
    running.await.unwrap();
    parts.close().await;
}

/// A board of so many announcements, some of which are refused.
struct Refusing {
    refused: BTreeSet<usize>,
    recorded: Mutex<Vec<usize>>,
    batches: Mutex<Vec<usize>>,
    busy: Mutex<usize>,
    len: usize,
}

impl Board for Refusing {
    fn due(&self, _: Option<&str>) -> anyhow::Result<Option<Due>> {
        let announcement = |n: usize| Announcement {
            at: "2025-01-01T00:00:00.000000Z".to_owned(),
            rollout: "letters".parse().unwrap(),
            fallen_due: true,
            event: json!({ "id": n.to_string() }),
        };
        let announcements = (0..self.len).map(announcement).collect();
        Ok(Some(Due { announcements, ..Due::default() }))
    }

    fn record(&self, events: &[Value]) -> anyhow::Result<Vec<Receipt>> {
        self.batches.lock().unwrap().push(events.len());
        let mut busy = self.busy.lock().unwrap();
        if *busy > 0 {
            *busy -= 1;
            return Err(crate::exit::fail(Code::TryAgain, "busy"));
        }
        let numbers: Vec<usize> = events.iter().map(|e| id_of(e).parse().unwrap()).collect();
        if let Some(index) = numbers.iter().position(|n| self.refused.contains(n)) {
            return Err(Failure::of_event(index, Code::Conflict, "another event").into());
        }
        let mut recorded = self.recorded.lock().unwrap();
        let receipt = |n: &usize| Receipt {
            seq: *n as u64,
            hash: String::new(),
            recorded_at: String::new(),
            duplicate: recorded.contains(n),
            redacted: false,
        };
        let receipts = numbers.iter().map(receipt).collect();
        recorded.extend(numbers);
        Ok(receipts)
    }
}

#[test]
fn what_is_refused_keeps_nothing_else_from_being_announced() {
    let board = Refusing {
        refused: BTreeSet::from([3, 200, 299]),
        recorded: Mutex::default(),
        batches: Mutex::default(),
        busy: Mutex::new(1),
        len: 300,
    };
    let mut scheduler = Scheduler::default();
    assert!(scheduler.look(&board).is_err(), "busy is tried again");
    let looked = scheduler.look(&board).unwrap();
    assert_eq!((looked.recorded, looked.known), (297, 0));
    assert!(board.batches.lock().unwrap().iter().all(|len| *len <= BATCH_LEN_MAX));
    // The next look tries them once more, and then no more: a duplicate is settled.
    assert_eq!(scheduler.look(&board).unwrap().known, 297);
    board.batches.lock().unwrap().clear();
    assert_eq!(scheduler.look(&board).unwrap(), Looked::default());
    assert_eq!(*board.batches.lock().unwrap(), Vec::<usize>::new());
}

#[test]
fn sleep_ends_in_time_and_never_lasts_longer_than_it_may() {
    let now = at("2025-01-01T00:00:00Z");
    let rows = [
        (None, SLEEP_MAX),
        (Some("2025-01-01T00:00:01Z"), Duration::from_secs(1)),
        (Some("2026-01-01T00:00:00Z"), SLEEP_MAX),
        (Some("2024-12-31T00:00:00Z"), Duration::ZERO),
    ];
    for (next, expected) in rows {
        assert_eq!(sleep(now, next.map(at)), expected, "{next:?}");
    }
}
