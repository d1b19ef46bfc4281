//! Tables: where changes from route become deltas.
//!
//! Append-only tables pass rows on. Changelog tables keep the current row of
//! each primary key, so that an update retracts exactly what is stored, and the
//! version of the last change, so that a redelivered older one is ignored.
//! Deleted keys leave a tombstone with their version for the same purpose. Rows of
//! exports are older than every change: they come in where no change came, and are
//! marked, so that each change replaces them. Behind a truncation none comes in.

mod shard;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use sluice_core::{
    ChangeKind, CodecError, Delta, SourceVersion, TableChanges, TableDefinition, TableKind,
    VIRTUAL_SHARDS, Writer, shard_of_hash, stable_hash,
};
use sluice_functions::canonical;

use self::shard::Shard;
use crate::EngineError;
use crate::key::{EncodedRows, RowCodec};
use crate::saved_state::{Came, Piece, SaveScope, SavedState};

/// See the module.
pub(crate) struct TableInput {
    definition: TableDefinition,
    schema: SchemaRef,
    /// Primary key columns; `None` for append-only tables.
    primary_key: Option<Vec<usize>>,
    key_codec: RowCodec,
    row_codec: RowCodec,
    shards: Vec<Shard>,
    /// Changes ignored because a newer one was stored.
    pub(crate) ignored_changes: u64,
}

