//! The router: records in, changes of tables and dead letters out.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_core::{
    ChangeKind, DeadLetter, LogRecord, PartitionId, RecordKind, SourceVersion, TableChanges,
    TableKind,
};

use crate::Sources;
use crate::cell::{Cell, ColumnBuilder, Problem, read};
use crate::definition::{Condition, Policy, Table};
use crate::fields::{CsvFields, Fields, Header};

/// Version of the saved state.
const STATE_VERSION: u32 = 1;
/// Dead letters keep so many bytes of the record.
const PAYLOAD_BYTES_MAX: usize = 4_096;

/// A saved router cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// It is damaged.
    #[error("the router's state cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    /// It is of another version.
    #[error("the router's state has format version {found}, this program reads version {expected}")]
    Version {
        /// Version found.
        found: u32,
        /// Version expected.
        expected: u32,
    },
}

/// What came of some records.
#[derive(Debug, Default)]
pub struct Routed {
    /// Changes, at most one batch for each table.
    pub changes: Vec<TableChanges>,
    /// Records that became no rows.
    pub dead_letters: Vec<DeadLetter>,
    /// Greatest event time minus lateness, by table, in microseconds.
    pub watermarks: BTreeMap<String, i64>,
}

/// What the router remembers of one partition. It decides on acceptance from
/// earlier records of the same partition alone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct PartitionMemory {
    header: Option<Vec<String>>,
    /// Greatest accepted event time by table.
    event_times: BTreeMap<String, i64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedState {
    version: u32,
    partitions: Vec<(PartitionId, PartitionMemory)>,
}

/// See the module.
#[derive(Debug)]
pub struct Router {
    sources: Arc<Sources>,
    memory: BTreeMap<PartitionId, PartitionMemory>,
}

impl Router {
    /// A router that has seen nothing.
    pub fn new(sources: Arc<Sources>) -> Self {
        Self {
            sources,
            memory: BTreeMap::new(),
        }
    }

    /// Routes records of one partition, in order. Never fails: what is wrong
    /// becomes a dead letter.
    pub fn route(&mut self, id: &PartitionId, records: &[LogRecord]) -> Routed {
        let sources = self.sources.clone();
        let memory = self.memory.entry(id.clone()).or_default();
        let tables = sources
            .tables
            .iter()
            .filter(|table| table.topic == id.topic);
        let mut batch = Batch {
            id,
            delimiter: sources.csv_delimiter(&id.topic),
            tables: tables.map(TableBatch::new).collect(),
            header: header_of(memory.header.as_deref()),
            header_width: memory.header.as_ref().map_or(0, Vec::len),
            memory,
            csv: CsvFields::default(),
            dead_letters: Vec::new(),
        };
        for record in records {
            batch.record(record);
        }
        batch.finish()
    }

    /// The router's memory.
    pub fn save(&self) -> Vec<u8> {
        let state = SavedState {
            version: STATE_VERSION,
            partitions: self
                .memory
                .iter()
                .map(|(id, memory)| (id.clone(), memory.clone()))
                .collect(),
        };
        // Maps with text keys, lists and numbers always have a JSON form.
        serde_json::to_vec(&state).unwrap_or_default()
    }

    /// A router as it was saved.
    ///
    /// # Errors
    /// When the bytes are damaged or of another version.
    pub fn restore(sources: Arc<Sources>, bytes: &[u8]) -> Result<Self, RouteError> {
        let state: SavedState = serde_json::from_slice(bytes)?;
        if state.version != STATE_VERSION {
            return Err(RouteError::Version {
                found: state.version,
                expected: STATE_VERSION,
            });
        }
        Ok(Self {
            sources,
            memory: state.partitions.into_iter().collect(),
        })
    }
}

fn header_of(names: Option<&[String]>) -> Header {
    let numbered = names.unwrap_or_default().iter().enumerate();
    numbered
        .map(|(index, name)| (name.clone(), index))
        .collect()
}

/// The rows of one table that a batch gives.
struct TableBatch<'a> {
    table: &'a Table,
    builders: Vec<ColumnBuilder>,
    kinds: Vec<ChangeKind>,
    versions: Vec<SourceVersion>,
}

impl<'a> TableBatch<'a> {
    fn new(table: &'a Table) -> Self {
        let types = table.columns.iter().map(|column| &column.data_type);
        Self {
            table,
            builders: types.map(ColumnBuilder::new).collect(),
            kinds: Vec::new(),
            versions: Vec::new(),
        }
    }
}

/// A refusal of a row.
struct Refusal {
    column: String,
    reason: &'static str,
    detail: String,
}

struct Batch<'a> {
    id: &'a PartitionId,
    delimiter: Option<u8>,
    tables: Vec<TableBatch<'a>>,
    header: Header,
    header_width: usize,
    memory: &'a mut PartitionMemory,
    csv: CsvFields,
    dead_letters: Vec<DeadLetter>,
}

