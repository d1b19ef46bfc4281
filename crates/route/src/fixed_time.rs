//! Times in their usual forms, where every number has its full width: read
//! without working through a format. Whatever is written otherwise is left to
//! chrono.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// A format of `%Y`, `%m`, `%d`, `%H`, `%M`, `%S` and characters between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FixedFormat {
    pieces: Vec<Piece>,
    /// Length of a text in it.
    length: usize,
    has_time: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// Index into year, month, day, hour, minute, second.
    Number(usize),
    Character(u8),
}

const YEAR: usize = 0;
const NUMBERS: usize = 6;

impl FixedFormat {
    /// `None` if the format is of another kind.
    pub(crate) fn compile(format: &str) -> Option<Self> {
        let format = format.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S");
        let mut pieces = Vec::new();
        let mut seen = [false; NUMBERS];
        let mut bytes = format.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                // White space stands for any amount of it.
                let is_usual = byte.is_ascii_graphic() || byte == b' ';
                let is_doubled = byte == b' ' && pieces.last() == Some(&Piece::Character(b' '));
                if !is_usual || is_doubled {
                    return None;
                }
                pieces.push(Piece::Character(byte));
                continue;
            }
            let letter = bytes.next()?;
            let number = b"YmdHMS".iter().position(|&known| known == letter)?;
            if std::mem::replace(&mut seen[number], true) {
                return None;
            }
            pieces.push(Piece::Number(number));
        }
        let has_time = match seen {
            [true, true, true, false, false, false] => false,
            [true, true, true, true, true, _] => true,
            _ => return None,
        };
        let width = |piece: &Piece| match *piece {
            Piece::Number(number) => width_of(number),
            Piece::Character(_) => 1,
        };
        Some(Self {
            length: pieces.iter().map(width).sum(),
            pieces,
            has_time,
        })
    }

    /// The time, if it is written with every number in its full width. Leap
    /// seconds are left to chrono.
    pub(crate) fn parse(&self, text: &str) -> Option<NaiveDateTime> {
        let bytes = text.as_bytes();
        if bytes.len() != self.length {
            return None;
        }
        let mut numbers = [0; NUMBERS];
        let mut at = 0;
        for piece in &self.pieces {
            match *piece {
                Piece::Number(number) => {
                    let end = at + width_of(number);
                    numbers[number] = digits(bytes.get(at..end)?)?;
                    at = end;
                }
                Piece::Character(expected) => {
                    if bytes.get(at) != Some(&expected) {
                        return None;
                    }
                    at += 1;
                }
            }
        }
        let [year, month, day, hour, minute, second] = numbers;
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        match self.has_time {
            true => date.and_hms_opt(hour, minute, second),
            false => date.and_hms_opt(0, 0, 0),
        }
    }
}

fn width_of(number: usize) -> usize {
    if number == YEAR { 4 } else { 2 }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    let mut value = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(value)
}

/// A date as `2026-11-21`.
pub(crate) fn usual_date(bytes: &[u8]) -> Option<NaiveDate> {
    let &[_, _, _, _, b'-', _, _, b'-', _, _] = bytes else {
        return None;
    };
    let year = i32::try_from(digits(&bytes[..4])?).ok()?;
    NaiveDate::from_ymd_opt(year, digits(&bytes[5..7])?, digits(&bytes[8..10])?)
}

/// Microseconds since 1970 of a time as `2026-11-21T08:00:00.123Z`: of UTC, and
/// with at most six digits behind the second.
pub(crate) fn usual_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_at_checked(10)?;
    let date = usual_date(date)?;
    let (&[b'T', h1, h2, b':', m1, m2, b':', s1, s2], rest) = rest.split_first_chunk::<9>()? else {
        return None;
    };
    let time = date.and_hms_opt(digits(&[h1, h2])?, digits(&[m1, m2])?, digits(&[s1, s2])?)?;
    let fraction_us = match rest {
        b"Z" => 0,
        [b'.', fraction @ .., b'Z'] if (1..=6).contains(&fraction.len()) => {
            let scale = 10_u32.pow(6 - fraction.len() as u32);
            i64::from(digits(fraction)? * scale)
        }
        _ => return None,
    };
    Some(time.and_utc().timestamp_micros() + fraction_us)
}

/// Remembers a zone's offset for the quarter of an hour that was last asked
/// for: times mostly come in their order, and a zone's rules are long.
#[derive(Debug)]
pub(crate) struct OffsetMemo {
    /// Number of the quarter in the upper half, seconds in the lower.
    quarter_and_offset: AtomicU64,
}

const NOTHING: u64 = u64::MAX;
const QUARTER_US: i64 = 900_000_000;

impl Default for OffsetMemo {
    fn default() -> Self {
        Self {
            quarter_and_offset: AtomicU64::new(NOTHING),
        }
    }
}

