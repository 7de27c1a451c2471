//! Facts that the plan has no place for.

use std::collections::BTreeSet;

use schemas::{
    Event,
    event::measurement::MetricObserved,
    values::{FieldKind, PlanField, Results},
};
use serde::Serialize;

use super::{Filled, leaves::in_full};
use crate::{
    rollout::{Attempt, Fact, Provenance, Rollout, decisions::same_words},
    timeline::sentence,
};

/// A fact without a place in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Unplaced {
    /// What the ledger knows, in one sentence.
    pub what: String,
    /// Seqs of the events that say so.
    pub seqs: Vec<u64>,
}

impl Rollout {
    /// What was recorded beside the plan and stands in none of its places, in the order of the
    /// plan's own sections. `paths_filled` are the paths of the blanks that were filled.
    pub fn unplaced_facts(&self, paths_filled: &[String]) -> Vec<Unplaced> {
        let placed: Vec<Filled> = paths_filled
            .iter()
            .filter_map(|path| {
                let label = self.plan.field(None, path).and_then(|f| f.label.as_deref());
                self.answer_for(path, label)
            })
            .collect();
        let seqs = placed.iter().flat_map(|f| f.seqs.iter().copied()).collect();
        let mut list = List { rollout: self, placed: seqs, paths: paths_filled, facts: vec![] };
        list.decisions();
        for stage in self.stages.iter() {
            stage.skipped.iter().for_each(|f| list.fact(f, Event::StageSkipped));
            for attempt in &stage.attempts {
                list.attempt(stage.key.as_str(), attempt);
            }
        }
        list.rollbacks();
        list.measurements();
        list.outcome();
        list.facts
    }
}

struct List<'a> {
    rollout: &'a Rollout,
    /// Events that filled a blank.
    placed: BTreeSet<u64>,
    paths: &'a [String],
    facts: Vec<Unplaced>,
}

