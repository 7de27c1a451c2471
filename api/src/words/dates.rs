//! Dates as people write them, in the US order of month and day, and the span that they make.

use std::{ops::Range, sync::LazyLock};

use jiff::{
    ToSpan,
    civil::{Date, Weekday},
};
use regex::{Captures, Regex};

use super::{group, pattern};

/// The year that a date without one is taken to be in, and what says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YearHint {
    pub year: i16,
    /// What the year is taken from, in words: `the plan's title`.
    pub from: String,
}

/// What dates a text holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// No date.
    Absent,
    /// Dates, but not certain ones: about, either of two, with no year.
    Unclear,
    Clear(Span),
}

/// A span of days, both ends included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Option<Date>,
    pub(super) end: Option<Date>,
    pub(super) shape: Shape,
    /// Whether a year was taken from the hint.
    pub(super) year_inferred: bool,
    /// Where in the text the dates stand.
    pub(super) place: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Day,
    Week,
    Month,
    Range,
    /// On that day or later.
    From,
    /// On that day or earlier.
    Until,
}

/// A date as it is written. Without a day it is a whole month.
#[derive(Clone, Debug)]
struct Written {
    place: Range<usize>,
    year: Option<i16>,
    month: i8,
    day: Option<i8>,
}

const MONTH: &str = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?";

/// Reads the span that a text without Markdown names.
pub(super) fn read(text: &str, hint: Option<&YearHint>) -> Reading {
    let Some(found) = written(text) else { return Reading::Unclear };
    let span = match found.as_slice() {
        [] => return Reading::Absent,
        [one] => single(text, one, hint),
        [start, end] if joined(text, start, end) => range(text, start, end, hint),
        _ => None,
    };
    let vague = found.iter().any(|date| is_vague(text, date));
    span.filter(|_| !vague).map_or(Reading::Unclear, Reading::Clear)
}

/// The dates in the text; those in brackets only when there are no others. `None` when one of
/// them cannot be a date.
fn written(text: &str) -> Option<Vec<Written>> {
    static DATE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?ix)
              \b(?<iso_year>[0-9]{{4}})-(?<iso_month>[0-9]{{1,2}})-(?<iso_day>[0-9]{{1,2}})(?:\b|T)
            | \b(?<us_month>[0-9]{{1,2}})/(?<us_day>[0-9]{{1,2}})(?:/(?<us_year>[0-9]{{4}}|[0-9]{{2}}))?\b
            | \b(?<day_first>[0-9]{{1,2}})(?:st|nd|rd|th)?\s+(?<month_second>{MONTH})(?:,?\s+(?<year_third>[0-9]{{4}}))\b
            | \b(?<name>{MONTH})\s+(?<name_day>[0-9]{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?<name_year>[0-9]{{4}}))?\b
            | \b(?<whole>{MONTH}),?\s+(?<whole_year>[0-9]{{4}})\b
            "
        ))
    });
    let mut dates = Vec::new();
    for found in DATE.captures_iter(text) {
        let date = date_of(text, &found)?;
        let next = second_day(text, &date);
        dates.push(date);
        dates.extend(next);
    }
    let outside: Vec<Written> =
        dates.iter().filter(|date| !in_brackets(text, date)).cloned().collect();
    Some(if outside.is_empty() { dates } else { outside })
}

