//! A panel as its file defines it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Parameter, Words};

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chart {
    /// Big numbers: the first row.
    Number,
    /// Lines over categories.
    Line,
    /// Bars over categories.
    Bar,
    /// Stacked areas over categories.
    Area,
    /// Parts of a whole.
    Pie,
    /// Steps, each a part of the one before.
    Funnel,
    /// Words, larger where their value is.
    WordCloud,
    /// Provinces, darker where their value is greater.
    Map,
    /// Rows and columns.
    Table,
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The axis, or the name of a part.
    Category,
    /// A number that is drawn.
    Value,
    /// Splits one value into several lines.
    Series,
    /// Shown in tables only.
    Text,
    /// Not shown: for the detail query.
    Hidden,
}

/// How values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As it is.
    Text,
    /// A whole number.
    Integer,
    /// A number with a few places.
    Decimal,
    /// An amount in the warehouse's currency.
    Money,
    /// A part of one, shown as percent.
    Percent,
    /// A length of time in seconds.
    Seconds,
    /// A day.
    Date,
    /// A moment.
    Time,
}

/// What is said of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Column {
    /// What people call it.
    pub title: Option<Words>,
    /// What it is for.
    pub role: Option<Role>,
    /// How it is written.
    pub format: Option<Format>,
    /// Under which name `/metrics` shows its first value, computed with the default
    /// of each parameter.
    pub metric: Option<String>,
    /// Where the text of its values has other words for readers of a language.
    pub words: BTreeMap<String, Words>,
}

/// From a number to the rows that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The query, with the panel's parameters and columns as `$name`.
    pub query: String,
    /// Where it stands in the file.
    pub offset: usize,
    /// So many rows of each kind are given to people; files to download have all.
    pub limit: usize,
}

/// A panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Its name: that of its file.
    pub name: String,
    /// Its file.
    pub file: String,
    /// The text of its file.
    pub file_text: String,
    /// What people call it.
    pub title: Words,
    /// More about it.
    pub description: Option<Words>,
    /// What it is about; panels of one subject stand together.
    pub subject: String,
    /// Its place among those, then by name.
    pub order: i64,
    /// How it is drawn.
    pub chart: Chart,
    /// An answer may be given again for so long, in milliseconds; without it
    /// for as long as it took to compute.
    pub fresh_ms: Option<u64>,
    /// The query.
    pub query: String,
    /// Where it stands in the file.
    pub query_offset: usize,
    /// Parameters, by name.
    pub parameters: Vec<Parameter>,
    /// What is said of columns, with what `panel_columns.toml` says.
    pub columns: BTreeMap<String, Column>,
    /// Names that the file itself says something of, and where.
    pub column_offsets: BTreeMap<String, usize>,
    /// Its rows.
    pub detail: Option<Detail>,
}
