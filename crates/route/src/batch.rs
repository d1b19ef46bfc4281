//! One batch of records of a partition on its way to rows.

use arrow::array::RecordBatch;
use sluice_core::{
    ChangeKind, DeadLetter, LogRecord, PartitionId, RecordKind, SourceVersion, TableChanges,
    TableKind, Writer,
};

use crate::Sources;
use crate::cell::{Cell, ColumnBuilder, Problem, read};
use crate::change_message::{before_image, change_kind, old_key, version};
use crate::dedup::DedupMemory;
use crate::definition::Table;
use crate::fields::{CsvFields, Fields, Header};
use crate::json::JsonParser;
use crate::memory::PartitionMemory;
use crate::router::Routed;
use crate::source_text::{Condition, Policy};

/// Dead letters keep so many bytes of the record.
const PAYLOAD_BYTES_MAX: usize = 4_096;

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
    key_changes: Vec<(usize, usize)>,
    before: Vec<ColumnBuilder>,
}

impl<'a> TableBatch<'a> {
    fn new(table: &'a Table) -> Self {
        let types = table.columns.iter().map(|column| &column.data_type);
        Self {
            table,
            builders: types.clone().map(ColumnBuilder::new).collect(),
            kinds: Vec::new(),
            versions: Vec::new(),
            key_changes: Vec::new(),
            before: types.map(ColumnBuilder::new).collect(),
        }
    }

    fn push(&mut self, row: &Row<'_>) {
        if let Some(old_key) = &row.old_key {
            let before_row = self.key_changes.len();
            self.key_changes.push((self.kinds.len(), before_row));
            for (index, builder) in self.before.iter_mut().enumerate() {
                let cell = old_key.iter().find(|(column, _)| *column == index);
                builder.push(cell.map_or(&Cell::Null, |(_, cell)| cell));
            }
        }
        for (builder, cell) in self.builders.iter_mut().zip(&row.cells) {
            builder.push(cell);
        }
        self.kinds.push(row.kind);
        self.versions.push(row.version);
    }
}

/// A refusal of a row.
pub(crate) struct Refusal {
    pub(crate) column: String,
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

/// A row that was read, with what it does.
struct Row<'a> {
    cells: Vec<Cell<'a>>,
    kind: ChangeKind,
    version: SourceVersion,
    /// Columns and values of the key before the change, if it was another one.
    old_key: Option<Vec<(usize, Cell<'a>)>>,
}

/// See the module.
pub(crate) struct Batch<'a> {
    id: &'a PartitionId,
    delimiter: Option<u8>,
    tables: Vec<TableBatch<'a>>,
    header: Header,
    header_width: usize,
    memory: &'a mut PartitionMemory,
    csv: CsvFields,
    json: JsonParser,
    dead_letters: Vec<DeadLetter>,
    duplicates: u64,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(
        sources: &'a Sources,
        id: &'a PartitionId,
        memory: &'a mut PartitionMemory,
    ) -> Self {
        let tables = sources
            .tables
            .iter()
            .filter(|table| table.topic == id.topic);
        let header = memory.general.header.as_deref();
        Self {
            id,
            delimiter: sources.csv_delimiter(&id.topic),
            tables: tables.map(TableBatch::new).collect(),
            header: header_of(header),
            header_width: header.map_or(0, <[String]>::len),
            memory,
            csv: CsvFields::default(),
            json: JsonParser::default(),
            dead_letters: Vec::new(),
            duplicates: 0,
        }
    }

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

