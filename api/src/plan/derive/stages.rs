//! What a plan says of its stages and checkpoints: plans, and results one by one.

use schemas::{
    StageKey,
    event::{
        outcome::CheckpointRecorded,
        stage::{Clause, StagePlanned, StageResultsRecorded},
    },
    id::IsoDuration,
    values::{
        Answer, AnswerValue, Duration, Exposure, ExposureKind, FieldKind, LabelledText,
        MetricValue, PlanField, PlanValue, Quantity, Results, Window,
    },
};

use super::{Fact, Tree, answer, said};
use crate::{plan::years::window_of, words};

/// Every stage that the plan names, with what is planned for it.
pub(super) fn planned<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let mut ordinal = 0;
    let mut out = Vec::new();
    for name in tree.stages() {
        let base = format!("stages/{name}");
        let mut fields: Vec<_> = tree.value(&format!("{base}/label")).into_iter().collect();
        fields.extend(tree.value(&format!("{base}/phase")));
        let planning = tree.under(&format!("{base}/planning"));
        let wanted = |f: &&PlanField| {
            f.kind == FieldKind::Value && !f.path.contains("/note/")
                || f.path.ends_with("/guidance")
        };
        fields.extend(planning.into_iter().filter(wanted));
        let says = fields.iter().any(|f| f.kind == FieldKind::Value);
        let Ok(stage) = name.parse::<StageKey>() else { continue };
        if !says {
            continue;
        }
        ordinal += 1;
        let plan = Planning::of(tree, &base);
        let phase = tree.value(&format!("{base}/phase")).map(answer);
        out.extend(Fact::new(base, fields, move |said| {
            said!(
                said,
                StagePlanned {
                    stage,
                    phase,
                    label: plan.label,
                    ordinal,
                    exposures: plan.exposures,
                    window: plan.window,
                    length: plan.length,
                    minimum: plan.minimum,
                    minimum_clause: plan.clause,
                    exit_criteria: Vec::new(),
                }
            )
        }));
    }
    out
}

struct Planning {
    label: String,
    exposures: Vec<Exposure>,
    window: Option<Window>,
    length: Option<Duration>,
    minimum: Option<Duration>,
    clause: Option<Clause>,
}

impl Planning {
    fn of(tree: &Tree, base: &str) -> Planning {
        let key = base.strip_prefix("stages/").unwrap_or(base);
        let label = tree.value(&format!("{base}/label"));
        let label = label.map_or_else(|| key.to_owned(), answer);
        let at = |leaf: &str| tree.value(&format!("{base}/planning/{leaf}"));
        let duration = |field: Option<&PlanField>| match field.and_then(|f| f.value.as_ref()) {
            Some(PlanValue::Duration(duration)) => Some(duration.clone()),
            _ => None,
        };
        let window = match at("dates").and_then(|f| f.value.as_ref()) {
            Some(PlanValue::Window(window)) => Some(window.clone()),
            _ => None,
        };
        let length = duration(at("length")).or_else(|| duration(at("dates")));
        let (minimum, clause) = minimum(tree, base, length.as_ref());
        Planning {
            exposures: exposures(tree, base, key, &label),
            label,
            window,
            length,
            minimum,
            clause,
        }
    }
}

/// The least length, and whose clause it is: the plan's (`at least 2 days`), or the template's.
fn minimum(
    tree: &Tree,
    base: &str,
    length: Option<&Duration>,
) -> (Option<Duration>, Option<Clause>) {
    if let Some(least) = length.filter(|l| l.min.is_some() && l.max.is_none()) {
        return (Some(least.clone()), Some(Clause::Plan));
    }
    let path = format!("{base}/planning/length");
    let advised = tree.under(&path).into_iter().find_map(|f| words::guidance_minimum(&f.raw));
    (advised.clone(), advised.map(|_| Clause::Guidance))
}

