//! Success criteria and goals: which are thresholds, and which comparison they make.
//!
//! A comparison that is read the wrong way round is worse than none, so a sentence that negates in
//! a way that is not known here stays in words.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use schemas::{
    event::decision::{Comparison, CriterionForm, CriterionScope, CriterionSet},
    id::Decimal,
    values::{FieldKind, PlanField},
};

use super::{Fact, Tree, answer, said};
use crate::{plan::labels::normal, words};

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

/// What one number is compared with.
struct Bound {
    comparison: Comparison,
    threshold: Decimal,
    unit: Option<String>,
}

impl Shape {
    fn unspecified() -> Shape {
        Shape { form: CriterionForm::Unspecified, comparison: None, threshold: None, unit: None }
    }

    /// `error rate < 5 %`, `no more than 5 calls`; several numbers are left in words.
    fn of(text: &str) -> Shape {
        let words = decoded(text);
        let lower = normal(&words);
        let has = |any: &[&str]| any.iter().any(|word| lower.contains(word));
        let change =
            words.contains('Δ') || has(&["increase", "decrease", "doesn't change", "reduce"]);
        let bound = Bound::of(&lower);
        let form = match bound {
            _ if change => CriterionForm::Change,
            Some(_) => CriterionForm::Threshold,
            None if has(&["baseline"]) => CriterionForm::BaselineRange,
            None if has(&["present", "show up", "appear", "are populating"]) => {
                CriterionForm::Presence
            }
            None => CriterionForm::Qualitative,
        };
        match bound {
            Some(Bound { comparison, threshold, unit }) => {
                Shape { form, comparison: Some(comparison), threshold: Some(threshold), unit }
            }
            None => Shape { form, comparison: None, threshold: None, unit: None },
        }
    }
}

/// The text with its HTML entities as the signs that they stand for.
fn decoded(text: &str) -> String {
    let signs = [
        (">", &["&gt;", "&GT;", "&#62;", "&#x3e;", "&#x3E;"][..]),
        ("<", &["&lt;", "&LT;", "&#60;", "&#x3c;", "&#x3C;"]),
        ("≥", &["&ge;", "&geq;", "&#8805;", "&#x2265;"]),
        ("≤", &["&le;", "&leq;", "&#8804;", "&#x2264;"]),
        ("Δ", &["&#916;", "&Delta;", "&#x394;"]),
        (" ", &["&nbsp;", "&#160;"]),
        ("&", &["&amp;"]),
    ];
    let mut words = text.to_owned();
    for (sign, entities) in signs {
        for entity in entities {
            words = words.replace(entity, sign);
        }
    }
    words
}

const NUMBER: &str = r"([0-9][0-9,]*(?:\.[0-9]+)?)\s*(%|ms\b|seconds?\b|s\b|calls?\b|errors?\b|submissions?\b|users?\b)?";

/// Each comparison with the words before its number. What negates comes first, because it holds
/// the words of its opposite.
static BEFORE: LazyLock<[(Comparison, Regex); 4]> = LazyLock::new(|| {
    const NOT: &str = r"(?:\bno|\bnot|n't|\bnever|\bcannot|\bwithout)\s+(?:to\s+|ever\s+)?";
    const MORE: &str = r"(?:exceed(?:s|ing)?|surpass(?:es|ing)?|above|over|beyond|(?:more|greater|higher|longer|larger) than)";
    const LESS: &str = r"(?:below|under|(?:less|fewer|lower|smaller|shorter) than)";
    let with = |words: &str| {
        let whole = format!(r"(?:{words})\s*(?:an? )?{NUMBER}");
        Regex::new(&whole).expect("the pattern is valid: a test uses it")
    };
    let at_most = format!(
        r"<=|=<|≤|\bat most\b|\bup to\b|\bmax(?:imum)?\b\.?(?: of\b)?|{NOT}(?:(?:be|go|rise|get|climb) )?{MORE}\b"
    );
    let at_least = format!(
        r">=|=>|≥|\bat least\b|\bmin(?:imum)?\b\.?(?: of\b)?|{NOT}(?:(?:be|go|fall|drop|dip|get) )?{LESS}\b"
    );
    [
        (Comparison::Le, with(&at_most)),
        (Comparison::Ge, with(&at_least)),
        (Comparison::Lt, with(&format!(r"<|\b{LESS}\b"))),
        (Comparison::Gt, with(&format!(r">|\b{MORE}\b"))),
    ]
});

/// `2% or less`, `3 calls a day or fewer`.
static BEHIND: LazyLock<[(Comparison, Regex); 2]> = LazyLock::new(|| {
    let with = |words: &str| {
        let whole = format!(r"{NUMBER}(?:\s+[a-z]+){{0,3}}?,?\s+or\s+(?:{words})\b");
        Regex::new(&whole).expect("the pattern is valid: a test uses it")
    };
    [
        (Comparison::Le, with("less|fewer|below|lower|under")),
        (Comparison::Ge, with("more|above|greater|higher|better|over")),
    ]
});

