//! What an expression means on one row.

use crate::interpret::Failure;
use crate::query::{Arithmetic, Comparison, Expr};
use crate::value::{Row, Type, Value};

/// The value of an expression over one row, by SQL's three-valued logic.
///
/// # Errors
/// Overflow and division by zero.
pub fn evaluate(expression: &Expr, row: &Row) -> Result<Value, Failure> {
    let value = |expression: &Expr| evaluate(expression, row);
    Ok(match expression {
        Expr::Column(index, _) => row[*index].clone(),
        Expr::Literal(constant, _) => constant.clone(),
        Expr::Arithmetic(operator, left, right) => {
            let scales = (scale(left.data_type()), scale(right.data_type()));
            calculate(*operator, value(left)?, value(right)?, scales)?
        }
        Expr::Compare(comparison, left, right) => {
            compare(*comparison, &value(left)?, &value(right)?)
        }
        Expr::And(left, right) => match (value(left)?, value(right)?) {
            (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
            (Value::Bool(true), Value::Bool(true)) => Value::Bool(true),
            _ => Value::Null,
        },
        Expr::Or(left, right) => either(value(left)?, value(right)?),
        Expr::Not(input) => not_true(value(input)?),
        Expr::IsNull(input, negated) => Value::Bool(value(input)?.is_null() != *negated),
        // `x IN (a, b)` is `x = a OR x = b`.
        Expr::In(input, list, negated) => {
            let input = value(input)?;
            let items: Row = list.iter().map(value).collect::<Result<_, _>>()?;
            if !input.is_null() && items.contains(&input) {
                Value::Bool(!negated)
            } else if input.is_null() || items.contains(&Value::Null) {
                Value::Null
            } else {
                Value::Bool(*negated)
            }
        }
        Expr::Case(condition, then, otherwise) => match value(condition)? {
            Value::Bool(true) => value(then)?,
            _ => value(otherwise)?,
        },
        Expr::Coalesce(first, second) => match value(first)? {
            Value::Null => value(second)?,
            found => found,
        },
        Expr::Concat(left, right) => match (value(left)?, value(right)?) {
            (Value::Text(left), Value::Text(right)) => Value::Text(left + &right),
            _ => Value::Null,
        },
        Expr::Later(input, seconds) => match value(input)? {
            Value::Timestamp(moment) => Value::Timestamp(moment + seconds * 1_000_000),
            _ => Value::Null,
        },
        Expr::Truncate(unit, input) => match value(input)? {
            Value::Timestamp(moment) => {
                Value::Timestamp(moment.div_euclid(unit.length()) * unit.length())
            }
            _ => Value::Null,
        },
        Expr::Upper(input) => match value(input)? {
            Value::Text(text) => Value::Text(text.to_uppercase()),
            _ => Value::Null,
        },
    })
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> Value {
    if left.is_null() || right.is_null() {
        return Value::Null;
    }
    Value::Bool(match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    })
}

fn scale(data_type: Type) -> u32 {
    match data_type {
        Type::Decimal(_, scale) => u32::from(scale.unsigned_abs()),
        _ => 0,
    }
}

fn calculate(
    operator: Arithmetic,
    left: Value,
    right: Value,
    (left_scale, right_scale): (u32, u32),
) -> Result<Value, Failure> {
    let overflow = Failure::Overflow;
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => {
            let divides = matches!(operator, Arithmetic::Divide | Arithmetic::Modulo);
            if divides && right == 0 {
                return Err(Failure::DivisionByZero);
            }
            let result = match operator {
                Arithmetic::Add => left.checked_add(right),
                Arithmetic::Subtract => left.checked_sub(right),
                Arithmetic::Multiply => left.checked_mul(right),
                Arithmetic::Divide => left.checked_div(right),
                // The rest of a division by −1 is 0, also for the least number.
                Arithmetic::Modulo => Some(left.wrapping_rem(right)),
            };
            result.map(Value::Int).ok_or(overflow)
        }
        (Value::Decimal(left), Value::Decimal(right)) => {
            // Sums take the greater of the two scales, products their sum.
            let common = left_scale.max(right_scale);
            let scaled_left = left.checked_mul(10_i128.pow(common - left_scale));
            let scaled_right = right.checked_mul(10_i128.pow(common - right_scale));
            let (scaled_left, scaled_right) =
                (scaled_left.ok_or(overflow)?, scaled_right.ok_or(overflow)?);
            let result = match operator {
                Arithmetic::Add => scaled_left.checked_add(scaled_right),
                Arithmetic::Subtract => scaled_left.checked_sub(scaled_right),
                Arithmetic::Multiply => left.checked_mul(right),
                // The generator divides integers only.
                Arithmetic::Divide | Arithmetic::Modulo => None,
            };
            result.map(Value::Decimal).ok_or(overflow)
        }
        _ => Ok(Value::Null),
    }
}

pub(crate) fn not_true(truth: Value) -> Value {
    match truth {
        Value::Bool(truth) => Value::Bool(!truth),
        other => other,
    }
}

pub(crate) fn either(left: Value, right: Value) -> Value {
    match (left, right) {
        (Value::Bool(true), _) | (_, Value::Bool(true)) => Value::Bool(true),
        (Value::Bool(false), Value::Bool(false)) => Value::Bool(false),
        _ => Value::Null,
    }
}
