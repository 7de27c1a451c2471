//! Tables of what people write and what it is read as, and promises that hold for any text.

mod blanks;
mod numbers;
mod promises;
mod shares;
mod times;

use jiff::tz::TimeZone;
use schemas::values::Answer;

use super::*;
use numbers::show_quantity;

fn new_york() -> TimeZone {
    TimeZone::get("America/New_York").unwrap()
}

fn hint() -> YearHint {
    YearHint { year: 2024, from: "the title".to_owned() }
}

#[track_caller]
fn check(rows: &[(&str, &str)], shown: impl Fn(&str) -> String) {
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(text, expected)| shown(text) != *expected)
        .map(|(text, expected)| format!("{text:?}: {:?}, not {expected:?}", shown(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn answers() {
    let shown = |text: &str| {
        let Answer { value, detail, .. } = answer(text);
        detail.map_or(value.to_string(), |detail| format!("{value}: {detail}"))
    };
    check(
        &[
            ("Yes", "yes"),
            ("**NO**", "no"),
            ("no.", "no"),
            ("N", "no"),
            ("none", "no"),
            ("N/A", "not_applicable"),
            ("n/a - no service behind it", "not_applicable: no service behind it"),
            ("Not applicable", "not_applicable"),
            ("[PICK_ONE]: No", "no"),
            ("yes/no, NO", "no"),
            ("Yes, the mail service", "yes: the mail service"),
            ("Yes - one queue grew", "yes: one queue grew"),
            ("No, 98.6% saved", "no: 98.6% saved"),
            ("No (see above)", "no: (see above)"),
            ("No changes needed", "no: No changes needed"),
            ("None so far", "no: None so far"),
            ("Yes and no", "other: Yes and no"),
            ("No idea yet", "other: No idea yet"),
            ("Nothing", "no"),
            ("nothing at this time, going on", "no: going on"),
            ("Nothing abnormal", "other: Nothing abnormal"),
            ("Not yet", "other: Not yet"),
            ("Notes are in the log", "other: Notes are in the log"),
            ("0", "other: 0"),
            ("[FILL_IN]", "other"),
            ("", "other"),
        ],
        shown,
    );
}

#[test]
fn rows_of_metrics() {
    let shown = |text: &str| {
        rows_of_metric(text).map_or("-".to_owned(), |(name, q)| {
            format!("{name} | {} | {}", q.raw, show_quantity(&q))
        })
    };
    check(
        &[
            ("Number of download clicks: 118", "Number of download clicks | 118 | exact 118"),
            ("Number of download clicks=118", "Number of download clicks | 118 | exact 118"),
            ("Errors = 0.2%", "Errors | 0.2% | exact 0.2 %"),
            ("- **Errors:** 3", "Errors | 3 | exact 3"),
            ("**Errors**: none", "Errors | none | exact 0"),
            ("Calls (p90 <= 4s): 12", "Calls (p90 <= 4s) | 12 | exact 12"),
            ("[Board](https://example.org/b): 5k", "Board | 5k | exact 5000"),
            ("Latency <= 4s: 3.2s", "Latency <= 4s | 3.2s | exact 3.2 seconds"),
            ("Reports: out of 9,322 people 4 wrote", "Reports | out of 9,322 people 4 wrote | "),
            ("Number of download clicks:", "-"),
            ("Number of download clicks: [FILL_IN]", "-"),
            ("13. Calls: 4", "Calls | 4 | exact 4"),
            (": 5", "-"),
            ("https://example.org/a", "-"),
            ("at 10:30", "-"),
        ],
        shown,
    );
}

#[test]
fn slugs() {
    check(
        &[
            ("Find a Form (2.0)", "find-a-form-2-0"),
            ("  --A__b--  ", "a-b"),
            ("Déjà vu", "d-j-vu"),
            ("", ""),
            ("❓", ""),
        ],
        slug,
    );
    assert_eq!(slug(&"a".repeat(80)).len(), SLUG_LEN_MAX);
    assert_eq!(slug(&format!("{} b", "a".repeat(63))), "a".repeat(63));
}
