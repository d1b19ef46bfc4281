//! Where a source of any kind stands.

use serde::{Deserialize, Serialize};
use sluice_core::Record;
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
}

/// A cursor as a record's position.
pub(crate) fn cursor_position(cursor: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + cursor.len());
    bytes.push(CURSOR_MARK);
    bytes.extend_from_slice(cursor.as_bytes());
    bytes
}
