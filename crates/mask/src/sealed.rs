//! Records of a masked topic that cannot be taken apart: nobody knows what in
//! them is personal, so that all of it is encrypted.

use bytes::Bytes;

use crate::base64url;
use crate::cipher::{decrypt, encrypt};
use crate::error::{KeyStoreError, Malformed};
use crate::key_store::KeyStore;

/// What a sealed record begins with.
pub const SEALED: &str = "{\"sluice_sealed\":{";
/// So much of a record is kept.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// What a sealed record needs beside the payload in Base64.
const FRAME_BYTES: usize = 512;
const CONTEXT: &[u8] = b"sluice sealed record";

/// A JSON object with reason, position and length in clear and the payload
/// encrypted, for those who have the key store and the master secret. It is cut
/// so that the record has `record_bytes_max` at most.
pub(crate) fn seal(
    keys: &KeyStore,
    payload: &[u8],
    why: Malformed,
    record_bytes_max: usize,
) -> Result<Bytes, KeyStoreError> {
    let fitting = record_bytes_max.saturating_sub(FRAME_BYTES) / 4 * 3;
    let kept = &payload[..payload.len().min(KEPT_BYTES_MAX).min(fitting)];
    let Malformed { reason, position } = why;
    let length = payload.len();
    let sealed = encrypt(&keys.values.seal, CONTEXT, kept);
    let sealed = sealed.ok_or(KeyStoreError::NotEncrypted { length })?;
    let mut text = format!(
        "{SEALED}\"reason\":\"{reason}\",\"position\":{position},\"length\":{length},\"payload\":\""
    );
    base64url::encode_to(&sealed, &mut text);
    text.push_str("\"}}");
    Ok(Bytes::from(text))
}

/// Whether a sealed record holds all of what came, of which `kept` bytes are there.
pub(crate) fn is_whole(record: &str, kept: usize) -> bool {
    let length = record.split_once("\"length\":");
    let length = length.and_then(|(_, rest)| rest.split(',').next()?.parse::<usize>().ok());
    length == Some(kept)
}

/// The payload of a sealed record; `None` if it is none of this key store's.
pub(crate) fn unsealed(keys: &KeyStore, record: &str) -> Option<Vec<u8>> {
    let (_, rest) = record.strip_prefix(SEALED)?.split_once("\"payload\":\"")?;
    let (payload, _) = rest.split_once('"')?;
    decrypt(&keys.values.seal, CONTEXT, &base64url::decode(payload)?)
}
