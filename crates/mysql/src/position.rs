//! How far the log of a database was read, and what is known of its tables
//! there.
//!
//! Each record of a database holds how it moves the position (a step), so that
//! reading goes on after the last record that is durable, in the middle of a
//! transaction too: the position names the beginning of the transaction, and
//! how many of its rows were taken.

use serde::{Deserialize, Serialize};

use crate::binlog::gtid::{GtidSet, TEXT_BYTES_MAX};
use crate::ddl::Schemas;
use crate::filter::TableFilter;
use crate::input::{BadBytes, Input, name_text};
use crate::schema::{TableName, TableSchema};

/// The first byte of a step.
pub const STEP_MARK: u8 = 0x81;
const ROWS: u8 = 1;
const COMMIT: u8 = 2;
const STATE: u8 = 3;

/// How far the first copy of a table has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyProgress {
    /// Nothing was copied.
    #[default]
    Waiting,
    /// Nothing was copied, and rows of a table that had the name before are to be
    /// taken out first.
    Replacing,
    /// All rows up to this key, as SQL literals.
    Until(Vec<String>),
    /// All rows.
    Done,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabasePosition {
    /// File of the log.
    pub file: String,
    /// Where the next transaction begins in it.
    pub offset: u64,
    /// All transactions before it, as far as they have identities.
    #[serde(default)]
    pub gtids: GtidSet,
    /// Number of transactions with rows that were read.
    pub transactions: u64,
    /// Rows of the transaction that begins at `offset` that were taken.
    #[serde(default)]
    pub rows: u64,
    /// The identity of that transaction; empty if it has none, or no row was taken.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rows_of: String,
    /// The tables of which rows were taken, and counted; positions of earlier programs
    /// do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<TableFilter>,
    /// The tables whose columns are known.
    #[serde(default, with = "as_list")]
    pub schemas: Schemas,
    /// The tables that are being copied or were.
    #[serde(default)]
    pub copies: Vec<(TableName, CopyProgress)>,
}

/// A change of what is known besides the position in the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StateStep {
    /// Tables with their columns; without columns they are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<(TableName, Option<TableSchema>)>,
    /// How far a copy has come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<(TableName, CopyProgress)>,
    /// The log up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// Rows of these tables are taken from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<TableFilter>,
}

/// A place in the log between two transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// File.
    pub file: String,
    /// Byte.
    pub offset: u64,
    /// All transactions before it.
    pub gtids: GtidSet,
    /// Number of transactions with rows before it.
    pub transactions: u64,
}

impl DatabasePosition {
    /// Where the log was read to.
    pub fn place(&self) -> Place {
        Place {
            file: self.file.clone(),
            offset: self.offset,
            gtids: self.gtids.clone(),
            transactions: self.transactions,
        }
    }

