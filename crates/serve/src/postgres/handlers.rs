//! What answers the messages of PostgreSQL clients.

use std::io;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast;
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use sluice_core::Spans;

use super::copy_out::CopyHook;
use super::cursors::CursorHook;
use super::discard::DiscardHook;
use super::explain_hook::ExplainHook;
use super::extended::Extended;
use super::guard::Guard;
use super::hook::Both;
use super::rows::QueryRows;
use super::savepoints::{FailedTransactionHook, SavepointHook};
use super::setting_functions::{SettingFunctionsHook, forget_wanted};
use super::settings::SettingsHook;
use super::sign_in::{Door, OpenSessions, Startup};
use super::simple::Simple;
use super::time_zones::Services;
use crate::QueryEngine;
use crate::audit::Auditor;
use crate::statement_times::StatementTimes;

/// A parsed statement as the library keeps it.
pub(super) type Statement = (String, Option<(ast::Statement, LogicalPlan)>);

/// See the module.
pub(super) struct Handlers {
    /// Statements as texts.
    pub(super) simple: Arc<Simple>,
    /// Statements that are prepared.
    pub(super) extended: Arc<Extended>,
    /// How many statements are asked, and how long they take.
    pub(super) times: StatementTimes,
    /// Told of every statement.
    pub(super) spans: Spans,
    settings: SettingsHook,
    door: Arc<Door>,
}

impl Handlers {
    pub(super) fn new(engine: &Arc<QueryEngine>, session: Arc<SessionContext>, door: Door) -> Self {
        let settings = SettingsHook {
            time_zone: door.time_zone.clone(),
        };
        // The first three see every statement before the others may answer it.
        let hooks: Vec<Arc<dyn QueryHook>> = vec![
            Arc::new(Both(FailedTransactionHook)),
            Arc::new(Both(Guard(door.access.clone()))),
            Arc::new(Both(SettingFunctionsHook(settings.clone()))),
            Arc::new(ExplainHook),
            Arc::new(CursorHook),
            Arc::new(Both(CopyHook)),
            Arc::new(Both(settings.clone())),
            Arc::new(Both(DiscardHook(settings.clone()))),
            Arc::new(Both(SavepointHook(settings.clone()))),
            Arc::new(TransactionStatementHook),
            Arc::new(QueryRows),
        ];
        let services = Arc::new(Services::new(engine.clone(), session, hooks));
        Self {
            extended: Arc::new(Extended {
                services: services.clone(),
                settings: settings.clone(),
            }),
            simple: Arc::new(Simple::new(services, settings.clone())),
            times: StatementTimes::new(&engine.options.metrics, "postgres"),
            spans: engine.options.spans.clone(),
            settings,
            door: Arc::new(door),
        }
    }

    /// The beginning of one connection: it knows how far signing in is.
    pub(super) fn startup(&self) -> Arc<Startup> {
        Arc::new(Startup::new(self.door.clone()))
    }

    /// Takes back what was set in a transaction that has begun by itself and failed, and
    /// what the statement that failed would have set.
    ///
    /// # Errors
    /// When the client cannot be told.
    pub(super) async fn take_back(&self, client: &mut dyn HookClient) -> io::Result<()> {
        forget_wanted();
        if !matches!(client.transaction_status(), TransactionStatus::Idle) {
            return Ok(());
        }
        let taken_back = self.settings.end(false, client).await;
        taken_back.map_err(io::Error::other)
    }

    /// Those who can be cancelled.
    pub(super) fn sessions(&self) -> Arc<OpenSessions> {
        self.door.sessions.clone()
    }

    /// Who keeps what is asked.
    pub(super) fn auditor(&self) -> Option<&dyn Auditor> {
        self.door.auditor.as_deref()
    }
}
