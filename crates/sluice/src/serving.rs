//! What a running warehouse answers: the PostgreSQL wire, and over HTTP the
//! page, the API and the collector. On threads of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_capture::Collector;
use sluice_core::{Spans, SystemClock};
use sluice_engine::Program;
use sluice_functions::Functions;
use sluice_serve::{
    Access, Auditor, ColumnMeaning, HasKey, HttpLimits, HttpListener, HttpState, KeepPanels,
    LiveFeed, Metrics, Panels, PostgresListener, QueryEngine, QueryOptions, RetryLetters, Rules,
    RunningViews, SnapshotSource, TakeRows, Tls, WarehouseInfo, guarded, traced,
};
use sluice_watch::{Alert, Watcher};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

use crate::config::{Config, Limits};
use crate::docs::{ProjectDocs, html_pages, models_json};
use crate::failure::{Doing, Failure};
use crate::report::Reporter;
use crate::watching::Asker;

/// How long open requests may take to end when the program is stopped.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);

/// What the servers are made of.
pub struct ServingParts {
    /// The newest snapshot.
    pub source: SnapshotSource,
    /// Changes of every epoch.
    pub live: Arc<LiveFeed>,
    /// Numbers about the program.
    pub metrics: Arc<Metrics>,
    /// Takes records of clients.
    pub collector: Arc<Collector>,
    /// Tells about the operators of views.
    pub views: Arc<dyn RunningViews>,
    /// What tables and models say of themselves.
    pub docs: ProjectDocs,
    /// The alarms.
    pub watcher: Arc<Watcher>,
    /// Who may ask what.
    pub access: Arc<Access>,
    /// Keeps what is asked and changed.
    pub auditor: Option<Arc<dyn Auditor>>,
    /// Encryption of both addresses.
    pub tls: Option<Arc<Tls>>,
    /// Told of every request and statement.
    pub spans: Spans,
    /// What Sugar BI must send; without it, it is not answered.
    pub sugar_token: Option<String>,
    /// Whether what people click in the sample shop belongs into this warehouse.
    pub has_sample_shop: bool,
}

/// Threads that take connections, and as many that compute answers.
const THREADS: usize = 2;

/// The running servers.
#[derive(Debug)]
pub struct Serving {
    postgres: SocketAddr,
    http: SocketAddr,
    state: Arc<HttpState>,
    queries: Arc<QueryEngine>,
    watcher: Arc<Watcher>,
    /// Takes records, asks for panels, tells what changes.
    connections: Runtime,
    /// Computes what is asked. PostgreSQL clients, each of whom waits for one
    /// statement at a time, are all here.
    answers: Runtime,
    stop: watch::Sender<bool>,
}

fn threads(name: &str) -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_stack_size(sluice_core::PLANNING_STACK_BYTES)
        .thread_name(name)
        .enable_all()
        .build()
        .doing("starting the server's threads")
}

