//! The master secret, and the keys that come from it and from the root key.

use ring::hmac;

/// A shorter secret could be guessed.
pub const SECRET_BYTES_MIN: usize = 32;

/// The master secret: what wraps all other keys. It comes from the environment
/// or from a file of its own, never from a definition.
#[derive(Clone)]
pub struct MasterSecret(Vec<u8>);

/// Why a text is no master secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the master secret has {length} bytes, at least {SECRET_BYTES_MIN} are needed; make one with `openssl rand -hex 32`"
)]
pub struct SecretTooShort {
    /// Bytes that it has.
    pub length: usize,
}

impl MasterSecret {
    /// A secret from its text, without the white space around it.
    ///
    /// # Errors
    /// When it is too short.
    pub fn new(text: &[u8]) -> Result<Self, SecretTooShort> {
        let secret = text.trim_ascii();
        if secret.len() < SECRET_BYTES_MIN {
            let length = secret.len();
            return Err(SecretTooShort { length });
        }
        Ok(Self(secret.to_vec()))
    }

    /// The key that wraps others.
    pub(crate) fn wrapping_key(&self) -> [u8; 32] {
        derive(&self.0, "sluice wrapping key 1")
    }

    /// Tells secrets apart without saying anything of them.
    pub(crate) fn print(&self) -> [u8; 16] {
        let mut print = [0; 16];
        print.copy_from_slice(&derive(&self.0, "sluice print of the master secret 1")[..16]);
        print
    }
}

impl std::fmt::Debug for MasterSecret {
    /// Says nothing of it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MasterSecret")
    }
}

/// HMAC-SHA-256 of `purpose` under `key`: a key of its own for each purpose.
pub(crate) fn derive(key: &[u8], purpose: &str) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, purpose.as_bytes());
    let mut derived = [0; 32];
    derived.copy_from_slice(tag.as_ref());
    derived
}

/// The keys of values, made from the root key. They stay the same when the
/// master secret is changed, so that equal values go on having equal tokens.
pub(crate) struct ValueKeys {
    pub(crate) hash: hmac::Key,
    pub(crate) phone: hmac::Key,
    pub(crate) card: hmac::Key,
    pub(crate) name: hmac::Key,
    pub(crate) email: hmac::Key,
    pub(crate) person: hmac::Key,
    pub(crate) seal: [u8; 32],
}

impl ValueKeys {
    pub(crate) fn new(root: &[u8; 32]) -> Self {
        let key = |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, &derive(root, purpose));
        Self {
            hash: key("sluice hash 1"),
            phone: key("sluice token phone 1"),
            card: key("sluice token card 1"),
            name: key("sluice token name 1"),
            email: key("sluice token email 1"),
            person: key("sluice person 1"),
            seal: derive(root, "sluice sealed record 1"),
        }
    }
}

impl std::fmt::Debug for ValueKeys {
    /// Says nothing of them.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ValueKeys")
    }
}
