//! The HTTP API: one endpoint a file.

mod access;
mod answers;
mod backfill;
mod catalog;
mod connection;
mod dead_letters;
mod docs;
mod forms;
mod health;
mod kept_answers;
mod listener;
mod live;
mod lookup;
mod maybe_tls;
mod measure;
mod openapi;
mod page;
mod panel_metrics;
mod panels;
mod percent;
mod problem;
mod request_span;
mod saved_panels;
mod sql;
mod sugar;
mod traceparent;
mod xlsx;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use axum::{Router, middleware};
use parking_lot::RwLock;
use sluice_core::Clock;
use tokio::sync::{Semaphore, SemaphorePermit};

use self::answers::Answers;
use self::measure::{Measure, measure_request};
use self::panel_metrics::PanelMetrics;
use self::problem::Problem;
use crate::letter_retry::RetryLetters;
use crate::live_feed::LiveFeed;
use crate::metrics::{Metric, Metrics};
use crate::panels::{KeepPanels, Panels};
use crate::query_engine::{QueryEngine, QueryResult};
use crate::session;
use crate::statement_times::StatementTimes;
use crate::tables::SnapshotSource;
use crate::take_rows::TakeRows;

pub use access::{HasKey, Rules, guarded};
pub use connection::ConnectionLimits;
pub use listener::HttpListener;
pub use request_span::traced;

/// So many rows are written without leaving the thread.
const ROWS_AT_ONCE_MAX: usize = 5_000;

/// Limits of the HTTP API.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Bytes of a statement.
    pub statement_bytes_max: usize,
    /// Bytes of an answer.
    pub answer_bytes_max: usize,
    /// Queries that run at a time; others wait.
    pub queries_max: usize,
    /// How long a query may wait for its turn.
    pub turn_time_max: Duration,
    /// Live connections.
    pub watchers_max: usize,
    /// Views of one live connection.
    pub watched_views_max: usize,
    /// So often a quiet live connection shows that it lives.
    pub heartbeat_time: Duration,
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
            heartbeat_time: Duration::from_secs(15),
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
    /// Pages of documentation: the empty name is the index.
    pub docs: BTreeMap<String, String>,
    /// What tables and models say of themselves, and what they read, as JSON.
    pub models: String,
    /// What Sugar BI sends to be answered; without it, it is not answered.
    pub sugar_token: Option<String>,
    /// Whether what people click in the sample shop (`/shop`) belongs into it. Into a
    /// warehouse of somebody's own it would bring visits that nobody made.
    pub has_sample_shop: bool,
}

/// What a change of models changes.
#[derive(Debug, Default)]
struct ModelsInfo {
    /// Names of the materialized views; other collections are tables.
    views: BTreeSet<String>,
    /// How far a change is, or why it is refused.
    change: Option<String>,
}

