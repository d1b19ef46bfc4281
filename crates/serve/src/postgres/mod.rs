//! The PostgreSQL wire protocol, by pgwire and datafusion-postgres.

mod catalog;
mod codes;
mod column_types;
mod comments;
mod connection;
mod copy_out;
mod cursor_words;
mod cursors;
mod discard;
mod explain_hook;
mod extended;
mod formats;
mod functions;
mod guard;
mod handlers;
mod hook;
mod interval_texts;
mod isolation;
mod json_texts;
mod known_words;
mod lists;
mod numerics;
mod parameter_texts;
mod parameter_types;
mod parameter_values;
mod parameters;
mod planning_codes;
mod prepared;
mod roles;
mod rows;
mod savepoints;
mod sent_rows;
mod service;
mod setting_functions;
mod setting_values;
mod settings;
mod sign_in;
mod simple;
mod startup_options;
mod statement_span;
mod stream;
mod time_texts;
mod time_zones;
mod too_many;
mod transaction_settings;
mod value_bytes;
mod value_codes;
mod value_texts;

use std::net::SocketAddr;
use std::sync::Arc;

use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use self::catalog::Identities;
use self::comments::Comments;
use self::connection::Client;
pub(crate) use self::cursors::Cursors;
use self::handlers::Handlers;
use self::roles::Roles;
pub(crate) use self::setting_functions::NotedSettings;
use self::sign_in::Door;
use self::too_many::{REFUSED_AT_ONCE_MAX, refuse};
pub(crate) use self::transaction_settings::{TransactionSettings, tables_to_read};
use crate::query_engine::CATALOG;
use crate::session::{SESSION, Session};
use crate::tls::Tls;
use crate::{QueryEngine, ServeError};

/// A bound address that does not answer yet.
#[derive(Debug)]
pub struct PostgresListener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

impl PostgresListener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is in use or not allowed.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            tls: None,
        })
    }

    /// Encrypts for clients that ask for it, and answers those of other machines
    /// no other way.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<Arc<Tls>>) -> Self {
        self.tls = tls;
        self
    }

    /// Where clients can connect.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Answers clients until `shutdown` is done, then ends their connections.
    ///
    /// # Errors
    /// When the catalog tables cannot be set up.
    pub fn serve(
        self,
        engine: Arc<QueryEngine>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> BoxFuture<'static, Result<(), ServeError>> {
        self.serve_boxed(engine, Box::pin(shutdown))
    }

    /// Not generic, so that what answers is not compiled again by each caller.
    fn serve_boxed(
        self,
        engine: Arc<QueryEngine>,
        shutdown: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<(), ServeError>> {
        Box::pin(self.serve_until(engine, shutdown))
    }

    async fn serve_until(
        self,
        engine: Arc<QueryEngine>,
        mut shutdown: BoxFuture<'static, ()>,
    ) -> Result<(), ServeError> {
        let session = engine.session();
        let access = engine.options.access.clone();
        setup_pg_catalog(&session, CATALOG, Roles(access))
            .map_err(|error| ServeError::Query(error.strip_backtrace()))?;
        let comments = Comments::default();
        let identities = Identities::default();
        functions::register(&session, &comments);
        setting_functions::register(&session, &engine.options.time_zone);
        let sessions = Arc::default();
        catalog::register_functions(&session, &identities, &engine.tables, &sessions);
        let source = &engine.tables.source;
        catalog::register_schema(&session, &comments, &identities, source, &sessions)?;
        let door = Door {
            access: engine.options.access.clone(),
            sessions,
            time_zone: engine.options.time_zone.clone(),
            auditor: engine.options.auditor.clone(),
            keys: Arc::default(),
        };
        let handlers = Arc::new(Handlers::new(&engine, session.clone(), door));
        // So many are told at a time that there are too many.
        let refusing = Arc::new(Semaphore::new(REFUSED_AT_ONCE_MAX));
        let permits = Arc::new(Semaphore::new(engine.options.connections_max));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            // A connection that failed before it was accepted concerns nobody
            // else; one above the limit is told so.
            let Ok((stream, from)) = accepted else {
                continue;
            };
            let Ok(permit) = permits.clone().try_acquire_owned() else {
                if let Ok(permit) = refusing.clone().try_acquire_owned() {
                    let connections_max = engine.options.connections_max;
                    connections.spawn(async move {
                        refuse(stream, connections_max).await;
                        drop(permit);
                    });
                }
                continue;
            };
            let handlers = handlers.clone();
            let tls = self.tls.as_ref().map(|tls| tls.postgres());
            let client = Client { stream, from, tls };
            let (engine, session, comments) = (engine.clone(), session.clone(), comments.clone());
            let identities = identities.clone();
            let answering = async move {
                // Comments that are not found are missing, no more.
                if let Ok(true) = identities.refresh(&session).await {
                    comments.refresh(&identities, &engine.options);
                }
                // A connection that breaks concerns nobody else.
                let _ = connection::answer(client, handlers).await;
                drop(permit);
            };
            connections.spawn(SESSION.scope(Session::new(Some(from)), answering));
        }
        connections.shutdown().await;
        Ok(())
    }
}
