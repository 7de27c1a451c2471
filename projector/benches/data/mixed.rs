//! A realistic mix of events: rollouts of varied length, from the examples of every event. The
//! benchmarks of the service under load use it too.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

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

/// Events of a rollout that follow each other before another one has its turn.
const TURN_LEN: usize = 8;

/// A rollout's id.
pub(crate) fn rollout(n: usize) -> String {
    format!("bench-{n:04}")
}

/// How many events each rollout has, of so many together: a few have many, most have a few hundred
/// in a million of a thousand rollouts.
pub(crate) fn lengths(rollouts: usize, events: usize) -> Vec<usize> {
    let weight = |n: usize| 1.0 / (n as f64 + 20.0);
    let all: f64 = (0..rollouts).map(weight).sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number far below 2^52"
    )]
    let length = |n| (weight(n) / all * events as f64) as usize;
    (0..rollouts).map(length).collect()
}

/// Rollout and place in its history of every event, in the order in which they are recorded:
/// rollouts run beside each other, each for as long as it has events, a few at a time.
pub(crate) fn order(lengths: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let turns = lengths.iter().max().map_or(0, |longest| longest.div_ceil(TURN_LEN));
    (0..turns).flat_map(move |turn| {
        let of = move |(n, length): (usize, &usize)| {
            (turn * TURN_LEN..(*length).min((turn + 1) * TURN_LEN)).map(move |place| (n, place))
        };
        lengths.iter().enumerate().flat_map(of)
    })
}

pub(crate) struct Templates {
    life: Vec<Value>,
    days: Vec<Value>,
    begin: Timestamp,
}

impl Templates {
    pub(crate) fn read() -> Templates {
        let read = |name: &&str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/events");
            let text = fs::read(format!("{folder}/{name}.json")).unwrap();
            let mut event: Value = serde_json::from_slice(&text).unwrap();
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

    /// The event at a place in a rollout's history, as a sender gives it.
    pub(crate) fn event(&self, n: usize, place: usize) -> Value {
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
