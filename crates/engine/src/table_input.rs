//! Tables: where changes from route become deltas.
//!
//! Append-only tables pass rows on. Changelog tables keep the current row of
//! each primary key, so that an update retracts exactly what is stored, and the
//! version of the last change, so that a redelivered older one is ignored.
//! Deleted keys leave a tombstone with their version for the same purpose.

use std::collections::VecDeque;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use sluice_core::{
    ChangeKind, CodecError, Delta, Reader, SourceVersion, TableChanges, TableDefinition, TableKind,
    VIRTUAL_SHARDS, Writer, shard_of_hash, stable_hash,
};
use sluice_memory::StateVec;

use crate::EngineError;
use crate::byte_heap::{ByteHeap, Span};
use crate::changed_slots::ChangedSlots;
use crate::key::{EncodedRows, RowCodec};
use crate::key_table::KeyTable;
use crate::saved_state::{Came, Piece, SaveScope, SavedState};

/// Tombstones kept per virtual shard; beyond that the oldest is forgotten.
const TOMBSTONES_PER_SHARD_MAX: usize = 16_384;

/// What is under a key.
#[derive(Debug, Clone, Copy)]
enum Content {
    Row(Span),
    /// A deleted key, with its place in the order of deletions.
    Tombstone(u64),
    /// A tombstone that is forgotten, but not yet by the checkpoints.
    Forgotten,
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    content: Content,
    version: SourceVersion,
}

#[derive(Debug, Default)]
struct Shard {
    keys: KeyTable,
    /// By the key's slot.
    stored: StateVec<Stored>,
    heap: ByteHeap,
    /// Deletions in order, also of keys that live again.
    tombstones: VecDeque<(u32, u64)>,
    tombstone_count: usize,
    next_deletion: u64,
    changed: ChangedSlots,
    /// Keys that are forgotten, but not yet for the checkpoints.
    gone: Vec<u32>,
}

/// Kinds of saved keys.
const TOMBSTONE: u8 = 0;
const ROW: u8 = 1;
const FORGOTTEN: u8 = 2;

