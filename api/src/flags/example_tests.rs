//! The flag log in `examples/`: it imports whole, and tells the story that the demonstration shows.

use std::{fs, path::Path};

use projector::flag_state::{FlagChangedRecorded, state_at};
use schemas::Event;

use super::{KnownRows, Origin, Privacy, StaffMap, plan_import, read, time};
use crate::pseudonym::PseudonymKey;

const KEY: &str = "appointment_reminders_enabled";

fn example(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/flags").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_example_tells_its_story() {
    let export = read(&example("appointment_reminders.csv")).unwrap();
    let staff = StaffMap::read(&example("accounts.csv")).unwrap();
    let key = PseudonymKey::generate([3; 32]);
    let sha256 = "00".repeat(32).try_into().unwrap();
    let origin =
        Origin::new("portal-flags", "production", "appointment_reminders.csv", sha256).unwrap();
    let privacy = Privacy { key: &key, staff: &staff, guard: &|_| None };
    let plan = plan_import(&export, &origin, &KnownRows::default(), &privacy).unwrap();
    assert_eq!((plan.recorded, plan.refusals.len(), plan.unmapped), (13, 0, 0));

    let events: Vec<FlagChangedRecorded> = (0..)
        .zip(plan.batches.iter().flatten())
        .filter_map(|(seq, event)| {
            assert!(!event.to_value().to_string().contains("example.com"));
            let Event::FlagChanged(change) = &event.event else { return None };
            let time_us = event.time.as_ref().map(schemas::id::Instant::micros);
            let change = (**change).clone();
            Some(FlagChangedRecorded { seq, recorded_at_us: 0, time_us, change })
        })
        .collect();
    for (at, exists, percentage, actors) in [
        ("2026-01-05 14:02:11.104330", false, "0", 0),
        ("2026-01-05 14:02:11.104331", true, "0", 0),
        ("2026-01-06 15:00", true, "0", 6),
        ("2026-01-15 00:00", true, "5", 6),
        ("2026-01-22 16:57:40.002", true, "0", 0),
        ("2026-01-28 15:01", true, "5", 0),
        ("2026-01-30 00:00", true, "25", 0),
        ("2026-02-03 00:00", true, "50", 0),
        ("2026-03-31 00:00", true, "100", 0),
    ] {
        let answer = state_at(KEY, &events, time::micros(at));
        let found =
            (answer.exists, answer.gates.percentage_of_actors.as_str(), answer.gates.actors);
        assert_eq!(found, (exists, percentage, actors), "{at}");
    }
}
