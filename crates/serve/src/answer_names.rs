//! Names of an answer's columns, where a query gives them none: PostgreSQL's.
//!
//! | column | is called |
//! |---|---|
//! | `max(day)`, `rank() OVER (…)`, `count(*)::int` | `max`, `rank`, `count` |
//! | `CASE … END`, `EXISTS (…)`, `ARRAY[…]` | `case`, `exists`, `array` |
//! | `DATE '2026-01-01'`, `'1'::int` | `date`, `int4` |
//! | `day::text`, `day AT TIME ZONE 'UTC'` | `day`, `timezone` |
//! | `a + b`, `1` | `?column?` |
//!
//! To DataFusion each one is called as its whole expression with the tables of its
//! columns. Two columns have one name in PostgreSQL; here the second one is `max_2`, for
//! programs that find columns by their names, and because the planner wants it so. A
//! name that the query uses itself is not given: it would mean the answer's column.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Distinct, Expr, GroupByExpr, Ident, OrderBy, OrderByKind, Query, Select, SelectItem,
    SetExpr, Statement, TableFactor, TimezoneInfo, TrimWhereField, Value, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use sluice_core::too_many_operators;
use sluice_syntax::{Part, QUERIES, text_of};

use crate::column_names::{Cast, column_name, free_name, plain, queries_of};

/// What PostgreSQL calls a column of which it knows no name.
const UNKNOWN: &str = "?column?";

/// Gives the columns of a statement's answer, or of the query that it copies or opens,
/// their names, and those of subqueries that are read as tables. Whether any had none.
pub(crate) fn name_answers(statement: &mut Statement) -> bool {
    // DataFusion's own names of columns may be written down.
    let mut is_written = false;
    for query in queries_of(statement) {
        is_written |= used_names(query).iter().any(|name| name.contains('('));
    }
    if is_written {
        return false;
    }
    let mut namer = Namer { is_changed: false };
    for query in queries_of(statement) {
        namer.is_changed |= name_answer(query);
        let _ = query.rewrite(&mut namer);
    }
    namer.is_changed
}

/// Names the columns of queries that others read as tables.
struct Namer {
    is_changed: bool,
}

impl VisitorMut for Namer {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let tables = query.with.iter_mut().flat_map(|with| &mut with.cte_tables);
        for table in tables.filter(|table| table.alias.columns.is_empty()) {
            self.is_changed |= name_answer(&mut table.query);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived {
            subquery, alias, ..
        } = factor
            && alias.as_ref().is_none_or(|alias| alias.columns.is_empty())
        {
            self.is_changed |= name_answer(subquery);
        }
        ControlFlow::Continue(())
    }
}

/// The same of a text; `None` where all have names.
pub(crate) fn with_answer_names(sql: &str) -> Option<String> {
    if too_many_operators(sql).is_some() {
        return None;
    }
    // What is wrong with it the library says.
    let mut statements = Parser::parse_sql(&QUERIES, sql).ok()?;
    let mut is_changed = false;
    for statement in &mut statements {
        is_changed |= name_answers(statement);
    }
    let texts: Vec<String> = statements.iter().map(text_of).collect();
    is_changed.then(|| texts.join("; "))
}

fn name_answer(query: &mut Query) -> bool {
    let used = used_names(&without_own_names(query));
    let order = ordered_by(query);
    let is_of_one_select = matches!(*query.body, SetExpr::Select(_));
    let Some(select) = first_select(&mut query.body) else {
        return false;
    };
    let mut naming = Naming::of(select, used, &order);
    let named = naming.name_columns(select);
    if is_of_one_select && let Some(order) = &mut query.order_by {
        order_by_numbers(order, &named);
    }
    !named.is_empty()
}

fn ordered_by(query: &Query) -> Vec<Expr> {
    match query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(order)) => order.iter().map(|by| by.expr.clone()).collect(),
        _ => Vec::new(),
    }
}

