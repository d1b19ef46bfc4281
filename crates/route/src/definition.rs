//! Source definitions: what `sources/*.toml` may say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use arrow::datatypes::{DataType, TimeUnit};
use serde::Deserialize;
use sluice_core::{ColumnDefinition, TableDefinition, TableKind, stable_hash};
use toml::Spanned;

use crate::time::{TimeForm, parse_duration_us};

/// One file of definitions.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path, for messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Something wrong in a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionError {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            help,
        } = self;
        write!(formatter, "{file}:{line}:{column}: {message}")?;
        if help.is_empty() {
            return Ok(());
        }
        write!(formatter, "\n  help: {help}")
    }
}

impl std::error::Error for DefinitionError {}

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
    },
}

/// The capture of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureDefinition {
    /// The topic.
    pub topic: String,
    /// Where its records come from.
    pub kind: CaptureKind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    topic: BTreeMap<String, Spanned<TopicText>>,
    #[serde(default)]
    table: BTreeMap<String, Spanned<TableText>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicText {
    #[serde(default = "one")]
    partitions: u32,
    capture: Option<CaptureText>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum CaptureText {
    File {
        path: String,
        format: FileFormat,
        #[serde(default = "comma")]
        delimiter: char,
        #[serde(default = "yes")]
        header: bool,
        #[serde(default = "yes")]
        follow: bool,
    },
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableText {
    topic: Spanned<String>,
    #[serde(default)]
    when: Vec<Condition>,
    explode: Option<String>,
    event_time: Option<Spanned<String>>,
    lateness: Option<Spanned<String>>,
    max_ahead: Option<Spanned<String>>,
    #[serde(default)]
    primary_key: Vec<Spanned<String>>,
    change_kind: Option<ChangeKindDefinition>,
    columns: Vec<Spanned<ColumnText>>,
}

/// A condition on a record; all of a table's must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// CSV column, or JSON pointer.
    pub(crate) field: String,
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
    pub(crate) field: String,
    #[serde(default)]
    pub(crate) insert: Vec<String>,
    #[serde(default)]
    pub(crate) update: Vec<String>,
    #[serde(default)]
    pub(crate) delete: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnText {
    name: String,
    from: String,
    #[serde(rename = "type")]
    data_type: Spanned<String>,
    #[serde(default)]
    missing: Policy,
    #[serde(default)]
    wrong: Policy,
    trim: Option<bool>,
    empty_is_missing: Option<bool>,
    min: Option<f64>,
    max: Option<f64>,
    one_of: Option<Vec<String>>,
    unit: Option<Spanned<String>>,
    format: Option<String>,
    time_zone: Option<Spanned<String>>,
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
    /// The column has this value.
    Constant(String),
}

/// A column with how to get it.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) from: String,
    pub(crate) data_type: DataType,
    pub(crate) missing: Policy,
    pub(crate) wrong: Policy,
    pub(crate) trim: bool,
    pub(crate) empty_is_missing: bool,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) one_of: Option<BTreeSet<String>>,
    pub(crate) time: TimeForm,
}

/// A table with where its rows come from.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) definition: TableDefinition,
    pub(crate) topic: String,
    pub(crate) when: Vec<Condition>,
    pub(crate) explode: Option<String>,
    pub(crate) lateness_us: i64,
    pub(crate) max_ahead_us: i64,
    pub(crate) change_kind: Option<ChangeKindDefinition>,
    pub(crate) columns: Vec<Column>,
}

/// All sources of a warehouse, checked.
#[derive(Debug)]
pub struct Sources {
    captures: Vec<CaptureDefinition>,
    topics: BTreeMap<String, u32>,
    csv_delimiters: BTreeMap<String, u8>,
    pub(crate) tables: Vec<Table>,
    fingerprint: u64,
}

impl Sources {
    /// Where records come from.
    pub fn captures(&self) -> &[CaptureDefinition] {
        &self.captures
    }

    /// The tables, in the order of their names.
    pub fn tables(&self) -> Vec<TableDefinition> {
        self.tables
            .iter()
            .map(|table| table.definition.clone())
            .collect()
    }

    /// Topics with their number of partitions.
    pub fn topics(&self) -> Vec<(String, u32)> {
        let topics = self.topics.iter();
        topics.map(|(name, count)| (name.clone(), *count)).collect()
    }

    /// Identifies the definitions.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The separator, if the topic holds CSV lines.
    pub(crate) fn csv_delimiter(&self, topic: &str) -> Option<u8> {
        self.csv_delimiters.get(topic).copied()
    }
}

