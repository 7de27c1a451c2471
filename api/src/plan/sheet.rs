//! The fields of a plan as they are found, each with its exact place in the text.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use schemas::values::{FieldKind, PlanField, PlanValue, PlanWarning, Window};

use super::{
    text::{LineIndex, Span},
    years::{Years, dated},
};
use crate::words::{self, Filled};

/// What a place of the plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Text,
    Quantity,
    Exposures,
    Duration,
    Window,
    Answer,
    Occurrence,
}

/// Collects fields and warnings while a plan is read.
pub(crate) struct Sheet<'t> {
    pub(crate) text: &'t str,
    years: Years,
    zone: TimeZone,
    pub(crate) fields: Vec<PlanField>,
    pub(crate) warnings: Vec<PlanWarning>,
    lines: LineIndex,
    /// For each line, whether something was made of it.
    read: Vec<bool>,
    numbers: BTreeMap<String, u64>,
    paths: BTreeMap<String, u64>,
}

impl<'t> Sheet<'t> {
    pub(crate) fn new(text: &'t str, zone: TimeZone, years: Years) -> Self {
        let lines = LineIndex::new(text);
        let read = vec![false; lines.index(text.len()) + 1];
        Sheet {
            text,
            years,
            zone,
            fields: Vec::new(),
            warnings: Vec::new(),
            lines,
            read,
            numbers: BTreeMap::new(),
            paths: BTreeMap::new(),
        }
    }

