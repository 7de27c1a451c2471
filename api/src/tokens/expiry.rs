//! How long a token lives: `--expires P90D` or `--expires 2027-03-01`.

use jiff::{Span, Timestamp, ToSpan as _, tz::TimeZone};

use crate::{
    exit::{Code, fail},
    moment,
};

/// The longest life, in days: a year and the day that leap years have more. Whoever is still there
/// then gets another token; nobody else keeps one.
pub const LIFE_DAYS_MAX: i64 = 366;

/// When a token made now expires, in Unix microseconds. A duration is ISO 8601 and counts days as
/// UTC has them; a date means its first moment in UTC.
///
/// # Errors
/// When it is no duration and no moment, is not after now, or is too far away.
pub fn parse(text: &str, now: Timestamp) -> anyhow::Result<i64> {
    let text = text.trim();
    let expires_us = match text.parse::<Span>() {
        Ok(span) if text.starts_with(['P', 'p']) => {
            let at = now.to_zoned(TimeZone::UTC).checked_add(span);
            at.map_err(|_| too_far())?.timestamp().as_microsecond()
        }
        _ => moment::parse("--expires", text).map_err(|_| {
            let what = "--expires wants a duration such as P90D or a moment such as 2027-03-01";
            fail(Code::Usage, what)
        })?,
    };
    let now = now.to_zoned(TimeZone::UTC);
    if expires_us <= now.timestamp().as_microsecond() {
        return Err(fail(Code::Usage, "--expires wants a moment that is still to come"));
    }
    let latest = now.checked_add(LIFE_DAYS_MAX.days())?;
    if expires_us > latest.timestamp().as_microsecond() {
        return Err(too_far());
    }
    Ok(expires_us)
}

fn too_far() -> anyhow::Error {
    fail(
        Code::Usage,
        format!("a token lives at most {LIFE_DAYS_MAX} days; give a nearer --expires"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_a_duration_or_a_moment_within_the_limit() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a moment");
        let good = [
            ("P90D", "2027-02-19T12:00:00.000000Z"),
            ("P1Y", "2027-11-21T12:00:00.000000Z"),
            ("P366D", "2027-11-22T12:00:00.000000Z"),
            ("PT1S", "2026-11-21T12:00:01.000000Z"),
            ("2027-03-01", "2027-03-01T00:00:00.000000Z"),
            ("2026-11-21T12:00:00.000001Z", "2026-11-21T12:00:00.000001Z"),
        ];
        for (text, expected) in good {
            assert_eq!(moment::shown(parse(text, now).expect(text)), expected, "{text}");
        }
        let bad =
            ["", "90", "soon", "P367D", "P100000Y", "-P1D", "P0D", "2026-11-21", "2028-01-01"];
        for text in bad {
            assert!(parse(text, now).is_err(), "{text}");
        }
    }
}
