//! Intervals are compared by their length, in which a month has 30 days and a day 24
//! hours, as PostgreSQL has it: DataFusion compares their months, then their days,
//! then the rest, by which a difference of two moments, which has hours only, is less
//! than any day.
//!
//! | where intervals are | they become |
//! |---|---|
//! | `i < j` and all comparisons, BETWEEN, IN, `CASE i WHEN j`, keys of joins | `interval_length(i) < interval_length(j)` |
//! | ORDER BY, PARTITION BY, `count(DISTINCT i)` | `interval_length(i)` |
//! | `nullif(i, j)`, `greatest(i, j)`, `least(i, j)` | functions of their lengths: `null_if_equal.rs`, `interval_extremes.rs` |
//!
//! Different intervals may be of one length. What keeps one of several alike, such as
//! GROUP BY, DISTINCT and `max`, is refused, and so are comparisons of lists and rows
//! of intervals.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{
    AggregateFunction, Cast, ScalarFunction, Sort, WindowFunction,
};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable, LogicalPlan, Projection, ScalarUDF, Subquery,
};
use datafusion::optimizer::AnalyzerRule;

use crate::interval_extremes::{Extreme, is_interval_extreme};
use crate::interval_length::{IntervalLength, LENGTH};
use crate::null_if_equal::{is_null_if_equal, null_if_equal};
use crate::one_float::is_comparison;
use crate::rewriting::rewritten_with_parts;

/// Functions that compare values of lists.
const COMPARING: [&str; 18] = [
    "array_distinct",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_max",
    "array_min",
    "array_position",
    "array_positions",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_sort",
    "array_union",
];

/// See the module. It comes when types are matched.
#[derive(Debug)]
pub(crate) struct IntervalOrder {
    length: Arc<ScalarUDF>,
}

impl AnalyzerRule for IntervalOrder {
    fn name(&self) -> &str {
        "interval_order"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten_with_parts(
            plan,
            &|expression: Expr, schema: &DFSchema| self.by_length(expression, schema),
            &|part: LogicalPlan| self.part_by_length(part),
        )
    }
}

impl IntervalOrder {
    pub(crate) fn new() -> Self {
        Self {
            length: Arc::new(ScalarUDF::from(IntervalLength::new())),
        }
    }

    fn by_length(&self, mut expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let is_changed = match &mut expression {
            Expr::BinaryExpr(binary) if is_comparison(binary.op) => {
                self.measure_all([&mut *binary.left, &mut *binary.right], schema)?
            }
            Expr::Between(between) => {
                let values = [&mut *between.expr, &mut *between.low, &mut *between.high];
                self.measure_all(values, schema)?
            }
            Expr::InList(inside) => {
                let mut values = vec![&mut *inside.expr];
                values.extend(inside.list.iter_mut());
                self.measure_all(values, schema)?
            }
            Expr::InSubquery(inside) => {
                self.measure_column(&mut inside.expr, &mut inside.subquery, schema)?
            }
            Expr::SetComparison(compared) => {
                self.measure_column(&mut compared.expr, &mut compared.subquery, schema)?
            }
            Expr::Case(case) => {
                let Some(base) = case.expr.as_deref_mut() else {
                    return Ok(Transformed::no(expression));
                };
                let mut values = vec![base];
                let conditions = case.when_then_expr.iter_mut();
                values.extend(conditions.map(|(condition, _)| &mut **condition));
                self.measure_all(values, schema)?
            }
            Expr::AggregateFunction(call) => self.aggregate(call, schema)?,
            Expr::WindowFunction(call) => self.window(call, schema)?,
            Expr::ScalarFunction(call) => {
                let chosen = self.chosen(call, schema)?;
                let is_changed = chosen.is_some();
                if let Some(chosen) = chosen {
                    expression = chosen;
                }
                is_changed
            }
            _ => false,
        };
        Ok(Transformed::new_transformed(expression, is_changed))
    }

    /// A value by its length, if it is an interval. All that it is compared with has
    /// its type.
    fn measure(&self, value: &mut Expr, schema: &DFSchema) -> Result<bool> {
        match value.get_type(schema) {
            Ok(DataType::Interval(_)) => {
                *value = self.length(value.clone(), schema);
                Ok(true)
            }
            Ok(nested) if holds_intervals(&nested) => plan_err!(
                "lists and rows of intervals are not compared: compare the intervals one by one"
            ),
            _ => Ok(false),
        }
    }