/// Reads and checks definitions.
///
/// # Errors
/// All that is wrong in all files, with file, line and column.
pub fn parse_sources(files: &[SourceFile]) -> Result<Sources, Vec<DefinitionError>> {
    let mut reading = Reading::default();
    for file in files {
        reading.file(file);
    }
    for (topic, file, at) in std::mem::take(&mut reading.wanted_topics) {
        if !reading.topics.contains_key(&topic) {
            let message = format!("there is no topic `{topic}`");
            let help = format!("add [topic.{topic}] to a file of sources/");
            reading.error(&files[file], at, message, &help);
        }
    }
    if !reading.errors.is_empty() {
        return Err(reading.errors);
    }
    let mut tables: Vec<Table> = reading.tables.into_values().collect();
    tables.sort_by(|first, second| first.definition.name.cmp(&second.definition.name));
    let mut identity = String::new();
    for file in files {
        identity.push_str(&file.text);
        identity.push('\0');
    }
    Ok(Sources {
        captures: reading.captures,
        topics: reading.topics,
        csv_delimiters: reading.csv_delimiters,
        tables,
        fingerprint: stable_hash(identity.as_bytes()),
    })
}

#[derive(Default)]
struct Reading {
    topics: BTreeMap<String, u32>,
    captures: Vec<CaptureDefinition>,
    csv_delimiters: BTreeMap<String, u8>,
    tables: BTreeMap<String, Table>,
    /// Topic, number of the file, byte position.
    wanted_topics: Vec<(String, usize, usize)>,
    errors: Vec<DefinitionError>,
    files: usize,
}

