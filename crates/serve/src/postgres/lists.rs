//! Lists of all kinds, and where each begins and ends among the values.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::compute::take;
use arrow::datatypes::{ArrowNativeType, DataType};
use arrow::error::ArrowError;

/// Values, and those of each row; `None` for NULL.
pub(super) struct Lists {
    pub(super) values: ArrayRef,
    pub(super) rows: Vec<Option<Range<usize>>>,
}

/// The type of a list's elements; `None` where it is none.
fn element_of(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => Some(field.data_type()),
        _ => None,
    }
}

pub(super) fn is_list(data_type: &DataType) -> bool {
    element_of(data_type).is_some()
}

/// What lists in lists hold at last.
pub(super) fn leaf_of(data_type: &DataType) -> &DataType {
    match element_of(data_type) {
        Some(element) => leaf_of(element),
        None => data_type,
    }
}

/// The values of a dictionary, each row with its own; `None` where there is none.
///
/// # Errors
/// When there are too many.
pub(super) fn without_dictionary(column: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
    let Some(dictionary) = column.as_any_dictionary_opt() else {
        return Ok(None);
    };
    take(dictionary.values().as_ref(), dictionary.keys(), None).map(Some)
}

impl Lists {
    /// Those of a column; none where it has no lists.
    pub(super) fn of(column: &ArrayRef) -> Self {
        match column.data_type() {
            DataType::List(_) => {
                let lists = column.as_list::<i32>();
                Self::between(lists.values(), lists.value_offsets(), column)
            }
            DataType::LargeList(_) => {
                let lists = column.as_list::<i64>();
                Self::between(lists.values(), lists.value_offsets(), column)
            }
            DataType::ListView(_) => {
                let lists = column.as_list_view::<i32>();
                let begins = |row| lists.value_offset(row).as_usize();
                let lengths = |row| lists.value_size(row).as_usize();
                Self::at(lists.values(), begins, lengths, column)
            }
            DataType::LargeListView(_) => {
                let lists = column.as_list_view::<i64>();
                let begins = |row| lists.value_offset(row).as_usize();
                let lengths = |row| lists.value_size(row).as_usize();
                Self::at(lists.values(), begins, lengths, column)
            }
            DataType::FixedSizeList(_, _) => {
                let lists = column.as_fixed_size_list();
                let begins = |row| lists.value_offset(row).as_usize();
                let lengths = |_| lists.value_length().as_usize();
                Self::at(lists.values(), begins, lengths, column)
            }
            _ => Self {
                values: column.clone(),
                rows: vec![None; column.len()],
            },
        }
    }

    /// The entries of a map: records of key and value.
    pub(super) fn of_map(column: &ArrayRef) -> Self {
        let map = column.as_map();
        let entries: ArrayRef = Arc::new(map.entries().clone());
        Self::between(&entries, map.value_offsets(), column)
    }

    /// Each list ends where the next one begins. What belongs to none is left out: a
    /// part of a column has the values of all of it.
    fn between<O: OffsetSizeTrait>(values: &ArrayRef, ends: &[O], column: &ArrayRef) -> Self {
        let first = ends.first().map_or(0, |first| first.as_usize());
        let last = ends.last().map_or(0, |last| last.as_usize());
        let rows = ends.windows(2).enumerate().map(|(row, ends)| {
            let range = ends[0].as_usize() - first..ends[1].as_usize() - first;
            column.is_valid(row).then_some(range)
        });
        Self {
            rows: rows.collect(),
            values: values.slice(first, last - first),
        }
    }

    fn at(
        values: &ArrayRef,
        begins: impl Fn(usize) -> usize,
        lengths: impl Fn(usize) -> usize,
        column: &ArrayRef,
    ) -> Self {
        let rows = (0..column.len()).map(|row| {
            let begin = begins(row);
            column.is_valid(row).then(|| begin..begin + lengths(row))
        });
        Self {
            rows: rows.collect(),
            values: values.clone(),
        }
    }

    /// The lengths of each row's dimensions; `None` for NULL.
    ///
    /// # Errors
    /// When lists in one list have several lengths: no array of PostgreSQL holds them.
    pub(super) fn shapes(&self) -> Result<Vec<Option<Vec<usize>>>, ArrowError> {
        let inner = match is_list(self.values.data_type()) {
            true => Some(Self::of(&self.values).shapes()?),
            false => None,
        };
        let rows = self.rows.iter().map(|row| {
            let Some(row) = row else {
                return Ok(None);
            };
            let mut shape = vec![row.len()];
            let parts = inner.as_ref().and_then(|inner| inner.get(row.clone()));
            if let Some([first, others @ ..]) = parts {
                let is_even = others.iter().all(|other| other == first);
                let Some(first) = first.as_ref().filter(|_| is_even) else {
                    let problem = "lists of several lengths in a list make no array";
                    return Err(ArrowError::NotYetImplemented(problem.to_owned()));
                };
                shape.extend(first);
            }
            Ok(Some(shape))
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{FixedSizeListArray, Int32Array, ListArray, ListViewArray};
    use arrow::buffer::ScalarBuffer;
    use arrow::datatypes::{Field, Int32Type};

    fn lists() -> ListArray {
        let rows = vec![
            Some(vec![Some(1), Some(2)]),
            None,
            Some(vec![]),
            Some(vec![Some(3), None]),
        ];
        ListArray::from_iter_primitive::<Int32Type, _, _>(rows)
    }

    #[test]
    fn rows_know_their_values() {
        let all: ArrayRef = Arc::new(lists());
        assert_eq!(
            Lists::of(&all).rows,
            [Some(0..2), None, Some(2..2), Some(2..4)]
        );
        let part = Lists::of(&all.slice(2, 2));
        assert_eq!(
            (part.rows, part.values.len()),
            (vec![Some(0..0), Some(0..2)], 2)
        );
        let item = Arc::new(Field::new("item", DataType::Int32, true));
        let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
        let fixed = FixedSizeListArray::new(item.clone(), 2, values.clone(), None);
        let fixed: ArrayRef = Arc::new(fixed);
        let part = Lists::of(&fixed.slice(1, 1));
        let row = part.rows[0].clone().unwrap();
        let row = part.values.slice(row.start, row.len());
        assert_eq!(row.as_primitive::<Int32Type>().values(), &[3, 4]);
        let (begins, lengths) = (vec![2, 0], vec![2, 1]);
        let begins = ScalarBuffer::from(begins);
        let views = ListViewArray::new(item, begins, ScalarBuffer::from(lengths), values, None);
        let views: ArrayRef = Arc::new(views);
        assert_eq!(Lists::of(&views).rows, [Some(2..4), Some(0..1)]);
    }

    #[test]
    fn shapes_are_even() {
        let item = Arc::new(Field::new("item", lists().data_type().clone(), true));
        let nested = |ends: Vec<i32>| -> ArrayRef {
            let ends = arrow::buffer::OffsetBuffer::new(ScalarBuffer::from(ends));
            Arc::new(ListArray::new(item.clone(), ends, Arc::new(lists()), None))
        };
        // [[1, 2]] and []
        let even = Lists::of(&nested(vec![0, 1, 1])).shapes().unwrap();
        assert_eq!(even, [Some(vec![1, 2]), Some(vec![0])]);
        // [[1, 2], NULL] and [[], [3, NULL]]
        assert!(Lists::of(&nested(vec![0, 2])).shapes().is_err());
        assert!(Lists::of(&nested(vec![2, 4])).shapes().is_err());
    }
}