/// Who gets the feature: as the plan says, else as the stage's heading says.
fn exposures(tree: &Tree, base: &str, key: &str, label: &str) -> Vec<Exposure> {
    let field = tree.value(&format!("{base}/planning/exposure"));
    if let Some(PlanValue::Exposures(exposures)) = field.and_then(|f| f.value.as_ref()) {
        return exposures.clone();
    }
    let said = label.split_once(':').map_or(label, |(_, rest)| rest).trim();
    let in_label = words::exposures(said);
    if !in_label.is_empty() && field.is_none() {
        return in_label;
    }
    let users = tree.value(&format!("{base}/planning/users"));
    if let Some(PlanValue::Quantity(quantity)) = users.and_then(|f| f.value.as_ref()) {
        let count = quantity.value.as_ref().and_then(|v| v.as_str().parse().ok());
        if count.is_some() {
            return vec![exposure(ExposureKind::Count, count, Some(quantity.raw.clone()))];
        }
    }
    // `Go live` is a stage for everyone, although it does not say so.
    if key == "go-live" { vec![exposure(ExposureKind::All, None, None)] } else { Vec::new() }
}

fn exposure(kind: ExposureKind, count: Option<u64>, raw: Option<String>) -> Exposure {
    Exposure {
        kind,
        min_bp: None,
        max_bp: None,
        count,
        unit: None,
        scope: None,
        platform: None,
        condition: None,
        stepwise: None,
        raw,
    }
}

/// Filled-in results, one fact each. They say nothing of when a stage began or ended.
pub(super) fn results<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let mut out = Vec::new();
    for name in tree.names("stages") {
        let Ok(stage) = name.parse::<StageKey>() else { continue };
        for (path, fields, results) in parts(tree, &format!("stages/{name}/results")) {
            let stage = stage.clone();
            out.extend(Fact::new(path, fields, move |said| {
                said!(said, StageResultsRecorded { stage, attempt: None, results })
            }));
        }
    }
    for name in tree.names("checkpoints") {
        let Ok(checkpoint) = name.parse::<IsoDuration>() else { continue };
        let covered = tree.value(&format!("checkpoints/{name}/window"));
        let covered = window_of(covered.and_then(|f| f.value.as_ref()));
        for (path, fields, results) in parts(tree, &format!("checkpoints/{name}")) {
            let (checkpoint, window) = (checkpoint.clone(), covered.cloned());
            out.extend(Fact::new(path, fields, move |said| {
                said!(said, CheckpointRecorded { checkpoint, anchor: None, window, results })
            }));
        }
    }
    out
}

type ResultPart<'f> = (String, Vec<&'f PlanField>, Results);

