//! Lengths, windows and moments.

use super::super::*;
use super::{check, hint, new_york};

#[test]
fn lengths() {
    let shown = |text: &str| {
        let Some(found) = duration(text) else { return "-".to_owned() };
        let end = |end: Option<schemas::id::IsoDuration>| end.map_or("?".to_owned(), String::from);
        format!("{}..{}", end(found.min), end(found.max))
    };
    check(
        &[
            ("1-2 days", "P1D..P2D"),
            ("1 week", "P7D..P7D"),
            ("2 weeks", "P14D..P14D"),
            ("one day", "P1D..P1D"),
            ("a week", "P7D..P7D"),
            ("24 hours", "PT24H..PT24H"),
            ("90 min", "PT90M..PT90M"),
            ("2 Days", "P2D..P2D"),
            ("1 month", "P1M..P1M"),
            ("P3D", "P3D..P3D"),
            ("minimum 2 hours", "PT2H..?"),
            ("at least 3 days", "P3D..?"),
            ("3 days minimum", "P3D..?"),
            ("3+ days", "P3D..?"),
            ("up to 3 days", "?..P3D"),
            ("within 30 minutes", "?..PT30M"),
            ("2.5-3 weeks (11/9-11/30)", "P17DT12H..P21D"),
            ("1.5 hours", "PT1H30M..PT1H30M"),
            ("1 day 4 hours", "P1DT4H..P1DT4H"),
            ("1 day to 1 week", "P1D..P7D"),
            ("between 1 and 2 days", "P1D..P2D"),
            ("2-3 business days", "P2D..?"),
            ("6 days (actual: 8)", "P6D..P6D"),
            ("two weeks (_minimum 1 day_)", "P14D..P14D"),
            ("(2 days)", "P2D..P2D"),
            ("~2 weeks", "?..?"),
            ("2 days or until it is quiet", "?..?"),
            ("x (_minimum 1 day_)", "-"),
            ("1 (_minimum 2 hours_)", "-"),
            ("12 submissions (estimated 5 hours)", "-"),
            ("March 12", "-"),
            ("8/29/2022 - 9/7/2022", "-"),
            ("Ongoing", "-"),
            ("N/A", "-"),
            ("99999999999999999999 years", "?..?"),
        ],
        shown,
    );
    let advised = |text: &str| {
        guidance_minimum(text).and_then(|advised| advised.min).map_or("-".to_owned(), String::from)
    };
    check(
        &[
            ("[FILL_IN] (*minimum 2 hours*)", "PT2H"),
            ("x (_minimum 1 day_)", "P1D"),
            ("3 days (minimum 2 hours)", "PT2H"),
            ("3 days minimum", "-"),
            ("[FILL_IN]", "-"),
        ],
        advised,
    );
}

#[test]
fn windows() {
    let show = |text: &str, hint: Option<&YearHint>| {
        let Some(found) = window(text, hint) else { return "-".to_owned() };
        let end = |end: Option<schemas::id::LocalDate>| end.map_or("?".to_owned(), String::from);
        format!("{}..{}", end(found.start), end(found.end))
    };
    check(
        &[
            ("8/22/22 - 8/24/22", "2022-08-22..2022-08-24"),
            ("8/22/22 – 8/24/22", "2022-08-22..2022-08-24"),
            ("2025-01-14", "2025-01-14..2025-01-14"),
            ("January 13-24, 2025", "2025-01-13..2025-01-24"),
            ("May 20 - June 3, 2025", "2025-05-20..2025-06-03"),
            ("Dec 20 - Jan 5, 2025", "2024-12-20..2025-01-05"),
            ("07/13-07/19/21", "2021-07-13..2021-07-19"),
            ("07/26/2022 - 7/28", "2022-07-26..2022-07-28"),
            ("**February 25 \\- March 4, 2026**", "2026-02-25..2026-03-04"),
            (r"_\[06/03/21 - 06/09/21\]_", "2021-06-03..2021-06-09"),
            ("Sept 2022", "2022-09-01..2022-09-30"),
            ("Jan-June 2022", "?..?"),
            ("2/30/2024", "?..?"),
            ("20/05/2021", "?..?"),
            ("5/17/2024 forward (open end)", "2024-05-17..?"),
            ("by 06/28/21", "?..2021-06-28"),
            ("12/18/23 - 01/10/23", "2023-12-18..2023-01-10"),
            ("July 2-9, 2025 and July 21-25, 2025", "?..?"),
            ("March 12th - 14th", "?..?"),
            ("Sprint 50", "-"),
            ("TBD", "-"),
            ("2 weeks", "-"),
            ("mm/dd/yy", "-"),
        ],
        |text| show(text, None),
    );
    check(
        &[
            ("March 12th - 14th", "2024-03-12..2024-03-14"),
            ("Aug 22 - Sept 4", "2024-08-22..2024-09-04"),
            ("Oct 27 - Nov. 5", "2024-10-27..2024-11-05"),
            ("Dec 20 - Jan 5", "2024-12-20..2025-01-05"),
            ("January 23 - January 25 ", "2024-01-23..2024-01-25"),
            ("5/14-5/22", "2024-05-14..2024-05-22"),
            ("Week of Oct 15", "2024-10-14..2024-10-20"),
            ("Week of Oct 14", "2024-10-14..2024-10-20"),
            ("[week of 08/7/2023]", "2023-08-07..2023-08-13"),
            ("Tuesday, 9/3 - Friday, 9/6", "2024-09-03..2024-09-06"),
            ("Monday, 9/1 - Friday, 9/5", "?..?"),
            ("3/7 (Thursday)", "2024-03-07..2024-03-07"),
            ("February 4 - ", "2024-02-04..?"),
            ("October 9+", "2024-10-09..?"),
            ("since March 8th, min. 3 weeks", "2024-03-08..?"),
            ("2 days (8/12- 8/13)", "2024-08-12..2024-08-13"),
            ("Sprint 12 (6/17 - 6/28)", "2024-06-17..2024-06-28"),
            ("August 25(-ish)", "?..?"),
            ("~Aug 1 -> Sep 15", "?..?"),
            ("August 20 or 21", "?..?"),
            ("Tentatively 5/2/2024 - it depends", "2024-05-02..2024-05-02"),
            ("Late March/ early April 2023", "?..?"),
            ("Sprint 50", "-"),
        ],
        |text| show(text, Some(&hint())),
    );
}

