//! Statements of clients in words that the library takes as PostgreSQL means them.

use datafusion_postgres::pgwire::error::PgWireResult;

use super::catalog::rewritten;
use super::codes::too_complex;
use super::cursor_words::cursor_words;
use crate::answer_names::with_answer_names;
use crate::mended_sql::mended_text;

/// The same statements in such words; `None` where they stay as they are.
///
/// # Errors
/// When one is too long.
pub(super) fn in_known_words(sql: &str) -> PgWireResult<Option<String>> {
    let known = match cursor_words(sql).or_else(|| rewritten(sql)) {
        Some(other) => Some(other),
        None => mended_text(sql).map_err(too_complex)?,
    };
    Ok(with_answer_names(known.as_deref().unwrap_or(sql)).or(known))
}
