//! Tokens: other values of the same form, equal for equal values.
//!
//! | format | construction | what stays |
//! |---|---|---|
//! | phone | the digits but the first are permuted ([`crate::feistel`]) | first digit, number of digits, all that is no digit |
//! | card | the digits but the first and the last are permuted; the last is made to check (Luhn) as that of the value did | first digit, number of digits, spaces |
//! | name | each letter becomes one of its class (Latin, Cyrillic, Greek, Han, Kana, Hangul; large or small), all together permuted | classes, number and places of letters, all that is no letter |
//! | e-mail | part and domain become 80 and 50 bits of HMAC-SHA-256, under `.example` (RFC 2606) | equal domains stay equal; large and small letters do not count |
//!
//! A value that has not the form, or too few characters for its token not to be
//! guessed (fewer than a million possible ones), has no token.

use ring::hmac;

use crate::action::Format;
use crate::feistel::{Digit, is_large_enough, permute};
use crate::secret::ValueKeys;

/// The token of `text`; `None` if it has not the form.
pub(crate) fn token(keys: &ValueKeys, format: Format, text: &str) -> Option<String> {
    match format {
        Format::Phone => phone(&keys.phone, text),
        Format::Card => card(&keys.card, text),
        Format::Name => name(&keys.name, text),
        Format::Email => email(&keys.email, text),
    }
}

/// Characters that may stand in a telephone number beside its digits.
const PHONE_SIGNS: &str = "+-.() /";
/// Digits of a telephone number (ITU-T E.164 allows 15; extensions are longer).
const PHONE_DIGITS_MAX: usize = 20;
/// Digits of a card's number (ISO/IEC 7812).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;
/// Longer names are no names of persons.
const NAME_CHARACTERS_MAX: usize = 100;

fn decimal(character: char) -> Option<u32> {
    character.to_digit(10)
}

/// `text` with its digits replaced by `digits`.
fn with_digits(text: &str, digits: &[u32]) -> String {
    let mut digits = digits.iter();
    let replaced = text.chars().map(|character| match decimal(character) {
        Some(_) => digits
            .next()
            .and_then(|digit| char::from_digit(*digit, 10))
            .unwrap_or(character),
        None => character,
    });
    replaced.collect()
}

/// Permutes decimal digits; false if there are too few.
fn permute_decimal(key: &hmac::Key, values: &mut [u32]) -> bool {
    let mut digits: Vec<Digit> = values
        .iter()
        .map(|&value| Digit { value, radix: 10 })
        .collect();
    if !is_large_enough(&digits) {
        return false;
    }
    permute(key, &mut digits);
    for (value, digit) in values.iter_mut().zip(digits) {
        *value = digit.value;
    }
    true
}

fn phone(key: &hmac::Key, text: &str) -> Option<String> {
    let is_form = |character: char| character.is_ascii_digit() || PHONE_SIGNS.contains(character);
    if !text.chars().all(is_form) {
        return None;
    }
    let mut digits: Vec<u32> = text.chars().filter_map(decimal).collect();
    if digits.len() > PHONE_DIGITS_MAX {
        return None;
    }
    permute_decimal(key, digits.get_mut(1..)?).then(|| with_digits(text, &digits))
}

/// What must be added to the sum of all but the last digit (ISO/IEC 7812-1,
/// annex B).
fn luhn_digit(before_last: &[u32]) -> u32 {
    let doubled =
        before_last
            .iter()
            .rev()
            .enumerate()
            .map(|(place, &digit)| match (place % 2, digit * 2) {
                (0, twice) if twice > 9 => twice - 9,
                (0, twice) => twice,
                _ => digit,
            });
    (10 - doubled.sum::<u32>() % 10) % 10
}

fn card(key: &hmac::Key, text: &str) -> Option<String> {
    let is_form = |character: char| character.is_ascii_digit() || " -".contains(character);
    let mut digits: Vec<u32> = text.chars().filter_map(decimal).collect();
    if !text.chars().all(is_form) || !CARD_DIGITS.contains(&digits.len()) {
        return None;
    }
    let last = digits.len() - 1;
    // A number that does not check becomes one that does not check in the same
    // way, so that different numbers have different tokens.
    let off_by = (digits[last] + 10 - luhn_digit(&digits[..last])) % 10;
    if !permute_decimal(key, &mut digits[1..last]) {
        return None;
    }
    digits[last] = (luhn_digit(&digits[..last]) + off_by) % 10;
    Some(with_digits(text, &digits))
}

/// Runs of letters that stand for each other.
const LETTERS: &[(char, char)] = &[
    ('0', '9'),
    ('A', 'Z'),
    ('a', 'z'),
    ('À', 'Ö'),
    ('Ø', 'Þ'),
    ('ß', 'ö'),
    ('ø', 'ÿ'),
    ('Ā', 'ſ'),
    ('Α', 'Ρ'),
    ('Σ', 'Ω'),
    ('α', 'ω'),
    ('А', 'Я'),
    ('а', 'я'),
    ('ぁ', 'ゖ'),
    ('ァ', 'ヺ'),
    ('가', '힣'),
    // Unified ideographs as of Unicode 4.1, which every font has.
    ('一', '龥'),
];

