//! Lengths of time: `1-2 days`, `one week`, `minimum 2 hours`.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use schemas::id::IsoDuration;
use schemas::values::Duration;

use super::number::number;
use super::{after, group, pattern, plain};

const AMOUNT: &str = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)";
const UNIT: &str =
    r"(?:minutes?|mins?|hours?|hrs?|h|days?|d|weeks?|wks?|w|months?|mos?|years?|yrs?)";

/// Which ends of the length the words give.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Both,
    AtLeast,
    AtMost,
    /// About, or one of two: the raw text alone.
    Neither,
}

/// Reads a length of time from the start of the text. `None` when it does not begin with one; raw
/// text alone when it is not certain (`~2 weeks`, `2 days or until ...`).
///
/// A week is seven days. Of business days only the least is certain.
pub fn duration(raw: &str) -> Option<Duration> {
    let text = plain(raw);
    let kept = |min, max| Some(Duration { raw: Some(raw.to_owned()), min, max });
    if let Ok(iso) = text.parse::<IsoDuration>() {
        return kept(Some(iso.clone()), Some(iso));
    }
    let (bound, rest) = lead(&text);
    let (min, max, bound) = length(rest, bound)?;
    let least = matches!(bound, Bound::Both | Bound::AtLeast);
    let most = matches!(bound, Bound::Both | Bound::AtMost);
    kept(min.filter(|_| least), max.filter(|_| most))
}

/// The minimum that a template advises beside a blank: `[FILL_IN] (*minimum 2 hours*)`.
pub fn guidance_minimum(raw: &str) -> Option<Duration> {
    static ADVISED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\(\s*[*_]*\s*(?<words>minimum\s+[^()*_]*[^()*_\s])\s*[*_]*\s*\)")
    });
    let advised = ADVISED.captures(raw)?;
    duration(group(&advised, "words")).filter(|advised| advised.min.is_some())
}

/// The words before a length.
fn lead(text: &str) -> (Bound, &str) {
    static LEADS: LazyLock<[(Bound, Regex); 4]> = LazyLock::new(|| {
        [
            (Bound::Both, pattern(r"(?i)^(?:(?:for|of|a\s+(?:total|period)\s+of)\s+|between\s+)")),
            (
                Bound::AtLeast,
                pattern(
                    r"(?i)^(?:(?:>=|≥|>)\s*|(?:min(?:imum)?\.?(?:\s+of)?|at least|no less than|not less than|more than)\s+)",
                ),
            ),
            (
                Bound::AtMost,
                pattern(
                    r"(?i)^(?:(?:<=|≤|<)\s*|(?:max(?:imum)?\.?(?:\s+of)?|at most|no more than|up to|within|less than|under)\s+)",
                ),
            ),
            (
                Bound::Neither,
                pattern(
                    r"(?i)^(?:[~≈]\s*|(?:about|around|approx(?:imately)?\.?|roughly|over|nearly|almost|est(?:imated)?\.?)\s+)",
                ),
            ),
        ]
    });
    let mut bound = Bound::Both;
    let mut rest = text.trim_start();
    while let Some((found, next)) =
        LEADS.iter().find_map(|(bound, words)| Some((*bound, after(words, rest)?)))
    {
        bound = match (bound, found) {
            (bound, Bound::Both) => bound,
            (Bound::Both, found) => found,
            _ => Bound::Neither,
        };
        rest = next;
    }
    (bound, rest)
}

type Ends = (Option<IsoDuration>, Option<IsoDuration>, Bound);

