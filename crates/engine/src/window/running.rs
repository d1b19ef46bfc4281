//! Results that follow all rows before their own: running aggregates, numbers of
//! rows, first values and exponential averages. They go on from a position in the
//! order at which their state is known.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, UInt64Array};
use arrow::compute::filter;
use arrow::datatypes::Float64Type;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, WindowExpr};
use sluice_functions::next_average;

/// A call whose results follow all rows before their own.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(super) kind: RunningKind,
    /// Whether rows that ORDER BY leaves equal have one result.
    pub(super) by_peers: bool,
    /// FILTER (WHERE …) of an aggregate.
    pub(super) filter: Option<Arc<dyn PhysicalExpr>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum RunningKind {
    RowNumber,
    Rank,
    DenseRank,
    FirstValue,
    /// Exponential, with the weight of the newest value.
    Average {
        weight: f64,
    },
    Aggregate,
}

/// What a call knows of the rows before a position.
#[derive(Debug, Clone, Default)]
pub(super) enum CallState {
    /// Nothing more than how many there are.
    #[default]
    Nothing,
    /// The state of an accumulator.
    Accumulated(Vec<ScalarValue>),
    First(ScalarValue),
    Average(f64),
}

/// A place in the order of a partition between rows that ORDER BY does not leave
/// equal, and what is known of the rows before it.
#[derive(Debug, Clone)]
pub(super) struct Position {
    /// How many rows there are.
    pub(super) rows: u64,
    /// In how many groups of rows that ORDER BY leaves equal.
    pub(super) groups: u64,
    /// Of each call.
    pub(super) states: Vec<CallState>,
}

impl Position {
    /// Before all rows.
    pub(super) fn start(call_count: usize) -> Self {
        Self {
            rows: 0,
            groups: 0,
            states: vec![CallState::Nothing; call_count],
        }
    }
}

/// At least one row in order, from a position on.
pub(super) struct RowsBehind<'a> {
    pub(super) rows: RecordBatch,
    /// Of the position.
    pub(super) rows_before: u64,
    pub(super) groups_before: u64,
    /// Where each group of rows that ORDER BY leaves equal begins; the first at 0.
    pub(super) groups: &'a [usize],
    /// The groups before which the states are wanted, in order.
    pub(super) wanted: &'a [usize],
}

impl RowsBehind<'_> {
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let ends = self.groups.iter().skip(1).copied();
        let ends = ends.chain([self.rows.num_rows()]);
        self.groups.iter().zip(ends).map(|(&start, end)| start..end)
    }

    /// Where the wanted groups begin.
    fn wanted_rows(&self) -> impl Iterator<Item = usize> {
        self.wanted.iter().map(move |&group| self.groups[group])
    }

    /// Numbers that are the same in each group.
    fn by_group(&self, number: impl Fn(usize, &Range<usize>) -> u64) -> ArrayRef {
        let groups = self.ranges().enumerate();
        let numbers = groups.flat_map(|(group, rows)| {
            let number = number(group, &rows);
            std::iter::repeat_n(number, rows.len())
        });
        Arc::new(UInt64Array::from_iter_values(numbers))
    }
}

impl Running {
    /// The results of the rows, and the states that are wanted.
    pub(super) fn evaluate(
        &self,
        call: &dyn WindowExpr,
        state: &CallState,
        behind: &RowsBehind<'_>,
    ) -> Result<(ArrayRef, Vec<CallState>)> {
        let before = behind.rows_before;
        let numbers: ArrayRef = match self.kind {
            RunningKind::RowNumber => {
                let last = before + behind.rows.num_rows() as u64;
                Arc::new(UInt64Array::from_iter_values(before + 1..=last))
            }
            RunningKind::Rank => behind.by_group(|_, rows| before + rows.start as u64 + 1),
            RunningKind::DenseRank => {
                behind.by_group(|group, _| behind.groups_before + group as u64 + 1)
            }
            RunningKind::FirstValue => return first_value(call, state, behind),
            RunningKind::Average { weight } => return averages(call, weight, state, behind),
            RunningKind::Aggregate => return self.aggregate(call, state, behind),
        };
        Ok((numbers, vec![CallState::Nothing; behind.wanted.len()]))
    }

