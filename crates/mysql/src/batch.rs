//! What a source gives at a time.

use sluice_core::Record;

use crate::copy_report::CopiedRows;

/// See the module.
#[derive(Debug, Default)]
pub struct Batch {
    /// Records, in order.
    pub records: Vec<Record>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// What a person may like to know.
    pub notes: Vec<String>,
    /// First copies of which that changed, in order.
    pub copies: Vec<CopiedRows>,
    /// Nothing more is there now.
    pub at_end: bool,
}
