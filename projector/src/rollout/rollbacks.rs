//! Rollbacks: what the plan promises, and what was done when.

use schemas::{
    Event, StageKey,
    event::{
        measurement::Severity,
        rollback::{
            PlannedStep, RollbackCompleted, RollbackPlanned, RollbackStarted,
            RollbackStepCompleted, RolloutResumed, StepKind,
        },
    },
};
use serde::Serialize;

use super::{Fact, Provenance, decisions::same_words, named};
use crate::recorded::Moment;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Rollbacks {
    /// The plan's lists of steps, oldest first. A plan may have one for each severity.
    pub planned: Vec<Fact<RollbackPlanned>>,
    pub actual: Vec<Rollback>,
    /// Steps, ends and resumptions that no recorded rollback precedes.
    pub stray: Stray,
}

/// One rollback. Percentages fall and rise again, and it may be partial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Rollback {
    pub started: Fact<RollbackStarted>,
    /// When what set it off happened: durations run from here. Its own start when it names no
    /// event that set it off.
    pub triggered_at: Option<Moment>,
    /// The stage and attempt that it began in.
    pub stage: Option<StageKey>,
    pub attempt: Option<u64>,
    pub steps: Vec<Step>,
    pub completed: Option<Fact<RollbackCompleted>>,
    pub resumed: Option<Fact<RolloutResumed>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Step {
    #[serde(flatten)]
    pub fact: Fact<RollbackStepCompleted>,
    /// Microseconds from the trigger; absent when either moment is unknown.
    pub after_us: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Stray {
    pub steps: Vec<Fact<RollbackStepCompleted>>,
    pub completed: Vec<Fact<RollbackCompleted>>,
    pub resumed: Vec<Fact<RolloutResumed>>,
}

impl Rollbacks {
    pub(super) fn apply(
        &mut self,
        event: &Event,
        from: &Provenance,
        at: (Option<StageKey>, Option<u64>),
        trigger: Option<Moment>,
    ) {
        match event {
            Event::RollbackPlanned(e) => self.planned.push(Fact::new(e, from)),
            Event::RollbackStarted(e) => self.actual.push(Rollback {
                started: Fact::new(e, from),
                triggered_at: trigger.or(from.time),
                stage: at.0,
                attempt: at.1,
                steps: vec![],
                completed: None,
                resumed: None,
            }),
            Event::RollbackStepCompleted(e) => {
                let fact = Fact::<RollbackStepCompleted>::new(e, from);
                match self.actual.last_mut() {
                    Some(rollback) => rollback.step(fact),
                    None => self.stray.steps.push(fact),
                }
            }
            Event::RollbackCompleted(e) => {
                let fact = Fact::<RollbackCompleted>::new(e, from);
                match self.actual.last_mut().filter(|r| r.completed.is_none()) {
                    Some(rollback) => rollback.completed = Some(fact),
                    None => self.stray.completed.push(fact),
                }
            }
            Event::RolloutResumed(e) => {
                let fact = Fact::<RolloutResumed>::new(e, from);
                match self.actual.last_mut().filter(|r| r.resumed.is_none()) {
                    Some(rollback) => rollback.resumed = Some(fact),
                    None => self.stray.resumed.push(fact),
                }
            }
            _ => {}
        }
    }

    /// The plan's list for a rollback of some severity: its own list if the plan has one, else the
    /// list for any severity. Of several revisions the newest.
    pub fn list_for(&self, severity: Option<Severity>) -> Option<&Fact<RollbackPlanned>> {
        let newest = |wanted| self.planned.iter().rev().find(move |p| p.value.severity == wanted);
        severity.and_then(|s| newest(Some(s))).or_else(|| newest(None))
    }
}

impl Rollback {
    /// The step that was done for a step of the plan's list: the one that names it, else one of
    /// its kind that names no step of the list.
    pub fn done(&self, list: &[PlannedStep], planned: &PlannedStep) -> Option<&Step> {
        let named = |s: &&Step| s.names(list).is_some_and(|p| p.step == planned.step);
        let of_kind = |s: &&Step| planned.kind != StepKind::Other && s.may_be(list, planned);
        self.steps.iter().find(named).or_else(|| self.steps.iter().find(of_kind))
    }

    /// A step of no particular kind whose words name none of the list: it may be this one.
    pub fn unclear(&self, list: &[PlannedStep], planned: &PlannedStep) -> Option<&Step> {
        let may_be = |s: &&Step| s.words().is_some() && s.may_be(list, planned);
        self.steps.iter().find(may_be)
    }

    /// Whether a step of the plan's list was done.
    pub fn did(&self, list: &[PlannedStep], planned: &PlannedStep) -> bool {
        self.done(list, planned).is_some()
    }

    pub fn steps_of(&self, kind: StepKind) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |s| s.fact.value.kind == kind)
    }

    /// Microseconds from the trigger to a moment.
    pub fn after_us(&self, at: Option<Moment>) -> Option<i64> {
        Some(at?.0 - self.triggered_at?.0)
    }

    fn step(&mut self, fact: Fact<RollbackStepCompleted>) {
        let after_us = self.after_us(fact.time());
        self.steps.push(Step { fact, after_us });
    }
}

impl Step {
    /// What the step is called by who recorded it.
    pub fn words(&self) -> Option<&str> {
        self.fact.value.step.as_deref().or(self.fact.value.text.as_deref())
    }

    /// The step of the plan's list that it names: by number, words or path, else by its own text.
    fn names<'a>(&self, list: &'a [PlannedStep]) -> Option<&'a PlannedStep> {
        let items: Vec<_> = list.iter().map(|p| (p.step.as_str(), p.text.as_str())).collect();
        let place = match (&self.fact.value.step, &self.fact.value.text) {
            (Some(step), _) => named::place(step, &items),
            (None, Some(text)) => items.iter().position(|(_, planned)| same_words(planned, text)),
            (None, None) => None,
        };
        list.get(place?)
    }

    fn may_be(&self, list: &[PlannedStep], planned: &PlannedStep) -> bool {
        self.fact.value.kind == planned.kind && self.names(list).is_none()
    }
}
