//! Rows of a table that come from an export instead of the shop: one JSON
//! object a row, its keys the columns of the exported file.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::Schema;
use sluice_mask::{Action, PersonField, RecordForm, TopicRules};
use thiserror::Error;

use crate::definition::{Sources, Table};
use crate::slots::SlotPlan;
use crate::source_text::Policy;

/// An export that cannot fill its table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// There is no such table.
    #[error("there is no table `{table}`; tables: {known}")]
    NoTable {
        /// What was asked for.
        table: String,
        /// Those that there are.
        known: String,
    },
    /// A column that every row needs is not in the file.
    #[error(
        "column `{column}` of table `{table}` is not in the file: it has neither `{column}` nor `{source_name}`; it has {known}"
    )]
    NoColumn {
        /// The table.
        table: String,
        /// Its column.
        column: String,
        /// The name in the shop's records.
        source_name: String,
        /// The file's columns.
        known: String,
    },
    /// A column is encrypted under the key of a person whom the file lacks.
    #[error(
        "column `{column}` of table `{table}` is encrypted under the key of a person, whose id `{person}` is not in the file"
    )]
    NoPerson {
        /// The table.
        table: String,
        /// The column in the file.
        column: String,
        /// What holds the id in the shop's records.
        person: String,
    },
}

/// How the rows of an exported file become rows of a table.
#[derive(Debug)]
pub struct History {
    /// Sources of one topic and one table.
    pub sources: Sources,
    /// The columns of the file that the table takes. What else the file holds
    /// must not get into records: it may be personal.
    pub columns: BTreeSet<String>,
}

impl Sources {
    /// Sources of one topic, whose records are rows of an exported file with
    /// the columns `exported`, and of one table of these sources.
    ///
    /// A column of the table is found by its own name or by that which it has
    /// in the shop's records. Values are read and checked as live ones are, and
    /// times also as RFC 3339 or without a zone, as databases export them. An
    /// export knows no order of time and no capture time, so that no row is too
    /// late or too far ahead. What is masked in the topic of the table is masked
    /// in the file, too.
    ///
    /// # Errors
    /// When there is no such table, or the file lacks a column that it needs.
    pub fn of_history(
        &self,
        table: &str,
        topic: &str,
        exported: &Schema,
    ) -> Result<History, HistoryError> {
        let found = self.tables.iter().find(|it| it.definition.name == table);
        let Some(found) = found else {
            let names = self.tables.iter().map(|it| it.definition.name.as_str());
            return Err(HistoryError::NoTable {
                table: table.to_owned(),
                known: names.collect::<Vec<_>>().join(", "),
            });
        };
        let mut table = found.clone();
        let mut names = BTreeMap::new();
        topic.clone_into(&mut table.topic);
        table.when = Vec::new();
        table.explode = None;
        table.row = None;
        table.before = None;
        table.version = Vec::new();
        table.change_kind = None;
        table.lateness_us = i64::MAX;
        table.max_ahead_us = i64::MAX;
        for column in &mut table.columns {
            let source_name = source_name(&column.from.name);
            let field = exported.field_with_name(&column.name);
            let field = field.or_else(|_| exported.field_with_name(source_name));
            match field {
                Ok(field) => {
                    column.time.read_exports();
                    let from = inside_record(found, &column.from.name);
                    names.insert(field.name().clone(), from);
                    column.from = pointer(field.name()).into();
                }
                Err(_) if column.missing == Policy::DeadLetter => {
                    let fields = exported.fields().iter();
                    let names = fields.map(|field| field.name().as_str());
                    return Err(HistoryError::NoColumn {
                        table: table.definition.name.clone(),
                        column: column.name.clone(),
                        source_name: source_name.to_owned(),
                        known: names.collect::<Vec<_>>().join(", "),
                    });
                }
                Err(_) => column.from = pointer(&column.name).into(),
            }
        }
        let mut plan = SlotPlan::default();
        table.number_fields(&mut plan, false);
        let rules = self.masks.get(&found.topic);
        let rules = rules.map(|rules| history_rules(found, rules, &names));
        let rules = rules.transpose()?;
        let sources = Self {
            captures: Vec::new(),
            topics: BTreeMap::from([(topic.to_owned(), 1)]),
            left_out: self.left_out.clone(),
            csv_delimiters: BTreeMap::new(),
            tables: vec![table],
            unplaced_dropped: self.unplaced_dropped.clone(),
            diversion: self.diversion.clone(),
            messages: BTreeMap::new(),
            plans: BTreeMap::from([(topic.to_owned(), plan)]),
            masks: rules
                .into_iter()
                .map(|rules| (topic.to_owned(), rules))
                .collect(),
            fingerprint: self.fingerprint,
        };
        Ok(History {
            sources,
            columns: names.into_keys().collect(),
        })
    }
}

