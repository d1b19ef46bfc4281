//! Where the character sets of several bytes of MySQL and MariaDB, which agree,
//! differ from the encodings of the WHATWG's Encoding Standard
//! (<https://encoding.spec.whatwg.org/>). They follow older tables: of the
//! Unicode consortium (BIG5.TXT, GB2312.TXT, CP936.TXT, SHIFTJIS.TXT,
//! JIS0208.TXT, JIS0212.TXT), GB 18030 of 2005, and of the vendors of Japan
//! (<https://dev.mysql.com/doc/refman/8.4/en/charset-asian-sets.html>).

use std::ops::RangeInclusive;

use encoding_rs::Encoding;

/// What a set is.
pub(super) struct Differences {
    pub(super) name: &'static str,
    /// What it mostly is.
    pub(super) encoding: fn() -> &'static Encoding,
    /// Bytes that begin a character of two bytes.
    pub(super) first_bytes: &'static [RangeInclusive<u8>],
    /// Bytes that end one.
    pub(super) second_bytes: &'static [RangeInclusive<u8>],
    /// Whether the bytes 0xa1 to 0xdf are katakana.
    pub(super) has_katakana_of_one_byte: bool,
    /// Whether there are characters of four bytes, as of GB 18030.
    pub(super) has_four_bytes: bool,
    /// First and last of codes that stand for nothing.
    pub(super) nothing: &'static [(u16, u16)],
    /// Characters of a code and of those that follow it.
    pub(super) others: &'static [(u16, &'static str)],
    /// The same for codes behind a byte 0x8f, where there are such, as in the
    /// Japanese sets of EUC: they have rows too that users define.
    pub(super) of_three_bytes: Option<&'static [(u16, &'static str)]>,
}

impl Differences {
    /// Whether the bytes stand for a character of two bytes, or could.
    pub(super) fn is_pair(&self, first: u8, second: u8) -> bool {
        let has = |ranges: &[RangeInclusive<u8>], byte: u8| {
            let mut ranges = ranges.iter();
            ranges.any(|range| range.contains(&byte))
        };
        has(self.first_bytes, first) && has(self.second_bytes, second)
    }
}

const PLAIN: Differences = Differences {
    name: "",
    encoding: || encoding_rs::UTF_8,
    first_bytes: &[],
    second_bytes: &[],
    has_katakana_of_one_byte: false,
    has_four_bytes: false,
    nothing: &[],
    others: &[],
    of_three_bytes: None,
};

/// How many sets there are.
pub(super) const SETS: usize = 9;

