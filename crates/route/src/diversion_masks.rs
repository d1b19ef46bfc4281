//! What a rule of diversion masks: `phone tokenise(phone), name drop`.

use sluice_mask::{Action, ColumnMask, Format, Generalisation, PersonField};

use crate::diversion::split_list;

const ACTIONS: &str = "write `column action` with drop, hash, tokenise(phone) (email, card, name), truncate(3), generalise(year) (city) or encrypt(user, id_column)";

/// Reads the columns of a rule's `masking`.
///
/// # Errors
/// What of it is not understood, in words.
pub(crate) fn masked_columns(text: &str) -> Result<Vec<ColumnMask>, String> {
    let mut columns: Vec<ColumnMask> = Vec::new();
    if text.is_empty() {
        return Ok(columns);
    }
    for part in split_list(text) {
        let wrong = |problem: &str| format!("masking: `{part}`: {problem}: {ACTIONS}");
        let (column, words) = part
            .split_once(char::is_whitespace)
            .ok_or_else(|| wrong("no column with an action"))?;
        let words: String = words.split_whitespace().collect();
        let action = action(&words).ok_or_else(|| wrong("no way to mask"))?;
        if column.contains(['*', ':', '=', '(', ')']) {
            return Err(wrong("no name of a column"));
        }
        let mut known = columns.iter();
        if known.any(|known| known.column.eq_ignore_ascii_case(column)) {
            return Err(format!("masking: `{column}` stands there twice"));
        }
        columns.push(ColumnMask {
            column: column.to_owned(),
            action,
            words,
        });
    }
    Ok(columns)
}

fn action(words: &str) -> Option<Action> {
    let (name, argument) = match words.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')')?),
        None => (words, ""),
    };
    Some(match (name, argument) {
        ("drop", "") => Action::Drop,
        ("hash", "") => Action::Hash,
        ("tokenise", "phone") => Action::Tokenise(Format::Phone),
        ("tokenise", "email") => Action::Tokenise(Format::Email),
        ("tokenise", "card") => Action::Tokenise(Format::Card),
        ("tokenise", "name") => Action::Tokenise(Format::Name),
        ("truncate", count) => Action::Truncate(count.parse().ok()?),
        ("generalise", "year") => Action::Generalise(Generalisation::Year),
        ("generalise", "city") => Action::Generalise(Generalisation::City),
        ("encrypt", person) => {
            let (kind, field) = person.split_once(',')?;
            let is_whole = !kind.is_empty() && !field.is_empty();
            is_whole.then(|| {
                Action::Encrypt(PersonField {
                    kind: kind.to_owned(),
                    field: field.to_owned(),
                })
            })?
        }
        _ => return None,
    })
}

/// The mask of a field, if it has one.
pub(crate) fn mask_of<'a>(masks: &'a [ColumnMask], field: &str) -> Option<&'a ColumnMask> {
    let mut masks = masks.iter();
    masks.find(|mask| mask.column.eq_ignore_ascii_case(field))
}

/// Whether a column of the table can hold what becomes of its field.
///
/// # Errors
/// Why it cannot, in words.
pub(crate) fn check_column(
    masks: &[ColumnMask],
    (column, field): (&str, &str),
    data_type: &str,
    is_key: bool,
) -> Result<(), String> {
    let Some(mask) = mask_of(masks, field) else {
        return Ok(());
    };
    let words = &mask.words;
    let is_apart = matches!(
        mask.action,
        Action::Hash | Action::Tokenise(_) | Action::Encrypt(_)
    );
    if is_key && !is_apart {
        return Err(format!(
            "masking: `{column}` is of the key, and {words} makes different values equal: take hash or tokenise"
        ));
    }
    let fits = match mask.action {
        Action::Keep | Action::Drop => true,
        Action::Tokenise(Format::Phone | Format::Card) => matches!(data_type, "string" | "int64"),
        Action::Generalise(Generalisation::Year) => matches!(data_type, "string" | "date"),
        _ => data_type == "string",
    };
    match fits {
        true => Ok(()),
        false => Err(format!(
            "masking: what {words} makes is no {data_type}: let `{column}` be a string"
        )),
    }
}
