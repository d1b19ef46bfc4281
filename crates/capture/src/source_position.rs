//! Where a source of any kind stands.

use serde::{Deserialize, Serialize};
use sluice_core::Record;
use sluice_kafka::position::{KafkaPosition, STEP_MARK as KAFKA_MARK};
use sluice_mysql::position::{DatabasePosition, STEP_MARK};
use sluice_postgres::position::{PostgresPosition, STEP_MARK as POSTGRES_MARK};

use crate::{CaptureError, FilePositions};

/// The first byte of a cursor's position; a file position begins with its
/// version, which is smaller.
const CURSOR_MARK: u8 = 0x80;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourcePosition {
    /// Nothing was read, or the source has no positions (the collector).
    #[default]
    Start,
    /// Of a file source.
    Files(FilePositions),
    /// Of a poll source: the cursor of its next request.
    Cursor(String),
    /// Of a database's log.
    Database(Box<DatabasePosition>),
    /// Of a PostgreSQL server's stream.
    Postgres(Box<PostgresPosition>),
    /// Of the partitions of a Kafka cluster.
    Kafka(Box<KafkaPosition>),
}

impl SourcePosition {
    /// Moves past a record that is in the log.
    ///
    /// # Errors
    /// When the record's position is not understood.
    pub fn observe(&mut self, record: &Record) -> Result<(), CaptureError> {
        match record.position.split_first() {
            None => Ok(()),
            Some((&CURSOR_MARK, cursor)) => {
                let cursor = String::from_utf8_lossy(cursor).into_owned();
                *self = Self::Cursor(cursor);
                Ok(())
            }
            Some((&STEP_MARK, _)) => {
                if !matches!(self, Self::Database(_)) {
                    *self = Self::Database(Box::default());
                }
                let Self::Database(database) = self else {
                    return Ok(());
                };
                let applied = database.apply(&record.position);
                applied.map_err(|error| CaptureError::BadPosition(error.to_string()))
            }
            Some((&POSTGRES_MARK, _)) => {
                if !matches!(self, Self::Postgres(_)) {
                    *self = Self::Postgres(Box::default());
                }
                let Self::Postgres(server) = self else {
                    return Ok(());
                };
                let applied = server.apply(&record.position);
                applied.map_err(|error| CaptureError::BadPosition(error.to_string()))
            }
            Some((&KAFKA_MARK, _)) => {
                if !matches!(self, Self::Kafka(_)) {
                    *self = Self::Kafka(Box::default());
                }
                let Self::Kafka(partitions) = self else {
                    return Ok(());
                };
                let applied = partitions.apply(&record.position);
                applied.map_err(|error| CaptureError::BadPosition(error.to_string()))
            }
            Some(_) => {
                if let Self::Files(files) = self {
                    return files.observe(record);
                }
                let mut files = FilePositions::default();
                files.observe(record)?;
                *self = Self::Files(files);
                Ok(())
            }
        }
    }

    /// Whether the source was read at all, and not only looked at.
    pub fn is_begun(&self) -> bool {
        match self {
            Self::Start => false,
            Self::Database(position) => !position.file.is_empty(),
            Self::Postgres(position) => position.lsn.0 != 0,
            Self::Files(_) | Self::Cursor(_) | Self::Kafka(_) => true,
        }
    }

    /// The positions of files, if it is a file source's.
    pub fn into_files(self) -> FilePositions {
        match self {
            Self::Files(files) => files,
            _ => FilePositions::default(),
        }
    }

    /// The cursor, if it is a poll source's.
    pub fn into_cursor(self) -> Option<String> {
        match self {
            Self::Cursor(cursor) => Some(cursor),
            _ => None,
        }
    }

    /// The position in a database's log, if it is one.
    pub fn into_database(self) -> Option<DatabasePosition> {
        match self {
            Self::Database(position) => Some(*position),
            _ => None,
        }
    }

    /// The position in a PostgreSQL server's stream, if it is one.
    pub fn into_postgres(self) -> Option<PostgresPosition> {
        match self {
            Self::Postgres(position) => Some(*position),
            _ => None,
        }
    }

    /// The position in a Kafka cluster's partitions, if it is one.
    pub fn into_kafka(self) -> Option<KafkaPosition> {
        match self {
            Self::Kafka(position) => Some(*position),
            _ => None,
        }
    }
}

/// A cursor as a record's position.
pub(crate) fn cursor_position(cursor: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + cursor.len());
    bytes.push(CURSOR_MARK);
    bytes.extend_from_slice(cursor.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sluice_core::RecordKind;

    use super::*;

    fn record(position: &[u8]) -> Record {
        Record {
            kind: RecordKind::Position,
            payload: Bytes::new(),
            capture_time_us: 0,
            position: Bytes::copy_from_slice(position),
            transaction: None,
        }
    }

    #[test]
    fn partitions_of_kafka_are_followed_and_stay_readable() {
        let mut position = SourcePosition::Start;
        for step in [
            &b"\x83\x02{\"cluster\":\"c\",\"next\":[[\"t\",1,7]]}"[..],
            b"\x83\x01\0\0\0\x01\0\0\0\0\0\0\0\x08t",
        ] {
            position.observe(&record(step)).unwrap();
        }
        let stored = r#"{"Kafka":{"cluster":"c","next":{"t":{"1":8}}}}"#;
        assert_eq!(serde_json::to_string(&position).unwrap(), stored);
        let back: SourcePosition = serde_json::from_str(stored).unwrap();
        assert_eq!(back, position);
        let next = back.into_kafka().unwrap().next_of("t", 1);
        assert_eq!(next, Some(8));
        assert!(position.observe(&record(b"\x83\x09")).is_err());
    }
}
