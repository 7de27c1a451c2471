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
    forward::AskedBy,
    home::os_account,
    intake::{self, Submitter, own::Own},
    principal::Principal,
    remote::Receipt,
};

/// The largest request that is read where it arrives: 4 KiB take some tens of microseconds, about
/// what handing them to another thread and back would.
const IN_PLACE_SIZE_MAX: usize = 4 * 1024;

/// The most bytes that the intake adds to an event.
const WITNESS_SIZE_MAX: usize = 512;

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
    asked: Option<Extension<AskedBy>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::whole(&headers, body).await?;
    let mut submitter = submitter(&principal);
    // A local account is one of the machine that was asked.
    if let Some(Extension(asked)) = asked {
        submitter.authid = asked.authid;
    }
    let sender = Sender { principal, submitter };
    let receipts = match form(&headers)? {
        Form::Json => {
            let size = body.len();
            let admit = move || sender.admit(&intake::read(&body)?);
            submit(&app, beside(size, admit).await?).await?
        }
        Form::Lines => lines(&app, body, &sender).await?,
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

/// Reads what was sent on a thread of its own, unless that costs more than the reading.
async fn beside<T: Send + 'static>(size: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if size <= IN_PLACE_SIZE_MAX {
        return work();
    }
    spawn_blocking(work).await.expect("admission does not panic")
}

/// NDJSON: in batches, each all or none; a refused line stops it and names what is recorded.
async fn lines(app: &App, body: Bytes, sender: &Sender) -> Result<Vec<Receipt>, Problem> {
    let mut receipts = Vec::new();
    let (mut rest, mut before) = (body, 0);
    loop {
        let (text, admitting) = (rest, sender.clone());
        let (batch, admitted) = beside(text.len(), move || {
            let batch = Batch::read(text);
            let admitted = (!batch.events.is_empty()).then(|| admitting.admit(&batch.events));
            (batch, admitted)
        })
        .await;
        if let Some(admitted) = admitted {
            let recorded = match admitted {
                Ok(submission) => submit(app, submission).await,
                Err(refused) => Err(refused),
            };
            match recorded {
                Ok(recorded) => receipts.extend(recorded),
                Err(refused) => {
                    receipts.extend(good(app, sender, batch.events, refused.index()).await?);
                    return Err(refused.moved_by(before).after(receipts));
                }
            }
        }
        before += batch.len;
        if let Some(e) = batch.unreadable {
            return Err(Problem::invalid(format!("line {}: {e}", before + 1)).after(receipts));
        }
        if batch.rest.is_empty() {
            break;
        }
        rest = batch.rest;
    }
    if receipts.is_empty() {
        return Err(Problem::invalid("the body holds no event"));
    }
    Ok(receipts)
}

/// Records the events of a batch that stand before a refused one.
async fn good(
    app: &App,
    sender: &Sender,
    mut events: Vec<Value>,
    refused: Option<usize>,
) -> Result<Vec<Receipt>, Problem> {
    events.truncate(refused.unwrap_or(0));
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let admitting = sender.clone();
    let admitted = spawn_blocking(move || admitting.admit(&events)).await;
    submit(app, admitted.expect("admission does not panic")?).await
}

/// As many lines as one submission can hold.
struct Batch {
    events: Vec<Value>,
    len: usize,
    /// Why the line after them cannot be read.
    unreadable: Option<String>,
    /// What comes after them.
    rest: Bytes,
}

impl Batch {
    fn read(text: Bytes) -> Batch {
        let (mut events, mut size, mut at) = (Vec::new(), 0, 0);
        let mut unreadable = None;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let event = line.trim_ascii();
            if !event.is_empty() {
                // The intake adds to each line.
                size += event.len() + WITNESS_SIZE_MAX;
                let full = events.len() == BATCH_LEN_MAX || size > BATCH_SIZE_MAX;
                if full && !events.is_empty() {
                    break;
                }
                match canonical::parse(event) {
                    Ok(event) => events.push(event),
                    Err(e) => {
                        unreadable = Some(e.to_string());
                        break;
                    }
                }
            }
            at += line.len();
        }
        Batch { len: events.len(), events, unreadable, rest: text.slice(at..) }
    }
}
