//! Numbers as people write them: `~30`, `20k`, `233/572`, `70-80%`, `more than 4 seconds`.

use std::sync::LazyLock;

use regex::Regex;
use schemas::id::Decimal;
use schemas::values::{Qualifier, Quantity, Statistic};

use super::lead::{lead, leading_statistic};
use super::{after, group, pattern, plain};

/// Words that may follow a number and are not its unit.
const NOT_UNITS: &[&str] = &[
    "a", "after", "an", "and", "are", "as", "at", "because", "before", "but", "by", "did", "each",
    "for", "found", "from", "got", "had", "has", "have", "if", "in", "is", "it", "of", "on", "or",
    "out", "over", "per", "so", "since", "that", "the", "these", "this", "to", "under", "until",
    "was", "we", "were", "when", "which", "while", "who", "will", "with",
];

/// Words that stand between a number and its unit.
const BEFORE_UNITS: &[&str] = &[
    "active",
    "additional",
    "authenticated",
    "complete",
    "completed",
    "eligible",
    "full",
    "daily",
    "different",
    "distinct",
    "failed",
    "monthly",
    "new",
    "successful",
    "total",
    "unique",
    "weekly",
];

const MONTHS: &[&str] = &[
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// What was understood of a phrase that begins with a number or with words that lead to one.
#[derive(Default)]
pub(super) struct Phrase {
    value: Option<Decimal>,
    range: Option<(Decimal, Decimal)>,
    ratio: Option<(Decimal, Decimal)>,
    pub(super) qualifier: Option<Qualifier>,
    pub(super) approx: bool,
    pub(super) statistic: Option<Statistic>,
    unit: Option<String>,
}

/// Reads a number with what stands around it. `raw` is always kept; the rest is absent unless the
/// text can mean one thing only.
///
/// A ratio sets numerator and denominator and no value, because its quotient is not what was
/// written. Dates, ids, sums of money and texts with several numbers are left raw.
pub fn quantity(raw: &str) -> Quantity {
    let text = plain(raw);
    let found = read(&text).unwrap_or_default();
    let (min, max) = found.range.unzip();
    let (numerator, denominator) = found.ratio.unzip();
    let parsed = found.value.is_some() || min.is_some() || numerator.is_some();
    Quantity {
        raw: raw.to_owned(),
        value: found.value,
        min,
        max,
        qualifier: found.qualifier,
        approx: found.approx.then_some(true),
        statistic: found.statistic,
        unit: found.unit,
        numerator,
        denominator,
        source: parsed.then(|| source(&text)).flatten(),
    }
}

fn read(text: &str) -> Option<Phrase> {
    if text.eq_ignore_ascii_case("none") || text.eq_ignore_ascii_case("zero") {
        let qualifier = Some(Qualifier::Exact);
        return Some(Phrase { value: decimal("0"), qualifier, ..Phrase::default() });
    }
    if text.contains('$') {
        return None;
    }
    let text = after_bullet(text);
    match phrase(text) {
        Some((found, rest)) if stands_alone(rest) => Some(found),
        _ => inside_sentence(text),
    }
}

fn after_bullet(text: &str) -> &str {
    text.strip_prefix("- ").unwrap_or(text)
}

/// Whether what follows a number cannot change what it says: no other number in its clause.
fn stands_alone(rest: &str) -> bool {
    static CLAUSE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^[^.;,(0-9]*(?:\([^)]*\)?[^.;,(0-9]*)*(?:$|[.;,](?:\s+|$))"));
    let Some(clause) = CLAUSE.find(rest) else { return false };
    let next = rest.get(clause.end()..).unwrap_or("");
    let listed = clause.as_str().trim_end().ends_with(',') && next.starts_with(starts_number);
    !rest.starts_with(['/', ':', '-', '$', '#', '@']) && !listed
}

fn starts_number(c: char) -> bool {
    c.is_ascii_digit() || c == '~' || c == '.'
}

/// A range or a bound that is the only thing a sentence counts.
fn inside_sentence(text: &str) -> Option<Phrase> {
    static BOUND: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?ix)(?:^|\s)(?:
              between | more\ than | less\ than | greater\ than | fewer\ than | at\ least
            | at\ most | up\ to | no\ more\ than | above | below | under
            | p(?:50|75|90|95|99)\b | median | mean | avg\b\.? | average
            )\s | (?:^|\s)[<>≤≥]",
        )
    });
    let numbers = text
        .split_whitespace()
        .filter(|word| {
            word.trim_start_matches(['(', '~', '<', '>', '=', '≤', '≥', '≈', '.', '±'])
                .starts_with(|c: char| c.is_ascii_digit())
        })
        .count();
    let mut statistic = None;
    for bound in BOUND.find_iter(text) {
        let start = bound.start() + usize::from(bound.as_str().starts_with(' '));
        let from = text.get(start..)?;
        if let Some((found, rest)) = phrase(from) {
            let used = if found.range.is_some() { 2 } else { 1 };
            let whole = found.qualifier.is_some() || found.statistic.is_some();
            if numbers == used && whole && !rest.starts_with(['/', ':', '-']) {
                return Some(Phrase { statistic: found.statistic.or(statistic), ..found });
            }
        }
        statistic = statistic.or_else(|| leading_statistic(from).map(|(s, _)| s));
    }
    None
}

