//! Who asks: the local token of `serve.json`, an access token, or nobody by name.

use std::{
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};
use serde_json::Value;

use super::problem::Problem;
use crate::{
    clock,
    intake::own::Own,
    json::text,
    listener::Peer,
    principal::{Principal, Scope},
    rates::{Rates, Wait},
    remote::VIA_HEADER,
    tokens::{
        Token,
        live::{Denied, Tokens},
        secret,
    },
};

/// How often an answer that streams looks whether its token still counts.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Knows who may come in.
#[derive(Debug)]
pub struct Gate {
    tokens: Arc<Tokens>,
    rates: Rates,
    /// Shown by commands that can read `serve.json`.
    local: Arc<str>,
    origins: Vec<HeaderValue>,
}

impl Gate {
    pub fn new(
        tokens: Arc<Tokens>,
        rates: Rates,
        local: Arc<str>,
        origins: Vec<HeaderValue>,
    ) -> Gate {
        Gate { tokens, rates, local, origins }
    }

    /// Origins of web pages that may ask.
    pub(super) fn origins(&self) -> &[HeaderValue] {
        &self.origins
    }

    /// From now on every scoped route wants a token.
    pub fn tokens_were_made(&self) {
        self.tokens.were_made();
    }

    /// Whether every scoped route wants a token.
    pub(super) fn wants_tokens(&self) -> bool {
        self.tokens.ever() != Ok(false)
    }

    /// Who asks, counted against their limit.
    pub(super) fn identify(&self, request: &Request) -> Result<Principal, Barred> {
        let headers = request.headers();
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        if !shows_credentials(headers) {
            return self.nobody(peer);
        }
        let given = headers.get(header::AUTHORIZATION);
        // RFC 9110: the name of a scheme is written in any case.
        let shown = given.and_then(|given| given.to_str().ok()?.split_once(' '));
        let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let shown = shown.map_or("", |(_, shown)| shown.trim());
        if secret::same(shown, &self.local) {
            self.rates.tokenless().map_err(Barred::TooOften)?;
            let name = headers.get(VIA_HEADER).and_then(|name| name.to_str().ok());
            return Ok(Principal::OsAccount { own: Own::of(name.unwrap_or_default()) });
        }
        let token = self.tokens.authenticate(shown, clock::now().as_microsecond());
        let token = token.map_err(|denied| self.failed(peer, denied))?;
        self.rates.token(&token.id, token.rate).map_err(Barred::TooOften)?;
        let Token { id, scopes, sources, .. } = &*token;
        let (id, scopes, sources) = (id.clone(), scopes.clone(), sources.clone());
        Ok(Principal::Token { id, scopes, sources })
    }

    /// Somebody who shows no token: welcome from this machine while none was ever made.
    fn nobody(&self, peer: Option<IpAddr>) -> Result<Principal, Barred> {
        let ever = self.tokens.ever().map_err(Barred::Denied)?;
        if ever || !peer.is_some_and(|ip| ip.to_canonical().is_loopback()) {
            return Err(Barred::TokenWanted);
        }
        self.rates.tokenless().map_err(Barred::TooOften)?;
        Ok(Principal::Loopback)
    }

    /// Counts a failed attempt.
    fn failed(&self, peer: Option<IpAddr>, denied: Denied) -> Barred {
        let from = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        match self.rates.failed(from) {
            Err(wait) if denied != Denied::Unreadable => Barred::TooOften(wait),
            _ => Barred::Denied(denied),
        }
    }

    /// An answer that streams ends when its token stops counting, or when tokens come to be wanted.
    pub(super) fn watch(self: &Arc<Self>, principal: &Principal, response: Response) -> Response {
        let id = match principal {
            Principal::Token { id, .. } => Some(Box::from(id.as_str())),
            Principal::Loopback => None,
            Principal::OsAccount { .. } => return response,
        };
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let gate = self.clone();
        response.map(|body| Body::new(Watched { body, gate, id, looked: Instant::now() }))
    }
}

/// Whether a request says who asks. An empty header says nothing.
pub(super) fn shows_credentials(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|given| !given.is_empty())
}

