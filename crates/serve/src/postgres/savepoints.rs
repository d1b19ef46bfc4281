//! Transactions and their savepoints: one that only reads has nothing to keep or
//! to take back but its error, what was set in it (`transaction_settings.rs`) and its
//! cursors.
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
use super::cursors::{folded, without_rows};
use super::discard::forget_portals;
use super::hook::Hook;
use super::settings::SettingsHook;
use super::transaction_settings as transaction;

/// Refuses every statement in a transaction that has failed but those that end it, or
/// go back to before it did. Before all other hooks, so that none answers.
pub(super) struct FailedTransactionHook;

/// Why a statement is not answered in a transaction of that state; `None` if it is.
pub(super) fn refusal(statement: &Statement, status: TransactionStatus) -> Option<PgWireError> {
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
pub(super) struct SavepointHook(pub(super) SettingsHook);

/// What a statement about savepoints is called in an error; `None` for others.
fn words_of(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::Savepoint { .. } => Some("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => Some("RELEASE SAVEPOINT"),
        Statement::Rollback {
            savepoint: Some(_), ..
        } => Some("ROLLBACK TO SAVEPOINT"),
        _ => None,
    }
}

impl SavepointHook {
    /// Answers a statement about savepoints in a transaction.
    async fn about_savepoint(
        &self,
        statement: &Statement,
        client: &mut dyn HookClient,
    ) -> PgWireResult<Response> {
        let word = match statement {
            Statement::Savepoint { name } => {
                transaction::set_savepoint(&folded(name), &*client)?;
                "SAVEPOINT"
            }
            Statement::ReleaseSavepoint { name } => {
                transaction::release_savepoint(&folded(name))?;
                "RELEASE"
            }
            Statement::Rollback {
                savepoint: Some(name),
                ..
            } => {
                let values = transaction::return_to_savepoint(&folded(name))?;
                if let Some(values) = values {
                    self.0.hold(values, client).await?;
                }
                // An error is over once its transaction goes on.
                client.set_transaction_status(TransactionStatus::Transaction);
                "ROLLBACK"
            }
            other => return Err(error("42601", format!("`{other}` names no savepoint"))),
        };
        Ok(Response::Execution(Tag::new(word)))
    }
}

/// Whether another transaction begins where this statement ends one.
pub(super) fn is_chained(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Commit { chain: true, .. }
            | Statement::Rollback {
                chain: true,
                savepoint: None
            }
    )
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
        let is_idle = matches!(status, TransactionStatus::Idle);
        match statement {
            Statement::StartTransaction { begin, .. } if is_idle => {
                client.set_transaction_status(TransactionStatus::Transaction);
                let word = if *begin { "BEGIN" } else { "START TRANSACTION" };
                return Some(Ok(Response::TransactionStart(Tag::new(word))));
            }
            Statement::Commit { .. }
            | Statement::Rollback {
                savepoint: None, ..
            } => {
                forget_portals(HookClient::portal_store(client));
                let tag = Tag::new(word_of_end(statement, status));
                if is_chained(statement) && !is_idle {
                    client.set_transaction_status(TransactionStatus::Transaction);
                    return Some(Ok(Response::Execution(tag)));
                }
                client.set_transaction_status(TransactionStatus::Idle);
                return Some(Ok(Response::TransactionEnd(tag)));
            }
            _ => {}
        }
        let words = words_of(statement)?;
        if is_idle {
            // 25P01: no_active_sql_transaction.
            let problem = format!("{words} can only be used in transaction blocks");
            return Some(Err(error("25P01", problem)));
        }
        Some(self.about_savepoint(statement, client).await)
    }

    fn prepared(
        &self,
        statement: &Statement,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        words_of(statement).map(|_| Ok(without_rows(DFSchema::empty())))
    }
}
