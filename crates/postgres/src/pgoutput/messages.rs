//! Messages of `pgoutput`, as bytes say them
//! (<https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>).

use crate::input::{BadBytes, Input};
use crate::lsn::Lsn;

/// Seconds from 1970 to 2000, where the server's time begins.
const SERVER_EPOCH_S: i64 = 946_684_800;
/// A table has at most 1,600 columns.
const COLUMNS_MAX: u16 = 1_664;

/// Which columns tell an old row to a reader of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// Those of the primary key.
    Default,
    /// None.
    Nothing,
    /// All.
    Full,
    /// Those of an index.
    Index,
}

/// One column of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationColumn {
    /// Whether it belongs to the replica identity.
    pub is_key: bool,
    /// Name.
    pub name: String,
    /// Number of its type.
    pub type_id: u32,
    /// Modifier of its type; −1 for none.
    pub type_modifier: i32,
}

/// A table, as it is from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Number that rows name.
    pub id: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// What old rows show.
    pub identity: ReplicaIdentity,
    /// Columns, in order.
    pub columns: Vec<RelationColumn>,
}

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TupleValue<'a> {
    /// Null.
    Null,
    /// A large value that the change left as it was, and that the server did
    /// not send again.
    Unchanged,
    /// The value as text.
    Text(&'a [u8]),
}

/// The values of a row.
pub type Tuple<'a> = Vec<TupleValue<'a>>;

/// What is known of a row before it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before<'a> {
    /// Nothing: its key stayed.
    Same,
    /// The columns of the replica identity; others are null.
    Key(Tuple<'a>),
    /// All.
    Row(Tuple<'a>),
}

impl<'a> Before<'a> {
    /// The values that are known.
    pub(crate) fn tuple(&self) -> Option<&Tuple<'a>> {
        match self {
            Self::Same => None,
            Self::Key(tuple) | Self::Row(tuple) => Some(tuple),
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction begins.
    Begin {
        /// Where its commit is.
        commit_lsn: Lsn,
        /// Seconds since 1970 UTC of its commit.
        time_s: i64,
        /// Number of the transaction.
        xid: u32,
    },
    /// It ends.
    Commit {
        /// Where its commit is.
        commit_lsn: Lsn,
        /// Where its commit ends.
        end_lsn: Lsn,
    },
    /// A table, before its first row and after each change of it.
    Relation(Relation),
    /// A row is new.
    Insert {
        /// Its table.
        relation: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// A row has changed.
    Update {
        /// Its table.
        relation: u32,
        /// What it was.
        before: Before<'a>,
        /// What it is.
        new: Tuple<'a>,
    },
    /// A row is gone.
    Delete {
        /// Its table.
        relation: u32,
        /// What it was.
        before: Before<'a>,
    },
    /// Tables were emptied.
    Truncate {
        /// The tables.
        relations: Vec<u32>,
    },
    /// A type, where a change came from, a message of an application: nothing
    /// that changes rows.
    Other,
}

impl<'a> Message<'a> {
    /// Reads one message.
    ///
    /// # Errors
    /// When its bytes are not understood.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BadBytes> {
        let kind = Input::new(bytes, "a message").u8()?;
        let rest = &bytes[1..];
        let mut input = Input::new(rest, name_of(kind));
        let message = match kind {
            b'B' => Self::Begin {
                commit_lsn: Lsn(input.u64()?),
                time_s: input.i64()?.div_euclid(1_000_000) + SERVER_EPOCH_S,
                xid: input.u32()?,
            },
            b'C' => {
                input.u8()?;
                let commit_lsn = Lsn(input.u64()?);
                let end_lsn = Lsn(input.u64()?);
                input.u64()?;
                Self::Commit {
                    commit_lsn,
                    end_lsn,
                }
            }
            b'R' => Self::Relation(read_relation(&mut input)?),
            b'I' => {
                let relation = input.u32()?;
                expect(&mut input, b'N')?;
                let new = read_tuple(&mut input)?;
                Self::Insert { relation, new }
            }
            b'U' => read_update(&mut input)?,
            b'D' => {
                let relation = input.u32()?;
                let before = match input.u8()? {
                    b'K' => Before::Key(read_tuple(&mut input)?),
                    b'O' => Before::Row(read_tuple(&mut input)?),
                    other => return Err(unknown_part(other, "a deleted row")),
                };
                Self::Delete { relation, before }
            }
            b'T' => {
                let count = input.u32()?;
                input.u8()?;
                let relations: Result<_, _> = (0..count).map(|_| input.u32()).collect();
                Self::Truncate {
                    relations: relations?,
                }
            }
            b'Y' | b'O' | b'M' => return Ok(Self::Other),
            b'S' | b'E' | b'c' | b'A' | b'b' | b'P' | b'K' | b'r' | b'p' => {
                return Err(BadBytes::Invalid(format!(
                    "a message `{}` belongs to streamed or prepared transactions, which were not asked for",
                    char::from(kind)
                )));
            }
            other => {
                return Err(BadBytes::Invalid(format!(
                    "messages of kind {other:#04x} are not known"
                )));
            }
        };
        match input.rest() {
            [] => Ok(message),
            rest => Err(BadBytes::Invalid(format!(
                "{} bytes follow behind {}",
                rest.len(),
                name_of(kind)
            ))),
        }
    }
}

fn name_of(kind: u8) -> &'static str {
    match kind {
        b'B' => "the beginning of a transaction",
        b'C' => "the end of a transaction",
        b'R' => "a table's description",
        b'I' => "a new row",
        b'U' => "a changed row",
        b'D' => "a deleted row",
        b'T' => "the emptying of tables",
        _ => "a message",
    }
}

fn unknown_part(part: u8, of: &str) -> BadBytes {
    BadBytes::Invalid(format!("{part:#04x} begins no part of {of}"))
}

fn expect(input: &mut Input<'_>, part: u8) -> Result<(), BadBytes> {
    match input.u8()? {
        found if found == part => Ok(()),
        other => Err(unknown_part(other, "a row")),
    }
}

fn read_update<'a>(input: &mut Input<'a>) -> Result<Message<'a>, BadBytes> {
    let relation = input.u32()?;
    let before = match input.u8()? {
        b'N' => {
            let new = read_tuple(input)?;
            let before = Before::Same;
            return Ok(Message::Update {
                relation,
                before,
                new,
            });
        }
        b'K' => Before::Key(read_tuple(input)?),
        b'O' => Before::Row(read_tuple(input)?),
        other => return Err(unknown_part(other, "a changed row")),
    };
    expect(input, b'N')?;
    let new = read_tuple(input)?;
    Ok(Message::Update {
        relation,
        before,
        new,
    })
}

