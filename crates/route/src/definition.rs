//! Source definitions: what `sources/*.toml` may say, as it was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::DataType;
use serde::Deserialize;
use sluice_core::{PartitionId, TableDefinition};
use sluice_mask::{Action, LeftOut, TopicRules};

pub use crate::definition_error::{DefinitionError, SourceFile};
use crate::diversion::Diversion;
use crate::kafka_text::KafkaText as KafkaCluster;
use crate::messages::MessageForm;
use crate::retention::Retention;
use crate::slots::{Field, SlotPlan};
use crate::source_text::{ChangeKindDefinition, Condition, Policy, TableHistory};
pub use crate::source_text::{
    CursorText as PollCursor, PostgresText as PostgresServer, ServerText as MySqlServer,
    TlsText as Tls, TransactionForm,
};
use crate::time::TimeForm;

/// Form of a topic's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values.
    Csv,
}

/// Where a topic's records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureKind {
    /// Files under a path with `*`.
    File {
        /// The path.
        path: String,
        /// Their form.
        format: FileFormat,
        /// Separator of CSV.
        delimiter: u8,
        /// Whether CSV files start with a header line.
        header: bool,
        /// Whether to wait for what is appended.
        follow: bool,
        /// Whether the files are their own log.
        own_log: bool,
    },
    /// Clients send them to the collector.
    Http {
        /// The name of the environment variable that holds the key which
        /// clients must send; without it everyone may.
        write_key: Option<String>,
        /// Origins of web pages that may send; `*` is any.
        origins: Vec<String>,
    },
    /// An address is asked again and again.
    Poll {
        /// The address.
        url: String,
        /// Time between requests, in microseconds.
        interval_us: i64,
        /// JSON pointer to the array of items in an answer; empty if the
        /// answer is that array.
        items: String,
        /// What says which items are new.
        cursor: Option<PollCursor>,
        /// Headers of the request. A value `env:NAME` is taken from the
        /// environment.
        headers: BTreeMap<String, String>,
    },
    /// Files of the binary log of MySQL or MariaDB.
    Binlog {
        /// Their path, with `*`.
        path: String,
        /// Names `database.table` with `*`; all tables if there is none.
        tables: Vec<String>,
    },
    /// A server of MySQL or MariaDB.
    MySql(MySqlServer),
    /// A PostgreSQL server.
    Postgres(PostgresServer),
    /// Topics of a Kafka cluster.
    Kafka(Box<KafkaCluster>),
}

/// The capture of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureDefinition {
    /// The topic.
    pub topic: String,
    /// Where its records come from.
    pub kind: CaptureKind,
    /// How its records say which transaction they belong to, if they do.
    pub transactions: Option<TransactionForm>,
    /// Who is told when something is wrong with it.
    pub owner: Option<String>,
}

/// Time between the requests of a poll source, if it does not say.
pub(crate) const POLL_INTERVAL_US: i64 = 10_000_000;
/// How long keys are remembered to find duplicates, if a table does not say.
pub(crate) const DEDUP_HORIZON_US: i64 = 3_600_000_000;

/// A column with how to get it.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) from: Field,
    pub(crate) data_type: DataType,
    pub(crate) missing: Policy,
    pub(crate) wrong: Policy,
    /// Columns whose values say which value was the last.
    pub(crate) last_by: Vec<usize>,
    pub(crate) trim: bool,
    pub(crate) empty_is_missing: bool,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) one_of: Option<BTreeSet<String>>,
    pub(crate) time: TimeForm,
    /// Whether nothing is asked of a value but its type.
    pub(crate) is_plain: bool,
}

/// How duplicates of an append-only table are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dedup {
    /// Columns that identify a row.
    pub(crate) key: Vec<usize>,
    /// How long a key is remembered.
    pub(crate) horizon_us: i64,
}

/// Whose rows a table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// The kind of person.
    pub(crate) kind: String,
    /// The column with the id.
    pub(crate) column: usize,
}