impl Serving {
    /// Binds the addresses and answers from then on.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub fn start(
        config: &Config,
        program: &Program,
        parts: ServingParts,
        reporter: Reporter,
    ) -> Result<Self, Failure> {
        let connections = threads("connections")?;
        let answers = threads("answers")?;
        let query_views = program.query_views().to_vec();
        let time_zone = config.time_zone.get_ref();
        let engine = query_engine(
            &config.limits,
            time_zone,
            query_views,
            program.functions().clone(),
            parts.docs.column_meanings(),
            EngineSettings {
                access: parts.access.clone(),
                auditor: parts.auditor.clone(),
                metrics: parts.metrics.clone(),
                spans: parts.spans.clone(),
                table_meanings: parts.docs.table_meanings(),
                threads: Some(answers.handle().clone()),
            },
            parts.source.clone(),
        )?;
        engine
            .explain_with(parts.views)
            .doing("preparing EXPLAIN")?;
        let engine = Arc::new(engine);
        let queries = engine.clone();
        let (stop, stopped) = watch::channel(false);
        let until_stopped = || {
            let mut stopped = stopped.clone();
            async move {
                let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
            }
        };

        let wanted = config.postgres_address();
        let listener = answers
            .block_on(PostgresListener::bind(wanted))
            .doing(&format!("listening on {wanted} for PostgreSQL clients"))?
            .with_tls(parts.tls.clone());
        let postgres = listener.local_address();
        let serve = listener.serve(engine.clone(), until_stopped());
        answers.spawn(async move {
            if let Err(error) = serve.await {
                reporter.error(&format!("the PostgreSQL wire ended: {error}"));
            }
        });

        let wanted = config.http_address();
        let listener = connections
            .block_on(HttpListener::bind(wanted))
            .doing(&format!("listening on {wanted} for HTTP clients"))?
            .with_tls(parts.tls);
        let http = listener.local_address();
        let views = program.collections().iter();
        let views = views.filter(|collection| collection.is_view);
        let info = WarehouseInfo {
            name: config.name.clone(),
            time_zone: time_zone.clone(),
            currency: config.currency.clone(),
            views: views.map(|view| view.name.clone()).collect(),
            docs: html_pages(&parts.docs),
            models: models_json(&parts.docs),
            sugar_token: parts.sugar_token,
            has_sample_shop: parts.has_sample_shop,
        };
        let state = Arc::new(HttpState::new(
            engine,
            parts.source,
            parts.live,
            parts.metrics,
            info,
            HttpLimits::default(),
            Arc::new(SystemClock),
        ));
        let collector = parts.collector.clone();
        let has_key: HasKey = Arc::new(move |topic| collector.has_key(topic));
        let router = parts
            .collector
            .router()
            .merge(sluice_watch::router(parts.watcher.clone()))
            .merge(sluice_serve::router(state.clone()));
        let rules = Rules {
            access: parts.access,
            has_key,
            requests_per_second_max: config.limits.requests_per_second_max,
            clock: Arc::new(SystemClock),
            auditor: parts.auditor,
        };
        let router = traced(guarded(router, rules), parts.spans);
        let serve = listener.serve(router, until_stopped());
        connections.spawn(async move {
            if let Err(error) = serve.await {
                reporter.error(&format!("the HTTP server ended: {error}"));
            }
        });
        Ok(Self {
            postgres,
            http,
            state,
            queries,
            watcher: parts.watcher,
            connections,
            answers,
            stop,
        })
    }

    /// Where PostgreSQL clients are answered.
    pub fn postgres_address(&self) -> SocketAddr {
        self.postgres
    }

    /// Where the page, the API and the collector are.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Tells whoever asks whether the sources are being followed.
    pub fn set_ready(&self, is_ready: bool) {
        self.state.set_ready(is_ready);
    }

    /// Answers under other models from now on.
    ///
    /// # Errors
    /// When a query view cannot be planned.
    pub fn change_program(&self, program: &Program) -> Result<(), Failure> {
        let collections = program.collections().iter();
        let views = collections.filter(|collection| collection.is_view);
        self.state
            .set_views(views.map(|view| view.name.clone()).collect());
        self.queries
            .set_query_views(program.query_views())
            .doing("planning the query views")?;
        self.state.note_changed_models();
        Ok(())
    }

    /// Answers these panels from now on.
    pub fn set_panels(&self, panels: Panels) {
        self.state.set_panels(panels);
    }

    /// Panels that are made on the page are kept from now on.
    pub fn set_panel_keeper(&self, keeper: Arc<dyn KeepPanels>) {
        self.state.set_panel_keeper(keeper);
    }

    /// Dead letters can be tried again from now on.
    pub fn set_retries(&self, retries: Arc<dyn RetryLetters>) {
        self.state.set_retries(retries);
    }

    /// Rows of exports are taken from now on.
    pub fn set_row_taker(&self, taker: Arc<dyn TakeRows>) {
        self.state.set_row_taker(taker);
    }

    /// Goes by these alarms from now on.
    ///
    /// # Errors
    /// When their state cannot be kept.
    pub fn set_alerts(&self, alerts: Vec<Alert>) -> Result<(), Failure> {
        let set = self.watcher.set_alerts(alerts);
        set.doing("keeping the state of alarms")
    }

    /// What the API says of a change of models.
    pub fn say_of_models(&self, text: Option<String>) {
        self.state.say_of_models(text);
    }

    /// Who answers alarms.
    pub fn asker(&self) -> Asker {
        Asker {
            engine: self.queries.clone(),
            runtime: self.answers.handle().clone(),
        }
    }

    /// Ends open connections and stops.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        self.connections.shutdown_timeout(STOP_TIME_MAX);
        self.answers.shutdown_timeout(STOP_TIME_MAX);
    }
}

/// What else an engine knows: by default everybody may ask, and nobody keeps what
/// was asked.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// Who may ask what.
    pub access: Arc<Access>,
    /// Keeps what was asked.
    pub auditor: Option<Arc<dyn Auditor>>,
    /// Where statements are counted.
    pub metrics: Arc<Metrics>,
    /// Told of every statement.
    pub spans: Spans,
    /// What tables and views mean.
    pub table_meanings: BTreeMap<String, String>,
    /// The threads that compute answers to HTTP clients.
    pub threads: Option<Handle>,
}

/// Answers ad-hoc queries on what `source` gives.
///
/// # Errors
/// When a query view cannot be planned.
pub fn query_engine(
    limits: &Limits,
    time_zone: &str,
    query_views: Vec<(String, String)>,
    functions: Functions,
    column_meanings: Vec<ColumnMeaning>,
    settings: EngineSettings,
    source: SnapshotSource,
) -> Result<QueryEngine, Failure> {
    let options = QueryOptions {
        memory_bytes_max: limits.query_memory_bytes_max,
        time_ms_max: limits.query_time_ms_max,
        time_zone: time_zone.to_owned(),
        query_views,
        functions,
        column_meanings,
        access: settings.access,
        auditor: settings.auditor,
        metrics: settings.metrics,
        spans: settings.spans,
        table_meanings: settings.table_meanings,
        threads: settings.threads,
        ..QueryOptions::default()
    };
    QueryEngine::new(source, options).doing("preparing the query engine")
}
