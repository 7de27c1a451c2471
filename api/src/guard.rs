//! Personal data in free text: found, named by rule and place, never echoed.
//!
//! Every door uses this scanner: a plan with a finding is refused or redacted, an event with one is
//! refused. Digits inside a link are no number of a person, and toll-free numbers are nobody's.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;
use schemas::values::Redaction;

/// The rule of lines that are withheld because they probably name a person.
pub const NAMED_PERSON: &str = "named_person";

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
    static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)[a-z0-9][a-z0-9._+'-]*\\?@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
    });
    static EMAIL_IN_QUERY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)[a-z0-9][a-z0-9._+-]*%40(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:gov|com|org|net|edu|mil|us)\b",
        )
    });
    static ICN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)[0-9]{10}V[0-9]{6}"));
    static SSN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"[0-9]{3}[-\u{2010}-\u{2013} ][0-9]{2}[-\u{2010}-\u{2013} ][0-9]{4}|[0-9]{9}")
    });
    static PHONE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:\+?1[-. ]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-.\u{2010}-\u{2013} ]?)[2-9][0-9]{2}[-.\u{2010}-\u{2013} ]?[0-9]{4}",
        )
    });
    let urls = urls(text);
    let in_url =
        |at: &Range<usize>| urls.iter().any(|url| url.start <= at.start && at.end <= url.end);
    let mut found = Vec::new();
    let mut add = |rule, pattern: &Regex, fits: &dyn Fn(&Range<usize>) -> bool| {
        for piece in pattern.find_iter(text) {
            if fits(&piece.range()) {
                found.push(Finding { rule, start: piece.start(), end: piece.end() });
            }
        }
    };
    add("email", &EMAIL, &|_| true);
    add("email", &EMAIL_IN_QUERY, &|_| true);
    add("icn", &ICN, &|at| stands_alone(text, at));
    add("ssn", &SSN, &|at| {
        stands_alone(text, at) && !in_url(at) && is_ssn(text.get(at.clone()).unwrap_or_default())
    });
    add("phone", &PHONE, &|at| {
        stands_alone(text, at)
            && !in_url(at)
            && !is_toll_free(text.get(at.clone()).unwrap_or_default())
    });
    without_overlaps(found)
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
fn urls(text: &str) -> Vec<Range<usize>> {
    static URL: LazyLock<Regex> =
        LazyLock::new(|| pattern(r#"(?i)(?:[a-z][a-z0-9+.-]*://|www\.)[^\s<>"]+|\]\([^\s()]*\)"#));
    URL.find_iter(text).map(|found| found.range()).collect()
}

/// Whether digits are not the middle of something longer.
fn stands_alone(text: &str, at: &Range<usize>) -> bool {
    let before = text.get(..at.start).and_then(|t| t.chars().next_back());
    let mut after = text.get(at.end..).unwrap_or_default().chars();
    let joined = |c: char| c.is_alphanumeric() || c == '_';
    let starts = !before.is_some_and(|c| joined(c) || "-#.,/=%".contains(c));
    let ends = match after.next() {
        Some('-' | '.' | ',' | '/' | '%') => !after.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => !joined(c),
        None => true,
    };
    starts && ends
}

/// Nine digits in a row are only a number when such numbers are given out.
fn is_ssn(piece: &str) -> bool {
    let digits: String = piece.chars().filter(char::is_ascii_digit).collect();
    let bare = digits.len() == piece.len();
    !bare || !(digits.starts_with("000") || digits.starts_with("666") || digits.starts_with('9'))
}

fn is_toll_free(piece: &str) -> bool {
    let digits: String = piece.chars().filter(char::is_ascii_digit).collect();
    let number = if digits.len() == 11 { digits.get(1..) } else { Some(digits.as_str()) };
    let area = number.and_then(|number| number.get(..3)).unwrap_or_default();
    matches!(area, "800" | "833" | "844" | "855" | "866" | "877" | "888")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_is_found_and_nothing_else() {
        let rows: &[(&str, &[&str])] = &[
            ("write to pat.doe@example.invalid now", &["email"]),
            ("the list team-all@lists.example.org", &["email"]),
            ("pat.doe\\@example.org", &["email"]),
            ("[Pat](mailto:pat@example.org)", &["email"]),
            ("https://example.org/?who=pat@example.org&x=1", &["email"]),
            ("https://example.org/?who=pat%40example.org", &["email"]),
            ("?query=%40payload.controller%3Ax", &[]),
            ("ask @pat or package@1.2.3", &[]),
            ("SSN 123-45-6789.", &["ssn"]),
            ("SSN 123 45 6789", &["ssn"]),
            ("id 123456789", &["ssn"]),
            ("id 923456789", &[]),
            ("10,123,456,789 views", &[]),
            ("https://example.org/monitors/123456789?to=2025550143", &[]),
            ("[issue](../issues/123456789)", &[]),
            ("#123456789", &[]),
            ("ICN 1012345678V123456", &["icn"]),
            ("call 202-555-0143 or (202) 555-0144", &["phone", "phone"]),
            ("+1 202.555.0143", &["phone"]),
            ("2025550143", &["phone"]),
            ("call 800-555-0143, 1-877-555-0143, (888) 555-0143", &[]),
            ("from 1734903344987 to 1737581744", &[]),
            ("5/13-5/15, 2024-05-13, 12,661 users, 4.5.2025", &[]),
        ];
        for (text, expected) in rows {
            let rules: Vec<_> = scan(text).iter().map(|f| f.rule).collect();
            assert_eq!(rules, *expected, "{text}");
        }
    }

    #[test]
    fn a_redaction_changes_its_own_bytes_only() {
        let text = "\u{feff}a\r\nSSN 123-45-6789 é pat@example.org\r\n";
        let (out, redactions) = redact(text, &scan(text));
        assert_eq!(out, "\u{feff}a\r\nSSN [redacted: ssn] é [redacted: email]\r\n");
        let rows: Vec<_> = redactions.iter().map(|r| (r.line, r.rule.as_str())).collect();
        assert_eq!(rows, [(2, "ssn"), (2, "email")]);
        assert!(scan(&out).is_empty());
    }

    #[test]
    fn a_withheld_line_keeps_its_place() {
        let text = "a\r\n  - [x] Pat signs\r\nc";
        let (out, redactions) = withhold_lines(text, &[2, 9]);
        assert_eq!(out, "a\r\n  - [x] [redacted: named_person]\r\nc");
        assert_eq!(redactions.len(), 1);
    }
}
