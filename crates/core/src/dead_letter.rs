//! Dead letters: records that could not become rows.

/// A record that could not be parsed, typed or placed. It costs nothing but
/// itself, is counted, and can be replayed after the definition is mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Topic of the record.
    pub topic: String,
    /// Partition of the record.
    pub partition: u32,
    /// Offset of the record.
    pub offset: u64,
    /// The table it was meant for; empty where no table could be chosen.
    pub table: String,
    /// The column at fault; empty where the record as a whole is.
    pub column: String,
    /// Short fixed name of the reason, to group by, such as `not_json` or `late`.
    pub reason: &'static str,
    /// What was wrong, for a person.
    pub detail: String,
    /// The record's payload, at most the first 4,096 bytes, invalid UTF-8
    /// replaced.
    pub payload: String,
    /// When capture read the record, microseconds since 1970 UTC.
    pub capture_time_us: i64,
}
