//! Columns of segments that are on disk, and what tells where to look in them, as
//! far as there is room for them in memory. Those that were used least recently go first; they are read again
//! when somebody asks.
//!
//! A full cache takes only one in [`SCANS_PER_ENTRY`] of the columns that a
//! scan reads: a scan of more than it can hold would otherwise find nothing of
//! what it read the last time, and leave nothing for point look-ups.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use bytes::Bytes;
use hashbrown::HashTable;
use parking_lot::Mutex;

use crate::segment::Use;

/// Where rows lie by the hash of their key.
pub(crate) type KeyIndex = HashTable<(u64, u32)>;

/// See the module.
const SCANS_PER_ENTRY: u64 = 8;

/// What is held: a part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// By its permanent id.
    Column(u32),
    /// By the id of the column and the number of the page.
    FilterPage(u32, usize),
    /// Where rows lie by their key.
    Keys,
}

#[derive(Debug, Clone)]
enum Held {
    Column(ArrayRef),
    FilterPage(Bytes),
    Keys(Arc<KeyIndex>),
}

impl Held {
    fn bytes(&self) -> usize {
        match self {
            Self::Column(column) => column.get_array_memory_size(),
            Self::FilterPage(page) => page.len(),
            Self::Keys(keys) => keys.allocation_size(),
        }
    }
}

/// What the cache has done and holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Bytes that it holds.
    pub bytes: u64,
    /// Times that columns were there.
    pub hits: u64,
    /// Times that columns had to be read from disk.
    pub misses: u64,
    /// Times that columns gave room to others.
    pub evictions: u64,
}

/// A segment's number in the cache, and which part of it.
type Key = (u64, Part);

#[derive(Debug)]
struct Entry {
    held: Held,
    bytes: usize,
    last_use: u64,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Key, Entry>,
    /// Entries by their last use.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    scanned: u64,
    next_id: u64,
    bytes: usize,
    counts: CacheCounts,
}

impl State {
    fn remove(&mut self, key: Key) -> bool {
        let Some(entry) = self.entries.remove(&key) else {
            return false;
        };
        self.by_use.remove(&entry.last_use);
        self.bytes -= entry.bytes;
        true
    }

    fn get(&mut self, key: Key) -> Option<Held> {
        let Some(entry) = self.entries.get_mut(&key) else {
            self.counts.misses += 1;
            return None;
        };
        self.counts.hits += 1;
        self.by_use.remove(&entry.last_use);
        self.uses += 1;
        entry.last_use = self.uses;
        self.by_use.insert(self.uses, key);
        Some(entry.held.clone())
    }

    fn put(&mut self, key: Key, held: Held, usage: Use, bytes_max: usize) {
        self.remove(key);
        let bytes = held.bytes();
        if usage == Use::Scan && self.bytes + bytes > bytes_max {
            self.scanned += 1;
            if !self.scanned.is_multiple_of(SCANS_PER_ENTRY) {
                return;
            }
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key);
        let last_use = self.uses;
        let entry = Entry {
            held,
            bytes,
            last_use,
        };
        self.entries.insert(key, entry);
        self.shrink(bytes_max);
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

    /// Columns by their ids, as far as they are there.
    pub(crate) fn columns(&self, ids: &[u32]) -> Vec<Option<ArrayRef>> {
        let mut state = self.cache.state.lock();
        let columns = ids
            .iter()
            .map(|&id| match state.get((self.id, Part::Column(id)))? {
                Held::Column(column) => Some(column),
                Held::FilterPage(_) | Held::Keys(_) => None,
            });
        columns.collect()
    }

    /// True if a column is there; that is no use of it.
    pub(crate) fn has_column(&self, id: u32) -> bool {
        self.has(Part::Column(id))
    }

    pub(crate) fn put_column(&self, id: u32, column: &ArrayRef, usage: Use) {
        let held = Held::Column(column.clone());
        self.put(Part::Column(id), held, usage);
    }

    /// A page of the filter of a column, if it is there.
    pub(crate) fn filter_page(&self, id: u32, number: usize) -> Option<Bytes> {
        let mut state = self.cache.state.lock();
        match state.get((self.id, Part::FilterPage(id, number)))? {
            Held::FilterPage(page) => Some(page),
            Held::Column(_) | Held::Keys(_) => None,
        }
    }

    /// True if a page of a filter is there; that is no use of it.
    pub(crate) fn has_filter_page(&self, id: u32, number: usize) -> bool {
        self.has(Part::FilterPage(id, number))
    }

    pub(crate) fn put_filter_page(&self, id: u32, number: usize, page: &Bytes) {
        let held = Held::FilterPage(page.clone());
        self.put(Part::FilterPage(id, number), held, Use::Scan);
    }

    pub(crate) fn keys(&self) -> Option<Arc<KeyIndex>> {
        let mut state = self.cache.state.lock();
        match state.get((self.id, Part::Keys))? {
            Held::Keys(keys) => Some(keys),
            Held::Column(_) | Held::FilterPage(_) => None,
        }
    }

    pub(crate) fn put_keys(&self, keys: &Arc<KeyIndex>) {
        self.put(Part::Keys, Held::Keys(keys.clone()), Use::Again);
    }

    fn has(&self, part: Part) -> bool {
        let state = self.cache.state.lock();
        state.entries.contains_key(&(self.id, part))
    }

    fn put(&self, part: Part, held: Held, usage: Use) {
        let mut state = self.cache.state.lock();
        state.put((self.id, part), held, usage, self.cache.bytes_max);
    }
}

impl Drop for CachePlace {
    fn drop(&mut self) {
        let mut state = self.cache.state.lock();
        let of_place = (self.id, Part::Column(0))..=(self.id, Part::Keys);
        let keys: Vec<Key> = state.entries.range(of_place).map(|(&key, _)| key).collect();
        for key in keys {
            state.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    fn column() -> ArrayRef {
        Arc::new(Int64Array::from(vec![1; 1000]))
    }

    fn has(place: &CachePlace) -> bool {
        place.columns(&[7])[0].is_some()
    }

    #[test]
    fn the_least_recently_used_columns_go_first_and_the_bound_holds() {
        let one = column().get_array_memory_size();
        let cache = SegmentCache::new(3 * one);
        let places: Vec<CachePlace> = (0..4).map(|_| CachePlace::new(&cache)).collect();
        for place in &places[..3] {
            assert!(!has(place));
            place.put_column(7, &column(), Use::Again);
        }
        assert!(has(&places[0]));
        places[3].put_column(7, &column(), Use::Again);
        assert!(!has(&places[1]), "it was used least recently");
        assert!(has(&places[0]) && has(&places[2]));
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
        place.put_column(7, &column(), Use::Again);
        assert!(!has(&place));
        assert_eq!(cache.counts().bytes, 0);
    }

    #[test]
    fn a_scan_of_more_than_the_cache_holds_finds_most_of_it_again() {
        let one = column().get_array_memory_size();
        let cache = SegmentCache::new(50 * one);
        let places: Vec<CachePlace> = (0..100).map(|_| CachePlace::new(&cache)).collect();
        let mut found = 0;
        for _ in 0..10 {
            for place in &places {
                match has(place) {
                    true => found += 1,
                    false => place.put_column(7, &column(), Use::Scan),
                }
            }
        }
        assert!(found > 300, "only {found} of 900 were there");
        assert_eq!(cache.counts().bytes, 50 * one as u64);
    }
}
