//! OVER (…) as operators: expressions first, then the windows over plain
//! columns, then the results in the types that the plan promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{NullTreatment, Sort, WindowFunction};
use datafusion::logical_expr::logical_plan::Window;
use datafusion::logical_expr::{Expr, WindowFrame, WindowFunctionDefinition};
use datafusion::physical_expr::expressions::{CastExpr, Column as PhysicalColumn};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::windows::create_window_expr;

use sluice_functions::{EMA, UNIQ_STATE, ema_weight, function_of_window};

use crate::evaluation_errors::COMMON_EXPRESSION;
use crate::expression::compile;
use crate::graph::{ArrangementSpec, Node, NodeKind};
use crate::lower::{Lowering, Refusal, refuse};
use crate::map::passed_column;
use crate::window::{CallForm, WindowCall, WindowSpec};

/// Sums of integers are made in this type, which holds 10^18 of the greatest
/// ones, and cast back, so that only rows whose own sum does not fit fail.
const WIDE_INTEGER: DataType = DataType::Decimal128(20, 0);

/// PARTITION BY and ORDER BY as columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Keys {
    pub(crate) partition: Vec<usize>,
    /// Column, descending, nulls first.
    order: Vec<(usize, bool, bool)>,
}

impl Keys {
    pub(crate) fn order(&self) -> Vec<(usize, SortOptions)> {
        let order = self.order.iter();
        order
            .map(|&(column, descending, nulls_first)| {
                let options = SortOptions {
                    descending,
                    nulls_first,
                };
                (column, options)
            })
            .collect()
    }
}

/// The input's columns, and behind them what expressions of windows give.
pub(crate) struct WindowColumns<'a> {
    schema: &'a DFSchema,
    input_schema: SchemaRef,
    /// Where each input column stands.
    pub(crate) positions: Vec<usize>,
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<FieldRef>,
}

impl<'a> WindowColumns<'a> {
    pub(crate) fn new(input_schema: SchemaRef, schema: &'a DFSchema) -> Self {
        let mut columns = Self {
            schema,
            positions: vec![0; input_schema.fields().len()],
            expressions: Vec::new(),
            fields: Vec::new(),
            input_schema: input_schema.clone(),
        };
        for wants_common in [false, true] {
            for (column, field) in input_schema.fields().iter().enumerate() {
                if field.name().starts_with(COMMON_EXPRESSION) == wants_common {
                    columns.positions[column] = columns.expressions.len();
                    let expression = PhysicalColumn::new(field.name(), column);
                    columns.expressions.push(Arc::new(expression));
                    columns.fields.push(field.clone());
                }
            }
        }
        columns
    }

    /// The column that holds an expression's values.
    fn position(&mut self, expression: Arc<dyn PhysicalExpr>) -> Result<usize, Refusal> {
        if let Some(column) = passed_column(&expression) {
            return Ok(self.positions[column]);
        }
        let known = self
            .expressions
            .iter()
            .position(|other| **other == *expression);
        if let Some(known) = known {
            return Ok(known);
        }
        let data_type = expression.data_type(&self.input_schema)?;
        let name = format!("window_input_{}", self.expressions.len());
        self.fields
            .push(Arc::new(Field::new(name, data_type, true)));
        self.expressions.push(expression);
        Ok(self.expressions.len() - 1)
    }

    fn column(
        &mut self,
        expression: Arc<dyn PhysicalExpr>,
    ) -> Result<Arc<dyn PhysicalExpr>, Refusal> {
        let position = self.position(expression)?;
        let name = self.fields[position].name();
        Ok(Arc::new(PhysicalColumn::new(name, position)))
    }

    pub(crate) fn keys(
        &mut self,
        partition_by: &[Expr],
        order_by: &[Sort],
    ) -> Result<Keys, Refusal> {
        let mut partition = Vec::with_capacity(partition_by.len());
        for expression in partition_by {
            let column = self.position(compile(expression, self.schema)?)?;
            if !partition.contains(&column) {
                partition.push(column);
            }
        }
        let mut order = Vec::with_capacity(order_by.len());
        for sort in order_by {
            let column = self.position(compile(&sort.expr, self.schema)?)?;
            order.push((column, !sort.asc, sort.nulls_first));
        }
        Ok(Keys { partition, order })
    }