    pub(crate) fn of(&self, span: Span) -> &'t str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    pub(crate) fn line(&self, place: usize) -> u64 {
        self.lines.number(place)
    }

    /// The next free number under a path: `rollout/criteria/3`.
    pub(crate) fn next(&mut self, base: &str) -> String {
        let number = self.numbers.entry(base.to_owned()).or_default();
        *number += 1;
        format!("{base}/{number}")
    }

    /// How many numbers were given under a path.
    pub(crate) fn count(&self, base: &str) -> u64 {
        self.numbers.get(base).copied().unwrap_or_default()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.contains_key(path)
    }

    /// Marks the lines of a span as read.
    pub(crate) fn structure(&mut self, span: Span) {
        let last = span.end.saturating_sub(1).max(span.start);
        let lines = self.lines.index(span.start)..=self.lines.index(last);
        self.read.get_mut(lines).unwrap_or_default().fill(true);
    }

    pub(crate) fn is_read(&self, line: usize) -> bool {
        self.read.get(line).copied().unwrap_or_default()
    }

    pub(crate) fn warn(&mut self, code: &str, place: usize, message: impl Into<String>) {
        let line = self.line(place);
        let message = message.into();
        self.warnings.push(PlanWarning { code: code.to_owned(), line, message });
    }

    /// Adds a field. A second one at the same path gets a number behind it.
    pub(crate) fn put(
        &mut self,
        path: &str,
        label: Option<Span>,
        span: Span,
        kind: FieldKind,
        value: Option<PlanValue>,
    ) {
        let again = self.paths.entry(path.to_owned()).or_default();
        *again += 1;
        let path = if *again == 1 { path.to_owned() } else { format!("{path}/{again}") };
        if *again > 1 {
            self.paths.insert(path.clone(), 1);
        }
        self.structure(span);
        if let Some(label) = label {
            self.structure(label);
        }
        self.fields.push(PlanField {
            path,
            label: label.map(|l| tidy(self.of(l))).filter(|l| !l.is_empty()),
            raw: self.of(span).to_owned(),
            value,
            kind,
            line: self.line(span.start),
            start: span.start as u64,
            end: span.end as u64,
        });
    }

    /// Takes a blank back whose answer was found elsewhere; gives the place of its label's line.
    pub(crate) fn forget_blank(&mut self, path: &str) -> Option<Span> {
        let at = self.fields.iter().position(|f| f.path == path && f.kind == FieldKind::Blank)?;
        let field = self.fields.remove(at);
        self.paths.remove(path);
        let end = usize::try_from(field.start).ok()?;
        let label = field.label?;
        let line = self.text.get(..end)?.rfind('\n').map_or(0, |at| at + 1);
        let start = line + self.text.get(line..end)?.find(&label)?;
        Some(Span::new(start, start + label.len()))
    }

    pub(crate) fn prose(&mut self, path: &str, span: Span) {
        if !span.is_empty() {
            self.put(path, None, span, FieldKind::Prose, None);
        }
    }

    /// Reads what stands at a place: a value, a blank, or advice; and what is said beside it.
    pub(crate) fn fill(
        &mut self,
        path: &str,
        label: Option<Span>,
        span: Span,
        want: Want,
    ) -> FieldKind {
        let raw = self.of(span);
        if let Some(len) = placeholder_for(raw) {
            let place = span.first(len);
            self.put(path, label, place, FieldKind::Blank, None);
            self.advice(path, Span::new(place.end, span.end));
            return FieldKind::Blank;
        }
        match words::filled(raw) {
            Filled::Blank { placeholder } => {
                let place = span.slice_of(self.text, placeholder);
                let place = if placeholder.is_empty() { Span::at(span.start) } else { place };
                self.put(path, label, place, FieldKind::Blank, None);
                self.advice(path, Span::new(place.end, span.end));
                FieldKind::Blank
            }
            Filled::Guidance(_) => {
                self.put(path, label, span, FieldKind::Guidance, None);
                FieldKind::Guidance
            }
            Filled::Value(answer) => {
                let value = self.parse(answer, want, span.start);
                self.put(path, label, span, FieldKind::Value, Some(value));
                FieldKind::Value
            }
        }
    }

    /// What stands behind a blank on its line: the template's advice.
    fn advice(&mut self, path: &str, rest: Span) {
        let rest = rest.trim(self.text);
        if self.of(rest).chars().any(char::is_alphanumeric) {
            self.put(&format!("{path}/guidance"), None, rest, FieldKind::Guidance, None);
        }
    }

    /// The dates in an answer. A year that it leaves out is taken from the nearest full date.
    pub(crate) fn window(&mut self, answer: &str, place: usize) -> Option<Window> {
        let window = words::window(answer, None)?;
        if dated(&window) {
            return Some(window);
        }
        let Some(hint) = self.years.hint(answer, self.line(place)) else { return Some(window) };
        let message = format!("no year is given; {} is taken from {}", hint.year, hint.from);
        self.warn("year_inferred", place, message);
        words::window(answer, Some(&hint))
    }

    /// The value in an answer; its text when it is not of the wanted kind.
    pub(crate) fn parse(&mut self, answer: &str, want: Want, place: usize) -> PlanValue {
        let parsed = match want {
            Want::Text => None,
            Want::Quantity => Some(PlanValue::Quantity(words::quantity(answer))),
            Want::Exposures => {
                Some(words::exposures(answer)).filter(|e| !e.is_empty()).map(PlanValue::Exposures)
            }
            Want::Duration => words::duration(answer).map(PlanValue::Duration),
            // A place for dates often holds a length: `one day`.
            Want::Window => self
                .window(answer, place)
                .map(PlanValue::Window)
                .or_else(|| words::duration(answer).map(PlanValue::Duration)),
            Want::Answer => Some(PlanValue::Answer(words::answer(answer))),
            Want::Occurrence => {
                let hint = self.years.hint(answer, self.line(place));
                Some(PlanValue::Occurrence(words::occurrence(answer, &self.zone, hint.as_ref())))
            }
        };
        parsed.unwrap_or_else(|| PlanValue::Text(answer.to_owned()))
    }
}

/// The length of a placeholder that says after a colon what it waits for: `[FILL_IN]: tickets`.
fn placeholder_for(raw: &str) -> Option<usize> {
    let len = raw.find(']')? + 1;
    let inner: String = raw.get(..len)?.chars().filter(char::is_ascii_alphabetic).collect();
    let waits = raw.starts_with(['[', '\\']) && inner.eq_ignore_ascii_case("fillin");
    let rest = raw.get(len..)?.trim_start();
    let advice = rest.starts_with(':') && !rest.contains(|c: char| c.is_ascii_digit());
    (waits && advice).then_some(len)
}

/// Whether the words hold a number that was understood.
pub(crate) fn is_measure(raw: &str) -> bool {
    let quantity = words::quantity(raw);
    quantity.value.is_some()
        || quantity.min.is_some()
        || quantity.max.is_some()
        || quantity.numerator.is_some()
}

/// A label without the emphasis and the colon around it.
fn tidy(label: &str) -> String {
    label.trim_matches(|c: char| c.is_whitespace() || "*_:".contains(c)).to_owned()
}
