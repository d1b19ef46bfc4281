//! Intervals as PostgreSQL writes them: as text, in the style that a client wants, and
//! in binary form.
//!
//! Source: <https://www.postgresql.org/docs/current/datatype-datetime.html#DATATYPE-INTERVAL-OUTPUT>.

use std::fmt::Write;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, DurationMicrosecondArray, IntervalMonthDayNanoArray,
    StringArray,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, DurationMicrosecondType, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use arrow::error::ArrowError;

/// Intervals, and times that passed, in one of the styles of `IntervalStyle`.
pub(super) fn texts(column: &ArrayRef, style: &str) -> Result<StringArray, ArrowError> {
    let write: fn(&Parts) -> String = match style {
        "postgres_verbose" => Parts::verbose,
        "sql_standard" => Parts::standard,
        "iso_8601" => Parts::iso,
        _ => Parts::postgres,
    };
    if matches!(column.data_type(), DataType::Duration(_)) {
        let passed = passed_us(column)?;
        let texts = passed.iter();
        let texts = texts.map(|us| us.map(|us| write(&Parts::new(0, 0, us))));
        return Ok(texts.collect());
    }
    let intervals = in_parts(column)?;
    let texts = intervals.iter().map(|interval| {
        let interval = interval?;
        let us = interval.nanoseconds / 1_000;
        Some(write(&Parts::new(interval.months, interval.days, us)))
    });
    Ok(texts.collect())
}

/// Intervals, and times that passed, in binary form. The library writes NULL as no
/// time.
pub(super) fn bytes(column: &ArrayRef) -> Result<BinaryArray, ArrowError> {
    if matches!(column.data_type(), DataType::Duration(_)) {
        let passed = passed_us(column)?;
        let bytes = passed.iter().map(|us| us.map(|us| form(us, 0, 0)));
        return Ok(bytes.collect());
    }
    let intervals = in_parts(column)?;
    let bytes = intervals.iter().map(|interval| {
        let interval = interval?;
        let us = interval.nanoseconds / 1_000;
        Some(form(us, interval.days, interval.months))
    });
    Ok(bytes.collect())
}

/// Microseconds i64, days i32, months i32, big-endian.
fn form(us: i64, days: i32, months: i32) -> Vec<u8> {
    let mut bytes = us.to_be_bytes().to_vec();
    bytes.extend(days.to_be_bytes());
    bytes.extend(months.to_be_bytes());
    bytes
}

/// Times that passed in microseconds; those that do not fit are an error.
fn passed_us(column: &ArrayRef) -> Result<DurationMicrosecondArray, ArrowError> {
    let in_us = DataType::Duration(TimeUnit::Microsecond);
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let passed = cast_with_options(column, &in_us, &options)?;
    Ok(passed.as_primitive::<DurationMicrosecondType>().clone())
}

fn in_parts(column: &ArrayRef) -> Result<IntervalMonthDayNanoArray, ArrowError> {
    let intervals = cast(column, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    Ok(intervals.as_primitive::<IntervalMonthDayNanoType>().clone())
}

/// What an interval is written of. Years and months have one sign, and so have the
/// hours and all behind them.
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    us: i64,
}

impl Parts {
    fn new(months: i32, days: i32, us: i64) -> Self {
        Self {
            years: i64::from(months / 12),
            months: i64::from(months % 12),
            days: i64::from(days),
            hours: us / 3_600_000_000,
            minutes: us / 60_000_000 % 60,
            seconds: us / 1_000_000 % 60,
            us: us % 1_000_000,
        }
    }

    /// Hours and all behind them.
    fn time(&self) -> [i64; 4] {
        [self.hours, self.minutes, self.seconds, self.us]
    }

    /// From the largest to the smallest.
    fn all(&self) -> [i64; 7] {
        [
            self.years,
            self.months,
            self.days,
            self.hours,
            self.minutes,
            self.seconds,
            self.us,
        ]
    }

    fn has_time(&self) -> bool {
        self.time().iter().any(|value| *value != 0)
    }

    fn has_seconds(&self) -> bool {
        self.seconds != 0 || self.us != 0
    }

    fn is_time_negative(&self) -> bool {
        self.time().iter().any(|value| *value < 0)
    }

    /// The seconds without their sign, in at least so many digits, and the fraction
    /// where there is one.
    fn seconds_text(&self, width: usize) -> String {
        let mut text = format!("{:0width$}", self.seconds.abs());
        if self.us != 0 {
            let fraction = format!(".{:06}", self.us.abs());
            text.push_str(fraction.trim_end_matches('0'));
        }
        text
    }

