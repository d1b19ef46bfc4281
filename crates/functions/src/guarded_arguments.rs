//! What a filter leaves out is not computed: `sum(10 / x) FILTER (WHERE x <> 0)`.
//!
//! DataFusion computes the arguments of an aggregate for all rows and looks at the
//! filter then, so that a row which the filter keeps away from a division by zero
//! fails all the same. So what may fail of the arguments, and of what the aggregate
//! orders them by, becomes a CASE that is NULL where the filter leaves the row out.
//! The filter stays, and so does what cannot fail, such as a column.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{BinaryExpr, Case};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Operator, WindowFunctionDefinition, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::PLANNER_FUNCTIONS;
use crate::one_float::is_comparison;
use crate::repeats::{check_parts, parts_of};

/// See the module. It comes after the rules that match types.
#[derive(Debug)]
pub(crate) struct GuardedArguments;

impl AnalyzerRule for GuardedArguments {
    fn name(&self) -> &str {
        "guarded_arguments"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let guarded = plan.transform_up_with_subqueries(|node| {
            if !matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let guarded = node.map_expressions(|expr| {
                // The names of its columns come from inside.
                if matches!(expr, Expr::GroupingSet(_)) {
                    return Ok(Transformed::no(expr));
                }
                let name = names.save(&expr);
                let guarded = guard_call(expr, &schema)?;
                Ok(match guarded.transformed {
                    true => guarded.update_data(|expr| name.restore(expr)),
                    false => guarded,
                })
            })?;
            match guarded.transformed {
                true => guarded.map_data(LogicalPlan::recompute_schema),
                false => Ok(guarded),
            }
        });
        guarded.data()
    }
}

fn guard_call(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut is_guarded = false;
    let guarded = match expr {
        Expr::Alias(_) => return expr.map_children(|call| guard_call(call, schema)),
        Expr::AggregateFunction(mut call) => {
            if let Some(guard) = Guard::of(call.params.filter.as_deref(), schema) {
                let orders = call.params.order_by.iter_mut().map(|sort| &mut sort.expr);
                is_guarded = guard.guard_all(computed(&mut call.params.args).chain(orders))?;
            }
            Expr::AggregateFunction(call)
        }
        // All rows have a place in the order of a window, whatever the filter says.
        Expr::WindowFunction(mut call)
            if matches!(call.fun, WindowFunctionDefinition::AggregateUDF(_)) =>
        {
            if let Some(guard) = Guard::of(call.params.filter.as_deref(), schema) {
                is_guarded = guard.guard_all(computed(&mut call.params.args))?;
            }
            Expr::WindowFunction(call)
        }
        other => other,
    };
    Ok(Transformed::new_transformed(guarded, is_guarded))
}

/// The arguments but for constants behind the first one, such as a separator or a
/// percentile, which must be seen as such.
fn computed(arguments: &mut [Expr]) -> impl Iterator<Item = &mut Expr> {
    let numbered = arguments.iter_mut().enumerate();
    let computed = numbered.filter(|(number, argument)| {
        let is_constant = argument.column_refs().is_empty();
        *number == 0 || !is_constant
    });
    computed.map(|(_, argument)| argument)
}

/// The filter of a call, over the columns of its input.
struct Guard<'a> {
    filter: &'a Expr,
    schema: &'a DFSchema,
}

impl<'a> Guard<'a> {
    /// `None` where nothing can be guarded: a filter by chance says something else
    /// each time that it is asked.
    fn of(filter: Option<&'a Expr>, schema: &'a DFSchema) -> Option<Self> {
        let filter = filter?;
        let is_condition = matches!(filter.get_type(schema), Ok(DataType::Boolean));
        (is_condition && !filter.is_volatile()).then_some(Self { filter, schema })
    }

