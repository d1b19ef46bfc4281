//! Avro's binary form to JSON text.
//!
//! Specification: <https://avro.apache.org/docs/1.11.1/specification/>. A value
//! of a union is written as it is, without the name of its branch. Logical
//! types get the forms that other sources give them:
//!
//! | Avro | JSON |
//! |---|---|
//! | `decimal` | a number with all its digits |
//! | `date`, `time-*` | `"2026-01-31"`, `"12:00:00.5"` |
//! | `timestamp-*` | `"2026-01-31T12:00:00.5Z"` |
//! | `local-timestamp-*` | `"2026-01-31 12:00:00.5"` |
//! | `uuid` | text |
//! | `duration` | `{"months":1,"days":2,"milliseconds":3}` |
//! | `bytes`, `fixed` | Base64 |
//! | `NaN`, `Infinity`, `-Infinity` | text |

mod decode;
mod number;
mod schema;

pub use decode::{BadValue, to_json};
pub use schema::{BadSchema, Schema, SchemaReader};
