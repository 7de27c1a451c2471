//! What was known of a stage when its gate was decided, and what the decision says it looked at: both
//! as the ledger held them when the decision was recorded, with what was said of them since beside
//! it.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use schemas::{Event, StageKey, id::Instant};
use serde::Serialize;

use super::{Citations, Cited, short_type};
use crate::{
    recorded::{Moment, Recorded, resolve},
    rollout::{Rollout, decisions::Decision},
    timeline,
    views::facets,
};

/// What the decision says it looked at, against what the ledger held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// The events that the decision names.
    pub listed: Vec<Listed>,
    /// Stages whose facts are compared: the one that the gate leads to, and the one that ran.
    pub stages: BTreeSet<StageKey>,
    /// Facts about these stages, recorded before the decision and no later happened, that it does
    /// not name.
    pub not_listed: Vec<Fact>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub seq: u64,
    /// Null when it is no event of this rollout.
    pub hash: Option<String>,
    /// As it was known when the decision was recorded; as it was recorded itself, when that was
    /// afterwards. Null when it cannot be read: it is no event of this rollout, or was erased.
    pub what: Option<String>,
    /// Corrections that `what` already goes by, oldest first.
    pub corrected_before: Vec<Cited>,
    /// Whether it was recorded only after the decision: then nobody could have looked at it here.
    pub recorded_afterwards: bool,
    /// Whether it was corrected, restated, withdrawn or erased since.
    pub changed_since: bool,
    /// By what, oldest first.
    pub changes: Vec<ChangedSince>,
}

/// What was said of an event after the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedSince {
    #[serde(flatten)]
    pub entry: Cited,
    pub how: HowChanged,
    pub recorded_at: Moment,
    /// A correction or restatement: what it says instead. Else the event in words.
    pub what: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HowChanged {
    Corrected,
    Restated,
    Withdrawn,
    Erased,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    #[serde(flatten)]
    pub entry: Cited,
    /// When it happened; null when nobody knows.
    pub time: Option<Moment>,
    pub recorded_at: Moment,
    /// Whether it may have happened after the decision: its time is not known well enough.
    pub may_be_later: bool,
    /// As it was known when the decision was recorded.
    pub what: String,
    /// What was said of it since, oldest first.
    pub changes: Vec<ChangedSince>,
}

/// What the ledger holds about a rollout.
pub(super) struct Held<'a> {
    /// The events that were known, as they were recorded.
    pub known: &'a [&'a Recorded],
    pub rollout: &'a Rollout,
}

impl Held<'_> {
    /// The events before one, as those before it left them.
    fn before(&self, seq: u64) -> Vec<Recorded> {
        resolve(self.known.iter().copied().filter(|event| event.seq < seq))
    }
}

/// The stages that a decision is about: the one that it leads to, and the one that ran when it was
/// made.
pub(super) fn stages(rollout: &Rollout, decision: &Decision) -> BTreeSet<StageKey> {
    let key = decision.fact.from.order_key();
    let mut before = rollout.moves.iter().rev().filter(|m| (m.at(), m.seq) < key);
    let ran = before.find_map(|m| m.stage.clone());
    decision.fact.value.stage.clone().into_iter().chain(ran).collect()
}

/// Whether an event tells what a stage showed: a result, a reading, a bug, an alarm.
pub(super) fn shows(event: &Event) -> bool {
    matches!(
        event,
        Event::StageResultsRecorded(_)
            | Event::CriterionEvaluated(_)
            | Event::MetricObserved(_)
            | Event::AlertRaised(_)
            | Event::AlertCleared(_)
            | Event::ErrorObserved(_)
            | Event::DownstreamAffected(_)
            | Event::BugFound(_)
            | Event::RollbackStarted(_)
    )
}

/// Whether an event happened by the time of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Then,
    /// Its time is not known well enough.
    MayBe,
    Later,
}

/// A decision of unknown time was made when it was recorded at the latest.
pub(super) fn by(recorded: &Recorded, decision: &Decision) -> By {
    let decided = decision.fact.from.order_key().0;
    if recorded.time.is_some_and(|time| Moment(time) > decided) {
        return By::Later;
    }
    let occurrence = recorded.known().and_then(|event| event.common().occurrence);
    let latest = match occurrence {
        Some(occurrence) => occurrence.latest.as_ref().map(Instant::micros),
        None => recorded.time,
    };
    // Nothing happens after it was recorded.
    let latest = latest.unwrap_or(recorded.recorded_at_us).min(recorded.recorded_at_us);
    if Moment(latest) <= decided { By::Then } else { By::MayBe }
}

