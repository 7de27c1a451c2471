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

/// From 1 March of year 0, counted as day 1, to 1 January 1970.
const DAYS_BEFORE_1970: i64 = 719_469;

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
    instant_micros(text).is_some()
}

/// The moment in Unix microseconds, or `None` if the text is not an [`Instant`].
fn instant_micros(text: &str) -> Option<i64> {
    // Every event has a moment, so the form is read by hand. What is rare is left to the parser:
    // leap seconds, and the years at the ends of its range.
    let moment = Fields::read(text)?;
    moment.micros().or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_microsecond()))
}

/// The numbers of a text like `2026-01-14T15:30:00.000000Z`, in no other spelling: the parser would
/// also take other separators, a comma for the point and more digits.
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

impl Fields {
    fn read(text: &str) -> Option<Fields> {
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
            })
        };
        let (seconds, fraction) = text.as_bytes().split_first_chunk::<19>()?;
        let [year @ .., b'-', o1, o2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2] =
            seconds
        else {
            return None;
        };
        let (digits, unit): (&[u8], i64) = match fraction {
            [b'Z'] => (&[], 0),
            [b'.', digits @ .., b'Z'] => {
                let missing = 6_usize.checked_sub(digits.len()).filter(|missing| *missing < 6)?;
                (digits, 10_i64.pow(u32::try_from(missing).ok()?))
            }
            _ => return None,
        };
        Some(Fields {
            year: number(year)?,
            month: number(&[*o1, *o2])?,
            day: number(&[*d1, *d2])?,
            hour: number(&[*h1, *h2])?,
            minute: number(&[*m1, *m2])?,
            second: number(&[*s1, *s2])?,
            micros: number(digits)? * unit,
        })
    }

    /// The moment, unless it is rare or none.
    fn micros(&self) -> Option<i64> {
        let Fields { year, month, day, hour, minute, second, micros } = *self;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days_in_month = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + i64::from(leap),
            _ => return None,
        };
        let plain = (1..=9998).contains(&year) && (1..=days_in_month).contains(&day);
        if !plain || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        // Years that begin in March have their leap day at the end.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
        let days = days - DAYS_BEFORE_1970;
        Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros)
    }
}

impl Instant {
    /// The moment as Unix microseconds.
    pub fn micros(&self) -> i64 {
        instant_micros(&self.0).expect("an Instant was parsed when it was made")
    }

    /// The moment that a text is, in Unix microseconds; `None` when it is none.
    pub(crate) fn micros_of(text: &str) -> Option<i64> {
        instant_micros(text)
    }

    /// The moment itself.
    pub fn timestamp(&self) -> jiff::Timestamp {
        let at = jiff::Timestamp::from_microsecond(self.micros());
        at.expect("an Instant was parsed when it was made")
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
    use proptest::prelude::*;

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

    /// What the form allows, and what jiff then makes of it.
    fn by_jiff(text: &str) -> Option<i64> {
        let point = text.get(19..20)? == ".";
        let form = text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            19 if point => byte == b'.',
            at if at + 1 == text.len() => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
        let lens = if point { 22..=27 } else { 20..=20 };
        let jiff = (form && lens.contains(&text.len())).then(|| text.parse::<jiff::Timestamp>());
        Some(jiff?.ok()?.as_microsecond())
    }

    #[test]
    fn instants_are_read_as_jiff_reads_them() {
        let mut texts: Vec<String> = Vec::new();
        for year in (0..=9999).step_by(37).chain([1, 4, 100, 400, 1900, 1970, 2000, 2024, 9998]) {
            for month in 0..=13 {
                for day in [0, 1, 15, 28, 29, 30, 31, 32] {
                    texts.push(format!("{year:04}-{month:02}-{day:02}T23:59:59.999999Z"));
                }
            }
        }
        // Every day of a few hundred years, so that no rule of the calendar is left out.
        let first = jiff::civil::date(1890, 1, 1);
        let days = first.series(jiff::Span::new().days(1)).take(150_000);
        texts.extend(days.map(|day| format!("{day}T00:00:01.5Z")));
        for time in ["24:00:00", "23:60:00", "23:59:60", "23:59:61", "00:00:00", "99:99:99"] {
            for end in ["Z", ".Z", ".1Z", ".12Z", ".123456Z", ".1234567Z", "z", ",5Z", "", ".5"] {
                texts.push(format!("2026-01-14T{time}{end}"));
                texts.push(format!("9999-12-30T{time}{end}"));
                texts.push(format!("9999-12-31T{time}{end}"));
                texts.push(format!("0000-01-01T{time}{end}"));
            }
        }
        for text in texts {
            assert_eq!(instant_micros(&text), by_jiff(&text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_instant_only_if_jiff_says_so(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,7})?[Zz]",
            at in 0_usize..27, byte in any::<char>(),
        ) {
            prop_assert_eq!(instant_micros(&text), by_jiff(&text));
            let mangled: String =
                text.chars().enumerate().map(|(n, c)| if n == at { byte } else { c }).collect();
            prop_assert_eq!(instant_micros(&mangled), by_jiff(&mangled));
        }
    }

    #[test]
    fn instants_print_six_digits() {
        assert_eq!(Instant::from_micros(0).unwrap().as_str(), "1970-01-01T00:00:00.000000Z");
    }
}
