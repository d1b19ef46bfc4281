//! The scan of a collection as a plan: the pieces that can hold rows of the
//! answer, in parts that run beside each other.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::temporal_conversions::as_datetime_with_timezone;
use chrono::Offset;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue, Statistics};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{CastExpr, TryCastExpr};
use datafusion::physical_expr::{
    EquivalenceProperties, PhysicalExpr, conjunction, split_conjunction,
};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::stream;
use sluice_store::Piece;

use crate::piece_reader::{PieceReader, Wanted};
use crate::row_filter::{RowFilter, as_declared};

/// A scan of fewer rows than this for each part has fewer parts.
const PART_ROWS_MIN: usize = 1 << 16;

/// What a query wants of a collection.
#[derive(Debug)]
pub struct ScanRequest<'a> {
    /// Its name, for EXPLAIN.
    pub table: &'a str,
    /// All its columns.
    pub schema: &'a SchemaRef,
    /// Positions of those that are wanted.
    pub columns: Vec<usize>,
    /// A condition on its rows.
    pub condition: Option<Arc<dyn PhysicalExpr>>,
    /// No more rows are wanted.
    pub limit: Option<usize>,
    /// Parts that may run beside each other.
    pub parts_max: usize,
}

/// See the module.
#[derive(Debug)]
pub struct SnapshotScan {
    table: String,
    condition: Option<Arc<dyn PhysicalExpr>>,
    wanted: Arc<Wanted>,
    parts: Vec<Vec<Piece>>,
    pieces_in_all: usize,
    properties: Arc<PlanProperties>,
}

impl SnapshotScan {
    /// # Errors
    /// When the condition does not fit the columns.
    pub fn new(request: ScanRequest<'_>, pieces: Vec<Piece>) -> Result<Self> {
        let pieces_in_all = pieces.len();
        let schema = Arc::new(request.schema.project(&request.columns)?);
        let (pieces, filter) = match &request.condition {
            Some(condition) => (
                without_useless(pieces, condition, request.schema),
                RowFilter::new(condition, request.schema)?,
            ),
            None => (pieces, RowFilter::default()),
        };
        let rows: usize = pieces.iter().map(Piece::rows).sum();
        let part_count = (rows / PART_ROWS_MIN).clamp(1, request.parts_max.max(1));
        let mut parts = vec![Vec::new(); part_count];
        for (number, piece) in pieces.into_iter().enumerate() {
            parts[number % part_count].push(piece);
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(part_count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            table: request.table.to_owned(),
            condition: request.condition,
            wanted: Arc::new(Wanted {
                columns: request.columns,
                schema,
                filter,
                limit: request.limit,
            }),
            parts,
            pieces_in_all,
            properties: Arc::new(properties),
        })
    }

    /// No more rows than these are asked for.
    pub(crate) fn limit(&self) -> Option<usize> {
        self.wanted.limit
    }

    /// Reads one of the parts.
    pub(crate) fn reader(&self, partition: usize, batch_rows: usize) -> PieceReader {
        let pieces = self.parts.get(partition).cloned().unwrap_or_default();
        PieceReader::new(self.wanted.clone(), pieces, batch_rows)
    }
}

impl DisplayAs for SnapshotScan {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .wanted
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        let read: usize = self.parts.iter().map(Vec::len).sum();
        let Self {
            table,
            pieces_in_all,
            ..
        } = self;
        write!(
            formatter,
            "SnapshotScan: {table} [{names}], pieces {read} of {pieces_in_all}"
        )?;
        if let Some(condition) = &self.condition {
            write!(formatter, ", where {condition}")?;
        }
        match self.wanted.limit {
            Some(limit) => write!(formatter, ", limit {limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for SnapshotScan {
    fn name(&self) -> &str {
        "SnapshotScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.condition {
            Some(condition) => visit(condition),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let reader = self.reader(partition, context.session_config().batch_size());
        let stream = RecordBatchStreamAdapter::new(self.schema(), stream::iter(reader));
        Ok(Box::pin(stream))
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        let pieces: Vec<&Piece> = match args.partition() {
            Some(part) => self.parts.get(part).into_iter().flatten().collect(),
            None => self.parts.iter().flatten().collect(),
        };
        let rows = pieces.iter().map(|piece| piece.rows()).sum();
        statistics.num_rows = match (&self.condition, self.wanted.limit) {
            (None, None) => Precision::Exact(rows),
            _ => Precision::Inexact(rows),
        };
        Ok(Arc::new(statistics))
    }
}

/// The pieces of which some row may fulfil the condition, by their bounds.
fn without_useless(
    pieces: Vec<Piece>,
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
    let bounds = Bounds {
        pieces: &pieces,
        schema,
    };
    // What cannot be judged is read.
    let Ok(is_useful) = predicate.prune(&bounds) else {
        return pieces;
    };
    let mut is_useful = is_useful.into_iter();
    let mut pieces = pieces;
    pieces.retain(|_| is_useful.next().unwrap_or(true));
    pieces
}

/// Whether the casts in a condition keep the order of what they cast, so that the
/// bounds of a column are bounds of the cast, too. DataFusion takes that for granted:
/// of Monday at eight and Friday at nine it would keep eight and nine o'clock.
fn keeps_order(condition: &Arc<dyn PhysicalExpr>) -> bool {
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
struct Bounds<'a> {
    pieces: &'a [Piece],
    schema: &'a SchemaRef,
}

impl Bounds<'_> {
    /// One value for each piece; those that are not known, or cannot be read
    /// now, are null.
    fn of(&self, column: &Column, which: usize, data_type: &DataType) -> Option<ArrayRef> {
        let position = self.schema.index_of(column.name()).ok()?;
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
