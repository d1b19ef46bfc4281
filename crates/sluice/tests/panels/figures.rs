//! Whether the rows of a panel's detail make its figures, by the table `figures.txt`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::encoded;

const TABLE: &str = include_str!("figures.txt");
/// The rows of a kind that an answer in JSON has at most.
const LIMIT: usize = 1_000;
/// Numbers are compared as whole billionths.
const UNIT: i128 = 1_000_000_000;
/// Computed with floating point, a quotient may be off by so much.
const QUOTIENT_ERROR: f64 = 1e-6;

/// What is added, by panel and figure.
fn table() -> BTreeMap<(&'static str, &'static str), &'static str> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let entry = |line: &'static str| {
        let parts: Vec<&str> = line.split(" | ").collect();
        let [panel, figure, added] = parts[..] else {
            panic!("figures.txt: {line}");
        };
        ((panel, figure), added)
    };
    lines.map(entry).collect()
}

/// All figures that are made of rows, as `panel.figure`.
pub fn made_of_rows() -> BTreeSet<String> {
    let made = table().into_iter().filter(|(_, added)| *added != "none");
    made.map(|((panel, figure), _)| format!("{panel}.{figure}"))
        .collect()
}

/// The rows of a detail as its file to download has them.
struct Detail {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Detail {
    fn of(csv: &str) -> Self {
        let mut rows = records(csv);
        let columns = rows.remove(0);
        Self { columns, rows }
    }

    fn cell<'a>(&self, row: &'a [String], column: &str) -> &'a str {
        let place = self.columns.iter().position(|known| known == column);
        &row[place.unwrap_or_else(|| panic!("no column {column} in {:?}", self.columns))]
    }

    /// `KINDS: HOW` with an `if`.
    fn term(&self, text: &str) -> i128 {
        let (kind, how) = text.split_once(": ").unwrap();
        let (how, condition) = match how.split_once(" if ") {
            Some((how, condition)) => (how, condition.split_once('=')),
            None => (how, None),
        };
        let rows = self.rows.iter().filter(|row| {
            let is_of_kind = kind == "*" || self.cell(row, "counts_for") == kind;
            let is_wanted = condition.is_none_or(|(name, value)| self.cell(row, name) == value);
            is_of_kind && is_wanted
        });
        match how.split_once(' ') {
            None if how == "rows" => whole(rows.count()),
            Some(("distinct", column)) => {
                let values: BTreeSet<&str> = rows.map(|row| self.cell(row, column)).collect();
                whole(values.len())
            }
            Some(("sum", column)) => rows.map(|row| number(self.cell(row, column))).sum(),
            _ => panic!("figures.txt: {text}"),
        }
    }

    /// Terms with + and - between them.
    fn sum(&self, text: &str) -> i128 {
        let added = text.split(" + ").map(|part| {
            let mut terms = part.split(" - ").map(|term| self.term(term));
            let first = terms.next().unwrap();
            first - terms.sum::<i128>()
        });
        added.sum()
    }

    fn rows_by_kind(&self) -> Option<BTreeMap<String, usize>> {
        let place = self.columns.iter().position(|name| name == "counts_for")?;
        Some(counts(self.rows.iter().map(|row| row[place].clone())))
    }
}

fn counts(kinds: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// The records of a CSV file.
fn records(csv: &str) -> Vec<Vec<String>> {
    let (mut records, mut record) = (Vec::new(), Vec::new());
    let (mut field, mut is_quoted) = (String::new(), false);
    let mut letters = csv.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut field)),
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            _ => field.push(letter),
        }
    }
    records
}

fn whole(count: usize) -> i128 {
    count as i128 * UNIT
}

/// A decimal in billionths; what is empty adds nothing.
fn number(text: &str) -> i128 {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(behind.len() <= 9, "{text}");
    let units = format!("0{before}{behind:0<9}");
    sign * units.parse::<i128>().unwrap()
}

