//! Values that a row has not. A query says `($name IS NULL OR column = $name)`: all rows
//! where nothing is said of the name, else those of the value. A row that was chosen
//! may have no value there, which is something that is said: its rows are those
//! without one. For such a name `$name IS NULL` does not hold, and what is to equal it
//! is to be NULL.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, lit};

/// The plan in which these placeholders (`$1`) stand for what a row has not.
///
/// # Errors
/// When the plan cannot be put together again.
pub(crate) fn null_in_row(plan: LogicalPlan, placeholders: &[String]) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        let rewritten = node.map_expressions(|expression| {
            let name = names.save(&expression);
            let rewritten =
                expression.transform_up(|part| Ok(condition_on_null(part, placeholders)))?;
            Ok(match rewritten.transformed {
                true => rewritten.update_data(|expression| name.restore(expression)),
                false => rewritten,
            })
        })?;
        match rewritten.transformed {
            true => rewritten.map_data(LogicalPlan::recompute_schema),
            false => Ok(rewritten),
        }
    })?;
    Ok(rewritten.data)
}

fn condition_on_null(part: Expr, placeholders: &[String]) -> Transformed<Expr> {
    let is_one = |expression: &Expr| is_one_of(expression, placeholders);
    match part {
        Expr::IsNull(asked) if is_one(&asked) => Transformed::yes(lit(false)),
        Expr::IsNotNull(asked) if is_one(&asked) => Transformed::yes(lit(true)),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) if is_one(&right) => Transformed::yes(Expr::IsNull(left)),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) if is_one(&left) => Transformed::yes(Expr::IsNull(right)),
        other => Transformed::no(other),
    }
}

fn is_one_of(expression: &Expr, placeholders: &[String]) -> bool {
    match expression {
        Expr::Placeholder(placeholder) => placeholders.contains(&placeholder.id),
        Expr::Cast(cast) => is_one_of(&cast.expr, placeholders),
        _ => false,
    }
}
