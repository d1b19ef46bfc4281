//! The rows of one table, put together from the ranges that were read.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use sluice_core::{ChangeKind, PartitionId, SourceVersion, TableChanges};

use crate::cell::ColumnBuilder;
use crate::definition::Table;
use crate::table_rows::TableRows;

/// See the module.
pub(crate) struct Changes<'a> {
    table: &'a Table,
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
    before_rows: Vec<RecordBatch>,
    kinds: Vec<ChangeKind>,
    versions: Vec<SourceVersion>,
    key_changes: Vec<(usize, usize)>,
    unchanged: Vec<(usize, usize)>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(table: &'a Table) -> Self {
        Self {
            table,
            schema: table.definition.schema(),
            rows: Vec::new(),
            before_rows: Vec::new(),
            kinds: Vec::new(),
            versions: Vec::new(),
            key_changes: Vec::new(),
            unchanged: Vec::new(),
        }
    }

    /// Adds the rows of a range, or those of them that are `taken`.
    pub(crate) fn add(&mut self, range: TableRows, taken: Option<Vec<bool>>) {
        if range.kinds.is_empty() {
            return;
        }
        // Builders make the types that the schema names, all of one length.
        if self.try_add(range, taken).is_err() {
            debug_assert!(
                false,
                "columns of `{}` do not fit",
                self.table.definition.name
            );
        }
    }

    fn try_add(&mut self, range: TableRows, taken: Option<Vec<bool>>) -> Result<(), ArrowError> {
        let rows = self.batch(range.builders)?;
        let (first, first_before) = (self.kinds.len(), self.key_changes.len());
        if !range.key_changes.is_empty() {
            self.before_rows.push(self.batch(range.before)?);
            let moved = |(row, before)| (first + row, first_before + before);
            self.key_changes
                .extend(range.key_changes.into_iter().map(moved));
        }
        let of_row = |(row, column)| (first + row, column);
        self.unchanged
            .extend(range.unchanged.into_iter().map(of_row));
        // Only append-only tables leave rows out, and they have no key.
        match taken {
            None => {
                self.rows.push(rows);
                extend(&mut self.kinds, range.kinds);
                extend(&mut self.versions, range.versions);
            }
            Some(taken) => {
                let kinds = range.kinds.into_iter().zip(&taken);
                self.kinds
                    .extend(kinds.filter(|(_, taken)| **taken).map(|(kind, _)| kind));
                let versions = range.versions.into_iter().zip(&taken);
                let versions = versions.filter(|(_, taken)| **taken);
                self.versions.extend(versions.map(|(version, _)| version));
                let taken = BooleanArray::from(taken);
                self.rows.push(filter_record_batch(&rows, &taken)?);
            }
        }
        Ok(())
    }

    fn batch(&self, builders: Vec<ColumnBuilder>) -> Result<RecordBatch, ArrowError> {
        let columns = builders.into_iter().map(ColumnBuilder::finish);
        RecordBatch::try_new(self.schema.clone(), columns.collect())
    }

    /// All rows; `None` if there are none.
    pub(crate) fn finish(self, id: &PartitionId) -> Option<TableChanges> {
        if self.kinds.is_empty() {
            return None;
        }
        let one = |mut batches: Vec<RecordBatch>| match batches.len() {
            0 | 1 => batches.pop(),
            _ => concat_batches(&self.schema, &batches).ok(),
        };
        Some(TableChanges {
            table: self.table.definition.name.clone(),
            partition: id.clone(),
            rows: one(self.rows)?,
            kinds: self.kinds,
            versions: self.versions,
            key_changes: self.key_changes,
            before_rows: one(self.before_rows),
            unchanged: self.unchanged,
        })
    }
}

/// Appends `more`, without copying if there was nothing before.
fn extend<T>(all: &mut Vec<T>, more: Vec<T>) {
    match all.is_empty() {
        true => *all = more,
        false => all.extend(more),
    }
}