    fn measure_all<'a>(
        &self,
        values: impl IntoIterator<Item = &'a mut Expr>,
        schema: &DFSchema,
    ) -> Result<bool> {
        let mut is_changed = false;
        for value in values {
            is_changed |= self.measure(value, schema)?;
        }
        Ok(is_changed)
    }

    fn length(&self, interval: Expr, schema: &DFSchema) -> Expr {
        let is_difference =
            |value: &Expr| matches!(value.get_type(schema), Ok(DataType::Duration(_)));
        let measured = match interval {
            // One of more than 292 years is too long for an interval.
            Expr::Cast(Cast { expr, .. }) if is_difference(&expr) => *expr,
            other => other,
        };
        let call = ScalarFunction::new_udf(self.length.clone(), vec![measured]);
        Expr::ScalarFunction(call)
    }

    /// The same of a value and the column of a subquery.
    fn measure_column(
        &self,
        value: &mut Expr,
        subquery: &mut Subquery,
        schema: &DFSchema,
    ) -> Result<bool> {
        if !self.measure(value, schema)? {
            return Ok(false);
        }
        let rows = subquery.subquery.clone();
        let (qualifier, field) = rows.schema().qualified_field(0);
        let column = Expr::Column(Column::from((qualifier, field)));
        let length = self.length(column, rows.schema()).alias(field.name());
        let lengths = Projection::try_new(vec![length], rows)?;
        subquery.subquery = Arc::new(LogicalPlan::Projection(lengths));
        Ok(true)
    }

    fn measure_keys(&self, keys: &mut [Sort], schema: &DFSchema) -> Result<bool> {
        self.measure_all(keys.iter_mut().map(|key| &mut key.expr), schema)
    }

    fn aggregate(&self, call: &mut AggregateFunction, schema: &DFSchema) -> Result<bool> {
        let params = &mut call.params;
        let is_counted =
            self.arguments(call.func.name(), &mut params.args, params.distinct, schema)?;
        Ok(self.measure_keys(&mut params.order_by, schema)? || is_counted)
    }

    fn window(&self, call: &mut WindowFunction, schema: &DFSchema) -> Result<bool> {
        let params = &mut call.params;
        let is_counted =
            self.arguments(call.fun.name(), &mut params.args, params.distinct, schema)?;
        let is_ordered = self.measure_keys(&mut params.order_by, schema)?;
        let is_parted = self.measure_all(&mut params.partition_by, schema)?;
        Ok(is_counted || is_ordered || is_parted)
    }

    /// The arguments of an aggregate.
    fn arguments(
        &self,
        name: &str,
        arguments: &mut [Expr],
        is_distinct: bool,
        schema: &DFSchema,
    ) -> Result<bool> {
        if !arguments.iter().any(|value| has_intervals(value, schema)) {
            return Ok(false);
        }
        match (name, is_distinct) {
            ("min" | "max", _) => refused(name),
            ("count", true) => self.measure_all(arguments, schema),
            (_, true) => refused(&format!("{name}(DISTINCT)")),
            _ => Ok(false),
        }
    }

    /// What a function becomes that compares intervals and answers one of them.
    fn chosen(&self, call: &ScalarFunction, schema: &DFSchema) -> Result<Option<Expr>> {
        let (name, arguments) = (call.name(), &call.args);
        if is_null_if_equal(&call.func) || is_interval_extreme(&call.func) {
            return Ok(None);
        }
        let extreme = Extreme::of(name);
        let is_chosen = name == "nullif" || extreme.is_some();
        if !(is_chosen || COMPARING.contains(&name))
            || !arguments.iter().any(|value| has_intervals(value, schema))
        {
            return Ok(None);
        }
        if !is_chosen {
            return refused(name);
        }
        let mut lengths = arguments.clone();
        self.measure_all(&mut lengths, schema)?;
        if let Some(extreme) = extreme {
            return Ok(Some(extreme.of_intervals(arguments.clone())));
        }
        Ok(match (&arguments[..], &lengths[..]) {
            ([value, _], [_, other]) => Some(null_if_equal(value.clone(), other.clone(), LENGTH)),
            _ => None,
        })
    }

    /// The same where intervals decide outside of expressions.
    fn part_by_length(&self, part: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        match part {
            LogicalPlan::Sort(mut sort) => {
                let is_changed = self.measure_keys(&mut sort.expr, sort.input.schema())?;
                let sort = LogicalPlan::Sort(sort);
                Ok(Transformed::new_transformed(sort, is_changed))
            }
            LogicalPlan::Join(mut join) => {
                let mut is_changed = false;
                for (left, right) in &mut join.on {
                    is_changed |= self.measure(left, join.left.schema())?;
                    is_changed |= self.measure(right, join.right.schema())?;
                }
                let join = LogicalPlan::Join(join);
                Ok(Transformed::new_transformed(join, is_changed))
            }
            other => {
                check_groups(&other)?;
                Ok(Transformed::no(other))
            }
        }
    }
}

