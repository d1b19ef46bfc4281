//! The negative of an interval is that of all its parts, and its text is read like that
//! of a cast ([`crate::interval_texts`]).
//!
//! The planner writes a minus before the text of an interval: `-INTERVAL '1 hour 30
//! minutes'` becomes -1 hour + 30 minutes. In brackets the interval is a value as
//! any other, of which it takes the negative.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Interval, UnaryOperator, Value, ValueWithSpan, VisitMut, visit_expressions_mut,
};

use crate::interval_texts::text_for_planner;

/// Puts intervals into brackets where there is a minus before or behind the word
/// INTERVAL, and their texts into words that the planner reads. Whether there were any.
pub fn bracket_negative_intervals(sql: &mut impl VisitMut) -> bool {
    let mut is_changed = false;
    // What is inside an expression is visited before it.
    let _: ControlFlow<()> = visit_expressions_mut(sql, |expression| {
        match expression {
            Expr::Interval(interval) => {
                let mut is_negative = false;
                while let Expr::UnaryOp {
                    op: op @ (UnaryOperator::Minus | UnaryOperator::Plus),
                    expr,
                } = &*interval.value
                {
                    is_negative ^= *op == UnaryOperator::Minus;
                    interval.value = expr.clone();
                    is_changed = true;
                }
                is_changed |= put_into_words(interval);
                if is_negative {
                    let positive = Box::new(Expr::Interval(interval.clone()));
                    *expression = negative(positive);
                }
            }
            Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr,
            } if matches!(**expr, Expr::Interval(_)) => {
                *expression = negative(expr.clone());
                is_changed = true;
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    is_changed
}

/// An interval with a unit behind its text has a number there.
fn put_into_words(interval: &mut Interval) -> bool {
    if interval.leading_field.is_some() {
        return false;
    }
    let Expr::Value(ValueWithSpan {
        value: Value::SingleQuotedString(text),
        ..
    }) = &mut *interval.value
    else {
        return false;
    };
    let Some(words) = text_for_planner(text) else {
        return false;
    };
    *text = words;
    true
}

/// In brackets itself: as text, two signs side by side would begin a comment.
fn negative(interval: Box<Expr>) -> Expr {
    Expr::Nested(Box::new(Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr: Box::new(Expr::Nested(interval)),
    }))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn a_minus_is_of_the_whole_interval() {
        for (sql, expected) in [
            ("-INTERVAL '1h 30m'", Some("(-(INTERVAL '1h 30m'))")),
            (
                "t + INTERVAL - '1h 30m'",
                Some("t + (-(INTERVAL '1h 30m'))"),
            ),
            ("- -INTERVAL '1' DAY", Some("-(-(INTERVAL '1' DAY))")),
            ("INTERVAL - - '1' DAY", Some("INTERVAL '1' DAY")),
            ("t - INTERVAL '1h 30m'", None),
            ("-(INTERVAL '1h 30m')", None),
            (
                "INTERVAL '04:05'",
                Some("INTERVAL '0 months 0 days 14700000000000 nanoseconds'"),
            ),
            (
                "-INTERVAL '1-2'",
                Some("(-(INTERVAL '14 months 0 days 0 nanoseconds'))"),
            ),
            ("INTERVAL '90' MINUTE", None),
            ("-x", None),
        ] {
            let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql);
            let mut parsed = parser.unwrap().parse_expr().unwrap();
            let is_changed = bracket_negative_intervals(&mut parsed);
            assert_eq!(is_changed, expected.is_some(), "{sql}: {parsed}");
            assert_eq!(parsed.to_string(), expected.unwrap_or(sql));
        }
    }
}
