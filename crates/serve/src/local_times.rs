//! Casts between moments and times without a zone as PostgreSQL has them: DataFusion
//! takes the time in UTC, and has none where the clocks of a zone leave one out or
//! show it twice.
//!
//! | cast | becomes |
//! |---|---|
//! | a moment to a time without a zone | the time in the moment's zone, `to_local_time(t)` |
//! | a date, or a time without a zone, to a moment | [`moment_of_local`] |
//!
//! The casts that the matching of types makes are among them, and what they become
//! is no such cast: a plan may be rewritten twice.
//!
//! Plain views mean what they mean as models, where the left column holds: their
//! expressions are made such that nothing is left to rewrite, here or by what dates
//! become in the zone of whoever reads (`dates_as_moments.rs`).

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionState;
use datafusion::functions::expr_fn::to_local_time;
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::local_moments::moment_of_local;
use crate::moments::{is_utc, moment_type};
use crate::rewriting::rewritten;

/// The rewriting as a rule of a session; it comes when types are matched.
#[derive(Debug)]
pub(crate) struct LocalTimes;

impl AnalyzerRule for LocalTimes {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &in_zone)
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

/// The unit of moments in another zone than UTC that are cast to times without a
/// zone; `None` for all other casts.
fn unit_elsewhere(moment: &Expr, wanted: &DataType, schema: &DFSchema) -> Option<TimeUnit> {
    if !matches!(wanted, DataType::Timestamp(_, None)) {
        return None;
    }
    match moment_type(moment, schema)? {
        DataType::Timestamp(unit, Some(zone)) if !is_utc(&zone) => Some(unit),
        _ => None,
    }
}

/// Whether a date, or a time without a zone, is cast to a moment in another zone
/// than UTC.
fn has_no_zone(local: &Expr, wanted: &DataType, schema: &DFSchema) -> bool {
    let DataType::Timestamp(_, Some(zone)) = wanted else {
        return false;
    };
    let local = local.get_type(schema);
    !is_utc(zone) && matches!(local, Ok(DataType::Date32 | DataType::Timestamp(_, None)))
}

/// Whether a date is cast to the moment at which it begins in a zone.
pub(crate) fn is_begun(date: &Expr, wanted: &DataType, schema: &DFSchema) -> bool {
    matches!(wanted, DataType::Timestamp(_, Some(_)))
        && matches!(date.get_type(schema), Ok(DataType::Date32))
}

fn in_zone(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::Cast(Cast { expr, field })
            if unit_elsewhere(&expr, field.data_type(), schema).is_some() =>
        {
            let expr = Box::new(to_local_time(vec![*expr]));
            Transformed::yes(Expr::Cast(Cast { expr, field }))
        }
        Expr::TryCast(TryCast { expr, field })
            if unit_elsewhere(&expr, field.data_type(), schema).is_some() =>
        {
            let expr = Box::new(to_local_time(vec![*expr]));
            Transformed::yes(Expr::TryCast(TryCast { expr, field }))
        }
        Expr::Cast(Cast { expr, field }) if has_no_zone(&expr, field.data_type(), schema) => {
            let moment = moment_of_local(*expr, field.data_type().clone());
            Transformed::yes(moment)
        }
        other => Transformed::no(other),
    })
}

/// A date as a moment of a type, by way of the time without a zone at which it
/// begins: no reader takes it for a date that is put into another zone.
pub(crate) fn by_local_time(date: Expr, moment: DataType) -> Expr {
    match moment {
        DataType::Timestamp(unit, Some(_)) => {
            cast(cast(date, DataType::Timestamp(unit, None)), moment)
        }
        other => cast(date, other),
    }
}

/// Casts of moments to times without a zone as casts of moments in UTC, whose
/// local time is the same, and dates as moments by their local times.
fn in_utc(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let expression = match expression {
        Expr::Cast(Cast { expr, field }) if is_begun(&expr, field.data_type(), schema) => {
            let moment = by_local_time(*expr, field.data_type().clone());
            return Ok(Transformed::yes(moment));
        }
        other => other,
    };
    let unit = match &expression {
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            unit_elsewhere(expr, field.data_type(), schema)
        }
        _ => None,
    };
    let Some(unit) = unit else {
        return Ok(Transformed::no(expression));
    };
    let of_utc = |expr: Expr| Box::new(cast(expr, utc(unit)));
    Ok(match expression {
        Expr::Cast(Cast { expr, field }) => {
            let expr = of_utc(*expr);
            Transformed::yes(Expr::Cast(Cast { expr, field }))
        }
        Expr::TryCast(TryCast { expr, field }) => {
            let expr = of_utc(*expr);
            Transformed::yes(Expr::TryCast(TryCast { expr, field }))
        }
        other => Transformed::no(other),
    })
}

fn utc(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some(Arc::from("+00:00")))
}
