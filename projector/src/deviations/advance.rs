//! Did it go on only when it might: with results, with a go, with nothing open?

use schemas::event::decision::{CriterionScope, CriterionVerdict, Gate};

use super::{Clause, Outcome, Verdict, trial::Trial};
use crate::{
    recorded::Moment,
    rollout::{
        Bug, BugState, Fact, Move, MoveKind, Provenance,
        decisions::{Criterion, Decision},
        exposure,
        next::is_pilot,
    },
};

/// The verdicts on how an attempt was begun and how it was left.
pub(super) fn judge(trial: &Trial) -> Vec<Verdict> {
    let decision = decision_for(trial);
    vec![
        without_go(trial, decision),
        open_condition(trial, decision),
        blocking_bug(trial),
        without_results(trial),
        criteria(trial),
    ]
}

/// The decision that an attempt began on: the newest one before it that concerns it, and since
/// the last rollback, which every earlier go ended with.
fn decision_for<'a>(trial: &Trial<'a>) -> Option<&'a Decision> {
    let begun = trial.start.order_key();
    let rollbacks = trial.rollout.rollbacks.actual.iter().map(|r| r.started.from.order_key());
    let since = rollbacks.filter(|key| *key < begun).max();
    let pilot = is_pilot(&trial.stage.key);
    let concerns = |d: &&Decision| {
        let decided = &d.fact.value;
        let named = decided.stage.as_ref();
        match decided.gate {
            Gate::Stage => named.is_none_or(|s| *s == trial.stage.key),
            Gate::Pilot => pilot,
            // A launch gate opens the stages from the one that it names on.
            Gate::Launch | Gate::Relaunch => true,
        }
    };
    let mut decisions = trial.rollout.decisions.gates.iter().filter(concerns);
    decisions.rfind(|d| {
        let key = d.fact.from.order_key();
        key <= begun && since.is_none_or(|since| key > since)
    })
}

fn without_go(trial: &Trial, decision: Option<&Decision>) -> Verdict {
    const CODE: &str = "advanced_without_go";
    let clause = Some(Clause::policy("A stage begins only after a go."));
    let rolled_back = trial
        .rollout
        .rollbacks
        .actual
        .iter()
        .any(|r| r.started.from.order_key() < trial.start.order_key());
    let verdict = match decision {
        _ if trial.start.time.is_none() => {
            trial.verdict(CODE, Outcome::Undecided, "When it began is not known.")
        }
        None if rolled_back => {
            trial.verdict(CODE, Outcome::Broken, "No go is recorded since the rollback.")
        }
        None => trial.verdict(CODE, Outcome::Broken, "No go is recorded before it began."),
        Some(d) if d.fact.time().is_none() => {
            trial.verdict(CODE, Outcome::Undecided, "When its gate was decided is not known.")
        }
        Some(d) if d.goes() => {
            let why = format!("The {} gate said {}.", d.fact.value.gate, d.verdict());
            trial.verdict(CODE, Outcome::Kept, why)
        }
        Some(d) => {
            let why = format!("The newest decision before it said {}.", d.verdict());
            trial.verdict(CODE, Outcome::Broken, why)
        }
    };
    verdict.shown(clause, decision.map(|d| d.fact.seq()))
}

fn open_condition(trial: &Trial, decision: Option<&Decision>) -> Verdict {
    const CODE: &str = "advanced_with_open_condition";
    let clause = Some(Clause::policy("Every condition of a go is met before the stage begins."));
    let Some(decision) = decision.filter(|d| d.goes()) else {
        let why = "No go says under which conditions it might begin.";
        return trial.verdict(CODE, Outcome::Undecided, why).shown(clause, []);
    };
    if trial.start.time.is_none() {
        let why = "When it began is not known.";
        return trial.verdict(CODE, Outcome::Undecided, why).shown(clause, []);
    }
    let begun = trial.start.order_key();
    let mut seqs = vec![decision.fact.seq()];
    let (mut open, mut unknown) = (Vec::new(), false);
    for condition in &decision.conditions {
        let resolved = condition.resolved.as_ref().filter(|_| !condition.is_open());
        seqs.extend(resolved.map(Fact::seq));
        match resolved {
            Some(r) if r.time().is_none() => unknown = true,
            Some(r) if r.from.order_key() <= begun => {}
            _ => open.push(condition.text.clone()),
        }
    }
    let verdict = match open.as_slice() {
        [] if unknown => {
            trial.verdict(CODE, Outcome::Undecided, "When a condition was met is not known.")
        }
        [] if decision.conditions.is_empty() => {
            trial.verdict(CODE, Outcome::Kept, "The go had no condition.")
        }
        [] => trial.verdict(CODE, Outcome::Kept, "Every condition of the go was met before."),
        open => {
            let why = format!("Open when it began: {}.", open.join("; "));
            trial.verdict(CODE, Outcome::Broken, why)
        }
    };
    verdict.shown(clause, seqs)
}

fn blocking_bug(trial: &Trial) -> Verdict {
    const CODE: &str = "advanced_with_launch_blocking_bug";
    let clause = Some(Clause::policy("No launch-blocking bug is open when a stage begins."));
    let Some(at) = trial.start.time else {
        let why = "When it began is not known.";
        return trial.verdict(CODE, Outcome::Undecided, why).shown(clause, []);
    };
    let bugs = trial.rollout.measurements.bugs.iter().filter(|(_, bug)| bug.launch_blocking());
    let (mut open, mut unsure, mut seqs) = (Vec::new(), Vec::new(), Vec::new());
    for (id, bug) in bugs {
        match found_by(bug, at) {
            Some(false) => continue,
            None => unsure.push(id.as_str()),
            Some(true) => match bug.state_by(Some(at)) {
                BugState::Fixed | BugState::Verified => {}
                BugState::Disputed => unsure.push(id.as_str()),
                BugState::Open | BugState::Deferred => open.push(id.as_str()),
            },
        }
        seqs.extend(bug.seqs());
    }
    let verdict = if !open.is_empty() {
        let why = format!("Open when it began: {}.", open.join(", "));
        trial.verdict(CODE, Outcome::Broken, why)
    } else if unsure.is_empty() {
        trial.verdict(CODE, Outcome::Kept, "No launch-blocking bug was open when it began.")
    } else {
        let why = format!("Whether {} was open then cannot be told.", unsure.join(", "));
        trial.verdict(CODE, Outcome::Undecided, why)
    };
    verdict.shown(clause, seqs)
}

