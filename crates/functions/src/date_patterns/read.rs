//! Reads a time by a pattern.

use chrono::format::{Parsed, StrftimeItems, parse_and_remainder};
use chrono::{NaiveDateTime, TimeDelta};
use datafusion::common::{exec_datafusion_err, exec_err};
use datafusion::error::Result;

use super::{Field, Part, ROMAN_MONTHS};

/// Hours that a time may be ahead of or behind UTC.
const OFFSET_HOURS_MAX: i32 = 15;

/// A pattern whose times can be read.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    steps: Vec<Step>,
    has_day: bool,
    has_month: bool,
    has_hour: bool,
    has_half_day: bool,
    is_twelve: bool,
    /// The text says how far the time is ahead of UTC.
    pub(super) has_offset: bool,
}

/// How a part of the text is read.
#[derive(Debug, Clone)]
enum Step {
    /// By a pattern of strftime.
    Known(String),
    /// Up to so many digits of the second's fraction.
    Fraction {
        digits_max: usize,
        /// Other digits follow at once.
        is_followed: bool,
    },
    RomanMonth,
    /// With dots.
    HalfDay,
    ZoneHours,
    ZoneMinutes,
    /// The letters behind an ordinal number.
    Ending,
}

/// What was read of a text.
struct Found {
    parsed: Parsed,
    fraction_us: i64,
    /// Hours and minutes, with the sign before the hours.
    is_behind: bool,
    zone_s: i32,
}

type Read<'a> = std::result::Result<&'a str, String>;

impl Step {
    /// Reads the begin of a text; what comes behind it, or what is wrong.
    fn read<'a>(&self, text: &'a str, found: &mut Found) -> Read<'a> {
        let invalid = |problem: chrono::ParseError| problem.to_string();
        match self {
            Self::Known(strftime) => {
                let items = StrftimeItems::new(strftime);
                parse_and_remainder(&mut found.parsed, text, items).map_err(invalid)
            }
            Self::Fraction {
                digits_max,
                is_followed,
            } => {
                let digits = text.bytes().take_while(u8::is_ascii_digit).count();
                let digits = match is_followed {
                    true => digits.min(*digits_max),
                    false => digits,
                };
                if digits == 0 || digits > *digits_max {
                    return Err(format!(
                        "the second's fraction has 1 to {digits_max} digits and not {digits}; US and FF6 read up to 6"
                    ));
                }
                let (number, rest) = text.split_at(digits);
                let number: i64 = number.parse().unwrap_or_default();
                // At most six digits.
                found.fraction_us = number * 10_i64.pow(6_u32.saturating_sub(digits as u32));
                Ok(rest)
            }
            Self::RomanMonth => {
                let fits = |name: &&str| {
                    let begin = text.get(..name.len());
                    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(name))
                };
                // I begins II, and V begins VI: the longest is meant.
                let months = (1..).zip(ROMAN_MONTHS).filter(|(_, name)| fits(name));
                let month = months.max_by_key(|(_, name)| name.len());
                let (month, name) = month.ok_or("there is no month in Roman numerals")?;
                found.parsed.set_month(month).map_err(invalid)?;
                Ok(&text[name.len()..])
            }
            Self::HalfDay => {
                let half = text.get(..4).unwrap_or_default().to_ascii_lowercase();
                let is_afternoon = match half.as_str() {
                    "a.m." => false,
                    "p.m." => true,
                    _ => return Err("there is no a.m. or p.m.".to_owned()),
                };
                found.parsed.set_ampm(is_afternoon).map_err(invalid)?;
                Ok(&text[4..])
            }
            Self::ZoneHours => {
                let text = text.trim_start();
                let behind = text.strip_prefix('-');
                found.is_behind = behind.is_some();
                let digits = behind.or_else(|| text.strip_prefix('+')).unwrap_or(text);
                let (hours, rest) = zone_part(digits, OFFSET_HOURS_MAX)?;
                found.zone_s += hours * 3_600;
                Ok(rest)
            }
            Self::ZoneMinutes => {
                let (minutes, rest) = zone_part(text, 59)?;
                found.zone_s += minutes * 60;
                Ok(rest)
            }
            Self::Ending => {
                let ending = text.get(..2).unwrap_or_default().to_ascii_lowercase();
                match ending.as_str() {
                    "st" | "nd" | "rd" | "th" => Ok(&text[2..]),
                    _ => Err("there is no th behind a number".to_owned()),
                }
            }
        }
    }
}

/// One or two digits of a zone, and what comes behind them.
fn zone_part(text: &str, max: i32) -> std::result::Result<(i32, &str), String> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let number = number.parse::<i32>().ok();
    let number = number.filter(|number| *number <= max);
    let number = number.ok_or_else(|| format!("the zone has no number up to {max}"))?;
    Ok((number, rest))
}

