//! Writes a time by a pattern.

use std::fmt::Write;

use chrono::{Datelike, NaiveDateTime, Timelike, Weekday};

use super::{Field, Letters, Part, ROMAN_MONTHS};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Columns of the longest name of a month or a day.
const NAME_WIDTH: usize = 9;
/// Columns of the longest month in Roman numerals.
const ROMAN_WIDTH: usize = 4;
/// Digits of the hours of an offset.
pub(super) const OFFSET_WIDTH: usize = 2;
/// Julian days before the first day that chrono counts from.
const JULIAN_DAYS: i32 = 1_721_425;

/// A time as it is in its zone.
#[derive(Debug, Clone)]
pub(super) struct LocalTime {
    pub(super) time: NaiveDateTime,
    /// Ahead of UTC; `None` where the time has no zone.
    pub(super) offset_s: Option<i32>,
    /// What the zone is called at that time.
    pub(super) zone: String,
}

/// Writes a time.
pub(super) fn write(parts: &[Part], local: &LocalTime, output: &mut String) {
    for part in parts {
        match part {
            Part::Text(text) => output.push_str(text),
            Part::Field {
                field,
                is_bare,
                ordinal,
            } => {
                let start = output.len();
                write_field(*field, *is_bare, local, output);
                if let Some(letters) = ordinal
                    && field.is_number()
                {
                    let ending = ending(&output[start..]);
                    output.push_str(&in_letters(ending, *letters));
                }
            }
        }
    }
}

/// A year as it is called: the one before 1 is 1 BC.
fn called(year: i32) -> i32 {
    if year > 0 { year } else { 1 - year }
}

fn write_field(field: Field, is_bare: bool, local: &LocalTime, output: &mut String) {
    let time = &local.time;
    let width_of = |width: usize| if is_bare { 0 } else { width };
    let mut number = |value: i64, width: usize| {
        let width = width_of(width);
        // Writing to a string does not fail.
        let _ = write!(output, "{value:0width$}");
    };
    let last = |year: i32, digits: u8| i64::from(year) % 10_i64.pow(u32::from(digits));
    let year = called(time.year());
    let day = i64::from(time.ordinal0());
    let offset_s = local.offset_s.unwrap_or(0);
    match field {
        Field::Year(4) => number(i64::from(year), 4),
        Field::Year(digits) => number(last(year, digits), usize::from(digits)),
        Field::YearWithComma => {
            let _ = write!(output, "{},{:03}", year / 1_000, year % 1_000);
        }
        Field::IsoYear(4) => number(i64::from(called(time.iso_week().year())), 4),
        Field::IsoYear(digits) => {
            let year = called(time.iso_week().year());
            number(last(year, digits), usize::from(digits));
        }
        Field::Century => number(i64::from((year - 1) / 100 + 1), 2),
        Field::Quarter => number(i64::from(time.month0() / 3 + 1), 1),
        Field::Month => number(time.month().into(), 2),
        Field::Week => number(day / 7 + 1, 2),
        Field::WeekOfMonth => number(i64::from(time.day0() / 7 + 1), 1),
        Field::IsoWeek => number(time.iso_week().week().into(), 2),
        Field::DayOfYear => number(day + 1, 3),
        Field::IsoDayOfYear => {
            let week = i64::from(time.iso_week().week0());
            let weekday = i64::from(time.weekday().number_from_monday());
            number(week * 7 + weekday, 3);
        }
        Field::Day => number(time.day().into(), 2),
        Field::DayOfWeek => number(time.weekday().number_from_sunday().into(), 1),
        Field::IsoDayOfWeek => number(time.weekday().number_from_monday().into(), 1),
        Field::JulianDay => {
            number(i64::from(time.num_days_from_ce() + JULIAN_DAYS), 1);
        }
        Field::Hour12 => number(time.hour12().1.into(), 2),
        Field::Hour24 => number(time.hour().into(), 2),
        Field::Minute => number(time.minute().into(), 2),
        Field::Second => number(time.second().into(), 2),
        Field::SecondOfDay => number(time.num_seconds_from_midnight().into(), 1),
        Field::Fraction(digits) => {
            let ns = i64::from(time.nanosecond() % 1_000_000_000);
            let unit = 10_i64.pow(9 - u32::from(digits));
            let width = usize::from(digits);
            let _ = write!(output, "{:0width$}", ns / unit);
        }
        Field::MonthName(letters) => {
            write_name(month(time), letters, width_of(NAME_WIDTH), output);
        }
        Field::MonthShort(letters) => {
            write_name(short(month(time)), letters, 0, output);
        }
        Field::RomanMonth(letters) => {
            let month = ROMAN_MONTHS.get(time.month0() as usize);
            let month = month.copied().unwrap_or_default();
            write_name(month, letters, width_of(ROMAN_WIDTH), output);
        }
        Field::DayName(letters) => {
            write_name(
                weekday(time.weekday()),
                letters,
                width_of(NAME_WIDTH),
                output,
            );
        }
        Field::DayShort(letters) => {
            write_name(short(weekday(time.weekday())), letters, 0, output);
        }
        Field::HalfDay(letters, has_dots) => {
            let name = match (time.hour() < 12, has_dots) {
                (true, false) => "AM",
                (true, true) => "A.M.",
                (false, false) => "PM",
                (false, true) => "P.M.",
            };
            write_name(name, letters, 0, output);
        }
        Field::Era(letters, has_dots) => {
            let name = match (time.year() > 0, has_dots) {
                (true, false) => "AD",
                (true, true) => "A.D.",
                (false, false) => "BC",
                (false, true) => "B.C.",
            };
            write_name(name, letters, 0, output);
        }
        Field::ZoneName(letters) => write_name(&local.zone, letters, 0, output),
        Field::ZoneHours => {
            let sign = if offset_s < 0 { '-' } else { '+' };
            let _ = write!(output, "{sign}{:02}", offset_s.abs() / 3_600);
        }
        Field::ZoneMinutes => {
            let _ = write!(output, "{:02}", offset_s.abs() % 3_600 / 60);
        }
        Field::Offset => write_offset(offset_s, width_of(OFFSET_WIDTH), output),
    }
}

