//! Events of the binary log: their header and what kinds there are.
//!
//! Format: <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html>
//! and <https://mariadb.com/kb/en/replication-protocol/>.

use super::table_map::Lists;
use crate::input::{BadBytes, Input};

/// Bytes of an event's header (version 4 of the format, since MySQL 5.0).
pub const HEADER_BYTES: usize = 19;
/// The first bytes of a file.
pub const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];
/// The flag of events that the server made up for this connection.
pub const FLAG_ARTIFICIAL: u16 = 0x20;
/// The flag of events that a replica may ignore if it does not know them.
pub const FLAG_IGNORABLE: u16 = 0x80;

/// Numbers of the kinds of events.
pub mod kind {
    /// A statement.
    pub const QUERY: u8 = 2;
    /// End of a file.
    pub const STOP: u8 = 3;
    /// The next file.
    pub const ROTATE: u8 = 4;
    /// A value for a statement.
    pub const INTVAR: u8 = 5;
    /// Content of a file, before the statement that loads it.
    pub const APPEND_BLOCK: u8 = 9;
    /// The content is not loaded.
    pub const DELETE_FILE: u8 = 11;
    /// See `INTVAR`.
    pub const RAND: u8 = 13;
    /// See `INTVAR`.
    pub const USER_VAR: u8 = 14;
    /// Beginning of a file.
    pub const FORMAT_DESCRIPTION: u8 = 15;
    /// End of a transaction.
    pub const XID: u8 = 16;
    /// See `APPEND_BLOCK`.
    pub const BEGIN_LOAD_QUERY: u8 = 17;
    /// A statement that loads a file.
    pub const EXECUTE_LOAD_QUERY: u8 = 18;
    /// Columns of a table, before its rows.
    pub const TABLE_MAP: u8 = 19;
    /// Rows, version 1 (MySQL 5.1 to 5.5, MariaDB).
    pub const WRITE_ROWS_V1: u8 = 23;
    /// See above.
    pub const UPDATE_ROWS_V1: u8 = 24;
    /// See above.
    pub const DELETE_ROWS_V1: u8 = 25;
    /// Something went wrong on the server.
    pub const INCIDENT: u8 = 26;
    /// The server is alive.
    pub const HEARTBEAT: u8 = 27;
    /// Nothing that matters.
    pub const IGNORABLE: u8 = 28;
    /// MySQL: the statement behind rows, as text.
    pub const ROWS_QUERY: u8 = 29;
    /// Rows, version 2.
    pub const WRITE_ROWS_V2: u8 = 30;
    /// See above.
    pub const UPDATE_ROWS_V2: u8 = 31;
    /// See above.
    pub const DELETE_ROWS_V2: u8 = 32;
    /// MySQL: identity of the next transaction.
    pub const GTID: u8 = 33;
    /// MySQL: the next transaction has none.
    pub const ANONYMOUS_GTID: u8 = 34;
    /// MySQL: the transactions of all files before.
    pub const PREVIOUS_GTIDS: u8 = 35;
    /// MySQL: of a group of servers.
    pub const TRANSACTION_CONTEXT: u8 = 36;
    /// See above.
    pub const VIEW_CHANGE: u8 = 37;
    /// MySQL: a prepared distributed transaction.
    pub const XA_PREPARE: u8 = 38;
    /// MySQL: an update whose JSON columns hold differences.
    pub const PARTIAL_UPDATE_ROWS: u8 = 39;
    /// MySQL: a compressed transaction.
    pub const TRANSACTION_PAYLOAD: u8 = 40;
    /// MySQL: the server is alive, long files.
    pub const HEARTBEAT_V2: u8 = 41;
    /// MySQL: identity of the next transaction, with a tag.
    pub const GTID_TAGGED: u8 = 42;
    /// MariaDB: the statement behind rows, as text.
    pub const MARIADB_ANNOTATE_ROWS: u8 = 160;
    /// MariaDB: the oldest file that a recovery needs.
    pub const MARIADB_BINLOG_CHECKPOINT: u8 = 161;
    /// MariaDB: identity and beginning of a transaction.
    pub const MARIADB_GTID: u8 = 162;
    /// MariaDB: the transactions of all files before.
    pub const MARIADB_GTID_LIST: u8 = 163;
    /// MariaDB: what follows is encrypted.
    pub const MARIADB_START_ENCRYPTION: u8 = 164;
    /// MariaDB: a compressed statement.
    pub const MARIADB_QUERY_COMPRESSED: u8 = 165;
    /// MariaDB: compressed rows.
    pub const MARIADB_WRITE_ROWS_COMPRESSED_V1: u8 = 166;
    /// See above.
    pub const MARIADB_UPDATE_ROWS_COMPRESSED_V1: u8 = 167;
    /// See above.
    pub const MARIADB_DELETE_ROWS_COMPRESSED_V1: u8 = 168;
    /// See above.
    pub const MARIADB_WRITE_ROWS_COMPRESSED: u8 = 169;
    /// See above.
    pub const MARIADB_UPDATE_ROWS_COMPRESSED: u8 = 170;
    /// See above.
    pub const MARIADB_DELETE_ROWS_COMPRESSED: u8 = 171;
}

