//! What a rule of diversion masks: `phone tokenise(phone), name drop`.

use sluice_mask::{Action, ColumnMask, Format, Generalisation, PersonField};

use crate::diversion::split_list;

const ACTIONS: &str = "write `column action` with keep, drop, hash, tokenise(phone) (email, card, name), truncate(3), generalise(year) (city) or encrypt(user, id_column)";

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
        let not_understood = || format!("masking: `{part}` is not understood: {ACTIONS}");
        let (column, words) = part
            .split_once(char::is_whitespace)
            .ok_or_else(not_understood)?;
        let words: String = words.split_whitespace().collect();
        let action =
            action(&words).map_err(|problem| format!("masking: `{part}`: {problem}: {ACTIONS}"))?;
        let is_bad_name = column.contains([':', '=', '(', ')']);
        if is_bad_name {
            return Err(not_understood());
        }
        let known = columns
            .iter()
            .any(|known| known.column.eq_ignore_ascii_case(column));
        if known {
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

fn action(words: &str) -> Result<Action, String> {
    let unknown = || format!("`{words}` is no way to mask");
    let (name, argument) = match words.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')').ok_or_else(unknown)?),
        None => (words, ""),
    };
    match (name, argument) {
        ("keep", "") => Ok(Action::Keep),
        ("drop", "") => Ok(Action::Drop),
        ("hash", "") => Ok(Action::Hash),
        ("tokenise", "phone") => Ok(Action::Tokenise(Format::Phone)),
        ("tokenise", "email") => Ok(Action::Tokenise(Format::Email)),
        ("tokenise", "card") => Ok(Action::Tokenise(Format::Card)),
        ("tokenise", "name") => Ok(Action::Tokenise(Format::Name)),
        ("tokenise", other) => Err(format!("there are no tokens of the form `{other}`")),
        ("truncate", count) => match count.parse() {
            Ok(count) => Ok(Action::Truncate(count)),
            Err(_) => Err(format!("a value cannot be cut to `{count}` characters")),
        },
        ("generalise", "year") => Ok(Action::Generalise(Generalisation::Year)),
        ("generalise", "city") => Ok(Action::Generalise(Generalisation::City)),
        ("encrypt", person) => match person.split_once(',') {
            Some((kind, field)) if !kind.is_empty() && !field.is_empty() => {
                Ok(Action::Encrypt(PersonField {
                    kind: kind.to_owned(),
                    field: field.to_owned(),
                }))
            }
            _ => Err("encrypted under whose key?".to_owned()),
        },
        _ => Err(unknown()),
    }
}

/// The columns of a rule that are masked.
pub(crate) struct Masked(pub(crate) Vec<ColumnMask>);

impl Masked {
    /// What a record says that was masked by the rule.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().map(|mask| (mask.mark(), mask.words.as_str()))
    }

    fn of(&self, field: &str) -> Option<&ColumnMask> {
        let masks = self.0.iter();
        let mut named = masks.filter(|mask| mask.column.eq_ignore_ascii_case(field));
        let others = self.0.iter().find(|mask| mask.column == "*");
        let mask = named.next().or(others)?;
        (mask.action != Action::Keep).then_some(mask)
    }

    /// Whether a column of the table can hold what becomes of its field.
    pub(crate) fn check_column(
        &self,
        (column, field): (&str, &str),
        data_type: &str,
        is_key: bool,
    ) -> Result<(), String> {
        let Some(mask) = self.of(field) else {
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
            Action::Tokenise(Format::Phone | Format::Card) => {
                matches!(data_type, "string" | "int64")
            }
            Action::Generalise(Generalisation::Year) => {
                matches!(data_type, "string" | "date")
            }
            _ => data_type == "string",
        };
        match fits {
            true => Ok(()),
            false => Err(format!(
                "masking: what {words} makes is no {data_type}: let `{column}` be a string"
            )),
        }
    }

    /// Whether a filter can ask for a column.
    pub(crate) fn check_filter(&self, column: &str) -> Result<(), String> {
        match self.of(column) {
            None => Ok(()),
            Some(mask) => Err(format!(
                "filter: `{column}` is masked ({}) before it could be compared",
                mask.words
            )),
        }
    }
}