/// A query without the keys that may be names of the answer's columns: ORDER BY means
/// these first, GROUP BY where no table has such a column, here as in PostgreSQL.
fn without_own_names(query: &Query) -> Query {
    let is_name = |expr: &Expr| matches!(expr, Expr::Identifier(_));
    let mut query = query.clone();
    if let Some(order) = &mut query.order_by
        && let OrderByKind::Expressions(order) = &mut order.kind
    {
        order.retain(|by| !is_name(&by.expr));
    }
    if let SetExpr::Select(select) = &mut *query.body
        && let GroupByExpr::Expressions(keys, _) = &mut select.group_by
    {
        keys.retain(|key| !is_name(key));
    }
    query
}

/// All that is written as the name of a column or table.
fn used_names(part: &impl Part) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    part.each_expression(&mut |expr| match expr {
        Expr::Identifier(ident) => {
            used.insert(plain(ident));
        }
        Expr::CompoundIdentifier(parts) => used.extend(parts.iter().map(plain)),
        _ => {}
    });
    used
}

/// The one after whose columns those of a UNION are called.
fn first_select(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

/// Which names columns of an answer may get.
struct Naming {
    /// What the query uses itself, and columns of the answer have.
    taken: BTreeSet<String>,
    /// Names of casts that would be taken for the answer's columns.
    not_for_casts: BTreeSet<String>,
    /// Whether casts may be called after what they cast: HAVING and the like would take
    /// the one for the other.
    names_casts: bool,
    has_wildcard: bool,
    numbers: BTreeMap<String, usize>,
}

impl Naming {
    fn of(select: &Select, used: BTreeSet<String>, order: &[Expr]) -> Self {
        let mut not_for_casts = BTreeSet::new();
        // It may stand for any column, of any table.
        let mut has_wildcard = false;
        let mut unnamed = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    unnamed.push(expr);
                    not_for_casts.extend(column_name(expr));
                }
                SelectItem::ExprWithAlias { alias, .. } => {
                    not_for_casts.insert(plain(alias));
                }
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => has_wildcard = true,
                SelectItem::ExprWithAliases { .. } => {}
            }
        }
        let mut taken = used;
        taken.extend(not_for_casts.iter().cloned());
        let others = order.iter().filter(|by| !unnamed.contains(by));
        not_for_casts.extend(others.flat_map(used_names));
        let chooses = select.having.is_some()
            || select.qualify.is_some()
            || matches!(select.distinct, Some(Distinct::On(_)));
        Self {
            taken,
            not_for_casts,
            names_casts: !chooses && !has_wildcard,
            has_wildcard,
            numbers: BTreeMap::new(),
        }
    }

    /// Names what has no name. The expressions that got one, by their numbers.
    fn name_columns(&mut self, select: &mut Select) -> Vec<(usize, Expr)> {
        let mut named = Vec::new();
        for (place, item) in select.projection.iter_mut().enumerate() {
            let SelectItem::UnnamedExpr(expr) = item else {
                continue;
            };
            let Some(name) = self.name(expr) else {
                continue;
            };
            self.taken.insert(name.clone());
            self.not_for_casts.insert(name.clone());
            named.push((place + 1, expr.clone()));
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::with_quote('"', name),
            };
        }
        named
    }

    fn name(&mut self, expr: &Expr) -> Option<String> {
        if column_name(expr).is_some() {
            return None;
        }
        if let Some(cast) = Cast::of(expr) {
            let name = cast.name();
            let is_free = self.names_casts && !self.not_for_casts.contains(&name);
            return is_free.then_some(name);
        }
        let wanted = name_of(expr)?;
        let (wanted, number) = match self.has_wildcard {
            true => (format!("{wanted}_2"), 2),
            false => (wanted, 1),
        };
        Some(free_name(wanted, number, &self.taken, &mut self.numbers))
    }
}

/// An order by what has a name now is by its number: behind DISTINCT the planner does not
/// find the expression any more.
fn order_by_numbers(order: &mut OrderBy, named: &[(usize, Expr)]) {
    let OrderByKind::Expressions(order) = &mut order.kind else {
        return;
    };
    for by in order {
        if let Some((number, _)) = named.iter().find(|(_, expr)| *expr == by.expr) {
            by.expr = Expr::value(Value::Number(number.to_string(), false));
        }
    }
}

