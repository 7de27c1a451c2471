//! `/healthz`: the process answers. `/readyz`: it can record or pass on what is to be recorded, and its
//! answers are up to date.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use super::{App, Asked, Problem};
use crate::{
    answers::AsOf,
    ingest::IngestError,
    remote::prove,
    station::{Role, SILENCE_MAX, Standing},
};

/// `?nonce=`: the server of this directory proves itself to a command that has the token too.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Challenge {
    /// At most 128 bytes.
    nonce: Option<String>,
}

/// The process answers.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Alive {
    /// `ok`.
    status: &'static str,
    /// HMAC-SHA-256 of the nonce under the token of `serve.json`, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
    #[serde(flatten)]
    standing: Shown,
}

/// What the server is among those of its ledger.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Shown {
    /// `writer`, `standby` (takes over when there is no writer) or `reader`.
    role: &'static str,
    /// Of a server on a shared log: whether it knows where to pass on what is to be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    writer_known: Option<bool>,
    /// Of a server on a shared log: records that it has not read yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_records: Option<u64>,
}

impl Shown {
    fn of(standing: &Standing) -> Shown {
        let Standing { role, shared, lag, writer, .. } = standing;
        let writer_known = shared.then_some(*role == Role::Writer || writer.is_some());
        Shown { role: role.name(), writer_known, lag_records: shared.then_some(*lag) }
    }
}

/// It records, and answers are up to date.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Ready {
    /// `ready`.
    status: &'static str,
    head: AsOf,
    #[serde(flatten)]
    standing: Shown,
}

/// Longest nonce, in bytes.
const NONCE_LEN_MAX: usize = 128;

/// The process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    params(Challenge),
    responses((status = 200, description = "It does", body = ref("#/components/schemas/Alive"))),
    security(())
)]
pub(super) async fn alive(
    State(app): State<App>,
    Asked(challenge): Asked<Challenge>,
) -> Json<Alive> {
    let nonce = challenge.nonce.filter(|nonce| nonce.len() <= NONCE_LEN_MAX);
    let proof = nonce.map(|nonce| prove(&app.token, &nonce));
    Json(Alive { status: "ok", proof, standing: Shown::of(&app.station.look()) })
}

/// It records, and the views are at the head of the log.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses((status = 200, description = "It does", body = ref("#/components/schemas/Ready"))),
    security(())
)]
pub(super) async fn ready(State(app): State<App>) -> Result<Json<Ready>, Problem> {
    let (head, read) = (*app.intake.heads().borrow(), app.facts.next());
    let lag = head.next.0.saturating_sub(read);
    let standing = app.station.look();
    if standing.role == Role::Writer && !app.intake.is_open() {
        let detail = "recording has stopped; the server's log says why";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_recording", detail));
    }
    if let Err(low) = app.intake.space().admits(0) {
        return Err(Problem::from(IngestError::from(low)));
    }
    if standing.silence > SILENCE_MAX {
        let seconds = standing.silence.as_secs();
        let detail = format!("nothing was heard of the log for {seconds} s");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "log_unreachable", detail));
    }
    if !*app.verified.borrow() {
        let detail = "the log is still being verified";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "verifying", detail));
    }
    if lag > 0 {
        let detail = format!("the views are {lag} entries behind the log");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "catching_up", detail));
    }
    let head = AsOf { seq: head.next.0.checked_sub(1), hash: head.hash.to_string() };
    Ok(Json(Ready { status: "ready", head, standing: Shown::of(&standing) }))
}
