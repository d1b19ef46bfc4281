//! Comparisons of rows, `(a, b) < (c, d)`, written as comparisons of their values.
//!
//! The planner takes a row for one value, a structure, and compares that as a whole:
//! NULL in it is a value like any other, and its dates never meet moments. SQL
//! compares the values, from left to right:
//!
//! | comparison | becomes |
//! |---|---|
//! | `(a, b) = (c, d)` | `a = c AND b = d` |
//! | `(a, b) <> (c, d)` | `a <> c OR b <> d` |
//! | `(a, b) <= (c, d)` | `a < c OR a = c AND b <= d`; the others alike, longer rows by halves |
//! | `(a, b) IN ((c, d), (e, f))` | a comparison with each row |
//! | `(a, b) BETWEEN (c, d) AND (e, f)` | two comparisons |
//! | `(a, b) IS DISTINCT FROM (c, d)` | `a IS DISTINCT FROM c OR b IS DISTINCT FROM d` |
//! | `(a, b) IS NULL` | `a IS NULL AND b IS NULL`, and `IS NOT NULL` alike |
//!
//! `ROW(a, b)` is the same row.
//!
//! Values of which one is NULL make the whole unknown unless a value before them
//! decides, as the standard has it. What is compared with a row and is none is
//! refused later, as are rows in rows ([`crate::refused_forms`]).

use std::borrow::Cow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
};
use sluice_syntax::{Order, Part, replace_expressions};

use crate::statement_room::{StatementRoom, StatementTooLong};

/// A row that is compared has at most so many values.
const ROW_VALUES_MAX: usize = 32;

/// What is written around two values that are compared, or one, at most.
const AROUND_BYTES: usize = 32;

/// Writes comparisons of rows as comparisons of their values, subqueries included.
/// Whether there were any.
///
/// # Errors
/// When the statement would get too long.
pub fn compare_rows_by_value(sql: &mut impl Part) -> Result<bool, StatementTooLong> {
    let mut room = StatementRoom::default();
    // Values are repeated, and if they were comparisons of rows that had been written
    // by value before, each would double those in it.
    let is_changed = replace_expressions(sql, Order::OuterFirst, |comparison| {
        let by_value = by_value(comparison, &mut room)?;
        Some(Expr::Nested(Box::new(by_value)))
    });
    room.was_enough()?;
    Ok(is_changed)
}

fn by_value(comparison: &Expr, room: &mut StatementRoom) -> Option<Expr> {
    match comparison {
        Expr::BinaryOp { left, op, right } => compared(&row(left)?, op, &row(right)?, room),
        Expr::IsDistinctFrom(left, right) => {
            let distinct = pairs(&row(left)?, &row(right)?, room, |left, right| {
                Expr::IsDistinctFrom(Box::new(left), Box::new(right))
            });
            joined(&distinct?, &BinaryOperator::Or)
        }
        Expr::IsNotDistinctFrom(left, right) => {
            let same = pairs(&row(left)?, &row(right)?, room, |left, right| {
                Expr::IsNotDistinctFrom(Box::new(left), Box::new(right))
            });
            joined(&same?, &BinaryOperator::And)
        }
        Expr::IsNull(inner) => all_of(&row(inner)?, room, Expr::IsNull),
        Expr::IsNotNull(inner) => all_of(&row(inner)?, room, Expr::IsNotNull),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let value = row(expr)?;
            let ends = [
                compared(&value, &BinaryOperator::GtEq, &row(low)?, room)?,
                compared(&value, &BinaryOperator::LtEq, &row(high)?, room)?,
            ];
            Some(negated_if(*negated, joined(&ends, &BinaryOperator::And)?))
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => {
            let value = row(expr)?;
            let same = list
                .iter()
                .map(|item| compared(&value, &BinaryOperator::Eq, &row(item)?, room))
                .collect::<Option<Vec<Expr>>>()?;
            Some(negated_if(*negated, joined(&same, &BinaryOperator::Or)?))
        }
        _ => None,
    }
}

/// The values of a row that can be compared by them.
fn row(expression: &Expr) -> Option<Cow<'_, [Expr]>> {
    let values = match expression {
        Expr::Nested(inner) => return row(inner),
        Expr::Tuple(values) => Cow::Borrowed(values.as_slice()),
        Expr::Function(call) if is_row(call) => Cow::Owned(values_of(call)?),
        _ => return None,
    };
    let has_rows = values
        .iter()
        .any(|value| value.has_expression(&mut is_row_of_any_form));
    let fits = (1..=ROW_VALUES_MAX).contains(&values.len());
    (fits && !has_rows).then_some(values)
}

fn is_row_of_any_form(part: &Expr) -> bool {
    match part {
        Expr::Tuple(_) => true,
        Expr::Function(call) => is_row(call),
        _ => false,
    }
}

/// Whether it is `ROW(…)`.
fn is_row(call: &Function) -> bool {
    let [name] = &call.name.0[..] else {
        return false;
    };
    let name = name.as_ident();
    name.is_some_and(|name| name.quote_style.is_none() && name.value.eq_ignore_ascii_case("row"))
}

