//! Numbers of the column types in the log and on the wire.

#![allow(missing_docs, reason = "the names are those of the manuals")]

pub const TINY: u8 = 1;
pub const SHORT: u8 = 2;
pub const LONG: u8 = 3;
pub const FLOAT: u8 = 4;
pub const DOUBLE: u8 = 5;
pub const TIMESTAMP: u8 = 7;
pub const LONGLONG: u8 = 8;
pub const INT24: u8 = 9;
pub const DATE: u8 = 10;
pub const TIME: u8 = 11;
pub const DATETIME: u8 = 12;
pub const YEAR: u8 = 13;
pub const NEWDATE: u8 = 14;
pub const VARCHAR: u8 = 15;
pub const BIT: u8 = 16;
pub const TIMESTAMP2: u8 = 17;
pub const DATETIME2: u8 = 18;
pub const TIME2: u8 = 19;
/// MariaDB: a text or bytes, compressed in the row.
pub const BLOB_COMPRESSED: u8 = 140;
/// MariaDB: see above.
pub const VARCHAR_COMPRESSED: u8 = 141;
pub const VECTOR: u8 = 242;
pub const JSON: u8 = 245;
pub const NEWDECIMAL: u8 = 246;
pub const ENUM: u8 = 247;
pub const SET: u8 = 248;
pub const TINY_BLOB: u8 = 249;
pub const MEDIUM_BLOB: u8 = 250;
pub const LONG_BLOB: u8 = 251;
pub const BLOB: u8 = 252;
pub const VAR_STRING: u8 = 253;
pub const STRING: u8 = 254;
pub const GEOMETRY: u8 = 255;

/// Bytes of metadata that a table map has for a type; `None` for an unknown
/// type.
pub fn meta_bytes(number: u8) -> Option<usize> {
    Some(match number {
        TINY | SHORT | LONG | TIMESTAMP | LONGLONG | INT24 | DATE | TIME | DATETIME | YEAR
        | NEWDATE => 0,
        FLOAT | DOUBLE | TIMESTAMP2 | DATETIME2 | TIME2 | BLOB_COMPRESSED | VECTOR | JSON
        | TINY_BLOB | MEDIUM_BLOB | LONG_BLOB | BLOB | GEOMETRY => 1,
        VARCHAR | BIT | VARCHAR_COMPRESSED | NEWDECIMAL | ENUM | SET | VAR_STRING | STRING => 2,
        _ => return None,
    })
}

/// Whether the list of signs in a table map has a place for the type. That of
/// MariaDB has one for years, too, and that of MySQL since version 9.
pub fn is_numeric(number: u8, counts_years: bool) -> bool {
    if number == YEAR {
        return counts_years;
    }
    matches!(
        number,
        TINY | SHORT | INT24 | LONG | LONGLONG | NEWDECIMAL | FLOAT | DOUBLE
    )
}

/// Whether the list of character sets in a table map has a place for the type:
/// MariaDB's has one for geometries, which are stored like texts.
pub fn is_text(number: u8, is_mariadb: bool) -> bool {
    if number == GEOMETRY {
        return is_mariadb;
    }
    matches!(
        number,
        STRING
            | VAR_STRING
            | VARCHAR
            | TINY_BLOB
            | MEDIUM_BLOB
            | LONG_BLOB
            | BLOB
            | VARCHAR_COMPRESSED
            | BLOB_COMPRESSED
    )
}
