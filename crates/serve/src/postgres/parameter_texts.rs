//! The forms in which clients write arrays and decimals.

/// Values of a decimal's digit: it is a number of four digits.
const DIGIT_MAX: u16 = 9_999;
const DIGITS_OF_ONE: usize = 4;
/// How many digits behind the point a decimal may say that it has.
const SCALE_MASK: u16 = 0x3fff;

/// The elements of an array of one dimension as text, `{1,NULL,"a,b"}`.
pub(super) fn elements_of_text(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut letters = inner.chars().peekable();
    let mut elements = Vec::new();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let mut element = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next()? {
                    '"' => break,
                    '\\' => element.push(letters.next()?),
                    letter => element.push(letter),
                }
            }
            while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
            elements.push(Some(element));
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != ',') {
                match letter {
                    '{' | '}' | '"' => return None,
                    '\\' => element.push(letters.next()?),
                    letter => element.push(letter),
                }
            }
            let element = element.trim_end();
            if element.is_empty() {
                return None;
            }
            let is_null = element.eq_ignore_ascii_case("null");
            elements.push((!is_null).then(|| element.to_owned()));
        }
        match letters.next() {
            Some(',') => {}
            Some(_) => return None,
            None => return Some(elements),
        }
    }
}

/// A number from the front of binary values.
fn next_number(bytes: &mut &[u8]) -> Option<i32> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(i32::from_be_bytes(*number))
}

/// The elements of an array of one dimension in the binary format.
pub(super) fn elements_of_binary(mut bytes: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let dimensions = next_number(&mut bytes)?;
    let (_flags, _type) = (next_number(&mut bytes)?, next_number(&mut bytes)?);
    let mut elements = Vec::new();
    if dimensions == 0 {
        return bytes.is_empty().then_some(elements);
    }
    let (count, _first) = (next_number(&mut bytes)?, next_number(&mut bytes)?);
    if dimensions != 1 || count < 0 {
        return None;
    }
    for _ in 0..count {
        let length = next_number(&mut bytes)?;
        if length == -1 {
            elements.push(None);
            continue;
        }
        let (element, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
        elements.push(Some(element));
        bytes = rest;
    }
    bytes.is_empty().then_some(elements)
}

/// A decimal in the binary format as text.
pub(super) fn numeric_of_binary(bytes: &[u8]) -> Option<String> {
    let words = bytes.chunks_exact(2);
    if !words.remainder().is_empty() {
        return None;
    }
    let words: Vec<[u8; 2]> = words.filter_map(|word| word.try_into().ok()).collect();
    let [count, weight, sign, scale, digits @ ..] = words.as_slice() else {
        return None;
    };
    let digits: Vec<u16> = digits
        .iter()
        .map(|digit| u16::from_be_bytes(*digit))
        .collect();
    let is_wrong = digits.iter().any(|digit| *digit > DIGIT_MAX);
    if is_wrong || digits.len() != usize::from(u16::from_be_bytes(*count)) {
        return None;
    }
    let sign = match u16::from_be_bytes(*sign) {
        0 => "",
        0x4000 => "-",
        0xc000 => return Some("NaN".to_owned()),
        0xd000 => return Some("Infinity".to_owned()),
        0xf000 => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    let weight = i32::from(i16::from_be_bytes(*weight));
    // Each is worth so many times as much as the next one.
    let digit_at = |power: i32| {
        let place = usize::try_from(weight - power).ok();
        let digit = place.and_then(|place| digits.get(place));
        format!("{:04}", digit.copied().unwrap_or(0))
    };
    let whole: Vec<String> = (0..=weight.max(0)).rev().map(digit_at).collect();
    let whole = whole.concat();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let scale = usize::from(u16::from_be_bytes(*scale) & SCALE_MASK);
    if scale == 0 {
        return Some(format!("{sign}{whole}"));
    }
    let last = i32::try_from(scale.div_ceil(DIGITS_OF_ONE)).ok()?;
    let fraction: Vec<String> = (1..=last).map(|power| digit_at(-power)).collect();
    let fraction = fraction.concat();
    Some(format!("{sign}{whole}.{}", fraction.get(..scale)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_text() {
        for (text, expected) in [
            ("{}", Some(vec![])),
            (" { } ", Some(vec![])),
            ("{1, 2 ,NULL}", Some(vec![Some("1"), Some("2"), None])),
            (
                r#"{"a,b","q\"x","NULL","",a b}"#,
                Some(vec![
                    Some("a,b"),
                    Some("q\"x"),
                    Some("NULL"),
                    Some(""),
                    Some("a b"),
                ]),
            ),
            (r"{a\,b}", Some(vec![Some("a,b")])),
            ("{1,}", None),
            ("{{1},{2}}", None),
            ("[2:3]={1,2}", None),
            (r#"{"a}"#, None),
            (r#"{"a"b}"#, None),
            ("1", None),
        ] {
            let found = elements_of_text(text);
            let expected = expected.map(|elements| {
                let elements = elements.into_iter();
                elements.map(|element| element.map(str::to_owned)).collect()
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn elements_are_found_in_binary_values() {
        let array = |numbers: &[i32]| -> Vec<u8> {
            numbers
                .iter()
                .flat_map(|number| number.to_be_bytes())
                .collect()
        };
        let two = array(&[1, 1, 23, 2, 1, -1, 4, 5]);
        let five = 5_i32.to_be_bytes();
        assert_eq!(elements_of_binary(&two), Some(vec![None, Some(&five[..])]));
        assert_eq!(elements_of_binary(&array(&[0, 0, 23])), Some(vec![]));
        for wrong in [
            array(&[]),
            array(&[2, 0, 23, 1, 1, 1, 1, 4, 5]),
            array(&[1, 0, 23, 2, 1, 4, 5]),
            array(&[1, 0, 23, 1, 1, 4, 5, 6]),
            array(&[1, 0, 23, -1, 1]),
            array(&[1, 0, 23, 1, 1, -2]),
        ] {
            assert_eq!(elements_of_binary(&wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn decimals_are_written_out() {
        let numeric = |words: &[u16]| -> Option<String> {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            numeric_of_binary(&bytes)
        };
        let minus_one = u16::MAX;
        for (words, expected) in [
            (vec![2, 0, 0, 3, 10, 5_040], Some("10.504")),
            (vec![2, 1, 0x4000, 0, 1, 2_345], Some("-12345")),
            (vec![1, 1, 0, 0, 123], Some("1230000")),
            (vec![1, minus_one, 0, 4, 7], Some("0.0007")),
            (vec![1, minus_one - 1, 0, 6, 500], Some("0.000005")),
            (vec![0, 0, 0, 2], Some("0.00")),
            (vec![0, 0, 0xc000, 0], Some("NaN")),
            (vec![0, 0, 0xf000, 0], Some("-Infinity")),
            (vec![1, 0, 0, 0], None),
            (vec![1, 0, 0, 0, 10_000], None),
            (vec![0, 0, 1, 0], None),
            (vec![0, 0], None),
        ] {
            assert_eq!(numeric(&words).as_deref(), expected, "{words:?}");
        }
        assert_eq!(numeric_of_binary(&[0]), None);
    }
}
