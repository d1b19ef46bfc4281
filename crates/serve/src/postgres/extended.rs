//! The extended protocol: prepared statements, parameters, rows in portions.
//!
//! Rows go to the client as they are made. The library would collect them first,
//! and a client that asks for all rows of a long answer would end the process.
//!
//! What comes before a Sync is one transaction, as far as it does not begin and end
//! others: an error takes back what was set in it, and the library leaves out what
//! comes behind it.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::query::{
    ExtendedQueryHandler, send_describe_response, send_execution_response, send_ready_for_query,
};
use datafusion_postgres::pgwire::api::results::{
    DescribePortalResponse, DescribeStatementResponse, QueryResponse, Response, Tag,
};
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::store::{Entry, PortalStore};
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::extendedquery::{
    Bind, Close, Describe, Execute, Parse, Sync as SyncMessage, TARGET_TYPE_BYTE_PORTAL,
    TARGET_TYPE_BYTE_STATEMENT,
};
use datafusion_postgres::pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use futures::{Sink, SinkExt};

use super::codes::{error, internal};
use super::copy_out::send_copy;
use super::cursors::{self, fetch, folded};
use super::discard::forget_portals;
use super::known_words::in_known_words;
use super::rows::{FORMAT, options_of};
use super::savepoints::refusal;
use super::sent_rows::send_rows;
use super::service::Service;
use super::setting_functions::set_wanted;
use super::settings::SettingsHook;
use super::time_zones::Services;
use super::transaction_settings as transaction;
use crate::session::SESSION;

/// Answers messages of the extended protocol.
pub(super) struct Extended {
    pub(super) services: Arc<Services>,
    pub(super) settings: SettingsHook,
}

impl Extended {
    /// What answers in the time zone of whoever asks.
    fn service(&self) -> PgWireResult<Arc<Service>> {
        self.services.get().map_err(|problem| internal(&problem))
    }
}

