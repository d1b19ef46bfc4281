//! Which rows of an epoch can be among the first at all, found before they are
//! encoded.

use super::*;

/// Rows of an epoch are compared with each other before they are encoded if so
/// many are wanted at most.
pub(super) const EARLY_LAST_MAX: u64 = 64;

impl Shard {
    /// Rows of the shard that are not behind the last wanted one by their order
    /// columns, neither of the epochs before nor of this one.
    fn promising(
        &self,
        last: usize,
        rows: &[u32],
        keys: &Keys<'_>,
        orders: &EncodedRows,
    ) -> Vec<u32> {
        /// Of one partition: its last row that counts, and the first of the
        /// epoch's rows in order.
        struct Seen<'a> {
            key_row: u32,
            boundary: Option<&'a Boundary>,
            first: Vec<u32>,
        }
        let mut index: HashTable<u32> = HashTable::new();
        let mut seen: Vec<Seen<'_>> = Vec::new();
        let mut slots = Vec::with_capacity(rows.len());
        for &row in rows {
            let (hash, key) = keys.get(row);
            let is_key = |&slot: &u32| keys.get(seen[slot as usize].key_row).1 == key;
            let slot = match index.find(hash, is_key) {
                Some(&slot) => slot,
                None => {
                    let slot = seen.len() as u32;
                    let known = |&slot: &u32| *self.partitions[slot as usize].key == *key;
                    let known = self.index.find(hash, known);
                    let partition = known.map(|&slot| &self.partitions[slot as usize]);
                    seen.push(Seen {
                        key_row: row,
                        boundary: partition.and_then(|found| found.boundary.as_ref()),
                        first: Vec::new(),
                    });
                    let hash_of = |&slot: &u32| keys.get(seen[slot as usize].key_row).0;
                    index.insert_unique(hash, slot, hash_of);
                    slot
                }
            };
            slots.push(slot);
            let of_key = &mut seen[slot as usize];
            let order = orders.get(row as usize);
            let is_behind = of_key.boundary.is_some_and(|boundary| {
                let length = order.len().min(boundary.row.len());
                *order > boundary.row[..length]
            });
            let first = &mut of_key.first;
            let place = first.partition_point(|&other| orders.get(other as usize) <= order);
            if !is_behind && place < last {
                first.truncate(last - 1);
                first.insert(place, row);
            }
        }
        let mut kept = Vec::new();
        for (&row, slot) in rows.iter().zip(slots) {
            let of_key = &seen[slot as usize];
            // Rows that are equal in order are told apart by their other columns.
            let is_promising = match of_key.first.get(last - 1) {
                Some(&worst) => orders.get(row as usize) <= orders.get(worst as usize),
                None => of_key.boundary.is_none_or(|boundary| {
                    let order = orders.get(row as usize);
                    *order <= boundary.row[..order.len().min(boundary.row.len())]
                }),
            };
            if is_promising {
                kept.push(row);
            }
        }
        kept
    }
}

/// Keys of the epoch's rows, with their hashes.
struct Keys<'a> {
    hashes: &'a [u64],
    keys: &'a EncodedRows,
}

impl Keys<'_> {
    fn get(&self, row: u32) -> (u64, &[u8]) {
        (self.hashes[row as usize], self.keys.get(row as usize))
    }
}

impl TopK {
    /// The rows that may be wanted, where that can be told before they are
    /// encoded.
    pub(super) fn promising(
        &mut self,
        threads: usize,
        input: &Delta,
    ) -> Result<Option<Delta>, EngineError> {
        let Some(codec) = &self.early_codec else {
            return Ok(None);
        };
        let columns = input.rows().columns();
        let pick = |positions: &[usize]| -> Vec<ArrayRef> {
            let columns = positions.iter().map(|&column| columns[column].clone());
            columns.collect()
        };
        let keys = self
            .key_codec
            .encode(&pick(&self.spec.partition), input.len())?;
        let orders = codec.encode(
            &pick(&self.row_columns[..self.spec.order.len()]),
            input.len(),
        )?;
        let hashes = keys.hashes();
        let sharded = ShardedRows::new(&hashes, None);
        let last = self.spec.last as usize;
        let keys = Keys {
            hashes: &hashes,
            keys: &keys,
        };
        let kept = for_each_shard(threads, input.len(), &mut self.shards, |number, shard| {
            shard.promising(last, sharded.of_shard(number), &keys, &orders)
        });
        let mut kept: Vec<u32> = kept.into_iter().flatten().collect();
        if kept.len() == input.len() {
            return Ok(None);
        }
        kept.sort_unstable();
        Ok(Some(input.take(&UInt32Array::from(kept))?))
    }
}
