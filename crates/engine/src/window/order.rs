//! The rows of one partition in the order of the window, and positions in it at which
//! running results are known.
//!
//! It follows from the rows of the arrangement, so that no checkpoint holds it. While
//! an epoch is computed, it holds the rows of both moments.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem::size_of;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use sluice_memory::OrderedBytes;

use super::reach::Reach;
use super::running::{CallState, Position};

/// A row in byte form behind its ORDER BY columns, so that bytes order as the rows do.
pub(super) type RowKey = Arc<[u8]>;

/// Partitions with fewer rows have no order: they are computed as a whole.
pub(super) const ORDERED_ROWS_MIN: usize = 128;
/// About so many rows lie between two positions.
const POSITION_ROWS: u64 = 256;
/// What a row takes besides its bytes: its place in the tree and its counts.
const ROW_OVERHEAD_BYTES: usize = 80;

/// How often a row is there, and how many of its bytes are ORDER BY columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) order_length: usize,
    /// Without the epoch's changes.
    pub(super) before: i64,
    /// With them.
    pub(super) after: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct PartitionOrder {
    rows: BTreeMap<RowKey, Place>,
    /// What is known of all rows before each of these keys, none of which ORDER BY
    /// leaves equal to a row that is not before it.
    positions: BTreeMap<RowKey, Position>,
    bytes: OrderedBytes,
}

/// Some rows that follow each other, those among them whose results can have changed,
/// and where their computation begins.
pub(super) struct Slice<'a> {
    pub(super) rows: Vec<(&'a RowKey, Place)>,
    /// The rows whose results can have changed.
    pub(super) changed: Range<usize>,
    /// From which row on results of near rows are computed.
    pub(super) near_from: usize,
    /// From which row on running results are computed.
    pub(super) running_from: usize,
}

impl PartitionOrder {
    /// Number of rows that differ.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Memory taken, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Puts a row into its place.
    pub(super) fn put(&mut self, key: Vec<u8>, place: Place) -> RowKey {
        match self.rows.entry(key.into()) {
            Entry::Occupied(mut known) => {
                *known.get_mut() = place;
                known.key().clone()
            }
            Entry::Vacant(free) => {
                let key = free.key().clone();
                self.bytes.add(key.len() + ROW_OVERHEAD_BYTES);
                free.insert(place);
                key
            }
        }
    }

    /// Ends the epoch for the rows that it changed.
    pub(super) fn settle(&mut self, changed: &[RowKey]) {
        for key in changed {
            let Some(place) = self.rows.get_mut(key) else {
                continue;
            };
            place.before = place.after;
            if place.after == 0 {
                self.rows.remove(key);
                self.bytes.remove(key.len() + ROW_OVERHEAD_BYTES);
            }
        }
    }

    /// The first and last rows of the parts whose results can change with `changed`,
    /// which are in order.
    pub(super) fn touched(&self, reach: &Reach, changed: &[RowKey]) -> Vec<RangeInclusive<RowKey>> {
        let mut parts: Vec<(RowKey, RowKey)> = Vec::new();
        for key in changed {
            let mut first = self.back(key, reach.ahead);
            let mut last = self.ahead(key, reach.back);
            if reach.by_peers {
                first = self.first_peer(&first);
                last = self.last_peer(&last);
            }
            if reach.is_running {
                let end = self.rows.last_key_value();
                last = end.map_or(last, |(key, _)| key.clone());
                return vec![first..=last; 1];
            }
            match parts.last_mut() {
                Some((_, end)) if *end >= first => *end = last.max(end.clone()),
                _ => parts.push((first, last)),
            }
        }
        let parts = parts.into_iter();
        parts.map(|(first, last)| first..=last).collect()
    }

    /// The row before which `count` rows lie between it and `key`, at both moments;
    /// the first row if there are fewer.
    fn back(&self, key: &RowKey, count: usize) -> RowKey {
        let rows = self.rows.range::<[u8], _>((Unbounded, Excluded(&**key)));
        farthest(rows.rev(), key, count)
    }

    fn ahead(&self, key: &RowKey, count: usize) -> RowKey {
        let rows = self.rows.range::<[u8], _>((Excluded(&**key), Unbounded));
        farthest(rows, key, count)
    }

