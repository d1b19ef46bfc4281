//! Table definitions: typed rows made from records.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// How the rows of a table come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableKind {
    /// Rows are only added (behaviour logs).
    AppendOnly,
    /// Rows are inserted, replaced and deleted by primary key (business
    /// tables). The vector holds the positions of the key columns.
    Changelog {
        /// Positions of the primary-key columns in the table's schema.
        primary_key: Vec<usize>,
    },
}

/// One column of a table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// Column name.
    pub name: String,
    /// Arrow type.
    pub data_type: DataType,
    /// Whether the column may be null.
    pub nullable: bool,
}

/// A table that route fills and views read.
#[derive(Clone, PartialEq, Eq)]
pub struct TableDefinition {
    /// Name in SQL.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<ColumnDefinition>,
    /// How rows come and go.
    pub kind: TableKind,
    /// Position of the event-time column, where there is one.
    pub event_time: Option<usize>,
    /// Whether its rows are kept and can be asked for. Otherwise they only go
    /// through to the views that read the table.
    pub stored: bool,
}

/// States are known by this text, so that what is usual is left out.
impl fmt::Debug for TableDefinition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("TableDefinition");
        fields
            .field("name", &self.name)
            .field("columns", &self.columns)
            .field("kind", &self.kind)
            .field("event_time", &self.event_time);
        if !self.stored {
            fields.field("stored", &self.stored);
        }
        fields.finish()
    }
}

impl TableDefinition {
    /// The Arrow schema of the table's rows.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|column| Field::new(&column.name, column.data_type.clone(), column.nullable))
            .collect();
        Arc::new(Schema::new(fields))
    }
}
