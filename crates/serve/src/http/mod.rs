//! The HTTP API: one endpoint a file.

mod catalog;
mod health;
mod listener;
mod live;
mod lookup;
mod page;
mod percent;
mod problem;
mod sql;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use sluice_core::Clock;
use tokio::sync::Semaphore;

use crate::live_feed::LiveFeed;
use crate::metrics::{Metric, Metrics};
use crate::query_engine::QueryEngine;
use crate::tables::SnapshotSource;

pub use listener::HttpListener;

/// Limits of the HTTP API.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Bytes of a statement.
    pub statement_bytes_max: usize,
    /// Bytes of an answer in JSON or CSV.
    pub answer_bytes_max: usize,
    /// Queries that run at a time; others wait.
    pub queries_max: usize,
    /// How long a query may wait for its turn.
    pub turn_time_max: Duration,
    /// Live connections.
    pub watchers_max: usize,
    /// Views of one live connection.
    pub watched_views_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            statement_bytes_max: 1 << 20,
            answer_bytes_max: 256 << 20,
            queries_max: 16,
            turn_time_max: Duration::from_secs(10),
            watchers_max: 1_000,
            watched_views_max: 32,
        }
    }
}

/// What the warehouse says about itself.
#[derive(Debug, Clone)]
pub struct WarehouseInfo {
    /// Its name.
    pub name: String,
    /// Its business time zone.
    pub time_zone: String,
    /// The currency of its reports.
    pub currency: Option<String>,
    /// Names of its materialized views; other collections are tables.
    pub views: BTreeSet<String>,
}

/// What the endpoints need.
pub struct HttpState {
    engine: Arc<QueryEngine>,
    source: SnapshotSource,
    live: Arc<LiveFeed>,
    metrics: Arc<Metrics>,
    info: WarehouseInfo,
    limits: HttpLimits,
    clock: Arc<dyn Clock>,
    start_us: i64,
    query_turns: Semaphore,
    watch_turns: Arc<Semaphore>,
    is_ready: AtomicBool,
    queries: Metric,
    query_failures: Metric,
    lookups: Metric,
    watchers: Metric,
}

impl std::fmt::Debug for HttpState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("HttpState")
            .field("info", &self.info)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl HttpState {
    /// State for one warehouse.
    pub fn new(
        engine: Arc<QueryEngine>,
        source: SnapshotSource,
        live: Arc<LiveFeed>,
        metrics: Arc<Metrics>,
        info: WarehouseInfo,
        limits: HttpLimits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            query_turns: Semaphore::new(limits.queries_max),
            watch_turns: Arc::new(Semaphore::new(limits.watchers_max)),
            start_us: clock.now_us(),
            is_ready: AtomicBool::new(false),
            queries: metrics.counter("sluice_http_queries_total", "Statements asked over HTTP."),
            query_failures: metrics.counter(
                "sluice_http_query_failures_total",
                "Statements over HTTP that were refused or failed.",
            ),
            lookups: metrics.counter("sluice_http_lookups_total", "Point look-ups."),
            watchers: metrics.gauge("sluice_live_watchers", "Open live connections."),
            engine,
            source,
            live,
            metrics,
            info,
            limits,
            clock,
        }
    }

    /// Whether the sources are being followed, so that traffic may come.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::Release);
    }
}

/// All endpoints.
pub fn router(state: Arc<HttpState>) -> Router {
    let statement_limit = DefaultBodyLimit::max(state.limits.statement_bytes_max);
    Router::new()
        .route("/api/v1/sql", post(sql::sql).layer(statement_limit))
        .route("/api/v1/tables/{name}/{key}", get(lookup::lookup))
        .route("/api/v1/live/{views}", get(live::live))
        .route("/api/v1/info", get(catalog::info))
        .route("/api/v1/catalog", get(catalog::catalog))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(page::page)
        .with_state(state)
}
