//! Reads sqllogictest files, and compares what they expect with what was found.
//!
//! | a record begins with | then come | what is expected |
//! |---|---|---|
//! | `query TIR`, `query TIR nosort` | a statement, `----`, rows | these rows in this order; a letter for each column: T a text, I a whole number, R another number |
//! | `query TIR rowsort` | the same | these rows, sorted as texts value by value; they stand in the file in that order |
//! | `statement ok` | a statement | it succeeds |
//! | `statement error TEXT` | a statement | it fails, and says TEXT |
//!
//! A row is one line, its values separated by blanks, several of which count as one.
//! NULL is `NULL`, an empty text `(empty)`. A blank line ends a record; between
//! records, lines that begin with `#` are comments.

use serde_json::Value;

/// A statement of a file, and what is expected of it.
pub struct Record {
    /// Where it begins, from 1.
    pub line: usize,
    pub sql: String,
    expected: Expected,
}

enum Expected {
    Rows {
        types: String,
        are_sorted: bool,
        rows: Vec<String>,
    },
    Success,
    Failure(String),
}

/// What a statement answered.
pub struct Answer {
    /// A letter for each column.
    types: String,
    rows: Vec<Vec<String>>,
}

/// The records of a file, or which line is none.
pub fn records_of(text: &str) -> Result<Vec<Record>, String> {
    let mut lines = text.lines().enumerate();
    let mut records = Vec::new();
    while let Some((index, header)) = lines.next() {
        if header.trim().is_empty() || header.starts_with('#') {
            continue;
        }
        let block = lines.by_ref().map(|(_, line)| line);
        let block: Vec<&str> = block.take_while(|line| !line.trim().is_empty()).collect();
        let line = index + 1;
        let Some((sql, expected)) = read(header, &block) else {
            return Err(format!("line {line} begins no record: {header}"));
        };
        records.push(Record {
            line,
            sql,
            expected,
        });
    }
    Ok(records)
}

/// The statement of a record, and what is expected of it.
fn read(header: &str, block: &[&str]) -> Option<(String, Expected)> {
    let separator = block.iter().position(|line| *line == "----");
    let (statement, rows) = block.split_at(separator.unwrap_or(block.len()));
    if statement.is_empty() {
        return None;
    }
    let rows_of = |types: &str, are_sorted: bool| Expected::Rows {
        types: types.to_owned(),
        are_sorted,
        // The first line is the separator.
        rows: rows
            .iter()
            .skip(1)
            .map(|row| with_single_blanks(row))
            .collect(),
    };
    let words: Vec<&str> = header.split_whitespace().collect();
    let expected = match (words.as_slice(), separator) {
        (["query", types] | ["query", types, "nosort"], Some(_)) => rows_of(types, false),
        (["query", types, "rowsort"], Some(_)) => rows_of(types, true),
        (["statement", "ok"], None) => Expected::Success,
        (["statement", "error", text @ ..], None) => Expected::Failure(text.join(" ")),
        _ => return None,
    };
    Some((statement.join("\n"), expected))
}

fn with_single_blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Record {
    /// What is wrong with what was found, which is an answer or an error.
    pub fn fault(&self, found: &Result<Answer, String>) -> Option<String> {
        let fault = match (&self.expected, found) {
            (Expected::Success, Ok(_)) => return None,
            (Expected::Failure(text), Err(error)) if error.contains(text) => return None,
            (Expected::Failure(text), Ok(_)) => format!("it does not fail with `{text}`"),
            (_, Err(error)) => error.clone(),
            (
                Expected::Rows {
                    types,
                    are_sorted,
                    rows,
                },
                Ok(answer),
            ) => {
                let found = answer.lines(*are_sorted);
                if answer.types == *types && found == *rows {
                    return None;
                }
                format!(
                    "found {}\n{}\nexpected {types}\n{}",
                    answer.types,
                    found.join("\n"),
                    rows.join("\n")
                )
            }
        };
        Some(format!("{}\n{fault}\n", self.sql))
    }
}

impl Answer {
    /// Reads what the HTTP API answers.
    pub fn of(answer: &Value) -> Self {
        let columns = answer["columns"].as_array().unwrap().iter();
        let types = columns.map(|column| letter_of(column["type"].as_str().unwrap()));
        let rows = answer["rows"].as_array().unwrap().iter();
        let rows = rows.map(|row| {
            row.as_array()
                .unwrap()
                .iter()
                .map(text_of)
                .collect::<Vec<_>>()
        });
        Self {
            types: types.collect(),
            rows: rows.collect(),
        }
    }

