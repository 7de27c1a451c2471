//! `/api/v1/rollouts/{id}/current` and `/timeline`: the two questions that are asked most, answered
//! from what is kept of the last time.

use axum::{
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use projector::{
    recorded::Moment,
    rollout::{Current, NextStep, Rollout},
    timeline::{self as line, Row},
};
use schemas::RolloutId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    App, Asked, Named, Problem, as_of_headers, moment_of,
    pages::{PAGE_LEN, PAGE_LEN_MAX},
};
use crate::{
    answers::{self, AsOf, CheckpointLine, View},
    clock,
    filter::cursor::checksum,
    kept::Part,
};

const JSON: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

/// Where a rollout is, and nothing that grows with its history.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Standing<'a> {
    id: &'a RolloutId,
    current: Current,
    checkpoints: &'a [CheckpointLine],
    next: NextStep,
}

/// Where it is: stage, exposure, what is due and what is missing next.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts/{id}/current",
    tag = "rollouts",
    params(("id" = String, Path, description = "A rollout's id")),
    responses((status = 200, description = "Where it is", body = ref("#/components/schemas/StandingAnswer"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn current(State(app): State<App>, Named(id): Named) -> Result<Response, Problem> {
    let id = rollout_id(&id)?;
    let view = View::at(None, None, clock::now());
    let (text, as_of) = app
        .facts
        .ask(move |facts| facts.current(&id, view.now_us, |rollout| standing(&id, rollout, &view)))
        .await?;
    Ok(whole(&text, &as_of))
}

/// The members of the answer, and until when they hold if nothing happens.
fn standing(id: &RolloutId, rollout: &Rollout, view: &View) -> (String, i64) {
    let checkpoints = answers::checkpoints(rollout, view);
    // The present enters by what is due alone.
    let moments = checkpoints.iter().flat_map(|c| [c.due, c.grace_ends]).flatten();
    let until_us = moments.map(|at| at.0).filter(|at| *at > view.now_us).min();
    let next = rollout.next_missing(Moment(view.now_us));
    let standing = Standing { id, current: rollout.current(), checkpoints: &checkpoints, next };
    (format!("\"data\":{}", json!(standing)), until_us.unwrap_or(i64::MAX))
}

/// `?as_of=&known_at=&limit=&cursor=`.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// What had happened by then.
    as_of: Option<String>,
    /// What had been recorded by then.
    known_at: Option<String>,
    /// At most so many rows, 1 to 500; all of them if there is no cursor either.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `page.next_cursor` of the page before.
    cursor: Option<String>,
}

/// Everything that happened, in order; page by page if a limit is given.
#[utoipa::path(
    get,
    path = "/api/v1/rollouts/{id}/timeline",
    tag = "rollouts",
    params(("id" = String, Path, description = "A rollout's id"), Wanted),
    responses((status = 200, description = "Its timeline", body = ref("#/components/schemas/TimelineAnswer"))),
    security(("token" = ["events:read"]))
)]
pub(super) async fn timeline(
    State(app): State<App>,
    Named(id): Named,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    let id = rollout_id(&id)?;
    let limit = match (wanted.limit, &wanted.cursor) {
        (Some(limit), _) if !(1..=PAGE_LEN_MAX).contains(&limit) => {
            return Err(Problem::invalid(format!("limit is 1 to {PAGE_LEN_MAX}")));
        }
        (Some(limit), _) => limit,
        (None, Some(_)) => PAGE_LEN,
        // Without either it is the whole.
        (None, None) => usize::MAX,
    };
    let as_of_us = moment_of("as_of", wanted.as_of.as_ref())?;
    let known_at_us = moment_of("known_at", wanted.known_at.as_ref())?;
    let bound = format!("{id}/{as_of_us:?}/{known_at_us:?}");
    let after = wanted.cursor.as_deref().map(|cursor| read_cursor(cursor, &bound)).transpose()?;
    let now = as_of_us.is_none() && known_at_us.is_none();
    let part = Part::Timeline { after, limit };
    let (text, as_of) = app
        .facts
        .ask(move |facts| {
            let page = |rows: &[Row]| page(rows, after, limit, &bound);
            if now {
                return facts.timeline(&id, part, page);
            }
            let look = facts.rollout(&id)?;
            let rows = line::timeline(&look.events, as_of_us, known_at_us);
            Ok((page(&rows).into(), look.as_of))
        })
        .await?;
    Ok(whole(&text, &as_of))
}

/// The members of the answer: rows in the order of what happened, and where the next page begins.
fn page(rows: &[Row], after: Option<(i64, u64)>, limit: usize, bound: &str) -> String {
    let first = after.map_or(0, |after| rows.partition_point(|row| row.place() <= after));
    let rest = rows.get(first..).unwrap_or_default();
    let (shown, more) = rest.split_at(limit.min(rest.len()));
    let last = shown.last().filter(|_| !more.is_empty());
    let next = last.map(|row| cursor(row.place(), bound));
    let page = json!({ "next_cursor": next, "has_more": !more.is_empty() });
    let rows = serde_json::to_string(shown).expect("rows are JSON");
    format!("\"data\":{rows},\"page\":{page}")
}

/// The place after which the next page begins, bound to the question that it belongs to.
fn cursor((us, seq): (i64, u64), bound: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{us}:{seq}:{:016x}", checksum(bound)))
}

fn read_cursor(cursor: &str, bound: &str) -> Result<(i64, u64), Problem> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = text.as_deref().and_then(|text| {
        let mut parts = text.split(':');
        let place = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let sum = u64::from_str_radix(parts.next()?, 16).ok()?;
        (sum == checksum(bound) && parts.next().is_none()).then_some(place)
    });
    place.ok_or_else(|| Problem::invalid("this cursor belongs to another query; begin without one"))
}

fn rollout_id(id: &str) -> Result<RolloutId, Problem> {
    id.parse().map_err(|e| Problem::invalid(format!("a rollout's id {e}")))
}

/// The members of an answer, and the state that it was computed at.
fn whole(members: &str, as_of: &AsOf) -> Response {
    let body = format!("{{{members},\"as_of\":{}}}", json!(as_of));
    (as_of_headers(as_of), JSON, body).into_response()
}