/// A table with where its rows come from.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) definition: TableDefinition,
    pub(crate) topic: String,
    pub(crate) when: Vec<Condition>,
    pub(crate) explode: Option<Field>,
    /// JSON pointer to the object that `./` starts from.
    pub(crate) row: Option<Field>,
    /// JSON pointer to the before-image, in the form of the row.
    pub(crate) before: Option<Field>,
    /// JSON pointer to the names of the fields that a change left as they were
    /// and does not say.
    pub(crate) unchanged: Option<Field>,
    /// One or two fields that order the changes of a key.
    pub(crate) version: Vec<Field>,
    pub(crate) person: Option<Person>,
    pub(crate) dedup: Option<Dedup>,
    pub(crate) lateness_us: i64,
    pub(crate) max_ahead_us: i64,
    pub(crate) retention: Option<Retention>,
    pub(crate) change_kind: Option<ChangeKindDefinition>,
    pub(crate) history: TableHistory,
    pub(crate) columns: Vec<Column>,
    /// Identifies all of this: tables of equal prints have equal rows.
    pub(crate) print: u64,
}

impl Table {
    /// Gives a number to every place in a record that the table names.
    pub(crate) fn number_fields(&mut self, plan: &mut SlotPlan, is_csv: bool) {
        let mut number = |field: &mut Field, row: Option<&str>| {
            // What an element holds has no place of its own in the record.
            let name = match (field.name.strip_prefix('.'), row) {
                (Some(inside), Some(row)) if !is_csv => Some(format!("{row}{inside}")),
                (Some(_), None) if !is_csv => None,
                _ => Some(field.name.clone()),
            };
            field.slot = name.map(|name| plan.number(&name));
        };
        // Conditions are about the record, not about its row.
        for condition in &mut self.when {
            number(&mut condition.field, None);
        }
        let places = [
            &mut self.explode,
            &mut self.row,
            &mut self.before,
            &mut self.unchanged,
        ];
        for field in places.into_iter().flatten() {
            number(field, None);
        }
        let row = self.row.as_ref().map(|row| row.name.as_str());
        let change_kind = self.change_kind.iter_mut().map(|kind| &mut kind.field);
        let columns = self.columns.iter_mut().map(|column| &mut column.from);
        for field in change_kind.chain(columns).chain(&mut self.version) {
            number(field, row);
        }
    }

    /// Whether rows may need what earlier records said.
    pub(crate) fn has_last_values(&self) -> bool {
        self.columns.iter().any(|column| !column.last_by.is_empty())
    }
}

/// All sources of a warehouse, checked.
#[derive(Debug)]
pub struct Sources {
    pub(crate) captures: Vec<CaptureDefinition>,
    pub(crate) topics: BTreeMap<String, u32>,
    pub(crate) masks: BTreeMap<String, TopicRules>,
    pub(crate) left_out: OnceLock<Arc<LeftOut>>,
    pub(crate) csv_delimiters: BTreeMap<String, u8>,
    pub(crate) tables: Vec<Table>,
    /// Topics whose records need no table.
    pub(crate) unplaced_dropped: BTreeSet<String>,
    pub(crate) diversion: Option<Diversion>,
    /// Topics of change messages.
    pub(crate) messages: BTreeMap<String, MessageForm>,
    pub(crate) plans: BTreeMap<String, SlotPlan>,
    pub(crate) places_nowhere: Vec<DefinitionError>,
    pub(crate) fingerprint: u64,
}

impl Sources {
    /// Where records come from.
    pub fn captures(&self) -> &[CaptureDefinition] {
        &self.captures
    }

    /// The places that tables name of records of JSON and that none of them can have:
    /// names of columns where JSON pointers belong.
    pub fn places_nowhere(&self) -> &[DefinitionError] {
        &self.places_nowhere
    }

    /// What is done to the records of topics before they are written.
    pub fn masks(&self) -> &BTreeMap<String, TopicRules> {
        &self.masks
    }

    /// Leaves the rows of erased persons out from now on. To be called before
    /// anything is read; only the first call counts.
    pub fn leave_out(&self, left_out: Arc<LeftOut>) {
        let _ = self.left_out.set(left_out);
    }

