//! The body of a request to the collector, taken apart into records.
//!
//! A body is one JSON object, an array of them, or one object a line. It is
//! split without being understood: what is inside a record is the router's
//! matter, and a broken line costs only itself.

use std::io::Read;

use bytes::Bytes;

/// A body may ask for a window of 2 to this many bytes (16 MiB) while it is
/// unpacked.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is empty; send one JSON object, an array of objects, or one object a line")]
    Empty,
    #[error("the body is more than {limit} bytes when it is unpacked; send it in parts")]
    TooLong { limit: usize },
    #[error("the body cannot be unpacked: {0}")]
    BadCompression(String),
    #[error("the array is not closed, or something follows it; send `[{{…}}, {{…}}]`")]
    BadArray,
    #[error("record {number} has {length} bytes, at most {limit} are allowed")]
    RecordTooLong {
        number: usize,
        length: usize,
        limit: usize,
    },
    #[error("the body has more than {limit} records; send it in parts")]
    TooManyRecords { limit: usize },
}

/// Unpacks a body, but never more than `limit` bytes of it.
pub(crate) fn unpack(body: Bytes, encoding: Encoding, limit: usize) -> Result<Bytes, BodyError> {
    let bad = |error: std::io::Error| BodyError::BadCompression(error.to_string());
    let mut unpacked = Vec::new();
    // One byte more than allowed shows that there is more.
    let most = limit as u64 + 1;
    match encoding {
        Encoding::Identity => return Ok(body),
        Encoding::Gzip => {
            let decoder = flate2::read::MultiGzDecoder::new(&*body);
            decoder.take(most).read_to_end(&mut unpacked).map_err(bad)?;
        }
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::new(&*body).map_err(bad)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(bad)?;
            decoder.take(most).read_to_end(&mut unpacked).map_err(bad)?;
        }
    }
    if unpacked.len() > limit {
        return Err(BodyError::TooLong { limit });
    }
    Ok(Bytes::from(unpacked))
}

/// Limits of what a body may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) record_bytes_max: usize,
    pub(crate) records_max: usize,
}

/// The records of a body. They share its memory.
pub(crate) fn split(body: &Bytes, limits: BodyLimits) -> Result<Vec<Bytes>, BodyError> {
    let text = body.trim_ascii();
    let Some(&first) = text.first() else {
        return Err(BodyError::Empty);
    };
    let records = if first == b'[' {
        elements(text).ok_or(BodyError::BadArray)?
    } else {
        lines_or_one(text)
    };
    if records.is_empty() {
        return Err(BodyError::Empty);
    }
    if records.len() > limits.records_max {
        return Err(BodyError::TooManyRecords {
            limit: limits.records_max,
        });
    }
    let limit = limits.record_bytes_max;
    if let Some(number) = records.iter().position(|record| record.len() > limit) {
        return Err(BodyError::RecordTooLong {
            number: number + 1,
            length: records[number].len(),
            limit,
        });
    }
    Ok(records
        .into_iter()
        .map(|record| body.slice_ref(record))
        .collect())
}

/// One record a line, unless the first line is only the beginning of an object
/// that the rest completes.
fn lines_or_one(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = text
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    let first = lines.clone().next().unwrap_or_default();
    let is_one_value =
        value_end(first).is_none() && value_end(text).is_some_and(|end| end == text.len());
    if is_one_value {
        return vec![text];
    }
    lines.by_ref().collect()
}

/// The elements of a JSON array that is all of `text`.
fn elements(text: &[u8]) -> Option<Vec<&[u8]>> {
    let inner = text.strip_prefix(b"[")?.strip_suffix(b"]")?;
    // The brackets must belong to each other.
    if value_end(text)? != text.len() {
        return None;
    }
    let mut elements = Vec::new();
    let mut rest = inner;
    loop {
        let end = element_end(rest)?;
        let element = rest[..end].trim_ascii();
        if element.is_empty() {
            // `[]` is empty; `[1,,2]` and `[1,]` are no JSON.
            let is_all = end == rest.len() && elements.is_empty();
            return is_all.then_some(elements);
        }
        elements.push(element);
        if end == rest.len() {
            return Some(elements);
        }
        rest = &rest[end + 1..];
    }
}

