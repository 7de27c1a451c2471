//! Sentences about stages, decisions and rollbacks.

use schemas::{
    Event,
    event::{
        decision::{ConditionOutcome, CriterionVerdict, GateDecided, ItemState, Verdict},
        rollback::{RollbackPlanned, RollbackStarted, RollbackStepCompleted, StepKind, Trigger},
        stage::{StagePlanned, StageResultsRecorded},
    },
    values::Results,
};

use super::sentence::{attempt, because, listed, parties, quantity, with};
use crate::rollout::exposure;

pub(super) fn sentence(event: &Event) -> Option<String> {
    stage(event).or_else(|| decision(event)).or_else(|| rollback(event))
}

fn stage(event: &Event) -> Option<String> {
    Some(match event {
        Event::StagePlanned(e) => planned(e),
        Event::StageReplanned(e) => format!(
            "The plan of stage {} changed: {}{}{}",
            e.stage,
            e.label,
            with(&e.exposures),
            because(e.reason.as_ref())
        ),
        Event::StageStarted(e) => format!(
            "Stage {}{} began{}{}",
            e.stage,
            attempt(e.attempt),
            with(&e.exposures),
            because(e.reason.as_ref())
        ),
        Event::StageHeld(e) => {
            format!(
                "Stage {}{} was paused{}",
                e.stage,
                attempt(e.attempt),
                because(e.reason.as_ref())
            )
        }
        Event::StageResumed(e) => {
            format!("Stage {}{} went on{}", e.stage, attempt(e.attempt), because(e.reason.as_ref()))
        }
        Event::StageRetargeted(e) => format!(
            "The exposure of stage {}{} became {}{}",
            e.stage,
            attempt(e.attempt),
            exposure::words(&e.exposures),
            because(e.reason.as_ref())
        ),
        Event::StageCompleted(e) => format!(
            "Stage {}{} ended as meant{}{}",
            e.stage,
            attempt(e.attempt),
            with(&e.exposures),
            because(e.reason.as_ref())
        ),
        Event::StageSkipped(e) => {
            format!("Stage {} was left out{}", e.stage, because(e.reason.as_ref()))
        }
        Event::StageCancelled(e) => {
            format!(
                "Stage {}{} was given up{}",
                e.stage,
                attempt(e.attempt),
                because(e.reason.as_ref())
            )
        }
        Event::StageResultsRecorded(e) => results(e),
        _ => return None,
    })
}

fn planned(e: &StagePlanned) -> String {
    let length = e.length.as_ref().and_then(|l| l.raw.as_ref());
    let length = length.map_or_else(String::new, |raw| format!(", {raw}"));
    format!("Stage {} was planned: {}{}{length}.", e.stage, e.label, with(&e.exposures))
}

fn results(e: &StageResultsRecorded) -> String {
    format!(
        "Results of stage {}{} were recorded{}",
        e.stage,
        attempt(e.attempt),
        because(Some(&of_results(&e.results)))
    )
}

/// The few numbers of a block of results that say most.
pub(super) fn of_results(results: &Results) -> String {
    let mut said = Vec::new();
    if let Some(users) = &results.unique_users {
        said.push(format!("{} unique users", quantity(users)));
    }
    for metric in &results.metrics {
        said.push(format!("{} {}", metric.name, quantity(&metric.quantity)));
    }
    if let Some(bugs) = &results.bugs_identified {
        let fixed = results.bugs_fixed.as_ref();
        let fixed = fixed.map_or_else(String::new, |f| format!(", {} fixed", quantity(f)));
        said.push(format!("bugs {} found{fixed}", quantity(bugs)));
    }
    if let Some(downstream) = &results.downstream {
        said.push(format!("downstream affected {}", downstream.raw.trim()));
    }
    if !results.error_types.is_empty() {
        said.push(format!("errors {}", listed(&results.error_types)));
    }
    if let Some(changes) = &results.changes_needed {
        said.push(format!("changes needed {}", changes.raw.trim()));
    }
    for goal in &results.goals {
        said.push(format!("{} {}", goal.name, quantity(&goal.quantity)));
    }
    said.join(", ")
}

