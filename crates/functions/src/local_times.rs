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

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::functions::expr_fn::to_local_time;
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::local_moments::moment_of_local;
use crate::rewriting::rewritten;

/// How the type of moments may call UTC.
const UTC: [&str; 2] = ["UTC", "+00:00"];

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

/// Whether a zone is UTC, by one of its names in types.
pub fn is_utc(zone: &str) -> bool {
    UTC.contains(&zone)
}

/// Whether moments in another zone than UTC are cast to times without a zone.
fn is_elsewhere(moment: &Expr, wanted: &DataType, schema: &DFSchema) -> bool {
    matches!(wanted, DataType::Timestamp(_, None))
        && matches!(
            moment.get_type(schema),
            Ok(DataType::Timestamp(_, Some(zone))) if !is_utc(&zone)
        )
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
pub fn is_begun(date: &Expr, wanted: &DataType, schema: &DFSchema) -> bool {
    matches!(wanted, DataType::Timestamp(_, Some(_)))
        && matches!(date.get_type(schema), Ok(DataType::Date32))
}

/// A date as a moment of a type, by way of the time without a zone at which it
/// begins: no reader takes it for a date that is put into another zone.
pub fn by_local_time(date: Expr, moment: DataType) -> Expr {
    match moment {
        DataType::Timestamp(unit, Some(_)) => {
            cast(cast(date, DataType::Timestamp(unit, None)), moment)
        }
        other => cast(date, other),
    }
}

fn in_zone(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::Cast(Cast { expr, field }) if is_elsewhere(&expr, field.data_type(), schema) => {
            let expr = Box::new(to_local_time(vec![*expr]));
            Transformed::yes(Expr::Cast(Cast { expr, field }))
        }
        Expr::TryCast(TryCast { expr, field })
            if is_elsewhere(&expr, field.data_type(), schema) =>
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