impl Reader {
    /// # Errors
    /// When the pattern has what is only written, or what says the same in two ways.
    pub(super) fn new(parts: &[Part], pattern: &str) -> Result<Self> {
        let mut steps = Vec::new();
        let mut fields = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            let (field, ordinal) = match part {
                Part::Text(text) => {
                    push(&mut steps, Step::Known(text.replace('%', "%%")));
                    continue;
                }
                Part::Field { field, ordinal, .. } => (*field, ordinal),
            };
            let step = step(field, parts.get(place + 1)).ok_or_else(|| {
                exec_datafusion_err!(
                    "`{pattern}` has a part that is written by to_char and not read; use YYYY, YY, MM, Mon, Month, RM, DD, DDD, HH24, HH12, MI, SS, MS, US, FF1 to FF6, AM, A.M., IYYY, IW, ID, TZH, TZM, OF, or patterns of strftime"
                )
            })?;
            push(&mut steps, step);
            if ordinal.is_some() && field.is_number() {
                steps.push(Step::Ending);
            }
            fields.push(field);
        }
        let has = |wanted: &[Field]| fields.iter().any(|field| wanted.contains(field));
        let count =
            |is_wanted: fn(&Field) -> bool| fields.iter().filter(|it| is_wanted(it)).count();
        let is_iso = has(&[Field::IsoWeek]);
        let has_zone = has(&[Field::ZoneHours, Field::ZoneMinutes]);
        let is_twice = count(|field| matches!(field, Field::Fraction(_))) > 1
            || count(|field| matches!(field, Field::ZoneHours)) > 1
            || count(|field| matches!(field, Field::ZoneMinutes)) > 1
            || (has_zone && has(&[Field::Offset]));
        if is_twice {
            return exec_err!(
                "`{pattern}` reads the second's fraction or the zone twice; leave one of the two out"
            );
        }
        Ok(Self {
            steps,
            has_day: is_iso || has(&[Field::Day, Field::DayOfYear]),
            has_month: is_iso
                || has(&[Field::DayOfYear, Field::Month])
                || fields.iter().any(|field| {
                    matches!(
                        field,
                        Field::MonthName(_) | Field::MonthShort(_) | Field::RomanMonth(_)
                    )
                }),
            has_hour: has(&[Field::Hour12, Field::Hour24]),
            is_twelve: has(&[Field::Hour12]),
            has_half_day: fields
                .iter()
                .any(|field| matches!(field, Field::HalfDay(..))),
            has_offset: has_zone || has(&[Field::Offset]),
        })
    }

    /// The time in UTC where the text says how far it is ahead, unless it is wanted as
    /// written; else without a zone. What the pattern leaves out is the first of its kind.
    ///
    /// # Errors
    /// When the text does not fit the pattern.
    pub(super) fn read(&self, text: &str, as_written: bool) -> Result<NaiveDateTime> {
        let misfit =
            |problem: String| exec_datafusion_err!("`{text}` does not fit the pattern: {problem}");
        let wrong = |problem: chrono::ParseError| misfit(problem.to_string());
        let mut found = Found {
            parsed: Parsed::new(),
            fraction_us: 0,
            is_behind: false,
            zone_s: 0,
        };
        let mut rest = text.trim();
        for step in &self.steps {
            rest = step.read(rest, &mut found).map_err(misfit)?;
        }
        if !rest.is_empty() {
            return Err(misfit(format!("`{rest}` is left over")));
        }
        let mut parsed = found.parsed;
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
        let date = parsed.to_naive_date().map_err(wrong)?;
        let time = date.and_time(parsed.to_naive_time().map_err(wrong)?);
        let zone_s = match found.is_behind {
            true => -found.zone_s,
            false => found.zone_s,
        };
        let ahead_s = match self.has_offset && !as_written {
            true => parsed.offset().unwrap_or(zone_s),
            false => 0,
        };
        let fraction = TimeDelta::microseconds(found.fraction_us);
        let ahead = TimeDelta::seconds(i64::from(ahead_s));
        let utc = time.checked_add_signed(fraction);
        let utc = utc.and_then(|time| time.checked_sub_signed(ahead));
        utc.ok_or_else(|| exec_datafusion_err!("`{text}` is beyond the calendar"))
    }
}

/// Adds a step. Two patterns of strftime are one.
fn push(steps: &mut Vec<Step>, step: Step) {
    if let Step::Known(strftime) = &step
        && let Some(Step::Known(before)) = steps.last_mut()
    {
        before.push_str(strftime);
        return;
    }
    steps.push(step);
}

