//! What only the writer does: a server that is not the writer passes it on to the one that is.
//!
//! The server that is asked says who asked, and signs that. The client's own credentials stay where
//! they were shown. A request that was passed on is answered or refused where it arrives.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{App, Problem, body, observe};
use crate::{
    clock::wall_us,
    forward::{
        Asked, AskedBy, CLAIM_HEADER, Disbelieved, SIGNATURE_HEADER, Signed,
        heard::{Heard, Known},
        send::{Forwarder, NoAnswer, Passed},
    },
    ingest::IngestError,
    principal::Principal,
};

/// What a server among others passes requests on with.
#[derive(Clone)]
pub struct Passage {
    pub forwarder: Forwarder,
    pub heard: Arc<Heard>,
    /// Where others reach this server: nothing is passed on to there.
    pub own_url: Arc<str>,
}

impl Passage {
    pub fn new(forwarder: Forwarder, own_url: &str) -> Passage {
        Passage { forwarder, heard: Arc::new(Heard::new(Instant::now())), own_url: own_url.into() }
    }
}

/// Whether the writer alone does this: it records, or it is about webhooks, which the writer sends.
fn is_the_writers(method: &Method, path: &str) -> bool {
    let webhooks = path.strip_prefix("/api/v1/webhooks");
    webhooks.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || (*method == Method::POST && path == "/api/v1/events")
}

/// Believes whom another server of this ledger answers for, before anybody is asked for a token.
pub(super) async fn hear(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(passage) = &app.passage else { return next.run(request).await };
    let headers = request.headers();
    if !headers.contains_key(CLAIM_HEADER) && !headers.contains_key(SIGNATURE_HEADER) {
        return next.run(request).await;
    }
    match heard(&app, passage, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn heard(app: &App, passage: &Passage, request: Request) -> Result<Request, Problem> {
    if !is_the_writers(request.method(), request.uri().path()) {
        return Err(disbelieved("only what the writer alone does is passed on"));
    }
    let (mut parts, body) = request.into_parts();
    let signed = Signed {
        claim: only(&parts.headers, CLAIM_HEADER),
        signature: only(&parts.headers, SIGNATURE_HEADER),
    };
    if signed.claim.is_empty() || signed.signature.is_empty() {
        return Err(disbelieved(&Disbelieved::Signature.to_string()));
    }
    // A request of ours names it once, and which of two was signed nobody could tell.
    if parts.headers.get_all(header::CONTENT_TYPE).iter().nth(1).is_some() {
        return Err(disbelieved(&Disbelieved::Signature.to_string()));
    }
    let body = body::whole(&parts.headers, body).await?;
    let asked = Asked {
        method: parts.method.as_str(),
        path: parts.uri.path_and_query().map_or("", |path| path.as_str()),
        content_type: &only(&parts.headers, header::CONTENT_TYPE.as_str()),
        body: &body,
    };
    let here = app.station.writer().map(|writer| writer.host_id).unwrap_or_default();
    let by = passage.forwarder.key().check(asked, &signed, &here, wall_us());
    let by = by.map_err(|e| match e {
        // Whoever passed it on finds the new one in a moment.
        Disbelieved::Addressee => IngestError::NoWriter.into(),
        e => disbelieved(&e.to_string()),
    })?;
    match passage.heard.hear(&signed.signature, Instant::now()) {
        Known::New => {}
        Known::Again => return Err(disbelieved("the request was heard before")),
        Known::Full => return Err(IngestError::Busy.into()),
    }
    // It never goes in circles: whoever has it either records it or does not.
    if !app.station.records() {
        return Err(IngestError::NoWriter.into());
    }
    parts.headers.remove(CLAIM_HEADER);
    parts.headers.remove(SIGNATURE_HEADER);
    parts.extensions.insert(by);
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Passes on what is the writer's, once it is known who asks and that they may.
pub(super) async fn pass_on(State(app): State<App>, request: Request, next: Next) -> Response {
    let ours = app.station.records() || !is_the_writers(request.method(), request.uri().path());
    match &app.passage {
        Some(passage) if !ours => match passed(&app, passage, request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        },
        _ => next.run(request).await,
    }
}

async fn passed(app: &App, passage: &Passage, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    // It was the writer a moment ago, when this was passed on to it.
    if parts.extensions.get::<AskedBy>().is_some() {
        return Err(IngestError::NoWriter.into());
    }
    let principal = parts.extensions.get::<Principal>().cloned();
    let principal = principal.ok_or_else(|| Problem::from(IngestError::NoWriter))?;
    let body = body::whole(&parts.headers, body).await?;
    let writer = app.station.writer().filter(|writer| *writer.url != *passage.own_url);
    let writer = writer.ok_or_else(|| Problem::from(IngestError::NoWriter))?;
    let passed = Passed {
        method: parts.method,
        path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        content_type: only(&parts.headers, header::CONTENT_TYPE.as_str()),
        body,
        request_id: observe::request_id(),
    };
    match passage.forwarder.pass(&writer, passed, &principal).await {
        Ok(answer) => Ok((answer.status, answer.headers, answer.body).into_response()),
        Err(NoAnswer::Busy) => Err(IngestError::Busy.into()),
        Err(NoAnswer::Unreachable) => Err(IngestError::NoWriter.into()),
        Err(NoAnswer::Silent) => Err(IngestError::InDoubt.into()),
    }
}

/// A header that stands once and is text; else nothing.
fn only(headers: &HeaderMap, name: &str) -> String {
    let mut given = headers.get_all(name).iter();
    let (first, more) = (given.next(), given.next());
    let text = first.filter(|_| more.is_none()).and_then(|value| value.to_str().ok());
    text.unwrap_or_default().to_owned()
}

fn disbelieved(why: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "disbelieved", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_records_and_webhooks_are_the_writers() {
        let rows = [
            (Method::POST, "/api/v1/events", true),
            (Method::GET, "/api/v1/events", false),
            (Method::GET, "/api/v1/webhooks", true),
            (Method::DELETE, "/api/v1/webhooks/wh-1", true),
            (Method::POST, "/api/v1/webhooks/wh-1/replay", true),
            (Method::GET, "/api/v1/webhooksx", false),
            (Method::GET, "/api/v1/rollouts", false),
            (Method::POST, "/api/v1/views/rebuild", false),
        ];
        for (method, path, expected) in rows {
            assert_eq!(is_the_writers(&method, path), expected, "{method} {path}");
        }
    }
}
