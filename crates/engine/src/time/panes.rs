//! GROUP BY over `hop` by way of panes: a row in n windows would be added to n
//! groups. Instead it is added to the one group of its pane, the piece between
//! two neighbouring window bounds; then each changed pane is added to the n
//! windows that it is part of. That costs n a changed pane and epoch instead of
//! n a row.
//!
//! It needs aggregates that can be put together from parts: counts, exact sums,
//! smallest and greatest values.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;

use super::node::TimeNode;
use crate::accumulator::{AggregateKind, AggregateSpec};
use crate::graph::{AggregateCallSpec, Node, NodeKind};
use crate::lower::Lowering;
use crate::map::passed_column;

/// Digits of the widest decimal, for sums that are summed again.
const SUM_DIGITS: u8 = 38;

/// A `hop` of overlapping windows below an aggregate.
struct Hop {
    node: usize,
    time: usize,
    slide_us: i64,
    size_us: i64,
    /// Position of `window_start`; `window_end` follows it.
    window_start: usize,
}

impl Lowering<'_> {
    /// The aggregate of `input` by way of panes, where that is possible.
    pub(crate) fn aggregate_by_panes(
        &mut self,
        input: usize,
        group_by: &[Arc<dyn PhysicalExpr>],
        calls: &[AggregateCallSpec],
        output: &SchemaRef,
    ) -> Option<usize> {
        let (hop, projection) = self.hop_below(input)?;
        if calls.is_empty() {
            return None;
        }
        let keys: Vec<_> = group_by
            .iter()
            .map(|key| through(key, projection.as_deref()))
            .collect::<Option<_>>()?;
        let is_window_bound = |key: &Arc<dyn PhysicalExpr>| {
            passed_column(key).is_some_and(|column| column >= hop.window_start)
        };
        let has_no_bound = |expression: &Arc<dyn PhysicalExpr>| {
            let columns = collect_columns(expression);
            columns
                .iter()
                .all(|column| column.index() < hop.window_start)
        };
        let other_keys: Vec<_> = keys.iter().filter(|key| !is_window_bound(key)).collect();
        if other_keys.len() == keys.len() || !other_keys.iter().all(|key| has_no_bound(key)) {
            return None;
        }
        let pane_column = other_keys.len();
        let mut parts = Vec::with_capacity(calls.len());
        let mut totals = Vec::with_capacity(calls.len());
        for (index, call) in calls.iter().enumerate() {
            let expression = |found: &Arc<dyn PhysicalExpr>| {
                let found = through(found, projection.as_deref())?;
                has_no_bound(&found).then_some(found)
            };
            let part = AggregateCallSpec {
                spec: part_spec(&call.spec)?,
                arguments: call
                    .arguments
                    .iter()
                    .map(expression)
                    .collect::<Option<_>>()?,
                filter: match &call.filter {
                    Some(filter) => Some(expression(filter)?),
                    None => None,
                },
            };
            let column = pane_column + 1 + index;
            totals.push(total_call(&call.spec, &part.spec, column));
            parts.push(part);
        }
        let hop_node = &self.graph.nodes[hop.node];
        let (source, hop_schema) = (hop_node.inputs[0], hop_node.schema.clone());
        let pane_us = greatest_common_divisor(hop.slide_us, hop.size_us);
        let panes = self.add_retracting(
            NodeKind::Time(TimeNode::Hop {
                time: hop.time,
                slide_us: pane_us,
                size_us: pane_us,
                piece_us: 1,
            }),
            source,
            hop_schema.clone(),
            self.graph.nodes[source].append_only,
        );
        // By pane: the other keys, the pane's start, the parts.
        let pane_start: Arc<dyn PhysicalExpr> = Arc::new(Column::new(
            super::window_table::WINDOW_START,
            hop.window_start,
        ));
        let mut fields: Vec<Field> = Vec::new();
        for (index, _) in keys
            .iter()
            .enumerate()
            .filter(|(_, key)| !is_window_bound(key))
        {
            fields.push(numbered_field(
                fields.len(),
                output.field(index).data_type(),
            ));
        }
        let time_type = hop_schema.field(hop.window_start).data_type();
        fields.push(numbered_field(fields.len(), time_type));
        for part in &parts {
            fields.push(numbered_field(fields.len(), &part.spec.output_type));
        }
        let mut pane_keys: Vec<_> = other_keys.into_iter().cloned().collect();
        pane_keys.push(pane_start);
        let by_pane = self.add_retracting(
            NodeKind::Aggregate {
                group_by: pane_keys,
                calls: parts,
            },
            panes,
            Arc::new(Schema::new(fields.clone())),
            false,
        );
        // Each pane in all of its windows, and those added up.
        let first_window_column = fields.len();
        for _ in 0..2 {
            fields.push(numbered_field(fields.len(), time_type));
        }
        let in_windows = self.add_retracting(
            NodeKind::Time(TimeNode::Hop {
                time: pane_column,
                slide_us: hop.slide_us,
                size_us: hop.size_us,
                piece_us: pane_us,
            }),
            by_pane,
            Arc::new(Schema::new(fields)),
            false,
        );
        let mut next_other_key = 0;
        let mut window_keys: Vec<Arc<dyn PhysicalExpr>> = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            let position = match passed_column(key) {
                Some(column) if column >= hop.window_start => {
                    first_window_column + column - hop.window_start
                }
                _ => {
                    next_other_key += 1;
                    next_other_key - 1
                }
            };
            let name = output.field(index).name();
            window_keys.push(Arc::new(Column::new(name, position)));
        }
        let node = self.add_retracting(
            NodeKind::Aggregate {
                group_by: window_keys,
                calls: totals,
            },
            in_windows,
            output.clone(),
            false,
        );
        self.graph.nodes[node].unique_key = Some((0..keys.len()).collect());
        Some(node)
    }

    fn add_retracting(
        &mut self,
        kind: NodeKind,
        input: usize,
        schema: SchemaRef,
        append_only: bool,
    ) -> usize {
        self.graph.add(Node {
            kind,
            inputs: vec![input],
            schema,
            view: self.view.clone(),
            append_only,
            unique_key: None,
        })
    }

    /// The hop that `node` is or projects, and the projection.
    #[expect(clippy::type_complexity, reason = "a pair, named where it is used")]
    fn hop_below(&self, node: usize) -> Option<(Hop, Option<Vec<Arc<dyn PhysicalExpr>>>)> {
        let found = &self.graph.nodes[node];
        match &found.kind {
            NodeKind::Project(expressions) => {
                let (hop, None) = self.hop_below(found.inputs[0])? else {
                    return None;
                };
                Some((hop, Some(expressions.clone())))
            }
            NodeKind::Time(TimeNode::Hop {
                time,
                slide_us,
                size_us,
                piece_us: 1,
            }) if slide_us < size_us => {
                let hop = Hop {
                    node,
                    time: *time,
                    slide_us: *slide_us,
                    size_us: *size_us,
                    window_start: found.schema.fields().len() - 2,
                };
                Some((hop, None))
            }
            _ => None,
        }
    }
}

