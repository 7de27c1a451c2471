//! Where a rollout is now: every move it made, and what the last one says.

use schemas::{Event, StageKey, event::flag::FlagRole, values::Exposure};
use serde::Serialize;

use super::{FlagMove, Provenance, Rollout};
use crate::{checkpoints::Checkpoints, recorded::Moment};

/// One step of the rollout as a whole, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Move {
    pub seq: u64,
    /// When it happened; absent when nobody knows.
    pub time: Option<Moment>,
    pub recorded_at: Moment,
    pub kind: MoveKind,
    pub stage: Option<StageKey>,
    pub attempt: Option<u64>,
    /// Who saw the feature from then on, if the event says.
    pub exposures: Vec<Exposure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    Started,
    Retargeted,
    Held,
    Resumed,
    Completed,
    Cancelled,
    RollbackStarted,
    RollbackCompleted,
    /// The rollout went on after a rollback.
    WentOn,
    Launched,
}

/// In one word, where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    NotStarted,
    Running,
    Held,
    /// The stage ended, the next has not begun.
    BetweenStages,
    Cancelled,
    RollingBack,
    RolledBack,
    Launched,
    /// Launched, and every checkpoint has its snapshot.
    Completed,
}

/// Where a rollout is now, and which events say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Current {
    pub status: Status,
    pub stage: Option<StageKey>,
    pub attempt: Option<u64>,
    /// Who sees the feature, by what people and machines recorded of the rollout.
    pub exposures: Vec<Exposure>,
    /// Whether the exposure is only what the plan says of the running stage.
    pub exposure_is_planned: bool,
    /// The event that the exposure rests on.
    pub exposure_seq: Option<u64>,
    /// Whether the moment of the last move is unknown.
    pub time_unknown: bool,
    /// Each flag's newest state by its service's log.
    pub flags: Vec<FlagNow>,
    /// Stages that only their results say to have run.
    pub inferred_ran: Vec<StageKey>,
    /// Seqs of the events that this answer rests on.
    pub rests_on: Vec<u64>,
}

/// Who sees the feature by the rollout's moves.
pub(crate) struct Exposing {
    pub exposures: Vec<Exposure>,
    /// Whether that is only what the plan says of the running stage.
    pub planned: bool,
    /// The event that it rests on.
    pub seq: Option<u64>,
}

/// A flag's newest state in one service and environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FlagNow {
    pub role: Option<FlagRole>,
    #[serde(flatten)]
    pub newest: FlagMove,
}

impl Move {
    /// When it happened, else when it was recorded.
    pub fn at(&self) -> Moment {
        self.time.unwrap_or(self.recorded_at)
    }

    /// What an event moved; the stage of a rollback is the one that ran.
    pub(super) fn of(event: &Event, from: &Provenance, rollout: &Rollout) -> Option<Move> {
        use MoveKind::{
            Cancelled, Completed, Held, Launched, Resumed, Retargeted, RollbackCompleted,
            RollbackStarted, Started, WentOn,
        };
        let one = |exposure: &Option<Exposure>| exposure.iter().cloned().collect::<Vec<_>>();
        let (kind, stage, attempt, exposures) = match event {
            Event::StageStarted(e) => (Started, Some(&e.stage), e.attempt, e.exposures.clone()),
            Event::StageRetargeted(e) => {
                (Retargeted, Some(&e.stage), e.attempt, e.exposures.clone())
            }
            Event::StageHeld(e) => (Held, Some(&e.stage), e.attempt, vec![]),
            Event::StageResumed(e) => (Resumed, Some(&e.stage), e.attempt, vec![]),
            Event::StageCompleted(e) => (Completed, Some(&e.stage), e.attempt, e.exposures.clone()),
            Event::StageCancelled(e) => (Cancelled, Some(&e.stage), e.attempt, vec![]),
            Event::RollbackStarted(e) => (RollbackStarted, e.stage.as_ref(), None, one(&e.to)),
            Event::RollbackCompleted(e) => (RollbackCompleted, None, None, one(&e.to)),
            Event::RolloutResumed(e) => (WentOn, e.stage.as_ref(), None, e.exposures.clone()),
            Event::RolloutLaunched(e) => (Launched, None, None, e.exposures.clone()),
            _ => return None,
        };
        let stage = stage.cloned().or_else(|| rollout.running_stage());
        let attempt = attempt.or_else(|| rollout.stages.newest_attempt(stage.as_ref()?));
        let (seq, time, recorded_at) = (from.seq, from.time, from.recorded_at);
        Some(Move { seq, time, recorded_at, kind, stage, attempt, exposures })
    }

