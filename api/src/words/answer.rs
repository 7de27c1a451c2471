//! Answers to yes-or-no questions.

use std::sync::LazyLock;

use regex::Regex;
use schemas::values::{Answer, AnswerValue};

use super::{group, pattern, plain};

/// Reads yes, no or not applicable from the start of an answer, and the words after it as detail.
/// What does not begin so is `other`, with all its words as detail.
pub fn answer(raw: &str) -> Answer {
    static SAID: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?isx)^(?:
              (?<na>n/?a|n\.a\.|not\ applicable)
            | (?<yes>yes|yep|yeah|yup|y|true)
            | (?<no>no|nope|none|n|false)
            | (?<nothing>nothing(?:\ (?:at\ this\ time|at\ the\ moment|so\ far|yet|to\ report))?)
            )(?<rest>$|[^A-Za-z0-9/'’-].*|\s*[-/].*)$",
        )
    });
    let text = plain(raw);
    let other = |detail: &str| Answer {
        raw: raw.to_owned(),
        value: AnswerValue::Other,
        detail: (!detail.is_empty()).then(|| detail.to_owned()),
    };
    let Some(said) = SAID.captures(&text) else { return other(&text) };
    let rest = group(&said, "rest");
    let value = if said.name("yes").is_some() {
        AnswerValue::Yes
    } else if said.name("no").or(said.name("nothing")).is_some() {
        AnswerValue::No
    } else {
        AnswerValue::NotApplicable
    };
    let one_letter = text.len() > 1 && said.name("rest").is_some_and(|rest| rest.start() == 1);
    // "Nothing" answers no only where it stands alone: "nothing abnormal" leaves room for the rest.
    let nothing_but = said.name("nothing").is_some() && rest.starts_with(' ');
    if one_letter || nothing_but || takes_it_back(value, rest) {
        return other(&text);
    }
    let detail = rest.trim_start_matches(|c: char| c.is_whitespace() || ",.;:-/!".contains(c));
    // "No changes needed" is one thought: its detail would say the opposite without its "no".
    let joined = value == AnswerValue::No && rest.starts_with(' ') && !rest.starts_with(" -");
    let detail = if joined && !detail.starts_with('(') { text.as_str() } else { detail };
    Answer {
        raw: raw.to_owned(),
        value,
        detail: (!rest.trim().is_empty() && !detail.is_empty()).then(|| detail.trim().to_owned()),
    }
}

/// Whether the words after the first make it no answer: `yes and no`, `no idea`, `yes/no`.
fn takes_it_back(value: AnswerValue, rest: &str) -> bool {
    static MIXED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)^\s*(?:and|&|or|/|\|)\s*(?:yes|no)\b"));
    static NOT_A_NO: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\s+(?:longer|one|idea|data|clue|info|information|response|feedback|results?|way|matter|doubt|metrics?|of)\b",
        )
    });
    MIXED.is_match(rest) || value == AnswerValue::No && NOT_A_NO.is_match(rest)
}
