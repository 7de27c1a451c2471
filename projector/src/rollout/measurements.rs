//! What was measured and what went wrong: metrics, alerts, errors, bugs.

use std::collections::BTreeMap;

use schemas::{
    Event, StageKey,
    event::measurement::{
        AlertCleared, AlertRaised, BugDeferred, BugDisputed, BugFixed, BugFound, BugVerified,
        DownstreamAffected, ErrorObserved, MetricDefined, MetricObserved, MetricRedefined,
    },
};
use serde::Serialize;

use super::{Fact, Provenance};
use crate::recorded::Moment;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Measurements {
    pub metrics: BTreeMap<String, Metric>,
    pub alerts: Vec<Alert>,
    pub errors: Vec<Fact<ErrorObserved>>,
    pub downstream: Vec<Fact<DownstreamAffected>>,
    pub bugs: BTreeMap<String, Bug>,
}

/// A metric under the plan's own name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Metric {
    pub defined: Vec<Fact<MetricDefined>>,
    /// A metric may come to mean something else half-way.
    pub redefined: Vec<Fact<MetricRedefined>>,
    /// Every reading; a restatement stands beside the one that it restates.
    pub observed: Vec<Fact<MetricObserved>>,
}

/// An alert and, if it ended, its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Alert {
    pub raised: Option<Fact<AlertRaised>>,
    pub cleared: Option<Fact<AlertCleared>>,
}

/// A bug, wherever it was found: bugs cross stages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Bug {
    pub found: Vec<Fact<BugFound>>,
    pub deferred: Vec<Fact<BugDeferred>>,
    pub fixed: Vec<Fact<BugFixed>>,
    pub verified: Vec<Fact<BugVerified>>,
    pub disputed: Vec<Fact<BugDisputed>>,
}

/// What the newest event of a bug says. Words about a resolution are no fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BugState {
    Open,
    Deferred,
    Fixed,
    Verified,
    Disputed,
}

impl Measurements {
    pub(super) fn apply(&mut self, event: &Event, from: &Provenance) {
        match event {
            Event::MetricDefined(e) => self.metric(&e.metric).defined.push(Fact::new(e, from)),
            Event::MetricRedefined(e) => self.metric(&e.metric).redefined.push(Fact::new(e, from)),
            Event::MetricObserved(e) => self.metric(&e.metric).observed.push(Fact::new(e, from)),
            Event::AlertRaised(e) => {
                self.alerts.push(Alert { raised: Some(Fact::new(e, from)), cleared: None });
            }
            Event::AlertCleared(e) => self.clear(Fact::new(e, from)),
            Event::ErrorObserved(e) => self.errors.push(Fact::new(e, from)),
            Event::DownstreamAffected(e) => self.downstream.push(Fact::new(e, from)),
            Event::BugFound(e) => self.bug(&e.bug).found.push(Fact::new(e, from)),
            Event::BugDeferred(e) => self.bug(&e.bug).deferred.push(Fact::new(e, from)),
            Event::BugFixed(e) => self.bug(&e.bug).fixed.push(Fact::new(e, from)),
            Event::BugVerified(e) => self.bug(&e.bug).verified.push(Fact::new(e, from)),
            Event::BugDisputed(e) => self.bug(&e.bug).disputed.push(Fact::new(e, from)),
            _ => {}
        }
    }

    fn metric(&mut self, name: &str) -> &mut Metric {
        self.metrics.entry(name.to_owned()).or_default()
    }

    fn bug(&mut self, id: &str) -> &mut Bug {
        self.bugs.entry(id.to_owned()).or_default()
    }

    fn clear(&mut self, fact: Fact<AlertCleared>) {
        let raised = self.alerts.iter_mut().rev().find(|a| {
            let same = |r: &Fact<AlertRaised>| {
                r.value.monitor == fact.value.monitor && r.value.incident == fact.value.incident
            };
            a.cleared.is_none() && a.raised.as_ref().is_some_and(same)
        });
        match raised {
            Some(alert) => alert.cleared = Some(fact),
            None => self.alerts.push(Alert { raised: None, cleared: Some(fact) }),
        }
    }

    /// Bugs found in a stage, by id.
    pub fn bugs_of<'a>(
        &'a self,
        stage: &'a StageKey,
    ) -> impl Iterator<Item = (&'a String, &'a Bug)> {
        self.bugs.iter().filter(move |(_, bug)| bug.stages().any(|s| s == stage))
    }
}

impl Bug {
    /// The bug's title; when only later events name it, that nobody recorded it as found.
    pub fn title(&self) -> &str {
        self.found.last().map_or("(never recorded as found)", |f| f.value.title.as_str())
    }

    pub fn stages(&self) -> impl Iterator<Item = &StageKey> {
        self.found.iter().filter_map(|f| f.value.stage.as_ref())
    }

    pub fn launch_blocking(&self) -> bool {
        self.found.last().is_some_and(|f| f.value.launch_blocking == Some(true))
    }

    /// What the source says became of it, in words.
    pub fn resolution(&self) -> Option<&str> {
        self.found.iter().rev().find_map(|f| f.value.resolution.as_deref())
    }

    pub fn state(&self) -> BugState {
        self.state_by(None)
    }

    /// Its state at a moment, by what is known to have happened by then; events of unknown time
    /// count only without a moment.
    pub fn state_by(&self, at: Option<Moment>) -> BugState {
        let counts =
            |from: &Provenance| at.is_none_or(|at| from.time.is_some_and(|time| time <= at));
        let mut newest = (None, BugState::Open);
        let mut look = |from: &Provenance, state| {
            if counts(from) && newest.0.is_none_or(|key| key < from.order_key()) {
                newest = (Some(from.order_key()), state);
            }
        };
        self.found.iter().for_each(|f| look(&f.from, BugState::Open));
        self.deferred.iter().for_each(|f| look(&f.from, BugState::Deferred));
        self.fixed.iter().for_each(|f| look(&f.from, BugState::Fixed));
        self.verified.iter().for_each(|f| look(&f.from, BugState::Verified));
        self.disputed.iter().for_each(|f| look(&f.from, BugState::Disputed));
        newest.1
    }

    /// Seqs of everything that was said about it.
    pub fn seqs(&self) -> Vec<u64> {
        let mut seqs: Vec<u64> = self.found.iter().map(Fact::seq).collect();
        seqs.extend(self.deferred.iter().map(Fact::seq));
        seqs.extend(self.fixed.iter().map(Fact::seq));
        seqs.extend(self.verified.iter().map(Fact::seq));
        seqs.extend(self.disputed.iter().map(Fact::seq));
        seqs.sort_unstable();
        seqs
    }
}

impl BugState {
    pub fn as_str(self) -> &'static str {
        match self {
            BugState::Open => "open",
            BugState::Deferred => "deferred",
            BugState::Fixed => "fixed",
            BugState::Verified => "verified",
            BugState::Disputed => "disputed",
        }
    }
}

impl Metric {
    /// The newest reading for a stage attempt or a checkpoint that nothing restates.
    pub fn reading(
        &self,
        stage: Option<&StageKey>,
        checkpoint: Option<&str>,
    ) -> Option<&Fact<MetricObserved>> {
        let fits = |o: &&Fact<MetricObserved>| {
            o.value.stage.as_ref() == stage && o.value.checkpoint.as_deref() == checkpoint
        };
        let standing = |o: &&Fact<MetricObserved>| o.from.restated_by.is_empty();
        self.observed.iter().rev().filter(fits).find(standing)
    }
}
