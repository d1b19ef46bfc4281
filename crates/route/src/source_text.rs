//! The shapes that `sources/*.toml` may have, before anything is checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::definition::FileFormat;
use crate::diversion::Diversion;
use crate::kafka_text::KafkaText;
use crate::mask_text::MaskText;
use crate::messages::MessageForm;
use crate::slots::Field;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileText {
    #[serde(default)]
    pub(crate) topic: BTreeMap<String, Spanned<TopicText>>,
    #[serde(default)]
    pub(crate) table: BTreeMap<String, Spanned<TableText>>,
    pub(crate) diversion: Option<Spanned<Diversion>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicText {
    #[serde(default = "one")]
    pub(crate) partitions: u32,
    #[serde(default)]
    pub(crate) unplaced: Unplaced,
    pub(crate) messages: Option<MessageForm>,
    pub(crate) owner: Option<String>,
    pub(crate) capture: Option<CaptureText>,
    pub(crate) mask: Option<MaskText>,
}

#[derive(Debug, Deserialize)]
// An enumeration with a tag cannot tell where its values stand: messages name
// the place of the topic.
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum CaptureText {
    File {
        path: String,
        format: FileFormat,
        #[serde(default = "comma")]
        delimiter: char,
        #[serde(default = "yes")]
        header: bool,
        #[serde(default = "yes")]
        follow: bool,
        log: Option<LogForm>,
        transactions: Option<TransactionForm>,
    },
    Http {
        write_key: Option<String>,
        #[serde(default = "any_origin")]
        origins: Vec<String>,
        transactions: Option<TransactionForm>,
    },
    Poll {
        url: String,
        interval: Option<String>,
        #[serde(default)]
        items: String,
        cursor: Option<CursorText>,
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    Binlog {
        path: String,
        #[serde(default)]
        tables: Vec<String>,
    },
    MySql(ServerText),
    Postgres(PostgresText),
    Kafka(Box<KafkaText>),
}

/// A PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresText {
    /// Name or number of its machine.
    pub host: String,
    /// Port.
    #[serde(default = "postgres_port")]
    pub port: u16,
    /// Servers that may take its place, as `host:port`.
    #[serde(default)]
    pub failover: Vec<String>,
    /// Database.
    pub database: String,
    /// User.
    pub user: String,
    /// Password, as `env:NAME`.
    pub password: Option<String>,
    /// Names of publications, at least one.
    pub publications: Vec<String>,
    /// Names `schema.table` with `*`; all published tables if there is none.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Name of the slot; made of the topic's name if it is not given.
    pub slot: Option<String>,
    /// Mebibytes of its log that the server may keep before a warning.
    #[serde(default = "slot_mib")]
    pub slot_warning_mib: u64,
    /// Encryption.
    #[serde(default)]
    pub tls: TlsText,
    /// File of certificates that the server's is checked against.
    pub tls_ca: Option<String>,
    /// Whether tables are copied first.
    #[serde(default = "yes")]
    pub snapshot: bool,
}

/// A MySQL or MariaDB server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerText {
    /// Name or number of its machine.
    pub host: String,
    /// Port.
    #[serde(default = "mysql_port")]
    pub port: u16,
    /// Servers that may take its place, as `host:port`.
    #[serde(default)]
    pub failover: Vec<String>,
    /// User.
    pub user: String,
    /// Password, as `env:NAME`.
    pub password: Option<String>,
    /// Names `database.table` with `*`; all tables if there is none.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Encryption.
    #[serde(default)]
    pub tls: TlsText,
    /// File of certificates that the server's is checked against.
    pub tls_ca: Option<String>,
    /// Number by which the server knows this reader.
    pub server_id: Option<u32>,
    /// Whether tables are copied first.
    #[serde(default = "yes")]
    pub snapshot: bool,
}

/// Encryption of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsText {
    /// None.
    #[default]
    Off,
    /// With any server.
    Required,
    /// With a server whose certificate holds.
    Verified,
}

fn postgres_port() -> u16 {
    5_432
}

fn slot_mib() -> u64 {
    1_024
}

fn mysql_port() -> u16 {
    3_306
}

/// What holds the records of files, or of Kafka's topics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogForm {
    /// The log, into which they are copied.
    #[default]
    Copy,
    /// The files or topics themselves.
    Source,
}

