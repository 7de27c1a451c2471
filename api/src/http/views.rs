//! `/api/v1/views`: what only the process that holds the views can do, for commands on this machine.

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde::Serialize;

use super::{App, Problem};
use crate::{facts::Facts, principal::Principal};

/// What a rebuild would change.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct ViewsDiff {
    /// In words; empty when the views are as they should be.
    differences: Vec<String>,
    /// How many entries the views have read.
    entries: u64,
}

/// The views are made again.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct ViewsRebuilt {
    /// How many entries the views have read.
    entries: u64,
}

/// Compares the views with a rebuild; changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/views/diff",
    tag = "views",
    responses((status = 200, description = "The differences", body = ref("#/components/schemas/ViewsDiff"))),
    security(("token" = ["admin"]))
)]
pub(super) async fn diff(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<ViewsDiff>, Problem> {
    commands_only(&principal)?;
    let (differences, entries) = app.facts.ask(Facts::diff).await?;
    Ok(Json(ViewsDiff { differences, entries }))
}

/// Makes the views again.
#[utoipa::path(
    post,
    path = "/api/v1/views/rebuild",
    tag = "views",
    responses((status = 200, description = "They are made", body = ref("#/components/schemas/ViewsRebuilt"))),
    security(("token" = ["admin"]))
)]
pub(super) async fn rebuild(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<ViewsRebuilt>, Problem> {
    commands_only(&principal)?;
    let entries = app.facts.ask(Facts::rebuild).await?;
    Ok(Json(ViewsRebuilt { entries }))
}

/// Work that costs a whole reading of the log is not for anyone on the machine.
fn commands_only(principal: &Principal) -> Result<(), Problem> {
    if *principal != Principal::Loopback {
        return Ok(());
    }
    let detail = "only commands that can read serve.json may ask for this";
    Err(Problem::new(StatusCode::FORBIDDEN, "commands_only", detail))
}