    /// Whether there was anything to guard.
    fn guard_all<'e>(&self, values: impl Iterator<Item = &'e mut Expr>) -> Result<bool> {
        let filter_parts = parts_of(self.filter)?;
        let mut guarded = 0;
        for value in values {
            if !self.is_safe(value) {
                // Each but the first has the filter once more than it was written.
                check_parts(filter_parts * guarded)?;
                *value = self.guarded(std::mem::take(value));
                guarded += 1;
            }
        }
        Ok(guarded > 0)
    }

    fn guarded(&self, value: Expr) -> Expr {
        let filter = Box::new(self.filter.clone());
        // Of a CASE of truth values DataFusion makes AND and OR, of which it computes
        // both sides; but not of one that compares.
        let (compared, when) = match value.get_type(self.schema) {
            Ok(DataType::Boolean) => (Some(filter), Box::new(lit(true))),
            _ => (None, filter),
        };
        Expr::Case(Case::new(compared, vec![(when, Box::new(value))], None))
    }

    /// Whether a value fails on no row that the filter leaves out.
    fn is_safe(&self, value: &Expr) -> bool {
        let is_guarded = |value: &Expr| match value {
            Expr::Case(case) => match (&case.expr, &case.when_then_expr[..]) {
                _ if case.else_expr.is_some() => false,
                (None, [(when, _)]) => **when == *self.filter,
                (Some(compared), [(when, _)]) => **compared == *self.filter && **when == lit(true),
                _ => false,
            },
            _ => false,
        };
        cannot_fail(value, self.schema, &is_guarded)
    }
}

/// Whether a value fails on no row at all, as far as its form says, or all that may fail
/// of it is guarded.
pub(crate) fn cannot_fail(
    value: &Expr,
    schema: &DFSchema,
    is_guarded: &dyn Fn(&Expr) -> bool,
) -> bool {
    let is_safe = |value: &Expr| cannot_fail(value, schema, is_guarded);
    match value {
        Expr::Column(_) | Expr::Literal(..) => true,
        Expr::Alias(alias) => is_safe(&alias.expr),
        Expr::Not(inside)
        | Expr::IsNull(inside)
        | Expr::IsNotNull(inside)
        | Expr::IsTrue(inside)
        | Expr::IsNotTrue(inside)
        | Expr::IsFalse(inside)
        | Expr::IsNotFalse(inside)
        | Expr::IsUnknown(inside)
        | Expr::IsNotUnknown(inside) => is_safe(inside),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let is_condition = is_comparison(*op) || matches!(op, Operator::And | Operator::Or);
            is_condition && is_safe(left) && is_safe(right)
        }
        Expr::Between(between) => {
            is_safe(&between.expr) && is_safe(&between.low) && is_safe(&between.high)
        }
        Expr::InList(inside) => is_safe(&inside.expr) && inside.list.iter().all(is_safe),
        Expr::TryCast(cast) => is_safe(&cast.expr),
        Expr::Cast(cast) => {
            let from = cast.expr.get_type(schema);
            let always_fits = from.is_ok_and(|from| always_fits(&from, cast.field.data_type()));
            always_fits && is_safe(&cast.expr)
        }
        Expr::ScalarFunction(call) if PLANNER_FUNCTIONS.contains(&call.name()) => {
            call.args.iter().all(is_safe)
        }
        other => is_guarded(other),
    }
}

