//! How long the rows of a table stay.
//!
//! What counts as old is decided by the table's own event time, in whole days
//! of UTC: it is a function of the log alone, so that recovery and replay drop
//! the same rows.

use arrow::datatypes::DataType;
use toml::Spanned;

use crate::definition::Column;
use crate::time::parse_duration_us;

const DAY_US: i64 = 86_400_000_000;

/// How long an append-only table keeps its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The table.
    pub table: String,
    /// Position of the timestamp or date column that says how old a row is.
    pub column: usize,
    /// So many days are kept, besides the newest.
    pub days: i64,
}

impl Retention {
    /// Rows before this moment are old, in microseconds since 1970 UTC, when
    /// the newest event was at `newest_us`.
    pub fn horizon_us(&self, newest_us: i64) -> i64 {
        let kept_us = self.days.saturating_mul(DAY_US);
        let today = newest_us.div_euclid(DAY_US).saturating_mul(DAY_US);
        today.saturating_sub(kept_us)
    }
}

/// What a table says of the age of its rows.
pub(crate) struct RetentionText {
    pub(crate) retain: Option<Spanned<String>>,
    /// Column and its place in the file.
    pub(crate) retain_by: Option<(usize, usize)>,
    pub(crate) event_time: Option<usize>,
    pub(crate) is_changelog: bool,
    pub(crate) has_max_ahead: bool,
}

/// What is wrong with it.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Byte position in the file.
    pub(crate) at: usize,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

fn problem<T>(at: usize, message: String, help: &'static str) -> Result<T, Problem> {
    Err(Problem { at, message, help })
}

impl RetentionText {
    pub(crate) fn read(
        &self,
        table: &str,
        columns: &[Column],
    ) -> Result<Option<Retention>, Problem> {
        let Some(retain) = &self.retain else {
            let Some((_, at)) = self.retain_by else {
                return Ok(None);
            };
            let message = "`retain_by` without `retain`".to_owned();
            return problem(at, message, "say how long: retain = \"90 days\"");
        };
        let at = retain.span().start;
        let Some(days) = parse_duration_us(retain.get_ref()).and_then(whole_days) else {
            let message = format!("`{}` is no number of whole days", retain.get_ref());
            return problem(at, message, "write a number of days: \"90 days\"");
        };
        if self.is_changelog {
            let message = "`retain` is for tables without a primary key".to_owned();
            let help = "a row of a changelog stays until its source deletes it";
            return problem(at, message, help);
        }
        let Some(event_time) = self.event_time else {
            let message = "`retain` needs an event time, which says what day it is".to_owned();
            return problem(at, message, "add event_time = \"column\"");
        };
        if !self.has_max_ahead {
            let message = "`retain` needs `max_ahead`".to_owned();
            let help = "add max_ahead = \"1 hour\": without it one row of the far future makes all others old";
            return problem(at, message, help);
        }
        let column = self.retain_by.map_or(event_time, |(column, _)| column);
        let says_age = columns.get(column).is_some_and(|column| {
            matches!(
                column.data_type,
                DataType::Timestamp(_, _) | DataType::Date32
            )
        });
        if !says_age {
            let at = self.retain_by.map_or(at, |(_, at)| at);
            let message = "the column says no age".to_owned();
            return problem(at, message, "name a column of type timestamp or date");
        }
        let table = table.to_owned();
        Ok(Some(Retention {
            table,
            column,
            days,
        }))
    }
}

/// Days of a duration, if it is a whole number of them.
fn whole_days(duration_us: i64) -> Option<i64> {
    (duration_us >= DAY_US && duration_us % DAY_US == 0).then_some(duration_us / DAY_US)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SourceFile, parse_sources};

    /// A table with `line` among what it says of itself.
    fn parse(line: &str) -> Result<Vec<Retention>, String> {
        let text = format!(
            "[topic.t]\n[table.visit]\ntopic = \"t\"\n{line}\ncolumns = [\n\
             {{ name = \"id\", from = \"/id\", type = \"int64\" }},\n\
             {{ name = \"at\", from = \"/at\", type = \"timestamp\" }},\n\
             {{ name = \"day\", from = \"/day\", type = \"date\" }},\n]\n"
        );
        let file = SourceFile {
            path: "s.toml".to_owned(),
            text,
        };
        match parse_sources(&[file]) {
            Ok(sources) => Ok(sources.retentions()),
            Err(errors) => Err(errors[0].to_string()),
        }
    }

    #[test]
    fn it_is_read_from_a_table_and_what_is_wrong_is_said_with_its_place() {
        let timed = "event_time = \"at\"\nmax_ahead = \"1 hour\"\n";
        let [by_time] = &parse(&format!("{timed}retain = \"90 days\"")).unwrap()[..] else {
            panic!("one retention");
        };
        assert_eq!((by_time.column, by_time.days), (1, 90));
        let by_day = parse(&format!("{timed}retain = \"1 day\"\nretain_by = \"day\"")).unwrap();
        assert_eq!((by_day[0].column, by_day[0].days), (2, 1));
        assert_eq!(parse("event_time = \"at\"").unwrap(), []);
        for (lines, wanted) in [
            (
                "retain = \"12 hours\"",
                "s.toml:4:10: `12 hours` is no number of whole days",
            ),
            (
                "retain = \"2 days\"",
                "s.toml:4:10: `retain` needs an event time",
            ),
            (
                "retain_by = \"day\"",
                "s.toml:4:13: `retain_by` without `retain`",
            ),
            (
                "retain = \"2 days\"\nevent_time = \"at\"",
                "s.toml:4:10: `retain` needs `max_ahead`",
            ),
            (
                "retain = \"2 days\"\nretain_by = \"id\"\nevent_time = \"at\"\nmax_ahead = \"1 hour\"",
                "s.toml:5:13: the column says no age",
            ),
            (
                "retain = \"2 days\"\nprimary_key = [\"id\"]",
                "s.toml:4:10: `retain` is for tables without a primary key",
            ),
        ] {
            let error = parse(lines).unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn the_horizon_moves_once_a_day() {
        let retention = Retention {
            table: "t".to_owned(),
            column: 0,
            days: 2,
        };
        assert_eq!(retention.horizon_us(10 * DAY_US), 8 * DAY_US);
        assert_eq!(retention.horizon_us(11 * DAY_US - 1), 8 * DAY_US);
        assert_eq!(retention.horizon_us(-1), -3 * DAY_US);
        assert!(retention.horizon_us(i64::MIN) < 0);
        assert_eq!(whole_days(3 * DAY_US), Some(3));
        assert_eq!(whole_days(DAY_US / 2), None);
        assert_eq!(whole_days(0), None);
    }
}
