//! What was known of a stage when its gate was decided, and what the decision says it looked at.

use std::collections::BTreeSet;

use schemas::{Event, StageKey};

use crate::{
    recorded::Recorded,
    rollout::{Rollout, decisions::Decision},
    views::facets,
};

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

/// The facts about the decision's stages that the ledger held when the decision was recorded.
pub(super) fn known<'a>(
    events: &'a [Recorded],
    stages: &'a BTreeSet<StageKey>,
    decision: u64,
) -> impl Iterator<Item = &'a Recorded> {
    events.iter().filter(move |recorded| {
        let about = recorded.known().filter(|event| shows(event)).and_then(facets::stage);
        recorded.seq < decision && about.is_some_and(|stage| stages.contains(stage))
    })
}
