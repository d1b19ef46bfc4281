//! Batches that hold no more than their rows.
//!
//! A cross join makes one batch of all its left rows and hands out slices of it, each
//! of which keeps the whole alive and is counted with its whole size by whatever keeps
//! batches ([`RecordBatch::get_array_memory_size`]): 700,000 rows of three columns in
//! pieces of 8,192 come to gigabytes that nobody holds, and a query would be refused
//! for them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, MutableArrayData, RecordBatch, RecordBatchOptions, make_array,
};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// A batch that holds less beyond its rows is left as it is.
const SPARE_BYTES_MAX: usize = 4 * 1024;

/// The same rows, copied if the batch is a small part of what it keeps alive.
///
/// # Errors
/// None of rows that are a batch already; what Arrow says otherwise.
pub(crate) fn own_rows(rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let held_bytes = rows.get_array_memory_size();
    if held_bytes <= SPARE_BYTES_MAX {
        return Ok(rows);
    }
    let mut own_bytes = 0;
    for column in rows.columns() {
        own_bytes += column.to_data().get_slice_memory_size()?;
    }
    if held_bytes <= 2 * own_bytes + SPARE_BYTES_MAX {
        return Ok(rows);
    }
    let columns = rows.columns().iter().map(own_values);
    let columns = columns.collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(rows.schema(), columns, &options)
}

fn own_values(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match column.data_type() {
        // A copy of views would keep all the texts that they look into.
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => {
            let values = column.to_data();
            let mut copy = MutableArrayData::new(vec![&values], false, values.len());
            copy.try_extend(0, 0, values.len())?;
            make_array(copy.freeze())
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{Int64Array, StringArray, StringViewArray};

    use super::*;

    fn batch(rows: i64) -> RecordBatch {
        let texts =
            || (0..rows).map(|row| (row % 3 != 0).then(|| format!("a text of the row {row}")));
        RecordBatch::try_from_iter_with_nullable([
            (
                "number",
                Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef,
                true,
            ),
            ("text", Arc::new(StringArray::from_iter(texts())), true),
            ("view", Arc::new(StringViewArray::from_iter(texts())), true),
        ])
        .unwrap()
    }

    #[test]
    fn a_slice_holds_its_own_rows_alone() {
        let whole = batch(100_000);
        let slice = whole.slice(50_001, 1_000);
        let own = own_rows(slice.clone()).unwrap();
        assert_eq!(own, slice);
        assert!(slice.get_array_memory_size() > 5_000_000);
        assert!(
            own.get_array_memory_size() < 200_000,
            "{}",
            own.get_array_memory_size()
        );
    }

    #[test]
    fn what_is_whole_already_is_not_copied() {
        let whole = batch(10_000);
        let own = own_rows(whole.clone()).unwrap();
        assert!(Arc::ptr_eq(own.column(0), whole.column(0)));
    }

    #[test]
    fn rows_without_columns_stay_as_many() {
        let whole = batch(10).project(&[]).unwrap();
        assert_eq!(own_rows(whole).unwrap().num_rows(), 10);
    }
}
