//! Tables of the library with PostgreSQL's columns and types.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Arc, Weak};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, ListBuilder, RecordBatch,
    RecordBatchOptions, StringBuilder, new_null_array,
};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, collect};
use parking_lot::RwLock;

use super::super::roles::OWNER;
use super::arrays::{list, list_of, lists};
use super::identities::Identities;
use super::names::EMPTY;
use crate::query_engine::CATALOG;
use crate::tables::SnapshotSource;

/// The identity of the role to whom everything belongs.
const OWNER_OID: i32 = 10;
/// The identity of PostgreSQL's only place for tables, `pg_default`.
const TABLESPACE_OID: i32 = 1_663;
/// What a column's type says beside its kind where it says nothing.
const NO_MODIFIER: i32 = -1;
/// Rows of a table that nobody has counted.
const NOT_COUNTED: f64 = -1.0;

/// Columns that the library has not: table and column. They are texts, or lists
/// of them.
const MISSING: [(&str, &str); 5] = [
    ("pg_class", "relacl"),
    ("pg_class", "reloptions"),
    ("pg_collation", "colliculocale"),
    ("pg_database", "datcollversion"),
    ("pg_database", "datlocale"),
];

/// What tables of the catalog are made of beside the library's.
pub(super) struct Surroundings {
    /// Not held: it holds the catalog.
    pub(super) state: Weak<RwLock<SessionState>>,
    pub(super) identities: Identities,
    pub(super) source: SnapshotSource,
}

impl Surroundings {
    fn state(&self) -> Result<SessionState> {
        let state = self.state.upgrade();
        let gone = || DataFusionError::Execution("the warehouse ends".to_owned());
        Ok(state.ok_or_else(gone)?.read().clone())
    }

    /// The rows of a table of `public`, where they are known.
    fn row_count(&self, oid: i64) -> Option<u64> {
        let (schema, table) = self.identities.table(oid)?;
        let is_public = schema == "public";
        is_public
            .then(|| (self.source)().row_count(&table))
            .flatten()
    }

    /// The columns of a table of `public`.
    async fn columns(&self, oid: i64) -> Option<SchemaRef> {
        let (schema, table) = self.identities.table(oid)?;
        if schema != "public" {
            return None;
        }
        let state = self.state().ok()?;
        let catalog = state.catalog_list().catalog(CATALOG)?;
        let table = catalog.schema("public")?.table(&table).await.ok()??;
        Some(table.schema())
    }
}

/// See the module.
pub(super) struct Adapted {
    table_type: TableType,
    rows: StreamingTable,
}

impl fmt::Debug for Adapted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.fmt(formatter)
    }
}

impl Adapted {
    /// A table with the rows of `own`.
    ///
    /// # Errors
    /// When two columns have the same name.
    pub(super) fn try_new(
        name: &str,
        own: Arc<dyn TableProvider>,
        surroundings: Arc<Surroundings>,
    ) -> Result<Self> {
        let mut fields: Vec<Arc<Field>> = Vec::new();
        for field in own.schema().fields() {
            fields.push(match list_of(field.name()) {
                Some(data_type) => Arc::new(Field::new(field.name(), data_type, true)),
                None => field.clone(),
            });
        }
        for (table, column) in MISSING {
            if table == name && own.schema().index_of(column).is_err() {
                let data_type = list_of(column).unwrap_or(DataType::Utf8);
                fields.push(Arc::new(Field::new(column, data_type, true)));
            }
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let rows = AdaptedRows {
            name: name.to_owned(),
            own: own.clone(),
            schema: schema.clone(),
            surroundings,
        };
        Ok(Self {
            table_type: own.table_type(),
            rows: StreamingTable::try_new(schema, vec![Arc::new(rows)])?,
        })
    }
}

#[async_trait]
impl TableProvider for Adapted {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        self.table_type
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.rows.scan(state, projection, filters, limit).await
    }
}

#[derive(Clone)]
struct AdaptedRows {
    name: String,
    own: Arc<dyn TableProvider>,
    schema: SchemaRef,
    surroundings: Arc<Surroundings>,
}

impl fmt::Debug for AdaptedRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl PartitionStream for AdaptedRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.clone();
        let rows = futures::stream::once(async move { rows.rows(context).await });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