/// Position of the comma that ends the first element, or of the end.
fn element_end(text: &[u8]) -> Option<usize> {
    let mut scan = Scan::default();
    for (position, &byte) in text.iter().enumerate() {
        if byte == b',' && scan.is_outside() {
            return Some(position);
        }
        scan.step(byte)?;
    }
    scan.is_outside().then_some(text.len())
}

/// Position behind the object or array that `text` begins with.
fn value_end(text: &[u8]) -> Option<usize> {
    let mut scan = Scan::default();
    for (position, &byte) in text.iter().enumerate() {
        scan.step(byte)?;
        if scan.is_outside() {
            return Some(position + 1);
        }
    }
    None
}

/// Where a position is in the nesting of JSON.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Scan {
    fn is_outside(&self) -> bool {
        self.depth == 0 && !self.in_string
    }

    /// `None` if a bracket closes that was not opened.
    fn step(&mut self, byte: u8) -> Option<()> {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Some(());
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.checked_sub(1)?,
            _ => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const LIMITS: BodyLimits = BodyLimits {
        record_bytes_max: 40,
        records_max: 5,
    };

    fn records(body: &str) -> Result<Vec<String>, BodyError> {
        let records = split(&Bytes::copy_from_slice(body.as_bytes()), LIMITS)?;
        let text = |record: &Bytes| String::from_utf8_lossy(record).into_owned();
        Ok(records.iter().map(text).collect())
    }

    #[test]
    fn objects_arrays_and_lines_are_split() {
        assert_eq!(records(r#" {"a":1} "#).unwrap(), [r#"{"a":1}"#]);
        assert_eq!(
            records("{\"a\":\n [1,\n2]}\n").unwrap(),
            ["{\"a\":\n [1,\n2]}"]
        );
        assert_eq!(
            records("{\"a\":1}\r\n\n{\"a\":2}\n").unwrap(),
            ["{\"a\":1}", "{\"a\":2}"]
        );
        assert_eq!(
            records(r#"[ {"a":"],["}, {"b":"\"}"} ,3]"#).unwrap(),
            [r#"{"a":"],["}"#, r#"{"b":"\"}"}"#, "3"]
        );
    }

    #[test]
    fn a_broken_line_costs_only_itself() {
        let lines = records("{\"a\":1}\n{\"a\": \n{\"a\":3}").unwrap();
        assert_eq!(lines, ["{\"a\":1}", "{\"a\":", "{\"a\":3}"]);
        let lines = records("{\"a\": \n{\"a\":3}").unwrap();
        assert_eq!(lines, ["{\"a\":", "{\"a\":3}"]);
        assert_eq!(records("hello").unwrap(), ["hello"]);
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        for body in ["", " \n ", "[]", "[ ]"] {
            assert_eq!(records(body), Err(BodyError::Empty), "{body}");
        }
        for body in [
            "[1", "[1]]", "[1,]", "[,1]", "[1,,2]", "[1] 2", "[\"a]", "[1][2]",
        ] {
            assert_eq!(records(body), Err(BodyError::BadArray), "{body}");
        }
        let long = format!("1\n{}", "x".repeat(41));
        assert!(matches!(
            records(&long),
            Err(BodyError::RecordTooLong { number: 2, .. })
        ));
        assert!(matches!(
            records("[1,2,3,4,5,6]"),
            Err(BodyError::TooManyRecords { limit: 5 })
        ));
    }

    #[test]
    fn packed_bodies_are_unpacked_up_to_the_limit() {
        let text = vec![b'x'; 1_000_000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let packed = [
            (Encoding::Gzip, gzip.finish().unwrap()),
            (Encoding::Zstd, zstd::encode_all(&text[..], 1).unwrap()),
        ];
        for (encoding, bytes) in packed {
            let bytes = Bytes::from(bytes);
            assert_eq!(unpack(bytes.clone(), encoding, 1_000_000).unwrap(), text);
            let error = unpack(bytes.clone(), encoding, 999_999).unwrap_err();
            assert_eq!(error, BodyError::TooLong { limit: 999_999 });
            let torn = bytes.slice(..bytes.len() / 2);
            let error = unpack(torn, encoding, 1_000_000).unwrap_err();
            assert!(matches!(error, BodyError::BadCompression(_)), "{error}");
        }
    }
}
