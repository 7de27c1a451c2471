//! Checklists, gates, criteria and goals, questions, clean-up.

use std::sync::LazyLock;

use regex::Regex;
use schemas::{
    event::{
        decision::{
            ChecklistItemSet, Comparison, CriterionForm, CriterionScope, CriterionSet, Gate,
            GateDecided, ItemState, Verdict,
        },
        outcome::{Assumption, CleanupPlanned, QuestionAnswered},
    },
    id::Decimal,
    values::{FieldKind, PlanField, PlanValue},
};

use super::{
    Fact, Tree, answer,
    measures::{link, when},
    said,
};
use crate::{plan::labels::normal, words};

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
        let Some(field) = tree.value(&format!("{base}/verdict")) else { continue };
        let conditions = tree.values(&format!("{base}/conditions"));
        let blockers = tree.values(&format!("{base}/blockers"));
        let Some(verdict) = verdict(&answer(field), !conditions.is_empty()) else { continue };
        let date = tree.value(&format!("{base}/date"));
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
        });
        out.extend(fact.map(|fact| Fact { occurrence, ..fact }));
    }
    out
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
                        "if" | "condition" | "conditions" | "conditional" | "once" | "provided"
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

/// Success criteria and the goals of KPIs. A metric that is named with nothing behind it is a
/// criterion whose form nobody specified.
pub(super) fn criteria<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let mut out = Vec::new();
    for (base, scope) in
        [("rollout/criteria", CriterionScope::Stage), ("kpis", CriterionScope::Checkpoint)]
    {
        for field in tree.under(base) {
            let named = field.kind == FieldKind::Blank
                && field.label.is_some()
                && scope == CriterionScope::Stage
                && is_own_name(field);
            if field.kind == FieldKind::Value || named {
                out.extend(criterion(field, scope, named));
            }
        }
    }
    out
}

/// Whether a blank's label is the plan's own name of a metric, not the template's question.
fn is_own_name(field: &PlanField) -> bool {
    field.label.as_ref().is_some_and(|label| crate::plan::labels::find(label).is_none())
}

fn criterion(field: &PlanField, scope: CriterionScope, named: bool) -> Option<Fact<'_>> {
    let label = field
        .label
        .clone()
        .filter(|l| crate::plan::labels::find(l).is_none() || scope == CriterionScope::Checkpoint);
    let text = if named { label.clone().unwrap_or_default() } else { answer(field) };
    let shape = if named { Shape::unspecified() } else { Shape::of(&text) };
    let name = match (&label, scope) {
        (Some(label), CriterionScope::Checkpoint) => label.clone(),
        _ => text.clone(),
    };
    let slug = words::slug(&normal(&name));
    let criterion = if slug.is_empty() { field.path.replace('/', "-") } else { slug };
    Fact::new(field.path.clone(), vec![field], move |said| {
        said!(
            said,
            CriterionSet {
                criterion,
                text,
                form: shape.form,
                scope,
                stage: None,
                checkpoint: None,
                metric: label,
                comparison: shape.comparison,
                threshold: shape.threshold,
                unit: shape.unit,
                baseline: None,
                window: None,
            }
        )
    })
}

struct Shape {
    form: CriterionForm,
    comparison: Option<Comparison>,
    threshold: Option<Decimal>,
    unit: Option<String>,
}

impl Shape {
    fn unspecified() -> Shape {
        Shape { form: CriterionForm::Unspecified, comparison: None, threshold: None, unit: None }
    }

    /// `error rate < 5 %`, `below 5 calls`; several numbers are left in words.
    fn of(text: &str) -> Shape {
        static THRESHOLD: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(
                r"(?i)(<=|>=|≤|≥|<|>|\bless than\b|\bfewer than\b|\bmore than\b|\bgreater than\b|\bbelow\b|\bunder\b|\babove\b|\bover\b|\bat least\b|\bat most\b)\s*~?([0-9][0-9,]*(?:\.[0-9]+)?)\s*(%|ms|seconds?|s\b|calls?|errors?|submissions?|users?)?",
            )
            .expect("the pattern is valid: a test uses it")
        });
        let words = text.replace("&gt;", ">").replace("&lt;", "<").replace("&#916;", "Δ");
        let lower = normal(&words);
        let has = |any: &[&str]| any.iter().any(|word| lower.contains(word));
        let change =
            words.contains('Δ') || has(&["increase", "decrease", "doesn't change", "reduce"]);
        let found: Vec<_> = THRESHOLD.captures_iter(&words).collect();
        let one = if found.len() == 1 { found.first() } else { None };
        let form = match one {
            _ if change => CriterionForm::Change,
            Some(_) => CriterionForm::Threshold,
            None if has(&["baseline"]) => CriterionForm::BaselineRange,
            None if has(&["present", "show up", "appear", "are populating"]) => {
                CriterionForm::Presence
            }
            None => CriterionForm::Qualitative,
        };
        let group =
            |n: usize| one.and_then(|found| found.get(n)).map(|m| m.as_str().to_lowercase());
        Shape {
            form,
            comparison: group(1).and_then(|sign| comparison(&sign)),
            threshold: group(2).and_then(|number| number.replace(',', "").parse().ok()),
            unit: group(3),
        }
    }
}

fn comparison(sign: &str) -> Option<Comparison> {
    match sign {
        "<" | "less than" | "fewer than" | "below" | "under" => Some(Comparison::Lt),
        ">" | "more than" | "greater than" | "above" | "over" => Some(Comparison::Gt),
        "<=" | "≤" | "at most" => Some(Comparison::Le),
        ">=" | "≥" | "at least" => Some(Comparison::Ge),
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

    #[test]
    fn a_criterion_is_a_threshold_only_with_one_number() {
        let rows: &[(&str, CriterionForm, Option<Comparison>, Option<&str>)] = &[
            ("error rate below 5%", CriterionForm::Threshold, Some(Comparison::Lt), Some("5")),
            ("Submissions &#916; >0%", CriterionForm::Change, Some(Comparison::Gt), Some("0")),
            ("stays in baseline ranges", CriterionForm::BaselineRange, None, None),
            (
                "averaging 1 s with peaks below 2 s",
                CriterionForm::Threshold,
                Some(Comparison::Lt),
                Some("2"),
            ),
            ("no complaints", CriterionForm::Qualitative, None, None),
        ];
        for (text, form, comparison, threshold) in rows {
            let shape = Shape::of(text);
            assert_eq!(shape.form, *form, "{text}");
            assert_eq!(shape.comparison, *comparison, "{text}");
            assert_eq!(shape.threshold.as_ref().map(Decimal::as_str), *threshold, "{text}");
        }
    }
}
