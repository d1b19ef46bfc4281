//! Errors of view definitions, with file, line and column.

use std::fmt;

/// Something in a view's definition that cannot be kept current, or is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    /// File of the model.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do, or to write instead; may be empty.
    pub help: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )?;
        if self.help.is_empty() {
            return Ok(());
        }
        write!(formatter, "\n  help: {}", self.help)
    }
}

impl std::error::Error for PlanError {}
