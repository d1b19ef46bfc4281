//! Whether records of JSON can have the places that tables name.
//!
//! The name of a CSV column is no JSON pointer, and a table that is filled from JSON by
//! such names gets nothing but dead letters.

use super::Reading;
use crate::source_text::TableText;

/// A place that no record of its topic has, if the topic holds JSON.
#[derive(Debug)]
pub(super) struct PlaceNowhere {
    pub(super) topic: String,
    /// Number of the file.
    pub(super) file: usize,
    /// Byte position.
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) help: String,
}

/// Where a name that begins with `./` starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// The row, or an element of an array.
    Row,
    /// There is neither.
    Nowhere,
    /// The place is one of the whole record.
    Record,
}

impl Reading {
    /// Keeps the places of a table that can be in no JSON, until it is known what its
    /// topic holds.
    pub(super) fn keep_places_nowhere(&mut self, file: usize, text: &TableText) {
        let has_row = text.row.is_some() || text.explode.is_some() || text.before.is_some();
        let row = match has_row {
            true => Start::Row,
            false => Start::Nowhere,
        };
        let columns = text.columns.iter().map(|column| {
            let from = &column.get_ref().from;
            ("from", from.span().start, from.get_ref().as_str(), row)
        });
        let versions = text.version.iter().map(|version| {
            let name = version.get_ref().as_str();
            ("version", version.span().start, name, row)
        });
        let kinds = text.change_kind.iter().map(|kind| {
            let name = kind.get_ref().field.name.as_str();
            ("field", kind.span().start, name, row)
        });
        let conditions = text.when.iter().map(|condition| {
            let name = condition.get_ref().field.name.as_str();
            ("field", condition.span().start, name, Start::Record)
        });
        let whole = [
            ("explode", &text.explode),
            ("row", &text.row),
            ("before", &text.before),
            ("unchanged", &text.unchanged),
        ];
        let whole = whole.into_iter().filter_map(|(key, place)| {
            let place = place.as_ref()?;
            let name = place.get_ref().as_str();
            Some((key, place.span().start, name, Start::Record))
        });
        let places = columns.chain(versions).chain(kinds);
        for (key, at, name, start) in places.chain(conditions).chain(whole) {
            let Some((message, help)) = problem(key, name, start) else {
                continue;
            };
            self.places_nowhere.push(PlaceNowhere {
                topic: text.topic.get_ref().clone(),
                file,
                at,
                message,
                help,
            });
        }
    }
}

/// What is wrong with the name of a place in JSON, and what to do. No name at all is the
/// whole record.
fn problem(key: &str, name: &str, start: Start) -> Option<(String, String)> {
    let is_inside = name == "." || name.starts_with("./");
    let is_pointer = name.is_empty() || name.starts_with('/');
    if is_pointer || (is_inside && start == Start::Row) {
        return None;
    }
    let written = format!("`{key} = \"{name}\"`");
    if is_inside {
        let rest = &name[1..];
        return Some(match start {
            Start::Record => (
                format!("{written} is a place in the record, and `./` starts from its row"),
                format!("write the whole JSON pointer, as in `/data{rest}`"),
            ),
            _ => (
                format!("{written}: nothing says where `./` starts"),
                format!("write `{rest}`, or say it with `row` or `explode`"),
            ),
        });
    }
    // As JSONPath and dotted names write it.
    let path = name.trim_start_matches('$').trim_start_matches('.');
    let path = path.replace('.', "/");
    let help = match start {
        Start::Row => {
            format!("write `./{path}` for what the row holds, `/{path}` for what stands beside it")
        }
        _ => format!("write {key} = \"/{path}\"; only columns of CSV are named without it"),
    };
    let message = format!("{written}: a JSON pointer begins with `/`: `/{path}`");
    Some((message, help))
}
