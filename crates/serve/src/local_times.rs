//! Where DataFusion takes the UTC time of a moment, and PostgreSQL the time in the
//! moment's zone.
//!
//! | expression | DataFusion | becomes |
//! |---|---|---|
//! | `t::timestamp` | the time in UTC | `to_local_time(t)` |
//! | `t >= DATE '…'`, `t - DATE '…'`, BETWEEN, IN | midnight in UTC | midnight in the zone |
//!
//! Plain views mean what they mean as models, where the left column holds: their
//! expressions are made such that nothing is left to rewrite.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionState;
use datafusion::functions::expr_fn::to_local_time;
use datafusion::logical_expr::expr::{BinaryExpr, Cast, InList};
use datafusion::logical_expr::{Between, Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion::optimizer::AnalyzerRule;
use sluice_functions::is_comparison;

use crate::moments::moment_type;
use crate::rewriting::rewritten;

/// The rewriting as a rule of a session; it comes before types are matched.
#[derive(Debug)]
pub(crate) struct LocalTimes;

impl AnalyzerRule for LocalTimes {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &in_local_time)
    }

    fn name(&self) -> &str {
        "local_times"
    }
}

/// The plan of a view with all that a model's SQL leaves to DataFusion written
/// out, so that no reader's zone changes what it means.
///
/// # Errors
/// When types do not fit.
pub(crate) fn as_in_models(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let analyzer = state.analyzer();
    let plan = analyzer.execute_and_check(plan, state.config_options(), |_, _| {})?;
    rewritten(plan, &in_utc)
}

/// The moment that a cast to a time without a zone casts.
fn cast_moment(expression: &Expr, schema: &DFSchema) -> Option<DataType> {
    match expression {
        Expr::Cast(Cast { expr, field })
            if matches!(field.data_type(), DataType::Timestamp(_, None)) =>
        {
            moment_type(expr, schema)
        }
        _ => None,
    }
}

/// What takes the time in a moment's zone.
fn in_local_time(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if cast_moment(&expression, schema).is_some()
        && let Expr::Cast(Cast { expr, field }) = expression
    {
        let local = to_local_time(vec![*expr]);
        return Ok(Transformed::yes(cast(local, field.data_type().clone())));
    }
    Ok(match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if is_comparison(op) || op == Operator::Minus =>
        {
            let as_left = midnight(&right, &left, schema);
            let as_right = midnight(&left, &right, schema);
            let is_changed = as_left.is_some() || as_right.is_some();
            let expression = Expr::BinaryExpr(BinaryExpr {
                left: as_right.map_or(left, Box::new),
                op,
                right: as_left.map_or(right, Box::new),
            });
            changed(expression, is_changed)
        }
        Expr::Between(mut between) => {
            let Between {
                expr, low, high, ..
            } = &mut between;
            let mut is_changed = false;
            for bound in [low, high] {
                if let Some(moment) = midnight(bound, expr, schema) {
                    **bound = moment;
                    is_changed = true;
                }
            }
            changed(Expr::Between(between), is_changed)
        }
        Expr::InList(InList {
            expr,
            mut list,
            negated,
        }) => {
            let mut is_changed = false;
            for value in &mut list {
                if let Some(moment) = midnight(value, &expr, schema) {
                    *value = moment;
                    is_changed = true;
                }
            }
            let expression = Expr::InList(InList {
                expr,
                list,
                negated,
            });
            changed(expression, is_changed)
        }
        other => Transformed::no(other),
    })
}

fn changed(expression: Expr, is_changed: bool) -> Transformed<Expr> {
    match is_changed {
        true => Transformed::yes(expression),
        false => Transformed::no(expression),
    }
}

/// The moment at which a date begins in the zone of `moment`; `None` where it is
/// no date, or that no moment.
fn midnight(date: &Expr, moment: &Expr, schema: &DFSchema) -> Option<Expr> {
    let data_type = moment_type(moment, schema)?;
    let is_date = matches!(date.get_type(schema), Ok(DataType::Date32));
    is_date.then(|| cast(date.clone(), data_type))
}

/// Casts of moments to times without a zone as casts of moments in UTC, whose
/// local time is the same.
fn in_utc(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Some(DataType::Timestamp(unit, Some(zone))) = cast_moment(&expression, schema) else {
        return Ok(Transformed::no(expression));
    };
    let Expr::Cast(Cast { expr, field }) = expression else {
        return Ok(Transformed::no(expression));
    };
    if &*zone == UTC_OFFSET {
        return Ok(Transformed::no(Expr::Cast(Cast { expr, field })));
    }
    let in_utc = cast(*expr, utc(unit));
    Ok(Transformed::yes(cast(in_utc, field.data_type().clone())))
}

const UTC_OFFSET: &str = "+00:00";

fn utc(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some(Arc::from(UTC_OFFSET)))
}
