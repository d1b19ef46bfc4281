//! Character sets: from the bytes of a column to UTF-8.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::charset_tables::{HIGH_HALVES, SWE7};

/// First and last number of collations, with the name of their character set.
#[rustfmt::skip]
const COLLATIONS: &[(u16, u16, &str)] = &[
    (1, 1, "big5"),
    (2, 2, "latin2"),
    (3, 3, "dec8"),
    (4, 4, "cp850"),
    (5, 5, "latin1"),
    (6, 6, "hp8"),
    (7, 7, "koi8r"),
    (8, 8, "latin1"),
    (9, 9, "latin2"),
    (10, 10, "swe7"),
    (11, 11, "ascii"),
    (12, 12, "ujis"),
    (13, 13, "sjis"),
    (14, 14, "cp1251"),
    (15, 15, "latin1"),
    (16, 16, "hebrew"),
    (18, 18, "tis620"),
    (19, 19, "euckr"),
    (20, 20, "latin7"),
    (21, 21, "latin2"),
    (22, 22, "koi8u"),
    (23, 23, "cp1251"),
    (24, 24, "gb2312"),
    (25, 25, "greek"),
    (26, 26, "cp1250"),
    (27, 27, "latin2"),
    (28, 28, "gbk"),
    (29, 29, "cp1257"),
    (30, 30, "latin5"),
    (31, 31, "latin1"),
    (32, 32, "armscii8"),
    (33, 33, "utf8mb3"),
    (34, 34, "cp1250"),
    (35, 35, "ucs2"),
    (36, 36, "cp866"),
    (37, 37, "keybcs2"),
    (38, 38, "macce"),
    (39, 39, "macroman"),
    (40, 40, "cp852"),
    (41, 42, "latin7"),
    (43, 43, "macce"),
    (44, 44, "cp1250"),
    (45, 46, "utf8mb4"),
    (47, 49, "latin1"),
    (50, 52, "cp1251"),
    (53, 53, "macroman"),
    (54, 55, "utf16"),
    (56, 56, "utf16le"),
    (57, 57, "cp1256"),
    (58, 59, "cp1257"),
    (60, 61, "utf32"),
    (62, 62, "utf16le"),
    (63, 63, "binary"),
    (64, 64, "armscii8"),
    (65, 65, "ascii"),
    (66, 66, "cp1250"),
    (67, 67, "cp1256"),
    (68, 68, "cp866"),
    (69, 69, "dec8"),
    (70, 70, "greek"),
    (71, 71, "hebrew"),
    (72, 72, "hp8"),
    (73, 73, "keybcs2"),
    (74, 74, "koi8r"),
    (75, 75, "koi8u"),
    (76, 76, "utf8mb3"),
    (77, 77, "latin2"),
    (78, 78, "latin5"),
    (79, 79, "latin7"),
    (80, 80, "cp850"),
    (81, 81, "cp852"),
    (82, 82, "swe7"),
    (83, 83, "utf8mb3"),
    (84, 84, "big5"),
    (85, 85, "euckr"),
    (86, 86, "gb2312"),
    (87, 87, "gbk"),
    (88, 88, "sjis"),
    (89, 89, "tis620"),
    (90, 90, "ucs2"),
    (91, 91, "ujis"),
    (92, 93, "geostd8"),
    (94, 94, "latin1"),
    (95, 96, "cp932"),
    (97, 98, "eucjpms"),
    (99, 99, "cp1250"),
    (101, 124, "utf16"),
    (128, 151, "ucs2"),
    (159, 159, "ucs2"),
    (160, 183, "utf32"),
    (192, 223, "utf8mb3"),
    (224, 247, "utf8mb4"),
    (248, 250, "gb18030"),
    (255, 323, "utf8mb4"),
    (736, 738, "utf32"),
];

