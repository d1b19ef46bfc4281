//! `JOIN LOOKUP(table)`: each new row of a log meets the right side as it is at
//! the end of the row's epoch. A later change of the right side changes nothing
//! that came out, so nothing of the left side is kept.

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use sluice_core::{Delta, shard_of_hash};

use crate::EngineError;
use crate::operator::{Operator, StepContext};

/// See the module.
pub(crate) struct LookupJoin {
    pub(crate) is_left: bool,
    /// Key columns of the left side.
    pub(crate) left_keys: Vec<usize>,
    /// The arrangement of the right side.
    pub(crate) right: usize,
    pub(crate) schema: SchemaRef,
}

impl Operator for LookupJoin {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let left = inputs[0];
        if left.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let right = &context.arrangements[self.right];
        let columns = left.rows().columns();
        let key_columns: Vec<ArrayRef> = self
            .left_keys
            .iter()
            .map(|&key| columns[key].clone())
            .collect();
        let keys = right.encode_keys(&key_columns, left.len())?;
        let nothing = right.row_codec.encode_null()?;
        let mut left_rows: Vec<u32> = Vec::new();
        let mut right_rows: Vec<&[u8]> = Vec::new();
        let mut weights = Vec::new();
        for (row, hash) in keys.hashes().into_iter().enumerate() {
            let weight = left.weights()[row];
            let has_key = key_columns.iter().all(|column| column.is_valid(row));
            let shard = &right.shards[shard_of_hash(hash)];
            let entry = has_key.then(|| shard.find(hash, keys.get(row))).flatten();
            let before = weights.len();
            for partner in entry.into_iter().flat_map(|entry| entry.rows()) {
                if partner.weight != 0 {
                    left_rows.push(row as u32);
                    right_rows.push(partner.bytes);
                    weights.push(weight * partner.weight);
                }
            }
            if self.is_left && weights.len() == before {
                left_rows.push(row as u32);
                right_rows.push(&nothing);
                weights.push(weight);
            }
        }
        let left_batch = take_record_batch(left.rows(), &UInt32Array::from(left_rows))?;
        let mut joined = left_batch.columns().to_vec();
        let right_count = self.schema.fields().len() - joined.len();
        if weights.is_empty() {
            let types = self.schema.fields().iter().rev().take(right_count).rev();
            joined.extend(types.map(|field| new_null_array(field.data_type(), 0)));
        } else {
            joined.extend(right.row_codec.decode(right_rows.into_iter())?);
        }
        let rows = RecordBatch::try_new(self.schema.clone(), joined)?;
        Ok(Delta::try_new(rows, weights)?)
    }
}