/// What the endpoints need.
pub struct HttpState {
    engine: Arc<QueryEngine>,
    source: SnapshotSource,
    live: Arc<LiveFeed>,
    metrics: Arc<Metrics>,
    info: WarehouseInfo,
    models: RwLock<ModelsInfo>,
    panels: RwLock<Panels>,
    /// Keeps panels that are made on the page, where that is possible.
    panel_keeper: RwLock<Option<Arc<dyn KeepPanels>>>,
    /// Held from what is kept until it is in force or taken back.
    panel_change: tokio::sync::Mutex<()>,
    /// Tries dead letters again, where that is possible.
    retries: RwLock<Option<Arc<dyn RetryLetters>>>,
    /// Takes rows of exports, where that is possible.
    row_taker: RwLock<Option<Arc<dyn TakeRows>>>,
    answers: Answers,
    panel_metrics: PanelMetrics,
    limits: HttpLimits,
    clock: Arc<dyn Clock>,
    start_us: i64,
    query_turns: Semaphore,
    watch_turns: Arc<Semaphore>,
    is_ready: AtomicBool,
    queries: Metric,
    query_failures: Metric,
    statements: StatementTimes,
    lookups: Metric,
    rows: Metric,
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
            statements: StatementTimes::new(&metrics, "http"),
            lookups: metrics.counter("sluice_http_lookups_total", "Point look-ups."),
            rows: metrics.counter(
                "sluice_http_rows_total",
                "Rows in answers to statements and look-ups.",
            ),
            watchers: metrics.gauge("sluice_live_watchers", "Open live connections."),
            engine,
            source,
            live,
            models: RwLock::new(ModelsInfo {
                views: info.views.clone(),
                change: None,
            }),
            panels: RwLock::default(),
            panel_keeper: RwLock::default(),
            panel_change: tokio::sync::Mutex::default(),
            retries: RwLock::default(),
            row_taker: RwLock::default(),
            answers: Answers::new(&metrics),
            panel_metrics: PanelMetrics::new(&metrics),
            metrics,
            info,
            limits,
            clock,
        }
    }

    /// The materialized views are others from now on.
    pub fn set_views(&self, views: BTreeSet<String>) {
        self.models.write().views = views;
    }

    /// What there is to say of a change of models.
    pub fn say_of_models(&self, text: Option<String>) {
        self.models.write().change = text;
    }

    /// The panels are others from now on.
    pub fn set_panels(&self, panels: Panels) {
        *self.panels.write() = panels;
    }

    /// Panels that are made on the page are kept from now on.
    pub fn set_panel_keeper(&self, keeper: Arc<dyn KeepPanels>) {
        *self.panel_keeper.write() = Some(keeper);
    }

    /// Dead letters can be tried again from now on.
    pub fn set_retries(&self, retries: Arc<dyn RetryLetters>) {
        *self.retries.write() = Some(retries);
    }

    /// Rows of exports are taken from now on.
    pub fn set_row_taker(&self, taker: Arc<dyn TakeRows>) {
        *self.row_taker.write() = Some(taker);
    }

    /// Waits until a query may run.
    async fn query_turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let turn = tokio::time::timeout(self.limits.turn_time_max, self.query_turns.acquire());
        match turn.await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{} queries are running; try again", self.limits.queries_max),
            )),
        }
    }

    /// Writes an answer; where it has many rows, others are answered in the
    /// meantime.
    async fn write_rows(
        &self,
        result: QueryResult,
        write: impl FnOnce(&QueryResult) -> Result<Vec<u8>, Problem> + Send + 'static,
    ) -> Result<Vec<u8>, Problem> {
        let row_count: usize = result.batches.iter().map(RecordBatch::num_rows).sum();
        self.rows.add(row_count as u64);
        if row_count <= ROWS_AT_ONCE_MAX {
            return write(&result);
        }
        let written = tokio::task::spawn_blocking(move || write(&result)).await;
        written.map_err(|_| Problem::interrupted())?
    }

    /// Refuses rows of a table that are given as they are, where whoever asks may
    /// not read all of its columns.
    fn require_whole(&self, table: &str) -> Result<(), Problem> {
        let access = &self.engine.options.access;
        let role = session::limiting_role(access);
        match role.and_then(|role| access.whole_refusal(role, table)) {
            Some(refusal) => Err(Problem::new(StatusCode::FORBIDDEN, refusal)),
            None => Ok(()),
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
    let measured = |endpoint: &'static str, route: MethodRouter<Arc<HttpState>>| {
        let measure = Measure::new(state.metrics.clone(), endpoint);
        route.layer(middleware::from_fn_with_state(measure, measure_request))
    };
    let sql = post(sql::sql)
        .layer(statement_limit)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            refuse_long_statement,
        ));
    let lookup = get(lookup::lookup);
    Router::new()
        .route("/api/v1/sql", measured("sql", sql))
        .route("/api/v1/tables/{name}/{key}", measured("tables", lookup))
        .route("/api/v1/live/{views}", measured("live", get(live::live)))
        .route("/api/v1/info", measured("info", get(catalog::info)))
        .route(
            "/api/v1/catalog",
            measured("catalog", get(catalog::catalog)),
        )
        .route(
            "/api/v1/panels",
            measured(
                "panels",
                get(panels::list)
                    .post(saved_panels::save)
                    .layer(statement_limit),
            ),
        )
        .route(
            "/api/v1/panels/{name}",
            measured("panels", get(panels::answer).delete(saved_panels::remove)),
        )
        .route(
            "/api/v1/panels/{name}/detail",
            measured("panels", get(panels::detail)),
        )
        .route(
            "/api/v1/dead-letters",
            measured("dead_letters", get(dead_letters::list)),
        )
        .route(
            "/api/v1/dead-letters/replay",
            measured(
                "dead_letters",
                post(dead_letters::replay).layer(statement_limit),
            ),
        )
        .route(
            "/api/v1/backfill/plan",
            measured("backfill", post(backfill::plan).layer(statement_limit)),
        )
        .route(
            "/api/v1/backfill",
            measured(
                "backfill",
                post(backfill::backfill).layer(DefaultBodyLimit::max(backfill::REQUEST_BYTES_MAX)),
            ),
        )
        .route(
            "/api/v1/sugar/{panel}",
            measured("sugar", post(sugar::sugar).layer(statement_limit)),
        )
        .route(
            "/api/v1/openapi.json",
            measured("openapi", get(openapi::openapi)),
        )
        .route("/api/v1/models", measured("models", get(docs::models)))
        .route("/docs", measured("docs", get(docs::index)))
        .route("/docs/{layer}", measured("docs", get(docs::layer)))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback_service(measured("page", any(page::page)).with_state(state.clone()))
        .with_state(state)
}

/// Refuses a statement by what its head says of its length, before any of it is
/// read.
async fn refuse_long_statement(
    State(state): State<Arc<HttpState>>,
    request: Request,
    next: Next,
) -> Response {
    let bytes_max = state.limits.statement_bytes_max;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max as u64) {
        let detail = format!("a statement has at most {bytes_max} bytes");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
    }
    next.run(request).await
}
