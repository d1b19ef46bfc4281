//! Rows of exports, on their way to a table whose changes may be captured at the
//! same time.

use bytes::Bytes;

use crate::{CodecError, Reader, Writer};

/// Version of the encoded form.
const VERSION: u8 = 1;

/// The payload of a [`crate::RecordKind::Backfill`]: one row of an export, for one
/// table of the topic. Whoever reads the log knows by it alone which rows of an
/// export a table has, so that an export that is brought twice gives its rows once.
///
/// Encoded: version u8, table, export u64, number u64, row. Byte strings have a u32
/// length; all little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfilledRow {
    /// The table.
    pub table: String,
    /// Identifies the export by what is in it.
    pub export: u64,
    /// The number of the row in the export. Rows are in the order of their numbers.
    pub number: u64,
    /// The row: an object of JSON whose keys are the columns of the table. What is
    /// personal in it is masked.
    pub row: Bytes,
}

impl BackfilledRow {
    /// Bytes that the encoded form has beside those of the row, for a table with
    /// a name of so many bytes.
    pub const fn bytes_beside(table_bytes: usize) -> usize {
        1 + 4 + table_bytes + 8 + 8 + 4
    }

    /// As the payload of a record.
    pub fn encode(&self) -> Bytes {
        let room = Self::bytes_beside(self.table.len()) + self.row.len();
        let mut writer = Writer::with_capacity(room);
        writer.u8(VERSION);
        writer.str(&self.table);
        writer.u64(self.export);
        writer.u64(self.number);
        writer.bytes(&self.row);
        Bytes::from(writer.finish())
    }

    /// Reads what [`BackfilledRow::encode`] wrote.
    ///
    /// # Errors
    /// When it is damaged or of another version.
    pub fn decode(payload: &Bytes) -> Result<Self, CodecError> {
        let mut reader = Reader::new(payload);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(CodecError::Invalid(format!(
                "a row of an export has format version {version}, this program reads version {VERSION}"
            )));
        }
        Ok(Self {
            table: reader.str()?.to_owned(),
            export: reader.u64()?,
            number: reader.u64()?,
            row: payload.slice_ref(reader.bytes()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let row = BackfilledRow {
            table: "orders".to_owned(),
            export: 0x0102,
            number: 7,
            row: Bytes::from_static(b"{\"id\":1}"),
        };
        let encoded = row.encode();
        assert_eq!(BackfilledRow::decode(&encoded).unwrap(), row);
        let beside = BackfilledRow::bytes_beside("orders".len());
        assert_eq!(encoded.len(), beside + row.row.len());
        for end in 0..encoded.len() {
            assert!(BackfilledRow::decode(&encoded.slice(..end)).is_err());
        }
        let mut other = encoded.to_vec();
        other[0] = 2;
        assert!(BackfilledRow::decode(&Bytes::from(other)).is_err());
    }
}
