//! Identities of traces and spans: a walk from where the machine's random source
//! says, so that nothing asks that source for each span.

use std::sync::atomic::{AtomicU64, Ordering};

use ring::rand::{SecureRandom, SystemRandom};

use crate::failure::Failure;

/// Step and mixing of SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014): no number comes twice in 2^64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];

/// See the module.
#[derive(Debug)]
pub(super) struct Ids {
    place: AtomicU64,
}

impl Ids {
    /// From a place that no other process begins at.
    ///
    /// # Errors
    /// When the machine gives no random bytes.
    pub(super) fn new() -> Result<Self, Failure> {
        let mut bytes = [0; 8];
        let filled = SystemRandom::new().fill(&mut bytes);
        let problem = "beginning with traces: the machine gives no random bytes";
        filled.map_err(|_| Failure::Failed(problem.to_owned()))?;
        Ok(Self::from(u64::from_le_bytes(bytes)))
    }

    fn from(place: u64) -> Self {
        Self {
            place: AtomicU64::new(place),
        }
    }

    /// The identity of a trace, and a number by which it is kept or not.
    pub(super) fn trace(&self) -> ([u8; 16], u64) {
        let (high, low) = (self.next(), self.next());
        let mut id = [0; 16];
        id[..8].copy_from_slice(&high.to_be_bytes());
        id[8..].copy_from_slice(&low.to_be_bytes());
        (id, low)
    }

    /// The identity of a span.
    pub(super) fn span(&self) -> [u8; 8] {
        self.next().to_be_bytes()
    }

    /// Never 0, which is no identity.
    fn next(&self) -> u64 {
        loop {
            let place = self.place.fetch_add(STEP, Ordering::Relaxed);
            let mut mixed = (place ^ place >> 30).wrapping_mul(MIX[0]);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(MIX[1]);
            mixed ^= mixed >> 31;
            if mixed != 0 {
                return mixed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn none_is_zero_and_none_comes_twice() {
        // The place 0 is the one that is mixed to 0.
        let ids = Ids::from(0);
        let found: BTreeSet<u64> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(found.len(), 10_000);
        assert!(!found.contains(&0));
        // The first number of SplitMix64 with the seed 0.
        assert_eq!(Ids::from(0).next(), 0xe220_a839_7b1d_cdaf);
        let (first, second) = (Ids::new().unwrap(), Ids::new().unwrap());
        assert_ne!(first.trace(), second.trace());
        assert_ne!(first.span(), second.span());
    }
}
