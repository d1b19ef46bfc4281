//! Transactions and their savepoints: one that only reads has nothing to keep or
//! to take back but its error.
//!
//! The library notes where transactions begin and end once a whole text was
//! answered; here it is noted at once, for the statements behind it in the text.

use async_trait::async_trait;
use datafusion::common::DFSchema;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;

use super::codes::error;
use super::cursors::without_rows;
use super::hook::Hook;

/// See the module. Before the library's hook for transactions, which takes
/// `ROLLBACK TO` for the end of one.
pub(super) struct SavepointHook;

/// A statement about savepoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Savepoint,
    Release,
    WayBack,
}

impl About {
    fn of(statement: &Statement) -> Option<Self> {
        match statement {
            Statement::Savepoint { .. } => Some(Self::Savepoint),
            Statement::ReleaseSavepoint { .. } => Some(Self::Release),
            Statement::Rollback {
                savepoint: Some(_), ..
            } => Some(Self::WayBack),
            _ => None,
        }
    }

    /// The word of the answer, and those of an error.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Savepoint => ("SAVEPOINT", "SAVEPOINT"),
            Self::Release => ("RELEASE", "RELEASE SAVEPOINT"),
            Self::WayBack => ("ROLLBACK", "ROLLBACK TO SAVEPOINT"),
        }
    }

    /// The answer, for a transaction in that state.
    fn answer(self, status: TransactionStatus) -> PgWireResult<Response> {
        let (word, words) = self.words();
        match status {
            // 25P01: no_active_sql_transaction.
            TransactionStatus::Idle => Err(error(
                "25P01",
                format!("{words} can only be used in transaction blocks"),
            )),
            // 25P02: in_failed_sql_transaction.
            TransactionStatus::Error if self != Self::WayBack => Err(error(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block"
                    .to_owned(),
            )),
            TransactionStatus::Error | TransactionStatus::Transaction => {
                Ok(Response::Execution(Tag::new(word)))
            }
        }
    }
}

/// The word of the answer to the end of a transaction: one that has failed is not
/// committed.
fn word_of_end(statement: &Statement, status: TransactionStatus) -> &'static str {
    match (statement, status) {
        (Statement::Commit { .. }, TransactionStatus::Idle | TransactionStatus::Transaction) => {
            "COMMIT"
        }
        _ => "ROLLBACK",
    }
}

/// Whether a text goes back to a savepoint: the library keeps the state that the
/// transaction had before a text, so that it must change before.
pub(super) fn goes_back(sql: &str) -> bool {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize();
    let words = tokens.unwrap_or_default().into_iter();
    let mut words = words.filter(|token| !matches!(token, Token::Whitespace(_)));
    let is = |token: Token, known| matches!(token, Token::Word(word) if word.keyword == known);
    words
        .next()
        .is_some_and(|first| is(first, Keyword::ROLLBACK))
        && words.take(2).any(|word| is(word, Keyword::TO))
}

#[async_trait]
impl Hook for SavepointHook {
    async fn answer(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let status = client.transaction_status();
        match statement {
            Statement::StartTransaction { .. } if matches!(status, TransactionStatus::Idle) => {
                client.set_transaction_status(TransactionStatus::Transaction);
                return Some(Ok(Response::TransactionStart(Tag::new("BEGIN"))));
            }
            Statement::Commit { .. }
            | Statement::Rollback {
                savepoint: None, ..
            } => {
                client.set_transaction_status(TransactionStatus::Idle);
                let word = word_of_end(statement, status);
                return Some(Ok(Response::TransactionEnd(Tag::new(word))));
            }
            _ => {}
        }
        let answer = About::of(statement)?.answer(status);
        if answer.is_ok() {
            // An error is over once its transaction goes on.
            client.set_transaction_status(TransactionStatus::Transaction);
        }
        Some(answer)
    }

    fn prepared(
        &self,
        statement: &Statement,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        About::of(statement).map(|_| Ok(without_rows(DFSchema::empty())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_back_are_known() {
        for sql in [
            "ROLLBACK TO SAVEPOINT a",
            "rollback to a",
            " ROLLBACK WORK TO SAVEPOINT a;",
            "ROLLBACK TRANSACTION\nTO a",
            "/* told */ ROLLBACK TO a",
            "-- told\nROLLBACK TO a",
        ] {
            assert!(goes_back(sql), "{sql}");
        }
        for sql in ["ROLLBACK", "ROLLBACK;", "SAVEPOINT to", "SELECT 1", ""] {
            assert!(!goes_back(sql), "{sql}");
        }
    }
}
