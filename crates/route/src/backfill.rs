//! Rows of exported files as records of a table's own topic, for a warehouse
//! that is at work: they fill up what the table lacks.

use arrow::datatypes::{DataType, Schema};
use serde_json::{Map, Value};
use sluice_core::TableKind;

use crate::definition::{Sources, Table};
use crate::history::{HistoryError, inside_record, source_name};
use crate::messages::MessageForm;
use crate::source_text::Policy;
use crate::time::TimeForm;

/// Where records say what a rule of diversion masked: the door of the log does.
const MASKED_PLACE: &str = "/masked/";

/// How the rows of an exported file become records.
#[derive(Debug)]
pub struct Backfill {
    topic: String,
    /// What every record holds: place and value.
    fixed: Vec<(String, String)>,
    columns: Vec<FileColumn>,
}

/// A column of the file that the table takes.
#[derive(Debug)]
struct FileColumn {
    name: String,
    /// Its place in a record.
    place: String,
    /// How the topic writes its times.
    time: Option<TimeForm>,
}

impl Sources {
    /// How rows with the columns `exported` become records for one table.
    ///
    /// A column of the table is found by its own name or by that which it has in
    /// the shop's records. What else the file holds is left out.
    ///
    /// # Errors
    /// When there is no such table, the file lacks a column that it needs, or its
    /// records have a form in which a row cannot be brought.
    pub fn backfill(&self, table: &str, exported: &Schema) -> Result<Backfill, HistoryError> {
        let found = self.tables.iter().find(|it| it.definition.name == table);
        let Some(found) = found else {
            return Err(self.no_table(table));
        };
        if let Some(why) = self.unsuited(found) {
            return Err(HistoryError::Unsuited {
                table: table.to_owned(),
                why: why.to_owned(),
            });
        }
        let mut columns = Vec::new();
        for column in &found.columns {
            let source_name = source_name(&column.from.name);
            let field = exported.field_with_name(&column.name);
            match field.or_else(|_| exported.field_with_name(source_name)) {
                Ok(field) => columns.push(FileColumn {
                    name: field.name().clone(),
                    place: inside_record(found, &column.from.name),
                    time: matches!(column.data_type, DataType::Timestamp(_, _)).then(|| {
                        let mut time = column.time.clone();
                        time.read_exports();
                        time
                    }),
                }),
                Err(_) if column.missing == Policy::DeadLetter => {
                    let fields = exported.fields().iter();
                    let names = fields.map(|field| field.name().as_str());
                    return Err(HistoryError::NoColumn {
                        table: table.to_owned(),
                        column: column.name.clone(),
                        source_name: source_name.to_owned(),
                        known: names.collect::<Vec<_>>().join(", "),
                    });
                }
                Err(_) => {}
            }
        }
        let Some(mut fixed) = kind_of_insert(found) else {
            return Err(HistoryError::Unsuited {
                table: table.to_owned(),
                why: "it takes no rows that are inserted".to_owned(),
            });
        };
        for condition in &found.when {
            let place = &condition.field.name;
            let is_said = fixed.iter().any(|(known, _)| known == place)
                || columns.iter().any(|column| column.place == *place)
                || place.starts_with(MASKED_PLACE)
                || is_of_row(found, place);
            let one_of = condition.one_of.iter().flatten();
            if let Some(value) = condition.equals.iter().chain(one_of).next()
                && !is_said
            {
                fixed.push((place.clone(), value.clone()));
            }
        }
        Ok(Backfill {
            topic: found.topic.clone(),
            fixed,
            columns,
        })
    }

    /// Why rows cannot be brought to a table.
    fn unsuited(&self, table: &Table) -> Option<&'static str> {
        let messages = self.messages.get(&table.topic);
        if self.is_csv(&table.topic) {
            return Some("its topic holds lines of CSV files: put the export among them");
        }
        if matches!(messages, Some(MessageForm::Debezium | MessageForm::Canal)) {
            return Some(
                "its topic says that all messages are of one kind: write `messages = \"detect\"`",
            );
        }
        if table.explode.is_some() {
            return Some("a record of its topic holds several of its rows");
        }
        if table.has_last_values() {
            return Some("it takes values that are missing from the row before");
        }
        let is_added = table.definition.kind == TableKind::AppendOnly;
        if is_added && table.lateness_us < i64::MAX {
            return Some("it refuses rows that come later than its `lateness`");
        }
        None
    }
}

