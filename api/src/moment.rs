//! Moments as people give them and as the ledger prints them.

use jiff::{Timestamp, tz::TimeZone};

use crate::exit::{Code, fail};

/// A moment in the one form that the ledger prints: UTC with six digits of a second.
pub fn shown(us: i64) -> String {
    match Timestamp::from_microsecond(us) {
        Ok(at) => format!("{at:.6}"),
        Err(_) => format!("{us} us"),
    }
}

/// [`shown`] of an entry's time.
pub fn shown_us(us: u64) -> String {
    shown(i64::try_from(us).unwrap_or(i64::MAX))
}

/// Reads a moment: RFC 3339, a date and time without zone (UTC), or a date (its first moment in
/// UTC). Unix microseconds.
///
/// # Errors
/// Names the option and the forms that it understands.
pub fn parse(option: &str, text: &str) -> anyhow::Result<i64> {
    let text = text.trim();
    let zoned = text.parse::<Timestamp>().ok();
    let local = || {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    match zoned.or_else(local) {
        Some(at) => Ok(at.as_microsecond()),
        None => Err(fail(
            Code::Usage,
            format!(
                "{option} wants a moment such as 2026-01-14T15:30:00Z, 2026-01-14 15:30 (UTC) or 2026-01-14"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_printed() {
        let rows = [
            ("2026-01-14T15:30:00Z", "2026-01-14T15:30:00.000000Z"),
            ("2026-01-14T10:30:00.000001-05:00", "2026-01-14T15:30:00.000001Z"),
            ("2026-01-14 15:30", "2026-01-14T15:30:00.000000Z"),
            ("2026-01-14 15:30:09.777", "2026-01-14T15:30:09.777000Z"),
            ("2026-01-14", "2026-01-14T00:00:00.000000Z"),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(parse("--at", text).unwrap()), expected, "{text}");
        }
        assert!(parse("--at", "yesterday").is_err());
    }
}
