//! Lines of exported CSV files as records of JSON.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use csv::{ByteRecord, Reader, ReaderBuilder};
use sluice_core::{Record, RecordKind};

use crate::failure::{Doing, Failure};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 16;

/// Rows of an exported file, and lines of it that are none.
#[derive(Debug, Default)]
pub struct Portion {
    /// The rows as records.
    pub records: Vec<Record>,
    /// The number of each of them in the file, from 0 on.
    pub numbers: Vec<u64>,
    /// What no row could be made of.
    pub refused: Vec<RefusedLine>,
}

impl Portion {
    /// Adds the row of this number, an object of JSON.
    pub fn push(&mut self, number: u64, payload: Bytes) {
        self.numbers.push(number);
        self.records.push(Record {
            kind: RecordKind::Data,
            payload,
            capture_time_us: 0,
            position: Bytes::new(),
            transaction: None,
        });
    }
}

/// A line that is no row.
#[derive(Debug)]
pub struct RefusedLine {
    /// Its number among the rows of the file, from 0 on.
    pub number: u64,
    /// The reason of its dead letter.
    pub reason: &'static str,
    /// What was wrong, for a person. The line itself stays in the file: nobody
    /// knows which of its fields are personal.
    pub detail: String,
}

/// A CSV file with a line of headers; an empty field is a missing value.
#[derive(Debug)]
pub struct ExportedCsv {
    what: String,
    reader: Reader<File>,
    names: Vec<String>,
    line: ByteRecord,
}

impl ExportedCsv {
    /// Opens a file and reads its header; `what` is said of its problems.
    ///
    /// # Errors
    /// When it cannot be read, or the header is not UTF-8.
    pub fn open(path: &Path, what: &str) -> Result<Self, Failure> {
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .buffer_capacity(BUFFER_BYTES)
            .from_path(path)
            .doing(what)?;
        let header = reader.headers().doing(what)?;
        let names = header.iter().map(str::to_owned).collect();
        Ok(Self {
            what: what.to_owned(),
            reader,
            names,
            line: ByteRecord::new(),
        })
    }

    /// The names of its header.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// At most `rows` more rows, of which `first` is the number of the first one,
    /// with the columns of these places; `None` behind the last one.
    ///
    /// # Errors
    /// When the file cannot be read further.
    pub fn next(
        &mut self,
        first: u64,
        rows: usize,
        kept: &[usize],
    ) -> Result<Option<Portion>, Failure> {
        let mut portion = Portion::default();
        let mut number = first;
        while number < first + rows as u64 {
            let is_there = self.reader.read_byte_record(&mut self.line);
            if !is_there.doing(&self.what)? {
                break;
            }
            match self.payload(kept)? {
                Ok(payload) => portion.push(number, payload),
                Err((reason, problem)) => {
                    let line = self.line.position().map_or(0, csv::Position::line);
                    portion.refused.push(RefusedLine {
                        number,
                        reason,
                        detail: format!("line {line}: {problem}"),
                    });
                }
            }
            number += 1;
        }
        Ok((number > first).then_some(portion))
    }

    /// The line as JSON, or the reason why it is no row and what is wrong.
    fn payload(&self, kept: &[usize]) -> Result<Result<Bytes, (&'static str, String)>, Failure> {
        let (fields, width) = (self.line.len(), self.names.len());
        if fields != width {
            let problem = format!("{fields} fields, the header has {width}");
            return Ok(Err(("wrong_column_count", problem)));
        }
        let mut text = b"{".to_vec();
        for &place in kept {
            let (Some(name), Some(field)) = (self.names.get(place), self.line.get(place)) else {
                continue;
            };
            if field.is_empty() {
                continue;
            }
            let Ok(field) = std::str::from_utf8(field) else {
                let problem = format!("`{name}` is not UTF-8");
                return Ok(Err(("bad_utf8", problem)));
            };
            if text.len() > 1 {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, name).doing(&self.what)?;
            text.push(b':');
            serde_json::to_writer(&mut text, field).doing(&self.what)?;
        }
        text.push(b'}');
        Ok(Ok(Bytes::from(text)))
    }
}
