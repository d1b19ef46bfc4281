//! One number for the key of a row, from the numbers of its columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::error::Result;
use hashbrown::HashMap;

/// A column of numbers with more different values is not coded: its own values say as
/// much.
const NUMBERS_MAX: u64 = 1 << 20;

/// Whether values of the type can have codes where they are no dictionary.
pub(crate) fn is_coded(data_type: &DataType) -> bool {
    use DataType::{Boolean, Date32, Int8, Int16, Int32, Int64, Timestamp, UInt8, UInt16, UInt32};
    matches!(
        data_type,
        Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | Date32 | Timestamp(_, _)
    )
}

/// What the codes of some rows mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodeRange {
    /// All codes are below it.
    pub(crate) end: u64,
    /// Codes mean something else than those that were made before.
    pub(crate) is_new: bool,
}

/// Gives keys their codes. Equal codes are equal keys as long as the range is not new;
/// equal keys may have several codes.
#[derive(Debug, Default)]
pub(crate) struct CodeBook {
    /// What the codes of text refer to, by column. It is held, so that another
    /// dictionary is not taken for it.
    dictionaries: Vec<Option<ArrayRef>>,
    /// Numbers of other values, by column.
    numbers: Vec<HashMap<i64, u64>>,
    /// Of the last rows, one each.
    codes: Vec<u64>,
}

impl CodeBook {
    /// Makes codes of rows with these columns of keys; `None` where they have none.
    ///
    /// # Errors
    /// When a column cannot be read as numbers.
    pub(crate) fn code(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Option<CodeRange>> {
        let mut is_new = self.dictionaries.len() != keys.len();
        self.dictionaries.resize(keys.len(), None);
        self.numbers.resize_with(keys.len(), HashMap::new);
        self.codes.clear();
        self.codes.resize(rows, 0);
        let mut end = 1_u64;
        for (place, key) in keys.iter().enumerate() {
            let count = match key.as_dictionary_opt::<Int32Type>() {
                Some(dictionary) => {
                    let values = dictionary.values();
                    let known = &mut self.dictionaries[place];
                    if !known
                        .as_ref()
                        .is_some_and(|known| Arc::ptr_eq(known, values))
                    {
                        *known = Some(values.clone());
                        is_new = true;
                    }
                    values.len() as u64 + 1
                }
                None if *key.data_type() == DataType::Boolean => 3,
                None if is_coded(key.data_type()) => NUMBERS_MAX + 1,
                None => return Ok(None),
            };
            let Some(product) = end.checked_mul(count) else {
                return Ok(None);
            };
            end = product;
            if !self.add(place, key, count)? {
                return Ok(None);
            }
        }
        Ok(Some(CodeRange { end, is_new }))
    }

    /// Codes of the last rows.
    pub(crate) fn codes(&self) -> &[u64] {
        &self.codes
    }

    pub(crate) fn bytes(&self) -> usize {
        let numbers = self.numbers.iter().map(HashMap::allocation_size);
        numbers.sum::<usize>() + self.codes.capacity() * size_of::<u64>()
    }

    /// Adds a column to the codes; false where it has too many values.
    fn add(&mut self, place: usize, key: &ArrayRef, count: u64) -> Result<bool> {
        if let Some(dictionary) = key.as_dictionary_opt::<Int32Type>() {
            let codes = dictionary.keys().iter();
            // 0 is no value.
            append(
                &mut self.codes,
                count,
                codes.map(|key| key.map_or(0, |key| key as u64 + 1)),
            );
            return Ok(true);
        }
        if let Some(truths) = key.as_boolean_opt() {
            append(
                &mut self.codes,
                count,
                truths
                    .iter()
                    .map(|truth| truth.map_or(0, |truth| 1 + u64::from(truth))),
            );
            return Ok(true);
        }
        let values = cast(key, &DataType::Int64)?;
        let values: &Int64Array = values.as_primitive::<Int64Type>();
        let numbers = &mut self.numbers[place];
        // Rows that lie beside each other often have one value.
        let mut last = (0, 0);
        append(
            &mut self.codes,
            count,
            values.iter().map(|value| {
                let Some(value) = value else {
                    return 0;
                };
                if last.1 == 0 || last.0 != value {
                    let next = numbers.len() as u64 + 1;
                    last = (value, *numbers.entry(value).or_insert(next));
                }
                last.1
            }),
        );
        Ok((numbers.len() as u64) <= NUMBERS_MAX)
    }
}

/// Adds a column of `count` numbers to the codes.
fn append(codes: &mut [u64], count: u64, column: impl Iterator<Item = u64>) {
    for (code, number) in codes.iter_mut().zip(column) {
        *code = code.wrapping_mul(count).wrapping_add(number);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, DictionaryArray, StringArray, UInt64Array};

    use super::*;

    fn text(values: &[Option<&str>]) -> ArrayRef {
        let dictionary: DictionaryArray<Int32Type> = values.iter().copied().collect();
        Arc::new(dictionary)
    }

    #[test]
    fn rows_have_one_code_where_their_keys_are_equal() {
        let mut book = CodeBook::default();
        let words = text(&[Some("a"), None, Some("b"), Some("a"), None, Some("a")]);
        let truths: ArrayRef = Arc::new(BooleanArray::from(vec![
            Some(true),
            None,
            Some(true),
            Some(true),
            None,
            Some(false),
        ]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(-7),
            None,
            Some(-7),
            Some(-7),
            None,
            Some(i64::MIN),
        ]));
        let keys = [words, truths, numbers];
        let range = book.code(&keys, 6).unwrap().unwrap();
        assert_eq!(range.end, 3 * 3 * (NUMBERS_MAX + 1));
        assert!(range.is_new);
        let codes = book.codes().to_vec();
        assert!(codes.iter().all(|&code| code < range.end));
        assert_eq!((codes[0], codes[1]), (codes[3], codes[4]));
        let mut different = vec![codes[0], codes[1], codes[2], codes[5]];
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 4);
        // The same dictionary says the same again.
        let slices = keys.map(|key| key.slice(2, 2));
        let range = book.code(&slices, 2).unwrap().unwrap();
        assert!(!range.is_new);
        assert_eq!(book.codes(), &codes[2..4]);
        // Another one does not.
        let others = [
            text(&[Some("b"), Some("a")]),
            slices[1].clone(),
            slices[2].clone(),
        ];
        assert!(book.code(&others, 2).unwrap().unwrap().is_new);
    }

    #[test]
    fn what_has_no_codes_says_so() {
        let mut book = CodeBook::default();
        let words: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        assert_eq!(book.code(&[words], 1).unwrap(), None);
        let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
        assert_eq!(book.code(&[large], 1).unwrap(), None);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        // 2^20 values four times are more than a code can tell.
        let keys = vec![numbers; 4];
        assert_eq!(book.code(&keys, 1).unwrap(), None);
        assert!(book.code(&keys[..3], 1).unwrap().is_some());
    }

    #[test]
    fn too_many_numbers_have_no_codes() {
        let mut book = CodeBook::default();
        let rows = NUMBERS_MAX as usize + 1;
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        let all_but_one = numbers.slice(0, rows - 1);
        assert!(book.code(&[all_but_one], rows - 1).unwrap().is_some());
        assert_eq!(book.code(&[numbers], rows).unwrap(), None);
    }
}
