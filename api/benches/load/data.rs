//! The generated ledger: a thousand rollouts of varied length, from the examples of every event.
//!
//! What happened is the same each time; salts and the times of recording are not. The directory is
//! kept between runs.

use std::{fs, path::Path};

use api::{
    engine::{self, Engine},
    example,
    home::Home,
    intake::{self, Submitter, own::Own},
};
use jiff::{SignedDuration, Timestamp};
use ledger::{BATCH_LEN_MAX, Outcome, Submission};
use serde_json::{Value, json};

pub(crate) const ROLLOUTS: usize = 1_000;
pub(crate) const EVENTS: usize = 1_000_000;

/// Raised with every change of what is generated.
const VERSION: u32 = 1;

/// What each rollout begins with, once: a whole life in the order of its stages.
const LIFE: [&str; 36] = [
    "rollout.release.defined.v1",
    "rollout.flag.registered.v1",
    "rollout.stage.planned.v1",
    "rollout.criterion.set.v1",
    "rollout.metric.defined.v1",
    "rollout.rollback.planned.v1",
    "rollout.gate.decided.v1",
    "rollout.gate.condition_resolved.v1",
    "rollout.checklist.item_set.v1",
    "rollout.stage.started.v1",
    "rollout.flag.changed.v1",
    "rollout.metric.observed.v1",
    "rollout.bug.found.v1",
    "rollout.bug.fixed.v1",
    "rollout.bug.verified.v1",
    "rollout.stage.held.v1",
    "rollout.stage.resumed.v1",
    "rollout.stage.retargeted.v1",
    "rollout.alert.raised.v1",
    "rollout.alert.cleared.v1",
    "rollout.error.observed.v1",
    "rollout.downstream.affected.v1",
    "rollout.feedback.noted.v1",
    "rollout.rollback.started.v1",
    "rollout.rollback.step_completed.v1",
    "rollout.rollback.completed.v1",
    "rollout.rollout.resumed.v1",
    "rollout.stage.results_recorded.v1",
    "rollout.criterion.evaluated.v1",
    "rollout.stage.completed.v1",
    "rollout.rollout.launched.v1",
    "rollout.question.answered.v1",
    "rollout.checkpoint.recorded.v1",
    "rollout.cleanup.planned.v1",
    "rollout.ownership.transferred.v1",
    "rollout.note.added.v1",
];

/// What then goes on for as long as the rollout does.
const DAYS: [&str; 10] = [
    "rollout.flag.changed.v1",
    "rollout.metric.observed.v1",
    "rollout.note.added.v1",
    "rollout.flag.changed.v1",
    "rollout.metric.observed.v1",
    "rollout.alert.raised.v1",
    "rollout.metric.observed.v1",
    "rollout.alert.cleared.v1",
    "rollout.flag.changed.v1",
    "rollout.feedback.noted.v1",
];

/// A rollout's id.
pub(crate) fn rollout(n: usize) -> String {
    format!("bench-{n:04}")
}

/// How many events a rollout has: a few have many, most have a few hundred.
fn length(n: usize) -> usize {
    let weight = |n: usize| 1.0 / (n as f64 + 20.0);
    let all: f64 = (0..ROLLOUTS).map(weight).sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number below a million"
    )]
    let length = (weight(n) / all * EVENTS as f64) as usize;
    length
}

/// The directory, made if it is not there yet.
pub(crate) fn million(dir: &Path) -> std::path::PathBuf {
    let made = dir.join(format!("million-{VERSION}"));
    if made.is_dir() {
        return made;
    }
    let making = dir.join("making");
    let _ = fs::remove_dir_all(&making);
    eprintln!("making a ledger of {EVENTS} events in {}", made.display());
    fill(&making);
    fs::rename(&making, &made).unwrap();
    made
}

/// An empty ledger, new each time.
pub(crate) fn empty(dir: &Path) -> std::path::PathBuf {
    let made = dir.join("empty");
    let _ = fs::remove_dir_all(&made);
    engine::init(&made, None).unwrap();
    made
}

fn fill(dir: &Path) {
    engine::init(dir, None).unwrap();
    let mut engine = Engine::open(&Home::existing(dir).unwrap()).unwrap();
    let submitter = Submitter::here(Own::Import);
    let mut left: Vec<usize> = (0..ROLLOUTS).map(length).collect();
    let templates = Templates::read();
    let mut batch = Vec::with_capacity(BATCH_LEN_MAX);
    let mut size = 0;
    // Rollouts run beside each other, each for as long as it has events, a few at a time.
    for round in 0.. {
        let mut any = false;
        for (n, left) in left.iter_mut().enumerate() {
            for _ in 0..8.min(*left) {
                any = true;
                let place = length(n) - *left;
                *left -= 1;
                let event = templates.event(n, place);
                if round == 0 && n < 2 {
                    // The door would take it; for the rest this is not asked again.
                    intake::admit_all(std::slice::from_ref(&event), &submitter)
                        .unwrap_or_else(|refusal| panic!("{}: {event}", refusal.message()));
                }
                let draft = intake::own_draft(0, &event, &submitter).unwrap();
                size += draft.payload().len();
                batch.push(draft);
                if batch.len() == BATCH_LEN_MAX || size > 800_000 {
                    record(&mut engine, std::mem::take(&mut batch));
                    size = 0;
                }
            }
        }
        if !any {
            break;
        }
    }
    record(&mut engine, batch);
    engine.log.close().unwrap();
}

fn record(engine: &mut Engine, drafts: Vec<ledger::Draft>) {
    let submission = Submission::new(drafts).unwrap();
    let now = engine.clock.now_us().unwrap();
    let outcomes = engine.writer.commit(vec![submission], now).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Recorded(_))));
}

struct Templates {
    life: Vec<Value>,
    days: Vec<Value>,
    begin: Timestamp,
}

impl Templates {
    fn read() -> Templates {
        let read = |name: &&str| {
            let mut event: Value = serde_json::from_str(example::of(name).unwrap()).unwrap();
            let data = event["data"].as_object_mut().unwrap();
            for left_out in ["occurrence", "restates", "evidence"] {
                data.remove(left_out);
            }
            event
        };
        let begin = "2025-01-01T09:00:00Z".parse().unwrap();
        Templates {
            life: LIFE.iter().map(read).collect(),
            days: DAYS.iter().map(read).collect(),
            begin,
        }
    }

    /// The event at a place in a rollout's history.
    fn event(&self, n: usize, place: usize) -> Value {
        let template = match self.life.get(place) {
            Some(once) => once,
            None => &self.days[(place + n) % self.days.len()],
        };
        let mut event = template.clone();
        let minutes = (n * 47 + place * 31) as i64;
        let time = self.begin + SignedDuration::from_mins(minutes);
        event["id"] = json!(format!("{n}-{place}"));
        event["subject"] = json!(rollout(n));
        event["time"] = json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        event["source"] = json!(format!("https://sources.example/{}", n % 7));
        let data = event["data"].as_object_mut().unwrap();
        if let Some(key) = data.get_mut("key").filter(|key| key.is_string()) {
            *key = json!(format!("bench_{n:04}"));
        }
        if data.contains_key("row") {
            data.insert("row".to_owned(), json!(n * 100_000 + place));
        }
        let person = |actor: &Value| actor["kind"] == "person";
        if data.get("actor").is_some_and(person) {
            let id = format!("acct-{:04}", (n * 13 + place) % 400);
            data.insert("actor".to_owned(), json!({ "kind": "person", "id": id }));
        }
        event
    }
}
