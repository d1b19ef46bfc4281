//! Files of definitions, and what is wrong in them.

use std::fmt;

/// One file of definitions.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path, for messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Something wrong in a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionError {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
}

impl DefinitionError {
    /// What is wrong at a byte position of a file.
    pub(crate) fn at(file: &SourceFile, at: usize, message: String, help: &str) -> Self {
        let before = file.text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |position| position + 1);
        Self {
            file: file.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
            help: help.to_owned(),
        }
    }
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            help,
        } = self;
        write!(formatter, "{file}:{line}:{column}: {message}")?;
        if help.is_empty() {
            return Ok(());
        }
        write!(formatter, "\n  help: {help}")
    }
}

impl std::error::Error for DefinitionError {}
