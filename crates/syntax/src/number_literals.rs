//! Numbers that are written with an exponent as numbers that there are.
//!
//! DataFusion makes a decimal of each, which has a scale below zero for `1e10`, that
//! no client reads and that casts take for another number, and none for `1e300`.
//!
//! | number | becomes |
//! |---|---|
//! | `1.5e3`, which fits a decimal | that without an exponent: `1500.` |
//! | `1e300`, `1e-300` | a float: `CAST('1e300' AS DOUBLE PRECISION)` |
//! | `1e400`, which fits no float either | itself, so that it is refused |
//! | `1e3` behind LIMIT, OFFSET or FETCH | an integer, which it must be there: `1000` |

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DECIMAL128_MAX_PRECISION;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, LimitClause, Query, Value, ValueWithSpan, VisitorMut,
};

use crate::{Order, Part, replace_expressions};

/// Whether a text in lower case may have such a number.
pub fn may_have_exponent(lower: &str) -> bool {
    lower.as_bytes().windows(3).any(|letters| {
        (letters[0].is_ascii_digit() || letters[0] == b'.')
            && letters[1] == b'e'
            && (letters[2].is_ascii_digit() || matches!(letters[2], b'+' | b'-'))
    })
}

/// Writes the numbers of a statement so, those of subqueries included. Whether there
/// were any.
///
/// ```
/// use datafusion::sql::sqlparser::parser::Parser;
/// use sluice_syntax::{QUERIES, fit_numbers};
///
/// let mut statement = Parser::parse_sql(&QUERIES, "SELECT a * 1.5e3 FROM t LIMIT 1e1")?;
/// assert!(fit_numbers(&mut statement[0]));
/// assert_eq!(statement[0].to_string(), "SELECT a * 1500. FROM t LIMIT 10");
/// # Ok::<(), datafusion::sql::sqlparser::parser::ParserError>(())
/// ```
pub fn fit_numbers(sql: &mut impl Part) -> bool {
    let mut counts = Counts { is_changed: false };
    let _ = sql.rewrite(&mut counts);
    let has_others = replace_expressions(sql, Order::InnerFirst, |expression| {
        number_of(expression).and_then(fitted)
    });
    counts.is_changed || has_others
}

fn number_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Value(ValueWithSpan {
            value: Value::Number(number, _),
            ..
        }) => Some(number),
        _ => None,
    }
}

/// How many rows a query has, and how many it leaves out.
struct Counts {
    is_changed: bool,
}

impl Counts {
    fn fit(&mut self, count: &mut Expr) {
        if let Expr::Nested(inner) = count {
            return self.fit(inner);
        }
        let plain = number_of(count).and_then(without_exponent);
        // What has digits behind the point is left to the planner, which refuses it.
        if let Some(whole) = plain.as_deref().and_then(|plain| plain.strip_suffix('.')) {
            *count = Expr::value(Value::Number(whole.to_owned(), false));
            self.is_changed = true;
        }
    }
}

impl VisitorMut for Counts {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let (limit, offset) = match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => (
                limit.as_mut(),
                offset.as_mut().map(|offset| &mut offset.value),
            ),
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            None => (None, None),
        };
        let fetch = query.fetch.as_mut();
        let fetch = fetch.and_then(|fetch| fetch.quantity.as_mut());
        for count in [limit, offset, fetch].into_iter().flatten() {
            self.fit(count);
        }
        ControlFlow::Continue(())
    }
}

/// A number with an exponent as one that there is; `None` for all others.
pub fn fitted(number: &str) -> Option<Expr> {
    if let Some(plain) = without_exponent(number) {
        return Some(Expr::value(Value::Number(plain, false)));
    }
    number.split_once(['e', 'E'])?;
    let float: f64 = number.parse().ok()?;
    // Of a zero there is a decimal, whatever its exponent.
    (float.is_finite() && float != 0.0)
        .then(|| text_as(number.to_owned(), DataType::DoublePrecision))
}

