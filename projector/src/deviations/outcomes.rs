//! Snapshots in time and on firm ground, goals set before their results, approval by someone else.

use std::collections::BTreeSet;

use schemas::values::{Actor, Basis, Party};

use super::{Clause, Outcome, Verdict, Whose, length_words};
use crate::{
    checkpoints::{Checkpoint, CheckpointState, Checkpoints},
    recorded::Moment,
    rollout::{Fact, Provenance, Rollout, decisions::Criterion, decisions::Decision},
};

const OVERDUE: &str = "snapshot_overdue";
const LIVE_LINK: &str = "snapshot_on_live_link_alone";
const GOAL: &str = "goal_set_after_result";
const AUTHOR: &str = "author_is_approver";

pub(super) fn judge(rollout: &Rollout, now: Moment) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for checkpoint in Checkpoints::of(rollout).iter() {
        verdicts.push(overdue(checkpoint, now));
        verdicts.extend(live_link(checkpoint));
    }
    for (name, criterion) in &rollout.decisions.criteria {
        verdicts.push(goal(rollout, name, criterion));
    }
    verdicts.extend(replaced_goals(rollout));
    verdicts
        .extend(rollout.decisions.gates.iter().filter(|d| d.goes()).map(|d| author(rollout, d)));
    verdicts
}

fn overdue(checkpoint: &Checkpoint, now: Moment) -> Verdict {
    let text = "A snapshot is recorded within 7 days of falling due, at 09:00 local time.";
    let verdict = |outcome, why: String| {
        Verdict::new(OVERDUE, &format!("snapshot {}", checkpoint.name), outcome, why)
    };
    let due = checkpoint.due.map_or_else(String::new, |due| due.to_string());
    let first = checkpoint.counting();
    let first = first.min_by_key(|s| s.from.order_key());
    let judged = match (checkpoint.state(now), first, checkpoint.grace_ends) {
        (CheckpointState::Recorded | CheckpointState::Late, Some(s), Some(grace)) => match s.time()
        {
            None => verdict(Outcome::Undecided, "When it was taken is not known.".to_owned()),
            Some(at) if at <= grace => verdict(Outcome::Kept, "It was taken in time.".to_owned()),
            Some(at) => {
                let late = length_words(at.0 - grace.0);
                verdict(Outcome::Broken, format!("It was taken {late} after its grace ended."))
            }
        },
        (CheckpointState::Recorded | CheckpointState::Late, _, _) => {
            let why = "A snapshot is there, but no launch of known time to count from.";
            verdict(Outcome::Undecided, why.to_owned())
        }
        (CheckpointState::NotAnchored, ..) => {
            let why = "No launch of known time is recorded to count from.";
            verdict(Outcome::Undecided, why.to_owned())
        }
        (CheckpointState::Pending | CheckpointState::Replaced, ..) => {
            verdict(Outcome::Undecided, format!("It falls due at {due}."))
        }
        (CheckpointState::Due, ..) => {
            verdict(Outcome::Undecided, format!("It fell due at {due}; its grace runs."))
        }
        (CheckpointState::Overdue | CheckpointState::Missed, ..) => {
            verdict(Outcome::Broken, format!("It fell due at {due} and is not recorded."))
        }
    };
    let seqs = checkpoint.anchor.into_iter().chain(first.map(Fact::seq)).chain(checkpoint.missed);
    judged.shown(Some(Clause::policy(text)), seqs)
}

fn live_link(checkpoint: &Checkpoint) -> Option<Verdict> {
    let newest = checkpoint.newest()?;
    let evidence = &newest.value.evidence;
    let live = evidence.iter().filter(|e| e.live == Some(true)).count();
    let (outcome, why) = match evidence.len() {
        0 => (Outcome::Undecided, "It names no evidence."),
        all if all == live => (Outcome::Broken, "All that it rests on shows something that moves."),
        _ => (Outcome::Kept, "It rests on evidence that stays as it is."),
    };
    let clause = Clause::policy("A snapshot rests on more than a live link.");
    let about = format!("snapshot {}", checkpoint.name);
    Some(Verdict::new(LIVE_LINK, &about, outcome, why).shown(Some(clause), [newest.seq()]))
}

/// Whether a criterion was set, and last changed, before its result was known.
fn goal(rollout: &Rollout, name: &str, criterion: &Criterion) -> Verdict {
    let about = format!("criterion {name}");
    let verdict = |outcome, why: &str| Verdict::new(GOAL, &about, outcome, why);
    let Some(set) = last_change(criterion) else {
        return verdict(Outcome::Undecided, "It was evaluated and never set.");
    };
    let from = &set.from;
    let clause = Clause {
        text: set.value.text.clone(),
        whose: Whose::Plan,
        path: from.plan_path.clone(),
        line: from.plan_line,
        seq: Some(from.seq),
    };
    let known = first_result(rollout, criterion);
    let seqs = [from.seq].into_iter().chain(known.map(|k| k.seq));
    let judged = match known {
        None => verdict(Outcome::Undecided, "No result of it is recorded."),
        Some(result) if result.time.is_none() || from.time.is_none() => {
            verdict(Outcome::Undecided, "When it was set or its result was known is not known.")
        }
        Some(result) if from.order_key() <= result.order_key() => {
            verdict(Outcome::Kept, "It was set before its result was known.")
        }
        Some(_) if from.basis == Basis::Imported && criterion.set.len() == 1 => {
            let why = "The plan that sets it was recorded only after its result was known.";
            verdict(Outcome::Undecided, why)
        }
        Some(_) => verdict(Outcome::Broken, "It was set or changed after its result was known."),
    };
    judged.shown(Some(clause), seqs)
}

