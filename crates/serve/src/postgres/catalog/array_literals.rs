//! Arrays that are written as texts: `'{1,2}'::int[]`, `x = ANY('{a,b}')`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Array, DataType, Expr, Value, ValueWithSpan, VisitorMut};
use sluice_syntax::Part;

use super::exprs::{text, value};

/// Writes texts that are arrays by where they stand as `ARRAY[…]`, those in
/// subqueries included. One that is no array of single values stays, and is refused.
pub(super) fn write_arrays(sql: &mut impl Part) {
    let _ = sql.rewrite(&mut ArrayLiterals);
}

struct ArrayLiterals;

impl VisitorMut for ArrayLiterals {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let literal = match expr {
            Expr::Cast {
                expr: literal,
                data_type: DataType::Array(_),
                ..
            } => literal,
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => right,
            _ => return ControlFlow::Continue(()),
        };
        if let Some(array) = array_of(literal) {
            **literal = array;
        }
        ControlFlow::Continue(())
    }
}

fn array_of(literal: &Expr) -> Option<Expr> {
    match literal {
        Expr::Nested(inner) => array_of(inner),
        Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(written),
            ..
        }) => {
            let elements = elements(written)?.into_iter();
            let elements = elements.map(|element| match element {
                Some(element) => text(&element),
                None => value(Value::Null),
            });
            Some(Expr::Array(Array {
                elem: elements.collect(),
                named: true,
            }))
        }
        _ => None,
    }
}

/// The values of an array's text; `None` where it is none, or one of arrays.
///
/// Source: PostgreSQL's documentation, "Array Input and Output Syntax": spaces
/// around values mean nothing, NULL is no text where it has no quotes, a backslash
/// stands before what is meant as it is.
fn elements(written: &str) -> Option<Vec<Option<String>>> {
    let inner = written.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut values = Vec::new();
    let mut current = Element::default();
    let mut is_quoted = false;
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            // Nothing follows the quotes of a value.
            '\\' if current.is_quoted && !is_quoted => return None,
            '\\' => current.add_kept(letters.next()?),
            '"' if is_quoted => is_quoted = false,
            '"' if current.is_empty() => {
                is_quoted = true;
                current.is_quoted = true;
            }
            letter if is_quoted => current.add_kept(letter),
            '"' | '{' | '}' => return None,
            ',' => values.push(std::mem::take(&mut current).finished()?),
            letter if letter.is_whitespace() && current.is_empty() => {}
            letter if letter.is_whitespace() => current.text.push(letter),
            _ if current.is_quoted => return None,
            letter => current.text.push(letter),
        }
    }
    if is_quoted {
        return None;
    }
    values.push(current.finished()?);
    Some(values)
}

/// One value as far as it was read.
#[derive(Default)]
struct Element {
    text: String,
    /// Bytes that stay though they are spaces.
    kept: usize,
    is_quoted: bool,
    is_escaped: bool,
}

impl Element {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.is_quoted
    }

    /// Adds a letter as it is, which stands in quotes or behind a backslash.
    fn add_kept(&mut self, letter: char) {
        self.text.push(letter);
        self.kept = self.text.len();
        self.is_escaped = true;
    }

    /// The value, of which `None` within is NULL; nothing where none was written.
    fn finished(mut self) -> Option<Option<String>> {
        let end = self.text.trim_end().len().max(self.kept);
        self.text.truncate(end);
        if self.is_quoted || self.is_escaped {
            return Some(Some(self.text));
        }
        if self.text.is_empty() {
            return None;
        }
        let is_null = self.text.eq_ignore_ascii_case("null");
        Some((!is_null).then_some(self.text))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn texts_are_arrays_where_arrays_stand() {
        for (sql, expected) in [
            ("'{a, abc}'::text[]", "ARRAY['a', 'abc']::TEXT[]"),
            ("CAST('{1,2}' AS int[])", "CAST(ARRAY['1', '2'] AS INT[])"),
            ("'{}'::int[]", "ARRAY[]::INT[]"),
            (
                r#"'{"a,b", "c\"d" ,NULL,"NULL",null, e f ,\ ,"",{}'::text[]"#,
                r#"'{"a,b", "c\"d" ,NULL,"NULL",null, e f ,\ ,"",{}'::TEXT[]"#,
            ),
            (
                r#"'{"a,b", "c\"d" ,NULL,"NULL",null, e f ,\ ,""}'::text[]"#,
                r#"ARRAY['a,b', 'c"d', NULL, 'NULL', NULL, 'e f', ' ', '']::TEXT[]"#,
            ),
            ("x = ANY('{1,2}')", "x = ANY(ARRAY['1', '2'])"),
            ("x <> ALL(('{1,2}'))", "x <> ALL(ARRAY['1', '2'])"),
            // No arrays of single values.
            ("'{{1},{2}}'::int[]", "'{{1},{2}}'::INT[]"),
            ("'{1,,2}'::int[]", "'{1,,2}'::INT[]"),
            (r#"'{"a"b}'::text[]"#, r#"'{"a"b}'::TEXT[]"#),
            (r#"'{"a}'::text[]"#, r#"'{"a}'::TEXT[]"#),
            // Texts.
            ("'{1,2}'::text", "'{1,2}'::TEXT"),
            ("x = '{1,2}'", "x = '{1,2}'"),
        ] {
            let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql);
            let mut expr = parser.unwrap().parse_expr().unwrap();
            write_arrays(&mut expr);
            assert_eq!(expr.to_string(), expected, "{sql}");
        }
    }
}
