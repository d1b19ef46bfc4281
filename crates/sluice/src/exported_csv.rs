//! Lines of exported CSV files as records of JSON.
//!
//! A quote that is not closed makes one record of many lines. That must not pass for
//! a line that cannot be read: it ends the run, where it is seen by the quotes
//! themselves ([`CsvFile`]), by a record that is longer than records may be, or by
//! one of several lines with another number of fields.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use csv::{ByteRecord, Reader, ReaderBuilder};
use sluice_core::{Record, RecordKind};

use crate::csv_file::{CsvFile, Stop};
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

/// What is said of the first name that a header has a second time.
fn twice(names: &[String]) -> Option<String> {
    let mut places = BTreeMap::new();
    for (place, name) in (1..).zip(names) {
        if let Some(first) = places.insert(name, place) {
            let column = match name.as_str() {
                "" => "a column without a name".to_owned(),
                name => format!("the column `{name}`"),
            };
            return Some(format!(
                "the header has {column} twice, in places {first} and {place}"
            ));
        }
    }
    None
}

/// A CSV file with a line of headers; an empty field is a missing value.
#[derive(Debug)]
pub struct ExportedCsv {
    what: String,
    reader: Reader<CsvFile>,
    names: Vec<String>,
    line: ByteRecord,
    /// The line of the file in which that begins.
    first_line: u64,
    /// Lines that the reader of records is behind where a record begins: it ends one
    /// at `\r`, and counts the `\n` with the next.
    lines_behind: u64,
    record_bytes_max: u64,
}

impl ExportedCsv {
    /// Opens a file and reads its header; `what` is said of its problems.
    ///
    /// # Errors
    /// When it cannot be read or is empty, or the header is not UTF-8, is too long or
    /// has a name twice.
    pub fn open(path: &Path, what: &str, record_bytes_max: usize) -> Result<Self, Failure> {
        let file = CsvFile::open(path).doing(what)?;
        let reader = ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(file);
        let mut csv = Self {
            what: what.to_owned(),
            reader,
            names: Vec::new(),
            line: ByteRecord::new(),
            first_line: 1,
            lines_behind: 0,
            record_bytes_max: record_bytes_max as u64,
        };
        if !csv.read_line()? {
            return Err(Failure::Definitions(format!(
                "{what}: the file is empty\n  help: write the names of its columns into the first line, also where it has no rows, or leave the file out"
            )));
        }
        let breaks = csv.reader.position().line().saturating_sub(1);
        csv.lines_behind = u64::from(breaks == csv.breaks_inside());
        for field in &csv.line {
            let name = std::str::from_utf8(field).doing(what)?;
            csv.names.push(name.to_owned());
        }
        match twice(&csv.names) {
            Some(problem) => Err(Failure::Definitions(format!(
                "{what}: {problem}\n  help: columns are found by their names; rename one of the two in the file, or take it out"
            ))),
            None => Ok(csv),
        }
    }

    /// The names of its header.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// At most `rows` more rows, of which `first` is the number of the first one,
    /// with the columns of these places, each with its name in records; `None` behind
    /// the last one.
    ///
    /// # Errors
    /// When the file cannot be read further.
    pub fn next(
        &mut self,
        first: u64,
        rows: usize,
        kept: &[(usize, String)],
    ) -> Result<Option<Portion>, Failure> {
        let mut portion = Portion::default();
        let mut number = first;
        while number < first + rows as u64 {
            if !self.read_line()? {
                break;
            }
            match self.payload(kept)? {
                Ok(payload) => portion.push(number, payload),
                Err((reason, problem)) => portion.refused.push(RefusedLine {
                    number,
                    reason,
                    detail: format!("line {}: {problem}", self.first_line),
                }),
            }
            number += 1;
        }
        Ok((number > first).then_some(portion))
    }

    /// Reads the next record; false behind the last one.
    fn read_line(&mut self) -> Result<bool, Failure> {
        let begin = self.reader.position();
        self.first_line = begin.line() + self.lines_behind;
        let begin = begin.byte();
        let bytes_max = self.record_bytes_max;
        // One byte more tells a record that is too long.
        let given_max = begin.saturating_add(bytes_max).saturating_add(1);
        self.reader.get_mut().give_up_to(given_max);
        let is_there = self.reader.read_byte_record(&mut self.line);
        if let (Err(_), Some(stop)) = (&is_there, self.reader.get_ref().stop()) {
            return Err(self.stopped(stop));
        }
        if !is_there.doing(&self.what)? {
            return Ok(false);
        }
        let end = self.reader.position().byte();
        match end.saturating_sub(begin) > bytes_max {
            true => Err(self.stopped(Stop::UsedUp)),
            false => Ok(true),
        }
    }

    fn stopped(&self, stop: Stop) -> Failure {
        self.failed(&match stop {
            Stop::UsedUp => format!(
                "the record that begins in line {} is longer than limits.record_bytes_max, {} bytes",
                self.first_line, self.record_bytes_max
            ),
            Stop::OpenQuote { line } => {
                format!("the file ends inside the quote that opens in line {line}")
            }
            Stop::TextBehindQuote { line, next_line } => format!(
                "a quote opens in line {line}, and text stands right behind the next one, in line {next_line}"
            ),
        })
    }

    /// Why the run ends.
    fn failed(&self, problem: &str) -> Failure {
        Failure::Failed(format!(
            "{}: {problem}\n  help: look there for a quote that is not closed; quotes inside a quoted field are written twice",
            self.what
        ))
    }

    /// Breaks inside the fields of the record that was read last.
    fn breaks_inside(&self) -> u64 {
        let bytes = self.line.as_slice().iter();
        bytes.filter(|&&byte| byte == b'\n').count() as u64
    }

    /// The line as JSON, or the reason why it is no row and what is wrong.
    fn payload(
        &self,
        kept: &[(usize, String)],
    ) -> Result<Result<Bytes, (&'static str, String)>, Failure> {
        let (fields, width) = (self.line.len(), self.names.len());
        if fields != width {
            let breaks = self.breaks_inside();
            if breaks > 0 {
                return Err(self.failed(&format!(
                    "the record that begins in line {} spans {} lines and has {fields} fields, the header has {width}",
                    self.first_line,
                    breaks + 1
                )));
            }
            let problem = format!("{fields} fields, the header has {width}");
            return Ok(Err(("wrong_column_count", problem)));
        }
        let mut text = b"{".to_vec();
        for (place, name) in kept {
            let Some(field) = self.line.get(*place) else {
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
