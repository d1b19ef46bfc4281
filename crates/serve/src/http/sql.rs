//! `POST /api/v1/sql`: one statement, answered as JSON, CSV, an Arrow stream or a
//! workbook.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::Instant;

use super::HttpState;
use super::forms::Form;
use super::problem::Problem;
use crate::session::SESSION;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    sql: String,
}

pub(super) async fn sql(
    State(state): State<Arc<HttpState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    state.queries.add(1);
    let begin = Instant::now();
    let answered = answer(&state, query.as_deref(), &headers, &body).await;
    state.statements.count(begin.elapsed(), answered.is_ok());
    if answered.is_err() {
        state.query_failures.add(1);
    }
    answered
}

async fn answer(
    state: &HttpState,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Problem> {
    let form = form(query, headers)?;
    let statement = statement(headers, body)?;
    let _ = SESSION.try_with(|session| session.ask(&statement));
    let turn = state.query_turn().await?;
    let engine = state.engine.clone();
    let query = async move { engine.query(&statement).await };
    let result = state.engine.apart(query).await?;
    drop(turn);
    let epoch = result.pinned.epoch;
    let bytes_max = state.limits.answer_bytes_max;
    let bytes = state
        .write_rows(result, move |result| form.write(result, bytes_max))
        .await?;
    let content_type = form.content_type();
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (
            header::HeaderName::from_static("x-sluice-epoch"),
            epoch.to_string(),
        ),
    ];
    Ok((headers, bytes).into_response())
}

fn form(query: Option<&str>, headers: &HeaderMap) -> Result<Form, Problem> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    let asked = pairs.filter_map(|pair| pair.strip_prefix("format=")).next();
    Form::of_request(asked, headers)
}

fn statement(headers: &HeaderMap, body: &[u8]) -> Result<String, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|text| text.starts_with("application/json"));
    if is_json {
        let request: Request = serde_json::from_slice(body)
            .map_err(|error| bad(format!("the body is not {{\"sql\": \"…\"}}: {error}")))?;
        return Ok(request.sql);
    }
    match std::str::from_utf8(body) {
        Ok(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        Ok(_) => Err(bad("the body is empty; send a statement".to_owned())),
        Err(_) => Err(bad("the statement is not UTF-8".to_owned())),
    }
}
