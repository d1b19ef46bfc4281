//! A table as rows refer to it: its map in the log, put together with what is
//! known of its columns.

use super::decoder::SchemaLookup;
use super::table_map::{TableMap, WireType};
use crate::error::Problem;
use crate::message::table_part;
use crate::schema::{TableName, TableSchema};
use crate::value::column_type as types;
use crate::value::layout::ColumnLayout;

/// See the module.
#[derive(Debug)]
pub(crate) struct MappedTable {
    pub(crate) map: TableMap,
    /// The beginning of its messages.
    pub(crate) json_start: Vec<u8>,
    /// Its columns; `None` if it is not captured.
    pub(crate) columns: Option<Vec<ColumnLayout>>,
}

impl MappedTable {
    /// A table that is not captured.
    pub(crate) fn passed_over(map: TableMap, name: TableName) -> Self {
        Self {
            map,
            json_start: table_part(&name),
            columns: None,
        }
    }

    /// A table that is captured, and its columns if they had to be asked for.
    pub(crate) fn new(
        map: TableMap,
        name: TableName,
        schema: Option<&TableSchema>,
        lookup: &mut SchemaLookup<'_>,
    ) -> Result<(Self, Option<TableSchema>), Problem> {
        let fitting = schema.filter(|schema| fits(schema, &map));
        let mut learned = None;
        let says_all = map.columns.iter().all(|column| column.name.is_some());
        if fitting.is_none() && !says_all {
            learned = lookup(&name).filter(|schema| fits(schema, &map));
        }
        let used = fitting.or(learned.as_ref());
        if used.is_none() && !says_all {
            let problem = match schema {
                None => "and no statement before tells them".to_owned(),
                Some(schema) => format!(
                    "those that are known ({} columns) do not fit its {}",
                    schema.columns.len(),
                    map.types.len()
                ),
            };
            return Err(Problem::UnknownTable(name, problem));
        }
        let mut columns = Vec::with_capacity(map.types.len());
        for (index, (wire, metadata)) in map.types.iter().zip(&map.columns).enumerate() {
            let column = used.and_then(|schema| schema.columns.get(index));
            columns.push(ColumnLayout::new(*wire, metadata, column)?);
        }
        let table = Self {
            map,
            json_start: table_part(&name),
            columns: Some(columns),
        };
        Ok((table, learned))
    }
}

/// Whether what is known can be the definition of the rows.
fn fits(schema: &TableSchema, map: &TableMap) -> bool {
    let of_columns = schema
        .columns
        .iter()
        .zip(map.types.iter().zip(&map.columns));
    schema.columns.len() == map.types.len()
        && of_columns.into_iter().all(|(column, (wire, metadata))| {
            let has_name = |name: &String| name.eq_ignore_ascii_case(&column.name);
            fits_type(&column.type_name, *wire) && metadata.name.as_ref().is_none_or(has_name)
        })
}

/// Whether a type by name can be stored in that way. Unknown names can be
/// anything.
fn fits_type(name: &str, wire: WireType) -> bool {
    let possible: &[u8] = match name {
        "tinyint" => &[types::TINY],
        "smallint" => &[types::SHORT],
        "mediumint" => &[types::INT24],
        "int" => &[types::LONG],
        "bigint" => &[types::LONGLONG],
        "float" => &[types::FLOAT, types::DOUBLE],
        "double" => &[types::DOUBLE],
        "decimal" => &[types::NEWDECIMAL],
        "year" => &[types::YEAR],
        "date" => &[types::DATE, types::NEWDATE],
        "time" => &[types::TIME, types::TIME2],
        "datetime" => &[types::DATETIME, types::DATETIME2],
        "timestamp" => &[types::TIMESTAMP, types::TIMESTAMP2],
        "bit" => &[types::BIT],
        "enum" => &[types::ENUM],
        "set" => &[types::SET],
        "char" | "binary" => &[types::STRING],
        "varchar" | "varbinary" => &[types::VARCHAR, types::VAR_STRING, types::VARCHAR_COMPRESSED],
        _ => return true,
    };
    possible.contains(&wire.number)
}
