//! Is there an answer? Placeholders, the template's own advice, and values.

use std::sync::LazyLock;

use regex::Regex;

use super::{after, pattern};

/// What the text of a field is. The slices lie inside the text that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled<'a> {
    /// Waits for an answer. The placeholder is what an answer would replace; empty when there is
    /// nothing but space.
    Blank { placeholder: &'a str },
    /// The template's advice, with no place for an answer.
    Guidance(&'a str),
    /// An answer, without the placeholder and the template's advice beside it.
    Value(&'a str),
}

/// Words that open a template's advice.
const ADVICE: &[&str] = &[
    "recommendation:",
    "we recommend",
    "use your kpis",
    "to be completed once",
    "list the features",
    "list the feature toggles",
    "test a small",
    "test a larger",
    "a list that includes",
    "with link",
    "with ticket",
    "with a link",
    ": of",
    ": list",
    "(example",
    "(e.g.",
    "(i.e.",
    "(minimum",
    "(recommendation",
    "[template](",
];

/// What a bracket holds when it is a placeholder: these words first.
const IN_BRACKETS: &[&str] = &[
    "fill in",
    "pick one",
    "tbd",
    "tba",
    "to be determined",
    "dev to provide",
    "lorem ipsum",
    "insert ",
    "link here",
    "date - date",
    "placeholder",
];

/// What a bracket holds when it is a placeholder: these words alone.
const ALONE_IN_BRACKETS: &[&str] =
    &["", "x", "xx", "tk", "?", "??", "???", "date", "dates", "duration", "number", "name"];

/// Reads whether `raw`, the text after a label, holds an answer.
pub fn filled(raw: &str) -> Filled<'_> {
    let text = undecorated(raw);
    let body = without_advice(text);
    if body.is_empty() && !text.is_empty() || is_advice(text) {
        return Filled::Guidance(text);
    }
    if let Some(placeholder) = all_placeholders(body) {
        return Filled::Blank { placeholder };
    }
    let Some((placeholder, rest)) = leading_placeholder(body) else { return Filled::Value(body) };
    let rest =
        undecorated(rest.trim_start_matches(|c: char| c.is_whitespace() || ":,;|".contains(c)));
    if is_bare_link(rest) || is_advice(rest) || is_advice_after(rest) || is_bare_unit(rest) {
        return Filled::Blank { placeholder };
    }
    Filled::Value(rest)
}

/// Without space, and without emphasis around the whole or left over from the label.
fn undecorated(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let before = text;
        for mark in ["**", "__", "*", "_"] {
            let around = text.strip_prefix(mark).and_then(|t| t.strip_suffix(mark));
            if let Some(inner) = around.filter(|inner| !inner.contains(mark)) {
                text = inner.trim();
            } else if mark != "_" && text.matches(mark).count() == 1 {
                let cut = text.strip_prefix(mark).or_else(|| text.strip_suffix(mark));
                text = cut.unwrap_or(text).trim();
            }
        }
        if text == before {
            return text;
        }
    }
}

/// Cuts the template's advice in slanted brackets off the end: `one week (*minimum 2 hours*)`.
fn without_advice(text: &str) -> &str {
    static ADVICE_AT_END: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\s*\(\s*(?:\*[^*()]*\*|_[^()]*_)\s*\)[\s.]*$"));
    match ADVICE_AT_END.find(text) {
        Some(found) => text.get(..found.start()).unwrap_or(text),
        None => text,
    }
}

fn is_advice(text: &str) -> bool {
    let opening = text.trim_start_matches(['\\', '[', '(', '_', '*']);
    let whole = opening.len() == text.len() || text.ends_with([']', ')', '_', '*', '.']);
    let after_bracket = ADVICE.iter().filter(|advice| !advice.starts_with([':', '(', '[']));
    let link = starts(text, "[template](") && text.ends_with(')');
    link || whole && after_bracket.into_iter().any(|advice| starts(opening, advice))
}

fn is_advice_after(text: &str) -> bool {
    ADVICE.iter().any(|advice| starts(text, advice)) || starts(text, "of") || text == "list"
}

/// Whether the text begins with these ASCII words, in any case.
fn starts(text: &str, words: &str) -> bool {
    text.get(..words.len()).is_some_and(|start| start.eq_ignore_ascii_case(words))
}

/// A unit waits for its number: `[FILL_IN] users`.
fn is_bare_unit(text: &str) -> bool {
    static UNIT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^[.)%]*\s*(?:of\s+)?(?:users?|veterans?|hours?|days?|weeks?|submissions?|clicks?|seconds?|views?)?[.)%]*$",
        )
    });
    UNIT.is_match(text)
}