impl Shard {
    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.keys.find(hash, key)
    }

    fn row(&self, slot: u32) -> Option<&[u8]> {
        match self.stored[slot as usize].content {
            Content::Row(span) => Some(self.heap.get(span)),
            Content::Tombstone(_) | Content::Forgotten => None,
        }
    }

    fn put(&mut self, hash: u64, key: &[u8], row: Option<&[u8]>, version: SourceVersion) {
        let deletion = self.next_deletion;
        let content = match row {
            Some(row) => Content::Row(self.heap.add(row)),
            None => Content::Tombstone(deletion),
        };
        let slot = self.replace(hash, key, Stored { content, version });
        if row.is_none() {
            self.next_deletion += 1;
            self.tombstones.push_back((slot, deletion));
            self.forget_old_tombstones();
        }
    }

    fn replace(&mut self, hash: u64, key: &[u8], new: Stored) -> u32 {
        let key_count = self.keys.len();
        let slot = self.keys.find_or_insert(hash, key);
        let is_new = self.keys.len() > key_count;
        if is_new && slot as usize == self.stored.len() {
            self.stored.push(new);
        } else {
            let old = std::mem::replace(&mut self.stored[slot as usize], new);
            match old.content {
                Content::Row(span) => self.heap.free(span),
                Content::Tombstone(_) => self.tombstone_count -= 1,
                Content::Forgotten => {}
            }
        }
        if matches!(new.content, Content::Tombstone(_)) {
            self.tombstone_count += 1;
        }
        self.changed.change(slot);
        slot
    }

    fn is_current(&self, slot: u32, deletion: u64) -> bool {
        let content = self.stored[slot as usize].content;
        matches!(content, Content::Tombstone(found) if found == deletion)
    }

    fn forget_old_tombstones(&mut self) {
        while self.tombstone_count > TOMBSTONES_PER_SHARD_MAX {
            let Some((slot, deletion)) = self.tombstones.pop_front() else {
                return;
            };
            // The key may live again, or have been deleted anew since.
            if self.is_current(slot, deletion) {
                self.forget_key(slot);
            }
        }
        if self.tombstones.len() > 2 * TOMBSTONES_PER_SHARD_MAX {
            let mut tombstones = std::mem::take(&mut self.tombstones);
            tombstones.retain(|&(slot, deletion)| self.is_current(slot, deletion));
            self.tombstones = tombstones;
        }
    }

    fn forget_key(&mut self, slot: u32) {
        self.keys.unlink(slot);
        let old = &mut self.stored[slot as usize].content;
        match std::mem::replace(old, Content::Forgotten) {
            Content::Row(span) => self.heap.free(span),
            Content::Tombstone(_) => self.tombstone_count -= 1,
            Content::Forgotten => {}
        }
        if self.changed.gone(slot) {
            self.keys.release(slot);
        } else {
            self.gone.push(slot);
        }
    }

    fn compact(&mut self) {
        let Self { stored, heap, .. } = self;
        heap.compact(
            stored
                .iter_mut()
                .filter_map(|stored| match &mut stored.content {
                    Content::Row(span) => Some(span),
                    Content::Tombstone(_) | Content::Forgotten => None,
                }),
        );
        self.keys.compact();
    }

    fn save_slot(&self, slot: u32, writer: &mut Writer) {
        let stored = &self.stored[slot as usize];
        writer.bytes(self.keys.key(slot));
        writer.u64(stored.version.major);
        writer.u64(stored.version.minor);
        match stored.content {
            Content::Row(span) => {
                writer.u8(ROW);
                writer.bytes(self.heap.get(span));
            }
            Content::Tombstone(deletion) => {
                writer.u8(TOMBSTONE);
                writer.u64(deletion);
            }
            Content::Forgotten => writer.u8(FORGOTTEN),
        }
    }

    fn is_forgotten(&self, slot: u32) -> bool {
        matches!(self.stored[slot as usize].content, Content::Forgotten)
    }

    fn save(&self, scope: SaveScope, writer: &mut Writer) {
        if scope == SaveScope::All {
            for slot in self.keys.slots() {
                self.save_slot(slot, writer);
            }
            return;
        }
        // A forgotten key may be there again under another slot: first what is
        // gone.
        for is_forgotten in [true, false] {
            for &slot in self.changed.changed() {
                if self.is_forgotten(slot) == is_forgotten {
                    self.save_slot(slot, writer);
                }
            }
        }
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        let mut tombstones = Vec::new();
        while !reader.is_at_end() {
            let key = reader.bytes()?;
            let hash = stable_hash(key);
            let version = SourceVersion {
                major: reader.u64()?,
                minor: reader.u64()?,
            };
            match reader.u8()? {
                ROW => {
                    let content = Content::Row(self.heap.add(reader.bytes()?));
                    self.replace(hash, key, Stored { content, version });
                }
                TOMBSTONE => {
                    let deletion = reader.u64()?;
                    let content = Content::Tombstone(deletion);
                    let slot = self.replace(hash, key, Stored { content, version });
                    tombstones.push((slot, deletion));
                    self.next_deletion = self.next_deletion.max(deletion.saturating_add(1));
                }
                FORGOTTEN => {
                    if let Some(slot) = self.find(hash, key) {
                        self.forget_key(slot);
                    }
                }
                other => {
                    return Err(CodecError::Invalid(format!("a key of kind {other}")));
                }
            }
        }
        tombstones.sort_by_key(|&(_, deletion)| deletion);
        self.tombstones.extend(tombstones);
        self.forget_changes();
        Ok(())
    }

    fn forget_changes(&mut self) {
        let stored = &self.stored;
        let is_forgotten = |slot: u32| matches!(stored[slot as usize].content, Content::Forgotten);
        for slot in self.changed.saved(is_forgotten) {
            self.keys.release(slot);
        }
        self.gone.clear();
        self.compact();
    }

    fn save_ahead(&mut self, piece: Piece, writer: &mut Writer) -> Came {
        // As in `save`: what is gone comes before what may be in its place.
        for slot in std::mem::take(&mut self.gone) {
            self.save_slot(slot, writer);
            self.changed.saved_one(slot, true);
            self.keys.release(slot);
        }
        let (slots, came) = match piece {
            Piece::Changes { rows_max } => {
                let slots = self.changed.some(rows_max);
                let is_all = slots.len() == self.changed.changed().len();
                let more = if is_all { Came::ToTheEnd } else { Came::To(0) };
                (slots, more)
            }
            Piece::Base { from, places_max } => {
                let end = from.saturating_add(places_max).min(self.stored.len());
                let is_there = |&slot: &u32| !self.is_forgotten(slot);
                let slots = (from as u32..end as u32).filter(is_there).collect();
                let is_all = end == self.stored.len();
                let more = if is_all {
                    Came::ToTheEnd
                } else {
                    Came::To(end)
                };
                (slots, more)
            }
        };
        for slot in slots {
            self.save_slot(slot, writer);
            self.changed.saved_one(slot, false);
        }
        self.compact();
        came
    }
}

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
            parts.push(match self.primary_key.clone() {
                None => Delta::insert(self.with_own_schema(&change.rows)?),
                Some(primary_key) => self.upsert(change, &primary_key)?,
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

    fn with_own_schema(&self, rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
        let columns = rows.columns().to_vec();
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    fn upsert(
        &mut self,
        change: &TableChanges,
        primary_key: &[usize],
    ) -> Result<Delta, EngineError> {
        let keys = self.keys(&change.rows, primary_key)?;
        let rows = self
            .row_codec
            .encode(change.rows.columns(), change.rows.num_rows())?;
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
        for row in 0..change.rows.num_rows() {
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
                filled_row = self.fill(old_key, change.rows.slice(row, 1), &kept_columns)?;
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
                ChangeKind::Insert | ChangeKind::Upsert => {
                    let new = match &filled_row {
                        Some((_, encoded)) => encoded.get(0),
                        None => rows.get(row),
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
        let added_rows = take_record_batch(&change.rows, &UInt32Array::from(added))?;
        let mut additions = Delta::insert(self.with_own_schema(&added_rows)?);
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
        let hash = stable_hash(key);
        let shard = &mut self.shards[shard_of_hash(hash)];
        if let Some(slot) = shard.find(hash, key) {
            if version < shard.stored[slot as usize].version {
                self.ignored_changes += 1;
                return false;
            }
            retracted.extend(shard.row(slot).map(Box::from));
        }
        shard.put(hash, key, new, version);
        true
    }

    /// Retracts all rows but those that a newer change stored.
    fn truncate(&mut self, version: SourceVersion, retracted: &mut Vec<Box<[u8]>>) {
        for shard in &mut self.shards {
            let slots: Vec<u32> = shard.keys.slots().collect();
            for slot in slots {
                if shard.stored[slot as usize].version > version {
                    continue;
                }
                let Some(row) = shard.row(slot).map(Box::from) else {
                    continue;
                };
                retracted.push(row);
                let key: Box<[u8]> = shard.keys.key(slot).into();
                shard.put(stable_hash(&key), &key, None, version);
            }
        }
    }

    /// Memory taken, about.
    pub(crate) fn state_bytes(&self) -> u64 {
        let bytes = self.shards.iter().map(|shard| {
            shard.keys.memory_bytes()
                + shard.stored.capacity() * size_of::<Stored>()
                + shard.heap.allocated_bytes()
                + shard.changed.memory_bytes()
        });
        bytes.sum::<usize>() as u64
    }

    pub(crate) fn state_rows(&self) -> u64 {
        let shards = self.shards.iter();
        shards.map(|shard| shard.keys.len() as u64).sum()
    }
}

impl SavedState for TableInput {
    fn changed_count(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.changed.changed().len()).sum()
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
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::DataType;
    use arrow::util::display::array_value_to_string;
    use sluice_core::{ColumnDefinition, PartitionId};

    use super::*;

    fn input() -> TableInput {
        let column = |name: &str, data_type| ColumnDefinition {
            name: name.into(),
            data_type,
            nullable: true,
        };
        let definition = TableDefinition {
            name: "t".into(),
            columns: vec![
                column("id", DataType::Int64),
                column("n", DataType::Int64),
                column("text", DataType::Utf8),
            ],
            kind: TableKind::Changelog {
                primary_key: vec![0],
            },
            event_time: None,
            stored: true,
        };
        TableInput::new(definition).unwrap()
    }

    type RowText<'a> = (i64, i64, Option<&'a str>);

    fn changes(input: &TableInput, rows: &[RowText<'_>]) -> TableChanges {
        let batch = |rows: &[RowText<'_>]| {
            let columns: Vec<arrow::array::ArrayRef> = vec![
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
                Arc::new(StringArray::from_iter(rows.iter().map(|row| row.2))),
            ];
            RecordBatch::try_new(input.schema.clone(), columns).unwrap()
        };
        TableChanges {
            table: "t".into(),
            partition: PartitionId {
                topic: "t".into(),
                partition: 0,
            },
            rows: batch(rows),
            kinds: vec![ChangeKind::Upsert; rows.len()],
            versions: vec![SourceVersion::default(); rows.len()],
            key_changes: Vec::new(),
            before_rows: Some(batch(&[(1, 0, None)])),
            unchanged: Vec::new(),
        }
    }

    fn text(delta: &Delta) -> Vec<String> {
        let rows = delta.rows();
        let row = |row: usize| {
            let cells = rows.columns().iter();
            let cells: Vec<String> = cells
                .map(|column| array_value_to_string(column, row).unwrap())
                .collect();
            format!("{}x{}", delta.weights()[row], cells.join("|"))
        };
        let mut lines: Vec<String> = (0..rows.num_rows()).map(row).collect();
        lines.sort();
        lines
    }

    #[test]
    fn a_table_that_is_emptied_keeps_what_newer_changes_stored() {
        let mut input = input();
        let mut first = changes(&input, &[(1, 1, None), (2, 2, None), (3, 3, None)]);
        let version = |major| SourceVersion { major, minor: 0 };
        first.versions = vec![version(1), version(9), version(1)];
        input.step(&[first]).unwrap();
        let mut second = changes(&input, &[(4, 4, None), (0, 0, None), (3, 5, None)]);
        second.kinds[1] = ChangeKind::Truncate;
        second.versions = vec![version(4), version(5), version(6)];
        assert_eq!(
            text(&input.step(&[second]).unwrap()),
            ["-1x1|1|", "-1x3|3|", "1x3|5|"]
        );
        assert_eq!(
            text(&input.step(&[changes(&input, &[(1, 7, None)])]).unwrap()),
            [""; 0]
        );
    }

    #[test]
    fn what_a_change_does_not_say_stays_as_it_is_stored() {
        let mut input = input();
        let first = changes(&input, &[(1, 1, Some("long"))]);
        assert_eq!(text(&input.step(&[first]).unwrap()), ["1x1|1|long"]);
        // Twice in one batch, the second time with another key.
        let mut second = changes(&input, &[(1, 2, None), (5, 3, None), (7, 0, None)]);
        second.unchanged = vec![(0, 2), (1, 2), (2, 2)];
        second.key_changes = vec![(1, 0)];
        // Nothing is stored of the last one: it has no text.
        assert_eq!(
            text(&input.step(&[second]).unwrap()),
            ["-1x1|1|long", "1x5|3|long", "1x7|0|"]
        );
        let third = changes(&input, &[(5, 4, None)]);
        assert_eq!(
            text(&input.step(&[third]).unwrap()),
            ["-1x5|3|long", "1x5|4|"],
            "a null that is said is one"
        );
    }
}