impl List<'_> {
    /// Adds a fact that fills no blank and stands not in the file.
    fn fact<T: Clone>(&mut self, fact: &Fact<T>, event: fn(Box<T>) -> Event) {
        if !self.placed.contains(&fact.seq()) {
            let what = sentence(&event(Box::new(fact.value.clone())));
            self.add(what, &fact.from);
        }
    }

    fn add(&mut self, what: String, from: &Provenance) {
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
        let corrected = !from.corrected_by.is_empty();
        if corrected || !self.read_from_the_file(from) {
            self.facts.push(Unplaced { what, seqs: vec![from.seq] });
        }
    }

    /// Whether a fact was read from a place of the plan that still holds a value.
    fn read_from_the_file(&self, from: &Provenance) -> bool {
        let Some(path) = &from.plan_path else { return false };
        let newest = self.rollout.plan.newest();
        let holds = |f: &PlanField| {
            let below = f.path.strip_prefix(path.as_str());
            f.kind == FieldKind::Value && below.is_some_and(|b| b.is_empty() || b.starts_with('/'))
        };
        self.rollout.in_the_file(from) || newest.is_some_and(|r| r.fields.iter().any(holds))
    }

    fn decisions(&mut self) {
        let decisions = &self.rollout.decisions;
        for decision in &decisions.gates {
            self.fact(&decision.fact, Event::GateDecided);
            for condition in &decision.conditions {
                let resolved = condition.resolved.iter();
                resolved.for_each(|f| self.fact(f, Event::GateConditionResolved));
            }
        }
        decisions.unasked.iter().for_each(|f| self.fact(f, Event::GateConditionResolved));
        decisions.checklist.iter().for_each(|f| self.fact(f, Event::ChecklistItemSet));
        for criterion in decisions.criteria.values() {
            criterion.set.iter().for_each(|f| self.fact(f, Event::CriterionSet));
            criterion.evaluated.iter().for_each(|f| self.fact(f, Event::CriterionEvaluated));
        }
    }

    fn attempt(&mut self, key: &str, attempt: &Attempt) {
        // What began it instead of a start is told as what it is.
        let starts = attempt.started.iter().filter(|_| !attempt.by_resumption);
        let starts = starts.chain(&attempt.started_again);
        starts.for_each(|f| self.fact(f, Event::StageStarted));
        attempt.retargeted.iter().for_each(|f| self.fact(f, Event::StageRetargeted));
        for hold in &attempt.holds {
            hold.held.iter().for_each(|f| self.fact(f, Event::StageHeld));
            hold.resumed.iter().for_each(|f| self.fact(f, Event::StageResumed));
        }
        for ended in &attempt.ended {
            match ended {
                crate::rollout::stages::Ended::Completed(f) => self.fact(f, Event::StageCompleted),
                crate::rollout::stages::Ended::Cancelled(f) => self.fact(f, Event::StageCancelled),
            }
        }
        for results in &attempt.results {
            let base = format!("stages/{key}/results");
            self.results(&base, &format!("Stage {key}"), &results.value.results, &results.from);
        }
    }

    fn rollbacks(&mut self) {
        let rollbacks = &self.rollout.rollbacks;
        let by_hand = rollbacks.planned.iter().filter(|p| p.from.by_hand());
        by_hand.for_each(|f| self.fact(f, Event::RollbackPlanned));
        for rollback in &rollbacks.actual {
            self.fact(&rollback.started, Event::RollbackStarted);
            rollback.steps.iter().for_each(|s| self.fact(&s.fact, Event::RollbackStepCompleted));
            rollback.completed.iter().for_each(|f| self.fact(f, Event::RollbackCompleted));
            rollback.resumed.iter().for_each(|f| self.fact(f, Event::RolloutResumed));
        }
        let stray = &rollbacks.stray;
        stray.steps.iter().for_each(|f| self.fact(f, Event::RollbackStepCompleted));
        stray.completed.iter().for_each(|f| self.fact(f, Event::RollbackCompleted));
        stray.resumed.iter().for_each(|f| self.fact(f, Event::RolloutResumed));
    }

    fn measurements(&mut self) {
        let seen = &self.rollout.measurements;
        for metric in seen.metrics.values() {
            // A reading that a block of results repeats is shown there.
            for reading in &metric.observed {
                if !self.repeated(&reading.value) {
                    self.fact(reading, Event::MetricObserved);
                }
            }
        }
        for alert in &seen.alerts {
            alert.raised.iter().for_each(|f| self.fact(f, Event::AlertRaised));
            alert.cleared.iter().for_each(|f| self.fact(f, Event::AlertCleared));
        }
        seen.errors.iter().for_each(|f| self.fact(f, Event::ErrorObserved));
        seen.downstream.iter().for_each(|f| self.fact(f, Event::DownstreamAffected));
        for bug in seen.bugs.values() {
            bug.found.iter().for_each(|f| self.fact(f, Event::BugFound));
            bug.deferred.iter().for_each(|f| self.fact(f, Event::BugDeferred));
            bug.fixed.iter().for_each(|f| self.fact(f, Event::BugFixed));
            bug.verified.iter().for_each(|f| self.fact(f, Event::BugVerified));
            bug.disputed.iter().for_each(|f| self.fact(f, Event::BugDisputed));
        }
    }

    /// Whether the results of the same stage or checkpoint hold a number under the same name.
    fn repeated(&self, reading: &MetricObserved) -> bool {
        let stage = reading.stage.as_ref().and_then(|key| self.rollout.stages.get(key));
        let attempts = stage.into_iter().flat_map(|s| &s.attempts);
        let attempts = attempts.filter(|a| reading.attempt.is_none_or(|n| n == a.number));
        let of_stage = attempts.flat_map(|a| &a.results).map(|r| &r.value.results);
        let snapshots = self.rollout.outcome.snapshots.iter();
        let snapshots = snapshots
            .filter(|s| reading.checkpoint.as_deref() == Some(s.value.checkpoint.as_str()))
            .map(|s| &s.value.results);
        let mut metrics = of_stage.chain(snapshots).flat_map(|r| r.metrics.iter().chain(&r.goals));
        metrics.any(|m| same_words(&m.name, &reading.metric))
    }

    fn outcome(&mut self) {
        let outcome = &self.rollout.outcome;
        outcome.launches.iter().for_each(|f| self.fact(f, Event::RolloutLaunched));
        for snapshot in &outcome.snapshots {
            let name = snapshot.value.checkpoint.as_str();
            let base = format!("checkpoints/{name}");
            let what = format!("The {name} snapshot");
            self.results(&base, &what, &snapshot.value.results, &snapshot.from);
        }
        outcome.feedback.iter().for_each(|f| self.fact(f, Event::FeedbackNoted));
        outcome.ownership.iter().for_each(|f| self.fact(f, Event::OwnershipTransferred));
        outcome.answers.iter().for_each(|f| self.fact(f, Event::QuestionAnswered));
        outcome.cleanup.iter().for_each(|f| self.fact(f, Event::CleanupPlanned));
        outcome.cleanup_done.iter().for_each(|f| self.fact(f, Event::CleanupDone));
        outcome.notes.iter().for_each(|f| self.fact(f, Event::NoteAdded));
    }

    /// Of a block of results, what no filled place below `base` shows.
    fn results(&mut self, base: &str, of: &str, results: &Results, from: &Provenance) {
        for (leaf, name, text) in parts(results) {
            let shown = self.paths.iter().any(|path| {
                let Some(below) = path.strip_prefix(base).and_then(|p| p.strip_prefix('/')) else {
                    return false;
                };
                let label = self.rollout.plan.field(None, path).and_then(|f| f.label.as_deref());
                let here = below == leaf
                    || (leaf.starts_with("bugs_") && below == "bugs")
                    || (leaf == "changes_detail" && below == "changes")
                    || (leaf == "changes" && below == "changes_detail")
                    || below.split_once('/').is_some_and(|(first, _)| first == leaf);
                let filled = || self.rollout.answer_for(path, label);
                here && filled()
                    .is_some_and(|f| f.seqs.contains(&from.seq) && f.text.contains(&text))
            });
            if !shown {
                self.add(format!("{of}: {name}: {text}."), from);
            }
        }
    }
}