    /// `1 year -2 mons +3 days 04:05:06.7`: what follows a negative value has a sign.
    fn postgres(&self) -> String {
        let mut text = String::new();
        let mut is_behind_negative = false;
        for (value, unit) in [
            (self.years, "year"),
            (self.months, "mon"),
            (self.days, "day"),
        ] {
            if value != 0 {
                let sign = if is_behind_negative && value > 0 {
                    "+"
                } else {
                    ""
                };
                // Writing to a string does not fail.
                let _ = write!(text, "{sign}{value} {unit}{} ", plural(value));
                is_behind_negative = value < 0;
            }
        }
        if self.has_time() || text.is_empty() {
            let sign = match (self.is_time_negative(), is_behind_negative) {
                (true, _) => "-",
                (false, true) => "+",
                (false, false) => "",
            };
            let (hours, minutes) = (self.hours.abs(), self.minutes.abs());
            let seconds = self.seconds_text(2);
            let _ = write!(text, "{sign}{hours:02}:{minutes:02}:{seconds}");
        }
        text.trim_end().to_owned()
    }

    /// `@ 1 year -2 mons 3 days ago`: the first value says whether it is ago, and the
    /// others have a sign where theirs is another one.
    fn verbose(&self) -> String {
        let first = self.all().into_iter().find(|value| *value != 0);
        let is_ago = first.is_some_and(|first| first < 0);
        let mut text = "@".to_owned();
        for (value, unit) in [
            (self.years, "year"),
            (self.months, "mon"),
            (self.days, "day"),
            (self.hours, "hour"),
            (self.minutes, "min"),
        ] {
            if value != 0 {
                let value = if is_ago { -value } else { value };
                let _ = write!(text, " {value} {unit}{}", plural(value));
            }
        }
        if self.has_seconds() {
            let is_negative = self.seconds < 0 || self.us < 0;
            let sign = if is_negative == is_ago { "" } else { "-" };
            let is_one = self.seconds.abs() == 1 && self.us == 0;
            let ending = if is_one { "" } else { "s" };
            let seconds = self.seconds_text(1);
            let _ = write!(text, " {sign}{seconds} sec{ending}");
        }
        text.push_str(match (first, is_ago) {
            (None, _) => " 0",
            (Some(_), true) => " ago",
            (Some(_), false) => "",
        });
        text
    }

    /// `-1-2` or `-3 4:05:06`, with one sign for all; what the SQL standard has no form
    /// for is `+1-2 -3 +4:05:06`.
    fn standard(&self) -> String {
        let has_negative = self.all().iter().any(|value| *value < 0);
        let has_positive = self.all().iter().any(|value| *value > 0);
        let has_months = self.years != 0 || self.months != 0;
        let has_days = self.days != 0 || self.has_time();
        if !has_negative && !has_positive {
            return "0".to_owned();
        }
        let months = format!("{}-{}", self.years.abs(), self.months.abs());
        let days = self.days.abs();
        let (hours, minutes) = (self.hours.abs(), self.minutes.abs());
        let time = format!("{hours}:{minutes:02}:{}", self.seconds_text(2));
        if (has_negative && has_positive) || (has_months && has_days) {
            let sign = |is_negative: bool| if is_negative { '-' } else { '+' };
            let of_months = sign(self.years < 0 || self.months < 0);
            let of_days = sign(self.days < 0);
            let of_time = sign(self.is_time_negative());
            return format!("{of_months}{months} {of_days}{days} {of_time}{time}");
        }
        let sign = if has_negative { "-" } else { "" };
        match (has_months, days) {
            (true, _) => format!("{sign}{months}"),
            (false, 0) => format!("{sign}{time}"),
            (false, days) => format!("{sign}{days} {time}"),
        }
    }

    /// `P1Y-2M3DT4H5M6.7S`, each value with its sign.
    fn iso(&self) -> String {
        let mut text = "P".to_owned();
        push_units(
            &mut text,
            &[(self.years, 'Y'), (self.months, 'M'), (self.days, 'D')],
        );
        if !self.has_time() {
            return if text == "P" { "PT0S".to_owned() } else { text };
        }
        text.push('T');
        push_units(&mut text, &[(self.hours, 'H'), (self.minutes, 'M')]);
        if self.has_seconds() {
            let sign = if self.is_time_negative() { "-" } else { "" };
            let _ = write!(text, "{sign}{}S", self.seconds_text(1));
        }
        text
    }
}

/// Adds the values that there are.
fn push_units(text: &mut String, values: &[(i64, char)]) {
    for (value, unit) in values {
        if *value != 0 {
            let _ = write!(text, "{value}{unit}");
        }
    }
}

