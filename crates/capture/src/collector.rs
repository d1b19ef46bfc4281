//! The HTTP collector: `POST /collect/{topic}`.
//!
//! An answer of 200 means that the records are durable. Any other answer, or
//! none, means that the client sends them again; tables with a `dedup_key`
//! leave out what had come before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use parking_lot::RwLock;
use sluice_core::{Clock, Record, RecordKind};

use crate::collect_body::{BodyError, BodyLimits, Encoding, split, unpack};
use crate::submissions::{Submissions, SubmitError};
use crate::transactions::mark_maxwell;

/// Header that may carry the write key.
const KEY_HEADER: &str = "x-sluice-key";
/// Seconds after which a refused client may try again.
const RETRY_AFTER_S: &str = "1";

/// A topic that clients may send to.
#[derive(Debug, Clone, Default)]
pub struct CollectedTopic {
    /// The key that clients must send, in the header `X-Sluice-Key`, as a
    /// bearer token, or (for `sendBeacon`) as the parameter `key`.
    pub write_key: Option<String>,
    /// Origins of pages that may send; `*` is any.
    pub origins: Vec<String>,
    /// Records say which transaction they belong to, as Maxwell does.
    pub maxwell_transactions: bool,
}

/// Limits of the collector.
#[derive(Debug, Clone, Copy)]
pub struct CollectorLimits {
    /// Bytes of a request's body, packed and unpacked.
    pub request_bytes_max: usize,
    /// Bytes of one record.
    pub record_bytes_max: usize,
    /// Records of one request.
    pub request_records_max: usize,
    /// Requests that are worked on at a time.
    pub requests_max: usize,
    /// How long a client may take to send its body.
    pub body_time_max: Duration,
}

impl Default for CollectorLimits {
    fn default() -> Self {
        Self {
            request_bytes_max: 16 << 20,
            record_bytes_max: 1 << 20,
            request_records_max: 100_000,
            requests_max: 1_024,
            body_time_max: Duration::from_secs(30),
        }
    }
}

/// What the collector has done since it started.
#[derive(Debug, Default)]
pub struct CollectorCounts {
    /// Records that were accepted.
    pub records: AtomicU64,
    /// Bytes of their payloads.
    pub bytes: AtomicU64,
    /// Requests that were accepted.
    pub accepted: AtomicU64,
    /// Requests that were refused.
    pub refused: AtomicU64,
}

/// See the module.
#[derive(Debug)]
pub struct Collector {
    topics: RwLock<BTreeMap<String, CollectedTopic>>,
    limits: CollectorLimits,
    submissions: Arc<Submissions>,
    clock: Arc<dyn Clock>,
    working: AtomicUsize,
    /// What was done.
    pub counts: CollectorCounts,
}

/// An answer other than 200.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    detail: String,
}

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, detail }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let status = match &error {
            BodyError::TooLong { .. }
            | BodyError::RecordTooLong { .. }
            | BodyError::TooManyRecords { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Empty | BodyError::BadCompression(_) | BodyError::BadArray => {
                StatusCode::BAD_REQUEST
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<SubmitError> for Refusal {
    fn from(error: SubmitError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl IntoResponse for Refusal {
    /// In the form of RFC 9457.
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let problem = serde_json::json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, content_type, problem.to_string()).into_response();
        let is_passing = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if is_passing.contains(&self.status) {
            let value = HeaderValue::from_static(RETRY_AFTER_S);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

/// Counts a request that is worked on.
struct Working<'a>(&'a AtomicUsize);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Collector {
    /// A collector for `topics` that hands its records to `submissions`.
    pub fn new(
        topics: BTreeMap<String, CollectedTopic>,
        limits: CollectorLimits,
        submissions: Arc<Submissions>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            topics: RwLock::new(topics),
            limits,
            submissions,
            clock,
            working: AtomicUsize::new(0),
            counts: CollectorCounts::default(),
        }
    }

    /// Takes records for these topics from now on.
    pub fn set_topics(&self, topics: BTreeMap<String, CollectedTopic>) {
        *self.topics.write() = topics;
    }

    /// Whether clients of `topic` must send a key.
    pub fn has_key(&self, topic: &str) -> bool {
        let topics = self.topics.read();
        topics
            .get(topic)
            .is_some_and(|topic| topic.write_key.is_some())
    }

    /// The routes of the collector.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/collect/{topic}", post(collect).options(preflight))
            .with_state(self)
    }

    async fn collect(
        &self,
        topic: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<usize, Refusal> {
        let definition = self.topics.read().get(topic).cloned();
        let Some(definition) = &definition else {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                format!("there is no collected topic `{topic}`"),
            ));
        };
        check_key(definition, query, headers)?;
        let working = self.working.fetch_add(1, Ordering::AcqRel) + 1;
        let _working = Working(&self.working);
        if working > self.limits.requests_max {
            let detail = format!("{} requests are being worked on", self.limits.requests_max);
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, detail));
        }
        let body = self.read_body(headers, body).await?;
        let limits = BodyLimits {
            record_bytes_max: self.limits.record_bytes_max,
            records_max: self.limits.request_records_max,
        };
        let payloads = split(&body, limits)?;
        let capture_time_us = self.clock.now_us();
        let record = |payload| Record {
            kind: RecordKind::Data,
            payload,
            capture_time_us,
            position: Bytes::new(),
            transaction: None,
        };
        let mut records: Vec<Record> = payloads.into_iter().map(record).collect();
        if definition.maxwell_transactions {
            mark_maxwell(&mut records);
        }
        let count = records.len();
        let durable = self.submissions.submit(topic.to_owned(), records)?;
        match durable.await {
            Ok(result) => result?,
            // Nobody is left to make them durable.
            Err(_) => return Err(SubmitError::Stopping.into()),
        }
        self.counts
            .records
            .fetch_add(count as u64, Ordering::Relaxed);
        let bytes = body.len() as u64;
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(count)
    }

    async fn read_body(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
        let limit = self.limits.request_bytes_max;
        let encoding = encoding_of(headers)?;
        let read = tokio::time::timeout(self.limits.body_time_max, to_bytes(body, limit));
        let packed = match read.await {
            Ok(Ok(packed)) => packed,
            Ok(Err(error)) => {
                let is_too_long = headers
                    .get(header::CONTENT_LENGTH)
                    .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
                    .is_none_or(|length| length > limit as u64);
                if is_too_long {
                    return Err(BodyError::TooLong { limit }.into());
                }
                let detail = format!("the body could not be read: {error}");
                return Err(Refusal::new(StatusCode::BAD_REQUEST, detail));
            }
            Err(_) => {
                let detail = "the body took too long to arrive";
                return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, detail));
            }
        };
        Ok(unpack(packed, encoding, limit)?)
    }
}

