//! Brackets where the library would read a statement's text otherwise than it was
//! read in our dialect ([`crate::SluiceDialect`]), and between signs: `- -x` is written
//! as `--x`, which is a comment. Calls by names that the library has not become those by
//! names that it has (`other_names.rs`), `mod(a, b)` its operator in brackets.

use std::fmt::{self, Write};
use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, VisitorMut};

use crate::Part;
use crate::other_names::by_known_name;

/// Puts what the library would group otherwise into brackets, and calls into words that
/// it knows, subqueries included. Whether there was anything.
///
/// ```
/// use datafusion::sql::sqlparser::parser::Parser;
/// use sluice_syntax::{QUERIES, bracket_misread};
///
/// let sql = "SELECT a FROM t WHERE b IS DISTINCT FROM true AND -c ^ 2 > 1";
/// let mut statement = Parser::parse_sql(&QUERIES, sql)?.remove(0);
/// assert!(bracket_misread(&mut statement));
/// assert_eq!(
///     statement.to_string(),
///     "SELECT a FROM t WHERE (b IS DISTINCT FROM true) AND (-c) ^ 2 > 1"
/// );
/// # Ok::<(), datafusion::sql::sqlparser::parser::ParserError>(())
/// ```
pub fn bracket_misread(sql: &mut impl Part) -> bool {
    let mut brackets = Brackets { is_changed: false };
    let _ = sql.rewrite(&mut brackets);
    brackets.is_changed
}

struct Brackets {
    is_changed: bool,
}

impl Brackets {
    fn around(&mut self, expression: &mut Expr) {
        let inner = replace(expression, Expr::Value(Value::Null.with_empty_span()));
        *expression = Expr::Nested(Box::new(inner));
        self.is_changed = true;
    }

    fn around_if(&mut self, is_misread: fn(&Expr) -> bool, expression: &mut Expr) {
        if is_misread(expression) {
            self.around(expression);
        }
    }
}

impl VisitorMut for Brackets {
    type Break = ();

    // After what is inside, so that what it becomes is not visited again.
    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => self.around(expression),
            Expr::BinaryOp {
                op: BinaryOperator::And | BinaryOperator::Or,
                ..
            } => {}
            Expr::BinaryOp { left, op, right } => {
                for side in [left, right] {
                    if *op == BinaryOperator::PGExp {
                        self.around_if(is_signed, side);
                    }
                    self.around_if(is_match, side);
                }
            }
            Expr::UnaryOp {
                op: UnaryOperator::Not | UnaryOperator::PGPostfixFactorial,
                ..
            } => {}
            Expr::Function(call) => {
                if let Some(known) = by_known_name(call) {
                    *expression = known;
                    self.is_changed = true;
                }
            }
            Expr::UnaryOp { expr, .. } => self.around_if(begins_with_operator, expr),
            Expr::AtTimeZone { timestamp, .. } => self.around_if(is_signed, timestamp),
            Expr::Between {
                expr, low, high, ..
            } => {
                for side in [expr, low, high] {
                    self.around_if(is_match, side);
                }
            }
            Expr::Like { expr, pattern, .. }
            | Expr::ILike { expr, pattern, .. }
            | Expr::SimilarTo { expr, pattern, .. } => {
                for side in [expr, pattern] {
                    self.around_if(is_match, side);
                }
            }
            Expr::InList { expr, .. }
            | Expr::InSubquery { expr, .. }
            | Expr::AnyOp { left: expr, .. }
            | Expr::AllOp { left: expr, .. } => self.around_if(is_match, expr),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether a sign stands before it.
fn is_signed(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            ..
        }
    )
}

/// Whether an operator comes first in its text, beside which another one would be
/// written.
fn begins_with_operator(expression: &Expr) -> bool {
    let mut first = FirstLetter(None);
    let _ = write!(first, "{expression}");
    let letter = first.0;
    letter.is_some_and(|letter| "+-~!@#|?".contains(letter))
}

/// Takes the first letter of a text, and no more of it.
struct FirstLetter(Option<char>);

impl Write for FirstLetter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = text.chars().next();
        match self.0 {
            Some(_) => Err(fmt::Error),
            None => Ok(()),
        }
    }
}