    fn aggregate(
        &self,
        call: &dyn WindowExpr,
        state: &CallState,
        behind: &RowsBehind<'_>,
    ) -> Result<(ArrayRef, Vec<CallState>)> {
        let rows = &behind.rows;
        let arguments = call.evaluate_args(rows)?;
        let chosen: Option<BooleanArray> = match &self.filter {
            Some(condition) => {
                let chosen = condition.evaluate(rows)?.into_array(rows.num_rows())?;
                Some(chosen.as_boolean().clone())
            }
            None => None,
        };
        let steps: Vec<Range<usize>> = if self.by_peers {
            behind.ranges().collect()
        } else {
            (0..rows.num_rows()).map(|row| row..row + 1).collect()
        };
        let mut accumulator = resumed(call, state)?;
        let mut wanted = behind.wanted_rows().peekable();
        let mut states = Vec::with_capacity(behind.wanted.len());
        let mut values = Vec::with_capacity(rows.num_rows());
        for step in steps {
            if wanted.next_if_eq(&step.start).is_some() {
                // An accumulator may be asked for its state once only.
                let known = CallState::Accumulated(accumulator.state()?);
                accumulator = resumed(call, &known)?;
                states.push(known);
            }
            let mut of_step = Vec::with_capacity(arguments.len());
            for argument in &arguments {
                let part = argument.slice(step.start, step.len());
                of_step.push(match &chosen {
                    Some(chosen) => filter(&part, &chosen.slice(step.start, step.len()))?,
                    None => part,
                });
            }
            accumulator.update_batch(&of_step)?;
            let value = accumulator.evaluate()?;
            values.extend(std::iter::repeat_n(value, step.len()));
        }
        Ok((ScalarValue::iter_to_array(values)?, states))
    }
}

/// The call's accumulator as it was at a state.
fn resumed(call: &dyn WindowExpr, state: &CallState) -> Result<Box<dyn Accumulator>> {
    let Some(plain) = call.as_any().downcast_ref::<PlainAggregateWindowExpr>() else {
        return internal_err!("`{}` is no running aggregate", call.name());
    };
    let mut accumulator = plain.get_aggregate_expr().create_accumulator()?;
    if let CallState::Accumulated(values) = state {
        let values: Result<Vec<ArrayRef>> = values.iter().map(ScalarValue::to_array).collect();
        accumulator.merge_batch(&values?)?;
    }
    Ok(accumulator)
}

fn argument(call: &dyn WindowExpr, rows: &RecordBatch) -> Result<ArrayRef> {
    match call.evaluate_args(rows)?.into_iter().next() {
        Some(argument) => Ok(argument),
        None => internal_err!("`{}` has no argument", call.name()),
    }
}

fn first_value(
    call: &dyn WindowExpr,
    state: &CallState,
    behind: &RowsBehind<'_>,
) -> Result<(ArrayRef, Vec<CallState>)> {
    let first = match state {
        CallState::First(first) => first.clone(),
        _ => ScalarValue::try_from_array(&argument(call, &behind.rows)?, 0)?,
    };
    let states = behind.wanted_rows().map(|row| match row {
        0 => state.clone(),
        _ => CallState::First(first.clone()),
    });
    let states = states.collect();
    Ok((first.to_array_of_size(behind.rows.num_rows())?, states))
}

fn averages(
    call: &dyn WindowExpr,
    weight: f64,
    state: &CallState,
    behind: &RowsBehind<'_>,
) -> Result<(ArrayRef, Vec<CallState>)> {
    let values = argument(call, &behind.rows)?;
    let Some(values) = values.as_primitive_opt::<Float64Type>() else {
        return internal_err!("`{}` of another type than DOUBLE", call.name());
    };
    let mut average = match state {
        CallState::Average(average) => Some(*average),
        _ => None,
    };
    let mut wanted = behind.wanted_rows().peekable();
    let mut states = Vec::with_capacity(behind.wanted.len());
    let mut averages = Vec::with_capacity(values.len());
    for (row, value) in values.iter().enumerate() {
        if wanted.next_if_eq(&row).is_some() {
            states.push(average.map_or(CallState::Nothing, CallState::Average));
        }
        average = next_average(weight, average, value);
        averages.push(average);
    }
    Ok((Arc::new(Float64Array::from(averages)), states))
}
