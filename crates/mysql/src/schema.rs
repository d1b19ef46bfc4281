//! What is known of a table: the names of its columns and what the log does
//! not say about their types.

use serde::{Deserialize, Serialize};

/// One column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSchema {
    /// Its name.
    pub name: String,
    /// Its type in small letters without what stands in parentheses:
    /// `int`, `varchar`, `json`; empty if it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub type_name: String,
    /// An unsigned number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
    /// Character set of a text, of an enumeration or of a set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    /// Values of an enumeration or of a set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// What a row has that does not say it, as JSON; `None` if that is not
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// Its columns, in their order. Columns that are computed when they are
    /// read are not in the log and not here.
    pub columns: Vec<ColumnSchema>,
    /// Positions of the columns of its primary key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<usize>,
    /// Character set of text columns that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
}

impl TableSchema {
    /// Position of a column; names of columns do not tell small from large
    /// letters.
    pub fn position(&self, name: &str) -> Option<usize> {
        let is_it = |column: &ColumnSchema| column.name.eq_ignore_ascii_case(name);
        self.columns.iter().position(is_it)
    }
}

/// A table's name with its database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// The two.
    pub fn new(database: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            table: table.into(),
        }
    }

    /// Stands for a database as a whole: what it gives to its tables.
    pub fn of_database(database: &str) -> Self {
        Self::new(database, "")
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.database, self.table)
    }
}
