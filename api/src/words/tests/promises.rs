//! What holds for any text, also for every line of every real plan at hand.

use proptest::prelude::*;

use super::super::*;
use super::{hint, new_york};

/// Every parser on one text, with the promises that hold for any text.
fn promises(raw: &str) {
    let slice = match filled(raw) {
        Filled::Blank { placeholder } => placeholder,
        Filled::Guidance(text) | Filled::Value(text) => text,
    };
    let offset = (slice.as_ptr() as usize).checked_sub(raw.as_ptr() as usize).unwrap();
    assert_eq!(raw.get(offset..offset + slice.len()), Some(slice), "{raw:?}");
    let number = quantity(raw);
    assert_eq!(number.raw, raw);
    assert!(number.min.is_some() == number.max.is_some(), "{raw:?}");
    bug_counts(raw);
    for exposure in exposures(raw) {
        assert!(exposure.max_bp.is_none_or(|bp| bp <= 10_000), "{raw:?}");
        assert!(exposure.min_bp.zip(exposure.max_bp).is_none_or(|(a, b)| a <= b), "{raw:?}");
    }
    let kept = Some(raw);
    assert!(duration(raw).is_none_or(|found| found.raw.as_deref() == kept));
    guidance_minimum(raw);
    for hint in [None, Some(hint())] {
        assert!(window(raw, hint.as_ref()).is_none_or(|found| found.raw.as_deref() == kept));
        let at = occurrence(raw, &new_york(), hint.as_ref());
        assert_eq!(at.raw.as_deref(), kept);
        let ordered = at.earliest.zip(at.latest).is_none_or(|(a, b)| a.micros() <= b.micros());
        assert!(ordered, "{raw:?}");
    }
    assert_eq!(answer(raw).raw, raw);
    rows_of_metric(raw);
    let name = slug(raw);
    assert!(name.is_empty() || schemas::id::RolloutId::try_from(name).is_ok(), "{raw:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_kept_and_never_panics(raw in ".{0,60}") {
        promises(&raw);
    }

    #[test]
    fn pieces_of_what_people_write_are_kept_and_never_panic(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..9),
    ) {
        promises(&pieces.concat());
    }
}

const PIECES: &[&str] = &[
    " ",
    "-",
    "–",
    "/",
    "%",
    ",",
    ".",
    ":",
    "=",
    "(",
    ")",
    "[",
    "]",
    "\\",
    "*",
    "**",
    "_",
    "~",
    "≈",
    "<",
    "5",
    "12",
    "31",
    "2024",
    "99",
    "1,234",
    ".5",
    "20k",
    "99999999999999999999999",
    "/22/22",
    "of users",
    "users",
    " and ",
    " to ",
    "between ",
    "more than ",
    "p90 ",
    "seconds",
    "days",
    "week of ",
    "Oct ",
    "Feb 29",
    "13-24, 2025",
    "2025-01-14",
    "T10:30",
    " 2:34p",
    " PT",
    "yes",
    "no",
    "N/A",
    "[FILL_IN]",
    "[PICK_ONE]",
    "TBD",
    "xx",
    "lorem ipsum",
    "mm/dd/yy",
    "é",
    "❓",
];

#[test]
fn no_line_of_a_real_plan_panics() {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let mut read = 0;
    for folder in ["corpus", "seeds"] {
        let Ok(files) = std::fs::read_dir(shared.join(folder)) else { continue };
        for file in files {
            let text = std::fs::read(file.unwrap().path()).unwrap();
            for line in String::from_utf8_lossy(&text).lines() {
                promises(line);
                line.split_once(':').into_iter().for_each(|(_, value)| promises(value));
                line.split('|').skip(1).for_each(promises);
            }
            read += 1;
        }
    }
    if read == 0 {
        println!("corpus absent");
    }
}
