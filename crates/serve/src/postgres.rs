//! The PostgreSQL wire protocol, by datafusion-postgres.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::arrow_pg::datatypes::df::encode_dataframe;
use datafusion_postgres::auth::AuthManager;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::hooks::cursor::CursorStatementHook;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::api::auth::StartupHandler;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::{
    ClientInfo, ConnectionManager, ErrorHandler, PgWireServerHandlers,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::tokio::process_socket;
use datafusion_postgres::{DfSessionService, QueryHook};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use sluice_core::too_many_operators;

use crate::access::{Access, Role};
use crate::explain::explain_query;
use crate::read_only::refused;
use crate::session::{SESSION, Session};
use crate::sign_in::{OpenSessions, Startup};
use crate::too_many::{REFUSED_AT_ONCE_MAX, refuse};
use crate::wire_limits::{LimitedSession, refused_fetch};
use crate::{QueryEngine, ServeError};

/// A bound address that does not answer yet.
#[derive(Debug)]
pub struct PostgresListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl PostgresListener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is in use or not allowed.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where clients can connect.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Answers clients until `shutdown` is done, then ends their connections.
    ///
    /// # Errors
    /// When the catalog tables cannot be set up.
    pub async fn serve(
        self,
        engine: Arc<QueryEngine>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let session = engine.session();
        setup_pg_catalog(&session, "datafusion", Arc::new(AuthManager::default()))
            .map_err(|error| ServeError::Query(error.strip_backtrace()))?;
        let handlers = Arc::new(Handlers::new(session, engine.options.access.clone()));
        // So many are told at a time that there are too many.
        let refusing = Arc::new(Semaphore::new(REFUSED_AT_ONCE_MAX));
        let permits = Arc::new(Semaphore::new(engine.options.connections_max));
        let mut connections = tokio::task::JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            // A connection that failed before it was accepted concerns nobody
            // else; one above the limit is told so.
            let Ok((socket, _)) = accepted else { continue };
            let Ok(permit) = permits.clone().try_acquire_owned() else {
                if let Ok(permit) = refusing.clone().try_acquire_owned() {
                    let connections_max = engine.options.connections_max;
                    connections.spawn(async move {
                        refuse(socket, connections_max).await;
                        drop(permit);
                    });
                }
                continue;
            };
            let handlers = handlers.clone();
            let answering = async move {
                let _ = process_socket(socket, None, handlers).await;
                drop(permit);
            };
            connections.spawn(SESSION.scope(Session::unknown(), answering));
            while connections.try_join_next().is_some() {}
        }
        connections.shutdown().await;
        Ok(())
    }
}

/// Answers `EXPLAIN name`, which DataFusion has no plan for.
struct ExplainHook;

#[async_trait]
impl QueryHook for ExplainHook {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let query = explain_query(statement)?;
        let answer = async {
            let frame = session.sql(&query).await.map_err(as_user_error)?;
            let rows = encode_dataframe(frame, &Format::UnifiedText, None).await?;
            Ok(Response::Query(rows))
        };
        Some(answer.await)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        let query = explain_query(statement)?;
        let plan = session.state().create_logical_plan(&query).await;
        Some(plan.map_err(as_user_error))
    }

    async fn handle_extended_query(
        &self,
        _statement: &Statement,
        _plan: &LogicalPlan,
        _parameters: &ParamValues,
        _session: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        None
    }
}

fn as_user_error(error: DataFusionError) -> PgWireError {
    // 42P01: undefined_table.
    let message = ServeError::from(error).to_string();
    let info = ErrorInfo::new("ERROR".into(), "42P01".into(), message);
    PgWireError::UserError(Box::new(info))
}

struct Handlers {
    service: Arc<DfSessionService>,
    extended: Arc<LimitedSession>,
    access: Arc<Access>,
    sessions: Arc<OpenSessions>,
    connections: Arc<ConnectionManager>,
}

