//! Counts what every endpoint answers, and how long that takes.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::metrics::{Histogram, Metrics};

/// The numbers of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    metrics: Arc<Metrics>,
    endpoint: &'static str,
    times: Histogram,
}

impl Measure {
    pub(super) fn new(metrics: Arc<Metrics>, endpoint: &'static str) -> Self {
        let times = metrics.histogram_of(
            "sluice_http_request_duration_seconds",
            "Time until an answer begins.",
            &[("endpoint", endpoint)],
        );
        Self {
            metrics,
            endpoint,
            times,
        }
    }
}

pub(super) async fn measure_request(
    State(measure): State<Measure>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let response = next.run(request).await;
    let time_us = start.elapsed().as_micros();
    measure.times.observe_us(time_us as u64);
    let status = response.status();
    let labels = [("endpoint", measure.endpoint), ("status", status.as_str())];
    let requests = measure.metrics.counter_of(
        "sluice_http_requests_total",
        "Answers by endpoint and status.",
        &labels,
    );
    requests.add(1);
    response
}
