use std::cell::Cell;

use sluice_core::shard_of_hash;

use super::*;

/// Numbers with a value each; 0 for those that are gone.
#[derive(Default)]
struct Numbers {
    values: BTreeMap<u64, u64>,
    changed: BTreeSet<u64>,
    /// As of one key that all rows have.
    are_in_one_shard: bool,
    /// Rows of bases that were saved.
    base_rows: Cell<usize>,
}

impl Numbers {
    fn shard_of(&self, number: u64) -> usize {
        match self.are_in_one_shard {
            true => 17,
            false => shard_of_hash(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        }
    }

    fn set(&mut self, number: u64, value: u64) {
        self.values.insert(number, value);
        self.changed.insert(number);
    }
}

impl SavedState for Numbers {
    fn changed_count(&self) -> usize {
        self.changed.len()
    }

    fn count(&self) -> usize {
        self.values.len()
    }

    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer) {
        for (number, value) in &self.values {
            let is_wanted = scope == SaveScope::All || self.changed.contains(number);
            if self.shard_of(*number) == shard && is_wanted {
                let is_base = usize::from(scope == SaveScope::All);
                self.base_rows.set(self.base_rows.get() + is_base);
                writer.u64(*number);
                writer.u64(*value);
            }
        }
    }

    fn forget_changes(&mut self, shard: usize) {
        let changed = self.changed.iter().copied();
        let of_shard: Vec<u64> = changed.filter(|&it| self.shard_of(it) == shard).collect();
        for number in of_shard {
            self.changed.remove(&number);
            if self.values[&number] == 0 {
                self.values.remove(&number);
            }
        }
    }

    fn load(&mut self, _shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let number = reader.u64()?;
            let value = reader.u64()?;
            self.values.insert(number, value);
            if value == 0 {
                self.values.remove(&number);
            }
        }
        Ok(())
    }
}

/// A part as programs before version 3 wrote it.
fn of_version_2(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut part = vec![2];
    if name.contains("/changes/") {
        part.extend_from_slice(&read_changes(name, bytes).unwrap());
        return part;
    }
    let (epoch, content) = read_base(name, bytes).unwrap();
    part.extend_from_slice(&epoch.to_le_bytes());
    part.extend_from_slice(&content);
    part
}

#[test]
fn checkpoints_follow_the_change_and_bring_everything_back() {
    let mut state = Numbers::default();
    let mut parts = StateParts::new("node/7".into());
    let mut stored: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for number in 0..20_000 {
        state.set(number, 1);
    }
    let mut written_later = 0;
    for epoch in 1..500_u64 {
        for step in 0..20 {
            let number = (epoch * 7_919 + step * 104_729) % 25_000;
            state.set(number, (epoch + step) % 5);
        }
        // Now and then not all that there is, and a change after it.
        for round in 0..epoch % 4 {
            parts.collect_ahead(&mut state, 3);
            state.set(epoch * 31 % 25_000, round);
        }
        for (name, bytes) in parts.save(epoch, &mut state) {
            let plain_bytes = of_version_2(&name, &bytes).len();
            written_later += if epoch > 1 { plain_bytes } else { 0 };
            stored.insert(name, bytes);
        }
        let names: BTreeSet<String> = parts.names().collect();
        stored.retain(|name, _| names.contains(name));
        assert_eq!(stored.len(), names.len(), "a part that is needed is gone");
        assert!(names.len() <= VIRTUAL_SHARDS + 2 * CHANGE_PARTS_MAX + 1);
        if epoch % 50 == 0 {
            let mut loaded = Numbers::default();
            let mut loaded_parts = StateParts::new("node/7".into());
            loaded_parts.load(&mut loaded, &stored).unwrap();
            assert_eq!(loaded.values, state.values);
            // It goes on with what was loaded.
            state = loaded;
            parts = loaded_parts;
            let names_again: BTreeSet<String> = parts.names().collect();
            assert_eq!(names_again, names);
        }
    }
    // Each wrote 20 changes, a base of 5,000 bytes at most, and little else.
    assert!(written_later < 500 * 6_500, "{written_later} bytes");
}

/// Bytes, before they are compressed, of 300 checkpoints of 1,000 changes each, of
/// 20,000 rows of 16 bytes, with a restart after every tenth; all of them, and the most of one but the
/// first.
fn written(are_in_one_shard: bool) -> (usize, usize) {
    let mut state = Numbers {
        are_in_one_shard,
        ..Numbers::default()
    };
    let mut parts = StateParts::new("node/7".into());
    let mut stored: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for number in 0..20_000 {
        state.set(number, 1);
    }
    let (mut all, mut most) = (0, 0);
    for epoch in 1..=300_u64 {
        for step in 0..1_000 {
            state.set((epoch * 1_000 + step) % 20_000, epoch + 1);
        }
        while parts.collect_ahead(&mut state, 100) > 0 && state.changed_count() > 100 {}
        let mut written = 0;
        for (name, bytes) in parts.save(epoch, &mut state) {
            written += of_version_2(&name, &bytes).len();
            stored.insert(name, bytes);
        }
        all += written;
        most = most.max(if epoch > 1 { written } else { 0 });
        let names: BTreeSet<String> = parts.names().collect();
        stored.retain(|name, _| names.contains(name));
        if epoch % 10 == 0 {
            let mut loaded = Numbers {
                are_in_one_shard,
                ..Numbers::default()
            };
            let mut loaded_parts = StateParts::new("node/7".into());
            loaded_parts.load(&mut loaded, &stored).unwrap();
            assert_eq!(loaded.values, state.values);
            (state, parts) = (loaded, loaded_parts);
        }
    }
    (all, most)
}

