//! The simple protocol: statements as texts.
//!
//! The statements of a text are answered one after the other, each with what those
//! before it have set; the library would plan all of them before the first one runs.
//! A text of several is one transaction, as far as they do not begin and end others:
//! when one fails, those behind it are left out, and what was set is taken back.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use datafusion_postgres::pgwire::api::query::{
    SimpleQueryHandler, send_execution_response, send_ready_for_query,
};
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, PgWireConnectionState};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use datafusion_postgres::pgwire::messages::simplequery::Query;
use futures::{Sink, SinkExt};

use super::catalog::read;
use super::codes::{error, internal};
use super::copy_out::send_copy;
use super::discard::forget_portals;
use super::known_words::in_known_words;
use super::sent_rows::{send_columns, send_rows};
use super::setting_functions::set_wanted;
use super::settings::SettingsHook;
use super::time_zones::Services;
use super::transaction_settings as transaction;

/// Answers messages of the simple protocol.
pub(super) struct Simple {
    services: Arc<Services>,
    settings: SettingsHook,
}

impl Simple {
    pub(super) fn new(services: Arc<Services>, settings: SettingsHook) -> Self {
        Self { services, settings }
    }

    /// The statements of a text, in words that the library takes.
    ///
    /// # Errors
    /// When one is too long, or one of several cannot be read: none of them is answered
    /// then.
    fn statements(sql: &str) -> PgWireResult<Vec<String>> {
        let parts = parts(sql);
        if let [one] = parts.as_slice() {
            let known = in_known_words(one)?;
            return Ok(vec![known.unwrap_or_else(|| (*one).to_owned())]);
        }
        let mut statements = Vec::new();
        for part in parts {
            let known = in_known_words(part)?;
            let statement = known.unwrap_or_else(|| part.to_owned());
            let parsed = read(&statement);
            let parsed = parsed.map_err(|problem| PgWireError::ApiError(Box::new(problem)))?;
            // A comment is none.
            if !parsed.is_empty() {
                statements.push(statement);
            }
        }
        Ok(statements)
    }

    /// Answers the statements of a text up to the first that fails.
    async fn answer<C>(&self, client: &mut C, sql: &str) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statements = Self::statements(sql)?;
        if statements.is_empty() {
            return send(client, Response::EmptyQuery).await;
        }
        let is_transaction = statements.len() > 1;
        for statement in &statements {
            let status = client.transaction_status();
            if is_transaction && matches!(status, TransactionStatus::Idle) {
                transaction::begin();
            }
            let responses = self.do_query(client, statement).await?;
            for response in responses {
                send(client, response).await?;
            }
            set_wanted(&self.settings, client).await?;
        }
        Ok(())
    }
}

/// What stands between the semicolons of a text. One that cannot be read is one part.
fn parts(sql: &str) -> Vec<&str> {
    let mut ends = semicolons(sql).into_iter().peekable();
    let mut parts = Vec::new();
    let mut begin = 0;
    let mut place = Location::new(1, 1);
    for (at, letter) in sql.char_indices() {
        if letter == ';' && ends.next_if_eq(&place).is_some() {
            parts.push(&sql[begin..at]);
            begin = at + 1;
        }
        match letter {
            '\n' => place = Location::new(place.line + 1, 1),
            _ => place.column += 1,
        }
    }
    parts.push(&sql[begin..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Where statements end. A semicolon in a value, a name or a comment ends none.
fn semicolons(sql: &str) -> Vec<Location> {
    if !sql.contains(';') {
        return Vec::new();
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
    let tokens = tokens.unwrap_or_default().into_iter();
    let ends = tokens.filter(|token| matches!(token.token, Token::SemiColon));
    ends.map(|token| token.span.start).collect()
}

/// Sends what a statement is answered with, its rows as they are made. The state of the
/// transaction was noted when the statement was answered.
async fn send<C>(client: &mut C, response: Response) -> PgWireResult<()>
where
    C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    match response {
        Response::Query(mut rows) => {
            let columns = rows.row_schema();
            send_columns(client, &columns).await?;
            send_rows(client, &mut rows, 0).await?;
            Ok(())
        }
        Response::Execution(tag)
        | Response::TransactionStart(tag)
        | Response::TransactionEnd(tag) => send_execution_response(client, tag).await,
        Response::CopyOut(rows) => send_copy(client, rows).await,
        Response::Error(info) => Err(PgWireError::UserError(info)),
        Response::EmptyQuery => {
            let nothing = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
            client.feed(nothing).await?;
            Ok(())
        }
        // Nothing is taken in.
        Response::CopyIn(_) | Response::CopyBoth(_) => {
            Err(error("0A000", "COPY FROM is not answered".to_owned()))
        }
    }
}

#[async_trait]
impl SimpleQueryHandler for Simple {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let answered = self.answer(client, &query.query).await;
        if matches!(client.transaction_status(), TransactionStatus::Idle) {
            self.settings.end(answered.is_ok(), client).await?;
            forget_portals(client.portal_store());
        }
        answered?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        let status = client.transaction_status();
        send_ready_for_query(client, status).await
    }

    /// Answers one statement, in the time zone that holds now.
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let service = self.services.get().map_err(|problem| internal(&problem))?;
        SimpleQueryHandler::do_query(service.as_ref(), client, query).await
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn texts_are_cut_where_statements_end() {
        let texts: [(&str, &[&str]); 7] = [
            ("", &[]),
            (" ;\n; ", &[]),
            ("SELECT 1", &["SELECT 1"]),
            ("SELECT 1;", &["SELECT 1"]),
            (
                "BEGIN;; SELECT 'é;\n';SELECT 2",
                &["BEGIN", " SELECT 'é;\n'", "SELECT 2"],
            ),
            (
                "SELECT $$;$$;\nSELECT E'\\';' /* ; /* ; */ ; */; SELECT \";\" -- ;\n; x",
                &[
                    "SELECT $$;$$",
                    "\nSELECT E'\\';' /* ; /* ; */ ; */",
                    " SELECT \";\" -- ;\n",
                    " x",
                ],
            ),
            // What says why must see all of it.
            ("SELECT 1; SELECT 'open", &["SELECT 1; SELECT 'open"]),
        ];
        for (text, expected) in texts {
            assert_eq!(parts(text), expected, "{text}");
        }
    }
}