/// An event's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHeader {
    /// Seconds since 1970 at which the statement began.
    pub time_s: u32,
    /// A number of [`kind`].
    pub kind: u8,
    /// The server on which the change was made.
    pub server_id: u32,
    /// Bytes of the whole event, its header included.
    pub length: u32,
    /// Where the next event begins; 0 for events that are in no file, and for
    /// those whose place was not known when they were written. An event says
    /// the lowest 32 bits of it.
    pub end: u64,
    /// Flags.
    pub flags: u16,
}

impl EventHeader {
    /// Reads a header from its 19 bytes.
    ///
    /// # Errors
    /// When the bytes are too few, or the length is less than a header's.
    pub fn read(bytes: &[u8]) -> Result<Self, BadBytes> {
        let mut input = Input::new(bytes);
        let header = Self {
            time_s: input.u32("the header of an event")?,
            kind: input.u8("the header of an event")?,
            server_id: input.u32("the header of an event")?,
            length: input.u32("the header of an event")?,
            end: u64::from(input.u32("the header of an event")?),
            flags: input.u16("the header of an event")?,
        };
        if (header.length as usize) < HEADER_BYTES {
            return Err(BadBytes::Invalid(format!(
                "its header says that it has {} bytes, fewer than the header itself",
                header.length
            )));
        }
        Ok(header)
    }

    /// Checks length and end of an event that begins at byte `begin` of a file.
    /// A wrong length is found by nothing else: it hides its event's checksum.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn check_place(&self, begin: u64) -> Result<(), BadBytes> {
        let end = begin + u64::from(self.length);
        if self.end == 0 || self.end == end & u64::from(u32::MAX) {
            return Ok(());
        }
        Err(BadBytes::Invalid(format!(
            "its header says that it ends at byte {}, and with its length of {} it ends at byte {end}: it is damaged, or what stood before it in the file is missing",
            self.end, self.length
        )))
    }

    /// True for an event that the server sends without it being in a file.
    pub fn is_artificial(&self) -> bool {
        self.flags & FLAG_ARTIFICIAL != 0 || self.end == 0
    }
}

/// What the first event of a file says about all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatDescription {
    /// Version of the server.
    pub server_version: String,
    /// Bytes of the part of fixed length, by kind of event (kind 1 first).
    pub post_header_lengths: Vec<u8>,
    /// Whether a CRC-32 follows each event.
    pub has_checksums: bool,
    /// Whether one follows this event: where servers know checksums, one
    /// always does in a file.
    pub is_checked: bool,
}

