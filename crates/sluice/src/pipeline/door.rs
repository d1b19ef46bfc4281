//! The one way into the log: whatever capture brings is masked here, before it
//! is written anywhere.

use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{BackfilledRow, FileRange, PartitionId, Record, RecordKind, SourceRange};
use sluice_log::{Log, LogError};
use sluice_mask::{KeyStoreError, Masks, TopicRules};

/// Why records did not go through.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    /// They could not be masked.
    #[error("the records could not be masked: {0}")]
    Mask(#[from] KeyStoreError),
    /// The log did not take them.
    #[error(transparent)]
    Log(#[from] LogError),
    /// They lie in a source that is its own log.
    #[error("topic `{0}` is masked, and its source cannot be its own log")]
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
        let topic = &partition.topic;
        self.masks.mask(topic, records)?;
        let first = self.log.append(partition, records)?;
        // What is tried again brings no rules, and may come from another thread.
        if records.iter().any(|record| record.kind == RecordKind::Data) {
            let count = records.len() as u64;
            self.masks
                .appended(topic, (first + count).saturating_sub(1));
        }
        Ok(())
    }

    /// What is masked in the records of a topic, if anything is.
    pub(super) fn rules(&self, topic: &str) -> Option<Arc<TopicRules>> {
        self.masks.rules(topic)
    }

    /// Masks rows of exports, of one table, by rules of their own, and appends them.
    pub(super) fn append_rows(
        &self,
        partition: &PartitionId,
        rules: &TopicRules,
        rows: Vec<BackfilledRow>,
        capture_time_us: i64,
    ) -> Result<(), DoorError> {
        let mut payloads: Vec<Bytes> = rows.iter().map(|row| row.row.clone()).collect();
        let longest_name = rows.iter().map(|row| row.table.len()).max();
        let bytes_beside = BackfilledRow::bytes_beside(longest_name.unwrap_or(0));
        self.masks.mask_rows(rules, &mut payloads, bytes_beside)?;
        let record = |(row, masked): (BackfilledRow, Bytes)| Record {
            kind: RecordKind::Backfill,
            payload: BackfilledRow { row: masked, ..row }.encode(),
            capture_time_us,
            // No source is read on from here.
            position: Bytes::new(),
            transaction: None,
        };
        let records: Vec<Record> = rows.into_iter().zip(payloads).map(record).collect();
        self.log.append(partition, &records)?;
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

    /// Appends where records lie that their source keeps.
    pub(super) fn append_source(
        &self,
        partition: &PartitionId,
        range: SourceRange,
    ) -> Result<(), DoorError> {
        if self.masks.has_rules(&partition.topic) {
            return Err(DoorError::OwnLog(partition.topic.clone()));
        }
        self.log.append_source(partition, range)?;
        Ok(())
    }

    /// Whether a source that is its own log may go on.
    pub(super) fn has_room(&self, partition: &PartitionId) -> bool {
        self.log.has_room(partition)
    }

    /// The source has nothing more: what is kept to read it again can go.
    pub(super) fn rest_source(&self, partition: &PartitionId) {
        self.log.rest_source(partition);
    }

    /// Makes all that was appended durable.
    pub(super) fn sync(&self) -> Result<(), DoorError> {
        Ok(self.log.sync()?)
    }
}
