//! The main oracle: what a query means, over plain values.
//!
//! This is the specification that the engine is held to. It knows nothing of
//! changes, of Arrow or of DataFusion; it computes the whole answer from the
//! whole input and is written to be read, not to be fast.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::interpret_window::{top, window};
use crate::query::{
    Arithmetic, Call, Comparison, Expr, Function, JoinKind, Query, SubqueryTest, WindowKind,
};
use crate::value::{Row, Type, Value};

/// A multiset: how often each row is there. No row is there 0 times.
pub type ZSet = BTreeMap<Row, i64>;

/// More pairs than this are not looked at in one join.
const JOIN_PAIRS_MAX: usize = 400_000;

/// What a query gives: its rows, and how many rows or groups failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The rows.
    pub rows: ZSet,
    /// Input rows on which an expression failed and groups whose sum does not
    /// fit; they are left out of `rows`.
    pub failures: i64,
}

/// Why an expression has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The result does not fit its type.
    Overflow,
    /// A division by zero.
    DivisionByZero,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// A join would look at too many pairs, or a window at too many rows, for a
    /// naive interpreter.
    #[error("a join of {0} pairs, or a window of as many rows, is too large for the interpreter")]
    TooLarge(usize),
    /// A name that no collection has.
    #[error("there is no collection `{0}`")]
    UnknownName(String),
}

/// Adds `weight` copies of `row`.
pub fn add(rows: &mut ZSet, row: Row, weight: i64) {
    let total = rows.entry(row.clone()).or_insert(0);
    *total += weight;
    if *total == 0 {
        rows.remove(&row);
    }
}