/// `+08`, and `:30` behind it where there are minutes.
pub(super) fn write_offset(offset_s: i32, width: usize, output: &mut String) {
    let sign = if offset_s < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset_s.abs() / 3_600, offset_s.abs() % 3_600 / 60);
    let _ = write!(output, "{sign}{hours:0width$}");
    if minutes > 0 {
        let _ = write!(output, ":{minutes:02}");
    }
}

fn month(time: &NaiveDateTime) -> &'static str {
    let name = MONTHS.get(time.month0() as usize);
    name.copied().unwrap_or_default()
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}

/// The first three letters of a name.
fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

fn in_letters(name: &str, letters: Letters) -> String {
    match letters {
        Letters::Upper => name.to_uppercase(),
        Letters::Capital => name.to_owned(),
        Letters::Lower => name.to_lowercase(),
    }
}

fn write_name(name: &str, letters: Letters, width: usize, output: &mut String) {
    let name = in_letters(name, letters);
    let _ = write!(output, "{name:width$}");
}

/// The ending of an ordinal number.
fn ending(number: &str) -> &'static str {
    let mut digits = number.bytes().rev();
    let (last, before) = (digits.next(), digits.next());
    match (before, last) {
        (Some(b'1'), _) => "th",
        (_, Some(b'1')) => "st",
        (_, Some(b'2')) => "nd",
        (_, Some(b'3')) => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;
    use chrono::NaiveDate;

    fn written(pattern: &str) -> String {
        let day = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
        let local = LocalTime {
            time: day.and_hms_micro_opt(15, 4, 5, 60_700).unwrap(),
            offset_s: Some(8 * 3_600),
            zone: "CST".to_owned(),
        };
        let mut output = String::new();
        write(&parse(pattern), &local, &mut output);
        output
    }

    #[test]
    fn patterns_are_those_of_postgresql() {
        for (pattern, expected) in [
            ("YYYY-MM-DD HH24:MI:SS", "2026-11-01 15:04:05"),
            ("yyyy/mm/dd", "2026/11/01"),
            ("YY MM DDD HH12 HH MS US", "26 11 305 03 03 060 060700"),
            ("FMDD.FMMM. FMHH:FMMI AM", "1.11. 3:4 PM"),
            ("pm P.M. a.m.", "pm P.M. p.m."),
            ("Mon|MON|mon|Dy|DY|dy", "Nov|NOV|nov|Sun|SUN|sun"),
            (
                "Month|FMMonth|Day|FMDAY",
                "November |November|Sunday   |SUNDAY",
            ),
            ("Q D ID IW IYYY WW W CC", "4 1 7 44 2026 44 1 21"),
            ("TZ tz OF TZH:TZM", "CST cst +08 +08:00"),
            ("\"Day\" DD \"a\\\"b\"", "Day 01 a\"b"),
            ("DDth FMDDth HH24TH", "01st 1st 15TH"),
            ("Y,YYY J SSSS", "2,026 2461346 54245"),
            ("YYYY\"年\"MM月", "2026年11月"),
            ("FF1 FF3", "0 060"),
            ("BC", "AD"),
            ("", ""),
            ("FM", ""),
            ("FMx", "x"),
            ("FMFMM", "F11"),
            ("\"open", "open"),
            ("RM|rm|FMRM|FMrm", "XI  |xi  |XI|xi"),
            (
                "TMMonth|TMMon|TMDay|TMDy|TMMONTH|TMmonth|TMDD",
                "November|Nov|Sunday|Sun|NOVEMBER|november|01",
            ),
            ("FMOF FMTZH TZHTH", "+8 +08 +08"),
            (r#"a\"b"#, r#"a"b"#),
            (r#"\"YYYY\""#, r#""2026""#),
            (r#""a\"b\\c\d""#, r#"a"b\cd"#),
            (r#""a\"#, r"a\"),
            (r"a\b\\YYYY", r"a\b\\2026"),
            (r#""YYYY"" MM""#, "YYYY MM"),
            ("FXFMMM YYYYFX-MMfx", "11 2026-11"),
            ("Monthth|DDSP|DDTHSP|DDthTH", "November |01|01STSP|01stTH"),
            ("MSth USTH CCth BCth", "060th 060700TH 21st AD"),
            (
                "SSSSS SSSS FF2 FF4 FF5 FF6",
                "54245 54245 06 0607 06070 060700",
            ),
        ] {
            assert_eq!(written(pattern), expected, "{pattern}");
        }
    }
}
