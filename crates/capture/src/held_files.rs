//! Files that are held open although they were read to their end, because
//! rotation may move or delete them before their last lines were seen.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::folder::{FileState, FoundFile};
use crate::position::FileKey;

/// At most so many files are held open: those that were written to last.
const HELD_FILES_MAX: usize = 64;
/// So long after it vanished a file is still looked at, for its writer may not
/// have noticed yet.
const GONE_US_MAX: i64 = 60_000_000;

#[derive(Debug)]
struct Held {
    found: FoundFile,
    file: Arc<File>,
    /// Since when the file has been gone and has not grown.
    gone_us: Option<i64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct HeldFiles {
    files: Vec<Held>,
}

impl HeldFiles {
    pub(crate) fn holds(&self, key: FileKey) -> bool {
        self.files.iter().any(|held| held.found.key == key)
    }

    /// Holds a file that was read, unless others are newer.
    pub(crate) fn hold(&mut self, found: &FoundFile, state: FileState, file: Arc<File>) {
        let found = FoundFile {
            state,
            ..found.clone()
        };
        let held = Held {
            found,
            file,
            gone_us: None,
        };
        let same = self
            .files
            .iter_mut()
            .find(|other| other.found.key == held.found.key);
        if let Some(same) = same {
            *same = held;
            return;
        }
        if self.files.len() >= HELD_FILES_MAX {
            let oldest = (0..self.files.len())
                .min_by_key(|&index| self.files[index].found.state.modified_ns);
            if let Some(oldest) = oldest {
                if self.files[oldest].found.state.modified_ns > state.modified_ns {
                    return;
                }
                self.files.swap_remove(oldest);
            }
        }
        self.files.push(held);
    }

    /// The held files that are no longer in the folder and have grown; those
    /// that have not grown for long are let go.
    pub(crate) fn gone(
        &mut self,
        live: &BTreeMap<FileKey, PathBuf>,
        now_us: i64,
    ) -> Vec<(FoundFile, Arc<File>)> {
        let mut grown = Vec::new();
        self.files.retain_mut(|held| {
            if live.contains_key(&held.found.key) {
                held.gone_us = None;
                return true;
            }
            let since_us = *held.gone_us.get_or_insert(now_us);
            let Ok(metadata) = held.file.metadata() else {
                return false;
            };
            let state = FileState::of(&metadata);
            if state.length != held.found.state.length {
                held.found.state = state;
                grown.push((held.found.clone(), held.file.clone()));
            }
            now_us - since_us <= GONE_US_MAX
        });
        grown
    }

    /// A vanished file had something new.
    pub(crate) fn touch(&mut self, key: FileKey, now_us: i64) {
        for held in &mut self.files {
            if held.found.key == key {
                held.gone_us = Some(now_us);
            }
        }
    }
}
