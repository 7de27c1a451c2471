//! `GET /api/v1/events`: the entries that fit a question, page by page.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{App, Asked, Named, Problem, as_of_headers};
use crate::{
    answers::AsOf,
    config::{EventFilter, EventOrder},
    filter::{self, cursor},
    json::set,
};

/// Events on a page unless the reader asks for fewer or more.
pub(super) const PAGE_LEN: usize = 50;

/// The most events on a page.
pub(crate) const PAGE_LEN_MAX: usize = 500;

/// The names and values of a query string, in their order.
pub(super) type Pairs = Vec<(String, String)>;

/// One entry of the log.
#[derive(Debug, schemars::JsonSchema)]
#[expect(dead_code, reason = "the shape of what `event list` and this show alike")]
pub(super) struct EntryShown {
    seq: u64,
    /// 64 hexadecimal digits.
    hash: String,
    /// RFC 3339 in UTC.
    recorded_at: String,
    /// The event as it is stored; null when its payload is erased or unreadable.
    event: Option<serde_json::Map<String, Value>>,
    /// Its payload was erased by a redaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<bool>,
    /// The seq of that redaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted_by: Option<u64>,
    /// Its payload is gone without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<bool>,
}

/// One entry, and the state that the answer was computed at.
#[derive(Debug, schemars::JsonSchema)]
#[expect(dead_code, reason = "the shape of an answer that is made of parts")]
pub(super) struct EventAnswer {
    #[serde(flatten)]
    entry: EntryShown,
    as_of: AsOf,
}

/// A page of entries.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct EventPage {
    #[schemars(with = "Vec<EntryShown>")]
    data: Box<RawValue>,
    page: Page,
    as_of: AsOf,
}

/// Where the next page is.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Page {
    next_cursor: Option<String>,
    has_more: bool,
}

/// A page of entries.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    params(
        EventFilter,
        EventOrder,
        ("limit" = Option<u64>, Query, description = "1 to 500; 50 unless given", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "`page.next_cursor` of the page before")
    ),
    responses((status = 200, description = "A page", body = ref("#/components/schemas/EventPage"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn list(
    State(app): State<App>,
    Asked(pairs): Asked<Pairs>,
) -> Result<Response, Problem> {
    let (mut limit, mut goes_on) = (PAGE_LEN, None);
    let mut question = filter::asked(&pairs, |name, value| {
        match name {
            "limit" => limit = filter::number("limit", value)?,
            "cursor" => goes_on = Some(value.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if !(1..=PAGE_LEN_MAX).contains(&limit) {
        return Err(Problem::invalid(format!("limit is 1 to {PAGE_LEN_MAX}")));
    }
    if let Some(goes_on) = goes_on {
        if question.after.is_some() {
            return Err(Problem::invalid("cursor and after both say where to begin; give one"));
        }
        question.after = Some(cursor::read(&question, &goes_on)?);
    }
    let asked = question.clone();
    let (entries, next, as_of) = app.facts.ask(move |facts| facts.events(&asked, limit)).await?;
    let next_cursor = next.map(|last| cursor::write(&question, last));
    let page = Page { has_more: next_cursor.is_some(), next_cursor };
    let data = RawValue::from_string(entries).map_err(anyhow::Error::from)?;
    Ok((as_of_headers(&as_of), Json(EventPage { data, page, as_of })).into_response())
}

/// One entry.
#[utoipa::path(
    get,
    path = "/api/v1/events/{seq}",
    tag = "events",
    params(("seq" = u64, Path, description = "Its place in the log, from 0")),
    responses((status = 200, description = "The entry", body = ref("#/components/schemas/EventAnswer"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn show(State(app): State<App>, Named(seq): Named) -> Result<Response, Problem> {
    let seq = seq.parse::<u64>().map_err(|_| Problem::invalid("a seq is a whole number"))?;
    let (mut body, as_of) = app.facts.ask(move |facts| facts.event(seq)).await?;
    set(&mut body, "as_of", json!(as_of));
    Ok((as_of_headers(&as_of), Json(body)).into_response())
}