    fn order_of<'a>(&self, key: &'a RowKey) -> &'a [u8] {
        let place = self.rows.get(key);
        place.map_or(&**key, |place| &key[..place.order_length])
    }

    fn first_peer(&self, key: &RowKey) -> RowKey {
        let order = self.order_of(key);
        let mut rows = self.rows.range::<[u8], _>((Included(order), Unbounded));
        rows.next().map_or(key, |(first, _)| first).clone()
    }

    fn last_peer(&self, key: &RowKey) -> RowKey {
        let order = self.order_of(key);
        let rows = self.rows.range::<[u8], _>((Included(&**key), Unbounded));
        let peers = rows.take_while(|(row, _)| row.starts_with(order));
        peers.last().map_or(key, |(last, _)| last).clone()
    }

    /// The rows that are needed to compute the results of `part`. Running results are
    /// computed from `running_from` on; from the first row of all where it is `None`.
    pub(super) fn slice(
        &self,
        part: &RangeInclusive<RowKey>,
        reach: &Reach,
        running_from: Option<&RowKey>,
    ) -> Slice<'_> {
        let near_from = self.back(part.start(), reach.back);
        let last = self.ahead(part.end(), reach.ahead);
        let running_from = match (reach.is_running, running_from) {
            (false, _) => part.start().clone(),
            (true, Some(key)) => key.clone(),
            (true, None) => {
                let first = self.rows.first_key_value();
                first.map_or(part.start(), |(key, _)| key).clone()
            }
        };
        let first = std::cmp::min(&near_from, &running_from);
        let rows = self
            .rows
            .range::<[u8], _>((Included(&**first), Included(&*last)));
        let rows: Vec<(&RowKey, Place)> = rows.map(|(key, &place)| (key, place)).collect();
        let place_of = |key: &RowKey| rows.partition_point(|(row, _)| *row < key);
        let end = rows.partition_point(|(row, _)| *row <= part.end());
        Slice {
            changed: place_of(part.start())..end,
            near_from: place_of(&near_from),
            running_from: place_of(&running_from),
            rows,
        }
    }
}

/// The row that ends `count` of `rows` at both moments; `key` where that is none.
fn farthest<'a>(
    rows: impl Iterator<Item = (&'a RowKey, &'a Place)>,
    key: &'a RowKey,
    count: usize,
) -> RowKey {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let (mut before, mut after) = (0_i64, 0_i64);
    let mut farthest = key;
    for (row, place) in rows {
        if before.min(after) >= count {
            break;
        }
        before = before.saturating_add(place.before);
        after = after.saturating_add(place.after);
        farthest = row;
    }
    farthest.clone()
}

impl PartitionOrder {
    /// Forgets what a change of `key` makes untrue, and gives the last position that is
    /// not behind `start`.
    pub(super) fn position(&mut self, key: &RowKey, start: &RowKey) -> Option<(RowKey, Position)> {
        let behind = self
            .positions
            .range::<[u8], _>((Excluded(&**key), Unbounded));
        let untrue: Vec<RowKey> = behind.map(|(key, _)| key.clone()).collect();
        for key in untrue {
            self.forget_position(&key);
        }
        let mut known = self
            .positions
            .range::<[u8], _>((Unbounded, Included(&**start)));
        let (key, position) = known.next_back()?;
        Some((key.clone(), position.clone()))
    }

    /// Which of the groups of rows that begin behind `rows_before` rows at `groups` are
    /// to become positions: some on the way, and the last, at which the next rows
    /// mostly come. The one that was the last until now goes if it is near another.
    pub(super) fn wanted_positions(&mut self, rows_before: u64, groups: &[usize]) -> Vec<usize> {
        let mut newest = self.positions.values().rev().map(|known| known.rows);
        let last = newest.next();
        let earlier = newest.next().unwrap_or_default();
        let mut known_rows = last.unwrap_or_default();
        if last.is_some_and(|rows| rows < earlier + POSITION_ROWS)
            && let Some((key, _)) = self.positions.last_key_value()
        {
            let key = key.clone();
            self.forget_position(&key);
            known_rows = earlier;
        }
        let mut wanted = Vec::new();
        for (group, &start) in groups.iter().enumerate() {
            let rows = rows_before + start as u64;
            if rows >= known_rows + POSITION_ROWS || group + 1 == groups.len() {
                wanted.push(group);
                known_rows = rows;
            }
        }
        wanted
    }

    pub(super) fn know_position(&mut self, key: RowKey, position: Position) {
        self.forget_position(&key);
        self.bytes.add(position_bytes(&position));
        self.positions.insert(key, position);
    }

    fn forget_position(&mut self, key: &RowKey) {
        if let Some(position) = self.positions.remove(key) {
            self.bytes.remove(position_bytes(&position));
        }
    }
}

/// What a position takes, about; its key is that of a row.
fn position_bytes(position: &Position) -> usize {
    ROW_OVERHEAD_BYTES + position.states.len() * 2 * size_of::<CallState>()
}
