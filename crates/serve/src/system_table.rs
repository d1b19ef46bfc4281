//! Tables about the warehouse itself, whose rows are asked for when a statement
//! is planned.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use sluice_scan::as_declared;

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
    stored: SchemaRef,
    /// Its columns as whoever asks sees them.
    schema: SchemaRef,
}

impl SystemTableProvider {
    pub(crate) fn new(table: Arc<dyn SystemTable>) -> Result<Self> {
        let schema = table.rows()?.schema();
        Ok(Self {
            table,
            stored: schema.clone(),
            schema,
        })
    }

    /// The columns that its rows have.
    pub(crate) fn stored(&self) -> SchemaRef {
        self.stored.clone()
    }

    /// The same table with columns of other types.
    pub(crate) fn shown(&self, schema: SchemaRef) -> Self {
        Self {
            table: self.table.clone(),
            stored: self.stored.clone(),
            schema,
        }
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
        let fields = self.schema.fields().iter();
        let columns = fields
            .zip(rows.columns())
            .map(|(field, column)| as_declared(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let schema = self.schema.clone();
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let table = MemTable::try_new(self.schema.clone(), vec![vec![rows]])?;
        table.scan(state, projection, filters, limit).await
    }
}