/// Whether a bug had been found by a moment; `None` when nobody knows.
fn found_by(bug: &Bug, at: Moment) -> Option<bool> {
    let times: Option<Vec<Moment>> = bug.found.iter().map(Fact::time).collect();
    let known = bug.found.iter().filter_map(Fact::time).any(|time| time <= at);
    if known { Some(true) } else { times.map(|_| false) }
}

/// The move with which the rollout went on from an attempt: the next stage, or the launch when
/// the attempt itself had not reached everyone.
fn left_by<'a>(trial: &Trial<'a>) -> Option<&'a Move> {
    let everyone = exposure::share_bp(trial.attempt.exposures())
        .or_else(|| exposure::share_bp(&trial.plan?.exposures))
        == Some(10_000);
    trial.moves_after().into_iter().find(|m| match m.kind {
        MoveKind::Started => m.stage.as_ref() != Some(&trial.stage.key),
        MoveKind::Launched => !everyone,
        _ => false,
    })
}

fn without_results(trial: &Trial) -> Verdict {
    const CODE: &str = "advanced_without_results";
    let clause = Some(Clause::policy("A stage's results are recorded before the next begins."));
    let results = &trial.attempt.results;
    let (left, all) = (left_by(trial), results.iter().map(Fact::seq));
    let Some(left) = left.filter(|_| !trial.given_up()) else {
        return not_left(trial, CODE).shown(clause, all);
    };
    let in_time = |from: &Provenance| from.time.is_some_and(|time| time <= left.at());
    let verdict = if results.iter().any(|r| in_time(&r.from)) {
        trial.verdict(CODE, Outcome::Kept, "Its results were there before the next stage began.")
    } else if results.is_empty() {
        trial.verdict(CODE, Outcome::Broken, "The next stage began and it has no results.")
    } else if left.time.is_none() || results.iter().any(|r| r.time().is_none()) {
        trial.verdict(CODE, Outcome::Undecided, "When its results were known is not known.")
    } else {
        trial.verdict(CODE, Outcome::Broken, "Its results came after the next stage began.")
    };
    verdict.shown(clause, all.chain([left.seq]))
}

fn criteria(trial: &Trial) -> Verdict {
    const CODE: &str = "advanced_with_criterion_unmet";
    let clause = Some(Clause::policy("Every success criterion is met before the next stage."));
    let Some(left) = left_by(trial).filter(|_| !trial.given_up()) else {
        return not_left(trial, CODE).shown(clause, []);
    };
    let begun = trial.start.order_key();
    let all = &trial.rollout.decisions.criteria;
    let concerns = |c: &&Criterion| {
        let scope = c.set.last().and_then(|set| set.value.stage.as_ref());
        let after = c.set.last().is_some_and(|set| {
            set.value.checkpoint.is_some() || set.value.scope == CriterionScope::Checkpoint
        });
        // Criteria that name no stage are for the staged rollout; a pilot comes before it.
        // An evaluation alone says neither what was set nor for which stage.
        !c.set.is_empty()
            && !after
            && scope.map_or(!is_pilot(&trial.stage.key), |s| *s == trial.stage.key)
    };
    let (mut missed, mut unobserved, mut seqs, mut count) = (vec![], vec![], vec![], 0);
    for (name, criterion) in all.iter().filter(|(_, c)| concerns(c)) {
        count += 1;
        let newest = criterion.evaluated.iter().rev().find(|e| {
            let here = e.value.stage.as_ref().is_none_or(|s| *s == trial.stage.key);
            let key = e.from.order_key();
            here && key >= begun && key <= (left.at(), left.seq)
        });
        seqs.extend(newest.map_or_else(|| criterion.set.last().map(Fact::seq), |e| Some(e.seq())));
        match newest.map(|e| e.value.verdict) {
            Some(CriterionVerdict::Met | CriterionVerdict::Overridden) => {}
            Some(CriterionVerdict::Missed) => missed.push(name.as_str()),
            None => unobserved.push(name.as_str()),
        }
    }
    let verdict = if !missed.is_empty() {
        let why = format!("Missed and not overridden: {}.", missed.join(", "));
        trial.verdict(CODE, Outcome::Broken, why)
    } else if !unobserved.is_empty() {
        let why = format!("Never evaluated in this stage: {}.", unobserved.join(", "));
        trial.verdict(CODE, Outcome::Broken, why)
    } else if count == 0 {
        trial.verdict(CODE, Outcome::Undecided, "No success criterion is recorded for it.")
    } else {
        trial.verdict(CODE, Outcome::Kept, "Every success criterion was met or overridden.")
    };
    verdict.shown(clause, seqs.into_iter().chain([left.seq]))
}

/// The verdict where nothing advanced from the attempt.
fn not_left(trial: &Trial, code: &'static str) -> Verdict {
    if trial.given_up() {
        trial.verdict(
            code,
            Outcome::Kept,
            "It was given up or rolled back; nothing advanced from it.",
        )
    } else {
        trial.verdict(code, Outcome::Undecided, "No later stage has begun.")
    }
}
