//! `SAVEPOINT`, `RELEASE` and `ROLLBACK TO`: a transaction that only reads has
//! nothing to keep or to take back but its error.

use async_trait::async_trait;
use datafusion::common::{DFSchema, ParamValues};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;

use super::codes::error;
use super::cursors::without_rows;

/// See the module. Before the hook that ends transactions, which takes
/// `ROLLBACK TO` for the end of one.
pub(super) struct SavepointHook;

fn is_about_savepoints(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Savepoint { .. }
            | Statement::ReleaseSavepoint { .. }
            | Statement::Rollback {
                savepoint: Some(_),
                ..
            }
    )
}

/// The answer, for a transaction in that state.
fn answer(statement: &Statement, status: TransactionStatus) -> Option<PgWireResult<Response>> {
    let (words, is_way_back) = match statement {
        Statement::Savepoint { .. } => ("SAVEPOINT", false),
        Statement::ReleaseSavepoint { .. } => ("RELEASE", false),
        Statement::Rollback {
            savepoint: Some(_), ..
        } => ("ROLLBACK", true),
        _ => return None,
    };
    Some(match status {
        // 25P01: no_active_sql_transaction.
        TransactionStatus::Idle => Err(error(
            "25P01",
            format!("{words} of a savepoint can only be used in transaction blocks"),
        )),
        // 25P02: in_failed_sql_transaction.
        TransactionStatus::Error if !is_way_back => Err(error(
            "25P02",
            "current transaction is aborted, commands ignored until end of transaction block"
                .to_owned(),
        )),
        TransactionStatus::Error | TransactionStatus::Transaction => {
            Ok(Response::Execution(Tag::new(words)))
        }
    })
}

/// The answer to a client, whose error is over once its transaction goes on.
fn answer_to(client: &mut dyn HookClient, statement: &Statement) -> Option<PgWireResult<Response>> {
    let answer = answer(statement, client.transaction_status())?;
    if answer.is_ok() {
        client.set_transaction_status(TransactionStatus::Transaction);
    }
    Some(answer)
}

/// Whether a text goes back to a savepoint: the library keeps the state that the
/// transaction had before a text, so that it must change before.
pub(super) fn goes_back(sql: &str) -> bool {
    let words: Vec<String> = sql.split_whitespace().map(str::to_uppercase).collect();
    match words.first().map(String::as_str) {
        Some("ROLLBACK") => words.iter().take(3).any(|word| word == "TO"),
        _ => false,
    }
}

#[async_trait]
impl QueryHook for SavepointHook {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        answer_to(client, statement)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        is_about_savepoints(statement).then(|| Ok(without_rows(DFSchema::empty())))
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _plan: &LogicalPlan,
        _parameters: &ParamValues,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        answer_to(client, statement)
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
        ] {
            assert!(goes_back(sql), "{sql}");
        }
        for sql in ["ROLLBACK", "ROLLBACK;", "SAVEPOINT to", "SELECT 1", ""] {
            assert!(!goes_back(sql), "{sql}");
        }
    }
}
