//! `/api/v1/rollouts`: where each one is, what it showed, whether it followed its plan.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use projector::{
    checkpoints::{Snapshot, snapshots},
    deviations as conformance, recorded, report as retrospective,
    rollout::Fact,
};
use schemas::{RolloutId, event::outcome::CheckpointRecorded};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    App, Asked, Named, Problem, as_of_headers,
    contract::{format_schema, moment_schema},
    moment_of,
};
use crate::{
    answers::{self, Answer, AsOf, View},
    clock,
    facts::{Facts, Look},
};

/// `?as_of=&known_at=`, and `format=md` for the report.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Moments {
    /// What had happened by then.
    #[param(schema_with = moment_schema)]
    as_of: Option<String>,
    /// What had been recorded by then.
    #[param(schema_with = moment_schema)]
    known_at: Option<String>,
    /// `json` or `md`; for the report.
    #[param(schema_with = format_schema)]
    format: Option<String>,
}

/// A rollout's checkpoints and what its snapshots showed.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct CheckpointsAndSnapshots {
    checkpoints: Vec<Snapshot>,
    snapshots: Vec<Fact<CheckpointRecorded>>,
}

impl Moments {
    fn view(&self) -> Result<View, Problem> {
        if self.format.as_deref().is_some_and(|format| !["json", "md"].contains(&format)) {
            return Err(Problem::invalid("format is json or md"));
        }
        let as_of_us = moment_of("as_of", self.as_of.as_ref())?;
        let known_at_us = moment_of("known_at", self.known_at.as_ref())?;
        Ok(View::at(as_of_us, known_at_us, clock::now()))
    }
}

fn answer<T: Serialize>(data: T, as_of: AsOf) -> Response {
    (as_of_headers(&as_of), Json(Answer { data, as_of })).into_response()
}

/// Answers from one rollout's events, on a thread that may block.
async fn about<T: Send + 'static>(
    app: &App,
    id: String,
    moments: &Moments,
    answer: impl FnOnce(&Look, &View) -> T + Send + 'static,
) -> Result<(T, AsOf), Problem> {
    let id: RolloutId = id.parse().map_err(|e| Problem::invalid(format!("a rollout's id {e}")))?;
    let view = moments.view()?;
    Ok(app
        .facts
        .ask(move |facts| {
            let look = facts.rollout(&id)?;
            Ok((answer(&look, &view), look.as_of))
        })
        .await?)
}

/// Every rollout and where it is.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts",
    tag = "rollouts",
    responses((status = 200, description = "Every rollout", body = ref("#/components/schemas/RolloutList"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let (rollouts, as_of) = app.facts.ask(Facts::rollouts).await?;
    Ok(answer(rollouts, as_of))
}

/// All that is known of one, and what is missing next.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts/{id}",
    tag = "rollouts",
    params(("id" = String, Path, description = "A rollout's id", pattern = "^[a-z0-9-]{1,64}$"), Moments),
    responses((status = 200, description = "One rollout", body = ref("#/components/schemas/RolloutAnswer"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn show(
    State(app): State<App>,
    Named(id): Named,
    Asked(moments): Asked<Moments>,
) -> Result<Response, Problem> {
    let page =
        |look: &Look, view: &View| json!(answers::page(&look.id, view.fold(&look.events), view));
    let (page, as_of) = about(&app, id, &moments, page).await?;
    Ok(answer(page, as_of))
}

/// Each stage: plan, attempts, results.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts/{id}/stages",
    tag = "rollouts",
    params(("id" = String, Path, description = "A rollout's id", pattern = "^[a-z0-9-]{1,64}$"), Moments),
    responses((status = 200, description = "Its stages", body = ref("#/components/schemas/StagesAnswer"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn stages(
    State(app): State<App>,
    Named(id): Named,
    Asked(moments): Asked<Moments>,
) -> Result<Response, Problem> {
    let stages = |look: &Look, view: &View| json!(view.fold(&look.events).stages);
    let (stages, as_of) = about(&app, id, &moments, stages).await?;
    Ok(answer(stages, as_of))
}

/// Snapshots due, recorded, missed, and what they showed.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts/{id}/checkpoints",
    tag = "rollouts",
    params(("id" = String, Path, description = "A rollout's id", pattern = "^[a-z0-9-]{1,64}$"), Moments),
    responses((status = 200, description = "Its checkpoints", body = ref("#/components/schemas/CheckpointsAnswer"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn checkpoints(
    State(app): State<App>,
    Named(id): Named,
    Asked(moments): Asked<Moments>,
) -> Result<Response, Problem> {
    let lines = |look: &Look, view: &View| {
        let rollout = view.fold(&look.events);
        let checkpoints = snapshots(&rollout, recorded::Moment(view.now_us));
        CheckpointsAndSnapshots { checkpoints, snapshots: rollout.outcome.snapshots }
    };
    let (lines, as_of) = about(&app, id, &moments, lines).await?;
    Ok(answer(lines, as_of))
}

/// Every rule: kept, broken or undecided.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts/{id}/deviations",
    tag = "rollouts",
    params(("id" = String, Path, description = "A rollout's id", pattern = "^[a-z0-9-]{1,64}$"), Moments),
    responses((status = 200, description = "Every verdict", body = ref("#/components/schemas/DeviationsAnswer"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn deviations(
    State(app): State<App>,
    Named(id): Named,
    Asked(moments): Asked<Moments>,
) -> Result<Response, Problem> {
    let verdicts = |look: &Look, view: &View| {
        let now = recorded::Moment(view.now_us);
        json!(conformance::Deviations::of(&view.fold(&look.events), now))
    };
    let (verdicts, as_of) = about(&app, id, &moments, verdicts).await?;
    Ok(answer(verdicts, as_of))
}

/// The retrospective.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts/{id}/report",
    tag = "rollouts",
    params(("id" = String, Path, description = "A rollout's id", pattern = "^[a-z0-9-]{1,64}$"), Moments),
    responses((status = 200, description = "The report", content(
        (ref("#/components/schemas/ReportAnswer") = "application/json"),
        (String = "text/markdown; charset=utf-8")
    ))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn report(
    State(app): State<App>,
    Named(id): Named,
    Asked(moments): Asked<Moments>,
) -> Result<Response, Problem> {
    let report = |look: &Look, view: &View| {
        let now = recorded::Moment(view.now_us);
        retrospective::Report::of(&view.fold(&look.events), now)
    };
    let markdown = moments.format.as_deref() == Some("md");
    let (report, as_of) = about(&app, id, &moments, report).await?;
    if !markdown {
        return Ok(answer(json!(report), as_of));
    }
    let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
    let text = retrospective::report_markdown(&report);
    Ok((as_of_headers(&as_of), kind, text).into_response())
}
