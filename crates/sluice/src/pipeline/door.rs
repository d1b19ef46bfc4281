//! The one way into the log: whatever capture brings is masked here, before it
//! is written anywhere.

use std::sync::Arc;

use sluice_core::{FileRange, PartitionId, Record};
use sluice_log::{Log, LogError};
use sluice_mask::{KeyStoreError, Masks};

/// Why records did not go through.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    /// They could not be masked.
    #[error("the records could not be masked: {0}")]
    Mask(#[from] KeyStoreError),
    /// The log did not take them.
    #[error(transparent)]
    Log(#[from] LogError),
    /// They lie in files that are their own log.
    #[error("topic `{0}` is masked, and its files cannot be their own log")]
    OwnLog(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Door {
    log: Arc<Log>,
    masks: Arc<Masks>,
}

impl Door {
    pub(super) fn new(log: Arc<Log>, masks: Arc<Masks>) -> Self {
        Self { log, masks }
    }

    /// Masks records and appends them.
    pub(super) fn append(
        &self,
        partition: &PartitionId,
        records: &mut [Record],
    ) -> Result<(), DoorError> {
        self.masks.mask(&partition.topic, records)?;
        self.log.append(partition, records)?;
        Ok(())
    }

    /// Appends where records lie.
    pub(super) fn append_range(
        &self,
        partition: &PartitionId,
        range: &FileRange,
    ) -> Result<(), DoorError> {
        if self.masks.has_rules(&partition.topic) {
            return Err(DoorError::OwnLog(partition.topic.clone()));
        }
        self.log.append_range(partition, range)?;
        Ok(())
    }

    /// Makes all that was appended durable.
    pub(super) fn sync(&self) -> Result<(), DoorError> {
        Ok(self.log.sync()?)
    }
}
