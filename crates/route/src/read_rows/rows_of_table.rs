//! What one table makes of a record.

use sluice_core::{ChangeKind, LogRecord, TableKind};

use super::RowReader;
use crate::accept::{Candidate, is_selective};
use crate::cell::{Cell, Problem, key_bytes, read};
use crate::change_message::{before_image, change_kind, old_key, unchanged_columns, version};
use crate::dedup::DedupMemory;
use crate::definition::Table;
use crate::fields::Fields;
use crate::json::{Json, JsonParser, Kind};
use crate::letters::{Place, Refusal};
use crate::memory::PartitionMemory;
use crate::table_rows::Row;

impl RowReader<'_, '_> {
    /// The rows that a record gives to one table.
    pub(super) fn table_rows(
        &mut self,
        place: Place,
        record: &LogRecord,
        table: &Table,
        fields: Fields<'_>,
    ) {
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
