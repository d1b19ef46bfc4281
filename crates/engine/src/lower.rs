//! From a logical plan to operators. Every construct is either handled here or
//! refused; nothing is passed over.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::logical_plan::{Aggregate, Join, Projection, Union};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column as PhysicalColumn;

use crate::accumulator::{AggregateKind, AggregateSpec};
use crate::expression::compile;
use crate::graph::{AggregateCallSpec, ArrangementSpec, Graph, Node, NodeKind};
use crate::map::passed_column;

/// A construct that the engine does not keep current.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) help: String,
}

fn refuse<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        message: message.into(),
        help: help.into(),
    })
}

impl From<datafusion::error::DataFusionError> for Refusal {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Self {
            message: error.strip_backtrace(),
            help: String::new(),
        }
    }
}

/// Lowers the plans of views into one graph.
pub(crate) struct Lowering<'a> {
    pub(crate) graph: &'a mut Graph,
    /// Node of each table and view planned so far.
    pub(crate) collections: &'a BTreeMap<String, usize>,
    pub(crate) view: String,
}

impl Lowering<'_> {
    /// The node that computes `plan`.
    pub(crate) fn lower(&mut self, plan: &LogicalPlan) -> Result<usize, Refusal> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                if !scan.filters.is_empty() || scan.fetch.is_some() {
                    return refuse("a filter or limit inside a table scan", "");
                }
                let name = scan.table_name.table();
                let Some(&node) = self.collections.get(name) else {
                    return refuse(format!("there is no table or view `{name}`"), "");
                };
                let Some(columns) = &scan.projection else {
                    return Ok(node);
                };
                Ok(self.select_columns(node, columns))
            }
            LogicalPlan::SubqueryAlias(alias) => self.lower(&alias.input),
            LogicalPlan::Projection(projection) => self.project(projection),
            LogicalPlan::Filter(filter) => {
                let input = self.lower(&filter.input)?;
                let predicate = compile(&filter.predicate, filter.input.schema())?;
                let node = &self.graph.nodes[input];
                let (schema, append_only, unique_key) = (
                    node.schema.clone(),
                    node.append_only,
                    node.unique_key.clone(),
                );
                Ok(self.graph.add(Node {
                    kind: NodeKind::Filter(predicate),
                    inputs: vec![input],
                    schema,
                    view: self.view.clone(),
                    append_only,
                    unique_key,
                }))
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Extension(extension) => self.extension(extension),
            LogicalPlan::Sort(_) => refuse(
                "ORDER BY in a materialized view",
                "a view is a set of rows without an order; put ORDER BY in the query that reads it",
            ),
            LogicalPlan::Limit(_) => refuse(
                "LIMIT in a materialized view",
                "keep all rows in the view and put LIMIT in the query that reads it, or make it a plain CREATE VIEW",
            ),
            LogicalPlan::Window(_) => refuse(
                "window functions (OVER) in a materialized view",
                "make it a plain CREATE VIEW, which is computed when asked",
            ),
            // A condition that can never hold: the optimizer leaves no table.
            LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => {
                Ok(self.graph.add(Node {
                    kind: NodeKind::Union,
                    inputs: vec![],
                    schema: empty.schema.inner().clone(),
                    view: self.view.clone(),
                    append_only: true,
                    unique_key: None,
                }))
            }
            LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => refuse(
                "a query without a table",
                "put constants into a table or into the expressions of the view",
            ),
            LogicalPlan::RecursiveQuery(_) => refuse("WITH RECURSIVE in a materialized view", ""),
            LogicalPlan::Unnest(_) => refuse(
                "unnest in a materialized view",
                "explode the array where the table is made: `explode` in sources/*.toml",
            ),
            other => refuse(
                format!("`{}` in a materialized view", other.display()),
                "make it a plain CREATE VIEW, which is computed when asked",
            ),
        }
    }

    fn select_columns(&mut self, input: usize, columns: &[usize]) -> usize {
        let node = &self.graph.nodes[input];
        if columns.iter().copied().eq(0..node.schema.fields().len()) {
            return input;
        }
        let fields = node.schema.fields();
        let expressions: Vec<Arc<dyn PhysicalExpr>> = columns
            .iter()
            .map(|&column| Arc::new(PhysicalColumn::new(fields[column].name(), column)) as Arc<_>)
            .collect();
        let selected: Vec<_> = columns
            .iter()
            .map(|&column| fields[column].clone())
            .collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(selected));
        // Views that read the same columns share this node and, with it, the
        // arrangements made of it.
        let found = self.graph.nodes.iter().position(|other| {
            other.inputs == [input]
                && other.schema == schema
                && matches!(&other.kind, NodeKind::Project(others)
                    if passed_columns(others).as_deref() == Some(columns))
        });
        found.unwrap_or_else(|| self.add_project(input, expressions, schema))
    }

    fn add_project(
        &mut self,
        input: usize,
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
    ) -> usize {
        let node = &self.graph.nodes[input];
        let position_of = |column: &usize| {
            expressions
                .iter()
                .position(|expression| passed_column(expression) == Some(*column))
        };
        let unique_key = node
            .unique_key
            .as_ref()
            .and_then(|key| key.iter().map(position_of).collect());
        let append_only = node.append_only;
        self.graph.add(Node {
            kind: NodeKind::Project(expressions),
            inputs: vec![input],
            schema,
            view: self.view.clone(),
            append_only,
            unique_key,
        })
    }

    fn project(&mut self, projection: &Projection) -> Result<usize, Refusal> {
        let input = self.lower(&projection.input)?;
        let expressions = compile_all(&projection.expr, projection.input.schema())?;
        let schema = projection.schema.inner().clone();
        Ok(self.add_project(input, expressions, schema))
    }

    fn union(&mut self, union: &Union) -> Result<usize, Refusal> {
        let inputs: Vec<usize> = union
            .inputs
            .iter()
            .map(|input| self.lower(input))
            .collect::<Result<_, _>>()?;
        let schema = union.schema.inner().clone();
        for &input in &inputs {
            let found = &self.graph.nodes[input].schema;
            let types_fit = schema
                .fields()
                .iter()
                .zip(found.fields())
                .all(|(wanted, found)| wanted.data_type() == found.data_type());
            if !types_fit {
                return refuse(
                    "UNION ALL of columns of different types",
                    "add CASTs, so that both sides have the same types",
                );
            }
        }
        // A union of nullable and not nullable columns is nullable.
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(column, field)| {
                let nullable = field.is_nullable()
                    || inputs
                        .iter()
                        .any(|&input| self.graph.nodes[input].schema.field(column).is_nullable());
                field.as_ref().clone().with_nullable(nullable)
            })
            .collect();
        let append_only = inputs
            .iter()
            .all(|&input| self.graph.nodes[input].append_only);
        Ok(self.graph.add(Node {
            kind: NodeKind::Union,
            inputs,
            schema: Arc::new(arrow::datatypes::Schema::new(fields)),
            view: self.view.clone(),
            append_only,
            unique_key: None,
        }))
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<usize, Refusal> {
        let input = self.lower(&aggregate.input)?;
        if aggregate
            .group_expr
            .iter()
            .any(|expression| matches!(expression, Expr::GroupingSet(_)))
        {
            return refuse(
                "GROUPING SETS, ROLLUP or CUBE in a materialized view",
                "write one GROUP BY for each set and join them by UNION ALL",
            );
        }
        let input_schema = aggregate.input.schema();
        let group_by = compile_all(&aggregate.group_expr, input_schema)?;
        let retracts = !self.graph.nodes[input].append_only;
        let output = aggregate.schema.inner().clone();
        let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
        for (index, expression) in aggregate.aggr_expr.iter().enumerate() {
            let output_type = output.field(group_by.len() + index).data_type().clone();
            calls.push(aggregate_call(
                expression,
                input_schema,
                output_type,
                retracts,
            )?);
        }
        if let Some(node) = self.aggregate_by_panes(input, &group_by, &calls, &output) {
            return Ok(node);
        }
        let unique_key = (!group_by.is_empty()).then(|| (0..group_by.len()).collect());
        // DISTINCT of rows that are only added only adds.
        let append_only = calls.is_empty() && !retracts;
        Ok(self.graph.add(Node {
            kind: NodeKind::Aggregate { group_by, calls },
            inputs: vec![input],
            schema: output,
            view: self.view.clone(),
            append_only,
            unique_key,
        }))
    }

    fn join(&mut self, join: &Join) -> Result<usize, Refusal> {
        let swapped = match join.join_type {
            JoinType::Inner | JoinType::Left => false,
            JoinType::Right => true,
            JoinType::Full => {
                return refuse(
                    "FULL JOIN in a materialized view",
                    "write a LEFT JOIN, UNION ALL the rows of the right side that have no partner",
                );
            }
            _ => {
                return refuse(
                    "a subquery with IN, NOT IN, EXISTS or NOT EXISTS in a materialized view",
                    "write a join with the distinct keys of the subquery; for NOT, a LEFT JOIN and WHERE … IS NULL",
                );
            }
        };
        let left_input = self.lower(&join.left)?;
        let right_input = self.lower(&join.right)?;
        let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
        let nulls_match = join.null_equality == NullEquality::NullEqualsNull;
        let (left_width, right_width) = (
            join.left.schema().fields().len(),
            join.right.schema().fields().len(),
        );
        let left = self.with_keys(left_input, &left_keys, join.left.schema())?;
        let right = self.with_keys(right_input, &right_keys, join.right.schema())?;
        for (left_key, right_key) in left.keys.iter().zip(&right.keys) {
            let left_type = self.graph.nodes[left.node]
                .schema
                .field(*left_key)
                .data_type();
            let right_type = self.graph.nodes[right.node]
                .schema
                .field(*right_key)
                .data_type();
            if left_type != right_type {
                return refuse(
                    format!("a join of {left_type} with {right_type}"),
                    "add a CAST to one side",
                );
            }
        }
        let (first, second) = if swapped {
            (right, left)
        } else {
            (left, right)
        };
        let (first_width, second_width) = if swapped {
            (right_width, left_width)
        } else {
            (left_width, right_width)
        };
        // Columns of the wide join: first side with its extra keys, then the
        // second with its.
        let first_schema = self.graph.nodes[first.node].schema.clone();
        let second_schema = self.graph.nodes[second.node].schema.clone();
        let pads = join.join_type != JoinType::Inner;
        let mut fields: Vec<_> = first_schema.fields().iter().cloned().collect();
        for field in second_schema.fields() {
            let nullable = field.is_nullable() || pads;
            fields.push(Arc::new(field.as_ref().clone().with_nullable(nullable)));
        }
        let wide_schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let second_start = first_schema.fields().len();
        // Where the logical join's columns stand in the wide one.
        let first_columns = 0..first_width;
        let second_columns = second_start..second_start + second_width;
        let positions: Vec<usize> = if swapped {
            second_columns.chain(first_columns).collect()
        } else {
            first_columns.chain(second_columns).collect()
        };
        let residual = match &join.filter {
            None => None,
            Some(filter) => {
                let compiled = compile(filter, &join_schema(join)?)?;
                Some(move_columns(compiled, &positions)?)
            }
        };
        let append_only = join.join_type == JoinType::Inner
            && self.graph.nodes[first.node].append_only
            && self.graph.nodes[second.node].append_only;
        let left_arrangement = self.graph.arrange(ArrangementSpec {
            node: first.node,
            key_columns: first.keys,
            nulls_match,
        });
        let right_arrangement = self.graph.arrange(ArrangementSpec {
            node: second.node,
            key_columns: second.keys,
            nulls_match,
        });
        let right_types = second_schema
            .fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let wide = self.graph.add(Node {
            kind: NodeKind::Join {
                is_left: pads,
                left: left_arrangement,
                right: right_arrangement,
                residual,
                right_types,
            },
            inputs: vec![first.node, second.node],
            schema: wide_schema,
            view: self.view.clone(),
            append_only,
            unique_key: None,
        });
        Ok(self.select_columns(wide, &positions))
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
        for (number, key) in compiled.into_iter().enumerate() {
            positions.push(expressions.len());
            let data_type = key.data_type(&input_schema)?;
            let nullable = key.nullable(&input_schema)?;
            let name = format!("join_key_{number}");
            fields.push(Arc::new(arrow::datatypes::Field::new(
                name, data_type, nullable,
            )));
            expressions.push(key);
        }
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let node = self.add_project(input, expressions, schema);
        Ok(KeyedInput {
            node,
            keys: positions,
        })
    }
}

