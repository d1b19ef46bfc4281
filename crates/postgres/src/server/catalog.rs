//! What the server knows of tables and types.

use std::collections::BTreeMap;

use crate::input::BadBytes;
use crate::net::connection::{Connection, ConnectionError};
use crate::pgoutput::decoder::Wanted;
use crate::pgoutput::relation::ColumnLayout;
use crate::schema::{TableName, literal, quoted};
use crate::value::form::ValueForm;

/// Domains over domains, arrays of domains: so deep and no deeper.
const TYPE_DEPTH_MAX: usize = 16;

/// A table as it can be copied.
#[derive(Debug, Clone)]
pub(super) struct PublishedTable {
    pub(super) name: TableName,
    /// Names and types of the columns that are published.
    pub(super) columns: Vec<(String, u32)>,
    /// Conditions of the publications, of which one must hold; none if all
    /// rows are published.
    pub(super) conditions: Vec<String>,
    /// Its rows are in its partitions.
    pub(super) is_partitioned: bool,
    /// Whether changes of its rows say which row they mean.
    pub(super) has_identity: bool,
    /// Whether the user may read it.
    pub(super) is_readable: bool,
    /// Its rows, about; below zero if that is not known.
    pub(super) row_estimate: i64,
}

fn publication_list(publications: &[String]) -> String {
    let names: Vec<String> = publications.iter().map(|name| literal(name)).collect();
    names.join(", ")
}

/// The publications of these names that there are not.
pub(super) fn missing_publications(
    connection: &mut Connection,
    publications: &[String],
) -> Result<Vec<String>, ConnectionError> {
    let list = publication_list(publications);
    let rows = connection.query(&format!(
        "SELECT pubname FROM pg_publication WHERE pubname IN ({list})"
    ))?;
    let is_there = |name: &&String| {
        rows.iter()
            .any(|row| row.first().and_then(Option::as_ref) == Some(*name))
    };
    let missing = publications.iter().filter(|name| !is_there(name));
    Ok(missing.cloned().collect())
}

/// The names of the tables that are published and wanted, with their numbers.
pub(super) fn tables(
    connection: &mut Connection,
    publications: &[String],
    wanted: &Wanted,
) -> Result<Vec<(TableName, u32)>, ConnectionError> {
    let list = publication_list(publications);
    let rows = connection.query(&format!(
        "SELECT DISTINCT p.schemaname, p.tablename, c.oid FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename WHERE p.pubname IN ({list}) ORDER BY 1, 2"
    ))?;
    let mut tables = Vec::with_capacity(rows.len());
    for row in &rows {
        let [Some(schema), Some(table), Some(relation)] = row.as_slice() else {
            continue;
        };
        let name = TableName::new(schema, table);
        if wanted.takes(&name) {
            tables.push((name, number(relation)?));
        }
    }
    Ok(tables)
}

