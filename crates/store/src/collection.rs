//! One table or view: its segments, and how a delta changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use sluice_core::{Delta, Epoch};

use crate::StoreError;
use crate::expiry::Ages;
use crate::row_index::{Position, RowHash, RowIndex, row_hashes};
use crate::segment::{Segment, Shape};

/// A table or view as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionDefinition {
    /// Name in SQL.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// True if rows are never removed; then no index is kept.
    pub append_only: bool,
    /// Columns that identify a row, where known.
    pub unique_key: Option<Vec<usize>>,
}

/// Memory segments beyond this number are merged, so that many small epochs do
/// not make many small batches.
const SMALL_SEGMENTS_MAX: usize = 32;
/// Files with fewer rows than this are merged at a checkpoint.
const SMALL_FILE_ROWS: usize = 1 << 17;
/// That many small files may lie about before they are merged.
const SMALL_FILES_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) definition: Arc<CollectionDefinition>,
    pub(crate) shape: Shape,
    pub(crate) next_column_id: u32,
    /// By number; a new segment gets the next one.
    pub(crate) segments: BTreeMap<u64, Segment>,
    next_segment: u64,
    index: RowIndex,
    /// False after recovery, until the first removal asks for the index.
    indexed: bool,
    /// The epoch that last changed its rows, or that of recovery.
    pub(crate) changed: Epoch,
}

impl Collection {
    pub(crate) fn new(definition: CollectionDefinition, shape: Shape, next_column_id: u32) -> Self {
        Self {
            definition: Arc::new(definition),
            shape,
            next_column_id,
            segments: BTreeMap::new(),
            next_segment: 0,
            index: RowIndex::default(),
            indexed: true,
            changed: 0,
        }
    }

    /// Takes back a segment that a checkpoint wrote.
    pub(crate) fn recover_segment(&mut self, segment: Segment) {
        self.segments.insert(self.next_segment, segment);
        self.next_segment += 1;
        self.indexed = false;
    }

    pub(crate) fn apply(&mut self, delta: &Delta) -> Result<(), StoreError> {
        self.check(delta)?;
        if delta.weights().iter().all(|&weight| weight == 1) {
            if !delta.is_empty() {
                let columns = delta.rows().columns().to_vec();
                self.add(RecordBatch::try_new(self.shape.schema.clone(), columns)?)?;
            }
            return self.merge_small_segments();
        }
        let mut added = Vec::new();
        let mut removed = Vec::new();
        for (row, &weight) in delta.weights().iter().enumerate() {
            let rows = if weight > 0 { &mut added } else { &mut removed };
            rows.extend(std::iter::repeat_n(
                row as u32,
                weight.unsigned_abs() as usize,
            ));
        }
        if !removed.is_empty() {
            self.remove(&take_record_batch(
                delta.rows(),
                &UInt32Array::from(removed),
            )?)?;
        }
        if !added.is_empty() {
            let rows = take_record_batch(delta.rows(), &UInt32Array::from(added))?;
            let rows = RecordBatch::try_new(self.shape.schema.clone(), rows.columns().to_vec())?;
            self.add(rows)?;
        }
        self.merge_small_segments()
    }

    fn check(&self, delta: &Delta) -> Result<(), StoreError> {
        let found = delta.schema();
        let fits = found.fields().len() == self.shape.schema.fields().len()
            && found
                .fields()
                .iter()
                .zip(self.shape.schema.fields())
                .all(|(found, wanted)| found.data_type() == wanted.data_type());
        if fits {
            return Ok(());
        }
        Err(StoreError::BadDelta {
            collection: self.definition.name.clone(),
            problem: format!(
                "its columns are {:?}, not {:?}",
                found.fields(),
                self.shape.schema.fields()
            ),
        })
    }

    fn add(&mut self, rows: RecordBatch) -> Result<(), StoreError> {
        let is_indexed = !self.definition.append_only && self.indexed;
        let hashes = match is_indexed {
            true => row_hashes(&rows)?,
            false => Vec::new(),
        };
        self.add_hashed(rows, hashes);
        Ok(())
    }

    /// Adds rows whose hashes are known, if there is an index.
    fn add_hashed(&mut self, rows: RecordBatch, hashes: Vec<RowHash>) {
        let number = self.next_segment;
        self.next_segment += 1;
        for (row, hash) in hashes.into_iter().enumerate() {
            let position = Position {
                segment: number,
                row: row as u32,
            };
            self.index.insert(hash, position);
        }
        self.segments.insert(number, Segment::in_memory(rows));
    }

    /// Bytes of rows that no file holds yet, and of the index.
    pub(crate) fn memory_bytes(&self) -> (usize, usize) {
        let rows = self.segments.values().map(Segment::unwritten_bytes);
        (rows.sum(), self.index.memory_bytes())
    }

    fn build_index(&mut self) -> Result<(), StoreError> {
        if self.indexed {
            return Ok(());
        }
        self.index.clear();
        for (&number, segment) in &self.segments {
            let rows = segment.all_rows(&self.shape)?;
            for (row, hash) in row_hashes(&rows)?.into_iter().enumerate() {
                if !segment.is_removed(row) {
                    let position = Position {
                        segment: number,
                        row: row as u32,
                    };
                    self.index.insert(hash, position);
                }
            }
        }
        self.indexed = true;
        Ok(())
    }

