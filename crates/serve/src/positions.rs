//! Columns that are named by their numbers where DataFusion does not look for numbers, or
//! finds no column.
//!
//! | query | becomes |
//! |---|---|
//! | `SELECT a, b, sum(c) FROM t GROUP BY ROLLUP (1, 2)` | `… GROUP BY ROLLUP (a, b)` |
//! | `SELECT a, rank() OVER (ORDER BY sum(c)) FROM t GROUP BY a ORDER BY 2` | `SELECT a, rank() OVER (ORDER BY sum(c)) AS "rank" …` |

use std::collections::BTreeSet;
use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, Value, VisitorMut,
};
use sluice_syntax::{Part, is_aggregate};

use crate::column_names::column_name;

/// Writes such queries otherwise, those of subqueries included. Whether there were any.
pub(crate) fn put_columns_for_numbers(sql: &mut impl Part) -> bool {
    let mut rewriter = Rewriter { is_changed: false };
    let _ = sql.rewrite(&mut rewriter);
    rewriter.is_changed
}

/// The column that a key of GROUP BY means by its number or by the name that it has in
/// the answer.
pub(crate) fn key_at<'a>(columns: &'a [SelectItem], key: &Expr) -> Option<&'a Expr> {
    if let Some(number) = number(key) {
        return column_at(columns, number);
    }
    let Expr::Identifier(name) = key else {
        return None;
    };
    columns.iter().find_map(|column| match column {
        SelectItem::ExprWithAlias { expr, alias } if alias.value == name.value => Some(expr),
        _ => None,
    })
}

/// The column of a number, from 1, unless a `*` before it stands for nobody knows how
/// many.
fn column_at(columns: &[SelectItem], number: usize) -> Option<&Expr> {
    let place = number.checked_sub(1)?;
    let before = columns.get(..=place)?;
    let is_plain = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
        )
    };
    if !before.iter().all(is_plain) {
        return None;
    }
    match before.last()? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

struct Rewriter {
    is_changed: bool,
}

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.is_changed |= grouped_by_columns(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.is_changed |= ordered_by_names(query);
        ControlFlow::Continue(())
    }
}

/// Puts columns in the place of their numbers in sets of GROUP BY, where DataFusion takes
/// them for constants.
fn grouped_by_columns(select: &mut Select) -> bool {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else {
        return false;
    };
    let mut is_changed = false;
    for key in keys {
        let (Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets)) = key else {
            continue;
        };
        for key in sets.iter_mut().flatten() {
            let column = number(key).and_then(|number| column_at(&select.projection, number));
            if let Some(column) = column {
                *key = column.clone();
                is_changed = true;
            }
        }
    }
    is_changed
}

/// Names columns over windows by whose numbers the answer is ordered: of groups DataFusion
/// does not find them without a name.
fn ordered_by_names(query: &mut Query) -> bool {
    let Some(order_by) = &query.order_by else {
        return false;
    };
    let OrderByKind::Expressions(order) = &order_by.kind else {
        return false;
    };
    let SetExpr::Select(select) = &mut *query.body else {
        return false;
    };
    let mut taken: BTreeSet<String> = order
        .iter()
        .filter_map(|by| column_name(&by.expr))
        .collect();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => taken.extend(column_name(expr)),
            SelectItem::ExprWithAlias { alias, .. } => {
                taken.insert(alias.value.clone());
            }
            _ => return false,
        }
    }
    let has_groups = has_groups(select);
    let mut is_changed = false;
    for number in order.iter().filter_map(|by| number(&by.expr)) {
        let place = number.checked_sub(1);
        let Some(item) = place.and_then(|place| select.projection.get_mut(place)) else {
            continue;
        };
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        if !has_groups && !expr.has_expression(&mut is_aggregate) {
            continue;
        }
        let Some(wanted) = window_name(expr) else {
            continue;
        };
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        let Some(name) = names.find(|name| !taken.contains(name)) else {
            continue;
        };
        taken.insert(name.clone());
        let expr = replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', name),
        };
        is_changed = true;
    }
    is_changed
}

fn has_groups(select: &Select) -> bool {
    let has_keys = match &select.group_by {
        GroupByExpr::Expressions(keys, _) => !keys.is_empty(),
        GroupByExpr::All(_) => true,
    };
    has_keys || select.having.is_some()
}

/// The name of the first window function in an expression.
fn window_name(expr: &Expr) -> Option<String> {
    let mut name = None;
    expr.has_expression(&mut |part| match part {
        Expr::Function(call) if call.over.is_some() => {
            name = Some(call.name.to_string().to_lowercase());
            true
        }
        _ => false,
    });
    name
}

#[cfg(test)]
mod tests {
    use crate::mended_sql::mended_text;

    #[test]
    fn numbers_are_columns_in_sets_and_over_windows() {
        for (sql, expected) in [
            (
                "SELECT a, t.b AS x, sum(c) FROM t GROUP BY ROLLUP (1, 2) ORDER BY 1, 2",
                "SELECT a, t.b AS x, sum(c) FROM t GROUP BY ROLLUP (a, t.b) ORDER BY 1, 2",
            ),
            (
                "SELECT a, b FROM t GROUP BY 1, CUBE (2)",
                "SELECT a, b FROM t GROUP BY 1, CUBE (b)",
            ),
            (
                "SELECT a, b FROM t GROUP BY GROUPING SETS ((1), (2), (1, 2), ())",
                "SELECT a, b FROM t GROUP BY GROUPING SETS ((a), (b), (a, b), ())",
            ),
            (
                "SELECT a, rank() OVER (ORDER BY sum(c)) FROM t GROUP BY a ORDER BY 2, a",
                "SELECT a, rank() OVER (ORDER BY sum(c)) AS \"rank\" FROM t GROUP BY a ORDER BY 2, a",
            ),
            (
                "SELECT sum, 1 + sum(sum(c)) OVER () FROM t GROUP BY sum ORDER BY 2",
                "SELECT sum, 1 + sum(sum(c)) OVER () AS \"sum_2\" FROM t GROUP BY sum ORDER BY 2",
            ),
        ] {
            let mended = mended_text(sql).unwrap();
            assert_eq!(mended.as_deref(), Some(expected), "{sql}");
        }
        for sql in [
            "SELECT a, sum(c) FROM t GROUP BY ROLLUP (a) ORDER BY 2",
            "SELECT *, 1 FROM t GROUP BY ROLLUP (2)",
            "SELECT a, rank() OVER (ORDER BY sum(c)) AS r FROM t GROUP BY a ORDER BY 2",
            "SELECT a, rank() OVER (ORDER BY c) FROM t ORDER BY 2",
            "SELECT a FROM t GROUP BY CUBE (3)",
        ] {
            assert_eq!(mended_text(sql), Ok(None), "{sql}");
        }
    }
}
