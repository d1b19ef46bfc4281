//! The control log: what the topics do not say.
//!
//! It is one partition of the log whose records are JSON entries, so that it
//! has the same checksums and the same recovery.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_core::{Disk, Epoch, EpochCut, PartitionId, Record, RecordKind};

use crate::LogError;
use crate::partition::Partition;

/// Segments of the control log are small: each entry is.
const SEGMENT_BYTES_MAX: u64 = 4 << 20;

/// One fact of the control log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlEntry {
    /// Where an epoch was cut.
    Cut(EpochCut),
    /// From `epoch` on these definitions hold.
    Definitions {
        /// First epoch under the definitions.
        epoch: Epoch,
        /// Their fingerprint.
        fingerprint: u64,
        /// What changed, for a person.
        description: String,
    },
    /// From `epoch` on the partition counts as idle, or no longer does.
    Idle {
        /// First epoch that it holds for.
        epoch: Epoch,
        /// The partition.
        partition: PartitionId,
        /// Whether it is idle.
        idle: bool,
    },
}

/// See the module.
#[derive(Debug)]
pub struct ControlLog {
    partition: Partition,
}

impl ControlLog {
    /// Opens the control log and reads all its entries.
    ///
    /// # Errors
    /// When the disk refuses or an entry is damaged.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<(Self, Vec<ControlEntry>), LogError> {
        let partition = Partition::open(disk, folder)?;
        let mut entries = Vec::new();
        let mut next = partition.start_offset();
        let end = partition.durable_end();
        while next < end {
            let records = partition.read(next, end, 1 << 20)?;
            for record in &records {
                let entry = serde_json::from_slice(&record.record.payload);
                entries.push(entry.map_err(|error| LogError::Damaged {
                    path: folder.display().to_string(),
                    offset: record.offset,
                    problem: format!("entry {} cannot be read: {error}", record.offset),
                })?);
            }
            next += records.len() as u64;
        }
        Ok((Self { partition }, entries))
    }

    /// Appends entries; they are durable on return.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, entries: &[ControlEntry]) -> Result<(), LogError> {
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let json = serde_json::to_vec(entry).map_err(|error| LogError::Io {
                path: "control log".into(),
                source: error.into(),
            })?;
            records.push(Record {
                kind: RecordKind::Data,
                payload: Bytes::from(json),
                capture_time_us: 0,
                position: Bytes::new(),
                transaction: None,
            });
        }
        self.partition.append(&records, SEGMENT_BYTES_MAX)?;
        self.partition.sync()
    }
}
