//! How far files have been read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_core::Record;

use crate::CaptureError;

/// How far one file has been read. The file is known by its inode, so that it
/// is recognised after a rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePosition {
    pub(crate) path: String,
    pub(crate) inode: u64,
    /// Bytes read.
    pub(crate) offset: u64,
}

/// How far the files of a source have been read, by inode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePositions {
    files: BTreeMap<u64, FilePosition>,
}

impl FilePositions {
    /// Moves past a record that is in the log.
    ///
    /// # Errors
    /// When the record was not made by a file source.
    pub fn observe(&mut self, record: &Record) -> Result<(), CaptureError> {
        let position: FilePosition = serde_json::from_slice(&record.position)
            .map_err(|error| CaptureError::BadPosition(error.to_string()))?;
        self.set(position);
        Ok(())
    }

    pub(crate) fn set(&mut self, position: FilePosition) {
        self.files.insert(position.inode, position);
    }

    /// Bytes read of the file, 0 for a new one.
    pub(crate) fn offset(&self, inode: u64) -> u64 {
        self.files.get(&inode).map_or(0, |position| position.offset)
    }
}
