//! `/schemas`: the JSON Schema of every event type, for whoever sends or reads events.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    Json,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use schemas::{
    canonical,
    event::{EventType, TYPES},
    schema,
};
use serde::Serialize;
use serde_json::Value;

use super::{Named, Problem};

/// A released type never changes, so its schema may be kept for a year.
const KEPT: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=31536000, immutable");

/// Every schema, by type: the bytes of the file in `schemas/json/`.
static SCHEMAS: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    // Sorted by name, whichever way the JSON library keeps its members.
    let sorted = |value: &Value| serde_json::from_slice::<Value>(&canonical::to_bytes(value));
    let text = |t: &EventType| sorted(&schema::of_event(t)).map(|s| format!("{s:#}\n"));
    TYPES.iter().map(|t| (t.name, text(t).expect("a schema is JSON"))).collect()
});

/// Every event type and where its schema is.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct SchemaList {
    data: Vec<SchemaLine>,
}

/// One event type.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct SchemaLine {
    /// The CloudEvents `type`.
    #[serde(rename = "type")]
    type_name: &'static str,
    /// The last part of `href`.
    file: String,
    /// `/schemas/TYPE.json`.
    href: String,
}

/// Every event type and where its schema is.
#[utoipa::path(
    get,
    path = "/schemas",
    tag = "contract",
    responses((status = 200, description = "All of them", body = ref("#/components/schemas/SchemaList"))),
    security(())
)]
pub(super) async fn list() -> Json<SchemaList> {
    let line = |t: &EventType| {
        let file = format!("{}.json", t.name);
        SchemaLine { type_name: t.name, href: format!("/schemas/{file}"), file }
    };
    Json(SchemaList { data: TYPES.iter().map(line).collect() })
}

/// The JSON Schema of one event type.
#[utoipa::path(
    get,
    path = "/schemas/{file}",
    tag = "contract",
    params(("file" = String, Path, description = "The type and .json", example = "rollout.note.added.v1.json")),
    responses((
        status = 200, description = "Draft 2020-12, closed",
        body = ref("#/components/schemas/JsonSchema"), content_type = "application/schema+json"
    )),
    security(())
)]
pub(super) async fn show(Named(file): Named) -> Result<Response, Problem> {
    let text = file.strip_suffix(".json").and_then(|name| SCHEMAS.get(name));
    let text = text.ok_or_else(|| Problem::not_found("such schema; GET /schemas lists them"))?;
    let kind = (header::CONTENT_TYPE, "application/schema+json");
    Ok(([kind, KEPT], text.as_str()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_is_the_file_that_is_published() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/json");
        for (name, text) in &*SCHEMAS {
            let file = std::fs::read_to_string(format!("{folder}/{name}.json")).expect(name);
            assert!(file == *text, "{name} differs");
        }
        assert_eq!(SCHEMAS.len(), std::fs::read_dir(folder).expect("it is there").count());
    }
}
