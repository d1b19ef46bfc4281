//! GROUP BY with its aggregates, from a logical plan to operators.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, NullTreatment, Sort};
use datafusion::logical_expr::logical_plan::Aggregate;
use datafusion::logical_expr::utils::{grouping_set_to_exprlist, powerset};
use datafusion::logical_expr::{Expr, GroupingSet};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::{Column as PhysicalColumn, Literal};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use sluice_functions::{UNIQ_MERGE, UNIQ_STATE, domain_name};

use crate::accumulator::{AggregateKind, AggregateSpec};
use crate::expression::compile;
use crate::graph::{AggregateCallSpec, Node, NodeKind};
use crate::group_rows::RowsFunction;
use crate::lower::{Lowering, Refusal, compile_all, refuse};

/// With more columns than this, CUBE makes too many groupings.
const CUBE_COLUMNS_MAX: usize = 8;

impl Lowering<'_> {
    pub(crate) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<usize, Refusal> {
        let input = self.lower(&aggregate.input)?;
        if let [Expr::GroupingSet(sets)] = &aggregate.group_expr[..] {
            return self.grouping_sets(aggregate, sets, input);
        }
        let expressions = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
        let input_schema = aggregate.input.schema();
        let output = self.shown_fields(&aggregate.schema, expressions, input, input_schema);
        self.group_by(aggregate, &aggregate.group_expr, input, output)
    }

    /// Groups `input` by `group_by`, with the calls of `aggregate`.
    fn group_by(
        &mut self,
        aggregate: &Aggregate,
        group_by: &[Expr],
        input: usize,
        output: arrow::datatypes::SchemaRef,
    ) -> Result<usize, Refusal> {
        let input_schema = aggregate.input.schema();
        let group_by = compile_all(group_by, input_schema)?;
        let retracts = !self.graph.nodes[input].append_only;
        let mut input = input;
        let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
        for (index, expression) in aggregate.aggr_expr.iter().enumerate() {
            let output_type = output.field(group_by.len() + index).data_type().clone();
            let mut call = aggregate_call(expression, input_schema, output_type, retracts)?;
            if call.spec.kind == AggregateKind::UniqState {
                input = self.add_ids(input, &mut call)?;
            }
            calls.push(call);
        }
        if let Some(node) = self.aggregate_by_panes(input, &group_by, &calls, &output) {
            return Ok(node);
        }
        let unique_key = (!group_by.is_empty()).then(|| (0..group_by.len()).collect());
        // DISTINCT of rows that are only added only adds.
        let append_only = calls.is_empty() && !retracts && !group_by.is_empty();
        Ok(self.graph.add(Node {
            kind: NodeKind::Aggregate { group_by, calls },
            inputs: vec![input],
            schema: output,
            view: self.view.clone(),
            append_only,
            unique_key,
        }))
    }

    /// `input` with the ids of the values of a `uniq_state`, which becomes a call
    /// over them.
    fn add_ids(&mut self, input: usize, call: &mut AggregateCallSpec) -> Result<usize, Refusal> {
        let (Some(value), Some(domain)) = (call.arguments.pop(), call.spec.domain.clone()) else {
            return refuse(format!("`{UNIQ_STATE}` without a value"), "");
        };
        let node = &self.graph.nodes[input];
        let id_column = node.schema.fields().len();
        let mut fields = node.schema.fields().to_vec();
        fields.push(Arc::new(Field::new("id", DataType::UInt32, true)));
        call.arguments = vec![Arc::new(PhysicalColumn::new("id", id_column))];
        call.spec.input = vec![(DataType::UInt32, SortOptions::default())];
        let (append_only, unique_key) = (node.append_only, node.unique_key.clone());
        Ok(self.graph.add(Node {
            kind: NodeKind::UniqIds { value, domain },
            inputs: vec![input],
            schema: Arc::new(Schema::new(fields)),
            view: self.view.clone(),
            append_only,
            unique_key,
        }))
    }

    /// One GROUP BY for each set, with null for the columns that it leaves out
    /// and a number that says which these are, all in one union.
    fn grouping_sets(
        &mut self,
        aggregate: &Aggregate,
        sets: &GroupingSet,
        input: usize,
    ) -> Result<usize, Refusal> {
        let all: Vec<Expr> = grouping_set_to_exprlist(&aggregate.group_expr)?
            .into_iter()
            .cloned()
            .collect();
        let sets: Vec<Vec<Expr>> = match sets {
            GroupingSet::GroupingSets(sets) => sets.clone(),
            GroupingSet::Rollup(columns) => {
                let lengths = (0..=columns.len()).rev();
                lengths.map(|length| columns[..length].to_vec()).collect()
            }
            GroupingSet::Cube(columns) if columns.len() > CUBE_COLUMNS_MAX => {
                return refuse(
                    format!("CUBE of {} columns", columns.len()),
                    format!(
                        "name the sets that are needed: GROUPING SETS ((…), …); CUBE takes {CUBE_COLUMNS_MAX} columns at most"
                    ),
                );
            }
            GroupingSet::Cube(columns) => powerset(columns)?
                .into_iter()
                .map(|set| set.into_iter().cloned().collect())
                .collect(),
        };
        let output = aggregate.schema.inner().clone();
        let mut parts = Vec::with_capacity(sets.len());
        for set in &sets {
            let grouped: Vec<usize> = (0..all.len())
                .filter(|&column| set.contains(&all[column]))
                .collect();
            let keys: Vec<Expr> = grouped.iter().map(|&column| all[column].clone()).collect();
            let calls = (0..aggregate.aggr_expr.len()).map(|call| all.len() + 1 + call);
            let fields = grouped.iter().copied().chain(calls);
            let fields: Vec<_> = fields.map(|column| output.field(column).clone()).collect();
            let schema = Arc::new(arrow::datatypes::Schema::new(fields));
            let node = self.group_by(aggregate, &keys, input, schema)?;
            // One bit for each column that is left out, the last column lowest.
            let number = (0..all.len()).fold(0_u64, |bits, column| {
                (bits << 1) | u64::from(!grouped.contains(&column))
            });
            let mut columns: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
            for column in 0..all.len() {
                let field = output.field(column);
                columns.push(match grouped.iter().position(|&found| found == column) {
                    Some(position) => Arc::new(PhysicalColumn::new(field.name(), position)),
                    None => Arc::new(Literal::new(ScalarValue::try_from(field.data_type())?)),
                });
            }
            let number_type = output.field(all.len()).data_type();
            let number = ScalarValue::UInt64(Some(number)).cast_to(number_type)?;
            columns.push(Arc::new(Literal::new(number)));
            for call in 0..aggregate.aggr_expr.len() {
                let name = output.field(all.len() + 1 + call).name();
                columns.push(Arc::new(PhysicalColumn::new(name, grouped.len() + call)));
            }
            parts.push(self.add_project(node, columns, output.clone()));
        }
        let append_only = parts.iter().all(|&part| self.graph.nodes[part].append_only);
        Ok(self.graph.add(Node {
            kind: NodeKind::Union,
            inputs: parts,
            schema: output,
            view: self.view.clone(),
            append_only,
            unique_key: None,
        }))
    }
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
    let Expr::AggregateFunction(call) = inner else {
        return refuse(format!("`{inner}` as an aggregate"), "");
    };
    let parameters = &call.params;
    let name = call.func.name();
    let ignores_nulls = parameters.null_treatment == Some(NullTreatment::IgnoreNulls);
    let ordered = !parameters.order_by.is_empty();
    let (kind, skips_nulls) = match name {
        "count" if parameters.args.len() == 1 => (AggregateKind::Count, true),
        // Exact, because the input may retract.
        "approx_distinct" => (AggregateKind::Count, true),
        "sum" => (AggregateKind::Sum, true),
        "avg" => (AggregateKind::Average, true),
        // No one can tell which value it is: it is the smallest.
        "min" | "bool_and" | "any_value" => (AggregateKind::Min, true),
        "max" | "bool_or" => (AggregateKind::Max, true),
        "first_value" | "last_value" | "nth_value" if !ordered => {
            return refuse(
                format!("`{name}` without an order"),
                format!("say which row is meant: {name}(… ORDER BY …)"),
            );
        }
        "first_value" => (AggregateKind::Min, ignores_nulls),
        "last_value" => (AggregateKind::Max, ignores_nulls),
        UNIQ_STATE => (AggregateKind::UniqState, true),
        UNIQ_MERGE => (AggregateKind::UniqMerge, true),
        _ => (AggregateKind::Rows, false),
    };
    let by_order = matches!(name, "first_value" | "last_value");
    let (order, orders): (Vec<Expr>, Vec<SortOptions>) = parameters
        .order_by
        .iter()
        .map(
            |Sort {
                 expr,
                 asc,
                 nulls_first,
             }| {
                let options = SortOptions::new(!asc, *nulls_first);
                (expr.clone(), options)
            },
        )
        .unzip();
    let compiled_order = compile_all(&order, input_schema)?;
    let mut compiled_arguments = compile_all(&parameters.args, input_schema)?;
    let domain = if kind == AggregateKind::UniqState {
        let name = compiled_arguments.pop();
        let name = name
            .as_ref()
            .and_then(|name| name.downcast_ref::<Literal>());
        Some(domain_name(name.map(Literal::value))?)
    } else {
        None
    };
    let counts_rows = name == "count"
        && !parameters.distinct
        && matches!(&parameters.args[..], [argument] if is_not_null_literal(argument));
    let mut arguments = Vec::new();
    if by_order || kind == AggregateKind::Rows {
        arguments.extend(compiled_order.iter().cloned());
    }
    let order_width = arguments.len();
    if !counts_rows {
        arguments.extend(compiled_arguments.iter().cloned());
    }
    let mut input = Vec::with_capacity(arguments.len());
    for (index, argument) in arguments.iter().enumerate() {
        let data_type = argument.data_type(input_schema.as_arrow())?;
        let options = if index < order_width {
            orders[index]
        } else {
            SortOptions::default()
        };
        input.push((data_type, options));
    }
    check_types(name, kind, &input, parameters.distinct)?;
    let function = if kind == AggregateKind::Rows {
        if parameters.distinct && !order.iter().all(|key| parameters.args.contains(key)) {
            return refuse(
                format!("`{name}` of DISTINCT values in the order of others"),
                "order by the argument itself",
            );
        }
        let function = physical_function(
            call,
            input_schema,
            compiled_arguments,
            compiled_order,
            &orders,
        )?;
        Some(RowsFunction {
            function,
            order_width,
            distinct: parameters.distinct,
            output_type: output_type.clone(),
        })
    } else {
        None
    };
    let is_uniq = matches!(kind, AggregateKind::UniqState | AggregateKind::UniqMerge);
    let filter = match &parameters.filter {
        Some(filter) => Some(compile(filter, input_schema)?),
        None => None,
    };
    Ok(AggregateCallSpec {
        spec: AggregateSpec {
            kind,
            // Unique values are distinct anyway.
            distinct: (parameters.distinct && !is_uniq) || name == "approx_distinct",
            input,
            output_type,
            input_retracts,
            skips_nulls,
            function,
            domain,
        },
        arguments,
        filter,
    })
}

