//! Reports by mail: the numbers of a day beside those of the day before and a
//! week before, and charts.
//!
//! A report is a file `reports/NAME.toml` with queries in which `$day` stands
//! for the day. Charts are bars of HTML, because mail programs show no SVG and
//! many no image before they are asked to.

mod html;
mod text;

use chrono::{Days, NaiveDate, NaiveTime};
use sluice_core::stable_hash;

use crate::answer::{Answer, Ask, Value, number_text, time_text};
use crate::mail::Mail;

pub use text::parse_report;

/// The language of the words that are not the project's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

/// A number of the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// For people.
    pub title: String,
    /// Behind the number.
    pub unit: String,
    /// One row with one number, or none.
    pub sql: String,
    /// Line of the file.
    pub line: usize,
}

/// Numbers by a label: the first column of a query and the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// For people.
    pub title: String,
    /// Behind the numbers.
    pub unit: String,
    /// Rows of a label and a number.
    pub sql: String,
    /// Line of the file.
    pub line: usize,
}

/// One file of `reports/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file's name without its ending.
    pub name: String,
    /// The file.
    pub file: String,
    /// For people.
    pub title: String,
    /// Owners or addresses; without them the warehouse's owner.
    pub to: Option<String>,
    /// When it is sent, in the business time zone.
    pub at: NaiveTime,
    /// Language of its words.
    pub language: Language,
    /// Numbers.
    pub figures: Vec<Figure>,
    /// Charts.
    pub charts: Vec<Chart>,
}

/// Bars of one chart at most.
const BARS_MAX: usize = 60;

/// A number with what it is compared with.
#[derive(Debug)]
struct Compared<'a> {
    figure: &'a Figure,
    value: Option<f64>,
    day_before: Option<f64>,
    week_before: Option<f64>,
}

#[derive(Debug)]
struct Bars<'a> {
    chart: &'a Chart,
    bars: Vec<(String, f64)>,
}

/// `sql` for a day.
pub fn sql_of_day(sql: &str, day: NaiveDate) -> String {
    sql.replace("$day", &format!("DATE '{day}'"))
}

impl Report {
    /// The report of `day` as a mail.
    ///
    /// # Errors
    /// When a query cannot be answered, in words.
    pub fn mail(
        &self,
        ask: &dyn Ask,
        warehouse: &str,
        owner: &str,
        day: NaiveDate,
        now_us: i64,
        zone: chrono_tz::Tz,
    ) -> Result<Mail, String> {
        let mut figures = Vec::with_capacity(self.figures.len());
        for figure in &self.figures {
            let of = |days: u64| number(ask, figure, day - Days::new(days));
            figures.push(Compared {
                figure,
                value: of(0)?,
                day_before: of(1)?,
                week_before: of(7)?,
            });
        }
        let mut charts = Vec::with_capacity(self.charts.len());
        for chart in &self.charts {
            let answer = ask.ask(&sql_of_day(&chart.sql, day), BARS_MAX);
            let answer = answer.map_err(|error| format!("{}: {error}", chart.title))?;
            charts.push(Bars {
                chart,
                bars: bars(&answer, zone),
            });
        }
        let identity = format!("{warehouse}\n{}\n{day}", self.name);
        Ok(Mail {
            to: self.to.clone().unwrap_or_else(|| owner.to_owned()),
            subject: format!("[{warehouse}] {}: {day}", self.title),
            id: format!("{:016x}", stable_hash(identity.as_bytes())),
            time_us: now_us,
            text: html::plain(self, day, &figures, &charts),
            html: Some(html::page(self, warehouse, day, &figures, &charts)),
            parts: Vec::new(),
        })
    }
}

fn number(ask: &dyn Ask, figure: &Figure, day: NaiveDate) -> Result<Option<f64>, String> {
    let answer = ask.ask(&sql_of_day(&figure.sql, day), 1);
    let answer = answer.map_err(|error| format!("{}: {error}", figure.title))?;
    match answer.rows.first().and_then(|row| row.last()) {
        Some(Value::Number(number)) => Ok(Some(*number)),
        Some(Value::Null) | None => Ok(None),
        Some(other) => Err(format!("{}: `{}` is no number", figure.title, other.text())),
    }
}

fn bars(answer: &Answer, zone: chrono_tz::Tz) -> Vec<(String, f64)> {
    let bars = answer.rows.iter().filter_map(|row| {
        let label = match row.first()? {
            Value::Time(time_us) => time_text(*time_us, zone),
            other => other.text(),
        };
        match row.last()? {
            Value::Number(number) => Some((label, *number)),
            _ => None,
        }
    });
    bars.collect()
}

/// A number as people read it: `12,345.60 CNY`.
fn amount(number: f64, unit: &str) -> String {
    let text = number_text(number);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let rest = match rest {
        "" => String::new(),
        rest => format!(".{rest}"),
    };
    let text = format!("{sign}{grouped}{rest} {unit}");
    text.trim_end().to_owned()
}

/// `+12.3 %`; nothing where there is nothing to compare with.
fn change(value: Option<f64>, before: Option<f64>) -> Option<String> {
    let (value, before) = (value?, before.filter(|before| *before != 0.0)?);
    Some(format!("{:+.1} %", (value - before) / before.abs() * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!(amount(1_234_567.5, "CNY"), "1,234,567.50 CNY");
        assert_eq!(amount(-999.0, ""), "-999");
        assert_eq!(change(Some(110.0), Some(100.0)).unwrap(), "+10.0 %");
        assert_eq!(change(Some(90.0), Some(100.0)).unwrap(), "-10.0 %");
        assert_eq!(change(Some(1.0), Some(0.0)), None);
        assert_eq!(change(None, Some(1.0)), None);
    }
}
