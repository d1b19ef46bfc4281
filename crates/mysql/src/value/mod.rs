//! Values of columns: from the bytes of a row image to JSON.

pub mod charset;
mod charset_tables;
pub mod collation;
pub mod column_type;
pub mod decimal;
mod east_asian;
mod east_asian_tables;
pub mod json_binary;
pub mod layout;
pub mod temporal;
pub mod text;
