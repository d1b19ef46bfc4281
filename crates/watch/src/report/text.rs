//! Reads `reports/NAME.toml`.

use chrono::NaiveTime;
use serde::Deserialize;
use toml::Spanned;

use super::{Chart, Figure, Language, Report};
use crate::WatchError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportText {
    title: Option<String>,
    to: Option<String>,
    at: Option<Spanned<String>>,
    #[serde(default)]
    language: Language,
    #[serde(default)]
    figure: Vec<PartText>,
    #[serde(default)]
    chart: Vec<PartText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartText {
    title: String,
    #[serde(default)]
    unit: String,
    sql: Spanned<String>,
}

/// Reads `text`, the content of the file `path` whose name without its ending is
/// `name`.
///
/// # Errors
/// The first mistake, with its place.
pub fn parse_report(name: &str, path: &str, text: &str) -> Result<Report, WatchError> {
    let place = |offset: usize| {
        let before = &text[..offset.min(text.len())];
        let line_start = before.rfind('\n').map_or(0, |position| position + 1);
        let column = before[line_start..].chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    };
    let error = |offset: usize, problem: &str, help: &str| {
        let (line, column) = place(offset);
        WatchError::File {
            file: path.to_owned(),
            line,
            column,
            problem: problem.to_owned(),
            help: help.to_owned(),
        }
    };
    let parsed: ReportText = toml::from_str(text).map_err(|problem| {
        let offset = problem.span().map_or(0, |span| span.start);
        let help = "docs/alarms.md has every key";
        error(offset, problem.message(), help)
    })?;
    let at = match &parsed.at {
        None => NaiveTime::default() + chrono::TimeDelta::hours(8),
        Some(text) => NaiveTime::parse_from_str(text.get_ref(), "%H:%M").map_err(|_| {
            let problem = format!("`{}` is no time of day", text.get_ref());
            error(text.span().start, &problem, "write one such as \"08:00\"")
        })?,
    };
    if parsed.figure.is_empty() && parsed.chart.is_empty() {
        let help = "add [[figure]] or [[chart]] with title and sql";
        return Err(error(0, "the report has nothing in it", help));
    }
    let parts = parsed.figure.iter().chain(&parsed.chart);
    for part in parts {
        if !part.sql.get_ref().contains("$day") {
            let help = "compare the day of a row with $day";
            let offset = part.sql.span().start;
            return Err(error(offset, "the query does not ask for $day", help));
        }
    }
    Ok(Report {
        name: name.to_owned(),
        file: path.to_owned(),
        title: parsed.title.unwrap_or_else(|| name.replace('_', " ")),
        to: parsed.to,
        at,
        language: parsed.language,
        figures: parsed
            .figure
            .into_iter()
            .map(|part| Figure {
                title: part.title,
                unit: part.unit,
                line: place(part.sql.span().start).0,
                sql: part.sql.into_inner(),
            })
            .collect(),
        charts: parsed
            .chart
            .into_iter()
            .map(|part| Chart {
                title: part.title,
                unit: part.unit,
                line: place(part.sql.span().start).0,
                sql: part.sql.into_inner(),
            })
            .collect(),
    })
}
