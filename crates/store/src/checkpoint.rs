//! Checkpoints: what goes into one besides the tables, how it is written, and
//! what comes back out of it.
//!
//! Writing needs nothing of the store but what was collected: segments never
//! change, so that it may run beside the epochs that follow.
//!
//! Rows come first. Once their files are durable the store reads them from
//! there, whatever becomes of the rest: a checkpoint that fails behind its rows
//! leaves files that the next one names. The state parts follow, and last the
//! manifest, which alone decides what a recovery sees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sluice_core::{Disk, Epoch};

use crate::StoreError;
use crate::checkpoint_parts::{OldStateFile, StateFile, mostly_dead_files};
use crate::collection::CollectionDefinition;
use crate::manifest::{self, CollectionEntry, ColumnEntry, Manifest, PartEntry, SegmentEntry};
use crate::parquet_file::{self, UnsyncedFile, io_error};
use crate::segment::{Segment, SegmentFile, Shape};

/// Prefix of the parts that hold masks of removed rows.
pub(crate) const REMOVED_PREFIX: &str = "store/removed/";

/// State of the rest of the warehouse at an epoch.
#[derive(Debug, Clone)]
pub struct CheckpointRequest {
    /// The epoch; it must be the last one applied.
    pub epoch: Epoch,
    /// State parts that changed since the checkpoint before.
    pub changed_parts: BTreeMap<String, Vec<u8>>,
    /// Names of all parts, changed or not.
    pub live_parts: BTreeSet<String>,
    /// Anything else, small.
    pub meta: serde_json::Value,
}

/// Segment files that somebody may still read.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldFiles(Arc<Mutex<BTreeMap<String, Weak<SegmentFile>>>>);

impl HeldFiles {
    pub(crate) fn insert(&self, file: &Arc<SegmentFile>) {
        let mut files = self.0.lock();
        files.insert(file.name.clone(), Arc::downgrade(file));
    }

    fn is_held(&self, name: &str) -> bool {
        let mut files = self.0.lock();
        files.retain(|_, file| file.strong_count() > 0);
        files.contains_key(name)
    }
}

/// What the last checkpoint held.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its state parts.
    pub parts: BTreeMap<String, Vec<u8>>,
    /// Its other content.
    pub meta: serde_json::Value,
    /// The file that names all others.
    pub manifest: PathBuf,
    /// The file of each state part.
    pub part_files: BTreeMap<String, PathBuf>,
}

/// A segment as it is at the checkpoint's epoch.
#[derive(Debug)]
pub(crate) struct SegmentJob {
    pub(crate) number: u64,
    pub(crate) segment: Segment,
    /// The file to write it to, if it has none.
    pub(crate) new_file: Option<String>,
}

/// A collection as it is at the checkpoint's epoch.
#[derive(Debug)]
pub(crate) struct CollectionJob {
    pub(crate) definition: Arc<CollectionDefinition>,
    pub(crate) shape: Shape,
    pub(crate) next_column_id: u32,
    pub(crate) segments: Vec<SegmentJob>,
}

/// A checkpoint that is to be written.
#[derive(Debug)]
pub struct CheckpointJob {
    pub(crate) collections: Vec<CollectionJob>,
    /// What comes behind the rows.
    pub(crate) state: StateJob,
}

/// What is left of a checkpoint whose rows are in files.
#[derive(Debug)]
pub struct StateJob {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folder: PathBuf,
    pub(crate) request: CheckpointRequest,
    /// Those whose rows are in files.
    pub(crate) collections: Vec<CollectionEntry>,
    pub(crate) old_parts: BTreeMap<String, PartEntry>,
    pub(crate) files: HeldFiles,
    pub(crate) state_file: String,
    pub(crate) next_file: u64,
}

/// Rows of a checkpoint that are in files, durable but for the files' names.
#[derive(Debug)]
pub struct WrittenRows {
    /// Collection, number of the segment, and its new file.
    pub(crate) files: Vec<(String, u64, Arc<SegmentFile>)>,
}

/// A checkpoint that is durable.
#[derive(Debug)]
pub struct WrittenCheckpoint {
    pub(crate) parts: BTreeMap<String, PartEntry>,
}

/// The files of rows, which are synced together: the disk has then much to write
/// at once, and its journal one entry for many files.
#[derive(Debug, Default)]
struct RowFiles {
    files: Vec<(String, u64, Arc<SegmentFile>)>,
    unsynced: Vec<UnsyncedFile>,
}

impl RowFiles {
    /// Files that are open at a time.
    const OPEN_MAX: usize = 128;

    fn add(
        &mut self,
        collection: &str,
        segment: u64,
        file: Arc<SegmentFile>,
        unsynced: UnsyncedFile,
    ) -> Result<(), StoreError> {
        self.files.push((collection.to_owned(), segment, file));
        self.unsynced.push(unsynced);
        match self.unsynced.len() < Self::OPEN_MAX {
            true => Ok(()),
            false => self.sync(),
        }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        for file in self.unsynced.drain(..) {
            file.sync()?;
        }
        Ok(())
    }
}

