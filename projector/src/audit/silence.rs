//! Has a source fallen silent? The usual rhythm of what it says against the silence until now.
//!
//! What comes within an hour is one delivery: a file is imported row by row, a script sends ten
//! events at once. The rhythm is the median time between the beginnings of deliveries, and needs
//! [`DELIVERIES_LEN_MIN`] of them to be told.

use serde::Serialize;

use super::Cited;
use crate::{deviations::length_words, recorded::Moment};

/// Newest entries of a source that the rhythm is taken from, at most.
pub const SAID_LEN_MAX: usize = 256;

/// Deliveries that a rhythm needs.
pub const DELIVERIES_LEN_MIN: usize = 4;

/// Entries that lie no further apart belong to one delivery, in microseconds: an hour.
const DELIVERY_US: i64 = 3_600 * 1_000_000;

/// A silence of so many times the rhythm counts as silence.
const RHYTHMS_MAX: i64 = 3;

/// A shorter silence never counts, in microseconds: a day.
const SILENCE_US_MIN: i64 = 24 * 3_600 * 1_000_000;

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// What is known of when a source spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoke {
    /// The CloudEvents `source`.
    pub source: String,
    /// When its newest entries were recorded, newest first, at most [`SAID_LEN_MAX`].
    pub recorded_at_us: Vec<i64>,
    /// The newest of them.
    pub newest: Cited,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    pub source: String,
    pub state: SourceState,
    /// Its newest entry.
    pub newest: Cited,
    pub newest_recorded_at: Moment,
    /// Since then, in seconds.
    pub silent_seconds: i64,
    /// The median time between deliveries, in seconds; null when there are too few to tell.
    pub rhythm_seconds: Option<i64>,
    /// How many deliveries were looked at.
    pub deliveries: usize,
    /// Why it is in this state, in one sentence.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    Speaking,
    Silent,
    /// Too few deliveries to tell a rhythm, and no threshold was given.
    CannotBeTold,
}

impl Source {
    /// The state of a source at a moment; `silent_days` is a plain threshold instead of the rhythm.
    pub fn of(spoke: &Spoke, at: Moment, silent_days: Option<u32>) -> Source {
        let newest = spoke.recorded_at_us.first().copied().unwrap_or_default();
        let silence = (at.0 - newest).max(0);
        let begins = deliveries(&spoke.recorded_at_us);
        let rhythm = rhythm(&begins);
        let words = length_words;
        let silent_for = words(silence);
        let (state, why) = match (silent_days, rhythm) {
            (Some(days), _) => {
                let silent = silence >= i64::from(days) * DAY_US;
                let relation = if silent { "at least" } else { "less than" };
                let why = format!("It said nothing for {silent_for}, {relation} {days} days.");
                (if silent { SourceState::Silent } else { SourceState::Speaking }, why)
            }
            (None, Some(rhythm)) => {
                let silent = silence > (rhythm * RHYTHMS_MAX).max(SILENCE_US_MIN);
                let usual = words(rhythm);
                let why = format!("It said nothing for {silent_for}; usual is every {usual}.");
                (if silent { SourceState::Silent } else { SourceState::Speaking }, why)
            }
            (None, None) => {
                let count = match begins.len() {
                    1 => "1 delivery".to_owned(),
                    count => format!("{count} deliveries"),
                };
                let why = format!(
                    "It said nothing for {silent_for}; {count} of {DELIVERIES_LEN_MIN} that would \
                     tell a rhythm."
                );
                (SourceState::CannotBeTold, why)
            }
        };
        Source {
            source: spoke.source.clone(),
            state,
            newest: spoke.newest.clone(),
            newest_recorded_at: Moment(newest),
            silent_seconds: silence / 1_000_000,
            rhythm_seconds: rhythm.map(|us| us / 1_000_000),
            deliveries: begins.len(),
            why,
        }
    }
}

/// When deliveries began, newest first.
fn deliveries(newest_first: &[i64]) -> Vec<i64> {
    let mut begins: Vec<i64> = Vec::new();
    let mut last: Option<i64> = None;
    for &at in newest_first {
        let same = last.is_some_and(|last| last - at <= DELIVERY_US);
        match begins.last_mut() {
            Some(begin) if same => *begin = at,
            _ => begins.push(at),
        }
        last = Some(at);
    }
    begins
}

/// The median time between deliveries.
fn rhythm(begins: &[i64]) -> Option<i64> {
    if begins.len() < DELIVERIES_LEN_MIN {
        return None;
    }
    let mut gaps: Vec<i64> =
        begins.windows(2).filter_map(|pair| Some(pair.first()? - pair.last()?)).collect();
    gaps.sort_unstable();
    let upper = gaps.get(gaps.len() / 2).copied()?;
    let lower = gaps.get((gaps.len() - 1) / 2).copied()?;
    Some(lower + (upper - lower) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours, the moment, the threshold; the state and the rhythm.
    type Row<'a> = (&'a [i64], i64, Option<u32>, SourceState, Option<i64>);

    const HOUR: i64 = 3_600 * 1_000_000;

    fn spoke(hours: &[i64]) -> Spoke {
        Spoke {
            source: "https://monitor.example".to_owned(),
            recorded_at_us: hours.iter().map(|h| h * HOUR).collect(),
            newest: Cited { seq: 9, hash: String::new() },
        }
    }

    #[test]
    fn silence_is_told_by_the_rhythm_or_by_a_threshold() {
        use SourceState::{CannotBeTold, Silent, Speaking};
        let daily: &[i64] = &[96, 72, 48, 24, 0];
        let rows: [Row; 8] = [
            (daily, 96 + 72, None, Speaking, Some(86_400)),
            (daily, 96 + 73, None, Silent, Some(86_400)),
            (daily, 96 + 73, Some(4), Speaking, Some(86_400)),
            (daily, 96 + 96, Some(4), Silent, Some(86_400)),
            // Hourly ones that come at once are one delivery, and nobody is silent within a day.
            (&[12, 12, 8, 8, 4, 4, 0, 0], 12 + 24, None, Speaking, Some(14_400)),
            (&[12, 12, 8, 8, 4, 4, 0, 0], 12 + 25, None, Silent, Some(14_400)),
            (&[48, 24, 0], 10_000, None, CannotBeTold, None),
            (&[5], 5, Some(1), Speaking, None),
        ];
        for (hours, at, days, state, rhythm) in rows {
            let source = Source::of(&spoke(hours), Moment(at * HOUR), days);
            assert_eq!((source.state, source.rhythm_seconds), (state, rhythm), "{hours:?} {at}");
        }
    }
}
