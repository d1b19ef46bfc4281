//! Character sets of several bytes of East Asia, as the server itself converts
//! them: what the WHATWG's Encoding Standard says, but for the differences in
//! [`super::east_asian_tables`].

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use encoding_rs::Encoding;

use super::charset::NO_CHARACTER;
use super::east_asian_tables::{DIFFERENCES, Differences, SETS};

/// What rows 0xf5 to 0xfe of the Japanese sets of EUC stand for, which users
/// define: first those of two bytes, then as many of three.
const USER_DEFINED: u32 = 0xe000;
const USER_DEFINED_COUNT: u32 = 10 * 94;

/// A set, with its characters at hand.
pub struct EastAsian {
    rules: &'static Differences,
    /// Characters of two bytes.
    pairs: Characters,
    /// Characters of three bytes, the first of which is 0x8f.
    triples: Option<Characters>,
}

impl std::fmt::Debug for EastAsian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.rules.name)
    }
}

impl EastAsian {
    /// The set of a name; `None` for another name.
    pub(super) fn of_name(name: &str) -> Option<&'static Self> {
        // Each is made when it is first needed: some twenty thousand lookups.
        static MADE: [OnceLock<EastAsian>; SETS] = [const { OnceLock::new() }; SETS];
        let mut sets = DIFFERENCES.iter().zip(&MADE);
        let (rules, made) = sets.find(|(rules, _)| rules.name == name)?;
        Some(made.get_or_init(|| Self::new(rules)))
    }

    fn new(rules: &'static Differences) -> Self {
        let encoding = (rules.encoding)();
        let mut pairs = Characters::of_encoding(encoding, &[]);
        pairs.remove(rules.nothing);
        pairs.replace(rules.others);
        let mut triples = None;
        if let Some(others) = rules.of_three_bytes {
            pairs.replace_user_defined(USER_DEFINED);
            let mut characters = Characters::of_encoding(encoding, &[0x8f]);
            characters.replace(others);
            characters.replace_user_defined(USER_DEFINED + USER_DEFINED_COUNT);
            triples = Some(characters);
        }
        Self {
            rules,
            pairs,
            triples,
        }
    }

    /// Appends the text in UTF-8.
    pub(super) fn decode(&self, bytes: &[u8], to: &mut String) {
        let mut rest = bytes;
        while let Some((found, length)) = self.first(rest) {
            to.push(found);
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// The first character, and how many bytes it has; nothing at the end.
    fn first(&self, bytes: &[u8]) -> Option<(char, usize)> {
        let rules = self.rules;
        let found = match *bytes {
            [] => return None,
            [byte, ..] if byte.is_ascii() => (char::from(byte), 1),
            [byte @ 0xa1..=0xdf, ..] if rules.has_katakana_of_one_byte => (katakana(byte), 1),
            [first, second, third, fourth, ..]
                if rules.has_four_bytes && is_four([first, second, third, fourth]) =>
            {
                let bytes = [first, second, third, fourth];
                (one_character((rules.encoding)(), &bytes), 4)
            }
            [first, second, ..] if rules.is_pair(first, second) => {
                (self.pairs.get(first, second), 2)
            }
            _ => match &self.triples {
                Some(triples) => japanese(bytes, triples),
                None => (NO_CHARACTER, 1),
            },
        };
        Some(found)
    }
}

/// What the sets of EUC have beside characters of one and of two bytes of
/// their own: katakana of half width, and characters of three bytes.
fn japanese(bytes: &[u8], triples: &Characters) -> (char, usize) {
    match *bytes {
        [0x8e, byte @ 0xa1..=0xdf, ..] => (katakana(byte), 2),
        [0x8f, second @ 0xa1..=0xfe, third @ 0xa1..=0xfe, ..] => (triples.get(second, third), 3),
        _ => (NO_CHARACTER, 1),
    }
}

/// Whether the bytes have the form of a character of four bytes.
fn is_four(bytes: [u8; 4]) -> bool {
    matches!(bytes, [0x81..=0xfe, b'0'..=b'9', 0x81..=0xfe, b'0'..=b'9'])
}

/// The katakana of half width of a byte from 0xa1 to 0xdf.
fn katakana(byte: u8) -> char {
    const OF_ZERO: u32 = 0xff61 - 0xa1;
    char::from_u32(OF_ZERO + u32::from(byte)).unwrap_or(NO_CHARACTER)
}

/// The character that the bytes stand for as a whole.
fn one_character(encoding: &'static Encoding, bytes: &[u8]) -> char {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    let text = text.unwrap_or_default();
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => only,
        _ => NO_CHARACTER,
    }
}

