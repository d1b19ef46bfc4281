//! Dates and times as the log has them.
//!
//! Format: `my_time.cc` of MySQL. The parts are written as they are: dates of
//! zeros stay dates of zeros.

use std::io::Write as _;

use crate::input::{BadBytes, Input};

const SECONDS_A_DAY: i64 = 86_400;

/// Digits of a fraction, packed big-endian in `(digits + 1) / 2` bytes.
fn fraction(input: &mut Input<'_>, digits: u8) -> Result<u32, BadBytes> {
    let bytes = usize::from(digits).div_ceil(2);
    let value = input.uint_be(bytes, "a fraction of a second")? as u32;
    // In millionths.
    Ok(match bytes {
        0 => 0,
        1 => value * 10_000,
        2 => value * 100,
        _ => value,
    })
}

fn check_digits(digits: u8) -> Result<(), BadBytes> {
    match digits {
        0..=6 => Ok(()),
        _ => Err(BadBytes::Invalid(format!(
            "a time has {digits} digits behind the second"
        ))),
    }
}

fn write_fraction(out: &mut Vec<u8>, micros: u32, digits: u8) {
    if digits == 0 {
        return;
    }
    let text = format!("{micros:06}");
    out.push(b'.');
    out.extend_from_slice(&text.as_bytes()[..usize::from(digits)]);
}

fn two(out: &mut Vec<u8>, value: u64) {
    out.push(b'0' + (value / 10 % 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

fn date(out: &mut Vec<u8>, year: u64, month: u64, day: u64) {
    two(out, year / 100);
    two(out, year % 100);
    out.push(b'-');
    two(out, month);
    out.push(b'-');
    two(out, day);
}

fn clock(out: &mut Vec<u8>, hour: u64, minute: u64, second: u64) {
    two(out, hour);
    out.push(b':');
    two(out, minute);
    out.push(b':');
    two(out, second);
}

/// A `DATE`, three bytes: `2026-01-31`.
///
/// # Errors
/// When the bytes end; so for all below.
pub fn write_date(out: &mut Vec<u8>, input: &mut Input<'_>) -> Result<(), BadBytes> {
    let value = input.uint(3, "a date")?;
    date(out, value >> 9, value >> 5 & 15, value & 31);
    Ok(())
}

/// A `DATETIME` with a fraction: `2026-01-31 12:00:00.25`.
///
/// # Errors
/// When the bytes end.
pub fn write_datetime2(
    out: &mut Vec<u8>,
    input: &mut Input<'_>,
    digits: u8,
) -> Result<(), BadBytes> {
    check_digits(digits)?;
    let packed = input
        .uint_be(5, "a date with time")?
        .wrapping_sub(0x80_0000_0000);
    let micros = fraction(input, digits)?;
    write_packed_datetime(out, packed, micros, digits);
    Ok(())
}

fn write_packed_datetime(out: &mut Vec<u8>, packed: u64, micros: u32, digits: u8) {
    let (days, time) = (packed >> 17 & 0x3f_ffff, packed & 0x1_ffff);
    let months = days >> 5;
    date(out, months / 13, months % 13, days & 31);
    out.push(b' ');
    clock(out, time >> 12, time >> 6 & 63, time & 63);
    write_fraction(out, micros, digits);
}

/// A `DATETIME` of servers before MySQL 5.6: digits as a number.
///
/// # Errors
/// When the bytes end.
pub fn write_datetime(out: &mut Vec<u8>, input: &mut Input<'_>) -> Result<(), BadBytes> {
    let value = input.u64("a date with time")?;
    let (days, time) = (value / 1_000_000, value % 1_000_000);
    date(out, days / 10_000 % 10_000, days / 100 % 100, days % 100);
    out.push(b' ');
    clock(out, time / 10_000, time / 100 % 100, time % 100);
    Ok(())
}

/// A `TIMESTAMP`, a moment: `2026-01-31T12:00:00.25Z`, in UTC. The moment 0 is
/// the server's `0000-00-00 00:00:00`.
///
/// # Errors
/// When the bytes end.
pub fn write_timestamp2(
    out: &mut Vec<u8>,
    input: &mut Input<'_>,
    digits: u8,
) -> Result<(), BadBytes> {
    check_digits(digits)?;
    let seconds = input.uint_be(4, "a timestamp")?;
    let micros = fraction(input, digits)?;
    write_moment(out, seconds as i64, micros, digits);
    Ok(())
}

/// A `TIMESTAMP` of servers before MySQL 5.6.
///
/// # Errors
/// When the bytes end.
pub fn write_timestamp(out: &mut Vec<u8>, input: &mut Input<'_>) -> Result<(), BadBytes> {
    let seconds = input.u32("a timestamp")?;
    write_moment(out, i64::from(seconds), 0, 0);
    Ok(())
}

fn write_moment(out: &mut Vec<u8>, seconds: i64, micros: u32, digits: u8) {
    if seconds == 0 && micros == 0 {
        out.extend_from_slice(b"0000-00-00 00:00:00");
        write_fraction(out, 0, digits);
        return;
    }
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_A_DAY));
    let time = seconds.rem_euclid(SECONDS_A_DAY) as u64;
    date(out, year as u64, month, day);
    out.push(b'T');
    clock(out, time / 3_600, time / 60 % 60, time % 60);
    write_fraction(out, micros, digits);
    out.push(b'Z');
}

/// Year, month and day of a day since 1970-01-01, from 1970 on.
///
/// Source: <https://howardhinnant.github.io/date_algorithms.html>, `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u64;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u64, day)
}