/// The answer of `query` over `collections`.
///
/// # Errors
/// When a join is too large, or a name unknown.
pub fn interpret(query: &Query, collections: &BTreeMap<String, ZSet>) -> Result<Answer, NoAnswer> {
    match query {
        Query::Scan { name, .. } => match collections.get(name) {
            Some(rows) => Ok(Answer {
                rows: rows.clone(),
                failures: 0,
            }),
            None => Err(NoAnswer::UnknownName(name.clone())),
        },
        Query::Filter { input, predicate } => {
            let input = interpret(input, collections)?;
            Ok(each_row(input, |row| {
                let keeps = evaluate(predicate, row)? == Value::Bool(true);
                Ok(keeps.then(|| row.clone()))
            }))
        }
        Query::Project { input, columns } => {
            let input = interpret(input, collections)?;
            Ok(each_row(input, |row| {
                let values: Result<Row, Failure> =
                    columns.iter().map(|column| evaluate(column, row)).collect();
                values.map(Some)
            }))
        }
        Query::Distinct { input } => {
            let mut answer = interpret(input, collections)?;
            for weight in answer.rows.values_mut() {
                *weight = 1;
            }
            Ok(answer)
        }
        Query::TimeWindow { input, time, kind } => {
            let input = interpret(input, collections)?;
            let mut answer = Answer {
                failures: input.failures,
                ..Answer::default()
            };
            for (row, weight, start, end) in time_windows(&input.rows, *time, kind) {
                let window = vec![Value::Timestamp(start), Value::Timestamp(end)];
                add(&mut answer.rows, [row, window].concat(), weight);
            }
            Ok(answer)
        }
        Query::UnionAll { left, right } => {
            let mut answer = interpret(left, collections)?;
            let other = interpret(right, collections)?;
            answer.failures += other.failures;
            for (row, weight) in other.rows {
                add(&mut answer.rows, row, weight);
            }
            Ok(answer)
        }
        Query::Join {
            kind,
            left,
            right,
            keys,
            condition,
        } => {
            let (left_width, right_width) = (left.types().len(), right.types().len());
            let left = interpret(left, collections)?;
            let right = interpret(right, collections)?;
            let pair_count = left.rows.len() * right.rows.len();
            if pair_count > JOIN_PAIRS_MAX {
                return Err(NoAnswer::TooLarge(pair_count));
            }
            let mut answer = join(&left.rows, &right.rows, |pair| {
                let keys_are_equal = keys.iter().all(|&(left, right)| {
                    let (left, right) = (&pair[left], &pair[left_width + right]);
                    !left.is_null() && left == right
                });
                match condition {
                    Some(condition) if keys_are_equal => {
                        Ok(evaluate(condition, pair)? == Value::Bool(true))
                    }
                    _ => Ok(keys_are_equal),
                }
            });
            let pairs = answer.rows.clone();
            if matches!(kind, JoinKind::Left | JoinKind::Full) {
                for row in rows_without_partner(&left.rows, &pairs, 0) {
                    let padded = [row.clone(), vec![Value::Null; right_width]].concat();
                    add(&mut answer.rows, padded, left.rows[&row]);
                }
            }
            if matches!(kind, JoinKind::Right | JoinKind::Full) {
                for row in rows_without_partner(&right.rows, &pairs, left_width) {
                    let padded = [vec![Value::Null; left_width], row.clone()].concat();
                    add(&mut answer.rows, padded, right.rows[&row]);
                }
            }
            answer.failures += left.failures + right.failures;
            Ok(answer)
        }
        Query::SelectScalar {
            input,
            other,
            call,
            correlation,
        } => {
            let input = interpret(input, collections)?;
            let other = interpret(other, collections)?;
            let pair_count = input.rows.len() * other.rows.len();
            if pair_count > JOIN_PAIRS_MAX {
                return Err(NoAnswer::TooLarge(pair_count));
            }
            let other_failures = other.failures;
            let mut answer = each_row(input, |row| {
                let rows = other.rows.iter();
                let own = rows.filter(|(found, _)| {
                    let mut pairs = correlation.iter();
                    pairs.all(|&(left, right)| !row[left].is_null() && row[left] == found[right])
                });
                let own = Answer {
                    rows: own.map(|(row, weight)| (row.clone(), *weight)).collect(),
                    failures: 0,
                };
                let result = group(&own, &[], std::slice::from_ref(call));
                match result.rows.into_keys().next() {
                    Some(result) => Ok(Some([row.clone(), result].concat())),
                    None => Err(Failure::Overflow),
                }
            });
            answer.failures += other_failures;
            Ok(answer)
        }
        Query::WhereSubquery {
            selects,
            input,
            other,
            test,
            negated,
            or,
            not,
        } => {
            let input = interpret(input, collections)?;
            let other = interpret(other, collections)?;
            let pair_count = input.rows.len() * other.rows.len();
            if pair_count > JOIN_PAIRS_MAX {
                return Err(NoAnswer::TooLarge(pair_count));
            }
            let other_failures = other.failures;
            let mut answer = each_row(input, |row| {
                let mut truth = subquery_truth(test, row, &other.rows)?;
                if *negated {
                    truth = not_true(truth);
                }
                if let Some(or) = or {
                    truth = either(truth, evaluate(or, row)?);
                }
                if *not {
                    truth = not_true(truth);
                }
                if *selects {
                    return Ok(Some([row.clone(), vec![truth]].concat()));
                }
                Ok((truth == Value::Bool(true)).then(|| row.clone()))
            });
            answer.failures += other_failures;
            Ok(answer)
        }
        Query::SetOperation {
            is_except,
            left,
            right,
        } => {
            let left = interpret(left, collections)?;
            let right = interpret(right, collections)?;
            let kept = left.rows.into_keys();
            let kept = kept.filter(|row| right.rows.contains_key(row) != *is_except);
            Ok(Answer {
                rows: kept.map(|row| (row, 1)).collect(),
                failures: left.failures + right.failures,
            })
        }
        Query::GroupBy {
            input,
            keys,
            sets,
            calls,
        } => {
            let input = interpret(input, collections)?;
            if sets.is_empty() {
                return Ok(group(&input, keys, calls));
            }
            let mut answer = Answer {
                failures: input.failures,
                ..Answer::default()
            };
            for set in sets {
                let chosen: Vec<Expr> = set.iter().map(|&key| keys[key].clone()).collect();
                let part = group(&input, &chosen, calls);
                answer.failures += part.failures - input.failures;
                for (found, weight) in part.rows {
                    let (found_keys, results) = found.split_at(set.len());
                    let mut row = vec![Value::Null; keys.len()];
                    let mut marks = vec![Value::Int(1); keys.len()];
                    for (&key, value) in set.iter().zip(found_keys) {
                        row[key] = value.clone();
                        marks[key] = Value::Int(0);
                    }
                    row.extend_from_slice(results);
                    row.extend(marks);
                    add(&mut answer.rows, row, weight);
                }
            }
            Ok(answer)
        }
        Query::Window { input, calls } => window(&interpret(input, collections)?, calls),
        Query::Top { input, top: wanted } => top(&interpret(input, collections)?, wanted),
    }
}

