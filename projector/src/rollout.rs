//! The state of one rollout: the one fold that every answer about it reads.
//!
//! [`Rollout::fold`] takes events as [`select`](crate::recorded::select) gives them, corrected and
//! in the order in which they happened. It never fails and never refuses: facts come as they are,
//! and whether they follow the plan is judged elsewhere.

pub mod current;
pub mod decisions;
pub mod exposure;
mod fact;
pub mod flags;
#[cfg(test)]
pub(crate) mod given;
pub mod measurements;
mod named;
pub mod next;
pub mod outcome;
pub mod plan;
pub mod rollbacks;
pub mod stages;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traps;

pub use current::{Current, Move, MoveKind, Status};
pub use fact::{Fact, Provenance};
pub use flags::{Flag, FlagMove};
pub use measurements::{Bug, BugState};
pub use next::NextStep;
pub use plan::Revision;
pub use rollbacks::Rollback;
pub use stages::{Attempt, Stage, StagePlan, Stages};

use std::collections::BTreeMap;

use schemas::{
    Event, RolloutId,
    event::{rollback::RolloutResumed, stage::StageStarted},
    id::EntryHash,
    values::{Party, Target},
};
use serde::Serialize;

use crate::recorded::{Moment, Read, Recorded, resolve, select};

/// Everything that is known of one rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Rollout {
    pub id: Option<RolloutId>,
    pub plan: plan::Plan,
    pub flags: flags::Flags,
    pub stages: Stages,
    #[serde(flatten)]
    pub decisions: decisions::Decisions,
    #[serde(flatten)]
    pub measurements: measurements::Measurements,
    pub rollbacks: rollbacks::Rollbacks,
    #[serde(flatten)]
    pub outcome: outcome::Outcome,
    /// Every move of the rollout as a whole, in order.
    pub moves: Vec<Move>,
    /// Seqs of events that were withdrawn; they count for nothing here and stay in the time line.
    pub withdrawn: Vec<u64>,
    /// Seqs of events whose payload was erased.
    pub redacted: Vec<u64>,
    /// Seqs of events that this binary cannot read: the answer may lack what they say.
    pub unread_events: Vec<u64>,
    /// The newest event that was applied.
    pub seq: Option<u64>,
    /// When each event happened, for durations that run from another event.
    #[serde(skip)]
    times: BTreeMap<u64, Moment>,
    /// The hashes of the moves, for events that name one of them.
    #[serde(skip)]
    hashes: BTreeMap<u64, EntryHash>,
}

impl Rollout {
    /// The state after events in any order. Corrects, withdraws and sorts them first.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> Rollout {
        Rollout::of(&resolve(events.into_iter()))
    }

    /// The state by what had happened by `as_of` and was known at `known_at`, both in Unix
    /// microseconds. The events may come in any order.
    pub fn at(events: &[Recorded], as_of: Option<i64>, known_at: Option<i64>) -> Rollout {
        Rollout::of(&select(events, as_of, known_at))
    }

    fn of(resolved: &[Recorded]) -> Rollout {
        let mut rollout = Rollout::default();
        for event in resolved {
            rollout.apply(event);
        }
        rollout
    }

    /// Who answers for it now: the owners that the release was defined with, and every hand-over
    /// since.
    pub fn owners(&self) -> Vec<Party> {
        let Some(defined) = self.plan.definitions.last() else {
            return self.outcome.ownership.last().map(|o| o.value.to.clone()).into_iter().collect();
        };
        let mut owners = defined.value.owners.clone();
        // When a plan said so is not known, so an imported definition ends no hand-over.
        let imported = !defined.from.by_hand();
        let since = |o: &&Fact<_>| imported || o.from.order_key() > defined.from.order_key();
        for transfer in self.outcome.ownership.iter().filter(since) {
            match &transfer.value.from {
                Some(from) => owners.retain(|owner| owner != from),
                // Without a predecessor all of it was handed over.
                None => owners.clear(),
            }
            owners.push(transfer.value.to.clone());
        }
        owners
    }

    /// Takes in one event, resolved and in its turn, as [`select`] gives them.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.seq = self.seq.max(Some(recorded.seq));
        if self.id.is_none() {
            self.id.clone_from(&recorded.subject);
        }
        for event in recorded.known().into_iter().chain(&recorded.amended.first) {
            self.outcome.hear(event, &recorded.source);
        }
        if recorded.amended.withdrawn_by.is_some() {
            self.withdrawn.push(recorded.seq);
            return;
        }
        match &recorded.event {
            Read::Redacted => self.redacted.push(recorded.seq),
            Read::Unknown { .. } => self.unread_events.push(recorded.seq),
            Read::Known(event) => {
                let Some(from) = Provenance::of(recorded) else { return };
                self.take(event, &from);
                if self.moves.last().is_some_and(|newest| newest.seq == recorded.seq)
                    && let Ok(hash) = recorded.hash.parse()
                {
                    self.hashes.insert(recorded.seq, hash);
                }
            }
        }
    }

    /// A move of the rollout as other events name it: by seq and hash.
    pub(crate) fn target(&self, seq: u64) -> Option<Target> {
        Some(Target { seq, hash: self.hashes.get(&seq)?.clone() })
    }

    fn take(&mut self, event: &Event, from: &Provenance) {
        self.plan.apply(event, from);
        self.flags.apply(event, from);
        self.stages.apply(event, from);
        self.decisions.apply(event, from);
        self.measurements.apply(event, from);
        self.outcome.apply(event, from);
        if let Event::RolloutResumed(e) = event {
            self.go_on(e, from);
        }
        if let Some(step) = Move::of(event, from, self) {
            if let (MoveKind::RollbackStarted, Some(stage)) = (step.kind, &step.stage) {
                self.stages.rolled_back(stage, step.attempt, from.seq);
            }
            self.moves.push(step);
        }
        let at = self.moves.last().map(|m| (m.stage.clone(), m.attempt)).unwrap_or_default();
        let trigger = self.trigger(event);
        self.rollbacks.apply(event, from, at, trigger);
        if let Some(time) = from.time {
            self.times.insert(from.seq, time);
        }
    }

    /// Going on after a rollback is another attempt at the stage that it goes on with, else at the
    /// one that was rolled back.
    fn go_on(&mut self, resumed: &RolloutResumed, from: &Provenance) {
        let Some(rollback) = self.rollbacks.actual.last() else { return };
        let stage = resumed.stage.clone().or_else(|| rollback.stage.clone());
        let Some(stage) = stage else { return };
        let began = StageStarted {
            stage,
            attempt: None,
            exposures: resumed.exposures.clone(),
            reason: resumed.reason.clone(),
            basis: resumed.basis,
            actor: resumed.actor.clone(),
            occurrence: resumed.occurrence.clone(),
            evidence: resumed.evidence.clone(),
            plan: resumed.plan.clone(),
            note: resumed.note.clone(),
        };
        self.stages.went_on(Fact::new(&began, from), rollback.started.from.order_key());
    }

    /// When what set a rollback off happened, if the rollback names it.
    fn trigger(&self, event: &Event) -> Option<Moment> {
        let Event::RollbackStarted(e) = event else { return None };
        e.triggered_by.iter().filter_map(|seq| self.times.get(seq)).min().copied()
    }
}