fn plural(value: i64) -> &'static str {
    if value == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::DurationMillisecondArray;
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    const STYLES: [&str; 4] = ["postgres", "postgres_verbose", "sql_standard", "iso_8601"];

    /// In all styles.
    fn written(column: &ArrayRef) -> [Option<String>; 4] {
        STYLES.map(|style| {
            let texts = texts(column, style).unwrap();
            let text = texts.iter().next().unwrap();
            text.map(str::to_owned)
        })
    }

    #[test]
    fn in_binary_form_null_is_null() {
        let interval = IntervalMonthDayNano::new(1, -2, 3_000);
        let column = IntervalMonthDayNanoArray::from(vec![None, Some(interval)]);
        let column: ArrayRef = Arc::new(column);
        let found = bytes(&column).unwrap();
        let expected: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 1];
        let found: Vec<Option<&[u8]>> = found.iter().collect();
        assert_eq!(found, [None, Some(expected)]);
    }

    #[test]
    fn intervals_are_written_as_postgresql_does() {
        let time = |hours: i64, minutes: i64, us: i64| (hours * 60 + minutes) * 60_000_000 + us;
        for (months, days, us, expected) in [
            (0, 0, 0, ["00:00:00", "@ 0", "0", "PT0S"]),
            (
                14,
                3,
                time(4, 5, 6_700_000),
                [
                    "1 year 2 mons 3 days 04:05:06.7",
                    "@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs",
                    "+1-2 +3 +4:05:06.7",
                    "P1Y2M3DT4H5M6.7S",
                ],
            ),
            (
                -14,
                -3,
                -time(4, 5, 6_700_000),
                [
                    "-1 years -2 mons -3 days -04:05:06.7",
                    "@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs ago",
                    "-1-2 -3 -4:05:06.7",
                    "P-1Y-2M-3DT-4H-5M-6.7S",
                ],
            ),
            (
                14,
                -3,
                time(4, 5, 6_700_000),
                [
                    "1 year 2 mons -3 days +04:05:06.7",
                    "@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs",
                    "+1-2 -3 +4:05:06.7",
                    "P1Y2M-3DT4H5M6.7S",
                ],
            ),
            (
                -14,
                3,
                0,
                [
                    "-1 years -2 mons +3 days",
                    "@ 1 year 2 mons -3 days ago",
                    "-1-2 +3 +0:00:00",
                    "P-1Y-2M3D",
                ],
            ),
            (
                -1,
                1,
                -time(1, 0, 0),
                [
                    "-1 mons +1 day -01:00:00",
                    "@ 1 mon -1 days 1 hour ago",
                    "-0-1 +1 -1:00:00",
                    "P-1M1DT-1H",
                ],
            ),
            (-12, 0, 0, ["-1 years", "@ 1 year ago", "-1-0", "P-1Y"]),
            (10, 0, 0, ["10 mons", "@ 10 mons", "0-10", "P10M"]),
            (0, -1, 0, ["-1 days", "@ 1 day ago", "-1 0:00:00", "P-1D"]),
            (
                0,
                1,
                -time(2, 0, 0),
                [
                    "1 day -02:00:00",
                    "@ 1 day -2 hours",
                    "+0-0 +1 -2:00:00",
                    "P1DT-2H",
                ],
            ),
            (
                0,
                -1,
                time(2, 0, 0),
                [
                    "-1 days +02:00:00",
                    "@ 1 day -2 hours ago",
                    "+0-0 -1 +2:00:00",
                    "P-1DT2H",
                ],
            ),
            (
                0,
                -3,
                -time(4, 0, 0),
                [
                    "-3 days -04:00:00",
                    "@ 3 days 4 hours ago",
                    "-3 4:00:00",
                    "P-3DT-4H",
                ],
            ),
            (
                0,
                0,
                -time(1, 30, 0),
                ["-01:30:00", "@ 1 hour 30 mins ago", "-1:30:00", "PT-1H-30M"],
            ),
            (
                0,
                0,
                -500_000,
                ["-00:00:00.5", "@ 0.5 secs ago", "-0:00:00.5", "PT-0.5S"],
            ),
            (
                0,
                1,
                -500_000,
                [
                    "1 day -00:00:00.5",
                    "@ 1 day -0.5 secs",
                    "+0-0 +1 -0:00:00.5",
                    "P1DT-0.5S",
                ],
            ),
            (
                0,
                0,
                -1_000_000,
                ["-00:00:01", "@ 1 sec ago", "-0:00:01", "PT-1S"],
            ),
            (
                0,
                0,
                -1_000_001,
                [
                    "-00:00:01.000001",
                    "@ 1.000001 secs ago",
                    "-0:00:01.000001",
                    "PT-1.000001S",
                ],
            ),
            (
                0,
                0,
                time(100, 0, 0),
                ["100:00:00", "@ 100 hours", "100:00:00", "PT100H"],
            ),
        ] {
            let interval = IntervalMonthDayNano::new(months, days, us * 1_000);
            let column: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![interval]));
            let expected = expected.map(|text| Some(text.to_owned()));
            assert_eq!(written(&column), expected);
        }
    }

    #[test]
    fn what_is_no_interval_is_none_and_what_passed_is_one() {
        let column: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![
            None::<IntervalMonthDayNano>,
        ]));
        assert_eq!(written(&column), [const { None }; 4]);
        let column: ArrayRef = Arc::new(DurationMillisecondArray::from(vec![-90_061_500]));
        let expected = [
            "-25:01:01.5",
            "@ 25 hours 1 min 1.5 secs ago",
            "-25:01:01.5",
            "PT-25H-1M-1.5S",
        ];
        assert_eq!(written(&column), expected.map(|text| Some(text.to_owned())));
    }
}
