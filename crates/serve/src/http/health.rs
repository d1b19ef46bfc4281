//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::problem::Problem;

/// The process lives.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The sources are being followed.
pub(super) async fn readyz(State(state): State<Arc<HttpState>>) -> Result<&'static str, Problem> {
    if state.is_ready.load(Ordering::Acquire) {
        return Ok("ready\n");
    }
    let detail = "the warehouse is starting, or being stopped";
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))
}

pub(super) async fn metrics(State(state): State<Arc<HttpState>>) -> Response {
    state.watchers.set(state.live.watchers() as u64);
    let content_type = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    // First, so that their failures are in the same answer.
    let of_panels = state.panel_metrics().await;
    let mut text = state.metrics.render();
    text.push_str(&of_panels);
    (content_type, text).into_response()
}
