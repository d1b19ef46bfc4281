//! `POST /api/v1/sql`: one statement, answered as JSON, CSV or an Arrow stream.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::ipc::writer::StreamWriter;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::HttpState;
use super::problem::Problem;
use crate::json_rows::{write_columns, write_rows};
use crate::{QueryResult, ServeError};

/// So many rows are written without leaving the thread.
const ROWS_AT_ONCE_MAX: usize = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Arrow,
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    fn write(self, result: &QueryResult, bytes_max: usize) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Json => Ok(json(result, bytes_max)?.into_bytes()),
            Self::Csv => csv(result, bytes_max),
            Self::Arrow => arrow_stream(result, bytes_max),
        }
    }
}

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
    let answered = answer(&state, query.as_deref(), &headers, &body).await;
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
    let turn = tokio::time::timeout(state.limits.turn_time_max, state.query_turns.acquire());
    let Ok(Ok(_turn)) = turn.await else {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "{} queries are running; try again",
                state.limits.queries_max
            ),
        ));
    };
    let result = state.engine.query(&statement).await?;
    let epoch = result.epoch;
    let row_count: usize = result.batches.iter().map(RecordBatch::num_rows).sum();
    state.rows.add(row_count as u64);
    let bytes_max = state.limits.answer_bytes_max;
    // Many rows take a while: others are answered in the meantime.
    let bytes = match row_count > ROWS_AT_ONCE_MAX {
        true => tokio::task::spawn_blocking(move || form.write(&result, bytes_max))
            .await
            .map_err(|_| {
                let detail = "writing the answer was interrupted";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            })?,
        false => form.write(&result, bytes_max),
    }?;
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
    let asked = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("format="));
    match asked {
        Some("json") => return Ok(Form::Json),
        Some("csv") => return Ok(Form::Csv),
        Some("arrow") => return Ok(Form::Arrow),
        Some(other) => {
            let detail = format!("`{other}` is no format; use json, csv or arrow");
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        None => {}
    }
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    Ok(if accept.contains("application/vnd.apache.arrow.stream") {
        Form::Arrow
    } else if accept.contains("text/csv") {
        Form::Csv
    } else {
        Form::Json
    })
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

fn too_long(bytes_max: usize) -> Problem {
    let detail =
        format!("the answer has more than {bytes_max} bytes; narrow it down, or use LIMIT");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn json(result: &QueryResult, bytes_max: usize) -> Result<String, Problem> {
    let mut text = format!("{{\"epoch\":{},\"columns\":", result.epoch);
    write_columns(&result.schema, &mut text);
    text.push_str(",\"rows\":[");
    let mut written = 0;
    for batch in &result.batches {
        write_rows(batch, &mut written, &mut text)?;
        if text.len() > bytes_max {
            return Err(too_long(bytes_max));
        }
    }
    text.push_str("]}\n");
    Ok(text)
}

fn csv(result: &QueryResult, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let head = RecordBatch::new_empty(result.schema.clone());
    for (number, batch) in std::iter::once(&head).chain(&result.batches).enumerate() {
        let builder = WriterBuilder::new().with_header(number == 0);
        let written = builder.build(&mut bytes).write(batch);
        written.map_err(ServeError::from)?;
        if bytes.len() > bytes_max {
            return Err(too_long(bytes_max));
        }
    }
    Ok(bytes)
}

fn arrow_stream(result: &QueryResult, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut writer = StreamWriter::try_new(Vec::new(), &result.schema).map_err(ServeError::from)?;
    for batch in &result.batches {
        writer.write(batch).map_err(ServeError::from)?;
        if writer.get_ref().len() > bytes_max {
            return Err(too_long(bytes_max));
        }
    }
    Ok(writer.into_inner().map_err(ServeError::from)?)
}
