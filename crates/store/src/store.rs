//! The writer's side of the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::datatypes::{DataType, Field, Schema};
use sluice_core::{Delta, Disk, Epoch};

use crate::StoreError;
use crate::checkpoint::{
    self, CheckpointJob, CheckpointRequest, CollectionJob, HeldFiles, Recovered, SegmentJob,
    StateJob, WrittenCheckpoint, WrittenRows,
};
use crate::checkpoint_parts::damaged_part;
use crate::collection::{Collection, CollectionDefinition};
use crate::expiry::Horizon;
use crate::manifest::{self, CollectionEntry, Manifest, PartEntry};
use crate::parquet_file::{self, io_error};
use crate::segment::{Segment, SegmentFile, Shape};
use crate::segment_cache::{CacheCounts, SegmentCache};
use crate::snapshot::{CollectionSnapshot, Snapshot};
use crate::staged::{StagedCollections, new_collection};

/// Settings of the store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Bytes of rows of checkpointed segments that stay in memory.
    pub segment_cache_bytes_max: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            segment_cache_bytes_max: 256 << 20,
        }
    }
}

/// See [`Store::memory`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreMemory {
    /// Rows that no file holds yet.
    pub unwritten_bytes: u64,
    /// Where rows lie that can be removed.
    pub index_bytes: u64,
}

/// Segments of fewer rows stay in memory when others are written out.
const WRITTEN_OUT_ROWS_MIN: usize = 1 << 15;

/// See the crate's documentation. After an error it must be opened anew.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    epoch: Epoch,
    collections: BTreeMap<String, Collection>,
    snapshots: Arc<BTreeMap<String, Arc<CollectionSnapshot>>>,
    parts: BTreeMap<String, PartEntry>,
    next_file: u64,
    cache: Arc<SegmentCache>,
    files: HeldFiles,
}