/// Whether every value of a type has a form in another one.
fn always_fits(from: &DataType, to: &DataType) -> bool {
    if from == to || from.is_null() {
        return true;
    }
    if to.is_string() {
        return from.is_numeric() || from.is_string() || *from == DataType::Boolean;
    }
    match (from, to) {
        (_, DataType::Float32 | DataType::Float64) => from.is_numeric(),
        (DataType::Decimal128(digits, scale), DataType::Decimal128(more_digits, more_scale)) => {
            let before_point = i16::from(*digits) - i16::from(*scale);
            more_scale >= scale && i16::from(*more_digits) - i16::from(*more_scale) >= before_point
        }
        (_, DataType::Decimal128(digits, scale)) if from.is_integer() => {
            let needed = match from.primitive_width() {
                Some(1) => 3,
                Some(2) => 5,
                Some(4) => 10,
                _ => 20,
            };
            i16::from(*digits) - i16::from(*scale) >= needed
        }
        _ if from.is_integer() && to.is_integer() => {
            let (width, new_width) = (from.primitive_width(), to.primitive_width());
            match from.is_signed_integer() == to.is_signed_integer() {
                true => new_width >= width,
                false => from.is_unsigned_integer() && new_width > width,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::functions_aggregate::expr_fn::{array_agg, bool_and, corr, sum};
    use datafusion::logical_expr::{ExprFunctionExt, cast, col};

    use super::*;

    fn schema() -> DFSchema {
        let column = |name: &str, data_type| Field::new(name, data_type, true);
        let fields = vec![
            column("x", DataType::Int64),
            column("i", DataType::Int32),
            column("s", DataType::Utf8),
        ];
        DFSchema::try_from(Schema::new(fields)).unwrap()
    }

    /// The arguments of a call, and behind them what it orders by.
    fn values_of(call: Expr) -> Vec<String> {
        match guard_call(call, &schema()).unwrap().data {
            Expr::AggregateFunction(call) => {
                let orders = call.params.order_by.iter().map(|sort| &sort.expr);
                let values = call.params.args.iter().chain(orders);
                values.map(ToString::to_string).collect()
            }
            other => vec![other.to_string()],
        }
    }

    fn filtered(call: Expr) -> Expr {
        let filter = col("x").not_eq(lit(0_i64));
        call.filter(filter).build().unwrap()
    }

    fn quotient() -> Expr {
        lit(10_i64) / col("x")
    }

    #[test]
    fn only_what_may_fail_is_guarded() {
        assert_eq!(values_of(sum(quotient())), ["Int64(10) / x"]);
        let guarded = "CASE WHEN x != Int64(0) THEN Int64(10) / x END";
        assert_eq!(values_of(filtered(sum(quotient()))), [guarded]);
        assert_eq!(values_of(filtered(sum(col("x")))), ["x"]);
        let wide = cast(col("i"), DataType::Int64);
        assert_eq!(values_of(filtered(sum(wide.clone()))), [wide.to_string()]);
        let number = cast(col("s"), DataType::Int64);
        let guarded_number = format!("CASE WHEN x != Int64(0) THEN {number} END");
        assert_eq!(values_of(filtered(sum(number))), [guarded_number]);
        let separator = lit(1_i64) / lit(2_i64);
        let both = values_of(filtered(corr(quotient(), separator.clone())));
        assert_eq!(both, [guarded.to_owned(), separator.to_string()]);
    }

    #[test]
    fn what_is_ordered_by_is_guarded_too() {
        let ordered = array_agg(col("x")).order_by(vec![quotient().sort(true, false)]);
        let filter = col("x").not_eq(lit(0_i64));
        let call = ordered.filter(filter).build().unwrap();
        let guarded = "CASE WHEN x != Int64(0) THEN Int64(10) / x END";
        assert_eq!(values_of(call), ["x", guarded]);
    }

    #[test]
    fn a_condition_becomes_a_case_that_compares() {
        let condition = quotient().gt(lit(1_i64));
        let guarded = "CASE x != Int64(0) WHEN Boolean(true) THEN Int64(10) / x > Int64(1) END";
        assert_eq!(values_of(filtered(bool_and(condition))), [guarded]);
        let condition = col("x").gt(lit(1_i64));
        assert_eq!(values_of(filtered(bool_and(condition))), ["x > Int64(1)"]);
    }

    #[test]
    fn a_long_filter_does_not_stand_before_many_values() {
        let filter = col("x").in_list((0..20_000_i64).map(lit).collect(), false);
        let call = |orders: usize| {
            let orders = vec![quotient().sort(true, false); orders];
            let ordered = array_agg(col("x")).order_by(orders);
            ordered.filter(filter.clone()).build().unwrap()
        };
        assert!(guard_call(call(5), &schema()).unwrap().transformed);
        let problem = guard_call(call(6), &schema()).unwrap_err().to_string();
        assert!(problem.contains("the statement is too long"), "{problem}");
    }

    #[test]
    fn nothing_is_guarded_twice() {
        for call in [sum(quotient()), bool_and(quotient().gt(lit(1_i64)))] {
            let once = guard_call(filtered(call), &schema()).unwrap();
            assert!(once.transformed);
            let twice = guard_call(once.data.clone(), &schema()).unwrap();
            assert!(!twice.transformed);
            assert_eq!(twice.data, once.data);
        }
    }

    #[test]
    fn values_fit_into_types_with_more_room() {
        use arrow::datatypes::DataType::{
            Date32, Decimal128, Float64, Int8, Int32, Int64, UInt32, UInt64, Utf8,
        };
        for (from, to) in [
            (Int32, Int64),
            (UInt32, Int64),
            (UInt64, Decimal128(20, 0)),
            (Int8, Decimal128(5, 2)),
            (Decimal128(10, 2), Decimal128(12, 4)),
            (Decimal128(38, 2), Float64),
            (Int64, Utf8),
            (DataType::Null, Int8),
        ] {
            assert!(always_fits(&from, &to), "{from} {to}");
        }
        for (from, to) in [
            (Int64, Int32),
            (Int32, UInt64),
            (UInt64, Int64),
            (Int64, Decimal128(20, 2)),
            (Decimal128(10, 2), Decimal128(10, 4)),
            (Decimal128(10, 2), Decimal128(38, 0)),
            (Utf8, Int64),
            (Date32, Utf8),
            (Float64, Int64),
        ] {
            assert!(!always_fits(&from, &to), "{from} {to}");
        }
    }
}
