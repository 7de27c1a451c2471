//! Every path of the service, in one place.

mod audit;
mod authorize;
mod body;
mod contract;
mod docs;
mod events;
mod export;
mod flags;
pub mod forwarded;
pub(crate) mod gate;
mod health;
mod metrics;
mod min_seq;
mod observe;
mod pages;
pub(crate) mod perimeter;
pub(crate) mod problem;
mod problems;
mod published;
mod rollouts;
mod schedule;
mod stream;
mod timeline;
mod views;
mod webhooks;

use std::{any::Any, sync::Arc};

use axum::{
    Router,
    http::{HeaderName, HeaderValue, StatusCode},
    middleware,
    response::{IntoResponse, Response},
};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::authorize::Unguarded;
use self::{
    authorize::Access,
    forwarded::Passage,
    gate::Gate,
    perimeter::Takes,
    problem::{Asked, Named, Problem},
};
use crate::{
    answers::AsOf,
    facts::Facts,
    ingest::{IngestError, Intake},
    metrics::Metrics,
    moment,
    slot::Slot,
    station::Station,
    stream::Hub,
    webhooks::Webhooks,
};

/// Names the state that an answer was computed at: `SEQ:HASH`.
const AS_OF_HEADER: HeaderName = HeaderName::from_static("ledger-as-of");

/// What handlers share.
#[derive(Clone)]
pub struct App {
    pub facts: Arc<Facts>,
    pub intake: Intake,
    pub metrics: Arc<Metrics>,
    pub stream: Arc<Hub>,
    /// Nobody but the writer sends them.
    pub webhooks: Slot<Webhooks>,
    /// Whether the whole log was verified since the start.
    pub verified: watch::Receiver<bool>,
    /// Shown by commands that can read `serve.json`.
    pub token: Arc<str>,
    /// Knows who may come in.
    pub gate: Arc<Gate>,
    /// What this server is among others.
    pub station: Arc<Station>,
    /// How it passes on what is the writer's, if there may be others.
    pub passage: Option<Passage>,
}

impl App {
    fn webhooks(&self) -> Result<Arc<Webhooks>, Problem> {
        self.webhooks.get().ok_or_else(|| IngestError::NoWriter.into())
    }
}

/// Every path of the service. What is not here, with its `#[utoipa::path]`, is not answered.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(events::record, pages::list))
        .routes(routes!(export::export))
        .routes(routes!(stream::follow))
        .routes(routes!(pages::show))
        .routes(routes!(rollouts::list))
        .routes(routes!(rollouts::show))
        .routes(routes!(rollouts::stages))
        .routes(routes!(rollouts::checkpoints))
        .routes(routes!(timeline::current))
        .routes(routes!(timeline::timeline))
        .routes(routes!(rollouts::deviations))
        .routes(routes!(rollouts::report))
        .routes(routes!(flags::history))
        .routes(routes!(schedule::list))
        .routes(routes!(audit::who_changed))
        .routes(routes!(audit::actor))
        .routes(routes!(audit::between))
        .routes(routes!(audit::state))
        .routes(routes!(audit::approvals))
        .routes(routes!(audit::restated))
        .routes(routes!(audit::gaps))
        .routes(routes!(views::diff))
        .routes(routes!(views::rebuild))
        .merge(webhooks::routes())
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::scrape))
        .routes(routes!(contract::openapi))
        .routes(routes!(docs::page))
        .routes(routes!(docs::style))
        .routes(routes!(published::list))
        .routes(routes!(published::show))
        .routes(routes!(problems::list))
        .routes(routes!(problems::show))
}

/// The service.
///
/// # Errors
/// When a route does not say who may use it.
pub fn router(app: App, takes: Takes) -> Result<Router, Unguarded> {
    let access = Arc::new(Access::of(&contract::HANDLERS)?);
    let (router, _) = routes().split_for_parts();
    let router = router
        .layer(middleware::from_fn_with_state(app.clone(), min_seq::wait))
        .layer(middleware::from_fn_with_state(app.clone(), forwarded::pass_on))
        .layer(middleware::from_fn_with_state((app.clone(), access), authorize::authorize))
        .layer(middleware::from_fn_with_state(app.clone(), forwarded::hear))
        .layer(CatchPanicLayer::custom(panicked));
    Ok(perimeter::protect(router, app.gate.clone(), takes)
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .with_state(app))
}

fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let said = cause.downcast_ref::<&str>().map(ToString::to_string);
    let said = said.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(said, "a handler panicked");
    let detail = "something went wrong inside; the server's log says what";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
}

/// The header that names the state of an answer.
fn as_of_headers(as_of: &AsOf) -> [(HeaderName, HeaderValue); 1] {
    let seq = as_of.seq.map_or_else(String::new, |seq| seq.to_string());
    let text = format!("{seq}:{}", as_of.hash);
    [(AS_OF_HEADER, HeaderValue::from_str(&text).expect("digits and a hash are a header value"))]
}

/// A moment of a query string, as the command line reads it.
fn moment_of(name: &str, text: Option<&String>) -> Result<Option<i64>, Problem> {
    Ok(text.map(|text| moment::parse(name, text)).transpose()?)
}
