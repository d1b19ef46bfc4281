//! The comment on top of a model: `-- Grain: …. Key: …. Inputs: ….`, then
//! paragraphs that say what the columns mean.

use std::collections::BTreeMap;

/// A comment, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// The first paragraph up to `Inputs:`.
    pub(super) grain: String,
    /// The other paragraphs, each in one line.
    pub(super) text: Vec<String>,
}

pub(super) fn parse(sql: &str) -> Header {
    let mut paragraphs: Vec<String> = vec![String::new()];
    for line in sql.lines().map_while(|line| line.strip_prefix("--")) {
        let line = line.trim();
        match paragraphs.last_mut() {
            Some(last) if !line.is_empty() => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(line);
            }
            _ => paragraphs.push(String::new()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    if paragraphs.is_empty() {
        return Header::default();
    }
    let first = paragraphs.remove(0);
    let grain = first.split("Inputs:").next().unwrap_or_default();
    Header {
        grain: grain.trim().to_owned(),
        text: paragraphs,
    }
}

/// What the paragraphs say of some columns: `name, name: meaning;`, or, within
/// such a list, `name (meaning)` and `name = formula`.
pub(super) fn meanings(paragraphs: &[String], columns: &[String]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for paragraph in paragraphs {
        let clauses: Vec<&str> = paragraph.split_inclusive(['.', ';']).collect();
        let mut current: Vec<String> = Vec::new();
        let mut meaning = String::new();
        let mut keep = |names: &mut Vec<String>, meaning: &mut String| {
            let said = meaning.trim().trim_end_matches([';', '.']).trim();
            for name in names.drain(..) {
                if !said.is_empty() {
                    found.entry(name).or_insert_with(|| said.to_owned());
                }
            }
            meaning.clear();
        };
        for clause in clauses {
            match defined(clause, columns) {
                Some((names, said)) => {
                    keep(&mut current, &mut meaning);
                    current = names;
                    meaning = said.to_owned();
                }
                None => meaning.push_str(clause),
            }
        }
        keep(&mut current, &mut meaning);
        for name in columns {
            if let Some(said) = in_a_list(paragraph, name) {
                found.entry(name.clone()).or_insert(said);
            }
        }
    }
    found
}

/// `name, name: meaning`, if the names are columns.
fn defined<'a>(clause: &'a str, columns: &[String]) -> Option<(Vec<String>, &'a str)> {
    let (names, said) = clause.split_once(": ")?;
    let names = names.replace(" and ", ", ");
    let names: Vec<String> = names
        .split(", ")
        .map(|name| name.trim().to_owned())
        .collect();
    let are_columns = names.iter().all(|name| columns.contains(name));
    are_columns.then_some((names, said))
}

/// `name (meaning)` or `name = formula`, with the word standing alone.
fn in_a_list(paragraph: &str, name: &str) -> Option<String> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    for (place, _) in paragraph.match_indices(name) {
        let before = paragraph[..place].chars().next_back();
        let after = &paragraph[place + name.len()..];
        if before.is_some_and(is_word) {
            continue;
        }
        if let Some(rest) = after.strip_prefix(" (") {
            let said = rest.split(')').next().unwrap_or_default();
            return Some(said.to_owned());
        }
        if let Some(rest) = after.strip_prefix(" = ") {
            let said = rest.split([';', '.']).next().unwrap_or_default();
            return Some(said.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "-- Grain: window. Key: stt.\n-- Inputs: a, b.\n--\n-- Of orders: order_ct; uu_ct (members); gross = a - b, goods.\n-- pv: page views, of people. Bots\n-- are out; x, y: both.\nCREATE VIEW v AS SELECT 1";

    #[test]
    fn comments_are_taken_apart() {
        let header = parse(SQL);
        assert_eq!(header.grain, "Grain: window. Key: stt.");
        let columns = ["order_ct", "uu_ct", "gross", "pv", "x", "y"].map(str::to_owned);
        let meanings = meanings(&header.text, &columns);
        let said: Vec<(&str, &str)> = meanings.iter().map(|(n, m)| (&n[..], &m[..])).collect();
        assert_eq!(
            said,
            [
                ("gross", "a - b, goods"),
                ("pv", "page views, of people. Bots are out"),
                ("uu_ct", "members"),
                ("x", "both"),
                ("y", "both"),
            ]
        );
    }
}