impl Batch<'_> {
    fn dead_letter(&mut self, record: &LogRecord, table: &str, refusal: Refusal) {
        let payload = &record.record.payload;
        let kept = &payload[..payload.len().min(PAYLOAD_BYTES_MAX)];
        self.dead_letters.push(DeadLetter {
            topic: self.id.topic.clone(),
            partition: self.id.partition,
            offset: record.offset,
            table: table.to_owned(),
            column: refusal.column,
            reason: refusal.reason,
            detail: refusal.detail,
            payload: String::from_utf8_lossy(kept).into_owned(),
            capture_time_us: record.record.capture_time_us,
        });
    }

    fn refuse_record(&mut self, record: &LogRecord, reason: &'static str, detail: String) {
        let column = String::new();
        let refusal = Refusal {
            column,
            reason,
            detail,
        };
        self.dead_letter(record, "", refusal);
    }

    fn record(&mut self, record: &LogRecord) {
        match (record.record.kind, self.delimiter) {
            (RecordKind::CsvHeader, Some(delimiter)) => self.csv_header(record, delimiter),
            (RecordKind::CsvHeader, None) => {}
            (RecordKind::Data, Some(delimiter)) => self.csv_line(record, delimiter),
            (RecordKind::Data, None) => self.json(record),
        }
    }

    fn csv_header(&mut self, record: &LogRecord, delimiter: u8) {
        let is_text = self.csv.split(&record.record.payload, delimiter);
        let names: Vec<String> = (0..self.csv.len())
            .filter_map(|index| self.csv.get(index).map(|name| name.trim().to_owned()))
            .collect();
        self.header = header_of(Some(&names));
        self.header_width = self.csv.len();
        self.memory.header = Some(names);
        if !is_text {
            self.refuse_record(record, "bad_utf8", "the header is not UTF-8".into());
        }
        let mut missing = Vec::new();
        for table in &self.tables {
            for column in &table.table.columns {
                let needed = column.missing == Policy::DeadLetter;
                if needed && !self.header.contains_key(&column.from) {
                    missing.push((table.table.definition.name.clone(), column.from.clone()));
                }
            }
        }
        for (table, column) in missing {
            let refusal = Refusal {
                detail: format!("the header has no column `{column}`"),
                column,
                reason: "bad_header",
            };
            self.dead_letter(record, &table, refusal);
        }
    }

    fn csv_line(&mut self, record: &LogRecord, delimiter: u8) {
        let mut csv = std::mem::take(&mut self.csv);
        if !csv.split(&record.record.payload, delimiter) {
            self.refuse_record(record, "bad_utf8", "the line is not UTF-8".into());
        } else if csv.len() != self.header_width {
            let detail = format!("{} fields, the header has {}", csv.len(), self.header_width);
            self.refuse_record(record, "wrong_column_count", detail);
        } else {
            let header = std::mem::take(&mut self.header);
            let fields = Fields::Csv {
                fields: &csv,
                header: &header,
            };
            self.row(record, fields);
            self.header = header;
        }
        self.csv = csv;
    }

    fn json(&mut self, record: &LogRecord) {
        let Ok(text) = std::str::from_utf8(&record.record.payload) else {
            return self.refuse_record(record, "bad_utf8", "the record is not UTF-8".into());
        };
        match serde_json::from_str::<Value>(text) {
            Ok(value) => self.row(
                record,
                Fields::Json {
                    record: &value,
                    element: None,
                },
            ),
            Err(error) => self.refuse_record(record, "not_json", error.to_string()),
        }
    }

    /// Gives the record to every table whose conditions hold.
    fn row(&mut self, record: &LogRecord, fields: Fields<'_>) {
        let mut is_placed = false;
        for number in 0..self.tables.len() {
            let table = self.tables[number].table;
            if !table.when.iter().all(|condition| holds(condition, &fields)) {
                continue;
            }
            is_placed = true;
            let elements = match (&table.explode, fields) {
                (Some(pointer), Fields::Json { record, .. }) => {
                    let array = record.pointer(pointer).and_then(Value::as_array);
                    array.map(|elements| (record, elements))
                }
                _ => {
                    self.table_row(record, number, fields, 0);
                    continue;
                }
            };
            for (minor, element) in elements
                .iter()
                .flat_map(|(_, elements)| elements.iter().enumerate())
            {
                if let Some((value, _)) = elements {
                    let element_fields = Fields::Json {
                        record: value,
                        element: Some(element),
                    };
                    self.table_row(record, number, element_fields, minor as u64);
                }
            }
        }
        if !is_placed {
            let detail = "no table's conditions hold".to_owned();
            self.refuse_record(record, "no_table", detail);
        }
    }

    fn table_row(&mut self, record: &LogRecord, number: usize, fields: Fields<'_>, minor: u64) {
        let table = self.tables[number].table;
        match self.read_row(record, table, &fields) {
            Ok(Some((cells, kind))) => {
                let batch = &mut self.tables[number];
                for (builder, cell) in batch.builders.iter_mut().zip(&cells) {
                    builder.push(cell);
                }
                batch.kinds.push(kind);
                batch.versions.push(SourceVersion {
                    major: record.offset,
                    minor,
                });
            }
            Ok(None) => {}
            Err(refusal) => self.dead_letter(record, &table.definition.name, refusal),
        }
    }

    /// The row's values and what it does; `None` if it is to be left out.
    fn read_row<'f>(
        &mut self,
        record: &LogRecord,
        table: &Table,
        fields: &Fields<'f>,
    ) -> Result<Option<(Vec<Cell<'f>>, ChangeKind)>, Refusal> {
        let kind = change_kind(table, fields)?;
        let key: &[usize] = match &table.definition.kind {
            TableKind::Changelog { primary_key } => primary_key,
            TableKind::AppendOnly => &[],
        };
        let mut cells = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            match read(column, fields) {
                Ok(cell) => cells.push(cell),
                // A delete needs nothing but its key.
                Err(_) if kind == ChangeKind::Delete && !key.contains(&index) => {
                    cells.push(Cell::Null);
                }
                Err(Problem::Drop) => return Ok(None),
                Err(Problem::DeadLetter { reason, detail }) => {
                    return Err(Refusal {
                        column: column.name.clone(),
                        reason,
                        detail,
                    });
                }
            }
        }
        if table.definition.kind == TableKind::AppendOnly {
            self.accept(record, table, &cells)?;
        }
        Ok(Some((cells, kind)))
    }

    /// Rows that are too late or too far ahead are refused.
    fn accept(
        &mut self,
        record: &LogRecord,
        table: &Table,
        cells: &[Cell<'_>],
    ) -> Result<(), Refusal> {
        let Some(column) = table.definition.event_time else {
            return Ok(());
        };
        let Cell::Integer(time) = cells[column] else {
            return Ok(());
        };
        let refuse = |reason, detail| {
            Err(Refusal {
                column: table.columns[column].name.clone(),
                reason,
                detail,
            })
        };
        let newest_allowed = record
            .record
            .capture_time_us
            .saturating_add(table.max_ahead_us);
        if time > newest_allowed {
            return refuse("ahead", "the event time is too far ahead".into());
        }
        let greatest = self.memory.event_times.get(&table.definition.name).copied();
        if let Some(greatest) = greatest
            && time < greatest.saturating_sub(table.lateness_us)
        {
            return refuse("late", "the row came later than `lateness` allows".into());
        }
        if greatest.is_none_or(|greatest| time > greatest) {
            let name = table.definition.name.clone();
            self.memory.event_times.insert(name, time);
        }
        Ok(())
    }

    fn finish(self) -> Routed {
        let mut routed = Routed {
            dead_letters: self.dead_letters,
            ..Routed::default()
        };
        for batch in self.tables {
            let definition = &batch.table.definition;
            if let Some(greatest) = self.memory.event_times.get(&definition.name) {
                let watermark = greatest.saturating_sub(batch.table.lateness_us);
                routed.watermarks.insert(definition.name.clone(), watermark);
            }
            if batch.kinds.is_empty() {
                continue;
            }
            let columns = batch.builders.into_iter().map(ColumnBuilder::finish);
            // Builders make the types that the schema names, all of one length.
            let Ok(rows) = RecordBatch::try_new(definition.schema(), columns.collect()) else {
                debug_assert!(false, "columns of `{}` do not fit", definition.name);
                continue;
            };
            routed.changes.push(TableChanges {
                table: definition.name.clone(),
                partition: self.id.clone(),
                rows,
                kinds: batch.kinds,
                versions: batch.versions,
                key_changes: Vec::new(),
                before_rows: None,
            });
        }
        routed
    }
}

