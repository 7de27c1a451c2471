//! The only reader of the clock.
//!
//! The wall clock stamps entries, so it is watched: when it runs away from the monotonic clock by
//! more than [`DIVERGENCE_MAX`], or stands behind the ledger's head at the start, intake stops
//! until a person has looked.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the wall clock may run away from the monotonic clock.
pub const DIVERGENCE_MAX: Duration = Duration::from_secs(10);

/// Why the clock cannot be used to stamp entries.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    #[error(
        "the clock jumped by {0} s; set it right and start again (if history must go on from an \
         earlier time, record it: `rollout-ledger clock step`)"
    )]
    Jumped(i64),
    #[error(
        "the clock is {0} s behind the ledger's newest entry; set it right, or record the step \
         back: `rollout-ledger clock step --reason WHY`"
    )]
    BehindHead(i64),
}

/// A clock that notices when it was set.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    started_us: u64,
}

impl Clock {
    /// Starts watching. `head_us` is when the newest entry was recorded, 0 for none.
    pub fn start(head_us: u64) -> Result<Clock, ClockError> {
        let clock = Clock { started: Instant::now(), started_us: wall_us() };
        let behind = head_us.saturating_sub(clock.started_us);
        if u128::from(behind) > DIVERGENCE_MAX.as_micros() {
            return Err(ClockError::BehindHead(seconds(behind)));
        }
        Ok(clock)
    }

    /// Unix microseconds.
    pub fn now_us(&self) -> Result<u64, ClockError> {
        let now = wall_us();
        let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let expected = self.started_us.saturating_add(elapsed);
        if u128::from(now.abs_diff(expected)) > DIVERGENCE_MAX.as_micros() {
            let jump = seconds(now.abs_diff(expected));
            return Err(ClockError::Jumped(if now < expected { -jump } else { jump }));
        }
        Ok(now)
    }
}

fn seconds(us: u64) -> i64 {
    i64::try_from(us / 1_000_000).unwrap_or(i64::MAX)
}

/// Unix microseconds by the wall clock, for what is shown and not stamped.
pub fn wall_us() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this file is the one reader of the clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The present moment, for what is due and overdue.
pub fn now() -> jiff::Timestamp {
    let us = i64::try_from(wall_us()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(us).unwrap_or(jiff::Timestamp::MAX)
}
