//! What was asked and changed, by whom and with what outcome.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::access::Who;
use crate::session::Session;

/// Characters of a statement that are kept.
const STATEMENT_LENGTH_MAX: usize = 10_000;

/// One statement, change or attempt to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The user; `None` where nobody has to say who they are, and for whoever
    /// did not.
    pub user: Option<String>,
    /// The user's role.
    pub role: Option<String>,
    /// Where the client is.
    pub from: Option<SocketAddr>,
    /// `http` or `postgres`.
    pub via: &'static str,
    /// `sign in`, or method and path over HTTP, or `statement`.
    pub action: String,
    /// What was asked.
    pub statement: Option<String>,
    /// `ok`, or the code of the error: SQLSTATE, or status over HTTP.
    pub outcome: String,
    /// Rows that were made for the answer.
    pub rows: u64,
    /// How long it took.
    pub duration: Duration,
}

/// Keeps what was asked.
pub trait Auditor: Debug + Send + Sync {
    /// Keeps an entry. Must not wait for a disk.
    fn note(&self, entry: AuditEntry);

    /// Whether statements are kept with the values that stand in them.
    fn keeps_literals(&self) -> bool;
}

/// An entry of a session.
pub(crate) fn entry(
    auditor: &dyn Auditor,
    session: &Session,
    via: &'static str,
    action: &str,
) -> AuditEntry {
    let (user, role) = match session.who() {
        Who::User { name, role } => (Some(name), Some(role.to_string())),
        Who::Unknown | Who::Program => (None, None),
    };
    let (statement, rows) = session.take_asked();
    let statement = statement.map(|statement| match auditor.keeps_literals() {
        true => shortened(statement),
        false => shortened(without_literals(&statement)),
    });
    AuditEntry {
        user,
        role,
        from: session.from(),
        via,
        action: action.to_owned(),
        statement,
        outcome: "ok".to_owned(),
        rows,
        duration: Duration::ZERO,
    }
}

fn shortened(mut statement: String) -> String {
    if statement.len() > STATEMENT_LENGTH_MAX {
        let end = (0..=STATEMENT_LENGTH_MAX)
            .rev()
            .find(|&end| statement.is_char_boundary(end));
        statement.truncate(end.unwrap_or(0));
        statement.push('…');
    }
    statement
}

/// A statement with `?` for each value that stands in it, and without comments.
fn without_literals(statement: &str) -> String {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, statement).tokenize();
    let Ok(tokens) = tokens else {
        return format!("({} bytes that are no SQL)", statement.len());
    };
    let mut text = String::with_capacity(statement.len());
    for token in tokens {
        match token {
            Token::Word(_)
            | Token::Placeholder(_)
            | Token::Comma
            | Token::Period
            | Token::LParen
            | Token::RParen
            | Token::SemiColon => text.push_str(&token.to_string()),
            Token::Whitespace(_) => {
                if !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            Token::EOF => {}
            token if is_literal(&token) => text.push('?'),
            token => text.push_str(&token.to_string()),
        }
    }
    text.trim().to_owned()
}

fn is_literal(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::TripleSingleQuotedByteStringLiteral(_)
            | Token::TripleDoubleQuotedByteStringLiteral(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
            | Token::TripleSingleQuotedRawStringLiteral(_)
            | Token::TripleDoubleQuotedRawStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out() {
        for (statement, expected) in [
            (
                "SELECT *  FROM person\nWHERE phone = '555' AND n > 3.5 -- 555",
                "SELECT * FROM person WHERE phone = ? AND n > ?",
            ),
            (
                "SELECT E'5\\n', $$five$$, X'55', N'5', U&'5', $1",
                "SELECT ?, ?, ?, ?, ?, $1",
            ),
            ("SELECT /* '555' */ \"a b\"::text", "SELECT \"a b\"::text"),
            ("SELECT 'open", "(12 bytes that are no SQL)"),
        ] {
            let found = without_literals(statement);
            assert_eq!(found, expected);
            assert!(!found.contains("555"));
        }
        let long = "é".repeat(STATEMENT_LENGTH_MAX);
        assert!(shortened(long).len() <= STATEMENT_LENGTH_MAX + 3);
    }
}
