//! Personal data in free text: found, named by rule and place, never echoed.
//!
//! Every door uses this scanner: a plan with a finding is refused or redacted, an event with one is
//! refused. A text is scanned as it is written and as its reader sees it (`shadow`). Bare digits
//! inside a link are no number of a person, and toll-free numbers are nobody's.

mod numbers;
mod shadow;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::LazyLock};

use regex::Regex;
use schemas::values::Redaction;

use self::{
    numbers::{Joints, international, is_ssn, is_toll_free, stands_alone},
    shadow::Shadow,
};

/// The rule of lines that are withheld because they probably name a person.
pub const NAMED_PERSON: &str = "named_person";

/// The digits of the shortest number that is looked for, an international phone number.
const FEWEST_DIGITS: usize = 8;

/// One piece of personal data in a text. It does not hold the piece itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `email`, `icn`, `ssn` or `phone`.
    pub rule: &'static str,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// Every piece of personal data in a text, in order, none overlapping another.
pub fn scan(text: &str) -> Vec<Finding> {
    let escaped = || text.contains('&') || text.contains("%40") || text.contains("%25");
    if text.is_ascii() && !may_hold(text) && !escaped() {
        return Vec::new();
    }
    let links = links(text);
    let in_link =
        |at: &Range<usize>| links.iter().any(|link| link.start <= at.start && at.end <= link.end);
    let mut found = Vec::new();
    look(text, &in_link, &mut |rule, at| {
        found.push(Finding { rule, start: at.start, end: at.end });
    });
    if let Some(shadow) = Shadow::of(text) {
        let original = |at: &Range<usize>| shadow.original(at).unwrap_or_default();
        look(&shadow.text, &|at| in_link(&original(at)), &mut |rule, at| {
            let at = original(&at);
            found.push(Finding { rule, start: at.start, end: at.end });
        });
    }
    without_overlaps(found)
}

/// Whether there is an `@`, or there are digits enough for a number. Most texts end here.
fn may_hold(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.contains(&b'@') || bytes.iter().filter(|b| b.is_ascii_digit()).count() >= FEWEST_DIGITS
}

/// Hands on every piece of one text; `in_link` tells of a place in it.
fn look(
    text: &str,
    in_link: &dyn Fn(&Range<usize>) -> bool,
    add: &mut dyn FnMut(&'static str, Range<usize>),
) {
    if text.contains('@') {
        look_for_addresses(text, in_link, add);
    }
    if may_hold(text) {
        look_for_numbers(text, in_link, add);
    }
}

fn look_for_addresses(
    text: &str,
    in_link: &dyn Fn(&Range<usize>) -> bool,
    add: &mut dyn FnMut(&'static str, Range<usize>),
) {
    static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r#"(?:[\p{L}\p{N}][\p{L}\p{N}\p{M}._+'-]*|"[^"\n]{1,64}")\\?@"#,
            r"(?:[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}-]*[\p{L}\p{N}\p{M}])?\.)+",
            r"(?:(?i:xn--)[A-Za-z0-9-]*[A-Za-z0-9]|\p{L}[\p{L}\p{M}]+)",
        ))
    });
    // With a space next to the `@` it may be a mention or an "at": only well-known endings count.
    static LOOSE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r"(?i)[a-z0-9][a-z0-9._+'-]*(?: {1,2}@|@ {1,2})(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+",
            r"(?:com|org|net|edu|gov|mil|int|info|biz|us|uk|ca|de|fr|eu|io|co)\b",
        ))
    });
    for piece in EMAIL.find_iter(text) {
        add("email", piece.range());
    }
    if !text.contains(" @") && !text.contains("@ ") {
        return;
    }
    for piece in LOOSE.find_iter(text) {
        let mut after = text.get(piece.end()..).unwrap_or_default().chars();
        let goes_on = match after.next() {
            Some('.' | '-') => after.next().is_some_and(char::is_alphanumeric),
            Some(c) => c == '(' || c == '_',
            None => false,
        };
        if !goes_on && !in_link(&piece.range()) {
            add("email", piece.range());
        }
    }
}