    fn is_rollback(&self) -> bool {
        matches!(self.kind, MoveKind::RollbackStarted | MoveKind::RollbackCompleted)
    }

    fn status(&self) -> Status {
        match self.kind {
            MoveKind::Started | MoveKind::Retargeted | MoveKind::Resumed | MoveKind::WentOn => {
                Status::Running
            }
            MoveKind::Held => Status::Held,
            MoveKind::Completed => Status::BetweenStages,
            MoveKind::Cancelled => Status::Cancelled,
            MoveKind::RollbackStarted => Status::RollingBack,
            MoveKind::RollbackCompleted => Status::RolledBack,
            MoveKind::Launched => Status::Launched,
        }
    }
}

impl Rollout {
    /// Where it is now, by everything that was applied.
    pub fn current(&self) -> Current {
        let last = self.moves.last();
        let Exposing { exposures, planned, seq } = self.exposing();
        let flags: Vec<FlagNow> = self
            .flags
            .registered()
            .flat_map(|(_, flag)| {
                let now = flag.now().into_iter();
                now.map(|newest| FlagNow { role: flag.role(), newest })
            })
            .collect();
        let ran = |s: &&super::Stage| !s.started() && s.attempts.iter().any(|a| a.inferred_ran);
        let mut rests_on: Vec<u64> = last.iter().map(|m| m.seq).collect();
        rests_on.extend(seq);
        rests_on.extend(flags.iter().map(|f| f.newest.seq));
        rests_on.sort_unstable();
        rests_on.dedup();
        Current {
            status: self.status(),
            stage: last.and_then(|m| m.stage.clone()),
            attempt: last.and_then(|m| m.attempt),
            exposures,
            exposure_is_planned: planned,
            exposure_seq: seq,
            time_unknown: last.is_some_and(|m| m.time.is_none()),
            flags,
            inferred_ran: self.stages.iter().filter(ran).map(|s| s.key.clone()).collect(),
            rests_on,
        }
    }

    /// Who sees the feature, without asking its flags.
    pub(crate) fn exposing(&self) -> Exposing {
        let exposing = self.moves.iter().rev().find(|m| {
            let begins = matches!(m.kind, MoveKind::Started | MoveKind::WentOn);
            !m.exposures.is_empty() || (begins && self.planned(m).is_some())
        });
        let seq = exposing.map(|m| m.seq);
        match exposing {
            Some(m) if m.exposures.is_empty() => {
                Exposing { exposures: self.planned(m).unwrap_or_default(), planned: true, seq }
            }
            Some(m) => Exposing { exposures: m.exposures.clone(), planned: false, seq },
            None => Exposing { exposures: vec![], planned: false, seq },
        }
    }

    /// In one word, where it is.
    pub fn status(&self) -> Status {
        use MoveKind::{Cancelled, Completed, Held};
        let Some(last) = self.moves.last() else { return Status::NotStarted };
        let mut status = last.status();
        // A stage that is given up or paused while a rollback runs ends no rollback.
        let ends = |m: &&Move| matches!(m.kind, Cancelled | Completed | Held);
        let before = self.moves.iter().rev().find(|m| !ends(m));
        if let Some(before) = before.filter(|m| m.is_rollback()) {
            status = before.status();
        }
        if last.kind == Completed && self.standing_launch().is_some() {
            status = Status::Launched;
        }
        if status == Status::Launched && Checkpoints::of(self).all_recorded() {
            status = Status::Completed;
        }
        status
    }

    /// Who saw the feature after a move: by its own words, else by the plan of the stage it began.
    pub(crate) fn exposures_of(&self, of: &Move) -> Vec<Exposure> {
        let begins = matches!(of.kind, MoveKind::Started | MoveKind::WentOn);
        match self.planned(of).filter(|_| begins && of.exposures.is_empty()) {
            Some(planned) => planned,
            None => of.exposures.clone(),
        }
    }

    /// The launch that no rollback has undone.
    fn standing_launch(&self) -> Option<&Move> {
        let ends = |m: &&Move| matches!(m.kind, MoveKind::Launched | MoveKind::RollbackStarted);
        self.moves.iter().rev().find(ends).filter(|m| m.kind == MoveKind::Launched)
    }

    /// The stage that the newest move belongs to.
    pub(super) fn running_stage(&self) -> Option<StageKey> {
        self.moves.iter().rev().find_map(|m| m.stage.clone())
    }

    fn planned(&self, of: &Move) -> Option<Vec<Exposure>> {
        let exposures = &self.stages.get(of.stage.as_ref()?)?.plan()?.exposures;
        (!exposures.is_empty()).then(|| exposures.clone())
    }
}
