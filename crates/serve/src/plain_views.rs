//! Plans of plain views, which mean what they mean as models, whoever reads: their
//! expressions are made such that the rules of a reader's session find nothing to
//! rewrite.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, LogicalPlan};
use sluice_functions::{by_local_time, is_begun, rewritten};

/// The plan of a view with all that a model's SQL leaves to DataFusion written
/// out, so that no reader's zone changes what it means.
///
/// # Errors
/// When types do not fit.
pub(crate) fn as_in_models(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let analyzer = state.analyzer();
    let plan = analyzer.execute_and_check(plan, state.config_options(), |_, _| {})?;
    rewritten(plan, &without_dates_put_elsewhere)
}

/// Dates as moments by their local times: what is left of them begins in UTC, and
/// would begin in the zone of whoever reads.
fn without_dates_put_elsewhere(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::Cast(Cast { expr, field }) if is_begun(&expr, field.data_type(), schema) => {
            Transformed::yes(by_local_time(*expr, field.data_type().clone()))
        }
        other => Transformed::no(other),
    })
}
