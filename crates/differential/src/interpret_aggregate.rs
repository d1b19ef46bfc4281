//! What GROUP BY and the aggregate functions mean.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::double::{Double, exact_sum};
use crate::interpret::{Answer, Failure, ZSet, add};
use crate::interpret_expression::evaluate;
use crate::query::{Call, Expr, Function};
use crate::value::{Row, Type, Value};

pub(crate) fn group(input: &Answer, keys: &[Expr], calls: &[Call]) -> Answer {
    let mut answer = Answer {
        failures: input.failures,
        ..Answer::default()
    };
    // By group: for each call the values that count, with their weights.
    let mut groups: BTreeMap<Row, Vec<ZSet>> = BTreeMap::new();
    if keys.is_empty() {
        groups.insert(Row::new(), vec![ZSet::new(); calls.len()]);
    }
    for (row, &weight) in &input.rows {
        let key: Result<Row, Failure> = keys.iter().map(|key| evaluate(key, row)).collect();
        let counted: Result<Vec<Option<Row>>, Failure> =
            calls.iter().map(|call| counted_value(call, row)).collect();
        let (Ok(key), Ok(counted)) = (key, counted) else {
            answer.failures += weight;
            continue;
        };
        let new_group = || vec![ZSet::new(); calls.len()];
        let values_of_calls = groups.entry(key).or_insert_with(new_group);
        for (values, counted) in values_of_calls.iter_mut().zip(counted) {
            if let Some(value) = counted {
                add(values, value, weight);
            }
        }
    }
    for (key, values_of_calls) in groups {
        let results: Result<Row, Failure> = calls
            .iter()
            .zip(&values_of_calls)
            .map(|(call, values)| aggregate(call, values))
            .collect();
        match results {
            Ok(results) => add(&mut answer.rows, [key, results].concat(), 1),
            Err(_) => answer.failures += 1,
        }
    }
    answer
}

/// The value that a row brings to an aggregate, and what it is ordered by;
/// `None` if it does not count: the FILTER is not true, or the argument is NULL
/// (which counts where an order chooses). `count(*)` counts rows, for which any
/// value will do. What the FILTER leaves out is not computed.
pub(crate) fn counted_value(call: &Call, row: &Row) -> Result<Option<Row>, Failure> {
    if let Some(filter) = &call.filter
        && evaluate(filter, row)? != Value::Bool(true)
    {
        return Ok(None);
    }
    let value = match &call.argument {
        Some(argument) => evaluate(argument, row)?,
        None => Value::Bool(true),
    };
    let order = match &call.order {
        Some(order) => evaluate(&order.key, row)?,
        None => Value::Null,
    };
    let null_counts = matches!(call.function, Function::First | Function::Last);
    Ok((null_counts || !value.is_null()).then(|| vec![value, order]))
}

/// The values by the call's order, and then by value, each as often as it
/// counts.
fn in_order(call: &Call, values: &ZSet) -> Vec<Value> {
    let mut rows: Vec<&Row> = Vec::new();
    for (row, &weight) in values {
        let copies = if call.distinct { 1 } else { weight };
        rows.extend((0..copies).map(|_| row));
    }
    rows.sort_by(|first, second| {
        let by_key = match &call.order {
            None => Ordering::Equal,
            Some(order) => match (first[1].is_null(), second[1].is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) if order.nulls_first => Ordering::Less,
                (true, false) => Ordering::Greater,
                (false, true) if order.nulls_first => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) if order.descending => second[1].cmp(&first[1]),
                (false, false) => first[1].cmp(&second[1]),
            },
        };
        by_key.then_with(|| first[0].cmp(&second[0]))
    });
    rows.into_iter().map(|row| row[0].clone()).collect()
}

pub(crate) fn aggregate(call: &Call, values: &ZSet) -> Result<Value, Failure> {
    let weight_of = |weight: &i64| {
        if call.distinct {
            1
        } else {
            i128::from(*weight)
        }
    };
    let count: i128 = values.values().map(weight_of).sum();
    let value_of = |row: &Row| row.first().cloned().unwrap_or(Value::Null);
    if call.function == Function::Count {
        return i64::try_from(count)
            .map(Value::Int)
            .map_err(|_| Failure::Overflow);
    }
    if count == 0 {
        return Ok(Value::Null);
    }
    let sum: i128 = values
        .iter()
        .map(|(row, weight)| match value_of(row) {
            Value::Int(value) => i128::from(value) * weight_of(weight),
            Value::Decimal(value) => value * weight_of(weight),
            _ => 0,
        })
        .sum();
    if call.argument.as_ref().map(Expr::data_type) == Some(Type::Float)
        && matches!(call.function, Function::Sum | Function::Average)
    {
        let numbers = values
            .iter()
            .filter_map(|(row, weight)| match value_of(row) {
                Value::Float(double) => Some((double.number(), weight_of(weight))),
                _ => None,
            });
        let sum = exact_sum(numbers);
        let divisor = match call.function {
            Function::Average => count as f64,
            _ => 1.0,
        };
        return Ok(Value::Float(Double::new(sum / divisor).canonical()));
    }
    let ordered = in_order(call, values);
    let fold = |operation: fn(i64, i64) -> i64| {
        let integers = ordered.iter().filter_map(|value| match value {
            Value::Int(value) => Some(*value),
            _ => None,
        });
        integers.reduce(operation).map_or(Value::Null, Value::Int)
    };
    match (call.function, call.data_type()) {
        (Function::BoolAnd, _) => Ok(Value::Bool(!ordered.contains(&Value::Bool(false)))),
        (Function::BoolOr, _) => Ok(Value::Bool(ordered.contains(&Value::Bool(true)))),
        (Function::BitAnd, _) => Ok(fold(|left, right| left & right)),
        (Function::BitOr, _) => Ok(fold(|left, right| left | right)),
        (Function::BitXor, _) => Ok(fold(|left, right| left ^ right)),
        (Function::First, _) => Ok(ordered.first().cloned().unwrap_or(Value::Null)),
        (Function::Last, _) => Ok(ordered.last().cloned().unwrap_or(Value::Null)),
        (Function::StringAgg, _) => {
            let texts = ordered.iter().filter_map(|value| match value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            });
            Ok(Value::Text(texts.collect::<Vec<_>>().join("|")))
        }
        (Function::Median, _) => {
            let at = |index: usize| match ordered.get(index) {
                Some(Value::Int(value)) => *value as f64,
                _ => 0.0,
            };
            let middle = ordered.len() / 2;
            let median = match ordered.len() % 2 {
                0 => (at(middle - 1) + at(middle)) / 2.0,
                _ => at(middle),
            };
            Ok(Value::Float(Double::new(median)))
        }
        (Function::Min, _) => Ok(values.keys().next().map_or(Value::Null, value_of)),
        (Function::Max, _) => Ok(values.keys().next_back().map_or(Value::Null, value_of)),
        (Function::Sum, Type::Int) => i64::try_from(sum)
            .map(Value::Int)
            .map_err(|_| Failure::Overflow),
        (Function::Sum, _) => Ok(Value::Decimal(sum)),
        (Function::Average, Type::Float) => {
            let average = sum as f64 / count as f64;
            Ok(Value::Float(Double::new(average)))
        }
        // Four more decimal places than the argument, cut off.
        (Function::Average | Function::Count, _) => Ok(Value::Decimal(sum * 10_000 / count)),
    }
}
