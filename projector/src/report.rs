//! The retrospective of a rollout: what was planned, what happened, what is still open.
//!
//! A [`Report`] is the model; its JSON and its Markdown say the same. Every line names the events
//! that it rests on.

mod markdown;
#[cfg(test)]
mod tests;

use schemas::{event::decision::CriterionVerdict, values::Results};
use serde::Serialize;

pub use markdown::report_markdown;

use crate::{
    blanks::verdict,
    checkpoints::{
        Checkpoints,
        kpis::{self, Kpi, KpiVerdict},
    },
    deviations::{Deviations, Verdict},
    recorded::Moment,
    rollout::{
        Attempt, BugState, Fact, MoveKind, Rollback, Rollout, Status,
        decisions::same_words,
        exposure,
        stages::{Ended, Stage},
    },
    timeline::sentence,
};

/// The retrospective of one rollout by an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Report {
    pub rollout: Option<String>,
    pub title: Option<String>,
    /// By when it was computed.
    pub by: Moment,
    /// The newest event that it rests on.
    pub seq: Option<u64>,
    pub status: Status,
    /// The zone of the plan's local dates.
    pub time_zone: String,
    pub gates: Vec<Line>,
    pub stages: Vec<StageRow>,
    pub goals: Vec<Goal>,
    pub criteria: Vec<CriterionRow>,
    pub snapshots: Vec<Snapshot>,
    pub rollbacks: Vec<RollbackRow>,
    pub bugs: Vec<BugRow>,
    pub questions: Vec<Answered>,
    pub unanswered: Vec<String>,
    pub feedback: Vec<Line>,
    pub cleanup: Vec<Line>,
    pub deviations: Vec<Verdict>,
    pub kept: usize,
    pub undecided: usize,
    /// Places of the newest plan that wait for a fact which the ledger does not have.
    pub blanks: Vec<BlankRow>,
    /// Seqs of events that this binary cannot read: the report may lack what they say.
    pub unread_events: Vec<u64>,
}

/// One sentence and the events that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Line {
    pub what: String,
    pub time: Option<Moment>,
    pub seqs: Vec<u64>,
    /// Taken from a document and confirmed by nobody.
    pub unverified: bool,
}

/// One attempt at a stage, plan beside actual; a stage that never began has one row without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct StageRow {
    pub stage: String,
    pub label: String,
    pub attempt: Option<u64>,
    pub planned_exposure: String,
    pub actual_exposure: String,
    pub planned_length: String,
    pub started: Option<Moment>,
    pub ended: Option<Moment>,
    /// `completed`, `advanced` (the next stage began without a recorded end), `cancelled`, `rolled
    /// back`, `skipped`, `running`, `not started`, or `ran (inferred)` when only its results say so.
    pub outcome: &'static str,
    /// What it showed, in the words of the sources.
    pub results: Vec<Line>,
    pub seqs: Vec<u64>,
}

