//! `POST /api/v1/backfill`: rows of exports, as records of a topic.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::HttpState;
use super::dead_letters::require_json;
use super::problem::Problem;

/// Bytes of one request.
pub(super) const REQUEST_BYTES_MAX: usize = 32 << 20;

/// Takes rows of exports into the log.
pub trait TakeRows: std::fmt::Debug + Send + Sync {
    /// Returns when the records are durable, with their number. Waits for the
    /// disk.
    ///
    /// # Errors
    /// When there is no such topic, or the log does not take them.
    fn take(&self, topic: &str, records: Vec<Bytes>) -> Result<u64, String>;
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    topic: String,
    records: Vec<Map<String, Value>>,
}

pub(super) async fn backfill(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    require_json(&headers)?;
    let taker = state.row_taker.read().clone().ok_or_else(|| {
        let detail = "this warehouse takes no rows of exports";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    let rows: Rows = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("the body is no object with `topic` and `records`: {error}");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let records = rows.records.into_iter();
    let records: Vec<Bytes> = records
        .map(|record| Bytes::from(Value::Object(record).to_string()))
        .collect();
    let topic = rows.topic;
    let taken = tokio::task::spawn_blocking(move || taker.take(&topic, records)).await;
    let taken = taken.map_err(|_| Problem::interrupted())?;
    let accepted = taken.map_err(|detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))?;
    let headers = [(header::CONTENT_TYPE, "application/json")];
    Ok((headers, json!({ "accepted": accepted }).to_string()).into_response())
}
