//! `/docs`: what tables and models say of themselves, as pages that were made
//! when the warehouse started.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::problem::Problem;

pub(super) async fn index(State(state): State<Arc<HttpState>>) -> Result<Response, Problem> {
    page(&state, "")
}

pub(super) async fn layer(
    State(state): State<Arc<HttpState>>,
    Path(layer): Path<String>,
) -> Result<Response, Problem> {
    page(&state, &layer)
}

/// `GET /api/v1/models`: the same as JSON.
pub(super) async fn models(State(state): State<Arc<HttpState>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, state.info.models.clone()).into_response()
}

fn page(state: &HttpState, name: &str) -> Result<Response, Problem> {
    let Some(page) = state.info.docs.get(name) else {
        let detail = format!("there is no documentation of `{name}`");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, page.clone()).into_response())
}
