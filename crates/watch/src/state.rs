//! What alarms must remember over a restart, in one file.
//!
//! Format: a framed file (`sluice_core::write_framed_file`) `SLUICEWA`, version
//! 1, around JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice_core::{CodecError, Disk, read_framed_file, write_framed_file};

use crate::instance::Instance;
use crate::silence::Silence;

const MAGIC: &[u8; 8] = b"SLUICEWA";
const VERSION: u32 = 1;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// By alarm and labels.
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) last_silence: u64,
    /// When things that happen once a day were done last: the day, by name.
    #[serde(default)]
    pub(crate) days_done: BTreeMap<String, String>,
}

/// Where it is kept.
#[derive(Debug)]
pub(crate) struct StateFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl StateFile {
    /// In the folder, which is made if it is missing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn new(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, CodecError> {
        let path = folder.join("alarms.state");
        disk.create_dir_all(folder)
            .map_err(|source| CodecError::Io {
                path: folder.display().to_string(),
                source,
            })?;
        Ok(Self { disk, path })
    }

    /// What was written last; nothing if there is no file.
    ///
    /// # Errors
    /// When the file is damaged.
    pub(crate) fn read(&self) -> Result<State, CodecError> {
        if !self.disk.exists(&self.path) {
            return Ok(State::default());
        }
        let payload = read_framed_file(&*self.disk, &self.path, MAGIC, VERSION)?;
        serde_json::from_slice(&payload).map_err(|error| CodecError::BadFile {
            path: self.path.display().to_string(),
            problem: error.to_string(),
        })
    }

    /// Replaces it in one step; durable on return.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn write(&self, state: &State) -> Result<(), CodecError> {
        let payload = serde_json::to_vec(state)
            .map_err(|error| CodecError::Invalid(format!("the state of alarms: {error}")))?;
        write_framed_file(&*self.disk, &self.path, MAGIC, VERSION, &payload)
    }
}