fn date_of(text: &str, found: &Captures) -> Option<Written> {
    let place = found.get(0)?.range();
    let apart = |c: Option<char>| !c.is_some_and(|c| c == '/' || c.is_alphanumeric());
    let before = text.get(..place.start)?.chars().next_back();
    let after = text.get(place.end..)?.chars().next();
    let time_follows = text.get(..place.end)?.ends_with(['T', 't']);
    if !apart(before) || !(apart(after) || time_follows) {
        return None;
    }
    let first = |names: [&str; 4]| {
        names.into_iter().map(|name| group(found, name)).find(|text| !text.is_empty())
    };
    let year = match first(["iso_year", "us_year", "year_third", "name_year"])
        .or(Some(group(found, "whole_year")))
    {
        None | Some("") => None,
        Some(digits) if digits.len() == 2 => Some(2000 + digits.parse::<i16>().ok()?),
        Some(digits) => Some(digits.parse::<i16>().ok().filter(|y| (1990..=2100).contains(y))?),
    };
    let month = match first(["name", "whole", "month_second", "name"]) {
        Some(name) => month(name)?,
        None => first(["iso_month", "us_month", "iso_month", "us_month"])?.parse().ok()?,
    };
    let day = match first(["iso_day", "us_day", "day_first", "name_day"]) {
        Some(digits) => Some(digits.parse().ok()?),
        None => None,
    };
    // 2024 has a 29 February; whether its own year has one is seen when the year is known.
    Date::new(year.unwrap_or(2024), month, day.unwrap_or(1)).ok()?;
    Some(Written { place, year, month, day })
}

fn month(name: &str) -> Option<i8> {
    let at = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        .iter()
        .position(|short| name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(short)))?;
    i8::try_from(at + 1).ok()
}

/// The second day in `January 13-24, 2025`, which does not repeat the month.
fn second_day(text: &str, first: &Written) -> Option<Written> {
    static SECOND: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\s*(?:-|to|through|thru|until)\s*(?<day>[0-9]{1,2})(?:st|nd|rd|th)?(?:,?\s+(?<year>[0-9]{4}))?(?:[\s,;.)\]]|$)",
        )
    });
    static COUNTS: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)^\s*(?:days?|weeks?|hours?|users?|%|[ap]\.?m|[0-9:/])"));
    let named = text.get(first.place.clone())?.starts_with(|c: char| c.is_alphabetic());
    let rest = text.get(first.place.end..)?;
    let found = SECOND.captures(rest).filter(|_| named && first.year.is_none())?;
    let day: i8 = group(&found, "day").parse().ok()?;
    let end = found.name("year").or(found.name("day"))?.end();
    if COUNTS.is_match(rest.get(end..)?) || first.day.is_none_or(|first| day < first) {
        return None;
    }
    let year = group(&found, "year").parse().ok().filter(|year| (1990..=2100).contains(year));
    let place = first.place.end..first.place.end + end;
    Date::new(2024, first.month, day).ok()?;
    Some(Written { place, year, month: first.month, day: Some(day) })
}

fn in_brackets(text: &str, date: &Written) -> bool {
    let before = text.get(..date.place.start).unwrap_or("");
    before.matches('(').count() > before.matches(')').count()
}

/// Whether only a dash or "to" stands between, which makes a range of the two.
fn joined(text: &str, start: &Written, end: &Written) -> bool {
    static JOIN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\s*(?:-+>?|→|to|through|thru|until)\s*(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s*)?$",
        )
    });
    // The second day of one month begins where the first ends, its dash included.
    end.place.start == start.place.end
        || text.get(start.place.end..end.place.start).is_some_and(|gap| JOIN.is_match(gap))
}

/// Whether the words beside a date make it uncertain.
fn is_vague(text: &str, date: &Written) -> bool {
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?i)(?:[~≈]|\b(?:late|early|mid|mid-|middle of|end of|beginning of|start of|around|about|approx\w*\.?|circa|sometime|roughly|or|early in|{MONTH}\s*[-/&]|{MONTH}\s+(?:to|and|or)))\s*(?:in\s+)?(?:the\s+)?(?:week\s+of\s+)?$"
        ))
    });
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\s*(?:\(?-?ish|or\s+(?:[0-9]|so\b|later|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|\?)",
        )
    });
    let before = text.get(..date.place.start).unwrap_or("");
    let rest = text.get(date.place.end..).unwrap_or("");
    BEFORE.is_match(before) || AFTER.is_match(rest)
}

