//! Numbers and times as text.

use std::fmt::Write as _;

/// Bytes of a decimal: some 300 digits.
pub(super) const DECIMAL_BYTES_MAX: usize = 128;

const BASE: u64 = 1_000_000_000;

/// A whole number in two's complement, the highest byte first, with a point
/// before its last `scale` digits.
pub(super) fn decimal(out: &mut String, bytes: &[u8], scale: u32) {
    let is_negative = bytes.first().is_some_and(|&byte| byte & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if is_negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (sum, is_over) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = is_over;
        }
    }
    // Nine digits at a time, the lowest first.
    let mut parts: Vec<u64> = vec![0];
    for &byte in &magnitude {
        let mut carry = u64::from(byte);
        for part in &mut parts {
            let value = *part * 256 + carry;
            *part = value % BASE;
            carry = value / BASE;
        }
        if carry > 0 {
            parts.push(carry);
        }
    }
    let mut digits = String::new();
    for (number, part) in parts.iter().rev().enumerate() {
        // Writing to a text does not fail.
        let _ = match number {
            0 => write!(digits, "{part}"),
            _ => write!(digits, "{part:09}"),
        };
    }
    let scale = scale as usize;
    if digits.len() <= scale {
        digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
    }
    if is_negative {
        out.push('-');
    }
    let (whole, part) = digits.split_at(digits.len() - scale);
    out.push_str(whole);
    if scale > 0 {
        out.push('.');
        out.push_str(part);
    }
}

/// A day, counted from 1970-01-01, as `2026-01-31`; `None` beyond the years 0
/// to 9999. The calendar is the Gregorian one throughout: see Howard Hinnant,
/// "chrono-compatible low-level date algorithms", `civil_from_days`.
pub(super) fn date(days: i64) -> Option<String> {
    if !(-719_528..=2_932_896).contains(&days) {
        return None;
    }
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = match month_from_march {
        0..=9 => month_from_march + 3,
        _ => month_from_march - 9,
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

/// A time of day in parts of a second, as `12:00:00.5`; `None` beyond a day.
pub(super) fn time(value: i64, parts: u32) -> Option<String> {
    let parts = i64::from(parts);
    if !(0..86_400 * parts).contains(&value) {
        return None;
    }
    let (seconds, part) = (value / parts, value % parts);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{hour:02}:{minute:02}:{second:02}");
    if part > 0 {
        let width = parts.ilog10() as usize;
        let digits = format!("{part:0width$}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    Some(text)
}

/// A moment in parts of a second since 1970, with `between` day and time.
pub(super) fn moment(value: i64, parts: u32, between: char) -> Option<String> {
    let of_day = 86_400 * i64::from(parts);
    let day = date(value.div_euclid(of_day))?;
    let time = time(value.rem_euclid(of_day), parts)?;
    Some(format!("{day}{between}{time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], scale: u32) -> String {
        let mut out = String::new();
        decimal(&mut out, bytes, scale);
        out
    }

    #[test]
    fn decimals_have_all_their_digits() {
        assert_eq!(text(&[], 0), "0");
        assert_eq!(text(&[], 2), "0.00");
        assert_eq!(text(&[5], 3), "0.005");
        assert_eq!(text(&[0xff], 2), "-0.01");
        assert_eq!(text(&[0x80], 0), "-128");
        assert_eq!(text(&[0x04, 0xd2], 2), "12.34");
        for value in [
            0,
            1,
            -1,
            i128::MAX,
            i128::MIN,
            1_000_000_000,
            -999_999_999_999_999_999,
        ] {
            assert_eq!(text(&value.to_be_bytes(), 0), value.to_string());
        }
    }

    #[test]
    fn days_and_times() {
        assert_eq!(date(0).unwrap(), "1970-01-01");
        assert_eq!(date(-1).unwrap(), "1969-12-31");
        assert_eq!(date(19_782).unwrap(), "2024-02-29");
        assert_eq!(date(-719_528).unwrap(), "0000-01-01");
        assert_eq!(date(2_932_896).unwrap(), "9999-12-31");
        assert_eq!(date(2_932_897), None);
        assert_eq!(date(i64::MIN), None);
        assert_eq!(time(43_200_500, 1_000).unwrap(), "12:00:00.5");
        assert_eq!(time(-1, 1_000), None);
        assert_eq!(
            moment(-1, 1_000_000, 'T').unwrap(),
            "1969-12-31T23:59:59.999999"
        );
        assert_eq!(
            moment(1_767_225_600_000, 1_000, ' ').unwrap(),
            "2026-01-01 00:00:00"
        );
        assert_eq!(moment(i64::MAX, 1_000, 'T'), None);
    }
}
