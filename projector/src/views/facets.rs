//! What an event is about: the one answer that the indexes, the filters and the links share.

use schemas::{
    Event, FlagKey, StageKey,
    event::measurement::Severity,
    values::{Actor, Party, Target},
};

/// The flag that an event is about.
pub fn flag(event: &Event) -> Option<&FlagKey> {
    match event {
        Event::FlagRegistered(e) => Some(&e.key),
        Event::FlagRetired(e) => Some(&e.key),
        Event::FlagChanged(e) => Some(&e.key),
        Event::FlagDrifted(e) => Some(&e.key),
        Event::CleanupPlanned(e) => e.flag.as_ref(),
        Event::CleanupDue(e) => e.flag.as_ref(),
        Event::CleanupDone(e) => e.flag.as_ref(),
        _ => None,
    }
}

/// Whether the event is the flag service's word about a flag, and so part of every rollout that
/// the flag is registered for.
pub fn is_of_service(event: &Event) -> bool {
    matches!(event, Event::FlagChanged(_) | Event::FlagDrifted(_) | Event::FlagRetired(_))
}

/// The stage that an event is about.
pub fn stage(event: &Event) -> Option<&StageKey> {
    match event {
        Event::StagePlanned(e) => Some(&e.stage),
        Event::StageReplanned(e) => Some(&e.stage),
        Event::StageStarted(e) => Some(&e.stage),
        Event::StageHeld(e) => Some(&e.stage),
        Event::StageResumed(e) => Some(&e.stage),
        Event::StageRetargeted(e) => Some(&e.stage),
        Event::StageCompleted(e) => Some(&e.stage),
        Event::StageSkipped(e) => Some(&e.stage),
        Event::StageCancelled(e) => Some(&e.stage),
        Event::StageResultsRecorded(e) => Some(&e.stage),
        Event::GateDecided(e) => e.stage.as_ref(),
        Event::GateConditionResolved(e) => e.stage.as_ref(),
        Event::CriterionSet(e) => e.stage.as_ref(),
        Event::CriterionEvaluated(e) => e.stage.as_ref(),
        Event::MetricObserved(e) => e.stage.as_ref(),
        Event::AlertRaised(e) => e.stage.as_ref(),
        Event::AlertCleared(e) => e.stage.as_ref(),
        Event::ErrorObserved(e) => e.stage.as_ref(),
        Event::DownstreamAffected(e) => e.stage.as_ref(),
        Event::BugFound(e) => e.stage.as_ref(),
        Event::RollbackStarted(e) => e.stage.as_ref(),
        Event::RolloutResumed(e) => e.stage.as_ref(),
        _ => None,
    }
}

/// How bad it is, as the event says; of a correction, as it says instead.
pub fn severity(event: &Event) -> Option<Severity> {
    match event {
        Event::AlertRaised(e) => e.severity,
        Event::AlertCleared(e) => e.severity,
        Event::BugFound(e) => e.severity,
        Event::RollbackPlanned(e) => e.severity,
        Event::RollbackStarted(e) => e.severity,
        Event::EventCorrected(e) => {
            let word = e.replacement.0.get("severity")?.as_str()?;
            Severity::ALL.iter().copied().find(|severity| severity.as_str() == word)
        }
        _ => None,
    }
}

/// The entry that an event speaks of: what it confirms, corrects, withdraws, redacts or restates.
pub fn target(event: &Event) -> Option<&Target> {
    match event {
        Event::ValueConfirmed(e) => Some(&e.target),
        Event::EventCorrected(e) => Some(&e.target),
        Event::EventWithdrawn(e) => Some(&e.target),
        Event::EventRedacted(e) => Some(&e.target),
        Event::MetricObserved(e) => e.restates.as_ref(),
        _ => None,
    }
}

/// Account ids of those who acted, decided, signed off, approved or confirmed, as the sender
/// claims. Whoever merely owns or monitors something has not acted.
pub fn actors(event: &Event) -> impl Iterator<Item = &str> {
    let none: &[Party] = &[];
    let (parties, one) = match event {
        Event::GateDecided(e) => (&e.decided_by[..], None),
        Event::EventCorrected(e) => (&e.approvers[..], None),
        Event::EventWithdrawn(e) => (&e.approvers[..], None),
        Event::EventRedacted(e) => (&e.approvers[..], None),
        Event::ValueConfirmed(e) => (none, Some(&e.by)),
        _ => (none, None),
    };
    let sign_offs = match event {
        Event::GateDecided(e) => &e.sign_offs[..],
        _ => &[],
    };
    let parties = parties.iter().chain(one).chain(sign_offs.iter().map(|s| &s.party));
    let acted = event.common().actor.into_iter().chain(parties.filter_map(|p| p.actor.as_ref()));
    acted.filter_map(|actor: &Actor| actor.id.as_deref())
}
