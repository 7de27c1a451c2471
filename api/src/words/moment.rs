//! When something happened: `2/12 2:34p PT`, `2025-01-14 10:30`, `8/22/22`.

use std::sync::LazyLock;

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use regex::Regex;
use schemas::id::{Instant, TimeZoneName};
use schemas::values::{Occurrence, Precision};

use super::dates::{Reading, Shape, Span, YearHint, read, without_dates};
use super::{group, pattern, plain};

/// Reads a moment as exactly as the words give it, in `zone` unless they name another.
///
/// Every moment that the words may mean lies between `earliest` and `latest`. What is not certain
/// keeps its raw text with precision unknown; `by 6/28/21` has a latest moment alone.
pub fn occurrence(raw: &str, zone: &TimeZone, hint: Option<&YearHint>) -> Occurrence {
    // A plan may name an estimated day; nothing happened on it yet.
    static INTENDED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:estimated?|tentative(?:ly)?|desired|planned|expected|target(?:ed)?)\b")
    });
    let text = plain(raw);
    let unknown = Occurrence {
        raw: Some(raw.to_owned()),
        earliest: None,
        latest: None,
        precision: Precision::Unknown,
        time_zone: None,
        year_inferred_from: None,
    };
    if let Ok(at) = text.parse::<Timestamp>() {
        let at = Instant::from_micros(at.as_microsecond()).ok();
        let precision = if at.is_some() { Precision::Instant } else { Precision::Unknown };
        return Occurrence { earliest: at.clone(), latest: at, precision, ..unknown };
    }
    let Reading::Clear(span) = read(&text, hint) else { return unknown };
    if INTENDED.is_match(&text) {
        return unknown;
    }
    let said = clock(&without_dates(&text, &span));
    let named = said.zone.and_then(|name| TimeZone::get(name).ok());
    let zone = named.as_ref().unwrap_or(zone);
    let Some(bounds) = bounds(&span, said.time, zone) else { return unknown };
    Occurrence {
        earliest: bounds.earliest.map(Instant::from),
        latest: bounds.latest.map(Instant::from),
        precision: bounds.precision,
        time_zone: zone.iana_name().and_then(|name| TimeZoneName::try_from(name.to_owned()).ok()),
        year_inferred_from: hint.filter(|_| span.year_inferred).map(|hint| hint.from.clone()),
        ..unknown
    }
}

struct Bounds {
    earliest: Option<Timestamp>,
    latest: Option<Timestamp>,
    precision: Precision,
}

fn bounds(span: &Span, time: Option<(Time, Precision)>, zone: &TimeZone) -> Option<Bounds> {
    let start = span.start.map(|day| day.to_datetime(Time::midnight()));
    let end = span.end.map(last_of);
    let (start, end, precision) = match (span.shape, time) {
        (Shape::Day, Some((time, Precision::Instant))) => {
            let at = span.start?.to_datetime(time);
            (Some(at), Some(at), Precision::Instant)
        }
        (Shape::Day, Some((time, precision))) => {
            let at = span.start?.to_datetime(time);
            let last = at.checked_add(59.seconds().microseconds(999_999)).ok()?;
            (Some(at), Some(last), precision)
        }
        (Shape::Day, None) => (start, end, Precision::Day),
        (Shape::Week, _) => (start, end, Precision::Week),
        (Shape::Month, _) => (start, end, Precision::Month),
        (Shape::Until, _) => (None, end, Precision::Unknown),
        // Nothing says when it ended, so nothing bounds it.
        (Shape::From, _) => return None,
        (Shape::Range, _) => {
            let days = (span.end? - span.start?).get_days();
            let precision = match days {
                0 => Precision::Day,
                1..=6 => Precision::Week,
                7..=30 => Precision::Month,
                _ => return None,
            };
            (start, end, precision)
        }
    };
    let earliest = |at: DateTime| zone.to_ambiguous_zoned(at).earlier().ok();
    let latest = |at: DateTime| zone.to_ambiguous_zoned(at).later().ok();
    Some(Bounds {
        earliest: start.and_then(earliest).map(|at| at.timestamp()),
        latest: end.and_then(latest).map(|at| at.timestamp()),
        precision,
    })
}

/// The last microsecond of a day, so that it prints with six digits.
fn last_of(day: Date) -> DateTime {
    day.at(23, 59, 59, 999_999_000)
}

/// What a text says of the time of day.
#[derive(Default)]
struct Clock {
    time: Option<(Time, Precision)>,
    /// An IANA name.
    zone: Option<&'static str>,
}

fn clock(text: &str) -> Clock {
    static TIME: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?ix)(?:^|[\sT@,(])(?<hour>[0-9]{1,2})(?:
                :(?<minute>[0-9]{2})(?::(?<second>[0-9]{2}))?(?:\s*(?<half>[ap])(?:\.?m\.?)?)?
              | \s*(?<half_alone>[ap])(?:\.?m\.?)?
              )(?:\s*(?<zone>[A-Z]{1,4}))?(?:$|[^A-Za-z0-9:-])",
        )
    });
    static ZONE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\W*(?<zone>[A-Z]{2,4})\W*$"));
    let found: Vec<_> = TIME.captures_iter(text).collect();
    let [one] = found.as_slice() else {
        let zone = ZONE.captures(text).and_then(|found| zone(group(&found, "zone")));
        return Clock { time: None, zone };
    };
    let half = group(one, "half").chars().chain(group(one, "half_alone").chars()).next();
    let number = |name| group(one, name).parse::<i8>().ok();
    let hour = match (number("hour"), half.map(|half| half.to_ascii_lowercase())) {
        (Some(12), Some('a')) => Some(0),
        (Some(12), Some('p')) => Some(12),
        (Some(hour @ 1..=11), Some('p')) => Some(hour + 12),
        (Some(hour @ 1..=11), Some('a')) | (Some(hour), None) => Some(hour),
        _ => None,
    };
    let precision =
        if one.name("second").is_some() { Precision::Instant } else { Precision::Minute };
    let (minute, second) = (number("minute").unwrap_or(0), number("second").unwrap_or(0));
    let time = hour.and_then(|hour| Time::new(hour, minute, second, 0).ok());
    Clock { time: time.map(|time| (time, precision)), zone: zone(group(one, "zone")) }
}

/// The zone of the IANA database that people in the United States mean by an abbreviation.
fn zone(abbreviation: &str) -> Option<&'static str> {
    Some(match abbreviation.to_ascii_uppercase().as_str() {
        "ET" | "EST" | "EDT" => "America/New_York",
        "CT" | "CST" | "CDT" => "America/Chicago",
        "MT" | "MST" | "MDT" => "America/Denver",
        "PT" | "PST" | "PDT" => "America/Los_Angeles",
        "AKT" | "AKST" | "AKDT" => "America/Anchorage",
        "HT" | "HST" => "Pacific/Honolulu",
        "UTC" | "GMT" | "Z" => "UTC",
        _ => return None,
    })
}