/// A goal, its baseline and what was reached at each snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Goal {
    pub name: String,
    pub goal: Option<String>,
    pub baseline: Option<String>,
    pub actual: Vec<GoalActual>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct GoalActual {
    pub checkpoint: String,
    pub value: String,
    /// Whether the goal was reached: met or missed as the snapshot's KPIs say, else neither.
    pub reached: Option<bool>,
    pub seq: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct CriterionRow {
    pub text: String,
    pub verdict: Option<CriterionVerdict>,
    pub seqs: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Snapshot {
    pub checkpoint: String,
    pub state: &'static str,
    pub due: Option<Moment>,
    pub results: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct RollbackRow {
    pub what: String,
    pub triggered_at: Option<Moment>,
    pub steps: Vec<RollbackStep>,
    /// Microseconds from the trigger to the end.
    pub lasted_us: Option<i64>,
    pub resumed: Option<Moment>,
    pub seqs: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct RollbackStep {
    pub what: String,
    /// Microseconds from the trigger.
    pub after_us: Option<i64>,
    pub seq: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct BugRow {
    pub bug: String,
    pub title: String,
    pub state: BugState,
    pub stages: Vec<String>,
    /// What the source says became of it; no proof that it was fixed.
    pub resolution: Option<String>,
    pub seqs: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Answered {
    pub question: String,
    pub answer: String,
    pub seq: u64,
}

/// A place of the plan without a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct BlankRow {
    pub path: String,
    pub label: Option<String>,
    pub line: u64,
}

impl Report {
    /// The retrospective by an instant.
    pub fn of(rollout: &Rollout, now: Moment) -> Report {
        let judged = Deviations::of(rollout, now);
        let outcome = &rollout.outcome;
        let line = |what: String, from: &crate::rollout::Provenance| Line {
            what,
            time: from.time,
            seqs: vec![from.seq],
            unverified: from.unverified,
        };
        Report {
            rollout: rollout.id.as_ref().map(ToString::to_string),
            title: rollout.plan.title().map(str::to_owned),
            by: now,
            seq: rollout.seq,
            status: rollout.status(),
            time_zone: rollout.plan.time_zone().to_owned(),
            gates: rollout.decisions.gates.iter().map(gate).collect(),
            stages: rollout.stages.iter().flat_map(|s| stage_rows(rollout, s)).collect(),
            goals: goals(rollout),
            criteria: criteria(rollout),
            snapshots: snapshots(rollout, now),
            rollbacks: rollout.rollbacks.actual.iter().map(rollback).collect(),
            bugs: bugs(rollout),
            questions: outcome.answers.iter().map(|a| answered(rollout, a)).collect(),
            unanswered: rollout.open_questions(),
            feedback: outcome
                .feedback
                .iter()
                .map(|f| line(sentence(&f.value.clone().event()), &f.from))
                .collect(),
            cleanup: outcome
                .open_cleanup()
                .map(|f| line(sentence(&f.value.clone().event()), &f.from))
                .collect(),
            kept: judged.kept,
            undecided: judged.undecided,
            deviations: judged.broken().cloned().collect(),
            blanks: blanks(rollout),
            unread_events: rollout.unread_events.clone(),
        }
    }
}

fn gate(decision: &crate::rollout::decisions::Decision) -> Line {
    let from = &decision.fact.from;
    let conditions = decision.conditions.iter().filter_map(|c| c.resolved.as_ref());
    let mut seqs = vec![from.seq];
    seqs.extend(conditions.map(Fact::seq));
    let decided = &decision.fact.value;
    let stage = decided.stage.as_ref().map_or_else(String::new, |s| format!(" to {s}"));
    let what = format!("{} gate{stage}: {}", decided.gate, verdict(decision));
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    Line { what, time: from.time, seqs, unverified: from.unverified }
}

fn stage_rows(rollout: &Rollout, stage: &Stage) -> Vec<StageRow> {
    if stage.attempts.is_empty() {
        return vec![stage_row(rollout, stage, None)];
    }
    stage.attempts.iter().map(|attempt| stage_row(rollout, stage, Some(attempt))).collect()
}

fn stage_row(rollout: &Rollout, stage: &Stage, attempt: Option<&Attempt>) -> StageRow {
    let plan = stage.plan();
    let length = plan.and_then(|p| p.length.as_ref());
    let length = length
        .and_then(|l| l.raw.clone().or_else(|| l.min.as_ref().map(ToString::to_string)))
        .or_else(|| plan.and_then(|p| p.window.as_ref()?.raw.clone()));
    let results = attempt.map(|a| a.results.as_slice()).unwrap_or_default();
    let mut seqs: Vec<u64> = plan.iter().map(|p| p.from.seq).collect();
    if let Some(attempt) = attempt {
        seqs.extend(attempt.started.iter().map(Fact::seq));
        seqs.extend(attempt.retargeted.iter().map(Fact::seq));
        seqs.extend(attempt.ended.iter().map(|e| e.from().seq));
        seqs.extend(&attempt.rollback_seqs);
    }
    seqs.extend(stage.skipped.iter().map(Fact::seq));
    StageRow {
        stage: stage.key.to_string(),
        label: stage.label().to_owned(),
        attempt: attempt.map(|a| a.number),
        planned_exposure: plan.map_or_else(String::new, |p| exposure::words(&p.exposures)),
        actual_exposure: attempt.map_or_else(String::new, |a| exposure::words(a.exposures())),
        planned_length: length.unwrap_or_default(),
        started: attempt.and_then(Attempt::started_at),
        ended: attempt.and_then(|a| a.ended.last()?.from().time),
        outcome: outcome_of(rollout, stage, attempt),
        results: results.iter().flat_map(|r| result_lines(&r.value.results, &r.from)).collect(),
        seqs,
    }
}

fn outcome_of(rollout: &Rollout, stage: &Stage, attempt: Option<&Attempt>) -> &'static str {
    let left = |from: &crate::rollout::Provenance| {
        rollout.moves.iter().any(|m| {
            matches!(m.kind, MoveKind::Started | MoveKind::WentOn)
                && m.stage.as_ref() != Some(&stage.key)
                && (m.at(), m.seq) > from.order_key()
        })
    };
    match attempt {
        None if !stage.skipped.is_empty() => "skipped",
        None => "not started",
        Some(a) if !a.rollback_seqs.is_empty() => "rolled back",
        Some(a) => match a.ended.last() {
            Some(Ended::Completed(_)) => "completed",
            Some(Ended::Cancelled(_)) => "cancelled",
            None if a.started.as_ref().is_some_and(|s| left(&s.from)) => "advanced",
            None if a.started.is_some() => "running",
            None if a.inferred_ran => "ran (inferred)",
            None => "not started",
        },
    }
}

/// Everything that a block of results says, a line each.
fn result_lines(results: &Results, from: &crate::rollout::Provenance) -> Vec<Line> {
    let parts = crate::blanks::parts(results).into_iter();
    let line = |what: String| Line {
        what,
        time: from.time,
        seqs: vec![from.seq],
        unverified: from.unverified,
    };
    parts.map(|(_, name, text)| line(format!("{name}: {text}"))).collect()
}

fn goals(rollout: &Rollout) -> Vec<Goal> {
    let planned = kpis::planned(rollout).map(|(name, goal)| Goal {
        baseline: kpis::baseline(rollout, &|other| same_words(&name, other)).map(|b| b.raw),
        goal: (!goal.is_empty()).then_some(goal),
        name,
        actual: vec![],
    });
    let mut goals: Vec<Goal> = planned.collect();
    for checkpoint in Checkpoints::of(rollout).iter() {
        for kpi in Kpi::of(rollout, checkpoint) {
            let replaced = kpi.before.iter().map(|value| (value, None, " (replaced)"));
            let reached = match kpi.verdict {
                KpiVerdict::Met => Some(true),
                KpiVerdict::Missed => Some(false),
                KpiVerdict::NoData | KpiVerdict::CannotBeCompared => None,
            };
            let holds = kpi.actual.iter().map(|value| (value, reached, ""));
            let actual = replaced.chain(holds).map(|(value, reached, mark)| GoalActual {
                checkpoint: checkpoint.name.clone(),
                value: format!("{}{mark}", value.raw),
                reached,
                seq: value.seq,
            });
            let actual: Vec<GoalActual> = actual.collect();
            let wanted = kpi.goal.map(|g| g.raw);
            match goals.iter_mut().find(|g| same_words(&g.name, &kpi.name)) {
                Some(goal) => {
                    goal.goal = goal.goal.take().or(wanted);
                    goal.actual.extend(actual);
                }
                // What was only measured is no goal.
                None if wanted.is_some() && !actual.is_empty() => goals.push(Goal {
                    name: kpi.name,
                    goal: wanted,
                    baseline: kpi.baseline.map(|b| b.raw),
                    actual,
                }),
                None => {}
            }
        }
    }
    goals
}

fn criteria(rollout: &Rollout) -> Vec<CriterionRow> {
    let all = rollout.decisions.criteria.iter();
    all.map(|(name, criterion)| {
        let set = criterion.set.last();
        let evaluated = criterion.evaluated.last();
        CriterionRow {
            text: set.map_or_else(|| name.clone(), |s| s.value.text.clone()),
            verdict: evaluated.map(|e| e.value.verdict),
            seqs: set.map(Fact::seq).into_iter().chain(evaluated.map(Fact::seq)).collect(),
        }
    })
    .collect()
}

fn snapshots(rollout: &Rollout, now: Moment) -> Vec<Snapshot> {
    let checkpoints = Checkpoints::of(rollout);
    let all = checkpoints.iter().map(|c| Snapshot {
        checkpoint: c.name.clone(),
        state: c.state(now).as_str(),
        due: c.due,
        results: c.newest().map(|s| result_lines(&s.value.results, &s.from)).unwrap_or_default(),
    });
    all.collect()
}

fn rollback(rollback: &Rollback) -> RollbackRow {
    let completed = rollback.completed.as_ref();
    let mut seqs = vec![rollback.started.seq()];
    seqs.extend(completed.map(Fact::seq));
    RollbackRow {
        what: sentence(&rollback.started.value.clone().event()),
        triggered_at: rollback.triggered_at,
        steps: rollback
            .steps
            .iter()
            .map(|s| RollbackStep {
                what: sentence(&s.fact.value.clone().event()),
                after_us: s.after_us,
                seq: s.fact.seq(),
            })
            .collect(),
        lasted_us: completed.and_then(|c| rollback.after_us(c.time())),
        resumed: rollback.resumed.as_ref().and_then(Fact::time),
        seqs,
    }
}

fn bugs(rollout: &Rollout) -> Vec<BugRow> {
    let bugs = rollout.measurements.bugs.iter();
    bugs.map(|(id, bug)| BugRow {
        bug: id.clone(),
        title: bug.title().to_owned(),
        state: bug.state(),
        stages: bug.stages().map(ToString::to_string).collect(),
        resolution: bug.resolution().map(str::to_owned),
        seqs: bug.seqs(),
    })
    .collect()
}

fn answered(rollout: &Rollout, fact: &Fact<schemas::event::outcome::QuestionAnswered>) -> Answered {
    // In the plan's words, whatever it was called by who answered.
    let asked = rollout.question_of(&fact.value).map(|(_, words)| words);
    let question = asked.unwrap_or(&fact.value.question).to_owned();
    Answered { question, answer: fact.value.answer.clone(), seq: fact.seq() }
}

fn blanks(rollout: &Rollout) -> Vec<BlankRow> {
    let Some(newest) = rollout.plan.newest() else { return vec![] };
    let empty =
        |f: &&schemas::values::PlanField| rollout.answer_for(&f.path, f.label.as_deref()).is_none();
    let rows = newest.blanks().filter(empty);
    rows.map(|f| BlankRow { path: f.path.clone(), label: f.label.clone(), line: f.line }).collect()
}
