//! A keyed permutation of short sequences: what format-preserving tokens are
//! made with.
//!
//! A value is a sequence of digits x₁…xₙ, each with a radix rᵢ of its own (10 for
//! a digit, 26 for a letter …). It is cut into a left and a right part, and in
//! each of ten rounds one part is moved, digit by digit, by a stream of
//! HMAC-SHA-256 under the key over the length, the radices, the number of the
//! round and the other part:
//!
//! xᵢ ← (xᵢ + streamᵢ) mod rᵢ
//!
//! Rounds alternate between the parts. This is the structure of FF1 in NIST SP
//! 800-38G (a Feistel network of ten rounds with modular addition) over the
//! group ℤ_r₁ × … × ℤ_rₙ instead of one ring of integers, with HMAC-SHA-256 as
//! the round function instead of AES-CBC-MAC. It is a permutation, so that
//! different values have different tokens, and it can be undone with the key.
//! Like FF1 it is only sound for large enough domains: [`DOMAIN_MIN`].

use ring::hmac;

/// Fewest values that the digits together must be able to have (SP 800-38G
/// revision 1 asks for as many).
pub(crate) const DOMAIN_MIN: u64 = 1_000_000;

const ROUNDS: u8 = 10;
/// Numbers that one block of the stream gives.
const BLOCK_NUMBERS: usize = 8;

/// A digit and its radix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digit {
    pub(crate) value: u32,
    pub(crate) radix: u32,
}

/// Whether the digits can have enough values.
pub(crate) fn is_large_enough(digits: &[Digit]) -> bool {
    let product = digits.iter().try_fold(1_u64, |product, digit| {
        let product = product.saturating_mul(u64::from(digit.radix));
        // Enough is enough.
        (product < DOMAIN_MIN).then_some(product)
    });
    digits.len() >= 2 && product.is_none()
}

/// Permutes the digits in place.
pub(crate) fn permute(key: &hmac::Key, digits: &mut [Digit]) {
    let (left, right) = digits.split_at_mut(digits.len() / 2);
    for round in 0..ROUNDS {
        match round % 2 {
            0 => move_by(key, round, left, right),
            _ => move_by(key, round, right, left),
        }
    }
}

/// One round: adds to `moved` what the stream over `other` says.
fn move_by(key: &hmac::Key, round: u8, moved: &mut [Digit], other: &[Digit]) {
    let mut said = Vec::with_capacity(16 + 8 * other.len());
    said.push(round);
    said.extend_from_slice(&(moved.len() as u32).to_le_bytes());
    said.extend_from_slice(&(other.len() as u32).to_le_bytes());
    for digit in other {
        said.extend_from_slice(&digit.value.to_le_bytes());
        said.extend_from_slice(&digit.radix.to_le_bytes());
    }
    for digit in moved.iter() {
        said.extend_from_slice(&digit.radix.to_le_bytes());
    }
    for (number, block) in moved.chunks_mut(BLOCK_NUMBERS).enumerate() {
        let mut context = hmac::Context::with_key(key);
        context.update(&said);
        context.update(&(number as u32).to_le_bytes());
        let stream = context.sign();
        for (digit, bytes) in block.iter_mut().zip(stream.as_ref().chunks_exact(4)) {
            let by = bytes
                .iter()
                .fold(0_u64, |by, &byte| by << 8 | u64::from(byte));
            let sum = u64::from(digit.value) + by;
            // Smaller than a radix, which is a u32.
            digit.value = (sum % u64::from(digit.radix)) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn key(secret: &[u8]) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, secret)
    }

    #[test]
    fn a_whole_domain_is_permuted() {
        // Small, so that all of it can be looked at.
        let mut seen = BTreeSet::new();
        let mut unmoved = 0;
        for value in 0..3 * 10 * 7 * 5 {
            let digit = |value: u32, radix| Digit {
                value: value % radix,
                radix,
            };
            let mut digits = [
                digit(value, 3),
                digit(value / 3, 10),
                digit(value / 30, 7),
                digit(value / 210, 5),
            ];
            let before = digits;
            permute(&key(b"one"), &mut digits);
            assert!(digits.iter().all(|digit| digit.value < digit.radix));
            unmoved += u32::from(before == digits);
            seen.insert(digits.map(|digit| digit.value));
        }
        assert_eq!(seen.len(), 3 * 10 * 7 * 5);
        assert!(unmoved < 10, "{unmoved}");
    }

    #[test]
    fn the_key_decides() {
        let mut one = [Digit {
            value: 3,
            radix: 10,
        }; 12];
        let (mut same, mut other) = (one, one);
        permute(&key(b"one"), &mut one);
        permute(&key(b"one"), &mut same);
        permute(&key(b"other"), &mut other);
        assert_eq!(one, same);
        assert_ne!(one, other);
    }

    #[test]
    fn domains_are_measured() {
        let digits = [Digit {
            value: 0,
            radix: 10,
        }; 7];
        assert!(is_large_enough(&digits[..6]));
        assert!(!is_large_enough(&digits[..5]));
        let wide = [Digit {
            value: 0,
            radix: 2_000_000,
        }];
        assert!(!is_large_enough(&wide), "one part would have nothing");
    }
}
