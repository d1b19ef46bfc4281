//! Joins from a logical plan to operators.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::logical_plan::Join;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column as PhysicalColumn;

use crate::evaluation_errors::shown_as;
use crate::expression::compile;
use crate::graph::{ArrangementSpec, Node, NodeKind};
use crate::lower::{Lowering, Refusal, compile_all, passed_columns, refuse};
use crate::outer_join::{JoinOutput, SideOutput};

/// What a kind of join gives out, and whether its sides change places first.
fn output_of(join_type: JoinType) -> (JoinOutput, bool) {
    use SideOutput::{Marked, Matched, Nothing, Unmatched, UnmatchedBesideNulls};
    let (pairs, left, right, swapped) = match join_type {
        JoinType::Inner => (true, Nothing, Nothing, false),
        JoinType::Left => (true, UnmatchedBesideNulls, Nothing, false),
        JoinType::Right => (true, Nothing, UnmatchedBesideNulls, false),
        JoinType::Full => (true, UnmatchedBesideNulls, UnmatchedBesideNulls, false),
        JoinType::LeftSemi => (false, Matched, Nothing, false),
        JoinType::RightSemi => (false, Matched, Nothing, true),
        JoinType::LeftAnti => (false, Unmatched, Nothing, false),
        JoinType::RightAnti => (false, Unmatched, Nothing, true),
        JoinType::LeftMark => (false, Marked, Nothing, false),
        JoinType::RightMark => (false, Marked, Nothing, true),
    };
    (JoinOutput { pairs, left, right }, swapped)
}

struct KeyedInput {
    node: usize,
    keys: Vec<usize>,
    /// Number of columns before those added for keys.
    width: usize,
}

