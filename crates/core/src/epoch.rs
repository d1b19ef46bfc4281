//! Epochs: the consistent steps of the whole warehouse.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The number of one consistent step of the whole warehouse. Epoch 0 is the
/// empty warehouse; the first step that holds data is epoch 1. A number never
/// gets different content.
pub type Epoch = u64;

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId {
    /// Name of the topic.
    pub topic: String,
    /// Number of the partition, from 0.
    pub partition: u32,
}

/// Where an epoch ends in each topic partition. Epoch *n* holds the records
/// from the end offsets of epoch *n − 1* (inclusive) to its own (exclusive).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochCut {
    /// The epoch that this cut closes.
    pub epoch: Epoch,
    /// Exclusive end offset by partition. Partitions that hold nothing yet may
    /// be absent and count as 0.
    #[serde(with = "partition_offsets")]
    pub end_offsets: BTreeMap<PartitionId, u64>,
}

/// JSON objects need string keys, so that cuts are written as a list of
/// `[topic, partition, offset]`.
mod partition_offsets {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        offsets: &BTreeMap<PartitionId, u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            offsets
                .iter()
                .map(|(id, offset)| (&id.topic, id.partition, offset)),
        )
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<PartitionId, u64>, D::Error> {
        let list = Vec::<(String, u32, u64)>::deserialize(deserializer)?;
        Ok(list
            .into_iter()
            .map(|(topic, partition, offset)| (PartitionId { topic, partition }, offset))
            .collect())
    }
}
