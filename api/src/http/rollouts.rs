//! `/api/v1/rollouts`: where each one is, what it showed, whether it followed its plan.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use projector::{
    checkpoints::snapshots, deviations as conformance, recorded, report as retrospective,
};
use schemas::RolloutId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{App, Asked, Named, Problem, as_of_headers, checkpoints::CheckpointsAnswer, moment_of};
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
    as_of: Option<String>,
    /// What had been recorded by then.
    known_at: Option<String>,
    /// `json` or `md`; for the report.
    format: Option<String>,
}

impl Moments {
    fn view(&self) -> Result<View, Problem> {
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
    responses((status = 200, description = "Every rollout")),
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
    params(("id" = String, Path, description = "A rollout's id"), Moments),
    responses((status = 200, description = "One rollout")),
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
    params(("id" = String, Path, description = "A rollout's id"), Moments),
    responses((status = 200, description = "Its stages")),
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
    params(("id" = String, Path, description = "A rollout's id"), Moments),
    responses((status = 200, description = "Its checkpoints", body = CheckpointsAnswer)),
    security(("token" = ["events:read"]))
)]
pub(super) async fn checkpoints(
    State(app): State<App>,
    Named(id): Named,
    Asked(moments): Asked<Moments>,
) -> Result<Response, Problem> {
    let lines = |look: &Look, view: &View| {
        let rollout = view.fold(&look.events);
        json!({
            "checkpoints": snapshots(&rollout, recorded::Moment(view.now_us)),
            "snapshots": rollout.outcome.snapshots,
        })
    };
    let (lines, as_of) = about(&app, id, &moments, lines).await?;
    Ok(answer(lines, as_of))
}

/// Every rule: kept, broken or undecided.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts/{id}/deviations",
    tag = "rollouts",
    params(("id" = String, Path, description = "A rollout's id"), Moments),
    responses((status = 200, description = "Every verdict")),
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
    params(("id" = String, Path, description = "A rollout's id"), Moments),
    responses((status = 200, description = "The report")),
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
    let markdown = match moments.format.as_deref() {
        None | Some("json") => false,
        Some("md") => true,
        Some(_) => return Err(Problem::invalid("format is json or md")),
    };
    let (report, as_of) = about(&app, id, &moments, report).await?;
    if !markdown {
        return Ok(answer(json!(report), as_of));
    }
    let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
    let text = retrospective::report_markdown(&report);
    Ok((as_of_headers(&as_of), kind, text).into_response())
}
