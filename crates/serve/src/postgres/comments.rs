//! What tables and columns mean, where clients look for comments: the table
//! `pg_description`, and the functions that read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use datafusion::error::Result;
use parking_lot::RwLock;

use super::catalog::Identities;
use crate::query_engine::QueryOptions;

/// The table whose rows are tables: what is described.
const CLASSES: &str = "pg_class";

#[derive(Debug, Default)]
struct Known {
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

    /// Puts comments to the tables that are known by their identities.
    pub(super) fn refresh(&self, identities: &Identities, options: &QueryOptions) {
        let mut texts = BTreeMap::new();
        for (table, meaning) in &options.table_meanings {
            if let Some(oid) = identities.oid("public", table) {
                texts.insert((oid, 0), meaning.clone());
            }
        }
        for column in &options.column_meanings {
            if let Some(oid) = identities.oid("public", &column.table_name)
                && !column.meaning.is_empty()
            {
                let key = (oid, i64::from(column.position));
                texts.insert(key, column.meaning.clone());
            }
        }
        *self.0.write() = Known {
            classes: identities.oid("pg_catalog", CLASSES).unwrap_or_default(),
            texts,
        };
    }

    /// The rows of `pg_description`.
    ///
    /// # Errors
    /// When a column has an unknown type.
    pub(super) fn rows(&self, schema: &arrow::datatypes::SchemaRef) -> Result<RecordBatch> {
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
