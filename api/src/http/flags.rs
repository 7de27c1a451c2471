//! `/api/v1/flags/{key}/history`: the state of a flag and the events that set it.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{App, Asked, Named, Problem, as_of_headers, contract::moment_schema, moment_of};
use crate::{answers::Answer, flags};

/// `?at=&environment=&source=`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The state then, instead of now.
    #[param(schema_with = moment_schema)]
    at: Option<String>,
    environment: Option<String>,
    /// One flag service's source.
    source: Option<String>,
}

/// The state of a flag and the events that set it.
#[utoipa::path(
    get,
    path = "/api/v1/flags/{key}/history",
    tag = "flags",
    params(("key" = String, Path, description = "A flag's key", min_length = 1, max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"), Wanted),
    responses((status = 200, description = "The flag", body = ref("#/components/schemas/FlagAnswer"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn history(
    State(app): State<App>,
    Named(key): Named,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    let at = moment_of("at", wanted.at.as_ref())?;
    let found = app.facts.ask(move |facts| {
        let (changes, as_of) = facts.flag(&key)?;
        let (source, environment) = (wanted.source.as_deref(), wanted.environment.as_deref());
        let shown = flags::show(&key, &changes, source, environment, at);
        Ok((shown, as_of))
    });
    let (shown, as_of) = found.await?;
    let data = shown.map_err(|e| Problem::invalid(e.to_string()))?;
    Ok((as_of_headers(&as_of), Json(Answer { data, as_of })).into_response())
}
