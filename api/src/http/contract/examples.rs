//! What the document shows: events that are in `examples/`, and answers that a server gave.
//! `tests/documented.rs` asks for each again.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::json::set;

/// The answers by operation or refusal: how each was asked for, its status, its body.
static ANSWERED: LazyLock<Map<String, Value>> =
    LazyLock::new(|| json_of(include_str!("examples.json")));

/// Events to send, each with what it shows.
const SENT: [(&str, &str); 8] = [
    ("A note", include_str!("../../../../examples/events/rollout.note.added.v1.json")),
    (
        "A stage is planned",
        include_str!("../../../../examples/events/rollout.stage.planned.v1.json"),
    ),
    ("A stage starts", include_str!("../../../../examples/events/rollout.stage.started.v1.json")),
    (
        "A metric is read",
        include_str!("../../../../examples/events/rollout.metric.observed.v1.json"),
    ),
    ("A bug is found", include_str!("../../../../examples/events/rollout.bug.found.v1.json")),
    ("A gate is decided", include_str!("../../../../examples/events/rollout.gate.decided.v1.json")),
    (
        "A rollback starts",
        include_str!("../../../../examples/events/rollout.rollback.started.v1.json"),
    ),
    (
        "An event is corrected",
        include_str!("../../../../examples/events/rollout.event.corrected.v1.json"),
    ),
];

fn json_of(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("examples are JSON")
}

/// Puts every example where the document describes what it is one of.
pub(super) fn show(document: &mut Value) {
    let refusals = document.pointer_mut("/components/responses").and_then(Value::as_object_mut);
    for (name, refusal) in refusals.into_iter().flatten() {
        if let Some(answered) = ANSWERED.get(name) {
            show_in(refusal, answered);
        }
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flatten().filter_map(|(_, item)| item.as_object_mut());
    for operation in items.flat_map(|item| item.values_mut()) {
        let Some(name) = operation.get("operationId").and_then(Value::as_str) else { continue };
        let (name, again) = (name.to_owned(), format!("{name} again"));
        for answered in [&name, &again].iter().filter_map(|name| ANSWERED.get(*name)) {
            let status = answered.get("status").map(Value::to_string).unwrap_or_default();
            if let Some(answer) = operation.pointer_mut(&format!("/responses/{status}")) {
                show_in(answer, answered);
            }
        }
        if name == "post_events" {
            show_sent(operation);
        }
    }
}

/// An answer under what was asked. Of several media types, the first is JSON.
fn show_in(answer: &mut Value, answered: &Value) {
    let part = |name: &str| answered.get(name).cloned().unwrap_or_default();
    let example = json!({ "recorded": { "summary": part("asked"), "value": part("body") } });
    let content = answer.get_mut("content").and_then(Value::as_object_mut);
    let json = content.into_iter().flatten().find(|(kind, _)| kind.ends_with("json"));
    if let Some((_, media)) = json {
        set(media, "examples", example);
    }
}

/// Events one by one, and all of them at once.
fn show_sent(operation: &mut Value) {
    let content = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
    for (kind, media) in content.into_iter().flatten() {
        let examples = match kind.as_str() {
            "application/json" | "application/cloudevents+json" => {
                let one = |(summary, text): &(&str, &str)| {
                    let event = json_of(text);
                    let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
                    (name.to_owned(), json!({ "summary": summary, "value": event }))
                };
                Value::Object(SENT.iter().map(one).collect())
            }
            "application/cloudevents-batch+json" => {
                let all: Vec<_> = SENT.iter().map(|(_, text)| json_of(text)).collect();
                json!({ "several": { "summary": "All or none", "value": all } })
            }
            _ => continue,
        };
        set(media, "examples", examples);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::DOCUMENT, *};

    fn count(value: &Value) -> usize {
        match value {
            Value::Object(members) => {
                let here = members.get("recorded").is_some_and(|shown| shown["value"].is_object());
                usize::from(here) + members.values().map(count).sum::<usize>()
            }
            Value::Array(items) => items.iter().map(count).sum(),
            _ => 0,
        }
    }

    #[test]
    fn every_recorded_answer_is_shown_and_every_read_shows_one() {
        assert_eq!(count(&DOCUMENT), ANSWERED.len());
        for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
            let Some(read) = item.get("get").filter(|_| path.starts_with("/api/v1/")) else {
                continue;
            };
            let json = read["responses"]["200"]["content"].get("application/json");
            if let Some(json) = json.filter(|_| !path.starts_with("/api/v1/webhooks")) {
                assert!(json["examples"].is_object(), "{path} shows no answer");
            }
        }
    }
}
