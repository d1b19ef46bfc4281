//! Chance from a seed: the same on every machine.

use serde::{Deserialize, Serialize};

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", OOPSLA 2014). Its state is one number, so that it is cheap to
/// save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for one thing, and one number of it: what it draws
    /// changes nothing elsewhere.
    pub(crate) fn named(seed: u64, name: &str, number: u64) -> Self {
        // FNV-1a (Fowler, Noll, Vo) of the name.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        let first = Self(seed ^ hash).next();
        Self(first ^ number.wrapping_mul(0x5851_f42d_4c95_7f2d))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `limit` − 1; 0 if `limit` is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // The high half of the product: without division, and even enough.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// `from` to `to`, both included.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from + 1) as u64) as i64
    }

    /// True that often in a thousand.
    pub(crate) fn per_mille(&mut self, chance: u64) -> bool {
        self.below(1_000) < chance
    }

    /// Small numbers far more often than large ones, below `limit`: few goods
    /// make most of the sales.
    pub(crate) fn skewed(&mut self, limit: u64) -> u64 {
        let first = self.below(limit);
        let second = self.below(first + 1);
        self.below(second + 1)
    }

    pub(crate) fn choose<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let mut random = Random::new(42);
        // The reference implementation's first outputs for this seed.
        assert_eq!(random.next(), 13_679_457_532_755_275_413);
        assert_eq!(random.next(), 2_949_826_092_126_892_291);
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&count| (850..1_150).contains(&count)),
            "{counts:?}"
        );
    }

    #[test]
    fn generators_of_their_own_draw_apart() {
        let mut firsts = std::collections::BTreeSet::new();
        for seed in [1, 2] {
            for name in ["names", "pauses"] {
                firsts.extend((0..100).map(|number| Random::named(seed, name, number).next()));
            }
        }
        assert_eq!(firsts.len(), 400);
        let mut counts = [0; 10];
        for number in 0..10_000 {
            counts[Random::named(7, "pauses", number).below(10) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&count| (850..1_150).contains(&count)),
            "{counts:?}"
        );
    }
}
