//! Tables and views as DataFusion sees them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::datasource::ViewTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::RwLock;
use sluice_scan::{ScanRequest, SnapshotScan};
use sluice_store::Snapshot;

use crate::moments::{plan_in, schema_in};
use crate::system_table::SystemTableProvider;

/// Gives the newest snapshot.
pub type SnapshotSource = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// One collection: of the newest snapshot while a query is planned, of one
/// fixed snapshot when it runs.
pub(crate) struct SluiceTable {
    pub(crate) name: String,
    /// Its columns in the store.
    stored: SchemaRef,
    /// The same as whoever asks sees them.
    schema: SchemaRef,
    source: SnapshotSource,
    pinned: Option<Snapshot>,
}

impl SluiceTable {
    /// The same collection in `snapshot`.
    pub(crate) fn pin(&self, snapshot: Snapshot) -> Self {
        Self {
            name: self.name.clone(),
            stored: self.stored.clone(),
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
        if !found.is_some_and(|found| found.schema == self.stored) {
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

/// A plain view.
pub(crate) struct QueryView {
    pub(crate) select: String,
    /// Over tables as they are stored.
    pub(crate) plan: LogicalPlan,
}

/// A table about the warehouse itself.
pub(crate) enum OwnTable {
    /// It has no moments.
    Fixed(Arc<dyn TableProvider>),
    Asked(SystemTableProvider),
}

/// What readers in any time zone have in common.
pub(crate) struct PublicTables {
    pub(crate) source: SnapshotSource,
    pub(crate) query_views: RwLock<BTreeMap<String, QueryView>>,
    /// Tables about the warehouse itself, which no project can name.
    pub(crate) own_tables: RwLock<BTreeMap<String, OwnTable>>,
}

/// The schema `public`: every collection of the newest snapshot, and the query
/// views.
pub(crate) struct SluiceSchema {
    pub(crate) tables: Arc<PublicTables>,
    /// The time zone of those who read; `None` shows what is stored.
    pub(crate) zone: Option<Arc<str>>,
}

impl SluiceSchema {
    fn shown(&self, stored: &SchemaRef) -> SchemaRef {
        match &self.zone {
            Some(zone) => schema_in(stored, zone),
            None => stored.clone(),
        }
    }
}

impl fmt::Debug for SluiceSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SluiceSchema")
    }
}

#[async_trait]
impl SchemaProvider for SluiceSchema {
    fn table_names(&self) -> Vec<String> {
        let tables = &self.tables;
        let collections = (tables.source)().collections();
        let mut names: Vec<String> = collections
            .iter()
            .map(|collection| collection.name.clone())
            .chain(tables.query_views.read().keys().cloned())
            .chain(tables.own_tables.read().keys().cloned())
            .collect();
        names.sort();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let tables = &self.tables;
        if let Some(view) = tables.query_views.read().get(name) {
            let plan = match &self.zone {
                Some(zone) => plan_in(&view.plan, zone)?,
                None => view.plan.clone(),
            };
            let view = ViewTable::new(plan, Some(view.select.clone()));
            return Ok(Some(Arc::new(view)));
        }
        if let Some(table) = tables.own_tables.read().get(name) {
            return Ok(Some(match table {
                OwnTable::Fixed(table) => table.clone(),
                OwnTable::Asked(table) => Arc::new(table.shown(self.shown(&table.stored()))),
            }));
        }
        let collections = (tables.source)().collections();
        let found = collections
            .iter()
            .find(|collection| collection.name == name);
        Ok(found.map(|collection| {
            Arc::new(SluiceTable {
                name: name.to_owned(),
                stored: collection.schema.clone(),
                schema: self.shown(&collection.schema),
                source: tables.source.clone(),
                pinned: None,
            }) as Arc<dyn TableProvider>
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|found| found == name)
    }
}
