//! Records taken apart into the rows of their tables.
//!
//! What is read from a record depends on that record alone, on the header of
//! its file, and, where a column asks for the last value of its key, on the
//! records before. So without such a column the records of a batch may be read
//! in several ranges at the same time; [`crate::accept`] then goes through the
//! rows in order.

use sluice_core::{
    ChangeKind, DeadLetter, LogRecord, PartitionId, RecordKind, SourceVersion, TableKind,
    UNDECODED, undecoded,
};

use sluice_mask::{LeftOut, SEALED};

use crate::accept::{Candidate, is_selective};
use crate::cell::{Cell, ColumnBuilder, Problem, key_bytes, read};
use crate::change_message::{before_image, change_kind, old_key, unchanged_columns, version};
use crate::dedup::DedupMemory;
use crate::definition::Table;
use crate::fields::{CsvFields, Fields};
use crate::json::{Json, JsonParser, Kind};
use crate::memory::PartitionMemory;
use crate::messages::{MessageForm, Messages, in_maxwell_form};
use crate::shape::Shapes;
use crate::slots::{SlotPlan, Slots, Value};
use crate::source_text::{Condition, Policy};

/// Dead letters keep so many bytes of the record.
const PAYLOAD_BYTES_MAX: usize = 4_096;

/// The rows of one table that a range of records gives.
#[derive(Debug)]
pub(crate) struct TableRows {
    pub(crate) builders: Vec<ColumnBuilder>,
    pub(crate) kinds: Vec<ChangeKind>,
    pub(crate) versions: Vec<SourceVersion>,
    pub(crate) key_changes: Vec<(usize, usize)>,
    pub(crate) before: Vec<ColumnBuilder>,
    /// Rows and columns whose values stay as they were.
    pub(crate) unchanged: Vec<(usize, usize)>,
    /// One a row, for tables that do not take every row.
    pub(crate) candidates: Vec<Candidate>,
}

impl TableRows {
    fn new(table: &Table) -> Self {
        let types = table.columns.iter().map(|column| &column.data_type);
        Self {
            builders: types.clone().map(ColumnBuilder::new).collect(),
            kinds: Vec::new(),
            versions: Vec::new(),
            key_changes: Vec::new(),
            before: types.map(ColumnBuilder::new).collect(),
            unchanged: Vec::new(),
            candidates: Vec::new(),
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
        let number = self.kinds.len();
        let unchanged = row.unchanged.iter().map(|&column| (number, column));
        self.unchanged.extend(unchanged);
        for (builder, cell) in self.builders.iter_mut().zip(&row.cells) {
            builder.push(cell);
        }
        self.kinds.push(row.kind);
        self.versions.push(row.version);
        self.candidates.extend(row.candidate);
    }
}

/// A refusal of a row.
pub(crate) struct Refusal {
    pub(crate) column: String,
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

/// Where a row comes from: the order in which dead letters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Number of the record.
    pub(crate) record: u32,
    /// Number of the table among those of the topic.
    pub(crate) table: u32,
    /// Number of the element in the record.
    pub(crate) element: u32,
}

impl Place {
    /// A record as a whole.
    fn of(record: u32) -> Self {
        Self {
            record,
            table: 0,
            element: 0,
        }
    }
}

/// Dead letters with their places.
#[derive(Debug)]
pub(crate) struct Letters<'a> {
    id: &'a PartitionId,
    pub(crate) letters: Vec<(Place, DeadLetter)>,
}

impl<'a> Letters<'a> {
    pub(crate) fn new(id: &'a PartitionId) -> Self {
        let letters = Vec::new();
        Self { id, letters }
    }

    pub(crate) fn push(&mut self, place: Place, record: &LogRecord, table: &str, refusal: Refusal) {
        let payload = &record.record.payload;
        let payload = undecoded(payload).map_or(&payload[..], |(_, bytes)| bytes);
        let kept = &payload[..payload.len().min(PAYLOAD_BYTES_MAX)];
        let letter = DeadLetter {
            topic: self.id.topic.clone(),
            partition: self.id.partition,
            offset: record.offset,
            table: table.to_owned(),
            column: refusal.column,
            reason: refusal.reason,
            detail: refusal.detail,
            payload: String::from_utf8_lossy(kept).into_owned(),
            capture_time_us: record.record.capture_time_us,
        };
        self.letters.push((place, letter));
    }
}

