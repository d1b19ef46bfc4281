//! Forms that the planner answers otherwise than SQL, and that are written in
//! another way as easily: they are refused rather than answered wrongly.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, JoinConstraint, JoinType, Result, plan_err};
use datafusion::logical_expr::expr::{Case, Cast, InList, InSubquery};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use crate::PLANNER_FUNCTIONS;
use crate::interval_products::{is_interval_product, multiplied};
use crate::one_float::is_comparison;
use crate::postgres_answers::ENCODINGS;

/// See the module.
#[derive(Debug)]
pub(crate) struct RefusedForms;

impl AnalyzerRule for RefusedForms {
    fn name(&self) -> &str {
        "refused_forms"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            check_join(node)?;
            let schema = merge_schema(&node.inputs());
            node.apply_expressions(|expression| {
                expression.apply(|part| {
                    check_day(part, &schema)?;
                    check_rows(part)?;
                    check_scale(part, &schema)?;
                    check_encoding(part)?;
                    check_delimiter(part)?;
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(plan)
    }
}

/// The column of `USING` is the left side's, which is NULL where there is no left row.
fn check_join(node: &LogicalPlan) -> Result<()> {
    let LogicalPlan::Join(join) = node else {
        return Ok(());
    };
    let is_right = matches!(join.join_type, JoinType::Right | JoinType::Full);
    if !is_right || join.join_constraint != JoinConstraint::Using {
        return Ok(());
    }
    plan_err!(
        "RIGHT and FULL JOIN with USING or NATURAL are not supported: write ON a.id = b.id, and coalesce(a.id, b.id) for the column of both"
    )
}

/// A date and an interval are a date, which has no room for the time.
fn check_day(expression: &Expr, schema: &DFSchema) -> Result<()> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expression else {
        return Ok(());
    };
    if !matches!(op, Operator::Plus | Operator::Minus) {
        return Ok(());
    }
    let is_date = |value: &Expr| matches!(value.get_type(schema), Ok(DataType::Date32));
    let is_lost =
        (is_date(left) && has_time(right, schema)) || (is_date(right) && has_time(left, schema));
    if !is_lost {
        return Ok(());
    }
    plan_err!(
        "a date and an interval with hours, minutes or seconds would be a date: write CAST(day AS TIMESTAMP) for the date"
    )
}

/// Rows that were not compared value by value ([`crate::row_comparisons`]) would be
/// compared as structures, with NULL as a value.
fn check_rows(expression: &Expr) -> Result<()> {
    let compares_row = match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            is_comparison(*op) && (is_row(left) || is_row(right))
        }
        Expr::InList(InList { expr, list, .. }) => is_row(expr) || list.iter().any(is_row),
        Expr::Between(between) => {
            is_row(&between.expr) || is_row(&between.low) || is_row(&between.high)
        }
        Expr::Case(Case { expr, .. }) => expr.as_deref().is_some_and(is_row),
        Expr::InSubquery(InSubquery { expr, .. }) => is_row(expr),
        _ => false,
    };
    if !compares_row {
        return Ok(());
    }
    plan_err!(
        "a row is compared with rows of as many values, at most 32 and none of them a row, as in (a, b) = (c, d): compare the values of others one by one"
    )
}

/// Looking for the same number in another type, the planner divides by zero where a
/// decimal has a negative scale. Those of other casts are refused as they are read
/// ([`sluice_syntax::refused_form`]).
fn check_scale(expression: &Expr, schema: &DFSchema) -> Result<()> {
    let Expr::ScalarFunction(call) = expression else {
        return Ok(());
    };
    if !matches!(call.name(), "arrow_cast" | "arrow_try_cast") {
        return Ok(());
    }
    match expression.get_type(schema) {
        Ok(
            DataType::Decimal32(_, ..=-1)
            | DataType::Decimal64(_, ..=-1)
            | DataType::Decimal128(_, ..=-1)
            | DataType::Decimal256(_, ..=-1),
        ) => plan_err!(
            "a decimal with a negative scale is not supported: write round(value, -2) for a scale of -2"
        ),
        _ => Ok(()),
    }
}

/// An encoding that nobody knows would fail on each row.
fn check_encoding(expression: &Expr) -> Result<()> {
    let Expr::ScalarFunction(call) = expression else {
        return Ok(());
    };
    let (name, [_, encoding]) = (call.name(), &call.args[..]) else {
        return Ok(());
    };
    if !matches!(name, "encode" | "decode") {
        return Ok(());
    }
    let is_known = match encoding {
        Expr::Literal(encoding, _) => {
            let encoding = encoding.try_as_str().flatten();
            let mut known = ENCODINGS.iter();
            known.any(|known| encoding.is_some_and(|found| found.eq_ignore_ascii_case(known)))
        }
        other => !depends_on_row(other)?,
    };
    if is_known {
        return Ok(());
    }
    plan_err!("{name} of {encoding}: write one of the formats 'base64' and 'hex'")
}

/// The delimiter is looked at once, before the rows.
fn check_delimiter(expression: &Expr) -> Result<()> {
    let (name, arguments) = match expression {
        Expr::AggregateFunction(call) => (call.func.name(), &call.params.args),
        Expr::WindowFunction(call) => (call.fun.name(), &call.params.args),
        _ => return Ok(()),
    };
    match &arguments[..] {
        [_, delimiter] if name == "string_agg" && depends_on_row(delimiter)? => plan_err!(
            "string_agg with a delimiter of each row, {delimiter}, is not supported: write one for all, as in string_agg(name, ', '), or put it into the values, as in string_agg(name || mark, '')"
        ),
        _ => Ok(()),
    }
}

/// Whether a value is no constant.
fn depends_on_row(value: &Expr) -> Result<bool> {
    value.exists(|part| {
        Ok(matches!(
            part,
            Expr::Column(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
        ))
    })
}

/// Whether it is a row, whatever its types were made.
fn is_row(expression: &Expr) -> bool {
    let call = match expression {
        Expr::Cast(Cast { expr, .. }) => return is_row(expr),
        Expr::ScalarFunction(call) => call,
        _ => return false,
    };
    if PLANNER_FUNCTIONS.contains(&call.name()) {
        return call.args.first().is_some_and(is_row);
    }
    matches!(call.name(), "struct" | "named_struct")
}

/// Whether it is an interval that is no number of days and months.
fn has_time(interval: &Expr, schema: &DFSchema) -> bool {
    match interval {
        Expr::Negative(interval) => has_time(interval, schema),
        Expr::ScalarFunction(call) if is_interval_product(&call.func) => {
            multiplied(call, schema).is_none_or(|interval| has_time(interval, schema))
        }
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => {
            interval.nanoseconds != 0
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => {
            interval.milliseconds != 0
        }
        other => matches!(other.get_type(schema), Ok(DataType::Duration(_))),
    }
}
