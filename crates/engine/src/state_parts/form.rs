//! The form of a part: its version, of a base its epoch, and the content, which
//! is compressed (version 3, `compression.rs`) or, where there is little of it or
//! it would not get shorter, as it is (version 2). Programs before version 3
//! wrote all parts in version 2.

use std::borrow::Cow;

use sluice_core::{CodecError, Epoch, Writer};

use super::compression::{PIECE_BYTES_MAX, append_piece, content_of};
use super::state_error;
use crate::EngineError;

/// Version of a part whose content is as it is: its first byte.
const PLAIN: u8 = 2;
/// Version of a part whose content is compressed.
const COMPRESSED: u8 = 3;
/// The version, and a base's epoch.
pub(super) const BASE_HEAD_BYTES: usize = 9;
/// Parts that are shorter than this stay as they are.
const COMPRESSED_BYTES_MIN: usize = 512;

/// The beginning of a part that is never compressed: the version.
pub(crate) fn versioned() -> Writer {
    let mut writer = Writer::new();
    writer.u8(PLAIN);
    writer
}

/// A part of [`versioned`] without its version.
pub(crate) fn unversioned<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a [u8], EngineError> {
    let (_, body) = split_version(name, bytes, &[PLAIN])?;
    Ok(body)
}

/// A part while it is collected.
#[derive(Debug)]
pub(super) struct PartWriter {
    /// The head, and the content before `rest` in its stored form.
    stored: Vec<u8>,
    head_bytes: usize,
    /// Length of the content before `rest`.
    content_bytes: usize,
    rest: Writer,
    is_plain: bool,
}

/// A part to store.
#[derive(Debug)]
pub(super) struct FinishedPart {
    pub(super) bytes: Vec<u8>,
    /// How long it would be in version 2. Parts are compared by this: how well
    /// they compress differs, and how they were stored before.
    pub(super) plain_bytes: usize,
}

impl PartWriter {
    /// A base, whose epoch is known when it is whole ([`set_base_epoch`]). It will
    /// take about so many bytes.
    pub(super) fn base(bytes_about: usize) -> Self {
        let mut stored = Vec::with_capacity(bytes_about);
        stored.resize(BASE_HEAD_BYTES, 0);
        Self::begun(stored)
    }

    /// Changes.
    pub(super) fn changes() -> Self {
        Self::begun(vec![0])
    }

    fn begun(stored: Vec<u8>) -> Self {
        Self {
            head_bytes: stored.len(),
            stored,
            content_bytes: 0,
            rest: Writer::new(),
            is_plain: false,
        }
    }

    /// Takes more of the content. [`Self::compress_pieces`] is to follow.
    pub(super) fn writer(&mut self) -> &mut Writer {
        &mut self.rest
    }

    /// Takes changes of a shard, if there are any.
    pub(super) fn add_changes(&mut self, shard: usize, of_shard: Writer) {
        if of_shard.is_empty() {
            return;
        }
        self.rest.u32(shard as u32);
        self.rest.bytes(&of_shard.finish());
        self.compress_pieces();
    }

    /// Compresses what has come, but for what is left of whole pieces.
    pub(super) fn compress_pieces(&mut self) {
        if self.rest.len() < PIECE_BYTES_MAX {
            return;
        }
        let content = std::mem::take(&mut self.rest).finish();
        let pieces = content.chunks_exact(PIECE_BYTES_MAX);
        self.rest.raw(pieces.remainder());
        for piece in pieces {
            self.store(piece);
        }
    }

    fn store(&mut self, piece: &[u8]) {
        let is_first = self.content_bytes == 0;
        self.content_bytes += piece.len();
        if !self.is_plain {
            let is_shorter = append_piece(&mut self.stored, piece);
            if is_shorter || !is_first {
                return;
            }
            // Those that follow are like it.
            self.stored.truncate(self.head_bytes);
            self.is_plain = true;
        }
        self.stored.extend_from_slice(piece);
    }

    /// The part, when all of its content was written.
    pub(super) fn finish(mut self) -> FinishedPart {
        self.compress_pieces();
        let rest = std::mem::take(&mut self.rest).finish();
        let plain_bytes = self.head_bytes + self.content_bytes + rest.len();
        self.is_plain |= plain_bytes < COMPRESSED_BYTES_MIN;
        if !rest.is_empty() {
            self.store(&rest);
        }
        self.stored[0] = match self.is_plain {
            true => PLAIN,
            false => COMPRESSED,
        };
        FinishedPart {
            bytes: self.stored,
            plain_bytes,
        }
    }
}

/// Writes the epoch into a base where [`PartWriter::base`] left room for it.
pub(super) fn set_base_epoch(base: &mut [u8], epoch: Epoch) {
    if let Some(place) = base.get_mut(1..BASE_HEAD_BYTES) {
        place.copy_from_slice(&epoch.to_le_bytes());
    }
}

/// A base's epoch and content.
pub(super) fn read_base<'a>(
    name: &str,
    bytes: &'a [u8],
) -> Result<(Epoch, Cow<'a, [u8]>), EngineError> {
    let (version, body) = split_version(name, bytes, &[COMPRESSED, PLAIN])?;
    let Some((epoch, stored)) = body.split_first_chunk() else {
        let problem = CodecError::Invalid("it is too short".into());
        return Err(state_error(name, problem));
    };
    let content = read_content(name, version, stored)?;
    Ok((Epoch::from_le_bytes(*epoch), content))
}

/// The content of changes.
pub(super) fn read_changes<'a>(name: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, EngineError> {
    let (version, stored) = split_version(name, bytes, &[COMPRESSED, PLAIN])?;
    read_content(name, version, stored)
}

