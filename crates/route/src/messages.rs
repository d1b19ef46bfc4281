//! Change messages of Debezium and Canal in the form of Maxwell's, so that one
//! form of table definition reads them all.
//!
//! ```json
//! {"database":"shop","table":"orders","type":"update","ts_ms":1767225600000,
//!  "xid":17,"xoffset":0,"data":{"id":1},"old":{"id":1}}
//! ```
//!
//! `xid` and `xoffset` order the changes of a key:
//!
//! | source | `xid` | `xoffset` |
//! |---|---|---|
//! | Debezium, MySQL | number of the log's file · 2^40 + position | row in the event |
//! | Debezium, PostgreSQL | LSN | 0 |
//! | Debezium, others | time in milliseconds | 0 |
//! | Canal | time in milliseconds (`es`) | number of the message · 2^20 + its row |
//!
//! The forms are documented at <https://debezium.io/documentation/reference/>
//! (connectors, "data change events") and by Canal's `FlatMessage`.

use serde::Deserialize;

use crate::json::{Json, Kind};

/// What Debezium puts for a value that PostgreSQL did not send, because it did
/// not change.
const UNCHANGED: &str = "__debezium_unavailable_value";

/// Types of Canal's messages about no rows: changes of schemas, statements, and
/// what stands around transactions (`EventType` of its protocol).
const CANAL_WITHOUT_ROWS: [&str; 12] = [
    "CREATE",
    "ALTER",
    "ERASE",
    "QUERY",
    "TRUNCATE",
    "RENAME",
    "CINDEX",
    "DINDEX",
    "GTID",
    "XACOMMIT",
    "XAROLLBACK",
    "MHEARTBEAT",
];

/// Whose messages the records of a topic are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MessageForm {
    /// Each says it by its looks.
    Detect,
    /// Maxwell's, and those of a captured database.
    Maxwell,
    /// Debezium's, with or without their schema.
    Debezium,
    /// Canal's flat messages.
    Canal,
}

/// What a record holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Messages {
    /// One message that has the wanted form already.
    AsItIs,
    /// So many messages, perhaps none: those about transactions, schemas and
    /// keys whose log is to be cleaned.
    Made(Vec<String>),
}

/// Puts the message in `record` into the form of Maxwell's.
///
/// # Errors
/// Why it is no message of that form, in words.
pub(crate) fn in_maxwell_form(form: MessageForm, record: Json<'_>) -> Result<Messages, String> {
    let nothing = Ok(Messages::Made(Vec::new()));
    if record.kind() == Kind::Null {
        return nothing;
    }
    let form = match form {
        MessageForm::Detect => match detected(record) {
            Some(form) => form,
            None if is_about_no_row(record) => return nothing,
            None => {
                return Err("neither a message of Maxwell, of Debezium nor of Canal".to_owned());
            }
        },
        form => form,
    };
    match form {
        MessageForm::Detect | MessageForm::Maxwell => Ok(Messages::AsItIs),
        MessageForm::Debezium => debezium(record),
        MessageForm::Canal => canal(record),
    }
}

fn detected(record: Json<'_>) -> Option<MessageForm> {
    let has = |pointer: &str| record.pointer(pointer).is_some();
    let data = record.pointer("/data");
    if has("/op") || has("/payload/op") {
        return Some(MessageForm::Debezium);
    }
    if has("/isDdl") || (data.is_some_and(|data| data.is_array()) && has("/type")) {
        return Some(MessageForm::Canal);
    }
    (has("/type") && has("/table")).then_some(MessageForm::Maxwell)
}

/// Transactions, changes of schemas, heartbeats and tombstones of Debezium.
fn is_about_no_row(record: Json<'_>) -> bool {
    let body = record.pointer("/payload").unwrap_or(record);
    let has = |pointer: &str| body.pointer(pointer).is_some();
    body.kind() == Kind::Null
        || (has("/status") && has("/id") && has("/ts_ms"))
        || has("/ddl")
        || has("/tableChanges")
        || (has("/ts_ms") && body.members().count() == 1)
}

fn text_at(json: Json<'_>, pointer: &str) -> Option<String> {
    let text = json.pointer(pointer)?.as_text()?;
    Some(text.into_owned())
}

fn number_at(json: Json<'_>, pointer: &str) -> Option<u64> {
    text_at(json, pointer)?.parse().ok()
}

fn object_at<'a>(json: Json<'a>, pointer: &str) -> Option<Json<'a>> {
    json.pointer(pointer).filter(Json::is_object)
}

