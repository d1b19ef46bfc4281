//! What answers the statements of one session of DataFusion.
//!
//! It is the library's service with another parser: the library's own changes what
//! statements mean that do not read the system catalog alone (`catalog/compatible.rs`).

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion_postgres::arrow_pg::datatypes::df::encode_dataframe;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::{FieldInfo, Response};
use datafusion_postgres::pgwire::api::stmt::QueryParser;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::{DfSessionService, Parser, QueryHook};
use futures::Sink;
use sluice_syntax::text_of;

use super::catalog::read;
use super::codes::of_datafusion;
use super::column_types::fields_of;
use super::handlers::Statement;
use super::rows::options_of;
use crate::query_text::asked;

/// See the module.
pub(super) struct Service {
    session: Arc<SessionContext>,
    hooks: Vec<Arc<dyn QueryHook>>,
    reader: Arc<Reader>,
    library: DfSessionService,
}

impl Service {
    pub(super) fn new(session: Arc<SessionContext>, hooks: &[Arc<dyn QueryHook>]) -> Self {
        let library = DfSessionService::new_with_hooks(session.clone(), hooks.to_vec());
        let reader = Reader {
            session: session.clone(),
            hooks: hooks.to_vec(),
            library: library.query_parser(),
        };
        Self {
            session,
            hooks: hooks.to_vec(),
            reader: Arc::new(reader),
            library,
        }
    }

    /// Answers one statement.
    async fn answer(
        &self,
        client: &mut dyn HookClient,
        statement: &ast::Statement,
    ) -> PgWireResult<Response> {
        for hook in &self.hooks {
            let answer = hook
                .handle_simple_query(statement, &self.session, &mut *client)
                .await;
            if let Some(answer) = answer {
                return answer;
            }
        }
        let options = options_of(&*client);
        let frame = asked(&self.session, &text_of(statement)).await;
        let frame = frame.map_err(|problem| of_datafusion(&problem))?;
        let rows = encode_dataframe(frame, &Format::UnifiedText, Some(options)).await?;
        Ok(Response::Query(rows))
    }
}

fn unread(problem: ParserError) -> PgWireError {
    PgWireError::ApiError(Box::new(problem))
}

#[async_trait]
impl SimpleQueryHandler for Service {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut responses = Vec::new();
        for statement in read(query).map_err(unread)? {
            responses.push(self.answer(client, &statement).await?);
        }
        if responses.is_empty() {
            responses.push(Response::EmptyQuery);
        }
        Ok(responses)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Service {
    type Statement = Statement;
    type QueryParser = Reader;

    fn query_parser(&self) -> Arc<Reader> {
        self.reader.clone()
    }

    /// Answers what was planned: the library reads nothing then.
    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Statement>,
        rows_max: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        ExtendedQueryHandler::do_query(&self.library, client, portal, rows_max).await
    }
}

/// Reads and plans statements that are prepared.
pub(super) struct Reader {
    session: Arc<SessionContext>,
    hooks: Vec<Arc<dyn QueryHook>>,
    library: Arc<Parser>,
}

#[async_trait]
impl QueryParser for Reader {
    type Statement = Statement;

    async fn parse_sql<C>(
        &self,
        client: &C,
        sql: &str,
        _types: &[Option<Type>],
    ) -> PgWireResult<Option<Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let Some(statement) = read(sql).map_err(unread)?.into_iter().next() else {
            return Ok(None);
        };
        let text = statement.to_string();
        for hook in &self.hooks {
            let plan = hook
                .handle_extended_parse_query(&statement, &self.session, client)
                .await;
            if let Some(plan) = plan {
                return Ok(Some((text, Some((statement, plan?)))));
            }
        }
        let state = self.session.state();
        let planned = DataFusionStatement::Statement(Box::new(statement.clone()));
        let plan = state.statement_to_plan(planned).await;
        let plan = plan.map_err(|problem| of_datafusion(&problem))?;
        Ok(Some((text, Some((statement, plan)))))
    }

    fn get_parameter_types(&self, statement: &Statement) -> PgWireResult<Vec<Type>> {
        self.library.get_parameter_types(statement)
    }

    fn get_result_schema(
        &self,
        statement: &Statement,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match &statement.1 {
            Some((_, plan)) => {
                let schema = plan.schema().as_arrow();
                fields_of(schema, format.unwrap_or(&Format::UnifiedText), None)
            }
            None => Ok(Vec::new()),
        }
    }
}
