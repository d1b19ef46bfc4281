//! Decimals of any width as PostgreSQL writes them: as text, and in binary form.
//!
//! Source of the form: `numeric_send` in PostgreSQL's `numeric.c`.

use std::fmt::Display;

use arrow::array::{ArrayRef, AsArray, BinaryArray, StringArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
};

/// Digits of one number of the binary form.
const DIGITS_OF_ONE: usize = 4;
/// The sign of numbers below zero.
const NEGATIVE: u16 = 0x4000;

/// Decimals with the digits of their scale behind the point.
pub(super) fn texts(column: &ArrayRef) -> StringArray {
    match column.data_type() {
        DataType::Decimal32(_, scale) => written::<Decimal32Type>(column, *scale),
        DataType::Decimal64(_, scale) => written::<Decimal64Type>(column, *scale),
        DataType::Decimal128(_, scale) => written::<Decimal128Type>(column, *scale),
        DataType::Decimal256(_, scale) => written::<Decimal256Type>(column, *scale),
        _ => StringArray::new_null(column.len()),
    }
}

/// Arrow's own text leaves out the last digits of what has more than the type says.
fn written<T: ArrowPrimitiveType>(column: &ArrayRef, scale: i8) -> StringArray
where
    T::Native: Display,
{
    let values = column.as_primitive::<T>().iter();
    let texts = values.map(|value| Some(with_point(&value?.to_string(), scale)));
    texts.collect()
}

/// A whole number with a point before so many of its digits, or zeros behind it.
fn with_point(whole: &str, scale: i8) -> String {
    let count = usize::from(scale.unsigned_abs());
    if scale == 0 || (scale < 0 && whole == "0") {
        return whole.to_owned();
    }
    if scale < 0 {
        return whole.to_owned() + &"0".repeat(count);
    }
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    // One digit stands before the point at least.
    let digits = format!("{digits:0>width$}", width = count + 1);
    let (before, behind) = digits.split_at(digits.len() - count);
    format!("{sign}{before}.{behind}")
}

/// The binary form of numbers that are written as digits, with a point or without: how
/// many numbers of four digits follow, how many of them stand before the point, less
/// one, the sign, the digits behind the point, and the numbers.
pub(super) fn bytes(texts: &StringArray) -> BinaryArray {
    let values = texts.iter();
    values.map(|text| Some(bytes_of(text?))).collect()
}

fn bytes_of(text: &str) -> Vec<u8> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole_width = whole.len().next_multiple_of(DIGITS_OF_ONE);
    let fraction_width = fraction.len().next_multiple_of(DIGITS_OF_ONE);
    let padded = format!("{whole:0>whole_width$}{fraction:0<fraction_width$}");
    let numbers = padded.as_bytes().chunks(DIGITS_OF_ONE).map(|digits| {
        let digits = digits.iter();
        digits.fold(0_u16, |number, digit| {
            number * 10 + u16::from(digit.wrapping_sub(b'0'))
        })
    });
    let numbers: Vec<u16> = numbers.collect();
    let zeros = numbers.iter().take_while(|number| **number == 0).count();
    let end = numbers.iter().rposition(|number| *number != 0);
    // Zeros at both ends are not written.
    let kept = match end {
        Some(end) => &numbers[zeros..=end],
        None => &[],
    };
    // Decimals have 76 digits, and at most so many zeros, so that all of these fit.
    let weight = match end {
        Some(_) => (whole_width / DIGITS_OF_ONE) as i16 - 1 - zeros as i16,
        None => 0,
    };
    let sign = if is_negative && end.is_some() {
        NEGATIVE
    } else {
        0
    };
    let mut bytes = Vec::with_capacity(2 * (DIGITS_OF_ONE + kept.len()));
    bytes.extend((kept.len() as i16).to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend(sign.to_be_bytes());
    bytes.extend((fraction.len() as u16).to_be_bytes());
    bytes.extend(kept.iter().flat_map(|number| number.to_be_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::postgres::parameter_texts::numeric_of_binary;
    use arrow::array::{Decimal32Array, Decimal128Array, Decimal256Array};
    use arrow::datatypes::i256;

    #[test]
    fn points_stand_where_the_scale_says() {
        for (whole, scale, expected) in [
            ("12345", 2, "123.45"),
            ("-5", 2, "-0.05"),
            ("0", 3, "0.000"),
            ("-120", 0, "-120"),
            ("12", -3, "12000"),
            ("0", -3, "0"),
            ("99", 2, "0.99"),
        ] {
            assert_eq!(with_point(whole, scale), expected, "{whole} {scale}");
        }
    }

    #[test]
    fn decimals_of_all_widths_are_written() {
        let narrow = Decimal32Array::from(vec![Some(-105), None]);
        let narrow: ArrayRef = Arc::new(narrow.with_precision_and_scale(9, 2).unwrap());
        assert_eq!(
            texts(&narrow).iter().collect::<Vec<_>>(),
            [Some("-1.05"), None]
        );
        // More digits than the type says.
        let wide = Decimal128Array::from(vec![123_456]).with_precision_and_scale(4, 2);
        let wide: ArrayRef = Arc::new(wide.unwrap());
        assert_eq!(texts(&wide).value(0), "1234.56");
        let digits = "9".repeat(76);
        let widest = Decimal256Array::from(vec![i256::from_string(&digits).unwrap()]);
        let widest: ArrayRef = Arc::new(widest.with_precision_and_scale(76, 10).unwrap());
        let expected = format!("{}.{}", "9".repeat(66), "9".repeat(10));
        assert_eq!(texts(&widest).value(0), expected);
    }

    #[test]
    fn binary_forms_are_those_of_postgresql() {
        for (text, expected) in [
            ("10.504", vec![2, 0, 0, 3, 10, 5_040]),
            ("-12345", vec![2, 1, 0x4000, 0, 1, 2_345]),
            ("1230000", vec![1, 1, 0, 0, 123]),
            ("0.0007", vec![1, 0xffff, 0, 4, 7]),
            ("0.000005", vec![1, 0xfffe, 0, 6, 500]),
            ("0.00", vec![0, 0, 0, 2]),
            ("0", vec![0, 0, 0, 0]),
        ] {
            let words: Vec<u8> = expected
                .iter()
                .flat_map(|word: &u16| word.to_be_bytes())
                .collect();
            assert_eq!(bytes_of(text), words, "{text}");
        }
        for text in [
            format!("-{}.{}", "9".repeat(66), "9".repeat(10)),
            format!("0.{}1", "0".repeat(75)),
            format!("1{}", "0".repeat(75)),
        ] {
            assert_eq!(numeric_of_binary(&bytes_of(&text)), Some(text));
        }
    }
}
