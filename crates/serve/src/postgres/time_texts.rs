//! Times as PostgreSQL writes them as text, in the way that a client wants.

use std::fmt::Write;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::temporal_conversions::{as_date, as_datetime, as_time};
use chrono::{Datelike, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::OffsetName;
use datafusion_postgres::pgwire::types::format::date_style::DateStyle;

/// How the library writes dates of the style ISO.
const ISO_DATE: &str = "%Y-%m-%d";

/// Times as `2026-11-21 08:10:00.5+08`, or in another style, such as
/// `21.11.2026 08:10:00.5 CST`. Those beyond the calendar have no text.
pub(super) fn texts(column: &ArrayRef, date_style: &str) -> Result<StringArray, ArrowError> {
    let DataType::Timestamp(_, name) = column.data_type() else {
        return Ok(StringArray::new_null(column.len()));
    };
    let zone = name.as_deref().map(Zone::new).transpose()?;
    let pattern = pattern(date_style);
    let in_us = DataType::Timestamp(TimeUnit::Microsecond, name.clone());
    let times = cast(column, &in_us)?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let mut text = String::new();
    let texts = times.iter().map(|time| {
        let utc = as_datetime::<TimestampMicrosecondType>(time?)?;
        text.clear();
        let offset = zone
            .as_ref()
            .map(|zone| zone.zone.offset_from_utc_datetime(&utc).fix());
        let local = match offset {
            Some(offset) => utc.checked_add_offset(offset)?,
            None => utc,
        };
        match &pattern {
            Some(pattern) => write_styled(&local, pattern, &mut text),
            None => write_time(&local, &mut text),
        }
        if let (Some(zone), Some(offset)) = (&zone, offset) {
            let name = match &pattern {
                Some(_) => {
                    text.push(' ');
                    zone.name_at(&utc)
                }
                None => None,
            };
            match name {
                Some(name) => text.push_str(&name),
                None => write_offset(offset.local_minus_utc(), &mut text),
            }
        }
        if local.year() <= 0 {
            text.push_str(" BC");
        }
        Some(text.clone())
    });
    Ok(texts.collect())
}

/// Dates as `2026-11-21`, or in another style. Those beyond the calendar have no text.
pub(super) fn dates(column: &ArrayRef, date_style: &str) -> Result<StringArray, ArrowError> {
    let style = DateStyle::new(date_style);
    let days = cast(column, &DataType::Date32)?;
    let texts = days.as_primitive::<Date32Type>().iter().map(|day| {
        let date = as_date::<Date32Type>(i64::from(day?))?;
        let year = format!("{:04}", called(date.year()));
        let pattern = style.date_format_str().replace("%Y", &year);
        let mut text = date.format(&pattern).to_string();
        if date.year() <= 0 {
            text.push_str(" BC");
        }
        Some(text)
    });
    Ok(texts.collect())
}

/// Times of day as `08:10:00.5`.
pub(super) fn clocks(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let times = cast(column, &DataType::Time64(TimeUnit::Microsecond))?;
    let times = times.as_primitive::<Time64MicrosecondType>().iter();
    let texts = times.map(|time| {
        let time = as_time::<Time64MicrosecondType>(time?)?;
        Some(format!("{}{}", time.format("%H:%M:%S"), fraction(&time)))
    });
    Ok(texts.collect())
}

/// The zone of moments.
struct Zone {
    zone: Tz,
    /// One that has names.
    place: Option<chrono_tz::Tz>,
}

impl Zone {
    fn new(name: &str) -> Result<Self, ArrowError> {
        Ok(Self {
            zone: name.parse()?,
            place: name.parse().ok(),
        })
    }

    /// What the zone is called at that time.
    fn name_at(&self, utc: &NaiveDateTime) -> Option<String> {
        let offset = self.place?.offset_from_utc_datetime(utc);
        offset.abbreviation().map(str::to_owned)
    }
}

/// The pattern of a style; `None` for ISO.
fn pattern(date_style: &str) -> Option<String> {
    let style = DateStyle::new(date_style);
    let is_iso = style.date_format_str() == ISO_DATE;
    // Days of one digit have a zero before them.
    (!is_iso).then(|| style.full_format_str().replace("%e", "%d"))
}

/// The year before 1 is called 1 BC.
fn called(year: i32) -> i32 {
    if year > 0 { year } else { 1 - year }
}

/// The second's fraction, where there is one.
fn fraction(time: &impl Timelike) -> String {
    match time.nanosecond() / 1_000 {
        0 => String::new(),
        us => format!(".{us:06}").trim_end_matches('0').to_owned(),
    }
}

fn write_styled(time: &NaiveDateTime, pattern: &str, text: &mut String) {
    let year = format!("{:04}", called(time.year()));
    let pattern = pattern.replace("%Y", &year);
    let pattern = pattern.replace("%.6f", &fraction(time));
    // Writing to a string does not fail.
    let _ = write!(text, "{}", time.format(&pattern));
}

fn write_time(time: &NaiveDateTime, text: &mut String) {
    let _ = write!(
        text,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}{}",
        called(time.year()),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        fraction(time)
    );
}

