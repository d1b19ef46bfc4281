//! Proofs of a password.

use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// The way in which a server wants a password to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// `mysql_native_password`.
    Native,
    /// `caching_sha2_password`.
    CachingSha2,
    /// `mysql_clear_password`: over TLS only.
    Clear,
}

impl Method {
    /// The method of a name; `None` for one that is not known.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "mysql_native_password" => Self::Native,
            "caching_sha2_password" => Self::CachingSha2,
            "mysql_clear_password" => Self::Clear,
            _ => return None,
        })
    }

    /// The answer to the server's random bytes.
    pub(crate) fn answer(self, password: &str, seed: &[u8]) -> Vec<u8> {
        if password.is_empty() {
            return Vec::new();
        }
        match self {
            Self::Native => scramble(&SHA1_FOR_LEGACY_USE_ONLY, password, seed, true),
            Self::CachingSha2 => scramble(&SHA256, password, seed, false),
            Self::Clear => zero_ended(password),
        }
    }
}

/// A password with the zero behind it that the protocol wants.
pub(crate) fn zero_ended(password: &str) -> Vec<u8> {
    let mut bytes = password.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// `H(password) xor H(seed, H(H(password)))`, or with the seed last.
fn scramble(
    algorithm: &'static Algorithm,
    password: &str,
    seed: &[u8],
    seed_first: bool,
) -> Vec<u8> {
    let once = digest(algorithm, password.as_bytes());
    let twice = digest(algorithm, once.as_ref());
    let mixed = match seed_first {
        true => [seed, twice.as_ref()].concat(),
        false => [twice.as_ref(), seed].concat(),
    };
    let mixed = digest(algorithm, &mixed);
    let pairs = once.as_ref().iter().zip(mixed.as_ref());
    pairs.map(|(first, second)| first ^ second).collect()
}
