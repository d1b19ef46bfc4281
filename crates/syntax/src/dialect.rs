//! The dialect of all statements: PostgreSQL's.
//!
//! The library's reader of it groups some operators otherwise:
//!
//! | statement | PostgreSQL, and this dialect | the library |
//! |---|---|---|
//! | `a IS DISTINCT FROM b AND c` | `(a IS DISTINCT FROM b) AND c` | `a IS DISTINCT FROM (b AND c)` |
//! | `-a ^ 2` | `(-a) ^ 2` | `-(a ^ 2)` |
//! | `a ~ b \|\| c`, `a = b ~ c` | `(a ~ b) \|\| c`, `a = (b ~ c)` | `a ~ (b \|\| c)`, `(a = b) ~ c` |
//! | `a>-1` | `a > -1` | an operator `>-` |
//!
//! What the library reads once more has brackets there
//! ([`crate::bracket_misread`]).

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::calls::read_call;

/// PostgreSQL's dialect, and what is read beyond it: [`MODELS`] or [`QUERIES`].
#[derive(Debug, Clone, Copy)]
pub struct SluiceDialect {
    is_of_models: bool,
}

/// The dialect of models, with `FOR SYSTEM_TIME AS OF` behind a table.
pub const MODELS: SluiceDialect = SluiceDialect { is_of_models: true };

/// The dialect of queries, with words of DataFusion that PostgreSQL does not have,
/// such as `SELECT * EXCLUDE (a)`.
pub const QUERIES: SluiceDialect = SluiceDialect {
    is_of_models: false,
};

const BASE: PostgreSqlDialect = PostgreSqlDialect {};

/// Words that are no names: what is wrong behind them is not read once more as if they
/// were, which would double with each one around another.
const RESERVED: [Keyword; 6] = [
    Keyword::ARRAY,
    Keyword::CASE,
    Keyword::CAST,
    Keyword::NOT,
    Keyword::SAFE_CAST,
    Keyword::TRY_CAST,
];

/// How strongly a sign holds what follows it: more than COLLATE (120), less than
/// brackets and `::` (130, 140).
const SIGN_PRECEDENCE: u8 = 125;

macro_rules! as_in_postgresql {
    ($($method:ident)*) => {
        $(fn $method(&self) -> bool {
            BASE.$method()
        })*
    };
}

macro_rules! of_queries {
    ($($method:ident)*) => {
        $(fn $method(&self) -> bool {
            !self.is_of_models
        })*
    };
}

impl Dialect for SluiceDialect {
    // What the parser asks of the dialect's type it is to hear of PostgreSQL's.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn supports_table_versioning(&self) -> bool {
        self.is_of_models
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        BASE.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        BASE.is_delimited_identifier_start(character) || (!self.is_of_models && character == '`')
    }

    fn is_identifier_start(&self, character: char) -> bool {
        BASE.is_identifier_start(character)
    }

    fn is_identifier_part(&self, character: char) -> bool {
        BASE.is_identifier_part(character)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        RESERVED.contains(&keyword) || BASE.is_reserved_for_identifier(keyword)
    }

    // Nobody defines operators, and a sign would become a part of the one before it.
    fn is_custom_operator_part(&self, _: char) -> bool {
        false
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match is_match(&parser.peek_token_ref().token) {
            true => Some(Ok(self.prec_value(Precedence::PgOther))),
            false => BASE.get_next_precedence(parser),
        }
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        BASE.prec_value(precedence)
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let op = match parser.peek_token_ref().token {
            Token::Minus => UnaryOperator::Minus,
            Token::Plus => UnaryOperator::Plus,
            _ => return read_call(parser, self.prec_value(Precedence::Between)),
        };
        parser.advance_token();
        let signed = parser.parse_subexpr(SIGN_PRECEDENCE).map(Box::new);
        Some(signed.map(|expr| Expr::UnaryOp { op, expr }))
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        left: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let word = |place| match &parser.peek_nth_token_ref(place).token {
            Token::Word(found) => found.keyword,
            _ => Keyword::NoKeyword,
        };
        let equality = self.prec_value(Precedence::Eq);
        let is_quantified = matches!(word(1), Keyword::ANY | Keyword::ALL | Keyword::SOME);
        if is_quantified && precedence != equality && is_match(&parser.peek_token_ref().token) {
            // The library takes the precedence for that of what is in the brackets.
            return Some(parser.parse_infix(left.clone(), equality));
        }
        let is_negated = word(1) == Keyword::NOT;
        let distinct = 1 + usize::from(is_negated);
        let is_distinct_from = word(0) == Keyword::IS
            && word(distinct) == Keyword::DISTINCT
            && word(distinct + 1) == Keyword::FROM;
        if !is_distinct_from {
            return None;
        }
        for _ in 0..distinct + 2 {
            parser.advance_token();
        }
        let left = Box::new(left.clone());
        let right = parser.parse_subexpr(precedence).map(Box::new);
        Some(right.map(|right| match is_negated {
            true => Expr::IsNotDistinctFrom(left, right),
            false => Expr::IsDistinctFrom(left, right),
        }))
    }

    as_in_postgresql! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_set_names
        supports_alter_column_type_using
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_comment_optimizer_hint
    }

    of_queries! {
        supports_select_wildcard_except
        supports_select_wildcard_exclude
        supports_select_wildcard_replace
        supports_dictionary_syntax
        support_map_literal_syntax
        supports_limit_comma
        supports_window_function_null_treatment_arg
    }
}

/// Whether it is one of the operators `~`, `!~~*` and the like.
fn is_match(token: &Token) -> bool {
    matches!(
        token,
        Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk
    )
}
