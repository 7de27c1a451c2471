//! When a delivery that failed is tried again.

use std::{str::FromStr, time::Duration};

/// The schedule of Standard Webhooks 1.0, about three days in all: the wait before each attempt.
pub const DEFAULT: &str = "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h";

/// Attempts that a schedule may have.
const ATTEMPTS_LEN_MAX: usize = 20;

/// The longest wait before one attempt, also when the receiver asks for more: a day.
const DELAY_MAX: Duration = Duration::from_hours(24);

/// Up to this part of a wait is added to it by chance, in percent, so that a receiver that comes
/// back is not called by everything at once.
const JITTER_PERCENT: u32 = 20;

/// The wait before each attempt of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

#[derive(Debug, thiserror::Error)]
#[error(
    "a schedule is up to {ATTEMPTS_LEN_MAX} waits of at most 24h, such as 0s,5s,5m,2h (ms, s, m, h)"
)]
pub struct InvalidSchedule;

impl Schedule {
    /// How long to wait after `attempts` failed ones, or `None` if there is no attempt left.
    /// `chance` is anything from 0 to 255; `asked` is what the receiver asked for.
    pub fn wait(&self, attempts: u32, chance: u8, asked: Option<Duration>) -> Option<Duration> {
        let place = usize::try_from(attempts).ok()?;
        let delay = *self.0.get(place)?;
        let jitter = delay * JITTER_PERCENT / 100 * u32::from(chance) / u32::from(u8::MAX);
        // Never before the receiver wants it, and never so late that it is forgotten.
        Some((delay + jitter).max(asked.unwrap_or_default().min(DELAY_MAX)))
    }

    /// No wait is longer, so one that seems to be is a clock that was set.
    pub fn longest() -> Duration {
        DELAY_MAX + DELAY_MAX * JITTER_PERCENT / 100
    }
}

impl Default for Schedule {
    fn default() -> Self {
        DEFAULT.parse().expect("the default is a schedule")
    }
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let waits = text.split(',').map(|part| duration(part.trim()).ok_or(InvalidSchedule));
        let waits = waits.collect::<Result<Vec<_>, _>>()?;
        let fits = waits.len() <= ATTEMPTS_LEN_MAX && waits.iter().all(|w| *w <= DELAY_MAX);
        if fits { Ok(Schedule(waits)) } else { Err(InvalidSchedule) }
    }
}

/// `250ms`, `5s`, `5m`, `2h`.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;

    #[test]
    fn the_schedule_is_the_standards_and_jitter_only_adds() {
        let schedule = Schedule::default();
        let seconds =
            [0, 5, 300, 1_800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        for (attempts, seconds) in (0..).zip(seconds) {
            let least = schedule.wait(attempts, 0, None).unwrap();
            assert_eq!(least, Duration::from_secs(seconds));
            let most = schedule.wait(attempts, u8::MAX, None).unwrap();
            assert_eq!(most.as_millis(), u128::from(seconds) * 1_200);
            assert!(schedule.wait(attempts, 100, None).unwrap() <= most);
            assert!(most <= Schedule::longest());
        }
        assert_eq!(schedule.wait(10, 0, None), None);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_ever() {
        let schedule = Schedule::default();
        let wait = |asked| schedule.wait(1, 0, Some(Duration::from_secs(asked))).unwrap();
        assert_eq!(wait(1), Duration::from_secs(5));
        assert_eq!(wait(90), Duration::from_secs(90));
        assert_eq!(wait(u64::MAX), DELAY_MAX);
    }

    #[test]
    fn a_schedule_is_read_from_words() {
        let read: Schedule = "0s, 250ms,2m".parse().unwrap();
        assert_eq!(read.0.iter().map(Duration::as_millis).collect::<Vec<_>>(), [0, 250, 120_000]);
        let many = vec!["1s"; ATTEMPTS_LEN_MAX + 1].join(",");
        for text in ["", "5", "s", "5d", "-1s", "25h", "1s,,2s", "18446744073709551615h", &many] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }
}
