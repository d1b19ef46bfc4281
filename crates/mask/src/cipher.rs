//! AES-256-GCM with a nonce that is made from what is encrypted.

use ring::{aead, hmac};

use crate::secret::derive;

/// Bytes of the nonce in front of what was encrypted.
pub(crate) const NONCE_BYTES: usize = 12;
/// Bytes of the tag behind it.
pub(crate) const TAG_BYTES: usize = 16;

/// Encrypts `plain`: nonce, ciphertext, tag. `context` must be the same when it
/// is decrypted.
///
/// The nonce is HMAC-SHA-256 of context and text under a key of its own, cut to
/// 96 bits: equal texts under one key have equal ciphertexts, so that an update
/// that does not change a value does not change its column, and no nonce ever
/// comes twice for different texts but by a chance of 2⁻⁹⁶ a pair.
pub(crate) fn encrypt(key: &[u8; 32], context: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let nonce_key = hmac::Key::new(hmac::HMAC_SHA256, &derive(key, "sluice nonce 1"));
    let mut said = hmac::Context::with_key(&nonce_key);
    said.update(&(context.len() as u64).to_le_bytes());
    said.update(context);
    said.update(plain);
    let mut nonce = [0; NONCE_BYTES];
    nonce.copy_from_slice(&said.sign().as_ref()[..NONCE_BYTES]);
    let sealing = aead::UnboundKey::new(&aead::AES_256_GCM, key).ok()?;
    let sealing = aead::LessSafeKey::new(sealing);
    let mut sealed = Vec::with_capacity(NONCE_BYTES + plain.len() + TAG_BYTES);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let tag = sealing.seal_in_place_separate_tag(
        aead::Nonce::assume_unique_for_key(nonce),
        aead::Aad::from(context),
        &mut sealed[NONCE_BYTES..],
    );
    sealed.extend_from_slice(tag.ok()?.as_ref());
    Some(sealed)
}

/// What [`encrypt`] was given; `None` if key or context are others, or the
/// bytes were changed.
pub(crate) fn decrypt(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE_BYTES)?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
    let opening = aead::UnboundKey::new(&aead::AES_256_GCM, key).ok()?;
    let opening = aead::LessSafeKey::new(opening);
    let mut plain = rest.to_vec();
    let length = opening
        .open_in_place(nonce, aead::Aad::from(context), &mut plain)
        .ok()?
        .len();
    plain.truncate(length);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_key_context_and_bytes_together_open() {
        let key = [7; 32];
        let sealed = encrypt(&key, b"here", b"secret").unwrap();
        assert_eq!(decrypt(&key, b"here", &sealed).unwrap(), b"secret");
        assert_eq!(encrypt(&key, b"here", b"secret").unwrap(), sealed);
        assert_eq!(decrypt(&[8; 32], b"here", &sealed), None);
        assert_eq!(decrypt(&key, b"there", &sealed), None);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(decrypt(&key, b"here", &changed), None);
            assert_eq!(decrypt(&key, b"here", &sealed[..place]), None);
        }
    }
}
