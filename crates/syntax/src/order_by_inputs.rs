//! Names in ORDER BY that a query reads and answers.
//!
//! Alone, such a name is the answer's column; inside an expression it is that of the
//! tables to PostgreSQL, and the answer's to the planner. What is written here says
//! the same to both:
//!
//! | query | becomes |
//! |---|---|
//! | `SELECT abs(x) AS x FROM t ORDER BY abs(x)` | `SELECT abs(x) AS x FROM t ORDER BY x` |
//! | `SELECT abs(x) AS x FROM t ORDER BY x + 1` | `SELECT "x" FROM (SELECT abs(x) AS x, x + 1 AS "__order_1" FROM t) AS "__ordered" ORDER BY "__order_1"` |
//!
//! That the tables have the column is known where the answer's is made of it, and of what
//! is aggregated. Others are left to a rule that knows the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{replace, swap};
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;

use crate::{Part, QUERIES};

/// Our own aggregates.
const OWN_AGGREGATES: [&str; 2] = ["uniq_merge", "uniq_state"];

/// The names of all aggregates.
static AGGREGATES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut names: BTreeSet<String> = OWN_AGGREGATES.map(str::to_owned).into();
    for aggregate in all_default_aggregate_functions() {
        names.insert(aggregate.name().to_owned());
        names.extend(aggregate.aliases().iter().cloned());
    }
    names
});

/// Writes such orders otherwise, those of subqueries included. Whether there were any.
pub fn order_by_inputs(sql: &mut impl Part) -> bool {
    let mut rewriter = Rewriter { is_changed: false };
    let _ = sql.rewrite(&mut rewriter);
    rewriter.is_changed
}

struct Rewriter {
    is_changed: bool,
}

impl VisitorMut for Rewriter {
    type Break = ();

    // After the queries inside, so that what one becomes is not visited again.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.is_changed |= rewritten(query);
        ControlFlow::Continue(())
    }
}

/// A column of the answer that has another value than one of its name in the tables.
struct Answered {
    alias: Ident,
    value: Expr,
    /// Whether the tables have a column of its name, of which it is made.
    hides: bool,
}

impl Answered {
    fn of(item: &SelectItem) -> Option<Self> {
        let SelectItem::ExprWithAlias { expr, alias } = item else {
            return None;
        };
        let name = plain(alias);
        if column_name(expr).is_some_and(|column| column == name) {
            return None;
        }
        let hides = expr.has_expression(&mut |part| column_name(part).as_ref() == Some(&name));
        Some(Self {
            alias: alias.clone(),
            value: expr.clone(),
            hides,
        })
    }
}

/// The answer's columns by what they are found by, so that many columns and many orders
/// are not compared with each other.
struct Answers<'a> {
    /// Whether one of the name hides the tables' column.
    by_name: BTreeMap<String, bool>,
    /// The first of each value, without brackets around it.
    by_value: BTreeMap<&'a Expr, &'a Answered>,
}

impl<'a> Answers<'a> {
    fn of(columns: &'a [Answered]) -> Self {
        let mut by_name: BTreeMap<String, bool> = BTreeMap::new();
        let mut by_value = BTreeMap::new();
        for column in columns {
            *by_name.entry(plain(&column.alias)).or_default() |= column.hides;
            let value = without_brackets(&column.value);
            by_value.entry(value).or_insert(column);
        }
        Self { by_name, by_value }
    }

    /// Their names that stand in an expression.
    fn named_in(&self, expression: &Expr) -> BTreeSet<String> {
        let mut names = names_in(expression);
        names.retain(|name| self.by_name.contains_key(name));
        names
    }

    /// Whether the tables' column of the name can be meant: of groups, only their keys.
    fn hides(&self, name: &str, keys: Option<&BTreeSet<String>>) -> bool {
        let hides = self.by_name.get(name).is_some_and(|hides| *hides);
        hides && keys.is_none_or(|keys| keys.contains(name))
    }

    /// Whether an aggregate is of one of their names, which is that of the tables' column
    /// then.
    fn are_aggregated_in(&self, expression: &Expr) -> bool {
        expression.has_expression(&mut |part| is_aggregate(part) && !self.named_in(part).is_empty())
    }
}

fn names_in(expression: &Expr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    expression.each_expression(&mut |part| names.extend(column_name(part)));
    names
}

/// Whether it is a call of an aggregate, and of no window function.
pub fn is_aggregate(expression: &Expr) -> bool {
    match expression {
        Expr::Function(call) if call.over.is_none() => {
            AGGREGATES.contains(&call.name.to_string().to_lowercase())
        }
        _ => false,
    }
}

