//! Sources of one file, and records of their topics.

use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{LogRecord, PartitionId, Record, RecordKind};
use sluice_route::{SourceFile, Sources, parse_sources};

/// What the text of a file says, which must be right.
pub fn sources_of(text: &str) -> Arc<Sources> {
    let file = SourceFile {
        path: "a.toml".into(),
        text: text.into(),
    };
    Arc::new(parse_sources(&[file]).unwrap())
}

/// The first partition of a topic.
pub fn partition(topic: &str) -> PartitionId {
    PartitionId {
        topic: topic.into(),
        partition: 0,
    }
}

/// A record that was captured at that time.
pub fn record_at(
    capture_time_us: i64,
    offset: u64,
    kind: RecordKind,
    payload: impl Into<Bytes>,
) -> LogRecord {
    LogRecord {
        offset,
        record: Record {
            kind,
            payload: payload.into(),
            capture_time_us,
            position: Bytes::new(),
            transaction: None,
        },
    }
}
