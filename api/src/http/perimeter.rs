//! What holds for every request before a route is looked at: names of this machine, the size of a
//! head, the time for an answer, pages of other origins, and that a read-only address only reads.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::cors::CorsLayer;

use super::{
    AS_OF_HEADER, App,
    gate::{Gate, shows_credentials},
    problem::Problem,
};
use crate::exit::{Code, fail};

/// Header lines of one request. Clients send about ten. hyper's own limit is 100.
const HEADERS_LEN_MAX: usize = 64;

/// Bytes of a request's target and headers together. A token has 60, a cursor under 100; a query
/// with every filter stays under 2 KiB.
const HEAD_SIZE_MAX: usize = 16 * 1024;

/// How long a handler may take until its answer begins, the request's body included. What streams
/// has begun by then. Reading a whole ledger for `views diff` is the slowest.
const ANSWER_WAIT_MAX: Duration = Duration::from_mins(1);

/// How long a browser need not ask again whether another origin may ask.
const PREFLIGHT_AGE_MAX: Duration = Duration::from_mins(10);

/// What a listened address takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Everything,
    ReadsOnly,
}

/// The service behind its perimeter.
pub(super) fn protect(service: Router<App>, gate: Arc<Gate>, takes: Takes) -> Router<App> {
    let cors = cors(gate.origins(), takes);
    let mut service = service.layer(middleware::from_fn_with_state(gate, local_names_only));
    if takes == Takes::ReadsOnly {
        service = service.layer(middleware::from_fn(reads_only));
    }
    service = service.layer(middleware::from_fn(in_bounds));
    match cors {
        Some(cors) => service.layer(cors),
        None => service,
    }
}

/// A page of another site could have its name resolve to this machine and read everything here
/// through a visitor's browser. So whoever needs no token is answered by this machine's own names
/// only; no page has a token to show.
async fn local_names_only(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    if gate.wants_tokens() || shows_credentials(request.headers()) {
        return next.run(request).await;
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let all_local = hosts.all(|host| host.to_str().is_ok_and(is_local));
    let origin = request.headers().get(header::ORIGIN);
    let same_site = origin.is_none_or(|origin| {
        let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        host.is_some_and(|(_, host)| is_local(host)) || gate.origins().contains(origin)
    });
    let asked = request.uri().authority().is_none_or(|authority| is_local(authority.as_str()));
    if all_local && asked && same_site {
        return next.run(request).await;
    }
    let detail = "without a token this server answers to names of this machine only";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail).into_response()
}

fn is_local(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (name, port) = if let Some((v6, port)) = bracketed {
        (v6.parse::<Ipv6Addr>().map(IpAddr::V6), port)
    } else {
        let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.eq_ignore_ascii_case("localhost") {
            return is_port(port);
        }
        (name.parse::<Ipv4Addr>().map(IpAddr::V4), port)
    };
    is_port(port) && name.is_ok_and(|ip| ip.is_loopback())
}

/// What may follow a host: nothing, or a colon and a number.
fn is_port(text: &str) -> bool {
    let digits =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    text.is_empty() || text.strip_prefix(':').is_some_and(digits)
}

async fn reads_only(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let detail = "this address takes GET and HEAD only; what records goes to the other one";
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "read_only_address", detail);
    let allowed = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
    (allowed, problem).into_response()
}

async fn in_bounds(request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if request.headers().len() > HEADERS_LEN_MAX || target + size(request.headers()) > HEAD_SIZE_MAX
    {
        let detail = format!(
            "a request has at most {HEADERS_LEN_MAX} headers and {HEAD_SIZE_MAX} bytes of target \
             and headers"
        );
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Problem::new(status, "headers_too_large", detail).into_response();
    }
    // RFC 9112, section 3.2: HTTP/1.1 names one host.
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Problem::invalid("a request of HTTP/1.1 names its host, once").into_response();
    }
    match tokio::time::timeout(ANSWER_WAIT_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => too_late(),
    }
}

/// The answer to a request that took too long. What comes after it on the same connection could be
/// the rest of its body, so the connection ends.
fn too_late() -> Response {
    let seconds = ANSWER_WAIT_MAX.as_secs();
    let detail = format!(
        "the request was not answered within {seconds} s; if it records, send the same again"
    );
    let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail);
    ([(header::CONNECTION, HeaderValue::from_static("close"))], problem).into_response()
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Origins that are spelled as browsers send them: `https://status.example`.
///
/// # Errors
/// When one is not: a path, a slash at the end, a star.
pub(crate) fn origins(given: &[String]) -> anyhow::Result<Vec<HeaderValue>> {
    let origin = |text: &String| {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
        (!host.is_empty() && host.bytes().all(plain)).then(|| text.parse().ok())?
    };
    let read: Option<Vec<_>> = given.iter().map(origin).collect();
    read.ok_or_else(|| {
        let what = "--cors-origin wants an origin such as https://status.example, in lower case \
                    and without a path; there is no star";
        fail(Code::Usage, what)
    })
}

/// Exact origins, no cookies. Absent unless an origin is allowed: then browsers keep every page of
/// another site from reading.
fn cors(origins: &[HeaderValue], takes: Takes) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let methods = match takes {
        Takes::Everything => {
            vec![Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE]
        }
        Takes::ReadsOnly => vec![Method::GET, Method::HEAD],
    };
    let last_event_id = HeaderName::from_static("last-event-id");
    let layer = CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods(methods)
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, last_event_id])
        .expose_headers([AS_OF_HEADER, header::LOCATION, header::RETRY_AFTER, header::LINK])
        .max_age(PREFLIGHT_AGE_MAX);
    Some(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let rows = [
            ("127.0.0.1:8080", true),
            ("localhost", true),
            ("localhost:1", true),
            ("[::1]:8080", true),
            ("LOCALHOST:80", true),
            ("localhost.", true),
            ("[::1]", true),
            ("[::1]evil.example", false),
            ("[::1]:80evil", false),
            ("[127.0.0.1]", false),
            ("::1", false),
            ("localhost:x", false),
            ("localhost:", false),
            ("localhost:80@evil.example", false),
            ("user@localhost", false),
            ("user:80@localhost", false),
            ("localhost..", false),
            ("", false),
            ("evil.example", false),
            ("127.0.0.1.evil.example:80", false),
            ("10.0.0.1:80", false),
        ];
        for (host, expected) in rows {
            assert_eq!(is_local(host), expected, "{host}");
        }
    }

    #[test]
    fn an_origin_is_spelled_as_browsers_spell_it() {
        for text in ["https://status.example", "http://localhost:3000", "http://[::1]:3000"] {
            assert_eq!(origins(&[text.to_owned()]).expect(text), [text]);
        }
        for text in ["*", "https://*", "https://a.example/", "https://", "HTTPS://A.example", "a"] {
            assert!(origins(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
