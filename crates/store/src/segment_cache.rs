//! The rows of segments that are on disk, as far as there is room for them in
//! memory. Those that were used least recently go first; they are read again
//! when somebody asks.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use hashbrown::HashTable;
use parking_lot::Mutex;

/// Where rows lie by the hash of their key.
pub(crate) type KeyIndex = HashTable<(u64, u32)>;

/// Rows in memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) rows: RecordBatch,
    /// Made when a reader first asks.
    pub(crate) keys: OnceLock<KeyIndex>,
}

impl Loaded {
    pub(crate) fn new(rows: RecordBatch) -> Arc<Self> {
        Arc::new(Self {
            rows,
            keys: OnceLock::new(),
        })
    }

    fn bytes(&self) -> usize {
        let keys = self.keys.get().map_or(0, HashTable::allocation_size);
        self.rows.get_array_memory_size().saturating_add(keys)
    }
}

/// What the cache has done and holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Bytes that it holds.
    pub bytes: u64,
    /// Times that rows were there.
    pub hits: u64,
    /// Times that rows had to be read from disk.
    pub misses: u64,
    /// Times that rows gave room to others.
    pub evictions: u64,
}

#[derive(Debug)]
struct Entry {
    loaded: Arc<Loaded>,
    bytes: usize,
    last_use: u64,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<u64, Entry>,
    /// Entries by their last use.
    by_use: BTreeMap<u64, u64>,
    uses: u64,
    next_id: u64,
    bytes: usize,
    counts: CacheCounts,
}

impl State {
    fn remove(&mut self, id: u64) -> bool {
        let Some(entry) = self.entries.remove(&id) else {
            return false;
        };
        self.by_use.remove(&entry.last_use);
        self.bytes -= entry.bytes;
        true
    }

    fn put(&mut self, id: u64, loaded: Arc<Loaded>) {
        self.remove(id);
        self.uses += 1;
        let bytes = loaded.bytes();
        self.bytes += bytes;
        self.by_use.insert(self.uses, id);
        let last_use = self.uses;
        let entry = Entry {
            loaded,
            bytes,
            last_use,
        };
        self.entries.insert(id, entry);
    }

    fn shrink(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some((_, &oldest)) = self.by_use.first_key_value() else {
                return;
            };
            self.remove(oldest);
            self.counts.evictions += 1;
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SegmentCache {
    bytes_max: usize,
    state: Mutex<State>,
}

impl SegmentCache {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            state: Mutex::default(),
        })
    }

    pub(crate) fn counts(&self) -> CacheCounts {
        let state = self.state.lock();
        CacheCounts {
            bytes: state.bytes as u64,
            ..state.counts
        }
    }
}

/// A segment's place in the cache, given up when nobody holds the segment.
#[derive(Debug)]
pub(crate) struct CachePlace {
    id: u64,
    cache: Arc<SegmentCache>,
}

impl CachePlace {
    pub(crate) fn new(cache: &Arc<SegmentCache>) -> Self {
        let mut state = cache.state.lock();
        state.next_id += 1;
        Self {
            id: state.next_id,
            cache: cache.clone(),
        }
    }

    pub(crate) fn get(&self) -> Option<Arc<Loaded>> {
        let mut state = self.cache.state.lock();
        let Some(loaded) = state
            .entries
            .get(&self.id)
            .map(|entry| entry.loaded.clone())
        else {
            state.counts.misses += 1;
            return None;
        };
        state.counts.hits += 1;
        // Its key index may have been made since.
        state.put(self.id, loaded.clone());
        state.shrink(self.cache.bytes_max);
        Some(loaded)
    }

    pub(crate) fn put(&self, loaded: &Arc<Loaded>) {
        let mut state = self.cache.state.lock();
        state.put(self.id, loaded.clone());
        state.shrink(self.cache.bytes_max);
    }
}

impl Drop for CachePlace {
    fn drop(&mut self) {
        self.cache.state.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};

    fn loaded() -> Arc<Loaded> {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1; 1000]));
        Loaded::new(RecordBatch::try_from_iter([("a", numbers)]).unwrap())
    }

    #[test]
    fn the_least_recently_used_rows_go_first_and_the_bound_holds() {
        let one = loaded().bytes();
        let cache = SegmentCache::new(3 * one);
        let places: Vec<CachePlace> = (0..4).map(|_| CachePlace::new(&cache)).collect();
        for place in &places[..3] {
            assert!(place.get().is_none());
            place.put(&loaded());
        }
        assert!(places[0].get().is_some());
        places[3].put(&loaded());
        assert!(places[1].get().is_none(), "it was used least recently");
        assert!(places[0].get().is_some() && places[2].get().is_some());
        let counts = cache.counts();
        assert_eq!(counts.bytes, 3 * one as u64);
        assert_eq!((counts.hits, counts.misses, counts.evictions), (3, 4, 1));
        drop(places);
        assert_eq!(cache.counts().bytes, 0);
    }

    #[test]
    fn what_is_larger_than_the_cache_is_not_kept() {
        let cache = SegmentCache::new(10);
        let place = CachePlace::new(&cache);
        place.put(&loaded());
        assert!(place.get().is_none());
        assert_eq!(cache.counts().bytes, 0);
    }
}
