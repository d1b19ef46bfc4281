//! Diversion as rows: a table of the shop's own database whose rows say which of
//! its tables go to which tables of the warehouse.
//!
//! Each row is put into the words of `sources/*.toml`, so that whatever holds
//! there holds for it too.

use serde::{Deserialize, Serialize};
use sluice_mask::{ColumnMask, DROPPED, MASKED, TableMask};

use crate::diversion_masks::{check_column, mask_of, masked_columns};

/// Name of the table that holds the rows.
pub const DIVERSION_RULES: &str = "sluice_diversion_rules";

/// Columns of that table, in order; all of them texts.
pub const RULE_COLUMNS: [&str; 9] = [
    "sink_table",
    "source_database",
    "source_table",
    "operation_types",
    "sink_columns",
    "sink_key",
    "filter",
    "masking",
    "snapshot",
];

/// Where the rows come from: `[diversion]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diversion {
    /// The topic of the database.
    pub topic: String,
    /// Its name, if the topic has several.
    pub database: Option<String>,
    /// The table with the rows.
    pub table: String,
}

impl Diversion {
    /// The table that holds the rows, in the words of `sources/*.toml`.
    pub(crate) fn rules_table(&self) -> String {
        let mut when = vec![condition("/table", "equals", &quoted(&self.table))];
        if let Some(database) = &self.database {
            when.push(condition("/database", "equals", &quoted(database)));
        }
        let columns = RULE_COLUMNS.iter().map(|name| {
            let missing = match *name {
                "sink_table" => "",
                _ => ", missing = \"null\", wrong = \"null\"",
            };
            format!("  {{ name = \"{name}\", from = \"./{name}\", type = \"string\"{missing} }},\n")
        });
        let columns: String = columns.collect();
        format!(
            "[table.{DIVERSION_RULES}]\ntopic = {}\nwhen = [{}]\nprimary_key = [\"sink_table\"]\n{CHANGES}columns = [\n{columns}]\n",
            quoted(&self.topic),
            when.join(", "),
        )
    }
}

/// How Maxwell's messages, and those of a captured server, hold their rows.
const CHANGES: &str = r#"row = "/data"
before = "/old"
unchanged = "/unchanged"
change_kind = { field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }
"#;

/// A row of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiversionRule {
    /// Table of the warehouse; the rule's name.
    pub sink_table: String,
    /// Database of the source table; without it, any.
    pub source_database: Option<String>,
    /// The shop's table.
    pub source_table: Option<String>,
    /// `insert,update,delete`, or some of them; without it, all.
    pub operation_types: Option<String>,
    /// `name type [from field]`, apart by commas.
    pub sink_columns: Option<String>,
    /// Names of the primary key's columns; without it rows are only added.
    pub sink_key: Option<String>,
    /// `column = value and …`.
    pub filter: Option<String>,
    /// `column action`, apart by commas: what is masked before it is written anywhere.
    pub masking: Option<String>,
    /// Whether the table has the rows that came before the rule: `1` or `0`.
    pub snapshot: Option<String>,
}

