//! `GET /api/v1/tables/{name}/{key}`: the current rows of a primary key.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::percent::{Plus, decode};
use super::problem::Problem;
use crate::ServeError;
use crate::json_rows::{write_columns, write_rows};
use crate::moments::rows_in;

pub(super) async fn lookup(
    State(state): State<Arc<HttpState>>,
    Path((name, _)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    state.lookups.add(1);
    let snapshot = (state.source)();
    let not_found = |detail: String| Problem::new(StatusCode::NOT_FOUND, detail);
    // As it was sent: an encoded comma belongs to a value.
    let key = uri.path().rsplit('/').next().unwrap_or_default();
    let Some(collection) = snapshot.definition(&name) else {
        return Err(not_found(format!(
            "there is no table or materialized view `{name}`"
        )));
    };
    state.require_whole(&name)?;
    let Some(key_columns) = &collection.unique_key else {
        let detail = format!("`{name}` has no key; ask it with SQL");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    };
    let parts: Vec<String> = key
        .split(',')
        .map(|part| decode(part, Plus::Plus))
        .collect();
    let fields = key_columns
        .iter()
        .map(|&column| collection.schema.field(column));
    if parts.len() != key_columns.len() {
        let names: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
        let detail = format!("the key of `{name}` is {}", names.join(","));
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let mut values: Vec<ArrayRef> = Vec::with_capacity(parts.len());
    for (field, part) in fields.zip(&parts) {
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let text = StringArray::from(vec![part.as_str()]);
        let value = cast_with_options(&text, field.data_type(), &options).map_err(|_| {
            let detail = format!("`{part}` is no {} (`{}`)", field.data_type(), field.name());
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })?;
        values.push(value);
    }
    let rows = snapshot.lookup(&name, &values).map_err(ServeError::from)?;
    if rows.num_rows() == 0 {
        return Err(not_found(format!(
            "`{name}` has no row with the key {}",
            parts.join(",")
        )));
    }
    state.rows.add(rows.num_rows() as u64);
    let mut text = format!("{{\"epoch\":{},\"columns\":", snapshot.epoch());
    let rows = rows_in(&rows, &state.engine.zone()).map_err(ServeError::from)?;
    write_columns(&rows.schema(), &mut text);
    text.push_str(",\"rows\":[");
    write_rows(&rows, &mut 0, &mut text)?;
    text.push_str("]}\n");
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, text).into_response())
}
