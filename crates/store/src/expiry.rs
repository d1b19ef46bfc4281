//! Rows that have become old leave a table: whole segments where all rows are
//! old, single rows by the mask of their segment.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};

use crate::StoreError;
use crate::segment::{Segment, Shape};

const DAY_US: i64 = 86_400_000_000;

/// What is old in a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Horizon {
    /// An append-only collection.
    pub collection: String,
    /// Position of a column of microseconds or dates.
    pub column: usize,
    /// Rows whose column is before this leave, in microseconds since 1970 UTC.
    /// Rows without a value stay.
    pub before_us: i64,
}

/// The oldest and the newest time of a segment's rows, in microseconds. A row
/// without a time counts as the newest that can be.
pub(crate) type Ages = [i64; 2];

/// The times of all rows.
fn times(rows: &RecordBatch, column: usize) -> Result<Vec<i64>, StoreError> {
    let times = rows.columns().get(column).and_then(|times| {
        let time = |row: usize, value: i64| match times.is_null(row) {
            true => i64::MAX,
            false => value,
        };
        match times.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let values = times.as_primitive::<TimestampMicrosecondType>().values();
                let values = values.iter().enumerate();
                Some(values.map(|(row, &value)| time(row, value)).collect())
            }
            DataType::Date32 => {
                let values = times.as_primitive::<Date32Type>().values();
                let values = values.iter().enumerate();
                let midnight = |day: i32| i64::from(day).saturating_mul(DAY_US);
                Some(values.map(|(row, &day)| time(row, midnight(day))).collect())
            }
            _ => None,
        }
    });
    times.ok_or_else(|| StoreError::BadDelta {
        collection: format!("{}", rows.schema()),
        problem: format!("its column {column} holds no times"),
    })
}

impl Segment {
    /// Marks rows before `before_us` as gone; true if there were any.
    pub(crate) fn expire(
        &mut self,
        shape: &Shape,
        column: usize,
        before_us: i64,
    ) -> Result<bool, StoreError> {
        if let Some([oldest, newest]) = self.ages {
            if oldest >= before_us {
                return Ok(false);
            }
            if newest < before_us {
                self.give_up();
                return Ok(true);
            }
        }
        let times = times(&self.all_rows(shape)?, column)?;
        let mut gone = Vec::new();
        let mut ages = [i64::MAX, i64::MIN];
        for (row, &time) in times.iter().enumerate() {
            if self.is_removed(row) {
                continue;
            }
            if time < before_us {
                gone.push(row as u32);
            } else {
                ages = [ages[0].min(time), ages[1].max(time)];
            }
        }
        self.ages = Some(ages);
        if gone.is_empty() {
            return Ok(false);
        }
        self.remove(&gone);
        Ok(true)
    }
}