#[rustfmt::skip]
pub(super) static DIFFERENCES: [Differences; SETS] = [
    Differences {
        name: "big5",
        encoding: || encoding_rs::BIG5,
        first_bytes: &[0xa1..=0xf9],
        second_bytes: &[0x40..=0x7e, 0xa1..=0xfe],
        nothing: &[(0xa3c0, 0xa3e1), (0xc7fd, 0xc8fe), (0xf9dd, 0xf9fe)],
        others: &[
            (0xa145, "•"), (0xa14e, "\u{ff64}"), (0xa15a, "\u{fffd}"), (0xa1c2, "‾\u{fffd}"),
            (0xa1c5, "\u{fffd}"), (0xa1e3, "∼"), (0xa1f2, "♁☉"), (0xa1fe, "\u{fffd}"),
            (0xa240, "\u{fffd}／＼"), (0xa244, "¥"), (0xa246, "¢£"), (0xa2cc, "\u{fffd}"),
            (0xa2ce, "\u{fffd}"),
            (0xc6a1, "ヾゝゞ々ぁあぃいぅうぇえぉおかがきぎくぐけげこごさざしじすずせぜそぞただちぢっつづてでとどなにぬねのはばぱひびぴふぶぷへべぺほぼぽまみむめもゃやゅゆょよらりるれろゎわゐゑをんァアィイゥウェ"),
            (0xc740, "エォオカガキギクグケゲコゴサザシジスズセゼソゾタダチヂッツヅテデトドナニヌネノハバパヒビピフブプヘベペホボポマミムメモャヤュユ"),
            (0xc7a1, "ョヨラリルレロヮワヰヱヲンヴヵヶДЕЁЖЗИЙКЛМУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя①②③④⑤⑥⑦⑧⑨⑩⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽"),
        ],
        ..PLAIN
    },
    Differences {
        name: "gb2312",
        encoding: || encoding_rs::GBK,
        first_bytes: &[0xa1..=0xf7],
        second_bytes: &[0xa1..=0xfe],
        nothing: &[
            (0xa2a1, 0xa2b0), (0xa2e3, 0xa2e4), (0xa2ef, 0xa2f0), (0xa2fd, 0xa2fe), (0xa4f4, 0xa4fe),
            (0xa5f7, 0xa5fe), (0xa6b9, 0xa6c0), (0xa6d9, 0xa6fe), (0xa7c2, 0xa7d0), (0xa7f2, 0xa7fe),
            (0xa8bb, 0xa8c4), (0xa8ea, 0xa9a3), (0xa9f0, 0xaffe), (0xd7fa, 0xd7fe),
        ],
        others: &[(0xa1a4, "・"), (0xa1aa, "―")],
        ..PLAIN
    },
    Differences {
        name: "gbk",
        encoding: || encoding_rs::GBK,
        first_bytes: &[0x81..=0xfe],
        second_bytes: &[0x40..=0x7e, 0x80..=0xfe],
        nothing: &[
            (0xa140, 0xa1a0), (0xa240, 0xa2a0), (0xa2ab, 0xa2b0), (0xa2e3, 0xa2e4), (0xa2ef, 0xa2f0),
            (0xa2fd, 0xa3a0), (0xa440, 0xa4a0), (0xa4f4, 0xa5a0), (0xa5f7, 0xa6a0), (0xa6b9, 0xa6c0),
            (0xa6d9, 0xa6df), (0xa6ec, 0xa6ed), (0xa6f3, 0xa6f3), (0xa6f6, 0xa7a0), (0xa7c2, 0xa7d0),
            (0xa7f2, 0xa7fe), (0xa896, 0xa8a0), (0xa8bc, 0xa8bc), (0xa8bf, 0xa8bf), (0xa8c1, 0xa8c4),
            (0xa8ea, 0xa8fe), (0xa958, 0xa958), (0xa95b, 0xa95b), (0xa95d, 0xa95f), (0xa989, 0xa995),
            (0xa997, 0xa9a3), (0xa9f0, 0xa9fe), (0xaaa1, 0xaafe), (0xaba1, 0xabfe), (0xaca1, 0xacfe),
            (0xada1, 0xadfe), (0xaea1, 0xaefe), (0xafa1, 0xaffe), (0xd7fa, 0xd7fe), (0xf8a1, 0xf8fe),
            (0xf9a1, 0xf9fe), (0xfaa1, 0xfafe), (0xfba1, 0xfbfe), (0xfca1, 0xfcfe), (0xfda1, 0xfdfe),
            (0xfe50, 0xfefe),
        ],
        ..PLAIN
    },
    Differences {
        name: "gb18030",
        encoding: || encoding_rs::GB18030,
        first_bytes: &[0x81..=0xfe],
        second_bytes: &[0x40..=0x7e, 0x80..=0xfe],
        has_four_bytes: true,
        others: &[
            (0xa3a0, "\u{e5e5}"),
            (0xa6d9, "\u{e78d}\u{e78e}\u{e78f}\u{e790}\u{e791}\u{e792}\u{e793}"),
            (0xa6ec, "\u{e794}\u{e795}"), (0xa6f3, "\u{e796}"), (0xfe59, "\u{e81e}"),
            (0xfe61, "\u{e826}"), (0xfe66, "\u{e82b}\u{e82c}"), (0xfe6d, "\u{e832}"),
            (0xfe7e, "\u{e843}"), (0xfe90, "\u{e854}"), (0xfea0, "\u{e864}"),
        ],
        ..PLAIN
    },
    Differences {
        name: "euckr",
        encoding: || encoding_rs::EUC_KR,
        first_bytes: &[0x81..=0xfe],
        second_bytes: &[0x41..=0x5a, 0x61..=0x7a, 0x81..=0xfe],
        ..PLAIN
    },
    Differences {
        name: "cp932",
        encoding: || encoding_rs::SHIFT_JIS,
        first_bytes: &[0x81..=0x9f, 0xe0..=0xfc],
        second_bytes: &[0x40..=0x7e, 0x80..=0xfc],
        has_katakana_of_one_byte: true,
        ..PLAIN
    },
    Differences {
        name: "sjis",
        encoding: || encoding_rs::SHIFT_JIS,
        first_bytes: &[0x81..=0x9f, 0xe0..=0xfc],
        second_bytes: &[0x40..=0x7e, 0x80..=0xfc],
        has_katakana_of_one_byte: true,
        nothing: &[(0x8740, 0x879c), (0xed40, 0xfc4b)],
        others: &[(0x815f, "\\〜‖"), (0x817c, "−"), (0x8191, "¢£"), (0x81ca, "¬")],
        ..PLAIN
    },
    Differences {
        name: "eucjpms",
        encoding: || encoding_rs::EUC_JP,
        first_bytes: &[0xa1..=0xfe],
        second_bytes: &[0xa1..=0xfe],
        of_three_bytes: Some(&[
            (0xa2c3, "￤"), (0xf3f3, "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡ"),
            (0xf4a1, "ⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤\u{fa0e}咊坙\u{fa0f}\u{fa10}增寬峵嵓\u{fa11}德悅愠敎昻晥\u{fa12}\u{f929}栁\u{fa13}\u{fa14}橫櫢淸淲瀨\u{fa15}\u{fa16}甁皂皞\u{fa17}礰\u{fa18}\u{fa19}\u{fa1a}\u{fa1b}竧\u{fa1c}\u{fa1d}綠緖\u{fa1e}荢\u{fa1f}薰\u{fa20}\u{fa21}蠇\u{fa22}譿賴赶\u{fa23}\u{fa24}\u{fa25}郞\u{fa26}鄕\u{fa27}\u{fa28}閒\u{f9dc}\u{fa29}霻靍靑\u{fa2a}\u{fa2b}\u{fa2c}馞髙魲\u{fa2d}黑"),
        ]),
        ..PLAIN
    },
    Differences {
        name: "ujis",
        encoding: || encoding_rs::EUC_JP,
        first_bytes: &[0xa1..=0xfe],
        second_bytes: &[0xa1..=0xfe],
        nothing: &[(0xada1, 0xadfc)],
        others: &[(0xa1c0, "\\〜‖"), (0xa1dd, "−"), (0xa1f1, "¢£"), (0xa2cc, "¬")],
        of_three_bytes: Some(&[(0xa2b7, "~")]),
        ..PLAIN
    },
];