/// Refuses a statement in a transaction that has failed, unless it leads out of it.
fn check_transaction<C: ClientInfo>(
    client: &C,
    statement: &<Extended as ExtendedQueryHandler>::Statement,
) -> PgWireResult<()> {
    let (_, Some((statement, _))) = statement else {
        return Ok(());
    };
    match refusal(statement, client.transaction_status()) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

/// Whether a statement makes rows that a client reads.
fn describes_nothing(statement: &<Extended as ExtendedQueryHandler>::Statement) -> bool {
    matches!(
        statement.1,
        Some((
            ast::Statement::Declare { .. } | ast::Statement::Copy { .. },
            _
        ))
    )
}

/// Whether there is a statement behind a semicolon.
fn is_several(sql: &str) -> bool {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize();
    let tokens = tokens.unwrap_or_default().into_iter();
    let is_end = |token: &Token| matches!(token, Token::SemiColon);
    let is_nothing = |token: &Token| matches!(token, Token::Whitespace(_) | Token::EOF);
    tokens
        .skip_while(|token| is_nothing(token) || is_end(token))
        .skip_while(|token| !is_end(token))
        .any(|token| !is_end(&token) && !is_nothing(&token))
}

/// Notes what a connection keeps, within its limits.
fn keep(kind: u8, name: Option<&str>, bytes: usize) -> PgWireResult<()> {
    let kept = SESSION.try_with(|session| session.keep(kind, name.unwrap_or(""), bytes));
    match kept {
        Ok(Err(problem)) => Err(error("53000", problem)),
        _ => Ok(()),
    }
}

#[async_trait]
impl ExtendedQueryHandler for Extended {
    type Statement = <Service as ExtendedQueryHandler>::Statement;
    type QueryParser = <Service as ExtendedQueryHandler>::QueryParser;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        self.services.parser()
    }

    async fn on_parse<C>(&self, client: &mut C, mut message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref();
        keep(TARGET_TYPE_BYTE_STATEMENT, name, message.query.len())?;
        if is_several(&message.query) {
            // 42601: syntax_error. The library would leave out all but the first.
            let problem = "cannot insert multiple commands into a prepared statement";
            return Err(error("42601", problem.to_owned()));
        }
        if let Some(query) = in_known_words(&message.query)? {
            message.query = query;
        }
        // As the library does, but not before there is room for it.
        let stored = match message.query.contains('$') {
            true => self.prepared(client, &message).await?,
            false => self.parsed(client, &message).await?,
        };
        match stored {
            Some(statement) => client.portal_store().put_statement(Arc::new(statement)),
            None => {
                let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
                client.portal_store().put_empty_statement(name);
            }
        }
        let done = datafusion_postgres::pgwire::messages::extendedquery::ParseComplete::new();
        client
            .feed(PgWireBackendMessage::ParseComplete(done))
            .await?;
        Ok(())
    }

    async fn on_bind<C>(&self, client: &mut C, message: Bind) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let values = message.parameters.iter().flatten();
        let bytes = values.map(|value| value.len()).sum();
        keep(
            TARGET_TYPE_BYTE_PORTAL,
            message.portal_name.as_deref(),
            bytes,
        )?;
        let statement_name = message.statement_name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal_name = message.portal_name.as_deref().unwrap_or(DEFAULT_NAME);
        match client.portal_store().get_statement(statement_name) {
            Some(Entry::Value(statement)) => {
                check_transaction(&*client, &statement.statement)?;
                check_formats(&self.query_parser(), &statement, &message)?;
                let mut message = message;
                let statement = self.bound(statement, &mut message).await?;
                let portal = Portal::try_new(&message, statement)?;
                client.portal_store().put_portal(Arc::new(portal));
            }
            Some(Entry::Empty) if message.parameters.is_empty() => {
                client.portal_store().put_empty_portal(portal_name);
            }
            // 08P01: protocol_violation.
            Some(Entry::Empty) => {
                let problem = "an empty statement has no parameters";
                return Err(error("08P01", problem.to_owned()));
            }
            None => return Err(PgWireError::StatementNotFound(statement_name.to_owned())),
        }
        let done = datafusion_postgres::pgwire::messages::extendedquery::BindComplete::new();
        client
            .feed(PgWireBackendMessage::BindComplete(done))
            .await?;
        Ok(())
    }

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) => portal,
            Some(Entry::Empty) => {
                let nothing = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
                client.feed(nothing).await?;
                return Ok(());
            }
            None => return Err(no_portal(message.name.as_deref())),
        };
        check_transaction(&*client, &portal.statement.statement)?;
        if matches!(client.transaction_status(), TransactionStatus::Idle) {
            transaction::begin();
        }
        // A number below zero asks for all rows, as 0 does.
        let rows_max = usize::try_from(message.max_rows).unwrap_or(0);
        let state = portal.state();
        let mut state = state.lock().await;
        if matches!(*state, PortalExecutionState::Initial) {
            client.set_state(PgWireConnectionState::QueryInProgress);
            let response = self.do_query(client, portal.as_ref(), rows_max).await?;
            client.set_state(PgWireConnectionState::ReadyForQuery);
            match answer_without_rows(client, response).await? {
                Some(rows) => *state = PortalExecutionState::Suspended(rows),
                None => return set_wanted(&self.settings, client).await,
            }
        }
        let PortalExecutionState::Suspended(rows) = &mut *state else {
            // All rows were given.
            send_execution_response(client, Tag::new("SELECT").with_rows(0)).await?;
            return Ok(());
        };
        let has_more = send_rows(client, rows, rows_max).await;
        if !matches!(has_more, Ok(true)) {
            *state = PortalExecutionState::Finished;
        }
        has_more?;
        set_wanted(&self.settings, client).await
    }

    async fn on_describe<C>(&self, client: &mut C, message: Describe) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if message.target_type == TARGET_TYPE_BYTE_PORTAL {
            let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
            if let Some(fields) = cursors::fields(name, &Format::UnifiedText)? {
                let response = DescribePortalResponse::new(fields);
                return send_describe_response(client, &response).await;
            }
            if client.portal_store().get_portal(name).is_none() {
                return Err(no_portal(message.name.as_deref()));
            }
        }
        self._on_describe(client, message).await
    }

    async fn on_sync<C>(&self, client: &mut C, _message: SyncMessage) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let status = client.transaction_status();
        // Portals live as long as their transaction.
        if matches!(status, TransactionStatus::Idle) {
            self.settings.end(true, client).await?;
            forget_portals(client.portal_store());
        }
        send_ready_for_query(client, status).await
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        match message.target_type {
            TARGET_TYPE_BYTE_STATEMENT => client.portal_store().rm_statement(name),
            TARGET_TYPE_BYTE_PORTAL => client.portal_store().rm_portal(name),
            other => return Err(PgWireError::InvalidTargetType(other)),
        }
        let kept = message.name.as_deref().unwrap_or("");
        let _ = SESSION.try_with(|session| session.forget(message.target_type, kept));
        let done = datafusion_postgres::pgwire::messages::extendedquery::CloseComplete::new();
        client
            .feed(PgWireBackendMessage::CloseComplete(done))
            .await?;
        Ok(())
    }

    async fn do_describe_statement<C>(
        &self,
        client: &mut C,
        target: &StoredStatement<Self::Statement>,
    ) -> PgWireResult<DescribeStatementResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let found = self
            .service()?
            .do_describe_statement(client, target)
            .await?;
        Ok(match describes_nothing(&target.statement) {
            true => DescribeStatementResponse::new(found.parameters, Vec::new()),
            false => found,
        })
    }

    async fn do_describe_portal<C>(
        &self,
        client: &mut C,
        target: &Portal<Self::Statement>,
    ) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match describes_nothing(&target.statement.statement) {
            true => Ok(DescribePortalResponse::new(Vec::new())),
            false => self.service()?.do_describe_portal(client, target).await,
        }
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Self::Statement>,
        rows_max: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let _ = SESSION.try_with(|session| session.ask(&portal.statement.statement.0));
        if let (
            _,
            Some((
                ast::Statement::Fetch {
                    name,
                    direction,
                    into: None,
                    ..
                },
                _,
            )),
        ) = &portal.statement.statement
        {
            let (format, options) = (&portal.result_column_format, options_of(&*client));
            let rows = fetch(&folded(name), direction, format, options).await?;
            return Ok(Response::Query(rows));
        }
        let service = self.service()?;
        let format = portal.result_column_format.clone();
        let answer = ExtendedQueryHandler::do_query(service.as_ref(), client, portal, rows_max);
        FORMAT.scope(format, answer).await
    }
}

