//! What a command reports when it cannot go on, and its exit code.

use std::error::Error;
use std::io;

use sluice_log::LogError;

/// Why a command ended without doing what it was asked for. The text says what
/// was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The project's files or the command line are wrong: exit code 2.
    #[error("{0}")]
    Definitions(String),
    /// Another process holds the warehouse's state: exit code 3.
    #[error("{0}")]
    Busy(String),
    /// Ctrl-C or SIGTERM before the work was done: exit code 130.
    #[error("{0}")]
    Stopped(String),
    /// Anything else: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// Something that went wrong while doing `what`. Adds what to do where the
    /// cause is one that a person can mend.
    pub fn doing(what: &str, error: &(dyn Error + 'static)) -> Self {
        let mut text = format!("{what}: {error}");
        let mut shown = error.to_string();
        let mut kind = None;
        let mut is_stopped = false;
        let mut cause = Some(error);
        while let Some(current) = cause {
            let message = current.to_string();
            if !shown.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
                shown = message;
            }
            if let Some(LogError::Stopped(_)) = current.downcast_ref::<LogError>() {
                is_stopped = true;
            }
            if let Some(io_error) = current.downcast_ref::<io::Error>() {
                kind = Some(io_error.kind());
            }
            cause = current.source();
        }
        if is_stopped {
            return Self::Stopped(text);
        }
        let help = match kind {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                "the disk is full: free some space and start again, nothing that was accepted is lost"
            }
            Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
                "the folder cannot be written: change its permissions, or choose another with --state"
            }
            Some(io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists) => {
                "a file stands where a folder is needed: remove it, or choose another folder with --state"
            }
            Some(io::ErrorKind::AddrInUse) => {
                "the port is taken: set another with `--set listen.http=127.0.0.1:0` or `--set listen.postgres=127.0.0.1:0` (0 takes a free one), or in warehouse.toml"
            }
            _ => return Self::Failed(text),
        };
        Self::Failed(format!("{text}\n  help: {help}"))
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Definitions(_) => 2,
            Self::Busy(_) => 3,
            Self::Stopped(_) => 130,
        }
    }
}

/// Adds what was being done to an error.
pub trait Doing<T> {
    /// Turns the error into a [`Failure`] that starts with `what`.
    ///
    /// # Errors
    /// The error itself.
    fn doing(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: Error + 'static> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::doing(what, &error))
    }
}