fn rewritten(query: &mut Query) -> bool {
    let Some(order_by) = &mut query.order_by else {
        return false;
    };
    let OrderByKind::Expressions(order) = &mut order_by.kind else {
        return false;
    };
    let SetExpr::Select(select) = &mut *query.body else {
        return false;
    };
    let is_distinct_on = matches!(select.distinct, Some(Distinct::On(_)));
    if is_distinct_on || order.iter().all(|by| stands_alone(&by.expr)) {
        return false;
    }
    let answered: Vec<Answered> = select.projection.iter().filter_map(Answered::of).collect();
    let answers = Answers::of(&answered);
    let keys = keys_of(select);
    let mut is_changed = false;
    let mut is_hidden = false;
    for by in order {
        if stands_alone(&by.expr) {
            continue;
        }
        let named = answers.named_in(&by.expr);
        if named.is_empty() {
            continue;
        }
        if let Some(same) = answers.by_value.get(without_brackets(&by.expr)) {
            by.expr = Expr::Identifier(same.alias.clone());
            is_changed = true;
        } else {
            let mut named = named.iter();
            is_hidden |= named.any(|name| answers.hides(name, keys.as_ref()))
                || answers.are_aggregated_in(&by.expr);
        }
    }
    if is_hidden && matches!(select.distinct, None | Some(Distinct::All)) {
        is_changed |= order_inside(query).is_some() || order_by_aggregates(query, &answered);
    }
    is_changed
}

/// Names the answer's column where an order is made of an aggregate that it has. Where it
/// is made of others of its name too, the answer's columns get the names that are missing.
fn order_by_aggregates(query: &mut Query, answered: &[Answered]) -> bool {
    let Some(order_by) = &mut query.order_by else {
        return false;
    };
    let OrderByKind::Expressions(order) = &mut order_by.kind else {
        return false;
    };
    let mut aggregated = BTreeMap::new();
    for column in answered {
        if column.value.has_expression(&mut is_aggregate) {
            aggregated.entry(&column.value).or_insert(&column.alias);
        }
    }
    let mut names = AnsweredNames {
        aggregated,
        is_changed: false,
    };
    let mut named = order.clone();
    for by in &mut named {
        let _ = by.expr.rewrite(&mut names);
    }
    let is_changed = names.is_changed;
    let answers = Answers::of(answered);
    let mut others = named.iter();
    let has_others = others.any(|by| answers.are_aggregated_in(&by.expr));
    if !has_others {
        *order = named;
        return is_changed;
    }
    name_columns(&mut query.body);
    let _ = order_inside(query);
    true
}

/// Names columns of an answer without a name by what they are.
fn name_columns(body: &mut SetExpr) {
    let SetExpr::Select(select) = body else {
        return;
    };
    for item in &mut select.projection {
        if answered_name(item).is_some() {
            continue;
        }
        if let SelectItem::UnnamedExpr(expr) = item {
            let alias = quoted(expr.to_string());
            let expr = expr.clone();
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

/// Puts the answer's columns in the place of what they are.
struct AnsweredNames<'a> {
    /// What they are called, by what they are.
    aggregated: BTreeMap<&'a Expr, &'a Ident>,
    is_changed: bool,
}

impl VisitorMut for AnsweredNames<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Some(alias) = self.aggregated.get(&*expression) {
            *expression = Expr::Identifier((*alias).clone());
            self.is_changed = true;
        }
        ControlFlow::Continue(())
    }
}

/// The names of the keys that a query groups by; `None` where it does not.
fn keys_of(select: &Select) -> Option<BTreeSet<String>> {
    match &select.group_by {
        GroupByExpr::Expressions(keys, _) if !keys.is_empty() => {
            Some(keys.iter().filter_map(column_name).collect())
        }
        _ => None,
    }
}

