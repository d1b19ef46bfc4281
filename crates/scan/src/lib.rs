//! Reading collections for queries: what runs once for each row of a table, and is
//! therefore compiled for speed, apart from what runs once for each statement.

mod checked_sum;
mod coded_groups;
mod float_extremes;
mod narrowing;
mod piece_reader;
mod row_filter;
mod snapshot_scan;
mod useful_pieces;

pub use checked_sum::checked_sum;
pub use coded_groups::CodedGroups;
pub use float_extremes::float_extremes;
pub use row_filter::as_declared;
pub use snapshot_scan::{ScanRequest, SnapshotScan};