/// A JSON string.
fn quoted(out: &mut String, text: &str) {
    // Texts always have a JSON form.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The beginning of a message up to its row.
struct Head {
    database: String,
    schema: Option<String>,
    table: String,
    kind: &'static str,
    ts_ms: u64,
    xid: u64,
    xoffset: u64,
}

impl Head {
    fn write(&self) -> String {
        let mut out = String::from("{\"database\":");
        quoted(&mut out, &self.database);
        if let Some(schema) = &self.schema {
            out.push_str(",\"schema\":");
            quoted(&mut out, schema);
        }
        out.push_str(",\"table\":");
        quoted(&mut out, &self.table);
        let Self {
            kind,
            ts_ms,
            xid,
            xoffset,
            ..
        } = self;
        out.push_str(&format!(
            ",\"type\":\"{kind}\",\"ts_ms\":{ts_ms},\"xid\":{xid},\"xoffset\":{xoffset}"
        ));
        out
    }
}

fn debezium(record: Json<'_>) -> Result<Messages, String> {
    // With its schema, the message is the payload.
    let body = match record.pointer("/schema").is_some() {
        true => record.pointer("/payload").unwrap_or(record),
        false => object_at(record, "/payload").unwrap_or(record),
    };
    let Some(operation) = text_at(body, "/op") else {
        return match is_about_no_row(record) {
            true => Ok(Messages::Made(Vec::new())),
            false => Err("a message of Debezium without `op`".to_owned()),
        };
    };
    let kind = match operation.as_str() {
        "c" => "insert",
        "r" => "bootstrap-insert",
        "u" => "update",
        "d" => "delete",
        // Truncated tables, and messages that PostgreSQL passes on.
        "t" | "m" => return Ok(Messages::Made(Vec::new())),
        other => return Err(format!("`{other}` is no `op` of Debezium")),
    };
    let source = object_at(body, "/source").ok_or("a message of Debezium without `source`")?;
    let (after, before) = (object_at(body, "/after"), object_at(body, "/before"));
    let row = match kind {
        "delete" => before,
        _ => after,
    };
    let row = row.ok_or_else(|| format!("a message of Debezium of kind {kind} without its row"))?;
    let ts_ms = number_at(source, "/ts_ms").or_else(|| number_at(body, "/ts_ms"));
    let ts_ms = ts_ms.unwrap_or_default();
    let (xid, xoffset) = version(source).unwrap_or((ts_ms, 0));
    let head = Head {
        database: text_at(source, "/db").unwrap_or_default(),
        schema: text_at(source, "/schema"),
        table: text_at(source, "/table").ok_or("a message of Debezium without its table")?,
        kind,
        ts_ms,
        xid,
        xoffset,
    };
    let mut out = head.write();
    out.push_str(",\"data\":");
    write_row(&mut out, row);
    if let (Some(before), "update") = (before, kind) {
        out.push_str(",\"old\":");
        write_row(&mut out, before);
    }
    out.push('}');
    Ok(Messages::Made(vec![out]))
}

/// Where the change stands in its database's log.
fn version(source: Json<'_>) -> Option<(u64, u64)> {
    if let (Some(file), Some(position)) = (text_at(source, "/file"), number_at(source, "/pos")) {
        let digits = file.rsplit('.').next()?;
        let number: u64 = digits.parse().ok()?;
        let row = number_at(source, "/row").unwrap_or_default();
        let fits = number < 1 << 24 && position < 1 << 40;
        return fits.then_some(((number << 40) | position, row));
    }
    Some((number_at(source, "/lsn")?, 0))
}

/// A row without the values that were not sent.
fn write_row(out: &mut String, row: Json<'_>) {
    out.push('{');
    let mut is_first = true;
    for (name, value) in row.members() {
        if value.kind() == Kind::Plain && value.string() == UNCHANGED {
            continue;
        }
        if !is_first {
            out.push(',');
        }
        is_first = false;
        quoted(out, &name.string());
        out.push(':');
        out.push_str(&value.written());
    }
    out.push('}');
}

fn canal(record: Json<'_>) -> Result<Messages, String> {
    let kind = text_at(record, "/type").ok_or("a message of Canal without `type`")?;
    let kind = match kind.as_str() {
        "INSERT" => "insert",
        "UPDATE" => "update",
        "DELETE" => "delete",
        other if CANAL_WITHOUT_ROWS.contains(&other) => return Ok(Messages::Made(Vec::new())),
        _ if text_at(record, "/isDdl").as_deref() == Some("true") => {
            return Ok(Messages::Made(Vec::new()));
        }
        other => return Err(format!("`{other}` is no `type` of Canal")),
    };
    let table = text_at(record, "/table").ok_or("a message of Canal without its table")?;
    let rows = record.pointer("/data").filter(Json::is_array);
    let rows = rows.ok_or("a message of Canal without its rows")?;
    let ts_ms = number_at(record, "/es").or_else(|| number_at(record, "/ts"));
    let ts_ms = ts_ms.unwrap_or_default();
    let message = number_at(record, "/id").unwrap_or_default();
    let old = record.pointer("/old").filter(Json::is_array);
    let mut made = Vec::new();
    for (number, row) in rows.elements().enumerate() {
        if !row.is_object() {
            return Err(format!("row {number} of a message of Canal is no object"));
        }
        let head = Head {
            database: text_at(record, "/database").unwrap_or_default(),
            schema: None,
            table: table.clone(),
            kind,
            ts_ms,
            xid: ts_ms,
            xoffset: message
                .saturating_mul(1 << 20)
                .saturating_add(number as u64),
        };
        let mut out = head.write();
        out.push_str(",\"data\":");
        out.push_str(&row.written());
        let old = old.and_then(|old| old.elements().nth(number));
        if let Some(old) = old.filter(Json::is_object) {
            out.push_str(",\"old\":");
            out.push_str(&old.written());
        }
        out.push('}');
        made.push(out);
    }
    Ok(Messages::Made(made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonParser;

    fn made(form: MessageForm, text: &str) -> Vec<String> {
        let mut parser = JsonParser::default();
        match in_maxwell_form(form, parser.parse(text).unwrap()) {
            Ok(Messages::Made(made)) => made,
            other => panic!("{other:?}"),
        }
    }

    const UPDATE: &str = r#"{"before":{"id":1,"price":"1.50"},"after":{"id":1,"price":"2.50","note":"a\"b"},
      "source":{"connector":"mysql","db":"shop","table":"goods","ts_ms":5,"file":"mysql-bin.000003","pos":154,"row":2},
      "op":"u","ts_ms":9}"#;

    #[test]
    fn a_message_of_debezium_with_and_without_its_schema() {
        let wanted = r#"{"database":"shop","table":"goods","type":"update","ts_ms":5,"xid":3298534883482,"xoffset":2,"data":{"id":1,"price":"2.50","note":"a\"b"},"old":{"id":1,"price":"1.50"}}"#;
        let enveloped = format!("{{\"schema\":{{\"type\":\"struct\"}},\"payload\":{UPDATE}}}");
        for form in [MessageForm::Detect, MessageForm::Debezium] {
            assert_eq!(made(form, UPDATE), [wanted]);
            assert_eq!(made(form, &enveloped), [wanted]);
        }
    }

    #[test]
    fn postgresql_has_lsn_schema_and_values_that_were_not_sent() {
        let text = r#"{"before":null,"after":{"id":1,"text":"__debezium_unavailable_value"},
          "source":{"connector":"postgresql","db":"shop","schema":"public","table":"goods","ts_ms":5,"lsn":24023128},"op":"u"}"#;
        let wanted = r#"{"database":"shop","schema":"public","table":"goods","type":"update","ts_ms":5,"xid":24023128,"xoffset":0,"data":{"id":1}}"#;
        assert_eq!(made(MessageForm::Detect, text), [wanted]);
        let deleted = text
            .replace(r#""before":null,"after":"#, r#""after":null,"before":"#)
            .replace(r#""op":"u""#, r#""op":"d""#);
        let made = made(MessageForm::Detect, &deleted);
        assert!(made[0].contains(r#""type":"delete""#), "{made:?}");
        assert!(made[0].ends_with(r#""data":{"id":1}}"#), "{made:?}");
    }

    #[test]
    fn a_message_of_canal_has_a_row_for_each_element() {
        let text = r#"{"data":[{"id":"1","price":"2"},{"id":"2","price":null}],"database":"shop","es":7,"id":3,"isDdl":false,"old":[{"price":"1"},{"price":"9"}],"table":"goods","ts":8,"type":"UPDATE"}"#;
        let made = made(MessageForm::Detect, text);
        assert_eq!(made.len(), 2);
        assert_eq!(
            made[1],
            r#"{"database":"shop","table":"goods","type":"update","ts_ms":7,"xid":7,"xoffset":3145729,"data":{"id":"2","price":null},"old":{"price":"9"}}"#
        );
    }

    #[test]
    fn what_is_about_no_row_is_nothing_and_what_is_no_message_is_refused() {
        for text in [
            "null",
            r#"{"schema":null,"payload":null}"#,
            r#"{"status":"BEGIN","id":"571","event_count":null,"data_collections":null,"ts_ms":1}"#,
            r#"{"ts_ms":1}"#,
            r#"{"source":{},"databaseName":"shop","ddl":"CREATE TABLE a (b int)"}"#,
            r#"{"data":null,"database":"shop","isDdl":true,"sql":"ALTER","table":"goods","type":"ALTER"}"#,
            r#"{"data":null,"database":"shop","isDdl":true,"sql":"GRANT","table":"goods","type":"GRANT"}"#,
            r#"{"data":null,"database":"shop","isDdl":false,"table":"","type":"XACOMMIT"}"#,
        ] {
            assert!(made(MessageForm::Detect, text).is_empty(), "{text}");
        }
        let mut parser = JsonParser::default();
        for text in [
            "7",
            "{}",
            r#"{"op":"x"}"#,
            r#"{"op":"u","source":{}}"#,
            r#"{"data":[{"id":"1"}],"isDdl":false,"table":"goods","type":"INSERU"}"#,
        ] {
            let parsed = parser.parse(text).unwrap();
            assert!(
                in_maxwell_form(MessageForm::Detect, parsed).is_err(),
                "{text}"
            );
        }
    }
}
