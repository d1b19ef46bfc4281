//! The header of the file that a CSV line in the log belongs to: the last one
//! before it in its partition.

use bytes::Bytes;
use sluice_core::{PartitionId, RecordKind};
use sluice_log::{Log, LogError};

/// Records that are read at once, going back.
const WINDOW_RECORDS: u64 = 10_000;
/// A header is looked for so far back. It is written again whenever capture comes
/// back to a file, so that only one very long file has lines further behind it.
pub const HEADER_RECORDS_MAX: u64 = 1_000_000;

/// Finds the headers of lines of one partition, which are asked for in order.
#[derive(Debug)]
pub struct CsvHeaders<'a> {
    log: &'a Log,
    id: &'a PartitionId,
    /// The line that was asked for last, and its header if that was found.
    last: Option<(u64, Option<Bytes>)>,
}

impl<'a> CsvHeaders<'a> {
    /// Of a partition.
    pub fn new(log: &'a Log, id: &'a PartitionId) -> Self {
        Self {
            log,
            id,
            last: None,
        }
    }

    /// The header of the line at `offset`; `None` if it is too far back, or not in
    /// the log any more.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn header_of(&mut self, offset: u64) -> Result<Option<Bytes>, LogError> {
        let (known_to, known) = self.last.take().unwrap_or_default();
        let begin = self.log.start_offset(self.id).max(known_to);
        let begin = begin.max(offset.saturating_sub(HEADER_RECORDS_MAX));
        let mut end = offset;
        let mut found = None;
        while found.is_none() && end > begin {
            let from = end.saturating_sub(WINDOW_RECORDS).max(begin);
            found = self.last_header(from, end)?;
            end = from;
        }
        // Nothing lies between the lines but lines.
        let header = found.or_else(|| known.filter(|_| begin == known_to));
        self.last = Some((offset, header.clone()));
        Ok(header)
    }

    /// The last header of these records.
    fn last_header(&self, from: u64, end: u64) -> Result<Option<Bytes>, LogError> {
        let mut found = None;
        let mut next = from;
        while next < end {
            // One block at a time.
            let records = self.log.read(self.id, next, end, 1)?;
            let Some(last) = records.last() else {
                break;
            };
            next = last.offset + 1;
            let mut records = records.into_iter().rev();
            let newest = records.find(|it| it.record.kind == RecordKind::CsvHeader);
            if let Some(newest) = newest {
                found = Some(newest.record.payload);
            }
        }
        Ok(found)
    }
}
