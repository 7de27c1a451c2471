//! Checklists, gates, questions, clean-up.

use schemas::{
    event::{
        decision::{ChecklistItemSet, Gate, GateDecided, ItemState, Verdict},
        outcome::{Assumption, CleanupPlanned, QuestionAnswered},
    },
    values::{PlanField, PlanValue},
};

use super::{
    Fact, Tree, answer,
    measures::{link, when},
    said,
};
use crate::plan::labels::normal;

/// Ticked boxes. A tick is no decision.
pub(super) fn checklist<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let ticked = tree.values("checklist").into_iter();
    ticked
        .filter(|f| f.value == Some(PlanValue::Checked(true)))
        .filter_map(|field| {
            let section = field.path.split('/').nth(1).map(|slug| slug.replace('-', " "));
            Fact::new(field.path.clone(), vec![field], move |said| {
                let item = field.label.clone().unwrap_or_default();
                said!(said, ChecklistItemSet { item, state: ItemState::Done, section })
            })
        })
        .collect()
}

/// Gates whose verdict is filled in.
pub(super) fn gates<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let mut out = Vec::new();
    for name in tree.names("gates") {
        let base = format!("gates/{name}");
        let Some(gate) = Gate::ALL.iter().copied().find(|gate| gate.as_str() == name) else {
            continue;
        };
        let verdicts = tree.values(&format!("{base}/verdict"));
        for (at, field) in verdicts.iter().copied().enumerate() {
            // What is said between two decisions belongs to the first of them.
            let from = if at == 0 { 0 } else { field.start };
            let to = verdicts.get(at + 1).map_or(u64::MAX, |next| next.start);
            let told = |leaf: &str| {
                let all = tree.values(&format!("{base}/{leaf}")).into_iter();
                all.filter(|f| (from..to).contains(&f.start)).collect::<Vec<_>>()
            };
            let date = tree.value(&field.path.replacen("/verdict", "/date", 1));
            out.extend(decided(gate, field, date, told("conditions"), told("blockers")));
        }
    }
    out
}

fn decided<'f>(
    gate: Gate,
    field: &'f PlanField,
    date: Option<&'f PlanField>,
    conditions: Vec<&'f PlanField>,
    blockers: Vec<&'f PlanField>,
) -> Option<Fact<'f>> {
    let verdict = verdict(&answer(field), !conditions.is_empty())?;
    let occurrence = date.and_then(when);
    let fields = std::iter::once(field).chain(date);
    let fields = fields.chain(conditions.clone()).chain(blockers.clone()).collect();
    let fact = Fact::new(field.path.clone(), fields, move |said| {
        let digest = said.plan.digest.clone();
        said!(
            said,
            GateDecided {
                gate,
                stage: None,
                verdict,
                decided_by: Vec::new(),
                sign_offs: Vec::new(),
                plan_revision: Some(digest),
                considered: Vec::new(),
                blockers: blockers.iter().map(|f| answer(f)).collect(),
                conditions: conditions.iter().map(|f| answer(f)).collect(),
                raw: Some(answer(field)),
            }
        )
    })?;
    Some(Fact { occurrence, ..fact })
}

fn verdict(raw: &str, conditions: bool) -> Option<Verdict> {
    let words = normal(raw);
    let tokens: Vec<&str> =
        words.split(|c: char| !c.is_alphanumeric()).filter(|t| !t.is_empty()).collect();
    match *tokens {
        ["no", "go", ..] | ["nogo", ..] | ["not", "ready", ..] => Some(Verdict::NoGo),
        ["conditional", ..] => Some(Verdict::Conditional),
        ["go", ..]
            if conditions
                || tokens.iter().any(|t| {
                    matches!(
                        *t,
                        "if" | "condition"
                            | "conditions"
                            | "conditional"
                            | "once"
                            | "provided"
                            | "providing"
                    )
                }) =>
        {
            Some(Verdict::Conditional)
        }
        ["go" | "launch" | "ready" | "approved", ..] => Some(Verdict::Go),
        ["deferred" | "postponed" | "pause" | "paused" | "delayed", ..] => Some(Verdict::Deferred),
        _ => None,
    }
}

/// Answered post-launch questions.
pub(super) fn questions<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let mut out = Vec::new();
    for number in tree.names("questions") {
        let base = format!("questions/{number}");
        let answers = tree.values(&format!("{base}/answer"));
        let Some(asked) = tree.value(&format!("{base}/question")).filter(|_| !answers.is_empty())
        else {
            continue;
        };
        let question = answer(asked);
        let words = answers.iter().map(|f| answer(f)).collect::<Vec<_>>().join("\n");
        let assumption =
            if normal(&question).contains("assumption") { assumption(&words) } else { None };
        let fields = answers.into_iter().chain([asked]).collect();
        out.extend(Fact::new(format!("{base}/answer"), fields, move |said| {
            said!(said, QuestionAnswered { question, answer: words, assumption })
        }));
    }
    out
}

/// What became of the assumptions, when the answer says one thing of all.
fn assumption(answer: &str) -> Option<Assumption> {
    let words = normal(answer);
    let not = words.contains("not validated") || words.contains("invalidated");
    let yes = words.replace("not validated", "").replace("invalidated", "").contains("validated");
    match (yes, not) {
        (true, false) => Some(Assumption::Validated),
        (false, true) => Some(Assumption::NotValidated),
        _ if words == "n/a" || words == "na" => Some(Assumption::NotApplicable),
        _ => None,
    }
}

/// What must be cleaned up. A ticket about it names no flag.
pub(super) fn cleanup<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let lines = tree.values("cleanup").into_iter();
    lines
        .filter_map(|field| {
            let raw = answer(field);
            let ticket = link(&raw);
            Fact::new(field.path.clone(), vec![field], move |said| {
                said!(said, CleanupPlanned { flag: None, ticket, due: None, raw: Some(raw) })
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_one_only_when_it_says_so() {
        let rows = [
            ("GO!", Some(Verdict::Go)),
            ("No-go", Some(Verdict::NoGo)),
            ("Go, if the two bugs are fixed", Some(Verdict::Conditional)),
            ("Week of 6/28", None),
            ("Postponed", Some(Verdict::Deferred)),
        ];
        for (raw, expected) in rows {
            assert_eq!(verdict(raw, false), expected, "{raw}");
        }
    }
}