fn single(text: &str, date: &Written, hint: Option<&YearHint>) -> Option<Span> {
    static WEEK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bweek\s+of:?\s*$"));
    static SINCE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:since|from|starting|starts?|beginning|after)(?:\s+(?:on|by))?:?\s*$")
    });
    static BY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:by|before|until|till|through|no later than|not after)(?:\s+the)?:?\s*$")
    });
    static ONWARDS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)^\s*(?:\+|-+>?\s*(?:$|\()|(?:forwards?|onwards?|and later|and on)\b)")
    });
    let before = text.get(..date.place.start)?;
    let rest = text.get(date.place.end..)?;
    let year = date.year.or(hint.map(|hint| hint.year))?;
    let day = on(date, year)?;
    let inferred = date.year.is_none();
    if inferred && weekday_disagrees(before, rest, day) {
        return None;
    }
    let span = |start, end, shape| {
        let place = date.place.clone();
        Some(Span { start, end, shape, year_inferred: inferred, place })
    };
    if date.day.is_none() {
        return span(Some(day), Some(day.last_of_month()), Shape::Month);
    }
    if WEEK.is_match(before) {
        let (start, end) = week_around(day)?;
        return span(Some(start), Some(end), Shape::Week);
    }
    if SINCE.is_match(before) || ONWARDS.is_match(rest) {
        return span(Some(day), None, Shape::From);
    }
    if BY.is_match(before) {
        return span(None, Some(day), Shape::Until);
    }
    span(Some(day), Some(day), Shape::Day)
}

fn on(date: &Written, year: i16) -> Option<Date> {
    Date::new(year, date.month, date.day.unwrap_or(1)).ok()
}

/// The week that a day lies in: from Monday, or from the day itself when it is a Sunday.
fn week_around(day: Date) -> Option<(Date, Date)> {
    let past = match day.weekday() {
        Weekday::Sunday => 0,
        weekday => weekday.to_monday_zero_offset(),
    };
    let start = day.checked_sub(i64::from(past).days()).ok()?;
    Some((start, start.checked_add(6.days()).ok()?))
}

/// Whether a day of the week stands beside the date and is not the one it falls on: the year
/// that was inferred is then the wrong one.
fn weekday_disagrees(before: &str, rest: &str, day: Date) -> bool {
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?<day>mon|tue|wed|thu|fri|sat|sun)(?:[a-z]*day|s|rs|r|nes)?\.?,?\s*$")
    });
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)^\s*,?\s*\(?(?<day>mon|tue|wed|thu|fri|sat|sun)[a-z]*day\b")
    });
    let said = BEFORE.captures(before).or_else(|| AFTER.captures(rest));
    let falls_on = format!("{:?}", day.weekday()).to_ascii_lowercase();
    said.is_some_and(|said| !falls_on.starts_with(&group(&said, "day").to_ascii_lowercase()))
}

fn range(text: &str, start: &Written, end: &Written, hint: Option<&YearHint>) -> Option<Span> {
    start.day.and(end.day)?;
    let wraps = (end.month, end.day) < (start.month, start.day);
    let turn = i16::from(wraps);
    let (first, last) = match (start.year, end.year) {
        (Some(first), Some(last)) => (first, last),
        (None, Some(last)) => (last - turn, last),
        (Some(first), None) => (first, first + turn),
        (None, None) => hint.map(|hint| (hint.year, hint.year.saturating_add(turn)))?,
    };
    let inferred = start.year.is_none() && end.year.is_none();
    let (from, to) = (on(start, first)?, on(end, last)?);
    let before = text.get(..start.place.start)?;
    let rest = text.get(end.place.end..)?;
    let gap = text.get(start.place.end..end.place.start)?;
    if inferred && (weekday_disagrees(before, "", from) || weekday_disagrees(gap, rest, to)) {
        return None;
    }
    Some(Span {
        start: Some(from),
        end: Some(to),
        shape: Shape::Range,
        year_inferred: inferred,
        place: start.place.start..end.place.end,
    })
}

/// The text after the dates of a span, for what is said about the time of day.
pub(super) fn without_dates(text: &str, span: &Span) -> String {
    let mut text = text.to_owned();
    if text.is_char_boundary(span.place.start) && text.is_char_boundary(span.place.end) {
        text.replace_range(span.place.clone(), " ");
    }
    text
}