/// A row that was read, with what it does.
struct Row<'a> {
    cells: Vec<Cell<'a>>,
    kind: ChangeKind,
    version: SourceVersion,
    /// Columns and values of the key before the change, if it was another one.
    old_key: Option<Vec<(usize, Cell<'a>)>>,
    /// Columns whose values stay as they were.
    unchanged: Vec<usize>,
    candidate: Option<Candidate>,
}

/// What serves one record after another, and is kept from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    csv: CsvFields,
    json: JsonParser,
    /// For arrays and before-images inside a record.
    inner_json: JsonParser,
    image_json: JsonParser,
    message_json: JsonParser,
    shapes: Shapes,
    values: Vec<Option<Value>>,
    cells: Vec<Cell<'static>>,
}

/// The header of the CSV file that is being read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Header {
    /// `None` before the first one.
    pub(crate) names: Option<Vec<String>>,
    /// Fields that a line must have.
    width: usize,
    /// The column of each place of the topic's plan.
    columns: Vec<Option<usize>>,
}

impl Header {
    pub(crate) fn new(names: Option<Vec<String>>, width: usize, plan: &SlotPlan) -> Self {
        let known = names.as_deref().unwrap_or_default();
        // Of equal names the last one counts.
        let column = |wanted: &String| known.iter().rposition(|name| name == wanted);
        let columns = plan.names().iter().map(column).collect();
        Self {
            names,
            width,
            columns,
        }
    }

    /// The header in a line, and whether it is UTF-8.
    fn read(csv: &mut CsvFields, line: &[u8], delimiter: u8, plan: &SlotPlan) -> (Self, bool) {
        let is_text = csv.split(line, delimiter);
        let names = (0..csv.len())
            .filter_map(|index| csv.get(index).map(|name| name.trim().to_owned()))
            .collect();
        (Self::new(Some(names), csv.len(), plan), is_text)
    }

    /// The header that holds behind `records`, `before` being the one before
    /// them.
    pub(crate) fn behind(
        before: &Self,
        records: &[LogRecord],
        delimiter: Option<u8>,
        plan: &SlotPlan,
    ) -> Self {
        let is_header = |record: &&LogRecord| record.record.kind == RecordKind::CsvHeader;
        let newest = records.iter().rev().find(is_header);
        match (newest, delimiter) {
            (Some(newest), Some(delimiter)) => {
                let line = &newest.record.payload;
                Self::read(&mut CsvFields::default(), line, delimiter, plan).0
            }
            _ => before.clone(),
        }
    }
}

/// Whose records are read, and for which tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Topic<'a> {
    pub(crate) id: &'a PartitionId,
    pub(crate) plan: &'a SlotPlan,
    pub(crate) tables: &'a [&'a Table],
    /// Separator, if it holds CSV lines.
    pub(crate) delimiter: Option<u8>,
    /// Whose messages its records are, if they are messages of a database.
    pub(crate) messages: Option<MessageForm>,
    /// Whether a record that no table takes is nothing to speak of.
    pub(crate) drops_unplaced: bool,
    /// Whose rows are left out.
    pub(crate) left_out: Option<&'a LeftOut>,
}

/// See the module.
pub(crate) struct RowReader<'a, 't> {
    topic: Topic<'a>,
    tools: &'t mut Tools,
    /// Where last values are; only for a reader of all records.
    memory: Option<&'t mut PartitionMemory>,
    header: Header,
    rows: Vec<TableRows>,
    letters: Letters<'a>,
}

/// What a range of records gives.
#[derive(Debug)]
pub(crate) struct ReadRange<'a> {
    /// The header that holds behind it.
    pub(crate) header: Header,
    /// By table of the topic.
    pub(crate) rows: Vec<TableRows>,
    pub(crate) letters: Letters<'a>,
}

impl<'a, 't> RowReader<'a, 't> {
    pub(crate) fn new(
        topic: &Topic<'a>,
        header: Header,
        tools: &'t mut Tools,
        memory: Option<&'t mut PartitionMemory>,
    ) -> Self {
        Self {
            topic: *topic,
            tools,
            memory,
            header,
            rows: topic
                .tables
                .iter()
                .map(|table| TableRows::new(table))
                .collect(),
            letters: Letters::new(topic.id),
        }
    }

