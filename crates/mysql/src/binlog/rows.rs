//! Events with rows: which rows, and which of their columns are there.

use std::borrow::Cow;

use super::event::{FormatDescription, kind};
use super::query::spread;
use crate::input::{BadBytes, Input};
use crate::value::layout::ColumnLayout;

/// What rows do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsKind {
    /// They are new.
    Insert,
    /// They replace others.
    Update,
    /// They are gone.
    Delete,
}

impl RowsKind {
    /// The kind of an event with rows, and whether MariaDB compressed it;
    /// `None` for other events.
    pub fn of_event(number: u8) -> Option<(Self, bool)> {
        Some(match number {
            kind::WRITE_ROWS_V1 | kind::WRITE_ROWS_V2 => (Self::Insert, false),
            kind::UPDATE_ROWS_V1 | kind::UPDATE_ROWS_V2 => (Self::Update, false),
            kind::DELETE_ROWS_V1 | kind::DELETE_ROWS_V2 => (Self::Delete, false),
            kind::MARIADB_WRITE_ROWS_COMPRESSED_V1 | kind::MARIADB_WRITE_ROWS_COMPRESSED => {
                (Self::Insert, true)
            }
            kind::MARIADB_UPDATE_ROWS_COMPRESSED_V1 | kind::MARIADB_UPDATE_ROWS_COMPRESSED => {
                (Self::Update, true)
            }
            kind::MARIADB_DELETE_ROWS_COMPRESSED_V1 | kind::MARIADB_DELETE_ROWS_COMPRESSED => {
                (Self::Delete, true)
            }
            _ => return None,
        })
    }
}

/// An event with rows, its rows not read yet.
#[derive(Debug, Clone)]
pub struct RowsEvent<'a> {
    /// The table's number.
    pub table_id: u64,
    /// What the rows do.
    pub kind: RowsKind,
    /// Number of the table's columns.
    column_count: usize,
    /// Which columns are there, in the only or the earlier image.
    first_columns: &'a [u8],
    /// Which columns are there after an update.
    second_columns: &'a [u8],
    rows: Cow<'a, [u8]>,
}

/// Where the values of a row stand in a buffer of JSON; an empty range is a
/// column that is not there.
#[derive(Debug, Default)]
pub struct Image {
    /// The values, one behind the other.
    pub json: Vec<u8>,
    /// End of each column's value in `json`.
    pub ends: Vec<usize>,
}

impl Image {
    /// The value of a column; `None` if it is not there.
    pub fn value(&self, column: usize) -> Option<&[u8]> {
        let start = match column.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        let end = *self.ends.get(column)?;
        (start < end).then(|| &self.json[start..end])
    }
}

/// Bytes of the number of a table in events of this kind.
pub fn table_id_bytes(format: &FormatDescription, number: u8) -> usize {
    match format.post_header_length(number) {
        Some(6) => 4,
        _ => 6,
    }
}

impl<'a> RowsEvent<'a> {
    /// Reads all but the rows of an event's body.
    ///
    /// # Errors
    /// When the bytes are not understood.
    pub fn read(
        body: &'a [u8],
        number: u8,
        (kind, is_compressed): (RowsKind, bool),
        format: &FormatDescription,
    ) -> Result<Self, BadBytes> {
        const WHAT: &str = "an event with rows";
        let mut input = Input::new(body);
        let table_id = input.uint(table_id_bytes(format, number), WHAT)?;
        input.u16(WHAT)?;
        let has_extra = matches!(
            number,
            kind::WRITE_ROWS_V2 | kind::UPDATE_ROWS_V2 | kind::DELETE_ROWS_V2
        );
        if has_extra {
            // The length counts itself.
            let length = usize::from(input.u16(WHAT)?);
            let Some(length) = length.checked_sub(2) else {
                return Err(BadBytes::invalid("its extra part has no length"));
            };
            input.take(length, WHAT)?;
        }
        let column_count = input.lenenc("the number of columns")?;
        let column_count = usize::try_from(column_count).unwrap_or(usize::MAX);
        let bytes = column_count.div_ceil(8);
        let first_columns = input.take(bytes, "which columns are there")?;
        let second_columns = match kind {
            RowsKind::Update => input.take(bytes, "which columns are there")?,
            _ => first_columns,
        };
        let rows = match is_compressed {
            true => Cow::Owned(spread(input.rest())?),
            false => Cow::Borrowed(input.rest()),
        };
        Ok(Self {
            table_id,
            kind,
            column_count,
            first_columns,
            second_columns,
            rows,
        })
    }

    /// Whether new rows lack columns: those that have their default.
    pub fn lacks_columns(&self) -> bool {
        self.kind == RowsKind::Insert
            && (0..self.column_count).any(|index| !has(self.first_columns, index))
    }

    /// Whether new rows say a column.
    pub fn has_column(&self, index: usize) -> bool {
        has(self.first_columns, index)
    }

    /// Reads the rows in turn. `each` gets the earlier and the later image;
    /// the one that there is not is empty.
    ///
    /// # Errors
    /// When the bytes are not what the columns say, and those of `each`.
    pub fn read_rows<E: From<BadBytes>>(
        &self,
        columns: &[ColumnLayout],
        mut each: impl FnMut(&Image, &Image) -> Result<(), E>,
    ) -> Result<(), E> {
        if columns.len() != self.column_count {
            return Err(BadBytes::Invalid(format!(
                "its rows have {} columns, the table has {}",
                self.column_count,
                columns.len()
            ))
            .into());
        }
        let no_columns = || BadBytes::invalid("its rows have no columns");
        if self.rows.is_empty() {
            return Err(no_columns().into());
        }
        let (mut before, mut after) = (Image::default(), Image::default());
        let mut input = Input::new(&self.rows);
        while !input.is_empty() {
            let left = input.rest().len();
            if self.kind != RowsKind::Insert {
                read_image(&mut input, columns, self.first_columns, &mut before)?;
            }
            if self.kind != RowsKind::Delete {
                read_image(&mut input, columns, self.second_columns, &mut after)?;
            }
            if input.rest().len() == left {
                return Err(no_columns().into());
            }
            each(&before, &after)?;
        }
        Ok(())
    }
}

fn has(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8)
        .is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

fn read_image(
    input: &mut Input<'_>,
    columns: &[ColumnLayout],
    present: &[u8],
    image: &mut Image,
) -> Result<(), BadBytes> {
    image.json.clear();
    image.ends.clear();
    let count = (0..columns.len())
        .filter(|&index| has(present, index))
        .count();
    let nulls = input.take(count.div_ceil(8), "which columns are null")?;
    let mut place = 0;
    for (index, column) in columns.iter().enumerate() {
        if has(present, index) {
            match has(nulls, place) {
                true => image.json.extend_from_slice(b"null"),
                false => column.write(&mut image.json, input)?,
            }
            place += 1;
        }
        image.ends.push(image.json.len());
    }
    Ok(())
}
