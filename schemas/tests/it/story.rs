//! The demo's story and the examples pass the door.

use std::{collections::BTreeSet, fs};

use schemas::{CloudEvent, canonical};

use crate::files::{read, root};

#[test]
fn every_event_of_the_story_passes_the_door_in_order_of_time() {
    let folder = root().join("examples/story");
    let mut chapters: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    chapters.retain(|path| path.extension().is_some_and(|e| e == "ndjson"));
    chapters.sort();
    assert!(chapters.len() >= 8, "{chapters:?}");
    let (mut ids, mut newest) = (BTreeSet::new(), String::new());
    for chapter in chapters {
        let text = String::from_utf8(read(&chapter)).unwrap();
        for (i, line) in text.lines().enumerate() {
            let at = format!("{} line {}", chapter.display(), i + 1);
            let value = canonical::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{at}: {e}"));
            let event = CloudEvent::from_sender(&value).unwrap_or_else(|e| panic!("{at}: {e}"));
            assert_eq!(event.subject.unwrap().as_str(), "appointment-reminders", "{at}");
            assert!(ids.insert((event.source, event.id)), "{at}: an id that stands twice");
            let time = event.time.unwrap_or_else(|| panic!("{at}: when?")).to_string();
            assert!(newest <= time, "{at}: {time} after {newest}");
            newest = time;
        }
    }
    assert!(ids.len() > 80, "{} events tell no whole story", ids.len());
}
