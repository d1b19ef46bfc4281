//! Sums of integers and decimals in wider state than their type, so that an
//! overflow on the way to a sum that fits is no error, and one that stays is.

use sluice_core::{CodecError, Reader, Writer};

/// A 192-bit two's-complement sum: `high` counts the overflows of `low`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WideSum {
    low: i128,
    high: i64,
}

impl WideSum {
    /// Adds `value` as often as `weight` says.
    pub(crate) fn add(&mut self, value: i128, weight: i64) {
        match value.checked_mul(i128::from(weight)) {
            Some(product) => self.add_once(product),
            None => self.add_in_halves(value, weight),
        }
    }

    /// A product over 128 bits: value·weight = value·⌊weight/2⌋·2 + the rest.
    fn add_in_halves(&mut self, value: i128, weight: i64) {
        if let Some(product) = value.checked_mul(i128::from(weight)) {
            self.add_once(product);
            return;
        }
        if weight == -1 {
            // Only the least value has no negative of the same width.
            self.add_once(i128::MAX);
            self.add_once(1);
            return;
        }
        let half = weight / 2;
        self.add_in_halves(value, half);
        self.add_in_halves(value, weight - half);
    }

    fn add_once(&mut self, value: i128) {
        let (sum, overflowed) = self.low.overflowing_add(value);
        self.low = sum;
        if overflowed {
            self.high += if value < 0 { -1 } else { 1 };
        }
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.add_once(other.low);
        self.high += other.high;
    }

    /// The sum, if it fits into 128 bits.
    pub(crate) fn value(&self) -> Option<i128> {
        (self.high == 0).then_some(self.low)
    }

    pub(crate) fn save(&self, writer: &mut Writer) {
        writer.i128(self.low);
        writer.i64(self.high);
    }

    pub(crate) fn load(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            low: reader.i128()?,
            high: reader.i64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_on_the_way_is_forgotten() {
        let mut sum = WideSum::default();
        sum.add(i128::MAX, 1);
        sum.add(i128::MAX, 3);
        assert_eq!(sum.value(), None);
        sum.add(i128::MAX, -4);
        sum.add(-5, 1);
        assert_eq!(sum.value(), Some(-5));
        sum.add(i128::MIN, 2);
        sum.add(i128::MIN, -2);
        assert_eq!(sum.value(), Some(-5));
    }

    #[test]
    fn sums_of_parts_make_the_sum_of_all() {
        let values = [i128::MAX, i128::MIN, -5, i128::MAX, 7, i128::MIN, i128::MIN];
        for cut in 0..values.len() {
            let (mut whole, mut first, mut second) = Default::default();
            for (place, &value) in values.iter().enumerate() {
                WideSum::add(&mut whole, value, 3);
                let part = if place < cut { &mut first } else { &mut second };
                WideSum::add(part, value, 3);
            }
            first.merge(&second);
            assert_eq!(first, whole, "cut at {cut}");
        }
    }
}
