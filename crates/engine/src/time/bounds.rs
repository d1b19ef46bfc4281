//! What can no longer change: for each node, columns of which it is known that
//! no later change, neither a new row nor a retraction, has a value below the
//! watermark by more than a fixed distance.
//!
//! It begins at the tables that accept no late rows, and passes through all
//! operators that derive their changes from rows of like times. From it follow
//! which state may be dropped and when a window is closed. A node that is not
//! named here promises nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::expressions::{CastExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use sluice_core::{TableDefinition, TableKind};

use super::interval_join::{intervals, is_instant};
use super::node::TimeNode;
use crate::graph::{Graph, Node, NodeKind};
use crate::map::passed_column;
use crate::outer_join::{JoinOutput, SideOutput};

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
/// More than any zone is from UTC, and than clocks are ever turned.
const ZONE_US: i64 = 15 * HOUR_US;

/// No later change has a value in `column` below the watermark of `tables` plus
/// `lower_us`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeBound {
    pub(crate) column: usize,
    pub(crate) lower_us: i64,
    pub(crate) tables: BTreeSet<String>,
    /// Whether the column passes on a window's end.
    pub(crate) is_window_end: bool,
}

impl TimeBound {
    fn moved(&self, column: usize, by_us: i64) -> Self {
        Self {
            column,
            lower_us: self.lower_us.saturating_add(by_us),
            tables: self.tables.clone(),
            is_window_end: false,
        }
    }

    /// What holds for a column in which both hold.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            column: self.column,
            lower_us: self.lower_us.min(other.lower_us),
            tables: self.tables.union(&other.tables).cloned().collect(),
            is_window_end: self.is_window_end && other.is_window_end,
        }
    }
}

fn of_column(bounds: &[TimeBound], column: usize) -> Option<&TimeBound> {
    bounds.iter().find(|bound| bound.column == column)
}

/// The bounds of every node.
pub(crate) fn bounds_of_graph(graph: &Graph, tables: &[TableDefinition]) -> Vec<Vec<TimeBound>> {
    let mut all: Vec<Vec<TimeBound>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs: Vec<&[TimeBound]> = node.inputs.iter().map(|&input| &all[input][..]).collect();
        let found = match &node.kind {
            NodeKind::Table(number) => of_table(&tables[*number]),
            NodeKind::Filter(_) | NodeKind::UniqIds { .. } => inputs[0].to_vec(),
            NodeKind::Project(expressions) => of_expressions(expressions, inputs[0]),
            NodeKind::Aggregate { group_by, .. } => of_expressions(group_by, inputs[0]),
            NodeKind::Union => of_union(&inputs),
            NodeKind::InnerJoin {
                left,
                right,
                residual,
            }
            | NodeKind::OuterJoin {
                left,
                right,
                residual,
                ..
            } => {
                let keys = (
                    &graph.arrangements[*left].key_columns[..],
                    &graph.arrangements[*right].key_columns[..],
                );
                let left_width = graph.nodes[node.inputs[0]].schema.fields().len();
                let output = match &node.kind {
                    NodeKind::OuterJoin { output, .. } => Some(output),
                    _ => None,
                };
                let mut found = of_join(inputs[0], inputs[1], keys, left_width, output);
                let intervals = bounded_intervals(residual.as_ref(), graph, node, &inputs);
                found.extend(of_intervals(&intervals, left_width, output));
                found
            }
            NodeKind::Time(time_node) => of_time_node(time_node, node, &inputs),
            #[allow(
                unreachable_patterns,
                reason = "a new operator promises nothing by itself"
            )]
            _ => Vec::new(),
        };
        all.push(found);
    }
    all
}

fn of_table(table: &TableDefinition) -> Vec<TimeBound> {
    match (&table.kind, table.event_time) {
        (TableKind::AppendOnly, Some(column)) => vec![TimeBound {
            column,
            lower_us: 0,
            tables: BTreeSet::from([table.name.clone()]),
            is_window_end: false,
        }],
        // A change of a changelog corrects rows of any age.
        _ => Vec::new(),
    }
}

