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

use std::ops::ControlFlow;

use arrow::datatypes::DECIMAL128_MAX_PRECISION;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Statement, Value, ValueWithSpan, VisitorMut,
};
use sluice_syntax::Part;

/// Whether a text in lower case may have such a number.
pub(crate) fn may_have_exponent(lower: &str) -> bool {
    lower.as_bytes().windows(3).any(|letters| {
        (letters[0].is_ascii_digit() || letters[0] == b'.')
            && letters[1] == b'e'
            && (letters[2].is_ascii_digit() || matches!(letters[2], b'+' | b'-'))
    })
}

/// Writes the numbers of a statement so. Whether there were any.
pub(crate) fn fit_numbers(statement: &mut Statement) -> bool {
    let mut rewriter = Rewriter { is_changed: false };
    let _ = statement.rewrite(&mut rewriter);
    rewriter.is_changed
}

struct Rewriter {
    is_changed: bool,
}

impl VisitorMut for Rewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(ValueWithSpan {
            value: Value::Number(number, _),
            ..
        }) = expression
            && let Some(other) = fitted(number)
        {
            *expression = other;
            self.is_changed = true;
        }
        ControlFlow::Continue(())
    }
}

/// A number with an exponent as one that there is; `None` for all others.
pub(crate) fn fitted(number: &str) -> Option<Expr> {
    let (mantissa, exponent) = number.split_once(['e', 'E'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    let scale = fraction.len() as i64 - i64::from(exponent);
    let significant = digits.trim_start_matches('0');
    if let Some(plain) = decimal(significant, scale) {
        return Some(Expr::value(Value::Number(plain, false)));
    }
    let float: f64 = number.parse().ok()?;
    // Of a zero there is a decimal, whatever its exponent.
    (float.is_finite() && float != 0.0)
        .then(|| text_as(number.to_owned(), DataType::DoublePrecision))
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
pub(crate) fn text_as(text: String, data_type: DataType) -> Expr {
    cast_to(Expr::value(Value::SingleQuotedString(text)), data_type)
}

/// `CAST(value AS type)`
pub(crate) fn cast_to(value: Expr, data_type: DataType) -> Expr {
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
        let expected = "SELECT x FROM t WHERE y < -CAST('1e-300' AS DOUBLE PRECISION) LIMIT 10.";
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn other_numbers_stay() {
        assert_eq!(written("SELECT 1, 1.5, 'e', x.e FROM x"), None);
        for number in ["1e400", "1e-400", "1e99999999999", "1.5", "7"] {
            assert_eq!(fitted(number), None, "{number}");
        }
    }
}
