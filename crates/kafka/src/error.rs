//! Errors of Kafka as a source.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum KafkaSourceError {
    /// The settings make no consumer.
    #[error(
        "{name}: the settings are not taken: {problem}\n  help: see docs/kafka.md for `[topic.{name}.capture]`"
    )]
    Settings {
        /// The source.
        name: String,
        /// What the client says.
        problem: String,
    },
    /// A name in `topics` is none.
    #[error(
        "`{name}` in `topics` is {problem}\n  help: write the name of a topic, or a regular expression that begins with ^"
    )]
    BadTopic {
        /// The name.
        name: String,
        /// Why not.
        problem: String,
    },
    /// The brokers are others.
    #[error(
        "{name}: the brokers are those of cluster {found}, and what was read is of cluster {known}\n  help: correct `bootstrap_servers`, or begin with an empty state folder"
    )]
    OtherCluster {
        /// The source.
        name: String,
        /// Where positions belong to.
        known: String,
        /// What answers.
        found: String,
    },
    /// Records were deleted before they were read.
    #[error(
        "{name}: partition {partition} of topic `{topic}` goes on at offset {wanted}, but the earliest there is {earliest}: {} records were deleted before they were read\n  help: raise the topic's retention; begin with an empty state folder, or accept the gap with missing_offsets = \"earliest\"",
        .earliest - .wanted
    )]
    OffsetsGone {
        /// The source.
        name: String,
        /// Kafka's topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Offset of the next record.
        wanted: i64,
        /// Earliest that the broker has.
        earliest: i64,
    },
    /// The partition ends before what was read.
    #[error(
        "{name}: partition {partition} of topic `{topic}` goes on at offset {wanted}, but ends at {end}: it was made anew, or brokers lost records that had been read\n  help: begin with an empty state folder"
    )]
    PartitionShorter {
        /// The source.
        name: String,
        /// Kafka's topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Offset of the next record.
        wanted: i64,
        /// Where it ends.
        end: i64,
    },
    /// A leader was elected that lacks records that had been read.
    #[error(
        "{name}: {place} lost records that had been read, and others may stand at their offsets: a broker became the leader that did not have them: {problem}\n  help: begin with an empty state folder; a start with this one goes on at its offset, without what came before it anew. `unclean.leader.election.enable=false` on the brokers and `acks=all` of the producers keep it from coming again"
    )]
    Truncated {
        /// The source.
        name: String,
        /// Which partition of which topic, as far as the client says it.
        place: String,
        /// What the client says, with offsets and epochs of leaders.
        problem: String,
    },
    /// Records of a topic that is its own log are gone.
    #[error(
        "{name}: {place}, which are their own log (`log = \"source\"`), are gone: {problem}; nothing was computed without them\n  help: bring them back, or start with another --state folder; keep the topic's records for good (`retention.ms=-1`, `retention.bytes=-1`), or leave `log = \"source\"` out"
    )]
    LogGone {
        /// The source.
        name: String,
        /// Which.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// Records of a topic that is its own log cannot be decoded any more.
    #[error(
        "{name}: {place}, which are their own log (`log = \"source\"`), can no longer be decoded: {problem}\n  help: give `schema_registry` the registry that they were read with"
    )]
    LogUndecoded {
        /// The source.
        name: String,
        /// Which.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// A topic that is to be its own log is compacted.
    #[error(
        "{name}: the topic `{topic}` has `cleanup.policy={policy}`: brokers remove records of it, so that it cannot be its own log (`log = \"source\"`)\n  help: leave `log = \"source\"` out, so that its records are copied"
    )]
    Compacted {
        /// The source.
        name: String,
        /// Kafka's topic.
        topic: String,
        /// What is set.
        policy: String,
    },
    /// Records cannot be read.
    #[error(
        "{name}: a broker gave records that cannot be read: {problem}\n  help: check the disk and the log of the broker; nothing behind them was taken"
    )]
    Damaged {
        /// The source.
        name: String,
        /// What the client says.
        problem: String,
    },
}

/// Why something did not work now.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It may work later.
    Later(String),
    /// It will not.
    Never(Box<KafkaSourceError>),
}

impl From<KafkaError> for Problem {
    fn from(error: KafkaError) -> Self {
        Self::Later(words(&error))
    }
}

impl From<KafkaSourceError> for Problem {
    fn from(error: KafkaSourceError) -> Self {
        Self::Never(Box::new(error))
    }
}

/// An error of the client without the names of its types.
pub(crate) fn words(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => code.to_string(),
        None => error.to_string(),
    }
}

/// Whether an error says that what a broker sent is damaged.
pub(crate) fn is_damage(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::InvalidMessage
    )
}
