//! The JSON Schema (draft 2020-12, closed) of every event, made from its Rust type.
//!
//! `json/` holds them for people without Rust; a test keeps the two equal.

use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform},
};
use serde_json::{Value, json};

use crate::{canonical, envelope, event::EventType};

/// The schema of one event's data alone.
pub fn of_data<T: JsonSchema>() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    RecursiveTransform(without_null).transform(&mut schema);
    RecursiveTransform(bounded).transform(&mut schema);
    schema
}

/// An optional member is absent or holds a value; `null` would be a second way to say absent.
fn without_null(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.retain(|c| c.get("type").is_none_or(|t| t != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            members.extend(only);
        }
    }
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
}

/// Says the ends of the Rust type in the schema's own words; `format` is only a remark to readers.
fn bounded(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    let max = match members.get("format").and_then(Value::as_str) {
        Some("uint64") => Value::from(canonical::INTEGER_MAX),
        Some("uint32") => Value::from(u32::MAX),
        _ => return,
    };
    members.entry("maximum").or_insert(max);
}

/// The schema of a whole event: its envelope, closed, around its data.
pub fn of_event(event: &EventType) -> Value {
    let mut data = (event.data_schema)().to_value();
    let members = data.as_object_mut().expect("a record's schema is an object");
    members.remove("$schema");
    let defs = members.remove("$defs").unwrap_or_else(|| json!({}));
    let description = members.remove("description").unwrap_or_default();
    let mut required = vec!["specversion", "id", "source", "type", "data"];
    if event.needs_rollout {
        required.push("subject");
    }
    let short = |max: usize| {
        let printable = r"^[^\u0000-\u001f\u007f-\u009f]*$";
        json!({ "type": "string", "minLength": 1, "maxLength": max, "pattern": printable })
    };
    let intake = || {
        let rule = "Set by the intake, never by a sender.";
        json!({ "type": "string", "description": rule })
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:rollout-ledger:schema:{}", event.name),
        "title": event.name,
        "description": description,
        "type": "object",
        "properties": {
            "specversion": { "const": envelope::SPEC_VERSION },
            "id": short(envelope::ID_LEN_MAX),
            "source": short(envelope::SOURCE_LEN_MAX),
            "type": { "const": event.name },
            "subject": { "type": "string", "pattern": "^[a-z0-9-]{1,64}$" },
            "time": {
                "type": "string",
                "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$",
            },
            "datacontenttype": { "const": envelope::CONTENT_TYPE },
            "data": data,
            "salt": intake(),
            "authtype": intake(),
            "authid": intake(),
            "recordedvia": intake(),
        },
        "required": required,
        "additionalProperties": false,
        "$defs": defs,
    })
}
