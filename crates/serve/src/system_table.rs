//! Tables about the warehouse itself, whose rows are asked for when a statement
//! is planned.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// Gives the rows of such a table.
pub trait SystemTable: Debug + Send + Sync {
    /// All rows; always of the same schema.
    ///
    /// # Errors
    /// When they cannot be put together.
    fn rows(&self) -> Result<RecordBatch>;
}

/// A [`SystemTable`] as DataFusion sees it.
#[derive(Debug)]
pub(crate) struct SystemTableProvider {
    table: Arc<dyn SystemTable>,
    schema: SchemaRef,
}

impl SystemTableProvider {
    pub(crate) fn new(table: Arc<dyn SystemTable>) -> Result<Self> {
        let schema = table.rows()?.schema();
        Ok(Self { table, schema })
    }
}

#[async_trait]
impl TableProvider for SystemTableProvider {
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
        let rows = self.table.rows()?;
        let table = MemTable::try_new(self.schema.clone(), vec![vec![rows]])?;
        table.scan(state, projection, filters, limit).await
    }
}
