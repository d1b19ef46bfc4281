//! What is wrong with a log, and where.

use crate::input::BadBytes;
use crate::schema::TableName;

/// What is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Its bytes are not understood.
    #[error("{0}")]
    Bytes(#[from] BadBytes),
    /// It is of a kind that is not known and must not be passed over.
    #[error("events of kind {0} are not known; a newer version of this program may know them")]
    UnknownKind(u8),
    /// Everything behind it is encrypted.
    #[error(
        "the log is encrypted from here on\n  help: read it from the server, which decrypts it, or set `encrypt_binlog = OFF` there"
    )]
    Encrypted,
    /// A change was logged as its statement.
    #[error(
        "a change is in the log as a statement instead of rows (`{0}`)\n  help: set `binlog_format = ROW` on the server, for running sessions too, and take the first copy of the tables again"
    )]
    Statement(String),
    /// The table's columns are not known.
    #[error(
        "{0}: the columns behind the log's table map are not known, {1}\n  help: set `binlog_row_metadata = FULL` on the server, so that the log says them, or GRANT SELECT on the table to the user; of files, begin with the one that creates the table"
    )]
    UnknownTable(TableName, String),
    /// A new row lacks a column whose default is not known.
    #[error(
        "{0}: a new row does not say column `{1}`, and its default is not known\n  help: set `binlog_row_image = FULL` (or NOBLOB) on the server"
    )]
    UnknownDefault(TableName, String),
    /// Rows without a table map.
    #[error("its rows belong to table number {0}, which no event before named")]
    NoTableMap(u64),
    /// A transaction begins inside another.
    #[error(
        "a transaction begins before {0} has its end: a part of the log is missing or damaged\n  help: put back the file as the server wrote it, or take the first copy of the tables again"
    )]
    NoEnd(String),
    /// JSON columns hold differences.
    #[error(
        "JSON columns are logged as differences\n  help: set `binlog_row_value_options = ''` on the server"
    )]
    PartialJson,
    /// A distributed transaction.
    #[error(
        "a distributed transaction (XA) was prepared apart from its commit, and its rows may still be undone\n  help: leave its tables out (`tables`), or let the application commit in one phase"
    )]
    Distributed,
    /// Identities with tags.
    #[error(
        "the transaction's GTID has a tag, which is not understood\n  help: let the application use GTIDs without tags"
    )]
    TaggedGtid,
    /// A transaction that was read in part does not come next.
    #[error(
        "rows of the transaction {wanted} were read, and the server gives {found} before it: it has them in another order\n  help: the server that was read before goes on with it, and so does one that keeps its order (`replica_preserve_commit_order`)"
    )]
    OtherOrder {
        /// The transaction that was read in part.
        wanted: String,
        /// The one that comes.
        found: String,
    },
    /// The server lost changes.
    #[error(
        "the server says that changes may be missing from its log: {0}\n  help: take the first copy of the tables again"
    )]
    Incident(String),
    /// The file does not begin like one.
    #[error("it does not begin like a binary log{0}")]
    NoLog(&'static str),
    /// Events come before the one that describes the format.
    #[error("it comes before the description of the log's format")]
    NoFormat,
}

/// Something wrong in a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, the event at byte {offset}: {problem}")]
pub struct LogError {
    /// The log's file.
    pub file: String,
    /// Where the event begins in it.
    pub offset: u64,
    /// What is wrong.
    pub problem: Problem,
}