impl FormatDescription {
    /// Reads the body of the event, with what may be its checksum.
    ///
    /// # Errors
    /// When the bytes are not understood.
    pub fn read(body: &[u8]) -> Result<Self, BadBytes> {
        let mut input = Input::new(body);
        let version = input.u16("the format description")?;
        if version != 4 {
            return Err(BadBytes::Invalid(format!(
                "the log has version {version}, only 4 is known (MySQL 5.0 and later)"
            )));
        }
        let server_version = input.take(50, "the format description")?;
        let server_version = server_version.split(|&byte| byte == 0).next();
        let server_version = crate::input::name_text(server_version.unwrap_or_default());
        input.take(4, "the format description")?;
        let header_length = input.u8("the format description")?;
        if usize::from(header_length) != HEADER_BYTES {
            return Err(BadBytes::Invalid(format!(
                "its events have headers of {header_length} bytes, not {HEADER_BYTES}"
            )));
        }
        let rest = input.rest();
        // The algorithm's number and a checksum of its own stand at the end
        // since MySQL 5.6.1 and MariaDB 5.3.
        let is_checked = knows_checksums(&server_version) || rest.len() >= KINDS_WITH_CHECKSUMS;
        let (lengths, has_checksums) = match is_checked {
            true if rest.len() < 5 => {
                return Err(BadBytes::invalid("the format description has no checksum"));
            }
            true => {
                let (lengths, tail) = rest.split_at(rest.len() - 5);
                match tail[0] {
                    0 => (lengths, false),
                    1 => (lengths, true),
                    other => {
                        return Err(BadBytes::Invalid(format!(
                            "it has checksums of the unknown kind {other}"
                        )));
                    }
                }
            }
            false => (rest, false),
        };
        Ok(Self {
            server_version,
            post_header_lengths: lengths.to_vec(),
            has_checksums,
            is_checked,
        })
    }

    /// Bytes of the fixed part of a kind of event; `None` if the server does
    /// not know the kind.
    pub fn post_header_length(&self, kind: u8) -> Option<u8> {
        let index = usize::from(kind).checked_sub(1)?;
        self.post_header_lengths.get(index).copied()
    }

    /// Whether the log was written by MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.server_version.contains("MariaDB") || self.post_header_lengths.len() > 160
    }

    /// For which columns its table maps have places.
    pub fn lists(&self) -> Lists {
        let is_mariadb = self.is_mariadb();
        let major = self.server_version.split('.').next();
        let major: u32 = major.and_then(|text| text.parse().ok()).unwrap_or(0);
        Lists {
            with_years: is_mariadb || major >= 9,
            with_geometries: is_mariadb,
        }
    }
}

/// Servers that know checksums describe so many kinds of events at least, their
/// own checksum included; others fewer. A damaged version must not hide one.
const KINDS_WITH_CHECKSUMS: usize = 40;

/// Whether a server of this version writes down how it makes checksums.
fn knows_checksums(version: &str) -> bool {
    let digits = version.split(|c: char| !c.is_ascii_digit());
    let mut numbers = digits.map(|number| number.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let version_number = (next(), next(), next());
    let least = match version.contains("MariaDB") {
        true => (5, 3, 0),
        false => (5, 6, 1),
    };
    version_number >= least
}

/// Checks and removes the checksum behind an event. `event` begins with the
/// header.
///
/// # Errors
/// When it does not fit.
pub fn without_checksum(event: &[u8]) -> Result<&[u8], BadBytes> {
    let Some(length) = event.len().checked_sub(4).filter(|&l| l >= HEADER_BYTES) else {
        return Err(BadBytes::invalid("it is too short for its checksum"));
    };
    let (content, checksum) = event.split_at(length);
    let expected = u32::from_le_bytes([checksum[0], checksum[1], checksum[2], checksum[3]]);
    let found = crc32fast::hash(content);
    // The flag that a file is in use is set behind the checksum's back.
    if found != expected && !is_sound_but_in_use(content, expected) {
        return Err(BadBytes::Invalid(format!(
            "its checksum is {expected:#010x}, its bytes give {found:#010x}: it is damaged"
        )));
    }
    Ok(content)
}

fn is_sound_but_in_use(content: &[u8], expected: u32) -> bool {
    const FLAGS_AT: usize = 17;
    if content[4] != kind::FORMAT_DESCRIPTION {
        return false;
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&content[..FLAGS_AT]);
    hasher.update(&[content[FLAGS_AT] & !1]);
    hasher.update(&content[FLAGS_AT + 1..]);
    hasher.finalize() == expected
}