    /// Reads `records`, of which the first is number `first`.
    pub(crate) fn read(mut self, first: usize, records: &[LogRecord]) -> ReadRange<'a> {
        for (number, record) in records.iter().enumerate() {
            self.record((first + number) as u32, record);
        }
        ReadRange {
            header: self.header,
            rows: self.rows,
            letters: self.letters,
        }
    }

    fn refuse_record(
        &mut self,
        number: u32,
        record: &LogRecord,
        reason: &'static str,
        detail: String,
    ) {
        let refusal = Refusal {
            column: String::new(),
            reason,
            detail,
        };
        self.letters.push(Place::of(number), record, "", refusal);
    }

    /// Gives one record to its tables.
    fn record(&mut self, number: u32, record: &LogRecord) {
        match (record.record.kind, self.topic.delimiter) {
            (RecordKind::CsvHeader, Some(delimiter)) => {
                self.csv_header(number, record, delimiter);
            }
            (RecordKind::CsvHeader, None) | (RecordKind::Position | RecordKind::Retry, _) => {}
            (RecordKind::Data, _) if record.record.payload.starts_with(SEALED.as_bytes()) => {
                let detail = "it could not be taken apart, so that nobody knows what in it is personal; see `payload` for why and where".to_owned();
                self.refuse_record(number, record, "sealed", detail);
            }
            (RecordKind::Data, None) if record.record.payload.starts_with(UNDECODED.as_bytes()) => {
                let reason = undecoded(&record.record.payload).map(|(reason, _)| reason);
                self.refuse_record(number, record, "undecoded", reason.unwrap_or_default());
            }
            (RecordKind::Data, Some(delimiter)) => self.csv_line(number, record, delimiter),
            (RecordKind::Data, None) => match self.topic.messages {
                Some(form) => self.messages(number, record, form),
                None => self.json(number, record),
            },
        }
    }

    /// Reads the messages in a record, in the form of Maxwell's.
    fn messages(&mut self, number: u32, record: &LogRecord, form: MessageForm) {
        // A key whose log is to be cleaned.
        if record.record.payload.is_empty() {
            return;
        }
        let Ok(text) = std::str::from_utf8(&record.record.payload) else {
            return self.json(number, record);
        };
        let mut parser = std::mem::take(&mut self.tools.message_json);
        let read = parser
            .parse(text)
            .map(|parsed| in_maxwell_form(form, parsed));
        self.tools.message_json = parser;
        match read {
            // What is no JSON is refused there.
            Err(_) | Ok(Ok(Messages::AsItIs)) => self.json(number, record),
            Ok(Ok(Messages::Made(made))) => {
                for (element, text) in made.iter().enumerate() {
                    self.json_text(number, element as u32, record, text);
                }
            }
            Ok(Err(detail)) => self.refuse_record(number, record, "no_message", detail),
        }
    }

    fn csv_header(&mut self, number: u32, record: &LogRecord, delimiter: u8) {
        let line = &record.record.payload;
        let csv = &mut self.tools.csv;
        let (header, is_text) = Header::read(csv, line, delimiter, self.topic.plan);
        self.header = header;
        if !is_text {
            let detail = "the header is not UTF-8".to_owned();
            self.refuse_record(number, record, "bad_utf8", detail);
        }
        for table in self.topic.tables {
            for column in &table.columns {
                let slot = column
                    .from
                    .slot
                    .and_then(|slot| self.header.columns.get(slot));
                let is_there = slot.is_some_and(Option::is_some);
                if column.missing != Policy::DeadLetter || is_there {
                    continue;
                }
                let column = column.from.name.clone();
                let refusal = Refusal {
                    detail: format!("the header has no column `{column}`"),
                    column,
                    reason: "bad_header",
                };
                let name = &table.definition.name;
                self.letters.push(Place::of(number), record, name, refusal);
            }
        }
    }

    fn csv_line(&mut self, number: u32, record: &LogRecord, delimiter: u8) {
        let mut csv = std::mem::take(&mut self.tools.csv);
        if !csv.split(&record.record.payload, delimiter) {
            let detail = "the line is not UTF-8".to_owned();
            self.refuse_record(number, record, "bad_utf8", detail);
        } else if csv.len() != self.header.width {
            let width = self.header.width;
            let detail = format!("{} fields, the header has {width}", csv.len());
            self.refuse_record(number, record, "wrong_column_count", detail);
        } else {
            let columns = std::mem::take(&mut self.header.columns);
            let fields = Fields::Csv {
                fields: &csv,
                columns: &columns,
            };
            self.rows(number, record, fields);
            self.header.columns = columns;
        }
        self.tools.csv = csv;
    }

    fn json(&mut self, number: u32, record: &LogRecord) {
        let Ok(text) = std::str::from_utf8(&record.record.payload) else {
            let detail = "the record is not UTF-8".to_owned();
            return self.refuse_record(number, record, "bad_utf8", detail);
        };
        self.json_text(number, 0, record, text);
    }

    /// Reads a JSON text; `element` is its number among those of the record.
    fn json_text(&mut self, number: u32, element: u32, record: &LogRecord, text: &str) {
        let plan = self.topic.plan;
        let mut values = std::mem::take(&mut self.tools.values);
        let tools = &mut *self.tools;
        let mut problem = None;
        if !tools.shapes.find(text, plan.names().len(), &mut values) {
            match tools.json.parse(text) {
                Ok(parsed) => {
                    plan.fill(parsed, &mut values);
                    tools.shapes.learn(plan, text, parsed);
                }
                Err(error) => problem = Some(error.to_string()),
            }
        }
        match problem {
            None => {
                let fields = Fields::Json {
                    record: Slots {
                        text,
                        values: &values,
                    },
                    element: None,
                };
                self.rows_of(number, element, record, fields);
            }
            Some(detail) => self.refuse_record(number, record, "not_json", detail),
        }
        self.tools.values = values;
    }

    fn rows(&mut self, number: u32, record: &LogRecord, fields: Fields<'_>) {
        self.rows_of(number, 0, record, fields);
    }

    /// Gives the record to every table whose conditions hold.
    fn rows_of(&mut self, number: u32, element: u32, record: &LogRecord, fields: Fields<'_>) {
        let mut is_placed = false;
        for (index, table) in self.topic.tables.iter().enumerate() {
            if !table.when.iter().all(|condition| holds(condition, &fields)) {
                continue;
            }
            is_placed = true;
            let place = Place {
                table: index as u32,
                element,
                ..Place::of(number)
            };
            self.table_rows(place, record, table, fields);
        }
        if !is_placed && !self.topic.drops_unplaced {
            let detail = "no table's conditions hold".to_owned();
            self.refuse_record(number, record, "no_table", detail);
        }
    }

    /// The rows that a record gives to one table.
    fn table_rows(&mut self, place: Place, record: &LogRecord, table: &Table, fields: Fields<'_>) {
        let Fields::Json { record: slots, .. } = fields else {
            return self.table_row(place, record, table, &fields);
        };
        // A table that was emptied has no row to look at.
        if matches!(change_kind(table, &fields), Ok(ChangeKind::Truncate)) {
            return self.truncate(place, record, table, &fields);
        }
        let mut inner_json = std::mem::take(&mut self.tools.inner_json);
        if let Some(array) = &table.explode {
            // Nothing that is a value inside a record fails to be parsed.
            let array = slots.inner(array).map(|text| inner_json.parse(text));
            let array = array.and_then(Result::ok);
            let elements = array.iter().flat_map(Json::elements);
            for (element_number, element) in elements.enumerate() {
                let place = Place {
                    element: element_number as u32,
                    ..place
                };
                let fields = Fields::Json {
                    record: slots,
                    element: Some(element),
                };
                self.table_row(place, record, table, &fields);
            }
        } else if let Some(pointer) = &table.row
            && slots
                .get(pointer)
                .is_none_or(|row| row.kind != Kind::Object)
        {
            // A message about a deleted row may hold its before-image only.
            match before_image(table, slots, 0, &mut inner_json) {
                Some(row) => {
                    let fields = Fields::Json {
                        record: slots,
                        element: Some(row),
                    };
                    self.table_row(place, record, table, &fields);
                }
                None => {
                    let refusal = Refusal {
                        column: pointer.name.clone(),
                        reason: "no_row",
                        detail: format!("there is no object at `{}`", pointer.name),
                    };
                    let name = &table.definition.name;
                    self.letters.push(place, record, name, refusal);
                }
            }
        } else {
            self.table_row(place, record, table, &fields);
        }
        self.tools.inner_json = inner_json;
    }

    fn truncate(&mut self, place: Place, record: &LogRecord, table: &Table, fields: &Fields<'_>) {
        match version(table, fields, record.offset, u64::from(place.element)) {
            Ok(version) => self.rows[place.table as usize].push(&Row {
                cells: table.columns.iter().map(|_| Cell::Null).collect(),
                kind: ChangeKind::Truncate,
                version,
                old_key: None,
                unchanged: Vec::new(),
                candidate: None,
            }),
            Err(refusal) => {
                let name = &table.definition.name;
                self.letters.push(place, record, name, refusal);
            }
        }
    }

    fn table_row(&mut self, place: Place, record: &LogRecord, table: &Table, fields: &Fields<'_>) {
        let mut image_json = std::mem::take(&mut self.tools.image_json);
        match self.read_row(place, record, table, fields, &mut image_json) {
            Ok(Some(row)) => {
                self.rows[place.table as usize].push(&row);
                self.tools.cells = emptied(row.cells);
            }
            Ok(None) => {}
            Err(refusal) => {
                let name = &table.definition.name;
                self.letters.push(place, record, name, refusal);
            }
        }
        self.tools.image_json = image_json;
    }

    /// The row; `None` if it is to be left out.
    fn read_row<'f>(
        &mut self,
        place: Place,
        record: &LogRecord,
        table: &Table,
        fields: &Fields<'f>,
        image_json: &'f mut JsonParser,
    ) -> Result<Option<Row<'f>>, Refusal> {
        let kind = change_kind(table, fields)?;
        let version = version(table, fields, record.offset, u64::from(place.element))?;
        let key: &[usize] = match &table.definition.kind {
            TableKind::Changelog { primary_key } => primary_key,
            TableKind::AppendOnly => &[],
        };
        let mut cells = emptied(std::mem::take(&mut self.tools.cells));
        let mut wants_last = Vec::new();
        let unchanged = match (fields, kind) {
            (Fields::Json { record, .. }, ChangeKind::Upsert) => {
                unchanged_columns(table, *record, image_json)
            }
            _ => Vec::new(),
        };
        for (index, column) in table.columns.iter().enumerate() {
            if unchanged.contains(&index) {
                cells.push(Cell::Null);
                continue;
            }
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
        if let (Some(left_out), Some(person)) = (self.topic.left_out, &table.person) {
            let captured_us = record.record.capture_time_us;
            let is_left_out = |id: &str| left_out.is_left_out(&person.kind, id, captured_us);
            let is_left_out = match &cells[person.column] {
                Cell::Integer(id) => is_left_out(&id.to_string()),
                Cell::Text(id) => is_left_out(id),
                _ => false,
            };
            if is_left_out {
                return Ok(None);
            }
        }
        if kind != ChangeKind::Delete
            && let Some(memory) = &mut self.memory
        {
            last_values(memory, table, &mut cells, &wants_last)?;
        }
        let is_append_only = table.definition.kind == TableKind::AppendOnly;
        let candidate = (is_append_only && is_selective(table)).then(|| {
            let event_time = table.definition.event_time.map(|column| &cells[column]);
            Candidate {
                record: place.record,
                element: place.element,
                key: table.dedup.as_ref().map(|dedup| {
                    let key = dedup.key.iter().map(|&column| &cells[column]);
                    // Elements of one record are different rows of one key.
                    let number = Cell::Integer(i64::from(place.element));
                    DedupMemory::hash(&key_bytes(key.chain([&number])))
                }),
                event_time: match event_time {
                    Some(Cell::Integer(time)) => Some(*time),
                    _ => None,
                },
            }
        });
        let old_key = match fields {
            Fields::Json { record, .. } if kind == ChangeKind::Upsert => {
                before_image(table, *record, place.element as usize, image_json)
                    .and_then(|image| old_key(table, key, &cells, *record, image))
            }
            _ => None,
        };
        Ok(Some(Row {
            cells,
            kind,
            version,
            old_key,
            unchanged,
            candidate,
        }))
    }
}

/// Puts the last values of their keys for the columns `wanted`, and
/// remembers those that came.
fn last_values(
    memory: &mut PartitionMemory,
    table: &Table,
    cells: &mut [Cell<'_>],
    wanted: &[usize],
) -> Result<(), Refusal> {
    for (index, column) in table.columns.iter().enumerate() {
        if column.last_by.is_empty() {
            continue;
        }
        let key = key_bytes(column.last_by.iter().map(|&by| &cells[by]));
        let last = memory.last(&table.definition.name, &column.name);
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
                        column.from.name
                    ),
                });
            }
        }
    }
    Ok(())
}

/// The memory of a row for another one.
fn emptied<'a>(mut cells: Vec<Cell<'_>>) -> Vec<Cell<'a>> {
    cells.clear();
    cells.into_iter().map(|_| Cell::Null).collect()
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
