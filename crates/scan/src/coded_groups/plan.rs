//! The first stage of a grouping over a scan, as a plan.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, aggregate_expressions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::coded_groups::aggregation::{Aggregation, Function, Key, Shape};
use crate::coded_groups::code_book::is_coded;
use crate::piece_reader::PieceReader;
use crate::snapshot_scan::SnapshotScan;

/// See the module.
#[derive(Debug)]
pub(crate) struct CodedAggregate {
    /// What is replaced; it runs where the text of a part has no dictionaries.
    general: Arc<AggregateExec>,
    scan: Arc<dyn ExecutionPlan>,
    shape: Arc<Shape>,
}

impl CodedAggregate {
    /// What replaces `aggregate`; `None` if nothing does.
    ///
    /// # Errors
    /// When an expression does not fit its columns.
    pub(crate) fn of(aggregate: &AggregateExec) -> Result<Option<Self>> {
        let Some(scan) = aggregate.input().downcast_ref::<SnapshotScan>() else {
            return Ok(None);
        };
        let group_by = aggregate.group_expr();
        let is_plain = *aggregate.mode() == AggregateMode::Partial
            && *aggregate.input_order_mode() == InputOrderMode::Linear
            && aggregate.limit_options().is_none()
            && group_by.is_single()
            && !group_by.is_empty()
            && scan.limit().is_none();
        let functions = aggregate.aggr_expr();
        if !is_plain
            || functions
                .iter()
                .any(|function| !function.order_bys().is_empty())
        {
            return Ok(None);
        }
        let schema = scan.schema();
        let mut has_text = false;
        let mut keys = Vec::new();
        for (expression, _) in group_by.expr() {
            let data_type = expression.data_type(&schema)?;
            keys.push(match expression.downcast_ref::<Column>() {
                Some(column) if data_type == DataType::Utf8 => {
                    has_text = true;
                    Key::Column(column.index())
                }
                _ if is_coded(&data_type) => Key::Computed(expression.clone()),
                _ => return Ok(None),
            });
        }
        if !has_text {
            return Ok(None);
        }
        let arguments = aggregate_expressions(functions, aggregate.mode(), 0)?;
        let functions = functions.iter().zip(arguments).zip(aggregate.filter_expr());
        let functions = functions.map(|((function, arguments), filter)| Function {
            function: function.clone(),
            arguments,
            filter: filter.clone(),
        });
        let shape = Shape {
            keys,
            key_schema: group_by.group_schema(&schema)?,
            functions: functions.collect(),
            read: Vec::new(),
            read_schema: Arc::new(Schema::empty()),
            schema: aggregate.schema(),
        };
        Ok(Some(Self {
            general: Arc::new(aggregate.clone()),
            scan: aggregate.input().clone(),
            shape: Arc::new(over_few_columns(shape, &schema)?),
        }))
    }

    /// Places of the columns of text that are keys.
    fn text_keys(&self) -> impl Iterator<Item = usize> {
        self.shape.keys.iter().filter_map(|key| match key {
            Key::Column(place) => Some(*place),
            Key::Computed(_) => None,
        })
    }
}

/// The shape with its expressions over those columns alone that they read.
fn over_few_columns(mut shape: Shape, scanned: &Schema) -> Result<Shape> {
    let mut expressions: Vec<&mut Arc<dyn PhysicalExpr>> = Vec::new();
    for key in &mut shape.keys {
        if let Key::Computed(expression) = key {
            expressions.push(expression);
        }
    }
    for function in &mut shape.functions {
        expressions.extend(&mut function.arguments);
        expressions.extend(&mut function.filter);
    }
    let columns = expressions
        .iter()
        .flat_map(|expression| collect_columns(expression));
    let mut read: Vec<usize> = columns.map(|column| column.index()).collect();
    read.sort_unstable();
    read.dedup();
    let read_schema = Arc::new(scanned.project(&read)?);
    for expression in expressions {
        *expression = reassign_expr_columns(expression.clone(), &read_schema)?;
    }
    Ok(Shape {
        read,
        read_schema,
        ..shape
    })
}

