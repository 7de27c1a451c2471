//! Stages: what each was planned to be, each attempt at it, and what it showed.
//!
//! A stage keeps its key whatever its label becomes. It may be attempted again, skipped, merged or
//! retargeted; results say neither that it began nor that it ended.

use schemas::{
    Event, StageKey,
    event::stage::{
        Clause, StageCancelled, StageCompleted, StageHeld, StagePlanned, StageReplanned,
        StageResultsRecorded, StageResumed, StageRetargeted, StageSkipped, StageStarted,
    },
    values::{Duration, Exposure, Window},
};
use serde::Serialize;

use super::{Fact, Provenance};
use crate::recorded::Moment;

/// Every stage that a plan or an event names, in the order of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Stages(Vec<Stage>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Stage {
    pub key: StageKey,
    /// What the plan said of it, oldest first; the newest holds.
    pub plans: Vec<StagePlan>,
    pub attempts: Vec<Attempt>,
    pub skipped: Vec<Fact<StageSkipped>>,
}

/// What a plan said of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct StagePlan {
    #[serde(flatten)]
    pub from: Provenance,
    /// Whether it changed an earlier plan.
    pub replanned: bool,
    pub phase: Option<String>,
    pub label: String,
    pub ordinal: u64,
    pub exposures: Vec<Exposure>,
    pub window: Option<Window>,
    pub length: Option<Duration>,
    pub minimum: Option<Duration>,
    pub minimum_clause: Option<Clause>,
    pub exit_criteria: Vec<String>,
    pub reason: Option<String>,
}

/// One try at a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Attempt {
    /// From 1.
    pub number: u64,
    pub started: Option<Fact<StageStarted>>,
    /// Whether what began it is no recorded start: the rollout went on after a rollback.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_resumption: bool,
    /// Further events that say the same attempt began.
    pub started_again: Vec<Fact<StageStarted>>,
    pub retargeted: Vec<Fact<StageRetargeted>>,
    pub holds: Vec<Hold>,
    pub ended: Vec<Ended>,
    pub results: Vec<Fact<StageResultsRecorded>>,
    /// Seqs of the rollbacks that began in it.
    pub rollback_seqs: Vec<u64>,
    /// Whether only its results say that it ran: nobody recorded a start.
    pub inferred_ran: bool,
}

/// A pause. Either end may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Hold {
    pub held: Option<Fact<StageHeld>>,
    pub resumed: Option<Fact<StageResumed>>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ended {
    Completed(Fact<StageCompleted>),
    Cancelled(Fact<StageCancelled>),
}

impl Stages {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Stage> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, key: &StageKey) -> Option<&Stage> {
        self.0.iter().find(|s| s.key == *key)
    }

    pub(super) fn apply(&mut self, event: &Event, from: &Provenance) {
        match event {
            Event::StagePlanned(e) => {
                self.stage(&e.stage).plans.push(StagePlan::planned(e, from));
                self.sort();
            }
            Event::StageReplanned(e) => {
                self.stage(&e.stage).plans.push(StagePlan::replanned(e, from));
                self.sort();
            }
            Event::StageStarted(e) => {
                self.stage(&e.stage).start(Fact::new(e, from));
            }
            Event::StageHeld(e) => {
                let hold = Hold { held: Some(Fact::new(e, from)), resumed: None };
                self.stage(&e.stage).attempt(e.attempt).holds.push(hold);
            }
            Event::StageResumed(e) => {
                self.stage(&e.stage).attempt(e.attempt).resume(Fact::new(e, from));
            }
            Event::StageRetargeted(e) => {
                self.stage(&e.stage).attempt(e.attempt).retargeted.push(Fact::new(e, from));
            }
            Event::StageCompleted(e) => {
                let ended = Ended::Completed(Fact::new(e, from));
                self.stage(&e.stage).attempt(e.attempt).ended.push(ended);
            }
            Event::StageCancelled(e) => {
                let ended = Ended::Cancelled(Fact::new(e, from));
                self.stage(&e.stage).attempt(e.attempt).ended.push(ended);
            }
            Event::StageSkipped(e) => self.stage(&e.stage).skipped.push(Fact::new(e, from)),
            Event::StageResultsRecorded(e) => {
                self.stage(&e.stage).attempt(e.attempt).results.push(Fact::new(e, from));
            }
            _ => return,
        }
        self.infer();
    }

    /// The rollback that began while an attempt ran belongs to it.
    pub(super) fn rolled_back(&mut self, key: &StageKey, attempt: Option<u64>, seq: u64) {
        self.stage(key).attempt(attempt).rollback_seqs.push(seq);
        self.infer();
    }

    /// Begins the next attempt at a stage because the rollout went on after a rollback, unless an
    /// attempt has begun since `rollback`, the place of the rollback in time.
    pub(super) fn went_on(&mut self, began: Fact<StageStarted>, rollback: (Moment, u64)) {
        let stage = self.stage(&began.value.stage);
        let newest = stage.attempts.last().and_then(|a| a.started.as_ref());
        if newest.is_none_or(|started| started.from.order_key() < rollback) {
            stage.start(began).by_resumption = true;
        }
        self.infer();
    }

    /// The number of the attempt that an event without one belongs to.
    pub fn newest_attempt(&self, key: &StageKey) -> Option<u64> {
        self.get(key)?.attempts.last().map(|a| a.number)
    }

    fn stage(&mut self, key: &StageKey) -> &mut Stage {
        let place = self.0.iter().position(|s| s.key == *key).unwrap_or_else(|| {
            let key = key.clone();
            self.0.push(Stage { key, plans: vec![], attempts: vec![], skipped: vec![] });
            self.0.len() - 1
        });
        self.0.get_mut(place).expect("just found or pushed")
    }

    /// In the order of the plan; stages that no plan names come last, in the order of their facts.
    fn sort(&mut self) {
        self.0.sort_by_key(|s| s.ordinal().unwrap_or(u64::MAX));
    }

    fn infer(&mut self) {
        for attempt in self.0.iter_mut().flat_map(|s| &mut s.attempts) {
            attempt.inferred_ran = attempt.started.is_none() && !attempt.results.is_empty();
        }
    }
}

