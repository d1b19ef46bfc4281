//! Which partitions there are, and where each is read from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use crate::error::{KafkaSourceError, Problem};
use crate::listener::{Listener, Partition};
use crate::options::{KafkaOptions, Start};
use crate::position::KafkaPosition;

/// Time that brokers have for an answer.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(5);

/// The topics that are wanted and there, with their partitions, and the names
/// of those that are not there.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) partitions: BTreeSet<Partition>,
    pub(crate) missing: Vec<String>,
}

/// Asks the brokers for topics and partitions.
pub(crate) fn find(
    consumer: &BaseConsumer<Listener>,
    options: &KafkaOptions,
) -> Result<Found, Problem> {
    let mut found = Found::default();
    let mut take = |topic: &str, count: &[rdkafka::metadata::MetadataPartition]| {
        for partition in count {
            let number = partition.id();
            if options.partitions.is_empty() || options.partitions.contains(&number) {
                found.partitions.insert((topic.to_owned(), number));
            }
        }
    };
    if options.topics.has_patterns() {
        let metadata = consumer.fetch_metadata(None, ANSWER_TIME)?;
        for topic in metadata.topics() {
            if topic.error().is_none() && options.topics.takes(topic.name()) {
                take(topic.name(), topic.partitions());
            }
        }
    }
    for name in options.topics.names() {
        let metadata = consumer.fetch_metadata(Some(name.as_str()), ANSWER_TIME)?;
        for topic in metadata.topics().iter().filter(|it| it.name() == name) {
            match topic.error() {
                None => take(name, topic.partitions()),
                Some(
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                    | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
                ) => found.missing.push(name.clone()),
                Some(error) => {
                    let error = rdkafka::error::RDKafkaErrorCode::from(error);
                    return Err(Problem::Later(format!("topic `{name}`: {error}")));
                }
            }
        }
    }
    Ok(found)
}

/// Where a partition is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Behind what was read.
    Known(i64),
    /// It was never read.
    New(i64),
    /// At the earliest that is there, behind a gap that is accepted.
    BehindGap {
        /// Offset of the next record as it was.
        wanted: i64,
        /// As it is.
        earliest: i64,
    },
}

impl Begin {
    pub(crate) fn offset(self) -> i64 {
        match self {
            Self::Known(offset) | Self::New(offset) => offset,
            Self::BehindGap { earliest, .. } => earliest,
        }
    }
}

/// Looks where a partition is to be read from, and whether that is there.
/// `committed` is what a group knows of a partition that was never read, and
/// `start` holds for one that nobody read.
pub(crate) fn begin(
    consumer: &BaseConsumer<Listener>,
    options: &KafkaOptions,
    position: &KafkaPosition,
    (topic, partition): &Partition,
    committed: Option<i64>,
    start: Start,
) -> Result<Begin, Problem> {
    let watermarks = consumer.fetch_watermarks(topic, *partition, ANSWER_TIME);
    let (earliest, end) = watermarks?;
    let Some(wanted) = position.next_of(topic, *partition) else {
        let first = match (committed, start) {
            (Some(committed), _) => committed.clamp(earliest, end),
            (None, Start::Earliest) => earliest,
            (None, Start::Latest) => end,
        };
        return Ok(Begin::New(first));
    };
    let name = options.name.clone();
    let topic = topic.clone();
    if wanted > end {
        return Err(KafkaSourceError::PartitionShorter {
            name,
            topic,
            partition: *partition,
            wanted,
            end,
        }
        .into());
    }
    if wanted >= earliest {
        return Ok(Begin::Known(wanted));
    }
    if options.accepts_gaps {
        return Ok(Begin::BehindGap { wanted, earliest });
    }
    Err(KafkaSourceError::OffsetsGone {
        name,
        topic,
        partition: *partition,
        wanted,
        earliest,
    }
    .into())
}

/// What a group knows of partitions.
pub(crate) fn committed(
    consumer: &BaseConsumer<Listener>,
    partitions: &[Partition],
) -> Result<BTreeMap<Partition, i64>, Problem> {
    let mut wanted = TopicPartitionList::new();
    for (topic, partition) in partitions {
        wanted.add_partition(topic, *partition);
    }
    let known = consumer.committed_offsets(wanted, ANSWER_TIME)?;
    let mut committed = BTreeMap::new();
    for element in known.elements() {
        if let Offset::Offset(offset) = element.offset() {
            let partition = (element.topic().to_owned(), element.partition());
            committed.insert(partition, offset);
        }
    }
    Ok(committed)
}

/// A list with offsets, as the client takes it.
pub(crate) fn list<'a>(
    partitions: impl IntoIterator<Item = (&'a Partition, i64)>,
) -> Result<TopicPartitionList, Problem> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in partitions {
        list.add_partition_offset(topic, *partition, Offset::Offset(offset))?;
    }
    Ok(list)
}
