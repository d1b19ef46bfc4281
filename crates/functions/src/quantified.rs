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
//! are repeated, which would double those in them.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, ValueWithSpan};
use datafusion::sql::sqlparser::parser::Parser;
use sluice_syntax::{Order, Part, QUERIES, replace_expressions, text_of};

use crate::statement_room::{StatementRoom, StatementTooLong};

/// How often a list stands in what its comparison becomes.
const REPEATED: usize = 3;

/// What is written around it, at most.
const AROUND_BYTES: usize = 128;

/// Writes quantified comparisons so that they are answered as SQL has it, those in
/// subqueries included. Whether there were any.
///
/// # Errors
/// When the statement would get too long.
pub fn compare_with_any(sql: &mut impl Part) -> Result<bool, StatementTooLong> {
    let mut room = StatementRoom::default();
    // What one becomes has such a comparison again.
    let is_changed = replace_expressions(sql, Order::InnerFirst, |comparison| {
        let other = rewritten(comparison, &mut room)?;
        Some(Expr::Nested(Box::new(other)))
    });
    room.was_enough()?;
    Ok(is_changed)
}

fn rewritten(comparison: &Expr, room: &mut StatementRoom) -> Option<Expr> {
    match comparison {
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => one_of(left, right, false).or_else(|| equal_to_any(comparison, right, room)),
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

fn equal_to_any(comparison: &Expr, list: &Expr, room: &mut StatementRoom) -> Option<Expr> {
    if is_parameter(list) || list.has_expression(&mut is_quantified) {
        return None;
    }
    room.take([list; REPEATED], AROUND_BYTES)?;
    let (comparison, list) = (text_of(comparison), text_of(list));
    let text = format!(
        "cardinality({list}) > 0 AND ({comparison} OR (array_position({list}, NULL, 1) IS NOT NULL AND NULL))"
    );
    let parser = Parser::new(&QUERIES).try_with_sql(&text);
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
            let parser = Parser::new(&QUERIES).try_with_sql(sql);
            let mut parsed = parser.unwrap().parse_expr().unwrap();
            let is_changed = compare_with_any(&mut parsed).unwrap();
            assert_eq!(is_changed, expected.is_some(), "{sql}: {parsed}");
            assert_eq!(parsed.to_string(), expected.unwrap_or(sql));
        }
    }

    /// Read again for each call around it, the value would be read some billion times.
    #[test]
    fn calls_inside_each_other_are_read_once() {
        const CALLS: usize = 30;
        let list = format!("f({}y{})", "abs(".repeat(CALLS), ")".repeat(CALLS));
        let parser = Parser::new(&QUERIES).try_with_sql(&format!("x = ANY({list})"));
        let mut parsed = parser.unwrap().parse_expr().unwrap();
        assert_eq!(compare_with_any(&mut parsed), Ok(true));
        assert_eq!(parsed.to_string().matches(&list).count(), 3);
    }

    #[test]
    fn texts_stay_as_they_were_written() {
        let sql = "x = ANY(string_to_array('a''''b', ','))";
        let parser = Parser::new(&QUERIES).try_with_sql(sql);
        let mut parsed = parser.unwrap().parse_expr().unwrap();
        assert_eq!(compare_with_any(&mut parsed), Ok(true));
        assert_eq!(text_of(&parsed).matches("('a''''b', ',')").count(), 3);
    }

    #[test]
    fn what_gets_too_long_is_refused_before_it_is_written() {
        let values = vec!["x"; 50_000].join(", ");
        let sql = format!("x = ANY(array_append(ARRAY[{values}], y))");
        let parser = Parser::new(&QUERIES).try_with_sql(&sql);
        let mut parsed = parser.unwrap().parse_expr().unwrap();
        assert_eq!(compare_with_any(&mut parsed), Err(StatementTooLong));
        assert_eq!(parsed.to_string(), sql);
    }
}
