//! Identifiers and other checked strings: valid because they cannot be made otherwise.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a string is not what its type promises. It does not repeat the string: it may be what must
/// not be echoed.
#[derive(Debug, thiserror::Error)]
#[error("must be {0}")]
pub struct Invalid(&'static str);

/// Each unit at most once, the greatest first, and at least one of them.
const DURATION_PATTERN: &str = concat!(
    "^P(",
    "([0-9]+Y([0-9]+M)?([0-9]+W)?([0-9]+D)?|[0-9]+M([0-9]+W)?([0-9]+D)?",
    "|[0-9]+W([0-9]+D)?|[0-9]+D)",
    "(T([0-9]+H([0-9]+M)?([0-9]+S)?|[0-9]+M([0-9]+S)?|[0-9]+S))?",
    "|T([0-9]+H([0-9]+M)?([0-9]+S)?|[0-9]+M([0-9]+S)?|[0-9]+S)",
    ")$",
);

macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $rule:literal, $pattern:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok($name(text)) } else { Err(Invalid($rule)) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $rule })
            }
        }
    };
}

fn slug(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

checked_string!(
    /// Names one rollout; the `subject` of its events.
    RolloutId, "1 to 64 lowercase letters, digits and dashes", "^[a-z0-9-]{1,64}$", slug
);
checked_string!(
    /// Names one stage of a rollout for ever, whatever its label becomes: `uat`, `stage-a`.
    StageKey, "1 to 64 lowercase letters, digits and dashes", "^[a-z0-9-]{1,64}$", slug
);
checked_string!(
    /// The name of a flag in the flag service, as it is spelled there.
    FlagKey, "1 to 255 characters, none of them a control character",
    r"^[^\u0000-\u001f\u007f-\u009f]{1,255}$",
    |text| (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control)
);
checked_string!(
    /// A decimal number as text, so that no reader rounds it: `98.5`, `-3`, `0.002`.
    Decimal, "a decimal number such as 98.5, without exponent or leading zeros",
    r"^-?(0|[1-9][0-9]{0,38})(\.[0-9]{1,38})?$",
    decimal
);
checked_string!(
    /// A SHA-256 in 64 lowercase hexadecimal digits.
    Sha256Hex, "64 lowercase hexadecimal digits (SHA-256)", "^[0-9a-f]{64}$",
    |text| hex(text, 64)
);
checked_string!(
    /// The hash of an entry in 64 lowercase hexadecimal digits.
    EntryHash, "64 lowercase hexadecimal digits (an entry's hash)", "^[0-9a-f]{64}$",
    |text| hex(text, 64)
);
checked_string!(
    /// A length of time in ISO 8601: `P7D`, `P1M`, `PT2H30M`.
    IsoDuration, "an ISO 8601 duration such as P7D, P1M or PT2H",
    DURATION_PATTERN,
    |text| text.starts_with('P') && text.parse::<jiff::Span>().is_ok() && !text.contains('.')
        && text.bytes().all(|b| b.is_ascii_digit() || b"PYMWDTHS".contains(&b))
);
checked_string!(
    /// A moment in RFC 3339, in UTC with `Z`, at most six digits of a second: `2026-01-14T15:30:00Z`.
    Instant, "a moment in UTC such as 2026-01-14T15:30:00Z",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$",
    instant
);
checked_string!(
    /// A calendar date in ISO 8601, local to the time zone beside it: `2026-01-14`.
    LocalDate, "a date such as 2026-01-14", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    |text| text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
);
checked_string!(
    /// A time zone of the IANA database: `America/New_York`.
    TimeZoneName, "a time zone of the IANA database such as America/New_York",
    "^[A-Za-z0-9_+/-]{1,64}$",
    |text| text.len() <= 64 && jiff::tz::TimeZone::get(text).is_ok()
);

fn decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits =
        |s: &str, max| (1..=max).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole, 39)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(|f| all_digits(f, 38))
}

