//! Rows of a table that come from an export instead of the shop: one JSON
//! object a row, its keys the columns of the exported file.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::Schema;
use sluice_mask::{Action, MESSAGE_ROWS, PersonField, RecordForm, TopicRules};
use thiserror::Error;

use crate::definition::{Column, Sources, Table};
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
    /// What is masked is a part of a column, which a file may hold in any form.
    #[error(
        "column `{column}` of table `{table}` holds what the mask of `{path}` is about, together with other things: in a file nobody knows where that stands; mask the whole, or take the part as a column of its own"
    )]
    MaskInside {
        /// The table.
        table: String,
        /// The column in the file.
        column: String,
        /// The place of the mask.
        path: String,
    },
    /// A row has what its table has not.
    #[error("`{column}` is no column of table `{table}`")]
    OtherColumn {
        /// The table.
        table: String,
        /// What the row has.
        column: String,
    },
    /// The table takes rows up to a time only.
    #[error(
        "table `{table}` refuses rows that come later than its `lateness`, as those of an export do: take `lateness` away, or compute the history apart with `sluice run --batch`"
    )]
    RefusesLateRows {
        /// The table.
        table: String,
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
        let found = self.table_of_history(table)?;
        let mut table = table_of_rows(found);
        let mut names = BTreeMap::new();
        topic.clone_into(&mut table.topic);
        table.lateness_us = i64::MAX;
        table.max_ahead_us = i64::MAX;
        for column in &mut table.columns {
            match exported_column(found, column, exported)? {
                Some(field) => {
                    let from = inside_record(found, &column.from.name);
                    names.insert(field.to_owned(), from);
                    column.from = pointer(field).into();
                }
                None => column.from = pointer(&column.name).into(),
            }
        }
        let mut plan = SlotPlan::default();
        table.number_fields(&mut plan, false);
        let rules = history_rules(found, self.masks.get(&found.topic), &names)?;
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
            places_nowhere: Vec::new(),
            masks: match rules.is_empty() {
                true => BTreeMap::new(),
                false => BTreeMap::from([(topic.to_owned(), rules)]),
            },
            fingerprint: self.fingerprint,
        };
        Ok(History {
            sources,
            columns: names.into_keys().collect(),
        })
    }

    /// The table that an export is for.
    ///
    /// # Errors
    /// When there is no such table.
    pub(crate) fn table_of_history(&self, table: &str) -> Result<&Table, HistoryError> {
        let mut tables = self.tables.iter();
        let found = tables.find(|it| it.definition.name == table);
        found.ok_or_else(|| {
            let names = self.tables.iter().map(|it| it.definition.name.as_str());
            HistoryError::NoTable {
                table: table.to_owned(),
                known: names.collect::<Vec<_>>().join(", "),
            }
        })
    }
}

/// A table whose records are rows of exports: objects of JSON that say nothing of
/// changes, with times as databases export them. Where its columns come from is still
/// to be said.
pub(crate) fn table_of_rows(found: &Table) -> Table {
    let mut table = found.clone();
    table.when = Vec::new();
    table.explode = None;
    table.row = None;
    table.before = None;
    table.unchanged = None;
    table.version = Vec::new();
    table.change_kind = None;
    for column in &mut table.columns {
        column.time.read_exports();
    }
    table
}

/// The column of an export that a column of a table takes: by its own name, or by that
/// which it has in the shop's records. `None` if there is none, and need not be.
pub(crate) fn exported_column<'a>(
    table: &Table,
    column: &Column,
    exported: &'a Schema,
) -> Result<Option<&'a str>, HistoryError> {
    let source_name = source_name(&column.from.name);
    let field = exported.field_with_name(&column.name);
    let field = field.or_else(|_| exported.field_with_name(source_name));
    match field {
        Ok(field) => Ok(Some(field.name().as_str())),
        Err(_) if column.missing == Policy::DeadLetter => {
            let fields = exported.fields().iter();
            let names = fields.map(|field| field.name().as_str());
            Err(HistoryError::NoColumn {
                table: table.definition.name.clone(),
                column: column.name.clone(),
                source_name: source_name.to_owned(),
                known: names.collect::<Vec<_>>().join(", "),
            })
        }
        Err(_) => Ok(None),
    }
}

/// The place of a field in a record of the shop: `./` starts from the row.
pub(crate) fn inside_record(table: &Table, from: &str) -> String {
    match (from.strip_prefix('.'), &table.row) {
        (Some(inside), Some(row)) => format!("{}{inside}", row.name),
        _ => from.to_owned(),
    }
}

