//! Rows of a table as they are read, column by column.

use sluice_core::{ChangeKind, SourceVersion};

use crate::accept::Candidate;
use crate::cell::{Cell, ColumnBuilder};
use crate::definition::Table;

/// A row that was read, with what it does.
pub(crate) struct Row<'a> {
    pub(crate) cells: Vec<Cell<'a>>,
    pub(crate) kind: ChangeKind,
    pub(crate) version: SourceVersion,
    /// Columns and values of the key before the change, if it was another one.
    pub(crate) old_key: Option<Vec<(usize, Cell<'a>)>>,
    /// Columns whose values stay as they were.
    pub(crate) unchanged: Vec<usize>,
    pub(crate) candidate: Option<Candidate>,
}

/// The rows of one table that a range of records gives.
#[derive(Debug)]
pub(crate) struct TableRows {
    pub(crate) builders: Vec<ColumnBuilder>,
    pub(crate) kinds: Vec<ChangeKind>,
    pub(crate) versions: Vec<SourceVersion>,
    pub(crate) key_changes: Vec<(usize, usize)>,
    pub(crate) before: Vec<ColumnBuilder>,
    /// Rows and columns whose values stay as they were.
    pub(crate) unchanged: Vec<(usize, usize)>,
    /// One a row, for tables that do not take every row.
    pub(crate) candidates: Vec<Candidate>,
}

impl TableRows {
    pub(crate) fn new(table: &Table) -> Self {
        let types = table.columns.iter().map(|column| &column.data_type);
        Self {
            builders: types.clone().map(ColumnBuilder::new).collect(),
            kinds: Vec::new(),
            versions: Vec::new(),
            key_changes: Vec::new(),
            before: types.map(ColumnBuilder::new).collect(),
            unchanged: Vec::new(),
            candidates: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, row: &Row<'_>) {
        if let Some(old_key) = &row.old_key {
            let before_row = self.key_changes.len();
            self.key_changes.push((self.kinds.len(), before_row));
            for (index, builder) in self.before.iter_mut().enumerate() {
                let cell = old_key.iter().find(|(column, _)| *column == index);
                builder.push(cell.map_or(&Cell::Null, |(_, cell)| cell));
            }
        }
        let number = self.kinds.len();
        let unchanged = row.unchanged.iter().map(|&column| (number, column));
        self.unchanged.extend(unchanged);
        for (builder, cell) in self.builders.iter_mut().zip(&row.cells) {
            builder.push(cell);
        }
        self.kinds.push(row.kind);
        self.versions.push(row.version);
        self.candidates.extend(row.candidate);
    }
}