/// The values of `ROW(a, b)`.
fn values_of(call: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &call.args else {
        return None;
    };
    let values = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
        _ => None,
    });
    values.collect()
}

fn compared(
    left: &[Expr],
    operator: &BinaryOperator,
    right: &[Expr],
    room: &mut StatementRoom,
) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    if left.len() != right.len() {
        return None;
    }
    let each = |left: Expr, right: Expr| binary(left, operator, right);
    match operator {
        Eq => joined(&pairs(left, right, room, each)?, &And),
        NotEq => joined(&pairs(left, right, room, each)?, &Or),
        Lt | Gt => ordered(left, right, operator, operator, room),
        LtEq => ordered(left, right, &Lt, operator, room),
        GtEq => ordered(left, right, &Gt, operator, room),
        _ => None,
    }
}

/// Some pair is before (or behind), and all to its left are equal. `last` is for the
/// last pair, where that may be equal too.
///
/// The first half decides, or is equal and the second one does. So a value is there
/// once for each halving, and once more; from pair to pair it would be there twice, but
/// as many levels deep as the row has values, and statements are not read so deep.
fn ordered(
    left: &[Expr],
    right: &[Expr],
    before: &BinaryOperator,
    last: &BinaryOperator,
    room: &mut StatementRoom,
) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Or};
    if let ([_], [_]) = (left, right) {
        let each = |left: Expr, right: Expr| binary(left, last, right);
        return pairs(left, right, room, each)?.pop();
    }
    let half = left.len().div_ceil(2);
    let (left_first, left_rest) = left.split_at_checked(half)?;
    let (right_first, right_rest) = right.split_at_checked(half)?;
    if left_rest.is_empty() {
        return None;
    }
    let decided = ordered(left_first, right_first, before, before, room)?;
    let equal = compared(left_first, &Eq, right_first, room)?;
    let rest = ordered(left_rest, right_rest, before, last, room)?;
    let rest = binary(bracketed(equal), &And, bracketed(rest));
    Some(binary(bracketed(decided), &Or, bracketed(rest)))
}

/// Each value with the other of its place.
fn pairs(
    left: &[Expr],
    right: &[Expr],
    room: &mut StatementRoom,
    compare: impl Fn(Expr, Expr) -> Expr,
) -> Option<Vec<Expr>> {
    if left.len() != right.len() {
        return None;
    }
    room.take(left.iter().chain(right), left.len() * AROUND_BYTES)?;
    let both = left.iter().zip(right);
    Some(
        both.map(|(left, right)| compare(bracketed(left.clone()), bracketed(right.clone())))
            .collect(),
    )
}

fn all_of(values: &[Expr], room: &mut StatementRoom, check: fn(Box<Expr>) -> Expr) -> Option<Expr> {
    room.take(values, values.len() * AROUND_BYTES)?;
    let checks: Vec<Expr> = values
        .iter()
        .map(|value| check(Box::new(bracketed(value.clone()))))
        .collect();
    joined(&checks, &BinaryOperator::And)
}

/// As a balanced tree, which has few levels however long a list is.
fn joined(parts: &[Expr], operator: &BinaryOperator) -> Option<Expr> {
    match parts {
        [] => None,
        [part] => Some(part.clone()),
        parts => {
            let (first, rest) = parts.split_at(parts.len().div_ceil(2));
            let first = bracketed(joined(first, operator)?);
            let rest = bracketed(joined(rest, operator)?);
            Some(binary(first, operator, rest))
        }
    }
}

fn binary(left: Expr, operator: &BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op: operator.clone(),
        right: Box::new(right),
    }
}

fn negated_if(is_negated: bool, expression: Expr) -> Expr {
    match is_negated {
        true => Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(bracketed(expression)),
        },
        false => expression,
    }
}