async fn collect(
    State(collector): State<Arc<Collector>>,
    Path(topic): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let outcome = collector
        .collect(&topic, query.as_deref(), &parts.headers, body)
        .await;
    let counts = &collector.counts;
    let mut response = match outcome {
        Ok(count) => {
            counts.accepted.fetch_add(1, Ordering::Relaxed);
            let content_type = [(header::CONTENT_TYPE, "application/json")];
            (content_type, format!("{{\"accepted\":{count}}}\n")).into_response()
        }
        Err(refusal) => {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            refusal.into_response()
        }
    };
    allow_origin(&collector, &topic, &parts.headers, &mut response);
    response
}

/// Tells a browser that a page of another origin may send.
async fn preflight(
    State(collector): State<Arc<Collector>>,
    Path(topic): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, content-encoding, authorization, x-sluice-key",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    allow_origin(&collector, &topic, &headers, &mut response);
    response
}

fn allow_origin(collector: &Collector, topic: &str, headers: &HeaderMap, response: &mut Response) {
    let topics = collector.topics.read();
    let (Some(definition), Some(origin)) = (topics.get(topic), headers.get(header::ORIGIN)) else {
        return;
    };
    let allowed = &definition.origins;
    let value = if allowed.iter().any(|origin| origin == "*") {
        HeaderValue::from_static("*")
    } else if allowed
        .iter()
        .any(|allowed| allowed.as_bytes() == origin.as_bytes())
    {
        origin.clone()
    } else {
        return;
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    // So that a page can see when to try again.
    let exposed = HeaderValue::from_static("retry-after");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

fn encoding_of(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let text = headers
        .get(header::CONTENT_ENCODING)
        .map_or(Ok("identity"), HeaderValue::to_str)
        .unwrap_or_default();
    match text.trim().to_ascii_lowercase().as_str() {
        "identity" | "" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        other => {
            let detail = format!("content-encoding `{other}` is not understood; use gzip or zstd");
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
        }
    }
}

fn check_key(
    definition: &CollectedTopic,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    let Some(wanted) = &definition.write_key else {
        return Ok(());
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || text("authorization")?.strip_prefix("Bearer ");
    let parameter = || query?.split('&').find_map(|pair| pair.strip_prefix("key="));
    let given = text(KEY_HEADER).or_else(bearer).or_else(parameter);
    if given.is_some_and(|given| is_same(given.as_bytes(), wanted.as_bytes())) {
        return Ok(());
    }
    let detail = "the write key is missing or wrong; send it in the header X-Sluice-Key";
    Err(Refusal::new(StatusCode::UNAUTHORIZED, detail))
}

/// Compares in a time that does not depend on where the first difference is.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differences = one
        .iter()
        .zip(other)
        .fold(0, |found, (a, b)| found | (a ^ b));
    one.len() == other.len() && differences == 0
}
