//! Answers `EXPLAIN name`, which DataFusion has no plan for.

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::QueryHook;
use datafusion_postgres::arrow_pg::datatypes::df::encode_dataframe;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::error::PgWireResult;

use super::codes::of_datafusion;
use crate::explain::explain_query;
use crate::query_text::asked;

/// See the module.
pub(super) struct ExplainHook;

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
            let frame = asked(session, &query).await;
            let frame = frame.map_err(|error| of_datafusion(&error))?;
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
        Some(plan.map_err(|error| of_datafusion(&error)))
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
