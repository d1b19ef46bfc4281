//! Tables of what the running program tells of itself: their rows are made when
//! they are asked for, and are no part of a snapshot.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// Makes the rows, always of the same schema.
pub type Report = Arc<dyn Fn() -> Result<RecordBatch> + Send + Sync>;

/// See the module.
pub(crate) struct ReportTable {
    report: Report,
    schema: SchemaRef,
}

impl fmt::Debug for ReportTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("ReportTable");
        shown.field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl ReportTable {
    pub(crate) fn new(report: Report) -> Result<Self> {
        let schema = report()?.schema();
        Ok(Self { report, schema })
    }
}

#[async_trait]
impl TableProvider for ReportTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = (self.report)()?;
        let table = MemTable::try_new(self.schema.clone(), vec![vec![rows]])?;
        table.scan(state, projection, filters, limit).await
    }
}
