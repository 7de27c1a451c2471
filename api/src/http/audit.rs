//! `/api/v1/audit/...`: the ready questions of an audit.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use projector::audit::gaps::QUIET_DAYS;
use serde::{Deserialize, Serialize};

use super::{App, Asked, Named, Problem, as_of_headers, moment_of};
use crate::{
    answers::{Answer, AsOf, View},
    audit, clock,
    config::audit::{By, ROWS_LEN},
    facts::Facts,
};

/// `?after=&limit=`.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Only rows behind the one of this seq, in the order of the answer.
    after: Option<u64>,
    /// At most so many, 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// `?from=&until=&by=&rollout=&after=&limit=`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// Then or later.
    #[param(required = true)]
    from: Option<String>,
    /// Before then.
    #[param(required = true)]
    until: Option<String>,
    /// `recorded` goes by when events were recorded; `happened`, or nothing, by when they happened.
    #[param(pattern = "^(happened|recorded)$")]
    by: Option<String>,
    /// Only what is about this rollout.
    rollout: Option<String>,
    /// Only rows behind the one of this seq, in the order of the answer.
    after: Option<u64>,
    /// At most so many, 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// `?at=&known_at=`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Moments {
    /// What had happened by then.
    at: Option<String>,
    /// What had been recorded by then, corrections included.
    known_at: Option<String>,
}

/// `?as_of=&known_at=`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Looked {
    /// What had happened by then.
    as_of: Option<String>,
    /// What had been recorded by then, corrections included.
    known_at: Option<String>,
}

/// Nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The most days that silence is measured in: a century.
const DAYS_MAX: u32 = 36_500;

/// `?quiet_days=&silent_days=&at=&after=&limit=`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Missing {
    /// Days without an event after which a rollout counts as quiet; 14 unless given.
    #[param(maximum = 36_500)]
    quiet_days: Option<u32>,
    /// Days after which a source counts as silent; by its own rhythm unless given.
    #[param(maximum = 36_500)]
    silent_days: Option<u32>,
    /// The moment that silence is measured at: now unless given, and never before the newest entry.
    at: Option<String>,
    /// Only rollouts behind this one, by id.
    #[param(pattern = "^[a-z0-9-]{1,64}$")]
    after: Option<String>,
    /// At most so many, 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// What every answer of an audit holds, for the contract; `docs/AUDIT.md` has the rest of each.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of what the projector's answers serialise to")]
struct AuditAnswer {
    data: AuditData,
    as_of: AuditEntry,
}

#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of what the projector's answers serialise to")]
struct AuditData {
    /// The entries that the answer rests on, by seq.
    rests_on: Vec<AuditEntry>,
}

/// One entry of the ledger.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of what the projector's answers serialise to")]
struct AuditEntry {
    /// Null in `as_of` of an empty ledger.
    seq: Option<u64>,
    /// 64 hexadecimal digits.
    hash: String,
}

/// Asks on a thread that may block, and answers with the state that it was computed at.
async fn answer<T: Serialize + Send + 'static>(
    app: &App,
    question: impl FnOnce(&Facts) -> anyhow::Result<(T, AsOf)> + Send + 'static,
) -> Result<Response, Problem> {
    let (data, as_of) = app.facts.ask(question).await?;
    Ok((as_of_headers(&as_of), Json(Answer { data, as_of })).into_response())
}

/// Every change of a flag: who, when, through what, and the state behind it.
#[utoipa::path(
    get,
    path = "/api/v1/audit/who-changed/{flag}",
    tag = "audit",
    params(("flag" = String, Path, description = "A flag's key"), Page),
    responses((status = 200, description = "The changes, in the order in which they fold", body = AuditAnswer)),
    security(("token" = ["events:read"]))
)]
pub(super) async fn who_changed(
    State(app): State<App>,
    Named(flag): Named,
    Asked(page): Asked<Page>,
) -> Result<Response, Problem> {
    let wanted = audit::wanted(page.after, page.limit.unwrap_or(ROWS_LEN))?;
    answer(&app, move |facts| audit::who_changed(facts, &flag, wanted)).await
}

/// Everything in which an account acted, decided, signed off, approved or confirmed.
#[utoipa::path(
    get,
    path = "/api/v1/audit/actor/{id}",
    tag = "audit",
    params(("id" = String, Path, description = "An account id"), Page),
    responses((status = 200, description = "The events, by seq", body = AuditAnswer)),
    security(("token" = ["events:read"]))
)]
pub(super) async fn actor(
    State(app): State<App>,
    Named(id): Named,
    Asked(page): Asked<Page>,
) -> Result<Response, Problem> {
    let wanted = audit::wanted(page.after, page.limit.unwrap_or(ROWS_LEN))?;
    answer(&app, move |facts| audit::actor(facts, &id, wanted)).await
}

