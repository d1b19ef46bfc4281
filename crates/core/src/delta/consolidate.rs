//! Adding up the weights of equal rows.
//!
//! To compare rows they are brought into one byte form, which costs most of it.
//! Only a row that is there with both signs can vanish, so that rows are first
//! told apart by a cheap hash of their columns: those that no row of the other
//! sign can equal are kept as they are.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{filter_record_batch, take_arrays};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt64Type,
};
use arrow::row::{RowConverter, SortField};

use super::{Delta, DeltaError};
use crate::stable_hash;

/// One row of so many must be left out for that to pay.
const SAVED_SHARE: usize = 8;
/// Marks for each row of the rarer sign, so that few others meet one by chance.
const MARKS_A_ROW: usize = 16;

impl Delta {
    /// Drops what cancels out: where a row is there with both signs its weights
    /// are added up. The order of first appearance is kept, so that the result
    /// is deterministic.
    ///
    /// # Errors
    /// When the rows hold a type that cannot be compared.
    pub fn consolidate(mut self) -> Result<Self, DeltaError> {
        // Only adding, as most epochs of a log do, cannot cancel out.
        let is_one_sign = || {
            self.weights.iter().all(|&weight| weight > 0)
                || self.weights.iter().all(|&weight| weight < 0)
        };
        if self.is_consolidated || is_one_sign() {
            self.is_consolidated = true;
            return Ok(self);
        }
        if self.rows.num_columns() == 0 {
            let total: i64 = self.weights.iter().sum();
            let keep = usize::from(total != 0);
            let options = RecordBatchOptions::new().with_row_count(Some(keep));
            let rows = RecordBatch::try_new_with_options(self.rows.schema(), vec![], &options)?;
            return Ok(Self::try_new(rows, vec![total; keep])?.known_consolidated());
        }
        let mut totals = self.weights.clone();
        match rows_to_compare(self.rows.columns(), &self.weights) {
            None => add_up(self.rows.columns(), &mut totals)?,
            Some(places) => {
                let compared = UInt32Array::from(places);
                let columns = take_arrays(self.rows.columns(), &compared, None)?;
                let places = compared.values().iter().map(|&place| place as usize);
                let mut of_compared: Vec<i64> =
                    places.clone().map(|place| self.weights[place]).collect();
                add_up(&columns, &mut of_compared)?;
                for (place, total) in places.zip(of_compared) {
                    totals[place] = total;
                }
            }
        }
        if !totals.contains(&0) {
            return Ok(Self::try_new(self.rows, totals)?.known_consolidated());
        }
        let keep: BooleanArray = totals.iter().map(|&total| Some(total != 0)).collect();
        let rows = filter_record_batch(&self.rows, &keep)?;
        let weights = totals.into_iter().filter(|&total| total != 0).collect();
        Ok(Self::try_new(rows, weights)?.known_consolidated())
    }
}

/// Gives the first of equal rows the sum of their weights, and the others 0.
fn add_up(columns: &[ArrayRef], weights: &mut [i64]) -> Result<(), DeltaError> {
    let fields = columns
        .iter()
        .map(|column| SortField::new(column.data_type().clone()))
        .collect();
    let converter = RowConverter::new(fields)?;
    let keys = converter.convert_columns(columns)?;
    // Row numbers by hash, with linear probing: at most half full.
    const VACANT: usize = usize::MAX;
    let slot_count = (2 * weights.len()).next_power_of_two();
    let mut slots = vec![VACANT; slot_count];
    for index in 0..weights.len() {
        let row = keys.row(index);
        let mut slot = stable_hash(row.data()) as usize & (slot_count - 1);
        while slots[slot] != VACANT && keys.row(slots[slot]) != row {
            slot = (slot + 1) & (slot_count - 1);
        }
        match slots[slot] {
            VACANT => slots[slot] = index,
            first => weights[first] += std::mem::take(&mut weights[index]),
        }
    }
    Ok(())
}

/// The rows that may equal one of the other sign; `None` for all of them, where
/// leaving the others out would not pay.
fn rows_to_compare(columns: &[ArrayRef], weights: &[i64]) -> Option<Vec<u32>> {
    let negative = weights.iter().filter(|&&weight| weight < 0).count();
    let rarer = negative.min(weights.len() - negative);
    let is_rarer = |weight: i64| (weight < 0) == (rarer == negative);
    let mut hashes = vec![0_u64; weights.len()];
    let mut is_hashed = false;
    for column in columns {
        is_hashed |= hash_column(column, &mut hashes);
    }
    if !is_hashed {
        return None;
    }
    let mark_count = (MARKS_A_ROW * rarer).next_power_of_two().max(64);
    let shift = 64 - mark_count.trailing_zeros();
    let mut marks = vec![0_u64; mark_count / 64];
    for (&hash, &weight) in hashes.iter().zip(weights) {
        if is_rarer(weight) {
            let mark = (hash >> shift) as usize;
            marks[mark / 64] |= 1 << (mark % 64);
        }
    }
    let is_marked = |hash: u64| {
        let mark = (hash >> shift) as usize;
        marks[mark / 64] & (1 << (mark % 64)) != 0
    };
    let places: Vec<u32> = (0_u32..)
        .zip(&hashes)
        .filter(|&(_, &hash)| is_marked(hash))
        .map(|(place, _)| place)
        .collect();
    (places.len() + weights.len() / SAVED_SHARE <= weights.len()).then_some(places)
}

