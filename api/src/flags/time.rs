//! Times as databases and web services write them. Without a zone they are UTC.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use schemas::id::Instant;

/// What a message says a time should look like.
pub const EXAMPLE: &str = "2026-01-14 15:00:09.777 (UTC unless a zone such as Z or +01 follows)";

/// The moment in Unix microseconds; finer digits are cut off. `None` when it is not a date and a
/// time of day in the years that the ledger holds.
pub fn micros(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_suffix(" UTC").map_or_else(|| text.to_owned(), |t| format!("{t}Z"));
    // Databases and Ruby put the zone behind a space.
    let text = text.replace(" +", "+").replace(" -", "-").replace(" Z", "Z");
    let plain = |b: u8| b.is_ascii_digit() || b"-:.+ TtZz".contains(&b);
    let (_, clock) = text.split_once([' ', 'T', 't'])?;
    if !text.bytes().all(plain) || !clock.contains(':') {
        return None;
    }
    let at: Timestamp = if clock.contains(['+', '-', 'Z', 'z']) {
        text.parse().ok()?
    } else {
        text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()
    };
    let us = i64::try_from(at.as_nanosecond().div_euclid(1000)).ok()?;
    Instant::from_micros(us).ok().map(|_| us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_databases_are_read_exactly() {
        for (text, expected) in [
            ("2025-01-22 15:00:09.777", "2025-01-22T15:00:09.777000Z"),
            ("2025-01-22 15:00:09.777001", "2025-01-22T15:00:09.777001Z"),
            ("2025-01-22 15:00:09", "2025-01-22T15:00:09.000000Z"),
            ("2025-01-22 15:00", "2025-01-22T15:00:00.000000Z"),
            ("2025-01-22T15:00:09.777Z", "2025-01-22T15:00:09.777000Z"),
            ("2025-01-22T15:00:09.550120z", "2025-01-22T15:00:09.550120Z"),
            ("2025-01-22 15:00:09.777+00", "2025-01-22T15:00:09.777000Z"),
            ("2025-01-22 15:00:09.777-05", "2025-01-22T20:00:09.777000Z"),
            ("2025-01-22 15:00:09 -0500", "2025-01-22T20:00:09.000000Z"),
            ("2025-01-22 15:00:09 UTC", "2025-01-22T15:00:09.000000Z"),
            ("2025-01-22 15:00:09 Z", "2025-01-22T15:00:09.000000Z"),
            ("2025-01-22T15:00:09+05:30", "2025-01-22T09:30:09.000000Z"),
            ("2025-01-22T15:00:09.123456789Z", "2025-01-22T15:00:09.123456Z"),
            ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
            (" 2025-01-22 15:00:09 ", "2025-01-22T15:00:09.000000Z"),
        ] {
            let found = micros(text).map(|us| String::from(Instant::from_micros(us).unwrap()));
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "now",
            "2025-01-22",
            "2025-01-22T",
            "15:00:09",
            "2025-02-30 15:00:09",
            "2025-01-22 25:00:09",
            "2025-01-22 15:00:09 EST",
            "2025-01-22 15:00:09[Europe/Rome]",
            "2025-01-22 15:00:09+99",
            "01/22/2025 15:00:09",
            "1737558009",
            "-0001-01-22 15:00:09",
            "12025-01-22 15:00:09",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
