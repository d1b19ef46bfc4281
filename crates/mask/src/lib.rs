//! Masking at the door: what is personal in a record is dropped, hashed,
//! replaced by a token, made coarser or encrypted before the record is written
//! anywhere.
//!
//! [`Masks::mask`] is called by capture, in front of the log. JSON records are
//! rewritten in place, without a tree of their values; a record that cannot be
//! taken apart is sealed as a whole. Keys are in a [`KeyStore`]: a root key,
//! from which hashes and tokens come, and one for each person, so that
//! destroying it makes what was encrypted under it unreadable everywhere.

mod action;
mod apply;
mod base64url;
mod cipher;
mod csv_masker;
mod edit;
mod error;
mod feistel;
mod generalise;
mod json_masker;
mod key_entries;
mod key_store;
mod left_out;
mod masks;
mod rule_masks;
mod rules;
mod scan;
mod sealed;
mod secret;
mod token;
mod tree;

pub use action::{Action, Format, Generalisation, PersonField};
pub use error::KeyStoreError;
pub use json_masker::ROWS as MESSAGE_ROWS;
pub use key_store::{Erasure, KeyStore, Opened};
pub use left_out::LeftOut;
pub use masks::Masks;
pub use rule_masks::{ColumnMask, DROPPED, MASKED, ReadRules, TableMask};
pub use rules::{RecordForm, TopicRules};
pub use sealed::SEALED;
pub use secret::{MasterSecret, SECRET_BYTES_MIN, SecretTooShort};