fn check_types(
    name: &str,
    kind: AggregateKind,
    input: &[(DataType, SortOptions)],
    distinct: bool,
) -> Result<(), Refusal> {
    if matches!(kind, AggregateKind::Sum | AggregateKind::Average) {
        let is_number = matches!(
            input,
            [(
                DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Decimal128(_, _),
                _
            )]
        );
        if !is_number {
            let shown: Vec<String> = input.iter().map(|(found, _)| found.to_string()).collect();
            return refuse(
                format!("`{name}` of {} in a materialized view", shown.join(", ")),
                "cast the argument to BIGINT, DECIMAL or DOUBLE",
            );
        }
    }
    if distinct || kind != AggregateKind::Count {
        for (data_type, options) in input {
            let field = SortField::new_with_options(data_type.clone(), *options);
            if !RowConverter::supports_fields(&[field]) {
                return refuse(
                    format!("`{name}` of {data_type} in a materialized view"),
                    "cast the argument to a type whose values can be compared",
                );
            }
        }
    }
    Ok(())
}

/// DataFusion's function, told that its input comes in order. It is not told
/// of DISTINCT: the kept rows are given out once each.
fn physical_function(
    call: &AggregateFunction,
    input_schema: &DFSchema,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    order: Vec<Arc<dyn PhysicalExpr>>,
    orders: &[SortOptions],
) -> Result<Arc<AggregateFunctionExpr>, Refusal> {
    let ignores_nulls = call.params.null_treatment == Some(NullTreatment::IgnoreNulls);
    let order_by = order
        .into_iter()
        .zip(orders)
        .map(|(expression, options)| PhysicalSortExpr::new(expression, *options))
        .collect();
    let function = AggregateExprBuilder::new(call.func.clone(), arguments)
        .order_by(order_by)
        .schema(Arc::new(input_schema.as_arrow().clone()))
        .alias(call.func.name())
        .with_ignore_nulls(ignores_nulls)
        .build()?;
    let function = Arc::new(function);
    if function.order_sensitivity().is_beneficial()
        && let Some(function) = function.clone().with_beneficial_ordering(true)?
    {
        return Ok(Arc::new(function));
    }
    Ok(function)
}

fn is_not_null_literal(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(value, _) if !value.is_null())
}