/// What happened, or was recorded, between two moments, of every rollout and flag.
#[utoipa::path(
    get,
    path = "/api/v1/audit/between",
    tag = "audit",
    params(Span),
    responses((status = 200, description = "The events, by seq", body = AuditAnswer)),
    security(("token" = ["events:read"]))
)]
pub(super) async fn between(
    State(app): State<App>,
    Asked(span): Asked<Span>,
) -> Result<Response, Problem> {
    let wanted = audit::wanted(span.after, span.limit.unwrap_or(ROWS_LEN))?;
    let from = moment_of("from", span.from.as_ref())?;
    let until = moment_of("until", span.until.as_ref())?;
    let (Some(from), Some(until)) = (from, until) else {
        return Err(Problem::invalid("from and until are both needed"));
    };
    let by = match span.by.as_deref() {
        None | Some("happened") => By::Happened,
        Some("recorded") => By::Recorded,
        Some(_) => return Err(Problem::invalid("by is happened or recorded")),
    };
    answer(&app, move |facts| {
        audit::between(facts, from, until, by, span.rollout.as_deref(), wanted)
    })
    .await
}

/// The gates of a flag at a moment, and which event set each.
#[utoipa::path(
    get,
    path = "/api/v1/audit/state/{flag}",
    tag = "audit",
    params(("flag" = String, Path, description = "A flag's key"), Moments),
    responses((status = 200, description = "The flag in each service and environment", body = AuditAnswer)),
    security(("token" = ["events:read"]))
)]
pub(super) async fn state(
    State(app): State<App>,
    Named(flag): Named,
    Asked(moments): Asked<Moments>,
) -> Result<Response, Problem> {
    let at = moment_of("at", moments.at.as_ref())?;
    let known_at = moment_of("known_at", moments.known_at.as_ref())?;
    answer(&app, move |facts| audit::state(facts, &flag, at, known_at)).await
}

/// Who decided at each gate, on which plan, knowing which events, with which sign-offs.
#[utoipa::path(
    get,
    path = "/api/v1/audit/approvals/{id}",
    tag = "audit",
    params(("id" = String, Path, description = "A rollout's id"), Looked),
    responses((status = 200, description = "The decisions", body = AuditAnswer)),
    security(("token" = ["events:read"]))
)]
pub(super) async fn approvals(
    State(app): State<App>,
    Named(id): Named,
    Asked(looked): Asked<Looked>,
) -> Result<Response, Problem> {
    let as_of = moment_of("as_of", looked.as_of.as_ref())?;
    let known_at = moment_of("known_at", looked.known_at.as_ref())?;
    let view = View::at(as_of, known_at, clock::now());
    answer(&app, move |facts| audit::approvals(facts, &id, &view)).await
}

/// What was corrected, withdrawn or redefined, and which decisions relied on the old value.
#[utoipa::path(
    get,
    path = "/api/v1/audit/restated/{id}",
    tag = "audit",
    params(("id" = String, Path, description = "A rollout's id")),
    responses((status = 200, description = "The changes", body = AuditAnswer)),
    security(("token" = ["events:read"]))
)]
pub(super) async fn restated(
    State(app): State<App>,
    Named(id): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Response, Problem> {
    answer(&app, move |facts| audit::restated(facts, &id)).await
}

/// What is missing: silence, results, stages, conditions, rows.
#[utoipa::path(
    get,
    path = "/api/v1/audit/gaps",
    tag = "audit",
    params(Missing),
    responses((status = 200, description = "What is missing", body = AuditAnswer)),
    security(("token" = ["events:read"]))
)]
pub(super) async fn gaps(
    State(app): State<App>,
    Asked(missing): Asked<Missing>,
) -> Result<Response, Problem> {
    if [missing.quiet_days, missing.silent_days].into_iter().flatten().any(|d| d > DAYS_MAX) {
        return Err(Problem::invalid(format!("days are at most {DAYS_MAX}")));
    }
    let at = moment_of("at", missing.at.as_ref())?;
    let asked = audit::AskedGaps {
        at_us: at,
        now_us: clock::now().as_microsecond(),
        quiet_days: missing.quiet_days.unwrap_or(QUIET_DAYS),
        silent_days: missing.silent_days,
        after: missing.after,
        limit: missing.limit.unwrap_or(ROWS_LEN),
    };
    answer(&app, move |facts| audit::gaps(facts, &asked)).await
}