/// How a poll source asks for what it has not seen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CursorText {
    /// Parameter of the URL.
    pub parameter: String,
    /// JSON pointer, in an item or (with `of_answer`) in the answer, to the
    /// value for the next request.
    pub field: String,
    /// The value of the first request; without it the parameter is left out.
    pub start: Option<String>,
    /// The cursor is a field of the answer rather than of its last item.
    #[serde(default)]
    pub of_answer: bool,
}

/// How records say which transaction they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransactionForm {
    /// `xid`, and `commit` on the last record.
    Maxwell,
}

fn one() -> u32 {
    1
}
fn comma() -> char {
    ','
}
fn yes() -> bool {
    true
}
fn any_origin() -> Vec<String> {
    vec!["*".to_owned()]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableText {
    pub(crate) topic: Spanned<String>,
    #[serde(default)]
    pub(crate) when: Vec<Spanned<Condition>>,
    pub(crate) explode: Option<Spanned<String>>,
    pub(crate) row: Option<Spanned<String>>,
    pub(crate) before: Option<Spanned<String>>,
    pub(crate) unchanged: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) version: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) dedup_key: Vec<Spanned<String>>,
    pub(crate) dedup_horizon: Option<Spanned<String>>,
    pub(crate) event_time: Option<Spanned<String>>,
    pub(crate) lateness: Option<Spanned<String>>,
    pub(crate) max_ahead: Option<Spanned<String>>,
    #[serde(default = "yes")]
    pub(crate) stored: bool,
    pub(crate) retain: Option<Spanned<String>>,
    pub(crate) retain_by: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) primary_key: Vec<Spanned<String>>,
    pub(crate) change_kind: Option<Spanned<ChangeKindDefinition>>,
    #[serde(default)]
    pub(crate) history: TableHistory,
    pub(crate) person: Option<PersonText>,
    pub(crate) columns: Vec<Spanned<ColumnText>>,
}

/// Which records make the rows of a table that comes while the warehouse has
/// some already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TableHistory {
    /// All that the log holds.
    #[default]
    Log,
    /// Those that come after the table.
    None,
}

/// What becomes of a record that no table takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unplaced {
    /// A dead letter.
    #[default]
    DeadLetter,
    /// Nothing.
    Drop,
}

/// Whose rows a table holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonText {
    pub(crate) kind: String,
    pub(crate) column: Spanned<String>,
}

/// A condition on a record; all of a table's must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub(crate) field: Field,
    pub(crate) equals: Option<String>,
    pub(crate) not_equals: Option<String>,
    #[serde(rename = "in")]
    pub(crate) one_of: Option<Vec<String>>,
    pub(crate) exists: Option<bool>,
}

/// Which values of a field mean insert, update and delete.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeKindDefinition {
    pub(crate) field: Field,
    #[serde(default)]
    pub(crate) insert: Vec<String>,
    #[serde(default)]
    pub(crate) update: Vec<String>,
    #[serde(default)]
    pub(crate) delete: Vec<String>,
    #[serde(default = "truncate")]
    pub(crate) truncate: Vec<String>,
}

/// How captured servers say that a table was emptied.
fn truncate() -> Vec<String> {
    vec!["truncate".to_owned()]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnText {
    pub(crate) name: String,
    pub(crate) from: Spanned<String>,
    #[serde(rename = "type")]
    pub(crate) data_type: Spanned<String>,
    #[serde(default)]
    pub(crate) missing: Policy,
    #[serde(default)]
    pub(crate) wrong: Policy,
    #[serde(default)]
    pub(crate) last_by: Vec<Spanned<String>>,
    pub(crate) trim: Option<bool>,
    pub(crate) empty_is_missing: Option<bool>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) one_of: Option<Vec<String>>,
    pub(crate) unit: Option<Spanned<String>>,
    pub(crate) format: Option<String>,
    pub(crate) time_zone: Option<Spanned<String>>,
}

/// What to do with a missing or wrong value.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Policy {
    /// The record becomes a dead letter.
    #[default]
    DeadLetter,
    /// The row is left out without a word.
    Drop,
    /// The column is null.
    Null,
    /// The column has the last value that its key had.
    Last,
    /// The column has this value.
    Constant(String),
}