impl Bound {
    /// The one comparison with a number in these words; none when there are several, or when the
    /// sentence says in another way that it does not hold, or when it holds under a condition.
    fn of(lower: &str) -> Option<Bound> {
        let mut found: Vec<(Comparison, Captures)> = Vec::new();
        let overlaps = |known: &[(Comparison, Captures)], new: &Captures| {
            let range = |c: &Captures| c.get(0).map_or(0..0, |m| m.range());
            let new = range(new);
            known.iter().map(|(_, c)| range(c)).any(|r| new.start < r.end && r.start < new.end)
        };
        for (comparison, pattern) in BEFORE.iter() {
            for captures in pattern.captures_iter(lower) {
                if !overlaps(&found, &captures) {
                    found.push((*comparison, captures));
                }
            }
        }
        // What stands on both sides of one number is counted twice, and left in words.
        for (comparison, pattern) in BEHIND.iter() {
            found.extend(pattern.captures_iter(lower).map(|c| (*comparison, c)));
        }
        let [(comparison, captures)] = found.as_slice() else { return None };
        let whole = captures.get(0)?;
        let (before, after) = (lower.get(..whole.start())?, lower.get(whole.end()..)?);
        let number = captures.get(1)?;
        if part_of_a_number(lower.get(..number.start())?, after) || hedged(before, after) {
            return None;
        }
        let threshold = number.as_str().replace(',', "").parse().ok()?;
        let unit = captures.get(2).map(|unit| unit.as_str().to_owned());
        Some(Bound { comparison: *comparison, threshold, unit })
    }
}

/// Whether a number is only part of one: `1 in 100`, `2-5%`, `3 million`.
fn part_of_a_number(before: &str, after: &str) -> bool {
    static GOES_ON: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^\s*(?:(?:-|–|/|to|in|of|out of|and)\s*[0-9]|[kmx]\b|thousand\b|million\b|times\b)",
        )
        .expect("the pattern is valid: a test uses it")
    });
    static BEGAN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"[0-9]\s*(?:%\s*)?(?:-|–|/|to|in|of|out of|and)\s*$")
            .expect("the pattern is valid: a test uses it")
    });
    GOES_ON.is_match(after) || BEGAN.is_match(before)
}

/// Whether the sentence round a comparison has words that may turn it round.
fn hedged(before: &str, after: &str) -> bool {
    static TURNS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?:\b(?:no|not|never|none|nor|neither|nothing|nobody|without|cannot|hardly|rarely|seldom|avoid(?:s|ed|ing)?|prevent(?:s|ed|ing)?|unless|except|if|rollback|stop|pause|halt|abort|exceptions?)\b|n't\b|\broll(?:ed|ing)? back\b)",
        )
        .expect("the pattern is valid: a test uses it")
    });
    let ends = [". ", "; ", "! ", "? "];
    let from = ends.iter().filter_map(|end| before.rfind(end).map(|at| at + end.len())).max();
    let to = ends.iter().filter_map(|end| after.find(end)).min();
    let before = before.get(from.unwrap_or(0)..).unwrap_or(before);
    let after = after.get(..to.unwrap_or(after.len())).unwrap_or(after);
    TURNS.is_match(before) || TURNS.is_match(after)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("Calls do not increase by more than 5%", CriterionForm::Change, None, None),
        ];
        for (text, form, comparison, threshold) in rows {
            let shape = Shape::of(text);
            assert_eq!(shape.form, *form, "{text}");
            assert_eq!(shape.comparison, *comparison, "{text}");
            assert_eq!(shape.threshold.as_ref().map(Decimal::as_str), *threshold, "{text}");
        }
    }

    /// The signs of the comparisons and a threshold, or nothing.
    fn shown(text: &str) -> String {
        let shape = Shape::of(text);
        let sign = match shape.comparison {
            Some(Comparison::Lt) => "<",
            Some(Comparison::Gt) => ">",
            Some(Comparison::Le) => "<=",
            Some(Comparison::Ge) => ">=",
            _ => return String::new(),
        };
        let number = shape.threshold.map(|t| t.to_string()).unwrap_or_default();
        format!("{sign} {number}{}", shape.unit.unwrap_or_default())
    }

    #[test]
    fn a_comparison_is_never_turned_round() {
        let rows = [
            ("No more than 3 calls per day", "<= 3calls"),
            ("**Not more than** 3 calls", "<= 3calls"),
            ("not less than 90% success", ">= 90%"),
            ("no fewer than 1,200 submissions", ">= 1200submissions"),
            ("at least 90% of visits succeed", ">= 90%"),
            ("2% or less errors", "<= 2%"),
            ("3 calls a day or fewer", "<= 3calls"),
            ("latency of 2.5 seconds or below", "<= 2.5seconds"),
            ("90% or more", ">= 90%"),
            ("Errors do not exceed 2%", "<= 2%"),
            ("The error rate doesn’t exceed 2%", "<= 2%"),
            ("Errors must never go above 2%", "<= 2%"),
            ("Completion does not fall below 80%", ">= 80%"),
            ("a maximum of 4 calls", "<= 4calls"),
            ("errors &lt; 2%", "< 2%"),
            ("success &gt;= 98%", ">= 98%"),
            ("success &ge; 98%", ">= 98%"),
            ("errors &le;2%", "<= 2%"),
            ("errors \\< 2%", "< 2%"),
            ("under 5 errors", "< 5errors"),
            ("over 80% complete it", "> 80%"),
            ("success exceeds 90%", "> 90%"),
            ("No errors in the log; load times under 2 s", "< 2s"),
            // Left in words: what they compare is not certain.
            ("We do not see more than 5 errors", ""),
            ("We don't get below 90% of the usual traffic and no more than 3 calls", ""),
            ("None of the pages has above 2% errors", ""),
            ("Avoid more than 2% errors", ""),
            ("If errors exceed 2%, roll back", ""),
            ("less than 1 in 100 visits fails", ""),
            ("below 2-5% errors", ""),
            ("at most 2% or less", ""),
            ("fewer than 3 thousand calls", ""),
            ("above 80% and below 95%", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