/// The decimal that a number with an exponent is, if it has room in one.
fn without_exponent(number: &str) -> Option<String> {
    let (mantissa, exponent) = number.split_once(['e', 'E'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    let scale = fraction.len() as i64 - i64::from(exponent);
    decimal(digits.trim_start_matches('0'), scale)
}

/// A decimal with these digits, so many of them behind the point, if it has room
/// for them. Without any behind it the point stays: it tells decimals from integers.
fn decimal(digits: &str, scale: i64) -> Option<String> {
    if digits.is_empty() {
        return Some("0.".to_owned());
    }
    let digits_max = usize::from(DECIMAL128_MAX_PRECISION);
    let scale_size = usize::try_from(scale.unsigned_abs()).ok()?;
    if scale <= 0 {
        let fits = digits.len() + scale_size <= digits_max;
        return fits.then(|| format!("{digits}{}.", "0".repeat(scale_size)));
    }
    if digits.len().max(scale_size) > digits_max {
        return None;
    }
    // With one before the point at least.
    let width = scale_size + 1;
    let padded = format!("{digits:0>width$}");
    let (whole, fraction) = padded.split_at(padded.len() - scale_size);
    Some(format!("{whole}.{fraction}"))
}

/// `CAST('text' AS type)`
pub fn text_as(text: String, data_type: DataType) -> Expr {
    cast_to(Expr::value(Value::SingleQuotedString(text)), data_type)
}

/// `CAST(value AS type)`
pub fn cast_to(value: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(value),
        data_type,
        array: false,
        format: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn written(sql: &str) -> Option<String> {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql)
            .unwrap()
            .remove(0);
        let is_changed = fit_numbers(&mut statement);
        assert_eq!(is_changed, may_have_exponent(sql), "{sql}");
        is_changed.then(|| statement.to_string())
    }

    #[test]
    fn numbers_with_an_exponent_fit() {
        for (number, expected) in [
            ("1e10", "10000000000."),
            ("1.5e3", "1500."),
            ("1.50e1", "15.0"),
            ("15e-1", "1.5"),
            ("1.5e-1", "0.15"),
            (".5e1", "5."),
            ("0e300", "0."),
            ("1e37", "10000000000000000000000000000000000000."),
            ("1e-38", "0.00000000000000000000000000000000000001"),
            ("1e38", "CAST('1e38' AS DOUBLE PRECISION)"),
            ("1e-39", "CAST('1e-39' AS DOUBLE PRECISION)"),
            ("1e300", "CAST('1e300' AS DOUBLE PRECISION)"),
            ("1.5e+300", "CAST('1.5e+300' AS DOUBLE PRECISION)"),
        ] {
            let found = written(&format!("SELECT {number}"));
            assert_eq!(found, Some(format!("SELECT {expected}")));
        }
        let found = written("SELECT x FROM t WHERE y < -1e-300 LIMIT 1e1");
        let expected = "SELECT x FROM t WHERE y < -CAST('1e-300' AS DOUBLE PRECISION) LIMIT 10";
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn counts_of_rows_have_no_point() {
        for (sql, expected) in [
            ("SELECT x FROM t LIMIT 1e0", "SELECT x FROM t LIMIT 1"),
            (
                "SELECT x FROM t LIMIT (2.0e1) OFFSET 0e0",
                "SELECT x FROM t LIMIT (20) OFFSET 0",
            ),
            (
                "SELECT x FROM t OFFSET 1e0 ROWS FETCH FIRST 15e0 ROWS ONLY",
                "SELECT x FROM t OFFSET 1 ROWS FETCH FIRST 15 ROWS ONLY",
            ),
            (
                "SELECT 1e0 FROM (SELECT x FROM t LIMIT 1e2) AS u",
                "SELECT 1. FROM (SELECT x FROM t LIMIT 100) AS u",
            ),
            // Which rows these are is not for us to say.
            ("SELECT x FROM t LIMIT 15e-1", "SELECT x FROM t LIMIT 1.5"),
        ] {
            assert_eq!(written(sql).as_deref(), Some(expected));
        }
    }

    #[test]
    fn other_numbers_stay() {
        assert_eq!(written("SELECT 1, 1.5, 'e', x.e FROM x"), None);
        for number in ["1e400", "1e-400", "1e99999999999", "1.5", "7", "e5", "."] {
            assert_eq!(fitted(number), None, "{number}");
        }
    }
}