/// The setting of a criterion that last changed what it demands.
fn last_change(criterion: &Criterion) -> Option<&Fact<schemas::event::decision::CriterionSet>> {
    let same = |a: &schemas::event::decision::CriterionSet,
                b: &schemas::event::decision::CriterionSet| {
        (&a.text, &a.comparison, &a.threshold, &a.metric, &a.unit)
            == (&b.text, &b.comparison, &b.threshold, &b.metric, &b.unit)
    };
    let mut last = criterion.set.first()?;
    for set in &criterion.set {
        if !same(&last.value, &set.value) {
            last = set;
        }
    }
    Some(last)
}

fn first_result<'a>(rollout: &'a Rollout, criterion: &'a Criterion) -> Option<&'a Provenance> {
    let metric = criterion.set.last().and_then(|s| s.value.metric.as_ref());
    let observed = metric.and_then(|m| rollout.measurements.metrics.get(m));
    let baseline = |c: Option<&str>| c == Some("baseline");
    let observed = observed.into_iter().flat_map(|m| &m.observed);
    let observed = observed.filter(|o| !baseline(o.value.checkpoint.as_deref())).map(|o| &o.from);
    let evaluated = criterion.evaluated.iter().map(|e| &e.from);
    evaluated.chain(observed).min_by_key(|from| from.order_key())
}

/// Goals of the plan that a revision changed after a snapshot had been taken.
fn replaced_goals(rollout: &Rollout) -> Vec<Verdict> {
    let Some(first) = rollout.outcome.snapshots.first() else { return vec![] };
    let mut verdicts = Vec::new();
    for revision in &rollout.plan.revisions {
        let later = revision.from.order_key() > first.from.order_key();
        let goals = revision.differences.iter().filter(|d| {
            let goal = d.path.strip_prefix("kpis/").is_some_and(|rest| !rest.contains('/'));
            later && goal && d.after.is_some()
        });
        for goal in goals {
            let why = "The plan's goal was set or changed after the first snapshot was taken.";
            let clause = Clause {
                text: goal.after.clone().unwrap_or_default(),
                whose: Whose::Plan,
                path: Some(goal.path.clone()),
                line: rollout.plan.field(Some(&revision.digest), &goal.path).map(|f| f.line),
                seq: Some(revision.from.seq),
            };
            let about = format!("goal {}", goal.path);
            let verdict = Verdict::new(GOAL, &about, Outcome::Broken, why);
            verdicts.push(verdict.shown(Some(clause), [first.seq(), revision.from.seq]));
        }
    }
    verdicts
}

/// Whether somebody other than the plan's author approved.
pub(crate) fn author(rollout: &Rollout, decision: &Decision) -> Verdict {
    let decided = &decision.fact.value;
    let about = match &decided.stage {
        Some(stage) => format!("{} gate to {stage}", decided.gate),
        None => format!("{} gate", decided.gate),
    };
    let clause = Some(Clause::policy("Somebody other than the plan's author approves."));
    let key = decision.fact.from.order_key();
    let revisions = &rollout.plan.revisions;
    let before = revisions.iter().rev().find(|r| r.from.order_key() <= key);
    let revision = before.or(revisions.first());
    let author = revision.and_then(|r| account(r.from.actor.as_ref()));
    let went = |verdict: &str| verdict.trim().to_lowercase().starts_with("go");
    let signed = decided.sign_offs.iter().filter(|s| went(&s.verdict)).map(|s| &s.party);
    let parties: Vec<&Party> = decided.decided_by.iter().chain(signed).collect();
    let approvers: BTreeSet<&str> =
        parties.iter().filter_map(|p| account(p.actor.as_ref())).collect();
    let nameless = parties.iter().any(|p| account(p.actor.as_ref()).is_none());
    let verdict = |outcome, why: &str| Verdict::new(AUTHOR, &about, outcome, why);
    let judged = match author {
        None => verdict(Outcome::Undecided, "Who recorded the plan is not known."),
        Some(_) if parties.is_empty() => {
            verdict(Outcome::Undecided, "Who approved is not recorded.")
        }
        Some(author) if approvers.iter().any(|a| *a != author) => {
            verdict(Outcome::Kept, "Somebody other than the plan's author approved.")
        }
        Some(_) if nameless => {
            verdict(Outcome::Undecided, "Who approved is recorded by role alone.")
        }
        Some(author) => {
            let why = format!("{author} recorded the plan and alone approved it.");
            verdict(Outcome::Broken, &why)
        }
    };
    judged.shown(clause, [decision.fact.seq()].into_iter().chain(revision.map(|r| r.from.seq)))
}

fn account(actor: Option<&Actor>) -> Option<&str> {
    actor?.id.as_deref()
}
