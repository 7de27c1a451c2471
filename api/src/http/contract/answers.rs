//! What every operation may answer beside its success, and what may be asked next.

use serde_json::{Value, json};

use super::TOKEN;
use crate::json::set;

/// A refusal: status, name of the component, what it means.
const REFUSALS: [(&str, &str, &str); 16] = [
    ("400", "BadRequest", "A parameter, an id, a cursor or the body cannot be read"),
    ("401", "Unauthorized", "The token is not known, or is expired or revoked"),
    ("403", "Forbidden", "The token does not give what this wants"),
    ("404", "NotFound", "There is no such thing"),
    ("405", "MethodNotAllowed", "The path takes other methods: see Allow"),
    ("408", "Timeout", "The body or the answer took too long"),
    ("409", "Conflict", "What is there already does not allow it"),
    ("413", "TooLarge", "The body is too large"),
    ("415", "UnsupportedMediaType", "The content type is missing or another"),
    ("421", "Misdirected", "The host asked for is not a name of this machine"),
    ("422", "Unprocessable", "It does not fit its schema, or a rule refuses it"),
    ("429", "TooOften", "Too many requests: wait Retry-After seconds"),
    ("431", "HeadersTooLarge", "Too many headers, or too large ones"),
    ("500", "Internal", "A fault inside; the server's log has it"),
    ("502", "InDoubt", "It is not known whether it was recorded: send it again"),
    ("503", "Unavailable", "Try again after Retry-After"),
];

/// Parameters that are moments, wherever they stand: RFC 3339, or a date.
const MOMENTS: [&str; 8] =
    ["as_of", "at", "from", "known_at", "recorded_since", "recorded_until", "since", "until"];

/// Paths whose `{id}` is a rollout's.
const OF_ROLLOUTS: [&str; 3] = ["/rollouts/", "/approvals/", "/restated/"];

/// The refusals as components.
pub(super) fn refusals() -> Value {
    let mut components = json!({});
    for (status, name, description) in REFUSALS {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let mut refusal = json!({
            "description": description,
            "content": { "application/problem+json": { "schema": schema } },
        });
        let header = match status {
            "405" => Some(("Allow", "The methods that the path takes")),
            "429" | "503" => Some(("Retry-After", "Seconds")),
            _ => None,
        };
        if let Some((header, description)) = header {
            let schema = json!({ "type": "string" });
            let header = json!({ header: { "description": description, "schema": schema } });
            set(&mut refusal, "headers", header);
        }
        set(&mut components, name, refusal);
    }
    components
}

/// Completes one operation: its name, its refusals, its headers, what may be asked next.
pub(super) fn complete(method: &str, path: &str, operation: &mut Value) {
    set(operation, "operationId", name(method, path));
    let scoped = operation.pointer(&format!("/security/0/{TOKEN}")).is_some();
    let takes_body = operation.get("requestBody").is_some();
    let named = path.contains('{');
    let reads = scoped && method == "get" && path.starts_with("/api/");
    let (records, streams) = (path == "/api/v1/events" && takes_body, path.ends_with("/stream"));
    refine(path, operation);
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, component, _) in REFUSALS {
        let possible = match status {
            "400" | "405" | "408" | "421" | "431" | "500" | "503" => true,
            "401" | "403" | "429" => scoped,
            "404" => named,
            "409" | "413" | "415" | "422" => takes_body || method == "post",
            _ => records,
        };
        if possible && !answers.contains_key(status) {
            let reference = format!("#/components/responses/{component}");
            answers.insert(status.to_owned(), json!({ "$ref": reference }));
        }
    }
    // What a handler says of a refusal of its own is a problem document too.
    for (status, answer) in answers.iter_mut() {
        let bare = answer.get("content").is_none() && answer.get("$ref").is_none();
        if bare && !status.starts_with('2') {
            let schema = json!({ "$ref": "#/components/schemas/Problem" });
            set(answer, "content", json!({ "application/problem+json": { "schema": schema } }));
        }
    }
    let successes = answers.iter_mut().filter(|(status, _)| status.starts_with('2'));
    for (status, success) in successes {
        if status != "204" && success.get("content").is_none() {
            let schema = json!({ "$ref": "#/components/schemas/SomeAnswer" });
            set(success, "content", json!({ "application/json": { "schema": schema } }));
        }
        // What is no JSON is text.
        for media in success.get_mut("content").and_then(Value::as_object_mut).into_iter().flatten()
        {
            if media.1.get("schema").is_none() {
                set(media.1, "schema", json!({ "type": "string" }));
            }
        }
        if reads && !streams {
            let header = json!({
                "description": "The entry that the answer was computed at: SEQ:HASH",
                "schema": { "type": "string", "pattern": "^[0-9]*:[0-9a-f]{64}$" },
            });
            let mut headers = success.get("headers").cloned().unwrap_or_else(|| json!({}));
            set(&mut headers, "Ledger-As-Of", header);
            set(success, "headers", headers);
        }
        if let Some(links) = links(method, path) {
            set(success, "links", links);
        }
    }
}

