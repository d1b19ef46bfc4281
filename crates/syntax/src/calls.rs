//! Calls of functions that have words of their own in SQL, and those that are written in
//! the place of something else.
//!
//! What is wrong behind such a word the library reads once more, as the arguments of a
//! plain function of that name: twice as long for each one around another. Here it is
//! read once.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// A plain call.
pub fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter().map(FunctionArgExpr::Expr);
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.map(FunctionArg::Unnamed).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Reads a call whose arguments are divided by words: `extract(day FROM t)`. `None` where
/// none is next. `above_in` is how strongly BETWEEN and IN hold what stands around them.
pub(crate) fn read_call(
    parser: &mut Parser<'_>,
    above_in: u8,
) -> Option<Result<Expr, ParserError>> {
    let Token::Word(word) = &parser.peek_token_ref().token else {
        return None;
    };
    let keyword = word.keyword;
    if parser.peek_nth_token_ref(1).token != Token::LParen {
        return None;
    }
    match keyword {
        Keyword::SUBSTR | Keyword::SUBSTRING => return Some(parser.parse_substring()),
        // `INTERVAL (3) '1.5 seconds'`
        Keyword::INTERVAL if is_number(&parser.peek_nth_token_ref(2).token) => return None,
        Keyword::CEIL
        | Keyword::CONVERT
        | Keyword::EXTRACT
        | Keyword::FLOOR
        | Keyword::INTERVAL
        | Keyword::OVERLAY
        | Keyword::POSITION => parser.advance_token(),
        _ => return None,
    }
    Some(match keyword {
        Keyword::CEIL => parser.parse_ceil_floor_expr(true),
        Keyword::FLOOR => parser.parse_ceil_floor_expr(false),
        Keyword::CONVERT => parser.parse_convert_expr(false),
        Keyword::EXTRACT => parser.parse_extract_expr(),
        Keyword::INTERVAL => parser.parse_interval(),
        Keyword::POSITION => read_position(parser, above_in),
        _ => read_overlay(parser),
    })
}

fn is_number(token: &Token) -> bool {
    matches!(token, Token::Number(..))
}

/// What stands behind POSITION, which has either a word or commas.
fn read_position(parser: &mut Parser<'_>, above_in: u8) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let part = parser.parse_subexpr(above_in)?;
    if !parser.parse_keyword(Keyword::IN) {
        return read_plain("position", part, parser);
    }
    let text = parser.parse_expr()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Position {
        expr: Box::new(part),
        r#in: Box::new(text),
    })
}

/// A call of which the first argument was read.
fn read_plain(name: &str, first: Expr, parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let mut arguments = vec![first];
    while parser.consume_token(&Token::Comma) {
        arguments.push(parser.parse_expr()?);
    }
    parser.expect_token(&Token::RParen)?;
    Ok(call(name, arguments))
}

/// What stands behind OVERLAY, which has either words or commas.
fn read_overlay(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let text = parser.parse_expr()?;
    if !parser.parse_keyword(Keyword::PLACING) {
        return read_plain("overlay", text, parser);
    }
    let placed = parser.parse_expr()?;
    parser.expect_keyword_is(Keyword::FROM)?;
    let from = parser.parse_expr()?;
    let length = match parser.parse_keyword(Keyword::FOR) {
        true => Some(Box::new(parser.parse_expr()?)),
        false => None,
    };
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Overlay {
        expr: Box::new(text),
        overlay_what: Box::new(placed),
        overlay_from: Box::new(from),
        overlay_for: length,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    use super::*;
    use crate::{MODELS, QUERIES};

    #[test]
    fn calls_are_read_as_the_library_reads_them() {
        for sql in [
            "ceil(x), FLOOR(x - 1), floor(x TO DAY), ceil(x, 2)",
            "substring(s, 2), SUBSTR(s, 2, 3), substring(s FROM 2 FOR 1)",
            "extract(day FROM t), EXTRACT('day' FROM t)",
            "overlay(s PLACING 'x' FROM 2), OVERLAY(s PLACING 'x' FROM 2 FOR 1)",
            "overlay(s, 'x', 2)",
            "interval '1 day', INTERVAL (3) '1.5 seconds', INTERVAL (x) DAY",
            "ceil, floor, extract, overlay, interval, convert, position, substring",
            "position('a' IN s), position(s, 'a'), cast(x AS INT), try_cast(x AS INT)",
            "NOT a, CASE WHEN a THEN 1 END, ARRAY[1], ARRAY(SELECT 1), array, trim(s)",
        ] {
            let sql = format!("SELECT {sql} FROM t");
            let known = Parser::parse_sql(&PostgreSqlDialect {}, &sql).unwrap();
            for dialect in [QUERIES, MODELS] {
                let found = Parser::parse_sql(&dialect, &sql).unwrap();
                assert_eq!(found, known, "{sql}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_read_once() {
        // Twice for each around it would be longer than anyone waits.
        const LEVELS: usize = 45;
        for (before, behind) in [
            ("CAST(", " AS INT)"),
            ("TRY_CAST(", " AS INT)"),
            ("CASE WHEN ", " THEN 1 END"),
            ("ARRAY[", "]"),
            ("NOT ", ""),
            ("substring(", ")"),
            ("ceil(", ")"),
            ("floor(", ")"),
            ("extract(day FROM ", ")"),
            ("overlay(", " PLACING s FROM 1)"),
            ("overlay(s, ", ")"),
            ("convert(", ", INT)"),
            ("INTERVAL (", ")"),
            ("position('a' IN ", ")"),
            ("position(", " IN s)"),
            ("position(s, ", ")"),
            ("f(", ")"),
        ] {
            let (before, behind) = (before.repeat(LEVELS), behind.repeat(LEVELS));
            let sql = format!("SELECT {before}x y z{behind}");
            for dialect in [QUERIES, MODELS] {
                assert!(Parser::parse_sql(&dialect, &sql).is_err(), "{sql}");
            }
        }
    }
}