impl Lowering<'_> {
    pub(crate) fn join(&mut self, join: &Join) -> Result<usize, Refusal> {
        if join.null_aware {
            return refuse(
                "this form of NOT IN in a materialized view",
                "write NOT EXISTS (SELECT … WHERE …)",
            );
        }
        let (output, swapped) = output_of(join.join_type);
        let left_input = self.lower(&join.left)?;
        let right_input = self.lower(&join.right)?;
        let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
        let nulls_match = join.null_equality == NullEquality::NullEqualsNull;
        let mut left = self.with_keys(left_input, &left_keys, join.left.schema())?;
        let mut right = self.with_keys(right_input, &right_keys, join.right.schema())?;
        for (left_key, right_key) in left.keys.iter().zip(&right.keys) {
            let left_type = self.field_type(left.node, *left_key);
            let right_type = self.field_type(right.node, *right_key);
            if left_type != right_type {
                return refuse(
                    format!("a join of {left_type} with {right_type}"),
                    "add a CAST to one side",
                );
            }
        }
        if swapped {
            std::mem::swap(&mut left, &mut right);
        }
        // Columns of the pairs: one side with its extra keys, then the other
        // with its.
        let left_schema = self.graph.nodes[left.node].schema.clone();
        let right_schema = self.graph.nodes[right.node].schema.clone();
        let pair_schema = nullable(left_schema.fields().iter().chain(right_schema.fields()));
        let right_start = left_schema.fields().len();
        let left_columns = 0..left.width;
        let right_columns = right_start..right_start + right.width;
        // Where the logical join's columns stand among those of the pairs.
        let positions: Vec<usize> = if swapped {
            right_columns.chain(left_columns).collect()
        } else {
            left_columns.chain(right_columns).collect()
        };
        let residual = match &join.filter {
            None => None,
            Some(filter) => {
                let both = join.left.schema().join(join.right.schema())?;
                Some(move_columns(compile(filter, &both)?, &positions)?)
            }
        };
        let (left_node, right_node) = (left.node, right.node);
        let only_pairs = output.left == SideOutput::Nothing && output.right == SideOutput::Nothing;
        // Semi joins of rows that are only added, too, only add.
        let adds_only = only_pairs || (!output.pairs && output.left == SideOutput::Matched);
        let append_only = adds_only
            && self.graph.nodes[left_node].append_only
            && self.graph.nodes[right_node].append_only;
        let left_arrangement = self.graph.arrange(ArrangementSpec {
            node: left_node,
            key_columns: left.keys,
            nulls_match,
        });
        let right_arrangement = self.graph.arrange(ArrangementSpec {
            node: right_node,
            key_columns: right.keys,
            nulls_match,
        });
        // What comes out, where it stands in the operator's output, and which
        // columns identify a row of it.
        let (schema, columns, unique_key) = if output.pairs {
            (pair_schema.clone(), positions, None)
        } else {
            let mark = Arc::new(Field::new("mark", DataType::Boolean, true));
            let is_marked = output.left == SideOutput::Marked;
            let marks = is_marked.then_some(&mark);
            let schema = nullable(left_schema.fields().iter().chain(marks));
            let columns = (0..left.width).chain(is_marked.then_some(right_start));
            let unique_key = self.graph.nodes[left_node].unique_key.clone();
            (schema, columns.collect(), unique_key)
        };
        let kind = if only_pairs {
            NodeKind::InnerJoin {
                left: left_arrangement,
                right: right_arrangement,
                residual,
            }
        } else {
            NodeKind::OuterJoin {
                output,
                left: left_arrangement,
                right: right_arrangement,
                left_types: types_of(&left_schema),
                right_types: types_of(&right_schema),
                residual,
                pair_schema,
            }
        };
        let node = self.graph.add(Node {
            kind,
            inputs: vec![left_node, right_node],
            schema,
            view: self.view.clone(),
            append_only,
            unique_key,
        });
        Ok(self.select_columns(node, &columns))
    }

    fn field_type(&self, node: usize, column: usize) -> DataType {
        self.graph.nodes[node]
            .schema
            .field(column)
            .data_type()
            .clone()
    }

    /// The input with its join keys as columns; keys that are expressions are
    /// computed into extra columns behind the others.
    fn with_keys(
        &mut self,
        input: usize,
        keys: &[Expr],
        schema: &DFSchema,
    ) -> Result<KeyedInput, Refusal> {
        let compiled = compile_all(keys, schema)?;
        if let Some(columns) = passed_columns(&compiled) {
            return Ok(KeyedInput {
                node: input,
                keys: columns,
                width: self.graph.nodes[input].schema.fields().len(),
            });
        }
        let input_schema = self.graph.nodes[input].schema.clone();
        let mut expressions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        let mut fields: Vec<Arc<arrow::datatypes::Field>> = Vec::new();
        for (column, field) in input_schema.fields().iter().enumerate() {
            expressions.push(Arc::new(PhysicalColumn::new(field.name(), column)));
            fields.push(field.clone());
        }
        let mut positions = Vec::with_capacity(compiled.len());
        for (number, (key, expression)) in compiled.into_iter().zip(keys).enumerate() {
            positions.push(expressions.len());
            let data_type = key.data_type(&input_schema)?;
            let nullable = key.nullable(&input_schema)?;
            let name = format!("join_key_{number}");
            let field = Field::new(name, data_type, nullable);
            fields.push(Arc::new(shown_as(field, expression, schema, &input_schema)));
            expressions.push(key);
        }
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let node = self.add_project(input, expressions, schema);
        Ok(KeyedInput {
            node,
            keys: positions,
            width: input_schema.fields().len(),
        })
    }
}

fn types_of(schema: &SchemaRef) -> Vec<DataType> {
    let fields = schema.fields().iter();
    fields.map(|field| field.data_type().clone()).collect()
}

fn nullable<'a>(fields: impl Iterator<Item = &'a Arc<Field>>) -> SchemaRef {
    let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Replaces column *i* by column `positions[i]`.
fn move_columns(
    expression: Arc<dyn PhysicalExpr>,
    positions: &[usize],
) -> Result<Arc<dyn PhysicalExpr>, Refusal> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let moved = expression.transform_up(|node| {
        let Some(column) = node.downcast_ref::<PhysicalColumn>() else {
            return Ok(Transformed::no(node));
        };
        let moved = PhysicalColumn::new(column.name(), positions[column.index()]);
        Ok(Transformed::yes(Arc::new(moved) as Arc<dyn PhysicalExpr>))
    })?;
    Ok(moved.data)
}