fn name(key: &hmac::Key, text: &str) -> Option<String> {
    let mut places = Vec::new();
    let mut characters: Vec<char> = text.chars().collect();
    if characters.len() > NAME_CHARACTERS_MAX {
        return None;
    }
    for (place, &character) in characters.iter().enumerate() {
        let class = LETTERS
            .iter()
            .find(|(first, last)| (*first..=*last).contains(&character));
        match class {
            Some((first, last)) => {
                let digit = Digit {
                    value: u32::from(character) - u32::from(*first),
                    radix: u32::from(*last) - u32::from(*first) + 1,
                };
                places.push((place, u32::from(*first), digit));
            }
            // A letter of no class would stay what it is.
            None if " -'’·.,".contains(character) => {}
            None => return None,
        }
    }
    let mut digits: Vec<Digit> = places.iter().map(|(_, _, digit)| *digit).collect();
    if !is_large_enough(&digits) {
        return None;
    }
    permute(key, &mut digits);
    for ((place, first, _), digit) in places.iter().zip(digits) {
        characters[*place] = char::from_u32(first + digit.value)?;
    }
    Some(characters.into_iter().collect())
}

/// Letters of base 32 (RFC 4648), small.
const BASE_32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// So many letters of base 32 of HMAC-SHA-256.
fn letters(key: &hmac::Key, what: &str, text: &str, count: usize) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(what.as_bytes());
    context.update(&[0]);
    context.update(text.as_bytes());
    let tag = context.sign();
    let bytes = tag.as_ref();
    let letter = |number: usize| {
        let bit = number * 5;
        let pair = u16::from_be_bytes([bytes[bit / 8], bytes[(bit / 8 + 1) % bytes.len()]]);
        char::from(BASE_32[usize::from(pair >> (11 - bit % 8) & 31)])
    };
    (0..count).map(letter).collect()
}

fn email(key: &hmac::Key, text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (part, domain) = text.rsplit_once('@')?;
    if part.is_empty() || domain.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    let part = letters(key, "address", &text, 16);
    let domain = letters(key, "domain", domain, 10);
    Some(format!("{part}@{domain}.example"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn tokens(format: Format, texts: &[&str]) -> Vec<Option<String>> {
        let keys = ValueKeys::new(&[1; 32]);
        texts
            .iter()
            .map(|text| token(&keys, format, text))
            .collect()
    }

    #[test]
    fn telephone_numbers_keep_their_form() {
        let texts = ["13800001111", "+86 138-0000-1111", "(555) 010-9999"];
        for (text, token) in texts.iter().zip(tokens(Format::Phone, &texts)) {
            let token = token.unwrap();
            assert_ne!(&token, text);
            assert_eq!(token.len(), text.len());
            let form = |text: &str| text.replace(|it: char| it.is_ascii_digit(), "0");
            assert_eq!(form(&token), form(text));
        }
        assert_eq!(
            tokens(Format::Phone, &["110", "", "call me"]),
            [None, None, None]
        );
    }

    #[test]
    fn card_numbers_check_as_before_and_stay_different() {
        let keys = ValueKeys::new(&[1; 32]);
        let mut seen = BTreeSet::new();
        for number in 0..2_000_u64 {
            let text = format!("4111{:012}", number * 7);
            let token = token(&keys, Format::Card, &text).unwrap();
            let digits = |text: &str| text.chars().filter_map(decimal).collect::<Vec<u32>>();
            let off = |digits: Vec<u32>| (digits[15] + 10 - luhn_digit(&digits[..15])) % 10;
            assert_eq!(off(digits(&token)), off(digits(&text)));
            assert!(seen.insert(token));
        }
        let valid: Vec<u32> = "411111111111111".chars().filter_map(decimal).collect();
        assert_eq!(luhn_digit(&valid), 1);
        assert_eq!(
            tokens(Format::Card, &["4111", "4111 1111 1111 111x"]),
            [None, None]
        );
    }

    #[test]
    fn names_keep_the_classes_of_their_letters() {
        let texts = ["王小明", "Anna-Lena O'Neil", "Joséphine", "Анна", "김민준"];
        for (text, token) in texts.iter().zip(tokens(Format::Name, &texts)) {
            let token = token.unwrap();
            assert_ne!(&token, text);
            assert_eq!(token.chars().count(), text.chars().count());
            for (one, other) in token.chars().zip(text.chars()) {
                assert_eq!(one.is_alphabetic(), other.is_alphabetic(), "{token} {text}");
            }
        }
        assert_eq!(
            tokens(Format::Name, &["Li", "", "a@b.c", "שרה כהן"]),
            [None, None, None, None]
        );
    }

    #[test]
    fn addresses_of_one_domain_share_its_token() {
        let texts = [
            "Ann@Example.org",
            "ann@example.org ",
            "bob@example.org",
            "ann@else.org",
        ];
        let tokens: Vec<String> = tokens(Format::Email, &texts)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(tokens[0], tokens[1]);
        let domain = |token: &str| token.split_once('@').unwrap().1.to_owned();
        assert_eq!(domain(&tokens[0]), domain(&tokens[2]));
        assert_ne!(tokens[0], tokens[2]);
        assert_ne!(domain(&tokens[0]), domain(&tokens[3]));
        assert!(tokens[0].ends_with(".example"));
    }
}
