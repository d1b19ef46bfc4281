//! Which results of a window function can change with a row of its partition.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    ColumnarValue, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::physical_expr::PhysicalExpr;
use sluice_functions::{EMA, ema_weight};

use super::running::{Running, RunningKind};

/// How the results of a call follow a change.
#[derive(Debug, Clone)]
pub(crate) enum Follow {
    /// Each follows so many rows before its own and behind it.
    Near { back: usize, ahead: usize },
    /// Each follows the rows that ORDER BY leaves equal to its own.
    Peers,
    /// Each follows all rows before its own.
    Running(Running),
}

/// A call of which [`CallForm::follow`] is asked.
pub(crate) struct CallForm<'a> {
    pub(crate) definition: &'a WindowFunctionDefinition,
    pub(crate) arguments: &'a [Arc<dyn PhysicalExpr>],
    /// What the arguments are columns of.
    pub(crate) schema: &'a Schema,
    pub(crate) filter: Option<&'a Arc<dyn PhysicalExpr>>,
    pub(crate) frame: &'a WindowFrame,
    pub(crate) ignores_nulls: bool,
    /// Whether there is an ORDER BY.
    pub(crate) is_ordered: bool,
}

impl CallForm<'_> {
    /// How the results follow a change; `None` where only the whole partition tells
    /// them.
    pub(crate) fn follow(&self) -> Option<Follow> {
        if self.ignores_nulls {
            return None;
        }
        match self.definition {
            WindowFunctionDefinition::AggregateUDF(function) => {
                if !self.is_exact(function.name()) {
                    return None;
                }
                self.near_frame()
                    .or_else(|| self.running(RunningKind::Aggregate, self.running_frame()?))
            }
            WindowFunctionDefinition::WindowUDF(function) => self.follow_function(function.name()),
        }
    }

    fn follow_function(&self, name: &str) -> Option<Follow> {
        match name {
            "row_number" => self.running(RunningKind::RowNumber, false),
            "rank" => self.running(RunningKind::Rank, true),
            "dense_rank" => self.running(RunningKind::DenseRank, true),
            EMA => {
                let weight = ema_weight(self.arguments).ok()?;
                self.running(RunningKind::Average { weight }, false)
            }
            "lag" | "lead" => {
                let rows = self.shift()?;
                Some(Follow::Near {
                    back: rows,
                    ahead: rows,
                })
            }
            "first_value" => self.near_frame().or_else(|| {
                self.running_frame()?;
                self.running(RunningKind::FirstValue, false)
            }),
            "last_value" => {
                self.near_frame()
                    .or_else(|| match (self.running_frame()?, self.is_ordered) {
                        (false, _) => Some(Follow::Near { back: 0, ahead: 0 }),
                        (true, true) => Some(Follow::Peers),
                        (true, false) => None,
                    })
            }
            "nth_value" => self.near_frame(),
            _ => None,
        }
    }

    /// Whether the aggregate depends on the rows of a frame alone, and not on the way
    /// on which it came to them, as rounded sums do.
    fn is_exact(&self, name: &str) -> bool {
        let types: Option<Vec<DataType>> = self
            .arguments
            .iter()
            .map(|argument| argument.data_type(self.schema).ok())
            .collect();
        let Some(types) = types else {
            return false;
        };
        match name {
            "count" | "bool_and" | "bool_or" => true,
            // Doubles are summed by `ExactWindowSum`.
            "sum" | "avg" => types.iter().all(|found| {
                let is_decimal =
                    matches!(found, DataType::Decimal128(..) | DataType::Decimal256(..));
                is_decimal || *found == DataType::Float64
            }),
            "min" | "max" => types.iter().all(|found| {
                let is_text = matches!(
                    found,
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
                );
                let is_interval = matches!(found, DataType::Interval(_));
                is_text || *found == DataType::Boolean || found.is_primitive() && !is_interval
            }),
            _ => false,
        }
    }

    fn running(&self, kind: RunningKind, by_peers: bool) -> Option<Follow> {
        if by_peers && !self.is_ordered {
            return None;
        }
        Some(Follow::Running(Running {
            kind,
            by_peers,
            filter: self.filter.cloned(),
        }))
    }

    /// ROWS with an end on both sides.
    fn near_frame(&self) -> Option<Follow> {
        if self.frame.units != WindowFrameUnits::Rows {
            return None;
        }
        let back = match &self.frame.start_bound {
            WindowFrameBound::Preceding(rows) => row_count(rows)?,
            WindowFrameBound::CurrentRow => 0,
            WindowFrameBound::Following(rows) => row_count(rows).map(|_| 0)?,
        };
        let ahead = match &self.frame.end_bound {
            WindowFrameBound::Following(rows) => row_count(rows)?,
            WindowFrameBound::CurrentRow => 0,
            WindowFrameBound::Preceding(rows) => row_count(rows).map(|_| 0)?,
        };
        Some(Follow::Near { back, ahead })
    }

    /// For UNBOUNDED PRECEDING to CURRENT ROW, whether the rows that ORDER BY leaves
    /// equal belong to it together.
    fn running_frame(&self) -> Option<bool> {
        match (&self.frame.start_bound, &self.frame.end_bound) {
            (WindowFrameBound::Preceding(rows), WindowFrameBound::CurrentRow) if rows.is_null() => {
                Some(self.frame.units != WindowFrameUnits::Rows)
            }
            _ => None,
        }
    }

    /// How many rows away `lag` and `lead` look.
    fn shift(&self) -> Option<usize> {
        let Some(shift) = self.arguments.get(1) else {
            return Some(1);
        };
        let no_columns = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let Ok(ColumnarValue::Scalar(shift)) = shift.evaluate(&no_columns) else {
            return None;
        };
        match shift.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(rows))) => usize::try_from(rows.unsigned_abs()).ok(),
            _ => None,
        }
    }
}

/// The rows of a bound; `None` for one without end.
fn row_count(bound: &ScalarValue) -> Option<usize> {
    match bound {
        ScalarValue::UInt64(Some(rows)) => usize::try_from(*rows).ok(),
        ScalarValue::Int64(Some(rows)) => usize::try_from(*rows).ok(),
        _ => None,
    }
}

/// How far the calls of a node reach together.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach {
    /// Rows before its own that a result can follow.
    pub(super) back: usize,
    /// Rows behind its own that a result can follow.
    pub(super) ahead: usize,
    /// Whether rows that ORDER BY leaves equal have results in common.
    pub(super) by_peers: bool,
    /// Whether a result follows all rows before its own.
    pub(super) is_running: bool,
}

impl Reach {
    pub(super) fn of(follows: &[Follow]) -> Self {
        let mut reach = Self::default();
        for follow in follows {
            match follow {
                Follow::Near { back, ahead } => {
                    reach.back = reach.back.max(*back);
                    reach.ahead = reach.ahead.max(*ahead);
                }
                Follow::Peers => reach.by_peers = true,
                Follow::Running(running) => {
                    reach.is_running = true;
                    reach.by_peers |= running.by_peers;
                }
            }
        }
        reach
    }
}
