//! What comes before every statement: may whoever asks ask at all, and does the
//! statement only read?

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{SetExpr, Statement};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use sluice_core::too_many_operators;
use sluice_syntax::refused_form;

use super::codes::{error, too_complex};
use super::hook::Hook;
use super::rows::{COLUMNS_MAX, too_many_columns};
use super::setting_values::statement_timeout_ms;
use crate::ServeError;
use crate::access::{Access, Action};
use crate::read_only::refused;
use crate::session::{self, SESSION};

/// Refuses statements that would change something, or take all memory, and
/// everything of those who may not ask in SQL. Notes how long a statement may
/// take. The first hook, so that none other answers before it.
pub(super) struct Guard(pub(super) Arc<Access>);

impl Guard {
    fn begin<C: ClientInfo + ?Sized>(
        &self,
        statement: &Statement,
        client: &C,
    ) -> Option<PgWireError> {
        let timeout_ms = statement_timeout_ms(client);
        let _ = SESSION.try_with(|session| session.set_timeout_ms(timeout_ms));
        if let Some(problem) = session::refuses(&self.0, Action::AskSql) {
            // 42501: insufficient_privilege.
            return Some(error("42501", problem));
        }
        refusal(statement)
    }
}

fn refusal(statement: &Statement) -> Option<PgWireError> {
    if let Some(problem) = too_many_operators(&statement.to_string()) {
        return Some(too_complex(problem));
    }
    if has_too_many_columns(statement) {
        return Some(too_many_columns());
    }
    if let Some(problem) = refused_form(statement) {
        // 0A000: feature_not_supported.
        return Some(error("0A000", problem.to_owned()));
    }
    let problem = ServeError::ReadOnly(refused(statement)?);
    // 25006: read_only_sql_transaction.
    Some(error("25006", problem.to_string()))
}

/// Whether an answer is asked for that no client gets, and that takes long to plan.
fn has_too_many_columns(statement: &Statement) -> bool {
    let Statement::Query(query) = statement else {
        return false;
    };
    let SetExpr::Select(select) = &*query.body else {
        return false;
    };
    select.projection.len() > COLUMNS_MAX
}

#[async_trait]
impl Hook for Guard {
    async fn answer(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.begin(statement, &*client).map(Err)
    }

    fn prepared(
        &self,
        statement: &Statement,
        client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        self.begin(statement, client).map(Err)
    }
}
