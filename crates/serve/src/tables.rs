//! Tables and views as DataFusion sees them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::RwLock;
use sluice_store::Snapshot;

use crate::snapshot_scan::{ScanRequest, SnapshotScan};

/// Gives the newest snapshot.
pub type SnapshotSource = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// One collection: of the newest snapshot while a query is planned, of one
/// fixed snapshot when it runs.
pub(crate) struct SluiceTable {
    pub(crate) name: String,
    schema: SchemaRef,
    source: SnapshotSource,
    pinned: Option<Snapshot>,
}

impl SluiceTable {
    /// The same collection in `snapshot`.
    pub(crate) fn pin(&self, snapshot: Snapshot) -> Self {
        Self {
            name: self.name.clone(),
            schema: self.schema.clone(),
            source: self.source.clone(),
            pinned: Some(snapshot),
        }
    }
}

impl fmt::Debug for SluiceTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SluiceTable")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for SluiceTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = match &self.pinned {
            Some(snapshot) => snapshot.clone(),
            None => (self.source)(),
        };
        // Its columns may be others than when the query was planned.
        let found = snapshot.definition(&self.name);
        if !found.is_some_and(|found| found.schema == self.schema) {
            let problem = format!("`{}` has changed; send the query again", self.name);
            return Err(DataFusionError::Plan(problem));
        }
        let condition = match filters.iter().cloned().reduce(Expr::and) {
            Some(condition) => {
                let schema = DFSchema::try_from(self.schema.clone())?;
                Some(state.create_physical_expr(condition, &schema)?)
            }
            None => None,
        };
        let columns = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let request = ScanRequest {
            table: &self.name,
            schema: &self.schema,
            columns,
            condition,
            limit,
            parts_max: state.config().target_partitions(),
        };
        Ok(Arc::new(SnapshotScan::new(
            request,
            snapshot.pieces(&self.name),
        )?))
    }

    /// Conditions are tried while pieces are read, so that what no condition
    /// leaves need not be.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }
}

/// The schema `public`: every collection of the newest snapshot, and the query
/// views.
pub(crate) struct SluiceSchema {
    pub(crate) source: SnapshotSource,
    pub(crate) query_views: RwLock<BTreeMap<String, Arc<dyn TableProvider>>>,
    /// Tables about the warehouse itself, which no project can name.
    pub(crate) own_tables: RwLock<BTreeMap<String, Arc<dyn TableProvider>>>,
}

impl fmt::Debug for SluiceSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SluiceSchema")
    }
}

#[async_trait]
impl SchemaProvider for SluiceSchema {
    fn table_names(&self) -> Vec<String> {
        let collections = (self.source)().collections();
        let mut names: Vec<String> = collections
            .iter()
            .map(|collection| collection.name.clone())
            .chain(self.query_views.read().keys().cloned())
            .chain(self.own_tables.read().keys().cloned())
            .collect();
        names.sort();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(view) = self.query_views.read().get(name) {
            return Ok(Some(view.clone()));
        }
        if let Some(table) = self.own_tables.read().get(name) {
            return Ok(Some(table.clone()));
        }
        let collections = (self.source)().collections();
        let found = collections
            .iter()
            .find(|collection| collection.name == name);
        Ok(found.map(|collection| {
            Arc::new(SluiceTable {
                name: name.to_owned(),
                schema: collection.schema.clone(),
                source: self.source.clone(),
                pinned: None,
            }) as Arc<dyn TableProvider>
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|found| found == name)
    }
}