/// What has parts of its own in brackets: statements are sometimes read again from
/// their text.
fn bracketed(expression: Expr) -> Expr {
    match expression {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Value(_)
        | Expr::Function(_)
        | Expr::Subquery(_)
        | Expr::Nested(_) => expression,
        other => Expr::Nested(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn rewritten(sql: &str) -> Option<String> {
        let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql);
        let mut parsed = parser.unwrap().parse_expr().unwrap();
        let is_changed = compare_rows_by_value(&mut parsed).unwrap();
        is_changed.then(|| parsed.to_string())
    }

    /// A row with this value in so many places.
    fn row_of(value: &str, length: usize) -> String {
        format!("({})", vec![value; length].join(", "))
    }

    fn levels(text: &str) -> Option<i32> {
        let mut level = 0;
        let levels = text.chars().map(|character| {
            level += i32::from(character == '(') - i32::from(character == ')');
            level
        });
        levels.max()
    }

    #[test]
    fn rows_are_compared_value_by_value() {
        for (sql, expected) in [
            ("(a, b) = (c, 2)", "((a = c) AND (b = 2))"),
            ("(a, b) <> ((c, d))", "((a <> c) OR (b <> d))"),
            ("(a, b) < (c, d)", "((a < c) OR ((a = c) AND (b < d)))"),
            ("(a, b) >= (c, d)", "((a > c) OR ((a = c) AND (b >= d)))"),
            (
                "(a, b, c) > (1, 2, 3)",
                "(((a > 1) OR ((a = 1) AND (b > 2))) OR (((a = 1) AND (b = 2)) AND (c > 3)))",
            ),
            (
                "(a, b) IN ((1, 2), (3, 4))",
                "(((a = 1) AND (b = 2)) OR ((a = 3) AND (b = 4)))",
            ),
            ("(a, b) NOT IN ((1, 2))", "(NOT ((a = 1) AND (b = 2)))"),
            (
                "(a, b) BETWEEN (1, 2) AND (3, 4)",
                "(((a > 1) OR ((a = 1) AND (b >= 2))) AND ((a < 3) OR ((a = 3) AND (b <= 4))))",
            ),
            (
                "(a, b) IS DISTINCT FROM (c, d)",
                "((a IS DISTINCT FROM c) OR (b IS DISTINCT FROM d))",
            ),
            (
                "row(a, b) IS DISTINCT FROM ROW(c, d)",
                "((a IS DISTINCT FROM c) OR (b IS DISTINCT FROM d))",
            ),
            (
                "(a, b) IS NOT DISTINCT FROM row(c, f(d))",
                "((a IS NOT DISTINCT FROM c) AND (b IS NOT DISTINCT FROM f(d)))",
            ),
            ("ROW(a) = (ROW(c))", "(a = c)"),
            (
                "ROW(a, b) IN ((1, 2), ROW(3, 4))",
                "(((a = 1) AND (b = 2)) OR ((a = 3) AND (b = 4)))",
            ),
            ("(a, b) IS NULL", "((a IS NULL) AND (b IS NULL))"),
            (
                "(a, b) IS NOT NULL",
                "((a IS NOT NULL) AND (b IS NOT NULL))",
            ),
            (
                "(a OR b, c::int) = (d, e + 1)",
                "(((a OR b) = d) AND ((c::INT) = (e + 1)))",
            ),
            (
                "x AND (a, b) = (SELECT 1, 2) OR (a, f((c, d) = (e, g))) = (1, 2)",
                "x AND (a, b) = (SELECT 1, 2) OR (a, f(((c = e) AND (d = g)))) = (1, 2)",
            ),
        ] {
            assert_eq!(rewritten(sql).as_deref(), Some(expected), "{sql}");
        }
    }

    #[test]
    fn what_cannot_be_compared_by_value_stays_as_it_is() {
        for sql in [
            "(a, b) = (c, d, e)",
            "(a, b) = c",
            "(a, b) IN ((1, 2), 3)",
            "(a, (b, c)) = (d, (e, f))",
            "ROW(a, row(b, c)) = ROW(d, row(e, f))",
            "ROW(t.*) = ROW(u.*)",
            "\"row\"(a, b) = \"row\"(c, d)",
            "row() = row()",
            "(a + b) * c = d",
        ] {
            assert_eq!(rewritten(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_long_list_has_few_levels() {
        let rows: Vec<String> = (0..2048).map(|row| format!("({row}, {row})")).collect();
        let text = rewritten(&format!("(a, b) IN ({})", rows.join(", "))).unwrap();
        assert_eq!(levels(&text), Some(13));
    }

    #[test]
    fn a_long_row_is_compared_by_halves() {
        assert_eq!(
            rewritten("(a, b, c, d) <= (1, 2, 3, 4)").as_deref(),
            Some(
                "(((a < 1) OR ((a = 1) AND (b < 2))) OR (((a = 1) AND (b = 2)) AND ((c < 3) OR ((c = 3) AND (d <= 4)))))"
            )
        );
        let text = rewritten(&format!("{} < {}", row_of("a", 32), row_of("c", 32))).unwrap();
        assert_eq!(text.matches("a < c").count(), 32);
        // Five times halved, each time one of each two halves.
        assert_eq!(text.matches("a = c").count(), 5 * 16);
        assert_eq!(levels(&text), Some(11));
        let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(&text);
        assert!(parser.unwrap().parse_expr().is_ok());
    }

    #[test]
    fn what_gets_too_long_is_refused_before_it_is_written() {
        let sum = vec!["x"; 200].join(" + ");
        let rows: Vec<String> = (0..2000).map(|row| format!("({row}, {row})")).collect();
        let comparison = format!("{} < {}", row_of("x", 32), row_of("y", 32));
        let text = format!("'{}'", "x".repeat(10_000));
        for sql in [
            format!("({sum}, y) IN ({})", rows.join(", ")),
            format!("f({})", vec![comparison; 4000].join(", ")),
            format!("{} IS NULL", row_of(&text, 32)),
        ] {
            let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(&sql);
            let mut parsed = parser.unwrap().parse_expr().unwrap();
            assert_eq!(compare_rows_by_value(&mut parsed), Err(StatementTooLong));
            assert!(parsed.to_string().len() < sql.len() + (256 << 10));
        }
    }
}
