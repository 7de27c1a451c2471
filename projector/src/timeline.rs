//! The time line of a rollout: every event in one plain sentence, in the order of what happened.
//!
//! Nothing is left out: what was corrected shows both values, what was withdrawn or erased says so.

mod flags_and_plan;
mod outcomes;
mod sentence;
mod stages;
#[cfg(test)]
mod tests;

use schemas::values::{Actor, Basis};
use serde::Serialize;

pub(crate) use sentence::party as party_words;
pub use sentence::sentence;

use crate::{
    recorded::{Moment, Read, Recorded, select},
    rollout::Rollout,
};

/// From this long after it happened an event counts as recorded late, in microseconds: a day.
const LATE_US: i64 = 24 * 3_600 * 1_000_000;

/// One event of a time line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Row {
    pub seq: u64,
    /// When it happened; absent when nobody knows.
    pub time: Option<Moment>,
    pub recorded_at: Moment,
    /// The event's type: `rollout.stage.started.v1`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What happened, in one sentence.
    pub what: String,
    /// What was said first, when it was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Who acted, as the sender claims: an account id, or why it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Who submitted it, as the intake witnessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    pub marks: Vec<Mark>,
}

/// What a reader must know about a row before resting on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub enum Mark {
    /// When it happened is not known; it stands where it was recorded.
    TimeUnknown,
    /// Recorded a day or more after it happened.
    Late,
    /// Taken from a document and confirmed by nobody.
    Unverified,
    /// Results without a recorded start: that the stage ran is inferred.
    Inferred,
    Corrected {
        by: u64,
    },
    Withdrawn {
        by: u64,
    },
    Restated {
        by: u64,
    },
    Confirmed {
        by: u64,
    },
    /// The payload was erased.
    Redacted {
        by: Option<u64>,
    },
    /// Of a type that this binary cannot read.
    Unread,
}

/// The rows of a rollout's events, in any order given, by what had happened by `as_of` and was
/// known at `known_at` (Unix microseconds).
pub fn timeline(events: &[Recorded], as_of: Option<i64>, known_at: Option<i64>) -> Vec<Row> {
    let chosen = select(events, as_of, known_at);
    let mut rollout = Rollout::default();
    for event in &chosen {
        rollout.apply(event);
    }
    let inferred: Vec<u64> = rollout
        .stages
        .iter()
        .flat_map(|s| &s.attempts)
        .filter(|a| a.inferred_ran)
        .flat_map(|a| a.results.iter().map(crate::rollout::Fact::seq))
        .collect();
    chosen.iter().map(|event| Row::of(event, inferred.contains(&event.seq))).collect()
}

impl Row {
    /// Where it stands in the time line: when it happened, else when it was recorded, and its seq.
    /// No two rows of a rollout share it.
    pub fn place(&self) -> (i64, u64) {
        (self.time.unwrap_or(self.recorded_at).0, self.seq)
    }

    fn of(recorded: &Recorded, inferred: bool) -> Row {
        let common = recorded.known().map(schemas::Event::common);
        let (type_name, what) = match &recorded.event {
            Read::Known(event) => (event.type_name().to_owned(), sentence(event)),
            Read::Unknown { type_name } => (
                type_name.clone(),
                "Something that this version of the program cannot read.".to_owned(),
            ),
            Read::Redacted => (String::new(), "Erased by law; its header stays.".to_owned()),
        };
        let what = match &recorded.amended.not_applied {
            Some(why) => format!("{what} Not applied: {why}."),
            None => what,
        };
        let mut marks = marks(recorded);
        if inferred {
            marks.push(Mark::Inferred);
        }
        Row {
            seq: recorded.seq,
            time: recorded.happened(),
            recorded_at: Moment(recorded.recorded_at_us),
            type_name,
            what,
            first: recorded.amended.first.as_ref().map(sentence),
            actor: common.and_then(|c| c.actor).map(actor),
            authid: recorded.authid.clone(),
            basis: common.map(|c| c.basis),
            marks,
        }
    }
}

impl Mark {
    /// The mark in a few words.
    pub fn words(&self) -> String {
        match self {
            Mark::TimeUnknown => "time unknown".to_owned(),
            Mark::Late => "recorded late".to_owned(),
            Mark::Unverified => "unverified".to_owned(),
            Mark::Inferred => "that it ran is inferred".to_owned(),
            Mark::Corrected { by } => format!("corrected by {by}"),
            Mark::Withdrawn { by } => format!("withdrawn by {by}"),
            Mark::Restated { by } => format!("restated by {by}"),
            Mark::Confirmed { by } => format!("confirmed by {by}"),
            Mark::Redacted { by: Some(by) } => format!("erased, see {by}"),
            Mark::Redacted { by: None } => "erased".to_owned(),
            Mark::Unread => "unread".to_owned(),
        }
    }
}

fn marks(recorded: &Recorded) -> Vec<Mark> {
    let mut marks = Vec::new();
    let amended = &recorded.amended;
    match &recorded.event {
        Read::Redacted => marks.push(Mark::Redacted { by: amended.redacted_by }),
        Read::Unknown { .. } => marks.push(Mark::Unread),
        Read::Known(event) => {
            let unverified = event.common().basis == Basis::Imported;
            if unverified && amended.confirmed_by.is_empty() {
                marks.push(Mark::Unverified);
            }
            match recorded.happened() {
                None => marks.push(Mark::TimeUnknown),
                Some(at) if recorded.recorded_at_us - at.0 >= LATE_US => marks.push(Mark::Late),
                Some(_) => {}
            }
        }
    }
    marks.extend(amended.corrected_by.iter().map(|&by| Mark::Corrected { by }));
    marks.extend(amended.withdrawn_by.map(|by| Mark::Withdrawn { by }));
    marks.extend(amended.restated_by.iter().map(|&by| Mark::Restated { by }));
    marks.extend(amended.confirmed_by.iter().map(|&by| Mark::Confirmed { by }));
    marks
}

/// Who acted, in a word: the account id, or that it is unknown and why.
pub fn actor(actor: &Actor) -> String {
    match (&actor.id, &actor.reason_unknown) {
        (Some(id), _) => id.clone(),
        (None, Some(reason)) => format!("unknown ({reason})"),
        (None, None) => "unknown".to_owned(),
    }
}