impl Considered {
    pub(super) fn of(held: &Held, decision: &Decision, citations: &mut Citations) -> Considered {
        let seq = decision.fact.seq();
        let then = held.before(seq);
        let named = &decision.fact.value.considered;
        let listed = named.iter().map(|&at| Listed::of(held, &then, seq, at, citations)).collect();
        let stages = stages(held.rollout, decision);
        let about = |recorded: &Recorded| {
            let about = recorded.known().filter(|event| shows(event)).and_then(facets::stage);
            about.is_some_and(|stage| stages.contains(stage))
        };
        let mut not_listed: Vec<Fact> = then
            .iter()
            .filter(|recorded| about(recorded) && recorded.amended.withdrawn_by.is_none())
            .filter(|recorded| !named.contains(&recorded.seq))
            .filter_map(|recorded| Fact::of(held, recorded, decision, citations))
            .collect();
        not_listed.sort_by_key(|fact| fact.entry.seq);
        Considered { listed, stages, not_listed }
    }
}

impl Listed {
    /// The event `at` as the decision of `seq` names it; `then` is what was known at that one.
    fn of(held: &Held, then: &[Recorded], seq: u64, at: u64, citations: &mut Citations) -> Listed {
        let afterwards;
        let known = if at < seq {
            then
        } else {
            afterwards = held.before(at.saturating_add(1));
            &afterwards[..]
        };
        let known = known.iter().find(|event| event.seq == at);
        let corrected = known.map_or(&[][..], |event| &event.amended.corrected_by);
        let changes = changes(held, at, seq, citations);
        Listed {
            seq: at,
            hash: citations.cite(at).map(|cited| cited.hash),
            what: known.and_then(Recorded::known).map(timeline::sentence),
            corrected_before: citations.cite_all(corrected.iter().copied()),
            recorded_afterwards: at > seq,
            changed_since: !changes.is_empty(),
            changes,
        }
    }
}

impl Fact {
    /// `None` for what happened after the decision: a ledger may learn of both at once.
    fn of(
        held: &Held,
        recorded: &Recorded,
        decision: &Decision,
        citations: &mut Citations,
    ) -> Option<Fact> {
        let by = by(recorded, decision);
        if by == By::Later {
            return None;
        }
        let event = recorded.known()?;
        Some(Fact {
            entry: citations.cite(recorded.seq)?,
            time: recorded.happened(),
            recorded_at: Moment(recorded.recorded_at_us),
            may_be_later: by == By::MayBe,
            what: format!("{}: {}", short_type(event), timeline::sentence(event)),
            changes: changes(held, recorded.seq, decision.fact.seq(), citations),
        })
    }
}

/// What was said of an event since a decision. An erasure is told whenever it was: nothing else is
/// left of what was erased.
fn changes(held: &Held, of: u64, decision: u64, citations: &mut Citations) -> Vec<ChangedSince> {
    let Some(standing) = citations.get(of) else { return vec![] };
    let amended = &standing.amended;
    let corrected = amended.corrected_by.iter().map(|by| (*by, HowChanged::Corrected));
    let restated = amended.restated_by.iter().map(|by| (*by, HowChanged::Restated));
    let withdrawn = amended.withdrawn_by.map(|by| (by, HowChanged::Withdrawn));
    let erased = amended.redacted_by.map(|by| (by, HowChanged::Erased));
    let mut found: Vec<_> = corrected
        .chain(restated)
        .chain(withdrawn)
        .filter(|(by, _)| *by > decision)
        .chain(erased)
        .collect();
    found.sort_by_key(|(by, _)| *by);
    let newest = amended.corrected_by.last();
    let what = |by: u64, how: HowChanged, citations: &Citations| match how {
        HowChanged::Corrected if newest == Some(&by) => standing.known().map(timeline::sentence),
        HowChanged::Corrected => {
            let before = held.before(by.saturating_add(1));
            before.iter().find(|event| event.seq == of)?.known().map(timeline::sentence)
        }
        HowChanged::Restated | HowChanged::Withdrawn | HowChanged::Erased => {
            citations.get(by)?.known().map(timeline::sentence)
        }
    };
    let change = |(by, how): (u64, HowChanged)| {
        let what = what(by, how, citations);
        let recorded_at = Moment(citations.get(by)?.recorded_at_us);
        Some(ChangedSince { entry: citations.cite(by)?, how, recorded_at, what })
    };
    found.into_iter().filter_map(change).collect()
}