/// Says of parameters what their Rust types do not.
fn refine(path: &str, operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let is = |member: &str, words: &[&str]| {
            parameter.get(member).and_then(Value::as_str).is_some_and(|text| words.contains(&text))
        };
        if is("in", &["query"]) && is("name", &MOMENTS) {
            let forms = json!([{ "format": "date-time" }, { "format": "date" }]);
            set(parameter, "schema", json!({ "type": "string", "anyOf": forms }));
        } else if is("in", &["path"])
            && is("name", &["id"])
            && OF_ROLLOUTS.iter().any(|of| path.contains(of))
        {
            set(parameter, "schema", json!({ "$ref": "#/components/schemas/RolloutId" }));
        } else if is("in", &["path"]) && is("name", &["flag", "key"]) {
            set(parameter, "schema", json!({ "$ref": "#/components/schemas/FlagKey" }));
        } else if parameter.pointer("/schema/format").is_some_and(|f| f == "int64" || f == "int32")
        {
            // The ends of the Rust type, which are not those of the format.
            let wide = parameter.pointer("/schema/format").is_some_and(|f| f == "int64");
            let max = if wide { u64::MAX } else { u64::from(u32::MAX) };
            if let Some(schema) = parameter.get_mut("schema").and_then(Value::as_object_mut) {
                schema.remove("format");
                schema.entry("maximum").or_insert(max.into());
            }
        }
    }
}

/// `get_rollouts_stages` for `GET /api/v1/rollouts/{id}/stages`; `..._one` for the thing itself.
fn name(method: &str, path: &str) -> String {
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let mut name = method.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty() && !part.starts_with('{')) {
        name.push('_');
        name.push_str(&part.replace(['.', '-'], "_"));
    }
    if path.ends_with('}') { format!("{name}_one") } else { name }
}

/// What an answer leads to.
fn links(method: &str, path: &str) -> Option<Value> {
    let link = |operation: &str, parameter: &str, place: &str| json!({ "operationId": operation, "parameters": { parameter: place } });
    Some(match (method, path) {
        ("post", "/api/v1/events") => {
            json!({ "Entry": link("get_events_one", "seq", "$response.body#/receipts/0/seq") })
        }
        ("get", "/api/v1/rollouts") => {
            let first = |operation| link(operation, "id", "$response.body#/data/0/id");
            json!({
                "Rollout": first("get_rollouts_one"),
                "Stages": first("get_rollouts_stages"),
                "Checkpoints": first("get_rollouts_checkpoints"),
                "Timeline": first("get_rollouts_timeline"),
                "Deviations": first("get_rollouts_deviations"),
                "Report": first("get_rollouts_report"),
            })
        }
        ("get", "/schemas") => {
            json!({ "Schema": link("get_schemas_one", "file", "$response.body#/data/0/file") })
        }
        _ => return None,
    })
}