    /// The kinds of persons who can be erased.
    pub fn person_kinds(&self) -> BTreeSet<&str> {
        let tables = self.tables.iter().filter_map(|table| table.person.as_ref());
        let mut kinds: BTreeSet<&str> = tables.map(|person| person.kind.as_str()).collect();
        for rules in self.masks.values() {
            let columns = rules.tables.values().flatten();
            for (_, action) in rules.fields.iter().chain(columns) {
                if let Action::Encrypt(field) = action {
                    kinds.insert(&field.kind);
                }
            }
        }
        kinds
    }

    /// The tables, in the order of their names.
    pub fn tables(&self) -> Vec<TableDefinition> {
        self.tables
            .iter()
            .map(|table| table.definition.clone())
            .collect()
    }

    /// How long tables keep their rows, where they do not keep them for ever.
    pub fn retentions(&self) -> Vec<Retention> {
        let retentions = self.tables.iter().map(|table| table.retention.clone());
        retentions.flatten().collect()
    }

    /// The partitions that fill a table.
    pub(crate) fn partitions_of(&self, table: &Table) -> Vec<PartitionId> {
        let count = self.topics.get(&table.topic).copied().unwrap_or(1);
        let partition = |partition| PartitionId {
            topic: table.topic.clone(),
            partition,
        };
        (0..count).map(partition).collect()
    }

    /// Topics with their number of partitions.
    pub fn topics(&self) -> Vec<(String, u32)> {
        let topics = self.topics.iter();
        topics.map(|(name, count)| (name.clone(), *count)).collect()
    }

    /// The table of the shop's own that diverts its tables, if there is one.
    pub fn diversion(&self) -> Option<&Diversion> {
        self.diversion.as_ref()
    }

    /// The topic of a table.
    pub fn topic_of(&self, table: &str) -> Option<&str> {
        let mut tables = self.tables.iter();
        let found = tables.find(|known| known.definition.name == table)?;
        Some(&found.topic)
    }

    /// Whether a table begins with the change that makes it, instead of with the
    /// log.
    pub fn begins_empty(&self, table: &str) -> bool {
        let mut tables = self.tables.iter();
        let found = tables.find(|known| known.definition.name == table);
        found.is_some_and(|table| table.history == TableHistory::None)
    }

    /// Whether a record that no table takes is nothing to speak of.
    pub fn drops_unplaced(&self, topic: &str) -> bool {
        self.unplaced_dropped.contains(topic)
    }

    /// Why no rule of diversion can mask, if none can.
    pub fn unmaskable(&self) -> Option<String> {
        let topic = self.diversion.as_ref()?.topic.as_str();
        let mut captures = self.captures.iter().filter(|it| it.topic == topic);
        let is_own_log = captures.any(|capture| match &capture.kind {
            CaptureKind::File { own_log, .. } => *own_log,
            CaptureKind::Kafka(cluster) => cluster.is_own_log(),
            _ => false,
        });
        if is_own_log {
            return Some(format!(
                "the source of topic `{topic}` is its own log: what it says cannot be masked before it is there"
            ));
        }
        let has_other_form = self.messages.contains_key(topic) || self.is_csv(topic);
        has_other_form.then(|| {
            format!("topic `{topic}` holds CSV or has `messages`, where no rules are found before the log is written: mask in the topic")
        })
    }

    /// Whether a topic holds lines of CSV, which can be read only behind their
    /// header.
    pub fn is_csv(&self, topic: &str) -> bool {
        self.csv_delimiters.contains_key(topic)
    }

    /// Identifies the definitions.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The places that the tables of a topic name; `None` if it has no table.
    pub(crate) fn slot_plan(&self, topic: &str) -> Option<&SlotPlan> {
        self.plans.get(topic)
    }

    /// The separator, if the topic holds CSV lines.
    pub(crate) fn csv_delimiter(&self, topic: &str) -> Option<u8> {
        self.csv_delimiters.get(topic).copied()
    }
}
