//! FETCH and MOVE as PostgreSQL writes them, in words that the library reads.
//!
//! | statement | becomes |
//! |---|---|
//! | `FETCH c`, `FETCH NEXT c`, `FETCH FORWARD IN c` | `FETCH NEXT FROM c` |
//! | `FETCH +5 c`, `FETCH FORWARD 5 IN c` | `FETCH 5 FROM c`, `FETCH FORWARD 5 FROM c` |
//! | `FETCH -5 FROM c`, `FETCH BACKWARD c` | `FETCH BACKWARD 5 FROM c`, `FETCH BACKWARD 1 FROM c` |
//! | `MOVE 5 IN c` | `FETCH 5 FROM c INTO nothing` |

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

/// Where the rows of a MOVE go: the library does not know it.
const NOTHING: &str = "nothing";

/// Whether the rows of a FETCH go nowhere: it was a MOVE.
pub(super) fn is_move(into: &ObjectName) -> bool {
    into.to_string() == NOTHING
}

/// A FETCH or MOVE in such words; `None` for all other statements, and for one that
/// cannot be read.
pub(super) fn cursor_words(sql: &str) -> Option<String> {
    let lower = sql.to_lowercase();
    if !lower.contains("fetch") && !lower.contains("move") {
        return None;
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().ok()?;
    let is_nothing = |token: &Token| matches!(token, Token::Whitespace(_) | Token::EOF);
    let mut tokens: Vec<Token> = tokens.into_iter().filter(|one| !is_nothing(one)).collect();
    while tokens.last() == Some(&Token::SemiColon) {
        tokens.pop();
    }
    let (verb, rest) = tokens.split_first()?;
    let into = match &*word(verb)? {
        "fetch" => String::new(),
        "move" => format!(" INTO {NOTHING}"),
        _ => return None,
    };
    let (name, mut direction) = rest.split_last()?;
    let Token::Word(name) = name else {
        return None;
    };
    if let Some((last, before)) = direction.split_last()
        && matches!(word(last).as_deref(), Some("from" | "in"))
    {
        direction = before;
    }
    let direction = direction_of(direction)?;
    Some(format!("FETCH {direction} FROM {}{into}", ident(name)))
}

/// A word without quotes, in lower case.
fn word(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
        _ => None,
    }
}

fn ident(word: &Word) -> Ident {
    match word.quote_style {
        Some(_) => Ident::with_quote('"', word.value.clone()),
        None => Ident::new(word.value.clone()),
    }
}

/// The direction as the library writes it; `None` where it is none.
fn direction_of(tokens: &[Token]) -> Option<String> {
    let Some((first, rest)) = tokens.split_first() else {
        return Some("NEXT".to_owned());
    };
    let Some(way) = word(first) else {
        return counted("", "BACKWARD ", tokens);
    };
    let is_all = matches!(rest, [only] if word(only).as_deref() == Some("all"));
    match (&*way, rest) {
        ("next" | "prior" | "first" | "last" | "all", []) => Some(way.to_uppercase()),
        ("forward", []) => Some("NEXT".to_owned()),
        ("backward", []) => Some("BACKWARD 1".to_owned()),
        ("forward" | "backward", _) if is_all => Some(format!("{} ALL", way.to_uppercase())),
        ("forward", count) => counted("FORWARD ", "BACKWARD ", count),
        ("backward", count) => counted("BACKWARD ", "FORWARD ", count),
        // Neither way is gone by them.
        ("absolute", count) => counted("ABSOLUTE ", "ABSOLUTE ", count),
        ("relative", count) => counted("RELATIVE ", "RELATIVE ", count),
        _ => None,
    }
}

/// A number of rows with its sign; the library takes none, so that the other way is
/// written for less than 0.
fn counted(way: &str, other_way: &str, count: &[Token]) -> Option<String> {
    let (way, number) = match count {
        [Token::Number(number, _)] | [Token::Plus, Token::Number(number, _)] => (way, number),
        [Token::Minus, Token::Number(number, _)] => (other_way, number),
        _ => return None,
    };
    Some(format!("{way}{number}"))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;
    use datafusion::sql::sqlparser::parser::Parser;
    use sluice_syntax::QUERIES;

    use super::*;

    #[test]
    fn words_are_those_of_the_library() {
        for (sql, expected) in [
            ("FETCH c", "FETCH NEXT FROM c"),
            ("fetch next \"C\"\"d\"", "FETCH NEXT FROM \"C\"\"d\""),
            ("FETCH next", "FETCH NEXT FROM next"),
            ("FETCH IN c;", "FETCH NEXT FROM c"),
            ("/* some */ FETCH FORWARD FROM c", "FETCH NEXT FROM c"),
            ("FETCH 5 c", "FETCH 5 FROM c"),
            ("FETCH +5 IN c", "FETCH 5 FROM c"),
            ("FETCH -5 FROM c", "FETCH BACKWARD 5 FROM c"),
            ("FETCH FORWARD 5 c", "FETCH FORWARD 5 FROM c"),
            ("FETCH forward all c", "FETCH FORWARD ALL FROM c"),
            ("FETCH ALL FROM c", "FETCH ALL FROM c"),
            ("FETCH BACKWARD c", "FETCH BACKWARD 1 FROM c"),
            ("FETCH BACKWARD -2 c", "FETCH FORWARD 2 FROM c"),
            ("FETCH PRIOR FROM c", "FETCH PRIOR FROM c"),
            ("FETCH RELATIVE -1 c", "FETCH RELATIVE 1 FROM c"),
            ("MOVE c", "FETCH NEXT FROM c INTO nothing"),
            ("MOVE 5 IN c", "FETCH 5 FROM c INTO nothing"),
            (
                "move forward all in c",
                "FETCH FORWARD ALL FROM c INTO nothing",
            ),
        ] {
            let found = cursor_words(sql).unwrap();
            assert_eq!(found, expected, "{sql}");
            let read = Parser::parse_sql(&QUERIES, &found).unwrap().remove(0);
            let Statement::Fetch { into, .. } = read else {
                panic!("{found} is {read}");
            };
            let moves = sql.to_lowercase().starts_with("move");
            assert_eq!(into.as_ref().is_some_and(is_move), moves, "{sql}");
        }
    }

    #[test]
    fn other_statements_stay() {
        for sql in [
            "SELECT fetch FROM moves",
            "SELECT a FROM t FETCH FIRST 3 ROWS ONLY",
            "FETCH",
            "MOVE 'c'",
            "FETCH 1 2 FROM c",
            "FETCH soon FROM c",
            "FETCH 1 FROM c INTO x",
            "\"move\" c",
            "FETCH 'open",
        ] {
            assert_eq!(cursor_words(sql), None, "{sql}");
        }
    }
}
