//! The content of a part in compressed pieces.
//!
//! A piece: its length (u32), the length of its stored form (u32), and that: one
//! frame of zstd, or the piece as it is if both lengths are the same. Pieces are
//! compressed while a part is collected, so that no epoch waits for a whole part.
//! A part may be of any length, a piece may not: damaged bytes get no more memory
//! than one piece beyond what was really in them.

use std::cell::RefCell;

use sluice_core::{CodecError, Reader};
use zstd::bulk::{Compressor, Decompressor};

/// The greatest length of a piece. Longer ones compress no better: zstd looks
/// back half as far at this level.
pub(super) const PIECE_BYTES_MAX: usize = 1 << 20;
/// The two lengths.
const PIECE_HEAD_BYTES: usize = 8;
/// The fastest but for those that compress less.
const LEVEL: i32 = 1;

/// What a thread needs to compress a piece, kept for the next one.
struct PieceCompressor {
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

thread_local! {
    /// None if zstd refuses; pieces then stay as they are.
    static COMPRESSOR: RefCell<Option<PieceCompressor>> = RefCell::new(PieceCompressor::new());
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::default();
}

impl PieceCompressor {
    fn new() -> Option<Self> {
        Some(Self {
            compressor: Compressor::new(LEVEL).ok()?,
            frame: Vec::with_capacity(PIECE_BYTES_MAX),
        })
    }

    /// The frame that holds a piece, if it is shorter than that.
    fn compress(&mut self, piece: &[u8]) -> Option<&[u8]> {
        self.frame.clear();
        let compressed = self.compressor.compress_to_buffer(piece, &mut self.frame);
        compressed.ok()?;
        let is_shorter = PIECE_HEAD_BYTES + self.frame.len() < piece.len();
        is_shorter.then_some(self.frame.as_slice())
    }
}

/// Puts a piece behind what is stored, compressed if that is shorter. Whether it
/// is.
pub(super) fn append_piece(stored: &mut Vec<u8>, piece: &[u8]) -> bool {
    debug_assert!(piece.len() <= PIECE_BYTES_MAX, "a piece over the limit");
    COMPRESSOR.with_borrow_mut(|compressor| {
        let frame = compressor.as_mut().and_then(|it| it.compress(piece));
        let form = frame.unwrap_or(piece);
        stored.extend_from_slice(&(piece.len() as u32).to_le_bytes());
        stored.extend_from_slice(&(form.len() as u32).to_le_bytes());
        stored.extend_from_slice(form);
        frame.is_some()
    })
}

/// The content of all pieces. There is one at least.
pub(super) fn content_of(pieces: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut content = Vec::new();
    let mut reader = Reader::new(pieces);
    loop {
        let length = reader.u32()? as usize;
        append_content(&mut content, length, reader.bytes()?)?;
        if reader.is_at_end() {
            return Ok(content);
        }
    }
}

/// Puts a piece of so many bytes behind the content before it.
fn append_content(content: &mut Vec<u8>, length: usize, stored: &[u8]) -> Result<(), CodecError> {
    let invalid = |problem: String| CodecError::Invalid(format!("a compressed piece {problem}"));
    if length > PIECE_BYTES_MAX {
        return Err(invalid(format!(
            "says that it holds {length} bytes, more than the {PIECE_BYTES_MAX} that one can"
        )));
    }
    if stored.len() == length {
        content.extend_from_slice(stored);
        return Ok(());
    }
    let start = content.len();
    content.resize(start + length, 0);
    // A frame that holds more is an error.
    let held = DECOMPRESSOR
        .with_borrow_mut(|it| it.decompress_to_buffer(stored, &mut content[start..]))
        .map_err(|error| invalid(format!("cannot be decompressed: {error}")))?;
    if held != length {
        return Err(invalid(format!(
            "says that it holds {length} bytes, and holds {held}"
        )));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Bytes of rows that are much alike.
    pub(in crate::state_parts) fn rows(length: usize) -> Vec<u8> {
        let number = (0_u64..).map(|row| row * row % 9_973);
        let bytes = number.flat_map(u64::to_le_bytes);
        bytes.take(length).collect()
    }

    fn piece(length: u32, stored: &[u8]) -> Vec<u8> {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        bytes.extend_from_slice(stored);
        bytes
    }

    /// Pieces with 9,000 bytes, and the frame in them.
    fn compressed() -> (Vec<u8>, Vec<u8>) {
        let mut pieces = Vec::new();
        assert!(append_piece(&mut pieces, &rows(9_000)));
        let frame = pieces[PIECE_HEAD_BYTES..].to_vec();
        assert_eq!(pieces, piece(9_000, &frame));
        (pieces, frame)
    }

    #[track_caller]
    fn check_refused(pieces: &[u8], why: &str) {
        let error = content_of(pieces).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn pieces_come_back_one_after_another() {
        let mut pieces = Vec::new();
        let mut wanted = Vec::new();
        for length in [9_000, 600, PIECE_BYTES_MAX, 131_073] {
            assert!(append_piece(&mut pieces, &rows(length)), "{length}");
            wanted.extend(rows(length));
        }
        // Too short for a frame.
        assert!(!append_piece(&mut pieces, b"abc"));
        wanted.extend(b"abc");
        assert!(pieces.ends_with(&piece(3, b"abc")));
        assert!(pieces.len() * 2 < wanted.len(), "{} bytes", pieces.len());
        assert!(content_of(&pieces).unwrap() == wanted);
    }

    #[test]
    fn a_frame_has_nothing_of_the_one_before() {
        let (first, _) = compressed();
        append_piece(&mut Vec::new(), &rows(200_000));
        assert_eq!(compressed().0, first);
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let (pieces, frame) = compressed();
        let why = "says that it holds 1048577 bytes, more than the 1048576 that one can";
        check_refused(&piece(1_048_577, &frame), why);
        check_refused(&piece(u32::MAX, &frame), "holds 4294967295 bytes, more");
        check_refused(&piece(u32::MAX, &[]), "holds 4294967295 bytes, more");
        for length in [0, 1, 8_999] {
            check_refused(&piece(length, &frame), "cannot be decompressed");
        }
        let why = "says that it holds 9001 bytes, and holds 9000";
        check_refused(&piece(9_001, &frame), why);
        check_refused(&piece(9_000, &[]), "holds 9000 bytes, and holds 0");
        // A frame that holds 8 MiB does not get them.
        let large = zstd::bulk::compress(&vec![0; 8 << 20], LEVEL).unwrap();
        check_refused(&piece(9_000, &large), "cannot be decompressed");
        // Nor does the second piece of two get what the first one has.
        let mut two = pieces.clone();
        two.extend(piece(9_001, &frame));
        check_refused(&two, "9001 bytes, and holds 9000");
        check_refused(&[], "the data ends at byte 0");
        assert!(content_of(&pieces).unwrap() == rows(9_000));
    }

    #[test]
    fn damaged_pieces_give_an_error_or_as_many_bytes() {
        let (pieces, _) = compressed();
        for at in 0..pieces.len() {
            assert!(content_of(&pieces[..at]).is_err(), "{at}");
            for bit in 0..8 {
                let mut damaged = pieces.clone();
                damaged[at] ^= 1 << bit;
                if let Ok(content) = content_of(&damaged) {
                    assert_eq!(content.len(), 9_000, "{at}");
                }
            }
        }
        let mut longer = pieces.clone();
        longer.push(0);
        check_refused(&longer, "in the middle of a u32");
        // None of them left anything behind.
        assert!(content_of(&pieces).unwrap() == rows(9_000));
    }
}
