//! The writer's side of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::datatypes::{DataType, Field, Schema};
use sluice_core::{Delta, Disk, Epoch};

use crate::StoreError;
use crate::checkpoint::{CheckpointRequest, Recovered};
use crate::collection::{Collection, CollectionDefinition};
use crate::manifest::{self, CollectionEntry, ColumnEntry, Manifest, PartEntry, SegmentEntry};
use crate::parquet_file::{self, io_error};
use crate::segment::{Segment, SegmentFile, Shape};
use crate::snapshot::{CollectionSnapshot, Snapshot};

/// Prefix of the parts that hold masks of removed rows.
const REMOVED_PREFIX: &str = "store/removed/";

/// Settings of the store.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {}

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
        _options: StoreOptions,
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
        parts.retain(|name, _| !name.starts_with(REMOVED_PREFIX));
        Ok(Recovered {
            epoch: manifest.epoch,
            parts,
            meta: manifest.meta,
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
                _ => {
                    return Err(StoreError::Damaged {
                        path: path.display().to_string(),
                        problem: format!("the state part `{name}` in it is damaged"),
                    });
                }
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
            let file = SegmentFile {
                disk: self.disk.clone(),
                path: self.folder.join(&segment.file),
                name: segment.file,
                checksum: segment.checksum,
                column_ids: segment.column_ids,
            };
            collection.recover_segment(Segment::on_disk(file, segment.rows, removed));
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
                Some(found) => redefine(found, definition)?,
                None => {
                    let column_count = definition.schema.fields().len() as u32;
                    let shape = Shape {
                        schema: definition.schema.clone(),
                        column_ids: (0..column_count).collect(),
                    };
                    Collection::new(definition, shape, column_count)
                }
            };
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
            collection.apply(delta)?;
            snapshots.insert(name.clone(), snapshot_of(collection));
        }
        self.snapshots = Arc::new(snapshots);
        self.epoch = epoch;
        Ok(())
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
        if request.epoch != self.epoch {
            return Err(StoreError::EpochOrder {
                last: self.epoch,
                found: request.epoch,
            });
        }
        let mut changed = request.changed_parts;
        let mut live = request.live_parts;
        let mut entries = Vec::with_capacity(self.collections.len());
        let names: Vec<String> = self.collections.keys().cloned().collect();
        for name in names {
            entries.push(self.write_collection(&name, &mut changed, &mut live)?);
        }
        let parts = self.write_parts(&changed, &live)?;
        self.sync_folder()?;
        let manifest = Manifest {
            epoch: self.epoch,
            meta: request.meta,
            collections: entries,
            parts: parts.clone(),
            next_file: self.next_file,
        };
        manifest::write(self.disk.as_ref(), &self.folder, &manifest)?;
        self.parts = parts;
        self.publish_all();
        self.remove_unreferenced(&manifest)
    }

    fn sync_folder(&self) -> Result<(), StoreError> {
        self.disk
            .sync_dir(&self.folder)
            .map_err(|error| io_error(&self.folder, error))
    }

    fn next_file_name(&mut self, kind: &str, ending: &str) -> String {
        let name = format!("{kind}-{:012}.{ending}", self.next_file);
        self.next_file += 1;
        name
    }

    fn write_collection(
        &mut self,
        name: &str,
        changed: &mut BTreeMap<String, Vec<u8>>,
        live: &mut BTreeSet<String>,
    ) -> Result<CollectionEntry, StoreError> {
        let Some(mut collection) = self.collections.remove(name) else {
            return Err(StoreError::UnknownCollection(name.to_owned()));
        };
        let result = self.write_segments(&mut collection, changed, live);
        let definition = collection.definition.clone();
        let columns = collection
            .shape
            .schema
            .fields()
            .iter()
            .zip(&collection.shape.column_ids)
            .map(|(field, &id)| ColumnEntry {
                id,
                name: field.name().clone(),
                data_type: field.data_type().to_string(),
                nullable: field.is_nullable(),
            })
            .collect();
        let next_column_id = collection.next_column_id;
        self.collections.insert(name.to_owned(), collection);
        Ok(CollectionEntry {
            name: definition.name.clone(),
            append_only: definition.append_only,
            unique_key: definition.unique_key.clone(),
            columns,
            next_column_id,
            segments: result?,
        })
    }

    fn write_segments(
        &mut self,
        collection: &mut Collection,
        changed: &mut BTreeMap<String, Vec<u8>>,
        live: &mut BTreeSet<String>,
    ) -> Result<Vec<SegmentEntry>, StoreError> {
        collection.merge_for_checkpoint()?;
        let mut entries = Vec::with_capacity(collection.segments.len());
        for segment in collection.segments.values_mut() {
            if segment.file.is_none() {
                let name = self.next_file_name("segment", "parquet");
                let rows = segment.all_rows(&collection.shape)?;
                let ids = &collection.shape.column_ids;
                let file = parquet_file::write(&self.disk, &self.folder, &name, &rows, ids)?;
                *segment = segment.clone().with_file(file);
            }
            let Some(file) = segment.file.clone() else {
                continue;
            };
            let removed = match segment.removed() {
                Some(mask) if segment.removed_count() > 0 => {
                    let part = format!("{REMOVED_PREFIX}{}", file.name);
                    changed.insert(part.clone(), mask.sliced().as_slice().to_vec());
                    live.insert(part.clone());
                    Some(part)
                }
                _ => None,
            };
            entries.push(SegmentEntry {
                file: file.name.clone(),
                rows: segment.row_count,
                checksum: file.checksum,
                column_ids: file.column_ids.clone(),
                removed,
            });
        }
        Ok(entries)
    }

    /// Writes the changed parts into one new file, together with what is left
    /// of old files that hold mostly dead parts.
    fn write_parts(
        &mut self,
        changed: &BTreeMap<String, Vec<u8>>,
        live: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, PartEntry>, StoreError> {
        let mut kept: BTreeMap<String, PartEntry> = self
            .parts
            .iter()
            .filter(|(name, _)| live.contains(*name) && !changed.contains_key(*name))
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect();
        let mut bytes = Vec::new();
        let mut written = BTreeMap::new();
        let file = self.next_file_name("state", "bin");
        let mut write = |name: &str, part: &[u8]| {
            let entry = PartEntry {
                file: file.clone(),
                offset: bytes.len(),
                length: part.len(),
                checksum: parquet_file::checksum(part),
            };
            bytes.extend_from_slice(part);
            written.insert(name.to_owned(), entry);
        };
        for (name, part) in changed {
            if live.contains(name) {
                write(name, part);
            }
        }
        for old_file in mostly_dead_files(&self.parts, &kept) {
            let path = self.folder.join(&old_file);
            let old = self
                .disk
                .read(&path)
                .map_err(|error| io_error(&path, error))?;
            for (name, entry) in kept.iter().filter(|(_, entry)| entry.file == old_file) {
                let part = old.get(entry.offset..entry.offset + entry.length);
                match part {
                    Some(part) if parquet_file::checksum(part) == entry.checksum => {
                        write(name, part);
                    }
                    _ => {
                        return Err(StoreError::Damaged {
                            path: path.display().to_string(),
                            problem: format!("the state part `{name}` in it is damaged"),
                        });
                    }
                }
            }
            kept.retain(|_, entry| entry.file != old_file);
        }
        parquet_file::write_file(&self.disk, &self.folder.join(&file), &bytes)?;
        kept.extend(written);
        Ok(kept)
    }

    fn remove_unreferenced(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let mut referenced: BTreeSet<&str> = manifest
            .parts
            .values()
            .map(|entry| entry.file.as_str())
            .collect();
        for collection in &manifest.collections {
            referenced.extend(collection.segments.iter().map(|entry| entry.file.as_str()));
        }
        let names = self
            .disk
            .list(&self.folder)
            .map_err(|error| io_error(&self.folder, error))?;
        for name in names {
            let is_ours = name.starts_with("segment-") || name.starts_with("state-");
            if is_ours && !referenced.contains(name.as_str()) {
                let path = self.folder.join(&name);
                self.disk
                    .remove(&path)
                    .map_err(|error| io_error(&path, error))?;
            }
        }
        Ok(())
    }
}

