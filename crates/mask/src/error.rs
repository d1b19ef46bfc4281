//! What can go wrong.

/// A text that cannot be taken apart, so that nobody knows what in it is
/// personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Why, as a dead letter's reason.
    pub reason: &'static str,
    /// Byte position at which that was noticed.
    pub position: usize,
}

/// Why the key store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The disk refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not what was written.
    #[error(
        "{path}: byte {position}: {problem}; put back a copy of the file: what was encrypted under its keys cannot be read without them"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Byte position.
        position: usize,
        /// What is wrong.
        problem: String,
    },
    /// The file has another version.
    #[error("{path}: it has version {found}, this program knows version {known}")]
    Version {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
        /// The version that is known.
        known: u32,
    },
    /// The keys were wrapped with another secret.
    #[error(
        "{path}: its keys were wrapped with another master secret; give that one, as `secret` or (to change it) as `previous_secret` of [masking]"
    )]
    OtherSecret {
        /// The file.
        path: String,
    },
    /// The machine gave no random bytes.
    #[error("the machine gives no random bytes for a key")]
    NoRandomness,
    /// A cipher refused; values are limited to what it takes.
    #[error("a value of {length} bytes cannot be encrypted")]
    NotEncrypted {
        /// Its length.
        length: usize,
    },
    /// An earlier write failed, so that the end of the file is not known.
    #[error("{path}: an earlier write failed; start again")]
    Unusable {
        /// The file.
        path: String,
    },
}
