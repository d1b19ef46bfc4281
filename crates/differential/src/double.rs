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
