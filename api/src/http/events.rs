//! `POST /api/v1/events`: record.

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use ledger::{BATCH_LEN_MAX, BATCH_SIZE_MAX, Outcome, Submission};
use schemas::canonical;
use serde::Serialize;
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::{App, Problem, body, gate, observe};
use crate::{
    home::os_account,
    intake::{self, Submitter, own::Own},
    principal::Principal,
    remote::Receipt,
};

/// What was recorded.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Receipts {
    receipts: Vec<Receipt>,
}

/// Records one event, an array (all or none) or NDJSON.
#[utoipa::path(
    post,
    path = "/api/v1/events",
    tag = "events",
    request_body(content(
        (ref("#/components/schemas/Submission") = "application/json"),
        (ref("#/components/schemas/NewEvent") = "application/cloudevents+json"),
        (ref("#/components/schemas/NewEvents") = "application/cloudevents-batch+json"),
        (String = "application/x-ndjson")
    )),
    responses(
        (
            status = 201,
            description = "Durable, and at least one is new",
            body = ref("#/components/schemas/Receipts"),
            headers(("Location" = String, description = "The first of them"))
        ),
        (
            status = 200,
            description = "All were recorded before",
            body = ref("#/components/schemas/Receipts"),
            headers(("Location" = String, description = "The first of them"))
        )
    ),
    security(("token" = ["events:append"]))
)]
pub(super) async fn record(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::whole(&headers, body).await?;
    let sender = Sender { submitter: submitter(&principal), principal };
    let receipts = match form(&headers)? {
        Form::Json => {
            let admitted = spawn_blocking(move || {
                let events = intake::read(&body)?;
                sender.admit(&events)
            });
            submit(&app, admitted.await.expect("admission does not panic")?).await?
        }
        Form::Lines => lines(&app, &body, &sender).await?,
    };
    let new = receipts.iter().any(|receipt| !receipt.duplicate);
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let place = receipts.first().map(|r| format!("/api/v1/events/{}", r.seq)).unwrap_or_default();
    Ok((status, [(header::LOCATION, place)], Json(Receipts { receipts })).into_response())
}

enum Form {
    Json,
    Lines,
}

/// A body says what it is. A form that a browser sends to anyone without asking is not taken.
fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/json"
        | "application/cloudevents+json"
        | "application/cloudevents-batch+json" => Ok(Form::Json),
        "application/x-ndjson" | "application/jsonl" => Ok(Form::Lines),
        _ => {
            let detail = "the content type must be application/json, application/cloudevents+json, \
                          application/cloudevents-batch+json or application/x-ndjson";
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
        }
    }
}

/// Who sends, and as what the intake sees them.
#[derive(Clone)]
struct Sender {
    principal: Principal,
    submitter: Submitter,
}

impl Sender {
    /// Takes events that the sender may record, all or none.
    fn admit(&self, events: &[Value]) -> Result<Submission, Problem> {
        gate::may_append(&self.principal, events)?;
        Ok(intake::admit_all(events, &self.submitter)?)
    }
}

fn submitter(principal: &Principal) -> Submitter {
    match principal {
        Principal::Loopback => {
            let (authid, own) = ("loopback".to_owned(), Own::Nobody);
            Submitter { authtype: "loopback", authid, via: "http", own }
        }
        Principal::OsAccount { own } => {
            let (authid, own) = (os_account(), *own);
            Submitter { authtype: "os_account", authid, via: own.via(), own }
        }
        Principal::Token { id, sources, .. } => {
            let (authid, own) = (id.clone(), Own::of_sources(sources));
            Submitter { authtype: "token", authid, via: "http", own }
        }
    }
}

async fn submit(app: &App, submission: Submission) -> Result<Vec<Receipt>, Problem> {
    let outcome = app.intake.record(submission).await?;
    if let Some(received) = observe::received() {
        app.metrics.appended(received.elapsed());
    }
    match outcome {
        Outcome::Recorded(receipts) => Ok(receipts.into_iter().map(Receipt::from).collect()),
        Outcome::Conflict { index, seq } => Err(Problem::conflict(index, seq)),
    }
}

/// NDJSON: in batches, each all or none; a refused line stops it and names what is recorded.
async fn lines(app: &App, body: &Bytes, sender: &Sender) -> Result<Vec<Receipt>, Problem> {
    let mut receipts = Vec::new();
    let mut batch: Vec<Value> = Vec::new();
    let (mut size, mut before) = (0, 0);
    let lines = body.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
    for line in lines {
        let room = line.len() + 512;
        if batch.len() == BATCH_LEN_MAX || (size + room > BATCH_SIZE_MAX && !batch.is_empty()) {
            before += send(app, &mut batch, sender, &mut receipts, before).await?;
            size = 0;
        }
        match canonical::parse(line) {
            Ok(event) => batch.push(event),
            Err(e) => {
                let at = before + batch.len();
                send(app, &mut batch, sender, &mut receipts, before).await?;
                return Err(Problem::invalid(format!("line {}: {e}", at + 1)).after(receipts));
            }
        }
        size += room;
    }
    send(app, &mut batch, sender, &mut receipts, before).await?;
    if receipts.is_empty() {
        return Err(Problem::invalid("the body holds no event"));
    }
    Ok(receipts)
}

/// Records one batch of lines; those before a refused one are recorded too. Returns its length.
async fn send(
    app: &App,
    batch: &mut Vec<Value>,
    sender: &Sender,
    receipts: &mut Vec<Receipt>,
    before: usize,
) -> Result<usize, Problem> {
    let events = std::mem::take(batch);
    if events.is_empty() {
        return Ok(0);
    }
    let refused = match try_send(app, &events, sender).await {
        Ok(recorded) => {
            receipts.extend(recorded);
            return Ok(events.len());
        }
        Err(problem) => problem,
    };
    let good = refused.index().and_then(|index| events.get(..index)).unwrap_or_default();
    if !good.is_empty() {
        receipts.extend(try_send(app, good, sender).await?);
    }
    Err(refused.moved_by(before).after(std::mem::take(receipts)))
}

async fn try_send(app: &App, events: &[Value], sender: &Sender) -> Result<Vec<Receipt>, Problem> {
    let (events, sender) = (events.to_vec(), sender.clone());
    let admitted = spawn_blocking(move || sender.admit(&events)).await;
    submit(app, admitted.expect("admission does not panic")?).await
}
