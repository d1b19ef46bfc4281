//! The PostgreSQL wire of a running warehouse, on threads of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use sluice_engine::Program;
use sluice_serve::{PostgresListener, QueryEngine, QueryOptions, SnapshotSource};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::config::{Config, Limits};
use crate::failure::{Doing, Failure};
use crate::report::Reporter;

/// A running server.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    runtime: Runtime,
    shutdown: Option<oneshot::Sender<()>>,
}

impl Serving {
    /// Binds the address and answers from then on.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(
        config: &Config,
        program: &Program,
        source: SnapshotSource,
        reporter: Reporter,
    ) -> Result<Self, Failure> {
        let wanted = config.postgres_address();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("serve")
            .enable_all()
            .build()
            .doing("starting the server's threads")?;
        let query_views = program.query_views().to_vec();
        let engine = query_engine(
            &config.limits,
            config.time_zone.get_ref(),
            query_views,
            source,
        )?;
        let listener = runtime
            .block_on(PostgresListener::bind(wanted))
            .doing(&format!("listening on {wanted} for PostgreSQL clients"))?;
        let address = listener.local_address();
        let (shutdown, stopped) = oneshot::channel();
        let serve = listener.serve(Arc::new(engine), async {
            let _ = stopped.await;
        });
        runtime.spawn(async move {
            if let Err(error) = serve.await {
                reporter.error(&format!("the PostgreSQL wire ended: {error}"));
            }
        });
        Ok(Self {
            address,
            runtime,
            shutdown: Some(shutdown),
        })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends open connections and stops.
    pub fn stop(mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        self.runtime
            .shutdown_timeout(std::time::Duration::from_secs(2));
    }
}

/// Answers ad-hoc queries on what `source` gives.
///
/// # Errors
/// When a query view cannot be planned.
pub fn query_engine(
    limits: &Limits,
    time_zone: &str,
    query_views: Vec<(String, String)>,
    source: SnapshotSource,
) -> Result<QueryEngine, Failure> {
    let options = QueryOptions {
        memory_bytes_max: limits.query_memory_bytes_max,
        time_ms_max: limits.query_time_ms_max,
        time_zone: time_zone.to_owned(),
        query_views,
        ..QueryOptions::default()
    };
    QueryEngine::new(source, options).doing("preparing the query engine")
}
