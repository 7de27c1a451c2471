//! Exposures in words and in numbers. Not every exposure is a percentage.

use schemas::values::{Exposure, ExposureKind, ExposureUnit};

/// An exposure of a kind and nothing else.
pub fn of_kind(kind: ExposureKind) -> Exposure {
    Exposure {
        kind,
        min_bp: None,
        max_bp: None,
        count: None,
        unit: None,
        scope: None,
        platform: None,
        condition: None,
        stepwise: None,
        raw: None,
    }
}

/// An exposure of a share in basis points.
pub fn of_share(kind: ExposureKind, bp: u32) -> Exposure {
    Exposure { min_bp: Some(bp), max_bp: Some(bp), ..of_kind(kind) }
}

/// Basis points of a decimal percentage: `12.5` is 1,250. Digits past the second are cut off;
/// `None` for what is no share.
pub fn basis_points(percent: &str) -> Option<u32> {
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    let mut digits = fraction.bytes().chain(std::iter::repeat(b'0'));
    let hundredths = [digits.next()?, digits.next()?];
    let mut bp = whole.parse::<u32>().ok()?;
    for digit in hundredths {
        bp = bp.checked_mul(10)?.checked_add(u32::from(digit.checked_sub(b'0')?))?;
    }
    (bp <= 10_000).then_some(bp)
}

/// The least and greatest share of one exposure, in basis points, if it is a share of anything.
pub fn range_bp(exposure: &Exposure) -> Option<(u32, u32)> {
    match exposure.kind {
        ExposureKind::Off => Some((0, 0)),
        ExposureKind::All => Some((10_000, 10_000)),
        ExposureKind::Percent | ExposureKind::PercentRange => {
            let max = exposure.max_bp.or(exposure.min_bp)?;
            Some((exposure.min_bp.unwrap_or(max), max))
        }
        _ => None,
    }
}

/// The greatest share among exposures, in basis points; `None` when none is a share.
pub fn share_bp(exposures: &[Exposure]) -> Option<u32> {
    exposures.iter().filter_map(range_bp).map(|(_, max)| max).max()
}

/// Exposures as a person would say them: `5 % of users, 3 actors`.
pub fn words(exposures: &[Exposure]) -> String {
    exposures.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn one(exposure: &Exposure) -> String {
    let mut text = match exposure.kind {
        ExposureKind::All => "everyone".to_owned(),
        ExposureKind::Off => "off".to_owned(),
        ExposureKind::Percent | ExposureKind::PercentRange => match range_bp(exposure) {
            Some((min, max)) if min == max => format!("{} %{}", percent(max), of(exposure.unit)),
            Some((min, max)) => {
                format!("{} to {} %{}", percent(min), percent(max), of(exposure.unit))
            }
            None => exposure.raw.clone().unwrap_or_else(|| "some percentage".to_owned()),
        },
        ExposureKind::Count | ExposureKind::Actors => match exposure.count {
            Some(count) => format!("{count} {}", if count == 1 { "user" } else { "users" }),
            None => exposure.raw.clone().unwrap_or_else(|| "some users".to_owned()),
        },
        kind => match (&exposure.raw, &exposure.scope) {
            (Some(raw), _) => raw.clone(),
            (None, Some(scope)) => format!("{kind} {scope}"),
            (None, None) => kind.to_string(),
        },
    };
    if let (ExposureKind::Percent | ExposureKind::All, Some(scope)) =
        (exposure.kind, &exposure.scope)
    {
        text = format!("{text} ({scope})");
    }
    text
}

fn of(unit: Option<ExposureUnit>) -> &'static str {
    match unit {
        None => "",
        Some(ExposureUnit::Users) => " of users",
        Some(ExposureUnit::LoggedIn) => " of logged-in users",
        Some(ExposureUnit::Visitors) => " of visitors",
        Some(ExposureUnit::Messages) => " of messages",
        Some(ExposureUnit::Submissions) => " of submissions",
        Some(ExposureUnit::Time) => " of the time",
    }
}

/// Basis points as a percentage without trailing zeros: 1,250 is `12.5`.
pub fn percent(bp: u32) -> String {
    let text = format!("{}.{:02}", bp / 100, bp % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_in_basis_points() {
        let rows = [
            ("5", Some(500)),
            ("12.5", Some(1_250)),
            ("0.25", Some(25)),
            ("0.125", Some(12)),
            ("100", Some(10_000)),
            ("101", None),
            ("-1", None),
            ("x", None),
        ];
        for (percent, bp) in rows {
            assert_eq!(basis_points(percent), bp, "{percent}");
        }
    }

    #[test]
    fn exposures_in_words() {
        let share = |bp| of_share(ExposureKind::Percent, bp);
        let rows = [
            (vec![share(500)], "5 %"),
            (vec![Exposure { unit: Some(ExposureUnit::Users), ..share(25) }], "0.25 % of users"),
            (
                vec![Exposure {
                    min_bp: Some(3_000),
                    ..of_share(ExposureKind::PercentRange, 6_000)
                }],
                "30 to 60 %",
            ),
            (vec![of_kind(ExposureKind::All)], "everyone"),
            (
                vec![
                    Exposure { raw: Some("friends".into()), ..of_kind(ExposureKind::Cohort) },
                    share(500),
                ],
                "friends, 5 %",
            ),
            (vec![Exposure { count: Some(1), ..of_kind(ExposureKind::Actors) }], "1 user"),
        ];
        for (exposures, expected) in rows {
            assert_eq!(words(&exposures), expected);
        }
    }
}