fn instant(text: &str) -> bool {
    // The parser alone would also take other separators, a comma for the point and more digits.
    let like = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(b, f)| match f {
                b'0' => b.is_ascii_digit(),
                f => b == f,
            })
    };
    let (seconds, fraction) = text.split_at_checked(19).unwrap_or((text, ""));
    like(seconds, "0000-00-00T00:00:00")
        && (1..=8).contains(&fraction.len())
        && ["Z", ".0Z", ".00Z", ".000Z", ".0000Z", ".00000Z", ".000000Z"]
            .iter()
            .any(|form| like(fraction, form))
        && text.parse::<jiff::Timestamp>().is_ok()
}

impl Instant {
    /// The moment as Unix microseconds.
    pub fn micros(&self) -> i64 {
        self.timestamp().as_microsecond()
    }

    /// The moment itself.
    pub fn timestamp(&self) -> jiff::Timestamp {
        self.0.parse().expect("an Instant was parsed when it was made")
    }

    /// The moment in the form that the ledger prints: UTC with six digits of a second.
    ///
    /// # Errors
    /// When the year is before 0 or past 9999.
    pub fn from_micros(micros: i64) -> Result<Self, Invalid> {
        let out_of_range = Invalid("a moment in the years 0 to 9999");
        let Ok(at) = jiff::Timestamp::from_microsecond(micros) else { return Err(out_of_range) };
        format!("{at:.6}").try_into()
    }
}

impl From<jiff::Timestamp> for Instant {
    fn from(at: jiff::Timestamp) -> Self {
        Instant::from_micros(at.as_microsecond()).expect("jiff's years end at 9999")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_keeps_the_promise_is_accepted() {
        fn accepts<T: TryFrom<String>>(text: &str) -> bool {
            T::try_from(text.to_owned()).is_ok()
        }
        const LONG: &str = "a-name-that-is-longer-than-sixty-four-characters-is-not-a-rollout-id";
        type Row = (&'static str, fn(&str) -> bool, bool);
        let rows: &[Row] = &[
            ("claim-form", accepts::<RolloutId>, true),
            ("Claim", accepts::<RolloutId>, false),
            ("", accepts::<RolloutId>, false),
            (LONG, accepts::<RolloutId>, false),
            ("0.25", accepts::<Decimal>, true),
            (".25", accepts::<Decimal>, false),
            ("01", accepts::<Decimal>, false),
            ("-3", accepts::<Decimal>, true),
            ("1e3", accepts::<Decimal>, false),
            ("P7D", accepts::<IsoDuration>, true),
            ("PT2H", accepts::<IsoDuration>, true),
            ("P1Y2M3W4DT5H6M7S", accepts::<IsoDuration>, true),
            ("P", accepts::<IsoDuration>, false),
            ("PT", accepts::<IsoDuration>, false),
            ("P1DT", accepts::<IsoDuration>, false),
            ("P1D1Y", accepts::<IsoDuration>, false),
            ("7 days", accepts::<IsoDuration>, false),
            ("2026-01-14T15:30:00Z", accepts::<Instant>, true),
            ("2026-01-14T15:30:00.123456Z", accepts::<Instant>, true),
            ("2026-01-14T15:30:00.1234567Z", accepts::<Instant>, false),
            ("2026-01-14T15:30:00+01:00", accepts::<Instant>, false),
            ("2026-02-30T15:30:00Z", accepts::<Instant>, false),
            ("2026-01-14T15:30:00,5Z", accepts::<Instant>, false),
            ("2026-01-14T15:30:00.Z", accepts::<Instant>, false),
            ("2026-01-14t15:30:00Z", accepts::<Instant>, false),
            ("2026-01-14T153000.0000Z", accepts::<Instant>, false),
            ("2026-01-14", accepts::<LocalDate>, true),
            ("America/New_York", accepts::<TimeZoneName>, true),
            ("Mars/Base", accepts::<TimeZoneName>, false),
            ("a b\u{7}", accepts::<FlagKey>, false),
        ];
        for (text, accepts, expected) in rows {
            assert_eq!(accepts(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn instants_print_six_digits() {
        assert_eq!(Instant::from_micros(0).unwrap().as_str(), "1970-01-01T00:00:00.000000Z");
    }
}
