//! `sluice_columns`: what every column means, as a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::Result;

/// Name of the table.
pub(crate) const COLUMNS: &str = "sluice_columns";

/// What is said of one column of a table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMeaning {
    /// The table or view.
    pub table_name: String,
    /// Its place, from 1.
    pub position: u32,
    /// The column.
    pub column_name: String,
    /// Its type, in words of SQL.
    pub data_type: String,
    /// What it means.
    pub meaning: String,
}

/// The table of all `columns`.
pub(crate) fn table(columns: &[ColumnMeaning]) -> Result<Arc<dyn TableProvider>> {
    let text = |part: fn(&ColumnMeaning) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(columns.iter().map(part)))
    };
    let positions = columns.iter().map(|column| column.position);
    let arrays: Vec<ArrayRef> = vec![
        text(|column| &column.table_name),
        Arc::new(UInt32Array::from_iter_values(positions)),
        text(|column| &column.column_name),
        text(|column| &column.data_type),
        text(|column| &column.meaning),
    ];
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    let schema = Arc::new(Schema::new(vec![
        field("table_name", DataType::Utf8),
        field("position", DataType::UInt32),
        field("column_name", DataType::Utf8),
        field("data_type", DataType::Utf8),
        field("meaning", DataType::Utf8),
    ]));
    let rows = RecordBatch::try_new(schema.clone(), arrays)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![rows]])?))
}
