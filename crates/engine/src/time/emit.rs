//! `EMIT ON WINDOW CLOSE` behind a view's SELECT, which the parser does not
//! know.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

const CLAUSE: [&str; 4] = ["EMIT", "ON", "WINDOW", "CLOSE"];

/// The text with the clause blanked, and where the clause stood.
pub(crate) fn without_emit_clause(sql: &str) -> (String, Option<Location>) {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
    // What cannot be read is reported by the parser.
    let tokens = tokens.unwrap_or_default();
    let is_meant = |token: &&TokenWithSpan| {
        !matches!(
            token.token,
            Token::Whitespace(_) | Token::SemiColon | Token::EOF
        )
    };
    let meant: Vec<&TokenWithSpan> = tokens.iter().filter(is_meant).collect();
    let Some(start) = meant.len().checked_sub(CLAUSE.len()) else {
        return (sql.to_owned(), None);
    };
    let clause = &meant[start..];
    let is_clause = clause.iter().zip(CLAUSE).all(|(token, expected)| {
        matches!(&token.token, Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected))
    });
    if !is_clause {
        return (sql.to_owned(), None);
    }
    let (from, to) = (clause[0].span.start, clause[CLAUSE.len() - 1].span.end);
    let mut blanked = String::with_capacity(sql.len());
    let (mut line, mut column) = (1, 1);
    for character in sql.chars() {
        let is_inside =
            (from.line, from.column) <= (line, column) && (line, column) < (to.line, to.column);
        blanked.push(match character {
            '\n' => '\n',
            _ if is_inside => ' ',
            other => other,
        });
        if character == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    (blanked, Some(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clause_is_blanked_only_at_the_end() {
        let (text, at) = without_emit_clause("SELECT 1\nEmit on\n window -- x\nCLOSE;\n");
        assert_eq!(text, "SELECT 1\n       \n            \n     ;\n");
        assert_eq!(at, Some(Location::new(2, 1)));
        for other in [
            "SELECT 'EMIT ON WINDOW CLOSE'",
            "SELECT emit on window",
            "SELECT 'x",
        ] {
            assert_eq!(without_emit_clause(other), (other.to_owned(), None));
        }
    }
}
