//! Partitions that have an order: of each change only the results that it can reach
//! are computed, before and after.

use super::order::{PartitionOrder, Place, RowKey};
use super::reach::{Follow, Reach};
use super::running::Position;
use super::slice::SliceImage;
use super::{Image, Window, batch_of, check_weights, row_key};
use crate::EngineError;
use crate::arrangement::{Arrangement, RowRef};
use crate::library_panics::caught;

/// How the results of a node follow a change, where those of all its calls do.
pub(super) struct Following {
    follows: Vec<Follow>,
    reach: Reach,
}

impl Following {
    pub(super) fn of(follows: Vec<Follow>) -> Self {
        Self {
            reach: Reach::of(&follows),
            follows,
        }
    }
}

impl Window {
    /// What changes with `rows` of one partition. `None` where a function fails: that is
    /// a matter of the whole partition, whose order is to be forgotten.
    pub(super) fn follow(
        &self,
        following: &Following,
        arrangement: &Arrangement,
        order: &mut PartitionOrder,
        rows: &[RowRef<'_>],
    ) -> Result<Option<Vec<Image>>, EngineError> {
        check_weights(rows)?;
        let changed = self.put_rows(arrangement, order, rows)?;
        let Some(least) = changed.first() else {
            return Ok(Some(Vec::new()));
        };
        let reach = &following.reach;
        let mut images = Vec::new();
        for part in order.touched(reach, &changed) {
            let known = match reach.is_running {
                true => order.position(least, part.start()),
                false => None,
            };
            let (running_from, position) = known.unzip();
            let position = position.unwrap_or_else(|| Position::start(following.follows.len()));
            let slice = order.slice(&part, reach, running_from.as_ref());
            let bytes = slice.rows.iter();
            let bytes = bytes.map(|(key, place)| &key[place.order_length..]);
            let columns = arrangement.row_codec.decode(bytes)?;
            let batch = batch_of(&self.spec.input_schema, columns, slice.rows.len())?;
            let before = SliceImage::new(&slice, &batch, |place| place.before)?;
            let after = SliceImage::new(&slice, &batch, |place| place.after)?;
            let wanted = match reach.is_running && !after.is_empty() {
                true => order.wanted_positions(position.rows, &after.groups),
                false => Vec::new(),
            };
            for (image, weight, wanted) in [(&before, -1, &[][..]), (&after, 1, &wanted[..])] {
                if image.is_empty() {
                    continue;
                }
                let (calls, follows) = (&self.spec.calls, &following.follows);
                let results = caught(|| image.evaluate(calls, follows, &position, wanted));
                let Ok(results) = results else {
                    return Ok(None);
                };
                for (&group, position) in wanted.iter().zip(results.positions) {
                    order.know_position(image.group_keys[group].clone(), position);
                }
                let rows = image.changed_rows();
                let mut columns = rows.columns().to_vec();
                columns.extend(results.columns);
                images.push(Image {
                    rows: batch_of(&self.schema, columns, rows.num_rows())?,
                    weight,
                    failures: Vec::new(),
                    failed: Vec::new(),
                    rows_evaluated: image.row_count() as u64,
                });
            }
        }
        order.settle(&changed);
        Ok(Some(images))
    }

    /// Puts the epoch's rows into the order; their keys, in order.
    fn put_rows(
        &self,
        arrangement: &Arrangement,
        order: &mut PartitionOrder,
        rows: &[RowRef<'_>],
    ) -> Result<Vec<RowKey>, EngineError> {
        let bytes = rows.iter().map(|row| row.bytes);
        let columns = arrangement.row_codec.decode(bytes)?;
        let orders = self.orders_of(&columns, rows.len())?;
        let mut changed = Vec::with_capacity(rows.len());
        for (number, row) in rows.iter().enumerate() {
            let columns = orders.get(number);
            let place = Place {
                order_length: columns.len(),
                before: row.old_weight,
                after: row.weight,
            };
            changed.push(order.put(row_key(columns, row.bytes), place));
        }
        changed.sort_unstable();
        Ok(changed)
    }
}
