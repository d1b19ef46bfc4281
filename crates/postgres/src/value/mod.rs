//! Values, from the text that the server writes to the JSON of a record.

mod array;
pub mod form;
