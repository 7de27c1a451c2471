//! `/api/v1/schedule`: what falls due, and the events that say so.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use projector::recorded::Moment;
use serde::Deserialize;

use super::{App, Asked, Problem, as_of_headers, contract::moment_schema, moment_of};
use crate::{answers::Answer, clock};

/// `?until=&after=`.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// What falls due by then; by the present unless given.
    #[param(schema_with = moment_schema)]
    until: Option<String>,
    /// Where a page says that the next one begins.
    after: Option<String>,
}

/// What falls due and is not recorded, with the events that say so.
#[utoipa::path(
    get,
    path = "/api/v1/schedule",
    tag = "schedule",
    params(Wanted),
    responses((status = 200, description = "What falls due", body = ref("#/components/schemas/ScheduleAnswer"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn list(
    State(app): State<App>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    let now = Moment(clock::now().as_microsecond());
    let by = moment_of("until", wanted.until.as_ref())?.map_or(now, Moment);
    let asked = app.facts.ask(move |facts| facts.due(now, by, wanted.after.as_deref()));
    let (data, as_of) = asked.await?;
    Ok((as_of_headers(&as_of), Json(Answer { data, as_of })).into_response())
}
