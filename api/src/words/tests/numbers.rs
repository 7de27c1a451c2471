//! Quantities, bug counts and rows of metrics.

use schemas::values::Quantity;

use super::super::*;
use super::check;

pub(super) fn show_quantity(quantity: &Quantity) -> String {
    let mut shown = Vec::new();
    let text = |decimal: &Option<schemas::id::Decimal>| decimal.as_ref().map(ToString::to_string);
    shown.extend(quantity.statistic.map(|s| s.to_string()));
    shown.extend(quantity.qualifier.map(|q| q.to_string()));
    shown.extend(quantity.approx.map(|_| "about".to_owned()));
    shown.extend(text(&quantity.value));
    shown.extend(text(&quantity.min).map(|min| format!("{min}..{}", text(&quantity.max).unwrap())));
    let of = |n| format!("{n}/{}", text(&quantity.denominator).unwrap());
    shown.extend(text(&quantity.numerator).map(of));
    shown.extend(quantity.unit.clone());
    shown.extend(quantity.source.as_ref().map(|source| format!("by {source}")));
    shown.join(" ")
}

#[test]
fn quantities() {
    check(
        &[
            ("4", "exact 4"),
            ("[4]", "exact 4"),
            ("0", "exact 0"),
            ("none", "exact 0"),
            ("N/A", ""),
            ("[FILL_IN]", ""),
            ("~30", "about 30"),
            ("≈10", "about 10"),
            ("about 12 users", "about 12 users"),
            ("30-ish", "about 30"),
            ("20k", "exact 20000"),
            ("52.5k requests", "exact 52500 requests"),
            ("~1.2M", "about 1200000"),
            ("1.25 million", "exact 1250000"),
            ("1,234", "exact 1234"),
            ("6,310 unique pageviews", "exact 6310 unique pageviews"),
            ("1,234,567.50", "exact 1234567.50"),
            ("1,23", ""),
            ("007", "exact 7"),
            (".5%", "exact 0.5 %"),
            ("-3", "exact -3"),
            ("-0", "exact 0"),
            ("233/572", "exact 233/572"),
            ("3 of 19 testers", "exact 3/19 testers"),
            ("233/572 (40.7%)", "exact 40.7 233/572 %"),
            ("40.7% (233/572)", "exact 40.7 233/572 %"),
            ("0/1", "exact 0/1"),
            ("70-80%", "range 70..80 %"),
            ("70% – 80%", "range 70..80 %"),
            ("3 to 5 days", "range 3..5 days"),
            ("[3-5]", "range 3..5"),
            ("8 - 12", "range 8..12"),
            ("80-70", ""),
            ("between 4 seconds and 23 seconds", "range 4..23 seconds"),
            (
                "We saw between 4 seconds and 23 seconds of delay. It grew with size.",
                "range 4..23 seconds",
            ),
            ("more than 4 seconds", "gt 4 seconds"),
            ("It took more than 4 seconds to load", "gt 4 seconds"),
            ("at most 10%", "le 10 %"),
            ("up to 5", "le 5"),
            ("< 5%", "lt 5 %"),
            ("<= 5%", "le 5 %"),
            ("Error rate &lt; 5%", "lt 5 %"),
            ("≥ 95 %", "ge 95 %"),
            ("at least 3", "ge 3"),
            ("10+", "ge 10"),
            ("5%+", "ge 5 %"),
            ("p90 4.2s", "p90 exact 4.2 seconds"),
            ("p90: 4.2 s", "p90 exact 4.2 seconds"),
            ("p95 latency was 300ms", "p95 exact 300 ms"),
            ("4.2s (p90)", "p90 exact 4.2 seconds"),
            ("p90 latency measures above 4 s", "p90 gt 4 seconds"),
            ("avg 11,300 monthly", "mean exact 11300"),
            ("average of 13 calls per week", "mean exact 13 calls"),
        ],
        |text| show_quantity(&quantity(text)),
    );
}

#[test]
fn only_what_is_certain_is_taken_from_a_sentence() {
    check(
        &[
            ("5; the others did not log in, per GA", "exact 5"),
            ("118 (Google Analytics)", "exact 118 by Google Analytics"),
            ("118 clicks per GA", "exact 118 clicks by GA"),
            ("2 bugs found", "exact 2 bugs"),
            ("5 so far", "exact 5"),
            ("two users", "exact 2 users"),
            ("1 in-house tester.", "exact 1 in-house tester"),
            ("6 full submissions of the form", "exact 6 full submissions"),
            ("2 eligible", "exact 2"),
            ("One of them left", ""),
            ("One thing to note is speed", ""),
            ("14 forms were sent, all of them new", "exact 14 forms"),
            ("25% of signed-in people", "exact 25 %"),
            ("12 submissions (estimated 5 hours)", "exact 12 submissions"),
            ("20% gave us 400 users in about 30 hrs", ""),
            ("Web: 12 Mobile: 3,450", ""),
            ("404 and 422 errors", ""),
            ("4, 5 and 6", ""),
            ("$1.2k", ""),
            ("1.2m", ""),
            ("#12345", ""),
            ("10-10ABC", ""),
            ("v2", ""),
            ("1st", ""),
            ("8/22/22", ""),
            ("3/15-3/19", ""),
            ("2025-01-14", ""),
            ("800-555-0100", ""),
            ("2:34", ""),
            ("12 March", "exact 12"),
            ("March 12", ""),
            ("2.1-->3.9", ""),
            ("**~55**", "about 55"),
            ("99999999999999999999999999999999999999999999", ""),
        ],
        |text| show_quantity(&quantity(text)),
    );
}

#[test]
fn bugs_identified_and_fixed() {
    let shown = |text: &str| {
        let (identified, fixed) = bug_counts(text);
        let one = |q: Option<Quantity>| q.map_or("-".to_owned(), |q| show_quantity(&q));
        format!("{} / {}", one(identified), one(fixed))
    };
    check(
        &[
            ("", "- / -"),
            ("[FILL_IN]/[FILL_IN]", "- / -"),
            ("x/x", "- / -"),
            ("2", "exact 2 / -"),
            ("2/2", "exact 2 / exact 2"),
            ("1 / 3", "exact 1 / exact 3"),
            ("0/1. One small thing was seen.", "exact 0 / exact 1"),
            ("none", "exact 0 / -"),
            ("0 bugs found", "exact 0 / -"),
            ("No bugs found", "exact 0 / -"),
            ("5 so far", "exact 5 / -"),
            ("2 bugs found, both in a library", "exact 2 bugs / -"),
            ("3 identified, 2 fixed", "exact 3 / exact 2"),
            ("2 of 3 fixed", "exact 3 / exact 2"),
            ("Identified: 4, fixed: 1", "exact 4 / exact 1"),
            ("See [this sheet](https://example.org/s)", " / -"),
            ("8/22/22", " / -"),
        ],
        shown,
    );
    assert_eq!(bug_counts("2/1").1.unwrap().raw, "1");
    assert_eq!(bug_counts("2/1, see sheet").0.unwrap().raw, "2/1, see sheet");
}
