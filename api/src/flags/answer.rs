//! What `flags list` and `flags show` answer: values to serialize, and cells of a table.

use std::collections::BTreeMap;

use projector::flag_state::{FlagAnswer, FlagChangedRecorded, FlagStep, Gates, state_at, steps};
use schemas::{
    event::flag::{FlagChanged, FlagGate, FlagOperation},
    id::Instant,
    values::Actor,
};
use serde::Serialize;

/// One flag of one service and environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FlagLine {
    pub key: String,
    pub service: String,
    pub environment: String,
    pub exists: bool,
    pub gates: Gates,
    /// How many recorded changes made it so.
    pub changes: usize,
    /// When the last of them happened.
    pub changed_at: Option<Instant>,
    /// The last of them.
    pub seq: Option<u64>,
}

/// One flag and the events that set it. `answer` alone is the contract of `flags show --at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FlagShown {
    #[serde(flatten)]
    pub answer: FlagAnswer,
    /// Absent when no flag of this key is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// In the order in which they fold.
    pub events: Vec<FlagEvent>,
}

/// One change and what it led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FlagEvent {
    pub seq: u64,
    /// The service's own number of the change.
    pub row: Option<u64>,
    pub time: Option<Instant>,
    pub operation: FlagOperation,
    pub gate: Option<FlagGate>,
    pub value: Option<String>,
    pub actor: Option<Actor>,
    pub exists: bool,
    /// The state behind it.
    pub gates: Gates,
}

/// Where a flag lives: the same key in another service or environment is another flag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub service: String,
    pub environment: String,
}

/// Why there is no one answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShowError {
    #[error("this flag is known in several places, choose one: {}", choices_in_words(.0))]
    Ambiguous(Vec<Place>),
}

/// Every flag that changes were recorded of, by key, service and environment, at a moment (Unix
/// microseconds) or after everything recorded. Flags without a change by then are left out.
pub fn list(events: &[FlagChangedRecorded], at_us: Option<i64>) -> Vec<FlagLine> {
    let mut flags: BTreeMap<(&str, Place), Vec<&FlagChangedRecorded>> = BTreeMap::new();
    for event in events {
        flags.entry((event.change.key.as_str(), Place::of(&event.change))).or_default().push(event);
    }
    let line = |((key, place), events): ((&str, Place), Vec<&FlagChangedRecorded>)| {
        let steps = steps(key, events, at_us);
        let last = steps.last()?;
        Some(FlagLine {
            key: key.to_owned(),
            service: place.service,
            environment: place.environment,
            exists: last.exists,
            gates: Gates::from(&last.after),
            changes: steps.len(),
            changed_at: time(last.event),
            seq: Some(last.event.seq),
        })
    };
    flags.into_iter().filter_map(line).collect()
}

/// One flag, in the place that is named or the only one there is.
///
/// # Errors
/// When several places are left; they are named.
pub fn show(
    key: &str,
    events: &[FlagChangedRecorded],
    service: Option<&str>,
    environment: Option<&str>,
    at_us: Option<i64>,
) -> Result<FlagShown, ShowError> {
    let wanted = |name: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| wanted == name);
    let here = |event: &&FlagChangedRecorded| {
        event.change.key.as_str() == key
            && wanted(&event.change.service, service)
            && wanted(&event.change.environment, environment)
    };
    let events: Vec<&FlagChangedRecorded> = events.iter().filter(here).collect();
    let mut places: Vec<Place> = events.iter().map(|event| Place::of(&event.change)).collect();
    places.sort_unstable();
    places.dedup();
    if places.len() > 1 {
        return Err(ShowError::Ambiguous(places));
    }
    let place = places.pop();
    let event = |step: FlagStep| FlagEvent {
        seq: step.event.seq,
        row: step.event.change.row,
        time: time(step.event),
        operation: step.event.change.operation,
        gate: step.event.change.gate,
        value: step.event.change.value.clone(),
        actor: step.event.change.actor.clone(),
        exists: step.exists,
        gates: Gates::from(&step.after),
    };
    Ok(FlagShown {
        answer: state_at(key, events.iter().copied(), at_us),
        service: place.as_ref().map(|place| place.service.clone()),
        environment: place.map(|place| place.environment),
        events: steps(key, events, at_us).into_iter().map(event).collect(),
    })
}

impl FlagLine {
    pub const HEADER: [&str; 7] =
        ["flag", "service", "environment", "state", "changes", "last change", "seq"];

    pub fn cells(&self) -> [String; 7] {
        [
            self.key.clone(),
            self.service.clone(),
            self.environment.clone(),
            in_words(self.exists, &self.gates),
            self.changes.to_string(),
            text(self.changed_at.as_ref()),
            text(self.seq),
        ]
    }
}

impl FlagShown {
    /// The state in words: `5 % of actors, 2 actors`.
    pub fn state_in_words(&self) -> String {
        in_words(self.answer.exists, &self.answer.gates)
    }
}

impl FlagEvent {
    pub const HEADER: [&str; 8] =
        ["seq", "row", "time", "operation", "gate", "value", "actor", "state afterwards"];

    pub fn cells(&self) -> [String; 8] {
        [
            self.seq.to_string(),
            text(self.row),
            text(self.time.as_ref()),
            self.operation.to_string(),
            text(self.gate),
            self.value.clone().unwrap_or_default(),
            actor_in_words(self.actor.as_ref()),
            in_words(self.exists, &self.gates),
        ]
    }
}

