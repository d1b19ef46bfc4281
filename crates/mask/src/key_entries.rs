//! The bytes of the key store.
//!
//! A header of 32 bytes, then entries of 112 bytes, little-endian. Header:
//! `SLUICEKY`, version u32, print of the master secret (16 bytes), CRC-32 of
//! all before it. Entry: kind u8 (1 root key, 2 key of a person, 3 person
//! erased), 3 bytes of zeros, person (16 bytes, a keyed print; zeros for the
//! root key), number of the key u64, time i64 (when a person was erased,
//! microseconds since 1970 UTC), wrapped key (nonce, ciphertext and tag; 60
//! bytes; zeros where there is none), number of entries that were durable when
//! it was written u64, 4 bytes of zeros, CRC-32 of all before it and of the
//! entry's place in the file.

use crate::cipher::{NONCE_BYTES, TAG_BYTES};

pub(crate) const MAGIC: &[u8; 8] = b"SLUICEKY";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 32;
pub(crate) const ENTRY_BYTES: usize = 112;
pub(crate) const WRAPPED_BYTES: usize = NONCE_BYTES + 32 + TAG_BYTES;

/// A person: a keyed print of kind and id.
pub(crate) type PersonPrint = [u8; 16];

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Root,
    Person,
    Erased,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: EntryKind,
    pub(crate) person: PersonPrint,
    pub(crate) number: u64,
    pub(crate) time_us: i64,
    pub(crate) wrapped: [u8; WRAPPED_BYTES],
}

pub(crate) fn header(print: [u8; 16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&print);
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// Why a header is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Version(u32),
    Damaged(&'static str),
}

/// The print of the master secret.
pub(crate) fn read_header(bytes: &[u8]) -> Result<[u8; 16], BadHeader> {
    let header: &[u8; HEADER_BYTES] = bytes
        .first_chunk()
        .ok_or(BadHeader::Damaged("the file is shorter than its header"))?;
    if !header.starts_with(MAGIC) {
        return Err(BadHeader::Damaged("this is no key store"));
    }
    let version = number(&header[8..12]) as u32;
    if version != VERSION {
        return Err(BadHeader::Version(version));
    }
    if crc32fast::hash(&header[..28]) as u64 != number(&header[28..]) {
        return Err(BadHeader::Damaged("the header does not fit its checksum"));
    }
    let mut print = [0; 16];
    print.copy_from_slice(&header[12..28]);
    Ok(print)
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn checksum(body: &[u8], place: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(&place.to_le_bytes());
    hasher.finalize()
}

impl Entry {
    /// Its bytes as entry number `place`, written when `durable` entries were.
    pub(crate) fn encode(&self, place: u64, durable: u64, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.push(match self.kind {
            EntryKind::Root => 1,
            EntryKind::Person => 2,
            EntryKind::Erased => 3,
        });
        bytes.extend_from_slice(&[0; 3]);
        bytes.extend_from_slice(&self.person);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.time_us.to_le_bytes());
        bytes.extend_from_slice(&self.wrapped);
        bytes.extend_from_slice(&durable.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let sum = checksum(&bytes[start..], place);
        bytes.extend_from_slice(&sum.to_le_bytes());
    }

    /// Entry number `place`, and how many were durable when it was written;
    /// `None` if it is not whole.
    pub(crate) fn decode(bytes: &[u8], place: u64) -> Option<(Self, u64)> {
        let bytes: &[u8; ENTRY_BYTES] = bytes.first_chunk()?;
        let (body, sum) = bytes.split_at(ENTRY_BYTES - 4);
        if u64::from(checksum(body, place)) != number(sum) {
            return None;
        }
        let kind = match body[0] {
            1 => EntryKind::Root,
            2 => EntryKind::Person,
            3 => EntryKind::Erased,
            _ => return None,
        };
        let mut person = [0; 16];
        person.copy_from_slice(&body[4..20]);
        let mut wrapped = [0; WRAPPED_BYTES];
        wrapped.copy_from_slice(&body[36..36 + WRAPPED_BYTES]);
        let entry = Self {
            kind,
            person,
            number: number(&body[20..28]),
            time_us: number(&body[28..36]) as i64,
            wrapped,
        };
        Some((entry, number(&body[96..104])))
    }
}
