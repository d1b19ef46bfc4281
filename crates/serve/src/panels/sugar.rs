//! The data of a panel in the shapes that Sugar BI draws.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{Chart, CheckedColumn, PanelAnswer, Role};
use crate::ServeError;
use crate::json_rows::write_text;

/// Endings of the official names of provinces, which Sugar's map does not have.
const PROVINCE_ENDINGS: [&str; 7] = [
    "维吾尔自治区",
    "壮族自治区",
    "回族自治区",
    "特别行政区",
    "自治区",
    "省",
    "市",
];

/// A province's name as maps have it: 北京 for 北京市.
pub(crate) fn short_province(name: &str) -> &str {
    let found = PROVINCE_ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending));
    found.filter(|short| !short.is_empty()).unwrap_or(name)
}

/// The rows of an answer as one table of columns.
struct Rows<'a> {
    columns: &'a [CheckedColumn],
    batch: RecordBatch,
    language: &'a str,
}

impl Rows<'_> {
    /// Places of the columns of a role.
    fn places(&self, role: Role) -> Vec<usize> {
        let columns = self.columns.iter().enumerate();
        let found = columns.filter(|(_, column)| column.role == role);
        found.map(|(place, _)| place).collect()
    }

    fn title(&self, place: usize) -> &str {
        self.columns[place].title.of(self.language)
    }

    fn text(&self, array: &ArrayRef, row: usize) -> Result<String, ServeError> {
        if array.is_null(row) {
            return Ok(String::new());
        }
        let options = FormatOptions::new();
        let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
        Ok(formatter.value(row).to_string())
    }

    /// A name for people: in their language where the panel has words for it.
    fn name(&self, place: usize, row: usize) -> Result<String, ServeError> {
        let text = self.text(self.batch.column(place), row)?;
        let words = self.columns[place].words.get(&text);
        Ok(words.map_or(text, |words| words.of(self.language).to_owned()))
    }

    /// A number exactly as the warehouse has it; null where there is none.
    fn number(&self, place: usize, row: usize, output: &mut String) -> Result<(), ServeError> {
        let text = self.text(self.batch.column(place), row)?;
        match text.parse::<f64>().is_ok_and(f64::is_finite) {
            true => output.push_str(&text),
            false => output.push_str("null"),
        }
        Ok(())
    }

    fn value(&self, place: usize, row: usize, output: &mut String) -> Result<(), ServeError> {
        let column = &self.columns[place];
        if self.batch.column(place).is_null(row) {
            output.push_str("null");
        } else if column.data_type.is_numeric() {
            self.number(place, row, output)?;
        } else {
            write_text(&self.name(place, row)?, output);
        }
        Ok(())
    }
}

/// The `data` of Sugar's answer.
///
/// # Errors
/// When a column's type has no text form.
pub(crate) fn sugar_data(answer: &PanelAnswer, language: &str) -> Result<String, ServeError> {
    let schema = &answer.result.schema;
    let rows = Rows {
        columns: answer.columns(),
        batch: arrow::compute::concat_batches(schema, &answer.result.batches)?,
        language,
    };
    let value = rows.places(Role::Value).first().copied();
    let category = rows.places(Role::Category).first().copied();
    let mut output = String::new();
    match (answer.panel.panel.chart, category, value) {
        (Chart::Table, _, _) => table(&rows, &mut output)?,
        (Chart::Number, _, Some(value)) => match rows.batch.num_rows() {
            0 => output.push_str("null"),
            _ => rows.number(value, 0, &mut output)?,
        },
        (Chart::Pie | Chart::WordCloud | Chart::Funnel, Some(category), Some(value)) => {
            named(&rows, category, value, |name| name, &mut output)?;
        }
        (Chart::Map, Some(category), Some(value)) => {
            output.push_str("{\"mapData\":");
            named(&rows, category, value, short_province, &mut output)?;
            output.push_str(",\"valueName\":");
            write_text(rows.title(value), &mut output);
            output.push('}');
        }
        (Chart::Line | Chart::Bar | Chart::Area, Some(category), Some(value)) => {
            match rows.places(Role::Series).first() {
                Some(&series) => split(&rows, category, series, value, &mut output)?,
                None => side_by_side(&rows, category, &mut output)?,
            }
        }
        // The roles were checked when the panel was read.
        _ => output.push_str("null"),
    }
    Ok(output)
}

