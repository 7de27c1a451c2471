//! `/api/v1/views`: what only the process that holds the views can do, for commands on this machine.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};

use super::{App, Problem, local_command};
use crate::facts::Facts;

/// Compares the views with a rebuild; changes nothing.
pub(super) async fn diff(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    commands_only(&app, &headers)?;
    let (differences, entries) = app.facts.ask(Facts::diff).await?;
    Ok(Json(json!({ "differences": differences, "entries": entries })))
}

/// Makes the views again.
pub(super) async fn rebuild(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    commands_only(&app, &headers)?;
    let entries = app.facts.ask(Facts::rebuild).await?;
    Ok(Json(json!({ "entries": entries })))
}

fn commands_only(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    if local_command(app, headers)?.is_some() {
        return Ok(());
    }
    let detail = "only commands that can read serve.json may ask for this";
    Err(Problem::new(StatusCode::FORBIDDEN, "commands_only", detail))
}
