//! Bodies of blocks that are compressed.
//!
//! Such a body: mark 253 (u8, where the kind of a block's first record stands
//! otherwise), length of what is compressed (u32), and that, a body of any other
//! form, as one frame of zstd. The block's header says length and checksum of
//! what is stored, so that nothing is unpacked to find blocks or to check them.

use std::cell::RefCell;

use sluice_core::{CodecError, Reader};
use zstd::bulk::{Compressor, Decompressor};

/// First byte of the body of such a block.
pub(crate) const MARK: u8 = 253;
/// Bytes in front of the frame.
const HEAD_BYTES: usize = 5;
/// Bodies up to this length stay as they are: they are one page or less.
const PLAIN_BYTES_MAX: usize = 4 << 10;
/// Longer bodies stay as they are, too, so that nothing in a file can ask for
/// more memory than this when it is unpacked.
const UNPACKED_BYTES_MAX: usize = 64 << 20;
/// The fastest of those that compress well.
const LEVEL: i32 = 1;

thread_local! {
    /// What each frame needs, kept for the next one. None if zstd refuses;
    /// bodies then stay as they are.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::new(LEVEL).ok());
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::default();
}

/// What to store instead of `bytes`, whose body begins at `body_start`. None
/// if that would not be shorter.
pub(crate) fn pack(bytes: &[u8], body_start: usize) -> Option<Vec<u8>> {
    let body = bytes.get(body_start..)?;
    if body.len() <= PLAIN_BYTES_MAX || body.len() > UNPACKED_BYTES_MAX {
        return None;
    }
    let length = u32::try_from(body.len()).ok()?;
    let frame_start = body_start + HEAD_BYTES;
    // A frame without room here is not worth it.
    let mut packed = vec![0; bytes.len() - 1];
    packed[..body_start].copy_from_slice(&bytes[..body_start]);
    packed[body_start] = MARK;
    packed[body_start + 1..frame_start].copy_from_slice(&length.to_le_bytes());
    let frame_bytes = COMPRESSOR.with_borrow_mut(|compressor| {
        let compressed = compressor
            .as_mut()?
            .compress_to_buffer(body, &mut packed[frame_start..]);
        compressed.ok()
    })?;
    packed.truncate(frame_start + frame_bytes);
    Some(packed)
}

/// The body that is stored as `stored`, which was checked.
pub(crate) fn unpack(stored: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    if stored.first() != Some(&MARK) {
        return Ok(stored);
    }
    let invalid = |problem: String| CodecError::Invalid(format!("a compressed block {problem}"));
    let mut reader = Reader::new(&stored);
    reader.u8()?;
    let length = reader.u32()? as usize;
    if length > UNPACKED_BYTES_MAX {
        return Err(invalid(format!(
            "says that it holds {length} bytes, more than the {UNPACKED_BYTES_MAX} that one can"
        )));
    }
    // The frame is cut off at its end: it cannot grow.
    let mut body: Vec<u8> = Vec::with_capacity(length);
    DECOMPRESSOR
        .with_borrow_mut(|decompressor| {
            decompressor.decompress_to_buffer(&stored[HEAD_BYTES..], &mut body)
        })
        .map_err(|error| invalid(format!("cannot be unpacked: {error}")))?;
    if body.len() != length {
        return Err(invalid(format!(
            "says that it holds {length} bytes, and holds {}",
            body.len()
        )));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that compress, but not to nothing.
    fn body(length: usize) -> Vec<u8> {
        let mut text = String::new();
        let mut number = 0_u64;
        while text.len() < length {
            text.push_str(&format!("visit {} of the shop; ", number * number % 9_973));
            number += 1;
        }
        text.into_bytes()[..length].to_vec()
    }

    /// Bytes that do not compress.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..length).map(byte).collect()
    }

    fn stored(length: u32, frame: &[u8]) -> Vec<u8> {
        let mut stored = vec![MARK];
        stored.extend_from_slice(&length.to_le_bytes());
        stored.extend_from_slice(frame);
        stored
    }

    #[track_caller]
    fn check_refused(stored: Vec<u8>, why: &str) {
        let error = unpack(stored).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn bodies_come_back_behind_what_stands_before_them() {
        for length in [4_097, 5_000, 131_072, 131_073, 3_000_000] {
            let body = body(length);
            let mut bytes = vec![7; 44];
            bytes.extend_from_slice(&body);
            let packed = pack(&bytes, 44).unwrap();
            assert_eq!(packed[..44], [7; 44]);
            assert_eq!(packed[44], MARK);
            assert!(packed.len() * 2 < bytes.len(), "{length}");
            assert_eq!(unpack(packed[44..].to_vec()).unwrap(), body);
        }
    }

    #[test]
    fn what_does_not_get_shorter_stays() {
        assert_eq!(pack(&body(4_096), 0), None);
        assert_eq!(pack(&body(44 + 4_096), 44), None);
        assert!(pack(&body(44 + 4_097), 44).is_some());
        for length in [4_097, 200_000] {
            assert_eq!(pack(&noise(length), 0), None);
            // Nor does it spoil the next one.
            let packed = pack(&body(5_000), 0).unwrap();
            assert_eq!(unpack(packed).unwrap(), body(5_000));
        }
        assert_eq!(unpack(body(6_000)).unwrap(), body(6_000));
        assert!(unpack(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn bodies_over_the_limit_stay_and_lengths_over_it_are_refused() {
        let longest = vec![b'x'; UNPACKED_BYTES_MAX + 1];
        assert_eq!(pack(&longest, 0), None);
        let packed = pack(&longest[1..], 0).unwrap();
        assert!(packed.len() < 64 << 10, "{}", packed.len());
        assert!(unpack(packed.clone()).unwrap() == longest[1..]);
        for (length, said) in [
            (UNPACKED_BYTES_MAX as u32 + 1, "67108865"),
            (u32::MAX, "4294967295"),
        ] {
            let why = format!("says that it holds {said} bytes, more than the 67108864");
            check_refused(stored(length, &packed[HEAD_BYTES..]), &why);
            check_refused(stored(length, &[]), &why);
        }
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let packed = pack(&body(9_000), 0).unwrap();
        let frame = &packed[HEAD_BYTES..];
        for length in [0, 1, 8_999] {
            check_refused(stored(length, frame), "cannot be unpacked");
        }
        let why = "says that it holds 9001 bytes, and holds 9000";
        check_refused(stored(9_001, frame), why);
        check_refused(stored(64 << 20, frame), "67108864 bytes, and holds 9000");
        // A frame that holds 32 MiB does not get them.
        let large = pack(&vec![0; 32 << 20], 0).unwrap();
        check_refused(stored(9_000, &large[HEAD_BYTES..]), "cannot be unpacked");
        assert_eq!(unpack(packed).unwrap(), body(9_000));
    }

    #[test]
    fn damaged_frames_give_an_error_or_a_body_of_their_length() {
        let packed = pack(&body(9_000), 0).unwrap();
        for at in 1..packed.len() {
            assert!(unpack(packed[..at].to_vec()).is_err(), "{at}");
            for bit in 0..8 {
                let mut damaged = packed.clone();
                damaged[at] ^= 1 << bit;
                if let Ok(body) = unpack(damaged) {
                    assert_eq!(body.len(), 9_000);
                }
            }
        }
        let mut longer = packed.clone();
        longer.push(0);
        check_refused(longer, "cannot be unpacked");
        // None of them left anything behind.
        assert_eq!(unpack(packed).unwrap(), body(9_000));
    }
}
