//! `docs/EVENTS.md` is written from the schemas, so that it cannot go stale.

use std::{collections::BTreeMap, fmt::Write};

use schemas::{
    event::{Door, EventType, TYPES},
    schema,
};
use serde_json::Value;

use crate::files::{is_current, root};

/// What every event's data may hold beside its own members.
const COMMON: [&str; 6] = ["basis", "actor", "occurrence", "evidence", "plan", "note"];

const HEAD: &str = "\
# The events

Written from the JSON Schemas in `schemas/json/` by a test of the crate `schemas`
(`UPDATE_SCHEMAS=1 cargo test -p schemas`); edits by hand are lost.

Every event is a CloudEvent 1.0. Its sender gives `specversion` (`\"1.0\"`), `id`, `source`, `type`,
`data`, the rollout it is about as `subject` and, if it is known, the `time` at which it happened
(never a default; the same moment as `data.occurrence.earliest` when that is given).
`examples/events/<type>.json` holds one of each, ready for `rollout-ledger event append -f`.
The same `source` and `id` again is the same event: sending twice is safe.

Schemas are closed: a member that is not listed here is refused, and `null` is no way to say that
something is absent. Decimals are strings (`\"98.5\"`), percentages basis points (1 % = 100).
Nothing here is judged at the door: facts are recorded as they come.

";

#[test]
fn events_md_is_what_the_schemas_say() {
    is_current(&root().join("docs/EVENTS.md"), &document());
}

fn document() -> String {
    let mut out = HEAD.to_owned();
    overview(&mut out);
    let first = schema::of_event(TYPES.first().unwrap());
    out += "\n## Members that the data of every event may have\n\n";
    table(&mut out, data(&first), |name| COMMON.contains(&name));
    out += "\n## Each event\n";
    let mut values = BTreeMap::new();
    for kind in TYPES {
        one(&mut out, kind);
        let schema = schema::of_event(kind);
        values.extend(schema["$defs"].as_object().unwrap().clone());
    }
    out += "\n## Values that events are made of\n";
    for (name, value) in &values {
        let _ = write!(out, "\n### {name}\n\n");
        describe(&mut out, value);
    }
    out
}

fn overview(out: &mut String) {
    out.push_str(
        "## The catalogue\n\nMembers in bold are required; every event also needs `basis`.\n\n",
    );
    out.push_str("| type | meaning | members of its own |\n| --- | --- | --- |\n");
    for kind in TYPES {
        let schema = schema::of_event(kind);
        let required = required(data(&schema));
        let members: Vec<String> = members(data(&schema))
            .filter(|(name, _)| !COMMON.contains(name))
            .map(
                |(name, _)| {
                    if required.contains(&name) { format!("**{name}**") } else { name.into() }
                },
            )
            .collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} |",
            kind.name,
            line(&schema["description"]),
            members.join(", ")
        );
    }
}

fn one(out: &mut String, kind: &EventType) {
    let schema = schema::of_event(kind);
    let _ = write!(out, "\n### {}\n\n{}", kind.name, line(&schema["description"]));
    if kind.needs_rollout {
        out.push_str(" The `subject` must name the rollout.");
    }
    if kind.door != Door::Open {
        out.push_str(" Written only by the ledger's own commands.");
    }
    out.push_str("\n\n");
    table(out, data(&schema), |name| !COMMON.contains(&name));
}

fn describe(out: &mut String, value: &Value) {
    if let Some(text) = value["description"].as_str() {
        let _ = write!(out, "{}\n\n", text.replace('\n', " "));
    }
    if value.get("properties").is_some() {
        table(out, value, |_| true);
    } else if let Some(choices) = value["oneOf"].as_array() {
        out.push_str("One of:\n\n| member | value | meaning |\n| --- | --- | --- |\n");
        for choice in choices {
            for (name, value) in members(choice) {
                let meaning = line(&choice["description"]);
                let _ = writeln!(out, "| {name} | {} | {meaning} |", kind_of(value));
            }
        }
    } else {
        let _ = writeln!(out, "{}", capitalised(&kind_of(value)));
    }
}

fn table(out: &mut String, record: &Value, keep: impl Fn(&str) -> bool) {
    out.push_str("| member | value | meaning |\n| --- | --- | --- |\n");
    let required = required(record);
    for (name, value) in members(record).filter(|(name, _)| keep(name)) {
        let shown = if required.contains(&name) { format!("**{name}**") } else { name.into() };
        let _ = writeln!(out, "| {shown} | {} | {} |", kind_of(value), line(&value["description"]));
    }
}

fn data(schema: &Value) -> &Value {
    &schema["properties"]["data"]
}

/// The members of a record, the required ones first, both in the order of the alphabet.
fn members(record: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let required = required(record);
    let all: BTreeMap<&str, &Value> = record["properties"]
        .as_object()
        .map(|p| p.iter().map(|(name, value)| (name.as_str(), value)).collect())
        .unwrap_or_default();
    let (first, then): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(name, _)| required.contains(name));
    first.into_iter().chain(then)
}

fn required(record: &Value) -> Vec<&str> {
    record["required"]
        .as_array()
        .map_or_else(Vec::new, |names| names.iter().filter_map(Value::as_str).collect())
}

/// What a value is, in a word or two.
fn kind_of(value: &Value) -> String {
    if let Some(name) = value["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(words) = value["enum"].as_array() {
        let words: Vec<String> =
            words.iter().map(|w| format!("`{}`", w.as_str().unwrap())).collect();
        return words.join(", ");
    }
    match value["type"].as_str() {
        Some("array") => format!("list of {}", kind_of(&value["items"])),
        Some("integer") => "whole number".into(),
        Some("boolean") => "`true` or `false`".into(),
        Some("string") => match value["pattern"].as_str() {
            Some(pattern) => format!("text like `{}`", pattern.replace('|', "\\|")),
            None => "text".into(),
        },
        _ => "object".into(),
    }
}

fn line(text: &Value) -> String {
    text.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect::<String>() + ".")
}

#[test]
fn every_member_of_every_event_says_what_it_means() {
    let mut silent = Vec::new();
    for kind in TYPES {
        let schema = schema::of_event(kind);
        let records = schema["$defs"].as_object().unwrap().iter();
        for (of, record) in
            records.map(|(n, r)| (n.as_str(), r)).chain([(kind.name, data(&schema))])
        {
            for (name, value) in members(record) {
                if value["description"].as_str().is_none_or(str::is_empty) {
                    silent.push(format!("{of}.{name}"));
                }
            }
        }
    }
    silent.sort();
    silent.dedup();
    assert!(silent.is_empty(), "without a word of meaning: {silent:?}");
}