impl Handlers {
    fn new(session: Arc<SessionContext>, access: Arc<Access>) -> Self {
        // The first hook sees every statement before the others may answer it.
        let hooks: Vec<Arc<dyn QueryHook>> = vec![
            Arc::new(ReadOnlyHook(access.clone())),
            Arc::new(ExplainHook),
            Arc::new(CursorStatementHook),
            Arc::new(SetShowHook),
            Arc::new(TransactionStatementHook),
        ];
        let service = Arc::new(DfSessionService::new_with_hooks(session, hooks));
        Self {
            extended: Arc::new(LimitedSession(service.clone())),
            service,
            access,
            sessions: Arc::default(),
            connections: Arc::new(ConnectionManager::new()),
        }
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        self.service.clone()
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        self.extended.clone()
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        // One for each connection: it knows how far signing in is.
        let (access, sessions) = (self.access.clone(), self.sessions.clone());
        Arc::new(Startup::new(access, sessions, self.connections.clone()))
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        self.sessions.clone()
    }

    fn error_handler(&self) -> Arc<impl ErrorHandler> {
        Arc::new(Codes)
    }
}

/// Gives errors of running statements the codes that clients know.
struct Codes;

impl ErrorHandler for Codes {
    fn on_error<C: ClientInfo>(&self, _client: &C, error: &mut PgWireError) {
        let PgWireError::ApiError(inner) = &*error else {
            return;
        };
        let Some(found) = inner.downcast_ref::<DataFusionError>() else {
            return;
        };
        let (code, text) = match found.find_root() {
            DataFusionError::External(inner) => match inner.downcast_ref::<ServeError>() {
                // 57014: query_canceled.
                Some(error @ (ServeError::Cancelled | ServeError::TimeLimit(_))) => {
                    ("57014", error.to_string())
                }
                _ => return,
            },
            // 53200: out_of_memory.
            DataFusionError::ResourcesExhausted(detail) => ("53200", detail.clone()),
            _ => return,
        };
        let info = ErrorInfo::new("ERROR".into(), code.into(), text);
        *error = PgWireError::UserError(Box::new(info));
    }
}

/// Refuses statements that would change something, or take all memory, and
/// everything of those who may not ask in SQL. Notes how long a statement may
/// take.
struct ReadOnlyHook(Arc<Access>);

impl ReadOnlyHook {
    fn begin<C: ClientInfo + ?Sized>(
        &self,
        statement: &Statement,
        client: &C,
    ) -> Option<PgWireError> {
        let timeout = client.metadata().get(STATEMENT_TIMEOUT);
        let timeout_ms = timeout.and_then(|text| text.parse().ok()).unwrap_or(0);
        let role = SESSION.try_with(|session| {
            session.set_timeout_ms(timeout_ms);
            session.role()
        });
        if !self.0.is_open() && role.ok().flatten() < Some(Role::Analyst) {
            // 42501: insufficient_privilege.
            let problem = "your role asks no SQL";
            let info = ErrorInfo::new("ERROR".into(), "42501".into(), problem.into());
            return Some(PgWireError::UserError(Box::new(info)));
        }
        refusal(statement)
    }
}

/// Where the library keeps a connection's `statement_timeout`, in milliseconds.
const STATEMENT_TIMEOUT: &str = "statement_timeout_ms";

fn refusal(statement: &Statement) -> Option<PgWireError> {
    let (code, problem) = match refused_fetch(statement) {
        // 54000: program_limit_exceeded; 54001: statement_too_complex; 25006:
        // read_only_sql_transaction.
        Some(problem) => ("54000", problem),
        None => match too_many_operators(&statement.to_string()) {
            Some(problem) => ("54001", problem),
            None => {
                let error = ServeError::ReadOnly(refused(statement)?);
                ("25006", error.to_string())
            }
        },
    };
    let info = ErrorInfo::new("ERROR".into(), code.into(), problem);
    Some(PgWireError::UserError(Box::new(info)))
}

#[async_trait]
impl QueryHook for ReadOnlyHook {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.begin(statement, &*client).map(Err)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        self.begin(statement, &*client).map(Err)
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _plan: &LogicalPlan,
        _parameters: &ParamValues,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.begin(statement, &*client).map(Err)
    }
}
