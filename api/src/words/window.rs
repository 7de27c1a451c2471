//! Spans of dates: `8/22/22 - 8/24/22`, `March 12th - 14th`, `week of Oct 15`.

use schemas::id::LocalDate;
use schemas::values::Window;

use super::dates::{Reading, YearHint, read};
use super::plain;

/// Reads the dates that a plan names. `None` when there are none; raw text alone when they are not
/// certain (about, either of two, no year and no hint). The ends are as written: in a plan with a
/// wrong year the end may lie before the start.
pub fn window(raw: &str, hint: Option<&YearHint>) -> Option<Window> {
    let text = plain(raw);
    let (start, end) = match read(&text, hint) {
        Reading::Absent => return None,
        Reading::Unclear => (None, None),
        Reading::Clear(span) => (span.start, span.end),
    };
    let date = |date: Option<jiff::civil::Date>| {
        date.and_then(|date| LocalDate::try_from(date.to_string()).ok())
    };
    Some(Window { raw: Some(raw.to_owned()), start: date(start), end: date(end) })
}