impl AdaptedRows {
    async fn rows(&self, context: Arc<TaskContext>) -> Result<RecordBatch> {
        if EMPTY.contains(&&*self.name) {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        let state = self.surroundings.state()?;
        let plan = self.own.scan(&state, None, &[], None).await?;
        let rows = collect(plan, context).await?;
        let rows = concat_batches(&self.own.schema(), &rows)?;
        let rows = self.those_here(rows)?;
        let modifiers = self.modifiers(&rows).await?;
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let known = rows.column_by_name(field.name());
            let column = match (&*self.name, &**field.name()) {
                ("pg_attribute", "atttypmod") => modifiers.clone(),
                ("pg_class", "relacl") => Some(reads_only(rows.num_rows())),
                ("pg_class", "reltuples") => self.row_counts(&rows)?,
                ("pg_roles", "oid") => role_oids(&rows)?,
                ("pg_class", "relowner")
                | ("pg_namespace", "nspowner")
                | ("pg_database", "datdba") => Some(same(OWNER_OID, rows.num_rows())),
                ("pg_database", "dattablespace") => Some(same(TABLESPACE_OID, rows.num_rows())),
                _ => None,
            };
            let column = match (column, known) {
                (Some(column), _) => cast(&column, field.data_type())?,
                (None, Some(known)) if known.data_type() == field.data_type() => known.clone(),
                (None, Some(known)) => match (known.data_type(), field.data_type()) {
                    (DataType::Utf8, DataType::List(element)) => lists(known, element.data_type())?,
                    _ => new_null_array(field.data_type(), rows.num_rows()),
                },
                (None, None) => new_null_array(field.data_type(), rows.num_rows()),
            };
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns,
            &options,
        )?)
    }

    /// Without what speaks of things that are not here.
    fn those_here(&self, rows: RecordBatch) -> Result<RecordBatch> {
        let Some(names) = rows
            .column_by_name("lanname")
            .filter(|_| self.name == "pg_language")
        else {
            return Ok(rows);
        };
        let names = cast(names, &DataType::Utf8)?;
        let names = names.as_string::<i32>().iter();
        let is_here: BooleanArray = names.map(|name| Some(name != Some("plpgsql"))).collect();
        Ok(filter_record_batch(&rows, &is_here)?)
    }

    /// What the types of columns say beside their kind: precision and scale.
    ///
    /// Source: `numeric_typmod` in PostgreSQL's `numeric.c`.
    async fn modifiers(&self, rows: &RecordBatch) -> Result<Option<ArrayRef>> {
        let (Some(tables), Some(names)) = (
            rows.column_by_name("attrelid")
                .filter(|_| self.name == "pg_attribute"),
            rows.column_by_name("attname"),
        ) else {
            return Ok(None);
        };
        let (tables, names) = (
            cast(tables, &DataType::Int64)?,
            cast(names, &DataType::Utf8)?,
        );
        let (tables, names) = (tables.as_primitive::<Int64Type>(), names.as_string::<i32>());
        let mut known = BTreeMap::new();
        let mut modifiers = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let table = tables.value(row);
            if let Entry::Vacant(place) = known.entry(table) {
                place.insert(self.surroundings.columns(table).await);
            }
            let schema = known.get(&table).and_then(Option::as_ref);
            let field = schema.and_then(|schema| schema.field_with_name(names.value(row)).ok());
            modifiers.push(match field.map(Field::data_type) {
                Some(DataType::Decimal128(precision, scale)) => {
                    ((i32::from(*precision) << 16) | i32::from(*scale)) + 4
                }
                _ => NO_MODIFIER,
            });
        }
        Ok(Some(Arc::new(Int32Array::from(modifiers))))
    }

    fn row_counts(&self, rows: &RecordBatch) -> Result<Option<ArrayRef>> {
        let Some(oids) = rows.column_by_name("oid") else {
            return Ok(None);
        };
        let oids = cast(oids, &DataType::Int64)?;
        let counts = oids.as_primitive::<Int64Type>().iter().map(|oid| {
            let count = oid.and_then(|oid| self.surroundings.row_count(oid));
            count.map_or(NOT_COUNTED, |count| count as f64)
        });
        Ok(Some(Arc::new(counts.map(Some).collect::<Float64Array>())))
    }
}

fn same(number: i32, rows: usize) -> ArrayRef {
    Arc::new(Int32Array::from(vec![number; rows]))
}

/// Roles by their place; the owner's is that which tables name.
fn role_oids(rows: &RecordBatch) -> Result<Option<ArrayRef>> {
    let Some(names) = rows.column_by_name("rolname") else {
        return Ok(None);
    };
    let names = cast(names, &DataType::Utf8)?;
    let names = names.as_string::<i32>();
    let oids = names.iter().enumerate().map(|(place, name)| match name {
        Some(OWNER) => OWNER_OID,
        _ => OWNER_OID + 1 + i32::try_from(place).unwrap_or_default(),
    });
    Ok(Some(Arc::new(oids.map(Some).collect::<Int32Array>())))
}

/// Everything can be read, and nothing changed.
fn reads_only(rows: usize) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for _ in 0..rows {
        lists.values().append_value(format!("{OWNER}=r/{OWNER}"));
        lists.append(true);
    }
    let lists = lists.finish();
    debug_assert_eq!(lists.data_type(), &list(DataType::Utf8));
    Arc::new(lists)
}