/// Reads `[about] [at most] [p90] number [unit]` from the start of the text.
fn phrase(text: &str) -> Option<(Phrase, &str)> {
    let (mut found, rest) = lead(text);
    let rest = number_or_range(rest, &mut found)?;
    let rest = plus_or_ish(rest, &mut found);
    let rest = unit(rest, &mut found);
    let rest = plus_or_ish(rest, &mut found);
    let rest = beside(rest, &mut found);
    let rest = match leading_statistic(rest.trim_start_matches([' ', '('])) {
        Some((statistic, after)) if found.statistic.is_none() => {
            found.statistic = Some(statistic);
            after.trim_start_matches(')')
        }
        _ => rest,
    };
    if found.range.is_some() {
        found.qualifier = Some(Qualifier::Range);
    } else if found.qualifier.is_none() && !found.approx {
        found.qualifier = Some(Qualifier::Exact);
    }
    Some((found, rest))
}

/// One number, a range or a ratio.
fn number_or_range<'t>(text: &'t str, found: &mut Phrase) -> Option<&'t str> {
    static BETWEEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^between\s+"));
    static TO: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\s*(?:-\s*|to\s+)~?"));
    static AND: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\s*and\s+"));
    static OF: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^(?:\s*/\s*|\s+(?:out\s+)?of\s+)"));
    if let Some(rest) = after(&BETWEEN, text) {
        let (low, rest) = number(rest)?;
        let mut first = Phrase::default();
        let rest = unit(rest, &mut first);
        let (high, rest) = number(after(&AND, rest)?)?;
        let same = unit(rest, &mut Phrase::default());
        found.unit = first.unit.filter(|_| same.len() == rest.len());
        found.range = Some(ordered(low, high)?);
        return Some(rest);
    }
    let (first, rest) = number(text)?;
    if let Some((second, rest)) = after(&OF, rest).and_then(number) {
        found.ratio = Some((first, second));
        return Some(rest);
    }
    // "70-80%" says its unit once, "70% - 80%" twice.
    let mut of_first = Phrase::default();
    for tail in [rest, unit(rest, &mut of_first)] {
        let Some((second, rest)) = after(&TO, tail).and_then(number) else { continue };
        let mut of_second = Phrase::default();
        unit(rest, &mut of_second);
        let same =
            of_first.unit.is_none() || [None, of_first.unit.clone()].contains(&of_second.unit);
        found.range = Some(ordered(first, second)?);
        found.unit = of_first.unit;
        return same.then_some(rest);
    }
    found.value = Some(first);
    Some(rest)
}

fn ordered(low: Decimal, high: Decimal) -> Option<(Decimal, Decimal)> {
    let number = |decimal: &Decimal| decimal.as_str().parse::<f64>().ok();
    (number(&low)? <= number(&high)?).then_some((low, high))
}

/// One number from the start of the text: `1,234`, `.5`, `20k`, `1.2 million`, `-3`, `three`.
pub(super) fn number(text: &str) -> Option<(Decimal, &str)> {
    static DIGITS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?<sign>-?)(?<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?<fraction>\.[0-9]+)?(?<times>k|K|M|B|\s?(?i:thousand|million|billion)\b)?",
        )
    });
    let found = DIGITS.captures(text)?;
    let (whole, fraction) = (group(&found, "whole").replace(',', ""), group(&found, "fraction"));
    if whole.is_empty() && fraction.is_empty() {
        return number_word(text);
    }
    let zeros = match group(&found, "times").trim().to_ascii_lowercase().as_str() {
        "k" | "thousand" => 3,
        "m" | "million" => 6,
        "b" | "billion" => 9,
        _ => 0,
    };
    let rest = text.get(found.get(0)?.end()..)?;
    let shifted = shifted(&whole, fraction.trim_start_matches('.'), zeros);
    let value = decimal(&format!("{}{shifted}", group(&found, "sign")))?;
    ends_a_number(rest).then_some((value, rest))
}

/// Moves the decimal point to the right.
fn shifted(whole: &str, fraction: &str, zeros: usize) -> String {
    let padded = format!("{fraction:0<zeros$}");
    let (moved, fraction) = padded.split_at_checked(zeros).unwrap_or((&padded, ""));
    let whole = format!("{whole}{moved}");
    if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") }
}

