//! Reads a time by a pattern.

use chrono::format::{Parsed, StrftimeItems, parse};
use chrono::{NaiveDateTime, TimeDelta};
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;

use super::{Field, Part};

/// A pattern whose times can be read.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    strftime: String,
    has_day: bool,
    has_month: bool,
    has_hour: bool,
    has_half_day: bool,
    is_twelve: bool,
    /// The text says how far the time is ahead of UTC.
    pub(super) has_offset: bool,
}

impl Reader {
    /// # Errors
    /// When the pattern has what is only written.
    pub(super) fn new(parts: &[Part], pattern: &str) -> Result<Self> {
        let mut strftime = String::new();
        let mut fields = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => strftime.push_str(&text.replace('%', "%%")),
                Part::Field { field, .. } => {
                    strftime.push_str(specifier(*field).ok_or_else(|| {
                        exec_datafusion_err!(
                            "`{pattern}` has a part that is written by to_char and not read; use YYYY, YY, MM, Mon, Month, DD, DDD, HH24, HH12, MI, SS, MS, US, AM, IYYY, IW, ID, OF, or patterns of strftime"
                        )
                    })?);
                    fields.push(*field);
                }
            }
        }
        let has = |wanted: &[Field]| fields.iter().any(|field| wanted.contains(field));
        let is_iso = has(&[Field::IsoWeek]);
        Ok(Self {
            strftime,
            has_day: is_iso || has(&[Field::Day, Field::DayOfYear]),
            has_month: is_iso
                || has(&[Field::DayOfYear, Field::Month])
                || fields
                    .iter()
                    .any(|field| matches!(field, Field::MonthName(_) | Field::MonthShort(_))),
            has_hour: has(&[Field::Hour12, Field::Hour24]),
            is_twelve: has(&[Field::Hour12]),
            has_half_day: fields
                .iter()
                .any(|field| matches!(field, Field::HalfDay(..))),
            has_offset: has(&[Field::Offset]),
        })
    }

    /// The time in UTC where the text says how far it is ahead, unless it is wanted as
    /// written; else without a zone. What the pattern leaves out is the first of its kind.
    ///
    /// # Errors
    /// When the text does not fit the pattern.
    pub(super) fn read(&self, text: &str, as_written: bool) -> Result<NaiveDateTime> {
        let wrong = |problem: chrono::ParseError| {
            exec_datafusion_err!("`{text}` does not fit the pattern: {problem}")
        };
        let mut parsed = Parsed::new();
        parse(&mut parsed, text.trim(), StrftimeItems::new(&self.strftime)).map_err(wrong)?;
        if !self.has_day {
            parsed.set_day(1).map_err(wrong)?;
        }
        if !self.has_month {
            parsed.set_month(1).map_err(wrong)?;
        }
        if !self.has_hour {
            parsed.set_hour(0).map_err(wrong)?;
        }
        if self.is_twelve && !self.has_half_day {
            parsed.set_ampm(false).map_err(wrong)?;
        }
        if parsed.minute().is_none() {
            parsed.set_minute(0).map_err(wrong)?;
        }
        if parsed.second().is_none() && parsed.nanosecond().is_some() {
            parsed.set_second(0).map_err(wrong)?;
        }
        let date = parsed.to_naive_date().map_err(wrong)?;
        let time = date.and_time(parsed.to_naive_time().map_err(wrong)?);
        let counts = self.has_offset && !as_written;
        let ahead_s = parsed.offset().filter(|_| counts).unwrap_or(0);
        let ahead = TimeDelta::seconds(i64::from(ahead_s));
        let utc = time.checked_sub_signed(ahead);
        utc.ok_or_else(|| exec_datafusion_err!("`{text}` is beyond the calendar"))
    }
}

/// The same in a pattern of strftime.
fn specifier(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::Year(4) => "%Y",
        Field::Year(2) => "%y",
        Field::IsoYear(4) => "%G",
        Field::IsoWeek => "%V",
        Field::IsoDayOfWeek => "%u",
        Field::Month => "%m",
        Field::MonthName(_) => "%B",
        Field::MonthShort(_) => "%b",
        Field::Day => "%d",
        Field::DayOfYear => "%j",
        Field::DayName(_) => "%A",
        Field::DayShort(_) => "%a",
        Field::Hour24 => "%H",
        Field::Hour12 => "%I",
        Field::Minute => "%M",
        Field::Second => "%S",
        Field::Fraction(3) => "%3f",
        Field::Fraction(6) => "%6f",
        Field::HalfDay(_, false) => "%p",
        Field::Offset => "%#z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    #[test]
    fn times_are_read_by_patterns() {
        for (pattern, text, expected) in [
            ("YYYY-MM-DD", "2026-11-21", "2026-11-21 00:00:00"),
            (
                "YYYY-MM-DD HH24:MI:SS",
                "2026-11-21 08:10:05",
                "2026-11-21 08:10:05",
            ),
            (
                "DD Mon YYYY HH12:MI PM",
                "21 Nov 2026 08:10 PM",
                "2026-11-21 20:10:00",
            ),
            ("DD.MM.YY", "21.11.26", "2026-11-21 00:00:00"),
            ("YYYY-MM", "2026-11", "2026-11-01 00:00:00"),
            ("YYYY", "2026", "2026-01-01 00:00:00"),
            ("YYYY DDD", "2026 325", "2026-11-21 00:00:00"),
            ("IYYY-IW-ID", "2026-47-6", "2026-11-21 00:00:00"),
            ("YYYYMMDDHH24MISS", "20261121081005", "2026-11-21 08:10:05"),
            (
                "YYYY-MM-DD HH24:MI:SSOF",
                "2026-11-21 08:10:00+08",
                "2026-11-21 00:10:00",
            ),
            ("YYYY\"年\"MM\"月\"", "2026年11月", "2026-11-01 00:00:00"),
        ] {
            let reader = Reader::new(&parse(pattern), pattern).unwrap();
            let read = reader.read(text, false).map(|time| time.to_string());
            assert_eq!(read.unwrap(), expected, "{pattern}");
        }
        let reader = Reader::new(&parse("YYYY-MM-DD"), "").unwrap();
        for text in ["", "2026-13-01", "2026-02-30", "today", "2026-11-21 x"] {
            assert!(reader.read(text, false).is_err(), "{text}");
        }
        assert!(Reader::new(&parse("YYYY-WW"), "YYYY-WW").is_err());
    }
}
