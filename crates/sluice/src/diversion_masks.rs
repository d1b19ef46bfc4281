//! What rules of diversion mask: the door of the log reads them in the stream itself,
//! so that each record behind a rule is masked as the rule says.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_mask::{Action, ReadRules, TableMask};
use sluice_route::{Diversion, DiversionRule, Sources};

/// Rows of rules as they were read last, by rule.
type Rows = BTreeMap<String, DiversionRule>;

/// Reads the records of the table with the rules.
#[derive(Debug)]
pub struct RuleReader {
    diversion: Diversion,
    /// What a partial image leaves out is in the row before it.
    rows: Mutex<Rows>,
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is_so) => Some(is_so.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl RuleReader {
    /// For the rules of a project.
    pub fn new(diversion: &Diversion) -> Self {
        Self {
            diversion: diversion.clone(),
            rows: Mutex::default(),
        }
    }

    /// Whether a record may be of the table. Of nearly all this is all that is looked
    /// at.
    fn may_be_rule(&self, payload: &[u8]) -> bool {
        let table = self.diversion.table.as_str();
        let is_written_as_it_is = table.bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && !table.contains(['"', '\\', '/']);
        let text = std::str::from_utf8(payload);
        text.is_ok_and(|text| !is_written_as_it_is || text.contains(table))
    }

    /// The rule that a message brings.
    fn rule(&self, message: &Value) -> Option<DiversionRule> {
        let is_of_rules = message["table"] == self.diversion.table.as_str();
        let database = self.diversion.database.as_deref();
        if !is_of_rules || database.is_some_and(|it| message["database"] != it) {
            return None;
        }
        let mut rows = self.rows.lock();
        let row = &message["data"];
        let name = text(&row["sink_table"]);
        let before = text(&message["old"]["sink_table"]).or_else(|| name.clone());
        let before = before.and_then(|before| rows.remove(&before));
        let before = match message["type"].as_str()? {
            "insert" | "bootstrap-insert" => None,
            "update" => before,
            "truncate" => {
                rows.clear();
                return None;
            }
            _ => return None,
        };
        let before = before.unwrap_or_default();
        let field = |name: &str, before: Option<String>| match row.get(name) {
            Some(value) => text(value),
            None => before,
        };
        let rule = DiversionRule {
            sink_table: name?,
            source_database: field("source_database", before.source_database),
            source_table: field("source_table", before.source_table),
            operation_types: field("operation_types", before.operation_types),
            sink_columns: field("sink_columns", before.sink_columns),
            sink_key: field("sink_key", before.sink_key),
            filter: field("filter", before.filter),
            masking: field("masking", before.masking),
            snapshot: field("snapshot", before.snapshot),
        };
        rows.insert(rule.sink_table.clone(), rule.clone());
        Some(rule)
    }
}

impl ReadRules for RuleReader {
    fn read(&self, payload: &[u8]) -> Option<TableMask> {
        if !self.may_be_rule(payload) {
            return None;
        }
        let message: Value = serde_json::from_slice(payload).ok()?;
        let rule = self.rule(&message)?;
        // One that is refused masks nothing; what held for it before is in force.
        let mask = rule.mask(&self.diversion.topic).ok().flatten()?;
        refusal(&mask, &self.diversion).is_none().then_some(mask)
    }
}

/// A rule that is known from before as the message that brings it.
pub fn message_of(rule: &DiversionRule, diversion: &Diversion) -> Vec<u8> {
    let message = json!({
        "database": diversion.database,
        "table": diversion.table,
        "type": "bootstrap-insert",
        "data": rule,
    });
    message.to_string().into_bytes()
}

/// The masks of rules, of which these texts are in force.
pub fn masks_of_texts<'a>(
    texts: impl Iterator<Item = &'a String>,
    diversion: &Diversion,
) -> Vec<TableMask> {
    let masks = texts.filter_map(|text| {
        let rule = DiversionRule::of_masked_text(text)?;
        rule.mask(&diversion.topic).ok().flatten()
    });
    masks.collect()
}

fn refusal(mask: &TableMask, diversion: &Diversion) -> Option<String> {
    let table = mask.table.rsplit('.').next().unwrap_or_default();
    (table.eq_ignore_ascii_case(&diversion.table))
        .then(|| "the table of the rules itself cannot be masked".to_owned())
}

