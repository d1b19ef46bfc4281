//! Records and rows that are refused, as dead letters.

use sluice_core::{DeadLetter, LogRecord, PartitionId, undecoded};

/// Dead letters keep so many bytes of the record.
const PAYLOAD_BYTES_MAX: usize = 4_096;

/// A refusal of a row.
pub(crate) struct Refusal {
    pub(crate) column: String,
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

/// Where a row comes from: the order in which dead letters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Number of the record.
    pub(crate) record: u32,
    /// Number of the table among those of the topic.
    pub(crate) table: u32,
    /// Number of the element in the record.
    pub(crate) element: u32,
}

impl Place {
    /// A record as a whole.
    pub(crate) fn of(record: u32) -> Self {
        Self {
            record,
            table: 0,
            element: 0,
        }
    }
}

/// Dead letters with their places.
#[derive(Debug)]
pub(crate) struct Letters<'a> {
    id: &'a PartitionId,
    pub(crate) letters: Vec<(Place, DeadLetter)>,
}

impl<'a> Letters<'a> {
    pub(crate) fn new(id: &'a PartitionId) -> Self {
        let letters = Vec::new();
        Self { id, letters }
    }

    pub(crate) fn push(&mut self, place: Place, record: &LogRecord, table: &str, refusal: Refusal) {
        let payload = &record.record.payload;
        let payload = undecoded(payload).map_or(&payload[..], |(_, bytes)| bytes);
        let kept = &payload[..payload.len().min(PAYLOAD_BYTES_MAX)];
        let letter = DeadLetter {
            topic: self.id.topic.clone(),
            partition: self.id.partition,
            offset: record.offset,
            table: table.to_owned(),
            column: refusal.column,
            reason: refusal.reason,
            detail: refusal.detail,
            payload: String::from_utf8_lossy(kept).into_owned(),
            capture_time_us: record.record.capture_time_us,
        };
        self.letters.push((place, letter));
    }
}