/// `[{"name": …, "value": …}, …]`.
fn named(
    rows: &Rows<'_>,
    category: usize,
    value: usize,
    shown: impl Fn(&str) -> &str,
    output: &mut String,
) -> Result<(), ServeError> {
    output.push('[');
    for row in 0..rows.batch.num_rows() {
        output.push_str(if row > 0 { ",{\"name\":" } else { "{\"name\":" });
        write_text(shown(&rows.name(category, row)?), output);
        output.push_str(",\"value\":");
        rows.number(value, row, output)?;
        output.push('}');
    }
    output.push(']');
    Ok(())
}

/// `{"categories": […], "series": [{"name": …, "data": […]}, …]}`, one series for
/// each value.
fn side_by_side(rows: &Rows<'_>, category: usize, output: &mut String) -> Result<(), ServeError> {
    output.push_str("{\"categories\":[");
    for row in 0..rows.batch.num_rows() {
        if row > 0 {
            output.push(',');
        }
        write_text(&rows.name(category, row)?, output);
    }
    output.push_str("],\"series\":[");
    for (number, value) in rows.places(Role::Value).into_iter().enumerate() {
        output.push_str(if number > 0 {
            ",{\"name\":"
        } else {
            "{\"name\":"
        });
        write_text(rows.title(value), output);
        output.push_str(",\"data\":[");
        for row in 0..rows.batch.num_rows() {
            if row > 0 {
                output.push(',');
            }
            rows.number(value, row, output)?;
        }
        output.push_str("]}");
    }
    output.push_str("]}");
    Ok(())
}

/// The same with one series for each text of a column, categories and series in
/// the order in which they come; null where a series has no row.
fn split(
    rows: &Rows<'_>,
    category: usize,
    series: usize,
    value: usize,
    output: &mut String,
) -> Result<(), ServeError> {
    let mut categories: Vec<String> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut cells: Vec<(usize, usize, String)> = Vec::new();
    let place = |list: &mut Vec<String>, text: String| {
        let known = list.iter().position(|known| *known == text);
        known.unwrap_or_else(|| {
            list.push(text);
            list.len() - 1
        })
    };
    for row in 0..rows.batch.num_rows() {
        let at = place(&mut categories, rows.name(category, row)?);
        let line = place(&mut names, rows.name(series, row)?);
        let mut number = String::new();
        rows.number(value, row, &mut number)?;
        cells.push((line, at, number));
    }
    let mut table = vec![vec!["null".to_owned(); categories.len()]; names.len()];
    for (line, at, number) in cells {
        table[line][at] = number;
    }
    output.push_str("{\"categories\":[");
    for (number, name) in categories.iter().enumerate() {
        if number > 0 {
            output.push(',');
        }
        write_text(name, output);
    }
    output.push_str("],\"series\":[");
    for (number, (name, line)) in names.iter().zip(&table).enumerate() {
        output.push_str(if number > 0 {
            ",{\"name\":"
        } else {
            "{\"name\":"
        });
        write_text(name, output);
        let _ = write!(output, ",\"data\":[{}]}}", line.join(","));
    }
    output.push_str("]}");
    Ok(())
}

/// `{"columns": [{"name": …, "id": …}, …], "rows": [{id: value, …}, …]}`.
fn table(rows: &Rows<'_>, output: &mut String) -> Result<(), ServeError> {
    let shown: Vec<usize> = (0..rows.columns.len())
        .filter(|&place| rows.columns[place].role != Role::Hidden)
        .collect();
    output.push_str("{\"columns\":[");
    for (number, &place) in shown.iter().enumerate() {
        output.push_str(if number > 0 {
            ",{\"name\":"
        } else {
            "{\"name\":"
        });
        write_text(rows.title(place), output);
        output.push_str(",\"id\":");
        write_text(&rows.columns[place].name, output);
        output.push('}');
    }
    output.push_str("],\"rows\":[");
    for row in 0..rows.batch.num_rows() {
        output.push_str(if row > 0 { ",{" } else { "{" });
        for (number, &place) in shown.iter().enumerate() {
            if number > 0 {
                output.push(',');
            }
            write_text(&rows.columns[place].name, output);
            output.push(':');
            rows.value(place, row, output)?;
        }
        output.push('}');
    }
    output.push_str("]}");
    Ok(())
}
