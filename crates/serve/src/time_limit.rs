//! Lets joins end when a query's time is over.
//!
//! A plan is asked for its next rows, and whoever asks looks at the clock between
//! two answers. A join that compares every row with every other may be busy for
//! long before it has any: it must look at the clock by itself. What it gives then holds
//! no more than its rows (`own_rows.rs`).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::ServeError;
use crate::own_rows::own_rows;
use crate::session::Session;

/// When a query must end, for all its parts.
#[derive(Debug, Default)]
pub(crate) struct TimeLimit(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    deadline: Instant,
    time_ms_max: u64,
    /// Of whoever asks, and how often they had cancelled when it began.
    session: Option<(Arc<Session>, u64)>,
}

impl TimeLimit {
    /// Begins; gives the end.
    pub(crate) fn begin(&self, time_ms_max: u64, session: Option<Arc<Session>>) -> Instant {
        let deadline = Instant::now() + Duration::from_millis(time_ms_max);
        *self.0.lock() = Some(Running {
            deadline,
            time_ms_max,
            session: session.map(|session| {
                let cancels = session.cancels();
                (session, cancels)
            }),
        });
        deadline
    }

    /// # Errors
    /// When the time is over, or nobody wants the answer any more.
    fn check(&self) -> Result<()> {
        let running = self.0.lock();
        let Some(running) = &*running else {
            return Ok(());
        };
        let problem = match &running.session {
            _ if Instant::now() >= running.deadline => ServeError::TimeLimit(running.time_ms_max),
            Some((session, cancels)) if session.cancels() != *cancels => ServeError::Cancelled,
            _ => return Ok(()),
        };
        Err(DataFusionError::External(Box::new(problem)))
    }
}

/// The same plan with joins that look at the clock.
///
/// # Errors
/// When a join cannot be made again.
pub(crate) fn watched(
    plan: Arc<dyn ExecutionPlan>,
    limit: &Arc<TimeLimit>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let watch = |filter: &JoinFilter| {
        let condition: Arc<dyn PhysicalExpr> = Arc::new(WatchedCondition {
            condition: filter.expression().clone(),
            limit: limit.clone(),
        });
        JoinFilter::new(
            condition,
            filter.column_indices().to_vec(),
            filter.schema().clone(),
        )
    };
    let plan = plan.transform_up(|node| {
        let join: Arc<dyn ExecutionPlan> =
            if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
                let filter = join.filter().map(watch);
                let builder = NestedLoopJoinExecBuilder::from(join);
                Arc::new(builder.with_filter(filter).build()?)
            } else if let Some(join) = node.downcast_ref::<HashJoinExec>() {
                match join.filter().map(watch) {
                    Some(filter) => join.builder().with_filter(Some(filter)).build_exec()?,
                    None => node,
                }
            } else if node.is::<CrossJoinExec>() || node.is::<SortMergeJoinExec>() {
                node
            } else {
                return Ok(Transformed::no(node));
            };
        Ok(Transformed::yes(Arc::new(WatchedJoin {
            join,
            limit: limit.clone(),
        }) as Arc<dyn ExecutionPlan>))
    });
    plan.data()
}

/// A join whose rows come only while there is time, in batches of their own.
#[derive(Debug)]
struct WatchedJoin {
    join: Arc<dyn ExecutionPlan>,
    limit: Arc<TimeLimit>,
}

impl DisplayAs for WatchedJoin {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WatchedJoin")
    }
}

impl ExecutionPlan for WatchedJoin {
    fn name(&self) -> &str {
        "WatchedJoin"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.join]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
            join: children.pop().unwrap_or_else(|| self.join.clone()),
            limit: self.limit.clone(),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.join.execute(partition, context)?;
        let schema: SchemaRef = rows.schema();
        let limit = self.limit.clone();
        let rows = rows.map(move |rows| {
            limit.check()?;
            Ok(own_rows(rows?)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// A condition that is tried only while there is time.
#[derive(Debug)]
struct WatchedCondition {
    condition: Arc<dyn PhysicalExpr>,
    limit: Arc<TimeLimit>,
}

impl fmt::Display for WatchedCondition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(formatter)
    }
}

impl PartialEq for WatchedCondition {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for WatchedCondition {}

impl Hash for WatchedCondition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl PhysicalExpr for WatchedCondition {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ColumnarValue> {
        self.limit.check()?;
        self.condition.evaluate(rows)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.condition.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self {
            condition: children.pop().unwrap_or_else(|| self.condition.clone()),
            limit: self.limit.clone(),
        }))
    }

    fn fmt_sql(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(formatter)
    }
}