fn of_expressions(expressions: &[Arc<dyn PhysicalExpr>], input: &[TimeBound]) -> Vec<TimeBound> {
    let found = expressions.iter().enumerate();
    found
        .filter_map(|(column, expression)| {
            let bound = of_expression(expression, input)?;
            Some(TimeBound { column, ..bound })
        })
        .collect()
}

/// The bound of an expression over columns with bounds: columns, and functions
/// that move a time by less than a known distance.
fn of_expression(expression: &Arc<dyn PhysicalExpr>, input: &[TimeBound]) -> Option<TimeBound> {
    if let Some(column) = passed_column(expression) {
        return of_column(input, column).cloned();
    }
    if let Some(cast) = expression.downcast_ref::<CastExpr>() {
        let bound = of_expression(cast.expr(), input)?;
        return match cast.cast_type() {
            DataType::Timestamp(TimeUnit::Nanosecond | TimeUnit::Microsecond, _) => {
                Some(bound.moved(0, -ZONE_US))
            }
            DataType::Date32 => Some(bound.moved(0, -ZONE_US - DAY_US)),
            _ => None,
        };
    }
    let function = expression.downcast_ref::<ScalarFunctionExpr>()?;
    let (first, second) = match function.args() {
        [time] if matches!(function.fun().name(), "to_local_time" | "moment_of_local") => {
            let bound = of_expression(time, input)?;
            return Some(bound.moved(0, -ZONE_US));
        }
        [first, second, ..] => (first, second),
        _ => return None,
    };
    let first = first.downcast_ref::<Literal>()?.value();
    let length_us = match (function.fun().name(), first) {
        ("date_bin", ScalarValue::IntervalMonthDayNano(Some(value))) if value.months == 0 => {
            i64::from(value.days)
                .saturating_mul(DAY_US)
                .saturating_add(value.nanoseconds / 1_000)
        }
        ("date_trunc", unit) => unit_us(unit.try_as_str()??)?,
        _ => return None,
    };
    let bound = of_expression(second, input)?;
    Some(bound.moved(0, -length_us))
}

/// The longest that a calendar unit can be, with its changes of the clock.
fn unit_us(unit: &str) -> Option<i64> {
    let days = match unit.to_lowercase().as_str() {
        "microsecond" | "millisecond" | "second" | "minute" | "hour" => 1,
        "day" => 2,
        "week" => 8,
        "month" => 32,
        "quarter" => 93,
        "year" => 367,
        _ => return None,
    };
    Some(days * DAY_US)
}

fn of_union(inputs: &[&[TimeBound]]) -> Vec<TimeBound> {
    let Some((first, others)) = inputs.split_first() else {
        return Vec::new();
    };
    let in_all = |bound: &TimeBound| {
        let mut bound = bound.clone();
        for other in others {
            bound = bound.and(of_column(other, bound.column)?);
        }
        Some(bound)
    };
    first.iter().filter_map(in_all).collect()
}

/// A change of one side meets rows of any age on the other, so that only columns
/// that the join makes equal to a bounded column stay bounded.
fn of_join(
    left: &[TimeBound],
    right: &[TimeBound],
    keys: (&[usize], &[usize]),
    left_width: usize,
    output: Option<&JoinOutput>,
) -> Vec<TimeBound> {
    let gives_pairs = output.is_none_or(|output| output.pairs);
    let gives_left = output.is_none_or(|output| output.left != SideOutput::Nothing);
    let mut found = Vec::new();
    for (&left_key, &right_key) in keys.0.iter().zip(keys.1) {
        let (Some(of_left), Some(of_right)) =
            (of_column(left, left_key), of_column(right, right_key))
        else {
            continue;
        };
        let both = of_left.and(of_right);
        if gives_pairs {
            found.push(TimeBound {
                column: left_width + right_key,
                ..both.clone()
            });
        }
        if gives_pairs || gives_left {
            found.push(both);
        }
    }
    found
}

