//! The scan of a collection as a plan: the pieces that can hold rows of the
//! answer, in parts that run beside each other.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::conjunction_opt;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    SortOrderPushdownResult,
};
use futures::stream;
use sluice_store::Piece;

use crate::narrowing::{Narrowing, is_narrowing};
use crate::piece_reader::{PieceReader, Wanted};
use crate::row_filter::RowFilter;
use crate::useful_pieces::{in_order, without_useless};

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
#[derive(Debug, Clone)]
pub struct SnapshotScan {
    table: String,
    condition: Option<Arc<dyn PhysicalExpr>>,
    /// Its rows are sorted, and it reads first what may hold the first of them.
    is_sorted: bool,
    /// What whoever sorts them says of rows that it wants no more, by the columns that
    /// the scan gives.
    narrowing: Option<Arc<dyn PhysicalExpr>>,
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
        pieces.iter().for_each(Piece::will_open);
        let (pieces, filter) = match &request.condition {
            Some(condition) => (
                without_useless(pieces, condition, request.schema),
                RowFilter::new(condition, request.schema)?,
            ),
            None => (pieces, RowFilter::default()),
        };
        let rows: usize = pieces.iter().map(Piece::rows).sum();
        let part_count = (rows / PART_ROWS_MIN).clamp(1, request.parts_max.max(1));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(part_count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            table: request.table.to_owned(),
            condition: request.condition,
            is_sorted: false,
            narrowing: None,
            wanted: Arc::new(Wanted {
                columns: request.columns,
                schema,
                filter,
                limit: request.limit,
            }),
            parts: dealt_out(pieces, part_count),
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
        let narrowing = self.narrowing.clone();
        let narrowing = narrowing.map(|filter| Narrowing::new(filter, self.schema()));
        PieceReader::new(self.wanted.clone(), narrowing, pieces, batch_rows)
    }
}

/// Pieces in turn for each part.
fn dealt_out(pieces: Vec<Piece>, part_count: usize) -> Vec<Vec<Piece>> {
    let mut parts = vec![Vec::new(); part_count];
    for (number, piece) in pieces.into_iter().enumerate() {
        parts[number % part_count].push(piece);
    }
    parts
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
        if self.narrowing.is_some() {
            formatter.write_str(", fewer once enough rows are found")?;
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

    /// Reads first what may hold the first rows of `order`: then a sort that wants no
    /// others soon has them. Not under a limit of its own: which rows that leaves must
    /// not depend on what is read.
    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let first = order.first().and_then(|first| {
            let column = first.expr.downcast_ref::<Column>()?;
            Some((column.index(), first.options.descending))
        });
        let (Some((place, descending)), None) = (first, self.wanted.limit) else {
            return Ok(SortOrderPushdownResult::Unsupported);
        };
        let data_type = self.wanted.schema.field(place).data_type();
        let pieces = self.parts.iter().flatten().cloned().collect();
        let pieces = in_order(pieces, self.wanted.columns[place], data_type, descending);
        let inner: Arc<dyn ExecutionPlan> = Arc::new(Self {
            is_sorted: true,
            parts: dealt_out(pieces, self.parts.len()),
            ..self.clone()
        });
        Ok(SortOrderPushdownResult::Inexact { inner })
    }

    /// Takes filters of a sort that become narrower, to leave out pieces; the sort tries
    /// rows by them as before. Those of joins, which nobody needs for it, are left.
    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters = result.parent_filters.iter().map(|parent| &parent.filter);
        let narrowing = filters.filter(|filter| self.is_sorted && is_narrowing(filter));
        let narrowing = self.narrowing.iter().chain(narrowing).cloned();
        let narrowing = conjunction_opt(narrowing);
        let answer: FilterPushdownPropagation<Arc<dyn ExecutionPlan>> =
            FilterPushdownPropagation::all_unsupported(result);
        if narrowing.is_none() {
            return Ok(answer);
        }
        let narrowed = Self {
            narrowing,
            ..self.clone()
        };
        Ok(answer.with_updated_node(Arc::new(narrowed)))
    }

    /// Without the filter of the run before.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            narrowing: None,
            ..(*self).clone()
        }))
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
