//! Tests of subqueries inside aggregates, window functions and ORDER BY, as in
//! `sum(CASE WHEN x IN (SELECT …) THEN 1 END)`: the planner makes joins only of those
//! in WHERE and in a SELECT list, so that they are computed in a list below.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection};

/// What a test is called in the list below, before its number.
const TEST: &str = "__test";

/// Moves the tests of one node below it; `rewrite` makes of the list below what the
/// planner understands.
///
/// # Errors
/// When an expression does not fit the columns that it names.
pub(crate) fn tests_below(
    plan: LogicalPlan,
    rewrite: impl FnOnce(Projection) -> Result<Transformed<LogicalPlan>>,
) -> Result<Transformed<LogicalPlan>> {
    let keeps_columns = match &plan {
        LogicalPlan::Aggregate(_) => false,
        LogicalPlan::Window(_) | LogicalPlan::Sort(_) => true,
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            return condition_above(plan);
        }
        _ => return Ok(Transformed::no(plan)),
    };
    let tests = tests_of(&plan.expressions())?;
    let [input] = plan.inputs()[..] else {
        return Ok(Transformed::no(plan));
    };
    if tests.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let mut list = columns_of(input.schema());
    let named = tests.iter().enumerate();
    list.extend(named.map(|(number, test)| test.clone().alias(format!("{TEST}{number}"))));
    let below = rewrite(Projection::try_new(list, Arc::new(input.clone()))?)?.data;
    let expressions: Result<Vec<Expr>> = plan
        .expressions()
        .into_iter()
        .map(|expression| by_name(expression, &tests))
        .collect();
    let above = plan.with_new_exprs(expressions?, vec![below])?;
    Ok(Transformed::yes(match keeps_columns {
        true => {
            let list = columns_of(plan.schema());
            LogicalPlan::Projection(Projection::try_new(list, Arc::new(above))?)
        }
        false => above,
    }))
}

/// Of an inner join, a condition in ON is one of WHERE.
fn condition_above(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Join(mut join) = plan else {
        return Ok(Transformed::no(plan));
    };
    let Some(condition) = join.filter.take() else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    if tests_of(std::slice::from_ref(&condition))?.is_empty() {
        join.filter = Some(condition);
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let filter = Filter::try_new(condition, Arc::new(LogicalPlan::Join(join)))?;
    Ok(Transformed::yes(LogicalPlan::Filter(filter)))
}

/// The tests inside expressions, each once.
fn tests_of(expressions: &[Expr]) -> Result<Vec<Expr>> {
    let mut tests: Vec<Expr> = Vec::new();
    for expression in expressions {
        expression.apply(|part| {
            if !is_test(part) {
                return Ok(TreeNodeRecursion::Continue);
            }
            if !tests.contains(part) {
                tests.push(part.clone());
            }
            Ok(TreeNodeRecursion::Jump)
        })?;
    }
    Ok(tests)
}

fn is_test(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::Exists(_)
    )
}

fn columns_of(schema: &DFSchema) -> Vec<Expr> {
    schema
        .iter()
        .map(|field| Expr::Column(Column::from(field)))
        .collect()
}

/// The expression with names in place of its tests, called as before. An expression of
/// ORDER BY is called nothing.
fn by_name(expression: Expr, tests: &[Expr]) -> Result<Expr> {
    let (table, name) = expression.qualified_name();
    let named = expression.transform_down(|part| {
        Ok(match tests.iter().position(|test| *test == part) {
            Some(number) => {
                let name = Column::new_unqualified(format!("{TEST}{number}"));
                Transformed::new(Expr::Column(name), true, TreeNodeRecursion::Jump)
            }
            None => Transformed::no(part),
        })
    })?;
    Ok(match named.transformed {
        true => named.data.alias_qualified(table, name),
        false => named.data,
    })
}
