//! Checkpoints: what goes into one besides the tables, how it is written, and
//! what comes back out of it.
//!
//! Writing needs nothing of the store but what was collected: segments never
//! change, so that it may run beside the epochs that follow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sluice_core::{Disk, DiskFile, Epoch, OpenMode};

use crate::StoreError;
use crate::collection::CollectionDefinition;
use crate::manifest::{self, CollectionEntry, ColumnEntry, Manifest, PartEntry, SegmentEntry};
use crate::parquet_file::{self, io_error};
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
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folder: PathBuf,
    pub(crate) request: CheckpointRequest,
    pub(crate) collections: Vec<CollectionJob>,
    pub(crate) old_parts: BTreeMap<String, PartEntry>,
    pub(crate) files: HeldFiles,
    pub(crate) state_file: String,
    pub(crate) next_file: u64,
}

/// A checkpoint that is durable.
#[derive(Debug)]
pub struct WrittenCheckpoint {
    pub(crate) parts: BTreeMap<String, PartEntry>,
    /// Collection, number of the segment, and its new file.
    pub(crate) files: Vec<(String, u64, Arc<SegmentFile>)>,
}

impl CheckpointJob {
    /// Writes the checkpoint. When it returns, recovery finds it.
    ///
    /// # Errors
    /// When the disk refuses; the checkpoint before stays valid.
    pub fn write(mut self) -> Result<WrittenCheckpoint, StoreError> {
        let mut files = Vec::new();
        let mut entries = Vec::with_capacity(self.collections.len());
        for collection in std::mem::take(&mut self.collections) {
            entries.push(self.write_collection(collection, &mut files)?);
        }
        let parts = self.write_parts()?;
        self.disk
            .sync_dir(&self.folder)
            .map_err(|error| io_error(&self.folder, error))?;
        let manifest = Manifest {
            epoch: self.request.epoch,
            meta: self.request.meta.clone(),
            collections: entries,
            parts: parts.clone(),
            next_file: self.next_file,
        };
        manifest::write(self.disk.as_ref(), &self.folder, &manifest)?;
        self.remove_unreferenced(&manifest)?;
        Ok(WrittenCheckpoint { parts, files })
    }

    fn write_collection(
        &mut self,
        collection: CollectionJob,
        files: &mut Vec<(String, u64, Arc<SegmentFile>)>,
    ) -> Result<CollectionEntry, StoreError> {
        let name = &collection.definition.name;
        let shape = &collection.shape;
        let mut segments = Vec::with_capacity(collection.segments.len());
        for job in &collection.segments {
            let file = match &job.new_file {
                Some(file_name) => {
                    let rows = job.segment.all_rows(shape)?;
                    let ids = &shape.column_ids;
                    let file =
                        parquet_file::write(&self.disk, &self.folder, file_name, &rows, ids)?;
                    let file = Arc::new(file);
                    files.push((name.clone(), job.number, file.clone()));
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
    fn write_parts(&self) -> Result<BTreeMap<String, PartEntry>, StoreError> {
        let changed = &self.request.changed_parts;
        let live = &self.request.live_parts;
        let mut kept: BTreeMap<String, PartEntry> = self
            .old_parts
            .iter()
            .filter(|(name, _)| live.contains(*name) && !changed.contains_key(*name))
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect();
        let mut written = BTreeMap::new();
        let file = &self.state_file;
        let mut state = StateFile::create(&self.disk, self.folder.join(file))?;
        let mut write = |name: &str, part: &[u8]| -> Result<(), StoreError> {
            let entry = PartEntry {
                file: file.clone(),
                offset: state.append(part)?,
                length: part.len(),
                checksum: parquet_file::checksum(part),
            };
            written.insert(name.to_owned(), entry);
            Ok(())
        };
        for (name, part) in changed {
            if live.contains(name) {
                write(name, part)?;
            }
        }
        for old_file in mostly_dead_files(&self.old_parts, &kept) {
            let path = self.folder.join(&old_file);
            let old = self
                .disk
                .read(&path)
                .map_err(|error| io_error(&path, error))?;
            for (name, entry) in kept.iter().filter(|(_, entry)| entry.file == old_file) {
                let part = old.get(entry.offset..entry.offset.saturating_add(entry.length));
                match part {
                    Some(part) if parquet_file::checksum(part) == entry.checksum => {
                        write(name, part)?;
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

/// The file of a checkpoint's state parts, written in large pieces.
struct StateFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    waiting: Vec<u8>,
    length: usize,
}

impl StateFile {
    const PIECE_BYTES: usize = 1 << 20;

    fn create(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Self, StoreError> {
        let file = disk
            .open(&path, OpenMode::Create)
            .map_err(|error| io_error(&path, error))?;
        Ok(Self {
            path,
            file,
            waiting: Vec::new(),
            length: 0,
        })
    }

    /// Returns where `part` begins in the file.
    fn append(&mut self, part: &[u8]) -> Result<usize, StoreError> {
        let offset = self.length;
        self.length += part.len();
        if self.waiting.len() + part.len() > Self::PIECE_BYTES {
            self.flush()?;
        }
        if part.len() > Self::PIECE_BYTES {
            let written = self.file.append(part);
            written.map_err(|error| io_error(&self.path, error))?;
        } else {
            self.waiting.extend_from_slice(part);
        }
        Ok(offset)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let written = self.file.append(&self.waiting);
        self.waiting.clear();
        written.map_err(|error| io_error(&self.path, error))
    }

    fn sync(mut self) -> Result<(), StoreError> {
        self.flush()?;
        let synced = self.file.sync();
        synced.map_err(|error| io_error(&self.path, error))
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
            let size = sizes.entry(entry.file.clone()).or_default();
            *size = size.saturating_add(entry.length);
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
