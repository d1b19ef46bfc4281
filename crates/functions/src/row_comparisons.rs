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
//! | `(a, b) <= (c, d)` | `a < c OR a = c AND b <= d`; the others alike |
//! | `(a, b) IN ((c, d), (e, f))` | a comparison with each row |
//! | `(a, b) BETWEEN (c, d) AND (e, f)` | two comparisons |
//! | `(a, b) IS DISTINCT FROM (c, d)` | `a IS DISTINCT FROM c OR b IS DISTINCT FROM d` |
//! | `(a, b) IS NULL` | `a IS NULL AND b IS NULL`, and `IS NOT NULL` alike |
//!
//! Values of which one is NULL make the whole unknown unless a value before them
//! decides, as the standard has it. What is compared with a row and is none is
//! refused later, as are rows in rows ([`crate::refused_forms`]).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, VisitorMut};
use sluice_syntax::Part;

/// A row that is compared has at most so many values, because for `<` there are half
/// as many comparisons as the square of it.
const ROW_VALUES_MAX: usize = 32;

/// Writes comparisons of rows as comparisons of their values, subqueries included.
/// Whether there were any.
pub fn compare_rows_by_value(sql: &mut impl Part) -> bool {
    let mut rewriter = Rewriter { is_changed: false };
    let _ = sql.rewrite(&mut rewriter);
    rewriter.is_changed
}

struct Rewriter {
    is_changed: bool,
}

impl VisitorMut for Rewriter {
    type Break = ();

    // What is around is looked at before what is inside: values are repeated, and if
    // they were comparisons of rows themselves, each would double those in it.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(by_value) = by_value(expr) {
            *expr = Expr::Nested(Box::new(by_value));
            self.is_changed = true;
        }
        ControlFlow::Continue(())
    }
}

fn by_value(comparison: &Expr) -> Option<Expr> {
    match comparison {
        Expr::BinaryOp { left, op, right } => compared(row(left)?, op, row(right)?),
        Expr::IsDistinctFrom(left, right) => {
            let distinct = pairs(row(left)?, row(right)?, |left, right| {
                Expr::IsDistinctFrom(Box::new(left), Box::new(right))
            });
            joined(&distinct?, &BinaryOperator::Or)
        }
        Expr::IsNotDistinctFrom(left, right) => {
            let same = pairs(row(left)?, row(right)?, |left, right| {
                Expr::IsNotDistinctFrom(Box::new(left), Box::new(right))
            });
            joined(&same?, &BinaryOperator::And)
        }
        Expr::IsNull(inner) => all_of(row(inner)?, Expr::IsNull),
        Expr::IsNotNull(inner) => all_of(row(inner)?, Expr::IsNotNull),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let value = row(expr)?;
            let ends = [
                compared(value, &BinaryOperator::GtEq, row(low)?)?,
                compared(value, &BinaryOperator::LtEq, row(high)?)?,
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
                .map(|item| compared(value, &BinaryOperator::Eq, row(item)?))
                .collect::<Option<Vec<Expr>>>()?;
            Some(negated_if(*negated, joined(&same, &BinaryOperator::Or)?))
        }
        _ => None,
    }
}

/// The values of a row that can be compared by them.
fn row(expression: &Expr) -> Option<&[Expr]> {
    let values = match expression {
        Expr::Nested(inner) => return row(inner),
        Expr::Tuple(values) => values,
        _ => return None,
    };
    let has_rows = values
        .iter()
        .any(|value| value.has_expression(&mut |part| matches!(part, Expr::Tuple(_))));
    let fits = (1..=ROW_VALUES_MAX).contains(&values.len());
    (fits && !has_rows).then_some(values)
}

fn compared(left: &[Expr], operator: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    let each =
        |operator: &BinaryOperator| pairs(left, right, |left, right| binary(left, operator, right));
    match operator {
        Eq => joined(&each(&Eq)?, &And),
        NotEq => joined(&each(&NotEq)?, &Or),
        Lt | Gt => ordered(&each(&Eq)?, &each(operator)?, None),
        LtEq => ordered(&each(&Eq)?, &each(&Lt)?, each(&LtEq)?.pop()),
        GtEq => ordered(&each(&Eq)?, &each(&Gt)?, each(&GtEq)?.pop()),
        _ => None,
    }
}

/// Some pair is before (or behind), and all to its left are equal. `last` is for the
/// last pair, where that may be equal too.
fn ordered(equal: &[Expr], before: &[Expr], last: Option<Expr>) -> Option<Expr> {
    let mut before = before.to_vec();
    if let (Some(last), Some(place)) = (last, before.last_mut()) {
        *place = last;
    }
    let mut cases = Vec::with_capacity(before.len());
    for (place, before) in before.into_iter().enumerate() {
        let mut case = equal.get(..place)?.to_vec();
        case.push(before);
        cases.push(joined(&case, &BinaryOperator::And)?);
    }
    joined(&cases, &BinaryOperator::Or)
}

fn pairs(left: &[Expr], right: &[Expr], compare: impl Fn(Expr, Expr) -> Expr) -> Option<Vec<Expr>> {
    if left.len() != right.len() {
        return None;
    }
    let both = left.iter().zip(right);
    Some(
        both.map(|(left, right)| compare(bracketed(left.clone()), bracketed(right.clone())))
            .collect(),
    )
}

fn all_of(values: &[Expr], check: fn(Box<Expr>) -> Expr) -> Option<Expr> {
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
        compare_rows_by_value(&mut parsed).then(|| parsed.to_string())
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
            "(a + b) * c = d",
        ] {
            assert_eq!(rewritten(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_long_list_has_few_levels() {
        let rows: Vec<String> = (0..4096).map(|row| format!("({row}, {row})")).collect();
        let sql = format!("(a, b) IN ({})", rows.join(", "));
        let text = rewritten(&sql).unwrap();
        let mut level = 0;
        let levels = text.chars().map(|character| {
            level += i32::from(character == '(') - i32::from(character == ')');
            level
        });
        assert_eq!(levels.max(), Some(14));
    }
}
