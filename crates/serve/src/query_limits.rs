//! A plan that ends with an error when it takes too long or too much memory,
//! for every client: the HTTP API and the PostgreSQL wire.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr,
    PlanProperties,
};
use futures::{Stream, StreamExt};
use tokio::time::{Sleep, sleep_until};

use crate::ServeError;
use crate::session::{SESSION, Session};
use crate::time_limit::{TimeLimit, watched};

/// See the module. Time runs from the first batch that is asked for.
#[derive(Debug)]
pub(crate) struct QueryLimits {
    input: Arc<dyn ExecutionPlan>,
    time_ms_max: u64,
    memory_bytes_max: usize,
    /// What all parts of the query take together.
    used_bytes: Arc<AtomicUsize>,
    /// Of whoever asks.
    session: Option<Arc<Session>>,
    /// Known to the joins of the plan too.
    limit: Arc<TimeLimit>,
}

impl QueryLimits {
    /// # Errors
    /// When a join of the plan cannot be made again.
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        time_ms_max: u64,
        memory_bytes_max: usize,
    ) -> Result<Self> {
        let limit = Arc::default();
        Ok(Self {
            input: watched(input, &limit)?,
            time_ms_max,
            memory_bytes_max,
            used_bytes: Arc::default(),
            session: SESSION.try_with(Arc::clone).ok(),
            limit,
        })
    }

    /// The same context with the query's own memory limit before the one of
    /// all queries.
    fn limit_memory(&self, context: &TaskContext) -> Result<Arc<TaskContext>> {
        let pool = QueryPool {
            all_queries: context.memory_pool().clone(),
            bytes_max: self.memory_bytes_max,
            used_bytes: self.used_bytes.clone(),
        };
        let runtime = RuntimeEnvBuilder::from_runtime_env(&context.runtime_env())
            .with_memory_pool(Arc::new(pool))
            .build_arc()?;
        Ok(Arc::new(TaskContext::new(
            context.task_id(),
            context.session_id(),
            context.session_config().clone(),
            context.scalar_functions().clone(),
            context.higher_order_functions().clone(),
            context.aggregate_functions().clone(),
            context.window_functions().clone(),
            runtime,
        )))
    }
}

impl DisplayAs for QueryLimits {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "QueryLimits: {} ms, {} bytes",
            self.time_ms_max, self.memory_bytes_max
        )
    }
}

impl ExecutionPlan for QueryLimits {
    fn name(&self) -> &str {
        "QueryLimits"
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
        Ok(Arc::new(Self {
            input: children.pop().unwrap_or_else(|| self.input.clone()),
            time_ms_max: self.time_ms_max,
            memory_bytes_max: self.memory_bytes_max,
            used_bytes: Arc::default(),
            session: self.session.clone(),
            limit: self.limit.clone(),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        debug_assert!(partition < self.input.output_partitioning().partition_count());
        let session = SESSION
            .try_with(Arc::clone)
            .ok()
            .or_else(|| self.session.clone());
        let timeout_ms = session.as_ref().and_then(|session| session.timeout_ms());
        let time_ms_max =
            timeout_ms.map_or(self.time_ms_max, |wanted| wanted.min(self.time_ms_max));
        let deadline = self.limit.begin(time_ms_max, session.clone());
        Ok(Box::pin(LimitedStream {
            input: self
                .input
                .execute(partition, self.limit_memory(&context)?)?,
            deadline: Box::pin(sleep_until(deadline)),
            time_ms_max,
            cancelled: session
                .as_ref()
                .map(|session| Box::pin(session.cancelled()) as Cancelled),
            session,
            is_over: false,
        }))
    }
}

struct LimitedStream {
    input: SendableRecordBatchStream,
    deadline: Pin<Box<Sleep>>,
    time_ms_max: u64,
    cancelled: Option<Cancelled>,
    session: Option<Arc<Session>>,
    is_over: bool,
}

/// Done when whoever asked does not want the answer any more.
type Cancelled = Pin<Box<dyn Future<Output = ()> + Send>>;

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
        let cancelled = self.cancelled.as_mut();
        if cancelled.is_some_and(|cancelled| cancelled.as_mut().poll(context).is_ready()) {
            self.is_over = true;
            let error = DataFusionError::External(Box::new(ServeError::Cancelled));
            return Poll::Ready(Some(Err(error)));
        }
        let next = self.input.poll_next_unpin(context);
        if let (Poll::Ready(Some(Ok(rows))), Some(session)) = (&next, &self.session) {
            session.count_rows(rows.num_rows());
        }
        next
    }
}

impl RecordBatchStream for LimitedStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// What one query may take, out of what all may.
#[derive(Debug)]
struct QueryPool {
    all_queries: Arc<dyn MemoryPool>,
    bytes_max: usize,
    used_bytes: Arc<AtomicUsize>,
}

impl fmt::Display for QueryPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "one query of at most {} bytes", self.bytes_max)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "one query"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used_bytes.fetch_add(additional, Ordering::Relaxed);
        self.all_queries.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used_bytes.fetch_sub(shrink, Ordering::Relaxed);
        self.all_queries.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let grown = self
            .used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                let grown = used.saturating_add(additional);
                (grown <= self.bytes_max).then_some(grown)
            });
        if grown.is_err() {
            let bytes_max = self.bytes_max;
            let detail = format!("one query may take {bytes_max} bytes");
            return Err(DataFusionError::ResourcesExhausted(detail));
        }
        let allowed = self.all_queries.try_grow(reservation, additional);
        if allowed.is_err() {
            self.used_bytes.fetch_sub(additional, Ordering::Relaxed);
            let detail = "the queries that run at present hold what all may take";
            return Err(DataFusionError::ResourcesExhausted(detail.to_owned()));
        }
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}