/// How a field is read that another part may follow; `None` for what is only written.
fn step(field: Field, next: Option<&Part>) -> Option<Step> {
    Some(match field {
        Field::Fraction(digits_max) => Step::Fraction {
            digits_max: usize::from(digits_max),
            is_followed: matches!(next, Some(Part::Field { field, .. }) if field.is_number()),
        },
        Field::RomanMonth(_) => Step::RomanMonth,
        Field::HalfDay(_, true) => Step::HalfDay,
        Field::ZoneHours => Step::ZoneHours,
        Field::ZoneMinutes => Step::ZoneMinutes,
        other => Step::Known(specifier(other)?.to_owned()),
    })
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
            // Digits behind the point are those of a fraction, however many there are.
            ("YYYY SS.MS", "2026 12.3", "2026-01-01 00:00:12.300"),
            ("YYYY SS.US", "2026 12.003", "2026-01-01 00:00:12.003"),
            (
                "YYYY SS.FF6",
                "2026 12.123456",
                "2026-01-01 00:00:12.123456",
            ),
            ("YYYY SS.FF1", "2026 59.9", "2026-01-01 00:00:59.900"),
            (
                "YYYYMMDDHH24MISSMS",
                "20261101080000123",
                "2026-11-01 08:00:00.123",
            ),
            ("SSFF2YYYYMMDD", "121220261101", "2026-11-01 00:00:12.120"),
            (
                "YYYY-MM-DD HH24:MI:SS.MSTZH",
                "2026-11-01 08:00:00.25+08",
                "2026-11-01 00:00:00.250",
            ),
            (
                "YYYY-MM-DD HH24:MI:SS.USTZH:TZM",
                "2026-11-01 08:00:00.25-03:30",
                "2026-11-01 11:30:00.250",
            ),
            (
                "YYYY-MM-DD HH24:MI TZHTZM",
                "2026-11-01 08:00 -0030",
                "2026-11-01 08:30:00",
            ),
            (
                "YYYY-MM-DD HH24 TZH",
                "2026-11-01 08 8",
                "2026-11-01 00:00:00",
            ),
            ("YYYY-RM-DD", "2026-XI-01", "2026-11-01 00:00:00"),
            ("DD rm YYYY", "1 VIII 2026", "2026-08-01 00:00:00"),
            ("YYYY RM", "2026 iv", "2026-04-01 00:00:00"),
            (
                "DDth TMMonth YYYY",
                "21st November 2026",
                "2026-11-21 00:00:00",
            ),
            (
                "TMDay DD TMMon YYYY HH12 A.M.",
                "Sunday 1 nov 2026 08 P.M.",
                "2026-11-01 20:00:00",
            ),
            ("YYYY a\\\"b MM", "2026 a\"b 11", "2026-11-01 00:00:00"),
        ] {
            let reader = Reader::new(&parse(pattern), pattern).unwrap();
            let read = reader.read(text, false).map(|time| time.to_string());
            assert_eq!(read.unwrap(), expected, "{pattern}");
        }
        let reader = Reader::new(&parse("YYYY-MM-DD"), "").unwrap();
        for text in ["", "2026-13-01", "2026-02-30", "today", "2026-11-21 x"] {
            assert!(reader.read(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for (pattern, text, problem) in [
            ("YYYY SS.MS", "2026 12.3456", "1 to 3 digits and not 4"),
            ("YYYY SS.FF2", "2026 12.345", "1 to 2 digits and not 3"),
            ("YYYY SS.US", "2026 12.1234567", "1 to 6 digits and not 7"),
            ("YYYY SS.US", "2026 12.", "1 to 6 digits and not 0"),
            ("YYYY SS.US", "2026 12.5x", "`x` is left over"),
            ("YYYY-RM", "2026-IIII", "`I` is left over"),
            ("YYYY-RM", "2026-11", "no month in Roman numerals"),
            ("YYYY HH24TZH", "2026 08+16", "no number up to 15"),
            ("YYYY HH24TZH:TZM", "2026 08+08:75", "no number up to 59"),
            ("YYYY HH24TZH", "2026 08", "no number up to 15"),
            ("YYYY HH12 A.M.", "2026 08 PM", "no a.m. or p.m."),
            ("YYYY DDth", "2026 21", "no th behind"),
            ("YYYY DDth", "2026 21é", "no th behind"),
        ] {
            let reader = Reader::new(&parse(pattern), pattern).unwrap();
            let found = reader.read(text, false).unwrap_err().to_string();
            assert!(found.contains(problem), "{pattern} {text}: {found}");
        }
        for (pattern, problem) in [
            ("YYYY-WW", "is written by to_char and not read"),
            ("YYYY HH24 TZ", "is written by to_char and not read"),
            ("YYYY SS.MSUS", "twice"),
            ("YYYY HH24OF TZH", "twice"),
            ("YYYY HH24TZH TZH", "twice"),
        ] {
            let found = Reader::new(&parse(pattern), pattern).unwrap_err();
            assert!(found.to_string().contains(problem), "{pattern}: {found}");
        }
    }
}
