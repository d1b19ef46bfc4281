//! Reads `alerts/NAME.toml`.

use serde::Deserialize;
use toml::Spanned;

use crate::WatchError;
use crate::alert::{Alert, Severity};
use crate::condition::Condition;
use crate::duration::parse_duration_us;
use crate::quiet_hours::QuietHours;
use crate::template::Template;

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 86_400_000_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertText {
    title: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    severity: Severity,
    sql: Spanned<String>,
    #[serde(default)]
    labels: Vec<String>,
    value: Option<String>,
    when: Spanned<WhenText>,
    every: Option<Spanned<String>>,
    #[serde(rename = "for")]
    pending: Option<Spanned<String>>,
    resolve_after: Option<Spanned<String>>,
    group_by: Option<Spanned<Vec<String>>>,
    quiet_hours: Option<Spanned<String>>,
    message: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhenText {
    above: Option<f64>,
    below: Option<f64>,
    fell_by: Option<Spanned<String>>,
    rose_by: Option<Spanned<String>>,
    compared_with: Option<Earlier>,
    window: Option<Spanned<String>>,
    before_at_least: Option<f64>,
    #[serde(default)]
    no_rows: bool,
    #[serde(default)]
    any_row: bool,
    older_than: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Earlier {
    Yesterday,
    LastWeek,
}

struct File<'a> {
    path: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn error(&self, offset: usize, problem: impl Into<String>, help: &str) -> WatchError {
        let before = &self.text[..offset.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |position| position + 1);
        WatchError::File {
            file: self.path.to_owned(),
            line: self.line(offset),
            column: before[line_start..].chars().count() + 1,
            problem: problem.into(),
            help: help.to_owned(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        let before = &self.text[..offset.min(self.text.len())];
        before.matches('\n').count() + 1
    }

    fn span_us(
        &self,
        text: Option<&Spanned<String>>,
        default_us: i64,
        least_us: i64,
    ) -> Result<i64, WatchError> {
        let Some(text) = text else {
            return Ok(default_us);
        };
        let offset = text.span().start;
        let text = text.get_ref();
        match parse_duration_us(text) {
            Some(span_us) if span_us >= least_us => Ok(span_us),
            Some(_) => Err(self.error(offset, format!("`{text}` is too short"), "give more")),
            None => Err(self.error(
                offset,
                format!("`{text}` is no span of time"),
                "write a number and a unit, such as \"5 minutes\"",
            )),
        }
    }

    fn share(&self, text: Option<&Spanned<String>>) -> Result<Option<f64>, WatchError> {
        let Some(text) = text else { return Ok(None) };
        let number = text.get_ref().trim().strip_suffix('%');
        match number.and_then(|number| number.trim().parse::<f64>().ok()) {
            Some(percent) if percent > 0.0 && percent.is_finite() => Ok(Some(percent / 100.0)),
            _ => Err(self.error(
                text.span().start,
                format!("`{}` is no share", text.get_ref()),
                "write it in percent, such as \"40%\"",
            )),
        }
    }

    fn condition(&self, when: &Spanned<WhenText>) -> Result<Condition, WatchError> {
        const KINDS: &str = "give one of: above and below, fell_by and rose_by with compared_with, no_rows, any_row, older_than";
        let offset = when.span().start;
        let when = when.get_ref();
        let has_bounds = when.above.is_some() || when.below.is_some();
        let has_change = when.fell_by.is_some() || when.rose_by.is_some();
        let kinds = [
            has_bounds,
            has_change,
            when.no_rows,
            when.any_row,
            when.older_than.is_some(),
        ];
        match kinds.iter().filter(|is_given| **is_given).count() {
            1 => {}
            0 => return Err(self.error(offset, "`when` has no condition", KINDS)),
            _ => return Err(self.error(offset, "`when` has several conditions", KINDS)),
        }
        let is_of_change =
            when.compared_with.is_some() || when.window.is_some() || when.before_at_least.is_some();
        if is_of_change && !has_change {
            let problem = "compared_with, window and before_at_least go with fell_by or rose_by";
            return Err(self.error(offset, problem, KINDS));
        }
        if let Some(age) = &when.older_than {
            let age_us = self.span_us(Some(age), 0, 1)?;
            return Ok(Condition::OlderThan { age_us });
        }
        if when.no_rows {
            return Ok(Condition::NoRows);
        }
        if when.any_row {
            return Ok(Condition::AnyRow);
        }
        if has_bounds {
            return Ok(Condition::Bounds {
                above: when.above,
                below: when.below,
            });
        }
        let shift_us = match when.compared_with {
            Some(Earlier::Yesterday) => DAY_US,
            Some(Earlier::LastWeek) => 7 * DAY_US,
            None => {
                let help = "add compared_with = \"yesterday\" or \"last_week\"";
                return Err(self.error(offset, "it is not said what is compared with", help));
            }
        };
        Ok(Condition::Change {
            fell_by: self.share(when.fell_by.as_ref())?,
            rose_by: self.share(when.rose_by.as_ref())?,
            before_min: when.before_at_least.unwrap_or(1.0),
            window_us: self.span_us(when.window.as_ref(), 60 * MINUTE_US, 1)?,
            shift_us,
        })
    }
}

/// Reads `text`, the content of the file `path` whose name without its ending is
/// `name`.
///
/// # Errors
/// The first mistake, with its place.
pub fn parse_alert(name: &str, path: &str, text: &str) -> Result<Alert, WatchError> {
    let file = File { path, text };
    let parsed: AlertText = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let help = "docs/alarms.md has every key";
        file.error(offset, error.message(), help)
    })?;
    let condition = file.condition(&parsed.when)?;
    let sql = parsed.sql.get_ref().trim();
    let sql_offset = parsed.sql.span().start;
    if sql.is_empty() {
        return Err(file.error(sql_offset, "`sql` is empty", "write a query"));
    }
    let compares = matches!(condition, Condition::Change { .. });
    if compares != (sql.contains("$from") && sql.contains("$until")) {
        let problem = "`$from` and `$until` go with fell_by or rose_by";
        let help = "a query whose value is compared counts what happened at or after $from and before $until; other queries have neither";
        return Err(file.error(sql_offset, problem, help));
    }
    let group_by = match &parsed.group_by {
        Some(labels) => {
            if let Some(label) = labels
                .get_ref()
                .iter()
                .find(|label| !parsed.labels.contains(label))
            {
                let problem = format!("`{label}` of group_by is not among `labels`");
                return Err(file.error(labels.span().start, problem, "add it there"));
            }
            labels.get_ref().clone()
        }
        None => Vec::new(),
    };
    let quiet_hours = match &parsed.quiet_hours {
        Some(text) => Some(QuietHours::parse(text.get_ref()).ok_or_else(|| {
            let problem = format!("`{}` are no hours", text.get_ref());
            file.error(
                text.span().start,
                problem,
                "write them like \"22:00-07:00\"",
            )
        })?),
        None => None,
    };
    let message = match &parsed.message {
        Some(text) => Some(Template::parse(text.get_ref()).map_err(|problem| {
            file.error(
                text.span().start,
                problem,
                "places are written {value} or {column}",
            )
        })?),
        None => None,
    };
    // The text of a long string begins in the line behind its quotes.
    let lines_before = usize::from(text[sql_offset.min(text.len())..].starts_with("\"\"\"\n"));
    Ok(Alert {
        name: name.to_owned(),
        file: path.to_owned(),
        title: parsed.title.unwrap_or_else(|| name.replace('_', " ")),
        owner: parsed.owner,
        severity: parsed.severity,
        sql: sql.to_owned(),
        sql_line: file.line(sql_offset) + lines_before,
        labels: parsed.labels,
        value: parsed.value.unwrap_or_else(|| "value".to_owned()),
        condition,
        every_us: file.span_us(parsed.every.as_ref(), MINUTE_US, 1_000_000)?,
        for_us: file.span_us(parsed.pending.as_ref(), 0, 0)?,
        resolve_after_us: file.span_us(parsed.resolve_after.as_ref(), 0, 0)?,
        group_by,
        quiet_hours,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        parse_alert("a", "alerts/a.toml", text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_whole_file_is_read() {
        let text = "title = \"Few orders\"\nowner = \"sales@shop\"\nseverity = \"critical\"\nsql = \"\"\"\nSELECT channel, count(*) AS orders FROM o WHERE t >= $from AND t < $until GROUP BY channel\n\"\"\"\nlabels = [\"channel\"]\nvalue = \"orders\"\nfor = \"5 minutes\"\nquiet_hours = \"22:00-07:00\"\nmessage = \"{orders} from {channel}\"\nwhen = { fell_by = \"40%\", compared_with = \"last_week\" }\n";
        let alert = parse_alert("few_orders", "alerts/few_orders.toml", text).unwrap();
        assert_eq!(alert.for_us, 300_000_000);
        assert_eq!(alert.sql_line, 5);
        let sql = alert.sql_until(7_200_000_000);
        assert!(
            sql.contains("t >= TIMESTAMPTZ '1970-01-01T01:00:00.000000Z'"),
            "{sql}"
        );
        assert!(
            sql.contains("t < TIMESTAMPTZ '1970-01-01T02:00:00.000000Z'"),
            "{sql}"
        );
        let columns = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(alert.problem(&columns(&["channel", "orders"])), None);
        let missing = alert.problem(&columns(&["channel"])).unwrap();
        assert!(missing.contains("no column `orders`"), "{missing}");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            ("sql = \"SELECT 1\"\n", "missing field `when`"),
            (
                "sql = \"SELECT 1\"\nwhen = { above = 1, no_rows = true }\n",
                "alerts/a.toml:2:8: `when` has several conditions",
            ),
            (
                "sql = \"SELECT 1\"\nwhen = { no_rows = true }\nfor = \"soon\"\n",
                "alerts/a.toml:3:7: `soon` is no span of time",
            ),
            (
                "sql = \"SELECT 1\"\nwhen = { fell_by = \"40%\", compared_with = \"yesterday\" }\n",
                "`$from` and `$until` go with fell_by",
            ),
            (
                "sql = \"SELECT 1\"\nwhen = { no_rows = true }\nmessage = \"a {b\"\n",
                "alerts/a.toml:3:11: a brace stands alone",
            ),
            (
                "sql = \"SELECT 1\"\nwhen = { no_rows = true }\nonwer = \"x\"\n",
                "unknown field `onwer`",
            ),
        ];
        for (text, expected) in cases {
            let found = problem(text);
            assert!(found.contains(expected), "{found}");
        }
    }
}
