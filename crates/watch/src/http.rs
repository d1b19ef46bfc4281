//! `/api/v1/alarms`: what is wrong, and silences.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::WatchError;
use crate::duration::parse_duration_us;
use crate::instance::Instance;
use crate::silence::Silence;
use crate::watcher::Watcher;

/// Bytes of the body of a request.
const BODY_BYTES_MAX: usize = 64 << 10;

/// A silence as it is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SilenceRequest {
    /// The alarm.
    pub alarm: Option<String>,
    /// Labels that instances must have.
    pub labels: BTreeMap<String, String>,
    /// How long it lasts, such as `2 hours`.
    #[serde(rename = "for")]
    pub length: String,
    /// Why.
    pub comment: String,
    /// Who asks.
    pub by: String,
}

/// The endpoints.
pub fn router(watcher: Arc<Watcher>) -> Router {
    Router::new()
        .route("/api/v1/alarms", get(alarms))
        .route("/api/v1/alarms/silences", post(silence))
        .route("/api/v1/alarms/silences/{id}", delete(end_silence))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(watcher)
}

fn time(time_us: i64) -> Value {
    let time = chrono::DateTime::from_timestamp_micros(time_us).unwrap_or_default();
    json!(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn instance_json(instance: &Instance, is_silenced: bool) -> Value {
    json!({
        "alarm": instance.alarm,
        "title": instance.title,
        "severity": instance.severity,
        "owner": instance.owner,
        "labels": instance.labels,
        "state": instance.phase,
        "value": instance.value,
        "before": instance.before,
        "message": instance.message,
        "since": time(instance.since_us),
        "fired": instance.fired_us.map(time),
        "resolved": instance.resolved_us.map(time),
        "delivered": instance.delivered_us().map(time),
        "silenced": is_silenced,
    })
}

fn silence_json(silence: &Silence) -> Value {
    json!({
        "id": silence.id,
        "alarm": silence.alarm,
        "labels": silence.labels,
        "from": time(silence.from_us),
        "until": time(silence.until_us),
        "comment": silence.comment,
        "by": silence.by,
    })
}

async fn alarms(State(watcher): State<Arc<Watcher>>) -> Response {
    let alarms = watcher.alarms();
    let alarms = alarms.iter().map(|status| {
        json!({
            "name": status.alert.name,
            "title": status.alert.title,
            "severity": status.alert.severity,
            "owner": status.alert.owner,
            "condition": status.alert.condition.words(),
            "sql": status.alert.sql,
            "evaluated": status.evaluated_us.map(time),
            "error": status.error,
        })
    });
    let instances = watcher.instances();
    let instances = instances
        .iter()
        .map(|found| instance_json(found, watcher.is_silenced(found)));
    let undelivered = watcher.undelivered();
    let undelivered = undelivered
        .iter()
        .map(|(whom, error)| json!({ "to": whom, "error": error }));
    let body = json!({
        "alarms": alarms.collect::<Vec<_>>(),
        "instances": instances.collect::<Vec<_>>(),
        "silences": watcher.silences().iter().map(silence_json).collect::<Vec<_>>(),
        "undelivered": undelivered.collect::<Vec<_>>(),
    });
    answer(StatusCode::OK, &body)
}

async fn silence(State(watcher): State<Arc<Watcher>>, headers: HeaderMap, body: Bytes) -> Response {
    // A page of another origin cannot send this type without asking first.
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|text| text.starts_with("application/json")) {
        let detail = "send JSON, with Content-Type: application/json";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    }
    let request: SilenceRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let Some(length_us) = parse_duration_us(&request.length) else {
        let detail = "`for` is no span of time; write one such as \"2 hours\"";
        return problem(StatusCode::BAD_REQUEST, detail);
    };
    let wanted = Silence {
        id: 0,
        alarm: request.alarm,
        labels: request.labels,
        from_us: 0,
        until_us: 0,
        comment: request.comment,
        by: request.by,
    };
    match watcher.silence(wanted, length_us) {
        Ok(silence) => answer(StatusCode::CREATED, &silence_json(&silence)),
        Err(error @ WatchError::Silence(_)) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn end_silence(State(watcher): State<Arc<Watcher>>, Path(id): Path<u64>) -> Response {
    match watcher.end_silence(id) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error @ WatchError::Silence(_)) => problem(StatusCode::NOT_FOUND, &error.to_string()),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, format!("{body}\n")).into_response()
}

/// An error as RFC 9457 describes it.
fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, content_type, format!("{body}\n")).into_response()
}