struct KeyedInput {
    node: usize,
    keys: Vec<usize>,
}

fn join_schema(join: &Join) -> Result<DFSchema, Refusal> {
    Ok(join.left.schema().join(join.right.schema())?)
}

fn compile_all(
    expressions: &[Expr],
    schema: &DFSchema,
) -> Result<Vec<Arc<dyn PhysicalExpr>>, Refusal> {
    expressions
        .iter()
        .map(|expression| Ok(compile(expression, schema)?))
        .collect()
}

fn passed_columns(expressions: &[Arc<dyn PhysicalExpr>]) -> Option<Vec<usize>> {
    expressions.iter().map(passed_column).collect()
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

fn aggregate_call(
    expression: &Expr,
    input_schema: &DFSchema,
    output_type: DataType,
    input_retracts: bool,
) -> Result<AggregateCallSpec, Refusal> {
    let inner = match expression {
        Expr::Alias(alias) => &alias.expr,
        other => other,
    };
    let Expr::AggregateFunction(function) = inner else {
        return refuse(format!("`{inner}` as an aggregate"), "");
    };
    let name = function.func.name();
    let kind = match name {
        "count" => AggregateKind::Count,
        "sum" => AggregateKind::Sum,
        "avg" => AggregateKind::Average,
        "min" => AggregateKind::Min,
        "max" => AggregateKind::Max,
        _ => {
            return refuse(
                format!("the aggregate `{name}` in a materialized view"),
                "count, sum, avg, min and max are kept current; make it a plain CREATE VIEW for others",
            );
        }
    };
    let parameters = &function.params;
    if !parameters.order_by.is_empty() || parameters.null_treatment.is_some() {
        return refuse(
            format!("ORDER BY or null treatment inside `{name}`"),
            "they do not change this aggregate; leave them out",
        );
    }
    let [argument] = &parameters.args[..] else {
        return refuse(
            format!("`{name}` of {} arguments", parameters.args.len()),
            "write one argument",
        );
    };
    let counts_rows =
        kind == AggregateKind::Count && !parameters.distinct && is_not_null_literal(argument);
    let argument = if counts_rows {
        None
    } else {
        Some(compile(argument, input_schema)?)
    };
    let input_type = match &argument {
        Some(argument) => Some(argument.data_type(input_schema.as_arrow())?),
        None => None,
    };
    if matches!(kind, AggregateKind::Sum | AggregateKind::Average) {
        let is_number = matches!(
            input_type,
            Some(
                DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Decimal128(_, _)
            )
        );
        if !is_number {
            let shown = input_type.map_or_else(String::new, |found| format!(" of {found}"));
            return refuse(
                format!("`{name}`{shown} in a materialized view"),
                "cast the argument to BIGINT, DECIMAL or DOUBLE",
            );
        }
    }
    let filter = match &parameters.filter {
        Some(filter) => Some(compile(filter, input_schema)?),
        None => None,
    };
    Ok(AggregateCallSpec {
        spec: AggregateSpec {
            kind,
            distinct: parameters.distinct,
            input_type,
            output_type,
            input_retracts,
        },
        argument,
        filter,
    })
}

fn is_not_null_literal(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(value, _) if !value.is_null())
}