    /// The node that computes the columns from `input`.
    pub(crate) fn lower(self, lowering: &mut Lowering<'_>, input: usize) -> usize {
        let mut positions = self.positions.iter().enumerate();
        let is_input = self.expressions.len() == self.positions.len()
            && positions.all(|(column, &position)| column == position);
        if is_input {
            return input;
        }
        let schema = Arc::new(Schema::new(self.fields));
        lowering.add_project(input, self.expressions, schema)
    }

    fn call(&mut self, function: &WindowFunction) -> Result<Call, Refusal> {
        let parameters = &function.params;
        let name = function.fun.name();
        if parameters.distinct {
            return refuse(
                format!("`{name}` (DISTINCT …) OVER in a materialized view"),
                "count the distinct values with GROUP BY in a subquery, and join it",
            );
        }
        if !is_in_order(&parameters.window_frame) {
            return refuse(
                format!("`{name}` over a frame that ends before it starts"),
                "write the earlier bound first: BETWEEN 3 PRECEDING AND 1 PRECEDING",
            );
        }
        if name == UNIQ_STATE {
            return refuse(
                format!("`{name}` OVER in a materialized view"),
                "make the states with GROUP BY in another view, and merge them here: uniq_merge(state) OVER (…)",
            );
        }
        let keys = self.keys(&parameters.partition_by, &parameters.order_by)?;
        let aggregate = match &function.fun {
            WindowFunctionDefinition::AggregateUDF(aggregate) => aggregate.name(),
            WindowFunctionDefinition::WindowUDF(_) => "",
        };
        let mut types = Vec::with_capacity(parameters.args.len());
        let mut arguments = Vec::with_capacity(parameters.args.len());
        for argument in &parameters.args {
            let mut compiled = compile(argument, self.schema)?;
            let data_type = compiled.data_type(&self.input_schema)?;
            if matches!(data_type, DataType::Int64 | DataType::UInt64) && aggregate == "sum" {
                compiled = Arc::new(CastExpr::new(compiled, WIDE_INTEGER, None));
            }
            types.push(data_type);
            // Constants such as the offset of lag must be seen as such.
            arguments.push(if argument.column_refs().is_empty() {
                compiled
            } else {
                self.column(compiled)?
            });
        }
        let filter = match &parameters.filter {
            Some(filter) => Some(self.column(compile(filter, self.schema)?)?),
            None => None,
        };
        let definition = match function_of_window(function, &types) {
            Some(own) => WindowFunctionDefinition::AggregateUDF(Arc::new(own)),
            None => function.fun.clone(),
        };
        Ok(Call {
            keys,
            definition,
            arguments,
            filter,
            frame: parameters.window_frame.clone(),
            ignores_nulls: parameters.null_treatment == Some(NullTreatment::IgnoreNulls),
        })
    }
}

/// One call of a window function over plain columns.
struct Call {
    keys: Keys,
    definition: WindowFunctionDefinition,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    frame: WindowFrame,
    ignores_nulls: bool,
}

impl Call {
    fn compile(&self, number: usize, schema: &SchemaRef) -> Result<WindowCall, Refusal> {
        let column = |column: usize| -> Arc<dyn PhysicalExpr> {
            Arc::new(PhysicalColumn::new(schema.field(column).name(), column))
        };
        let partition: Vec<_> = self.keys.partition.iter().map(|&key| column(key)).collect();
        let order: Vec<PhysicalSortExpr> = self
            .keys
            .order()
            .into_iter()
            .map(|(key, options)| PhysicalSortExpr::new(column(key), options))
            .collect();
        let name = self.definition.name();
        if name == EMA {
            ema_weight(&self.arguments)?;
        }
        let compiled = create_window_expr(
            &self.definition,
            format!("window_output_{number}"),
            &self.arguments,
            &partition,
            &order,
            Arc::new(self.frame.clone()),
            schema.clone(),
            self.ignores_nulls,
            false,
            self.filter.clone(),
        );
        let compiled = compiled.map_err(|error| Refusal {
            message: format!("`{name}` OVER (…): {}", error.strip_backtrace()),
            help: String::new(),
        })?;
        if let Err(error) = compiled.create_window_fn() {
            let message = format!("`{name}` OVER (…): {}", error.strip_backtrace());
            return refuse(message, "");
        }
        let form = CallForm {
            definition: &self.definition,
            arguments: &self.arguments,
            schema,
            filter: self.filter.as_ref(),
            frame: &self.frame,
            ignores_nulls: self.ignores_nulls,
            is_ordered: !order.is_empty(),
        };
        Ok(WindowCall {
            function: name.to_owned(),
            follow: form.follow(),
            expression: compiled,
        })
    }
}

