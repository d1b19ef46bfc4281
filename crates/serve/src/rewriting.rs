//! Rewrites the expressions of a plan, each with the columns that it reads.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// What becomes of one expression, whose parts were rewritten before it.
pub(crate) type Rewriting = dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>;

/// The plan with all its expressions rewritten, subqueries included; its columns
/// keep their names.
///
/// # Errors
/// Those of the rewriting.
pub(crate) fn rewritten(plan: LogicalPlan, rewriting: &Rewriting) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|plan| {
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            let columns = scan.source.schema();
            schema = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &columns)?;
        }
        let names = NamePreserver::new(&plan);
        let rewritten = plan.map_expressions(|expression| {
            let name = names.save(&expression);
            let rewritten = expression.transform_up(|inner| rewriting(inner, &schema))?;
            Ok(rewritten.update_data(|expression| name.restore(expression)))
        })?;
        match rewritten.transformed {
            true => rewritten.map_data(LogicalPlan::recompute_schema),
            false => Ok(rewritten),
        }
    })?;
    Ok(plan.data)
}
