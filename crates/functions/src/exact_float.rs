//! Sums of floating-point numbers without rounding, so that taking a number
//! away again leaves no residue and order does not matter.
//!
//! A finite double is ±m·2^e with an integer m < 2^53. The sum is kept as an
//! integer in units of 2^−1074 (the smallest double), in 32-bit digits held in
//! 64-bit limbs, so that carries are settled late. The idea is Kulisch's long
//! accumulator ("Computer Arithmetic and Validity", 2008); only the digits in
//! use are kept.

use sluice_core::{CodecError, Reader, Writer};

/// A double has 2,098 bits from the least to the greatest: 66 limbs, and a few
/// for carries.
const LIMBS_MAX: usize = 72;
/// Smallest exponent of a double's last bit.
const EXPONENT_MIN: i32 = -1074;
/// Additions between two carries: 2^28 digits of 33 bits fit into an i64.
const ADDITIONS_MAX: u32 = 1 << 28;

/// A sum of doubles without rounding.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExactFloat {
    /// Digits of the sum from digit number `first`, base 2^32, signed.
    limbs: Vec<i64>,
    first: usize,
    additions: u32,
    /// How many NaN, +∞ and −∞ are among the numbers.
    nan: i64,
    positive_infinity: i64,
    negative_infinity: i64,
}

