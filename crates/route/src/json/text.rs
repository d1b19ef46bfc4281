//! What strings and numbers say: without escapes, and without exponents.

use std::borrow::Cow;

use super::Kind;

/// The character of the escape at the start of `bytes`, and its length.
pub(crate) fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = hex(bytes.get(2..6)?)?;
            // The low half of a pair alone is no character.
            if !(0xd800..0xdc00).contains(&high) {
                return Some((char::from_u32(high)?, 6));
            }
            let low = bytes.get(6..8).filter(|next| *next == b"\\u");
            let low = low.and_then(|_| hex(bytes.get(8..12)?))?;
            if !(0xdc00..0xe000).contains(&low) {
                return None;
            }
            let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return Some((char::from_u32(code)?, 12));
        }
        _ => return None,
    };
    Some((simple, 2))
}

fn hex(digits: &[u8]) -> Option<u32> {
    let mut value = 0;
    for &digit in digits {
        value = value * 16 + char::from(digit).to_digit(16)?;
    }
    Some(value)
}

/// A string's value, a number without exponent, and everything else as its
/// text; `None` for null. `raw` is the value as it is written, a string without
/// its quotes.
pub(crate) fn text_of(kind: Kind, raw: &str) -> Option<Cow<'_, str>> {
    match kind {
        Kind::Null => None,
        Kind::Escaped => Some(Cow::Owned(without_escapes(raw))),
        Kind::Number => Some(without_exponent(raw)),
        Kind::Plain | Kind::Boolean | Kind::Array | Kind::Object => Some(Cow::Borrowed(raw)),
    }
}

pub(super) fn without_escapes(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        // Parsing has checked every escape.
        let (character, length) = escape(&rest.as_bytes()[at..]).unwrap_or(('\u{fffd}', 1));
        text.push(character);
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    text
}

/// A number with its digits written out, exactly. Exponents that no column
/// could hold are left as they are.
fn without_exponent(text: &str) -> Cow<'_, str> {
    const EXPONENT_MAX: i32 = 400;
    let Some(at) = text.bytes().position(|byte| matches!(byte, b'e' | b'E')) else {
        return Cow::Borrowed(text);
    };
    let (mantissa, exponent) = (&text[..at], &text[at + 1..]);
    let Ok(exponent) = exponent.parse::<i32>() else {
        return Cow::Borrowed(text);
    };
    if exponent.abs() > EXPONENT_MAX {
        return Cow::Borrowed(text);
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let point = whole.len() as i32 + exponent;
    let text = match usize::try_from(point) {
        Ok(point) if point >= all.len() => format!("{all}{}", "0".repeat(point - all.len())),
        Ok(point) if point > 0 => format!("{}.{}", &all[..point], &all[point..]),
        _ => format!("0.{}{all}", "0".repeat(point.unsigned_abs() as usize)),
    };
    let whole_length = text.find('.').unwrap_or(text.len());
    let leading_zeros = text[..whole_length - 1]
        .bytes()
        .take_while(|&byte| byte == b'0')
        .count();
    Cow::Owned(format!("{sign}{}", &text[leading_zeros..]))
}