impl Reading {
    fn error(&mut self, file: &SourceFile, at: usize, message: String, help: &str) {
        let before = file.text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |position| position + 1);
        self.errors.push(DefinitionError {
            file: file.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
            help: help.to_owned(),
        });
    }

    fn file(&mut self, file: &SourceFile) {
        let number = self.files;
        self.files += 1;
        let text: FileText = match toml::from_str(&file.text) {
            Ok(text) => text,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.error(file, at, error.message().to_owned(), "");
                return;
            }
        };
        for (name, topic) in text.topic {
            let at = topic.span().start;
            self.topic(file, name, at, topic.into_inner());
        }
        for (name, table) in text.table {
            let at = table.span().start;
            self.table(file, number, name, at, table.into_inner());
        }
    }

    fn topic(&mut self, file: &SourceFile, name: String, at: usize, topic: TopicText) {
        if topic.partitions == 0 || topic.partitions > 1_024 {
            let message = format!("topic `{name}` has {} partitions", topic.partitions);
            self.error(file, at, message, "choose 1 to 1024");
        }
        if let Some(CaptureText::File {
            path,
            format,
            delimiter,
            header,
            follow,
        }) = topic.capture
        {
            let Ok(delimiter) = u8::try_from(delimiter) else {
                let help = "choose one ASCII character";
                return self.error(file, at, "the delimiter is too wide".into(), help);
            };
            if format == FileFormat::Csv {
                self.csv_delimiters.insert(name.clone(), delimiter);
            }
            self.captures.push(CaptureDefinition {
                topic: name.clone(),
                kind: CaptureKind::File {
                    path,
                    format,
                    delimiter,
                    header,
                    follow,
                },
            });
        }
        if self.topics.insert(name.clone(), topic.partitions).is_some() {
            let message = format!("there is already a topic `{name}`");
            self.error(file, at, message, "choose another name");
        }
    }

    fn table(
        &mut self,
        file: &SourceFile,
        number: usize,
        name: String,
        at: usize,
        text: TableText,
    ) {
        let topic = text.topic.get_ref().clone();
        self.wanted_topics
            .push((topic.clone(), number, text.topic.span().start));
        let mut columns: Vec<Column> = Vec::with_capacity(text.columns.len());
        for column in text.columns {
            let at = column.span().start;
            let column = self.column(file, column.into_inner());
            if columns.iter().any(|other| other.name == column.name) {
                let message = format!("two columns are named `{}`", column.name);
                self.error(file, at, message, "choose another name");
            }
            columns.push(column);
        }
        let position = |this: &mut Self, wanted: &Spanned<String>| {
            let found = columns
                .iter()
                .position(|column| column.name == *wanted.get_ref());
            if found.is_none() {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                let message = format!("there is no column `{}`", wanted.get_ref());
                let help = format!("the columns are {}", names.join(", "));
                this.error(file, wanted.span().start, message, &help);
            }
            found.unwrap_or_default()
        };
        let event_time = text
            .event_time
            .as_ref()
            .map(|wanted| (position(self, wanted), wanted.span().start));
        let primary_key: Vec<usize> = text
            .primary_key
            .iter()
            .map(|wanted| position(self, wanted))
            .collect();
        if let Some((column, at)) = event_time
            && !matches!(columns[column].data_type, DataType::Timestamp(_, _))
        {
            let message = "the event time is no timestamp".to_owned();
            self.error(file, at, message, "give the column type = \"timestamp\"");
        }
        for &key in &primary_key {
            if columns[key].missing == Policy::Null || columns[key].wrong == Policy::Null {
                let message = format!("the key column `{}` may be null", columns[key].name);
                self.error(file, at, message, "a key is never null");
            }
        }
        if columns.is_empty() {
            let message = format!("table `{name}` has no columns");
            self.error(file, at, message, "add [[table.NAME.columns]]");
        }
        let kind = if primary_key.is_empty() {
            TableKind::AppendOnly
        } else {
            TableKind::Changelog { primary_key }
        };
        let definition = TableDefinition {
            name: name.clone(),
            columns: columns
                .iter()
                .map(|column| ColumnDefinition {
                    name: column.name.clone(),
                    data_type: column.data_type.clone(),
                    nullable: true,
                })
                .collect(),
            kind,
            event_time: event_time.map(|(column, _)| column),
        };
        let table = Table {
            definition,
            topic,
            when: text.when,
            explode: text.explode,
            lateness_us: self.duration(file, text.lateness, i64::MAX),
            max_ahead_us: self.duration(file, text.max_ahead, i64::MAX),
            change_kind: text.change_kind,
            columns,
        };
        if self.tables.insert(name.clone(), table).is_some() {
            let message = format!("there is already a table `{name}`");
            self.error(file, at, message, "choose another name");
        }
    }

    fn duration(&mut self, file: &SourceFile, text: Option<Spanned<String>>, absent: i64) -> i64 {
        let Some(text) = text else { return absent };
        parse_duration_us(text.get_ref()).unwrap_or_else(|| {
            let message = format!("`{}` is no duration", text.get_ref());
            let help = "write a number and a unit: 500 ms, 30 s, 15 min, 1 hour, 2 days";
            self.error(file, text.span().start, message, help);
            0
        })
    }

    fn column(&mut self, file: &SourceFile, text: ColumnText) -> Column {
        let data_type = parse_type(text.data_type.get_ref()).unwrap_or_else(|| {
            let message = format!("`{}` is no type", text.data_type.get_ref());
            let help =
                "types: boolean, int32, int64, float64, decimal(18,2), string, timestamp, date";
            self.error(file, text.data_type.span().start, message, help);
            DataType::Utf8
        });
        let mut time = TimeForm::default();
        if let Some(unit) = &text.unit
            && let Err(problem) = time.set_unit(unit.get_ref())
        {
            self.error(
                file,
                unit.span().start,
                problem,
                "units: s, ms, us, rfc3339",
            );
        }
        if let Some(zone) = &text.time_zone
            && let Err(problem) = time.set_zone(zone.get_ref())
        {
            let help = "write an IANA name such as Europe/London or Asia/Shanghai";
            self.error(file, zone.span().start, problem, help);
        }
        if let Some(format) = text.format {
            time.set_format(format);
        }
        let is_pointer = text.from.starts_with('/') || text.from.starts_with("./");
        Column {
            name: text.name,
            from: text.from,
            data_type,
            missing: text.missing,
            wrong: text.wrong,
            trim: text.trim.unwrap_or(!is_pointer),
            empty_is_missing: text.empty_is_missing.unwrap_or(!is_pointer),
            min: text.min,
            max: text.max,
            one_of: text.one_of.map(|values| values.into_iter().collect()),
            time,
        }
    }
}

fn parse_type(text: &str) -> Option<DataType> {
    Some(match text {
        "boolean" => DataType::Boolean,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float64" => DataType::Float64,
        "string" => DataType::Utf8,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "date" => DataType::Date32,
        _ => {
            let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
            let (precision, scale) = inner.split_once(',')?;
            let precision: u8 = precision.trim().parse().ok()?;
            let scale: i8 = scale.trim().parse().ok()?;
            let is_valid = (1..=38).contains(&precision)
                && scale >= 0
                && u8::try_from(scale).is_ok_and(|scale| scale <= precision);
            return is_valid.then_some(DataType::Decimal128(precision, scale));
        }
    })
}
