//! `x = ANY (…)` and `x > ALL (…)` with SQL's three truth values.
//!
//! | comparison | becomes |
//! |---|---|
//! | `x = ANY (SELECT …)`, `x <> ALL (SELECT …)` | `x IN (SELECT …)`, `x NOT IN (SELECT …)` |
//! | `x = ANY (ARRAY[a, b])`, `x <> ALL (ARRAY[a, b])` | `x IN (a, b)`, `x NOT IN (a, b)` |
//! | `x = ANY (list)` | the same, or unknown where the list has NULL and not x |
//! | `x > ANY (list)`, and the others | `NOT (x <= ALL (list))` |
//!
//! The planner gives false for ANY where no value of a list fits, though one is
//! NULL. For ALL it knows unknown, and ANY is the negative of an ALL; only equality
//! is found by a look-up, which the other form would not be. Other comparisons with
//! subqueries stay as they are, and so do lists that are parameters, whose types
//! follow from where they stand, and lists made by such comparisons, because they
//! are repeated.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, UnaryOperator, Value, ValueWithSpan, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use sluice_syntax::Part;

/// Writes quantified comparisons so that they are answered as SQL has it, those in
/// subqueries included. Whether there were any.
pub fn compare_with_any(sql: &mut impl Part) -> bool {
    let mut rewriter = Rewriter { is_changed: false };
    let _ = sql.rewrite(&mut rewriter);
    rewriter.is_changed
}

struct Rewriter {
    is_changed: bool,
}

impl VisitorMut for Rewriter {
    type Break = ();

    // After what is inside, so that what it becomes is not visited again.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(other) = rewritten(expr) {
            *expr = Expr::Nested(Box::new(other));
            self.is_changed = true;
        }
        ControlFlow::Continue(())
    }
}

fn rewritten(comparison: &Expr) -> Option<Expr> {
    match comparison {
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => one_of(left, right, false).or_else(|| equal_to_any(comparison, right)),
        Expr::AllOp {
            left,
            compare_op: BinaryOperator::NotEq,
            right,
        } => one_of(left, right, true),
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } if !matches!(**right, Expr::Subquery(_)) => {
            let all = Expr::AllOp {
                left: left.clone(),
                compare_op: negative(compare_op)?,
                right: right.clone(),
            };
            Some(Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr: Box::new(Expr::Nested(Box::new(all))),
            })
        }
        _ => None,
    }
}

/// With values that are written down, or a subquery.
fn one_of(value: &Expr, among: &Expr, negated: bool) -> Option<Expr> {
    match among {
        Expr::Subquery(subquery) => Some(Expr::InSubquery {
            expr: Box::new(value.clone()),
            subquery: subquery.clone(),
            negated,
        }),
        Expr::Nested(inner) => one_of(value, inner, negated),
        Expr::Array(array) if !array.elem.is_empty() => Some(Expr::InList {
            expr: Box::new(value.clone()),
            list: array.elem.clone(),
            negated,
        }),
        _ => None,
    }
}

fn equal_to_any(comparison: &Expr, list: &Expr) -> Option<Expr> {
    if is_parameter(list) || list.has_expression(&mut is_quantified) {
        return None;
    }
    let text = format!(
        "cardinality({list}) > 0 AND ({comparison} OR (array_position({list}, NULL, 1) IS NOT NULL AND NULL))"
    );
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(&text);
    parser.ok()?.parse_expr().ok()
}

fn is_parameter(list: &Expr) -> bool {
    match list {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_parameter(inner),
        Expr::Value(ValueWithSpan { value, .. }) => matches!(value, Value::Placeholder(_)),
        _ => false,
    }
}

fn is_quantified(expression: &Expr) -> bool {
    matches!(expression, Expr::AnyOp { .. } | Expr::AllOp { .. })
}

fn negative(operator: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match operator {
        BinaryOperator::NotEq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::GtEq,
        BinaryOperator::LtEq => BinaryOperator::Gt,
        BinaryOperator::Gt => BinaryOperator::LtEq,
        BinaryOperator::GtEq => BinaryOperator::Lt,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_is_in_or_the_negative_of_all() {
        for (sql, expected) in [
            ("x = ANY(SELECT y FROM t)", Some("(x IN (SELECT y FROM t))")),
            (
                "x <> ALL(SELECT y FROM t)",
                Some("(x NOT IN (SELECT y FROM t))"),
            ),
            ("x = ANY(ARRAY[1, NULL])", Some("(x IN (1, NULL))")),
            ("x <> ALL(ARRAY[1, 2])", Some("(x NOT IN (1, 2))")),
            (
                "x = ANY(l)",
                Some(
                    "(cardinality(l) > 0 AND (x = ANY(l) OR (array_position(l, NULL, 1) IS NOT NULL AND NULL)))",
                ),
            ),
            ("x < ANY(l)", Some("(NOT (x >= ALL(l)))")),
            ("x <> ANY(l)", Some("(NOT (x = ALL(l)))")),
            ("x = ANY($1)", None),
            ("x = ANY($1::BIGINT[])", None),
            ("x > ALL(l)", None),
            ("x > ANY(SELECT y FROM t)", None),
        ] {
            let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql);
            let mut parsed = parser.unwrap().parse_expr().unwrap();
            let is_changed = compare_with_any(&mut parsed);
            assert_eq!(is_changed, expected.is_some(), "{sql}: {parsed}");
            assert_eq!(parsed.to_string(), expected.unwrap_or(sql));
        }
    }
}
