//! Where a JSON value ends, found without taking it apart.

use crate::json::{Kind, escape, number_end, skip_space};
use crate::shape::DEPTH_MAX;
use crate::slots::Value;

/// Without escapes and control characters, strings end at the next quote.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    let special = |byte: u8| u8::from(byte < 0x20) | u8::from(byte == b'\\');
    bytes.iter().fold(0, |any, &byte| any | special(byte)) == 0
}

/// The value that begins at `at`, and where it ends with its quotes. `None` if
/// it is no JSON, or has an inside where there must be none.
#[inline(always)]
pub(crate) fn scan<const PLAIN: bool>(
    bytes: &[u8],
    at: usize,
    goes_inside: bool,
) -> Option<(Value, usize)> {
    let value = |kind, start: usize, end: usize| Value {
        kind,
        start: start as u32,
        end: end as u32,
    };
    match *bytes.get(at)? {
        b'"' => {
            let start = at + 1;
            let (kind, end) = match PLAIN {
                true => (Kind::Plain, quote(bytes, start)?),
                false => string_end(bytes, start)?,
            };
            Some((value(kind, start, end), end + 1))
        }
        b'-' | b'0'..=b'9' => {
            let end = match whole_number_end(bytes, at) {
                Some(end) => end,
                None => number_end(bytes, at).ok()?,
            };
            Some((value(Kind::Number, at, end), end))
        }
        b'{' | b'[' if !goes_inside => {
            let kind = match bytes[at] {
                b'{' => Kind::Object,
                _ => Kind::Array,
            };
            let end = container_end::<PLAIN>(bytes, at)?;
            Some((value(kind, at, end), end))
        }
        _ => {
            let (kind, end) = word(bytes, at)?;
            Some((value(kind, at, end), end))
        }
    }
}

/// The end of a number that is a row of digits, as most are.
#[inline]
fn whole_number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    let is_whole = at > start && !matches!(bytes.get(at), Some(b'.' | b'e' | b'E'));
    (is_whole && (bytes[start] != b'0' || at == start + 1)).then_some(at)
}

fn word(bytes: &[u8], at: usize) -> Option<(Kind, usize)> {
    let rest = bytes.get(at..)?;
    [
        (&b"null"[..], Kind::Null),
        (b"true", Kind::Boolean),
        (b"false", Kind::Boolean),
    ]
    .into_iter()
    .find(|(word, _)| rest.starts_with(word))
    .map(|(word, kind)| (kind, at + word.len()))
}

/// The next quote from `at`: eight bytes at a time, as most strings are short.
#[inline(always)]
fn quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    const LOW: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        // A byte that is a quote becomes 0; the lowest 0 gets its high bit set.
        let other = u64::from_le_bytes(*chunk) ^ QUOTES;
        let zeros = other.wrapping_sub(LOW) & !other & HIGH;
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let found = rest.iter().position(|&byte| byte == b'"')?;
    Some(at + found)
}

/// Kind and closing quote of the string whose characters begin at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Option<(Kind, usize)> {
    let mut kind = Kind::Plain;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((kind, at)),
            b'\\' => {
                kind = Kind::Escaped;
                at += escape(&bytes[at..])?.1;
            }
            0..=0x1f => return None,
            _ => at += 1,
        }
    }
}

/// Where the array or object that begins at `start` ends.
fn container_end<const PLAIN: bool>(bytes: &[u8], start: usize) -> Option<usize> {
    // One bit for each that is open, the innermost lowest: 1 for an object.
    let mut is_object: u64 = 0;
    let mut depth = 0;
    let mut at = start;
    loop {
        // At the beginning of a value.
        match *bytes.get(at)? {
            open @ (b'{' | b'[') => {
                if depth >= DEPTH_MAX {
                    return None;
                }
                depth += 1;
                is_object = is_object << 1 | u64::from(open == b'{');
                at = skip_space(bytes, at + 1);
                let close = if open == b'{' { b'}' } else { b']' };
                if bytes.get(at) != Some(&close) {
                    if open == b'{' {
                        at = key_end::<PLAIN>(bytes, at)?;
                    }
                    continue;
                }
            }
            _ => at = scan::<PLAIN>(bytes, at, true)?.1,
        }
        // Behind a value, or before the end of an empty container.
        loop {
            at = skip_space(bytes, at);
            let in_object = is_object & 1 == 1;
            match *bytes.get(at)? {
                b',' => {
                    at = skip_space(bytes, at + 1);
                    if in_object {
                        at = key_end::<PLAIN>(bytes, at)?;
                    }
                    break;
                }
                b'}' if in_object => {}
                b']' if !in_object => {}
                _ => return None,
            }
            at += 1;
            depth -= 1;
            is_object >>= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
}

/// Where the value of the key at `at` begins.
fn key_end<const PLAIN: bool>(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let (_, behind) = scan::<PLAIN>(bytes, at, true)?;
    let colon = skip_space(bytes, behind);
    (bytes.get(colon) == Some(&b':')).then(|| skip_space(bytes, colon + 1))
}