impl Clone for OffsetMemo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl OffsetMemo {
    /// Local time minus UTC in microseconds, if it is the same in the whole
    /// quarter of an hour of `local_us`. `None` where clocks change, and before
    /// 1970, when places had times of their own.
    pub(crate) fn at(&self, local_us: i64, zone: Tz) -> Option<i64> {
        let quarter = u32::try_from(local_us.div_euclid(QUARTER_US)).ok()?;
        let known = self.quarter_and_offset.load(Ordering::Relaxed);
        if known != NOTHING && (known >> 32) as u32 == quarter {
            return Some(i64::from(known as u32 as i32) * 1_000_000);
        }
        let offset = |quarter: u32| {
            let start = DateTime::from_timestamp_micros(i64::from(quarter) * QUARTER_US)?;
            match zone.offset_from_local_datetime(&start.naive_utc()) {
                LocalResult::Single(offset) => Some(offset.fix().local_minus_utc()),
                LocalResult::Ambiguous(_, _) | LocalResult::None => None,
            }
        };
        // Clocks are never changed twice within a quarter of an hour.
        let seconds = offset(quarter)?;
        if offset(quarter.checked_add(1)?)? != seconds {
            return None;
        }
        let found = u64::from(quarter) << 32 | u64::from(seconds as u32);
        self.quarter_and_offset.store(found, Ordering::Relaxed);
        Some(i64::from(seconds) * 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_chrono(text: &str, format: &str) -> Option<NaiveDateTime> {
        NaiveDateTime::parse_from_str(text, format)
            .ok()
            .or_else(|| {
                let date = NaiveDate::parse_from_str(text, format).ok()?;
                date.and_hms_opt(0, 0, 0)
            })
    }

    /// What is read in the short way is what chrono reads.
    #[test]
    fn fixed_formats_agree_with_chrono() {
        let formats = [
            "%Y-%m-%d %H:%M:%S",
            "%Y%m%d%H%M%S",
            "%d/%m/%Y %H:%M",
            "%F %T",
            "%Y-%m-%d",
            "%m.%d.%Y",
            "at %H:%M on %Y/%m/%d",
        ];
        let mut read = 0;
        for format in formats {
            let fixed = FixedFormat::compile(format).unwrap();
            for year in ["2024", "1969", "0000", "9999", "-001", "+024", " 024"] {
                for month in ["01", "02", "12", "13", "00", " 1"] {
                    for day in ["01", "29", "30", "31", "32"] {
                        for (hour, minute, second) in [
                            ("00", "00", "00"),
                            ("23", "59", "59"),
                            ("24", "00", "00"),
                            ("12", "60", "00"),
                            ("12", "30", "60"),
                            ("1a", "30", "00"),
                        ] {
                            let text = format
                                .replace("%F", "%Y-%m-%d")
                                .replace("%T", "%H:%M:%S")
                                .replace("%Y", year)
                                .replace("%m", month)
                                .replace("%d", day)
                                .replace("%H", hour)
                                .replace("%M", minute)
                                .replace("%S", second);
                            if let Some(time) = fixed.parse(&text) {
                                read += 1;
                                assert_eq!(by_chrono(&text, format), Some(time), "{text} {format}");
                            }
                        }
                    }
                }
            }
        }
        assert!(read > 500, "{read}");
        for other in [
            "%Y-%m-%d %H",
            "%y-%m-%d",
            "%Y-%m-%d %I:%M",
            "%Y-%j",
            "%Y-%m-%d %Y",
            "%Y-%m-%d  %H:%M",
            "%s",
        ] {
            assert_eq!(FixedFormat::compile(other), None, "{other}");
        }
        for text in [
            "2026-11-21T08:00:00Z",
            "2024-02-29T23:59:59.1Z",
            "0000-01-01T00:00:00.123456Z",
        ] {
            let time = DateTime::parse_from_rfc3339(text).unwrap();
            assert_eq!(usual_rfc3339(text), Some(time.timestamp_micros()), "{text}");
        }
        for text in [
            "2026-11-21T08:00:60Z",
            "2026-11-21T08:00:00+01:00",
            "2026-11-21T08:00:00.Z",
            "2026-11-21T08:00:00.1234567Z",
            "2026-02-29T08:00:00Z",
        ] {
            assert_eq!(usual_rfc3339(text), None, "{text}");
        }
    }

    /// Around every change of the clocks, the remembered offset is the zone's.
    #[test]
    fn offsets_are_those_of_the_zone() {
        for zone in [
            Tz::Europe__London,
            Tz::Asia__Shanghai,
            Tz::America__St_Johns,
            Tz::Australia__Lord_Howe,
            Tz::Africa__Casablanca,
            Tz::Asia__Kathmandu,
        ] {
            let memo = OffsetMemo::default();
            let (mut known, mut unknown) = (0, 0);
            // Steps of 7 minutes and 13 seconds through two and a half years.
            let start = 1_267_000_000_000_000_i64;
            for step in 0..180_000_i64 {
                let local_us = start + step * 433_000_000;
                let local = DateTime::from_timestamp_micros(local_us)
                    .unwrap()
                    .naive_utc();
                match memo.at(local_us, zone) {
                    Some(offset_us) => {
                        known += 1;
                        let time = zone.from_local_datetime(&local).single().unwrap();
                        assert_eq!(
                            time.timestamp_micros(),
                            local_us - offset_us,
                            "{local} {zone}"
                        );
                    }
                    None => unknown += 1,
                }
            }
            assert!(known > 179_000 && unknown < 1_000, "{zone}: {unknown}");
        }
    }
}
