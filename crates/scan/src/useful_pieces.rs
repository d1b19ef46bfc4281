//! Which pieces of a collection can hold rows that a query wants, by what is known of
//! their columns without reading them: bounds, and filters of their values.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array, new_null_array};
use arrow::compute::{SortOptions, concat, rank};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::temporal_conversions::as_datetime_with_timezone;
use chrono::Offset;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::expressions::{CastExpr, TryCastExpr};
use datafusion::physical_expr::utils::{Guarantee, LiteralGuarantee};
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use sluice_store::{Piece, SoughtValues};

use crate::row_filter::as_declared;

/// A list of more values than this is not looked for in filters: of so many one is
/// almost everywhere, and each takes a read from disk.
const SOUGHT_VALUES_MAX: usize = 32;

/// The pieces of which some row may fulfil the condition on columns of the table.
pub(crate) fn without_useless(
    pieces: Vec<Piece>,
    condition: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
) -> Vec<Piece> {
    let mut pieces = within_bounds(pieces, condition, schema);
    let guarantees = LiteralGuarantee::analyze(condition);
    let sought = guarantees.iter().filter_map(|it| sought_in(it, schema));
    for (column, values) in sought {
        for piece in &pieces {
            piece.will_look_for(column, &values);
        }
        // What cannot be judged is read.
        pieces.retain(|piece| piece.may_hold(column, &values).unwrap_or(true));
    }
    pieces
}

/// The column and the values of which a row must hold one to fulfil a condition;
/// `None` where filters cannot tell of them.
fn sought_in(guarantee: &LiteralGuarantee, schema: &SchemaRef) -> Option<(usize, SoughtValues)> {
    if guarantee.guarantee != Guarantee::In || guarantee.literals.len() > SOUGHT_VALUES_MAX {
        return None;
    }
    let column = schema.index_of(&guarantee.column.name).ok()?;
    let values = ScalarValue::iter_to_array(guarantee.literals.iter().cloned()).ok()?;
    Some((column, SoughtValues::of(&values)?))
}

/// The pieces of which some row may fulfil the condition by their bounds.
fn within_bounds(
    mut pieces: Vec<Piece>,
    condition: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
) -> Vec<Piece> {
    let builder = PruningPredicateBuilder::new().with_file_schema(schema.clone());
    let by_bounds = split_conjunction(condition)
        .into_iter()
        .filter(|part| keeps_order(part));
    let Some(predicate) = builder.build(conjunction(by_bounds.cloned())) else {
        return pieces;
    };
    let columns: Vec<usize> = (0..schema.fields().len()).collect();
    let bounds = Bounds {
        pieces: &pieces,
        schema,
        columns: &columns,
    };
    // What cannot be judged is read.
    let Ok(is_useful) = predicate.prune(&bounds) else {
        return pieces;
    };
    let mut is_useful = is_useful.into_iter();
    pieces.retain(|_| is_useful.next().unwrap_or(true));
    pieces
}

/// The pieces in the order of a column, by their bounds: first those that can hold the
/// first values, and before them those of which nothing is known, which are in memory.
pub(crate) fn in_order(
    pieces: Vec<Piece>,
    column: usize,
    data_type: &DataType,
    descending: bool,
) -> Vec<Piece> {
    let bounds = pieces.iter().map(|piece| {
        let bounds = piece.bounds(column).ok().flatten();
        let bound = bounds.and_then(|bounds| {
            let bound = &bounds[usize::from(descending)];
            as_declared(bound, data_type).ok()
        });
        bound.unwrap_or_else(|| new_null_array(data_type, 1))
    });
    let bounds: Vec<ArrayRef> = bounds.collect();
    let bounds: Vec<&dyn Array> = bounds.iter().map(AsRef::as_ref).collect();
    let options = SortOptions {
        descending,
        nulls_first: true,
    };
    let ranks = concat(&bounds).and_then(|bounds| rank(&bounds, Some(options)));
    let Ok(ranks) = ranks else {
        return pieces;
    };
    let mut ranked: Vec<(u32, Piece)> = ranks.into_iter().zip(pieces).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, piece)| piece).collect()
}