/// Whether a text holds another, but for spacing.
fn holds(text: &str, part: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    plain(text).contains(&plain(part)) || same_words(text, part)
}

/// Everything that a block of results says: the place's name, its words for a reader, the value.
pub(crate) fn parts(results: &Results) -> Vec<(&'static str, String, String)> {
    let mut parts = Vec::new();
    let mut put = |leaf, name: &str, text: Option<String>| {
        let text = text.map(|t| t.split_whitespace().collect::<Vec<_>>().join(" "));
        parts.extend(text.filter(|t| !t.is_empty()).map(|t| (leaf, name.to_owned(), t)));
    };
    let raw = |q: &Option<schemas::values::Quantity>| q.as_ref().map(|q| q.raw.clone());
    put("unique_users", "unique users", raw(&results.unique_users));
    for metric in &results.metrics {
        put("metrics", &metric.name, Some(metric.quantity.raw.clone()));
    }
    put("bugs_identified", "bugs identified", raw(&results.bugs_identified));
    put("bugs_fixed", "bugs fixed", raw(&results.bugs_fixed));
    put("downstream", "downstream affected", results.downstream.as_ref().map(in_full));
    put("processing", "issues with processing", results.processing.as_ref().map(in_full));
    for error in &results.error_types {
        put("errors", "errors", Some(error.clone()));
    }
    if let Some(changes) = &results.changes_needed {
        put("changes", "changes necessary", Some(changes.raw.clone()));
        // An answer in words of its own is its own detail.
        let detail = changes.detail.clone();
        put("changes_detail", "changes", detail.filter(|d| !holds(&changes.raw, d)));
    }
    put("latency", "latency", raw(&results.latency));
    put("length", "length", results.length.as_ref().and_then(|l| l.raw.clone()));
    for goal in &results.goals {
        put("kpis", &goal.name, Some(goal.quantity.raw.clone()));
    }
    for other in &results.other {
        put("other", &other.label, Some(other.raw.clone()));
    }
    parts
}