/// The rules of a topic as rules of a file: `names` has its columns with their
/// places in records of the shop. What the door masks of a record is masked in the
/// file.
pub(crate) fn history_rules(
    table: &Table,
    rules: Option<&TopicRules>,
    names: &BTreeMap<String, String>,
) -> Result<TopicRules, HistoryError> {
    let mut of_file = TopicRules {
        form: RecordForm::Json,
        fields: Vec::new(),
        tables: BTreeMap::new(),
    };
    let Some(rules) = rules else {
        return Ok(of_file);
    };
    for (exported, from) in names {
        let of_field = field_action(table, rules, exported, from)?;
        let action = match of_field {
            Some(action) if *action != Action::Keep => Some(action),
            _ => column_action(table, rules, column_in_row(table, from)).or(of_field),
        };
        let Some(action) = action else {
            continue;
        };
        let action = match action {
            Action::Encrypt(person) => {
                let wanted = source_name(&person.field);
                let mut columns = names.iter();
                let id = columns.find(|(_, from)| source_name(from).eq_ignore_ascii_case(wanted));
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
        of_file.fields.push((pointer(exported), action));
    }
    Ok(of_file)
}

/// The places where records may hold a field: a message that is no Maxwell's holds its
/// row elsewhere.
fn places(table: &Table, from: &str) -> Vec<String> {
    let row = table.row.as_ref().map(|row| row.name.as_str());
    let inside = row.and_then(|row| from.strip_prefix(row));
    let inside = inside.filter(|inside| inside.starts_with('/'));
    let elsewhere = inside.into_iter().flat_map(|inside| {
        let rows = MESSAGE_ROWS.into_iter();
        rows.map(move |row| format!("{row}{inside}"))
    });
    std::iter::once(from.to_owned()).chain(elsewhere).collect()
}

/// What the rules about places in records do to a field. Of several the outermost
/// counts, and then the one that names more than `*`.
fn field_action<'a>(
    table: &Table,
    rules: &'a TopicRules,
    exported: &str,
    from: &str,
) -> Result<Option<&'a Action>, HistoryError> {
    let mut found: Option<(usize, Vec<bool>, &Action)> = None;
    for place in places(table, from) {
        let length = place.split('/').count();
        for (path, action) in &rules.fields {
            let depth = path.split('/').count();
            if !agree(path, &place) {
                continue;
            }
            if depth > length && *action != Action::Keep {
                return Err(HistoryError::MaskInside {
                    table: table.definition.name.clone(),
                    column: exported.to_owned(),
                    path: path.clone(),
                });
            }
            let stars: Vec<bool> = path.split('/').map(|part| part == "*").collect();
            let is_better = found
                .as_ref()
                .is_none_or(|(known, known_stars, _)| (depth, &stars) < (*known, known_stars));
            if depth <= length && is_better {
                found = Some((depth, stars, action));
            }
        }
    }
    Ok(found.map(|(_, _, action)| action))
}

/// Whether two places, of which the first may have `*` for any part, are the same as
/// far as both go. Names of masks are compared without regard to case.
fn agree(path: &str, place: &str) -> bool {
    let mut parts = path.split('/').zip(place.split('/'));
    parts.all(|(wanted, part)| wanted == "*" || wanted.eq_ignore_ascii_case(part))
}

/// The column of the shop's table that a field is, or is inside of.
fn column_in_row<'a>(table: &Table, from: &'a str) -> &'a str {
    let row = table.row.as_ref().map(|row| row.name.as_str());
    let mut rows = row.into_iter().chain(MESSAGE_ROWS);
    let inside = rows.find_map(|row| from.strip_prefix(row)?.strip_prefix('/'));
    let column = inside.and_then(|inside| inside.split('/').next());
    column.unwrap_or(source_name(from))
}

/// Where records name the database of a row.
const DATABASE_FIELDS: [&str; 3] = ["/database", "/source/db", "/payload/source/db"];

/// What is done to a column of the database table that fills `table`. As at the door
/// `database.table` comes before `table`, and that before `*`. Where the table does
/// not say of which one database its rows are, they may be of any.
fn column_action<'a>(table: &Table, rules: &'a TopicRules, column: &str) -> Option<&'a Action> {
    let said = |is_database: bool| -> Vec<&String> {
        let conditions = table.when.iter();
        let about = conditions.filter(|condition| {
            let field = condition.field.name.as_str();
            !is_database || DATABASE_FIELDS.contains(&field)
        });
        let values = about.flat_map(|condition| {
            let one_of = condition.one_of.iter().flatten();
            condition.equals.iter().chain(one_of)
        });
        values.collect()
    };
    let is_among = |names: &[&String], wanted: &str| {
        let mut names = names.iter();
        names.any(|name| name.eq_ignore_ascii_case(wanted))
    };
    let (names, databases) = (said(false), said(true));
    let tables = || rules.tables.iter();
    let qualified = tables().filter(|(rule, _)| {
        rule.split_once('.').is_some_and(|(database, bare)| {
            is_among(&names, bare) && (databases.is_empty() || is_among(&databases, database))
        })
    });
    let plain = tables().filter(|(rule, _)| is_among(&names, rule));
    let mut found: Vec<&Vec<(String, Action)>> =
        qualified.chain(plain).map(|(_, columns)| columns).collect();
    if databases.len() == 1 {
        found.truncate(1);
    }
    if found.is_empty() {
        found.extend(rules.tables.get("*"));
    }
    let of = |columns: &'a Vec<(String, Action)>| {
        let named = |wanted: &str| {
            let mut columns = columns.iter();
            columns.find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        let found = named(column).or_else(|| named("*"));
        found.map(|(_, action)| action)
    };
    let actions: Vec<&Action> = found.into_iter().filter_map(of).collect();
    let mut masking = actions.iter().filter(|action| ***action != Action::Keep);
    masking.next().or(actions.first()).copied()
}

/// The name of a CSV column, or the last part of a JSON pointer.
fn source_name(from: &str) -> &str {
    from.rsplit('/').next().unwrap_or(from)
}

/// The JSON pointer of a key (RFC 6901).
pub(crate) fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}