fn change_kind(table: &Table, fields: &Fields<'_>) -> Result<ChangeKind, Refusal> {
    if table.definition.kind == TableKind::AppendOnly {
        return Ok(ChangeKind::Insert);
    }
    let Some(definition) = &table.change_kind else {
        return Ok(ChangeKind::Upsert);
    };
    let found = fields.text(&definition.field).unwrap_or_default();
    let is_in = |names: &[String]| names.iter().any(|name| *name == found);
    if is_in(&definition.delete) {
        return Ok(ChangeKind::Delete);
    }
    if is_in(&definition.insert) || is_in(&definition.update) {
        return Ok(ChangeKind::Upsert);
    }
    Err(Refusal {
        column: definition.field.clone(),
        reason: "not_in_list",
        detail: format!("`{found}` is no kind of change"),
    })
}

fn holds(condition: &Condition, fields: &Fields<'_>) -> bool {
    let found = fields.text(&condition.field);
    let is = |wanted: &String| found.as_deref() == Some(wanted.as_str());
    condition
        .exists
        .is_none_or(|exists| exists == found.is_some())
        && condition.equals.as_ref().is_none_or(is)
        && !condition.not_equals.as_ref().is_some_and(is)
        && condition
            .one_of
            .as_ref()
            .is_none_or(|list| list.iter().any(is))
}