/// Characters by two bytes.
struct Characters(Vec<char>);

impl Characters {
    const FIRST_BYTES: RangeInclusive<u8> = 0x81..=0xfe;
    const SECOND_BYTES: RangeInclusive<u8> = 0x40..=0xfe;

    /// What the encoding says, of all that begins with `prefix`.
    fn of_encoding(encoding: &'static Encoding, prefix: &[u8]) -> Self {
        let mut characters = Vec::new();
        for first in Self::FIRST_BYTES {
            for second in Self::SECOND_BYTES {
                let bytes = [prefix, [first, second].as_slice()].concat();
                characters.push(one_character(encoding, &bytes));
            }
        }
        Self(characters)
    }

    fn place(first: u8, second: u8) -> Option<usize> {
        const WIDTH: usize = 0xfe - 0x40 + 1;
        if !Self::FIRST_BYTES.contains(&first) || !Self::SECOND_BYTES.contains(&second) {
            return None;
        }
        let row = first - Self::FIRST_BYTES.start();
        let column = second - Self::SECOND_BYTES.start();
        Some(usize::from(row) * WIDTH + usize::from(column))
    }

    fn get(&self, first: u8, second: u8) -> char {
        let found = Self::place(first, second).and_then(|place| self.0.get(place));
        found.copied().unwrap_or(NO_CHARACTER)
    }

    fn set(&mut self, code: u16, character: char) {
        let [first, second] = code.to_be_bytes();
        let place = Self::place(first, second);
        if let Some(place) = place.and_then(|place| self.0.get_mut(place)) {
            *place = character;
        }
    }

    fn remove(&mut self, ranges: &[(u16, u16)]) {
        for code in ranges.iter().flat_map(|&(first, last)| first..=last) {
            self.set(code, NO_CHARACTER);
        }
    }

    fn replace(&mut self, texts: &[(u16, &str)]) {
        for &(first, text) in texts {
            for (code, character) in (first..).zip(text.chars()) {
                self.set(code, character);
            }
        }
    }