/// Computes what the order is by where the answer's names are not known. `None` where
/// the answer's columns have no names, or one name twice.
fn order_inside(query: &mut Query) -> Option<()> {
    let OrderByKind::Expressions(order) = &mut query.order_by.as_mut()?.kind else {
        return None;
    };
    let SetExpr::Select(select) = &mut *query.body else {
        return None;
    };
    let names = select.projection.iter().map(answered_name);
    let names = names.collect::<Option<Vec<String>>>()?;
    let answered: BTreeSet<&String> = names.iter().collect();
    if answered.len() < names.len() {
        return None;
    }
    let columns = names.iter().map(|name| quoted(name.clone()).to_string());
    let columns = columns.collect::<Vec<_>>().join(", ");
    let frame = format!("SELECT {columns} FROM (SELECT 1) AS \"__ordered\"");
    let mut frame = Parser::new(&QUERIES)
        .try_with_sql(&frame)
        .and_then(|mut parser| parser.parse_query())
        .ok()?;
    let SetExpr::Select(outer) = &mut *frame.body else {
        return None;
    };
    let TableFactor::Derived { subquery, .. } = &mut outer.from.first_mut()?.relation else {
        return None;
    };
    let mut number = 0;
    for by in order {
        let is_answered = match without_brackets(&by.expr) {
            Expr::Value(_) => true,
            Expr::Identifier(ident) => answered.contains(&plain(ident)),
            _ => false,
        };
        if is_answered {
            continue;
        }
        number += 1;
        let alias = quoted(format!("__order_{number}"));
        let expr = replace(&mut by.expr, Expr::Identifier(alias.clone()));
        select
            .projection
            .push(SelectItem::ExprWithAlias { expr, alias });
    }
    swap(&mut subquery.body, &mut query.body);
    query.body = frame.body;
    Some(())
}

/// The name that a column of the answer surely has.
fn answered_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(plain(alias)),
        SelectItem::UnnamedExpr(expr) if is_count_of_rows(expr) => Some("count(*)".to_owned()),
        SelectItem::UnnamedExpr(expr) => column_name(expr),
        _ => None,
    }
}

/// Whether it is a plain `count(*)`, whose column the planner calls so.
fn is_count_of_rows(expression: &Expr) -> bool {
    match expression {
        Expr::Function(call) => call.to_string().eq_ignore_ascii_case("count(*)"),
        _ => false,
    }
}

/// Whether a part of an order is a column of the answer where that has its name.
fn stands_alone(expression: &Expr) -> bool {
    matches!(
        without_brackets(expression),
        Expr::Identifier(_) | Expr::Value(_)
    )
}

fn without_brackets(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => without_brackets(inner),
        other => other,
    }
}