/// Why somebody may not use a route.
#[derive(Debug)]
pub(super) enum Barred {
    /// No token was shown, and one is wanted.
    TokenWanted,
    /// The token that was shown opens no door.
    Denied(Denied),
    /// The token lacks the scope.
    ScopeMissing(Scope),
    TooOften(Wait),
}

impl IntoResponse for Barred {
    fn into_response(self) -> Response {
        let unauthorized = |code, detail: &str| {
            Problem::new(StatusCode::UNAUTHORIZED, code, detail).into_response()
        };
        let invalid = "error=\"invalid_token\"";
        let (mut response, name, value) = match self {
            Barred::TokenWanted => {
                let detail = "this wants a token: `Authorization: Bearer rlt_...`; `rollout-ledger \
                              token create` makes one";
                let response = unauthorized("token_wanted", detail);
                (response, header::WWW_AUTHENTICATE, challenge(""))
            }
            Barred::Denied(Denied::Unreadable) => {
                let (status, detail) = (StatusCode::SERVICE_UNAVAILABLE, Denied::Unreadable);
                let problem = Problem::new(status, "tokens_unreadable", detail.to_string());
                return problem.into_response();
            }
            Barred::Denied(denied) => {
                let code = match denied {
                    Denied::Expired => "token_expired",
                    Denied::Revoked => "token_revoked",
                    Denied::Unknown | Denied::Unreadable => "wrong_token",
                };
                let response = unauthorized(code, &denied.to_string());
                (response, header::WWW_AUTHENTICATE, challenge(invalid))
            }
            Barred::ScopeMissing(scope) => {
                let detail = format!("this wants a token with the scope {scope}");
                let problem = Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail);
                let lacks = format!("error=\"insufficient_scope\", scope=\"{scope}\"");
                (problem.into_response(), header::WWW_AUTHENTICATE, challenge(&lacks))
            }
            Barred::TooOften(Wait(wait)) => {
                // The header has whole seconds.
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let detail = "too many requests; Retry-After says how many seconds to wait";
                let status = StatusCode::TOO_MANY_REQUESTS;
                let problem = Problem::new(status, "rate_limited", detail);
                (problem.into_response(), header::RETRY_AFTER, seconds.into())
            }
        };
        response.headers_mut().insert(name, value);
        response
    }
}

/// How to prove who one is (RFC 6750, section 3).
fn challenge(more: &str) -> HeaderValue {
    let realm = "Bearer realm=\"rollout-ledger\"";
    let text = if more.is_empty() { realm.to_owned() } else { format!("{realm}, {more}") };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// Whether each event is of a type and of a `source` that its sender may write. What is no event is
/// left to the intake.
///
/// # Errors
/// Names the first that is not.
pub(super) fn may_append(principal: &Principal, events: &[Value]) -> Result<(), Problem> {
    if !matches!(principal, Principal::Token { .. }) {
        return Ok(());
    }
    for (index, event) in events.iter().enumerate() {
        let (Some(kind), Some(source)) = (text(event, "/type"), text(event, "/source")) else {
            continue;
        };
        if principal.may_append(kind, source) {
            continue;
        }
        let forbidden = |code, detail| Problem::new(StatusCode::FORBIDDEN, code, detail);
        return Err(if principal.may_append_type(kind) {
            let detail = "the token may not write as this source; `token list` shows its sources";
            forbidden("source_not_allowed", detail).of_event(index, "/source")
        } else {
            let detail = "this wants a token with the scope events:append for this type of event";
            forbidden("scope_missing", detail).of_event(index, "/type")
        });
    }
    Ok(())
}

/// A body that ends with its token, or with the time without tokens.
struct Watched {
    body: Body,
    gate: Arc<Gate>,
    /// None for whoever came while no token was ever made.
    id: Option<Box<str>>,
    looked: Instant,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() && self.looked.elapsed() >= LOOK_PERIOD {
            self.looked = Instant::now();
            let counts = match &self.id {
                Some(id) => self.gate.tokens.still(id, clock::now().as_microsecond()),
                None => !self.gate.wants_tokens(),
            };
            if !counts {
                return Poll::Ready(None);
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
