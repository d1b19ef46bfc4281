//! Tables, their changes, and what the changes make of them.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use sluice_core::{
    ChangeKind, ColumnDefinition, PartitionId, SourceVersion, TableChanges, TableDefinition,
    TableKind,
};

use crate::interpret::{ZSet, add};
use crate::value::{Row, Type, Value, to_array};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name in SQL; the columns are `c0`, `c1`, ….
    pub name: String,
    /// Type of each column, and whether it may be null.
    pub columns: Vec<(Type, bool)>,
    /// How many of the first columns are the primary key; `None` for a table
    /// that is only added to and may hold a row several times.
    pub key_width: Option<usize>,
    /// The event-time column.
    pub event_time: Option<usize>,
}

/// One change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// True to delete the row under the key of `row`.
    pub is_delete: bool,
    /// The new row, or for a deletion one that holds the key.
    pub row: Row,
    /// The row before, where the source says that the key itself changed.
    pub before: Option<Row>,
    /// Older changes of a key than the last one are ignored.
    pub version: u64,
}

/// Changes of one table that come together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Position of the table in the case.
    pub table: usize,
    /// The partition they come from.
    pub partition: u32,
    /// The changes in order.
    pub changes: Vec<Change>,
}

/// What happens in one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EpochInput {
    /// The changes.
    pub batches: Vec<Batch>,
    /// Tables, by position, whose watermark moves with the epoch, and where to.
    /// No later change of the table is older.
    pub watermarks: Vec<(usize, i64)>,
    /// After the epoch: save the parts that changed.
    pub checkpoint: bool,
    /// After the checkpoint: go on in a new engine with so many threads, made
    /// from all parts saved so far.
    pub restart_threads: Option<usize>,
    /// Whether the views are compared after this epoch; they always are after
    /// the last.
    pub compare: bool,
}

impl Table {
    /// The column types.
    pub fn types(&self) -> Vec<Type> {
        self.columns
            .iter()
            .map(|(data_type, _)| *data_type)
            .collect()
    }

    /// The definition for the engine.
    pub fn definition(&self) -> TableDefinition {
        let columns = self.columns.iter().enumerate();
        TableDefinition {
            name: self.name.clone(),
            columns: columns
                .map(|(index, (data_type, nullable))| ColumnDefinition {
                    name: format!("c{index}"),
                    data_type: data_type.arrow(),
                    nullable: *nullable,
                })
                .collect(),
            kind: match self.key_width {
                Some(width) => TableKind::Changelog {
                    primary_key: (0..width).collect(),
                },
                None => TableKind::AppendOnly,
            },
            event_time: self.event_time,
            stored: true,
        }
    }

    /// Rows as an Arrow batch; `all_nullable` for images before a change.
    ///
    /// # Errors
    /// When a row does not fit the table.
    pub fn batch(&self, rows: &[&Row], all_nullable: bool) -> Result<RecordBatch, String> {
        let mut definition = self.definition();
        for column in &mut definition.columns {
            column.nullable |= all_nullable;
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (index, (data_type, _)) in self.columns.iter().enumerate() {
            let values: Vec<&Value> = rows.iter().map(|row| &row[index]).collect();
            columns.push(to_array(*data_type, &values)?);
        }
        RecordBatch::try_new(definition.schema(), columns).map_err(|error| error.to_string())
    }
}

impl Batch {
    /// The changes as the engine takes them.
    ///
    /// # Errors
    /// When a row does not fit the table.
    pub fn to_engine(&self, tables: &[Table]) -> Result<TableChanges, String> {
        let table = &tables[self.table];
        let rows: Vec<&Row> = self.changes.iter().map(|change| &change.row).collect();
        let mut key_changes = Vec::new();
        let mut before_rows = Vec::new();
        for (index, change) in self.changes.iter().enumerate() {
            if let Some(before) = &change.before {
                key_changes.push((index, before_rows.len()));
                before_rows.push(before);
            }
        }
        let kind = |change: &Change| match (table.key_width, change.is_delete) {
            (None, _) => ChangeKind::Insert,
            (_, true) => ChangeKind::Delete,
            _ => ChangeKind::Upsert,
        };
        let version = |change: &Change| SourceVersion {
            major: change.version,
            minor: 0,
        };
        Ok(TableChanges {
            table: table.name.clone(),
            partition: PartitionId {
                topic: "t".into(),
                partition: self.partition,
            },
            rows: table.batch(&rows, false)?,
            kinds: self.changes.iter().map(kind).collect(),
            versions: self.changes.iter().map(version).collect(),
            unchanged: Vec::new(),
            before_rows: if before_rows.is_empty() {
                None
            } else {
                Some(table.batch(&before_rows, true)?)
            },
            key_changes,
        })
    }
}

/// The oracle's content of one table.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Rows of a table without a key.
    log: ZSet,
    /// By key: version of the last change, and the row unless it was deleted.
    by_key: BTreeMap<Row, (u64, Option<Row>)>,
}

impl Content {
    /// Applies one change.
    pub fn apply(&mut self, table: &Table, change: &Change) {
        let Some(key_width) = table.key_width else {
            add(
                &mut self.log,
                change.row.iter().map(Value::canonical).collect(),
                1,
            );
            return;
        };
        let key = change.row[..key_width].to_vec();
        if let Some(before) = &change.before {
            let key_before = before[..key_width].to_vec();
            if key_before != key {
                self.put(key_before, change.version, None);
            }
        }
        let row = change.row.iter().map(Value::canonical);
        let row = (!change.is_delete).then(|| row.collect());
        self.put(key, change.version, row);
    }

    fn put(&mut self, key: Row, version: u64, row: Option<Row>) {
        match self.by_key.get(&key) {
            Some((newer, _)) if version < *newer => {}
            _ => {
                self.by_key.insert(key, (version, row));
            }
        }
    }

    /// The rows.
    pub fn rows(&self) -> ZSet {
        let mut rows = self.log.clone();
        for (_, row) in self.by_key.values() {
            if let Some(row) = row {
                add(&mut rows, row.clone(), 1);
            }
        }
        rows
    }
}