fn read_content<'a>(
    name: &str,
    version: u8,
    stored: &'a [u8],
) -> Result<Cow<'a, [u8]>, EngineError> {
    if version == PLAIN {
        return Ok(Cow::Borrowed(stored));
    }
    let content = content_of(stored).map_err(|source| state_error(name, source))?;
    Ok(Cow::Owned(content))
}

/// The version, which is one of those that are known, and what follows.
fn split_version<'a>(
    name: &str,
    bytes: &'a [u8],
    known: &[u8],
) -> Result<(u8, &'a [u8]), EngineError> {
    let Some((&version, body)) = bytes.split_first() else {
        return Err(EngineError::Checkpoint(format!("part `{name}` is empty")));
    };
    if known.contains(&version) {
        return Ok((version, body));
    }
    let known = known.iter().map(|known| format!("version {known}"));
    let known = known.collect::<Vec<_>>().join(" and ");
    let problem = format!("it has format version {version}, this program reads {known}");
    Err(state_error(name, CodecError::Invalid(problem)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_parts::compression::tests::rows;

    /// Bytes as of hashes.
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

    /// Changes that came in pieces of so many bytes.
    fn changes(content: &[u8], step: usize) -> FinishedPart {
        let mut part = PartWriter::changes();
        for piece in content.chunks(step) {
            part.writer().raw(piece);
            part.compress_pieces();
            assert!(part.rest.len() < PIECE_BYTES_MAX);
        }
        let part = part.finish();
        assert_eq!(part.plain_bytes, 1 + content.len());
        part
    }

    fn plain(content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2];
        bytes.extend_from_slice(content);
        bytes
    }

    #[test]
    fn parts_are_compressed_where_they_get_shorter() {
        for length in [511, 70_000, 1 << 20, (1 << 20) + 1, 5_000_000] {
            let content = rows(length);
            let at_once = changes(&content, length);
            assert_eq!(at_once.bytes[0], 3, "{length}");
            assert!(at_once.bytes.len() < length * 9 / 10, "{length}");
            assert!(*read_changes("p", &at_once.bytes).unwrap() == *content);
            // How it was collected makes no difference.
            let in_steps = changes(&content, 30_011);
            assert!(in_steps.bytes == at_once.bytes, "{length}");
        }
        for content in [rows(510), rows(0), noise(510), noise(511)] {
            assert_eq!(changes(&content, 100).bytes, plain(&content));
        }
        let content = noise(3_000_000);
        assert!(changes(&content, 40_000).bytes == plain(&content));
        assert!(*read_changes("p", &plain(&content)).unwrap() == *content);
    }

    #[test]
    fn a_piece_that_does_not_get_shorter_stays_as_it_is_among_others() {
        let mut content = rows(1 << 20);
        content.extend(noise(1 << 20));
        content.extend(rows(100_000));
        let part = changes(&content, 50_000);
        assert_eq!(part.bytes[0], 3);
        assert!(*read_changes("p", &part.bytes).unwrap() == *content);
    }

    #[test]
    fn a_base_has_its_epoch_in_front_of_its_content() {
        for (length, version) in [(0, 2_u8), (502, 2), (503, 3), (20_000, 3), (3_000_000, 3)] {
            let mut base = PartWriter::base(0);
            base.writer().raw(&rows(length));
            let mut base = base.finish();
            assert_eq!(base.plain_bytes, 9 + length);
            set_base_epoch(&mut base.bytes, 0x0102_0304);
            assert_eq!(base.bytes[..9], [version, 4, 3, 2, 1, 0, 0, 0, 0]);
            let (epoch, content) = read_base("p", &base.bytes).unwrap();
            assert_eq!(epoch, 0x0102_0304);
            assert!(*content == *rows(length), "{length}");
        }
    }

    #[test]
    fn parts_of_version_2_are_read() {
        // As programs before version 3 wrote them, however long.
        let content = rows(2_000);
        assert!(*read_changes("p", &plain(&content)).unwrap() == *content);
        let mut base = vec![2, 7, 0, 0, 0, 0, 0, 0, 0];
        base.extend_from_slice(&content);
        let (epoch, found) = read_base("p", &base).unwrap();
        assert_eq!((epoch, found.len()), (7, 2_000));
        assert!(*found == *content);
        assert_eq!(unversioned("p", &[2, 5, 6]).unwrap(), [5_u8, 6]);
    }

    #[test]
    fn a_part_that_cannot_be_read_is_named_with_the_reason() {
        let text = |error: EngineError| error.to_string();
        let other = "the state `p` cannot be read: it has format version";
        for version in [0, 1, 4, 255] {
            let why = format!("{other} {version}, this program reads version 3 and version 2");
            let part = [version, 1, 2, 3];
            assert_eq!(text(read_changes("p", &part).unwrap_err()), why);
            assert_eq!(text(read_base("p", &part).unwrap_err()), why);
        }
        let why = format!("{other} 3, this program reads version 2");
        assert_eq!(text(unversioned("p", &[3, 1]).unwrap_err()), why);
        for empty in [read_changes("p", &[]).err(), unversioned("p", &[]).err()] {
            let why = "the checkpoint cannot be used: part `p` is empty";
            assert_eq!(empty.map(text).as_deref(), Some(why));
        }
        let short = text(read_base("p", &[3, 1, 0, 0]).unwrap_err());
        assert_eq!(short, "the state `p` cannot be read: it is too short");
        let mut part = changes(&rows(9_000), 9_000).bytes;
        part[1..5].copy_from_slice(&9_001_u32.to_le_bytes());
        assert_eq!(
            text(read_changes("p", &part).unwrap_err()),
            "the state `p` cannot be read: a compressed piece says that it holds 9001 bytes, and holds 9000"
        );
    }
}