/// The field that says what a change does, with the word for an insert that the
/// table takes; nothing where no field says it.
fn kind_of_insert(table: &Table) -> Option<Vec<(String, String)>> {
    let Some(kind) = &table.change_kind else {
        return Some(Vec::new());
    };
    let place = &kind.field.name;
    let is_taken = |word: &&String| {
        let mut conditions = table.when.iter();
        conditions.all(|condition| {
            condition.field.name != *place
                || (condition.equals.as_ref().is_none_or(|it| it == *word)
                    && condition
                        .one_of
                        .as_ref()
                        .is_none_or(|it| it.contains(*word)))
        })
    };
    // The last one is that of a copy, where there are several.
    let word = kind.insert.iter().rev().find(is_taken)?;
    Some(vec![(place.clone(), word.clone())])
}

/// Whether a place is inside of the row, which the file says.
fn is_of_row(table: &Table, place: &str) -> bool {
    table.row.as_ref().is_some_and(|row| {
        let inside = place.strip_prefix(row.name.as_str());
        inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

impl Backfill {
    /// The topic of the records.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The columns of the file that are taken.
    pub fn columns(&self) -> Vec<String> {
        let names = self.columns.iter().map(|column| column.name.clone());
        names.collect()
    }

    /// The record of a row, whose values are in the order of
    /// [`Backfill::columns`].
    pub fn record(&self, values: &[Option<String>]) -> Map<String, Value> {
        let mut record = Map::new();
        for (place, value) in &self.fixed {
            put(&mut record, place, value.clone());
        }
        for (column, value) in self.columns.iter().zip(values) {
            let Some(value) = value else {
                continue;
            };
            let time = column.time.as_ref();
            let written = time.and_then(|time| time.write(time.parse(value)?));
            let value = written.unwrap_or_else(|| value.clone());
            put(&mut record, &column.place, value);
        }
        record
    }
}

/// Puts a value at a JSON pointer.
fn put(record: &mut Map<String, Value>, place: &str, value: String) {
    let parts = place.split('/').skip(1);
    let mut parts: Vec<String> = parts
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect();
    let Some(last) = parts.pop() else {
        return;
    };
    let mut inside = record;
    for part in parts {
        let next = inside
            .entry(part)
            .or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(next) = next else {
            return;
        };
        inside = next;
    }
    inside.insert(last, Value::String(value));
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;
    use crate::{SourceFile, parse_sources};

    fn sources(text: &str) -> Sources {
        let file = SourceFile {
            path: "a".into(),
            text: text.into(),
        };
        parse_sources(&[file]).unwrap()
    }

    fn schema(names: &[&str]) -> Schema {
        let fields = names
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, true));
        Schema::new(fields.collect::<Vec<_>>())
    }

    const ORDERS: &str = r#"
[topic.shop]
[table.orders]
topic = "shop"
when = [{ field = "/table", equals = "orders" }, { field = "/data/state", equals = "paid" }]
row = "/data"
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert", "bootstrap-insert"], delete = ["delete"] }
columns = [
  { name = "id", from = "./no", type = "int64" },
  { name = "at", from = "./at", type = "timestamp", format = "%Y-%m-%d %H:%M:%S", time_zone = "Asia/Shanghai", missing = "null" },
]
"#;

    #[test]
    fn a_row_becomes_a_record_as_the_topic_has_them() {
        let sources = sources(ORDERS);
        let backfill = sources.backfill("orders", &schema(&["no", "at", "more"]));
        let backfill = backfill.unwrap();
        assert_eq!(backfill.columns(), ["no", "at"]);
        let values = [Some("7".into()), Some("1970-01-01T00:00:01Z".into())];
        let record = Value::Object(backfill.record(&values));
        assert_eq!(
            record,
            serde_json::json!({
                "table": "orders", "type": "bootstrap-insert",
                "data": { "no": "7", "at": "1970-01-01 08:00:01" },
            })
        );
    }

    #[test]
    fn what_cannot_be_filled_up_is_refused() {
        let refused = |text: &str, columns: &[&str]| {
            let found = sources(text).backfill("orders", &schema(columns));
            found.unwrap_err().to_string()
        };
        assert!(refused(ORDERS, &["at"]).contains("column `id`"));
        let only_deletes = ORDERS.replace(
            "when = [",
            "when = [{ field = \"/type\", equals = \"delete\" }, ",
        );
        assert!(refused(&only_deletes, &["no"]).contains("inserted"));
        let canal = ORDERS.replace("[topic.shop]", "[topic.shop]\nmessages = \"canal\"");
        assert!(refused(&canal, &["no"]).contains("detect"));
        let none = sources(ORDERS).backfill("order", &schema(&["no"]));
        assert!(none.unwrap_err().to_string().contains("no table `order`"));
    }
}