    /// Gives one record to its tables.
    pub(crate) fn record(&mut self, record: &LogRecord) {
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
        self.memory.general.header = Some(names);
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
        let mut parser = std::mem::take(&mut self.json);
        match parser.parse(text) {
            Ok(value) => {
                let fields = Fields::Json {
                    record: value,
                    element: None,
                };
                self.row(record, fields);
            }
            Err(error) => self.refuse_record(record, "not_json", error.to_string()),
        }
        self.json = parser;
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
            self.table_rows(record, number, fields);
        }
        if !is_placed {
            let detail = "no table's conditions hold".to_owned();
            self.refuse_record(record, "no_table", detail);
        }
    }

    /// The rows that a record gives to one table.
    fn table_rows(&mut self, record: &LogRecord, number: usize, fields: Fields<'_>) {
        let table = self.tables[number].table;
        let Fields::Json { record: value, .. } = fields else {
            return self.table_row(record, number, fields, 0);
        };
        let with_element = |element| Fields::Json {
            record: value,
            element,
        };
        if let Some(pointer) = &table.explode {
            let array = value.pointer(pointer);
            let elements = array.iter().flat_map(|array| array.elements());
            for (element_number, element) in elements.enumerate() {
                self.table_row(record, number, with_element(Some(element)), element_number);
            }
            return;
        }
        let Some(pointer) = &table.row else {
            return self.table_row(record, number, fields, 0);
        };
        // A message about a deleted row may hold its before-image only.
        let row = value
            .pointer(pointer)
            .filter(|row| row.is_object())
            .or_else(|| before_image(table, value, 0));
        if row.is_none() {
            let refusal = Refusal {
                column: pointer.clone(),
                reason: "no_row",
                detail: format!("there is no object at `{pointer}`"),
            };
            return self.dead_letter(record, &table.definition.name, refusal);
        }
        self.table_row(record, number, with_element(row), 0);
    }

    fn table_row(&mut self, record: &LogRecord, number: usize, fields: Fields<'_>, element: usize) {
        let table = self.tables[number].table;
        match self.read_row(record, table, &fields, element) {
            Ok(Some(row)) => self.tables[number].push(&row),
            Ok(None) => {}
            Err(refusal) => self.dead_letter(record, &table.definition.name, refusal),
        }
    }

    /// The row; `None` if it is to be left out.
    fn read_row<'f>(
        &mut self,
        record: &LogRecord,
        table: &Table,
        fields: &Fields<'f>,
        element: usize,
    ) -> Result<Option<Row<'f>>, Refusal> {
        let kind = change_kind(table, fields)?;
        let version = version(table, fields, record.offset, element as u64)?;
        let key: &[usize] = match &table.definition.kind {
            TableKind::Changelog { primary_key } => primary_key,
            TableKind::AppendOnly => &[],
        };
        let mut cells = Vec::with_capacity(table.columns.len());
        let mut wants_last = Vec::new();
        for (index, column) in table.columns.iter().enumerate() {
            match read(column, fields) {
                Ok(cell) => cells.push(cell),
                // A delete needs nothing but its key.
                Err(_) if kind == ChangeKind::Delete && !key.contains(&index) => {
                    cells.push(Cell::Null);
                }
                Err(Problem::Drop) => return Ok(None),
                Err(Problem::Last) => {
                    wants_last.push(index);
                    cells.push(Cell::Null);
                }
                Err(Problem::DeadLetter { reason, detail }) => {
                    return Err(Refusal {
                        column: column.name.clone(),
                        reason,
                        detail,
                    });
                }
            }
        }
        if kind != ChangeKind::Delete {
            self.last_values(table, &mut cells, &wants_last)?;
        }
        if table.definition.kind == TableKind::AppendOnly
            && !self.accept(record, table, &cells, element)?
        {
            return Ok(None);
        }
        let old_key = match fields {
            Fields::Json { record, .. } if kind == ChangeKind::Upsert => {
                before_image(table, *record, element)
                    .and_then(|image| old_key(table, key, &cells, image))
            }
            _ => None,
        };
        Ok(Some(Row {
            cells,
            kind,
            version,
            old_key,
        }))
    }

    /// Puts the last values of their keys for the columns `wanted`, and
    /// remembers those that came.
    fn last_values(
        &mut self,
        table: &Table,
        cells: &mut [Cell<'_>],
        wanted: &[usize],
    ) -> Result<(), Refusal> {
        for (index, column) in table.columns.iter().enumerate() {
            if column.last_by.is_empty() {
                continue;
            }
            let key = key_bytes(column.last_by.iter().map(|&by| &cells[by]));
            let last = self.memory.last(&table.definition.name, &column.name);
            if !wanted.contains(&index) {
                last.set(&key, cells[index].clone().into_owned());
                continue;
            }
            match last.get(&key) {
                Some(value) => cells[index] = value.clone(),
                None => {
                    return Err(Refusal {
                        column: column.name.clone(),
                        reason: "no_last_value",
                        detail: format!(
                            "`{}` is missing, and the key had no value before",
                            column.from
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether an append-only row is new; one that was seen is left out.
    fn accept(
        &mut self,
        record: &LogRecord,
        table: &Table,
        cells: &[Cell<'_>],
        element: usize,
    ) -> Result<bool, Refusal> {
        let Some(dedup) = &table.dedup else {
            self.accept_time(record, table, cells)?;
            return Ok(true);
        };
        // Elements of one record are different rows of one key.
        let number = Cell::Integer(element as i64);
        let key = dedup.key.iter().map(|&column| &cells[column]);
        let key = DedupMemory::hash(&key_bytes(key.chain([&number])));
        let is_known = self
            .memory
            .dedup(table)
            .is_some_and(|memory| memory.contains(key));
        if is_known {
            self.duplicates += 1;
            return Ok(false);
        }
        self.accept_time(record, table, cells)?;
        if let Some(memory) = self.memory.dedup(table) {
            memory.insert(key, record.record.capture_time_us);
        }
        Ok(true)
    }

    /// Rows that are too late or too far ahead are refused.
    fn accept_time(
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
        let greatest = self
            .memory
            .general
            .event_times
            .get(&table.definition.name)
            .copied();
        if let Some(greatest) = greatest
            && time < greatest.saturating_sub(table.lateness_us)
        {
            return refuse("late", "the row came later than `lateness` allows".into());
        }
        if greatest.is_none_or(|greatest| time > greatest) {
            let name = table.definition.name.clone();
            self.memory.general.event_times.insert(name, time);
        }
        Ok(())
    }

    /// What came of the records.
    pub(crate) fn finish(self) -> Routed {
        let mut routed = Routed {
            dead_letters: self.dead_letters,
            duplicates: self.duplicates,
            ..Routed::default()
        };
        for batch in self.tables {
            let definition = &batch.table.definition;
            if let Some(greatest) = self.memory.general.event_times.get(&definition.name) {
                let watermark = greatest.saturating_sub(batch.table.lateness_us);
                routed.watermarks.insert(definition.name.clone(), watermark);
            }
            if batch.kinds.is_empty() {
                continue;
            }
            // Builders make the types that the schema names, all of one length.
            let rows = |builders: Vec<ColumnBuilder>| {
                let columns = builders.into_iter().map(ColumnBuilder::finish);
                RecordBatch::try_new(definition.schema(), columns.collect())
            };
            let before_rows = match batch.key_changes.is_empty() {
                true => None,
                false => rows(batch.before).ok(),
            };
            let Ok(rows) = rows(batch.builders) else {
                debug_assert!(false, "columns of `{}` do not fit", definition.name);
                continue;
            };
            routed.changes.push(TableChanges {
                table: definition.name.clone(),
                partition: self.id.clone(),
                rows,
                kinds: batch.kinds,
                versions: batch.versions,
                key_changes: batch.key_changes,
                before_rows,
            });
        }
        routed
    }
}

/// Bytes that differ for different lists of cells.
fn key_bytes<'c, 'f: 'c>(cells: impl Iterator<Item = &'c Cell<'f>>) -> Vec<u8> {
    let mut writer = Writer::new();
    for cell in cells {
        cell.write(&mut writer);
    }
    writer.finish()
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
