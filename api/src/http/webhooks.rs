//! `/api/v1/webhooks`: who gets events sent, and how far each is.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::{FromRequest, Request, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, Named, Problem, as_of_headers, body};
use crate::{
    answers::AsOf,
    home::os_account,
    principal::Principal,
    webhooks::{Change, Wish, endpoint::OVERLAP},
};

/// Every path of webhooks.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(add, list))
        .routes(routes!(show, remove))
        .routes(routes!(deliveries))
        .routes(routes!(test))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(replay))
        .routes(routes!(rotate))
}

/// Where a replay begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// The first entry to be sent again.
    from: u64,
}

/// How a secret is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the old secret signs too, in seconds; a day if it is not said, 0 if it has leaked.
    #[serde(default)]
    overlap_seconds: Option<u64>,
}

/// Adds a webhook. The answer holds its secret, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks",
    tag = "webhooks",
    request_body = Wish,
    responses((status = 201, description = "The webhook and its secret")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn add(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Given(wish): Given<Wish>,
) -> Result<Response, Problem> {
    let added = app.webhooks()?.add(wish, &who(&principal)).await?;
    let place =
        format!("/api/v1/webhooks/{}", added.get("id").and_then(Value::as_str).unwrap_or_default());
    let headers = [(header::LOCATION, place)];
    Ok((StatusCode::CREATED, headers, secretly(&app, &added)).into_response())
}

/// Every webhook, its state and how far it is.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks",
    tag = "webhooks",
    responses((status = 200, description = "The webhooks, without their secrets")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let all = app.webhooks()?.list().await;
    Ok(answer(&app, &Value::Array(all)))
}

/// One webhook.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook, without its secret")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn show(State(app): State<App>, Named(id): Named) -> Result<Response, Problem> {
    let shown = app.webhooks()?.show(&id).await?;
    Ok(answer(&app, &shown))
}

/// What was sent lately and what came of it, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}/deliveries",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "The newest attempts")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn deliveries(
    State(app): State<App>,
    Named(id): Named,
) -> Result<Response, Problem> {
    let sent = app.webhooks()?.deliveries(&id).await?;
    Ok(answer(&app, &Value::Array(sent)))
}

/// Sends a message that is no event, now.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/test",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "What came of it")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn test(State(app): State<App>, Named(id): Named) -> Result<Response, Problem> {
    let tested = app.webhooks()?.test(&id).await?;
    Ok(answer(&app, &tested))
}

/// Sends nothing until it is resumed.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/pause",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook, paused")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn pause(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Named(id): Named,
) -> Result<Response, Problem> {
    change(&app, &principal, &id, Change::Pause).await
}

/// Goes on where it stood.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/resume",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook, active")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn resume(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Named(id): Named,
) -> Result<Response, Problem> {
    change(&app, &principal, &id, Change::Resume).await
}

/// Sends again from an entry on.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/replay",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    request_body = Replay,
    responses((status = 200, description = "The webhook, at that entry")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn replay(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Named(id): Named,
    Given(replay): Given<Replay>,
) -> Result<Response, Problem> {
    change(&app, &principal, &id, Change::Replay { from: replay.from }).await
}

/// Makes a new secret. The answer holds it, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/rotate",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    request_body = Rotation,
    responses((status = 200, description = "The webhook and its new secret")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn rotate(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Named(id): Named,
    Given(rotation): Given<Rotation>,
) -> Result<Response, Problem> {
    let overlap = rotation.overlap_seconds.map_or(OVERLAP, Duration::from_secs);
    change(&app, &principal, &id, Change::Rotate { overlap }).await
}

/// Forgets a webhook.
#[utoipa::path(
    delete,
    path = "/api/v1/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 204, description = "It is forgotten")),
    security(("token" = ["subscriptions:manage"]))
)]
pub(super) async fn remove(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Named(id): Named,
) -> Result<StatusCode, Problem> {
    app.webhooks()?.remove(&id, &who(&principal)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change(
    app: &App,
    principal: &Principal,
    id: &str,
    change: Change,
) -> Result<Response, Problem> {
    let changed = app.webhooks()?.change(id, change, &who(principal)).await?;
    Ok(secretly(app, &changed).into_response())
}

/// The head that an answer about webhooks was computed at: how far each is, is told against it.
fn as_of(app: &App) -> AsOf {
    let head = *app.intake.heads().borrow();
    AsOf { seq: head.last_seq().map(|seq| seq.0), hash: head.hash.to_string() }
}

fn answer(app: &App, data: &Value) -> Response {
    let as_of = as_of(app);
    (as_of_headers(&as_of), Json(json!({ "data": data, "as_of": as_of }))).into_response()
}

/// An answer that may hold a secret is kept by nobody on the way.
fn secretly(app: &App, data: &Value) -> impl IntoResponse {
    const NOWHERE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
    (NOWHERE, answer(app, data))
}

/// Who changed something, for the server's log.
fn who(principal: &Principal) -> String {
    match principal {
        Principal::Loopback => "loopback".to_owned(),
        Principal::OsAccount { .. } => os_account(),
        Principal::Token { id, .. } => format!("token {id}"),
    }
}

/// A JSON body, refused with a problem document.
pub(super) struct Given<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = "the content type must be application/json";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "unsupported_media_type", detail));
        }
        let body = body::whole(&parts.headers, body).await?;
        // The parser's own message could hold a piece of what was sent.
        serde_json::from_slice(&body).map(Given).map_err(|e| {
            if e.is_data() {
                let detail = "a member of the body is missing, unknown or of the wrong kind";
                return Problem::invalid(detail);
            }
            Problem::new(StatusCode::BAD_REQUEST, "not_json", "the body is no JSON")
        })
    }
}
