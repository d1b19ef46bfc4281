//! Decimals as the log has them: groups of nine digits in four bytes each,
//! big-endian, the sign in the first bit, negative numbers inverted.
//!
//! Format: `decimal2bin` in `strings/decimal.cc` of MySQL.

use crate::input::{BadBytes, Input};

/// Bytes of a group of so many digits.
const GROUP_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// Appends the decimal with all digits of its scale.
///
/// # Errors
/// When the bytes end, the digits are none, or precision and scale are
/// impossible.
pub fn write_decimal(
    out: &mut Vec<u8>,
    input: &mut Input<'_>,
    precision: u8,
    scale: u8,
) -> Result<(), BadBytes> {
    let (precision, scale) = (usize::from(precision), usize::from(scale));
    let Some(whole) = precision.checked_sub(scale).filter(|_| precision <= 81) else {
        return Err(BadBytes::Invalid(format!(
            "a decimal has {precision} digits, {scale} of them behind the point"
        )));
    };
    let bytes_of = |digits: usize| digits / 9 * 4 + GROUP_BYTES[digits % 9];
    let (whole_bytes, fraction_bytes) = (bytes_of(whole), bytes_of(scale));
    let taken = input.take(whole_bytes + fraction_bytes, "a decimal")?;
    let mut bytes = [0_u8; 40];
    let Some(bytes) = bytes.get_mut(..taken.len()) else {
        return Err(BadBytes::invalid("a decimal is too long"));
    };
    bytes.copy_from_slice(taken);
    let Some(first) = bytes.first_mut() else {
        out.push(b'0');
        return Ok(());
    };
    let is_negative = *first & 0x80 == 0;
    *first ^= 0x80;
    if is_negative {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        out.push(b'-');
    }
    let (whole_part, fraction) = bytes.split_at(whole_bytes);
    let start = out.len();
    let first_digits = whole % 9;
    let mut whole_part = Input::new(whole_part);
    write_group(out, &mut whole_part, first_digits)?;
    for _ in 0..whole / 9 {
        write_group(out, &mut whole_part, 9)?;
    }
    let zeros = out[start..].iter().take_while(|&&digit| digit == b'0');
    let zeros = zeros.count();
    out.drain(start..start + zeros);
    if out.len() == start {
        out.push(b'0');
    }
    if scale > 0 {
        out.push(b'.');
        let mut fraction = Input::new(fraction);
        for _ in 0..scale / 9 {
            write_group(out, &mut fraction, 9)?;
        }
        write_group(out, &mut fraction, scale % 9)?;
    }
    Ok(())
}

fn write_group(out: &mut Vec<u8>, input: &mut Input<'_>, digits: usize) -> Result<(), BadBytes> {
    let mut value = input.uint_be(GROUP_BYTES[digits], "a decimal")?;
    let mut text = [b'0'; 9];
    for place in text[..digits].iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
    if value != 0 {
        return Err(BadBytes::invalid("the digits of a decimal are none"));
    }
    out.extend_from_slice(&text[..digits]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], precision: u8, scale: u8) -> String {
        let mut out = Vec::new();
        write_decimal(&mut out, &mut Input::new(bytes), precision, scale).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The first is the example of `decimal2bin`'s comment.
    #[test]
    fn decimals_keep_all_their_digits() {
        let bytes = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        assert_eq!(text(&bytes, 14, 4), "1234567890.1234");
        let negative = [0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d];
        assert_eq!(text(&negative, 14, 4), "-1234567890.1234");
        assert_eq!(text(&[0x80, 0, 0], 5, 2), "0.00");
        assert_eq!(text(&[0x80], 2, 2), "0.00");
    }

    #[test]
    fn impossible_decimals_are_refused() {
        let mut out = Vec::new();
        let mut write = |bytes: &[u8], precision, scale| {
            write_decimal(&mut out, &mut Input::new(bytes), precision, scale)
        };
        assert!(write(&[0x80], 2, 3).is_err());
        assert!(write(&[0x80], 14, 4).is_err());
        assert!(write(&[0xff; 4], 9, 0).is_err());
    }
}