fn numbered_field(number: usize, data_type: &DataType) -> Field {
    Field::new(format!("part_{number}"), data_type.clone(), true)
}

/// `expression` over the projection's output, as one over its input.
fn through(
    expression: &Arc<dyn PhysicalExpr>,
    projection: Option<&[Arc<dyn PhysicalExpr>]>,
) -> Option<Arc<dyn PhysicalExpr>> {
    let Some(projection) = projection else {
        return Some(expression.clone());
    };
    // Downwards and not into what was put in, which is of the input already.
    let replaced = expression.clone().transform_down(|node| {
        let Some(column) = node.downcast_ref::<Column>() else {
            return Ok(Transformed::no(node));
        };
        let replacement = projection[column.index()].clone();
        Ok(Transformed::new(
            replacement,
            true,
            datafusion::common::tree_node::TreeNodeRecursion::Jump,
        ))
    });
    replaced.ok().map(|found| found.data)
}

/// What is computed of each pane; `None` if the whole cannot be had from parts.
fn part_spec(spec: &AggregateSpec) -> Option<AggregateSpec> {
    let is_extreme = matches!(spec.kind, AggregateKind::Min | AggregateKind::Max);
    if spec.distinct && !is_extreme {
        return None;
    }
    // The first or last by another column cannot be told from the firsts of the
    // parts.
    if is_extreme && (spec.input.len() != 1 || !spec.skips_nulls) {
        return None;
    }
    match (spec.kind, spec.input_type()) {
        (AggregateKind::Count | AggregateKind::Min | AggregateKind::Max, _) => Some(spec.clone()),
        // A part may be wider than the whole that it is made up to.
        (AggregateKind::Sum, Some(DataType::Int64 | DataType::UInt64)) => Some(AggregateSpec {
            output_type: DataType::Decimal128(SUM_DIGITS, 0),
            ..spec.clone()
        }),
        (AggregateKind::Sum, Some(DataType::Decimal128(_, scale))) => Some(AggregateSpec {
            output_type: DataType::Decimal128(SUM_DIGITS, *scale),
            ..spec.clone()
        }),
        _ => None,
    }
}

/// The aggregate over the parts in `column`.
fn total_call(whole: &AggregateSpec, part: &AggregateSpec, column: usize) -> AggregateCallSpec {
    let kind = match whole.kind {
        AggregateKind::Count => AggregateKind::Sum,
        other => other,
    };
    AggregateCallSpec {
        spec: AggregateSpec {
            kind,
            distinct: false,
            input: vec![(part.output_type.clone(), SortOptions::default())],
            output_type: whole.output_type.clone(),
            input_retracts: true,
            skips_nulls: true,
            domain: None,
            function: None,
        },
        arguments: vec![Arc::new(Column::new("part", column))],
        filter: None,
    }
}

fn greatest_common_divisor(mut first: i64, mut second: i64) -> i64 {
    while second != 0 {
        (first, second) = (second, first % second);
    }
    first
}
