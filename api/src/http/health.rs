//! `/healthz`: the process answers. `/readyz`: it can record, and its answers are up to date.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use super::{App, Problem};

pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

pub(super) async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let (head, read) = (*app.intake.heads().borrow(), app.facts.next());
    let lag = head.next.0.saturating_sub(read);
    if !app.intake.is_open() {
        let detail = "recording has stopped; the server's log says why";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_recording", detail));
    }
    if lag > 0 {
        let detail = format!("the views are {lag} entries behind the log");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "catching_up", detail));
    }
    let seq = head.next.0.checked_sub(1);
    Ok(Json(json!({ "status": "ready", "head": { "seq": seq, "hash": head.hash.to_string() } })))
}