/// Refuses parts that keep one row of several alike.
fn check_groups(part: &LogicalPlan) -> Result<()> {
    let has_columns = |schema: &DFSchema| {
        let mut fields = schema.fields().iter();
        fields.any(|field| holds_intervals(field.data_type()))
    };
    match part {
        LogicalPlan::Aggregate(aggregate) => {
            let keys = grouping_set_to_exprlist(&aggregate.group_expr)?;
            let schema: &DFSchema = aggregate.input.schema();
            if keys.into_iter().any(|key| has_intervals(key, schema)) {
                return refused("GROUP BY");
            }
        }
        LogicalPlan::Distinct(Distinct::All(rows)) if has_columns(rows.schema()) => {
            return refused("DISTINCT, or UNION without ALL,");
        }
        LogicalPlan::Distinct(Distinct::On(rows)) => {
            let keys = rows.sort_expr.iter().flatten().map(|key| &key.expr);
            let schema: &DFSchema = rows.input.schema();
            let mut keys = rows.on_expr.iter().chain(keys);
            if keys.any(|key| has_intervals(key, schema)) {
                return refused("DISTINCT ON");
            }
        }
        LogicalPlan::RecursiveQuery(rows) if rows.is_distinct && has_columns(&rows.schema) => {
            return refused("UNION without ALL");
        }
        _ => {}
    }
    Ok(())
}

/// What is refused instead of keeping any of several alike.
fn refused<T>(what: &str) -> Result<T> {
    plan_err!(
        "{what} of intervals: different ones are equal, as 1 day and 24 hours; take their seconds instead, extract(epoch FROM …)"
    )
}

fn has_intervals(value: &Expr, schema: &DFSchema) -> bool {
    let found = value.get_type(schema);
    found.is_ok_and(|found| holds_intervals(&found))
}

/// Whether values of the type are intervals or made of some.
fn holds_intervals(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_) => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => holds_intervals(field.data_type()),
        DataType::Struct(fields) => {
            let mut fields = fields.iter();
            fields.any(|field| holds_intervals(field.data_type()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, IntervalUnit, Schema, TimeUnit};
    use datafusion::common::ToDFSchema;
    use datafusion::common::tree_node::TreeNode;
    use datafusion::functions::expr_fn::{greatest, nullif};
    use datafusion::functions_aggregate::expr_fn::{count_distinct, max};
    use datafusion::logical_expr::{cast, col};

    use super::*;

    fn interval() -> DataType {
        DataType::Interval(IntervalUnit::MonthDayNano)
    }

    fn rewritten(expr: Expr) -> Result<String> {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let list = Arc::new(field("item", interval()));
        let fields = vec![
            field("i", interval()),
            field("j", interval()),
            field("d", DataType::Duration(TimeUnit::Microsecond)),
            field("l", DataType::List(list)),
        ];
        let schema = Schema::new(fields).to_dfschema().unwrap();
        let rule = IntervalOrder::new();
        let rewritten = expr.transform_up(|inner| rule.by_length(inner, &schema))?;
        Ok(rewritten.data.to_string())
    }

    #[test]
    fn intervals_are_compared_by_their_length() {
        for (expr, wanted) in [
            (
                col("i").lt(col("j")),
                "interval_length(i) < interval_length(j)",
            ),
            (
                cast(col("d"), interval()).gt(col("j")),
                "interval_length(d) > interval_length(j)",
            ),
            (
                col("i").in_list(vec![col("j")], true),
                "interval_length(i) NOT IN ([interval_length(j)])",
            ),
            (greatest(vec![col("i"), col("j")]), "greatest(i, j)"),
            (nullif(col("i"), col("j")), "nullif(i, interval_length(j))"),
            (
                count_distinct(col("i")),
                "count(DISTINCT interval_length(i))",
            ),
            (col("d").eq(col("d")), "d = d"),
            (max(col("d")), "max(d)"),
        ] {
            let found = rewritten(expr).unwrap();
            assert!(found.starts_with(wanted), "{found}");
        }
    }

    #[test]
    fn intervals_are_written_once_however_deep_the_calls_are() {
        let mut expr = col("i");
        for _ in 0..20 {
            expr = nullif(greatest(vec![expr, col("j")]), col("j"));
        }
        let found = rewritten(expr.clone()).unwrap();
        assert_eq!(found.matches("interval_length(j)").count(), 20);
        assert_eq!(found.replace("interval_length(j)", "j"), expr.to_string());
    }

    #[test]
    fn what_keeps_one_of_several_alike_is_refused() {
        for expr in [
            max(col("i")),
            col("l").eq(col("l")),
            datafusion::functions_nested::expr_fn::array_distinct(col("l")),
        ] {
            assert!(rewritten(expr.clone()).is_err(), "{expr}");
        }
    }
}