fn look_for_numbers(
    text: &str,
    in_link: &dyn Fn(&Range<usize>) -> bool,
    add: &mut dyn FnMut(&'static str, Range<usize>),
) {
    static ICN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)[0-9]{10}V[0-9]{6}"));
    static SSN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"[0-9]{3}[-\u{2010}-\u{2013} ][0-9]{2}[-\u{2010}-\u{2013} ][0-9]{4}|[0-9]{9}")
    });
    static PHONE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:\+?1[-. ]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-.\u{2010}-\u{2013} ]?)[2-9][0-9]{2}[-.\u{2010}-\u{2013} ]?[0-9]{4}",
        )
    });
    let digit_at = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    for piece in ICN.find_iter(text) {
        // Nothing else is written so, whatever it is joined to.
        if !digit_at(piece.end()) && !piece.start().checked_sub(1).is_some_and(digit_at) {
            add("icn", piece.range());
        }
    }
    let counts = |at: &Range<usize>, joints| {
        stands_alone(text, at, joints) && (joints != Joints::None || !in_link(at))
    };
    for piece in SSN.find_iter(text) {
        if is_ssn(piece.as_str()) && counts(&piece.range(), Joints::of(piece.as_str(), 3)) {
            add("ssn", piece.range());
        }
    }
    for piece in PHONE.find_iter(text) {
        if !is_toll_free(piece.as_str()) && counts(&piece.range(), Joints::of(piece.as_str(), 3)) {
            add("phone", piece.range());
        }
    }
    for (plus, _) in text.match_indices('+') {
        if let Some(at) = international(text, plus, in_link) {
            add("phone", at);
        }
    }
}

/// The text with every finding replaced by `[redacted: RULE]` and not another byte changed, and
/// what was replaced, by line.
pub fn redact(text: &str, findings: &[Finding]) -> (String, Vec<Redaction>) {
    let mut out = String::with_capacity(text.len());
    let mut redactions = Vec::new();
    let mut from = 0;
    for finding in without_overlaps(findings.to_vec()) {
        out.push_str(text.get(from..finding.start).unwrap_or_default());
        out.push_str("[redacted: ");
        out.push_str(finding.rule);
        out.push(']');
        from = finding.end;
        redactions
            .push(Redaction { line: line_of(text, finding.start), rule: finding.rule.to_owned() });
    }
    out.push_str(text.get(from..).unwrap_or_default());
    (out, redactions)
}

/// The text with what stands on these lines (from 1) replaced. Indentation, list markers, checkboxes
/// and line endings stay, so that the lines around keep their places.
pub fn withhold_lines(text: &str, lines: &[u64]) -> (String, Vec<Redaction>) {
    static LEAD: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^[\u{feff}\s>]*(?:(?:[-*+]|[0-9]{1,9}[.)])\s+)?(?:\[[ xX]\]\s+)?(?:#{1,6}\s+)?")
    });
    let mut out = String::with_capacity(text.len());
    let mut redactions = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let body = line.trim_end_matches(['\n', '\r']);
        let ending = line.get(body.len()..).unwrap_or_default();
        if lines.contains(&number) && !body.trim().is_empty() {
            let lead = LEAD.find(body).map_or(0, |lead| lead.end());
            out.push_str(body.get(..lead).unwrap_or_default());
            out.push_str("[redacted: named_person]");
            redactions.push(Redaction { line: number, rule: NAMED_PERSON.to_owned() });
        } else {
            out.push_str(body);
        }
        out.push_str(ending);
    }
    (out, redactions)
}

/// The line, from 1, of a byte.
pub fn line_of(text: &str, place: usize) -> u64 {
    text.bytes().take(place).filter(|b| *b == b'\n').count() as u64 + 1
}

/// Links: addresses, and the targets of Markdown links.
fn links(text: &str) -> Vec<Range<usize>> {
    static URL: LazyLock<Regex> =
        LazyLock::new(|| pattern(r#"(?i)(?:[a-z][a-z0-9+.-]*://|www\.)[^\s<>"]+|\]\([^\s()]*\)"#));
    URL.find_iter(text).map(|found| found.range()).collect()
}

/// In order; of two that overlap, the longer one's rule for the place of both.
fn without_overlaps(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|f| (f.start, std::cmp::Reverse(f.end)));
    let mut out: Vec<Finding> = Vec::with_capacity(found.len());
    for finding in found {
        match out.last_mut() {
            Some(last) if finding.start < last.end => last.end = last.end.max(finding.end),
            _ => out.push(finding),
        }
    }
    out
}

/// A pattern written in this file, so that it cannot be wrong at run time.
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of this file are valid: its tests use each")
}
