//! JSON as a row of nodes over its text.
//!
//! Nothing is copied: a node says where its value stands. So numbers keep their
//! digits (money is never a float on the way in), and the buffer of nodes
//! serves one record after another. The grammar is RFC 8259; of equal keys the
//! last one counts.

mod parser;
mod text;
mod value;

pub(crate) use self::parser::{JsonParser, number_end, skip_space};
pub(crate) use self::text::{escape, text_of};
pub(crate) use self::value::Json;

/// The text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at}")]
pub(crate) struct JsonError {
    at: usize,
    problem: &'static str,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    /// Without escapes: the text is the value.
    Plain,
    /// With escapes.
    Escaped,
    Array,
    Object,
}

/// A value, or a key, which the value follows.
#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// Strings: without their quotes.
    start: u32,
    end: u32,
    /// Number of the node behind this one and all that is in it.
    next: u32,
}

#[cfg(test)]
mod tests;