/// Files of which less than half of the bytes are still in use.
fn mostly_dead_files(
    all: &BTreeMap<String, PartEntry>,
    kept: &BTreeMap<String, PartEntry>,
) -> BTreeSet<String> {
    let sizes = |parts: &BTreeMap<String, PartEntry>| {
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for entry in parts.values() {
            *sizes.entry(entry.file.clone()).or_default() += entry.length;
        }
        sizes
    };
    let before = sizes(all);
    sizes(kept)
        .into_iter()
        .filter(|(file, size)| before.get(file).is_some_and(|before| size * 2 < *before))
        .map(|(file, _)| file)
        .collect()
}

fn snapshot_of(collection: &Collection) -> Arc<CollectionSnapshot> {
    Arc::new(CollectionSnapshot {
        definition: collection.definition.clone(),
        shape: collection.shape.clone(),
        segments: collection.segments.values().cloned().collect(),
    })
}

/// The collection under a new definition, with its rows.
fn redefine(found: Collection, definition: CollectionDefinition) -> Result<Collection, StoreError> {
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
        let Some(file) = &segment.file else {
            // Definitions change between runs, after recovery, when every
            // segment has a file.
            return Err(StoreError::BadDelta {
                collection: collection.definition.name.clone(),
                problem: "its definition changed before a checkpoint".into(),
            });
        };
        let reread = Segment::on_disk(
            file.as_ref().clone(),
            segment.row_count,
            segment.removed().cloned(),
        );
        collection.recover_segment(reread);
    }
    Ok(collection)
}
