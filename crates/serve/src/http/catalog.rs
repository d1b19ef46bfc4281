//! `/api/v1/info` and `/api/v1/catalog`: what the warehouse is, and holds.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::HttpState;
use super::problem::Problem;
use crate::ServeError;
use crate::access::Role;
use crate::moments::schema_in;
use crate::session;

fn answer(value: &serde_json::Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, format!("{value}\n")).into_response()
}

pub(super) async fn info(State(state): State<Arc<HttpState>>) -> Response {
    let now_us = state.clock.now_us();
    let now = arrow::temporal_conversions::timestamp_us_to_datetime(now_us);
    let now = now.map(|now| now.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
    // Where nothing is kept from anybody, all may do what an admin may.
    let role = session::limiting_role(&state.engine.options.access).unwrap_or(Role::Admin);
    let snapshot = (state.source)();
    let collections = snapshot.collections();
    let collections: Vec<&str> = collections.iter().map(|one| one.name.as_str()).collect();
    let panels = state.panels.read().clone();
    let panels: Vec<String> = panels
        .sorted()
        .iter()
        .map(|panel| panel.panel.name.clone())
        .collect();
    answer(&json!({
        "name": state.info.name,
        "version": env!("CARGO_PKG_VERSION"),
        "time_zone": state.info.time_zone,
        "currency": state.info.currency,
        "models": state.models.read().change,
        "now": now,
        "epoch": snapshot.epoch(),
        "role": role.to_string(),
        "collections": collections,
        "panels": panels,
        "sample_shop": state.info.has_sample_shop,
        "uptime_s": (now_us - state.start_us) / 1_000_000,
    }))
}

pub(super) async fn catalog(State(state): State<Arc<HttpState>>) -> Result<Response, Problem> {
    let snapshot = (state.source)();
    let columns = |schema: &arrow::datatypes::Schema| -> Vec<serde_json::Value> {
        let fields = schema.fields().iter();
        fields
            .map(|field| {
                json!({
                    "name": field.name(),
                    "type": field.data_type().to_string(),
                    "nullable": field.is_nullable(),
                })
            })
            .collect()
    };
    let mut entries = Vec::new();
    let views = state.models.read().views.clone();
    for collection in snapshot.collections() {
        let is_view = views.contains(&collection.name);
        entries.push(json!({
            "name": collection.name,
            "kind": if is_view { "view" } else { "table" },
            "rows": snapshot.row_count(&collection.name),
            "columns": columns(&schema_in(&collection.schema, &state.engine.zone())),
        }));
    }
    for name in state.engine.query_views() {
        let session = state.engine.session();
        let table = session
            .table(name.as_str())
            .await
            .map_err(ServeError::from)?;
        entries.push(json!({
            "name": name,
            "kind": "query view",
            "rows": null,
            "columns": columns(table.schema().as_arrow()),
        }));
    }
    Ok(answer(&json!({ "collections": entries })))
}
