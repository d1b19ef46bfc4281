//! Which groups or keys of a shard are how old, so that those of closed windows
//! are found without looking at the others.

use std::collections::BTreeMap;

use arrow::array::Int64Array;
use sluice_memory::StateVec;

/// A slot without a time.
const NONE: i64 = i64::MAX;

/// Slots by time. A slot that was given up and taken again may stand under both
/// times; only the last one counts.
#[derive(Debug, Default)]
pub(crate) struct TimesOfSlots {
    times: StateVec<i64>,
    slots: BTreeMap<i64, Vec<u32>>,
}

impl TimesOfSlots {
    /// Notes the time of a slot that holds something. A slot without a time is
    /// noted, too: it may have been given up by something that had one.
    pub(crate) fn note(&mut self, slot: u32, time: Option<i64>) {
        let index = slot as usize;
        let time = time.unwrap_or(NONE);
        if self.times.len() <= index {
            self.times.resize(index + 1, NONE);
        }
        if self.times[index] != time {
            self.times[index] = time;
            if time != NONE {
                self.slots.entry(time).or_default().push(slot);
            }
        }
    }

    /// Notes the times of many slots.
    pub(crate) fn note_all(&mut self, slots: &[u32], times: &Int64Array) {
        for (&slot, time) in slots.iter().zip(times) {
            self.note(slot, time);
        }
    }

    /// Memory taken, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let lists = self.slots.values();
        let lists = lists.map(|list| list.capacity() * size_of::<u32>() + size_of::<Vec<u32>>());
        self.times.capacity() * size_of::<i64>() + lists.sum::<usize>()
    }

    /// Takes out the slots of times before `first_kept`. Some may have been
    /// given up since.
    pub(crate) fn take_before(&mut self, first_kept: i64) -> Vec<u32> {
        let mut taken = Vec::new();
        while let Some(entry) = self.slots.first_entry() {
            let time = *entry.key();
            if time >= first_kept {
                break;
            }
            for slot in entry.remove() {
                let known = &mut self.times[slot as usize];
                if *known == time {
                    *known = NONE;
                    taken.push(slot);
                }
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_counts_under_its_last_time_only() {
        let mut times = TimesOfSlots::default();
        for (slot, time) in [(0, 10), (1, 10), (0, 30), (1, 10), (2, 20)] {
            times.note(slot, Some(time));
        }
        assert_eq!(times.take_before(10), [0_u32; 0]);
        assert_eq!(times.take_before(21), [1, 2]);
        times.note(2, Some(20));
        assert_eq!(times.take_before(i64::MAX), [2, 0]);
        times.note(0, Some(40));
        times.note(0, None);
        assert_eq!(times.take_before(i64::MAX), [0_u32; 0]);
    }
}
