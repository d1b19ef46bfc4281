//! Little-endian encoding of durable state, and checksummed files around it.

use std::io;
use std::path::Path;

use crate::{Disk, OpenMode};

/// Durable bytes did not hold what they should.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes end in the middle of a value.
    #[error("the data ends at byte {at} in the middle of {what}")]
    UnexpectedEnd {
        /// Byte position.
        at: usize,
        /// What was being read.
        what: &'static str,
    },
    /// A text is not UTF-8.
    #[error("text at byte {at} is not UTF-8")]
    NotUtf8 {
        /// Byte position.
        at: usize,
    },
    /// Magic, version or checksum of a file is wrong.
    #[error("{path}: {problem}")]
    BadFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A value is outside what the format allows.
    #[error("{0}")]
    Invalid(String),
    /// The disk failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
}

/// Writes values to a growing buffer, little-endian.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }
    /// An empty buffer with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }
    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }
    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
    /// Appends eight bytes.
    pub fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
    /// Appends sixteen bytes.
    pub fn i128(&mut self, value: i128) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
    /// Appends a length (u32) and the bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        debug_assert!(u32::try_from(value.len()).is_ok(), "a value over 4 GiB");
        self.u32(value.len() as u32);
        self.bytes.extend_from_slice(value);
    }
    /// Appends bytes as they are, without a length.
    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }
    /// Appends a length (u32) and UTF-8.
    pub fn str(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }
    /// The buffer.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    /// True before the first value.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Reads what [`Writer`] wrote; every read is checked against the end.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], CodecError> {
        let end = self.at.checked_add(count);
        let Some(slice) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return Err(CodecError::UnexpectedEnd { at: self.at, what });
        };
        self.at += count;
        Ok(slice)
    }
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CodecError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }
    /// One byte.
    ///
    /// # Errors
    /// At the end of the data; the same holds for all reads here.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>("a byte")?[0])
    }
    /// Four bytes.
    ///
    /// # Errors
    /// At the end of the data.
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.array("a u32")?))
    }
    /// Eight bytes.
    ///
    /// # Errors
    /// At the end of the data.
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        Ok(u64::from_le_bytes(self.array("a u64")?))
    }
    /// Eight bytes.
    ///
    /// # Errors
    /// At the end of the data.
    pub fn i64(&mut self) -> Result<i64, CodecError> {
        Ok(i64::from_le_bytes(self.array("an i64")?))
    }
    /// Sixteen bytes.
    ///
    /// # Errors
    /// At the end of the data.
    pub fn i128(&mut self) -> Result<i128, CodecError> {
        Ok(i128::from_le_bytes(self.array("an i128")?))
    }
    /// A length and the bytes.
    ///
    /// # Errors
    /// At the end of the data.
    pub fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let length = self.u32()? as usize;
        self.take(length, "a byte string")
    }
    /// A length and UTF-8.
    ///
    /// # Errors
    /// At the end of the data, or when it is not UTF-8.
    pub fn str(&mut self) -> Result<&'a str, CodecError> {
        let at = self.at;
        std::str::from_utf8(self.bytes()?).map_err(|_| CodecError::NotUtf8 { at })
    }
    /// True when everything was read.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }
}

/// Writes `payload` as a whole file: magic (8 bytes), version (u32), length
/// (u64), payload, CRC-32 of all before it. The file appears under `path`
/// complete or not at all: it is written beside it, synced and renamed.
///
/// # Errors
/// When the disk fails.
pub fn write_framed_file(
    disk: &dyn Disk,
    path: &Path,
    magic: &[u8; 8],
    version: u32,
    payload: &[u8],
) -> Result<(), CodecError> {
    let io_error = |source| CodecError::Io {
        path: path.display().to_string(),
        source,
    };
    let mut framed = Vec::with_capacity(payload.len() + 24);
    framed.extend_from_slice(magic);
    framed.extend_from_slice(&version.to_le_bytes());
    framed.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    framed.extend_from_slice(payload);
    framed.extend_from_slice(&crc32fast::hash(&framed).to_le_bytes());
    let beside = path.with_extension("tmp");
    let mut file = disk.open(&beside, OpenMode::Create).map_err(io_error)?;
    file.append(&framed).map_err(io_error)?;
    file.sync().map_err(io_error)?;
    drop(file);
    disk.rename(&beside, path).map_err(io_error)?;
    if let Some(parent) = path.parent() {
        disk.sync_dir(parent).map_err(io_error)?;
    }
    Ok(())
}

/// Reads a file of [`write_framed_file`] and checks magic, version, length and
/// checksum. Returns the payload.
///
/// # Errors
/// When the disk fails or any check does; the message names the file and what
/// is wrong with it.
pub fn read_framed_file(
    disk: &dyn Disk,
    path: &Path,
    magic: &[u8; 8],
    version: u32,
) -> Result<Vec<u8>, CodecError> {
    let bad = |problem: String| CodecError::BadFile {
        path: path.display().to_string(),
        problem,
    };
    let bytes = disk.read(path).map_err(|source| CodecError::Io {
        path: path.display().to_string(),
        source,
    })?;
    if bytes.len() < 24 {
        return Err(bad(format!("only {} bytes long, too short", bytes.len())));
    }
    if &bytes[..8] != magic {
        return Err(bad("not a file of the expected kind (wrong magic)".into()));
    }
    let mut reader = Reader::new(&bytes[8..20]);
    let found_version = reader.u32()?;
    if found_version != version {
        return Err(bad(format!(
            "has format version {found_version}, this program reads version {version}"
        )));
    }
    let length = reader.u64()?;
    if length != (bytes.len() - 24) as u64 {
        return Err(bad(format!(
            "holds {} bytes of content but says {length}",
            bytes.len() - 24
        )));
    }
    let body_end = bytes.len() - 4;
    let stored = Reader::new(&bytes[body_end..]).u32()?;
    if crc32fast::hash(&bytes[..body_end]) != stored {
        return Err(bad("is damaged (checksum differs)".into()));
    }
    Ok(bytes[20..body_end].to_vec())
}
