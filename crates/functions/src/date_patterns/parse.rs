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
    ("RM", Field::RomanMonth(Letters::Upper)),
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
    while !rest.is_empty() {
        let (prefix, after) = prefix(rest);
        // Says that what is read has just the blanks of the pattern: nothing here.
        let exact = after
            .strip_prefix("FX")
            .or_else(|| after.strip_prefix("fx"));
        if let Some(after) = exact {
            rest = after;
            continue;
        }
        let Some((field, word)) = word(after) else {
            // A prefix of no word is nothing.
            rest = literal(after, &mut text);
            continue;
        };
        let (written, after) = after.split_at(word.len());
        let (ordinal, after) = suffix(after);
        rest = after;
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        let is_name = matches!(field, Field::MonthName(_) | Field::DayName(_));
        parts.push(Part::Field {
            field: in_letters(field, written),
            is_bare: match prefix {
                Prefix::Bare => true,
                Prefix::Translated => is_name,
                Prefix::None => false,
            },
            ordinal,
        });
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

/// What comes before a word.
#[derive(Debug, Clone, Copy)]
enum Prefix {
    None,
    /// FM
    Bare,
    /// TM: names in the language of the reader, which are English here.
    Translated,
}

/// What comes before a word, and the rest.
fn prefix(rest: &str) -> (Prefix, &str) {
    for (known, prefix) in [
        ("FM", Prefix::Bare),
        ("fm", Prefix::Bare),
        ("TM", Prefix::Translated),
        ("tm", Prefix::Translated),
    ] {
        if let Some(after) = rest.strip_prefix(known) {
            return (prefix, after);
        }
    }
    (Prefix::None, rest)
}

/// What comes behind a word, and the rest. SP, which asks for numbers in words, is left
/// out, as PostgreSQL does.
fn suffix(rest: &str) -> (Option<Letters>, &str) {
    for (known, ordinal) in [
        ("TH", Some(Letters::Upper)),
        ("th", Some(Letters::Lower)),
        ("SP", None),
    ] {
        if let Some(after) = rest.strip_prefix(known) {
            return (ordinal, after);
        }
    }
    (None, rest)
}

/// Adds a letter, or all of a quoted text; what comes behind it. A backslash is one
/// but before a quote.
fn literal<'a>(rest: &'a str, text: &mut String) -> &'a str {
    if let Some(inside) = rest.strip_prefix('"') {
        return quoted(inside, text);
    }
    let escaped = rest.strip_prefix('\\');
    let escaped = escaped.filter(|escaped| escaped.starts_with('"'));
    let mut letters = escaped.unwrap_or(rest).chars();
    text.extend(letters.next());
    letters.as_str()
}

/// Adds what is inside a quote; what comes behind it. A backslash takes the letter
/// behind it as it is.
fn quoted<'a>(inside: &'a str, text: &mut String) -> &'a str {
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return letters.as_str(),
            '\\' => text.push(letters.next().unwrap_or('\\')),
            letter => text.push(letter),
        }
    }
    ""
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
        Field::RomanMonth(_) => Field::RomanMonth(half(letters)),
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
    fn what_comes_before_no_word_is_left_out() {
        let text = |text: &str| vec![Part::Text(text.to_owned())];
        for (pattern, expected) in [
            ("FMx", "x"),
            ("fmtm.", "tm."),
            ("FMFMFM", "FM"),
            ("FM年", "年"),
            ("FM\"x\"", "x"),
        ] {
            assert_eq!(parse(pattern), text(expected), "{pattern}");
        }
        assert_eq!(parse("FM"), []);
        let month = Part::Field {
            field: Field::Month,
            is_bare: false,
            ordinal: None,
        };
        assert_eq!(parse("FMFMM"), [Part::Text("F".to_owned()), month]);
    }

    #[test]
    fn many_words_before_others_take_no_longer_than_others() {
        // A million words, each of which would be read again for all before it.
        let pattern = "FM".repeat(1_000_000);
        let expected = "FM".repeat(500_000);
        assert_eq!(parse(&pattern), [Part::Text(expected)]);
    }
}
