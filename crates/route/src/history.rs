//! Rows of a table that come from an export instead of the shop: one JSON
//! object a row, its keys the columns of the exported file.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use thiserror::Error;

use crate::definition::Sources;
use crate::slots::SlotPlan;
use crate::source_text::Policy;

/// An export that cannot fill its table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// There is no such table.
    #[error("there is no table `{table}`; tables: {known}")]
    NoTable {
        /// What was asked for.
        table: String,
        /// Those that there are.
        known: String,
    },
    /// A column that every row needs is not in the file.
    #[error(
        "column `{column}` of table `{table}` is not in the file: it has neither `{column}` nor `{source_name}`; it has {known}"
    )]
    NoColumn {
        /// The table.
        table: String,
        /// Its column.
        column: String,
        /// The name in the shop's records.
        source_name: String,
        /// The file's columns.
        known: String,
    },
}

impl Sources {
    /// Sources of one topic, whose records are rows of an exported file with
    /// the columns `exported`, and of one table of these sources.
    ///
    /// A column of the table is found by its own name or by that which it has
    /// in the shop's records. Values are read and checked as live ones are, and
    /// times also as RFC 3339 or without a zone, as databases export them. An
    /// export knows no order of time and no capture time, so that no row is too
    /// late or too far ahead.
    ///
    /// # Errors
    /// When there is no such table, or the file lacks a column that it needs.
    pub fn of_history(
        &self,
        table: &str,
        topic: &str,
        exported: &Schema,
    ) -> Result<Self, HistoryError> {
        let found = self.tables.iter().find(|it| it.definition.name == table);
        let Some(found) = found else {
            let names = self.tables.iter().map(|it| it.definition.name.as_str());
            return Err(HistoryError::NoTable {
                table: table.to_owned(),
                known: names.collect::<Vec<_>>().join(", "),
            });
        };
        let mut table = found.clone();
        topic.clone_into(&mut table.topic);
        table.when = Vec::new();
        table.explode = None;
        table.row = None;
        table.before = None;
        table.version = Vec::new();
        table.change_kind = None;
        table.lateness_us = i64::MAX;
        table.max_ahead_us = i64::MAX;
        for column in &mut table.columns {
            let source_name = source_name(&column.from.name);
            let field = exported.field_with_name(&column.name);
            let field = field.or_else(|_| exported.field_with_name(source_name));
            match field {
                Ok(field) => {
                    column.time.read_exports();
                    column.from = pointer(field.name()).into();
                }
                Err(_) if column.missing == Policy::DeadLetter => {
                    let fields = exported.fields().iter();
                    let names = fields.map(|field| field.name().as_str());
                    return Err(HistoryError::NoColumn {
                        table: table.definition.name.clone(),
                        column: column.name.clone(),
                        source_name: source_name.to_owned(),
                        known: names.collect::<Vec<_>>().join(", "),
                    });
                }
                Err(_) => column.from = pointer(&column.name).into(),
            }
        }
        let mut plan = SlotPlan::default();
        table.number_fields(&mut plan, false);
        Ok(Self {
            captures: Vec::new(),
            topics: BTreeMap::from([(topic.to_owned(), 1)]),
            csv_delimiters: BTreeMap::new(),
            tables: vec![table],
            unplaced_dropped: self.unplaced_dropped.clone(),
            diversion: self.diversion.clone(),
            messages: BTreeMap::new(),
            plans: BTreeMap::from([(topic.to_owned(), plan)]),
            fingerprint: self.fingerprint,
        })
    }
}

/// The name of a CSV column, or the last part of a JSON pointer.
fn source_name(from: &str) -> &str {
    from.rsplit('/').next().unwrap_or(from)
}

/// The JSON pointer of a key (RFC 6901).
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}
