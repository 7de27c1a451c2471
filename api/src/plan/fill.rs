//! Fills a plan: every blank that the ledger has an answer for, spliced into the imported bytes.
//!
//! Everything else stays byte for byte as it was imported.

use std::fmt::Write as _;

use projector::{blanks::Unplaced, rollout::Rollout};
use schemas::values::{FieldKind, PlanField, PlanValue};

use super::text::Span;
use crate::words;

/// How many bugs of one list are looked through.
const BUGS_MAX: usize = 200;

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
        let Some(mut splice) = splice(text, field, &answer.text) else { continue };
        splice.span.end = residue(text, fields, field).unwrap_or(splice.span.end);
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

/// The end of what the template says right behind a blank of what belongs there (`: list`, `with
/// ticket numbers`); behind an answer it would read as part of it.
fn residue(text: &str, fields: &[PlanField], blank: &PlanField) -> Option<usize> {
    let path = format!("{}/guidance", blank.path);
    let said = fields.iter().find(|f| f.path == path && f.start >= blank.end)?;
    let (from, start) = (usize::try_from(blank.end).ok()?, usize::try_from(said.start).ok()?);
    let near = text.get(from..start)?.chars().all(|c| c == ' ' || c == ':' || c == '\t');
    let words = said.raw.trim_start();
    let asks = [":", "with ", "of ", "list"].iter().any(|start| words.starts_with(start));
    if near && asks && !words.contains('\n') { usize::try_from(said.end).ok() } else { None }
}

/// Whether a field says what the ledger itself holds for its place, as when a filled plan comes
/// back: the answer for that place, what an export of the newest revision would put there, or a bug
/// that the ledger knows by the id behind it.
pub fn already_known(rollout: &Rollout, field: &PlanField) -> bool {
    says_the_answer(rollout, field) || is_known_bug(rollout, field) || in_an_export(rollout, field)
}

fn words(text: &str) -> String {
    text.replace("\\|", "|").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn says_the_answer(rollout: &Rollout, field: &PlanField) -> bool {
    let Some(answer) = rollout.answer_for(&field.path, field.label.as_deref()) else {
        return false;
    };
    if let Some(PlanValue::Checked(checked)) = &field.value {
        return *checked;
    }
    let raw = words(&field.raw);
    let Some(rest) = raw.strip_prefix(&words(&answer.text)) else { return false };
    // The template's words behind the blank may still stand behind the answer.
    let waits = format!("[FILL_IN]{rest}");
    rest.is_empty() || matches!(words::filled(&waits), words::Filled::Blank { .. })
}

/// Whether a line of a list of bugs ends as an export writes one, with the id of a bug of that
/// place: `Empty query crashes (LS-1, fixed)`. Its state may have moved on since.
fn is_known_bug(rollout: &Rollout, field: &PlanField) -> bool {
    let Some((base, _)) = field.path.rsplit_once('/').filter(|(base, _)| base.ends_with("/bug"))
    else {
        return false;
    };
    let id = |text: &str| -> Option<String> {
        let (_, behind) = text.rsplit_once('(')?;
        Some(behind.split_once(',')?.0.trim().to_owned()).filter(|id| !id.is_empty())
    };
    let Some(said) = id(&field.raw) else { return false };
    let known = |number| rollout.answer_for(&format!("{base}/{number}"), None);
    (1..=BUGS_MAX).filter_map(known).any(|bug| id(&bug.text).as_ref() == Some(&said))
}

/// Whether an export of the newest revision reads so at this place.
fn in_an_export(rollout: &Rollout, field: &PlanField) -> bool {
    let Some(newest) = rollout.plan.newest() else { return false };
    let filled = fill(&newest.text, &newest.fields, rollout);
    let same = |f: &PlanField| f.path == field.path && f.kind == field.kind && f.raw == field.raw;
    super::read(&filled.text).fields.iter().any(same) && !newest.fields.iter().any(same)
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