fn decision(event: &Event) -> Option<String> {
    Some(match event {
        Event::GateDecided(e) => gate(e),
        Event::GateConditionResolved(e) => {
            let outcome = match e.outcome {
                ConditionOutcome::Met => "was met",
                ConditionOutcome::Failed => "failed",
                ConditionOutcome::Waived => "was waived",
            };
            format!("A condition of the {} gate {outcome}: {}.", e.gate, e.condition)
        }
        Event::ChecklistItemSet(e) => {
            let state = match e.state {
                ItemState::Done => "ticked",
                ItemState::Open => "opened again",
                ItemState::NotApplicable => "ruled out",
            };
            format!("A checklist item was {state}{}", because(Some(&e.item)))
        }
        Event::CriterionSet(e) => format!("A success criterion was set{}", because(Some(&e.text))),
        Event::CriterionEvaluated(e) => {
            let verdict = match e.verdict {
                CriterionVerdict::Met => "was met",
                CriterionVerdict::Missed => "was missed",
                CriterionVerdict::Overridden => "was overridden",
            };
            let actual = e.actual.as_ref();
            let actual = actual.map_or_else(String::new, |a| format!(" with {}", quantity(a)));
            format!("The criterion {} {verdict}{actual}{}", e.criterion, because(e.why.as_ref()))
        }
        _ => return None,
    })
}

fn gate(e: &GateDecided) -> String {
    let verdict = match e.verdict {
        Verdict::Go => "go",
        Verdict::NoGo => "no-go",
        Verdict::Conditional => "conditional go",
        Verdict::Deferred => "decision put off",
    };
    let stage = e.stage.as_ref().map_or_else(String::new, |s| format!(" to {s}"));
    let by = if e.decided_by.is_empty() {
        String::new()
    } else {
        format!(" by {}", parties(&e.decided_by))
    };
    let named = |what: &str, items: &[String]| match items {
        [] => String::new(),
        items => format!("; {what}: {}", listed(items).trim_end_matches('.')),
    };
    let conditions = named("conditions", &e.conditions);
    let blockers = named("blockers", &e.blockers);
    format!("The {} gate{stage} was decided{by}: {verdict}{conditions}{blockers}.", e.gate)
}

fn rollback(event: &Event) -> Option<String> {
    Some(match event {
        Event::RollbackPlanned(e) => rollback_planned(e),
        Event::RollbackStarted(e) => rollback_started(e),
        Event::RollbackStepCompleted(e) => step(e),
        Event::RollbackCompleted(e) => format!(
            "The rollback ended{}{}",
            with(&e.to.iter().cloned().collect::<Vec<_>>()),
            because(e.reason.as_ref())
        ),
        Event::RolloutResumed(e) => {
            let stage = e.stage.as_ref().map_or_else(String::new, |s| format!(" in stage {s}"));
            let (with, why) = (with(&e.exposures), because(e.reason.as_ref()));
            format!("The rollout went on{stage}{with}{why}")
        }
        _ => return None,
    })
}

fn rollback_planned(e: &RollbackPlanned) -> String {
    let severity = e.severity.map_or_else(String::new, |s| format!(" for severity {s}"));
    let steps: Vec<String> = e.steps.iter().map(|s| s.text.clone()).collect();
    let count = match steps.len() {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    };
    format!("How to roll back{severity} was planned: {count}.")
}

fn rollback_started(e: &RollbackStarted) -> String {
    let why = match e.trigger {
        Trigger::Bug => "a bug",
        Trigger::Threshold => "a threshold that was crossed",
        Trigger::Incident => "an incident",
        Trigger::FalseAlarm => "a false alarm",
        Trigger::Precaution => "precaution",
    };
    let from =
        e.from.as_ref().map(|x| format!(" from {}", exposure::words(std::slice::from_ref(x))));
    let to = e.to.as_ref().map(|x| format!(" to {}", exposure::words(std::slice::from_ref(x))));
    format!(
        "A rollback began{}{} because of {why}{}",
        from.unwrap_or_default(),
        to.unwrap_or_default(),
        because(e.reason.as_ref())
    )
}

fn step(e: &RollbackStepCompleted) -> String {
    let name = e.step.as_ref().map_or_else(String::new, |s| format!(" {s}"));
    format!(
        "Rollback step{name} was done, {}{}",
        step_words(e.kind),
        because(e.text.as_ref().or(e.link.as_ref()))
    )
}

/// A kind of rollback step in words.
pub(crate) fn step_words(kind: StepKind) -> &'static str {
    match kind {
        StepKind::FlagOffRequested => "turning the flag off was asked for",
        StepKind::FlagOff => "the flag was turned off",
        StepKind::FlagReduced => "the flag was turned down",
        StepKind::TeamAlerted => "the team was alerted",
        StepKind::TicketCreated => "a ticket was made",
        StepKind::ThreadUpdated => "the thread was updated",
        StepKind::CommitReverted => "the commit was reverted",
        StepKind::FixDeployed => "a fix was deployed",
        StepKind::FlagReenabled => "the flag was turned on again",
        StepKind::Other => "something else",
    }
}
