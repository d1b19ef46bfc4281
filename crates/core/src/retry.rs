//! Records that are tried again after they became dead letters.

use bytes::Bytes;

use crate::{CodecError, Reader, Writer};

/// Version of the encoded form.
const VERSION: u8 = 1;
/// And where it has a header.
const VERSION_WITH_HEADER: u8 = 2;

/// The payload of a [`crate::RecordKind::Retry`]: a record of the same partition
/// with the tables that it shall be given to once more. Whoever reads the log
/// decides by it alone whether the record had become rows in the first place, so
/// that trying again never gives a row twice.
///
/// Encoded: version u8, offset u64, capture time i64, 1 if the record was sealed
/// u8, number of tables u32 and their names, payload, in version 2 the header. Byte
/// strings have a u32 length; all little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Offset of the record in its partition.
    pub offset: u64,
    /// When capture read the record, microseconds since 1970 UTC.
    pub capture_time_us: i64,
    /// The record is sealed in the log, and what is here was masked since: the
    /// record itself can be no row, whatever the definitions.
    pub was_sealed: bool,
    /// The tables; an empty name stands for all tables of the topic.
    pub tables: Vec<String>,
    /// The record's payload.
    pub payload: Bytes,
    /// Of a CSV line: the header of its file.
    pub header: Option<Bytes>,
}

impl Retry {
    /// As the payload of a record.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        writer.u8(match self.header {
            Some(_) => VERSION_WITH_HEADER,
            None => VERSION,
        });
        writer.u64(self.offset);
        writer.i64(self.capture_time_us);
        writer.u8(u8::from(self.was_sealed));
        writer.u32(u32::try_from(self.tables.len()).unwrap_or(u32::MAX));
        for table in &self.tables {
            writer.str(table);
        }
        writer.bytes(&self.payload);
        if let Some(header) = &self.header {
            writer.bytes(header);
        }
        Bytes::from(writer.finish())
    }

    /// Reads what [`Retry::encode`] wrote.
    ///
    /// # Errors
    /// When it is damaged or of another version.
    pub fn decode(payload: &Bytes) -> Result<Self, CodecError> {
        let mut reader = Reader::new(payload);
        let version = reader.u8()?;
        if version != VERSION && version != VERSION_WITH_HEADER {
            return Err(CodecError::Invalid(format!(
                "a record that is tried again has format version {version}, this program reads versions {VERSION} and {VERSION_WITH_HEADER}"
            )));
        }
        let offset = reader.u64()?;
        let capture_time_us = reader.i64()?;
        let was_sealed = reader.u8()? == 1;
        let count = reader.u32()?;
        let mut tables = Vec::new();
        for _ in 0..count {
            tables.push(reader.str()?.to_owned());
        }
        let record = payload.slice_ref(reader.bytes()?);
        let header = match version {
            VERSION_WITH_HEADER => Some(payload.slice_ref(reader.bytes()?)),
            _ => None,
        };
        Ok(Self {
            offset,
            capture_time_us,
            was_sealed,
            tables,
            payload: record,
            header,
        })
    }

    /// Whether it is for a table.
    pub fn is_for(&self, table: &str) -> bool {
        let mut tables = self.tables.iter();
        tables.any(|known| known.is_empty() || known == table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        for header in [None, Some(Bytes::from_static(b"id,name"))] {
            let retry = Retry {
                offset: 7,
                capture_time_us: -1,
                was_sealed: true,
                tables: vec!["orders".to_owned()],
                payload: Bytes::from_static(b"{}"),
                header,
            };
            let encoded = retry.encode();
            assert_eq!(Retry::decode(&encoded).unwrap(), retry);
            assert!(retry.is_for("orders") && !retry.is_for("other"));
            for end in 0..encoded.len() {
                assert!(Retry::decode(&encoded.slice(..end)).is_err());
            }
        }
    }
}
