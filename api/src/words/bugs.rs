//! How many bugs a plan says were identified and fixed.

use std::sync::LazyLock;

use regex::Regex;
use schemas::values::{Qualifier, Quantity};

use super::number::{decimal, number};
use super::{after, group, pattern, plain, quantity};

/// The counts under "identified / fixed", in this order. One number is of those identified only;
/// words without a number are kept as the raw text of what was identified; a blank gives nothing.
pub fn bug_counts(raw: &str) -> (Option<Quantity>, Option<Quantity>) {
    static PAIR: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?<identified>[0-9,]+)\s*/\s*(?<fixed>[0-9,]+)"));
    static NO_BUGS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:no|zero|0)\s+(?:new\s+|known\s+)?(?:bugs?|issues?|defects?)\b|^none\b|^no[.!]?$",
        )
    });
    let text = plain(raw);
    if text.is_empty() {
        return (None, None);
    }
    if let Some(pair) = PAIR.captures(&text) {
        let rest = after(&PAIR, &text).unwrap_or("");
        let (identified, fixed) = (group(&pair, "identified"), group(&pair, "fixed"));
        if !rest.starts_with(|c: char| c.is_alphanumeric() || c == '/' || c == '-') {
            // The words beside the numbers stay with the first of them.
            let words = if rest.is_empty() { identified } else { raw };
            return (Some(count(words, identified)), Some(count(fixed, fixed)));
        }
    }
    if let Some((identified, fixed)) = counts_with_words(&text) {
        return (Some(count(raw, &identified)), Some(count(raw, &fixed)));
    }
    if NO_BUGS.is_match(&text) {
        return (Some(count(raw, "0")), None);
    }
    (Some(quantity(raw)), None)
}

/// `3 identified, 2 fixed`, `identified: 3, fixed: 2`, `2 of 3 fixed`.
fn counts_with_words(text: &str) -> Option<(String, String)> {
    static FORMS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        [
            pattern(
                r"(?i)^(?<identified>[0-9]+)\s+(?:bugs?\s+|issues?\s+)?(?:were\s+)?(?:identified|found|reported)\s*(?:,|/|;|and|&|,\s*and)\s*(?<fixed>[0-9]+)\s+(?:bugs?\s+)?(?:were\s+)?(?:fixed|resolved)\b",
            ),
            pattern(
                r"(?i)^(?:identified|found):?\s*(?<identified>[0-9]+)\s*[,/;]?\s*(?:fixed|resolved):?\s*(?<fixed>[0-9]+)\b",
            ),
            pattern(
                r"(?i)^(?<fixed>[0-9]+)\s+(?:out\s+)?of\s+(?<identified>[0-9]+)\s+(?:bugs?\s+|issues?\s+)?(?:were\s+)?(?:fixed|resolved)\b",
            ),
        ]
    });
    let found = FORMS.iter().find_map(|form| form.captures(text))?;
    Some((group(&found, "identified").to_owned(), group(&found, "fixed").to_owned()))
}

fn count(raw: &str, digits: &str) -> Quantity {
    let value = number(digits).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value);
    let value = value.or_else(|| decimal(digits));
    let qualifier = value.is_some().then_some(Qualifier::Exact);
    Quantity { value, qualifier, ..raw_only(raw) }
}

fn raw_only(raw: &str) -> Quantity {
    Quantity {
        raw: raw.to_owned(),
        value: None,
        min: None,
        max: None,
        qualifier: None,
        approx: None,
        statistic: None,
        unit: None,
        numerator: None,
        denominator: None,
        source: None,
    }
}