impl Store {
    /// Opens the store at its last checkpoint.
    ///
    /// # Errors
    /// When the disk refuses, or the manifest or a state part is damaged or of
    /// another version.
    pub fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        options: StoreOptions,
    ) -> Result<(Self, Option<Recovered>), StoreError> {
        disk.create_dir_all(folder)
            .map_err(|error| io_error(folder, error))?;
        let manifest = manifest::read(disk.as_ref(), folder)?;
        let mut store = Self {
            disk,
            folder: folder.to_path_buf(),
            epoch: 0,
            collections: BTreeMap::new(),
            snapshots: Arc::default(),
            parts: BTreeMap::new(),
            next_file: 0,
            cache: SegmentCache::new(options.segment_cache_bytes_max),
            files: HeldFiles::default(),
        };
        let recovered = match manifest {
            Some(manifest) => Some(store.recover(manifest)?),
            None => None,
        };
        store.publish_all();
        Ok((store, recovered))
    }

    /// The last checkpoint, for reading a stopped warehouse. Nothing on disk is
    /// changed.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn open_read_only(
        disk: Arc<dyn Disk>,
        folder: &Path,
    ) -> Result<(Snapshot, Option<Recovered>), StoreError> {
        let (store, recovered) = Self::open(disk, folder, StoreOptions::default())?;
        Ok((store.snapshot(), recovered))
    }

    fn recover(&mut self, manifest: Manifest) -> Result<Recovered, StoreError> {
        self.epoch = manifest.epoch;
        self.next_file = manifest.next_file;
        self.parts = manifest.parts;
        let mut parts = self.read_parts()?;
        for entry in manifest.collections {
            let collection = self.recover_collection(entry, &parts)?;
            let name = collection.definition.name.clone();
            self.collections.insert(name, collection);
        }
        parts.retain(|name, _| !name.starts_with(checkpoint::REMOVED_PREFIX));
        Ok(Recovered {
            epoch: manifest.epoch,
            parts,
            meta: manifest.meta,
            manifest: self.folder.join(manifest::FILE_NAME),
            part_files: self
                .parts
                .iter()
                .map(|(name, entry)| (name.clone(), self.folder.join(&entry.file)))
                .collect(),
        })
    }

    fn read_parts(&self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        let mut parts = BTreeMap::new();
        for (name, entry) in &self.parts {
            let path = self.folder.join(&entry.file);
            if !files.contains_key(entry.file.as_str()) {
                let bytes = self
                    .disk
                    .read(&path)
                    .map_err(|error| io_error(&path, error))?;
                files.insert(&entry.file, bytes);
            }
            let file = &files[entry.file.as_str()];
            let bytes = file.get(entry.offset..entry.offset.saturating_add(entry.length));
            match bytes {
                Some(bytes) if parquet_file::checksum(bytes) == entry.checksum => {
                    parts.insert(name.clone(), bytes.to_vec());
                }
                _ => return Err(damaged_part(&path, name)),
            }
        }
        Ok(parts)
    }

    fn recover_collection(
        &self,
        entry: CollectionEntry,
        parts: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Collection, StoreError> {
        let damaged = |problem: String| StoreError::Damaged {
            path: self.folder.join(manifest::FILE_NAME).display().to_string(),
            problem,
        };
        let mut fields = Vec::with_capacity(entry.columns.len());
        for column in &entry.columns {
            let data_type: DataType = column
                .data_type
                .parse()
                .map_err(|error| damaged(format!("column `{}`: {error}", column.name)))?;
            fields.push(Field::new(&column.name, data_type, column.nullable));
        }
        let schema = Arc::new(Schema::new(fields));
        let shape = Shape {
            schema: schema.clone(),
            column_ids: entry.columns.iter().map(|column| column.id).collect(),
        };
        let definition = CollectionDefinition {
            name: entry.name,
            schema,
            append_only: entry.append_only,
            unique_key: entry.unique_key,
        };
        let columns = definition.schema.fields().len();
        let key = definition.unique_key.iter().flatten();
        if let Some(column) = key.copied().find(|&column| column >= columns) {
            return Err(damaged(format!(
                "`{}` has no column {column}, which its key names",
                definition.name
            )));
        }
        let mut collection = Collection::new(definition, shape, entry.next_column_id);
        for segment in entry.segments {
            let removed = match &segment.removed {
                None => None,
                Some(part) => {
                    let bytes = parts
                        .get(part)
                        .filter(|bytes| bytes.len() * 8 >= segment.rows)
                        .ok_or_else(|| damaged(format!("the part `{part}` is missing")))?;
                    let buffer = Buffer::from_slice_ref(bytes);
                    Some(BooleanBuffer::new(buffer, 0, segment.rows))
                }
            };
            let file = Arc::new(SegmentFile {
                disk: self.disk.clone(),
                path: self.folder.join(&segment.file),
                name: segment.file,
                checksum: segment.checksum,
                footer: segment.footer,
                opened: OnceLock::new(),
                column_ids: segment.column_ids,
            });
            self.files.insert(&file);
            let mut recovered = Segment::on_disk(file, &self.cache, segment.rows, removed);
            recovered.ages = segment.ages;
            collection.recover_segment(recovered);
        }
        Ok(collection)
    }

    /// Sets which collections there are. A column keeps its id as long as it
    /// keeps its name; new columns are null in older rows; collections that are
    /// not named are dropped at the next checkpoint.
    ///
    /// # Errors
    /// When a column's type changes.
    pub fn define(&mut self, definitions: Vec<CollectionDefinition>) -> Result<(), StoreError> {
        let mut old = std::mem::take(&mut self.collections);
        for definition in definitions {
            let name = definition.name.clone();
            let collection = match old.remove(&name) {
                Some(found) => redefine(found, definition, &self.cache)?,
                None => new_collection(definition),
            };
            self.collections.insert(name, collection);
        }
        for collection in self.collections.values_mut() {
            collection.changed = self.epoch;
        }
        self.publish_all();
        Ok(())
    }

    /// Goes over to other collections between two epochs: those of `staged` with
    /// the rows that they have there, others of `definitions` as they are; the
    /// rest is gone. Snapshots that were taken before keep what they show. No
    /// checkpoint may be on its way.
    ///
    /// # Errors
    /// When a collection is neither staged nor stored as it is defined.
    pub fn change(
        &mut self,
        definitions: Vec<CollectionDefinition>,
        mut staged: StagedCollections,
    ) -> Result<(), StoreError> {
        let mut old = std::mem::take(&mut self.collections);
        for definition in definitions {
            let name = definition.name;
            let collection = staged.take(&name).or_else(|| old.remove(&name));
            let Some(mut collection) = collection else {
                return Err(StoreError::UnknownCollection(name));
            };
            // Readers see it with the next epoch.
            collection.changed = self.epoch + 1;
            self.collections.insert(name, collection);
        }
        self.publish_all();
        Ok(())
    }

    /// The last epoch applied; 0 in an empty store.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Applies the changes of one epoch. Readers see all of them or none.
    ///
    /// # Errors
    /// When epochs do not follow each other (the first may have any number), a
    /// delta does not fit, or a row is removed that is not there.
    pub fn apply(
        &mut self,
        epoch: Epoch,
        deltas: &BTreeMap<String, Delta>,
    ) -> Result<(), StoreError> {
        // An empty store takes any first epoch: a warehouse that is computed
        // anew goes on with the numbers after the old ones.
        let is_new = self.epoch == 0 && epoch > 0;
        if epoch != self.epoch + 1 && !is_new {
            return Err(StoreError::EpochOrder {
                last: self.epoch,
                found: epoch,
            });
        }
        let mut snapshots = (*self.snapshots).clone();
        for (name, delta) in deltas {
            let Some(collection) = self.collections.get_mut(name) else {
                return Err(StoreError::UnknownCollection(name.clone()));
            };
            if delta.is_empty() {
                continue;
            }
            collection.apply(delta)?;
            collection.changed = epoch;
            snapshots.insert(name.clone(), snapshot_of(collection));
        }
        self.snapshots = Arc::new(snapshots);
        self.epoch = epoch;
        Ok(())
    }

    /// Lets rows go that have become old, from now on and from the next
    /// snapshot. Views that counted them are not touched.
    ///
    /// # Errors
    /// When a collection is not append-only or the column holds no times, or a
    /// file is damaged.
    pub fn expire(&mut self, horizons: &[Horizon]) -> Result<(), StoreError> {
        for horizon in horizons {
            let name = &horizon.collection;
            let Some(collection) = self.collections.get_mut(name) else {
                return Err(StoreError::UnknownCollection(name.clone()));
            };
            if collection.expire(horizon.column, horizon.before_us)? {
                collection.changed = self.epoch;
                let snapshots = Arc::make_mut(&mut self.snapshots);
                snapshots.insert(name.clone(), snapshot_of(collection));
            }
        }
        Ok(())
    }

    /// What the cache of segments has done.
    pub fn cache_counts(&self) -> CacheCounts {
        self.cache.counts()
    }

    /// What the store keeps in memory besides the cache. It looks at every
    /// segment.
    pub fn memory(&self) -> StoreMemory {
        let mut memory = StoreMemory::default();
        for collection in self.collections.values() {
            let (unwritten, index) = collection.memory_bytes();
            memory.unwritten_bytes += unwritten as u64;
            memory.index_bytes += index as u64;
        }
        memory
    }

    fn publish_all(&mut self) {
        let snapshots = self
            .collections
            .iter()
            .map(|(name, collection)| (name.clone(), snapshot_of(collection)));
        self.snapshots = Arc::new(snapshots.collect());
    }

    /// All collections at the last epoch.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            epoch: self.epoch,
            collections: self.snapshots.clone(),
        }
    }

    /// Makes the present epoch durable together with the state parts. When it
    /// returns, recovery finds this checkpoint; until then the one before.
    ///
    /// # Errors
    /// When the disk refuses; the checkpoint before stays valid.
    pub fn checkpoint(&mut self, request: CheckpointRequest) -> Result<(), StoreError> {
        let (rows, state) = self.begin_checkpoint(request)?.write_rows()?;
        self.rows_written(rows);
        self.finish_checkpoint(state.write()?);
        Ok(())
    }

    /// Collects what a checkpoint of the present epoch holds. It is written
    /// apart, while further epochs are applied; until
    /// [`Store::finish_checkpoint`] no other one may begin.
    ///
    /// # Errors
    /// When the request is for another epoch, or a segment cannot be read.
    pub fn begin_checkpoint(
        &mut self,
        request: CheckpointRequest,
    ) -> Result<CheckpointJob, StoreError> {
        if request.epoch != self.epoch {
            return Err(StoreError::EpochOrder {
                last: self.epoch,
                found: request.epoch,
            });
        }
        let mut collections = Vec::with_capacity(self.collections.len());
        for collection in self.collections.values_mut() {
            collection.merge_for_checkpoint()?;
            let mut segments = Vec::with_capacity(collection.segments.len());
            for (&number, segment) in &mut collection.segments {
                let new_file = segment.file().is_none().then(|| {
                    segment.is_leaving = true;
                    next_file_name(&mut self.next_file, "segment", "parquet")
                });
                segments.push(SegmentJob {
                    number,
                    segment: segment.clone(),
                    new_file,
                });
            }
            collections.push(CollectionJob {
                definition: collection.definition.clone(),
                shape: collection.shape.clone(),
                next_column_id: collection.next_column_id,
                segments,
            });
        }
        let state_file = next_file_name(&mut self.next_file, "state", "bin");
        let state = StateJob {
            disk: self.disk.clone(),
            folder: self.folder.clone(),
            request,
            collections: Vec::with_capacity(collections.len()),
            old_parts: self.parts.clone(),
            files: self.files.clone(),
            state_file,
            next_file: self.next_file,
        };
        Ok(CheckpointJob { collections, state })
    }

    /// Writes segments that are large enough to files, so that memory need not
    /// hold them until the first checkpoint. A store that is opened before it
    /// does not know of them.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_out(&mut self) -> Result<(), StoreError> {
        for collection in self.collections.values_mut() {
            collection.merge_for_checkpoint()?;
            for segment in collection.segments.values_mut() {
                if segment.file().is_some() || segment.row_count < WRITTEN_OUT_ROWS_MIN {
                    continue;
                }
                let name = next_file_name(&mut self.next_file, "segment", "parquet");
                let rows = segment.all_rows(&collection.shape)?;
                let ids = &collection.shape.column_ids;
                let (file, unsynced) =
                    parquet_file::write(&self.disk, &self.folder, &name, &rows, ids)?;
                unsynced.sync()?;
                let file = Arc::new(file);
                self.files.insert(&file);
                segment.was_written(file, &self.cache);
            }
        }
        self.publish_all();
        Ok(())
    }

    /// Takes note of the rows of a checkpoint that is on its way: they are read
    /// from their files from now on, and memory need not hold them. So it stays
    /// if the rest of the checkpoint fails; the next one then names the files.
    pub fn rows_written(&mut self, rows: WrittenRows) {
        for (name, number, file) in rows.files {
            // No manifest names it yet, but whoever reads it holds it.
            self.files.insert(&file);
            // All rows of the segment may be gone since.
            let collection = self.collections.get_mut(&name);
            let segment = collection.and_then(|collection| collection.segments.get_mut(&number));
            if let Some(segment) = segment {
                segment.was_written(file, &self.cache);
            }
        }
        self.publish_all();
    }

    /// Takes note of a checkpoint that was written.
    pub fn finish_checkpoint(&mut self, written: WrittenCheckpoint) {
        self.parts = written.parts;
    }
}

