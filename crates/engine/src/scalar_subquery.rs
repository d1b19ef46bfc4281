//! Scalar subqueries must have one row by their form.
//!
//! The planner makes a join of them, which has a row for each of the subquery's:
//! where there are several, SQL has an error and the join would have several rows.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, FetchType, JoinType, LogicalPlan, SkipType};

/// Refuses a plan with a scalar subquery that may have more than one row. Those
/// that speak of rows outside are the planner's to judge.
pub(crate) fn require_one_row(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarSubquery(subquery) = part
                    && subquery.outer_ref_columns.is_empty()
                    && !has_one_row(&subquery.subquery)
                {
                    return plan_err!(
                        "a scalar subquery that may have several rows: aggregate it (max, min, sum, count …), or end it with LIMIT 1"
                    );
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// Whether it has at most one row, whatever the tables hold.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            // A row for each grouping set, of one row too.
            let mut keys = aggregate.group_expr.iter();
            let has_sets = keys.any(|key| matches!(key, Expr::GroupingSet(_)));
            aggregate.group_expr.is_empty() || (!has_sets && has_one_row(&aggregate.input))
        }
        LogicalPlan::Limit(limit) => {
            let is_first = matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0 | 1))));
            let has_known_skip = matches!(limit.get_skip_type(), Ok(SkipType::Literal(_)));
            (is_first && has_known_skip) || has_one_row(&limit.input)
        }
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Values(values) => values.values.len() <= 1,
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Window(_) => plan.inputs().into_iter().all(has_one_row),
        LogicalPlan::Join(join) => {
            // A full join has a row for each side where the two do not meet.
            let is_full = join.join_type == JoinType::Full;
            !is_full && has_one_row(&join.left) && has_one_row(&join.right)
        }
        _ => false,
    }
}
