//! A record taken apart: the fields of a CSV line, or a JSON value.

use std::borrow::Cow;

use memchr::{memchr_iter, memchr3};

use crate::json::{Json, Kind};
use crate::slots::{Field, Slots};

/// Splits CSV lines into a buffer that is used again for each line.
#[derive(Debug, Default)]
pub(crate) struct CsvFields {
    output: Vec<u8>,
    ends: Vec<usize>,
    /// Bytes between the fields in `output`.
    between: usize,
    count: usize,
    /// The reader and its delimiter: making one costs more than a line does.
    reader: Option<(u8, Box<csv_core::Reader>)>,
}

impl CsvFields {
    /// Splits one line; false if it is not UTF-8.
    pub(crate) fn split(&mut self, line: &[u8], delimiter: u8) -> bool {
        if is_plain(line) {
            self.split_plain(line, delimiter);
            return true;
        }
        self.between = 0;
        let fits = matches!(&self.reader, Some((known, _)) if *known == delimiter);
        if !fits {
            self.reader = None;
        }
        let (_, reader) = self.reader.get_or_insert_with(|| {
            let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
            (delimiter, Box::new(reader))
        });
        reader.reset();
        self.output.resize(self.output.len().max(line.len() + 1), 0);
        self.ends.resize(self.ends.len().max(64), 0);
        let (mut read, mut written, mut fields) = (0, 0, 0);
        loop {
            let (result, input, output, ends) = reader.read_record(
                &line[read..],
                &mut self.output[written..],
                &mut self.ends[fields..],
            );
            read += input;
            written += output;
            fields += ends;
            match result {
                csv_core::ReadRecordResult::OutputFull => {
                    let wider = self.output.len() * 2;
                    self.output.resize(wider, 0);
                }
                csv_core::ReadRecordResult::OutputEndsFull => {
                    let wider = self.ends.len() * 2;
                    self.ends.resize(wider, 0);
                }
                // An empty rest tells the reader that the input ends.
                csv_core::ReadRecordResult::InputEmpty => {}
                csv_core::ReadRecordResult::Record | csv_core::ReadRecordResult::End => break,
            }
        }
        self.count = fields;
        std::str::from_utf8(&self.output[..written]).is_ok()
    }

    /// Splits a line without quotes: each delimiter ends a field.
    fn split_plain(&mut self, line: &[u8], delimiter: u8) {
        self.output.clear();
        self.output.extend_from_slice(line);
        self.ends.clear();
        self.ends.extend(memchr_iter(delimiter, line));
        self.ends.push(line.len());
        self.between = 1;
        self.count = self.ends.len();
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        if index >= self.count {
            return None;
        }
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] + self.between,
        };
        std::str::from_utf8(&self.output[start..self.ends[index]]).ok()
    }
}

/// Whether a line is text that only its delimiters divide: no quote, no break,
/// no mark of the byte order.
fn is_plain(line: &[u8]) -> bool {
    memchr3(b'"', b'\r', b'\n', line).is_none()
        && !line.is_empty()
        && !line.starts_with(b"\xef")
        && std::str::from_utf8(line).is_ok()
}

/// A record's fields.
#[derive(Clone, Copy)]
pub(crate) enum Fields<'a> {
    Csv {
        fields: &'a CsvFields,
        /// The column of each place that definitions name.
        columns: &'a [Option<usize>],
    },
    Json {
        record: Slots<'a>,
        /// What `./` starts from, if it is not the row: an element of an
        /// exploded array, or a before-image.
        element: Option<Json<'a>>,
    },
}

impl<'a> Fields<'a> {
    /// A field whose text stands in the record as it is, and whether it is a
    /// text rather than a number; `None` if more must be done to get it.
    #[inline]
    pub(crate) fn plain(&self, field: &Field) -> Option<(&'a str, bool)> {
        match self {
            Self::Csv { fields, columns } => {
                let column = columns.get(field.slot?).copied().flatten()?;
                Some((fields.get(column)?, true))
            }
            Self::Json { record, element } => {
                if element.is_some() && field.name.starts_with('.') {
                    return None;
                }
                let value = record.get(field)?;
                match value.kind {
                    Kind::Plain => Some((record.raw(value), true)),
                    Kind::Number => Some((record.raw(value), false)),
                    _ => None,
                }
            }
        }
    }

    /// A field as text; `None` if it is missing or null. Objects and arrays are
    /// their JSON text.
    pub(crate) fn text(&self, field: &Field) -> Option<Cow<'a, str>> {
        match self {
            Self::Csv { fields, columns } => {
                let column = columns.get(field.slot?).copied().flatten()?;
                fields.get(column).map(Cow::Borrowed)
            }
            Self::Json {
                element: Some(element),
                ..
            } if field.name.starts_with('.') => element.pointer(&field.name[1..])?.as_text(),
            Self::Json { record, .. } => record.text(field),
        }
    }
}
