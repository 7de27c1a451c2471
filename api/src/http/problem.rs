//! What a client is told when something is not as it wanted: RFC 9457 problem documents, for every
//! answer that is no success. A submitted value is never repeated.

use axum::{
    Json,
    extract::{FromRequestParts, Path, Query, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use ledger::LogError;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    observe::{self, Refused},
    problems,
};
use crate::{
    exit::{Code, Failure},
    ingest::IngestError,
    intake::{Refusal, Why},
    remote::Receipt,
};

/// How long a client should wait before it tries again.
const RETRY_AFTER_SECONDS: &str = "1";

/// The same while another server takes over, which takes some seconds.
const RETRY_AFTER_WRITER_SECONDS: &str = "2";

/// The same when a person must make room on a disk first.
const RETRY_AFTER_ROOM_SECONDS: &str = "30";

/// A problem document. Boxed, because every handler's result carries the room for one.
#[derive(Debug)]
pub(crate) struct Problem(Box<Document>);

/// What is sent.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    /// `/problems/<code>`.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// For programs. Never changes.
    code: &'static str,
    /// The guard's rule, if it was the guard. Not sent: `detail` names it.
    #[serde(skip)]
    rule: Option<&'static str>,
    /// The request, as the server's log names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Which of several submitted events is meant, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// The place in the event (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// Receipts of what was recorded before NDJSON was stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    receipts: Vec<Receipt>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        debug_assert!(problems::known(code), "{code} has no page");
        Problem(Box::new(Document {
            kind: format!("/problems/{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            rule: None,
            request_id: None,
            index: None,
            pointer: None,
            receipts: Vec::new(),
        }))
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what}"))
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    /// One id, two events.
    pub(crate) fn conflict(index: usize, seq: Option<ledger::Seq>) -> Self {
        let detail = seq.map_or_else(
            || "the source and id stand twice in the array, with different events".to_owned(),
            |seq| format!("the source and id belong to entry {seq}, which says something else"),
        );
        let detail = format!("{detail}; it was not recorded");
        let mut problem = Problem::new(StatusCode::CONFLICT, "conflict", detail);
        problem.0.index = Some(index);
        problem
    }

    /// Which of several submitted events is meant, from 0.
    pub(crate) fn index(&self) -> Option<usize> {
        self.0.index
    }

    /// The same problem, of one of several submitted events and a place in it.
    pub(crate) fn of_event(mut self, index: usize, pointer: &str) -> Self {
        self.0.index = Some(index);
        self.0.pointer = Some(pointer.to_owned());
        self
    }

    /// The same problem, of the event at another place of what was sent.
    pub(crate) fn moved_by(mut self, places: usize) -> Self {
        self.0.index = self.0.index.map(|index| index + places);
        self
    }

    /// The same problem, after some lines were recorded.
    pub(crate) fn after(mut self, receipts: Vec<Receipt>) -> Self {
        self.0.receipts = receipts;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.0.request_id = observe::request_id();
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&*self.0)).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        let refused = Refused { code: self.0.code, rule: self.0.rule };
        response.extensions_mut().insert(refused);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = match self.0.code {
                "space_low" => RETRY_AFTER_ROOM_SECONDS,
                "no_writer" => RETRY_AFTER_WRITER_SECONDS,
                _ => RETRY_AFTER_SECONDS,
            };
            let wait = HeaderValue::from_static(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal.why {
            Why::NotJson(_) => StatusCode::BAD_REQUEST,
            Why::Invalid(_) | Why::PersonalData(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Why::OwnDoor(_) => StatusCode::FORBIDDEN,
            Why::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        };
        let mut problem = Problem::new(status, refusal.why.code(), refusal.message());
        if let Why::PersonalData(rule) = refusal.why {
            problem.0.rule = Some(rule);
        }
        problem.0.pointer = Some(refusal.pointer).filter(|p| !p.is_empty());
        problem.0.index = refusal.index;
        problem
    }
}

impl From<IngestError> for Problem {
    fn from(e: IngestError) -> Self {
        let (status, code) = match e {
            IngestError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            IngestError::SpaceLow(_) => (StatusCode::SERVICE_UNAVAILABLE, "space_low"),
            IngestError::InDoubt => (StatusCode::BAD_GATEWAY, "in_doubt"),
            IngestError::NoWriter => (StatusCode::SERVICE_UNAVAILABLE, "no_writer"),
        };
        Problem::new(status, code, e.to_string())
    }
}

/// What a question came to that is shared with the command line.
impl From<anyhow::Error> for Problem {
    fn from(e: anyhow::Error) -> Self {
        match e.downcast_ref::<Failure>() {
            Some(failure) if failure.code == Code::NotFound => {
                Problem::new(StatusCode::NOT_FOUND, "not_found", &*failure.message)
            }
            Some(failure) if failure.code == Code::Usage => Problem::invalid(&*failure.message),
            Some(failure) if failure.code == Code::Conflict => {
                Problem::new(StatusCode::CONFLICT, "conflict", &*failure.message)
            }
            Some(failure) if failure.code == Code::Policy => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", &*failure.message)
            }
            Some(failure) if failure.code == Code::TryAgain => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &*failure.message)
            }
            None if is_unavailable(&e) => {
                tracing::warn!(error = format!("{e:#}"), "the log could not be read");
                let detail = "the log cannot be read now; try again in a moment";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
            _ => {
                // The one place where what went wrong inside is logged.
                tracing::error!(error = format!("{e:#}"), "a request failed");
                let detail = "something went wrong inside; the server's log says what";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            }
        }
    }
}

/// Whether a log on a network does not answer.
fn is_unavailable(e: &anyhow::Error) -> bool {
    let mut causes = e.chain().filter_map(|cause| cause.downcast_ref::<LogError>());
    causes.any(|e| matches!(e, LogError::Unavailable { .. }))
}

/// The one name in a path, refused with a problem document.
pub(crate) struct Named(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Named(name)),
            Err(_) => Err(Problem::invalid("a name in the path is not UTF-8")),
        }
    }
}

/// A query string, refused with a problem document.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Asked(asked)),
            Err(QueryRejection::FailedToDeserializeQueryString(_)) => Err(Problem::invalid(
                "the query string has an unknown parameter or a value of the wrong kind",
            )),
            Err(_) => Err(Problem::invalid("the query string cannot be read")),
        }
    }
}