/// A `TIME` with a fraction: `-12:00:00.25`, of up to 838 hours.
///
/// # Errors
/// When the bytes end.
pub fn write_time2(out: &mut Vec<u8>, input: &mut Input<'_>, digits: u8) -> Result<(), BadBytes> {
    check_digits(digits)?;
    let fraction_bytes = usize::from(digits).div_ceil(2);
    // The number as a whole is biased, its fraction with it, so that bytes
    // sort like times.
    let bits = 8 * (3 + fraction_bytes);
    let value = input.uint_be(3 + fraction_bytes, "a time")? as i64 - (1 << (bits - 1));
    write_signed_time(out, value, fraction_bytes, digits);
    Ok(())
}

fn write_signed_time(out: &mut Vec<u8>, value: i64, fraction_bytes: usize, digits: u8) {
    if value < 0 {
        out.push(b'-');
    }
    let value = value.unsigned_abs();
    let whole = value >> (8 * fraction_bytes);
    let rest = (value & ((1 << (8 * fraction_bytes)) - 1)) as u32;
    let micros = match fraction_bytes {
        0 => 0,
        1 => rest * 10_000,
        2 => rest * 100,
        _ => rest,
    };
    write_hours(out, whole >> 12 & 0x3ff, whole >> 6 & 63, whole & 63);
    write_fraction(out, micros, digits);
}

fn write_hours(out: &mut Vec<u8>, hour: u64, minute: u64, second: u64) {
    if hour >= 100 {
        let _ = write!(out, "{}", hour / 100);
    }
    clock(out, hour % 100, minute, second);
}

/// A `TIME` of servers before MySQL 5.6: three bytes, digits as a number.
///
/// # Errors
/// When the bytes end.
pub fn write_time(out: &mut Vec<u8>, input: &mut Input<'_>) -> Result<(), BadBytes> {
    let raw = input.uint(3, "a time")? as i64;
    let value = if raw >= 1 << 23 { raw - (1 << 24) } else { raw };
    if value < 0 {
        out.push(b'-');
    }
    let value = value.unsigned_abs();
    write_hours(out, value / 10_000, value / 100 % 100, value % 100);
    Ok(())
}

/// A date with time inside JSON: eight bytes, the fraction in the lower three.
pub(crate) fn write_json_datetime(out: &mut Vec<u8>, packed: u64, date_only: bool) {
    let micros = (packed & 0xff_ffff) as u32;
    if date_only {
        let days = packed >> 24 >> 17 & 0x3f_ffff;
        let months = days >> 5;
        return date(out, months / 13, months % 13, days & 31);
    }
    write_packed_datetime(out, packed >> 24, micros, 6);
}

/// A time inside JSON.
pub(crate) fn write_json_time(out: &mut Vec<u8>, packed: i64) {
    write_signed_time(out, packed, 3, 6);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>) -> Result<(), BadBytes>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_of_all_forms_are_written_as_the_server_does() {
        let moment = 1_500_000_000_u32.to_be_bytes();
        let write = |out: &mut _| write_timestamp2(out, &mut Input::new(&moment), 0);
        assert_eq!(text(write), "2017-07-14T02:40:00Z");
        let zero = [0; 4];
        let write = |out: &mut _| write_timestamp2(out, &mut Input::new(&zero), 0);
        assert_eq!(text(write), "0000-00-00 00:00:00");
        let minus_one_second = 0x7f_ffff_u32.to_be_bytes();
        let write = |out: &mut _| write_time2(out, &mut Input::new(&minus_one_second[1..]), 0);
        assert_eq!(text(write), "-00:00:01");
        let leap = ((2024_u64 << 9) | (2 << 5) | 29).to_le_bytes();
        let write = |out: &mut _| write_date(out, &mut Input::new(&leap));
        assert_eq!(text(write), "2024-02-29");
        let old = 19_991_231_235_959_u64.to_le_bytes();
        let write = |out: &mut _| write_datetime(out, &mut Input::new(&old));
        assert_eq!(text(write), "1999-12-31 23:59:59");
    }
}
