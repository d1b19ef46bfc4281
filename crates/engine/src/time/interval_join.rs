//! Joins of times that are near each other: `a.t BETWEEN b.t - x AND b.t + y`,
//! and what else says so. From how far apart the times of a pair can be, and
//! from what can no longer change on either side, follows which rows meet no
//! partner any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};

use super::bounds::TimeBound;

const DAY_US: i64 = 86_400_000_000;
/// The days of the shortest and of the longest month.
const MONTH_DAYS: (i64, i64) = (28, 31);

/// What a join's condition says of the times of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interval {
    /// A column of the left side.
    pub(crate) left: usize,
    /// A column of the right side.
    pub(crate) right: usize,
    /// What the left time less the right time is at least and at most.
    least_us: Option<i64>,
    most_us: Option<i64>,
}

/// A time column and what is added to it, at least and at most.
struct Moved {
    column: usize,
    us: (i64, i64),
}

/// The pairs of time columns of which `condition` says how far they can be
/// apart. Its columns are the left side's, which are `left_width`, then the
/// right's.
pub(crate) fn intervals(condition: &Arc<dyn PhysicalExpr>, left_width: usize) -> Vec<Interval> {
    let mut found = BTreeMap::new();
    collect(condition, left_width, &mut found);
    let intervals = found.into_iter();
    intervals
        .map(|((left, right), (least_us, most_us))| Interval {
            left,
            right,
            least_us,
            most_us,
        })
        .collect()
}

type Found = BTreeMap<(usize, usize), (Option<i64>, Option<i64>)>;

fn collect(condition: &Arc<dyn PhysicalExpr>, left_width: usize, found: &mut Found) {
    let Some(binary) = condition.downcast_ref::<BinaryExpr>() else {
        return;
    };
    if *binary.op() == Operator::And {
        collect(binary.left(), left_width, found);
        collect(binary.right(), left_width, found);
        return;
    }
    let (Some(first), Some(second)) = (moved(binary.left()), moved(binary.right())) else {
        return;
    };
    // As a comparison of a left time with a right one.
    let (left, right, operator) = match (first.column < left_width, second.column < left_width) {
        (true, false) => (first, second, Some(*binary.op())),
        (false, true) => (second, first, binary.op().swap()),
        _ => return,
    };
    let most_us = right.us.1.saturating_sub(left.us.0);
    let least_us = right.us.0.saturating_sub(left.us.1);
    let (least_us, most_us) = match operator {
        Some(Operator::Lt | Operator::LtEq) => (None, Some(most_us)),
        Some(Operator::Gt | Operator::GtEq) => (Some(least_us), None),
        Some(Operator::Eq) => (Some(least_us), Some(most_us)),
        _ => return,
    };
    let known = found
        .entry((left.column, right.column - left_width))
        .or_default();
    known.0 = known.0.max(least_us);
    known.1 = match (known.1, most_us) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}

/// A column, perhaps with intervals added or taken away.
fn moved(expression: &Arc<dyn PhysicalExpr>) -> Option<Moved> {
    if let Some(column) = expression.downcast_ref::<Column>() {
        return Some(Moved {
            column: column.index(),
            us: (0, 0),
        });
    }
    let binary = expression.downcast_ref::<BinaryExpr>()?;
    let (inner, added) = match binary.op() {
        Operator::Plus => match length_us(binary.right()) {
            Some(length) => (binary.left(), length),
            None => (binary.right(), length_us(binary.left())?),
        },
        Operator::Minus => {
            let (least, most) = length_us(binary.right())?;
            (binary.left(), (-most, -least))
        }
        _ => return None,
    };
    let Moved { column, us } = moved(inner)?;
    let us = (us.0.checked_add(added.0)?, us.1.checked_add(added.1)?);
    Some(Moved { column, us })
}

/// How long a constant interval is, at least and at most: months differ, and
/// so do days in zones that turn their clocks.
fn length_us(expression: &Arc<dyn PhysicalExpr>) -> Option<(i64, i64)> {
    let ScalarValue::IntervalMonthDayNano(Some(value)) =
        expression.downcast_ref::<Literal>()?.value()
    else {
        return None;
    };
    let months = i64::from(value.months);
    let of_months = [months * MONTH_DAYS.0, months * MONTH_DAYS.1];
    let slack_us = match (value.months, value.days) {
        (0, 0) => 0,
        _ => DAY_US,
    };
    let fixed_us = (i64::from(value.days) * DAY_US).checked_add(value.nanoseconds / 1_000)?;
    let least_us = of_months[0].min(of_months[1]) * DAY_US + fixed_us;
    let most_us = of_months[0].max(of_months[1]) * DAY_US + fixed_us;
    // A part of a microsecond counts as one.
    let part_us = i64::from(value.nanoseconds % 1_000 != 0);
    Some((least_us - slack_us - part_us, most_us + slack_us + part_us))
}

/// Whether the distance of two times of this type is what the instants say.
pub(crate) fn is_instant(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(TimeUnit::Nanosecond | TimeUnit::Microsecond, _)
    )
}

impl Interval {
    /// What is known of the left column of all later changes of the join, and
    /// so of the left rows that they can still meet. A later left row is not
    /// older than `of_left`; a later right row meets left rows that are not
    /// older than it by more than the interval.
    pub(crate) fn of_left(&self, of_left: &TimeBound, of_right: &TimeBound) -> Option<TimeBound> {
        let both = of_left.and(of_right);
        let met_us = of_right.lower_us.saturating_add(self.least_us?);
        Some(TimeBound {
            column: self.left,
            lower_us: of_left.lower_us.min(met_us),
            is_window_end: false,
            ..both
        })
    }

    /// The same of the right column.
    pub(crate) fn of_right(&self, of_left: &TimeBound, of_right: &TimeBound) -> Option<TimeBound> {
        let both = of_left.and(of_right);
        let met_us = of_left.lower_us.saturating_sub(self.most_us?);
        Some(TimeBound {
            column: self.right,
            lower_us: of_right.lower_us.min(met_us),
            is_window_end: false,
            ..both
        })
    }
}