/// The results under a path: one place, its fields, what they say.
fn parts<'f>(tree: &Tree<'f>, base: &str) -> Vec<ResultPart<'f>> {
    let mut out: Vec<ResultPart<'f>> = Vec::new();
    for field in tree.values(base) {
        let Some(rest) = field.path.strip_prefix(base).map(|r| r.trim_start_matches('/')) else {
            continue;
        };
        let mut segments = rest.split('/');
        let (leaf, number) = (segments.next().unwrap_or_default(), segments.next());
        let mut results = empty();
        let mut fields = vec![field];
        match (leaf, number) {
            ("unique_users", None) => results.unique_users = Some(quantity(field)),
            ("bugs" | "bugs_identified", None) => results.bugs_identified = Some(quantity(field)),
            ("bugs_fixed", None) => results.bugs_fixed = Some(quantity(field)),
            ("latency", None) => results.latency = Some(quantity(field)),
            ("downstream", None) => results.downstream = Some(spoken(field)),
            ("processing", None) => results.processing = Some(spoken(field)),
            ("changes", None) => {
                let mut said = spoken(field);
                let detail = tree.values(&format!("{base}/changes_detail"));
                if !detail.is_empty() {
                    let words: Vec<_> = said
                        .detail
                        .iter()
                        .cloned()
                        .chain(detail.iter().map(|d| answer(d)))
                        .collect();
                    said.detail = Some(words.join("; "));
                }
                fields.extend(detail);
                results.changes_needed = Some(said);
            }
            ("changes_detail", None) if tree.value(&format!("{base}/changes")).is_none() => {
                let raw = answer(field);
                let said = Answer { detail: Some(raw.clone()), raw, value: AnswerValue::Other };
                results.changes_needed = Some(said);
            }
            ("changes_detail" | "bug" | "window" | "anchor", _) => continue,
            ("errors", None) => {
                fields = tree.values(&format!("{base}/errors"));
                results.error_types = fields.iter().map(|f| answer(f)).collect();
            }
            ("errors", Some(_)) if tree.value(&format!("{base}/errors")).is_some() => continue,
            ("errors", Some(_)) => results.error_types = vec![answer(field)],
            ("length", None) => match &field.value {
                Some(PlanValue::Duration(length)) => results.length = Some(length.clone()),
                _ => results.other.push(labelled(field, leaf)),
            },
            ("dates", None) => match &field.value {
                Some(PlanValue::Window(window)) => {
                    results.from.clone_from(&window.start);
                    results.to.clone_from(&window.end);
                    results.other.push(labelled(field, leaf));
                }
                _ => results.other.push(labelled(field, leaf)),
            },
            ("metrics", Some(_)) => results.metrics.push(metric(field)),
            ("kpis", Some(_)) => results.goals.push(goal(tree, field)),
            _ => results.other.push(labelled(field, leaf)),
        }
        out.push((field.path.clone(), fields, results));
    }
    out
}

fn empty() -> Results {
    Results {
        from: None,
        to: None,
        unique_users: None,
        metrics: Vec::new(),
        bugs_identified: None,
        bugs_fixed: None,
        downstream: None,
        processing: None,
        error_types: Vec::new(),
        changes_needed: None,
        latency: None,
        length: None,
        goals: Vec::new(),
        other: Vec::new(),
    }
}

fn labelled(field: &PlanField, leaf: &str) -> LabelledText {
    let label = field.label.clone().unwrap_or_else(|| leaf.to_owned());
    LabelledText { label, raw: answer(field) }
}

pub(super) fn quantity(field: &PlanField) -> Quantity {
    match &field.value {
        Some(PlanValue::Quantity(quantity)) => quantity.clone(),
        _ => words::quantity(&answer(field)),
    }
}

fn spoken(field: &PlanField) -> Answer {
    match &field.value {
        Some(PlanValue::Answer(answer)) => answer.clone(),
        _ => words::answer(&answer(field)),
    }
}

/// A measurement under the plan's own name; without one, under the words themselves.
fn metric(field: &PlanField) -> MetricValue {
    let name = field.label.clone().unwrap_or_else(|| own_name(&answer(field)));
    MetricValue { name, quantity: quantity(field), goal: None }
}

/// What was measured, in `98 % success rate for the page load, with ...`.
fn own_name(text: &str) -> String {
    let clause = text.split([',', '(', ';', '.']).find(|part| part.split(' ').count() > 1);
    let words = clause.unwrap_or(text).trim();
    let name = words.trim_start_matches(|c: char| !c.is_alphabetic());
    let unit = |word: &str| word.chars().count() <= 2 && !word.contains('-');
    let name =
        name.split_once(' ').map_or(name, |(first, rest)| if unit(first) { rest } else { name });
    if name.is_empty() { text.to_owned() } else { name.to_owned() }
}

/// What a KPI came to, beside its goal.
fn goal(tree: &Tree, field: &PlanField) -> MetricValue {
    let name = field.label.clone().unwrap_or_else(|| "KPI".to_owned());
    let bare = super::super::labels::normal(&name);
    let bare = bare.trim_end_matches("actual").trim();
    let set = tree.values("kpis").into_iter().find(|kpi| {
        kpi.label.as_ref().is_some_and(|label| super::super::labels::normal(label) == bare)
    });
    MetricValue { name, quantity: quantity(field), goal: set.map(quantity) }
}