/// A link to the template's instructions, in brackets beside the choice: `yes/no[https://...]`.
fn is_bare_link(text: &str) -> bool {
    let inside = text.trim_matches(|c: char| "\\[]<>() ".contains(c));
    text.trim_start_matches('\\').starts_with('[')
        && starts(inside, "http")
        && !inside.contains(char::is_whitespace)
}

/// When the text is placeholders and nothing else, the span from the first to the last.
fn all_placeholders(text: &str) -> Option<&str> {
    let mut rest = text;
    let mut start = None;
    let mut end = 0;
    loop {
        let between = |c: char| {
            c.is_whitespace() || "()*_|".contains(c) || (start.is_some() && ",:;/-–—.%".contains(c))
        };
        rest = rest.trim_start();
        // "(ready / not ready)" is one placeholder, brackets and all.
        if placeholder(rest).is_none() {
            rest = rest.trim_start_matches(between);
        }
        if rest.is_empty() {
            break;
        }
        if start.is_some() && is_bare_unit(rest) {
            break;
        }
        let after = placeholder(rest).or_else(|| weak_placeholder(rest))?;
        start = start.or(Some(text.len() - rest.len()));
        end = text.len() - after.len();
        rest = after;
    }
    let start = start.unwrap_or(end);
    let percent = text.get(end..)?.starts_with('%');
    text.get(start..end + usize::from(percent))
}

/// The placeholders that the text begins with, and what comes after them.
fn leading_placeholder(text: &str) -> Option<(&str, &str)> {
    let mut rest = placeholder(text)?;
    let end = |rest: &str| text.len() - rest.len();
    let mut last = end(rest);
    while let Some(next) =
        placeholder(rest.trim_start_matches(|c: char| c.is_whitespace() || ":,;|/".contains(c)))
    {
        rest = next;
        last = end(rest);
    }
    Some((text.get(..last)?, rest))
}

/// What follows a placeholder that is one even when other words come after it.
fn placeholder(text: &str) -> Option<&str> {
    static CHOICES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?ix)^(?:
              pick\ one\b:?
            | \(?yes\s*[/|]\s*no\b(?:\s*[/|]\s*(?:n/a|na)\b)?\)?
            | \\?\(?ready\s*/\s*not\ ready\\?\)?
            | (?:week\ of\s+)?m{1,2}/d{1,2}(?:/y{2,4})?\b
            )",
        )
    });
    bracketed(text).or_else(|| after(&CHOICES, text))
}

/// What follows a placeholder in brackets, escaped or not, which may hold further brackets.
fn bracketed(text: &str) -> Option<&str> {
    let open = text.strip_prefix('\\').unwrap_or(text).strip_prefix('[')?;
    let mut depth = 1_u32;
    let close = open.char_indices().find(|(_, c)| {
        depth = match c {
            '[' => depth + 1,
            ']' => depth - 1,
            _ => depth,
        };
        depth == 0
    });
    let (close, _) = close?;
    let (inner, rest) = (open.get(..close)?, open.get(close + 1..)?);
    let words: String = inner.chars().filter(|c| *c != '\\' && *c != '*').collect();
    let words = words.replace('_', " ").trim().to_ascii_lowercase();
    let link = rest
        .strip_prefix('(')
        .is_some_and(|to| !to.starts_with(['*', '_']) && !to.trim_start().starts_with("minimum"));
    let date = words.contains("mm/dd") && !words.contains(|c: char| c.is_ascii_digit());
    let listed = IN_BRACKETS.iter().any(|known| words.starts_with(known));
    let known = date || listed || ALONE_IN_BRACKETS.contains(&words.as_str());
    (known && !link).then_some(rest)
}

/// What follows a placeholder that is one only when nothing else is said.
fn weak_placeholder(text: &str) -> Option<&str> {
    static WORD: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?ix)^(?:
              (?:\$?x{1,4}%?\s+)?lorem\ ipsum(?:\ dolor)?(?:\ sit\ amet)?
            | \$?x{1,4}\s*/\s*x{1,4}
            | \$?x{1,4}%?
            | tbd | tba | tk | to\ be\ (?:determined|decided|announced)
            | date\s+-\s+date
            | \?+ | ❓+ | _{2,} | \.{3,} | …+ | -+ | – | — | [0-9]\.
            )",
        )
    });
    let rest = after(&WORD, text)?;
    (!rest.starts_with(|c: char| c.is_alphanumeric())).then_some(rest)
}
