//! The rows of a partition that are wanted, and how they differ from before.

use super::*;

/// Rows that enter or leave the output.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) keys: Vec<Arc<[u8]>>,
    pub(super) rows: Vec<RowBytes>,
    pub(super) numbers: Vec<u64>,
    pub(super) weights: Vec<i64>,
}

impl Changes {
    pub(super) fn push(&mut self, key: &Arc<[u8]>, ranked: &Ranked, sign: i64) {
        self.keys.push(key.clone());
        self.rows.push(ranked.row.clone());
        self.numbers.push(ranked.number);
        self.weights.push(sign * ranked.copies);
    }

    /// The difference of two lists, both in order.
    pub(super) fn push_difference(&mut self, key: &Arc<[u8]>, before: &[Ranked], after: &[Ranked]) {
        let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => (&old.row, old.number).cmp(&(&new.row, new.number)),
            };
            match order {
                Ordering::Less => {
                    if let Some(old) = old.next() {
                        self.push(key, old, -1);
                    }
                }
                Ordering::Greater => {
                    if let Some(new) = new.next() {
                        self.push(key, new, 1);
                    }
                }
                Ordering::Equal => {
                    if let (Some(old), Some(new)) = (old.next(), new.next())
                        && old.copies != new.copies
                    {
                        self.push(key, old, -1);
                        self.push(key, new, 1);
                    }
                }
            }
        }
    }
}

impl TopKSpec {
    /// Whether a row can change the wanted ones of `partition`.
    pub(super) fn counts(&self, partition: &Partition, row: &[u8], order_length: usize) -> bool {
        let Some(boundary) = &partition.boundary else {
            return true;
        };
        let compared = match self.ranking {
            Ranking::RowNumber => row,
            // A row equal to the last one in order has its rank.
            Ranking::Rank | Ranking::DenseRank => &row[..order_length],
        };
        *compared <= boundary.row[..boundary.length]
    }

    /// The wanted rows in order, and the last row that counts.
    pub(super) fn wanted(
        &self,
        partition: &Partition,
    ) -> Result<(Vec<Ranked>, Option<Boundary>), EngineError> {
        let mut wanted = Vec::new();
        let mut boundary = None;
        // Rows and groups of equal rows seen, and the number of the group.
        let (mut seen, mut groups, mut number) = (0_u64, 0_u64, 0_u64);
        let mut last_order: Option<&[u8]> = None;
        let mut is_full = false;
        for (row, stored) in &partition.rows {
            let Ok(copies) = u64::try_from(stored.weight) else {
                return Err(EngineError::Invariant(format!(
                    "an ordered row is there {} times; a row was retracted that was never added",
                    stored.weight
                )));
            };
            let order_length = stored.order_length as usize;
            if self.ranking == Ranking::RowNumber {
                let from = self.first.max(seen + 1);
                let to = self.last.min(seen + copies);
                self.push_numbered(&mut wanted, row, from, to);
                boundary = Some((row, row.len()));
                seen += copies;
                is_full = seen >= self.last;
                if is_full {
                    break;
                }
                continue;
            }
            let order = &row[..order_length];
            if last_order != Some(order) {
                last_order = Some(order);
                groups += 1;
                number = match self.ranking {
                    Ranking::DenseRank => groups,
                    Ranking::Rank | Ranking::RowNumber => seen + 1,
                };
            }
            if number > self.last {
                is_full = true;
                break;
            }
            boundary = Some((row, order_length));
            seen += copies;
            if number >= self.first {
                wanted.push(Ranked {
                    row: row.clone(),
                    number: if self.with_number { number } else { 0 },
                    copies: stored.weight,
                });
            }
        }
        is_full |= match self.ranking {
            Ranking::RowNumber | Ranking::Rank => seen >= self.last,
            Ranking::DenseRank => groups >= self.last,
        };
        let boundary = boundary.filter(|_| is_full);
        let boundary = boundary.map(|(row, length)| Boundary {
            row: row.clone(),
            length,
        });
        Ok((wanted, boundary))
    }

    pub(super) fn push_numbered(
        &self,
        wanted: &mut Vec<Ranked>,
        row: &RowBytes,
        from: u64,
        to: u64,
    ) {
        if from > to {
            return;
        }
        if !self.with_number {
            wanted.push(Ranked {
                row: row.clone(),
                number: 0,
                copies: (to - from + 1) as i64,
            });
            return;
        }
        wanted.extend((from..=to).map(|number| Ranked {
            row: row.clone(),
            number,
            copies: 1,
        }));
    }
}