impl DiversionRule {
    /// The rule as a table, in the words of `sources/*.toml`.
    ///
    /// # Errors
    /// What of it is not understood, in words.
    pub fn table_text(&self, topic: &str) -> Result<String, String> {
        let name = &self.sink_table;
        if !is_name(name) || name.starts_with("sluice_") {
            return Err(format!(
                "sink_table: `{name}` is no name of a table: write lower-case letters, digits and _"
            ));
        }
        let source = filled(&self.source_table).ok_or("source_table is empty")?;
        let masks = masked_columns(filled(&self.masking).unwrap_or_default())?;
        let mut when = vec![condition("/table", "equals", &quoted(source))];
        if let Some(database) = filled(&self.source_database) {
            when.push(condition("/database", "equals", &quoted(database)));
        }
        let has_key = filled(&self.sink_key).is_some();
        when.push(condition("/type", "in", &self.operations(has_key)?));
        when.extend(filter(filled(&self.filter).unwrap_or_default(), &masks)?);
        // What was captured before the rule holds these columns in clear.
        when.extend(masks.iter().map(is_masked));
        let key: Vec<&str> = match filled(&self.sink_key) {
            Some(key) => key.split(',').map(str::trim).collect(),
            None => Vec::new(),
        };
        let columns = filled(&self.sink_columns).ok_or("sink_columns is empty")?;
        let columns = columns_text(columns, &key, &masks)?;
        let history = match filled(&self.snapshot).unwrap_or("1") {
            "1" | "true" => "log",
            "0" | "false" => "none",
            other => return Err(format!("snapshot: `{other}` is neither 1 nor 0")),
        };
        let mut text = match masks.is_empty() {
            true => String::new(),
            false => self.note()?,
        };
        text.push_str(&format!(
            "[table.{name}]\ntopic = {}\nhistory = \"{history}\"\nwhen = [{}]\n",
            quoted(topic),
            when.join(", ")
        ));
        match key.is_empty() {
            true => text.push_str("row = \"/data\"\n"),
            false => {
                let key: Vec<String> = key.into_iter().map(quoted).collect();
                text.push_str(&format!("primary_key = [{}]\n{CHANGES}", key.join(", ")));
            }
        }
        text.push_str(&format!("columns = [\n{columns}]\n"));
        Ok(text)
    }

    /// What the rule masks, if it masks anything.
    ///
    /// # Errors
    /// What of the rule is not understood, in words.
    pub fn mask(&self, topic: &str) -> Result<Option<TableMask>, String> {
        self.table_text(topic)?;
        let columns = masked_columns(filled(&self.masking).unwrap_or_default())?;
        let source = filled(&self.source_table).unwrap_or_default();
        let table = match filled(&self.source_database) {
            Some(database) => format!("{database}.{source}"),
            None => source.to_owned(),
        };
        Ok((!columns.is_empty()).then_some(TableMask { table, columns }))
    }

    /// The rule of which [`DiversionRule::table_text`] made this text, if it masks
    /// something.
    pub fn of_masked_text(text: &str) -> Option<Self> {
        let note = text.lines().next()?.strip_prefix(NOTE_OF_RULE)?;
        serde_json::from_str(note).ok()
    }

    /// A comment from which the masks are known while the text is in force, whatever
    /// becomes of the row.
    fn note(&self) -> Result<String, String> {
        let note = serde_json::to_string(self).map_err(|error| error.to_string())?;
        Ok(format!("{NOTE_OF_RULE}{note}\n"))
    }

    fn operations(&self, has_key: bool) -> Result<String, String> {
        let all = "insert,update,delete";
        let mut kinds = Vec::new();
        for kind in filled(&self.operation_types).unwrap_or(all).split(',') {
            match kind.trim() {
                "insert" => kinds.extend(["insert", "bootstrap-insert"]),
                // What is emptied loses all its rows.
                "delete" if has_key => kinds.extend(["delete", "truncate"]),
                kind @ ("update" | "delete") => kinds.push(kind),
                other => {
                    return Err(format!(
                        "operation_types: `{other}` is none of insert, update, delete"
                    ));
                }
            }
        }
        let kinds: Vec<String> = kinds.into_iter().map(quoted).collect();
        Ok(format!("[{}]", kinds.join(", ")))
    }
}

/// Begins the comment in a rule's text that is the rule itself.
const NOTE_OF_RULE: &str = "# rule ";

