//! Records taken apart into the rows of their tables.
//!
//! What is read from a record depends on that record alone, on the header of
//! its file, and, where a column asks for the last value of its key, on the
//! records before. So without such a column the records of a batch may be read
//! in several ranges at the same time; [`crate::accept`] then goes through the
//! rows in order.

mod rows_of_table;

use sluice_core::{LogRecord, PartitionId, RecordKind, UNDECODED, undecoded};
use sluice_mask::{LeftOut, SEALED};

use crate::cell::Cell;
use crate::csv_header::Header;
use crate::definition::Table;
use crate::fields::{CsvFields, Fields};
use crate::json::JsonParser;
use crate::letters::{Letters, Place, Refusal};
use crate::memory::PartitionMemory;
use crate::messages::{MessageForm, Messages, in_maxwell_form};
use crate::shape::Shapes;
use crate::slots::{SlotPlan, Slots, Value};
use crate::source_text::{Condition, Policy};
use crate::table_rows::TableRows;

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
            (RecordKind::CsvHeader, None)
            | (RecordKind::Position | RecordKind::Retry | RecordKind::Backfill, _) => {}
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
