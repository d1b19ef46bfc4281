//! Tables: where changes from route become deltas.
//!
//! Append-only tables pass rows on. Changelog tables keep the current row of
//! each primary key, so that an update retracts exactly what is stored, and the
//! version of the last change, so that a redelivered older one is ignored.
//! Deleted keys leave a tombstone with their version for the same purpose.

use std::collections::VecDeque;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use hashbrown::HashTable;
use sluice_core::{
    ChangeKind, CodecError, Delta, Reader, SourceVersion, TableChanges, TableDefinition, TableKind,
    VIRTUAL_SHARDS, Writer, shard_of_hash, stable_hash,
};

use crate::EngineError;
use crate::key::RowCodec;

/// Tombstones kept per virtual shard; beyond that the oldest is forgotten.
const TOMBSTONES_PER_SHARD_MAX: usize = 16_384;

#[derive(Debug)]
struct Stored {
    key: Box<[u8]>,
    hash: u64,
    /// `None` for a tombstone.
    row: Option<Box<[u8]>>,
    version: SourceVersion,
}

#[derive(Debug, Default)]
struct Shard {
    index: HashTable<u32>,
    stored: Vec<Stored>,
    free: Vec<u32>,
    tombstones: VecDeque<(u32, SourceVersion)>,
    dirty: bool,
}

impl Shard {
    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index
            .find(hash, |&number| *self.stored[number as usize].key == *key)
            .copied()
    }

    fn put(&mut self, hash: u64, key: &[u8], row: Option<Box<[u8]>>, version: SourceVersion) {
        self.dirty = true;
        let is_tombstone = row.is_none();
        let number = match self.find(hash, key) {
            Some(number) => {
                let stored = &mut self.stored[number as usize];
                stored.row = row;
                stored.version = version;
                number
            }
            None => self.insert(Stored {
                key: key.into(),
                hash,
                row,
                version,
            }),
        };
        if is_tombstone {
            self.tombstones.push_back((number, version));
            self.forget_old_tombstones();
        }
    }

    fn insert(&mut self, new: Stored) -> u32 {
        let Self {
            index,
            stored,
            free,
            ..
        } = self;
        let hash = new.hash;
        let number = match free.pop() {
            Some(number) => {
                stored[number as usize] = new;
                number
            }
            None => {
                stored.push(new);
                (stored.len() - 1) as u32
            }
        };
        index.insert_unique(hash, number, |&number| stored[number as usize].hash);
        number
    }

    fn forget_old_tombstones(&mut self) {
        while self.tombstones.len() > TOMBSTONES_PER_SHARD_MAX {
            let Some((number, version)) = self.tombstones.pop_front() else {
                return;
            };
            let stored = &self.stored[number as usize];
            // The key may live again, or have been deleted anew since.
            if stored.row.is_some() || stored.version != version {
                continue;
            }
            if let Ok(occupied) = self.index.find_entry(stored.hash, |&found| found == number) {
                occupied.remove();
                self.free.push(number);
            }
        }
    }

    fn save(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        for &number in &self.index {
            let stored = &self.stored[number as usize];
            writer.bytes(&stored.key);
            writer.u64(stored.version.major);
            writer.u64(stored.version.minor);
            match &stored.row {
                Some(row) => {
                    writer.u8(1);
                    writer.bytes(row);
                }
                None => writer.u8(0),
            }
        }
        writer.finish()
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        let mut tombstones = Vec::new();
        while !reader.is_at_end() {
            let key = reader.bytes()?;
            let version = SourceVersion {
                major: reader.u64()?,
                minor: reader.u64()?,
            };
            let row = match reader.u8()? {
                1 => Some(reader.bytes()?.into()),
                _ => None,
            };
            let is_tombstone = row.is_none();
            let number = self.insert(Stored {
                key: key.into(),
                hash: stable_hash(key),
                row,
                version,
            });
            if is_tombstone {
                tombstones.push((number, version));
            }
        }
        tombstones.sort_by_key(|&(_, version)| version);
        self.tombstones = tombstones.into();
        Ok(())
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
        // A row added in this batch may be replaced in it too, so both lists
        // are netted by the caller's consolidate.
        for row in 0..change.rows.num_rows() {
            let version = change.versions[row];
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
                ChangeKind::Insert | ChangeKind::Upsert => {
                    let new = Some(Box::from(rows.get(row)));
                    if self.replace(keys.get(row), new, version, &mut retracted) {
                        added.push(row as u32);
                    }
                }
            }
        }
        let added_rows = take_record_batch(&change.rows, &UInt32Array::from(added))?;
        let additions = Delta::insert(self.with_own_schema(&added_rows)?);
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

    fn keys(
        &self,
        rows: &RecordBatch,
        primary_key: &[usize],
    ) -> Result<crate::key::EncodedRows, EngineError> {
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
        new: Option<Box<[u8]>>,
        version: SourceVersion,
        retracted: &mut Vec<Box<[u8]>>,
    ) -> bool {
        let hash = stable_hash(key);
        let shard = &mut self.shards[shard_of_hash(hash)];
        if let Some(number) = shard.find(hash, key) {
            let stored = &mut shard.stored[number as usize];
            if version < stored.version {
                self.ignored_changes += 1;
                return false;
            }
            if let Some(old) = stored.row.take() {
                retracted.push(old);
            }
        }
        shard.put(hash, key, new, version);
        true
    }

    pub(crate) fn save_changed(&mut self) -> Vec<(usize, Vec<u8>)> {
        let mut parts = Vec::new();
        for (number, shard) in self.shards.iter_mut().enumerate() {
            if shard.dirty {
                parts.push((number, shard.save()));
                shard.dirty = false;
            }
        }
        parts
    }

    pub(crate) fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        self.shards[shard].load(bytes)
    }

    pub(crate) fn state_bytes(&self) -> u64 {
        let stored = self.shards.iter().flat_map(|shard| &shard.stored);
        let bytes = stored.map(|stored| {
            let row = stored.row.as_ref().map_or(0, |row| row.len());
            (stored.key.len() + row + 72) as u64
        });
        bytes.sum()
    }

    pub(crate) fn state_rows(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.index.len() as u64)
            .sum()
    }
}