    /// A line for each row.
    fn lines(&self, are_sorted: bool) -> Vec<String> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        if are_sorted {
            rows.sort();
        }
        rows.into_iter().map(|row| row.join(" ")).collect()
    }
}

/// The letter of an Arrow type such as `Int64` or `Decimal128(16, 2)`.
fn letter_of(data_type: &str) -> char {
    let name = data_type.split('(').next().unwrap_or_default();
    match name.trim_end_matches(|letter: char| letter.is_ascii_digit()) {
        "Int" | "UInt" => 'I',
        "Decimal" | "Float" => 'R',
        _ => 'T',
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        Value::String(text) => with_single_blanks(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Result<Answer, String> {
        Ok(Answer::of(&json!({
            "columns": [
                {"name": "name", "type": "Utf8"},
                {"name": "pieces", "type": "Int64"},
                {"name": "price", "type": "Decimal128(16, 2)"},
            ],
            "rows": [["Green  Tea", "10", "20.00"], ["", 9, null]],
        })))
    }

    /// What is wrong with the only record of a file.
    fn fault(text: &str, found: &Result<Answer, String>) -> Option<String> {
        let records = records_of(text).unwrap();
        assert_eq!(records.len(), 1, "{text}");
        records[0].fault(found)
    }

    #[test]
    fn rows_are_compared_by_value_and_in_their_order() {
        let in_order = "# Tea.\nquery TIR\nSELECT *\nFROM goods\n----\nGreen Tea 10  20.00\n(empty)    9   NULL\n";
        assert_eq!(fault(in_order, &answer()), None);
        let explicit = in_order.replace("TIR", "TIR nosort");
        assert_eq!(fault(&explicit, &answer()), None);

        // `(` comes before `G`.
        let sorted =
            "query TIR rowsort\nSELECT * FROM goods\n----\n(empty) 9 NULL\nGreen Tea 10 20.00\n";
        assert_eq!(fault(sorted, &answer()), None);
        let unsorted = in_order.replace("TIR", "TIR rowsort");
        assert!(fault(&unsorted, &answer()).is_some());

        let other = in_order.replace("20.00", "20.01");
        let told = "SELECT *\nFROM goods\nfound TIR\nGreen Tea 10 20.00\n(empty) 9 NULL\nexpected TIR\nGreen Tea 10 20.01\n(empty) 9 NULL\n";
        assert_eq!(fault(&other, &answer()).as_deref(), Some(told));
        let other_type = in_order.replace("TIR", "TII");
        assert!(fault(&other_type, &answer()).is_some());
        let shorter = in_order.replace("(empty)    9   NULL\n", "");
        assert!(fault(&shorter, &answer()).is_some());
        let failed = Err("no such table".to_owned());
        let told = "SELECT *\nFROM goods\nno such table\n";
        assert_eq!(fault(in_order, &failed).as_deref(), Some(told));
    }

    #[test]
    fn statements_are_to_succeed_or_to_fail() {
        let failed = Err("table goods not found".to_owned());
        let good = "statement ok\nSELECT * FROM goods";
        assert_eq!(fault(good, &answer()), None);
        assert!(fault(good, &failed).is_some());
        let bad = "statement error not found\nSELECT * FROM goods";
        assert_eq!(fault(bad, &failed), None);
        assert!(fault(bad, &answer()).is_some());
        let otherwise = Err("disk full".to_owned());
        assert!(fault(bad, &otherwise).is_some());
    }

    #[test]
    fn what_is_no_record_is_told_with_its_line() {
        for text in [
            "\n# A query\nquery\nSELECT 1\n----\n1",
            "\n\nquery I valuesort\nSELECT 1\n----\n1",
            "\n\nquery I\nSELECT 1",
            "\n\nquery I\n----\n1",
            "\n\nstatement ok\n\nSELECT 1",
            "\n\nstatement ok\nSELECT 1\n----\n1",
        ] {
            let wrong = records_of(text).err().unwrap();
            assert!(
                wrong.starts_with("line 3 begins no record"),
                "{text}: {wrong}"
            );
        }
        let several = "statement ok\nSELECT 1\n\n\n# Two\nquery I\nSELECT 2\n----\n";
        let records = records_of(several).unwrap();
        assert_eq!((records[0].line, records[1].line), (1, 6));
    }
}
