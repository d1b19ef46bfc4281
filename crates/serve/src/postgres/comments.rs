//! What tables and columns mean, where clients look for comments: the table
//! `pg_description`, and the functions that read it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use parking_lot::RwLock;

use crate::query_engine::{CATALOG, QueryOptions};

const DESCRIPTIONS: &str = "pg_description";
/// The table whose rows are tables: what is described.
const CLASSES: &str = "pg_class";

#[derive(Debug, Default)]
struct Known {
    /// The tables for which this was put together.
    names: Vec<String>,
    /// The identity of the catalog's own table of tables.
    classes: i64,
    /// By the identity of a table and the number of a column, 0 for the table.
    texts: BTreeMap<(i64, i64), String>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Comments(Arc<RwLock<Known>>);

impl Comments {
    /// The comment of a table, by the identity that the catalog gives it, or of
    /// one of its columns.
    pub(super) fn get(&self, table: i64, column: i64) -> Option<String> {
        self.0.read().texts.get(&(table, column)).cloned()
    }

    /// Finds the tables anew if there are others than before.
    pub(super) async fn refresh(
        &self,
        session: &SessionContext,
        options: &QueryOptions,
    ) -> Result<()> {
        let tables = session
            .catalog(CATALOG)
            .and_then(|catalog| catalog.schema("public"));
        let names = tables
            .map(|tables| tables.table_names())
            .unwrap_or_default();
        if names == self.0.read().names {
            return Ok(());
        }
        let frame = session
            .sql("SELECT c.oid, c.relname FROM pg_catalog.pg_class c")
            .await?;
        let mut identities = BTreeMap::new();
        for batch in frame.collect().await? {
            let oids = cast(batch.column(0), &DataType::Int64)?;
            let found = cast(batch.column(1), &DataType::Utf8)?;
            let oids = oids.as_primitive::<Int64Type>().iter();
            for (oid, name) in oids.zip(found.as_string::<i32>()) {
                if let (Some(oid), Some(name)) = (oid, name) {
                    identities.insert(name.to_owned(), oid);
                }
            }
        }
        let mut texts = BTreeMap::new();
        for (table, meaning) in &options.table_meanings {
            if let Some(oid) = identities.get(table) {
                texts.insert((*oid, 0), meaning.clone());
            }
        }
        for column in &options.column_meanings {
            if let Some(oid) = identities.get(&column.table_name)
                && !column.meaning.is_empty()
            {
                let key = (*oid, i64::from(column.position));
                texts.insert(key, column.meaning.clone());
            }
        }
        *self.0.write() = Known {
            names,
            classes: identities.get(CLASSES).copied().unwrap_or_default(),
            texts,
        };
        Ok(())
    }

    /// Puts them into `pg_description`.
    ///
    /// # Errors
    /// When there is no catalog.
    pub(super) fn register(&self, session: &SessionContext) -> Result<()> {
        let Some(catalog) = session.catalog(CATALOG) else {
            return Ok(());
        };
        if let Some(own) = catalog.schema("pg_catalog") {
            let described = Arc::new(Described {
                own,
                comments: self.clone(),
            });
            catalog.register_schema("pg_catalog", described)?;
        }
        Ok(())
    }

    fn rows(&self, schema: &arrow::datatypes::SchemaRef) -> Result<RecordBatch> {
        let known = self.0.read();
        let numbers = |number: &dyn Fn(&(i64, i64)) -> i64| -> ArrayRef {
            Arc::new(known.texts.keys().map(number).collect::<Int64Array>())
        };
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let column = match &**field.name() {
                "objoid" => numbers(&|(table, _)| *table),
                "classoid" => numbers(&|_| known.classes),
                "objsubid" => numbers(&|(_, column)| *column),
                _ => Arc::new(known.texts.values().map(Some).collect::<StringArray>()),
            };
            columns.push(cast(&column, field.data_type())?);
        }
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }
}

/// The catalog with these comments.
struct Described {
    own: Arc<dyn SchemaProvider>,
    comments: Comments,
}

impl fmt::Debug for Described {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.own.fmt(formatter)
    }
}

#[async_trait]
impl SchemaProvider for Described {
    fn table_names(&self) -> Vec<String> {
        self.own.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let own = self.own.table(name).await?;
        match own {
            Some(own) if name.eq_ignore_ascii_case(DESCRIPTIONS) => {
                let rows = self.comments.rows(&own.schema())?;
                let table = MemTable::try_new(own.schema(), vec![vec![rows]])?;
                Ok(Some(Arc::new(table)))
            }
            own => Ok(own),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.own.table_exist(name)
    }
}
