//! Doubles that are compared as SQL compares them here.

use std::cmp::Ordering;
use std::fmt;

/// A DOUBLE as its bits. They are ordered by number, NaN last; so that nothing is
/// overlooked, −0 is not 0 here, and one NaN not another. What makes them one is
/// [`Double::canonical`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Double(u64);

impl Double {
    /// The double with exactly these bits.
    pub fn new(number: f64) -> Self {
        Self(number.to_bits())
    }

    /// The number.
    pub fn number(self) -> f64 {
        f64::from_bits(self.0)
    }

    /// The one zero and the one NaN in place of all zeros and NaNs.
    pub fn canonical(self) -> Self {
        let number = self.number();
        if number.is_nan() {
            return Self::new(f64::NAN);
        }
        if number == 0.0 {
            return Self::new(0.0);
        }
        self
    }
}

/// The double next to the exact sum of numbers, each as often as it says; of two that
/// are as near, the even one.
///
/// The sum is kept as doubles whose bits do not overlap, the greatest last, as in
/// J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997, section 2.4.
pub fn exact_sum(numbers: impl Iterator<Item = (f64, i128)>) -> f64 {
    let mut parts: Vec<f64> = Vec::new();
    let mut beyond = 0.0;
    for (number, times) in numbers {
        if !number.is_finite() && times > 0 {
            // Infinity less infinity, and whatever has NaN in it, is NaN.
            beyond += number;
            continue;
        }
        for _ in 0..times {
            let mut carried = number;
            let mut rest = Vec::with_capacity(parts.len() + 1);
            for part in parts {
                let (sum, lost) = two_sum(carried, part);
                carried = sum;
                if lost != 0.0 {
                    rest.push(lost);
                }
            }
            rest.push(carried);
            parts = rest;
        }
    }
    if beyond != 0.0 {
        return beyond;
    }
    let mut total = 0.0;
    while let Some(part) = parts.pop() {
        let (sum, lost) = two_sum(total, part);
        total = sum;
        if lost == 0.0 {
            continue;
        }
        // Half a last bit was lost, and what is still smaller says to which side.
        let smaller = parts.last().copied().unwrap_or(0.0);
        let (doubled, rest) = two_sum(total, 2.0 * lost);
        if rest == 0.0 && smaller != 0.0 && (smaller > 0.0) == (lost > 0.0) {
            total = doubled;
        }
        break;
    }
    total
}

/// A sum, and what its rounding lost.
fn two_sum(left: f64, right: f64) -> (f64, f64) {
    let sum = left + right;
    let of_right = sum - left;
    let of_left = sum - of_right;
    (sum, (left - of_left) + (right - of_right))
}

impl Ord for Double {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().total_cmp(&other.number())
    }
}

impl PartialOrd for Double {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Double {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} ({:#x})", self.number(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_rounded_once() {
        let sum = |numbers: &[(f64, i128)]| exact_sum(numbers.iter().copied());
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[(0.1, 10)]), 1.0);
        assert_eq!(sum(&[(1e16, 1), (1.0, 1), (-1e16, 1)]), 1.0);
        assert_eq!(sum(&[(1e300, 1), (1e-300, 1), (-1e300, 1)]), 1e-300);
        // Just above and just below the middle between two doubles.
        let (one, half) = (1.0, f64::EPSILON / 2.0);
        assert_eq!(sum(&[(one, 1), (half, 1)]), 1.0);
        let above = sum(&[(one, 1), (half, 1), (1e-300, 1)]);
        assert_eq!(above, 1.0 + f64::EPSILON);
        assert_eq!(sum(&[(one, 1), (half, 1), (-1e-300, 1)]), 1.0);
        assert_eq!(sum(&[(f64::INFINITY, 2), (1.0, 1)]), f64::INFINITY);
        let both = sum(&[(f64::INFINITY, 1), (f64::NEG_INFINITY, 1)]);
        assert!(both.is_nan());
    }
}