/// There is no portal of that name.
fn no_portal(name: Option<&str>) -> PgWireError {
    let name = name.unwrap_or("");
    // 34000: invalid_cursor_name.
    error("34000", format!("portal \"{name}\" does not exist"))
}

/// Sends an answer that has no rows; gives back one that has.
async fn answer_without_rows<C>(
    client: &mut C,
    response: Response,
) -> PgWireResult<Option<QueryResponse>>
where
    C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::PortalStore: PortalStore,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let status = client.transaction_status();
    match response {
        Response::Query(rows) => return Ok(Some(rows)),
        Response::EmptyQuery => {
            let nothing = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
            client.feed(nothing).await?;
        }
        Response::Execution(tag) => send_execution_response(client, tag).await?,
        Response::TransactionStart(tag) => {
            send_execution_response(client, tag).await?;
            client.set_transaction_status(status.to_in_transaction_state());
        }
        Response::TransactionEnd(tag) => {
            send_execution_response(client, tag).await?;
            client.set_transaction_status(status.to_idle_state());
        }
        Response::CopyOut(rows) => send_copy(client, rows).await?,
        Response::Error(info) => return Err(PgWireError::UserError(info)),
        // Nothing is taken in.
        Response::CopyIn(_) | Response::CopyBoth(_) => {
            return Err(error("0A000", "COPY FROM is not answered".to_owned()));
        }
    }
    Ok(None)
}

/// Refuses a message whose codes for the formats of values are not as many as the
/// values: the library would look for one that is not there.
fn check_formats(
    parser: &Arc<<Extended as ExtendedQueryHandler>::QueryParser>,
    statement: &StoredStatement<<Extended as ExtendedQueryHandler>::Statement>,
    message: &Bind,
) -> PgWireResult<()> {
    let wrong = |what: &str, codes: usize, values: usize| {
        // 08P01: protocol_violation.
        let problem = format!("{codes} formats for {values} {what}");
        Err(error("08P01", problem))
    };
    let wanted = statement.parameter_types.len();
    let given = message.parameters.len();
    if given != wanted {
        let problem = format!("{given} parameters for a statement with {wanted}");
        return Err(error("08P01", problem));
    }
    let codes = message.parameter_format_codes.len();
    if codes > 1 && codes != given {
        return wrong("parameters", codes, given);
    }
    let codes = message.result_column_format_codes.len();
    if codes > 1 && !describes_nothing(&statement.statement) {
        let columns = parser.get_result_schema(&statement.statement, None)?.len();
        if codes != columns {
            return wrong("columns", codes, columns);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_several;

    #[test]
    fn statements_are_counted() {
        for one in [
            "SELECT 1",
            "SELECT 1;",
            " ;; SELECT ';x' ; ; -- ;\n",
            "",
            ";",
        ] {
            assert!(!is_several(one), "{one}");
        }
        for several in ["SELECT 1; SELECT 2", "SELECT 1;;x", ";SELECT 1;SELECT 2;"] {
            assert!(is_several(several), "{several}");
        }
    }
}
