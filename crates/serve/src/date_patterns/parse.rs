//! Reads a pattern.

use super::{Field, Letters, Part};

/// Words of patterns, of which none is the beginning of one behind it.
const WORDS: &[(&str, Field)] = &[
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("I", Field::IsoYear(1)),
    ("CC", Field::Century),
    ("Q", Field::Quarter),
    ("MM", Field::Month),
    ("MI", Field::Minute),
    ("MS", Field::Fraction(3)),
    ("US", Field::Fraction(6)),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("WW", Field::Week),
    ("W", Field::WeekOfMonth),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("J", Field::JulianDay),
    ("TZH", Field::ZoneHours),
    ("TZM", Field::ZoneMinutes),
    ("OF", Field::Offset),
    ("MONTH", Field::MonthName(Letters::Upper)),
    ("MON", Field::MonthShort(Letters::Upper)),
    ("DAY", Field::DayName(Letters::Upper)),
    ("DY", Field::DayShort(Letters::Upper)),
    ("D", Field::DayOfWeek),
    ("TZ", Field::ZoneName(Letters::Upper)),
    ("AM", Field::HalfDay(Letters::Upper, false)),
    ("PM", Field::HalfDay(Letters::Upper, false)),
    ("A.M.", Field::HalfDay(Letters::Upper, true)),
    ("P.M.", Field::HalfDay(Letters::Upper, true)),
    ("BC", Field::Era(Letters::Upper, false)),
    ("AD", Field::Era(Letters::Upper, false)),
    ("B.C.", Field::Era(Letters::Upper, true)),
    ("A.D.", Field::Era(Letters::Upper, true)),
];

/// The parts of a pattern. What is no word is text.
pub(super) fn parse(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        if letter == '"' {
            rest = quoted(&rest[1..], &mut text);
            continue;
        }
        let (is_bare, after) = prefixes(rest);
        let Some((mut field, word)) = word(after) else {
            // In words that come before others no other begins, but with the last
            // letter of them one may.
            let end = match rest.len() - after.len() {
                0 => letter.len_utf8(),
                before => before - 1,
            };
            text.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        };
        let written = &after[..word.len()];
        field = in_letters(field, written);
        rest = &after[word.len()..];
        let ordinal = match rest.as_bytes() {
            [b'T', b'H', ..] => Some(Letters::Upper),
            [b't', b'h', ..] => Some(Letters::Lower),
            _ => None,
        };
        if ordinal.is_some() {
            rest = &rest[2..];
        }
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(Part::Field {
            field,
            is_bare,
            ordinal,
        });
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

/// Text up to the next quote; what comes behind it.
fn quoted<'a>(inside: &'a str, text: &mut String) -> &'a str {
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return &inside[at + 1..],
            '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
            letter => text.push(letter),
        }
    }
    ""
}

/// Whether FM comes before a word, and what comes behind it. TM and FX, which say
/// how names and input are read, change nothing here.
fn prefixes(mut rest: &str) -> (bool, &str) {
    let mut is_bare = false;
    loop {
        let Some(prefix) = rest.get(..2) else {
            return (is_bare, rest);
        };
        match prefix.to_ascii_uppercase().as_str() {
            "FM" => is_bare = true,
            "TM" | "FX" => {}
            _ => return (is_bare, rest),
        }
        rest = &rest[2..];
    }
}

fn word(rest: &str) -> Option<(Field, &'static str)> {
    let begins = |word: &str| {
        let start = rest.get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let mut found = WORDS.iter().filter(|(word, _)| begins(word));
    found.next().map(|(word, field)| (*field, *word))
}

/// Names are written in the letters of their word.
fn in_letters(field: Field, written: &str) -> Field {
    let mut letters = written.chars().filter(char::is_ascii_alphabetic);
    let is_upper = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_uppercase());
    let letters = match (is_upper(letters.next()), is_upper(letters.next())) {
        (true, true) => Letters::Upper,
        (true, false) => Letters::Capital,
        (false, _) => Letters::Lower,
    };
    match field {
        Field::MonthName(_) => Field::MonthName(letters),
        Field::MonthShort(_) => Field::MonthShort(letters),
        Field::DayName(_) => Field::DayName(letters),
        Field::DayShort(_) => Field::DayShort(letters),
        Field::HalfDay(_, has_dots) => Field::HalfDay(half(letters), has_dots),
        Field::Era(_, has_dots) => Field::Era(half(letters), has_dots),
        Field::ZoneName(_) => Field::ZoneName(half(letters)),
        other => other,
    }
}

/// Short words know no capitals: `Am` is as `AM`.
fn half(letters: Letters) -> Letters {
    match letters {
        Letters::Lower => Letters::Lower,
        Letters::Upper | Letters::Capital => Letters::Upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_no_word_is_text() {
        let text = |text: &str| vec![Part::Text(text.to_owned())];
        for pattern in ["FM", "FMx", "fmtm.", "FMFMFM", "FM年"] {
            assert_eq!(parse(pattern), text(pattern), "{pattern}");
        }
        let month = Part::Field {
            field: Field::Month,
            is_bare: false,
            ordinal: None,
        };
        assert_eq!(parse("FMFMM"), [Part::Text("FMF".to_owned()), month]);
    }

    #[test]
    fn many_words_before_others_take_no_longer_than_others() {
        // A million words, each of which was once read again for all before it.
        let pattern = "FM".repeat(1_000_000);
        assert_eq!(parse(&pattern), [Part::Text(pattern.clone())]);
    }
}
