//! Did it follow the plan? A verdict for every rule and everything that the rule judges.
//!
//! The ledger records what happened and refuses nothing; judging is this view. A verdict is *kept*,
//! *broken* or *undecided*, never silence: an empty list of deviations must not look like
//! assurance. An attempt at a stage is judged against the plan that was recorded before it began;
//! what was planned anew afterwards is named beside it. When the plan itself was recorded only
//! afterwards, its first revision is the measure, and the verdict says so.

mod advance;
mod flags;
mod outcomes;
mod percentages;
mod rollbacks;
mod sign_offs;
#[cfg(test)]
mod tests;
mod trial;

pub(crate) use flags::{FULL_US_MAX, full_since};

use schemas::StageKey;
use serde::Serialize;

pub(crate) use outcomes::author as approval_by_author;

use crate::{
    recorded::Moment,
    rollout::{Rollout, StagePlan},
};
use trial::Trial;

/// The verdicts on a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Deviations {
    pub kept: usize,
    pub broken: usize,
    pub undecided: usize,
    /// By stage attempt in the order of the plan, then what concerns the whole rollout.
    pub verdicts: Vec<Verdict>,
}

/// One rule, held against one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Verdict {
    /// Names the rule for ever: `stage_shorter_than_minimum`.
    pub code: &'static str,
    pub outcome: Outcome,
    /// What was found, or why it cannot be decided, in one sentence.
    pub why: String,
    /// What was judged: `stage-a, attempt 2`, a flag, a checkpoint, a rollback.
    pub about: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    /// What it was held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<Clause>,
    /// Seqs of the events that show it.
    pub seqs: Vec<u64>,
    /// Seqs of later plans of the same stage: what was judged by changed afterwards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_afterwards: Vec<u64>,
    /// Whether the plan was recorded only after what is judged had happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plan_recorded_afterwards: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Kept,
    Broken,
    Undecided,
}

/// The words that something is held against, and where they stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Clause {
    pub text: String,
    pub whose: Whose,
    /// The field of the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The event that recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// Whose words a clause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    Plan,
    /// The template's text, which nobody decided.
    Guidance,
    /// A rule for every rollout.
    Policy,
}

impl Deviations {
    /// The verdicts by an instant.
    pub fn of(rollout: &Rollout, now: Moment) -> Deviations {
        let mut verdicts = Vec::new();
        for trial in Trial::all(rollout, now) {
            verdicts.push(trial.length());
            verdicts.push(percentages::as_planned(&trial));
            verdicts.extend(percentages::canary(&trial));
            verdicts.extend(advance::judge(&trial));
        }
        verdicts.extend(unrecorded_stages(rollout));
        verdicts.extend(rollbacks::judge(rollout, now));
        verdicts.extend(flags::judge(rollout, now));
        verdicts.extend(outcomes::judge(rollout, now));
        verdicts.extend(sign_offs::judge(rollout));
        let count = |outcome| verdicts.iter().filter(|v| v.outcome == outcome).count();
        Deviations {
            kept: count(Outcome::Kept),
            broken: count(Outcome::Broken),
            undecided: count(Outcome::Undecided),
            verdicts,
        }
    }

    pub fn broken(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|v| v.outcome == Outcome::Broken)
    }
}

impl Verdict {
    fn new(code: &'static str, about: &str, outcome: Outcome, why: impl Into<String>) -> Verdict {
        Verdict {
            code,
            outcome,
            why: why.into(),
            about: about.to_owned(),
            stage: None,
            attempt: None,
            clause: None,
            seqs: vec![],
            changed_afterwards: vec![],
            plan_recorded_afterwards: false,
        }
    }

    /// With the clause and the events that show it, in order and each once.
    fn shown(mut self, clause: Option<Clause>, seqs: impl IntoIterator<Item = u64>) -> Verdict {
        self.clause = clause;
        self.seqs.extend(seqs);
        self.seqs.sort_unstable();
        self.seqs.dedup();
        self
    }
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Kept => "kept",
            Outcome::Broken => "broken",
            Outcome::Undecided => "undecided",
        }
    }
}

impl Clause {
    fn policy(text: &str) -> Clause {
        let text = text.to_owned();
        Clause { text, whose: Whose::Policy, path: None, line: None, seq: None }
    }

    /// What a stage's plan says in one of its fields.
    fn planned(
        rollout: &Rollout,
        plan: &StagePlan,
        stage: &StageKey,
        leaf: &str,
        words: Option<&String>,
    ) -> Clause {
        let path = format!("stages/{stage}/planning/{leaf}");
        let field = rollout.plan.field(plan.from.plan_digest.as_deref(), &path);
        let field = field.filter(|_| plan.from.plan_path.is_some());
        let text = words.cloned().or_else(|| field.map(|f| f.raw.trim().to_owned()));
        Clause {
            text: text.unwrap_or_default(),
            whose: Whose::Plan,
            path: field.map(|f| f.path.clone()).or_else(|| plan.from.plan_path.clone()),
            line: field.map(|f| f.line).or(plan.from.plan_line),
            seq: Some(plan.from.seq),
        }
    }
}

/// Stages that ran by their results alone, or of which nothing is recorded, cannot be judged.
fn unrecorded_stages(rollout: &Rollout) -> Vec<Verdict> {
    let stages = rollout.stages.iter().enumerate();
    let begun = stages.filter(|(_, s)| s.started()).map(|(place, _)| place).last();
    let mut verdicts = Vec::new();
    for (place, stage) in rollout.stages.iter().enumerate() {
        if stage.started() || !stage.skipped.is_empty() {
            continue;
        }
        let ran = stage.attempts.iter().any(|a| a.inferred_ran);
        if !ran && begun.is_none_or(|last| place > last) {
            continue;
        }
        let why = if ran {
            "Its results say that it ran, but no start of it is recorded."
        } else {
            "A later stage began; of this one neither a start nor a skip is recorded."
        };
        let seqs: Vec<u64> = stage
            .attempts
            .iter()
            .flat_map(|a| a.results.iter().map(crate::rollout::Fact::seq))
            .collect();
        let verdict =
            Verdict::new("stage_not_recorded", stage.key.as_str(), Outcome::Undecided, why);
        verdicts.push(Verdict { stage: Some(stage.key.clone()), ..verdict }.shown(None, seqs));
    }
    verdicts
}

/// A length of time as a person would say it: `3 h 5 min`, `2 d 4 h`.
pub fn length_words(us: i64) -> String {
    let minutes = us.abs() / 60_000_000;
    let (days, hours, rest) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    let sign = if us < 0 { "-" } else { "" };
    let words = match (days, hours, rest) {
        (0, 0, 0) => format!("{} s", us.abs() / 1_000_000),
        (0, 0, rest) => format!("{rest} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, rest) => format!("{hours} h {rest} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    };
    format!("{sign}{words}")
}