    /// Moves by the step of a record.
    ///
    /// # Errors
    /// When its bytes are not understood.
    pub fn apply(&mut self, step: &[u8]) -> Result<(), BadBytes> {
        const WHAT: &str = "a position in a database's log";
        let mut input = Input::new(step);
        if input.u8(WHAT)? != STEP_MARK {
            return Err(BadBytes::invalid("it is no step of a database's position"));
        }
        match input.u8(WHAT)? {
            ROWS => {
                self.rows = u64::from(input.u32(WHAT)?);
                // Its first row says which transaction it is.
                if !input.is_empty() {
                    self.rows_of = name_text(input.rest());
                }
            }
            COMMIT => {
                self.offset = input.u64(WHAT)?;
                self.transactions = input.u64(WHAT)?;
                let gtids = name_text(input.lenenc_bytes(WHAT)?);
                let added: GtidSet = gtids.parse()?;
                self.gtids.add_all(&added);
                self.file = name_text(input.rest());
                self.rows = 0;
                self.rows_of.clear();
            }
            STATE => {
                let step: StateStep = serde_json::from_slice(input.rest())
                    .map_err(|error| BadBytes::Invalid(error.to_string()))?;
                self.apply_state(step);
            }
            other => {
                return Err(BadBytes::Invalid(format!(
                    "it has the unknown form {other}"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn apply_state(&mut self, step: StateStep) {
        for (name, schema) in step.schemas {
            match schema {
                Some(schema) => self.schemas.insert(name, schema),
                None => self.schemas.remove(&name),
            };
        }
        for (name, progress) in step.copies {
            match self.copies.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = progress,
                None => self.copies.push((name, progress)),
            }
        }
        if let Some(at) = step.at {
            (self.file, self.offset) = (at.file, at.offset);
            (self.gtids, self.transactions) = (at.gtids, at.transactions);
            self.rows = 0;
            self.rows_of.clear();
        }
        if step.tables.is_some() {
            self.tables = step.tables;
        }
    }
}

/// The step of a row inside a transaction: `rows` were taken. That of its first row
/// says the transaction's identity, if it has one.
pub(crate) fn rows_step(rows: u64, gtid: &str) -> Vec<u8> {
    let mut bytes = vec![STEP_MARK, ROWS];
    bytes.extend(u32::try_from(rows).unwrap_or(u32::MAX).to_le_bytes());
    if rows == 1 {
        bytes.extend(gtid.bytes());
    }
    bytes
}

/// The step of a transaction's last row. `gtids` are the transactions that were read,
/// itself among them ([`GtidSet::up_to`]), or empty.
pub(crate) fn commit_step(file: &str, offset: u64, transactions: u64, gtids: &str) -> Vec<u8> {
    let mut bytes = vec![STEP_MARK, COMMIT];
    bytes.extend(offset.to_le_bytes());
    bytes.extend(transactions.to_le_bytes());
    bytes.push(gtids.len().min(TEXT_BYTES_MAX) as u8);
    bytes.extend(gtids.bytes().take(TEXT_BYTES_MAX));
    bytes.extend(file.bytes());
    bytes
}

/// The step of anything else.
pub(crate) fn state_step(step: &StateStep) -> Vec<u8> {
    let mut bytes = vec![STEP_MARK, STATE];
    // Names and numbers do not fail to be written.
    bytes.extend(serde_json::to_vec(step).unwrap_or_default());
    bytes
}

/// Keys of JSON objects are texts: a map by names of tables is a list there.
mod as_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Schemas, TableName, TableSchema};

    pub(super) fn serialize<S: Serializer>(map: &Schemas, to: S) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Schemas, D::Error> {
        let list = Vec::<(TableName, TableSchema)>::deserialize(from)?;
        Ok(list.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_move_a_position_and_survive_as_json() {
        let mut position = DatabasePosition::default();
        position.apply(&rows_step(1, "0-1-9")).unwrap();
        position.apply(&rows_step(3, "0-1-9")).unwrap();
        assert_eq!((position.rows, position.rows_of.as_str()), (3, "0-1-9"));
        position
            .apply(&commit_step("log.000002", 500, 7, "0-1-9"))
            .unwrap();
        assert_eq!(
            (position.rows, position.offset, position.transactions),
            (0, 500, 7)
        );
        assert_eq!(position.rows_of, "");
        let filter = TableFilter::new(&["shop.*".to_owned()]).unwrap();
        let name = TableName::new("shop", "t.x");
        let step = StateStep {
            schemas: vec![(name.clone(), Some(TableSchema::default()))],
            copies: vec![
                (name.clone(), CopyProgress::Until(vec!["7".into()])),
                (TableName::new("shop", "swapped"), CopyProgress::Replacing),
            ],
            tables: Some(filter.clone()),
            at: None,
        };
        position.apply(&state_step(&step)).unwrap();
        assert_eq!(position.copies, step.copies);
        assert_eq!(position.tables, Some(filter));
        let json = serde_json::to_string(&position).unwrap();
        let back: DatabasePosition = serde_json::from_str(&json).unwrap();
        assert_eq!(back, position);
        assert_eq!(back.gtids.to_string(), "0-1-9");
        for bad in [&[][..], &[STEP_MARK], &[STEP_MARK, 9], &[7, 1, 0, 0, 0, 0]] {
            assert!(position.apply(bad).is_err());
        }
    }

    /// Steps are in every record of the log: their bytes must not change.
    #[test]
    fn the_bytes_of_steps_stay() {
        assert_eq!(rows_step(258, "g"), [0x81, 1, 2, 1, 0, 0]);
        assert_eq!(rows_step(1, ""), [0x81, 1, 1, 0, 0, 0]);
        assert_eq!(rows_step(1, "g"), [0x81, 1, 1, 0, 0, 0, b'g']);
        assert_eq!(
            commit_step("a", 1, 2, "g"),
            [
                0x81, 2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, b'g', b'a'
            ]
        );
    }
}
