//! Timestamps and durations as text.

use chrono::{DateTime, Duration, LocalResult, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

use crate::fixed_time::{FixedFormat, OffsetMemo, usual_date, usual_rfc3339};

/// How a timestamp is written.
#[derive(Debug, Clone)]
pub(crate) struct TimeForm {
    /// Microseconds of one unit, for numbers; `None` for RFC 3339.
    unit_us: Option<i64>,
    format: Option<String>,
    /// The format, where it is one of the usual kind.
    fixed: Option<FixedFormat>,
    zone: Tz,
    offset: OffsetMemo,
    /// Whether the forms that databases export are read as well.
    reads_exports: bool,
}

impl Default for TimeForm {
    fn default() -> Self {
        Self {
            unit_us: None,
            format: None,
            fixed: None,
            zone: Tz::UTC,
            offset: OffsetMemo::default(),
            reads_exports: false,
        }
    }
}

impl TimeForm {
    pub(crate) fn set_unit(&mut self, unit: &str) -> Result<(), String> {
        self.unit_us = match unit {
            "s" => Some(1_000_000),
            "ms" => Some(1_000),
            "us" => Some(1),
            "rfc3339" => None,
            other => return Err(format!("`{other}` is no unit of time")),
        };
        Ok(())
    }

    pub(crate) fn set_zone(&mut self, zone: &str) -> Result<(), String> {
        let parsed = zone.parse();
        self.zone = parsed.map_err(|_| format!("`{zone}` is no time zone"))?;
        Ok(())
    }

    pub(crate) fn set_format(&mut self, format: String) {
        self.fixed = FixedFormat::compile(&format);
        self.format = Some(format);
    }

    /// Microseconds of one unit, if times are written as numbers.
    pub(crate) fn unit_us(&self) -> Option<i64> {
        match self.format {
            Some(_) => None,
            None => self.unit_us,
        }
    }

    /// Microseconds since 1970 UTC. A local time that occurs twice (clocks go
    /// back) is the first of the two; one that does not occur (clocks go
    /// forward) is read as if the clocks had not yet gone forward.
    pub(crate) fn parse(&self, text: &str) -> Option<i64> {
        let declared = self.parse_declared(text);
        match self.reads_exports {
            true => declared.or_else(|| self.parse_exported(text)),
            false => declared,
        }
    }

    /// Reads what databases export beside the declared form: RFC 3339, or date
    /// and time without a zone, which is the declared one.
    pub(crate) fn read_exports(&mut self) {
        self.reads_exports = true;
    }

    fn parse_exported(&self, text: &str) -> Option<i64> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(time.timestamp_micros());
        }
        let naive = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
        let local = naive
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
        self.local_to_utc(local)
    }

    fn parse_declared(&self, text: &str) -> Option<i64> {
        if let Some(format) = &self.format {
            let fixed = self.fixed.as_ref();
            if let Some(local) = fixed.and_then(|fixed| fixed.parse(text)) {
                return self.local_to_utc(local);
            }
            let local = NaiveDateTime::parse_from_str(text, format)
                .ok()
                .or_else(|| {
                    let date = NaiveDate::parse_from_str(text, format).ok()?;
                    date.and_hms_opt(0, 0, 0)
                })?;
            return self.local_to_utc(local);
        }
        match self.unit_us {
            Some(unit_us) => text.parse::<i64>().ok()?.checked_mul(unit_us),
            None => usual_rfc3339(text)
                .or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros())),
        }
    }

    fn local_to_utc(&self, local: NaiveDateTime) -> Option<i64> {
        let local_us = local.and_utc().timestamp_micros();
        if self.zone == Tz::UTC {
            return Some(local_us);
        }
        match self.offset.at(local_us, self.zone) {
            Some(offset_us) => local_us.checked_sub(offset_us),
            None => self.search_utc(local),
        }
    }

    fn search_utc(&self, local: NaiveDateTime) -> Option<i64> {
        let at = |local: &NaiveDateTime| match self.zone.from_local_datetime(local) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => {
                Some(time.timestamp_micros())
            }
            LocalResult::None => None,
        };
        if let Some(found) = at(&local) {
            return Some(found);
        }
        // Clocks went forward over this time; three hours are more than any
        // such step.
        let step = Duration::hours(3);
        let before = at(&local.checked_sub_signed(step)?)?;
        before.checked_add(step.num_microseconds()?)
    }
}

/// Days since 1970 of a date in ISO 8601.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let date =
        usual_date(text.as_bytes()).or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())?;
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).ok()
}

/// A duration such as `15 min`, in microseconds.
pub(crate) fn parse_duration_us(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let number: i64 = text[..digits].parse().ok()?;
    let unit_us = match text[digits..].trim() {
        "us" => 1,
        "ms" => 1_000,
        "s" | "second" | "seconds" => 1_000_000,
        "min" | "minute" | "minutes" => 60_000_000,
        "h" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        _ => return None,
    };
    number.checked_mul(unit_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_formats_and_zones() {
        let mut form = TimeForm::default();
        assert_eq!(form.parse("1970-01-01T01:00:00.5+01:00"), Some(500_000));
        form.set_unit("ms").unwrap();
        assert_eq!(form.parse("1500"), Some(1_500_000));
        assert_eq!(form.parse("9223372036854775807"), None);
        form.set_format("%Y-%m-%d %H:%M:%S".into());
        form.set_zone("Asia/Shanghai").unwrap();
        assert_eq!(form.parse("1970-01-01 08:00:01"), Some(1_000_000));
        form.set_zone("Europe/London").unwrap();
        let hour = 3_600_000_000;
        // 2011-03-27: 01:30 does not occur; 2011-10-30: 01:30 occurs twice.
        let gap = form.parse("2011-03-27 01:30:00").unwrap();
        assert_eq!(gap, form.parse("2011-03-27 00:30:00").unwrap() + hour);
        let twice = form.parse("2011-10-30 01:30:00").unwrap();
        assert_eq!(twice, form.parse("2011-10-30 00:30:00").unwrap() + hour);
        assert!(form.set_zone("Mars/Base").is_err() && form.set_unit("fortnight").is_err());
        assert_eq!(parse_date("1970-01-11"), Some(10));
        assert_eq!(parse_duration_us("15 min"), Some(900_000_000));
        assert_eq!(parse_duration_us("15"), None);
    }
}