fn text_of(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a figure is what its rows add up to, and that; nothing is as good as 0.
fn is_made(figure: &str, added: &str, detail: &Detail) -> (bool, String) {
    let Some((dividend, divisor)) = added.split_once(" / ") else {
        let sum = detail.sum(added);
        return (sum == number(figure), sum.to_string());
    };
    let (dividend, divisor) = (detail.sum(dividend), detail.sum(divisor));
    if divisor == 0 {
        return (figure.is_empty(), "nothing".to_owned());
    }
    let quotient = dividend as f64 / divisor as f64;
    let is_near =
        |figure: f64| (figure - quotient).abs() <= QUOTIENT_ERROR * quotient.abs().max(1.0);
    let is_right = figure.parse().is_ok_and(is_near);
    (is_right, quotient.to_string())
}

fn query(values: &BTreeMap<String, String>) -> String {
    let pairs = values
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Asks every panel for each of `days`, or for all of them from the first to the last,
/// and for the rows behind `rows_max` of its rows, all of them as a file, and the first
/// as an answer. Returns figures that were not zero, as `panel.figure`; `text` is what a
/// path answers.
pub fn check(text: &dyn Fn(&str) -> String, days: &[&str], rows_max: usize) -> BTreeSet<String> {
    let json = |path: &str| serde_json::from_str::<Value>(&text(path)).unwrap();
    let table = table();
    let mut asked = BTreeSet::new();
    let mut not_zero = BTreeSet::new();
    let mut faults = Vec::new();
    for panel in json("/api/v1/panels")["panels"].as_array().unwrap() {
        let name = panel["name"].as_str().unwrap();
        let parameters = panel["parameters"].as_array().unwrap();
        let has = |wanted: &str| parameters.iter().any(|it| it["name"] == wanted);
        let days_of_panel = if has("day") { days } else { &days[..1] };
        for day in days_of_panel {
            let mut values = BTreeMap::new();
            for (parameter, value) in [
                ("day", *day),
                ("from", days[0]),
                ("to", days[days.len() - 1]),
            ] {
                if has(parameter) {
                    values.insert(parameter.to_owned(), value.to_owned());
                }
            }
            let answer = json(&format!("/api/v1/panels/{name}?{}", query(&values)));
            let columns = answer["columns"].as_array().unwrap();
            for row in answer["rows"].as_array().unwrap().iter().take(rows_max) {
                let cells = || columns.iter().zip(row.as_array().unwrap());
                let mut chosen = values.clone();
                for (column, cell) in cells() {
                    if column["role"] != "value" && !cell.is_null() {
                        chosen.insert(text_of(&column["name"]), text_of(cell));
                    }
                }
                let path = format!("/api/v1/panels/{name}/detail?{}", query(&chosen));
                let detail = Detail::of(&text(&format!("{path}&format=csv")));
                check_totals(&json(&path), &detail, &path);
                for (column, cell) in cells().filter(|(column, _)| column["role"] == "value") {
                    let figure = column["name"].as_str().unwrap();
                    let Some(added) = table.get(&(name, figure)) else {
                        panic!("figures.txt says nothing of {name}.{figure}");
                    };
                    asked.insert((name.to_owned(), figure.to_owned()));
                    if *added == "none" {
                        continue;
                    }
                    let cell = text_of(cell);
                    let (is_right, found) = is_made(&cell, added, &detail);
                    if !is_right {
                        faults.push(format!("{path}: {figure} is {cell}, its rows make {found}"));
                    }
                    if cell.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
                        not_zero.insert(format!("{name}.{figure}"));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(asked.len() > table.len() / 2, "{asked:?}");
    not_zero
}

/// An answer has the first rows of each kind, and says how many there are.
fn check_totals(answer: &Value, detail: &Detail, path: &str) {
    assert_eq!(answer["rows_total"], detail.rows.len(), "{path}");
    let rows = answer["rows"].as_array().unwrap();
    let Some(by_kind) = detail.rows_by_kind() else {
        assert!(answer["rows_total_by_kind"].is_null(), "{path}");
        assert_eq!(rows.len(), detail.rows.len().min(LIMIT), "{path}");
        return;
    };
    assert_eq!(
        answer["rows_total_by_kind"],
        serde_json::to_value(&by_kind).unwrap(),
        "{path}"
    );
    let place = detail.columns.iter().position(|it| it == "counts_for");
    let given = counts(rows.iter().map(|row| text_of(&row[place.unwrap()])));
    let first = by_kind.into_iter();
    let first: BTreeMap<String, usize> =
        first.map(|(kind, rows)| (kind, rows.min(LIMIT))).collect();
    assert_eq!(given, first, "{path}");
}
