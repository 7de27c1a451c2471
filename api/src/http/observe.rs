//! Around every request: its id, its place in a trace, one line in the log, and what is counted.
//!
//! Nothing that a client sent is logged or counted but an id that passed the guard and the ids of a
//! trace: no path, query, header or body.

mod trace;

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use tracing::Instrument as _;

use self::trace::Trace;
use super::App;
use crate::{guard, home::random_hex};

/// Names a request, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id of a request that is taken over from its sender, in bytes: a UUID has 36.
const REQUEST_ID_LEN_MAX: usize = 64;

tokio::task_local! {
    /// The request that the running task answers.
    static ASKED: Asked;
}

#[derive(Clone, Debug)]
struct Asked {
    id: String,
    received: Instant,
}

/// Stands in the extensions of an answer that is a problem document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    /// The problem's code.
    pub(super) code: &'static str,
    /// The guard's rule, if it was the guard.
    pub(super) rule: Option<&'static str>,
}

/// The id of the request that this task answers.
pub(super) fn request_id() -> Option<String> {
    ASKED.try_with(|asked| asked.id.clone()).ok()
}

/// When the request that this task answers was received.
pub(super) fn received() -> Option<Instant> {
    ASKED.try_with(|asked| asked.received).ok()
}

/// The outermost layer of every route.
pub(super) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let asked = Asked { id: id_of(request.headers()), received: Instant::now() };
    let trace = Trace::of(request.headers());
    let method = method_name(request.method());
    let template = request.extensions().get::<MatchedPath>().cloned();
    let route = template.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        request_id = asked.id,
        trace_id = trace.id,
        span_id = trace.span,
        parent_span_id = trace.parent,
    );
    let answering = ASKED.scope(asked.clone(), next.run(request));
    let mut response = answering.instrument(span.clone()).await;
    let (after, status) = (asked.received.elapsed(), response.status());
    app.metrics.answered(method, route, class(status), after);
    let refused = response.extensions().get::<Refused>().copied();
    if let Some(Refused { code, rule }) = refused {
        app.metrics.refused(code, rule);
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        app.metrics.rate_limited();
    }
    let (status, code) = (status.as_u16(), refused.map(|refused| refused.code));
    let duration_ms = after.as_secs_f64() * 1_000.0;
    span.in_scope(|| tracing::info!(method, route, status, duration_ms, code, "answered"));
    if let Ok(id) = HeaderValue::from_str(&asked.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The sender's id if it is one and tells nothing of a person, else one of our own.
fn id_of(headers: &HeaderMap) -> String {
    let mut given = headers.get_all(REQUEST_ID).iter();
    let (first, more) = (given.next(), given.next());
    let text = first.filter(|_| more.is_none()).and_then(|id| id.to_str().ok());
    let usable = |id: &&str| {
        (1..=REQUEST_ID_LEN_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && guard::scan(id).is_empty()
    };
    text.filter(usable).map_or_else(random_hex::<16>, str::to_owned)
}

/// Any other method is as good as unknown.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_over_only_if_it_is_one() {
        let id = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(REQUEST_ID, HeaderValue::from_str(value).unwrap());
            }
            id_of(&headers)
        };
        for good in ["a", "build-1841.2_x", &"y".repeat(REQUEST_ID_LEN_MAX)] {
            assert_eq!(id(&[good]), good);
        }
        let long = "y".repeat(REQUEST_ID_LEN_MAX + 1);
        let ssn = ["123", "45", "6789"].join("-");
        for bad in [&[][..], &[""], &["a b"], &["a\"b"], &[&long], &["a", "b"], &[&ssn]] {
            let made = id(bad);
            assert_eq!(made.len(), 32, "{bad:?}");
            assert!(made.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}
