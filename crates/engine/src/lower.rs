//! From a logical plan to operators. Every construct is either handled here or
//! refused; nothing is passed over.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::logical_plan::{Projection, Union, Unnest, Values};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column as PhysicalColumn;

use crate::evaluation_errors::{COMMON_EXPRESSION, shown_as};
use crate::expression::compile;
use crate::graph::{Graph, Node, NodeKind};
use crate::map::passed_column;
use crate::unnest::UnnestSpec;

/// A construct that the engine does not keep current.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) help: String,
}

pub(crate) fn refuse<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Refusal> {
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
                if let Some(node) = self.ranked_filter(filter)? {
                    return Ok(node);
                }
                let input = self.lower(&filter.input)?;
                let predicate = compile(&filter.predicate, filter.input.schema())?;
                Ok(self.add_filter(input, predicate))
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Extension(extension) => self.extension(extension),
            LogicalPlan::Sort(_) => refuse(
                "ORDER BY in a materialized view",
                "a view is a set of rows without an order; put ORDER BY in the query that reads it, or add LIMIT",
            ),
            // It limits nothing; see `optimize.rs`.
            LogicalPlan::Limit(limit) if limit.skip.is_none() && limit.fetch.is_none() => {
                self.lower(&limit.input)
            }
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Window(window) => self.window(window),
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
            LogicalPlan::EmptyRelation(empty) => {
                let options = RecordBatchOptions::new().with_row_count(Some(1));
                let schema = empty.schema.inner().clone();
                let row = RecordBatch::try_new_with_options(schema, vec![], &options);
                Ok(self.add_constant(row.map_err(DataFusionError::from)?))
            }
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::RecursiveQuery(_) => refuse("WITH RECURSIVE in a materialized view", ""),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::Subquery(_) => refuse(
                "this form of subquery in a materialized view",
                "write a join",
            ),
            other => refuse(
                format!("`{}` in a materialized view", other.display()),
                "make it a plain CREATE VIEW, which is computed when asked",
            ),
        }
    }

    pub(crate) fn add_filter(&mut self, input: usize, predicate: Arc<dyn PhysicalExpr>) -> usize {
        let node = &self.graph.nodes[input];
        let (schema, append_only, unique_key) = (
            node.schema.clone(),
            node.append_only,
            node.unique_key.clone(),
        );
        self.graph.add(Node {
            kind: NodeKind::Filter(predicate),
            inputs: vec![input],
            schema,
            view: self.view.clone(),
            append_only,
            unique_key,
        })
    }

    pub(crate) fn select_columns(&mut self, input: usize, columns: &[usize]) -> usize {
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

    pub(crate) fn add_project(
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

    fn unnest(&mut self, unnest: &Unnest) -> Result<usize, Refusal> {
        let input = self.lower(&unnest.input)?;
        let lists = unnest.list_type_columns.iter();
        let spec = UnnestSpec {
            lists: lists.map(|(column, list)| (*column, list.depth)).collect(),
            structs: unnest.struct_type_columns.clone(),
            options: unnest.options.clone(),
        };
        let append_only = self.graph.nodes[input].append_only;
        Ok(self.graph.add(Node {
            kind: NodeKind::Unnest(spec),
            inputs: vec![input],
            schema: unnest.schema.inner().clone(),
            view: self.view.clone(),
            append_only,
            unique_key: None,
        }))
    }

    fn add_constant(&mut self, rows: RecordBatch) -> usize {
        let schema = rows.schema();
        self.graph.add(Node {
            kind: NodeKind::Constant(rows),
            inputs: vec![],
            schema,
            view: self.view.clone(),
            append_only: true,
            unique_key: None,
        })
    }

    fn values(&mut self, values: &Values) -> Result<usize, Refusal> {
        // As the graph takes it: what the planner says of nulls does not count.
        let fields = values.schema.fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let nothing = Arc::new(Schema::empty());
        let nothing = RecordBatch::try_new_with_options(nothing, vec![], &options)
            .map_err(DataFusionError::from)?;
        let mut rows = Vec::with_capacity(values.values.len());
        for row in &values.values {
            let mut columns = Vec::with_capacity(row.len());
            for (expression, field) in row.iter().zip(schema.fields()) {
                let value = compile(expression, &DFSchema::empty())?.evaluate(&nothing)?;
                let value = value.cast_to(field.data_type(), None)?;
                columns.push(value.into_array(1)?);
            }
            let row = RecordBatch::try_new(schema.clone(), columns);
            rows.push(row.map_err(DataFusionError::from)?);
        }
        let rows = concat_batches(&schema, &rows).map_err(DataFusionError::from)?;
        Ok(self.add_constant(rows))
    }

    fn project(&mut self, projection: &Projection) -> Result<usize, Refusal> {
        if let Some(node) = self.ranked_projection(projection)? {
            return Ok(node);
        }
        let input = self.lower(&projection.input)?;
        let input_schema = projection.input.schema();
        let expressions = compile_all(&projection.expr, input_schema)?;
        let schema = &projection.schema;
        let schema = self.shown_fields(schema, projection.expr.iter(), input, input_schema);
        Ok(self.add_project(input, expressions, schema))
    }

    /// The fields of what `expressions` give, with names for people where the
    /// planner's say nothing.
    pub(crate) fn shown_fields<'e>(
        &self,
        schema: &DFSchema,
        expressions: impl Iterator<Item = &'e Expr>,
        input: usize,
        input_schema: &DFSchema,
    ) -> SchemaRef {
        let of_input = &self.graph.nodes[input].schema;
        let fields = schema.fields().iter().zip(expressions);
        let fields = fields.map(|(field, expression)| {
            if !field.name().starts_with(COMMON_EXPRESSION) {
                return field.clone();
            }
            let field = field.as_ref().clone();
            Arc::new(shown_as(field, expression, input_schema, of_input))
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
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
}

pub(crate) fn compile_all(
    expressions: &[Expr],
    schema: &DFSchema,
) -> Result<Vec<Arc<dyn PhysicalExpr>>, Refusal> {
    expressions
        .iter()
        .map(|expression| Ok(compile(expression, schema)?))
        .collect()
}

pub(crate) fn passed_columns(expressions: &[Arc<dyn PhysicalExpr>]) -> Option<Vec<usize>> {
    expressions.iter().map(passed_column).collect()
}
