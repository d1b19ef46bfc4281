//! What window functions and the first rows in some order mean. Rows that ORDER
//! BY leaves equal follow each other by all their columns, NULL first.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::double::Double;
use crate::interpret::{Answer, Failure, NoAnswer, ZSet, add};
use crate::interpret_aggregate::{aggregate, counted_value};
use crate::interpret_expression::evaluate;
use crate::query::Expr;
use crate::value::{Row, Value};
use crate::window::{Bound, Frame, FrameUnit, SortKey, Top, TopForm, WindowCall, WindowFunction};

/// More rows than this are not ordered and framed one by one.
const WINDOW_ROWS_MAX: usize = 3_000;

/// A partition in order.
struct Ordered<'a> {
    rows: Vec<&'a Row>,
    /// What the rows are ordered by.
    keys: Vec<Row>,
    /// Number of the group of rows that ORDER BY leaves equal, from 0.
    groups: Vec<usize>,
}

/// The input's rows with one column more for each call.
///
/// # Errors
/// When there are too many rows.
pub fn window(input: &Answer, calls: &[WindowCall]) -> Result<Answer, NoAnswer> {
    let mut answer = Answer {
        failures: input.failures,
        ..Answer::default()
    };
    let reads = |call: &WindowCall| -> Vec<Expr> {
        let order = call.order.iter().map(|key| key.expression.clone());
        let arguments = call.function.arguments().into_iter().cloned();
        let partition = call.partition.iter().cloned();
        partition.chain(order).chain(arguments).collect()
    };
    let read: Vec<Expr> = calls.iter().flat_map(reads).collect();
    let rows = good_rows(input, &read, &mut answer)?;
    // Row numbers stand for rows: equal rows are different ones here.
    let mut results: Vec<Vec<Result<Value, Failure>>> = vec![Vec::new(); rows.len()];
    for call in calls {
        for members in partitions(&rows, &call.partition).values() {
            let sorted = sort(members, &rows, &call.order);
            let ordered = ordered(&sorted, &rows, &call.order);
            for (position, &row) in sorted.iter().enumerate() {
                results[row].push(call_value(call, &ordered, position));
            }
        }
    }
    for (row, results) in rows.iter().zip(results) {
        match results.into_iter().collect::<Result<Row, Failure>>() {
            Ok(results) => add(&mut answer.rows, [(*row).clone(), results].concat(), 1),
            Err(_) => answer.failures += 1,
        }
    }
    Ok(answer)
}

/// The rows of each partition that have a wanted number.
///
/// # Errors
/// When there are too many rows.
pub fn top(input: &Answer, top: &Top) -> Result<Answer, NoAnswer> {
    let function = match top.form {
        TopForm::Limit | TopForm::DistinctOn | TopForm::RowNumber => WindowFunction::RowNumber,
        TopForm::Rank => WindowFunction::Rank,
        TopForm::DenseRank => WindowFunction::DenseRank,
    };
    let call = WindowCall {
        function,
        partition: top.partition.clone(),
        order: top.order.clone(),
        frame: None,
    };
    let numbered = window(input, std::slice::from_ref(&call))?;
    let mut answer = Answer {
        failures: numbered.failures,
        rows: ZSet::new(),
    };
    for (mut row, weight) in numbered.rows {
        let wanted = Value::Int(top.first)..=Value::Int(top.last);
        let is_wanted = row.last().is_some_and(|number| wanted.contains(number));
        if !top.with_number {
            row.pop();
        }
        if is_wanted {
            add(&mut answer.rows, row, weight);
        }
    }
    Ok(answer)
}

/// The rows on which no expression fails, each as often as it is there.
fn good_rows<'a>(
    input: &'a Answer,
    read: &[Expr],
    answer: &mut Answer,
) -> Result<Vec<&'a Row>, NoAnswer> {
    let mut rows = Vec::new();
    for (row, &weight) in &input.rows {
        let values: Result<Row, Failure> = read.iter().map(|read| evaluate(read, row)).collect();
        if values.is_err() {
            answer.failures += weight;
            continue;
        }
        rows.extend(std::iter::repeat_n(
            row,
            usize::try_from(weight).unwrap_or(0),
        ));
    }
    if rows.len() > WINDOW_ROWS_MAX {
        return Err(NoAnswer::TooLarge(rows.len()));
    }
    Ok(rows)
}

/// The value of an expression that did not fail in `good_rows`.
fn known(expression: &Expr, row: &Row) -> Value {
    evaluate(expression, row).unwrap_or(Value::Null)
}

fn partitions(rows: &[&Row], partition: &[Expr]) -> BTreeMap<Row, Vec<usize>> {
    let mut members: BTreeMap<Row, Vec<usize>> = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        let key: Row = partition.iter().map(|key| known(key, row)).collect();
        members.entry(key).or_default().push(number);
    }
    members
}