    fn remove(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        let definition = self.definition.clone();
        let missing = || StoreError::MissingRow {
            collection: definition.name.clone(),
        };
        if self.definition.append_only {
            return Err(missing());
        }
        self.build_index()?;
        let mut found = Vec::with_capacity(rows.num_rows());
        for hash in row_hashes(rows)? {
            found.push(self.index.take(hash).ok_or_else(missing)?);
        }
        let mut gone: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for position in found {
            gone.entry(position.segment).or_default().push(position.row);
        }
        for (number, positions) in gone {
            if let Some(segment) = self.segments.get_mut(&number) {
                segment.remove(&positions);
            }
        }
        self.segments.retain(|_, segment| segment.live_rows() > 0);
        Ok(())
    }

    fn merge_small_segments(&mut self) -> Result<(), StoreError> {
        let in_memory: Vec<u64> = self
            .segments
            .iter()
            .filter(|(_, segment)| {
                // What is large enough for a file of its own stays what it is.
                let is_small = segment.row_count < SMALL_FILE_ROWS;
                is_small && segment.file().is_none() && !segment.is_leaving
            })
            .map(|(&number, _)| number)
            .collect();
        if in_memory.len() <= SMALL_SEGMENTS_MAX {
            return Ok(());
        }
        // Of a geometric row of sizes, only the small end is merged, so that
        // each row is copied a logarithmic number of times.
        let mut total = 0;
        let mut first = in_memory.len();
        while first > 0 {
            let rows = self.segments[&in_memory[first - 1]].row_count;
            let merged_so_far = in_memory.len() - first;
            let is_enough = rows > 2 * total || total + rows > SMALL_FILE_ROWS;
            if merged_so_far >= 2 && is_enough {
                break;
            }
            total += rows;
            first -= 1;
        }
        self.merge(&in_memory[first..])
    }

    /// Merges segments so that a checkpoint writes them together: small ones in
    /// memory, small files when there are many, and one that is mostly gone. No
    /// more rows than a small file may have, besides those of the last, because
    /// epochs wait meanwhile; the rest is left to the next checkpoints.
    pub(crate) fn merge_for_checkpoint(&mut self) -> Result<(), StoreError> {
        let mut candidates: Vec<(usize, u64)> = Vec::new();
        let mut small_files: Vec<(usize, u64)> = Vec::new();
        let mut mostly_gone: Option<(usize, u64)> = None;
        for (&number, segment) in &self.segments {
            let removed = segment.removed_count();
            let found = (segment.row_count - removed, number);
            if removed * 2 > segment.row_count {
                mostly_gone = mostly_gone.max(Some((removed, number)));
            }
            if segment.file().is_none() {
                candidates.push(found);
            } else if segment.row_count < SMALL_FILE_ROWS {
                small_files.push(found);
            }
        }
        if small_files.len() > SMALL_FILES_MAX {
            candidates.append(&mut small_files);
        }
        candidates.sort_unstable();
        let mut chosen: Vec<u64> = mostly_gone.map(|(_, number)| number).into_iter().collect();
        let mut total = 0;
        for (rows, number) in candidates {
            total += rows;
            if total > SMALL_FILE_ROWS {
                break;
            }
            if !chosen.contains(&number) {
                chosen.push(number);
            }
        }
        chosen.sort_unstable();
        self.merge(&chosen)
    }

    /// The oldest and newest time of several segments, if known of all.
    fn common_ages(&self, numbers: &[u64]) -> Option<Ages> {
        let mut common = [i64::MAX, i64::MIN];
        for number in numbers {
            let [oldest, newest] = self.segments[number].ages?;
            common = [common[0].min(oldest), common[1].max(newest)];
        }
        Some(common)
    }

    /// Lets rows go whose `column` is before `before_us`; true if there were
    /// any.
    pub(crate) fn expire(&mut self, column: usize, before_us: i64) -> Result<bool, StoreError> {
        if !self.definition.append_only {
            return Err(StoreError::BadDelta {
                collection: self.definition.name.clone(),
                problem: "rows leave by age in append-only tables alone".into(),
            });
        }
        let mut has_changed = false;
        for segment in self.segments.values_mut() {
            has_changed |= segment.expire(&self.shape, column, before_us)?;
        }
        self.segments.retain(|_, segment| segment.live_rows() > 0);
        Ok(has_changed)
    }

    /// Replaces segments by one that holds their live rows.
    fn merge(&mut self, numbers: &[u64]) -> Result<(), StoreError> {
        if numbers.len() < 2
            && numbers
                .iter()
                .all(|number| self.segments[number].removed_count() == 0)
        {
            return Ok(());
        }
        let mut batches = Vec::with_capacity(numbers.len());
        for number in numbers {
            batches.push(self.segments[number].live(&self.shape)?);
        }
        let rows = concat_batches(&self.shape.schema, &batches)?;
        let new_number = self.next_segment;
        if !self.definition.append_only && self.indexed {
            let mut new_row = 0;
            for (&number, live) in numbers.iter().zip(&batches) {
                let segment = &self.segments[&number];
                let there = (0..segment.row_count).filter(|&row| !segment.is_removed(row));
                for (old_row, hash) in there.zip(row_hashes(live)?) {
                    let position = |segment, row| Position { segment, row };
                    let old = position(number, old_row as u32);
                    self.index
                        .relocate(hash, old, position(new_number, new_row));
                    new_row += 1;
                }
            }
        }
        drop(batches);
        let ages = self.common_ages(numbers);
        for number in numbers {
            self.segments.remove(number);
        }
        if rows.num_rows() > 0 {
            self.next_segment += 1;
            let mut merged = Segment::in_memory(rows);
            merged.ages = ages;
            self.segments.insert(new_number, merged);
        }
        Ok(())
    }
}