/// Why a mask cannot hold in a topic, if it cannot.
pub fn refusal_in(mask: &TableMask, diversion: &Diversion, sources: &Sources) -> Option<String> {
    if let Some(problem) = refusal(mask, diversion).or_else(|| sources.unmaskable()) {
        return Some(format!("masking: {problem}"));
    }
    let own = sources.masks().get(&diversion.topic);
    if let Some(column) = own.and_then(|own| mask.column_of(own)) {
        return Some(format!(
            "masking: what becomes of `{column}` of `{}` is said by the `mask` of the topic; leave it out of the rule",
            mask.table
        ));
    }
    let kinds = sources.person_kinds();
    let mut columns = mask.columns.iter();
    let unknown = columns.find_map(|column| match &column.action {
        Action::Encrypt(person) if !kinds.contains(person.kind.as_str()) => Some(&person.kind),
        _ => None,
    })?;
    Some(format!(
        "masking: the project knows no kind of person `{unknown}` that could be erased; it has {}",
        match kinds.is_empty() {
            true => "none".to_owned(),
            false => kinds.into_iter().collect::<Vec<_>>().join(", "),
        }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diversion() -> Diversion {
        Diversion {
            topic: "shop".into(),
            database: Some("shop".into()),
            table: "warehouse_rule".into(),
        }
    }

    fn message(kind: &str, data: &Value, old: &Value) -> Vec<u8> {
        let message = json!({
            "database": "shop", "table": "warehouse_rule", "type": kind, "data": data, "old": old,
        });
        message.to_string().into_bytes()
    }

    fn words(mask: Option<TableMask>) -> Option<(String, String)> {
        mask.map(|mask| (mask.table, mask.columns[0].words.clone()))
    }

    fn is(table: &str, said: &str) -> Option<(String, String)> {
        Some((table.to_owned(), said.to_owned()))
    }

    #[test]
    fn a_partial_image_is_put_into_the_row_before_it() {
        let reader = RuleReader::new(&diversion());
        let row = json!({
            "sink_table": "member", "source_table": "users", "sink_columns": "id int64, phone string",
            "masking": "phone hash",
        });
        let none = json!({});
        let read =
            |kind: &str, data: Value, old: &Value| words(reader.read(&message(kind, &data, old)));
        assert_eq!(read("insert", row, &none), is("users", "hash"));
        let change = json!({ "sink_table": "member", "source_database": "shop" });
        assert_eq!(read("update", change, &none), is("shop.users", "hash"));
        // Under another name, and then with another mask.
        let renamed = json!({ "sink_table": "people" });
        let old = json!({ "sink_table": "member" });
        assert_eq!(read("update", renamed, &old), is("shop.users", "hash"));
        let change = json!({ "sink_table": "people", "masking": "phone drop" });
        assert_eq!(read("update", change, &none), is("shop.users", "drop"));
        let gone = json!({ "sink_table": "people", "masking": null });
        assert_eq!(read("update", gone, &none), None);
        // Nothing is known of one that was deleted.
        assert_eq!(
            read("delete", json!({ "sink_table": "people" }), &none),
            None
        );
        let change = json!({ "sink_table": "people", "masking": "phone drop" });
        assert_eq!(read("update", change, &none), None);
    }

    #[test]
    fn what_is_no_rule_is_passed_over() {
        let reader = RuleReader::new(&diversion());
        let row = json!({
            "sink_table": "a", "source_table": "Warehouse_Rule", "sink_columns": "id int64",
            "masking": "masking drop",
        });
        assert_eq!(reader.read(&message("insert", &row, &json!({}))), None);
        let row = json!({
            "sink_table": "a", "source_table": "users", "sink_columns": "id int64",
            "masking": "phone drop",
        });
        assert_eq!(
            words(reader.read(&message("insert", &row, &json!({})))),
            is("users", "drop")
        );
        let other = message("insert", &row, &json!({}));
        let other = String::from_utf8(other).unwrap();
        let other = other.replace("\"database\":\"shop\"", "\"database\":\"web\"");
        assert_eq!(reader.read(other.as_bytes()), None);
        assert_eq!(reader.read(b"warehouse_rule"), None);
    }

    #[test]
    fn a_rule_that_is_known_is_read_again() {
        let reader = RuleReader::new(&diversion());
        let rule = DiversionRule {
            sink_table: "member".into(),
            source_table: Some("users".into()),
            sink_columns: Some("id int64".into()),
            masking: Some("phone hash".into()),
            ..DiversionRule::default()
        };
        let known = reader.read(&message_of(&rule, &diversion()));
        assert_eq!(words(known), is("users", "hash"));
        let text = rule.table_text("shop").unwrap();
        let masks = masks_of_texts([text].iter(), &diversion());
        assert_eq!(words(masks.into_iter().next()), is("users", "hash"));
    }
}