/// As PostgreSQL calls the column of an expression
/// (<https://www.postgresql.org/docs/16/queries-select-lists.html>); `None` for forms that
/// it has not.
fn name_of(expr: &Expr) -> Option<String> {
    if let Some(name) = column_name(expr) {
        return Some(name);
    }
    let name = match expr {
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => return name_of(inner),
        Expr::Function(call) => return call.name.0.last()?.as_ident().map(plain),
        Expr::Cast {
            expr, data_type, ..
        } => {
            return match name_of(expr) {
                Some(name) if name != UNKNOWN => Some(name),
                _ => type_name(data_type),
            };
        }
        Expr::TypedString(typed) => return type_name(&typed.data_type),
        Expr::Subquery(query) => return name_of_row(query),
        Expr::AtTimeZone { .. } => "timezone",
        Expr::Case { .. } => "case",
        Expr::Exists { .. } => "exists",
        Expr::Array(_) => "array",
        Expr::Interval(_) => "interval",
        Expr::Extract { .. } => "extract",
        Expr::Ceil { .. } => "ceil",
        Expr::Floor { .. } => "floor",
        Expr::Position { .. } => "position",
        Expr::Substring { .. } => "substring",
        Expr::Overlay { .. } => "overlay",
        Expr::Trim { trim_where, .. } => match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        },
        Expr::Value(value) => match value.value {
            Value::Boolean(_) => "bool",
            // The value of a parameter is not known yet; its name would be the same.
            _ => UNKNOWN,
        },
        Expr::BinaryOp { .. }
        | Expr::UnaryOp { .. }
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::SimilarTo { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..) => UNKNOWN,
        _ => return None,
    };
    Some(name.to_owned())
}

/// What the only column of a subquery is called.
fn name_of_row(query: &Query) -> Option<String> {
    let SetExpr::Select(select) = &*query.body else {
        return Some(UNKNOWN.to_owned());
    };
    match select.projection.first()? {
        SelectItem::UnnamedExpr(expr) => name_of(expr),
        SelectItem::ExprWithAlias { alias, .. } => Some(plain(alias)),
        _ => None,
    }
}

