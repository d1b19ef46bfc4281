//! A plan that ends with an error when it takes too long, for every client:
//! the HTTP API and the PostgreSQL wire.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr,
    PlanProperties,
};
use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::ServeError;

/// See the module. Time runs from the first batch that is asked for.
#[derive(Debug)]
pub(crate) struct TimeLimit {
    input: Arc<dyn ExecutionPlan>,
    time_ms_max: u64,
}

impl TimeLimit {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, time_ms_max: u64) -> Self {
        Self { input, time_ms_max }
    }
}

impl DisplayAs for TimeLimit {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TimeLimit: {} ms", self.time_ms_max)
    }
}

impl ExecutionPlan for TimeLimit {
    fn name(&self) -> &str {
        "TimeLimit"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| self.input.clone());
        Ok(Arc::new(Self::new(input, self.time_ms_max)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        debug_assert!(partition < self.input.output_partitioning().partition_count());
        let deadline = Instant::now() + Duration::from_millis(self.time_ms_max);
        Ok(Box::pin(LimitedStream {
            input: self.input.execute(partition, context)?,
            deadline: Box::pin(sleep_until(deadline)),
            time_ms_max: self.time_ms_max,
            is_over: false,
        }))
    }
}

struct LimitedStream {
    input: SendableRecordBatchStream,
    deadline: Pin<Box<Sleep>>,
    time_ms_max: u64,
    is_over: bool,
}

impl Stream for LimitedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        // The deadline first: an input that is always ready must end too.
        if self.deadline.as_mut().poll(context).is_ready() {
            self.is_over = true;
            let error = ServeError::TimeLimit(self.time_ms_max);
            return Poll::Ready(Some(Err(DataFusionError::External(Box::new(error)))));
        }
        self.input.poll_next_unpin(context)
    }
}

impl RecordBatchStream for LimitedStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
