//! The numbers by which the catalog knows tables and schemas (their `oid`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use parking_lot::RwLock;

use super::names::parts;
use crate::query_engine::CATALOG;

const ALL: &str = "SELECT c.oid, c.relname, n.oid, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";

#[derive(Debug, Default)]
struct Known {
    /// The tables of `public` for which this was put together.
    names: Vec<String>,
    /// Schema and name by identity.
    tables: BTreeMap<i64, (String, String)>,
    schemas: BTreeMap<i64, String>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(in crate::postgres) struct Identities(Arc<RwLock<Known>>);

impl Identities {
    /// Finds the tables anew if there are others than before; true if so.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub(in crate::postgres) async fn refresh(&self, session: &SessionContext) -> Result<bool> {
        let tables = session
            .catalog(CATALOG)
            .and_then(|catalog| catalog.schema("public"));
        let names = tables
            .map(|tables| tables.table_names())
            .unwrap_or_default();
        if names == self.0.read().names {
            return Ok(false);
        }
        let mut found = Known {
            names,
            ..Known::default()
        };
        for batch in session.sql(ALL).await?.collect().await? {
            let number = |place: usize| cast(batch.column(place), &DataType::Int64);
            let text = |place: usize| cast(batch.column(place), &DataType::Utf8);
            let (tables, names, schemas, schema_names) =
                (number(0)?, text(1)?, number(2)?, text(3)?);
            let tables = tables.as_primitive::<Int64Type>();
            let schemas = schemas.as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let schema = schema_names.as_string::<i32>().value(row).to_owned();
                let name = names.as_string::<i32>().value(row).to_owned();
                found.schemas.insert(schemas.value(row), schema.clone());
                found.tables.insert(tables.value(row), (schema, name));
            }
        }
        *self.0.write() = found;
        Ok(true)
    }

    /// Schema and name of a table.
    pub(in crate::postgres) fn table(&self, oid: i64) -> Option<(String, String)> {
        self.0.read().tables.get(&oid).cloned()
    }

    /// The identity of a table.
    pub(in crate::postgres) fn oid(&self, schema: &str, name: &str) -> Option<i64> {
        let known = self.0.read();
        let mut tables = known.tables.iter();
        let found =
            tables.find(|(_, (its_schema, its_name))| its_schema == schema && its_name == name);
        found.map(|(oid, _)| *oid)
    }

    /// The name of a schema.
    pub(super) fn schema(&self, oid: i64) -> Option<String> {
        self.0.read().schemas.get(&oid).cloned()
    }

    /// Identity, schema and name of what a text stands for: a number, a name, or
    /// schema and name.
    pub(super) fn find(&self, text: &str) -> Option<(i64, String, String)> {
        if let Ok(oid) = text.parse() {
            let (schema, name) = self.table(oid)?;
            return Some((oid, schema, name));
        }
        let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).ok();
        let name = parts(&parser?.parse_object_name(false).ok()?);
        let found = |schema: &str, name: &str| {
            let oid = self.oid(schema, name)?;
            Some((oid, schema.to_owned(), name.to_owned()))
        };
        match &name[..] {
            [name] => found("public", name).or_else(|| found("pg_catalog", name)),
            [.., schema, name] => found(schema, name),
            [] => None,
        }
    }
}
