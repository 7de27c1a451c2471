//! Answers about rollouts, for the command line and HTTP alike. Each names the seq and hash that it
//! was computed at.

use jiff::Timestamp;
use projector::{
    checkpoints::{CheckpointState, Checkpoints},
    deviations::Verdict,
    recorded::{Moment, Recorded},
    rollout::{Current, NextStep, Rollout, exposure},
};
use schemas::RolloutId;
use serde::Serialize;

use crate::{config, moment};

/// The state of the log that an answer was computed at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct AsOf {
    /// The newest entry taken into account; absent for an empty log.
    pub seq: Option<u64>,
    /// Its hash, 64 hexadecimal digits.
    pub hash: String,
}

/// An answer and the state that it was computed at.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Answer<T> {
    pub data: T,
    pub as_of: AsOf,
}

/// From which moment a rollout is looked at: what had happened by then, what was known by then.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    pub as_of_us: Option<i64>,
    pub known_at_us: Option<i64>,
    /// The present, for what is due; the earlier of the two clocks when one is given.
    pub now_us: i64,
}

impl View {
    /// # Errors
    /// When a moment cannot be read.
    pub fn parse(given: &config::Moment, now: Timestamp) -> anyhow::Result<View> {
        let parse = |option: &str, text: &Option<String>| {
            text.as_deref().map(|text| moment::parse(option, text)).transpose()
        };
        let as_of_us = parse("as-of", &given.as_of)?;
        let known_at_us = parse("known-at", &given.known_at)?;
        Ok(View::at(as_of_us, known_at_us, now))
    }

    pub fn at(as_of_us: Option<i64>, known_at_us: Option<i64>, now: Timestamp) -> View {
        let given = [as_of_us, known_at_us].into_iter().flatten().min();
        View { as_of_us, known_at_us, now_us: given.unwrap_or(now.as_microsecond()) }
    }

    /// The state of a rollout at this moment.
    pub fn fold(&self, events: &[Recorded]) -> Rollout {
        Rollout::at(events, self.as_of_us, self.known_at_us)
    }
}

/// One line about a rollout.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Summary {
    pub id: RolloutId,
    pub title: Option<String>,
    pub status: String,
    pub stage: Option<String>,
    pub attempt: Option<u64>,
    /// Who sees the feature, in words.
    pub exposure: String,
    pub events: usize,
    /// The newest event about it.
    pub seq: Option<u64>,
}

/// One checkpoint as of the present.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct CheckpointLine {
    pub checkpoint: String,
    pub state: CheckpointState,
    pub due: Option<Moment>,
    pub grace_ends: Option<Moment>,
    /// The launch it is counted from.
    pub anchor: Option<u64>,
    /// The newest snapshot's seq.
    pub recorded_by: Option<u64>,
}

/// Everything about a rollout.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct RolloutPage {
    pub id: RolloutId,
    pub current: Current,
    pub checkpoints: Vec<CheckpointLine>,
    /// The next missing fact, and the command that records it.
    pub next: NextStep,
    pub rollout: Rollout,
}

/// A rollout in one line.
pub fn summary(id: &RolloutId, events: &[Recorded], rollout: &Rollout) -> Summary {
    let current = rollout.current();
    Summary {
        id: id.clone(),
        title: rollout.plan.title().map(str::to_owned),
        status: word(&current.status),
        stage: current.stage.as_ref().map(ToString::to_string),
        attempt: current.attempt,
        exposure: exposure::words(&current.exposures),
        events: events.len(),
        seq: rollout.seq,
    }
}

/// Everything about a rollout.
pub fn page(id: &RolloutId, rollout: Rollout, view: &View) -> RolloutPage {
    let next = rollout.next_missing(Moment(view.now_us));
    RolloutPage {
        id: id.clone(),
        current: rollout.current(),
        checkpoints: checkpoints(&rollout, view),
        next,
        rollout,
    }
}

/// The checkpoints, pending, due, overdue, recorded or missed.
pub fn checkpoints(rollout: &Rollout, view: &View) -> Vec<CheckpointLine> {
    let line = |checkpoint: &projector::checkpoints::Checkpoint| CheckpointLine {
        checkpoint: checkpoint.name.clone(),
        state: checkpoint.state(Moment(view.now_us)),
        due: checkpoint.due,
        grace_ends: checkpoint.grace_ends,
        anchor: checkpoint.anchor,
        recorded_by: checkpoint.newest().map(|fact| fact.from.seq),
    };
    Checkpoints::of(rollout).iter().map(line).collect()
}

/// A rule's verdict as a row: verdict, rule, where, what, clause, events.
pub fn deviation_cells(verdict: &Verdict) -> Vec<String> {
    let stage = verdict.stage.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let place = match verdict.attempt {
        Some(attempt) if attempt > 1 => format!("{stage}, attempt {attempt}"),
        _ => stage,
    };
    let clause = verdict.clause.as_ref().map_or_else(String::new, |clause| {
        let line = clause.line.map_or_else(String::new, |line| format!(" (line {line})"));
        format!("{}{line}", clause.text)
    });
    let seqs: Vec<_> = verdict.seqs.iter().map(ToString::to_string).collect();
    vec![
        word(&verdict.outcome),
        verdict.code.to_owned(),
        place,
        verdict.why.clone(),
        clause,
        seqs.join(" "),
    ]
}

/// A serialised word: `running`, `not_started`.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
