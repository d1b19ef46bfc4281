//! Casts to texts of limited length.
//!
//! | cast | becomes |
//! |---|---|
//! | `s::varchar(3)`, `CAST(s AS character varying(3))` | `left(s::VARCHAR, 3)`, … |
//! | `SELECT t.s::varchar(3)` | `SELECT left(t.s::VARCHAR, 3) AS s` |
//!
//! PostgreSQL cuts what is cast to so many characters; the planner takes no notice of
//! the number. A column keeps the name that it has to the planner, which calls a cast
//! as what it casts. Texts that are filled up with blanks are refused
//! ([`refused_form`](crate::refused_form)).

use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, Expr, Ident, Select, SelectItem, TypedString,
    Value, ValueWithSpan, VisitorMut,
};

use crate::calls::call;
use crate::{Order, Part, replace_expressions};

/// PostgreSQL's longest.
const LENGTH_MAX: u64 = 10_485_760;

/// Writes such casts as what they give, those in subqueries included. Whether there
/// were any.
///
/// ```
/// use datafusion::sql::sqlparser::parser::Parser;
/// use sluice_syntax::{QUERIES, cut_limited_texts};
///
/// let mut statement = Parser::parse_sql(&QUERIES, "SELECT a FROM t WHERE b::varchar(2) = 'x'")?;
/// assert!(cut_limited_texts(&mut statement[0]));
/// let expected = "SELECT a FROM t WHERE left(b::VARCHAR, 2) = 'x'";
/// assert_eq!(statement[0].to_string(), expected);
/// # Ok::<(), datafusion::sql::sqlparser::parser::ParserError>(())
/// ```
pub fn cut_limited_texts(sql: &mut impl Part) -> bool {
    let _ = sql.rewrite(&mut ColumnNames);
    replace_expressions(sql, Order::InnerFirst, cut)
}

/// Names the columns that are such casts of columns.
struct ColumnNames;

impl VisitorMut for ColumnNames {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else {
                continue;
            };
            if let Some((column, true)) = column_that_is_cast(expr) {
                let alias = column.clone();
                let expr = replace(expr, Expr::Identifier(alias.clone()));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        ControlFlow::Continue(())
    }
}

/// The column below casts, and whether one of them is to a text of limited length.
fn column_that_is_cast(expr: &Expr) -> Option<(&Ident, bool)> {
    match expr {
        Expr::Identifier(column) => Some((column, false)),
        Expr::CompoundIdentifier(parts) => Some((parts.last()?, false)),
        Expr::Nested(inner) => column_that_is_cast(inner),
        Expr::Cast {
            expr, data_type, ..
        } => {
            let (column, is_limited) = column_that_is_cast(expr)?;
            Some((column, is_limited || length_of(data_type).is_some()))
        }
        _ => None,
    }
}

fn cut(expr: &Expr) -> Option<Expr> {
    let (Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. })) = expr
    else {
        return None;
    };
    let length = length_of(data_type)?;
    let mut text = expr.clone();
    if let Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) =
        &mut text
    {
        *data_type = DataType::Varchar(None);
    }
    let length = Value::Number(length.to_string(), false);
    let length = Expr::Value(ValueWithSpan::from(length));
    Some(call("left", vec![text, length]))
}

/// How many characters a text of the type may have, where that is said and possible.
fn length_of(data_type: &DataType) -> Option<u64> {
    let (DataType::Varchar(length)
    | DataType::CharacterVarying(length)
    | DataType::CharVarying(length)) = data_type
    else {
        return None;
    };
    match length {
        Some(CharacterLength::IntegerLength { length, unit: None }) => {
            (1..=LENGTH_MAX).contains(length).then_some(*length)
        }
        _ => None,
    }
}

/// Why a cast to the type is refused: the planner takes no notice of its length, which
/// nothing else is written for either.
pub(crate) fn problem_of_type(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Char(_) | DataType::Character(_) => Some(
            "char(n), a text that is filled up with blanks, is not supported: write varchar(n) to cut it, rpad(text, n) to fill it up too, or text",
        ),
        DataType::Varchar(Some(_))
        | DataType::CharacterVarying(Some(_))
        | DataType::CharVarying(Some(_))
            if length_of(data_type).is_none() =>
        {
            Some("the length of varchar(n) is a number of characters from 1 to 10485760")
        }
        DataType::Array(
            ArrayElemTypeDef::AngleBracket(of)
            | ArrayElemTypeDef::SquareBracket(of, _)
            | ArrayElemTypeDef::Parenthesis(of),
        ) => match length_of(of) {
            Some(_) => Some(
                "an array of varchar(n) is not supported: write text[], and varchar(n) for its values, as in ARRAY[a::varchar(3)]",
            ),
            None => problem_of_type(of),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::QUERIES;

    #[test]
    fn casts_to_a_length_are_cut() {
        for (sql, expected) in [
            (
                "SELECT s::varchar(3) FROM t",
                Some("SELECT left(s::VARCHAR, 3) AS s FROM t"),
            ),
            (
                "SELECT (CAST(t.\"S\" AS character varying(3))) FROM t",
                Some("SELECT (left(CAST(t.\"S\" AS VARCHAR), 3)) AS \"S\" FROM t"),
            ),
            (
                "SELECT TRY_CAST(n AS char varying(1)) AS x, upper(s)::varchar(2) FROM t",
                Some(
                    "SELECT left(TRY_CAST(n AS VARCHAR), 1) AS x, left(upper(s)::VARCHAR, 2) FROM t",
                ),
            ),
            (
                "SELECT 1 WHERE s::varchar(4)::varchar(2) IN (SELECT s::varchar(2)::text FROM u)",
                Some(
                    "SELECT 1 WHERE left(left(s::VARCHAR, 4)::VARCHAR, 2) IN (SELECT left(s::VARCHAR, 2)::TEXT AS s FROM u)",
                ),
            ),
            (
                "SELECT varchar(2) 'abc' AS x",
                Some("SELECT left(VARCHAR 'abc', 2) AS x"),
            ),
            ("SELECT s::VARCHAR, s::TEXT, s::CHAR(3) FROM t", None),
            ("SELECT s::VARCHAR(3)[] FROM t", None),
            ("SELECT s::VARCHAR(0) FROM t", None),
        ] {
            let mut statement = Parser::parse_sql(&QUERIES, sql).unwrap().remove(0);
            let is_changed = cut_limited_texts(&mut statement);
            assert_eq!(is_changed, expected.is_some(), "{sql}: {statement}");
            assert_eq!(statement.to_string(), expected.unwrap_or(sql));
        }
    }
}
