//! What the parts of Sluice share: the words (records, deltas, epochs, tables),
//! the clock and disk through which the outside world comes in, spans of traces, and
//! how long all sources wait before they try a server again.
//!
//! What only one crate needs has no place here. Nothing here depends on another
//! crate of the workspace, and every other crate may depend on it.

mod back_off;
mod backfill;
mod change;
mod clock;
mod codec;
mod dead_letter;
mod delta;
mod disk;
mod epoch;
mod random;
mod record;
mod retry;
mod shard;
mod simulated_disk;
mod sql_size;
mod table;
mod trace;

pub use back_off::BackOff;
pub use backfill::BackfilledRow;
pub use change::{ChangeKind, SourceVersion, TableChanges};
pub use clock::{Clock, ManualClock, SystemClock};
pub use codec::{CodecError, Reader, Writer, read_framed_file, write_framed_file};
pub use dead_letter::DeadLetter;
pub use delta::{Delta, DeltaError};
pub use disk::{Disk, DiskFile, OpenMode, RealDisk};
pub use epoch::{Epoch, EpochCut, PartitionId};
pub use random::Random;
pub use record::{
    FileRange, LogRecord, Record, RecordKind, SourceRange, TransactionMark, UNDECODED, undecoded,
};
pub use retry::Retry;
pub use shard::{VIRTUAL_SHARDS, shard_of_hash, stable_hash};
pub use simulated_disk::{FaultPlan, SimulatedDisk};
pub use sql_size::{
    PLANNING_STACK_BYTES, SQL_INNER_CALLS_MAX, SQL_OPERATORS_MAX, too_many_operators,
};
pub use table::{ColumnDefinition, TableDefinition, TableKind};
pub use trace::{Attribute, OpenSpan, Span, SpanContext, SpanKind, Spans, TakeSpans};
