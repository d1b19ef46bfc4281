//! How much of a statement rules may write more than once: each call, or subquery,
//! around such another would multiply it again.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The parts of expressions that are written again may be so many.
const REPEATED_PARTS_MAX: usize = 100_000;

/// The nodes of a plan that is written again may be so many. Each becomes a join, or a
/// part of one, which takes longer to plan than parts of expressions.
const REPEATED_NODES_MAX: usize = 500;

/// The parts of an expression.
///
/// # Errors
/// Never: the walk that counts them could have some.
pub(crate) fn parts_of(expression: &Expr) -> Result<usize> {
    let mut parts = 0;
    expression.apply(|_| {
        parts += 1;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(parts)
}

/// Refuses to write so many parts again.
///
/// # Errors
/// When there are too many.
pub(crate) fn check_parts(parts: usize) -> Result<()> {
    match parts > REPEATED_PARTS_MAX {
        true => too_many(parts, "parts of expressions", REPEATED_PARTS_MAX),
        false => Ok(()),
    }
}

/// Refuses to write a plan again, the subqueries in it included.
///
/// # Errors
/// When there is too much of it.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<()> {
    let (mut nodes, mut parts) = (0, 0);
    plan.apply_with_subqueries(|node| {
        nodes += 1;
        node.apply_expressions(|expression| {
            parts += parts_of(expression)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    if nodes > REPEATED_NODES_MAX {
        return too_many(nodes, "parts of subqueries", REPEATED_NODES_MAX);
    }
    check_parts(parts)
}

/// Refuses to write a value again, the subqueries in it included.
///
/// # Errors
/// When there is too much of it.
pub(crate) fn check_value(value: &Expr) -> Result<()> {
    check_parts(parts_of(value)?)?;
    value.apply(|part| {
        let subquery = match part {
            Expr::ScalarSubquery(subquery) => subquery,
            Expr::Exists(exists) => &exists.subquery,
            Expr::InSubquery(inside) => &inside.subquery,
            Expr::SetComparison(compared) => &compared.subquery,
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        check_plan(&subquery.subquery)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn too_many(found: usize, what: &str, most: usize) -> Result<()> {
    plan_err!(
        "the statement is too long: {found} {what} would stand in it more than once, and {most} are the most: put fewer subqueries or calls into each other, or divide it"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::logical_expr::{LogicalPlanBuilder, col, exists, lit};

    use super::*;

    #[test]
    fn parts_are_counted_with_those_of_subqueries() {
        assert_eq!(parts_of(&(col("a") + lit(1)).gt(lit(2))).unwrap(), 5);
        assert!(check_parts(REPEATED_PARTS_MAX).is_ok());
        assert!(check_parts(REPEATED_PARTS_MAX + 1).is_err());
        // A filter of one row, and for each subquery its frame and one row.
        let plan_of = |subqueries: usize| {
            let row = LogicalPlanBuilder::empty(true).build().unwrap();
            let list = vec![exists(Arc::new(row)); subqueries];
            let plan = LogicalPlanBuilder::empty(true).filter(lit(true).in_list(list, false));
            plan.unwrap().build().unwrap()
        };
        let most = (REPEATED_NODES_MAX - 2) / 2;
        assert!(check_plan(&plan_of(most)).is_ok());
        let problem = check_plan(&plan_of(most + 1)).unwrap_err();
        let problem = problem.to_string();
        assert!(problem.contains("502 parts of subqueries"), "{problem}");
    }
}
