//! Which events a row repeats nothing of: a rebuild only counts them.

use std::fs;

use proptest::prelude::*;
use schemas::RolloutId;

use super::super::{folds::Folded, rows::is_silent};
use crate::{
    recorded::{Recorded, Seen},
    views::RolloutRow,
};

/// The example of every type, whole and as a rebuild keeps it, in the order of their names.
fn examples() -> Vec<(Recorded, Recorded)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/fixtures");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|name| name == "json")).collect();
    files.sort();
    let read = |path| {
        let payload = fs::read(path).unwrap();
        let mut kept = Seen::of(Some(&payload));
        kept.slim();
        let hash = "00".repeat(32);
        (Recorded::read(0, &hash, 0, Some(&payload)), kept.keep(0, hash.clone(), 0))
    };
    files.into_iter().map(read).collect()
}

fn row<'a>(events: impl Iterator<Item = &'a Recorded> + Clone) -> RolloutRow {
    let id: RolloutId = "appointment-reminders".parse().unwrap();
    let row = Folded::fresh(&id, events).row(&id);
    RolloutRow { events: 0, newest_us: 0, last_seq: 0, ..row }
}

proptest! {
    #[test]
    fn a_row_repeats_nothing_of_a_silent_event(
        picks in prop::collection::vec((any::<prop::sample::Index>(), -9_000_i64..9_000), 1..200),
    ) {
        let examples = examples();
        let at = |event: &Recorded, seq, hours| {
            let time = event.time.map(|time| time + hours * 3_600_000_000);
            Recorded { seq, time, recorded_at_us: time.unwrap_or(0), ..event.clone() }
        };
        let (mut whole, mut kept) = (vec![], vec![]);
        for (seq, (pick, hours)) in (0..).zip(picks) {
            let (event, slim) = pick.get(&examples);
            whole.push(at(event, seq, hours));
            if !event.known().is_some_and(is_silent) {
                kept.push(at(slim, seq, hours));
            }
        }
        prop_assert_eq!(row(kept.iter()), row(whole.iter()));
    }
}

#[test]
fn some_types_are_silent_and_most_are_not() {
    let examples = examples();
    let silent = examples.iter().map(|(event, _)| event);
    let silent = silent.filter(|event| event.known().is_some_and(is_silent));
    let names: Vec<_> = silent.map(|event| event.known().unwrap().type_name()).collect();
    assert!(names.contains(&"rollout.note.added.v1"), "{names:?}");
    assert!(!names.contains(&"rollout.stage.started.v1"), "{names:?}");
    assert!((10..20).contains(&names.len()), "{names:?}");
}
