//! What `[topic.NAME.mask]` may say.

use std::collections::BTreeMap;

use serde::Deserialize;
use sluice_mask::{Action, Format, Generalisation, PersonField, RecordForm, TopicRules};
use toml::{Spanned, Value};

/// The table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaskText {
    #[serde(default)]
    fields: BTreeMap<String, Spanned<Value>>,
    #[serde(default)]
    tables: BTreeMap<String, BTreeMap<String, Spanned<Value>>>,
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Byte position.
    pub(crate) at: usize,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

const ACTIONS: &str = "write \"drop\", \"keep\", \"hash\", { tokenise = \"phone\" } (email, card, name), { truncate = 3 }, { generalise = \"year\" } (city), or { encrypt = { person = \"user\", id = \"COLUMN\" } }";

impl MaskText {
    /// The rules for records of a form; problems come instead of those that are
    /// wrong.
    pub(crate) fn read(self, form: RecordForm) -> (TopicRules, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut rules = TopicRules {
            form,
            fields: Vec::new(),
            tables: BTreeMap::new(),
        };
        let is_json = form == RecordForm::Json;
        for (field, value) in self.fields {
            let at = value.span().start;
            match action(&value) {
                Ok(action) => {
                    let id = match &action {
                        Action::Encrypt(person) => Some(person.field.as_str()),
                        _ => None,
                    };
                    let names = [Some(field.as_str()), id].into_iter().flatten();
                    for name in names.filter(|name| is_json && !name.starts_with('/')) {
                        problems.push(Problem {
                            at,
                            message: format!("`{name}` is no JSON pointer"),
                            help: "write \"/common/phone\"; `*` is every member or element",
                        });
                    }
                    rules.fields.push((field, action));
                }
                Err(problem) => problems.push(problem),
            }
        }
        for (table, columns) in self.tables {
            let mut actions = Vec::new();
            for (column, value) in columns {
                if !is_json {
                    problems.push(Problem {
                        at: value.span().start,
                        message: "lines of CSV belong to no table of a database".to_owned(),
                        help: "name their columns under `mask.fields`",
                    });
                    continue;
                }
                match action(&value) {
                    Ok(action) => actions.push((column, action)),
                    Err(problem) => problems.push(problem),
                }
            }
            rules.tables.insert(table, actions);
        }
        (rules, problems)
    }
}

fn action(value: &Spanned<Value>) -> Result<Action, Problem> {
    let wrong = |message: String, help| Problem {
        at: value.span().start,
        message,
        help,
    };
    let unknown = |text: &str| wrong(format!("`{text}` is no way to mask"), ACTIONS);
    let table = match value.get_ref() {
        Value::String(text) => {
            return match text.as_str() {
                "keep" => Ok(Action::Keep),
                "drop" => Ok(Action::Drop),
                "hash" => Ok(Action::Hash),
                other => Err(unknown(other)),
            };
        }
        Value::Table(table) => table,
        other => return Err(unknown(&other.to_string())),
    };
    let mut entries = table.iter();
    let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
        return Err(unknown(&value.get_ref().to_string()));
    };
    match (name.as_str(), argument) {
        ("tokenise", Value::String(format)) => match format.as_str() {
            "phone" => Ok(Action::Tokenise(Format::Phone)),
            "email" => Ok(Action::Tokenise(Format::Email)),
            "card" => Ok(Action::Tokenise(Format::Card)),
            "name" => Ok(Action::Tokenise(Format::Name)),
            other => Err(wrong(
                format!("there are no tokens of the form `{other}`"),
                "forms: phone, email, card, name",
            )),
        },
        ("truncate", Value::Integer(count)) => match u32::try_from(*count) {
            Ok(count) => Ok(Action::Truncate(count)),
            Err(_) => Err(wrong(
                format!("a value cannot be cut to {count} characters"),
                "write a number from 0",
            )),
        },
        ("generalise", Value::String(to)) => match to.as_str() {
            "year" => Ok(Action::Generalise(Generalisation::Year)),
            "city" => Ok(Action::Generalise(Generalisation::City)),
            other => Err(wrong(
                format!("`{other}` is nothing that values are made coarser to"),
                "write year (of a date) or city (of an address)",
            )),
        },
        ("encrypt", Value::Table(person)) => {
            let text = |key: &str| person.get(key).and_then(Value::as_str);
            match (text("person"), text("id"), person.len()) {
                (Some(kind), Some(field), 2) if !kind.is_empty() && !field.is_empty() => {
                    Ok(Action::Encrypt(PersonField {
                        kind: kind.to_owned(),
                        field: field.to_owned(),
                    }))
                }
                _ => Err(wrong(
                    "encrypted under whose key?".to_owned(),
                    "write { encrypt = { person = \"user\", id = \"user_id\" } }: the kind of person, and what holds the id",
                )),
            }
        }
        _ => Err(unknown(&value.get_ref().to_string())),
    }
}
