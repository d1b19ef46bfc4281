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
    /// The file system that it was on when it last held files.
    device: Option<u64>,
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

impl Listing {
    /// Whether something of this path is in the folder.
    pub(crate) fn has(&self, path: &Path) -> bool {
        let by_path = |file: &FoundFile| file.path.as_path().cmp(path);
        self.files.binary_search_by(by_path).is_ok()
            || self.refused.iter().any(|(refused, _)| refused == path)
    }
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
    ///
    /// # Errors
    /// When the path is none.
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
        Ok(Self {
            path: folder,
            name_pattern: name_pattern.to_owned(),
            device: None,
        })
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// When it is missing or may not be read.
    pub(crate) fn check(&self) -> Result<(), CaptureError> {
        let path = self.path.display().to_string();
        if !self.path.is_dir() {
            return Err(CaptureError::MissingFolder(path));
        }
        if let Err(source) = fs::read_dir(&self.path) {
            return Err(CaptureError::Io { path, source });
        }
        Ok(())
    }

    /// The files that the pattern means, and those whose inode is known.
    ///
    /// # Errors
    /// When the folder cannot be read, or seems to be the empty place where a
    /// disk was mounted.
    pub(crate) fn list(&mut self, is_known_inode: impl Fn(u64) -> bool) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let device = fs::metadata(&self.path)?.dev();
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
        if listing.files.iter().any(|file| file.in_pattern) {
            self.device = Some(device);
        } else if self.device.is_some_and(|known| known != device) {
            return Err(io::Error::other(
                "it holds none of the files and is on another file system than they were; their disk may not be mounted",
            ));
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