/// What PostgreSQL calls a type, and so what is cast to it.
fn type_name(data_type: &DataType) -> Option<String> {
    let name = match data_type {
        DataType::SmallInt(_) | DataType::Int2(_) => "int2",
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4",
        DataType::BigInt(_) | DataType::Int8(_) => "int8",
        DataType::Real | DataType::Float4 => "float4",
        DataType::Double(_) | DataType::DoublePrecision | DataType::Float8 => "float8",
        DataType::Numeric(_) | DataType::Decimal(_) => "numeric",
        DataType::Bool | DataType::Boolean => "bool",
        DataType::Text => "text",
        DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar",
        DataType::Date => "date",
        DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => "timestamptz",
        DataType::Timestamp(..) => "timestamp",
        DataType::Time(..) => "time",
        DataType::Interval { .. } => "interval",
        DataType::Bytea => "bytea",
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::with_answer_names;

    fn check(cases: &[(&str, Option<&str>)]) {
        for (sql, expected) in cases {
            let named = with_answer_names(sql);
            assert_eq!(named.as_deref(), *expected, "{sql}");
        }
    }

    #[test]
    fn columns_are_called_as_in_postgresql() {
        check(&[
            (
                "SELECT max(day), min(t.day), count(*)::INT, -1 FROM t",
                Some(
                    "SELECT max(day) AS \"max\", min(t.day) AS \"min\", count(*)::INT AS \"count\", -1 AS \"?column?\" FROM t",
                ),
            ),
            (
                "SELECT CASE WHEN a THEN 1 END, EXISTS (SELECT 1 FROM u), (SELECT max(b) FROM u), DATE '2026-01-01', '1'::BIGINT FROM t",
                Some(
                    "SELECT CASE WHEN a THEN 1 END AS \"case\", EXISTS (SELECT 1 FROM u) AS \"exists\", (SELECT max(b) FROM u) AS \"max\", DATE '2026-01-01' AS \"date\", '1'::BIGINT AS \"int8\" FROM t",
                ),
            ),
            (
                "SELECT a, sum(a) AS s, rank() OVER (ORDER BY b) FROM t",
                Some("SELECT a, sum(a) AS s, rank() OVER (ORDER BY b) AS \"rank\" FROM t"),
            ),
            (
                "SELECT max(a) FROM t UNION ALL SELECT max(b) FROM u ORDER BY 1",
                Some("SELECT max(a) AS \"max\" FROM t UNION ALL SELECT max(b) FROM u ORDER BY 1"),
            ),
            (
                "SELECT a, t.b, c::TEXT, a AT TIME ZONE 'UTC', * FROM t",
                None,
            ),
            ("SELECT sum(a) AS s FROM t", None),
            ("SHOW search_path", None),
            ("SELECT sum(", None),
        ]);
    }

    #[test]
    fn each_name_is_there_once_and_means_what_it_meant() {
        check(&[
            (
                "SELECT sum(a), sum(b), sum(c) FROM t",
                Some("SELECT sum(a) AS \"sum\", sum(b) AS \"sum_2\", sum(c) AS \"sum_3\" FROM t"),
            ),
            (
                "SELECT count(*), max(b), max FROM t WHERE count > 3 GROUP BY max",
                Some(
                    "SELECT count(*) AS \"count_2\", max(b) AS \"max_2\", max FROM t WHERE count > 3 GROUP BY max",
                ),
            ),
            (
                "SELECT *, row_number() OVER (ORDER BY a) FROM t",
                Some("SELECT *, row_number() OVER (ORDER BY a) AS \"row_number_2\" FROM t"),
            ),
            ("SELECT count(*) FROM t ORDER BY \"count(*)\"", None),
        ]);
    }

    #[test]
    fn casts_are_called_after_their_column_where_nothing_else_is_meant_by_it() {
        check(&[
            (
                "SELECT t::DATE, count(*) AS n FROM v GROUP BY t::DATE ORDER BY t::DATE",
                Some("SELECT t::DATE AS \"t\", count(*) AS n FROM v GROUP BY t::DATE ORDER BY 1"),
            ),
            ("SELECT t::DATE FROM v ORDER BY t + 1", None),
            ("SELECT t::DATE, n AS t FROM v", None),
            (
                "SELECT t::DATE, max(t) AS m FROM v GROUP BY 1 HAVING max(t) > 3",
                None,
            ),
            ("SELECT DISTINCT ON (t) t::DATE FROM v", None),
        ]);
    }

    #[test]
    fn names_may_be_used_as_they_are_given() {
        check(&[
            (
                "SELECT a, count(*) FROM t GROUP BY a ORDER BY count DESC",
                Some("SELECT a, count(*) AS \"count\" FROM t GROUP BY a ORDER BY count DESC"),
            ),
            (
                "SELECT lower(a), count(*) FROM t GROUP BY lower",
                Some("SELECT lower(a) AS \"lower\", count(*) AS \"count\" FROM t GROUP BY lower"),
            ),
            (
                "SELECT s.max FROM (SELECT max(a) FROM t) AS s",
                Some("SELECT s.max FROM (SELECT max(a) AS \"max\" FROM t) AS s"),
            ),
            (
                "WITH m AS (SELECT max(a) FROM t), n (b) AS (SELECT min(a) FROM t) SELECT * FROM m, n",
                Some(
                    "WITH m AS (SELECT max(a) AS \"max\" FROM t), n (b) AS (SELECT min(a) FROM t) SELECT * FROM m, n",
                ),
            ),
            ("SELECT \"max(t.a)\" FROM (SELECT max(a) FROM t) AS s", None),
            ("SELECT a FROM t WHERE a IN (SELECT max(a) FROM t)", None),
        ]);
    }

    #[test]
    fn an_order_by_what_got_a_name_is_by_its_number() {
        check(&[
            (
                "SELECT DISTINCT a, b % 3 FROM t ORDER BY b % 3 DESC, a",
                Some("SELECT DISTINCT a, b % 3 AS \"?column?\" FROM t ORDER BY 2 DESC, a"),
            ),
            (
                "SELECT count(*) FROM t ORDER BY count(*) + 1",
                Some("SELECT count(*) AS \"count\" FROM t ORDER BY count(*) + 1"),
            ),
        ]);
    }
}