/// What a subquery's test says of a row. `x IN s` is true if an item of s
/// equals x, else null if x or an item is null (and s not empty), else false.
fn subquery_truth(test: &SubqueryTest, row: &Row, other: &ZSet) -> Result<Value, Failure> {
    let equal = |other_row: &Row, (left, right): (usize, usize)| {
        !row[left].is_null() && row[left] == other_row[right]
    };
    match test {
        SubqueryTest::In { pair, correlation } => {
            let mut truth = Value::Bool(false);
            for other_row in other.keys() {
                if correlation.is_some_and(|pair| !equal(other_row, pair)) {
                    continue;
                }
                if equal(other_row, *pair) {
                    return Ok(Value::Bool(true));
                }
                if row[pair.0].is_null() || other_row[pair.1].is_null() {
                    truth = Value::Null;
                }
            }
            Ok(truth)
        }
        SubqueryTest::Exists { keys, condition } => {
            for other_row in other.keys() {
                let keys_are_equal = keys.iter().all(|&pair| equal(other_row, pair));
                let both = || [row.clone(), other_row.clone()].concat();
                let holds = match condition {
                    Some(condition) if keys_are_equal => {
                        evaluate(condition, &both())? == Value::Bool(true)
                    }
                    _ => keys_are_equal,
                };
                if holds {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
    }
}

fn not_true(truth: Value) -> Value {
    match truth {
        Value::Bool(truth) => Value::Bool(!truth),
        other => other,
    }
}

fn either(left: Value, right: Value) -> Value {
    match (left, right) {
        (Value::Bool(true), _) | (_, Value::Bool(true)) => Value::Bool(true),
        (Value::Bool(false), Value::Bool(false)) => Value::Bool(false),
        _ => Value::Null,
    }
}

const SECOND: i64 = 1_000_000;

/// Each row with its weight and the bounds of a window that it stands in. Rows
/// without a time stand in none.
fn time_windows(rows: &ZSet, time: usize, kind: &WindowKind) -> Vec<(Row, i64, i64, i64)> {
    let mut found = Vec::new();
    let timed = rows.iter().filter_map(|(row, weight)| match row[time] {
        Value::Timestamp(at) => Some((at, row, *weight)),
        _ => None,
    });
    let (slide, size) = match kind {
        WindowKind::Tumble { size } => (size * SECOND, size * SECOND),
        WindowKind::Hop { slide, size } => (slide * SECOND, size * SECOND),
        WindowKind::Session { gap, keys } => {
            let mut by_key: BTreeMap<Row, Vec<(i64, &Row, i64)>> = BTreeMap::new();
            for (at, row, weight) in timed {
                let key = keys.iter().map(|&key| row[key].clone()).collect();
                by_key.entry(key).or_default().push((at, row, weight));
            }
            for mut rows in by_key.into_values() {
                rows.sort();
                let is_apart = |first: &(i64, &Row, i64), second: &(i64, &Row, i64)| {
                    second.0 - first.0 >= gap * SECOND
                };
                for session in rows.chunk_by(|first, second| !is_apart(first, second)) {
                    let (start, last) = (session[0].0, session[session.len() - 1].0);
                    for (_, row, weight) in session {
                        found.push(((*row).clone(), *weight, start, last + gap * SECOND));
                    }
                }
            }
            return found;
        }
    };
    for (at, row, weight) in timed {
        let mut start = at.div_euclid(slide) * slide;
        while at < start + size {
            found.push((row.clone(), weight, start, start + size));
            start -= slide;
        }
    }
    found
}

/// Applies `function` to each row; `None` drops the row.
fn each_row(input: Answer, function: impl Fn(&Row) -> Result<Option<Row>, Failure>) -> Answer {
    let mut answer = Answer {
        failures: input.failures,
        ..Answer::default()
    };
    for (row, weight) in input.rows {
        match function(&row) {
            Ok(Some(result)) => add(&mut answer.rows, result, weight),
            Ok(None) => {}
            Err(_) => answer.failures += weight,
        }
    }
    answer
}

/// All pairs for which `matches` holds.
fn join(left: &ZSet, right: &ZSet, matches: impl Fn(&Row) -> Result<bool, Failure>) -> Answer {
    let mut answer = Answer::default();
    for (left_row, left_weight) in left {
        for (right_row, right_weight) in right {
            let pair = [left_row.clone(), right_row.clone()].concat();
            match matches(&pair) {
                Ok(true) => add(&mut answer.rows, pair, left_weight * right_weight),
                Ok(false) => {}
                Err(_) => answer.failures += left_weight * right_weight,
            }
        }
    }
    answer
}

/// The rows of one side that stand in no pair, at column `start` of the pairs.
fn rows_without_partner(side: &ZSet, pairs: &ZSet, start: usize) -> Vec<Row> {
    let width = side.keys().next().map_or(0, Vec::len);
    let partnered: BTreeSet<&[Value]> = pairs
        .keys()
        .map(|pair| &pair[start..start + width])
        .collect();
    side.keys()
        .filter(|row| !partnered.contains(row.as_slice()))
        .cloned()
        .collect()
}

fn group(input: &Answer, keys: &[Expr], calls: &[Call]) -> Answer {
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
/// value will do.
pub(crate) fn counted_value(call: &Call, row: &Row) -> Result<Option<Row>, Failure> {
    let value = match &call.argument {
        Some(argument) => evaluate(argument, row)?,
        None => Value::Bool(true),
    };
    let order = match &call.order {
        Some(order) => evaluate(&order.key, row)?,
        None => Value::Null,
    };
    let passes = match &call.filter {
        Some(filter) => evaluate(filter, row)? == Value::Bool(true),
        None => true,
    };
    let null_counts = matches!(call.function, Function::First | Function::Last);
    Ok((passes && (null_counts || !value.is_null())).then(|| vec![value, order]))
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
            Ok(Value::Float(median.to_bits()))
        }
        (Function::Min, _) => Ok(values.keys().next().map_or(Value::Null, value_of)),
        (Function::Max, _) => Ok(values.keys().next_back().map_or(Value::Null, value_of)),
        (Function::Sum, Type::Int) => i64::try_from(sum)
            .map(Value::Int)
            .map_err(|_| Failure::Overflow),
        (Function::Sum, _) => Ok(Value::Decimal(sum)),
        (Function::Average, Type::Float) => {
            let average = sum as f64 / count as f64;
            Ok(Value::Float(average.to_bits()))
        }
        // Four more decimal places than the argument, cut off.
        (Function::Average | Function::Count, _) => Ok(Value::Decimal(sum * 10_000 / count)),
    }
}

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