/// What may stand right after a number: the end, space, signs, or a unit that is written close.
fn ends_a_number(rest: &str) -> bool {
    static CLOSE_UNIT: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:ms|secs?|s|mins?|hrs?|h|d|x|ish|-ish)(?:$|[^A-Za-z0-9])"));
    let mut chars = rest.chars();
    match (chars.next(), chars.next()) {
        (Some('.' | ','), Some(next)) => !next.is_ascii_digit(),
        (Some('-'), Some(next)) if next.is_alphabetic() => CLOSE_UNIT.is_match(rest),
        (Some(c), _) if c.is_alphabetic() => CLOSE_UNIT.is_match(rest),
        (Some(c), _) => !c.is_ascii_digit() && c != '_' && c != '@' && c != '#',
        (None, _) => true,
    }
}

fn number_word(text: &str) -> Option<(Decimal, &str)> {
    const WORDS: &[&str] = &[
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    static COUNTED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:$|[.;,]|\s+(?:of\s+\d|to\s|\()|\s+(?:\w+\s+)?(?:users?|veterans?|people|person|bugs?|issues?|defects?|errors?|calls?|days?|weeks?|hours?|minutes?|months?|facilit(?:y|ies)|sites?|organi[sz]ations?|testers?|participants?|submissions?|applications?)\b)",
        )
    });
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    let value = WORDS.iter().position(|known| known.eq_ignore_ascii_case(word))?;
    COUNTED.is_match(rest).then(|| decimal(&value.to_string()))?.map(|value| (value, rest))
}

/// A decimal in its one spelling: no leading zeros, no sign before zero.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let zero = whole == "0" && fraction.bytes().all(|b| b == b'0');
    let sign = if zero { "" } else { sign };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}").parse().ok()
}

/// `10+`, `30ish`.
fn plus_or_ish<'t>(rest: &'t str, found: &mut Phrase) -> &'t str {
    if let Some(after) = rest.strip_prefix('+').filter(|_| found.qualifier.is_none()) {
        found.qualifier = Some(Qualifier::Ge);
        return after;
    }
    if let Some(after) = rest.strip_prefix("ish").or_else(|| rest.strip_prefix("-ish")) {
        found.approx = true;
        return after;
    }
    rest
}

/// What is counted, when a word says so.
fn unit<'t>(text: &'t str, found: &mut Phrase) -> &'t str {
    static PERCENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\s*(?:%|percent\b|pct\b)"));
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^\s*(?<word>[A-Za-z]+(?:-[A-Za-z]+)*)"));
    if let Some(rest) = after(&PERCENT, text) {
        found.unit = Some("%".to_owned());
        return rest;
    }
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(next) = WORD.captures(rest) {
        let word = group(&next, "word").to_ascii_lowercase();
        if NOT_UNITS.contains(&word.as_str()) || MONTHS.contains(&word.as_str()) {
            break;
        }
        let goes_on = is_before_unit(&word);
        words.push(spelled_out(&word));
        rest = next.get(0).and_then(|all| rest.get(all.end()..)).unwrap_or("");
        if !goes_on {
            break;
        }
    }
    if words.last().is_none_or(|last| is_before_unit(last)) {
        return text;
    }
    found.unit = found.unit.take().or(Some(words.join(" ")));
    rest
}

fn is_before_unit(word: &str) -> bool {
    BEFORE_UNITS.contains(&word) || word.contains('-')
}

fn spelled_out(unit: &str) -> String {
    let spelled = match unit {
        "s" | "sec" | "secs" | "second" => "seconds",
        "min" | "mins" | "minute" => "minutes",
        "h" | "hr" | "hrs" | "hour" => "hours",
        "d" | "day" => "days",
        other => other,
    };
    spelled.to_owned()
}

/// The parts of a percentage, or the percentage of the parts: `40% (2/5)`, `2/5 (40%)`.
fn beside<'t>(rest: &'t str, found: &mut Phrase) -> &'t str {
    static PARTS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^\s*\(\s*(?<first>[0-9][0-9,.]*[kKM]?)\s*/\s*(?<second>[0-9][0-9,.]*[kKM]?)\s*\)")
    });
    static PERCENT: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^\s*\(\s*(?<value>[0-9]*\.?[0-9]+)\s*%\s*\)"));
    let whole = |text: &str| number(text).filter(|(_, rest)| rest.is_empty()).map(|(n, _)| n);
    if found.unit.as_deref() == Some("%")
        && let Some(parts) = PARTS.captures(rest)
    {
        found.ratio = whole(group(&parts, "first")).zip(whole(group(&parts, "second")));
        return after(&PARTS, rest).unwrap_or(rest);
    }
    if found.ratio.is_some()
        && let Some(percent) = PERCENT.captures(rest)
    {
        found.value = whole(group(&percent, "value"));
        found.unit = Some("%".to_owned());
        return after(&PERCENT, rest).unwrap_or(rest);
    }
    rest
}

/// The tool that the first clause says the number is from.
fn source(text: &str) -> Option<String> {
    static TOOL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^[^;.]*(?:\b(?:per|via|from|according to|source:?)\s+|\()(?<tool>(?i:Datadog|Google Analytics|GA4?|Domo|Sentry|Medallia|Kibana|Grafana|Splunk))\b",
        )
    });
    Some(group(&TOOL.captures(text)?, "tool").to_owned())
}
