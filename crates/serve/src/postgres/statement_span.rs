//! A span for each statement. What was asked is not in it, for it may be personal:
//! only what kind of statement it was.

use std::time::Duration;

use sluice_core::{SpanKind, Spans};

use crate::session::SESSION;

/// First words of statements.
const KINDS: [&str; 37] = [
    "ABORT",
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CLOSE",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DISCARD",
    "DO",
    "DROP",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "GRANT",
    "INSERT",
    "LISTEN",
    "LOCK",
    "MERGE",
    "MOVE",
    "PREPARE",
    "RELEASE",
    "RESET",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "TABLE",
    "UPDATE",
    "VALUES",
];

/// Tells of the statement of this task, which took so long; `error` is the code of
/// what went wrong. To be called before what was asked is forgotten.
pub(super) fn tell(spans: &Spans, took: Duration, error: Option<&str>) {
    let mut span = spans.begin("statement", SpanKind::Server, None);
    if !span.is_kept() {
        return;
    }
    let asked = SESSION.try_with(|session| (session.asked(), session.rows_made()));
    let (statement, rows) = asked.unwrap_or_default();
    span.began_before_us(i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
    span.set("network.protocol.name", "postgresql");
    if let Some(kind) = statement.as_deref().and_then(kind) {
        span.rename(kind.to_owned());
        span.set("db.operation.name", kind);
    }
    // Without a statement they are those of the catalogue, which is looked at when
    // somebody signs in.
    let rows = if statement.is_some() { rows } else { 0 };
    span.set("db.response.returned_rows", rows);
    if let Some(code) = error {
        span.set("db.response.status_code", code.to_owned());
        span.fail();
    }
}

/// The first word of a statement, if it is one with which statements begin.
fn kind(statement: &str) -> Option<&'static str> {
    let mut rest = statement;
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '(');
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n')?.1
        } else if let Some(comment) = rest.strip_prefix("/*") {
            behind_comment(comment)?
        } else {
            break;
        };
    }
    let end = rest.find(|letter: char| !letter.is_ascii_alphabetic());
    let word = rest.get(..end.unwrap_or(rest.len()))?;
    if word.eq_ignore_ascii_case("WITH") {
        // Nothing can be changed here, whatever stands behind it.
        return Some("SELECT");
    }
    KINDS
        .into_iter()
        .find(|kind| word.eq_ignore_ascii_case(kind))
}

/// What stands behind a comment that has begun; comments may hold others.
fn behind_comment(mut rest: &str) -> Option<&str> {
    let mut depth = 1_u32;
    while depth > 0 {
        let at = rest.find(['*', '/'])?;
        rest = rest.get(at..)?;
        if let Some(behind) = rest.strip_prefix("*/") {
            (rest, depth) = (behind, depth - 1);
        } else if let Some(behind) = rest.strip_prefix("/*") {
            (rest, depth) = (behind, depth + 1);
        } else {
            rest = rest.get(1..)?;
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_known_by_their_first_word() {
        for (statement, expected) in [
            ("SELECT 1", Some("SELECT")),
            ("  select'x'", Some("SELECT")),
            ("((SELECT 1))", Some("SELECT")),
            ("with a as (select 1) select * from a", Some("SELECT")),
            ("-- 555\n/* a /* b */ 555 */ show all", Some("SHOW")),
            ("BEGIN;", Some("BEGIN")),
            ("Li's number is 555", None),
            ("selected", None),
            ("-- SELECT", None),
            ("/* SELECT", None),
            ("/*/ SELECT", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(kind(statement), expected, "{statement}");
        }
    }

    #[test]
    fn kinds_are_written_alike_and_once() {
        assert!(KINDS.is_sorted());
        for pair in KINDS.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        assert!(KINDS.iter().all(|kind| *kind == kind.to_uppercase()));
    }
}
