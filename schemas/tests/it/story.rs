//! The demo's story and the examples pass the door.

use std::{collections::BTreeSet, fs};

use jiff::Timestamp;
use schemas::{CloudEvent, Event, canonical, event::rollback::StepKind};

use crate::files::{read, root};

/// The events of every chapter, in the order of the chapters.
fn story() -> Vec<(String, CloudEvent)> {
    let folder = root().join("examples/story");
    let mut chapters: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    chapters.retain(|path| path.extension().is_some_and(|e| e == "ndjson"));
    chapters.sort();
    assert!(chapters.len() >= 8, "{chapters:?}");
    let mut events = Vec::new();
    for chapter in chapters {
        let text = String::from_utf8(read(&chapter)).unwrap();
        for (i, line) in text.lines().enumerate() {
            let at = format!("{} line {}", chapter.display(), i + 1);
            let value = canonical::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{at}: {e}"));
            let event = CloudEvent::from_sender(&value).unwrap_or_else(|e| panic!("{at}: {e}"));
            events.push((at, event));
        }
    }
    events
}

#[test]
fn every_event_of_the_story_passes_the_door_in_order_of_time() {
    let (mut ids, mut newest) = (BTreeSet::new(), i64::MIN);
    for (at, event) in story() {
        assert_eq!(event.subject.unwrap().as_str(), "appointment-reminders", "{at}");
        assert!(ids.insert((event.source, event.id)), "{at}: an id that stands twice");
        let time = event.time.unwrap_or_else(|| panic!("{at}: when?")).micros();
        assert!(newest <= time, "{at}: earlier than the line before");
        newest = time;
    }
    assert!(ids.len() > 80, "{} events tell no whole story", ids.len());
}

/// How far the story's words may be from the flag's log.
const APART_MAX_US: i64 = 60_000_000;

#[test]
fn the_story_and_the_log_of_its_flag_tell_the_same() {
    let log = String::from_utf8(read(&root().join("examples/flags/appointment_reminders.csv")));
    let moves: Vec<(Option<u32>, i64)> = log
        .unwrap()
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter_map(|row| {
            let at: Timestamp = format!("{}Z", row[6]).parse().ok()?;
            match (row[2], row[3]) {
                ("enable", "percentage_of_actors") => {
                    Some((Some(row[4].parse::<u32>().unwrap() * 100), at.as_microsecond()))
                }
                ("disable", "boolean") => Some((None, at.as_microsecond())),
                _ => None,
            }
        })
        .collect();
    let told: Vec<(Option<u32>, i64)> = story()
        .into_iter()
        .filter_map(|(_, event)| {
            let at = event.time.unwrap().micros();
            match event.event {
                Event::StageStarted(e) => Some((Some(e.exposures[0].max_bp?), at)),
                Event::RollbackStepCompleted(e) if e.kind == StepKind::FlagOff => Some((None, at)),
                _ => None,
            }
        })
        .collect();
    assert_eq!(moves.len(), told.len(), "{moves:?} {told:?}");
    for (moved, told) in moves.iter().zip(&told) {
        let near = (moved.1 - told.1).abs() < APART_MAX_US;
        assert!(moved.0 == told.0 && near, "the log says {moved:?}, the story {told:?}");
    }
}
