//! What an action makes of a text.

use std::borrow::Cow;

use ring::hmac;

use crate::action::Action;
use crate::base64url;
use crate::cipher::{decrypt, encrypt};
use crate::error::KeyStoreError;
use crate::generalise::generalise;
use crate::key_store::KeyStore;
use crate::token::token;

/// What an encrypted value begins with.
pub(crate) const ENCRYPTED: &str = "enc1.";

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Masked<'a> {
    /// It stays as it is.
    Same,
    /// It goes.
    Gone,
    /// It becomes this text.
    Text(Cow<'a, str>),
}

/// Masks `text`. `person` is the id of whom it belongs to, where the action asks
/// for one. What has not the form that an action asks for is hashed: it may be
/// personal all the same.
pub(crate) fn masked<'a>(
    keys: &KeyStore,
    action: &Action,
    text: &'a str,
    person: Option<&str>,
) -> Result<Masked<'a>, KeyStoreError> {
    let owned = |text: String| Masked::Text(Cow::Owned(text));
    let or_hashed = |masked: Option<String>| owned(masked.unwrap_or_else(|| hashed(keys, text)));
    Ok(match action {
        Action::Keep => Masked::Same,
        Action::Drop => Masked::Gone,
        // Says nothing of anybody.
        _ if text.is_empty() => Masked::Same,
        Action::Hash => owned(hashed(keys, text)),
        Action::Tokenise(format) => or_hashed(token(&keys.values, *format, text)),
        Action::Truncate(count) => {
            let end = text.char_indices().nth(*count as usize);
            Masked::Text(Cow::Borrowed(&text[..end.map_or(text.len(), |(at, _)| at)]))
        }
        Action::Generalise(to) => or_hashed(generalise(*to, text)),
        Action::Encrypt(field) => match person.map(str::trim).filter(|id| !id.is_empty()) {
            Some(id) => owned(encrypted(keys, &field.kind, id, text)?),
            None => owned(hashed(keys, text)),
        },
    })
}

/// HMAC-SHA-256 in hexadecimal.
pub(crate) fn hashed(keys: &KeyStore, text: &str) -> String {
    let tag = hmac::sign(&keys.values.hash, text.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in tag.as_ref() {
        for half in [byte >> 4, byte & 15] {
            hex.extend(char::from_digit(half.into(), 16));
        }
    }
    hex
}

/// `enc1.` and, in Base64 for URLs, the number of the person's key (u64,
/// little-endian) and what [`encrypt`] gives.
fn encrypted(keys: &KeyStore, kind: &str, id: &str, text: &str) -> Result<String, KeyStoreError> {
    let key = keys.key_of(keys.person(kind, id))?;
    let number = key.number.to_le_bytes();
    let sealed = encrypt(&key.key, &number, text.as_bytes());
    let sealed = sealed.ok_or(KeyStoreError::NotEncrypted { length: text.len() })?;
    let mut bytes = number.to_vec();
    bytes.extend_from_slice(&sealed);
    let mut value = ENCRYPTED.to_owned();
    base64url::encode_to(&bytes, &mut value);
    Ok(value)
}

/// What was encrypted; `None` if `value` is no such value, or the person was
/// erased.
pub(crate) fn decrypted(keys: &KeyStore, value: &str) -> Option<String> {
    let bytes = base64url::decode(value.strip_prefix(ENCRYPTED)?)?;
    let (number, sealed) = bytes.split_first_chunk::<8>()?;
    let key = keys.key_numbered(u64::from_le_bytes(*number))?;
    String::from_utf8(decrypt(&key, number, sealed)?).ok()
}
