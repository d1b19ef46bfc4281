//! Backups of a warehouse's state: a folder that holds a copy of the log, of
//! the control log and of the last checkpoint, and a list of its files.
//!
//! The list is the framed file `BACKUP` (magic `SLUICEBK`, version 1) around
//! JSON of [`BackupList`]. It is written last: a folder without it is no
//! backup.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sluice_core::{Disk, Epoch, OpenMode, RealDisk, read_framed_file, write_framed_file};
use xxhash_rust::xxh3::Xxh3;

use crate::failure::{Doing, Failure};

const LIST: &str = "BACKUP";
const MAGIC: &[u8; 8] = b"SLUICEBK";
const VERSION: u32 = 1;
/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupList {
    /// The epoch of the checkpoint in it; 0 if there is none.
    pub epoch: Epoch,
    /// When it was begun, in microseconds since 1970.
    pub time_us: i64,
    /// Files by their path in the state's folder.
    pub files: BTreeMap<String, BackupFile>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Its length.
    pub bytes: u64,
    /// XXH3-64 of its bytes.
    pub checksum: u64,
    /// When the original changed last, in nanoseconds since 1970: a file that
    /// has the same time and length later is the same.
    pub changed_ns: u64,
}

impl BackupList {
    /// The list of a backup.
    ///
    /// # Errors
    /// When the folder is no whole backup, or one of another version.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let what = format!("reading the backup {}", folder.display());
        let path = folder.join(LIST);
        if !path.exists() {
            return Err(Failure::Definitions(format!(
                "{} is no backup: it has no file `{LIST}`, which is written last\n  help: name one of the folders that `sluice backup` has made",
                folder.display()
            )));
        }
        let json = read_framed_file(&RealDisk, &path, MAGIC, VERSION).doing(&what)?;
        serde_json::from_slice(&json).doing(&what)
    }

    /// Writes it beside the files, which makes a backup of them.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let what = format!("writing the backup {}", folder.display());
        let json = serde_json::to_vec(self).doing(&what)?;
        write_framed_file(&RealDisk, &folder.join(LIST), MAGIC, VERSION, &json).doing(&what)
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

/// The whole backups in a folder of backups, oldest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn backups_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let what = format!("reading the folder {}", folder.display());
    let names = RealDisk.list(folder).doing(&what)?;
    let paths = names.into_iter().map(|name| folder.join(name));
    Ok(paths.filter(|path| path.join(LIST).exists()).collect())
}

/// Files below a folder, as paths from `root` with `/` between their parts.
///
/// # Errors
/// When a folder cannot be read.
pub fn files_below(root: &Path, folder: &str) -> Result<Vec<String>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let names = RealDisk
            .list(&path)
            .doing(&format!("reading the folder {}", path.display()))?;
        for name in names {
            let inside = format!("{folder}/{name}");
            match root.join(&inside).is_dir() {
                true => folders.push(inside),
                // One that is being written gets its name when it is whole.
                false if name.ends_with(".tmp") => {}
                false => files.push(inside),
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// A file as it is: its length and the time of its last change.
///
/// # Errors
/// When it is not there.
pub fn stamp(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = path.metadata()?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH);
    let changed_ns = changed.map_or(0, |time| time.as_nanos() as u64);
    Ok((metadata.len(), changed_ns))
}

/// Copies a file and makes the copy durable. A file that grows meanwhile is
/// copied as far as it went at some time.
///
/// # Errors
/// When one of the two cannot be read or written.
pub fn copy_file(from: &Path, to: &Path) -> std::io::Result<BackupFile> {
    if let Some(parent) = to.parent() {
        RealDisk.create_dir_all(parent)?;
    }
    let (_, changed_ns) = stamp(from)?;
    let mut source = File::open(from)?;
    let mut copy = RealDisk.open(to, OpenMode::Create)?;
    let mut hasher = Xxh3::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let length = match source.read(&mut piece) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if length == 0 {
            break;
        }
        hasher.update(&piece[..length]);
        copy.append(&piece[..length])?;
        bytes += length as u64;
    }
    copy.sync()?;
    Ok(BackupFile {
        bytes,
        checksum: hasher.digest(),
        changed_ns,
    })
}

/// Makes the names in all folders of `files` durable.
///
/// # Errors
/// When the disk refuses.
pub fn sync_folders<'a>(
    root: &Path,
    files: impl Iterator<Item = &'a String>,
) -> std::io::Result<()> {
    let mut folders: Vec<PathBuf> = files
        .filter_map(|file| Some(root.join(file).parent()?.to_path_buf()))
        .collect();
    folders.push(root.to_path_buf());
    folders.sort_unstable();
    folders.dedup();
    folders
        .iter()
        .try_for_each(|folder| RealDisk.sync_dir(folder))
}
