//! The keys of rows that were taken, so that a repeated one is left out.
//!
//! Keys are kept as XXH3-128 hashes in buckets of capture time. A bucket that
//! is closed never changes, so that a checkpoint writes only the open one; a
//! bucket older than the horizon is dropped whole.

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::{CodecError, Reader, Writer};
use sluice_memory::{StateTable, StateVec};
use xxhash_rust::xxh3::xxh3_128;

/// A horizon is divided into so many buckets.
const BUCKETS: i64 = 32;
/// Keys of one bucket.
const BUCKET_KEYS_BITS: u32 = 15;
const BUCKET_KEYS_MAX: usize = 1 << BUCKET_KEYS_BITS;
/// Keys kept for one table of one partition. Beyond that the oldest bucket is
/// dropped before its time.
const KEYS_MAX: usize = 20_000_000;

/// Time in units of a bucket's length, and a number: a bucket that is full is
/// followed by another one of the same time.
pub(crate) type Bucket = (i64, u32);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct DedupMemory {
    bucket_us: i64,
    /// Where each key stands, see [`place`]: a quarter of what the keys
    /// themselves would take again.
    seen: StateTable<u32>,
    /// The keys of buckets, by number; a number is given out again.
    keys: Vec<StateVec<u128>>,
    free: Vec<u32>,
    /// The numbers of the buckets.
    buckets: BTreeMap<Bucket, u32>,
    newest: i64,
    changed: BTreeSet<Bucket>,
}

/// The low half of a key's hash is as good as another hash of it.
fn table_hash(key: u128) -> u64 {
    key as u64
}

/// A key's bucket number and its index there as one number.
fn place(number: u32, index: usize) -> u32 {
    (number << BUCKET_KEYS_BITS) | index as u32
}

fn key_at(keys: &[StateVec<u128>], place: u32) -> u128 {
    let index = place as usize & (BUCKET_KEYS_MAX - 1);
    keys[(place >> BUCKET_KEYS_BITS) as usize][index]
}

impl DedupMemory {
    pub(crate) fn new(horizon_us: i64) -> Self {
        Self {
            bucket_us: (horizon_us / BUCKETS).max(1),
            newest: i64::MIN,
            ..Self::default()
        }
    }

    /// The form in which a key is kept.
    pub(crate) fn hash(key: &[u8]) -> u128 {
        xxh3_128(key)
    }

    pub(crate) fn contains(&self, key: u128) -> bool {
        let is_it = |&place: &u32| key_at(&self.keys, place) == key;
        self.seen.find(table_hash(key), is_it).is_some()
    }

    /// Remembers a key that is not contained, from a record captured at
    /// `time_us`.
    pub(crate) fn insert(&mut self, key: u128, time_us: i64) {
        // A capture clock that was set back must not open old buckets again.
        let time = time_us.div_euclid(self.bucket_us).max(self.newest);
        if time > self.newest {
            self.newest = time;
            self.forget_before(time.saturating_sub(BUCKETS));
        }
        let bucket = match self.buckets.last_key_value() {
            Some((&(newest, count), &number)) if newest == time => {
                let is_full = self.keys[number as usize].len() >= BUCKET_KEYS_MAX;
                (time, count + u32::from(is_full))
            }
            _ => (time, 0),
        };
        let number = self.number(bucket);
        self.push(number, key);
        self.changed.insert(bucket);
        while self.seen.len() > KEYS_MAX && self.buckets.len() > 1 {
            self.forget_oldest();
        }
    }

    /// The number of a bucket, which may be new.
    fn number(&mut self, bucket: Bucket) -> u32 {
        if let Some(&number) = self.buckets.get(&bucket) {
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.keys.push(StateVec::new());
            (self.keys.len() - 1) as u32
        });
        self.buckets.insert(bucket, number);
        number
    }

    fn push(&mut self, number: u32, key: u128) {
        let Self { seen, keys, .. } = self;
        let of_bucket = &mut keys[number as usize];
        let new = place(number, of_bucket.len());
        of_bucket.push(key);
        seen.insert_unique(table_hash(key), new, |&place| {
            table_hash(key_at(keys, place))
        });
    }

    fn forget_before(&mut self, bucket: i64) {
        while self
            .buckets
            .first_key_value()
            .is_some_and(|(&(oldest, _), _)| oldest < bucket)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((bucket, number)) = self.buckets.pop_first() else {
            return;
        };
        self.changed.remove(&bucket);
        for (index, &key) in self.keys[number as usize].iter().enumerate() {
            let gone = place(number, index);
            let found = self
                .seen
                .find_entry(table_hash(key), |&other| other == gone);
            if let Ok(found) = found {
                found.remove();
            }
        }
        self.keys[number as usize] = StateVec::new();
        self.free.push(number);
        let keys = &self.keys;
        if self.seen.len() * 4 < self.seen.capacity() {
            self.seen
                .shrink_to_fit(|&place| table_hash(key_at(keys, place)));
        }
    }

    /// The buckets that changed since the last call, and the numbers of all.
    pub(crate) fn save(&mut self) -> (Vec<(Bucket, Vec<u8>)>, Vec<Bucket>) {
        let changed = std::mem::take(&mut self.changed);
        let parts = changed.into_iter().filter_map(|bucket| {
            let number = *self.buckets.get(&bucket)?;
            let keys = &self.keys[number as usize];
            let mut writer = Writer::with_capacity(8 + keys.len() * size_of::<u128>());
            writer.u64(keys.len() as u64);
            for key in keys {
                writer.i128(*key as i128);
            }
            Some((bucket, writer.finish()))
        });
        (parts.collect(), self.buckets.keys().copied().collect())
    }

    pub(crate) fn load(&mut self, bucket: Bucket, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        let count = reader.u64()?;
        if count > BUCKET_KEYS_MAX as u64 {
            return Err(CodecError::Invalid(format!(
                "a bucket of {count} keys, of which there can be {BUCKET_KEYS_MAX}"
            )));
        }
        let number = self.number(bucket);
        for _ in 0..count {
            let key = reader.i128()? as u128;
            if !self.contains(key) {
                self.push(number, key);
            }
        }
        self.newest = self.newest.max(bucket.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_for_the_horizon_and_survive_a_restart() {
        let mut memory = DedupMemory::new(3_200);
        let key = |number: u32| DedupMemory::hash(&number.to_le_bytes());
        memory.insert(key(1), 0);
        memory.insert(key(2), 1_000);
        // The clock was set back: the key is filed under the newest time.
        memory.insert(key(3), -50_000);
        let (parts, live) = memory.save();
        assert_eq!(live, vec![(0, 0), (10, 0)]);
        assert!(memory.save().0.is_empty(), "nothing changed since");
        memory.insert(key(4), 3_250);
        assert!(memory.contains(key(1)), "still within the horizon");
        memory.insert(key(5), 3_300);
        assert!(!memory.contains(key(1)), "beyond the horizon");
        assert!(memory.contains(key(2)) && memory.contains(key(3)));
        let (changed, live) = memory.save();
        assert_eq!(live, vec![(10, 0), (32, 0), (33, 0)]);

        let mut restored = DedupMemory::new(3_200);
        for (bucket, bytes) in parts.iter().chain(&changed) {
            if live.contains(bucket) {
                restored.load(*bucket, bytes).unwrap();
            }
        }
        for number in 0..9 {
            assert_eq!(
                restored.contains(key(number)),
                memory.contains(key(number)),
                "{number}"
            );
        }
    }
}
