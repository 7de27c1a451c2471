//! What an account did, and what happened between two moments: events in the order of the chain,
//! page by page, each with what is claimed beside what was witnessed.

use schemas::Event;
use serde::Serialize;

use super::{Citations, Cited, Line, More};
use crate::{
    recorded::{Moment, Recorded, resolve},
    views::facets,
};

/// The types of the events that say of another one that it is otherwise, or is not.
pub const AMENDING: [&str; 2] = ["rollout.event.corrected.v1", "rollout.event.withdrawn.v1"];

/// What `audit actor` and `audit between` answer: events as they were recorded, found by what they
/// said then, each with what corrects or withdraws it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trail {
    /// By seq.
    pub events: Vec<Step>,
    pub page: More,
    /// The events of this page and what corrects or withdraws them.
    pub rests_on: Vec<Cited>,
}

/// One event, and what the account did in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    #[serde(flatten)]
    pub line: Line,
    /// In which parts the account stands in the event: `acted`, `decided`, `signed_off`,
    /// `approved`, `confirmed`. Empty when no account was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<&'static str>,
    /// Seqs of the corrections, oldest first. What is shown is what was recorded first.
    pub corrected_by: Vec<u64>,
    /// When it happened as corrected, if a correction says that it was another moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected_time: Option<Moment>,
    /// The event that withdrew it: it counts for nothing.
    pub withdrawn_by: Option<u64>,
}

impl Trail {
    /// Of the events of one page, in their order; `amendments` are those of [`AMENDING`] behind the
    /// first of them, and `account` is the one asked for.
    pub fn of(
        events: &[Recorded],
        amendments: &[Recorded],
        has_more: bool,
        account: Option<&str>,
    ) -> Trail {
        let standing = resolve(events.iter().chain(amendments));
        let mut citations = Citations::of(&standing);
        let mut step = |recorded: &Recorded| {
            citations.cite(recorded.seq);
            let now = citations.get(recorded.seq);
            let amended = now.map(|now| now.amended.clone()).unwrap_or_default();
            let by = amended.corrected_by.iter().copied().chain(amended.withdrawn_by);
            citations.cite_all(by);
            let time = now.filter(|now| now.time != recorded.time).and_then(|now| now.time);
            Step {
                line: Line::of(recorded),
                parts: account.map_or_else(Vec::new, |account| parts(recorded, account)),
                corrected_by: amended.corrected_by,
                corrected_time: time.map(Moment),
                withdrawn_by: amended.withdrawn_by,
            }
        };
        let steps = events.iter().map(&mut step).collect();
        let next_after = events.last().filter(|_| has_more).map(|event| event.seq);
        Trail { events: steps, page: More { has_more, next_after }, rests_on: citations.rests_on() }
    }
}

/// In which parts an account stands in an event.
fn parts(recorded: &Recorded, account: &str) -> Vec<&'static str> {
    let Some(event) = recorded.known() else { return vec![] };
    let is = |party: &schemas::values::Party| {
        party.actor.as_ref().is_some_and(|actor| actor.id.as_deref() == Some(account))
    };
    let acted = event.common().actor.is_some_and(|actor| actor.id.as_deref() == Some(account));
    let mut parts = Vec::new();
    if acted {
        parts.push("acted");
    }
    let other = match event {
        Event::GateDecided(e) => {
            if e.decided_by.iter().any(is) {
                parts.push("decided");
            }
            e.sign_offs.iter().any(|s| is(&s.party)).then_some("signed_off")
        }
        Event::EventCorrected(e) => e.approvers.iter().any(is).then_some("approved"),
        Event::EventWithdrawn(e) => e.approvers.iter().any(is).then_some("approved"),
        Event::EventRedacted(e) => e.approvers.iter().any(is).then_some("approved"),
        Event::ValueConfirmed(e) => is(&e.by).then_some("confirmed"),
        _ => None,
    };
    parts.extend(other);
    debug_assert!(
        parts.is_empty() != facets::actors(event).any(|id| id == account),
        "the parts and the index of actors go by one rule"
    );
    parts
}
