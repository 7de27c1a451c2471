//! The OpenAPI document: made from the handlers, served as it is, and obeyed by `authorize.rs`.

mod answers;
mod examples;
mod shapes;

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OpenApi, Schema, SchemaFormat, Type, schema::AnyOfBuilder,
};

use crate::json::set;

/// The name of the one security scheme: an access token as a bearer token.
pub(super) const TOKEN: &str = "token";

/// What the handlers say of themselves.
pub(super) static HANDLERS: LazyLock<OpenApi> = LazyLock::new(|| {
    let mut handlers = super::routes().into_openapi();
    super::min_seq::describe(&mut handlers);
    handlers
});

/// What the service promises: the handlers, and what all of them share.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| complete(&HANDLERS));

/// As it is sent.
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", *DOCUMENT));

/// Adds what all operations share.
fn complete(handlers: &OpenApi) -> Value {
    let mut document = serde_json::to_value(handlers).expect("the document is JSON");
    let info = json!({
        "title": "Rollout ledger",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        "description": "Records what happened in feature rollouts, and answers from it. Every \
            answer that reads names the entry that it was computed at.",
    });
    set(&mut document, "info", info);
    set(&mut document, "servers", json!([{ "url": "/" }]));
    let mut components = document.get("components").cloned().unwrap_or_else(|| json!({}));
    let mut schemas = components.get("schemas").cloned().unwrap_or_else(|| json!({}));
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.extend(shapes::all());
    }
    let scheme = json!({
        "type": "http",
        "scheme": "bearer",
        "description": "An access token. Until one was ever made, loopback needs none.",
    });
    set(&mut components, "schemas", schemas);
    set(&mut components, "responses", answers::refusals());
    set(&mut components, "securitySchemes", json!({ TOKEN: scheme }));
    set(&mut document, "components", components);
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            answers::complete(method, path, operation);
        }
    }
    examples::show(&mut document);
    document
}

/// A moment in a query string: RFC 3339, or a date.
pub(super) fn moment_schema() -> Schema {
    let text = |format| ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build();
    let both = AnyOfBuilder::new()
        .item(text(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .item(text(SchemaFormat::KnownFormat(KnownFormat::Date)));
    Schema::AnyOf(both.build())
}

/// How the report is written.
pub(super) fn format_schema() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String);
    Schema::Object(text.enum_values(Some(["json", "md"])).build())
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "contract",
    responses((status = 200, description = "OpenAPI 3.1", body = ref("#/components/schemas/OpenApi"))),
    security(())
)]
pub(super) async fn openapi() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, TEXT.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match (name.as_str(), member) {
                        ("$ref", Value::String(target)) => drop(found.insert(target.clone())),
                        // A recorded answer may be a schema, whose references are its own.
                        ("example" | "examples", _) => {}
                        _ => references(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let mut found = BTreeSet::new();
        references(&DOCUMENT, &mut found);
        assert!(found.len() > 50);
        for target in found {
            let pointer = target.strip_prefix('#').expect("nothing refers to the outside");
            assert!(DOCUMENT.pointer(pointer).is_some(), "{target}");
        }
    }

    #[test]
    fn every_operation_has_its_own_name_and_a_typed_success() {
        let mut names = BTreeSet::new();
        for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(
                    names.insert(operation["operationId"].as_str().unwrap()),
                    "{method} {path}"
                );
                assert!(operation["summary"].is_string(), "{method} {path} has no summary");
                let answers = operation["responses"].as_object().unwrap();
                let good = answers.iter().filter(|(s, _)| s.starts_with('2') && *s != "204");
                let typed = good.filter(|(_, answer)| {
                    let content = answer["content"].as_object();
                    content.is_some_and(|content| content.values().all(|c| c["schema"].is_object()))
                });
                assert!(
                    typed.count() > 0 || answers.contains_key("204"),
                    "{method} {path} does not say what it answers"
                );
            }
        }
    }
}