/// What a join's condition says of times that are bounded on both sides: of
/// the left and of the right column.
fn bounded_intervals(
    residual: Option<&Arc<dyn PhysicalExpr>>,
    graph: &Graph,
    node: &Node,
    inputs: &[&[TimeBound]],
) -> Vec<[Option<TimeBound>; 2]> {
    let Some(residual) = residual else {
        return Vec::new();
    };
    let [left, right] = [0, 1].map(|side| &graph.nodes[node.inputs[side]].schema);
    let found = intervals(residual, left.fields().len()).into_iter();
    found
        .filter_map(|interval| {
            let types = [
                left.field(interval.left).data_type(),
                right.field(interval.right).data_type(),
            ];
            if !types.into_iter().all(is_instant) {
                return None;
            }
            let of_left = of_column(inputs[0], interval.left)?;
            let of_right = of_column(inputs[1], interval.right)?;
            Some([
                interval.of_left(of_left, of_right),
                interval.of_right(of_left, of_right),
            ])
        })
        .collect()
}

fn of_intervals(
    intervals: &[[Option<TimeBound>; 2]],
    left_width: usize,
    output: Option<&JoinOutput>,
) -> Vec<TimeBound> {
    let gives_pairs = output.is_none_or(|output| output.pairs);
    let gives_left = output.is_none_or(|output| output.left != SideOutput::Nothing);
    let mut found = Vec::new();
    for [of_left, of_right] in intervals {
        if gives_pairs || gives_left {
            found.extend(of_left.clone());
        }
        if gives_pairs {
            found.extend(
                of_right
                    .as_ref()
                    .map(|bound| bound.moved(left_width + bound.column, 0)),
            );
        }
    }
    found
}

fn of_time_node(time_node: &TimeNode, node: &Node, inputs: &[&[TimeBound]]) -> Vec<TimeBound> {
    let width = node.schema.fields().len();
    let (start_column, end_column) = (width - 2, width - 1);
    let end_of_window = |bound: TimeBound| TimeBound {
        is_window_end: true,
        ..bound
    };
    match time_node {
        TimeNode::Hop {
            time,
            size_us,
            piece_us,
            ..
        } => {
            let mut found = inputs[0].to_vec();
            if let Some(bound) = of_column(inputs[0], *time) {
                let end = bound.moved(end_column, *piece_us);
                found.push(end.moved(start_column, -size_us));
                found.push(end_of_window(end));
            }
            found
        }
        // A changed row moves rows that came long before it, but only to or
        // from windows that end after it.
        TimeNode::Session { time, .. } => {
            let is_micros = matches!(
                node.schema.field(*time).data_type(),
                DataType::Timestamp(TimeUnit::Microsecond, _)
            );
            let later = i64::from(is_micros);
            let bound = of_column(inputs[0], *time);
            let end = bound.map(|bound| end_of_window(bound.moved(end_column, later)));
            end.into_iter().collect()
        }
        // Only new left rows change anything.
        TimeNode::Lookup { .. } => inputs[0].to_vec(),
        // Late versions correct rows not older than themselves.
        TimeNode::AsOf { times, .. } => {
            let at = of_column(inputs[0], times.0);
            let since = of_column(inputs[1], times.1);
            let both = at.zip(since).map(|(at, since)| at.and(since));
            both.into_iter().collect()
        }
        TimeNode::History { .. } => Vec::new(),
        // What comes out later was held back until a later watermark.
        TimeNode::WindowClose { bound } => vec![bound.clone()],
    }
}

/// State that may be dropped: what has a time in `column` below the watermark
/// of `tables` plus `lower_us`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateLimit {
    pub(crate) column: usize,
    pub(crate) lower_us: i64,
    pub(crate) tables: BTreeSet<String>,
}