/// Whether the frame's start is not behind its end. Bounds in other units than
/// rows, such as intervals, are compared by DataFusion where it can.
fn is_in_order(frame: &WindowFrame) -> bool {
    use datafusion::logical_expr::WindowFrameBound as Bound;
    let less = |first: &ScalarValue, second: &ScalarValue| {
        first.partial_cmp(second) == Some(std::cmp::Ordering::Less)
    };
    match (&frame.start_bound, &frame.end_bound) {
        (Bound::Preceding(start), Bound::Preceding(end)) => {
            start.is_null() || !end.is_null() && !less(start, end)
        }
        (Bound::Following(start), Bound::Following(end)) => {
            end.is_null() || !start.is_null() && !less(end, start)
        }
        (Bound::CurrentRow, Bound::Preceding(_))
        | (Bound::Following(_), Bound::Preceding(_) | Bound::CurrentRow) => false,
        _ => true,
    }
}

/// The function of one expression of a window node.
pub(crate) fn window_function(expression: &Expr) -> Result<&WindowFunction, Refusal> {
    match expression {
        Expr::Alias(alias) => window_function(&alias.expr),
        Expr::WindowFunction(function) => Ok(function),
        other => refuse(format!("`{other}` as a window function"), ""),
    }
}

impl Lowering<'_> {
    pub(crate) fn window(&mut self, window: &Window) -> Result<usize, Refusal> {
        let input = self.lower(&window.input)?;
        let input_schema = self.graph.nodes[input].schema.clone();
        let width = input_schema.fields().len();
        let mut columns = WindowColumns::new(input_schema, window.input.schema());
        let mut calls = Vec::with_capacity(window.window_expr.len());
        for expression in &window.window_expr {
            calls.push(columns.call(window_function(expression)?)?);
        }
        let positions = columns.positions.clone();
        let mut node = columns.lower(self, input);
        let mut by_keys: BTreeMap<&Keys, Vec<usize>> = BTreeMap::new();
        for (number, call) in calls.iter().enumerate() {
            by_keys.entry(&call.keys).or_default().push(number);
        }
        let mut outputs = vec![0; calls.len()];
        for (keys, numbers) in by_keys {
            let start = self.graph.nodes[node].schema.fields().len();
            let schema = self.graph.nodes[node].schema.clone();
            let compiled: Result<Vec<_>, Refusal> = numbers
                .iter()
                .map(|&number| calls[number].compile(number, &schema))
                .collect();
            for (offset, number) in numbers.into_iter().enumerate() {
                outputs[number] = start + offset;
            }
            node = self.add_window(node, keys, compiled?)?;
        }
        let schema = self.graph.nodes[node].schema.clone();
        let mut expressions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        let mut needs_cast = false;
        for &position in positions.iter().chain(&outputs) {
            let column = PhysicalColumn::new(schema.field(position).name(), position);
            let column: Arc<dyn PhysicalExpr> = Arc::new(column);
            let wanted = window.schema.field(expressions.len()).data_type();
            let is_output = expressions.len() >= width;
            expressions.push(
                if is_output && schema.field(position).data_type() != wanted {
                    needs_cast = true;
                    Arc::new(CastExpr::new(column, wanted.clone(), None))
                } else {
                    column
                },
            );
        }
        if !needs_cast {
            let all: Vec<usize> = positions.into_iter().chain(outputs).collect();
            return Ok(self.select_columns(node, &all));
        }
        let schema = window.schema.inner().clone();
        Ok(self.add_project(node, expressions, schema))
    }

    fn add_window(
        &mut self,
        input: usize,
        keys: &Keys,
        calls: Vec<WindowCall>,
    ) -> Result<usize, Refusal> {
        let input_schema = self.graph.nodes[input].schema.clone();
        let unique_key = self.graph.nodes[input].unique_key.clone();
        let mut fields: Vec<FieldRef> = input_schema.fields().iter().cloned().collect();
        for call in &calls {
            fields.push(call.expression.field()?);
        }
        let arrangement = self.graph.arrange(ArrangementSpec {
            node: input,
            key_columns: keys.partition.clone(),
            nulls_match: true,
        });
        Ok(self.graph.add(Node {
            kind: NodeKind::Window(WindowSpec {
                arrangement,
                order: keys.order(),
                calls,
                input_schema,
            }),
            inputs: vec![input],
            schema: Arc::new(Schema::new(fields)),
            view: self.view.clone(),
            append_only: false,
            unique_key,
        }))
    }
}
