//! Expressions in the place of others, wherever these stand in a statement.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, VisitorMut};

use crate::Part;

/// Which of two expressions is replaced first where one stands inside the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The one around; what is inside its replacement is looked at too.
    OuterFirst,
    /// The one inside; no part of a replacement is looked at again.
    InnerFirst,
}

/// Puts what `replacement` gives in the place of each expression for which it gives
/// something, those in subqueries included. Whether there were any.
///
/// ```
/// use datafusion::sql::sqlparser::{ast::Expr, parser::Parser};
/// use sluice_syntax::{Order, QUERIES, replace_expressions};
///
/// let sql = "SELECT (a) FROM t WHERE b IN (SELECT ((c)) FROM u)";
/// let mut statement = Parser::parse_sql(&QUERIES, sql)?.remove(0);
/// let is_changed = replace_expressions(&mut statement, Order::InnerFirst, |part| match part {
///     Expr::Nested(inner) => Some((**inner).clone()),
///     _ => None,
/// });
/// assert!(is_changed);
/// assert_eq!(statement.to_string(), "SELECT a FROM t WHERE b IN (SELECT c FROM u)");
/// # Ok::<(), datafusion::sql::sqlparser::parser::ParserError>(())
/// ```
pub fn replace_expressions(
    part: &mut impl Part,
    order: Order,
    mut replacement: impl FnMut(&Expr) -> Option<Expr>,
) -> bool {
    let mut replacer = Replacer {
        order,
        replacement: &mut replacement,
        is_changed: false,
    };
    let _ = part.rewrite(&mut replacer);
    replacer.is_changed
}

struct Replacer<'a> {
    order: Order,
    replacement: &'a mut dyn FnMut(&Expr) -> Option<Expr>,
    is_changed: bool,
}

impl Replacer<'_> {
    fn replace(&mut self, expr: &mut Expr) {
        if let Some(replacement) = (self.replacement)(expr) {
            *expr = replacement;
            self.is_changed = true;
        }
    }
}

impl VisitorMut for Replacer<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.order == Order::OuterFirst {
            self.replace(expr);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.order == Order::InnerFirst {
            self.replace(expr);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::UnaryOperator;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::QUERIES;

    /// `NOT x` as `x`.
    fn without_not(expr: &Expr) -> Option<Expr> {
        match expr {
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => Some((**expr).clone()),
            _ => None,
        }
    }

    #[test]
    fn the_order_decides_what_is_seen_again() {
        // From outside the first NOT gives the second, which is not asked again.
        for (order, sql, expected) in [
            (Order::OuterFirst, "NOT NOT a", Some("NOT a")),
            (Order::InnerFirst, "NOT NOT a", Some("a")),
            (Order::OuterFirst, "NOT f(NOT a)", Some("f(a)")),
            (Order::InnerFirst, "a AND b", None),
        ] {
            let parser = Parser::new(&QUERIES).try_with_sql(sql);
            let mut parsed = parser.unwrap().parse_expr().unwrap();
            let is_changed = replace_expressions(&mut parsed, order, without_not);
            assert_eq!(is_changed, expected.is_some(), "{sql}: {parsed}");
            assert_eq!(parsed.to_string(), expected.unwrap_or(sql));
        }
    }
}
