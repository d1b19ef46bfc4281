//! The control log: what the topics do not say.
//!
//! It is one partition of the log whose records are JSON entries, so that it
//! has the same checksums and the same recovery.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_core::{Disk, Epoch, EpochCut, PartitionId, Record, RecordKind};

use crate::LogError;
use crate::partition::Partition;
use crate::reading::Way;

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
        /// Where tables begin that do not have all of the log.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        starts: BTreeMap<String, EpochCut>,
    },
    /// An epoch without records, from which on other models or tables hold: what
    /// does not depend on the change goes on as it is.
    Models {
        /// The epoch, which ends where the one before ends.
        cut: EpochCut,
        /// Fingerprint of the definitions.
        fingerprint: u64,
        /// What changed, for a person.
        description: String,
        /// All models.
        models: Vec<ModelText>,
        /// The tables, where they are others than before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sources: Option<SourceTexts>,
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

/// The text of a model, as it was when it took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelText {
    /// Name of the view.
    pub name: String,
    /// File that it was in, for messages.
    pub file: String,
    /// Its SQL, with settings put in.
    pub sql: String,
}

/// The definitions of tables, as they were when they took effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTexts {
    /// Their files: path, for messages, and text with settings put in, but for
    /// those that say where files lie.
    pub files: Vec<(String, String)>,
    /// Where tables begin that do not have all of the log, by table.
    #[serde(default)]
    pub starts: BTreeMap<String, EpochCut>,
}

impl ControlEntry {
    /// The first epoch that the entry speaks of.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Cut(cut) | Self::Models { cut, .. } => cut.epoch,
            Self::Definitions { epoch, .. } | Self::Idle { epoch, .. } => *epoch,
        }
    }
}

/// One entry in so many is marked, to find what can be dropped.
const ENTRIES_PER_MARK: u64 = 256;

/// See the module.
#[derive(Debug)]
pub struct ControlLog {
    partition: Partition,
    /// Epoch and offset of some entries, in order.
    marks: BTreeMap<Epoch, u64>,
}

impl ControlLog {
    /// Opens the control log and reads all its entries.
    ///
    /// # Errors
    /// When the disk refuses or an entry is damaged.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<(Self, Vec<ControlEntry>), LogError> {
        let partition = Partition::open(disk, folder)?;
        let mut entries: Vec<ControlEntry> = Vec::new();
        let mut next = partition.start_offset();
        let end = partition.durable_end();
        // Its records lie in no source.
        let way = Way {
            is_stopped: &|| false,
            place: None,
        };
        while next < end {
            let records = partition.read(next, end, 1 << 20, &way)?;
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
        let first = partition.start_offset();
        let mut control = Self {
            partition,
            marks: BTreeMap::new(),
        };
        for (offset, entry) in (first..).zip(&entries) {
            control.mark(offset, entry.epoch());
        }
        Ok((control, entries))
    }

    fn mark(&mut self, offset: u64, epoch: Epoch) {
        if offset.is_multiple_of(ENTRIES_PER_MARK) {
            self.marks.insert(epoch, offset);
        }
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
        let first = self.partition.append(&records, SEGMENT_BYTES_MAX)?;
        self.partition.sync()?;
        for (offset, entry) in (first..).zip(entries) {
            self.mark(offset, entry.epoch());
        }
        Ok(())
    }

    /// Drops whole segments whose entries are all about epochs before `epoch`.
    /// Entries come in the order of their epochs.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn truncate_before(&mut self, epoch: Epoch) -> Result<(), LogError> {
        let Some((&older, &offset)) = self.marks.range(..epoch).next_back() else {
            return Ok(());
        };
        // All entries in front of the mark speak of epochs up to its own.
        self.partition.retain(offset, None, Some(0))?;
        self.marks = self.marks.split_off(&older);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::SimulatedDisk;

    fn cut(epoch: Epoch) -> ControlEntry {
        // Long names that hardly compress fill segments quickly.
        let mut state = epoch;
        let letter = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + (state >> 59) as u8 % 26)
        };
        let id = PartitionId {
            topic: (0..20_000).map(letter).collect(),
            partition: 0,
        };
        ControlEntry::Cut(EpochCut {
            epoch,
            end_offsets: BTreeMap::from([(id, epoch)]),
        })
    }

    #[test]
    fn truncation_keeps_every_entry_from_the_epoch_on() {
        let disk = Arc::new(SimulatedDisk::new(1));
        let folder = Path::new("/control");
        let (mut control, _) = ControlLog::open(disk.clone(), folder).unwrap();
        for epoch in 1..=1000 {
            control.append(&[cut(epoch)]).unwrap();
        }
        control.truncate_before(900).unwrap();
        control.truncate_before(901).unwrap();
        let (_, entries) = ControlLog::open(disk, folder).unwrap();
        let first = entries[0].epoch();
        assert!(first > 1 && first <= 900, "{first}");
        assert_eq!(entries.last().unwrap(), &cut(1000));
        assert_eq!(entries.len() as u64, 1001 - first);
    }
}
