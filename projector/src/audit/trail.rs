//! What an account did, and what happened between two moments: events in the order of the chain,
//! page by page, each with what is claimed beside what was witnessed.

use schemas::Event;
use serde::Serialize;

use super::{Cited, Line, More};
use crate::{recorded::Recorded, views::facets};

/// What `audit actor` and `audit between` answer: events as they were recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trail {
    /// By seq.
    pub events: Vec<Step>,
    pub page: More,
    /// The events of this page.
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
}

impl Trail {
    /// Of the events of one page, in their order; `account` is the one asked for.
    pub fn of(events: &[Recorded], has_more: bool, account: Option<&str>) -> Trail {
        let step = |recorded: &Recorded| Step {
            line: Line::of(recorded),
            parts: account.map_or_else(Vec::new, |account| parts(recorded, account)),
        };
        let next_after = events.last().filter(|_| has_more).map(|event| event.seq);
        Trail {
            events: events.iter().map(step).collect(),
            page: More { has_more, next_after },
            rests_on: events.iter().map(Cited::of).collect(),
        }
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
