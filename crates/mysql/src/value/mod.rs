//! Values of columns: from the bytes of a row image to JSON.

pub mod charset;
mod charset_tables;
pub mod column_type;
pub mod decimal;
pub mod json_binary;
pub mod layout;
pub mod temporal;
pub mod text;
