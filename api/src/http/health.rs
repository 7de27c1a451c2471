//! `/healthz`: the process answers. `/readyz`: it can record, and its answers are up to date.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, Asked, Problem};
use crate::remote::prove;

/// `?nonce=`: the server of this directory proves itself to a command that has the token too.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Challenge {
    /// At most 128 bytes.
    nonce: Option<String>,
}

/// Longest nonce, in bytes.
const NONCE_LEN_MAX: usize = 128;

/// The process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    params(Challenge),
    responses((status = 200, description = "It does")),
    security(())
)]
pub(super) async fn alive(
    State(app): State<App>,
    Asked(challenge): Asked<Challenge>,
) -> Json<Value> {
    let nonce = challenge.nonce.filter(|nonce| nonce.len() <= NONCE_LEN_MAX);
    match nonce {
        Some(nonce) => Json(json!({ "status": "ok", "proof": prove(&app.token, &nonce) })),
        None => Json(json!({ "status": "ok" })),
    }
}

/// It records, and the views are at the head of the log.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses((status = 200, description = "It does")),
    security(())
)]
pub(super) async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let (head, read) = (*app.intake.heads().borrow(), app.facts.next());
    let lag = head.next.0.saturating_sub(read);
    if !app.intake.is_open() {
        let detail = "recording has stopped; the server's log says why";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_recording", detail));
    }
    if !*app.verified.borrow() {
        let detail = "the log is still being verified";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "verifying", detail));
    }
    if lag > 0 {
        let detail = format!("the views are {lag} entries behind the log");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "catching_up", detail));
    }
    let seq = head.next.0.checked_sub(1);
    Ok(Json(json!({ "status": "ready", "head": { "seq": seq, "hash": head.hash.to_string() } })))
}
