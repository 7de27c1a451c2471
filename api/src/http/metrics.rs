//! `/metrics`: what the service counts of itself, as OpenMetrics text.

use axum::{
    extract::State,
    http::{HeaderName, header},
    response::IntoResponse,
};
use tokio::task::spawn_blocking;

use super::{App, Problem};
use crate::metrics::Reading;

/// As the OpenMetrics 1.0 specification names its text format.
const KIND: [(HeaderName, &str); 1] =
    [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];

/// What the service counts of itself.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "metrics",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8")),
    security(("token" = ["metrics:read"]))
)]
pub(super) async fn scrape(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let text = spawn_blocking(move || {
        let head = app.intake.heads().borrow().next.0.checked_sub(1);
        let (lag_entries, lag) = app.facts.lag();
        let queue = app.intake.waiting();
        let (disk_free, min_free) = app.intake.space().now();
        let standing = Some(app.station.look());
        app.metrics.text(&Reading { queue, head, lag_entries, lag, disk_free, min_free, standing })
    });
    let text = text.await.map_err(|e| Problem::from(anyhow::Error::from(e)))?;
    Ok((KIND, text))
}
