//! An event as the command line that records it: the example at the end of `--help`.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    dashed,
    field::{self, Field, Kind},
};
use crate::words;

/// The command line, if every member can be written on one.
pub fn command_line(event: &Value) -> Option<String> {
    let kind = schemas::event::find(event.get("type")?.as_str()?)?;
    let (subject, verb) = kind.subject_verb();
    let mut line = format!("rollout-ledger record {} {}", dashed(subject), dashed(verb));
    let add = |line: &mut String, flag: &str, text: &str| {
        let _ = write!(line, " --{flag} {}", quoted(text));
    };
    if let Some(rollout) = event.get("subject").and_then(Value::as_str) {
        add(&mut line, "rollout", rollout);
    }
    let data = event.get("data")?;
    for field in field::fields(&(kind.data_schema)().to_value()) {
        let holder = if field.in_results { data.get("results") } else { Some(data) };
        let Some(value) = holder.and_then(|h| h.get(&field.name)) else { continue };
        match value {
            Value::Array(items) if field.list => {
                for item in items {
                    add(&mut line, &field.flag, &spelled(&field, item)?);
                }
            }
            value if field.kind == Kind::Boolean => {
                let _ = write!(line, " --{}={value}", field.flag);
            }
            value => add(&mut line, &field.flag, &spelled(&field, value)?),
        }
    }
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str);
    if let Some(actor) = text("/actor/id") {
        add(&mut line, "actor", actor);
    }
    if let Some(time) = event.get("time").and_then(Value::as_str) {
        add(&mut line, "happened", time);
    }
    if let Some(basis) = text("/basis") {
        add(&mut line, "basis", basis);
    }
    for evidence in data.get("evidence").and_then(Value::as_array).into_iter().flatten() {
        add(&mut line, "evidence", &spelled_value("Evidence", evidence)?);
    }
    if let Some(note) = text("/note") {
        add(&mut line, "note", note);
    }
    Some(line)
}

fn spelled(field: &Field, value: &Value) -> Option<String> {
    match &field.kind {
        Kind::Value(name) => spelled_value(name, value),
        Kind::Json => Some(value.to_string()),
        Kind::Text | Kind::Words(_) | Kind::Integer | Kind::Boolean => Some(plain(value)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The words that the readers of `read.rs` turn into this value.
fn spelled_value(name: &str, value: &Value) -> Option<String> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    match name {
        "Party" => match (text("/role"), text("/actor/id")) {
            (role, Some(id)) => Some(format!("{}={id}", role.unwrap_or_default())),
            (Some(role), None) => Some(role.to_owned()),
            (None, None) => None,
        },
        "SignOff" => {
            let party = spelled_value("Party", value.get("party")?)?;
            Some(format!("{party}:{}", text("/verdict")?))
        }
        "Evidence" => Some(format!("{}={}", text("/kind")?, text("/url")?)),
        "Target" => Some(value.get("seq")?.to_string()),
        "MetricValue" => Some(format!("{}={}", text("/name")?, text("/quantity/raw")?)),
        "CategoryCount" => Some(format!("{}={}", text("/label")?, text("/quantity/raw")?)),
        "LabelledText" => Some(format!("{}={}", text("/label")?, text("/raw")?)),
        "PlannedStep" => Some(format!("{}: {}", text("/kind")?, text("/text")?)),
        // "The first week" is read from what stands around it, so its dates are written.
        "Window" => match (text("/start"), text("/end")) {
            (Some(start), Some(end)) => Some(format!("{start} - {end}")),
            _ => text("/raw").map(str::to_owned),
        },
        // Likewise "over the whole stage".
        "Duration" => match text("/raw").filter(|raw| words::duration(raw).is_some()) {
            Some(raw) => Some(raw.to_owned()),
            None => text("/min").or_else(|| text("/max")).map(str::to_owned),
        },
        // Numbers, exposures and answers keep the words they were read from.
        _ => text("/raw").map(str::to_owned),
    }
}

/// Quoted for a shell where it needs to be.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