    /// Gives the rows that users define characters one after another.
    fn replace_user_defined(&mut self, first: u32) {
        let codes = (0xf5..=0xfe_u8).flat_map(|row| {
            let columns = 0xa1..=0xfe_u8;
            columns.map(move |column| u16::from_be_bytes([row, column]))
        });
        for (code, number) in codes.zip(first..) {
            self.set(code, char::from_u32(number).unwrap_or(NO_CHARACTER));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::value::charset::tests::decoded;

    #[test]
    fn texts_of_east_asia_become_utf8() {
        assert_eq!(decoded("big5", b"a\xa4\xa4"), "a中");
        assert_eq!(decoded("gb2312", b"\xd6\xd0b"), "中b");
        assert_eq!(decoded("gbk_chinese_ci", b"\xd6\xd0\x81\x40"), "中丂");
        assert_eq!(decoded("gb18030", b"\xd6\xd0\x94\x39\xfc\x36"), "中😀");
        assert_eq!(decoded("euckr", b"\xb0\xa1\x81\x41"), "가갂");
        assert_eq!(decoded("sjis", b"\x82\xa0\xb1"), "あｱ");
        assert_eq!(decoded("cp932", b"\x82\xa0\xb1"), "あｱ");
        assert_eq!(decoded("ujis", b"\xa4\xa2\x8e\xb1\x8f\xb0\xa1"), "あｱ丂");
        assert_eq!(decoded("eucjpms", b"\xa4\xa2\x8e\xb1\x8f\xb0\xa1"), "あｱ丂");
    }

    #[test]
    fn second_bytes_may_be_those_of_ascii() {
        assert_eq!(decoded("sjis", b"\x95\x5c\x5c"), "表\\");
        assert_eq!(decoded("big5", b"\xa5\x5c|"), "功|");
        assert_eq!(decoded("gbk", b"\xd5\x5c\\"), "誠\\");
    }

    #[test]
    fn sets_of_the_same_country_differ_as_on_the_server() {
        assert_eq!(decoded("sjis", b"\x81\x5f\x81\x60\x81\x7c"), "\\〜−");
        assert_eq!(decoded("cp932", b"\x81\x5f\x81\x60\x81\x7c"), "＼～－");
        assert_eq!(decoded("sjis", b"\x81\x91\x81\xca\x87\x40"), "¢¬?");
        assert_eq!(decoded("cp932", b"\x81\x91\x81\xca\x87\x40"), "￠￢①");
        assert_eq!(decoded("ujis", b"\xa1\xc0\xad\xa1\x8f\xa2\xb7"), "\\?~");
        assert_eq!(decoded("eucjpms", b"\xa1\xc0\xad\xa1\x8f\xa2\xb7"), "＼①～");
        assert_eq!(decoded("ujis", b"\x8f\xf3\xf3\x8f\xa2\xc3"), "?¦");
        assert_eq!(decoded("eucjpms", b"\x8f\xf3\xf3\x8f\xa2\xc3"), "ⅰ￤");
        assert_eq!(decoded("gb2312", b"\xa1\xa4\xa1\xaa\xa2\xa1"), "・―?");
        assert_eq!(decoded("gbk", b"\xa1\xa4\xa1\xaa\xa2\xa1"), "·—ⅰ");
    }

    #[test]
    fn characters_that_users_define_keep_their_number() {
        assert_eq!(decoded("ujis", b"\xf5\xa1\xfe\xfe"), "\u{e000}\u{e3ab}");
        let three = b"\x8f\xf5\xa1\x8f\xfe\xfe";
        assert_eq!(decoded("eucjpms", three), "\u{e3ac}\u{e757}");
        assert_eq!(decoded("cp932", b"\xf0\x40"), "\u{e000}");
        assert_eq!(decoded("gb18030", b"\xaa\xa1"), "\u{e000}");
        assert_eq!(decoded("gbk", b"\xaa\xa1"), "?");
    }

    #[test]
    fn big5_and_gb18030_are_of_the_years_that_the_server_knows() {
        assert_eq!(decoded("big5", b"\xc6\xa1\xc6\xe7\xc8\x40"), "ヾゃ?");
        assert_eq!(decoded("big5", b"\xa1\x45\xa1\x5a"), "•\u{fffd}");
        assert_eq!(decoded("gb18030", b"\xa6\xd9\xa8\xbc"), "\u{e78d}\u{1e3f}");
        assert_eq!(decoded("gb18030", b"\x84\x31\x82\x36"), "\u{fe10}");
        // Beyond the last character of Unicode.
        assert_eq!(decoded("gb18030", b"\xfe\x39\xfe\x39"), "?");
    }

    #[test]
    fn bytes_of_no_character_do_not_take_others_with_them() {
        assert_eq!(decoded("sjis", b"\x81"), "?");
        assert_eq!(decoded("sjis", b"\x82\x0aA"), "?\nA");
        assert_eq!(decoded("ujis", b"\x8e\xa0"), "??");
        assert_eq!(decoded("ujis", b"\x8f\xa1"), "??");
        assert_eq!(decoded("gb18030", b"\x81\x30\x81"), "?0?");
        assert_eq!(decoded("euckr", b"\xff\x80A"), "??A");
    }
}
