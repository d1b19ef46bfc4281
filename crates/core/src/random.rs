//! Chance that is the same in every run, for tests and examples.

/// Numbers that look like chance, the same for the same seed, which is not 0:
/// xorshift of 64 bits, with 13, 7 and 17 (Marsaglia, 2003).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number, below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The lowest bits look least like chance.
        (self.0 >> 11) % limit
    }
}
