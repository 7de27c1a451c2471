//! Fills a plan: every blank that the ledger has an answer for, spliced into the imported bytes.
//!
//! Everything else stays byte for byte as it was imported.

use std::fmt::Write as _;

use projector::{blanks::Unplaced, rollout::Rollout};
use schemas::values::{FieldKind, PlanField, PlanValue};

use super::text::Span;

/// A plan with its blanks filled.
#[derive(Clone, Debug)]
pub struct FilledPlan {
    pub text: String,
    /// Paths of the blanks that were filled, and the seqs that each rests on.
    pub filled: Vec<(String, Vec<u64>)>,
    /// Facts that have no place in the plan.
    pub unplaced: Vec<Unplaced>,
}

/// What goes between two bytes of the text.
struct Splice {
    span: Span,
    text: String,
}

/// Fills the blanks of a text that was read into these fields.
pub fn fill(text: &str, fields: &[PlanField], rollout: &Rollout) -> FilledPlan {
    let (mut splices, mut filled) = (Vec::new(), Vec::new());
    for field in fields.iter().filter(|f| f.kind == FieldKind::Blank) {
        let Some(answer) = rollout.answer_for(&field.path, field.label.as_deref()) else {
            continue;
        };
        let Some(splice) = splice(text, field, &answer.text) else { continue };
        splices.push(splice);
        filled.push((field.path.clone(), answer.seqs));
    }
    let paths: Vec<String> = filled.iter().map(|(path, _)| path.clone()).collect();
    let unplaced = rollout.unplaced_facts(&paths);
    FilledPlan { text: spliced(text, splices), filled, unplaced }
}

/// The facts that have no place, as a last section of the plan.
pub fn appendix(plan: &FilledPlan) -> String {
    if plan.unplaced.is_empty() {
        return String::new();
    }
    let newline = if plan.text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut out = String::new();
    if !plan.text.ends_with('\n') {
        out.push_str(newline);
    }
    let _ = write!(out, "{newline}## Recorded in the rollout ledger{newline}{newline}");
    for fact in &plan.unplaced {
        let seqs: Vec<_> = fact.seqs.iter().map(ToString::to_string).collect();
        let _ = write!(out, "- {} (entry {}){newline}", fact.what, seqs.join(", "));
    }
    out
}

/// Whether a field says what the ledger itself holds for its place, as when a filled plan comes
/// back.
pub fn already_known(rollout: &Rollout, field: &PlanField) -> bool {
    let Some(answer) = rollout.answer_for(&field.path, field.label.as_deref()) else {
        return false;
    };
    if let Some(PlanValue::Checked(checked)) = &field.value {
        return *checked;
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    words(&field.raw.replace("\\|", "|")) == words(&answer.text)
}

fn splice(text: &str, field: &PlanField, answer: &str) -> Option<Splice> {
    let (start, end) = (usize::try_from(field.start).ok()?, usize::try_from(field.end).ok()?);
    let span = Span::new(start, end);
    let before = text.get(..start)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let in_table = text.get(line_start..start).is_some_and(|l| l.trim_start().starts_with('|'));
    let mut words = if in_table { answer.replace('|', "\\|") } else { answer.to_owned() };
    if matches!(field.value, Some(PlanValue::Checked(_))) {
        // Only what stands between the brackets changes.
        let raw = span.of(text);
        let inside = raw.find("[ ]").map(|at| Span::new(start + at + 1, start + at + 2));
        return Some(Splice { span: inside.unwrap_or(span), text: words });
    }
    if span.is_empty() {
        let glued = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
        if glued(before.chars().next_back()) {
            words.insert(0, ' ');
        }
        let after = text.get(end..)?.chars().next();
        if glued(after) {
            words.push(' ');
        }
    }
    Some(Splice { span, text: words })
}

fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|s| s.span);
    let mut out = String::with_capacity(text.len() + 1024);
    let mut at = 0;
    for splice in splices {
        if splice.span.start < at {
            // Two blanks that overlap: the first one is filled.
            continue;
        }
        out.push_str(text.get(at..splice.span.start).unwrap_or_default());
        out.push_str(&splice.text);
        at = splice.span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
