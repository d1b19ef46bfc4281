//! Dates that meet moments as the moments at which they begin in the zone of those,
//! as PostgreSQL has it: DataFusion would make times without a zone of both, which
//! nobody would take for moments any more, and in nanoseconds, which dates before
//! 1677 and after 2262 do not have.
//!
//! That is what `t >= d`, `t - d`, `d BETWEEN t AND u`, `d IN (t, …)`, `t IN (SELECT d …)`,
//! `CASE t WHEN d`, `CASE … THEN t ELSE d`, `coalesce(t, d)` and the like, joins by
//! columns of both kinds, VALUES, and unions, INTERSECT and EXCEPT become.
//!
//! Dates and times without a zone are compared in microseconds, for the same years, and
//! so are dates and moments that are written down or made of numbers.
//!
//! A date that is put into another zone, `d AT TIME ZONE '…'`, is first the moment at
//! which it begins in the zone of whoever reads, or in UTC, by which models go.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::expr_schema::cast_subquery;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Subquery, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::local_times::{by_local_time, is_begun, is_utc};
use crate::one_float::is_comparison;
use crate::rewriting::rewritten_with_parts;
use crate::values_that_meet::{Meeting, Together, part_with_wanted_types, with_wanted_types};

/// The rewriting as a rule of a session; it comes before types are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatesAsMoments {
    /// In the zone of the session, which is that of whoever reads.
    OfReader,
    /// In UTC, whatever the zone of the session.
    OfModels,
}

impl AnalyzerRule for DatesAsMoments {
    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = match self {
            Self::OfReader => options.execution.time_zone.as_deref(),
            Self::OfModels => Some("UTC"),
        };
        let zone = Zone {
            own: zone.map(Arc::from),
            is_computed_with: false,
        };
        rewritten_with_parts(
            plan,
            &|expression: Expr, schema: &DFSchema| zone.alike(expression, schema),
            &|part: LogicalPlan| part_with_wanted_types(&zone, part),
        )
    }

    fn name(&self) -> &str {
        "dates_as_moments"
    }
}

/// The zone in which dates begin.
struct Zone {
    own: Option<Arc<str>>,
    /// The values that meet are computed with and not compared.
    is_computed_with: bool,
}

impl Zone {
    fn is_own(&self, moment: &DataType) -> bool {
        let (DataType::Timestamp(_, Some(zone)), Some(own)) = (moment, &self.own) else {
            return false;
        };
        own == zone || (is_utc(own) && is_utc(zone))
    }

    fn alike(&self, mut expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let is_put = match &mut expression {
            Expr::Cast(put) => self.begin_here(put, schema),
            _ => false,
        };
        if is_put {
            return Ok(Transformed::yes(expression));
        }
        let computes = |binary: &BinaryExpr| !is_comparison(binary.op);
        let here = Self {
            own: self.own.clone(),
            is_computed_with: matches!(&expression, Expr::BinaryExpr(binary) if computes(binary)),
        };
        with_wanted_types(&here, expression, schema)
    }

    /// What dates and times without a zone are compared as, which DataFusion would
    /// compare in nanoseconds; `None` where there are no such times.
    fn local_time(types: &[DataType]) -> Option<DataType> {
        let has_times = types
            .iter()
            .any(|found| matches!(found, DataType::Timestamp(_, None)));
        has_times.then_some(DataType::Timestamp(TimeUnit::Microsecond, None))
    }

    /// Makes the moment of a date at which it begins here, where it is put into
    /// another zone.
    fn begin_here(&self, put: &mut Cast, schema: &DFSchema) -> bool {
        let moment = put.field.data_type();
        let (DataType::Timestamp(unit, Some(_)), Some(zone)) = (moment, &self.own) else {
            return false;
        };
        if self.is_own(moment) || !is_begun(&put.expr, moment, schema) {
            return false;
        }
        let here = DataType::Timestamp(*unit, Some(zone.clone()));
        *put.expr = cast((*put.expr).clone(), here);
        true
    }
}

impl Meeting for Zone {
    fn wanted(&self, types: &[DataType], together: Together) -> Vec<Option<DataType>> {
        let mut moments = types.iter();
        let moment = moments.find(|found| matches!(found, DataType::Timestamp(_, Some(_))));
        let is_compared = together == Together::Compared && !self.is_computed_with;
        let local = match moment {
            None if is_compared && types.contains(&DataType::Date32) => Self::local_time(types),
            _ => None,
        };
        // As exact as PostgreSQL has them, so that they have all years.
        let shorter = match moment {
            Some(DataType::Timestamp(TimeUnit::Nanosecond, zone))
                if is_compared && types.contains(&DataType::Date32) =>
            {
                let shorter = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                self.is_own(&shorter).then_some(shorter)
            }
            _ => None,
        };
        let of_dates = shorter.as_ref().or(moment).or(local.as_ref());
        let wanted = types.iter().map(|found| match found {
            DataType::Date32 => of_dates.cloned(),
            DataType::Timestamp(TimeUnit::Nanosecond, None) => local.clone(),
            found if Some(found) == moment => shorter.clone(),
            _ => None,
        });
        wanted.collect()
    }

    fn as_type(&self, value: Expr, wanted: &DataType) -> Expr {
        match self.is_own(wanted) {
            true => cast(value, wanted.clone()),
            // Not to be taken for AT TIME ZONE.
            false => by_local_time(value, wanted.clone()),
        }
    }

    fn subquery_as_type(&self, rows: Subquery, wanted: &DataType) -> Result<Subquery> {
        match wanted {
            DataType::Timestamp(unit, Some(_)) if !self.is_own(wanted) => {
                let local = DataType::Timestamp(*unit, None);
                cast_subquery(cast_subquery(rows, &local)?, wanted)
            }
            _ => cast_subquery(rows, wanted),
        }
    }

    fn is_made(&self, found: &DataType) -> bool {
        matches!(found, DataType::Timestamp(_, None))
    }
}
