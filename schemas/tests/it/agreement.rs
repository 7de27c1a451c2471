//! The schemas are closed, and Rust and an independent validator accept and refuse the same.

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use schemas::{
    CloudEvent, Event, canonical,
    event::{Door, EventType, TYPES},
    schema,
};
use serde_json::{Value, json};

use crate::{catalogue::sent, files::fixture};

/// The one record that holds what another type's schema closes.
const OPEN_RECORD: &str = "AnyObject";

/// `time` repeats `occurrence.earliest`, a rule between two members that a schema cannot say.
const BETWEEN_MEMBERS: [&str; 2] = ["/time", "/data/occurrence/earliest"];

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new(kind: &EventType) -> Validator {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V2020_12);
        let place = format!("urn:rollout-ledger:schema:{}", kind.name);
        compiler.add_resource(&place, schema::of_event(kind)).unwrap();
        let index = compiler.compile(&place, &mut schemas).unwrap();
        Validator { schemas, index }
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        self.schemas.validate(value, self.index).map_err(|e| e.to_string())
    }
}

#[test]
fn fixtures_and_examples_fit_their_schemas() {
    for kind in TYPES {
        let (validator, fixture) =
            (Validator::new(kind), canonical::parse(&fixture(kind)).unwrap());
        validator.check(&fixture).unwrap();
        validator.check(&sent(&fixture)).unwrap();
    }
}

#[test]
fn schemas_are_closed_at_every_object() {
    fn walk(schema: &Value, at: &str, open: &mut Vec<String>) {
        match schema {
            Value::Object(members) => {
                let object = members.get("type").is_some_and(|t| t == "object")
                    || members.contains_key("properties");
                if object && members.get("additionalProperties") != Some(&Value::Bool(false)) {
                    open.push(at.to_owned());
                }
                for (name, inner) in members {
                    walk(inner, &format!("{at}/{name}"), open);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, at, open)),
            _ => {}
        }
    }
    for kind in TYPES {
        let mut open = Vec::new();
        walk(&schema::of_event(kind), "", &mut open);
        open.retain(|at| *at != format!("/$defs/{OPEN_RECORD}"));
        assert!(open.is_empty(), "{}: open at {open:?}", kind.name);
    }
}

#[test]
fn rust_and_the_schema_agree_on_every_mutation() {
    let (mut refused, mut accepted) = (0, 0);
    for kind in TYPES {
        let validator = Validator::new(kind);
        let event = sent(&canonical::parse(&fixture(kind)).unwrap());
        for (what, mutant) in mutants(&event) {
            // A door of its own refuses the whole event, so only its data is compared.
            if kind.door == Door::Own && !what.contains(" at /data") {
                continue;
            }
            let (rust, boon) = (decodes(kind, &mutant), validator.check(&mutant));
            assert_eq!(
                rust.is_ok(),
                boon.is_ok(),
                "{}: {what}: Rust says {rust:?}, the schema {boon:?}",
                kind.name
            );
            *(if rust.is_ok() { &mut accepted } else { &mut refused }) += 1;
        }
    }
    // Were the mutations without effect, all of this would prove nothing.
    assert!(refused > 5_000 && accepted > 500, "{refused} refused, {accepted} accepted");
}

#[test]
fn an_unknown_member_is_refused_at_every_object_of_every_event() {
    for kind in TYPES {
        let event = sent(&canonical::parse(&fixture(kind)).unwrap());
        for pointer in pointers(&event).iter().filter(|p| !p.starts_with("/data/replacement")) {
            let mut mutant = event.clone();
            let Some(members) = mutant.pointer_mut(pointer).unwrap().as_object_mut() else {
                continue;
            };
            members.insert("unknown_member".into(), json!("x"));
            assert!(decodes(kind, &mutant).is_err(), "{} at {pointer:?}", kind.name);
        }
    }
}

/// What Rust says to an event; of a type with a door of its own, to its data.
fn decodes(kind: &EventType, event: &Value) -> Result<(), String> {
    if kind.door != Door::Own {
        return CloudEvent::from_sender(event).map(drop).map_err(|e| e.to_string());
    }
    let members = event.as_object().unwrap();
    if members.keys().any(|k| k == "unknown_member") {
        return Err("unknown attribute".into());
    }
    let data = serde_json::value::to_raw_value(&event["data"]).unwrap();
    Event::decode(kind.name, &data).map(drop).map_err(|e| e.to_string())
}

/// Every event that differs from this one in one place.
fn mutants(event: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for pointer in pointers(event) {
        let found = event.pointer(&pointer).unwrap();
        let mut put = |what: &str, value: Value| {
            let mut mutant = event.clone();
            *mutant.pointer_mut(&pointer).unwrap() = value;
            all.push((format!("{what} at {pointer} "), mutant));
        };
        if let Some(members) = found.as_object() {
            let mut more = members.clone();
            more.insert("unknown_member".into(), json!(1));
            put("one more member", Value::Object(more));
            for name in members.keys() {
                if BETWEEN_MEMBERS.contains(&format!("{pointer}/{name}").as_str()) {
                    continue;
                }
                let mut less = members.clone();
                less.remove(name);
                put(&format!("no {name}"), Value::Object(less));
            }
        }
        if let Some(items) = found.as_array() {
            put("the first item twice", items.iter().chain(items.first()).cloned().collect());
            put("one more item", items.iter().cloned().chain([json!(null)]).collect());
        }
        for wrong in [
            json!(null),
            json!(""),
            json!("Not this, \u{7}!"),
            json!(7),
            json!(-1),
            json!(1.5),
            json!(4_294_967_296_u64),
            json!(true),
            json!([]),
            json!([[]]),
            json!({}),
            json!({ "unknown_member": {} }),
        ] {
            put(&format!("{wrong}"), wrong);
        }
    }
    all
}

/// The place of every value in an event.
fn pointers(event: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, all: &mut Vec<String>) {
        all.push(at.to_owned());
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, inner)| walk(inner, &format!("{at}/{name}"), all));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, inner)| walk(inner, &format!("{at}/{i}"), all));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    walk(event, "", &mut all);
    all
}
