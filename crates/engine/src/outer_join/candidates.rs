//! Pairs that a further condition is asked of, and what it changes for their rows.

use hashbrown::HashMap;
use sluice_core::VIRTUAL_SHARDS;

use super::{ChosenRows, SideOutput};
use crate::arrangement::{Arrangement, EntryRef, RowRef};
use crate::join::Pairs;
use crate::partner_weights::PartnerWeights;

/// A row of one side that the epoch may give or take partners.
pub(super) struct RowChange<'a> {
    shard: usize,
    bytes: &'a [u8],
    old_weight: i64,
    weight: i64,
    pub(super) partner_change: i64,
    /// Change of the weight of the rows on which the condition fails.
    pub(super) failure_change: i64,
}

/// Rows of one side, each once, in the order in which they were met.
#[derive(Default)]
pub(super) struct RowChanges<'a> {
    numbers: HashMap<&'a [u8], usize>,
    pub(super) changes: Vec<RowChange<'a>>,
}

impl<'a> RowChanges<'a> {
    fn number(&mut self, shard: usize, row: RowRef<'a>) -> usize {
        let changes = &mut self.changes;
        *self.numbers.entry(row.bytes).or_insert_with(|| {
            changes.push(RowChange {
                shard,
                bytes: row.bytes,
                old_weight: row.old_weight,
                weight: row.weight,
                partner_change: 0,
                failure_change: 0,
            });
            changes.len() - 1
        })
    }

    /// Brings the partner weights of a side up to date and gives out what
    /// changes.
    pub(super) fn choose(
        self,
        side: u8,
        output: SideOutput,
        partner_weights: &mut PartnerWeights,
        chosen: &mut ChosenRows<'a>,
    ) {
        if output == SideOutput::Nothing {
            return;
        }
        for row in self.changes {
            let exists = row.weight != 0;
            let (partners_before, partners_after) =
                partner_weights.change(row.shard, side, row.bytes, row.partner_change, exists);
            let (failures_before, failures_after) = partner_weights.change_failures(
                row.shard,
                side,
                row.bytes,
                row.failure_change,
                exists,
            );
            let given = |weight: i64, partners: i64, failures: i64| match (partners, failures) {
                (0, 0) => (weight, false),
                (0, _) => (0, false),
                _ => (weight, true),
            };
            chosen.change(
                output,
                row.bytes,
                given(row.old_weight, partners_before, failures_before),
                given(row.weight, partners_after, failures_after),
            );
        }
    }
}

/// A pair that may come, go or change its weight, and what each of its rows
/// gains by it in partners if the condition holds.
pub(super) struct Meeting {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) left_gains: i64,
    pub(super) right_gains: i64,
}

/// All pairs of changed rows with the rows of their key: ΔA⋈B and (A+ΔA)⋈ΔB.
#[derive(Default)]
pub(super) struct Candidates<'a> {
    pub(super) pairs: Pairs<'a>,
    pub(super) meetings: Vec<Meeting>,
    pub(super) left_rows: RowChanges<'a>,
    pub(super) right_rows: RowChanges<'a>,
}

impl<'a> Candidates<'a> {
    pub(super) fn find(left: &'a Arrangement, right: &'a Arrangement) -> Self {
        let mut found = Self::default();
        for shard in 0..VIRTUAL_SHARDS {
            let (left_shard, right_shard) = (&left.shards[shard], &right.shards[shard]);
            if left.current.is_some() {
                for (entry, row) in left_shard.changed_rows() {
                    let number = found.left_rows.number(shard, row);
                    let others = right_shard.find(entry.hash(), entry.key());
                    for other in others.iter().flat_map(EntryRef::rows) {
                        if other.old_weight == 0 {
                            continue;
                        }
                        let change = row.weight - row.old_weight;
                        let is_new = row.old_weight == 0;
                        let right = found.right_rows.number(shard, other);
                        found
                            .pairs
                            .push(row.bytes, other.bytes, change * other.old_weight);
                        found.meetings.push(Meeting {
                            left: number,
                            right,
                            left_gains: if is_new { other.old_weight } else { 0 },
                            right_gains: change,
                        });
                    }
                }
            }
            if right.current.is_some() {
                for (entry, row) in right_shard.changed_rows() {
                    let number = found.right_rows.number(shard, row);
                    let others = left_shard.find(entry.hash(), entry.key());
                    for other in others.iter().flat_map(EntryRef::rows) {
                        if other.weight == 0 {
                            continue;
                        }
                        let change = row.weight - row.old_weight;
                        let is_new = row.old_weight == 0;
                        let left = found.left_rows.number(shard, other);
                        found
                            .pairs
                            .push(other.bytes, row.bytes, other.weight * change);
                        found.meetings.push(Meeting {
                            left,
                            right: number,
                            left_gains: change,
                            right_gains: if is_new { other.weight } else { 0 },
                        });
                    }
                }
            }
        }
        found
    }
}