impl DisplayAs for CodedAggregate {
    fn fmt_as(&self, kind: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CodedAggregate: ")?;
        self.general.fmt_as(kind, formatter)
    }
}

impl ExecutionPlan for CodedAggregate {
    fn name(&self) -> &str {
        "CodedAggregate"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.general.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.scan]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.general.apply_expressions(visit)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let general: Arc<dyn ExecutionPlan> = self.general.clone();
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let general = general.replace_children(children, options)?;
        let coded = match general.downcast_ref::<AggregateExec>() {
            Some(aggregate) => Self::of(aggregate)?,
            None => None,
        };
        Ok(match coded {
            Some(coded) => Arc::new(coded),
            None => general,
        })
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let Some(scan) = self.scan.downcast_ref::<SnapshotScan>() else {
            return self.general.execute(partition, context);
        };
        let batch_rows = context.session_config().batch_size().max(1);
        let mut reader = scan.reader(partition, batch_rows);
        let text_keys: Vec<usize> = self.text_keys().collect();
        let general = self.general.clone();
        let reservation = MemoryConsumer::new(format!("CodedAggregate[{partition}]"))
            .register(context.memory_pool());
        let shape = self.shape.clone();
        let begin = async move {
            let first = reader.next_piece().await?;
            let is_coded = first.as_ref().is_none_or(|(columns, _)| {
                let mut types = text_keys.iter().map(|&place| columns[place].data_type());
                types.any(|data_type| matches!(data_type, DataType::Dictionary(_, _)))
            });
            if !is_coded {
                return general.execute(partition, context);
            }
            let schema = shape.schema.clone();
            let part = Part {
                aggregation: Aggregation::new(shape, reservation)?,
                reader,
                piece: first,
                next_row: 0,
                batch_rows,
                ready: None,
            };
            let batches = stream::try_unfold(part, |mut part| async move {
                let batch = part.next_batch().await?;
                Ok(batch.map(|batch| (batch, part)))
            });
            let stream: SendableRecordBatchStream =
                Box::pin(RecordBatchStreamAdapter::new(schema, batches));
            Ok(stream)
        };
        let stream = stream::once(begin).try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream,
        )))
    }
}

/// One part of the scan, and how far it is.
struct Part {
    aggregation: Aggregation,
    reader: PieceReader,
    /// The columns of the piece that is taken in, and its rows.
    piece: Option<(Vec<ArrayRef>, usize)>,
    /// The first of them that is not taken in.
    next_row: usize,
    batch_rows: usize,
    /// Rows that are handed on, a batch at a time.
    ready: Option<RecordBatch>,
}

impl Part {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(ready) = self.ready.take() {
                let rows = ready.num_rows().min(self.batch_rows);
                if rows < ready.num_rows() {
                    self.ready = Some(ready.slice(rows, ready.num_rows() - rows));
                }
                return Ok(Some(ready.slice(0, rows)));
            }
            let Some((columns, rows)) = &self.piece else {
                if self.aggregation.is_empty() {
                    return Ok(None);
                }
                self.ready = Some(self.aggregation.take()?);
                continue;
            };
            let length = self.batch_rows.min(rows - self.next_row);
            let columns: Vec<ArrayRef> = columns
                .iter()
                .map(|column| column.slice(self.next_row, length))
                .collect();
            self.next_row += length;
            if self.next_row >= *rows {
                self.piece = self.reader.next_piece().await?;
                self.next_row = 0;
                // Whoever looks at the clock gets a turn.
                tokio::task::yield_now().await;
            }
            let has_room = self.aggregation.add(&columns, length)?;
            let is_end_of_piece = self.next_row == 0;
            if !has_room || (is_end_of_piece && self.aggregation.gains_little()) {
                self.ready = Some(self.aggregation.take()?);
            }
        }
    }
}