fn next_file_name(next_file: &mut u64, kind: &str, ending: &str) -> String {
    let name = format!("{kind}-{next_file:012}.{ending}");
    *next_file += 1;
    name
}

fn snapshot_of(collection: &Collection) -> Arc<CollectionSnapshot> {
    Arc::new(CollectionSnapshot {
        definition: collection.definition.clone(),
        shape: collection.shape.clone(),
        segments: collection.segments.values().cloned().collect(),
        changed: collection.changed,
    })
}

/// The collection under a new definition, with its rows.
fn redefine(
    found: Collection,
    definition: CollectionDefinition,
    cache: &Arc<SegmentCache>,
) -> Result<Collection, StoreError> {
    if *found.definition == definition {
        return Ok(found);
    }
    let old_fields = found.shape.schema.fields();
    let mut next_column_id = found.next_column_id;
    let mut column_ids = Vec::with_capacity(definition.schema.fields().len());
    for field in definition.schema.fields() {
        let position = old_fields.iter().position(|old| old.name() == field.name());
        let Some(position) = position else {
            column_ids.push(next_column_id);
            next_column_id += 1;
            continue;
        };
        if old_fields[position].data_type() != field.data_type() {
            return Err(StoreError::TypeChange {
                collection: definition.name.clone(),
                column: field.name().clone(),
                old: old_fields[position].data_type().to_string(),
                new: field.data_type().to_string(),
            });
        }
        column_ids.push(found.shape.column_ids[position]);
    }
    let shape = Shape {
        schema: definition.schema.clone(),
        column_ids,
    };
    let mut collection = Collection::new(definition, shape, next_column_id);
    for segment in found.segments.into_values() {
        let Some(file) = segment.file() else {
            // Definitions change between runs, after recovery, when every
            // segment has a file.
            return Err(StoreError::BadDelta {
                collection: collection.definition.name.clone(),
                problem: "its definition changed before a checkpoint".into(),
            });
        };
        let reread = Segment::on_disk(
            file.clone(),
            cache,
            segment.row_count,
            segment.removed().cloned(),
        );
        collection.recover_segment(reread);
    }
    Ok(collection)
}