/// The condition that a record was masked as a rule says. Beside another rule its value
/// may have been dropped.
fn is_masked(mask: &ColumnMask) -> String {
    let field = pointer(&format!("/{MASKED}"), &mask.column.to_ascii_lowercase());
    let said = format!("[{}, {}]", quoted(&mask.words), quoted(DROPPED));
    condition(&field, "in", &said)
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn is_name(text: &str) -> bool {
    let is_plain = |character: char| character.is_ascii_lowercase() || character == '_';
    text.starts_with(is_plain)
        && text.len() <= 64
        && text
            .chars()
            .all(|character| is_plain(character) || character.is_ascii_digit())
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn condition(field: &str, test: &str, value: &str) -> String {
    format!("{{ field = {}, {test} = {value} }}", quoted(field))
}

/// A column of the source as a JSON pointer below `start`.
fn pointer(start: &str, column: &str) -> String {
    format!("{start}/{}", column.replace('~', "~0").replace('/', "~1"))
}

/// Splits at commas that stand in no parentheses.
pub(crate) fn split_list(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (position, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..position].trim());
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// `id int64, total decimal(10,2), paid_at datetime(Asia/Shanghai) from paid`.
fn columns_text(text: &str, key: &[&str], masks: &[ColumnMask]) -> Result<String, String> {
    let mut lines = String::new();
    for part in split_list(text) {
        let (name, rest) = part.split_once(char::is_whitespace).ok_or_else(|| {
            format!(
                "sink_columns: `{part}` is no column: write `name type` or `name type from field`"
            )
        })?;
        let (data_type, field) = match rest.trim().split_once(" from ") {
            Some((data_type, field)) => (data_type.trim(), field.trim()),
            None => (rest.trim(), name),
        };
        let data_type: String = data_type.split_whitespace().collect();
        check_column(masks, (name, field), &data_type, key.contains(&name))?;
        let (data_type, form) = match data_type.strip_prefix("datetime") {
            None => (data_type, String::new()),
            Some(zone) => {
                let zone = zone.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
                let form = format!(
                    ", format = \"%Y-%m-%d %H:%M:%S%.f\", time_zone = {}",
                    quoted(zone.unwrap_or("UTC"))
                );
                ("timestamp".to_owned(), form)
            }
        };
        // A key is never null.
        let missing = match key.contains(&name) {
            true => "",
            false => ", missing = \"null\"",
        };
        lines.push_str(&format!(
            "  {{ name = {}, from = {}, type = {}{form}{missing} }},\n",
            quoted(name),
            quoted(&pointer(".", field)),
            quoted(&data_type),
        ));
    }
    Ok(lines)
}

/// `status = paid and total != 0 and country in (de, fr)`.
fn filter(text: &str, masks: &[ColumnMask]) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let bare = |text: &str| quoted(text.trim().trim_matches('\''));
    let filtered = |column: &str| match mask_of(masks, column.trim()) {
        None => Ok(pointer("/data", column.trim())),
        Some(mask) => Err(format!(
            "filter: `{}` is masked ({}) before it could be compared",
            mask.column, mask.words
        )),
    };
    let one = |part: &str| {
        let part = part.trim();
        if let Some((column, value)) = part.split_once("!=") {
            let field = filtered(column)?;
            return Ok(condition(&field, "not_equals", &bare(value)));
        }
        if let Some((column, value)) = part.split_once('=') {
            let field = filtered(column)?;
            return Ok(condition(&field, "equals", &bare(value)));
        }
        if let Some((column, values)) = part.split_once(" in ")
            && let Some(values) = values.trim().strip_prefix('(')
            && let Some(values) = values.strip_suffix(')')
        {
            let field = filtered(column)?;
            let values: Vec<String> = values.split(',').map(bare).collect();
            return Ok(condition(&field, "in", &format!("[{}]", values.join(", "))));
        }
        Err(format!(
            "filter: `{part}` is not understood: write `column = value`, `column != value` or `column in (a, b)`, with `and` between them"
        ))
    };
    text.split(" and ").map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SourceFile, parse_sources};

    fn rule() -> DiversionRule {
        DiversionRule {
            sink_table: "paid_order".into(),
            source_table: Some("orders".into()),
            sink_columns: Some("id int64, total decimal(10, 2), at datetime from paid_at".into()),
            sink_key: Some("id".into()),
            filter: Some("status = 'paid' and country in (de, fr)".into()),
            ..DiversionRule::default()
        }
    }

    fn read(text: &str) -> Result<(), String> {
        let topic = SourceFile {
            path: "a".into(),
            text: "[topic.shop]\n".into(),
        };
        let table = SourceFile {
            path: "b".into(),
            text: text.into(),
        };
        let read = parse_sources(&[topic, table]).map(|_| ());
        read.map_err(|errors| errors[0].to_string())
    }

    #[test]
    fn a_row_becomes_a_table_that_can_be_read() {
        let text = rule().table_text("shop").unwrap();
        assert!(text.contains("in = [\"de\", \"fr\"]"), "{text}");
        assert!(text.contains("from = \"./paid_at\""), "{text}");
        read(&text).unwrap();
        let odd = DiversionRule {
            source_table: Some("a\"b\nc".into()),
            filter: Some("x = \"]\n".into()),
            ..rule()
        };
        read(&odd.table_text("shop").unwrap()).unwrap();
    }

    #[test]
    fn a_table_that_is_masked_takes_what_says_so() {
        let masked = DiversionRule {
            sink_columns: Some("id int64, phone string, born date".into()),
            masking: Some("Phone tokenise(phone), born generalise( year )".into()),
            source_database: Some("shop".into()),
            filter: None,
            ..rule()
        };
        let text = masked.table_text("shop").unwrap();
        for condition in [
            "{ field = \"/sluice_masked/phone\", in = [\"tokenise(phone)\", \"drop\"] }",
            "{ field = \"/sluice_masked/born\", in = [\"generalise(year)\", \"drop\"] }",
        ] {
            assert!(text.contains(condition), "{text}");
        }
        read(&text).unwrap();
        let mask = masked.mask("shop").unwrap().unwrap();
        assert_eq!(mask.table, "shop.orders");
        let columns = mask.columns.iter().map(|mask| mask.column.as_str());
        assert_eq!(columns.collect::<Vec<_>>(), ["Phone", "born"]);
        assert_eq!(DiversionRule::of_masked_text(&text), Some(masked));
        assert_eq!(rule().mask("shop"), Ok(None));
        let text = rule().table_text("shop").unwrap();
        assert_eq!(DiversionRule::of_masked_text(&text), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let refused = |change: &dyn Fn(&mut DiversionRule)| {
            let mut rule = rule();
            change(&mut rule);
            let text = rule.table_text("shop");
            text.and_then(|text| read(&text)).unwrap_err()
        };
        type Change<'a> = &'a dyn Fn(&mut DiversionRule);
        let wrongs: [(Change<'_>, &str); 16] = [
            (&|it| it.sink_table = "a b".into(), "sink_table"),
            (&|it| it.source_table = None, "source_table"),
            (&|it| it.sink_columns = Some("id".into()), "sink_columns"),
            (&|it| it.sink_columns = Some("id number".into()), "no type"),
            (&|it| it.sink_key = Some("number".into()), "no column"),
            (&|it| it.filter = Some("paid".into()), "filter"),
            (&|it| it.masking = Some("name: drop".into()), "no name of"),
            (&|it| it.masking = Some("* drop".into()), "no name of"),
            (&|it| it.masking = Some("name".into()), "no column with"),
            (&|it| it.masking = Some("name keep".into()), "no way to"),
            (&|it| it.masking = Some("a drop, A hash".into()), "twice"),
            (
                &|it| it.masking = Some("a encrypt(user)".into()),
                "no way to",
            ),
            (&|it| it.masking = Some("id drop".into()), "of the key"),
            (&|it| it.masking = Some("Total hash".into()), "no decimal"),
            (&|it| it.masking = Some("status hash".into()), "filter"),
            (&|it| it.operation_types = Some("upsert".into()), "upsert"),
        ];
        for (change, word) in wrongs {
            let said = refused(change);
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