#[test]
fn moments() {
    let show = |text: &str, hint: Option<&YearHint>| {
        let found = occurrence(text, &new_york(), hint);
        let end = |end: Option<schemas::id::Instant>| {
            end.map_or("?".to_owned(), |at| at.as_str().replace(".000000Z", "Z"))
        };
        let year = found.year_inferred_from.map_or("", |_| " (year)");
        format!("{} {} {}{year}", found.precision, end(found.earliest), end(found.latest))
    };
    check(
        &[
            ("2025-01-14T10:30:00-05:00", "instant 2025-01-14T15:30:00Z 2025-01-14T15:30:00Z"),
            (
                "2025-01-14T15:30:00.5Z",
                "instant 2025-01-14T15:30:00.500000Z 2025-01-14T15:30:00.500000Z",
            ),
            ("2025-01-14 10:30", "minute 2025-01-14T15:30:00Z 2025-01-14T15:30:59.999999Z"),
            ("2025-01-14T10:30", "minute 2025-01-14T15:30:00Z 2025-01-14T15:30:59.999999Z"),
            ("2025-01-14 10:30:05", "instant 2025-01-14T15:30:05Z 2025-01-14T15:30:05Z"),
            ("8/22/22", "day 2022-08-22T04:00:00Z 2022-08-23T03:59:59.999999Z"),
            ("8/22/22 PT", "day 2022-08-22T07:00:00Z 2022-08-23T06:59:59.999999Z"),
            ("3/5/2024 at 12:30p ET", "minute 2024-03-05T17:30:00Z 2024-03-05T17:30:59.999999Z"),
            ("7/23/2024 9AM", "minute 2024-07-23T13:00:00Z 2024-07-23T13:00:59.999999Z"),
            ("7/23/2024 12AM", "minute 2024-07-23T04:00:00Z 2024-07-23T04:00:59.999999Z"),
            ("7/23/2024 12 p.m. CT", "minute 2024-07-23T17:00:00Z 2024-07-23T17:00:59.999999Z"),
            ("10:30 UTC on 8/22/22", "minute 2022-08-22T10:30:00Z 2022-08-22T10:30:59.999999Z"),
            // The hour comes twice when the clocks go back; nobody says which of the two.
            ("11/3/2024 1:30am", "minute 2024-11-03T05:30:00Z 2024-11-03T06:30:59.999999Z"),
            ("8/22/22 - 8/24/22", "week 2022-08-22T04:00:00Z 2022-08-25T03:59:59.999999Z"),
            ("March 2025", "month 2025-03-01T05:00:00Z 2025-04-01T03:59:59.999999Z"),
            ("by 6/28/21", "unknown ? 2021-06-29T03:59:59.999999Z"),
            ("~7/23/2024 9AM", "unknown ? ?"),
            ("since 3/6/24", "unknown ? ?"),
            ("2/25/24 (estimate)", "unknown ? ?"),
            ("2/12 2:34p PT", "unknown ? ?"),
            ("Sprint 50", "unknown ? ?"),
            ("TBD", "unknown ? ?"),
            ("", "unknown ? ?"),
        ],
        |text| show(text, None),
    );
    check(
        &[
            ("2/12 2:34p PT", "minute 2024-02-12T22:34:00Z 2024-02-12T22:34:59.999999Z (year)"),
            ("8/22", "day 2024-08-22T04:00:00Z 2024-08-23T03:59:59.999999Z (year)"),
            (
                "Thursday, 5/23 1:00pm ET",
                "minute 2024-05-23T17:00:00Z 2024-05-23T17:00:59.999999Z (year)",
            ),
            ("Thursday, 5/22 1:00pm ET", "unknown ? ?"),
            ("Week of Oct 15", "week 2024-10-14T04:00:00Z 2024-10-21T03:59:59.999999Z (year)"),
            ("August 25(-ish)", "unknown ? ?"),
            ("8/22/22", "day 2022-08-22T04:00:00Z 2022-08-23T03:59:59.999999Z"),
        ],
        |text| show(text, Some(&hint())),
    );
    let found = occurrence("2/12 2:34p PT", &new_york(), Some(&hint()));
    assert_eq!(found.time_zone.unwrap().as_str(), "America/Los_Angeles");
    assert_eq!(found.year_inferred_from.as_deref(), Some("the title"));
}
