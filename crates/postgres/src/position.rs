//! How far a server's stream of changes was read, and how far the first copies
//! of tables have come.
//!
//! Each record holds how it moves the position (a step), so that reading goes
//! on after the last record that is durable, in the middle of a transaction
//! too: the position names where the last whole transaction ended, and of which
//! one behind it how many rows were taken.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::input::{BadBytes, Input};
use crate::lsn::Lsn;
use crate::schema::TableName;

/// The first byte of a step.
pub const STEP_MARK: u8 = 0x82;
const ROWS: u8 = 1;
const COMMIT: u8 = 2;
const STATE: u8 = 3;

/// How far the first copy of a table has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyProgress {
    /// Nothing was copied.
    #[default]
    Waiting,
    /// Some rows were, perhaps.
    Begun,
    /// All rows.
    Done,
}

/// The copy of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCopy {
    /// The table.
    pub table: TableName,
    /// How far it has come.
    pub progress: CopyProgress,
    /// Transactions that ended before this place are in the copy and are not
    /// taken from the stream. 0 takes all.
    #[serde(default)]
    pub from: Lsn,
    /// The server's number of the table; 0 before it is known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub relation: u32,
    /// Another table had the name: its rows are taken out before the first one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// The server's numbers of its partitions when it was copied, or looked at last;
    /// `None` of a table without any, and where that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<BTreeSet<u32>>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl TableCopy {
    /// What becomes of the copy when the table of this number has the name; `None` if
    /// nothing does. Where another table has it, that is copied in its place.
    pub(crate) fn now_of(&self, relation: u32) -> Option<Self> {
        // One that is not complete is looked at when it is.
        if self.progress != CopyProgress::Done || self.relation == relation {
            return None;
        }
        Some(match self.relation {
            0 => Self {
                relation,
                ..self.clone()
            },
            _ => Self {
                table: self.table.clone(),
                relation,
                replaces: true,
                ..Self::default()
            },
        })
    }
}

/// A branch of a cluster's log. A standby that is promoted begins a new one, with the
/// next number; places of the log before its beginning are those of the branch that it
/// came out of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timeline {
    /// Its number, from 1 on.
    pub number: u32,
    /// Where it began. 0 for the first one, and where the server does not say.
    pub begin: Lsn,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresPosition {
    /// Identity of the cluster that the log belongs to; empty before the
    /// first connection.
    #[serde(default)]
    pub cluster: String,
    /// The slot that was made, or is about to be.
    #[serde(default)]
    pub slot: String,
    /// All transactions that end here or before were taken. 0: the slot was
    /// not made yet.
    pub lsn: Lsn,
    /// The branch of the log that was read; `None` in positions of earlier programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// Where the last transaction ended of which anything was taken: what comes
    /// between here and `lsn` held nothing. 0 in positions of earlier programs.
    #[serde(default)]
    pub changes_end: Lsn,
    /// Rows that were taken of a transaction whose end was not.
    #[serde(default)]
    pub rows: u64,
    /// Where the commit of that transaction is.
    #[serde(default)]
    pub rows_of: Lsn,
    /// The tables that are being copied or were.
    #[serde(default)]
    pub copies: Vec<TableCopy>,
}

/// A change of what is known besides the rows of a transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateStep {
    /// Cluster and slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<(String, String)>,
    /// Copies that began or went on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<TableCopy>,
    /// The stream up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<Lsn>,
    /// Nothing was taken of what comes before `lsn` and was not read before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_quiet: bool,
    /// The branch of the log that is read from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
}

