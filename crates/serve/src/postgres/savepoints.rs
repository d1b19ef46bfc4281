//! Transactions and their savepoints: one that only reads has nothing to keep or
//! to take back but its error.
//!
//! Where transactions begin and end is noted at once, for the statements behind it in
//! a text.

use async_trait::async_trait;
use datafusion::common::DFSchema;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::response::TransactionStatus;

use super::codes::error;
use super::cursors::without_rows;
use super::hook::Hook;

/// Refuses every statement in a transaction that has failed but those that end it, or
/// go back to before it did. Before all other hooks, so that none answers.
pub(super) struct FailedTransactionHook;

/// Why a statement is not answered in a transaction of that state; `None` if it is.
fn refusal(statement: &Statement, status: TransactionStatus) -> Option<PgWireError> {
    let is_way_out = matches!(
        statement,
        Statement::Commit { .. } | Statement::Rollback { .. }
    );
    // 25P02: in_failed_sql_transaction.
    (matches!(status, TransactionStatus::Error) && !is_way_out).then(|| {
        error(
            "25P02",
            "current transaction is aborted, commands ignored until end of transaction block"
                .to_owned(),
        )
    })
}

#[async_trait]
impl Hook for FailedTransactionHook {
    async fn answer(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        refusal(statement, client.transaction_status()).map(Err)
    }

    fn prepared(
        &self,
        statement: &Statement,
        client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        refusal(statement, client.transaction_status()).map(Err)
    }
}

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
