//! What goes wrong on a connection.

use std::io;

use crate::input::{BadBytes, Input};

/// A statement failed, or the connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The connection broke or did not come about.
    #[error("{host}:{port}: {source}")]
    Io {
        /// Machine.
        host: String,
        /// Port.
        port: u16,
        /// Cause.
        source: io::Error,
    },
    /// The server refuses.
    #[error("the server says: {0}")]
    Server(ServerRefusal),
    /// The server says what is not understood.
    #[error("an answer of the server is not understood: {0}")]
    Protocol(#[from] BadBytes),
    /// There is no way to sign in.
    #[error("{0}")]
    SignIn(String),
}

impl ConnectionError {
    /// The SQLSTATE of the server's error; empty if it is not one of its.
    pub fn code(&self) -> &str {
        match self {
            Self::Server(refusal) => &refusal.code,
            _ => "",
        }
    }
}

/// An error that the server sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message}{detail} (SQLSTATE {code})")]
pub struct ServerRefusal {
    /// SQLSTATE.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// More about it, with a point and a space before; may be empty.
    pub detail: String,
}

impl ServerRefusal {
    /// Reads the content of an error's message.
    pub(crate) fn read(content: &[u8]) -> Self {
        let mut refusal = Self::default();
        let mut input = Input::new(content, "an error");
        // What cannot be read of an error is left out.
        while let Ok(field @ 1..) = input.u8() {
            let Ok(text) = input.text() else { break };
            match field {
                b'C' => refusal.code = text,
                b'M' => refusal.message = text,
                b'D' | b'H' => refusal.detail.push_str(&format!(". {text}")),
                _ => {}
            }
        }
        refusal
    }
}