/// A table; `None` if it is not there or not published any more.
pub(super) fn table(
    connection: &mut Connection,
    version: u32,
    publications: &[String],
    name: &TableName,
) -> Result<Option<PublishedTable>, ConnectionError> {
    let (schema, table) = (literal(&name.schema), literal(&name.table));
    let of_table = format!(
        "pubname IN ({}) AND schemaname = {schema} AND tablename = {table}",
        publication_list(publications)
    );
    // Publications have lists of columns and conditions since version 15.
    let published = match version {
        150_000.. => format!(
            "SELECT rowfilter, (SELECT string_agg(name, '\u{1}') FROM unnest(attnames) name) FROM pg_publication_tables WHERE {of_table}"
        ),
        _ => format!("SELECT NULL, NULL FROM pg_publication_tables WHERE {of_table}"),
    };
    let published = connection.query(&published)?;
    let relation = format!("{}.{}", quoted(&name.schema), quoted(&name.table));
    let relation = literal(&relation);
    let of_class = connection.query(&format!(
        "SELECT relkind, relreplident, has_table_privilege(oid, 'SELECT') OR has_any_column_privilege(oid, 'SELECT'), (SELECT count(*) FROM pg_index WHERE indrelid = c.oid AND indisprimary), reltuples::bigint FROM pg_class c WHERE oid = to_regclass({relation})"
    ))?;
    let Some([Some(kind), Some(identity), Some(readable), Some(keys), rows]) =
        of_class.first().map(Vec::as_slice)
    else {
        return Ok(None);
    };
    let row_estimate = rows.as_deref().and_then(|rows| rows.parse().ok());
    let row_estimate = row_estimate.unwrap_or(-1);
    if published.is_empty() {
        return Ok(None);
    }
    let listed: Option<Vec<&str>> = published
        .iter()
        .filter_map(|row| row.get(1)?.as_deref())
        .map(|names| names.split('\u{1}').collect())
        .next();
    // Generated columns can be published since version 18; the list says which.
    let which = match version {
        120_000..180_000 => "AND attgenerated = ''",
        _ => "",
    };
    let rows = connection.query(&format!(
        "SELECT attname, atttypid FROM pg_attribute WHERE attrelid = to_regclass({relation}) AND attnum > 0 AND NOT attisdropped {which} ORDER BY attnum"
    ))?;
    let mut columns = Vec::new();
    for row in &rows {
        let [Some(column), Some(type_id)] = row.as_slice() else {
            continue;
        };
        let is_listed = |listed: &Vec<&str>| listed.contains(&column.as_str());
        if listed.as_ref().is_none_or(is_listed) {
            columns.push((column.clone(), number(type_id)?));
        }
    }
    let mut conditions = Vec::new();
    for row in &published {
        match row.first() {
            Some(Some(condition)) => conditions.push(condition.clone()),
            _ => {
                conditions.clear();
                break;
            }
        }
    }
    let has_identity = match identity.as_str() {
        "d" => keys != "0",
        "n" => false,
        _ => true,
    };
    Ok(Some(PublishedTable {
        name: name.clone(),
        columns,
        conditions,
        is_partitioned: kind == "p",
        has_identity,
        is_readable: readable == "t",
        row_estimate,
    }))
}

pub(super) fn number(text: &str) -> Result<u32, ConnectionError> {
    let number = text.parse();
    number.map_err(|_| BadBytes::Invalid(format!("`{text}` is no number")).into())
}

/// How values of types are written, as far as they were asked for.
#[derive(Debug, Default)]
pub(super) struct Types(BTreeMap<u32, ValueForm>);

impl Types {
    /// The form of a type; text for one that the server does not know any
    /// more.
    pub(super) fn form(
        &mut self,
        connection: &mut Connection,
        type_id: u32,
    ) -> Result<ValueForm, ConnectionError> {
        if let Some(known) = self.0.get(&type_id) {
            return Ok(known.clone());
        }
        let form = look_up(connection, type_id, TYPE_DEPTH_MAX)?;
        self.0.insert(type_id, form.clone());
        Ok(form)
    }

    /// The columns of a table that is to be copied.
    pub(super) fn layout(
        &mut self,
        connection: &mut Connection,
        columns: &[(String, u32)],
    ) -> Result<Vec<ColumnLayout>, ConnectionError> {
        let layout = columns.iter().map(|(name, type_id)| {
            let form = self.form(connection, *type_id)?;
            Ok(ColumnLayout::new(name, *type_id, form, false))
        });
        layout.collect()
    }
}

fn look_up(
    connection: &mut Connection,
    type_id: u32,
    depth: usize,
) -> Result<ValueForm, ConnectionError> {
    if let Some(form) = ValueForm::of_built_in(type_id) {
        return Ok(form);
    }
    if depth == 0 {
        return Ok(ValueForm::Text);
    }
    let rows = connection.query(&format!(
        "SELECT t.typtype, t.typbasetype, e.oid, e.typdelim FROM pg_type t LEFT JOIN pg_type e ON e.typarray = t.oid WHERE t.oid = {type_id}"
    ))?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(kind), Some(base), ..]) if kind == "d" => {
            look_up(connection, number(base)?, depth - 1)
        }
        Some([_, _, Some(element), Some(delimiter)]) => {
            let element = look_up(connection, number(element)?, depth - 1)?;
            let delimiter = delimiter.bytes().next().unwrap_or(b',');
            Ok(ValueForm::Array(Box::new(element), delimiter))
        }
        _ => Ok(ValueForm::Text),
    }
}