fn column_count(input: &mut Input<'_>) -> Result<u16, BadBytes> {
    match input.u16()? {
        count @ 0..=COLUMNS_MAX => Ok(count),
        count => Err(BadBytes::Invalid(format!("no table has {count} columns"))),
    }
}

fn read_tuple<'a>(input: &mut Input<'a>) -> Result<Tuple<'a>, BadBytes> {
    let count = column_count(input)?;
    let mut tuple = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        tuple.push(match input.u8()? {
            b'n' => TupleValue::Null,
            b'u' => TupleValue::Unchanged,
            b't' => TupleValue::Text(input.counted()?),
            other => return Err(unknown_part(other, "a value")),
        });
    }
    Ok(tuple)
}

fn read_relation(input: &mut Input<'_>) -> Result<Relation, BadBytes> {
    let id = input.u32()?;
    let schema = match input.text()? {
        // Tables of the server itself have an empty one.
        empty if empty.is_empty() => "pg_catalog".to_owned(),
        schema => schema,
    };
    let name = input.text()?;
    let identity = match input.u8()? {
        b'd' => ReplicaIdentity::Default,
        b'n' => ReplicaIdentity::Nothing,
        b'f' => ReplicaIdentity::Full,
        b'i' => ReplicaIdentity::Index,
        other => return Err(unknown_part(other, "a replica identity")),
    };
    let count = column_count(input)?;
    let mut columns = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        columns.push(RelationColumn {
            is_key: input.u8()? & 1 != 0,
            name: input.text()?,
            type_id: input.u32()?,
            type_modifier: input.i32()?,
        });
    }
    Ok(Relation {
        id,
        schema,
        name,
        identity,
        columns,
    })
}