impl PostgresPosition {
    /// Moves by the step of a record.
    ///
    /// # Errors
    /// When its bytes are not understood.
    pub fn apply(&mut self, step: &[u8]) -> Result<(), BadBytes> {
        let mut input = Input::new(step, "a position in a server's log");
        if input.u8()? != STEP_MARK {
            return Err(BadBytes::invalid("it is no step of a server's position"));
        }
        match input.u8()? {
            ROWS => {
                self.rows = input.u64()?;
                self.rows_of = Lsn(input.u64()?);
            }
            COMMIT => {
                self.lsn = Lsn(input.u64()?);
                self.changes_end = self.lsn;
                self.rows = 0;
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

    /// Moves by a step.
    pub fn apply_state(&mut self, step: StateStep) {
        if let Some((cluster, slot)) = step.slot {
            (self.cluster, self.slot) = (cluster, slot);
        }
        for copy in step.copies {
            let known = self
                .copies
                .iter_mut()
                .find(|known| known.table == copy.table);
            match known {
                Some(known) => *known = copy,
                None => self.copies.push(copy),
            }
        }
        if step.timeline.is_some() {
            self.timeline = step.timeline;
        }
        if let Some(lsn) = step.lsn {
            self.lsn = lsn;
            self.rows = 0;
            if !step.is_quiet {
                self.changes_end = lsn;
            }
        }
    }

    /// The place before which everything lies that was taken: a server whose log was
    /// another one before it lacks some of that, or may.
    pub(crate) fn taken_before(&self) -> Lsn {
        let whole = match self.changes_end {
            // An earlier program did not say.
            Lsn(0) => self.lsn,
            end => end,
        };
        let part = match self.rows {
            0 => Lsn(0),
            // The commit that they wait for begins there.
            _ => Lsn(self.rows_of.0.saturating_add(1)),
        };
        let copies = self.copies.iter().map(|copy| copy.from);
        copies.fold(whole.max(part), Lsn::max)
    }

    /// The copy of a table.
    pub fn copy_of(&self, table: &TableName) -> Option<&TableCopy> {
        self.copies.iter().find(|copy| copy.table == *table)
    }

    /// Whether all copies are complete.
    pub fn is_copied(&self) -> bool {
        let mut copies = self.copies.iter();
        copies.all(|copy| copy.progress == CopyProgress::Done)
    }
}

/// The step of a row inside the transaction with its commit at `of`: `rows`
/// were taken.
pub(crate) fn rows_step(rows: u64, of: Lsn) -> Vec<u8> {
    let mut bytes = vec![STEP_MARK, ROWS];
    bytes.extend(rows.to_be_bytes());
    bytes.extend(of.0.to_be_bytes());
    bytes
}

/// The step of a transaction's last row.
pub(crate) fn commit_step(end: Lsn) -> Vec<u8> {
    let mut bytes = vec![STEP_MARK, COMMIT];
    bytes.extend(end.0.to_be_bytes());
    bytes
}

/// The step of anything else.
pub(crate) fn state_step(step: &StateStep) -> Vec<u8> {
    let mut bytes = vec![STEP_MARK, STATE];
    // Names and numbers do not fail to be written.
    bytes.extend(serde_json::to_vec(step).unwrap_or_default());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_move_a_position_and_survive_as_json() {
        let mut position = PostgresPosition::default();
        position.apply(&rows_step(3, Lsn(490))).unwrap();
        assert_eq!((position.rows, position.rows_of), (3, Lsn(490)));
        position.apply(&commit_step(Lsn(500))).unwrap();
        assert_eq!((position.rows, position.lsn), (0, Lsn(500)));
        let table = TableName::new("public", "t.x");
        let step = StateStep {
            copies: vec![TableCopy {
                table: table.clone(),
                progress: CopyProgress::Begun,
                from: Lsn(9),
                relation: 16_384,
                replaces: true,
                partitions: Some(BTreeSet::from([3, 5])),
            }],
            slot: Some(("1".into(), "s".into())),
            timeline: Some(Timeline {
                number: 2,
                begin: Lsn(400),
            }),
            ..StateStep::default()
        };
        position.apply(&state_step(&step)).unwrap();
        assert!(!position.is_copied() && position.copy_of(&table).is_some());
        let json = serde_json::to_string(&position).unwrap();
        let back: PostgresPosition = serde_json::from_str(&json).unwrap();
        assert_eq!(back, position);
        for bad in [&[][..], &[STEP_MARK], &[STEP_MARK, 9], &[7, 1, 0, 0, 0, 0]] {
            assert!(position.apply(bad).is_err());
        }
    }

    #[test]
    fn what_was_taken_is_told_from_what_was_only_read() {
        let mut position = PostgresPosition::default();
        position.apply(&commit_step(Lsn(500))).unwrap();
        let quiet = StateStep {
            lsn: Some(Lsn(900)),
            is_quiet: true,
            ..StateStep::default()
        };
        position.apply(&state_step(&quiet)).unwrap();
        assert_eq!(
            (position.lsn, position.taken_before()),
            (Lsn(900), Lsn(500))
        );
        position.apply(&rows_step(3, Lsn(950))).unwrap();
        assert_eq!(position.taken_before(), Lsn(951));
        position.apply(&commit_step(Lsn(998))).unwrap();
        assert_eq!(position.taken_before(), Lsn(998));
        // A snapshot at a place holds what was committed before it.
        position.copies.push(TableCopy {
            from: Lsn(1_200),
            ..TableCopy::default()
        });
        assert_eq!(position.taken_before(), Lsn(1_200));
        // Steps of earlier programs do not say that nothing was taken.
        position.apply(b"\x82\x03{\"lsn\":1300}").unwrap();
        assert_eq!(position.taken_before(), Lsn(1_300));
    }

    #[test]
    fn positions_of_earlier_programs_are_read() {
        let text = r#"{"cluster":"7","slot":"s","lsn":900,"rows":0,"rows_of":0,"copies":[]}"#;
        let before: PostgresPosition = serde_json::from_str(text).unwrap();
        assert_eq!(before.timeline, None);
        assert_eq!((before.lsn, before.taken_before()), (Lsn(900), Lsn(900)));
    }

    #[test]
    fn a_copy_is_made_anew_when_another_table_has_the_name() {
        let copy = TableCopy {
            table: TableName::new("public", "t"),
            progress: CopyProgress::Done,
            from: Lsn(9),
            relation: 0,
            replaces: false,
            partitions: None,
        };
        let known = copy.now_of(7).unwrap();
        assert_eq!(
            known,
            TableCopy {
                relation: 7,
                ..copy.clone()
            }
        );
        assert_eq!(known.now_of(7), None);
        let other = known.now_of(8).unwrap();
        let wanted = TableCopy {
            table: TableName::new("public", "t"),
            progress: CopyProgress::Waiting,
            from: Lsn(0),
            relation: 8,
            replaces: true,
            partitions: None,
        };
        assert_eq!(other, wanted);
        assert_eq!(other.now_of(9), None, "it is not complete");
        // As positions of earlier programs are written.
        let before: TableCopy = serde_json::from_str(
            r#"{"table":{"schema":"s","table":"t"},"progress":"Done","from":9}"#,
        )
        .unwrap();
        assert_eq!((before.relation, before.replaces), (0, false));
    }

    /// Steps are in every record of the log: their bytes must not change.
    #[test]
    fn the_bytes_of_steps_stay() {
        assert_eq!(
            rows_step(258, Lsn(3)),
            [0x82, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3]
        );
        assert_eq!(commit_step(Lsn(1)), [0x82, 2, 0, 0, 0, 0, 0, 0, 0, 1]);
        let step = StateStep {
            lsn: Some(Lsn(7)),
            ..StateStep::default()
        };
        assert_eq!(state_step(&step), b"\x82\x03{\"lsn\":7}");
        let timeline = StateStep {
            timeline: Some(Timeline {
                number: 2,
                begin: Lsn(5),
            }),
            is_quiet: true,
            ..step
        };
        let wanted = br#"{"lsn":7,"is_quiet":true,"timeline":{"number":2,"begin":5}}"#;
        assert_eq!(state_step(&timeline)[2..], wanted[..]);
    }
}