#[test]
fn no_checkpoint_after_a_restart_stands_out() {
    let (all, most) = written(false);
    // 16,000 bytes of changes and as many of bases, of 5,000 each.
    assert!(most < 45_000, "{most} bytes in one checkpoint");
    assert!(all < 300 * 40_000, "{all} bytes");
}

#[test]
fn state_in_one_shard_is_not_written_each_time() {
    let (all, _) = written(true);
    assert!(all < 300 * 40_000, "{all} bytes");
}

/// The names of the parts that each of 60 checkpoints of 1,000 changes wrote, and
/// the bytes of all of them, with a restart after every tenth from parts of this
/// version or the one before.
fn parts_written(is_noise: bool, is_from_version_2: bool) -> (Vec<Vec<String>>, usize) {
    let mut state = Numbers::default();
    let mut parts = StateParts::new("node/7".into());
    let mut stored: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let value = |number: u64, epoch: u64| match is_noise {
        true => (number + epoch).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        false => epoch,
    };
    for number in 0..20_000 {
        state.set(number, value(number, 1));
    }
    let (mut names, mut bytes) = (Vec::new(), 0);
    for epoch in 1..=60_u64 {
        for step in 0..1_000 {
            let number = (epoch * 1_000 + step) % 20_000;
            state.set(number, value(number, epoch + 1));
        }
        // Half of them ahead, the other half at once.
        if epoch % 2 == 0 {
            while parts.collect_ahead(&mut state, 100) > 0 && state.changed_count() > 100 {}
        }
        let saved = parts.save(epoch, &mut state);
        names.push(saved.iter().map(|(name, _)| name.clone()).collect());
        bytes += saved.iter().map(|(_, part)| part.len()).sum::<usize>();
        stored.extend(saved);
        let live: BTreeSet<String> = parts.names().collect();
        stored.retain(|name, _| live.contains(name));
        if epoch % 10 == 0 {
            if is_from_version_2 {
                for (name, part) in &mut stored {
                    *part = of_version_2(name, part);
                }
            }
            let mut loaded = Numbers::default();
            let mut loaded_parts = StateParts::new("node/7".into());
            loaded_parts.load(&mut loaded, &stored).unwrap();
            assert_eq!(loaded.values, state.values);
            (state, parts) = (loaded, loaded_parts);
        }
    }
    (names, bytes)
}

#[test]
fn what_is_due_does_not_depend_on_how_well_parts_compress() {
    let (names, bytes) = parts_written(false, false);
    let (names_of_noise, bytes_of_noise) = parts_written(true, false);
    // Of 16 bytes of a row, 2 or 10 are not easily guessed.
    assert!(bytes * 2 < bytes_of_noise, "{bytes}, {bytes_of_noise}");
    assert_eq!(names_of_noise, names);
    // Three bases of 5,000 bytes for 16,000 bytes of changes.
    let later = names[1..].iter().map(Vec::len).sum::<usize>();
    assert!((59 * 3..59 * 6).contains(&later), "{later} parts");
    assert_eq!(parts_written(false, true).0, names);
    assert_eq!(parts_written(true, true).0, names);
}

#[test]
fn damage_in_a_part_is_reported_with_its_name() {
    let mut state = Numbers::default();
    let mut parts = StateParts::new("node/7".into());
    for number in 0..20_000 {
        state.set(number, 1);
    }
    let mut stored: BTreeMap<String, Vec<u8>> = parts.save(1, &mut state).into_iter().collect();
    for number in 0..1_000 {
        state.set(number, 2);
    }
    let later = parts.save(2, &mut state);
    stored.extend(
        later
            .into_iter()
            .filter(|(name, _)| name.contains("changes")),
    );
    for name in ["node/7/17", "node/7/changes/2"] {
        let mut damaged = stored.clone();
        let part = damaged.get_mut(name).unwrap();
        assert_eq!(part[0], 3, "{name}");
        part.truncate(part.len() - 1);
        let mut loaded_parts = StateParts::new("node/7".into());
        let loaded = loaded_parts.load(&mut Numbers::default(), &damaged);
        let error = loaded.unwrap_err().to_string();
        let said = format!("the state `{name}` cannot be read: the data ends at byte");
        assert!(error.starts_with(&said), "{error}");
    }
}

#[test]
fn a_base_that_is_due_for_its_age_is_collected_ahead_too() {
    let mut state = Numbers {
        are_in_one_shard: true,
        ..Numbers::default()
    };
    let mut parts = StateParts::new("node/7".into());
    for number in 0..20_000 {
        state.set(number, 1);
    }
    let (mut bases, mut collections) = (0, 0);
    for epoch in 1..=200 {
        // Too few for the base to be due for their bytes.
        for step in 0..20 {
            state.set((epoch * 20 + step) % 20_000, epoch + 1);
        }
        state.base_rows.set(0);
        let mut is_collected = false;
        while parts.collect_ahead(&mut state, 100) > 0 {
            is_collected = true;
        }
        bases += usize::from(state.base_rows.get() >= 20_000);
        collections += usize::from(is_collected);
        state.base_rows.set(0);
        parts.save(epoch, &mut state);
        let at_once = state.base_rows.get();
        assert!(at_once == 0, "{at_once} rows between two epochs");
    }
    // The first, and one in about 65; bases of nothing are not worth it.
    assert!((2..=5).contains(&bases), "{bases}");
    assert_eq!(bases, collections);
}