/// A range of lengths, or the sum of several units.
fn length(text: &str, bound: Bound) -> Option<Ends> {
    static LENGTH: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?ix)^(?<first>{AMOUNT})
              (?:\s*(?<first_unit>{UNIT})?\s*(?:-|\bto\b|\band\b)\s*(?<second>{AMOUNT}))?
              (?<plus>\s*\+)?[\s-]*
              (?<kind>(?:business|working|work|calendar|full|consecutive)\s+)?
              (?<unit>{UNIT})\b(?<plus_after>\+)?"
        ))
    });
    static JOIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\s*(?:,|and)?\s*"));
    let found = LENGTH.captures(text)?;
    let mut rest = text.get(found.get(0)?.end()..)?;
    let unit = group(&found, "unit");
    let range = found.name("second").is_some();
    let first_unit = found.name("first_unit").map_or(unit, |unit| unit.as_str());
    let mut min = vec![part(group(&found, "first"), first_unit)?];
    let second = if range { part(group(&found, "second"), unit)? } else { min.first()?.clone() };
    let mut max = vec![second];
    while let Some(next) =
        LENGTH.captures(after(&JOIN, rest)?).filter(|next| !range && is_plain(next))
    {
        let part = part(group(&next, "first"), group(&next, "unit"))?;
        min.push(part.clone());
        max.push(part);
        let joined = rest.len() - after(&JOIN, rest)?.len();
        rest = rest.get(joined + next.get(0)?.end()..)?;
    }
    let mut bound = bound_after(rest, bound);
    if bound == Bound::Both && (found.name("plus").is_some() || found.name("plus_after").is_some())
    {
        bound = Bound::AtLeast;
    }
    let business = group(&found, "kind").trim_end().to_ascii_lowercase();
    let no_most = matches!(business.as_str(), "business" | "working" | "work");
    Some((iso(&min), iso(&max).filter(|_| !no_most), bound))
}

fn is_plain(part: &Captures) -> bool {
    ["second", "plus", "kind"].iter().all(|name| part.name(name).is_none())
}

/// Words after a length that bound it.
fn bound_after(rest: &str, bound: Bound) -> Bound {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^[\s,]*\(?(?:(?<least>min(?:imum)?\b|at least|or (?:more|longer))|(?<most>max(?:imum)?\b|at most|or less)|(?<neither>or\b|-?ish|\())",
        )
    });
    let found = WORDS.captures(rest);
    let is = |name| found.as_ref().is_some_and(|found| found.name(name).is_some());
    match bound {
        Bound::Both if is("least") => Bound::AtLeast,
        Bound::Both if is("most") => Bound::AtMost,
        _ if is("neither") && !rest.trim_start().starts_with('(') => Bound::Neither,
        _ => bound,
    }
}

/// An amount of one unit, as text and in minutes (0 for months and years, which have no length).
#[derive(Clone, Debug)]
struct Part {
    amount: String,
    unit: char,
    minutes: f64,
}

fn part(amount: &str, unit: &str) -> Option<Part> {
    let lower = unit.to_ascii_lowercase();
    let (unit, minutes) = match lower.get(..2).unwrap_or(&lower) {
        "mi" => ('m', 1.0),
        "h" | "ho" | "hr" => ('h', 60.0),
        "d" | "da" => ('d', 1440.0),
        "w" | "we" | "wk" => ('w', 10_080.0),
        "mo" => ('M', 0.0),
        _ => ('Y', 0.0),
    };
    let one = amount.eq_ignore_ascii_case("a") || amount.eq_ignore_ascii_case("an");
    let amount = if one { "1".to_owned() } else { number(amount)?.0.to_string() };
    let minutes = minutes * amount.parse::<f64>().ok()?;
    Some(Part { amount, unit, minutes })
}

/// The parts in ISO 8601, in the unit they were written in where that is possible.
fn iso(parts: &[Part]) -> Option<IsoDuration> {
    let text = match parts {
        [Part { amount, unit, .. }] if !amount.contains('.') => match unit {
            'm' => format!("PT{amount}M"),
            'h' => format!("PT{amount}H"),
            'd' => format!("P{amount}D"),
            'w' => format!("P{}D", amount.parse::<u32>().ok()?.checked_mul(7)?),
            unit => format!("P{amount}{unit}"),
        },
        parts => {
            let minutes: f64 = parts.iter().map(|part| part.minutes).sum();
            let whole = minutes.fract() == 0.0 && minutes < 1e9;
            let lengths = parts.iter().all(|part| part.minutes > 0.0);
            in_minutes(format!("{minutes}").parse().ok().filter(|_| whole && lengths)?)
        }
    };
    text.parse().ok()
}

fn in_minutes(minutes: u64) -> String {
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let some = |n: u64, unit: char| if n == 0 { String::new() } else { format!("{n}{unit}") };
    let time = some(hours, 'H') + &some(minutes, 'M');
    let time = if time.is_empty() { time } else { format!("T{time}") };
    format!("P{}{time}", some(days, 'D'))
}