impl Place {
    fn of(change: &FlagChanged) -> Place {
        Place { service: change.service.clone(), environment: change.environment.clone() }
    }
}

fn time(event: &FlagChangedRecorded) -> Option<Instant> {
    Instant::from_micros(event.time_us?).ok()
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn actor_in_words(actor: Option<&Actor>) -> String {
    let Some(actor) = actor else { return "unknown".to_owned() };
    match (&actor.id, &actor.reason_unknown) {
        (Some(id), _) => id.clone(),
        (None, Some(reason)) => format!("unknown ({reason})"),
        (None, None) => "unknown".to_owned(),
    }
}

/// A flag's state in words: `5 % of actors, 2 actors`.
pub fn in_words(exists: bool, gates: &Gates) -> String {
    if !exists {
        return "no such flag".to_owned();
    }
    let set = |number: &schemas::id::Decimal| number.as_str() != "0";
    let plural = |count: usize, noun: &str| {
        (count > 0).then(|| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
    };
    let parts: Vec<String> = [
        gates.boolean.then(|| "on for everyone".to_owned()),
        set(&gates.percentage_of_actors)
            .then(|| format!("{} % of actors", gates.percentage_of_actors)),
        set(&gates.percentage_of_time).then(|| format!("{} % of time", gates.percentage_of_time)),
        plural(gates.actors, "actor"),
        (!gates.groups.is_empty()).then(|| {
            let names: Vec<&str> = gates.groups.iter().map(String::as_str).collect();
            format!("groups {}", names.join(", "))
        }),
        gates.expression.then(|| "an expression".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "off".to_owned() } else { parts.join(", ") }
}

fn choices_in_words(places: &[Place]) -> String {
    let choice =
        |place: &Place| format!("--source {} --environment {}", place.service, place.environment);
    places.iter().map(choice).collect::<Vec<String>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(
        seq: u64,
        environment: &str,
        operation: &str,
        gate: Option<&str>,
        value: Option<&str>,
    ) -> FlagChangedRecorded {
        let mut data = serde_json::json!({
            "key": "new_form", "operation": operation, "service": "main",
            "environment": environment, "row": seq, "basis": "observed",
            "actor": { "kind": "unknown", "reason_unknown": "not_via_ui" },
        });
        for (name, text) in [("gate", gate), ("value", value)] {
            data.as_object_mut().unwrap().extend(text.map(|t| (name.to_owned(), t.into())));
        }
        let time_us = Some(1_767_225_600_000_000 + i64::try_from(seq).unwrap());
        let change = serde_json::from_value(data).unwrap();
        FlagChangedRecorded { seq, recorded_at_us: 0, time_us, change }
    }

    fn story() -> Vec<FlagChangedRecorded> {
        vec![
            event(3, "production", "enable", Some("percentage_of_actors"), Some("5.0")),
            event(1, "production", "add", None, None),
            event(2, "production", "enable", Some("actor"), Some("u1:a")),
            event(4, "staging", "enable", Some("boolean"), Some("t")),
            event(5, "staging", "remove", None, None),
        ]
    }

    #[test]
    fn a_list_has_a_line_for_each_place() {
        let cells = |at| list(&story(), at).iter().map(|l| l.cells().join("|")).collect::<Vec<_>>();
        assert_eq!(
            cells(None),
            [
                "new_form|main|production|5 % of actors, 1 actor|3|2026-01-01T00:00:00.000003Z|3",
                "new_form|main|staging|no such flag|2|2026-01-01T00:00:00.000005Z|5",
            ]
        );
        let first = Some(1_767_225_600_000_001);
        assert_eq!(cells(first), ["new_form|main|production|off|1|2026-01-01T00:00:00.000001Z|1"]);
        assert_eq!(FlagLine::HEADER.len(), list(&story(), None)[0].cells().len());
    }

    #[test]
    fn one_place_is_shown_or_the_choices_are_named() {
        let events = story();
        let error = show("new_form", &events, None, None, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this flag is known in several places, choose one: --source main --environment \
             production or --source main --environment staging"
        );
        let shown = show("new_form", &events, None, Some("production"), None).unwrap();
        assert_eq!(shown.state_in_words(), "5 % of actors, 1 actor");
        let rows: Vec<String> = shown.events.iter().map(|e| e.cells().join("|")).collect();
        assert_eq!(
            rows,
            [
                "1|1|2026-01-01T00:00:00.000001Z|add|||unknown (not_via_ui)|off",
                "2|2|2026-01-01T00:00:00.000002Z|enable|actor|u1:a|unknown (not_via_ui)|1 actor",
                "3|3|2026-01-01T00:00:00.000003Z|enable|percentage_of_actors|5.0|unknown \
                 (not_via_ui)|5 % of actors, 1 actor",
            ]
        );
        let unknown = show("no_such", &events, None, None, None).unwrap();
        assert_eq!((unknown.answer.exists, unknown.service), (false, None));
        let elsewhere = show("new_form", &events, Some("other"), None, None).unwrap();
        assert!(!elsewhere.answer.exists);
    }

    #[test]
    fn the_contract_is_the_answer_alone() {
        let shown = show("new_form", &story(), None, Some("production"), None).unwrap();
        let whole = serde_json::to_value(&shown).unwrap();
        let answer = serde_json::to_value(&shown.answer).unwrap();
        let names: Vec<&String> = answer.as_object().unwrap().keys().collect();
        assert_eq!(names, ["at", "exists", "gates", "key", "seq"]);
        assert!(names.iter().all(|name| whole[*name] == answer[*name]));
    }
}
