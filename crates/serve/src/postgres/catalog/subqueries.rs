//! Subqueries in the forms that DataFusion plans: it joins those that speak of
//! rows outside, if they have one row by their looks.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, DuplicateTreatment, Expr, FunctionArgumentClause, FunctionArguments,
    GroupByExpr, Ident, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, UnaryOperator, Value, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use sluice_syntax::{Part, QUERIES};

use super::empty::{is_empty_query, value_of_nothing};
use super::exprs::{
    LIST_OR_EMPTY, NO_TEXTS, ONE_VALUE, both, call, called, is_aggregate, name_of, nested,
    null_like, text,
};
use super::names::{is_of_catalog, last, parts, plain};

/// The schema whose tables need no name of a schema before them.
const SEARCH_PATH: &str = "public";

/// Writes an expression otherwise, whose parts were rewritten already.
pub(super) fn rewrite(expr: &mut Expr) {
    if let Expr::AnyOp {
        left,
        compare_op: BinaryOperator::Eq,
        right,
        ..
    } = expr
        && let Expr::Subquery(subquery) = &**right
    {
        *expr = Expr::InSubquery {
            expr: left.clone(),
            subquery: subquery.clone(),
            negated: false,
        };
    }
    if let Some(found) = value_of_nothing(expr) {
        *expr = found;
        return;
    }
    match expr {
        Expr::InSubquery {
            expr: inner,
            subquery,
            negated,
        } if is_search_path(subquery) => {
            *expr = Expr::InList {
                expr: inner.clone(),
                list: vec![text(SEARCH_PATH)],
                negated: *negated,
            };
        }
        Expr::Subquery(query) if is_correlated(query) && reads_catalog_only(query) => {
            if reads(query, "pg_collation") {
                // Columns have no collation of their own, and there are no domains.
                *expr = null_like(expr);
            } else if let Some(query) = one_row(query) {
                *expr = call(ONE_VALUE, vec![Expr::Subquery(Box::new(query))]);
            }
        }
        Expr::Function(function) if last(&function.name) == "array" => {
            let FunctionArguments::Subquery(query) = &function.args else {
                return;
            };
            if is_empty_query(query) {
                *expr = call(NO_TEXTS, Vec::new());
            } else if let Some(query) = list_query(query) {
                *expr = call(LIST_OR_EMPTY, vec![Expr::Subquery(Box::new(query))]);
            }
        }
        _ => {}
    }
}

/// Conditions on subqueries within the answer's columns: DataFusion knows them in
/// WHERE alone.
pub(super) fn rewrite_column(expr: &mut Expr) {
    let _ = expr.rewrite(&mut InColumn);
    if matches!(expr, Expr::Subquery(_)) {
        *expr = call(ONE_VALUE, vec![expr.clone()]);
    }
}

struct InColumn;

impl VisitorMut for InColumn {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (query, negated) = match expr {
            Expr::Exists { subquery, negated } if reads_catalog_only(subquery) => {
                (any_row(subquery, None), *negated)
            }
            Expr::InSubquery {
                expr: wanted,
                subquery,
                negated,
            } if reads_catalog_only(subquery) => (any_row(subquery, Some(wanted)), *negated),
            _ => return ControlFlow::Continue(()),
        };
        if let Some(query) = query {
            let found = call(ONE_VALUE, vec![Expr::Subquery(Box::new(query))]);
            *expr = match negated {
                true => Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr: Box::new(found),
                },
                false => found,
            };
        }
        ControlFlow::Continue(())
    }
}

/// A SELECT of plain rows: no groups, no limit.
fn plain_select(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = &*query.body else {
        return None;
    };
    let is_grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
    };
    let is_plain = query.with.is_none() && select.having.is_none() && !is_grouped;
    is_plain.then_some(select)
}

/// The query of whether there is a row, of one with the value.
fn any_row(query: &Query, wanted: Option<&Expr>) -> Option<Query> {
    let mut select = plain_select(query)?.clone();
    if select
        .projection
        .iter()
        .any(|item| item_expr(item).is_some_and(is_aggregate))
    {
        return None;
    }
    if let Some(wanted) = wanted {
        let [item] = &select.projection[..] else {
            return None;
        };
        let same = Expr::BinaryOp {
            left: Box::new(nested(item_expr(item)?.clone())),
            op: BinaryOperator::Eq,
            right: Box::new(nested(wanted.clone())),
        };
        select.selection = Some(match select.selection.take() {
            Some(condition) => both(nested(condition), same),
            None => same,
        });
    }
    select.distinct = None;
    select.projection = vec![SelectItem::UnnamedExpr(parsed("count(*) > 0")?)];
    Some(with_body(query, select))
}

/// The same query without order and limit.
fn with_body(query: &Query, select: Select) -> Query {
    Query {
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        ..query.clone()
    }
}