/// The place of a field in a record of the shop: `./` starts from the row.
fn inside_record(table: &Table, from: &str) -> String {
    match (from.strip_prefix('.'), &table.row) {
        (Some(inside), Some(row)) => format!("{}{inside}", row.name),
        _ => from.to_owned(),
    }
}

/// The rules of a topic as rules of a file: `names` has its columns with their
/// places in records of the shop.
fn history_rules(
    table: &Table,
    rules: &TopicRules,
    names: &BTreeMap<String, String>,
) -> Result<TopicRules, HistoryError> {
    let mut fields = Vec::new();
    for (exported, from) in names {
        let of_field = rules.fields.iter().find(|(path, _)| covers(path, from));
        let of_field = of_field.map(|(_, action)| action);
        let action = of_field.or_else(|| column_action(table, rules, source_name(from)));
        let Some(action) = action else {
            continue;
        };
        let action = match action {
            Action::Encrypt(person) => {
                let wanted = source_name(&person.field);
                let mut columns = names.iter();
                let id = columns.find(|(_, from)| source_name(from) == wanted);
                let Some((id, _)) = id else {
                    return Err(HistoryError::NoPerson {
                        table: table.definition.name.clone(),
                        column: exported.clone(),
                        person: wanted.to_owned(),
                    });
                };
                Action::Encrypt(PersonField {
                    kind: person.kind.clone(),
                    field: pointer(id),
                })
            }
            other => other.clone(),
        };
        fields.push((pointer(exported), action));
    }
    Ok(TopicRules {
        form: RecordForm::Json,
        fields,
        tables: BTreeMap::new(),
    })
}

/// Whether a path of masking, in which `*` is any part, is a field or holds it.
fn covers(path: &str, field: &str) -> bool {
    let mut parts = field.split('/');
    path.split('/').all(|wanted| {
        parts
            .next()
            .is_some_and(|part| wanted == "*" || wanted == part)
    })
}

/// What is done to a column of the database table that fills `table`.
fn column_action<'a>(table: &Table, rules: &'a TopicRules, column: &str) -> Option<&'a Action> {
    let conditions = table.when.iter();
    let names: Vec<&String> = conditions
        .flat_map(|condition| {
            condition
                .equals
                .iter()
                .chain(condition.one_of.iter().flatten())
        })
        .collect();
    let is_its = |rule: &str| {
        let bare = rule.rsplit('.').next().unwrap_or(rule);
        names.iter().any(|name| *name == rule || *name == bare)
    };
    let mut tables = rules.tables.iter();
    let of_table = tables.find(|(rule, _)| is_its(rule)).map(|(_, it)| it);
    let actions = of_table.or_else(|| rules.tables.get("*"))?;
    let of = |wanted: &str| actions.iter().find(|(name, _)| name == wanted);
    of(column).or_else(|| of("*")).map(|(_, action)| action)
}

/// The name of a CSV column, or the last part of a JSON pointer.
fn source_name(from: &str) -> &str {
    from.rsplit('/').next().unwrap_or(from)
}

/// The JSON pointer of a key (RFC 6901).
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}
