//! How many rows one message of the PostgreSQL wire may ask for.
//!
//! The library makes room for that number before it has a single row, so that
//! a client that says "all" with the largest number there is, as drivers do,
//! would end the process.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::sql::sqlparser::ast::{FetchDirection, Statement};
use datafusion_postgres::DfSessionService;
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::api::query::ExtendedQueryHandler;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::extendedquery::Execute;
use futures::Sink;

/// Rows that one FETCH or one Execute may ask for.
const FETCH_ROWS_MAX: u32 = 1 << 20;

/// Why a FETCH is refused.
pub(crate) fn refused_fetch(statement: &Statement) -> Option<String> {
    let Statement::Fetch {
        direction: FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) },
        ..
    } = statement
    else {
        return None;
    };
    let is_small = limit
        .to_string()
        .parse()
        .is_ok_and(|count: u32| count <= FETCH_ROWS_MAX);
    (!is_small).then(|| {
        format!("FETCH takes 0 to {FETCH_ROWS_MAX} rows at a time, not {limit}; fetch them in turns, or use FETCH ALL")
    })
}

/// Answers messages of the extended protocol. One that asks for more rows than
/// [`FETCH_ROWS_MAX`] gets all of them, as if it had named no number.
pub(crate) struct LimitedSession(pub(crate) Arc<DfSessionService>);

#[async_trait]
impl ExtendedQueryHandler for LimitedSession {
    type Statement = <DfSessionService as ExtendedQueryHandler>::Statement;
    type QueryParser = <DfSessionService as ExtendedQueryHandler>::QueryParser;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        self.0.query_parser()
    }

    async fn on_execute<C>(&self, client: &mut C, mut message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let is_small = u32::try_from(message.max_rows).is_ok_and(|rows| rows <= FETCH_ROWS_MAX);
        if !is_small {
            message.max_rows = 0;
        }
        self._on_execute(client, message).await
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Self::Statement>,
        max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        ExtendedQueryHandler::do_query(self.0.as_ref(), client, portal, max_rows).await
    }
}
