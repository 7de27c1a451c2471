//! The words before a number: about, at most, p90.

use std::sync::LazyLock;

use regex::Regex;
use schemas::values::{Qualifier, Statistic};

use super::number::Phrase;
use super::{after, group, pattern};

/// The words before a number: about, a bound, a statistic, in any order.
pub(super) fn lead(text: &str) -> (Phrase, &str) {
    static APPROX: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:[~≈∼]\s*|(?:about|around|approx(?:imately)?\.?|roughly|circa|ca\.|nearly|almost|estimated|est\.)\s+)",
        )
    });
    let mut found = Phrase::default();
    let mut rest = text.trim_start();
    loop {
        if let Some(next) = after(&APPROX, rest) {
            found.approx = true;
            rest = next;
        } else if let Some((qualifier, next)) = bound(rest).filter(|_| found.qualifier.is_none()) {
            found.qualifier = Some(qualifier);
            rest = next;
        } else if let Some((statistic, next)) =
            leading_statistic(rest).filter(|_| found.statistic.is_none())
        {
            found.statistic = Some(statistic);
            rest = next;
        } else {
            return (found, rest);
        }
    }
}

/// Words and signs that bound the number after them.
fn bound(text: &str) -> Option<(Qualifier, &str)> {
    static BOUNDS: LazyLock<[(Qualifier, Regex); 4]> = LazyLock::new(|| {
        [
            (
                Qualifier::Le,
                pattern(
                    r"(?i)^(?:(?:<=|≤|=<)\s*|(?:at most|no more than|not more than|up to|max(?:imum)?\.?(?: of)?)\s+)",
                ),
            ),
            (
                Qualifier::Ge,
                pattern(
                    r"(?i)^(?:(?:>=|≥|=>)\s*|(?:at least|no less than|no fewer than|min(?:imum)?\.?(?: of)?)\s+)",
                ),
            ),
            (
                Qualifier::Lt,
                pattern(r"(?i)^(?:<\s*|(?:less than|fewer than|lower than|under|below)\s+)"),
            ),
            (
                Qualifier::Gt,
                pattern(r"(?i)^(?:>\s*|(?:more than|greater than|higher than|over|above)\s+)"),
            ),
        ]
    });
    BOUNDS.iter().find_map(|(qualifier, words)| Some((*qualifier, after(words, text)?)))
}

/// A statistic's name and the words that lead from it to its number: `p90 latency was `.
pub(super) fn leading_statistic(text: &str) -> Option<(Statistic, &str)> {
    static STATISTIC: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:an?\s+|the\s+)?(?<word>p50|p75|p90|p95|p99|mean|avg\.?|average|median)(?:\s+|:|=|\)|$)(?:\s*(?:latency|response times?|load times?|time|duration|score|rating)\s*)?\s*(?:of\s|is\s|was\s|were\s|measures?\s|at\s|:|=)?\s*",
        )
    });
    let found = STATISTIC.captures(text)?;
    let statistic = match group(&found, "word").to_ascii_lowercase().as_str() {
        "p50" => Statistic::P50,
        "p75" => Statistic::P75,
        "p90" => Statistic::P90,
        "p95" => Statistic::P95,
        "p99" => Statistic::P99,
        "median" => Statistic::Median,
        _ => Statistic::Mean,
    };
    Some((statistic, text.get(found.get(0)?.end()..)?))
}