fn sort(members: &[usize], rows: &[&Row], order: &[SortKey]) -> Vec<usize> {
    let mut sorted = members.to_vec();
    sorted.sort_by(|&first, &second| {
        let (first, second) = (rows[first], rows[second]);
        let by_order = order.iter().map(|key| {
            let (first, second) = (
                known(&key.expression, first),
                known(&key.expression, second),
            );
            compare_by(&first, &second, key)
        });
        let by_columns = first.iter().zip(second).map(|(a, b)| a.cmp(b));
        by_order
            .chain(by_columns)
            .find(|found| found.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    sorted
}

fn compare_by(first: &Value, second: &Value, key: &SortKey) -> Ordering {
    match (first.is_null(), second.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if key.nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) => compare_by(second, first, key).reverse(),
        (false, false) if key.descending => second.cmp(first),
        (false, false) => first.cmp(second),
    }
}

fn ordered<'a>(sorted: &[usize], rows: &[&'a Row], order: &[SortKey]) -> Ordered<'a> {
    let rows: Vec<&Row> = sorted.iter().map(|&row| rows[row]).collect();
    let key_of = |row: &&Row| -> Row {
        order
            .iter()
            .map(|key| known(&key.expression, row))
            .collect()
    };
    let keys: Vec<Row> = rows.iter().map(key_of).collect();
    let mut groups: Vec<usize> = Vec::with_capacity(rows.len());
    for position in 0..rows.len() {
        let group = match position.checked_sub(1) {
            None => 0,
            Some(before) => groups[before] + usize::from(keys[before] != keys[position]),
        };
        groups.push(group);
    }
    Ordered { rows, keys, groups }
}

/// What `call` gives at one position of a partition.
fn call_value(call: &WindowCall, ordered: &Ordered<'_>, position: usize) -> Result<Value, Failure> {
    let count = ordered.rows.len();
    let groups = &ordered.groups;
    let group = groups[position];
    let int = |number: usize| Ok(Value::Int(number as i64));
    let float = |number: f64| Ok(Value::Float(Double::new(number)));
    let before_group = groups.iter().filter(|&&other| other < group).count();
    let up_to_group = groups.iter().filter(|&&other| other <= group).count();
    let value_at = |value: &Expr, position: Option<&usize>| match position {
        Some(&position) => evaluate(value, ordered.rows[position]),
        None => Ok(Value::Null),
    };
    let frame = || frame_rows(call, ordered, position);
    match &call.function {
        WindowFunction::RowNumber => int(position + 1),
        WindowFunction::Rank => int(before_group + 1),
        WindowFunction::DenseRank => int(group + 1),
        WindowFunction::PercentRank if count == 1 => float(0.0),
        WindowFunction::PercentRank => float(before_group as f64 / (count - 1) as f64),
        WindowFunction::CumeDist => float(up_to_group as f64 / count as f64),
        // The first (count mod tiles) tiles have one row more than the others.
        WindowFunction::Ntile(tiles) => {
            let tiles = *tiles as usize;
            let (size, larger) = (count / tiles, count % tiles);
            let in_larger = larger * (size + 1);
            if position < in_larger {
                int(position / (size + 1) + 1)
            } else {
                int(larger + (position - in_larger) / size + 1)
            }
        }
        WindowFunction::Lag(value, offset, otherwise) => {
            let wanted = position as i64 - offset;
            match usize::try_from(wanted) {
                Ok(wanted) if wanted < count => evaluate(value, ordered.rows[wanted]),
                _ => match otherwise {
                    Some(otherwise) => evaluate(otherwise, ordered.rows[position]),
                    None => Ok(Value::Null),
                },
            }
        }
        WindowFunction::First(value) => value_at(value, frame().first()),
        WindowFunction::Last(value) => value_at(value, frame().last()),
        WindowFunction::Nth(value, number) => value_at(value, frame().get(*number as usize - 1)),
        WindowFunction::Aggregate(aggregated) => {
            let mut values = ZSet::new();
            for position in frame() {
                if let Some(value) = counted_value(aggregated, ordered.rows[position])? {
                    add(&mut values, value, 1);
                }
            }
            aggregate(aggregated, &values)
        }
    }
}

/// The positions in the frame of the row at `current`.
fn frame_rows(call: &WindowCall, ordered: &Ordered<'_>, current: usize) -> Vec<usize> {
    let frame = call.frame.unwrap_or(Frame {
        unit: FrameUnit::Range,
        start: Bound::UnboundedPreceding,
        end: Bound::CurrentRow,
    });
    let descending = call.order.first().is_some_and(|key| key.descending);
    let is_null = |position: usize| ordered.keys[position] == [Value::Null];
    (0..ordered.rows.len())
        .filter(|&other| {
            let distance = distance(frame.unit, ordered, descending, current, other);
            // Around NULL a number of RANGE reaches every other NULL.
            let reaches = frame.unit == FrameUnit::Range && is_null(current) && is_null(other);
            let starts = match frame.start {
                Bound::UnboundedPreceding => true,
                Bound::Preceding(count) => reaches || distance >= -i128::from(count),
                Bound::CurrentRow => distance >= 0,
                Bound::Following(count) => reaches || distance >= i128::from(count),
                Bound::UnboundedFollowing => false,
            };
            let ends = match frame.end {
                Bound::UnboundedPreceding => false,
                Bound::Preceding(count) => reaches || distance <= -i128::from(count),
                Bound::CurrentRow => distance <= 0,
                Bound::Following(count) => reaches || distance <= i128::from(count),
                Bound::UnboundedFollowing => true,
            };
            starts && ends
        })
        .collect()
}

/// How far the row at `other` is behind the one at `current`, in what the frame
/// counts in. NULL is infinitely far from every value.
fn distance(
    unit: FrameUnit,
    ordered: &Ordered<'_>,
    descending: bool,
    current: usize,
    other: usize,
) -> i128 {
    let groups = ordered.groups[other] as i128 - ordered.groups[current] as i128;
    match unit {
        FrameUnit::Rows => other as i128 - current as i128,
        FrameUnit::Groups => groups,
        FrameUnit::Range => match (&ordered.keys[current][..], &ordered.keys[other][..]) {
            ([Value::Int(current)], [Value::Int(other)]) => {
                let distance = i128::from(*other) - i128::from(*current);
                if descending { -distance } else { distance }
            }
            _ => groups.signum() << 100,
        },
    }
}
