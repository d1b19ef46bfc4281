//! Character sets: from the bytes of a column to UTF-8, as the server itself
//! converts them to `utf8mb4`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::charset_tables::{HIGH_HALVES, SWE7};
use super::east_asian::EastAsian;

/// What the server writes for bytes that stand for no character.
pub(super) const NO_CHARACTER: char = '?';

/// The server writes half of a surrogate pair as three bytes, which are no
/// UTF-8: a copy of the table shows each of them as U+FFFD.
const HALF_OF_A_PAIR: &str = "\u{fffd}\u{fffd}\u{fffd}";

/// How the text of a column is made UTF-8.
#[derive(Debug, Clone, Copy)]
pub enum Charset {
    /// No text.
    Binary,
    /// UTF-8 already (`utf8mb3`, `utf8mb4`).
    Utf8,
    /// One byte a character: the characters of all 256.
    Table(&'static [char; 256]),
    /// `ucs2`: two bytes a character, big-endian, without surrogate pairs.
    Ucs2,
    /// `utf16`: big-endian.
    Utf16Be,
    /// `utf16le`.
    Utf16Le,
    /// Four bytes a character, big-endian.
    Utf32,
    /// Sets of several bytes of East Asia.
    EastAsian(&'static EastAsian),
}

impl Charset {
    /// The character set of a name, or of a collation's name; `None` for an
    /// unknown one.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let set = name.split_once('_').map_or(name.as_str(), |(set, _)| set);
        Some(match set {
            "binary" => Self::Binary,
            "utf8" | "utf8mb3" | "utf8mb4" => Self::Utf8,
            "ucs2" => Self::Ucs2,
            "utf16" | "utf16be" => Self::Utf16Be,
            "utf16le" => Self::Utf16Le,
            "utf32" => Self::Utf32,
            other => match EastAsian::of_name(other) {
                Some(set) => Self::EastAsian(set),
                None => Self::Table(tables().get(other)?),
            },
        })
    }

    /// The text in UTF-8.
    pub fn text(self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        self.decode(bytes, &mut text);
        text
    }

    /// Appends the text in UTF-8. Bytes that stand for no character become
    /// what the server makes of them: `?`. What is no UTF-8 in a column of
    /// UTF-8 becomes U+FFFD.
    pub fn decode(self, bytes: &[u8], to: &mut String) {
        match self {
            Self::Binary | Self::Utf8 => to.push_str(&String::from_utf8_lossy(bytes)),
            Self::Table(table) => to.extend(bytes.iter().map(|&byte| table[usize::from(byte)])),
            Self::Ucs2 => decode_numbers(bytes, 2, to),
            Self::Utf32 => decode_numbers(bytes, 4, to),
            Self::Utf16Be | Self::Utf16Le => {
                let unit = |pair: &[u8]| match (self, pair) {
                    (Self::Utf16Be, [high, low]) | (_, [low, high]) => {
                        u16::from_be_bytes([*high, *low])
                    }
                    _ => u16::from(b'?'),
                };
                let units = bytes.chunks(2).map(unit);
                to.extend(char::decode_utf16(units).map(|found| found.unwrap_or(NO_CHARACTER)));
            }
            Self::EastAsian(set) => set.decode(bytes, to),
        }
    }
}

/// Appends characters that are their number in `width` bytes, big-endian.
fn decode_numbers(bytes: &[u8], width: usize, to: &mut String) {
    for one in bytes.chunks(width) {
        if one.len() < width {
            to.push(NO_CHARACTER);
            return;
        }
        let number = one.iter().fold(0, |n: u32, &byte| n << 8 | u32::from(byte));
        match char::from_u32(number) {
            Some(found) => to.push(found),
            None if number < 0x1_0000 => to.push_str(HALF_OF_A_PAIR),
            None => to.push(NO_CHARACTER),
        }
    }
}

fn tables() -> &'static BTreeMap<&'static str, [char; 256]> {
    static TABLES: OnceLock<BTreeMap<&'static str, [char; 256]>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let mut tables = BTreeMap::new();
        for (name, high) in HIGH_HALVES {
            let mut table = ascii();
            for (place, found) in table[128..].iter_mut().zip(high.chars()) {
                *place = found;
            }
            tables.insert(*name, table);
        }
        let mut swe7 = ascii();
        for (byte, found) in SWE7 {
            swe7[usize::from(byte)] = found;
        }
        tables.insert("swe7", swe7);
        // MariaDB stores the other bytes too.
        tables.insert("ascii", ascii());
        tables
    })
}

/// The bytes of ASCII, and nothing for the others.
fn ascii() -> [char; 256] {
    let mut table = [NO_CHARACTER; 256];
    for (byte, place) in (0..128_u8).zip(&mut table) {
        *place = char::from(byte);
    }
    table
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn decoded(name: &str, bytes: &[u8]) -> String {
        Charset::of_name(name).unwrap().text(bytes)
    }

    #[test]
    fn texts_of_many_sets_become_utf8() {
        assert_eq!(decoded("latin1", b"10 \x80 \xe9"), "10 € é");
        assert_eq!(decoded("cp1251_general_ci", b"\xcf\xf0"), "Пр");
        assert_eq!(decoded("swe7", b"[]{"), "ÄÅä");
        assert_eq!(decoded("ucs2", b"\x04\x1f\x00A"), "ПA");
        assert_eq!(decoded("utf16", b"\xd8\x3d\xde\x00\x00A"), "😀A");
        assert_eq!(decoded("utf16le", b"A\0\x3d\xd8\x00\xde"), "A😀");
        assert_eq!(decoded("utf32", b"\0\x01\xf6\0"), "😀");
        assert_eq!(decoded("utf8mb4", b"a\xff"), "a\u{fffd}");
        assert!(Charset::of_name("klingon").is_none());
    }

    #[test]
    fn bytes_that_sets_leave_open_are_what_the_server_makes_of_them() {
        // The five bytes that Windows-1252 leaves open are control characters.
        assert_eq!(decoded("latin1", b"\x81\x9d"), "\u{81}\u{9d}");
        assert_eq!(decoded("ascii", b"a\x80"), "a?");
        assert_eq!(decoded("swe7", b"\x7f\xe5"), "??");
        assert_eq!(decoded("cp1250", b"\x81\x8a"), "?Š");
        assert_eq!(decoded("greek", b"\xa4\xe1"), "?α");
        assert_eq!(decoded("tis620", b"\xa0\xa1"), "\u{fffd}ก");
        assert_eq!(decoded("geostd8", b"\xc0\xff"), "ა?");
        assert_eq!(decoded("macroman", b"\xf0\xde"), "\u{f8ff}\u{fb01}");
    }

    #[test]
    fn halves_of_surrogate_pairs_and_cut_characters_do_not_spread() {
        let half = "\u{fffd}\u{fffd}\u{fffd}";
        assert_eq!(decoded("ucs2", b"\xd8\x3d\x00A"), format!("{half}A"));
        assert_eq!(decoded("ucs2", b"\x00A\x00"), "A?");
        assert_eq!(decoded("utf16", b"\xd8\x3d\x00A"), "?A");
        assert_eq!(decoded("utf32", b"\0\0\xd8\0"), half);
        assert_eq!(decoded("utf32", b"\0\x11\0\0\0\0\0A"), "?A");
    }
}