impl CheckpointJob {
    /// Writes the rows that no file holds. The store may be told of them at once
    /// ([`crate::Store::rows_written`]); recovery does not see them yet.
    ///
    /// # Errors
    /// When the disk refuses; the checkpoint before stays valid, and the store
    /// keeps the rows in memory.
    pub fn write_rows(self) -> Result<(WrittenRows, StateJob), StoreError> {
        let mut state = self.state;
        let mut files = RowFiles::default();
        for collection in self.collections {
            let entry = state.write_collection(&collection, &mut files)?;
            state.collections.push(entry);
        }
        files.sync()?;
        Ok((WrittenRows { files: files.files }, state))
    }
}

impl StateJob {
    /// Writes the state parts, and the manifest that names all. When it returns,
    /// recovery finds the checkpoint.
    ///
    /// # Errors
    /// When the disk refuses; the checkpoint before stays valid.
    pub fn write(mut self) -> Result<WrittenCheckpoint, StoreError> {
        let parts = self.write_parts()?;
        self.disk
            .sync_dir(&self.folder)
            .map_err(|error| io_error(&self.folder, error))?;
        let manifest = Manifest {
            epoch: self.request.epoch,
            meta: std::mem::take(&mut self.request.meta),
            collections: std::mem::take(&mut self.collections),
            parts,
            next_file: self.next_file,
        };
        manifest::write(self.disk.as_ref(), &self.folder, &manifest)?;
        self.remove_unreferenced(&manifest)?;
        Ok(WrittenCheckpoint {
            parts: manifest.parts,
        })
    }

    fn write_collection(
        &mut self,
        collection: &CollectionJob,
        files: &mut RowFiles,
    ) -> Result<CollectionEntry, StoreError> {
        let name = &collection.definition.name;
        let shape = &collection.shape;
        let mut segments = Vec::with_capacity(collection.segments.len());
        for job in &collection.segments {
            let file = match &job.new_file {
                Some(file_name) => {
                    let rows = job.segment.all_rows(shape)?;
                    let ids = &shape.column_ids;
                    let (file, unsynced) =
                        parquet_file::write(&self.disk, &self.folder, file_name, &rows, ids)?;
                    let file = Arc::new(file);
                    files.add(name, job.number, file.clone(), unsynced)?;
                    file
                }
                None => match job.segment.file() {
                    Some(file) => file.clone(),
                    None => continue,
                },
            };
            segments.push(self.segment_entry(&job.segment, &file));
        }
        let fields = shape.schema.fields().iter();
        let columns = fields
            .zip(&shape.column_ids)
            .map(|(field, &id)| ColumnEntry {
                id,
                name: field.name().clone(),
                data_type: field.data_type().to_string(),
                nullable: field.is_nullable(),
            });
        Ok(CollectionEntry {
            name: name.clone(),
            append_only: collection.definition.append_only,
            unique_key: collection.definition.unique_key.clone(),
            columns: columns.collect(),
            next_column_id: collection.next_column_id,
            segments,
        })
    }

    fn segment_entry(&mut self, segment: &Segment, file: &SegmentFile) -> SegmentEntry {
        let removed = match segment.removed() {
            Some(mask) if segment.removed_count() > 0 => {
                let part = format!("{REMOVED_PREFIX}{}", file.name);
                let bytes = mask.sliced().as_slice().to_vec();
                self.request.changed_parts.insert(part.clone(), bytes);
                self.request.live_parts.insert(part.clone());
                Some(part)
            }
            _ => None,
        };
        SegmentEntry {
            file: file.name.clone(),
            rows: segment.row_count,
            checksum: file.checksum,
            footer: file.footer,
            column_ids: file.column_ids.clone(),
            removed,
            ages: segment.ages,
        }
    }

    /// Writes the changed parts into one new file, together with what is left
    /// of old files that hold mostly dead parts.
    fn write_parts(&mut self) -> Result<BTreeMap<String, PartEntry>, StoreError> {
        let changed = std::mem::take(&mut self.request.changed_parts);
        let live = &self.request.live_parts;
        let mut kept: BTreeMap<String, PartEntry> = self
            .old_parts
            .iter()
            .filter(|(name, _)| live.contains(*name) && !changed.contains_key(*name))
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect();
        let mut written = BTreeMap::new();
        let mut state = StateFile::create(&self.disk, &self.folder, &self.state_file)?;
        // Each part is dropped as soon as it is written: together they may be as
        // large as the state.
        for (name, part) in changed {
            if live.contains(&name) {
                written.insert(name, state.append(&part)?);
            }
        }
        for old_name in mostly_dead_files(&self.old_parts, &kept) {
            let old = OldStateFile::open(&self.disk, &self.folder, &old_name)?;
            for (name, entry) in kept.iter().filter(|(_, entry)| entry.file == old_name) {
                let part = old.part(name, entry)?;
                written.insert(name.clone(), state.append(&part)?);
            }
            kept.retain(|_, entry| entry.file != old_name);
        }
        state.sync()?;
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
            // A reader may hold a snapshot with a segment that was merged since.
            let is_held = || self.files.is_held(&name);
            if is_ours && !referenced.contains(name.as_str()) && !is_held() {
                let path = self.folder.join(&name);
                self.disk
                    .remove(&path)
                    .map_err(|error| io_error(&path, error))?;
            }
        }
        Ok(())
    }
}
