//! Which events a question is about: one meaning on the command line and over HTTP.

use ledger::Entry;
use projector::views::Filter;
use schemas::{Envelope, event::TYPES};
use serde_json::Value;

use crate::{
    config::EventFilter,
    exit::{Code, fail},
    moment,
};

/// Reads a filter as people write it.
///
/// # Errors
/// When an id or a moment cannot be one.
pub fn parse(given: &EventFilter) -> anyhow::Result<Filter> {
    let moment = |option: &str, text: &Option<String>| {
        text.as_deref().map(|text| moment::parse(option, text)).transpose()
    };
    Ok(Filter {
        rollout: id("rollout", given.rollout.as_deref())?,
        flag: id("flag", given.flag.as_deref())?,
        actor: given.actor.clone(),
        types: given.type_name.as_deref().map(types).unwrap_or_default(),
        from_us: moment("since", &given.since)?,
        before_us: moment("until", &given.until)?,
        ..Filter::default()
    })
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(
    option: &str,
    text: Option<&str>,
) -> anyhow::Result<Option<T>> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|e: T::Err| fail(Code::Usage, format!("{option} {e}")))
}

/// A type, or every type that it is the beginning of: `rollout.stage` and `rollout.stage.`.
fn types(wanted: &str) -> Vec<String> {
    let prefixed;
    let wanted = if wanted.starts_with("rollout.") {
        wanted
    } else {
        prefixed = format!("rollout.{wanted}");
        &prefixed
    };
    let begins = |name: &&str| {
        let rest = name.strip_prefix(wanted);
        rest.is_some_and(|rest| wanted.ends_with('.') || rest.starts_with('.'))
    };
    let mut types = vec![wanted.to_owned()];
    types.extend(TYPES.iter().map(|t| t.name).filter(begins).map(str::to_owned));
    types
}

/// What [`cells`] holds.
pub const COLUMNS: [&str; 9] =
    ["seq", "time", "recorded_at", "rollout", "type", "actor", "basis", "authid", "hash"];

/// One row of a list: who is said to have acted beside who was seen submitting.
pub fn cells(entry: &Entry) -> Vec<String> {
    let seq = entry.seq().to_string();
    let none = || "-".to_owned();
    let Some(envelope) = entry.payload().and_then(|p| Envelope::read(p).ok()) else {
        let erased = "(erased)".to_owned();
        let recorded = moment::shown_us(entry.recorded_at_us());
        let hash = entry.hash().to_string();
        return vec![seq, none(), recorded, none(), erased, none(), none(), none(), hash];
    };
    let data: Value = serde_json::from_str(envelope.data.get()).unwrap_or_default();
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let actor = match text("/actor/kind") {
        "unknown" => format!("unknown ({})", text("/actor/reason_unknown")),
        _ => text("/actor/id").to_owned(),
    };
    let subject = envelope.subject.map_or_else(none, |s| s.to_string());
    let time = envelope.time.map_or_else(none, |t| moment::shown(t.micros()));
    vec![
        seq,
        time,
        moment::shown_us(entry.recorded_at_us()),
        subject,
        envelope.type_name.into_owned(),
        actor,
        text("/basis").to_owned(),
        envelope.authid.unwrap_or_else(none),
        entry.hash().to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_or_its_beginning_is_understood() {
        assert_eq!(types("rollout.stage.started.v1"), ["rollout.stage.started.v1"]);
        assert_eq!(types("stage.started"), types("rollout.stage.started"));
        assert_eq!(types("rollout.stage").len(), types("rollout.stage.").len());
        assert!(types("rollout.stage").contains(&"rollout.stage.held.v1".to_owned()));
        assert!(!types("rollout.st").contains(&"rollout.stage.held.v1".to_owned()));
    }
}
