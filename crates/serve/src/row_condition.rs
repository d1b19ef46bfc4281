//! Conditions on the rows of one table or view, which mean what they mean in a query.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::Expr as SqlExpr;
use sluice_core::too_many_operators;
use sluice_syntax::{Part, QUERIES, bracket_misread, text_of};

use crate::{QueryEngine, ServeError};

impl QueryEngine {
    /// A condition on rows of a table or view as readers in the business time zone see
    /// them.
    ///
    /// # Errors
    /// When it is none, or speaks of other rows than the one that it is asked of.
    pub(crate) async fn row_condition(
        &self,
        table: &str,
        text: &str,
    ) -> Result<Arc<dyn PhysicalExpr>, ServeError> {
        let condition = read(text)?;
        // As a column of a query it gets what all queries get.
        let quoted = table.replace('"', "\"\"");
        let sql = format!("SELECT ({condition}) AS holds FROM \"{quoted}\"");
        let session = self.session();
        let state = session.state();
        let plan = state.statement_to_plan(self.parsed(&sql)?).await?;
        let analyzer = state.analyzer();
        let plan = analyzer.execute_and_check(plan, state.config_options(), |_, _| {})?;
        let LogicalPlan::Projection(projection) = plan else {
            return Err(of_one_row());
        };
        let ([holds], LogicalPlan::TableScan(_)) = (&projection.expr[..], &*projection.input)
        else {
            return Err(of_one_row());
        };
        let schema = projection.input.schema();
        let condition: Expr = holds.clone().unalias();
        if condition.is_volatile() || condition.exists(reads_clock)? {
            return Err(of_no_moment());
        }
        let condition = session.create_physical_expr(condition, schema)?;
        let data_type = condition.data_type(schema.as_arrow())?;
        match data_type {
            DataType::Boolean => Ok(condition),
            other => Err(ServeError::Query(format!("it is {other}, not a condition"))),
        }
    }
}

/// The text of one expression, which is nothing else where it is written into a query.
fn read(text: &str) -> Result<String, ServeError> {
    if let Some(problem) = too_many_operators(text) {
        return Err(ServeError::Query(problem));
    }
    let mut reader = DFParserBuilder::new(text).with_dialect(&QUERIES).build()?;
    let mut condition = reader.parse_into_expr()?.expr;
    bracket_misread(&mut condition);
    match condition.has_expression(&mut is_subquery) {
        true => Err(of_one_row()),
        false => Ok(text_of(&condition)),
    }
}

fn is_subquery(expression: &SqlExpr) -> bool {
    matches!(
        expression,
        SqlExpr::Subquery(_) | SqlExpr::InSubquery { .. } | SqlExpr::Exists { .. }
    )
}

/// Functions whose answer depends on when they are asked.
const CLOCKS: [&str; 3] = ["now", "current_date", "current_time"];

fn reads_clock(expression: &Expr) -> Result<bool, DataFusionError> {
    let Expr::ScalarFunction(call) = expression else {
        return Ok(false);
    };
    Ok(CLOCKS.contains(&call.name()))
}

fn of_no_moment() -> ServeError {
    let problem = "a condition is asked of rows for as long as somebody looks: it has no now() and no current_date; write the moment or the day";
    ServeError::Query(problem.to_owned())
}

fn of_one_row() -> ServeError {
    let problem = "a condition says something of one row: it has no subqueries, aggregates and window functions";
    ServeError::Query(problem.to_owned())
}
