//! What an aggregate is, and what it is given.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;

use crate::EngineError;
use crate::group_rows::RowsFunction;
use crate::key::{EncodedRows, RowCodec};

/// What an aggregate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateKind {
    Count,
    Sum,
    Average,
    /// The smallest, or by ORDER BY the first.
    Min,
    /// The greatest, or by ORDER BY the last.
    Max,
    /// Any other function, over the kept rows.
    Rows,
    /// The ids of the values, as a state: the argument is the id.
    UniqState,
    /// The union of such states.
    UniqMerge,
}

/// One aggregate of a GROUP BY.
#[derive(Debug, Clone)]
pub(crate) struct AggregateSpec {
    pub(crate) kind: AggregateKind,
    pub(crate) distinct: bool,
    /// Types of the columns read, each with its order: those of ORDER BY, then
    /// the arguments. None for `count(*)`.
    pub(crate) input: Vec<(DataType, SortOptions)>,
    pub(crate) output_type: DataType,
    /// Whether the input can retract rows.
    pub(crate) input_retracts: bool,
    /// Whether rows whose last argument is null do not count.
    pub(crate) skips_nulls: bool,
    /// The function of [`AggregateKind::Rows`].
    pub(crate) function: Option<RowsFunction>,
    /// The domain of the ids of [`AggregateKind::UniqState`].
    pub(crate) domain: Option<Arc<str>>,
}

impl AggregateSpec {
    /// The function's name.
    pub(crate) fn name(&self) -> &str {
        match (self.kind, &self.function) {
            (_, Some(rows)) => rows.function.fun().name(),
            (AggregateKind::Count, _) => "count",
            (AggregateKind::Sum, _) => "sum",
            (AggregateKind::Average, _) => "avg",
            (AggregateKind::Min, _) => "min",
            (AggregateKind::Max, _) => "max",
            (AggregateKind::Rows, _) => "rows",
            (AggregateKind::UniqState, _) => "uniq_state",
            (AggregateKind::UniqMerge, _) => "uniq_merge",
        }
    }

    /// Type of the last argument.
    pub(crate) fn input_type(&self) -> Option<&DataType> {
        self.input.last().map(|(data_type, _)| data_type)
    }

    /// How values are kept, for the functions that compare or keep them.
    pub(crate) fn codec(&self) -> Result<Option<RowCodec>, EngineError> {
        let keeps_values = matches!(
            self.kind,
            AggregateKind::Min | AggregateKind::Max | AggregateKind::Rows
        );
        if self.input.is_empty() || !(keeps_values || self.distinct) {
            return Ok(None);
        }
        let columns: Vec<_> = self
            .input
            .iter()
            .map(|(found, order)| (found, *order))
            .collect();
        RowCodec::with_order(&columns).map(Some)
    }
}

/// The argument of an aggregate for a whole batch.
pub(crate) struct Argument {
    /// The last argument.
    pub(crate) values: Option<ArrayRef>,
    pub(crate) skips_nulls: bool,
    /// Byte form, for the functions that compare values.
    pub(crate) encoded: Option<EncodedRows>,
    /// Rows that the FILTER clause leaves out.
    pub(crate) excluded: Option<Vec<bool>>,
}

impl Argument {
    /// Whether a row counts: not filtered out, and not null where that matters.
    pub(crate) fn counts(&self, row: usize) -> bool {
        let excluded = self.excluded.as_ref().is_some_and(|rows| rows[row]);
        let is_null = self.skips_nulls
            && self
                .values
                .as_ref()
                .is_some_and(|values| values.is_null(row));
        !excluded && !is_null
    }
}