/// The name of a plain column.
fn column_name(expression: &Expr) -> Option<String> {
    match without_brackets(expression) {
        Expr::Identifier(ident) => Some(plain(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(plain),
        _ => None,
    }
}

/// The name as SQL compares it.
pub(crate) fn plain(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn quoted(name: String) -> Ident {
    Ident::with_quote('"', name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_expressions_are_columns_of_tables() {
        for (sql, expected) in [
            (
                "SELECT abs(x) AS x, t.k FROM t ORDER BY -(x) DESC, k LIMIT 1",
                Some(
                    "SELECT \"x\", \"k\" FROM (SELECT abs(x) AS x, t.k, -(x) AS \"__order_1\" FROM t) AS \"__ordered\" ORDER BY \"__order_1\" DESC, k LIMIT 1",
                ),
            ),
            (
                "SELECT a FROM (SELECT lower(t.s) AS s, a FROM t ORDER BY (s || a), length(s)) AS u",
                Some(
                    "SELECT a FROM (SELECT \"s\", \"a\" FROM (SELECT lower(t.s) AS s, a, (s || a) AS \"__order_1\", length(s) AS \"__order_2\" FROM t) AS \"__ordered\" ORDER BY \"__order_1\", \"__order_2\") AS u",
                ),
            ),
            (
                "SELECT abs(x) AS x FROM t ORDER BY x + 1, t.k, y, 1, (x)",
                Some(
                    "SELECT \"x\" FROM (SELECT abs(x) AS x, x + 1 AS \"__order_1\", t.k AS \"__order_2\", y AS \"__order_3\" FROM t) AS \"__ordered\" ORDER BY \"__order_1\", \"__order_2\", \"__order_3\", 1, (x)",
                ),
            ),
            (
                "SELECT abs(x) AS x FROM t ORDER BY t.x",
                Some(
                    "SELECT \"x\" FROM (SELECT abs(x) AS x, t.x AS \"__order_1\" FROM t) AS \"__ordered\" ORDER BY \"__order_1\"",
                ),
            ),
            (
                "SELECT DISTINCT abs(x) AS x FROM t ORDER BY (abs(x)) DESC",
                Some("SELECT DISTINCT abs(x) AS x FROM t ORDER BY x DESC"),
            ),
            (
                "SELECT sum(x) AS x, count(*) FROM t GROUP BY k ORDER BY sum(x)",
                Some("SELECT sum(x) AS x, count(*) FROM t GROUP BY k ORDER BY x"),
            ),
            (
                "SELECT k, sum(x) AS x FROM t GROUP BY k ORDER BY -sum(x), k",
                Some(
                    "SELECT \"k\", \"x\" FROM (SELECT k, sum(x) AS x, -sum(x) AS \"__order_1\" FROM t GROUP BY k) AS \"__ordered\" ORDER BY \"__order_1\", k",
                ),
            ),
            (
                "SELECT k, sum(x) AS x FROM t GROUP BY k ORDER BY MIN(x)",
                Some(
                    "SELECT \"k\", \"x\" FROM (SELECT k, sum(x) AS x, MIN(x) AS \"__order_1\" FROM t GROUP BY k) AS \"__ordered\" ORDER BY \"__order_1\"",
                ),
            ),
            (
                "SELECT sum(x) AS x, COUNT(*) FROM t GROUP BY k ORDER BY max(x)",
                Some(
                    "SELECT \"x\", \"count(*)\" FROM (SELECT sum(x) AS x, COUNT(*), max(x) AS \"__order_1\" FROM t GROUP BY k) AS \"__ordered\" ORDER BY \"__order_1\"",
                ),
            ),
            // The answer has a column of an unknown name.
            (
                "SELECT sum(x) AS x, count(y) FROM t GROUP BY k ORDER BY sum(x) * -1",
                Some("SELECT sum(x) AS x, count(y) FROM t GROUP BY k ORDER BY x * -1"),
            ),
            (
                "SELECT sum(x) AS x, count(y) FROM t GROUP BY k ORDER BY sum(x) - max(x)",
                Some(
                    "SELECT \"x\", \"count(y)\" FROM (SELECT sum(x) AS x, count(y) AS \"count(y)\", sum(x) - max(x) AS \"__order_1\" FROM t GROUP BY k) AS \"__ordered\" ORDER BY \"__order_1\"",
                ),
            ),
            (
                "SELECT lower(s) AS s, count(*) AS n FROM t GROUP BY s ORDER BY s || 'x'",
                Some(
                    "SELECT \"s\", \"n\" FROM (SELECT lower(s) AS s, count(*) AS n, s || 'x' AS \"__order_1\" FROM t GROUP BY s) AS \"__ordered\" ORDER BY \"__order_1\"",
                ),
            ),
        ] {
            let mut statement = Parser::parse_sql(&QUERIES, sql).unwrap().remove(0);
            assert_eq!(order_by_inputs(&mut statement), expected.is_some());
            assert_eq!(statement.to_string(), expected.unwrap_or(sql));
        }
    }

    #[test]
    fn other_orders_stay_as_they_are() {
        for sql in [
            "SELECT abs(x) AS x FROM t ORDER BY x DESC",
            "SELECT abs(x) AS x, t.y AS y FROM t ORDER BY (x), 1, t.y",
            "SELECT abs(x) AS y FROM t ORDER BY x + 1",
            // The tables may have no such column.
            "SELECT abs(x) AS y FROM t ORDER BY y + 1",
            "SELECT x AS x FROM t ORDER BY x + 1",
            // The answer has columns of unknown names.
            "SELECT abs(x) AS x, count(*) OVER () FROM t ORDER BY x + 1",
            "SELECT coalesce(sum(x), 0) AS x FROM t GROUP BY k ORDER BY x * 2",
            "SELECT k, max(x) AS x FROM t GROUP BY k ORDER BY abs(x)",
            "SELECT k, sum(x) AS y FROM t GROUP BY k ORDER BY -sum(x)",
            "SELECT DISTINCT ON (x + 1) abs(x) AS x FROM t ORDER BY x + 1",
            "SELECT DISTINCT abs(x) AS x FROM t ORDER BY x + 1",
        ] {
            let mut statement = Parser::parse_sql(&QUERIES, sql).unwrap().remove(0);
            assert!(!order_by_inputs(&mut statement), "{statement}");
            assert_eq!(statement.to_string(), sql);
        }
    }

    #[test]
    fn many_columns_and_many_orders_are_not_compared_with_each_other() {
        const COLUMNS: usize = 3_000;
        let columns = (0..COLUMNS).map(|number| format!("abs(t.a{number}) AS a{number}"));
        let orders = (0..COLUMNS).map(|number| format!("abs(t.a{number})"));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let orders = orders.collect::<Vec<_>>().join(", ");
        let names = (0..COLUMNS).map(|number| format!("a{number}"));
        let names = names.collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {columns} FROM t ORDER BY {orders}");
        let mut statement = Parser::parse_sql(&QUERIES, &sql).unwrap().remove(0);
        assert!(order_by_inputs(&mut statement));
        let expected = format!("SELECT {columns} FROM t ORDER BY {names}");
        assert_eq!(statement.to_string(), expected);
    }
}
