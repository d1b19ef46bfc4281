//! The manifest: the one file that says what belongs to a checkpoint.
//!
//! Format version 1: a framed file (magic `SLUICEMF`, version, length, CRC-32)
//! around JSON of [`Manifest`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sluice_core::{CodecError, Disk, Epoch, read_framed_file, write_framed_file};

use crate::StoreError;

pub(crate) const FILE_NAME: &str = "MANIFEST";
const MAGIC: &[u8; 8] = b"SLUICEMF";
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) epoch: Epoch,
    pub(crate) meta: serde_json::Value,
    pub(crate) collections: Vec<CollectionEntry>,
    pub(crate) parts: BTreeMap<String, PartEntry>,
    pub(crate) next_file: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CollectionEntry {
    pub(crate) name: String,
    pub(crate) append_only: bool,
    pub(crate) unique_key: Option<Vec<usize>>,
    pub(crate) columns: Vec<ColumnEntry>,
    pub(crate) next_column_id: u32,
    pub(crate) segments: Vec<SegmentEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ColumnEntry {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Arrow's text form of the type.
    pub(crate) data_type: String,
    pub(crate) nullable: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SegmentEntry {
    pub(crate) file: String,
    pub(crate) rows: usize,
    pub(crate) checksum: u32,
    /// The end of the file; files of earlier versions are read as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) footer: Option<FooterEntry>,
    pub(crate) column_ids: Vec<u32>,
    /// The part that holds the mask of removed rows, if any are.
    pub(crate) removed: Option<String>,
    /// Oldest and newest time of its rows, where rows are dropped by age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ages: Option<[i64; 2]>,
}

/// The bytes of a segment file behind its column chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FooterEntry {
    pub(crate) bytes: u32,
    pub(crate) checksum: u32,
}

/// Where a state part lies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartEntry {
    pub(crate) file: String,
    pub(crate) offset: usize,
    pub(crate) length: usize,
    pub(crate) checksum: u32,
}

pub(crate) fn write(disk: &dyn Disk, folder: &Path, manifest: &Manifest) -> Result<(), CodecError> {
    let json = serde_json::to_vec(manifest)
        .map_err(|error| CodecError::Invalid(format!("manifest: {error}")))?;
    write_framed_file(disk, &folder.join(FILE_NAME), MAGIC, VERSION, &json)
}

/// The manifest, or `None` in a folder that has none yet.
pub(crate) fn read(disk: &dyn Disk, folder: &Path) -> Result<Option<Manifest>, CodecError> {
    let path = folder.join(FILE_NAME);
    if !disk.exists(&path) {
        return Ok(None);
    }
    let json = read_framed_file(disk, &path, MAGIC, VERSION)?;
    let manifest = serde_json::from_slice(&json).map_err(|error| CodecError::BadFile {
        path: path.display().to_string(),
        problem: format!("cannot be read: {error}"),
    })?;
    Ok(Some(manifest))
}

/// What a checkpoint consists of, for whoever copies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFiles {
    /// Its epoch.
    pub epoch: Epoch,
    /// Name of the manifest in the store's folder.
    pub manifest: &'static str,
    /// Names of the other files there, which never change.
    pub files: BTreeSet<String>,
}

/// The files of the last checkpoint; `None` where there is none yet.
///
/// # Errors
/// When the manifest cannot be read.
pub fn checkpoint_files(
    disk: &dyn Disk,
    folder: &Path,
) -> Result<Option<CheckpointFiles>, StoreError> {
    let Some(manifest) = read(disk, folder)? else {
        return Ok(None);
    };
    let segments = manifest.collections.iter().flat_map(|it| &it.segments);
    let segments = segments.map(|segment| segment.file.clone());
    let parts = manifest.parts.values().map(|part| part.file.clone());
    Ok(Some(CheckpointFiles {
        epoch: manifest.epoch,
        manifest: FILE_NAME,
        files: segments.chain(parts).collect(),
    }))
}