/// Hours, and minutes and seconds where there are any.
fn write_offset(offset_s: i32, text: &mut String) {
    let sign = if offset_s < 0 { '-' } else { '+' };
    let (hours, rest_s) = (offset_s.abs() / 3_600, offset_s.abs() % 3_600);
    let (minutes, seconds) = (rest_s / 60, rest_s % 60);
    let _ = write!(text, "{sign}{hours:02}");
    if rest_s > 0 {
        let _ = write!(text, ":{minutes:02}");
    }
    if seconds > 0 {
        let _ = write!(text, ":{seconds:02}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, TimestampMicrosecondArray};
    use std::sync::Arc;

    const ISO: &str = "ISO, YMD";

    fn written(times: Vec<i64>, zone: Option<&str>, style: &str) -> Vec<String> {
        let times = TimestampMicrosecondArray::from(times).with_timezone_opt(zone);
        let column: ArrayRef = Arc::new(times);
        let texts = texts(&column, style).unwrap();
        texts.iter().map(|text| text.unwrap().to_owned()).collect()
    }

    #[test]
    fn moments_are_written_in_their_zone() {
        let moment = 1_795_219_800_000_000;
        assert_eq!(
            written(vec![moment, moment + 500_000], Some("Asia/Shanghai"), ISO),
            ["2026-11-21 08:10:00+08", "2026-11-21 08:10:00.5+08"]
        );
        for (zone, expected) in [
            ("UTC", "2026-11-21 00:10:00+00"),
            ("Asia/Kolkata", "2026-11-21 05:40:00+05:30"),
            ("-03:30", "2026-11-20 20:40:00-03:30"),
            ("America/New_York", "2026-11-20 19:10:00-05"),
        ] {
            let found = written(vec![moment], Some(zone), ISO);
            assert_eq!(found, [expected], "{zone}");
        }
        assert_eq!(
            written(vec![moment + 1], None, ISO),
            ["2026-11-21 00:10:00.000001"]
        );
        assert_eq!(
            written(vec![-62_135_596_800_000_001], None, ISO),
            ["0001-12-31 23:59:59.999999 BC"]
        );
    }

    #[test]
    fn dates_have_styles_too() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(20_778), None, Some(-719_163)]));
        for (style, first, last) in [
            (ISO, "2026-11-21", "0001-12-31 BC"),
            ("German, DMY", "21.11.2026", "31.12.0001 BC"),
            ("SQL, MDY", "11/21/2026", "12/31/0001 BC"),
        ] {
            let texts = dates(&days, style).unwrap();
            let texts: Vec<_> = texts.iter().collect();
            assert_eq!(texts, [Some(first), None, Some(last)], "{style}");
        }
    }

    #[test]
    fn styles_are_those_of_postgresql() {
        let moment = 1_793_491_200_500_000;
        for (style, zone, expected) in [
            (
                "ISO, DMY",
                Some("Asia/Shanghai"),
                "2026-11-01 08:00:00.5+08",
            ),
            (
                "SQL, YMD",
                Some("Asia/Shanghai"),
                "11/01/2026 08:00:00.5 CST",
            ),
            ("SQL, DMY", None, "01/11/2026 00:00:00.5"),
            ("German, DMY", Some("+08:00"), "01.11.2026 08:00:00.5 +08"),
            (
                "Postgres, MDY",
                Some("America/New_York"),
                "Sat Oct 31 20:00:00.5 2026 EDT",
            ),
            ("Postgres, DMY", None, "Sun 01 Nov 00:00:00.5 2026"),
        ] {
            assert_eq!(written(vec![moment], zone, style), [expected], "{style}");
        }
        assert_eq!(
            written(vec![-62_135_596_800_000_000 - 1], None, "German, DMY"),
            ["31.12.0001 23:59:59.999999 BC"]
        );
    }
}