/// The limit of each operator's state, where it has one. The column is one of
/// its output.
pub(crate) fn state_limits(graph: &Graph, bounds: &[Vec<TimeBound>]) -> Vec<Option<StateLimit>> {
    let limit = |(node, bounds): (&Node, &Vec<TimeBound>)| {
        let keeps_groups = matches!(
            node.kind,
            NodeKind::Aggregate { .. } | NodeKind::Time(TimeNode::Session { .. })
        );
        let tightest = bounds.iter().max_by_key(|bound| bound.lower_us);
        tightest.filter(|_| keeps_groups).map(|bound| StateLimit {
            column: bound.column,
            lower_us: bound.lower_us,
            tables: bound.tables.clone(),
        })
    };
    graph.nodes.iter().zip(bounds).map(limit).collect()
}

/// The limit of each arrangement, where all that use it are joins on a column
/// that is bounded on both sides, or of times that are near each other. The
/// column is a position in the key, or, from the width of the key on, a column
/// of the rows behind it.
pub(crate) fn arrangement_limits(
    graph: &Graph,
    bounds: &[Vec<TimeBound>],
) -> Vec<Option<StateLimit>> {
    let mut limits: Vec<Option<StateLimit>> = vec![None; graph.arrangements.len()];
    let mut uses = vec![0_usize; graph.arrangements.len()];
    let mut unlimited = vec![false; graph.arrangements.len()];
    for node in &graph.nodes {
        let (NodeKind::InnerJoin {
            left,
            right,
            residual,
        }
        | NodeKind::OuterJoin {
            left,
            right,
            residual,
            ..
        }) = &node.kind
        else {
            continue;
        };
        let sides = [*left, *right];
        let found = match limit_of_keys(graph, bounds, sides) {
            Some(limit) => [Some(limit.clone()), Some(limit)],
            None => limits_of_intervals(graph, bounds, node, residual.as_ref(), sides),
        };
        for (number, found) in sides.into_iter().zip(found) {
            uses[number] += 1;
            match (found, &mut limits[number]) {
                (None, _) => unlimited[number] = true,
                (Some(found), Some(known)) if known.column == found.column => {
                    known.lower_us = known.lower_us.min(found.lower_us);
                    known.tables.extend(found.tables);
                }
                (Some(_), Some(_)) => unlimited[number] = true,
                (Some(found), empty) => *empty = Some(found),
            }
        }
    }
    for (number, limit) in limits.iter_mut().enumerate() {
        // An operator that is not a join may need any row.
        if unlimited[number] || uses[number] != graph.arrangement_uses[number] {
            *limit = None;
        }
    }
    limits
}

/// The limit of both sides of a join by a key column that is bounded on both.
fn limit_of_keys(
    graph: &Graph,
    bounds: &[Vec<TimeBound>],
    sides: [usize; 2],
) -> Option<StateLimit> {
    let sides = sides.map(|side| &graph.arrangements[side]);
    let keys = sides[0].key_columns.iter().zip(&sides[1].key_columns);
    keys.enumerate().find_map(|(position, (left, right))| {
        let left = of_column(&bounds[sides[0].node], *left)?;
        let right = of_column(&bounds[sides[1].node], *right)?;
        let both = left.and(right);
        Some(StateLimit {
            column: position,
            lower_us: both.lower_us,
            tables: both.tables,
        })
    })
}

/// The limit of each side of a join by times that are near each other.
fn limits_of_intervals(
    graph: &Graph,
    bounds: &[Vec<TimeBound>],
    node: &Node,
    residual: Option<&Arc<dyn PhysicalExpr>>,
    sides: [usize; 2],
) -> [Option<StateLimit>; 2] {
    let inputs = sides.map(|side| &bounds[graph.arrangements[side].node][..]);
    let intervals = bounded_intervals(residual, graph, node, &inputs);
    [0, 1].map(|side| {
        let of_side = intervals.iter().filter_map(|found| found[side].as_ref());
        let tightest = of_side.max_by_key(|bound| bound.lower_us)?;
        let key_width = graph.arrangements[sides[side]].key_columns.len();
        Some(StateLimit {
            column: key_width + tightest.column,
            lower_us: tightest.lower_us,
            tables: tightest.tables.clone(),
        })
    })
}
