//! Passes a request on to the writer: signed, without the client's credentials, once, and only to
//! the address that the writer has told. No redirects, no proxies.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
};
use futures_util::StreamExt as _;
use reqwest::redirect;
use tokio::sync::Semaphore;

use super::{Asked, CLAIM_HEADER, ForwardKey, SIGNATURE_HEADER};
use crate::{clock::wall_us, json::text, principal::Principal, station::WriterAt};

/// How long a connection to the writer may take to come about.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long the writer may take to answer in all: one commit on a cluster that elects a leader, and
/// less than the minute in which a request of ours must be answered and a claim is believed.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// Requests that wait for the writer at once. Each holds its body.
pub const UNDER_WAY_MAX: usize = 256;

/// Bytes of an answer: the receipts of the largest body of the smallest events.
pub const ANSWER_SIZE_MAX: usize = 16 * 1024 * 1024;

/// How long a connection is kept for the next request.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// What of an answer is the client's.
const PASSED_BACK: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::LOCATION,
    header::RETRY_AFTER,
    header::CACHE_CONTROL,
    HeaderName::from_static("ledger-as-of"),
];

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Passed {
    pub method: Method,
    /// With its query, as it stands in the request line.
    pub path: String,
    pub content_type: String,
    pub body: Bytes,
    /// As the logs of both servers name it.
    pub request_id: Option<String>,
}

/// What the writer answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Nothing was sent.
    #[error("too many requests wait for the writer")]
    Busy,
    /// Nothing was sent.
    #[error("the writer cannot be reached")]
    Unreachable,
    /// It may have been recorded.
    #[error("the writer did not answer")]
    Silent,
}

/// Passes requests on to writers.
#[derive(Clone)]
pub struct Forwarder {
    key: ForwardKey,
    http: reqwest::Client,
    room: Arc<Semaphore>,
}

impl Forwarder {
    /// # Errors
    /// When this machine has no certificates to know others by.
    pub fn new(key: ForwardKey) -> anyhow::Result<Forwarder> {
        // The second one in a process finds it installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("rollout-ledger/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT_WAIT_MAX)
            .timeout(ANSWER_WAIT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .build()?;
        Ok(Forwarder { key, http, room: Arc::new(Semaphore::new(UNDER_WAY_MAX)) })
    }

    pub fn key(&self) -> &ForwardKey {
        &self.key
    }

    /// Whether whoever answers at `url` says that it is the writer.
    pub async fn finds_writer(&self, url: &str) -> bool {
        let url = format!("{}/healthz", url.trim_end_matches('/'));
        let asked = self.http.get(url).timeout(CONNECT_WAIT_MAX).send().await;
        let Ok(answer) = asked else { return false };
        let said = whole(answer).await.and_then(|body| serde_json::from_slice(&body).ok());
        said.is_some_and(|said: serde_json::Value| text(&said, "/role") == Some("writer"))
    }

    /// Sends a request to the writer, as `principal`'s.
    ///
    /// # Errors
    /// When there is no answer; whether it may have been recorded, the error says.
    pub async fn pass(
        &self,
        writer: &WriterAt,
        passed: Passed,
        principal: &Principal,
    ) -> Result<Answer, NoAnswer> {
        let _permit = self.room.try_acquire().map_err(|_| NoAnswer::Busy)?;
        let asked = Asked {
            method: passed.method.as_str(),
            path: &passed.path,
            content_type: &passed.content_type,
            body: &passed.body,
        };
        let signed = self.key.sign(asked, principal, &writer.host_id, wall_us());
        let mut request = self
            .http
            .request(passed.method, format!("{}{}", writer.url.trim_end_matches('/'), passed.path))
            .header(CLAIM_HEADER, signed.claim)
            .header(SIGNATURE_HEADER, signed.signature)
            .body(passed.body);
        if !passed.content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, passed.content_type);
        }
        if let Some(id) = passed.request_id {
            request = request.header("x-request-id", id);
        }
        let response = request.send().await.map_err(|e| no_answer(&e))?;
        let status = response.status();
        let known = PASSED_BACK.into_iter().filter_map(|name| {
            let value = response.headers().get(&name)?.clone();
            Some((name, value))
        });
        let headers = known.collect();
        let body = whole(response).await.ok_or(NoAnswer::Silent)?;
        Ok(Answer { status, headers, body })
    }
}

/// The body, if it comes to its end and is not too large.
async fn whole(response: reqwest::Response) -> Option<Bytes> {
    let (mut parts, mut body) = (response.bytes_stream(), Vec::new());
    while let Some(part) = parts.next().await {
        let part = part.ok()?;
        if body.len() + part.len() > ANSWER_SIZE_MAX {
            return None;
        }
        body.extend_from_slice(&part);
    }
    Some(body.into())
}

fn no_answer(e: &reqwest::Error) -> NoAnswer {
    let cause = e.source().map(ToString::to_string);
    tracing::warn!(cause, "a request could not be passed on to the writer");
    // A request that cannot be built was not sent either.
    if e.is_connect() || e.is_builder() { NoAnswer::Unreachable } else { NoAnswer::Silent }
}
