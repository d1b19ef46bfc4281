//! What a change message says besides its row: kind, version, before-image.

use std::borrow::Cow;

use sluice_core::{ChangeKind, SourceVersion, TableKind};

use crate::cell::{Cell, read};
use crate::definition::Table;
use crate::fields::Fields;
use crate::json::{Json, JsonParser};
use crate::letters::Refusal;
use crate::slots::{Field, Slots};

/// What the change does to its row.
pub(crate) fn change_kind(table: &Table, fields: &Fields<'_>) -> Result<ChangeKind, Refusal> {
    if table.definition.kind == TableKind::AppendOnly {
        return Ok(ChangeKind::Insert);
    }
    let Some(definition) = &table.change_kind else {
        return Ok(ChangeKind::Upsert);
    };
    let found = fields.text(&definition.field).unwrap_or_default();
    let is_in = |names: &[String]| names.iter().any(|name| *name == found);
    if is_in(&definition.delete) {
        return Ok(ChangeKind::Delete);
    }
    if is_in(&definition.insert) || is_in(&definition.update) {
        return Ok(ChangeKind::Upsert);
    }
    if is_in(&definition.truncate) {
        return Ok(ChangeKind::Truncate);
    }
    Err(Refusal {
        column: definition.field.name.clone(),
        reason: "not_in_list",
        detail: format!("`{found}` is no kind of change"),
    })
}

/// Which change of a key is the newer one. Without a version in the message
/// that is the order in the log. With one, a message that lacks it (the row of
/// a snapshot) is older than all that have it; one that lacks the minor field
/// only (the last row of a transaction) comes after those that have it.
pub(crate) fn version(
    table: &Table,
    fields: &Fields<'_>,
    offset: u64,
    minor: u64,
) -> Result<SourceVersion, Refusal> {
    let Some(major_field) = table.version.first() else {
        return Ok(SourceVersion {
            major: offset,
            minor,
        });
    };
    let Some(major) = number(fields, major_field)? else {
        return Ok(SourceVersion::default());
    };
    let minor = match table.version.get(1) {
        Some(minor_field) => number(fields, minor_field)?.unwrap_or(u64::MAX),
        None => minor,
    };
    Ok(SourceVersion { major, minor })
}

fn number(fields: &Fields<'_>, field: &Field) -> Result<Option<u64>, Refusal> {
    let Some(text) = fields.text(field) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Refusal {
            column: field.name.clone(),
            reason: "wrong_version",
            detail: format!(
                "`{}` is no whole number of 64 bits",
                text.chars().take(100).collect::<String>()
            ),
        }),
    }
}

/// The columns that the change left as they were, and that the record does not
/// hold for that reason.
pub(crate) fn unchanged_columns(
    table: &Table,
    record: Slots<'_>,
    parser: &mut JsonParser,
) -> Vec<usize> {
    let list = table.unchanged.as_ref();
    let Some(list) = list.and_then(|list| record.inner(list)) else {
        return Vec::new();
    };
    // Nothing that is a value inside a record fails to be parsed.
    let Ok(list) = parser.parse(list) else {
        return Vec::new();
    };
    let names: Vec<String> = list
        .elements()
        .filter_map(|name| name.as_text())
        .map(Cow::into_owned)
        .collect();
    let row = table.row.as_ref().map_or("", |row| row.name.as_str());
    let is_unchanged = |place: &str| {
        let inside = place.strip_prefix('.').or_else(|| place.strip_prefix(row));
        let field = inside.and_then(|inside| inside.strip_prefix('/')?.split('/').next());
        let field = field.map(|field| field.replace("~1", "/").replace("~0", "~"));
        field.is_some_and(|field| names.contains(&field))
    };
    let key: &[usize] = match &table.definition.kind {
        TableKind::Changelog { primary_key } => primary_key,
        TableKind::AppendOnly => &[],
    };
    let columns = table.columns.iter().enumerate();
    columns
        .filter(|(index, column)| !key.contains(index) && is_unchanged(&column.from.name))
        .map(|(index, _)| index)
        .collect()
}

/// The before-image of a record: the object at `before`, or that one's element
/// for exploded messages.
pub(crate) fn before_image<'a>(
    table: &Table,
    record: Slots<'a>,
    element: usize,
    parser: &'a mut JsonParser,
) -> Option<Json<'a>> {
    // Nothing that is a value inside a record fails to be parsed.
    let image = parser.parse(record.inner(table.before.as_ref()?)?).ok()?;
    if image.is_array() {
        return image.elements().nth(element);
    }
    image.is_object().then_some(image)
}

/// The row's key before the change, where that was another one. A before-image
/// may hold the changed columns only.
pub(crate) fn old_key<'a>(
    table: &Table,
    key: &[usize],
    cells: &[Cell<'a>],
    record: Slots<'a>,
    image: Json<'a>,
) -> Option<Vec<(usize, Cell<'a>)>> {
    let old = Fields::Json {
        record,
        element: Some(image),
    };
    let old_cell = |&index: &usize| {
        let column = &table.columns[index];
        let is_in_image = old.text(&column.from).is_some();
        let cell = match is_in_image {
            true => read(column, &old).ok()?,
            false => cells[index].clone(),
        };
        Some((index, cell))
    };
    let old_key: Vec<(usize, Cell<'a>)> = key.iter().map(old_cell).collect::<Option<_>>()?;
    let is_changed = old_key.iter().any(|(index, cell)| cells[*index] != *cell);
    is_changed.then_some(old_key)
}
