//! `GET /api/v1/events/export`: every entry that fits a question, and a line that says so.
//!
//! The body is made as fast as the reader takes it: between two pieces nothing is held but the
//! place. When reading fails midway the connection is closed without the last line.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::task::spawn_blocking;

use super::{App, Asked, Problem, as_of_headers, pages::Pairs};
use crate::{
    config::{EventFilter, EventOrder, ExportFormat},
    exit::{Code, fail},
    export::Export,
    facts::Facts,
    filter::{self, Question},
};

/// What is left to be sent.
struct Rest {
    facts: Arc<Facts>,
    export: Export,
    question: Question,
    /// The newest entry that may be in it.
    head: u64,
    /// Nothing is sent yet.
    fresh: bool,
    /// The last line is sent.
    ended: bool,
}

/// Every entry that fits, one a line, and a last line that says whether that is all.
#[utoipa::path(
    get,
    path = "/api/v1/events/export",
    tag = "events",
    params(
        EventFilter,
        EventOrder,
        ("format" = Option<String>, Query, description = "`jsonl`, unless `csv`")
    ),
    responses((
        status = 200,
        description = "Complete if its last line is the trailer",
        content(
            (String = "application/x-ndjson"),
            (String = "text/csv; charset=utf-8; header=present")
        )
    )),
    security(("token" = ["events:read"]))
)]
pub(super) async fn export(
    State(app): State<App>,
    Asked(pairs): Asked<Pairs>,
) -> Result<Response, Problem> {
    let mut format = ExportFormat::default();
    let question = filter::asked(&pairs, |name, value| {
        match (name, value) {
            ("format", "jsonl") => format = ExportFormat::Jsonl,
            ("format", "csv") => format = ExportFormat::Csv,
            ("format", _) => return Err(fail(Code::Usage, "format is jsonl or csv")),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let as_of = app.facts.ask(|facts| Ok(facts.as_of())).await?;
    let Some(head) = as_of.seq else {
        let detail = "the ledger is not open yet; ask again";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail));
    };
    let export = Export::new(format, &question, as_of.clone());
    let facts = app.facts.clone();
    let rest = Rest { facts, export, question, head, fresh: true, ended: false };
    let (kind, name) = match format {
        ExportFormat::Jsonl => ("application/x-ndjson", "events.jsonl"),
        ExportFormat::Csv => ("text/csv; charset=utf-8; header=present", "events.csv"),
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    let body = Body::from_stream(stream::try_unfold(rest, next));
    Ok((as_of_headers(&as_of), headers, body).into_response())
}

/// The next piece of the body.
async fn next(rest: Rest) -> anyhow::Result<Option<(Bytes, Rest)>> {
    if rest.ended {
        return Ok(None);
    }
    let piece = spawn_blocking(move || piece(rest)).await;
    let (bytes, rest) = piece.map_err(anyhow::Error::from).flatten().inspect_err(|e| {
        tracing::error!(error = format!("{e:#}"), "an export is cut off");
    })?;
    Ok(Some((bytes, rest)))
}

fn piece(mut rest: Rest) -> anyhow::Result<(Bytes, Rest)> {
    let mut out = Vec::new();
    if std::mem::take(&mut rest.fresh) {
        rest.export.begin(&mut out);
    }
    let exported = rest.facts.exported(&rest.question, rest.head)?;
    for entry in &exported.entries {
        rest.export.push(entry, &exported.allowed, &mut out);
    }
    if let Some(after) = exported.next {
        rest.question.after = Some(after);
    } else {
        rest.export.end(&mut out);
        rest.ended = true;
    }
    Ok((out.into(), rest))
}
