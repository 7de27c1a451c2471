//! A scheduler of its own: asks a server over HTTP, or a directory that no server holds.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use projector::{recorded::Moment, schedule};
use serde::Deserialize;
use serde_json::Value;

use super::{Board, Due, page};
use crate::{
    clock,
    context::Context,
    elsewhere::{Elsewhere, connections},
    exit::{Code, Failure, fail},
    history::History,
    intake::own::Own,
    remote::{Receipt, code_of},
};

/// How long a server may take to answer.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A server, by its address.
pub struct Server {
    place: Elsewhere,
    agent: ureq::Agent,
}

impl Server {
    /// The server at an address, with the token in a file.
    ///
    /// # Errors
    /// When the file cannot be read, or the address is none.
    pub fn at(url: &str, token_file: Option<&Path>) -> anyhow::Result<Server> {
        let place = Elsewhere::at(url, token_file)?;
        let config = connections().timeout_global(Some(WAIT_MAX)).build();
        Ok(Server { place, agent: config.into() })
    }
}

#[derive(Deserialize)]
struct Answered<T> {
    data: T,
}

#[derive(Deserialize)]
struct Recorded {
    receipts: Vec<Receipt>,
}

impl Board for Server {
    fn due(&self, after: Option<&str>) -> anyhow::Result<Option<Due>> {
        let mut request = self.agent.get(format!("{}/api/v1/schedule", self.place.url()));
        if let Some(after) = after {
            request = request.query("after", after);
        }
        if let Some(bearer) = self.place.bearer() {
            request = request.header("authorization", bearer);
        }
        let answer: Answered<Due> = read(request.call(), self.place.url())?;
        Ok(Some(answer.data))
    }

    fn record(&self, events: &[Value]) -> anyhow::Result<Vec<Receipt>> {
        let mut request = self.agent.post(format!("{}/api/v1/events", self.place.url()));
        if let Some(bearer) = self.place.bearer() {
            request = request.header("authorization", bearer);
        }
        let answer: Recorded = read(request.send_json(events), self.place.url())?;
        Ok(answer.receipts)
    }
}

fn read<T: serde::de::DeserializeOwned>(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    url: &str,
) -> anyhow::Result<T> {
    let unanswered = |e| fail(Code::TryAgain, format!("no answer from the server at {url}: {e}"));
    let mut response = answer.map_err(unanswered)?;
    let status = response.status().as_u16();
    let body: Value = response.body_mut().read_json().context("the server's answer is no JSON")?;
    if (200..300).contains(&status) {
        return serde_json::from_value(body).context("the server's answer is unreadable");
    }
    let detail = body.get("detail").and_then(Value::as_str).unwrap_or("the server refused it");
    let index = body.get("index").and_then(Value::as_u64).and_then(|i| usize::try_from(i).ok());
    Err(Failure { code: code_of(status, &body), index, message: detail.to_owned() }.into())
}

/// A directory: read without a lock, and written to through the server that holds it, if one does.
pub struct Directory<'a>(pub &'a Context);

impl Board for Directory<'_> {
    fn due(&self, _: Option<&str>) -> anyhow::Result<Option<Due>> {
        let now = Moment(clock::now().as_microsecond());
        Ok(Some(in_directory(&self.0.history()?, now, now)?))
    }

    fn record(&self, events: &[Value]) -> anyhow::Result<Vec<Receipt>> {
        let mut appender = self.0.appender()?;
        let receipts = appender.append(events, Own::Scheduler);
        appender.close()?;
        receipts
    }
}

/// What falls due by an instant in a directory, in one page.
///
/// # Errors
/// When the log cannot be read.
pub fn in_directory(history: &History, now: Moment, by: Moment) -> anyhow::Result<Due> {
    let ids = history.rollouts()?;
    let events = history.of_rollouts(&ids)?;
    let due = |id| {
        let events = events.get(id).map_or(&[][..], Vec::as_slice);
        schedule::of(&projector::rollout::Rollout::fold(events))
    };
    Ok(page(now, by, ids.iter().map(|id| (id.clone(), due(id))).collect()))
}
