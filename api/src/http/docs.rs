//! `/docs`: the contract as a page, rendered here: no script, nothing loaded from elsewhere.

use std::fmt::Write as _;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use super::contract::DOCUMENT;

/// Readable at 320 px: nothing has a fixed width, and what is wide scrolls in a box of its own that
/// the keyboard reaches.
const STYLE: &str = include_str!("docs/page.css");

/// The style stands in a file of the same origin, so that nothing inline needs to be allowed.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page of ours.
pub(super) fn page_of(title: &str, body: &str) -> Response {
    let title = escaped(title);
    let text = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>{title} - Rollout ledger</title><link rel=stylesheet href=\"/docs/page.css\"></head>\
         <body><a class=skip href=\"#main\">Skip to the content</a>\
         <nav aria-label=\"Pages\"><a href=\"/docs\">Contract</a> <a href=\"/problems\">Problems</a> \
         <a href=\"/schemas\">Schemas</a> <a href=\"/openapi.json\">openapi.json</a></nav>\
         <main id=main tabindex=-1><h1>{title}</h1>{body}</main></body></html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

/// The contract as a page.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "contract",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")),
    security(())
)]
pub(super) async fn page() -> Response {
    page_of("The contract", &contents(&DOCUMENT))
}

/// How the pages look.
#[utoipa::path(
    get,
    path = "/docs/page.css",
    tag = "contract",
    responses((status = 200, description = "A style sheet", body = String, content_type = "text/css; charset=utf-8")),
    security(())
)]
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

fn contents(document: &Value) -> String {
    let mut operations = Vec::new();
    for (path, item) in members(document.get("paths")) {
        operations.extend(item.as_object().into_iter().flatten().map(|(m, o)| (m, path, o)));
    }
    let mut page = String::new();
    let _ = write!(page, "<p>{}", escaped(text(document.pointer("/info/description"))));
    page.push_str("<h2 id=paths>Paths</h2><ul>");
    for (method, path, operation) in &operations {
        let (name, path) = (text(operation.get("operationId")), escaped(path));
        let _ = write!(
            page,
            "<li><a href=\"#{name}\"><code>{} {path}</code></a>",
            method.to_uppercase()
        );
    }
    page.push_str("</ul>");
    for (method, path, operation) in operations {
        describe(&mut page, method, path, operation);
    }
    page.push_str("<h2 id=shapes>Shapes</h2>");
    for (name, schema) in members(document.pointer("/components/schemas")) {
        let name = escaped(name);
        let schema = linked(&escaped(&format!("{schema:#}")));
        let _ = write!(
            page,
            "<h3 id=\"shape-{name}\">{name}</h3><pre tabindex=0 role=region aria-label=\"Shape {name}\">{schema}</pre>"
        );
    }
    page
}

fn describe(page: &mut String, method: &str, path: &str, operation: &Value) {
    let name = text(operation.get("operationId"));
    let (method, path) = (method.to_uppercase(), escaped(path));
    let _ = write!(page, "<h2 id=\"{name}\"><code>{method} {path}</code></h2>");
    let _ = write!(page, "<p>{}", escaped(text(operation.get("summary"))));
    let scope = operation.pointer("/security/0/token/0").and_then(Value::as_str);
    let who = scope.map_or_else(
        || "<p>Open to everyone who may connect.".to_owned(),
        |scope| format!("<p>Scope: <code>{}</code>", escaped(scope)),
    );
    page.push_str(&who);
    let parameters = operation.get("parameters").and_then(Value::as_array);
    if let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) {
        page.push_str("<h3>Parameters</h3><dl>");
        for parameter in parameters {
            let (name, place) = (text(parameter.get("name")), text(parameter.get("in")));
            let what = escaped(text(parameter.get("description")));
            let _ = write!(page, "<dt><code>{}</code> ({place})<dd>{what}", escaped(name));
        }
        page.push_str("</dl>");
    }
    kinds(page, "Body", operation.pointer("/requestBody/content"));
    page.push_str("<h3>Answers</h3><dl>");
    for (status, answer) in members(operation.get("responses")) {
        let component = answer.get("$ref").and_then(Value::as_str);
        let answer = component.and_then(|c| DOCUMENT.pointer(c.get(1..)?)).unwrap_or(answer);
        let _ = write!(page, "<dt>{status}<dd>{}", escaped(text(answer.get("description"))));
        kinds(page, "", answer.get("content"));
    }
    page.push_str("</dl>");
}

/// The media types of a body, each with its shape.
fn kinds(page: &mut String, title: &str, content: Option<&Value>) {
    let Some(content) = content.and_then(Value::as_object) else { return };
    if !title.is_empty() {
        let _ = write!(page, "<h3>{title}</h3>");
    }
    page.push_str("<ul>");
    for (kind, media) in content {
        let shape = media.pointer("/schema/$ref").and_then(Value::as_str);
        let shape = shape.and_then(|target| target.rsplit_once('/')).map(|(_, name)| name);
        let link = shape.map_or_else(String::new, |name| {
            format!(": <a href=\"#shape-{0}\">{0}</a>", escaped(name))
        });
        let _ = write!(page, "<li><code>{}</code>{link}", escaped(kind));
        for (_, example) in members(media.get("examples")) {
            show(page, example);
        }
    }
    page.push_str("</ul>");
}

/// An example, which opens when it is wanted.
fn show(page: &mut String, example: &Value) {
    let summary = escaped(text(example.get("summary")));
    let value = example.get("value").unwrap_or(&Value::Null);
    let value = value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned);
    let _ = write!(
        page,
        "<details><summary>Example: {summary}</summary>\
         <pre tabindex=0 role=region aria-label=\"Example: {summary}\">{}</pre></details>",
        escaped(&value)
    );
}

/// References to shapes become links.
fn linked(schema: &str) -> String {
    let begins = "#/components/schemas/";
    let mut pieces = schema.split(begins);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find("&quot;").unwrap_or(piece.len());
        let (name, rest) = piece.split_at(end);
        let _ = write!(text, "<a href=\"#shape-{name}\">{begins}{name}</a>{rest}");
    }
    text
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_path_and_shape() {
        let page = contents(&DOCUMENT);
        for (path, item) in members(DOCUMENT.get("paths")) {
            for (method, _) in members(Some(item)) {
                let heading =
                    format!("<code>{} {}</code></h2>", method.to_uppercase(), escaped(path));
                assert!(page.contains(&heading), "{heading}");
            }
        }
        for (name, _) in members(DOCUMENT.pointer("/components/schemas")) {
            assert!(page.contains(&format!("<h3 id=\"shape-{}\">", escaped(name))), "{name}");
        }
        assert!(!page.contains("<script") && !page.contains("style="));
        assert!(page.contains("<summary>Example: GET /api/v1/rollouts</summary>"));
    }

    #[test]
    fn what_is_shown_is_escaped() {
        assert_eq!(escaped("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
