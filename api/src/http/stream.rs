//! `GET /api/v1/events/stream`: entries as they are recorded, as `text/event-stream`.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use projector::views::Filter;

use super::{App, Asked, Problem, as_of_headers, pages::Pairs};
use crate::{
    answers::AsOf,
    config::EventFilter,
    filter,
    stream::{Subscriber, TooMany, Wanted},
};

/// What a browser's `EventSource` sends when it comes again.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Keeps proxies that know it from gathering messages before they pass them on.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `?after=&headers=&names=`, beside what they are about.
#[derive(Debug, Default, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// Entries after this seq; `head` for news only.
    after: Option<String>,
    /// `all`: entries that do not fit come as their bare headers, so that the chain can be checked.
    headers: Option<String>,
    /// `none`: messages that are events have no `event` line, so that `EventSource` gives all of
    /// them to `onmessage`.
    names: Option<String>,
}

/// Entries as they are recorded, as server-sent events: what is there, then what comes.
#[utoipa::path(
    get,
    path = "/api/v1/events/stream",
    tag = "events",
    params(
        EventFilter,
        Question,
        ("Last-Event-ID" = Option<String>, Header, description = "The seq of the last message; counts before `after`")
    ),
    responses(
        (status = 200, description = "Messages, see docs/STREAM.md", content_type = "text/event-stream", body = String),
        (status = 409, description = "The log does not hold the entry that was named"),
        (status = 503, description = "Too many streams are open")
    ),
    security(("token" = ["events:read"]))
)]
pub(super) async fn follow(
    State(app): State<App>,
    headers: HeaderMap,
    Asked(pairs): Asked<Pairs>,
) -> Result<Response, Problem> {
    let mut asked = Question::default();
    let given = filter::of_query(&pairs, |name, value| {
        let one = match name {
            "after" => &mut asked.after,
            "headers" => &mut asked.headers,
            "names" => &mut asked.names,
            _ => return filter::refuse_page(name, "after").map(|()| false),
        };
        *one = Some(value.to_owned());
        Ok(true)
    })?;
    let bare = switch("headers", "all", asked.headers.as_deref())?;
    let unnamed = switch("names", "none", asked.names.as_deref())?;
    let head = app.stream.head();
    let next = place(&headers, asked.after.as_deref(), head.next.0)?;
    let filter = filter::parse(&given)?;
    let filter = (filter != Filter::default()).then(|| Box::new(filter));
    let as_of = AsOf { seq: head.next.0.checked_sub(1), hash: head.hash.to_string() };
    if next > head.next.0 {
        return Ok((as_of_headers(&as_of), ahead(&as_of)).into_response());
    }
    let subscriber = app.stream.subscribe(Wanted { filter, headers: bare, unnamed }, next)?;
    let messages = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        (ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ];
    Ok((messages, as_of_headers(&as_of), body(subscriber)).into_response())
}

/// A parameter that takes one word.
fn switch(name: &str, on: &str, given: Option<&str>) -> Result<bool, Problem> {
    if given.is_some_and(|given| given != on) {
        return Err(Problem::invalid(format!("{name} takes one value, {on}")));
    }
    Ok(given.is_some())
}

/// The place of the first entry to send. What a browser remembers is newer than what its page asked
/// for when it was loaded.
fn place(headers: &HeaderMap, after: Option<&str>, head: u64) -> Result<u64, Problem> {
    let last = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty());
    let (name, text) = match (last, after) {
        (Some(id), _) => ("Last-Event-ID", id.to_str().unwrap_or_default()),
        (None, Some("head")) => return Ok(head),
        (None, Some(after)) => ("after", after),
        (None, None) => return Ok(0),
    };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let seq = Some(text).filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
    let next = seq.and_then(|seq| seq.checked_add(1));
    next.ok_or_else(|| {
        let word = if name == "after" { ", or head for news only" } else { "" };
        Problem::invalid(format!("{name} wants the seq of an entry{word}"))
    })
}

/// Whoever has seen what the log does not hold is evidence that the log has lost it.
fn ahead(as_of: &AsOf) -> Problem {
    let newest = as_of.seq.map_or_else(|| "empty".to_owned(), |seq| format!("at entry {seq}"));
    let detail = format!(
        "the log is {newest}, and you ask for what comes after a later one: this is another ledger, \
         or one that has lost entries; compare your last hash with `verify --head SEQ:HASH` before \
         you begin anew"
    );
    Problem::new(StatusCode::CONFLICT, "ahead_of_log", detail)
}

impl From<TooMany> for Problem {
    fn from(e: TooMany) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_subscribers", e.to_string())
    }
}

fn body(subscriber: Subscriber) -> Body {
    Body::from_stream(stream::unfold(subscriber, async |mut subscriber| {
        let said = subscriber.next().await?;
        Some((Ok::<_, Infallible>(said), subscriber))
    }))
}