impl Stage {
    /// What the plan says of it now.
    pub fn plan(&self) -> Option<&StagePlan> {
        self.plans.last()
    }

    pub fn ordinal(&self) -> Option<u64> {
        self.plan().map(|p| p.ordinal)
    }

    /// Its label in the plan's words, else its key.
    pub fn label(&self) -> &str {
        self.plan().map_or(self.key.as_str(), |p| &p.label)
    }

    /// Whether any attempt has a recorded start.
    pub fn started(&self) -> bool {
        self.attempts.iter().any(|a| a.started.is_some())
    }

    /// The attempt that an event belongs to: the one that it names, else the newest.
    fn attempt(&mut self, number: Option<u64>) -> &mut Attempt {
        let number = number.or(self.attempts.last().map(|a| a.number)).unwrap_or(1);
        let place = self.attempts.iter().position(|a| a.number == number).unwrap_or_else(|| {
            let place = self.attempts.partition_point(|a| a.number < number);
            self.attempts.insert(place, Attempt::new(number));
            place
        });
        self.attempts.get_mut(place).expect("just found or inserted")
    }

    /// A start without a number is the next attempt, unless all that is known of the newest one is
    /// results of unknown time: they may well be this attempt's own, read from a document. A start
    /// after the rollout went on is the same attempt, and says better when it began.
    fn start(&mut self, fact: Fact<StageStarted>) -> &mut Attempt {
        let number = fact.value.attempt.unwrap_or_else(|| match self.attempts.last() {
            None => 1,
            Some(last) if last.may_still_begin() => last.number,
            Some(last) => last.number + 1,
        });
        let attempt = self.attempt(Some(number));
        if attempt.started.is_none() || attempt.may_still_begin() {
            attempt.started = Some(fact);
            attempt.by_resumption = false;
        } else {
            attempt.started_again.push(fact);
        }
        attempt
    }
}

impl StagePlan {
    fn planned(e: &StagePlanned, from: &Provenance) -> StagePlan {
        StagePlan {
            from: from.clone(),
            replanned: false,
            phase: e.phase.clone(),
            label: e.label.clone(),
            ordinal: e.ordinal,
            exposures: e.exposures.clone(),
            window: e.window.clone(),
            length: e.length.clone(),
            minimum: e.minimum.clone(),
            minimum_clause: e.minimum_clause,
            exit_criteria: e.exit_criteria.clone(),
            reason: None,
        }
    }

    fn replanned(e: &StageReplanned, from: &Provenance) -> StagePlan {
        StagePlan {
            from: from.clone(),
            replanned: true,
            phase: e.phase.clone(),
            label: e.label.clone(),
            ordinal: e.ordinal,
            exposures: e.exposures.clone(),
            window: e.window.clone(),
            length: e.length.clone(),
            minimum: e.minimum.clone(),
            minimum_clause: e.minimum_clause,
            exit_criteria: e.exit_criteria.clone(),
            reason: e.reason.clone(),
        }
    }
}

impl Attempt {
    fn new(number: u64) -> Attempt {
        Attempt {
            number,
            started: None,
            by_resumption: false,
            started_again: vec![],
            retargeted: vec![],
            holds: vec![],
            ended: vec![],
            results: vec![],
            rollback_seqs: vec![],
            inferred_ran: false,
        }
    }

    /// When it began, if that is known.
    pub fn started_at(&self) -> Option<Moment> {
        self.started.as_ref()?.time()
    }

    /// What it was exposed to when it began and whenever that was changed, as recorded.
    pub fn exposures(&self) -> &[Exposure] {
        let retargeted = self.retargeted.iter().rev().map(|r| &r.value.exposures);
        let started = self.started.iter().map(|s| &s.value.exposures);
        retargeted.chain(started).find(|e| !e.is_empty()).map_or(&[], Vec::as_slice)
    }

    fn may_still_begin(&self) -> bool {
        (self.started.is_none() || self.by_resumption)
            && self.rollback_seqs.is_empty()
            && self.ended.is_empty()
            && self.retargeted.is_empty()
            && self.holds.is_empty()
            && self.results.iter().all(|r| r.time().is_none())
    }

    fn resume(&mut self, fact: Fact<StageResumed>) {
        match self.holds.iter_mut().rev().find(|h| h.resumed.is_none()) {
            Some(hold) => hold.resumed = Some(fact),
            None => self.holds.push(Hold { held: None, resumed: Some(fact) }),
        }
    }
}

impl Ended {
    pub fn from(&self) -> &Provenance {
        match self {
            Ended::Completed(fact) => &fact.from,
            Ended::Cancelled(fact) => &fact.from,
        }
    }
}
