//! The main oracle: what a query means, over plain values.
//!
//! This is the specification that the engine is held to. It knows nothing of
//! changes, of Arrow or of DataFusion; it computes the whole answer from the
//! whole input and is written to be read, not to be fast.

use std::collections::{BTreeMap, BTreeSet};

use crate::interpret_aggregate::group;
use crate::interpret_expression::{either, evaluate, not_true};
use crate::interpret_window::{top, window};
use crate::query::{Expr, JoinKind, Query, SubqueryTest, WindowKind};
use crate::value::{Row, Value};

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
        Query::With { input, predicate } => {
            let once = interpret(input, collections)?;
            let mut answer = each_row(once.clone(), |row| {
                let keeps = evaluate(predicate, row)? == Value::Bool(true);
                Ok(keeps.then(|| row.clone()))
            });
            answer.failures += once.failures;
            for (row, weight) in once.rows {
                add(&mut answer.rows, row, weight);
            }
            Ok(answer)
        }
        Query::Unnest { input, columns } => {
            let input = interpret(input, collections)?;
            let mut answer = Answer {
                failures: input.failures,
                ..Answer::default()
            };
            for (row, weight) in &input.rows {
                for &column in columns {
                    let longer = [row.clone(), vec![row[column].clone()]].concat();
                    add(&mut answer.rows, longer, *weight);
                }
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