/// Mixes a column into the hashes of the rows; false if its type is not one of
/// those that are quick to hash. Equal values have equal hashes, whatever lies
/// under a null.
fn hash_column(column: &ArrayRef, hashes: &mut [u64]) -> bool {
    match column.data_type() {
        DataType::Int64 => mix::<Int64Type>(column, hashes, |value| value as u64),
        DataType::Int32 => mix::<Int32Type>(column, hashes, |value| value as u64),
        DataType::UInt64 => mix::<UInt64Type>(column, hashes, |value| value),
        DataType::Date32 => mix::<Date32Type>(column, hashes, |value| value as u64),
        DataType::Float64 => mix::<Float64Type>(column, hashes, f64::to_bits),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
            mix::<TimestampMicrosecondType>(column, hashes, |value| value as u64)
        }
        DataType::Decimal128(..) => mix::<Decimal128Type>(column, hashes, |value| {
            (value as u64).wrapping_add((value >> 64) as u64)
        }),
        DataType::Utf8 => {
            let Some(texts) = column.as_string_opt::<i32>() else {
                return false;
            };
            for (hash, text) in hashes.iter_mut().zip(texts) {
                let of_text = text.map_or(1, |text| stable_hash(text.as_bytes()));
                *hash = mixed(*hash, of_text);
            }
            true
        }
        _ => false,
    }
}

fn mix<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    hashes: &mut [u64],
    bits: impl Fn(T::Native) -> u64,
) -> bool {
    let Some(values) = column.as_primitive_opt::<T>() else {
        return false;
    };
    let values: &PrimitiveArray<T> = values;
    if values.null_count() == 0 {
        for (hash, &value) in hashes.iter_mut().zip(values.values()) {
            *hash = mixed(*hash, bits(value));
        }
    } else {
        for (hash, value) in hashes.iter_mut().zip(values) {
            *hash = mixed(*hash, value.map_or(1, &bits));
        }
    }
    true
}

/// A multiplicative mix whose upper bits depend on all bits of both.
fn mixed(hash: u64, value: u64) -> u64 {
    let product =
        u128::from(hash ^ value ^ 0x9e37_79b9_7f4a_7c15) * u128::from(0xd6e8_feb8_6659_fd93_u64);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    /// Rows (number, text) with weights.
    type TestRow = ((Option<i64>, Option<String>), i64);

    fn delta(rows: &[TestRow]) -> Delta {
        let schema = Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ]);
        let numbers: Int64Array = rows.iter().map(|((number, _), _)| *number).collect();
        let texts: StringArray = rows.iter().map(|((_, text), _)| text.clone()).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(texts)];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        Delta::try_new(batch, rows.iter().map(|(_, weight)| *weight).collect()).unwrap()
    }

    fn content(delta: &Delta) -> BTreeMap<(Option<i64>, Option<String>), i64> {
        let numbers = delta.rows().column(0).as_primitive::<Int64Type>();
        let texts = delta.rows().column(1).as_string::<i32>();
        let mut content = BTreeMap::new();
        let rows = numbers.iter().zip(texts).zip(delta.weights());
        for ((number, text), weight) in rows {
            *content
                .entry((number, text.map(str::to_owned)))
                .or_insert(0) += weight;
        }
        content
    }

    #[test]
    fn what_cancels_out_goes_however_rare_its_sign_is() {
        let mut seed = 7_u64;
        let mut below = |limit: u64| {
            seed = mixed(seed, 11);
            seed % limit
        };
        for round in 0..200 {
            // From nearly all of one sign to nearly all of the other.
            let rows: Vec<TestRow> = (0..300)
                .map(|_| {
                    let number = (below(9) > 0).then(|| below(40) as i64);
                    let text = (below(9) > 0).then(|| format!("t{}", below(3)));
                    let sign = if below(200) < round { -1 } else { 1 };
                    ((number, text), sign * (1 + below(2) as i64))
                })
                .collect();
            let mut expected = BTreeMap::new();
            for (row, weight) in &rows {
                *expected.entry(row.clone()).or_insert(0) += weight;
            }
            expected.retain(|_, weight| *weight != 0);
            let found = delta(&rows).consolidate().unwrap();
            assert_eq!(content(&found), expected);
            assert!(found.weights().iter().all(|&weight| weight != 0));
            let again = found.clone().consolidate().unwrap();
            assert_eq!(again.len(), found.len());
            // No row is there with both signs.
            let signs = content(&found);
            let total: i64 = found.weights().iter().map(|weight| weight.abs()).sum();
            assert_eq!(
                total,
                signs.values().map(|weight| weight.abs()).sum::<i64>()
            );
        }
    }

    #[test]
    fn the_order_of_first_appearance_is_kept() {
        let row = |number: i64, weight: i64| ((Some(number), None), weight);
        let result = delta(&[row(7, 1), row(3, 2), row(7, -1), row(3, -1), row(5, -1)])
            .consolidate()
            .unwrap();
        assert_eq!(result.weights(), [1, -1]);
        let numbers = result.rows().column(0).as_primitive::<Int64Type>();
        assert_eq!(numbers.values(), &[3, 5]);
    }
}
