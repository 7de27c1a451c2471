//! `/api/v1/events`: record and list.

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ledger::{BATCH_LEN_MAX, BATCH_SIZE_MAX, Outcome, Submission};
use schemas::canonical;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{App, Asked, Named, Problem, as_of_headers, body, gate, observe};
use crate::{
    config::EventFilter,
    filter,
    home::os_account,
    intake::{self, Submitter},
    json::set,
    principal::Principal,
    remote::Receipt,
};

/// Events on a page unless the reader asks for fewer or more.
pub(super) const PAGE_LEN: usize = 50;

/// The most events on a page.
pub(crate) const PAGE_LEN_MAX: usize = 500;

/// What was recorded.
#[derive(Debug, Serialize)]
struct Receipts {
    receipts: Vec<Receipt>,
}

/// Records one event, an array (all or none) or NDJSON.
#[utoipa::path(
    post,
    path = "/api/v1/events",
    tag = "events",
    responses(
        (status = 201, description = "Durable, and at least one is new"),
        (status = 200, description = "All were recorded before")
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
            Submitter { authtype: "loopback", authid: "loopback".to_owned(), via: "http" }
        }
        Principal::OsAccount { via } => {
            Submitter { authtype: "os_account", authid: os_account(), via }
        }
        Principal::Token { id, .. } => {
            Submitter { authtype: "token", authid: id.clone(), via: "http" }
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

/// `?rollout=&flag=&actor=&type=&since=&until=&after=&limit=&cursor=`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    rollout: Option<String>,
    flag: Option<String>,
    actor: Option<String>,
    #[serde(rename = "type")]
    type_name: Option<String>,
    since: Option<String>,
    until: Option<String>,
    after: Option<u64>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A page of entries.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    params(Wanted),
    responses((status = 200, description = "A page")),
    security(("token" = ["events:read"]))
)]
pub(super) async fn list(
    State(app): State<App>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    let limit = wanted.limit.unwrap_or(PAGE_LEN);
    if !(1..=PAGE_LEN_MAX).contains(&limit) {
        return Err(Problem::invalid(format!("limit is 1 to {PAGE_LEN_MAX}")));
    }
    let filter = EventFilter {
        rollout: wanted.rollout,
        flag: wanted.flag,
        actor: wanted.actor,
        type_name: wanted.type_name,
        since: wanted.since,
        until: wanted.until,
        ..EventFilter::default()
    };
    let bound = format!("{filter:?}");
    let after = match &wanted.cursor {
        Some(cursor) => Some(read_cursor(cursor, &bound)?),
        None => wanted.after,
    };
    let filter = filter::parse(&filter)?;
    let asked = app.facts.ask(move |facts| facts.events(&filter, after, limit)).await?;
    let (entries, more, as_of) = asked;
    let last = entries.last().filter(|_| more).and_then(|last| last.get("seq")?.as_u64());
    let next = last.map(|last| cursor(last, &bound));
    let page = json!({ "next_cursor": next, "has_more": more });
    let headers = as_of_headers(&as_of);
    Ok((headers, Json(json!({ "data": entries, "page": page, "as_of": as_of }))).into_response())
}

/// The place after which the next page begins, bound to the filter that it belongs to.
fn cursor(after: u64, bound: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{after}:{:08x}", checksum(bound)))
}

fn read_cursor(cursor: &str, bound: &str) -> Result<u64, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let after = text.as_deref().and_then(|text| {
        let (after, sum) = text.split_once(':')?;
        (u32::from_str_radix(sum, 16).ok()? == checksum(bound)).then(|| after.parse().ok())?
    });
    after.ok_or_else(|| Problem::invalid("this cursor belongs to another query; begin without one"))
}

/// Ties a cursor to its filter. Not a secret: a wrong cursor only gives a wrong page.
pub(super) fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, b| (sum ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// One entry.
#[utoipa::path(
    get,
    path = "/api/v1/events/{seq}",
    tag = "events",
    params(("seq" = u64, Path, description = "Its place in the log, from 0")),
    responses((status = 200, description = "The entry")),
    security(("token" = ["events:read"]))
)]
pub(super) async fn show(State(app): State<App>, Named(seq): Named) -> Result<Response, Problem> {
    let seq = seq.parse::<u64>().map_err(|_| Problem::invalid("a seq is a whole number"))?;
    let (mut body, as_of) = app.facts.ask(move |facts| facts.event(seq)).await?;
    set(&mut body, "as_of", json!(as_of));
    Ok((as_of_headers(&as_of), Json(body)).into_response())
}
