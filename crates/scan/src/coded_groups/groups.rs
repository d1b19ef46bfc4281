//! The group of each row, by codes where there are some.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use hashbrown::HashMap;

use crate::coded_groups::code_book::CodeBook;
use crate::row_filter::as_declared;

/// So many codes, or fewer, have a place each, if the rows are not much fewer.
const FEW_CODES: u64 = 1 << 16;
/// No group is known.
const UNKNOWN: usize = usize::MAX;

/// Groups by the codes of their keys.
#[derive(Debug)]
enum Known {
    Few(Vec<usize>),
    Many(HashMap<u64, usize>),
}

impl Known {
    /// For `rows` rows at first, whose codes are below `end`.
    fn new(end: u64, rows: usize) -> Self {
        match end <= FEW_CODES.min(rows as u64 * 4) {
            true => Self::Few(vec![UNKNOWN; end as usize]),
            false => Self::Many(HashMap::new()),
        }
    }

    /// The group of a code, which is `next` if none is known.
    fn get_or_set(&mut self, code: u64, next: usize) -> usize {
        let group = match self {
            // Codes are below the end of their range.
            Self::Few(groups) => &mut groups[code as usize],
            Self::Many(groups) => groups.entry(code).or_insert(UNKNOWN),
        };
        if *group == UNKNOWN {
            *group = next;
        }
        *group
    }

    fn set(&mut self, code: u64, group: usize) {
        match self {
            Self::Few(groups) => groups[code as usize] = group,
            Self::Many(groups) => {
                groups.insert(code, group);
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Few(groups) => groups.capacity() * size_of::<usize>(),
            Self::Many(groups) => groups.allocation_size(),
        }
    }
}

/// See the module.
pub(crate) struct Groups {
    /// Of the keys.
    schema: SchemaRef,
    values: Box<dyn GroupValues>,
    /// `None` once rows had no codes: what makes codes would cost, and be of no use.
    book: Option<CodeBook>,
    known: Known,
    /// Of the last rows, one each.
    of_rows: Vec<usize>,
    /// Rows whose keys had no known code, and their groups.
    new_rows: Vec<u32>,
    new_groups: Vec<usize>,
}

impl Groups {
    /// # Errors
    /// When keys of these types cannot be grouped.
    pub(crate) fn new(schema: SchemaRef) -> Result<Self> {
        Ok(Self {
            values: new_group_values(schema.clone(), &GroupOrdering::None)?,
            schema,
            book: Some(CodeBook::default()),
            known: Known::new(0, 0),
            of_rows: Vec::new(),
            new_rows: Vec::new(),
            new_groups: Vec::new(),
        })
    }

    /// Finds the groups of rows, whose columns of keys may be dictionaries.
    ///
    /// # Errors
    /// When a key cannot be read in its type.
    pub(crate) fn find(&mut self, keys: &[ArrayRef], rows: usize) -> Result<()> {
        let coded = match &mut self.book {
            Some(book) => book.code(keys, rows)?,
            None => None,
        };
        let (Some(range), Some(book)) = (coded, &self.book) else {
            self.book = None;
            self.known = Known::new(0, 0);
            let keys = self.declared(keys)?;
            return self.values.intern(&keys, &mut self.of_rows);
        };
        if range.is_new {
            self.known = Known::new(range.end, rows);
        }
        self.of_rows.clear();
        self.new_rows.clear();
        // Groups that are known are below; new ones get numbers for the time being.
        let before = self.values.len();
        for (row, &code) in book.codes().iter().enumerate() {
            let next = before + self.new_rows.len();
            let group = self.known.get_or_set(code, next);
            if group == next {
                self.new_rows.push(row as u32);
            }
            self.of_rows.push(group);
        }
        if self.new_rows.is_empty() {
            return Ok(());
        }
        let rows = UInt32Array::from_iter_values(self.new_rows.iter().copied());
        let new_keys = keys.iter().map(|key| Ok(take(key, &rows, None)?));
        let new_keys = new_keys.collect::<Result<Vec<_>>>()?;
        let new_keys = self.declared(&new_keys)?;
        self.values.intern(&new_keys, &mut self.new_groups)?;
        for (&row, &group) in self.new_rows.iter().zip(&self.new_groups) {
            self.known.set(book.codes()[row as usize], group);
        }
        for group in &mut self.of_rows {
            if let Some(new) = group.checked_sub(before) {
                *group = self.new_groups[new];
            }
        }
        Ok(())
    }

    /// Groups of the rows that were found last.
    pub(crate) fn of_rows(&self) -> &[usize] {
        &self.of_rows
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Gives up all groups: their keys, in the order of the groups.
    ///
    /// # Errors
    /// When their columns cannot be made.
    pub(crate) fn take(&mut self) -> Result<Vec<ArrayRef>> {
        self.known = Known::new(0, 0);
        // The next codes must not be taken for those of groups that are gone.
        self.book = self.book.take().map(|_| CodeBook::default());
        let keys = self.values.emit(EmitTo::All)?;
        // Some kinds of them look up groups that are gone until they are told.
        self.values.clear_shrink(0);
        Ok(keys)
    }

    pub(crate) fn bytes(&self) -> usize {
        let numbers = self.of_rows.capacity() + self.new_groups.capacity();
        let rows = self.new_rows.capacity() * size_of::<u32>();
        let lists = numbers * size_of::<usize>() + rows;
        let book = self.book.as_ref().map_or(0, CodeBook::bytes);
        self.values.size() + book + self.known.bytes() + lists
    }

    fn declared(&self, keys: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let fields = self.schema.fields().iter().zip(keys);
        fields
            .map(|(field, key)| as_declared(key, field.data_type()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Int32Type, Schema};

    use super::*;

    #[test]
    fn groups_are_those_of_the_text_whatever_its_dictionary_is() {
        let schema = Schema::new(vec![
            Field::new("word", DataType::Utf8, true),
            Field::new("number", DataType::Int64, true),
        ]);
        let mut groups = Groups::new(Arc::new(schema)).unwrap();
        let mut expected: Vec<(Option<String>, Option<i64>)> = Vec::new();
        let mut chance = 3_u64;
        for round in 0..60 {
            let mut rows = Vec::new();
            for _ in 0..50 {
                chance = chance
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let (word, number) = ((chance >> 40) % 9, (chance >> 50) % 5);
                let word = (word > 0).then(|| format!("word {word}"));
                rows.push((word, (number > 0).then_some(number as i64)));
            }
            let words: ArrayRef = match round >= 45 {
                // No dictionary at all.
                true => Arc::new(StringArray::from_iter(rows.iter().map(|row| row.0.clone()))),
                false => {
                    let words = rows.iter().map(|row| row.0.as_deref());
                    Arc::new(words.collect::<DictionaryArray<Int32Type>>())
                }
            };
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1)));
            // Several slices of one dictionary.
            for start in [0, 20] {
                let keys = [words.slice(start, 20), numbers.slice(start, 20)];
                groups.find(&keys, 20).unwrap();
                for (row, &group) in rows[start..start + 20].iter().zip(groups.of_rows()) {
                    if group == expected.len() {
                        expected.push(row.clone());
                    }
                    assert_eq!(&expected[group], row);
                }
            }
            if round == 30 {
                let keys = groups.take().unwrap();
                assert_eq!(keys[0].len(), expected.len());
                assert_eq!(groups.len(), 0);
                expected.clear();
            }
        }
        assert_eq!(groups.len(), 45);
        assert_eq!(expected.len(), 45);
    }
}
