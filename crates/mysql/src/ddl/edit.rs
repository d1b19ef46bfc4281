//! Changes of a table's columns.

use super::columns::{ColumnDefinition, Place};
use crate::schema::{ColumnSchema, TableSchema};

/// Makes a change during which the columns of the key keep their names rather
/// than their positions.
fn keeping_key(schema: &mut TableSchema, change: impl FnOnce(&mut TableSchema)) {
    let name = |&position: &usize| schema.columns.get(position).map(|c| c.name.clone());
    let names: Vec<String> = schema.key.iter().filter_map(name).collect();
    change(schema);
    set_key(schema, &names);
}

/// Makes these columns the primary key.
pub(super) fn set_key(schema: &mut TableSchema, names: &[String]) {
    schema.key = names
        .iter()
        .filter_map(|name| schema.position(name))
        .collect();
}

/// Adds a column where it says.
pub(super) fn place_column(schema: &mut TableSchema, definition: ColumnDefinition) {
    let ColumnDefinition {
        mut column,
        is_key,
        place,
    } = definition;
    if column.charset.is_none() && has_charset(&column) {
        column.charset = schema.charset.clone();
    }
    let name = column.name.clone();
    keeping_key(schema, |schema| {
        let position = match &place {
            Place::Last => None,
            Place::First => Some(0),
            Place::After(name) => schema.position(name).map(|position| position + 1),
        };
        let position = position.unwrap_or(schema.columns.len());
        schema.columns.insert(position, column);
    });
    if is_key {
        set_key(schema, &[name]);
    }
}

/// Whether the values of a column are text.
fn has_charset(column: &ColumnSchema) -> bool {
    let name = column.type_name.as_str();
    matches!(name, "char" | "varchar" | "enum" | "set") || name.ends_with("text")
}

/// Takes a column away.
pub(super) fn remove_column(schema: &mut TableSchema, name: &str) {
    if let Some(position) = schema.position(name) {
        keeping_key(schema, |schema| {
            schema.columns.remove(position);
        });
    }
}

/// Gives a column another definition, and perhaps another name and place.
pub(super) fn change_column(schema: &mut TableSchema, old: &str, definition: ColumnDefinition) {
    let Some(position) = schema.position(old) else {
        return;
    };
    let was_key = schema.key.iter().position(|&key| key == position);
    let mut names: Vec<String> = schema
        .key
        .iter()
        .map(|&k| schema.columns[k].name.clone())
        .collect();
    if let Some(place) = was_key {
        names[place].clone_from(&definition.column.name);
    }
    let place = match &definition.place {
        Place::Last if position == 0 => Place::First,
        Place::Last => Place::After(schema.columns[position - 1].name.clone()),
        // A column that comes after itself stays.
        Place::After(name) if name.eq_ignore_ascii_case(old) => return,
        other => other.clone(),
    };
    let is_key = definition.is_key;
    schema.columns.remove(position);
    schema.key.clear();
    place_column(
        schema,
        ColumnDefinition {
            place,
            ..definition
        },
    );
    if !is_key {
        set_key(schema, &names);
    }
}
