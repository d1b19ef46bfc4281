//! The folder of a file source: which files are there, and which are meant.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use sluice_core::stable_hash;

use crate::CaptureError;
use crate::position::FileKey;

/// Where the files are, and how their names look.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    name_pattern: String,
}

/// A file that is there.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    pub(crate) path: PathBuf,
    pub(crate) key: FileKey,
    pub(crate) name_hash: u64,
    pub(crate) state: FileState,
    /// Whether the pattern means it. Others are listed if they were read
    /// before: rotation gave them another name.
    pub(crate) in_pattern: bool,
}

/// What changes when a file is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) length: u64,
    pub(crate) modified_ns: i128,
}

/// A listing of the folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Files in the order of their names.
    pub(crate) files: Vec<FoundFile>,
    /// Files that the system says nothing about, and why.
    pub(crate) refused: Vec<(PathBuf, io::Error)>,
}

impl FileState {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let nanoseconds = i128::from(metadata.mtime_nsec());
        Self {
            length: metadata.len(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + nanoseconds,
        }
    }
}

pub(crate) fn key_of(metadata: &Metadata) -> FileKey {
    FileKey {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

impl Folder {
    /// Takes a path apart into its folder and the pattern of the names.
    pub(crate) fn new(glob: &str) -> Result<Self, CaptureError> {
        let path = Path::new(glob);
        let Some(name_pattern) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(CaptureError::BadPath(glob.to_owned()));
        };
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if folder.to_string_lossy().contains('*') {
            return Err(CaptureError::BadPath(glob.to_owned()));
        }
        if !folder.is_dir() {
            return Err(CaptureError::MissingFolder(folder.display().to_string()));
        }
        let opened = fs::read_dir(&folder).map_err(|source| CaptureError::Io {
            path: folder.display().to_string(),
            source,
        });
        opened.map(|_| Self {
            path: folder,
            name_pattern: name_pattern.to_owned(),
        })
    }

    /// The files that the pattern means, and those whose inode is known.
    pub(crate) fn list(&self, is_known_inode: impl Fn(u64) -> bool) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let in_pattern = matches_pattern(&name.to_string_lossy(), &self.name_pattern);
            if !in_pattern && !is_known_inode(entry.ino()) {
                continue;
            }
            let path = entry.path();
            // Follows symbolic links.
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => listing.files.push(FoundFile {
                    key: key_of(&metadata),
                    name_hash: stable_hash(name.as_encoded_bytes()),
                    state: FileState::of(&metadata),
                    in_pattern,
                    path,
                }),
                Ok(_) => {}
                // Gone since it was listed, or a link to nowhere.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => listing.refused.push((path, error)),
            }
        }
        // A file with several names is read once, under the first that the
        // pattern means.
        let by_key = |file: &FoundFile| (file.key, !file.in_pattern, file.path.clone());
        listing.files.sort_by_cached_key(by_key);
        listing.files.dedup_by_key(|file| file.key);
        listing
            .files
            .sort_by(|one, other| one.path.cmp(&other.path));
        Ok(listing)
    }
}

/// Whether `name` fits a pattern in which `*` stands for any characters.
fn matches_pattern(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(position) => rest = &rest[position + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        assert!(matches_pattern("2010-12-01.csv", "*.csv"));
        assert!(matches_pattern("a-b-c", "a*b*c"));
        assert!(!matches_pattern("a.csv.tmp", "*.csv"));
        assert!(matches_pattern("x.log", "x.log") && !matches_pattern("x.log1", "x.log"));
        assert!(!matches_pattern("ab", "ab*b"));
        assert!(matches_pattern("anything", "*"));
    }
}