fn item_expr(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// A query of at most one row by its looks too; PostgreSQL fails if it has more.
fn one_row(query: &Query) -> Option<Query> {
    let mut select = plain_select(query)?.clone();
    let [item] = &select.projection[..] else {
        return None;
    };
    let expr = item_expr(item)?;
    if is_aggregate(expr) {
        return Some(query.clone());
    }
    // The first by an order is another one than the greatest.
    let is_limited = query.limit_clause.is_some() || query.fetch.is_some();
    if is_limited && query.order_by.is_some() {
        return None;
    }
    select.distinct = None;
    let name = match item {
        SelectItem::ExprWithAlias { alias, .. } => plain(alias),
        _ => name_of(expr),
    };
    select.projection = vec![SelectItem::ExprWithAlias {
        expr: call("max", vec![expr.clone()]),
        alias: Ident::with_quote('"', name),
    }];
    Some(with_body(query, select))
}

/// The query of the list of a query's values.
fn list_query(query: &Query) -> Option<Query> {
    let is_limited = query.limit_clause.is_some() || query.fetch.is_some();
    let select = plain_select(query).filter(|_| !is_limited);
    let item = select.and_then(|select| match &select.projection[..] {
        [item] => item_expr(item).filter(|expr| !is_aggregate(expr)).cloned(),
        _ => None,
    });
    let (Some(select), Some(item)) = (select, item) else {
        let sql = format!("SELECT array_agg(list_value) FROM ({query}) AS list_rows(list_value)");
        return parsed_query(&sql);
    };
    let mut select = select.clone();
    let mut list = call("array_agg", vec![item.clone()]);
    if let Expr::Function(function) = &mut list
        && let FunctionArguments::List(arguments) = &mut function.args
    {
        match select.distinct.take() {
            Some(Distinct::Distinct) => {
                arguments.duplicate_treatment = Some(DuplicateTreatment::Distinct);
            }
            Some(Distinct::On(_)) => return None,
            Some(Distinct::All) | None => {}
        }
        let order = order_of(query, &item)?;
        if !order.is_empty() {
            arguments.clauses = vec![FunctionArgumentClause::OrderBy(order)];
        }
    }
    select.projection = vec![SelectItem::UnnamedExpr(list)];
    Some(with_body(query, select))
}

/// By what the values are ordered; a number stands for the only column. `None`
/// where that column is a query: its copies would double with each depth.
fn order_of(query: &Query, item: &Expr) -> Option<Vec<OrderByExpr>> {
    let Some(OrderByKind::Expressions(order)) = query.order_by.as_ref().map(|order| &order.kind)
    else {
        return Some(Vec::new());
    };
    let mut order = order.clone();
    let is_number = |by: &OrderByExpr| matches!(&by.expr, Expr::Value(value) if matches!(value.value, Value::Number(..)));
    if let Some(place) = order.iter().position(is_number) {
        if item.has_expression(&mut holds_query) {
            return None;
        }
        // What is equal in the only column may stand in any order.
        order.truncate(place + 1);
        order[place].expr = item.clone();
    }
    Some(order)
}

/// Whether an expression is a query, whatever is made of its rows.
fn holds_query(expr: &Expr) -> bool {
    match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => true,
        Expr::Function(function) => matches!(function.args, FunctionArguments::Subquery(_)),
        _ => false,
    }
}

/// Whether a query makes the list of schemas that are searched, of functions
/// alone.
fn is_search_path(query: &Query) -> bool {
    let mut asks = |part: &Expr| {
        called(part).as_deref() == Some("current_setting")
            && part.to_string().to_lowercase().contains("'search_path'")
    };
    query.has_expression(&mut asks) && tables(query).is_empty()
}

/// Names of the tables that a query reads, subqueries included.
fn tables(query: &Query) -> Vec<String> {
    let mut found = Tables::default();
    let _ = query.read(&mut found);
    found.tables
}

/// Whether a query reads tables of the catalog, and nothing but functions and
/// lists of values beside them, or has no FROM at all. What reads others is left to DataFusion: that
/// PostgreSQL would fail is no leave to answer otherwise.
fn reads_catalog_only(query: &Query) -> bool {
    let mut found = Tables::default();
    let _ = query.read(&mut found);
    let is_of_none = found.has_any && found.tables.is_empty();
    !found.has_other && !is_of_none
}

fn reads(query: &Query, table: &str) -> bool {
    tables(query).iter().any(|found| found == table)
}

#[derive(Default)]
struct Tables {
    /// Last parts of the names of tables.
    tables: Vec<String>,
    /// By what names columns are found.
    names: BTreeSet<String>,
    /// Whether one of them is none of the catalog's.
    has_other: bool,
    /// Whether anything stands in a FROM.
    has_any: bool,
}

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.has_any = true;
        let alias = match factor {
            TableFactor::Table {
                name, args, alias, ..
            } => {
                if args.is_none() {
                    self.has_other |= !is_of_catalog(name);
                    self.tables.extend(parts(name).pop());
                }
                self.names.extend(parts(name).pop());
                alias
            }
            TableFactor::Derived { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => alias,
            _ => return ControlFlow::Continue(()),
        };
        self.names
            .extend(alias.as_ref().map(|alias| plain(&alias.name)));
        ControlFlow::Continue(())
    }
}

/// Whether a query speaks of tables that it does not read.
fn is_correlated(query: &Query) -> bool {
    let mut found = Tables::default();
    let _ = query.read(&mut found);
    query.has_expression(&mut |part| match part {
        Expr::CompoundIdentifier(parts) => match &parts[..] {
            [.., table, _] => !found.names.contains(&plain(table)),
            _ => false,
        },
        _ => false,
    })
}

/// An expression in the library's dialect.
pub(super) fn parsed(sql: &str) -> Option<Expr> {
    let parser = Parser::new(&QUERIES).try_with_sql(sql);
    parser.ok()?.parse_expr().ok()
}

fn parsed_query(sql: &str) -> Option<Query> {
    let mut statements = Parser::parse_sql(&QUERIES, sql).ok()?;
    match statements.pop()? {
        Statement::Query(query) => Some(*query),
        _ => None,
    }
}