impl ExactFloat {
    /// Adds `value` as often as `weight` says; a negative weight takes it away.
    pub fn add(&mut self, value: f64, weight: i64) {
        if value.is_nan() {
            self.nan += weight;
            return;
        }
        if value.is_infinite() {
            if value > 0.0 {
                self.positive_infinity += weight;
            } else {
                self.negative_infinity += weight;
            }
            return;
        }
        if value == 0.0 {
            return;
        }
        let bits = value.to_bits();
        let biased = ((bits >> 52) & 0x7ff) as i32;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, exponent) = if biased == 0 {
            (fraction, EXPONENT_MIN)
        } else {
            (fraction | (1 << 52), biased - 1075)
        };
        let sign: i128 = if value < 0.0 { -1 } else { 1 };
        // 53 bits · 63 bits fits into 116 bits.
        let product = sign * i128::from(mantissa) * i128::from(weight);
        let shift = (exponent - EXPONENT_MIN) as usize;
        self.add_shifted(product, shift);
    }

    fn add_shifted(&mut self, value: i128, shift: usize) {
        let digit = shift / 32;
        let bit = shift % 32;
        let negative = value < 0;
        let magnitude = value.unsigned_abs();
        // Up to 116 bits shifted by up to 31: five digits.
        let low = (magnitude & 0xffff_ffff_ffff_ffff) << bit;
        let high = (magnitude >> 64) << bit;
        let digits = [low as u32, (low >> 32) as u32, (low >> 64) as u32, 0, 0];
        let high_digits = [high as u32, (high >> 32) as u32, (high >> 64) as u32];
        self.reserve(digit, 5);
        for index in 0..5 {
            let mut part = i64::from(digits[index]);
            if index >= 2 {
                part += i64::from(high_digits[index - 2]);
            }
            let limb = &mut self.limbs[digit - self.first + index];
            *limb += if negative { -part } else { part };
        }
        self.additions += 1;
        if self.additions >= ADDITIONS_MAX {
            self.settle();
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.nan += other.nan;
        self.positive_infinity += other.positive_infinity;
        self.negative_infinity += other.negative_infinity;
        if other.limbs.is_empty() {
            return;
        }
        self.reserve(other.first, other.limbs.len());
        let place = other.first - self.first;
        for (limb, added) in self.limbs[place..].iter_mut().zip(&other.limbs) {
            *limb += added;
        }
        // Each has fewer than ADDITIONS_MAX, so that no limb overflows here.
        self.additions += other.additions + 1;
        if self.additions >= ADDITIONS_MAX {
            self.settle();
        }
    }

    fn reserve(&mut self, digit: usize, count: usize) {
        if self.limbs.is_empty() {
            self.first = digit;
        }
        if digit < self.first {
            let missing = self.first - digit;
            self.limbs.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = digit;
        }
        let needed = digit + count - self.first;
        if self.limbs.len() < needed {
            self.limbs.resize(needed, 0);
        }
    }

    /// Carries: afterwards every limb but the last is in 0 .. 2^32, zeros at
    /// both ends are gone, and equal sums have equal limbs.
    fn settle(&mut self) {
        let mut carry = 0_i64;
        for limb in &mut self.limbs {
            let total = *limb + carry;
            *limb = total & 0xffff_ffff;
            carry = total >> 32;
        }
        while carry != 0 && carry != -1 {
            self.limbs.push(carry & 0xffff_ffff);
            carry >>= 32;
        }
        if carry == -1 {
            self.limbs.push(-1);
        }
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
        // A sign limb above an all-ones digit says the same as a negative
        // digit; keep the shorter form so that the form is unique.
        while self.limbs.len() >= 2
            && self.limbs[self.limbs.len() - 1] == -1
            && self.limbs[self.limbs.len() - 2] != 0
        {
            let top = self.limbs.pop().unwrap_or_default();
            if let Some(last) = self.limbs.last_mut() {
                *last += top << 32;
                if *last == -1 {
                    continue;
                }
            }
            break;
        }
        let zeros = self.limbs.iter().take_while(|limb| **limb == 0).count();
        self.limbs.drain(..zeros);
        self.first = if self.limbs.is_empty() {
            0
        } else {
            self.first + zeros
        };
        self.additions = 0;
    }

    /// The sum, rounded once, to nearest and ties to even. Where infinities or
    /// NaN are among the numbers, what IEEE 754 says of their sum.
    pub fn value(&self) -> f64 {
        if self.nan != 0 || (self.positive_infinity != 0 && self.negative_infinity != 0) {
            return f64::NAN;
        }
        if self.positive_infinity != 0 {
            return f64::INFINITY;
        }
        if self.negative_infinity != 0 {
            return f64::NEG_INFINITY;
        }
        let mut settled = self.clone();
        settled.settle();
        let Some(&top) = settled.limbs.last() else {
            return 0.0;
        };
        let negative = top < 0;
        if negative {
            for limb in &mut settled.limbs {
                *limb = -*limb;
            }
            settled.settle();
        }
        let magnitude = round_digits(&settled.limbs, settled.first);
        if negative { -magnitude } else { magnitude }
    }

    /// Writes it in the one form that equal sums have.
    pub fn save(&self, writer: &mut Writer) {
        let mut settled = self.clone();
        settled.settle();
        writer.u32(settled.first as u32);
        writer.u32(settled.limbs.len() as u32);
        for &limb in &settled.limbs {
            writer.i64(limb);
        }
        writer.i64(self.nan);
        writer.i64(self.positive_infinity);
        writer.i64(self.negative_infinity);
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// When the bytes end too early, or have more digits than a sum of doubles.
    pub fn load(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let first = reader.u32()? as usize;
        let count = reader.u32()? as usize;
        if first.saturating_add(count) > LIMBS_MAX {
            return Err(CodecError::Invalid(format!(
                "a sum of {count} limbs from limb {first} is no sum of doubles"
            )));
        }
        let mut limbs = Vec::new();
        for _ in 0..count {
            limbs.push(reader.i64()?);
        }
        Ok(Self {
            limbs,
            first,
            additions: 0,
            nan: reader.i64()?,
            positive_infinity: reader.i64()?,
            negative_infinity: reader.i64()?,
        })
    }
}

/// Rounds a positive number, given as base-2^32 digits in units of
/// 2^(32·first − 1074), to the nearest double.
fn round_digits(digits: &[i64], first: usize) -> f64 {
    let bit = |position: usize| -> bool {
        let digit = position / 32;
        digit >= first
            && digits
                .get(digit - first)
                .is_some_and(|limb| (limb >> (position % 32)) & 1 == 1)
    };
    // The top limb may exceed 32 bits by a carry that settle() left in it.
    let top_index = digits.len() - 1;
    let top_bits = 64 - digits[top_index].leading_zeros() as usize;
    let length = (first + top_index) * 32 + top_bits;
    if length <= 53 {
        // Subnormal or small: exact in units of 2^−1074.
        let mantissa = (0..length).fold(0_u64, |value, position| {
            value | (u64::from(bit(position)) << position)
        });
        return f64::from_bits(mantissa);
    }
    let lowest = length - 53;
    let mut mantissa = (0..53).fold(0_u64, |value, position| {
        value | (u64::from(bit(lowest + position)) << position)
    });
    let half = bit(lowest - 1);
    let rest = (first * 32..lowest - 1).any(bit);
    if half && (rest || mantissa & 1 == 1) {
        mantissa += 1;
    }
    let mut exponent = lowest as i32 + EXPONENT_MIN;
    if mantissa == 1 << 53 {
        mantissa >>= 1;
        exponent += 1;
    }
    let biased = exponent + 1075;
    if biased >= 0x7ff {
        return f64::INFINITY;
    }
    f64::from_bits(((biased as u64) << 52) | (mantissa & ((1 << 52) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[(f64, i64)]) -> ExactFloat {
        let mut exact = ExactFloat::default();
        for &(value, weight) in values {
            exact.add(value, weight);
        }
        exact
    }

    #[test]
    fn single_values_come_back_exactly() {
        let values = [
            0.1,
            -0.1,
            1.0,
            -1.0,
            1e308,
            -1e308,
            5e-324,
            2.2e-308,
            123456.789,
            -3.5e-200,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            4294967296.0,
            -4294967296.0,
            4294967295.0,
        ];
        for value in values {
            assert_eq!(sum(&[(value, 1)]).value(), value, "{value:e}");
        }
    }

    #[test]
    fn retraction_leaves_nothing_and_order_does_not_matter() {
        let exact = sum(&[(1e100, 1), (0.1, 1), (1e100, -1)]);
        assert_eq!(exact.value(), 0.1);
        let none = sum(&[(1e100, 1), (0.1, 3), (1e100, -1), (0.1, -3)]);
        assert_eq!(none.value(), 0.0);
        assert_eq!(sum(&[(0.1, 1), (0.2, 1)]).value(), 0.1 + 0.2);
        assert_eq!(sum(&[(-0.3, 7), (0.1, 21)]).value(), {
            // 21·0.1 − 7·0.3 with the doubles' exact values, rounded once.
            let exact: i128 = 21 * 3602879701896397 - 7 * 5404319552844595 * 2;
            exact as f64 / 36028797018963968.0
        });
    }

    #[test]
    fn specials_are_counted() {
        assert!(sum(&[(f64::NAN, 1)]).value().is_nan());
        assert_eq!(sum(&[(f64::NAN, 1), (2.0, 1), (f64::NAN, -1)]).value(), 2.0);
        assert_eq!(sum(&[(f64::INFINITY, 1), (1.0, 1)]).value(), f64::INFINITY);
        assert_eq!(sum(&[(f64::MAX, 2)]).value(), f64::INFINITY);
        assert_eq!(sum(&[(f64::MAX, 2), (f64::MAX, -1)]).value(), f64::MAX);
    }

    #[test]
    fn random_sums_agree_with_integers() {
        let mut state = 88172645463325252_u64;
        for _ in 0..2_000 {
            let mut exact = ExactFloat::default();
            let mut total: i128 = 0;
            for _ in 0..20 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let value = (state >> 12) as i64 - (1 << 51);
                let weight = (state % 7) as i64 - 3;
                exact.add(value as f64 / 1024.0, weight);
                total += i128::from(value) * i128::from(weight);
                let mut writer = Writer::new();
                exact.save(&mut writer);
                let bytes = writer.finish();
                exact = ExactFloat::load(&mut Reader::new(&bytes)).unwrap();
            }
            assert_eq!(exact.value(), total as f64 / 1024.0);
        }
    }

    #[test]
    fn sums_of_parts_make_the_sum_of_all() {
        let values = [
            1e300,
            -0.1,
            5e-324,
            -1e300,
            3.5,
            f64::MAX,
            0.1,
            f64::INFINITY,
        ];
        for cut in 0..values.len() {
            let part = |values: &[f64]| -> ExactFloat {
                let weighted: Vec<_> = values.iter().map(|&value| (value, 3)).collect();
                sum(&weighted)
            };
            let mut merged = part(&values[..cut]);
            merged.merge(&part(&values[cut..]));
            let saved = |sum: &ExactFloat| {
                let mut writer = Writer::new();
                sum.save(&mut writer);
                writer.finish()
            };
            assert_eq!(saved(&merged), saved(&part(&values)), "cut at {cut}");
        }
    }
}