/// Whether the casts in a condition keep the order of what they cast, so that the
/// bounds of a column are bounds of the cast, too. DataFusion takes that for granted:
/// of Monday at eight and Friday at nine it would keep eight and nine o'clock.
pub(crate) fn keeps_order(condition: &Arc<dyn PhysicalExpr>) -> bool {
    let is_misleading = |part: &Arc<dyn PhysicalExpr>| {
        let cast_type = match part.downcast_ref::<CastExpr>() {
            Some(cast) => Some(cast.cast_type()),
            None => part
                .downcast_ref::<TryCastExpr>()
                .map(|cast| cast.cast_type()),
        };
        let is_of_day = |data_type: &DataType| {
            matches!(
                data_type,
                DataType::Time32(_) | DataType::Time64(_) | DataType::Boolean
            )
        };
        Ok(cast_type.is_some_and(is_of_day))
    };
    !condition.exists(is_misleading).unwrap_or(true)
}

/// What is known of the values of pieces.
pub(crate) struct Bounds<'a> {
    pub(crate) pieces: &'a [Piece],
    /// Columns of which is spoken.
    pub(crate) schema: &'a SchemaRef,
    /// Their positions in the table.
    pub(crate) columns: &'a [usize],
}

impl Bounds<'_> {
    /// One value for each piece; those that are not known, or cannot be read
    /// now, are null.
    fn of(&self, column: &Column, which: usize, data_type: &DataType) -> Option<ArrayRef> {
        let place = self.schema.index_of(column.name()).ok()?;
        let position = *self.columns.get(place)?;
        let unknown = new_null_array(data_type, 1);
        let values = self.pieces.iter().map(|piece| {
            let bounds = piece.bounds(position).ok().flatten();
            let bound = bounds.and_then(|bounds| as_declared(&bounds[which], data_type).ok());
            let bound = bound.map(|bound| widened(bound, which));
            bound.unwrap_or_else(|| unknown.clone())
        });
        let values: Vec<ArrayRef> = values.collect();
        let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        concat(&values).ok()
    }

    fn type_of(&self, column: &Column) -> Option<&DataType> {
        let field = self.schema.field_with_name(column.name()).ok()?;
        Some(field.data_type())
    }
}

/// Bounds of moments further apart where a clock was set back nearby: where that is
/// over midnight, a later moment is of an earlier day.
fn widened(bound: ArrayRef, which: usize) -> ArrayRef {
    const SET_BACK_US: i64 = 3 * 3_600_000_000;
    let DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) = bound.data_type() else {
        return bound;
    };
    let Ok(known) = zone.parse::<Tz>() else {
        return bound;
    };
    let far_us = match which {
        0 => -SET_BACK_US,
        _ => SET_BACK_US,
    };
    let moments = bound.as_primitive::<TimestampMicrosecondType>();
    let offset = |moment: i64| {
        let local = as_datetime_with_timezone::<TimestampMicrosecondType>(moment, known)?;
        Some(local.offset().fix())
    };
    let far = moments.unary::<_, TimestampMicrosecondType>(|moment| {
        let (before, behind) = (
            moment.saturating_sub(SET_BACK_US),
            moment.saturating_add(SET_BACK_US),
        );
        match offset(before) == offset(behind) {
            true => moment,
            false => moment.saturating_add(far_us),
        }
    });
    Arc::new(far.with_timezone(zone.clone()))
}

impl PruningStatistics for Bounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, 0, self.type_of(column)?)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, 1, self.type_of(column)?)
    }

    fn num_containers(&self) -> usize {
        self.pieces.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, 2, &DataType::UInt64)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.pieces.iter().map(|piece| piece.stored_rows() as u64);
        Some(Arc::new(UInt64Array::from_iter_values(rows)))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