/// How the text of a column is made UTF-8.
#[derive(Debug, Clone, Copy)]
pub enum Charset {
    /// No text.
    Binary,
    /// UTF-8 already (`utf8mb3`, `utf8mb4`, `ascii`).
    Utf8,
    /// One byte a character: the characters of all 256.
    Table(&'static [char; 256]),
    /// `ucs2` and `utf16`: big-endian.
    Utf16Be,
    /// `utf16le`.
    Utf16Le,
    /// Four bytes a character, big-endian.
    Utf32,
    /// Sets of several bytes of East Asia.
    Encoding(&'static encoding_rs::Encoding),
}

/// The name of a collation's character set; `None` for an unknown number.
///
/// MariaDB's collations without padding have the number of the other one plus
/// 1024; those of the Unicode algorithm 14.0.0 start at 2048 in blocks of 256.
pub fn charset_of_collation(id: u64) -> Option<&'static str> {
    let id = match id {
        2048.. => {
            let sets = ["utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"];
            let block = usize::try_from((id - 2048) / 256).ok()?;
            return sets.get(block).copied();
        }
        1024.. => id - 1024,
        576..=607 => return Some("utf8mb3"),
        608..=639 => return Some("utf8mb4"),
        640..=671 => return Some("ucs2"),
        672..=703 => return Some("utf16"),
        736..=767 => return Some("utf32"),
        _ => id,
    };
    COLLATIONS
        .iter()
        .find(|(first, last, _)| (u64::from(*first)..=u64::from(*last)).contains(&id))
        .map(|(_, _, name)| *name)
}

impl Charset {
    /// The character set of a name, or of a collation's name; `None` for an
    /// unknown one.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let set = name.split_once('_').map_or(name.as_str(), |(set, _)| set);
        Some(match set {
            "binary" => Self::Binary,
            "utf8" | "utf8mb3" | "utf8mb4" | "ascii" => Self::Utf8,
            "ucs2" | "utf16" | "utf16be" => Self::Utf16Be,
            "utf16le" => Self::Utf16Le,
            "utf32" => Self::Utf32,
            "big5" => Self::Encoding(encoding_rs::BIG5),
            "gbk" | "gb2312" => Self::Encoding(encoding_rs::GBK),
            "gb18030" => Self::Encoding(encoding_rs::GB18030),
            "sjis" | "cp932" => Self::Encoding(encoding_rs::SHIFT_JIS),
            "ujis" | "eucjpms" => Self::Encoding(encoding_rs::EUC_JP),
            "euckr" => Self::Encoding(encoding_rs::EUC_KR),
            other => Self::Table(tables().get(other)?),
        })
    }

    /// Appends the text in UTF-8. Bytes that stand for no character become
    /// U+FFFD.
    pub fn decode(self, bytes: &[u8], to: &mut String) {
        const BAD: char = char::REPLACEMENT_CHARACTER;
        match self {
            Self::Binary | Self::Utf8 => to.push_str(&String::from_utf8_lossy(bytes)),
            Self::Table(table) => to.extend(bytes.iter().map(|&byte| table[usize::from(byte)])),
            Self::Utf16Be | Self::Utf16Le => {
                let unit = |pair: &[u8]| match (self, pair) {
                    (Self::Utf16Be, [high, low]) | (_, [low, high]) => {
                        u16::from_be_bytes([*high, *low])
                    }
                    _ => 0xfffd,
                };
                let units = bytes.chunks(2).map(unit);
                to.extend(char::decode_utf16(units).map(|found| found.unwrap_or(BAD)));
            }
            Self::Utf32 => {
                let chars = bytes.chunks(4).map(|four| {
                    let number = four
                        .iter()
                        .fold(0, |n: u32, &byte| n << 8 | u32::from(byte));
                    char::from_u32(number).unwrap_or(BAD)
                });
                to.extend(chars);
            }
            Self::Encoding(encoding) => {
                to.push_str(&encoding.decode_without_bom_handling(bytes).0);
            }
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
        tables
    })
}

/// The bytes of ASCII, and nothing for the others.
fn ascii() -> [char; 256] {
    let mut table = [char::REPLACEMENT_CHARACTER; 256];
    for (byte, place) in (0..128_u8).zip(&mut table) {
        *place = char::from(byte);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(name: &str, bytes: &[u8]) -> String {
        let mut text = String::new();
        Charset::of_name(name).unwrap().decode(bytes, &mut text);
        text
    }

    #[test]
    fn texts_of_many_sets_become_utf8() {
        assert_eq!(decoded("latin1", b"10 \x80 \xe9"), "10 € é");
        assert_eq!(decoded("cp1251_general_ci", b"\xcf\xf0"), "Пр");
        assert_eq!(decoded("swe7", b"[]{"), "ÄÅä");
        assert_eq!(decoded("ucs2", b"\x04\x1f\x00A"), "ПA");
        assert_eq!(decoded("utf16le", b"A\0\x3d\xd8\x00\xde"), "A😀");
        assert_eq!(decoded("utf32", b"\0\x01\xf6\0"), "😀");
        assert_eq!(decoded("gbk", b"\xd6\xd0"), "中");
        assert_eq!(decoded("sjis", b"\x82\xa0"), "あ");
        assert_eq!(decoded("utf8mb4", b"a\xff"), "a\u{fffd}");
        assert!(Charset::of_name("klingon").is_none());
    }

    #[test]
    fn numbers_of_collations_name_their_sets() {
        for (id, name) in [
            (8, "latin1"),
            (33, "utf8mb3"),
            (45, "utf8mb4"),
            (63, "binary"),
            (255, "utf8mb4"),
            (1069, "utf8mb4"),
            (2304, "utf8mb4"),
            (3000, "utf16"),
        ] {
            assert_eq!(charset_of_collation(id), Some(name), "{id}");
        }
        assert_eq!(charset_of_collation(9_999), None);
    }
}
