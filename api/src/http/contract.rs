//! The OpenAPI document: made from the handlers, served as it is, and obeyed by `authorize.rs`.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::openapi::{
    Components, Info, OpenApi,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

/// The name of the one security scheme: an access token as a bearer token.
pub(super) const TOKEN: &str = "token";

/// What the service promises.
pub(super) static DOCUMENT: LazyLock<OpenApi> =
    LazyLock::new(|| complete(super::routes().into_openapi()));

/// As it is sent.
static TEXT: LazyLock<String> =
    LazyLock::new(|| DOCUMENT.to_pretty_json().expect("the document is JSON"));

/// Adds what all operations share.
fn complete(mut document: OpenApi) -> OpenApi {
    document.info = Info::new("Rollout ledger", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(
        "Records what happened in feature rollouts, and answers from it. Every answer that reads \
         names the entry that it was computed at."
            .to_owned(),
    );
    super::min_seq::describe(&mut document);
    let components = document.components.get_or_insert_with(Components::new);
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token. Until one was ever made, loopback needs none."))
        .build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme));
    document
}

/// The OpenAPI document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "contract",
    responses((status = 200, description = "This document", content_type = "application/json")),
    security(())
)]
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}