/// Whether it is one by an operator such as `~`.
fn is_match(expression: &Expr) -> bool {
    use BinaryOperator as Operator;
    let operator = match expression {
        Expr::BinaryOp { op, .. } => op,
        Expr::AnyOp { compare_op, .. } | Expr::AllOp { compare_op, .. } => compare_op,
        _ => return false,
    };
    matches!(
        operator,
        Operator::PGRegexMatch
            | Operator::PGRegexIMatch
            | Operator::PGRegexNotMatch
            | Operator::PGRegexNotIMatch
            | Operator::PGLikeMatch
            | Operator::PGILikeMatch
            | Operator::PGNotLikeMatch
            | Operator::PGNotILikeMatch
    )
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::{MODELS, QUERIES, SluiceDialect};

    fn read(dialect: &SluiceDialect, sql: &str) -> Expr {
        let parser = Parser::new(dialect).try_with_sql(sql);
        parser.unwrap().parse_expr().unwrap()
    }

    #[test]
    fn operators_are_grouped_as_in_postgresql() {
        for (sql, grouped) in [
            (
                "a IS DISTINCT FROM true AND x > 0",
                "(a IS DISTINCT FROM true) AND x > 0",
            ),
            (
                "NOT a IS NOT DISTINCT FROM b = c OR d",
                "NOT (a IS NOT DISTINCT FROM b = c) OR d",
            ),
            (
                "a AND b IS DISTINCT FROM c OR d",
                "a AND (b IS DISTINCT FROM c) OR d",
            ),
            (
                "a IS DISTINCT FROM b IS NULL",
                "(a IS DISTINCT FROM b) IS NULL",
            ),
            ("-x ^ 2", "(-x) ^ 2"),
            ("2 ^ -x ^ 2", "2 ^ (-x) ^ 2"),
            ("y - -x ^ 2", "y - (-x) ^ 2"),
            ("-x AT TIME ZONE 'UTC'", "(-x) AT TIME ZONE 'UTC'"),
            ("s ~ 'a' || 'b'", "(s ~ 'a') || 'b'"),
            ("b = s !~* 'a'", "b = (s !~* 'a')"),
            ("s ~ 'a' LIKE 't%'", "(s ~ 'a') LIKE 't%'"),
            ("s ~ 'a' IN (true, false)", "(s ~ 'a') IN (true, false)"),
            ("b = s ~ ANY(l)", "b = (s ~ ANY(l))"),
            ("- -x", "-(-x)"),
            ("- - -1::INT", "-(-(-1::INT))"),
            ("a - - -b", "a - -(-b)"),
            ("- +x", "-(+x)"),
            ("~ ~x", "~(~x)"),
            ("~ -x * 2", "~(-x * 2)"),
        ] {
            for dialect in [QUERIES, MODELS] {
                let mut expression = read(&dialect, sql);
                assert!(bracket_misread(&mut expression), "{sql}");
                assert_eq!(expression.to_string(), grouped);
                // Both readers take what is in brackets for the same.
                let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(grouped);
                assert_eq!(parser.unwrap().parse_expr().unwrap(), expression);
            }
        }
    }

    #[test]
    fn what_is_read_alike_has_no_brackets() {
        for sql in [
            "s ~ 'a' AND NOT s ~ 'b'",
            "a || b ~ c",
            "s ~ ANY(a || b)",
            "-x * 2 - -y::INT",
            "a - -1",
            "-(-x)",
            "NOT -x > 1",
            "-.5 + ~x",
            "x ^ 2 ^ 3",
            "x IS NOT NULL AND y IS TRUE",
        ] {
            let mut expression = read(&QUERIES, sql);
            assert!(!bracket_misread(&mut expression), "{sql}: {expression}");
            let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql);
            assert_eq!(parser.unwrap().parse_expr().unwrap(), expression);
        }
    }

    #[test]
    fn a_sign_is_no_part_of_the_operator_before_it() {
        for (sql, apart) in [
            ("x>-1", "x > -1"),
            ("x>=-1", "x >= -1"),
            ("x<>-1", "x <> -1"),
            ("s||-1", "s || -1"),
            ("x%-2", "x % -2"),
        ] {
            assert_eq!(read(&QUERIES, sql).to_string(), apart);
        }
    }
}
