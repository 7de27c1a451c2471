//! Years that a plan leaves out: taken from the nearest full date, and said so.

use jiff::civil::Date;
use schemas::values::{PlanValue, Window};

use super::lines::{Kind, Line};
use crate::words::{self, YearHint};

/// The dates of a plan that say their year, each with its line.
#[derive(Debug, Default)]
pub(crate) struct Years {
    known: Vec<(u64, Date)>,
}

impl Years {
    pub(crate) fn of(text: &str, lines: &[Line]) -> Years {
        let mut known = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let words = line.content.of(text);
            if matches!(line.kind, Kind::Comment | Kind::Code)
                || words.contains("://")
                || words.len() > 300
            {
                continue;
            }
            let number = at as u64 + 1;
            // The value behind a label, or a title such as `..., March 2024`.
            let value = words.split_once(": ").map_or(words, |(_, value)| value);
            let after_comma = words.rsplit_once(", ").map_or(words, |(_, value)| value);
            let date = [value, words, after_comma].into_iter().find_map(date_in);
            known.extend(date.map(|date| (number, date)));
        }
        Years { known }
    }

    /// A hint for each year that a date at a line may have, the likeliest first, and the date that
    /// it is taken from.
    fn hints(&self, line: u64) -> Option<(Date, [YearHint; 3])> {
        let (from, date) = self.known.iter().min_by_key(|(known, _)| known.abs_diff(line))?;
        let hint = |year| YearHint { year, from: format!("line {from}") };
        let year = date.year();
        Some((*date, [hint(year), hint(year - 1), hint(year + 1)]))
    }

    /// The hint whose year brings the window nearest to the nearest full date.
    pub(crate) fn hint(&self, raw: &str, line: u64) -> Option<YearHint> {
        let (date, hints) = self.hints(line)?;
        let distance = |hint: &YearHint| {
            let window = words::window(raw, Some(hint))?;
            let start: Date = window.start.or(window.end)?.as_str().parse().ok()?;
            Some(start.since(date).ok()?.get_days().abs())
        };
        hints
            .into_iter()
            .filter_map(|hint| Some((distance(&hint)?, hint)))
            .min_by_key(|(d, _)| *d)
            .map(|(_, hint)| hint)
    }
}

/// Whether a window's dates were understood.
pub(crate) fn dated(window: &Window) -> bool {
    window.start.is_some() || window.end.is_some()
}

/// The first date of words that say their year.
fn date_in(words: &str) -> Option<Date> {
    let four =
        words.split(|c: char| !c.is_ascii_digit()).any(|d| d.len() == 4 && d.starts_with("20"));
    let short = words.matches('/').count() >= 2;
    if !four && !short {
        return None;
    }
    let window = words::window(words, None).filter(dated);
    let start = window.and_then(|w| w.start.or(w.end));
    start.and_then(|date| date.as_str().parse().ok())
}

/// The window in a value, if it is one.
pub(crate) fn window_of(value: Option<&PlanValue>) -> Option<&Window> {
    match value {
        Some(PlanValue::Window(window)) => Some(window),
        _ => None,
    }
}
