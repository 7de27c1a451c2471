//! Every type has its schema, its fixture and its example; and they say the same.

use std::{collections::BTreeSet, fmt::Write, fs};

use schemas::{
    CloudEvent, Envelope, canonical,
    envelope::INTAKE_ATTRIBUTES,
    event::{Door, TYPES},
    schema,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::files::{
    example_path, fixture, is_current, json, pretty, schema_path, stored, strays, sums_path,
    updating,
};

/// A fixture as its sender wrote it.
pub(crate) fn sent(fixture: &Value) -> Value {
    let mut event = fixture.clone();
    let members = event.as_object_mut().unwrap();
    for name in INTAKE_ATTRIBUTES {
        assert!(members.remove(name).is_some(), "a stored event has {name}");
    }
    event
}

#[test]
fn every_type_has_its_files_and_there_are_no_others() {
    let names = |of: fn(Door) -> bool| -> BTreeSet<String> {
        TYPES.iter().filter(|t| of(t.door)).map(|t| format!("{}.json", t.name)).collect()
    };
    let mut fixtures = names(|_| true);
    fixtures.insert("SHA256SUMS".into());
    for (folder, expected) in [
        ("schemas/json", names(|_| true)),
        ("schemas/fixtures", fixtures),
        ("examples/events", names(|door| door == Door::Open)),
    ] {
        let (stray, missing) = strays(folder, &expected);
        assert!(
            updating() || stray.is_empty() && missing.is_empty(),
            "{folder}: {stray:?} {missing:?}"
        );
    }
}

#[test]
fn schema_files_are_generated_from_the_types() {
    for kind in TYPES {
        is_current(&schema_path(kind.name), &pretty(&schema::of_event(kind)));
    }
}

#[test]
fn fixtures_are_the_examples_as_they_are_stored() {
    for kind in TYPES.iter().filter(|t| t.door == Door::Open) {
        let example = json(&example_path(kind.name));
        let bytes = fixture(kind);
        assert_eq!(sent(&canonical::parse(&bytes).unwrap()), example, "{}", kind.name);
        assert_eq!(bytes, stored(&example), "{}", kind.name);
    }
}

#[test]
fn fixtures_decode_and_encode_to_themselves() {
    for kind in TYPES {
        let bytes = fixture(kind);
        let value = canonical::parse(&bytes).unwrap();
        assert_eq!(canonical::to_bytes(&value), bytes, "{} is canonical", kind.name);

        let envelope = Envelope::read(&bytes).unwrap();
        assert_eq!(envelope.type_name, kind.name);
        let mut again = value.clone();
        again["data"] = envelope.event().unwrap().data();
        assert_eq!(canonical::to_bytes(&again), bytes, "{}", kind.name);

        match CloudEvent::from_sender(&sent(&value)) {
            Ok(event) => {
                assert_eq!(stored(&event.to_value()), bytes);
                assert_ne!(kind.door, Door::Own, "{}", kind.name);
            }
            Err(refused) => {
                assert!(refused.own_door && kind.door == Door::Own, "{}: {refused}", kind.name);
            }
        }
    }
}

#[test]
fn released_fixtures_are_frozen() {
    let mut expected = fs::read_to_string(sums_path()).unwrap_or_default();
    for kind in TYPES {
        let name = format!("{}.json", kind.name);
        let digest = Sha256::digest(fixture(kind));
        let digest = digest.iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
        match expected.lines().find(|line| line.ends_with(&format!("  {name}"))) {
            Some(line) => assert_eq!(line, format!("{digest}  {name}"), "a fixture was changed"),
            None if updating() => writeln!(expected, "{digest}  {name}").unwrap(),
            None => panic!("SHA256SUMS does not name {name}"),
        }
    }
    if updating() {
        fs::write(sums_path(), &expected).unwrap();
    }
    assert_eq!(expected.lines().count(), TYPES.len(), "a released type is gone");
}

#[test]
fn ids_of_the_examples_are_unique() {
    let mut ids = BTreeSet::new();
    for kind in TYPES.iter().filter(|t| t.door == Door::Open) {
        let example = json(&example_path(kind.name));
        assert_eq!(example["source"], "https://ledger.example/examples");
        assert!(ids.insert(example["id"].as_str().unwrap().to_owned()), "{}", kind.name);
    }
}