impl TableInput {
    pub(crate) fn new(definition: TableDefinition) -> Result<Self, EngineError> {
        let schema = definition.schema();
        let primary_key = match &definition.kind {
            TableKind::AppendOnly => None,
            TableKind::Changelog { primary_key } => Some(primary_key.clone()),
        };
        let types: Vec<_> = definition
            .columns
            .iter()
            .map(|column| column.data_type.clone())
            .collect();
        let key_types: Vec<_> = primary_key
            .iter()
            .flatten()
            .map(|&column| types[column].clone())
            .collect();
        Ok(Self {
            key_codec: RowCodec::new(&key_types)?,
            row_codec: RowCodec::new(&types)?,
            shards: (0..VIRTUAL_SHARDS).map(|_| Shard::default()).collect(),
            definition,
            schema,
            primary_key,
            ignored_changes: 0,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.definition.name
    }

    /// The event-time column of a table that refuses late rows.
    pub(crate) fn event_time(&self) -> Option<usize> {
        match self.primary_key {
            None => self.definition.event_time,
            Some(_) => None,
        }
    }

    /// Turns the epoch's changes, in order, into one delta.
    pub(crate) fn step(&mut self, changes: &[TableChanges]) -> Result<Delta, EngineError> {
        let mut parts = Vec::new();
        for change in changes {
            self.check(change)?;
            let rows = in_one_form(&change.rows)?;
            parts.push(match self.primary_key.clone() {
                None => Delta::insert(self.with_own_schema(rows)?),
                Some(primary_key) => self.upsert(rows, change, &primary_key)?,
            });
        }
        if parts.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        Ok(Delta::concat(&self.schema, &parts)?.consolidate()?)
    }

    fn check(&self, change: &TableChanges) -> Result<(), EngineError> {
        let bad = |problem: String| EngineError::BadChanges {
            table: self.definition.name.clone(),
            problem,
        };
        let count = change.rows.num_rows();
        if change.kinds.len() != count || change.versions.len() != count {
            return Err(bad(format!(
                "{count} rows came with {} kinds and {} versions",
                change.kinds.len(),
                change.versions.len()
            )));
        }
        let expected = self.schema.fields();
        let found = change.rows.schema();
        let types_fit = expected.len() == found.fields().len()
            && expected
                .iter()
                .zip(found.fields())
                .all(|(expected, found)| expected.data_type() == found.data_type());
        if !types_fit {
            return Err(bad(format!(
                "the columns are {:?}, the table has {:?}",
                found.fields(),
                expected
            )));
        }
        Ok(())
    }

    /// Rows that the table takes in, which have values where it wants them.
    fn with_own_schema(&self, rows: RecordBatch) -> Result<RecordBatch, EngineError> {
        let (_, columns, _) = rows.into_parts();
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    fn upsert(
        &mut self,
        rows: RecordBatch,
        change: &TableChanges,
        primary_key: &[usize],
    ) -> Result<Delta, EngineError> {
        let keys = self.keys(&rows, primary_key)?;
        let encoded = self.row_codec.encode(rows.columns(), rows.num_rows())?;
        let before_keys = match &change.before_rows {
            Some(before) => Some(self.keys(before, primary_key)?),
            None => None,
        };
        let mut key_changes = change.key_changes.iter().peekable();
        let mut retracted: Vec<Box<[u8]>> = Vec::new();
        let mut added: Vec<u32> = Vec::new();
        let mut filled: Vec<RecordBatch> = Vec::new();
        let mut unchanged = change.unchanged.iter().peekable();
        // A row added in this batch may be replaced in it too, so both lists
        // are netted by the caller's consolidate.
        for row in 0..rows.num_rows() {
            let version = change.versions[row];
            let mut kept_columns: Vec<usize> = Vec::new();
            while let Some((_, column)) = unchanged.next_if(|(of_row, _)| *of_row <= row) {
                kept_columns.push(*column);
            }
            let mut filled_row = None;
            let is_row = matches!(change.kinds[row], ChangeKind::Insert | ChangeKind::Upsert);
            if !kept_columns.is_empty() && is_row {
                // Before the old key loses its row.
                let moved = key_changes.peek().filter(|(changed, _)| *changed == row);
                let old_key = match (moved, &before_keys) {
                    (Some((_, before)), Some(before_keys)) => before_keys.get(*before),
                    _ => keys.get(row),
                };
                filled_row = self.fill(old_key, rows.slice(row, 1), &kept_columns)?;
            }
            while let Some(&&(changed, before)) = key_changes.peek() {
                if changed > row {
                    break;
                }
                key_changes.next();
                let Some(before_keys) = &before_keys else {
                    continue;
                };
                if changed == row && before_keys.get(before) != keys.get(row) {
                    self.replace(before_keys.get(before), None, version, &mut retracted);
                }
            }
            match change.kinds[row] {
                ChangeKind::Delete => {
                    self.replace(keys.get(row), None, version, &mut retracted);
                }
                ChangeKind::Truncate => self.truncate(version, &mut retracted),
                ChangeKind::Backfill => {
                    let (key, new) = (keys.get(row), encoded.get(row));
                    if self.fill_up(key, new, version, &mut retracted) {
                        added.push(row as u32);
                    }
                }
                ChangeKind::Insert | ChangeKind::Upsert => {
                    let new = match &filled_row {
                        Some((_, encoded)) => encoded.get(0),
                        None => encoded.get(row),
                    };
                    if self.replace(keys.get(row), Some(new), version, &mut retracted) {
                        match filled_row {
                            Some((batch, _)) => filled.push(batch),
                            None => added.push(row as u32),
                        }
                    }
                }
            }
        }
        for shard in &mut self.shards {
            shard.compact();
        }
        let added_rows = take_record_batch(&rows, &UInt32Array::from(added))?;
        let mut additions = Delta::insert(self.with_own_schema(added_rows)?);
        if !filled.is_empty() {
            let filled = concat_batches(&self.schema, &filled)?;
            additions = Delta::concat(&self.schema, &[additions, Delta::insert(filled)])?;
        }
        if retracted.is_empty() {
            return Ok(additions);
        }
        let columns = self
            .row_codec
            .decode(retracted.iter().map(|row| &**row as &[u8]))?;
        let retracted_rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        let retractions = Delta::insert(retracted_rows).negate();
        Ok(Delta::concat(&self.schema, &[additions, retractions])?)
    }

    /// A row with the stored values in the columns that a change did not say,
    /// and its byte form; nothing if no row is stored under the key.
    fn fill(
        &self,
        key: &[u8],
        row: RecordBatch,
        kept_columns: &[usize],
    ) -> Result<Option<(RecordBatch, EncodedRows)>, EngineError> {
        let hash = stable_hash(key);
        let shard = &self.shards[shard_of_hash(hash)];
        let stored = shard.find(hash, key).and_then(|slot| shard.row(slot));
        let Some(stored) = stored else {
            return Ok(None);
        };
        let stored = self.row_codec.decode(std::iter::once(stored))?;
        let mut columns = row.columns().to_vec();
        for &column in kept_columns {
            if let (Some(value), Some(kept)) = (columns.get_mut(column), stored.get(column)) {
                *value = kept.clone();
            }
        }
        let encoded = self.row_codec.encode(&columns, 1)?;
        let row = RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok(Some((row, encoded)))
    }

    fn keys(&self, rows: &RecordBatch, primary_key: &[usize]) -> Result<EncodedRows, EngineError> {
        let columns: Vec<_> = primary_key
            .iter()
            .map(|&column| rows.column(column).clone())
            .collect();
        self.key_codec.encode(&columns, rows.num_rows())
    }

    /// Puts `new` (or a tombstone) under the key and retracts what was there.
    /// False if a newer change is already stored.
    fn replace(
        &mut self,
        key: &[u8],
        new: Option<&[u8]>,
        version: SourceVersion,
        retracted: &mut Vec<Box<[u8]>>,
    ) -> bool {
        let stays =
            |shard: &Shard, slot: u32| !shard.is_backfilled(slot) && version < shard.version(slot);
        let Some((shard, slot)) = self.cleared_slot(key, stays, retracted) else {
            return false;
        };
        shard.put_at(slot, new, version);
        true
    }

    /// Puts the row of an export under the key, unless a change or a newer row of an
    /// export is known of it, or the table was emptied, and retracts what was there.
    /// False if it does not come in.
    fn fill_up(
        &mut self,
        key: &[u8],
        new: &[u8],
        version: SourceVersion,
        retracted: &mut Vec<Box<[u8]>>,
    ) -> bool {
        // All shards know of it.
        if self.shards.first().is_some_and(Shard::is_emptied) {
            self.ignored_changes += 1;
            return false;
        }
        let stays =
            |shard: &Shard, slot: u32| !shard.is_backfilled(slot) || version < shard.version(slot);
        let Some((shard, slot)) = self.cleared_slot(key, stays, retracted) else {
            return false;
        };
        shard.put_backfilled_at(slot, new, version);
        true
    }

    /// The slot of a key, of which the row is retracted; `None` where what is known of
    /// the key stays, and the change is ignored.
    fn cleared_slot(
        &mut self,
        key: &[u8],
        stays: impl Fn(&Shard, u32) -> bool,
        retracted: &mut Vec<Box<[u8]>>,
    ) -> Option<(&mut Shard, u32)> {
        let hash = stable_hash(key);
        let shard = &mut self.shards[shard_of_hash(hash)];
        let slot = match shard.find(hash, key) {
            Some(slot) if stays(shard, slot) => {
                self.ignored_changes += 1;
                return None;
            }
            Some(slot) => slot,
            None => shard.slot(hash, key),
        };
        retracted.extend(shard.row(slot).map(Box::from));
        Some((shard, slot))
    }

    /// Retracts all rows but those that a newer change stored.
    fn truncate(&mut self, version: SourceVersion, retracted: &mut Vec<Box<[u8]>>) {
        for shard in &mut self.shards {
            shard.note_emptied();
            let slots: Vec<u32> = shard.keys.slots().collect();
            for slot in slots {
                if !shard.is_backfilled(slot) && shard.version(slot) > version {
                    continue;
                }
                let Some(row) = shard.row(slot).map(Box::from) else {
                    continue;
                };
                retracted.push(row);
                shard.put_at(slot, None, version);
            }
        }
    }

    /// Memory taken, about.
    pub(crate) fn state_bytes(&self) -> u64 {
        let bytes = self.shards.iter().map(Shard::memory_bytes);
        bytes.sum::<usize>() as u64
    }

    pub(crate) fn state_rows(&self) -> u64 {
        let shards = self.shards.iter();
        shards.map(|shard| shard.keys.len() as u64).sum()
    }
}

/// The rows with values in one form: what is taken back later must be what was
/// given out. Rows that only say what is gone need no value but their key.
fn in_one_form(rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
    let columns = rows.columns().iter().map(canonical);
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

impl SavedState for TableInput {
    fn changed_count(&self) -> usize {
        self.shards.iter().map(Shard::changed_count).sum()
    }

    fn count(&self) -> usize {
        self.state_rows() as usize
    }

    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer) {
        self.shards[shard].save(scope, writer);
    }

    fn forget_changes(&mut self, shard: usize) {
        self.shards[shard].forget_changes();
    }

    fn save_ahead(&mut self, shard: usize, piece: Piece, writer: &mut Writer) -> Came {
        self.shards[shard].save_ahead(piece, writer)
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        self.shards[shard].load(bytes)
    }
}

#[cfg(test)]
mod tests;
