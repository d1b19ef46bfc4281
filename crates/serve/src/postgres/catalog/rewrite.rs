//! Statements about the system catalog, in SQL that DataFusion plans.
//!
//! The text is read and written again before the library reads it: what the
//! library cannot plan it replaces by NULL, or by the answers to texts of one
//! version of a client.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Statement,
    TableAlias, TableFactor, Value, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use sluice_core::too_many_operators;
use sluice_syntax::{Part, QUERIES, text_of};

use super::array_literals::write_arrays;
use super::empty::{is_empty_select, simplify};
use super::exprs::{call, is_renamed, name_of, null_like, text, value};
use super::identity_names::{find_table_identities, identity, name_identity};
use super::names::{INFORMATION, parts, plain};
use super::subqueries::{rewrite, rewrite_column};
use super::views::is_own;
use super::what_is_read::{asks_catalog, reads_catalog_alone, reads_own};
use crate::mended_sql::mended_text;

/// Words of statements that may ask for the catalog, and how arrays begin that are
/// written as texts.
const WORDS: [&str; 6] = [
    "pg_",
    "information_schema",
    "current_setting",
    "regclass",
    "to_reg",
    "'{",
];

/// The same statements in other words; `None` where they stay as they are.
pub(in crate::postgres) fn rewritten(sql: &str) -> Option<String> {
    let lower = sql.to_lowercase();
    if !WORDS.iter().any(|word| lower.contains(word)) || too_many_operators(sql).is_some() {
        return None;
    }
    let mut statements = Parser::parse_sql(&QUERIES, sql).ok()?;
    // Others would have to be read as they were written.
    let is_query = |statement: &Statement| matches!(statement, Statement::Query(_));
    if !statements.iter().all(is_query) {
        return None;
    }
    let mut mended = None;
    if !statements.iter().all(reads_catalog_alone) {
        mended = with_arrays(sql, &mut statements);
        // What does not ask for the catalog means what it says.
        if statements.iter().any(reads_own) && !statements.iter().any(asks_catalog) {
            return mended;
        }
    }
    let mut is_changed = mended.is_some();
    for statement in &mut statements {
        let before = statement.clone();
        let _ = statement.rewrite(&mut Rewriter);
        is_changed |= *statement != before;
    }
    is_changed.then(|| texts_of(&statements))
}

/// Statements that do not ask for the catalog alone in words that the planner takes
/// as SQL means them; arrays are written as such before. The text, where that changed
/// anything.
fn with_arrays(sql: &str, statements: &mut Vec<Statement>) -> Option<String> {
    let mut written = Parser::parse_sql(&QUERIES, sql).ok()?;
    let before = written.clone();
    written.iter_mut().for_each(write_arrays);
    let text = (written != before).then(|| texts_of(&written));
    let mended = mended_text(text.as_deref().unwrap_or(sql));
    let mended = mended.ok()?.or(text)?;
    *statements = Parser::parse_sql(&QUERIES, &mended).ok()?;
    Some(mended)
}

fn texts_of(statements: &[Statement]) -> String {
    let texts: Vec<String> = statements.iter().map(text_of).collect();
    texts.join("; ")
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
        {
            rename(name, alias);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        shorten(expr);
        name_operator(expr);
        escape_with_backslash(expr);
        rewrite(expr);
        name_identity(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        find_table_identities(select);
        for item in &mut select.projection {
            rewrite_item(item);
        }
        if is_empty_select(select) {
            simplify(select);
        }
        distinguish(&mut select.projection);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if matches!(&*query.body, SetExpr::Select(select) if is_empty_select(select)) {
            query.order_by = None;
        }
        ControlFlow::Continue(())
    }
}

/// Gives tables that are here and not in the library the schema in which they are.
fn rename(name: &mut ObjectName, alias: &mut Option<TableAlias>) {
    let known = parts(name);
    let table = match &known[..] {
        [table] if is_own(table) => table.clone(),
        [.., schema, table] if schema == "information_schema" => {
            let own = format!("{INFORMATION}{table}");
            if !is_own(&own) {
                return;
            }
            if alias.is_none() {
                *alias = Some(TableAlias {
                    explicit: true,
                    name: Ident::new(table),
                    columns: Vec::new(),
                    at: None,
                });
            }
            own
        }
        _ => return,
    };
    *name = ObjectName::from(vec![
        Ident::new("pg_catalog"),
        Ident::with_quote('"', table),
    ]);
}

/// A column of a table of the catalog, without the schema.
fn shorten(expr: &mut Expr) {
    if let Expr::CompoundIdentifier(parts) = expr
        && parts.len() == 3
        && parts
            .first()
            .is_some_and(|schema| matches!(&*plain(schema), "pg_catalog" | "information_schema"))
    {
        parts.remove(0);
    }
}

/// `OPERATOR(pg_catalog.=)` as `=`.
fn name_operator(expr: &mut Expr) {
    use BinaryOperator as Op;
    if let Expr::BinaryOp { op, .. } = expr
        && let Op::PGCustomBinaryOperator(names) = op
    {
        *op = match names.last().map(String::as_str) {
            Some("=") => Op::Eq,
            Some("<>" | "!=") => Op::NotEq,
            Some("<") => Op::Lt,
            Some("<=") => Op::LtEq,
            Some(">") => Op::Gt,
            Some(">=") => Op::GtEq,
            Some("+") => Op::Plus,
            Some("-") => Op::Minus,
            Some("*") => Op::Multiply,
            Some("/") => Op::Divide,
            Some("||") => Op::StringConcat,
            _ => return,
        };
    }
}

/// `LIKE pattern ESCAPE '/'` with the backslash, the only one that is known here.
/// A pattern in which the character escapes itself is not one of a client's.
fn escape_with_backslash(expr: &mut Expr) {
    let (Expr::Like {
        pattern,
        escape_char,
        ..
    }
    | Expr::ILike {
        pattern,
        escape_char,
        ..
    }) = expr
    else {
        return;
    };
    let Some(Value::SingleQuotedString(escape)) = escape_char.take().map(|found| found.value)
    else {
        return;
    };
    if escape == "\\" {
        return;
    }
    let literal = call(
        "replace",
        vec![(**pattern).clone(), text("\\"), text("\\\\")],
    );
    let escaped = match escape.is_empty() {
        true => literal,
        false => call("replace", vec![literal, text(&escape), text("\\")]),
    };
    **pattern = escaped;
}

fn rewrite_item(item: &mut SelectItem) {
    match item {
        SelectItem::UnnamedExpr(expr) => {
            let name = name_of(expr);
            let before = expr.clone();
            rewrite_column(expr);
            if let Some(name) = identity(expr) {
                *expr = name;
            }
            if *expr != before || is_renamed(expr) {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::with_quote('"', name),
                };
            }
        }
        SelectItem::ExprWithAlias { expr, .. } => {
            rewrite_column(expr);
            if let Some(name) = identity(expr) {
                *expr = name;
            }
        }
        _ => {}
    }
}

/// Gives columns of the answer that look the same names of their own, which
/// DataFusion needs.
fn distinguish(projection: &mut [SelectItem]) {
    let mut known = BTreeSet::new();
    for (place, item) in projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        if known.insert(expr.to_string()) {
            continue;
        }
        let is_null = matches!(expr, Expr::Value(found) if found.value == Value::Null);
        *item = SelectItem::ExprWithAlias {
            alias: Ident::with_quote('"', format!("{}_{}", name_of(expr), place + 1)),
            expr: match is_null {
                true => null_like(&value(Value::Null)),
                false => expr.clone(),
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_rewritten() {
        for (sql, expected) in [
            // Lists of a subquery's values.
            (
                "SELECT ARRAY(SELECT b.rolname FROM pg_catalog.pg_roles b WHERE b.oid = r.oid ORDER BY 1) AS roles FROM pg_catalog.pg_roles r",
                "list_or_empty((SELECT array_agg(b.rolname ORDER BY b.rolname) FROM pg_catalog.pg_roles b WHERE b.oid = r.oid)) AS roles",
            ),
            // Of a table that has no rows.
            (
                "SELECT ARRAY(SELECT polname FROM pg_catalog.pg_policy WHERE polrelid = c.oid) FROM pg_catalog.pg_class c",
                "SELECT no_texts() AS \"array\" FROM",
            ),
            (
                "SELECT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid) AS has FROM pg_class c",
                "SELECT false AS has FROM",
            ),
            (
                "SELECT (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = $1) FROM pg_attribute a",
                "CASE WHEN $1 IS NULL THEN CAST(NULL AS TEXT) ELSE CAST(NULL AS TEXT) END",
            ),
            // One row by its looks.
            (
                "SELECT (SELECT c.relkind = 'c' FROM pg_class c WHERE c.oid = t.typrelid) FROM pg_type t",
                "one_value((SELECT max(c.relkind = 'c') AS",
            ),
            (
                "SELECT EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid) FROM pg_type t",
                "SELECT one_value((SELECT count(*) > 0 FROM pg_class c WHERE c.oid = t.typrelid)) AS \"exists\" FROM",
            ),
            // What can have no row is simple, and keeps its parameters.
            (
                "SELECT (information_schema._pg_expandarray(i.indkey)).n AS n, i.indrelid FROM pg_class c JOIN pg_index i ON c.oid = ANY(i.indkey) WHERE c.relname = $1 AND i.indkey[0] = $2 ORDER BY n",
                "SELECT CAST(NULL AS BIGINT) AS n, i.indrelid FROM pg_class c JOIN pg_index i ON true WHERE false AND (c.relname = $1) AND $2 IS NULL",
            ),
            (
                "SELECT con.conname, pos.n FROM pg_constraint con, generate_series(1, 32) pos(n) WHERE con.conkey[pos.n] = 1",
                "SELECT con.conname, CAST(NULL AS TEXT) AS \"n\" FROM pg_constraint con WHERE false",
            ),
            // An outer join keeps its rows.
            (
                "SELECT c.relname FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid WHERE c.oid = ANY (SELECT 1)",
                "LEFT JOIN pg_index i ON i.indrelid = c.oid WHERE c.oid IN (SELECT 1)",
            ),
            (
                "SELECT table_name FROM information_schema.tables WHERE table_schema IN (SELECT trim(s[i]) FROM generate_series(1, array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i, string_to_array(current_setting('search_path'), ',') s)",
                "FROM pg_catalog.\"information_schema.tables\" AS tables WHERE table_schema IN ('public')",
            ),
            (
                "SELECT l.tableoid, c.oid::pg_catalog.regclass FROM pg_language l, pg_class c",
                "SELECT to_regclass('pg_language') AS tableoid, regclass_name(c.oid) AS \"oid\" FROM",
            ),
            (
                "SELECT oid::regtype::text AS name FROM pg_type t WHERE t.oid = to_regtype($1)",
                "SELECT format_type(oid, -1) AS name FROM pg_type t WHERE t.oid = (SELECT max(known.oid) FROM pg_catalog.pg_type AS known WHERE known.typname = $1)",
            ),
            (
                "SELECT 'item'::regclass::oid AS a, 'public.item'::regclass::text AS b",
                "SELECT to_regclass('item')::oid AS a, regclass_name(to_regclass('public.item')) AS b",
            ),
            (
                "SELECT NULL, NULL, pubname FROM pg_catalog.pg_class p",
                "SELECT NULL, CAST(NULL AS TEXT) AS \"?column?_2\", pubname FROM",
            ),
            (
                "SELECT relname FROM pg_class WHERE relname OPERATOR(pg_catalog.=) 'a'",
                "WHERE relname = 'a'",
            ),
            (
                "SELECT relname FROM pg_class WHERE relname NOT LIKE $1 || '%' ESCAPE '/'",
                "NOT LIKE replace(replace($1 || '%', '\\', '\\\\'), '/', '\\')",
            ),
        ] {
            let found = rewritten(sql).unwrap_or_default();
            assert!(found.contains(expected), "{sql}\n{found}\n{expected}");
        }
    }

    #[test]
    fn other_statements_stay() {
        for sql in [
            "SELECT ARRAY(SELECT id FROM item)",
            "SELECT count(*) FROM pg_catalog.pg_class",
            "SELECT count(*) FROM pg_catalog.pg_trigger",
            "SHOW pg_nothing",
            "SELECT pg_",
            "SELECT 'pg_' FROM FROM",
            // Tables of the shop, in which there happens to be such a word.
            "SELECT i.jpg_url, i.jpg_url FROM image i WHERE i.jpg_url LIKE '/%//%' ESCAPE '/'",
            "SELECT EXISTS (SELECT 1 FROM image WHERE jpg_url IS NULL) FROM item",
        ] {
            assert_eq!(rewritten(sql), None, "{sql}");
        }
    }

    #[test]
    fn arrays_are_compared_after_they_are_written_as_such() {
        for (sql, expected) in [
            (
                "SELECT id FROM item WHERE id = ANY('{1,NULL}')",
                "SELECT id FROM item WHERE (id IN ('1', NULL))",
            ),
            (
                "SELECT jpg_url FROM image WHERE jpg_url = ANY('{\"it''s\"}')",
                "SELECT jpg_url FROM image WHERE (jpg_url IN ('it''s'))",
            ),
        ] {
            assert_eq!(rewritten(sql).as_deref(), Some(expected), "{sql}");
        }
    }

    #[test]
    fn subqueries_of_other_tables_mean_what_they_meant() {
        for sql in [
            "SELECT o.id, (SELECT i.jpg_url FROM image i WHERE i.item = o.item ORDER BY i.place LIMIT 1) FROM orders o",
            "SELECT (SELECT i.jpg_url FROM image i WHERE i.item = o.item) AS url FROM orders o",
            "SELECT 'pg_' AS a, x NOT IN (SELECT b FROM t) AS c FROM u",
            "SELECT 'pg_' AS a, EXISTS (SELECT b FROM t LIMIT 0) AS c FROM u",
            "SELECT o.jpg_url, (SELECT g FROM generate_series(1, 3) AS t(g) WHERE g >= o.id) FROM image o",
            "SELECT o.jpg_url, (SELECT g FROM unnest(o.ids) AS t(g) WHERE g >= o.id) FROM image o",
            "SELECT o.jpg_url, (SELECT g FROM (VALUES (1), (2)) AS t(g) WHERE g >= o.id) FROM image o",
            "SELECT 'pg_' AS a, x NOT IN (SELECT g FROM unnest(o.ids) AS t(g)) AS c FROM u AS o",
        ] {
            let found = rewritten(sql).unwrap_or_else(|| sql.to_owned());
            assert!(
                !found.contains("max(") && !found.contains("count("),
                "{found}"
            );
            let has_order = sql.contains("ORDER BY");
            assert_eq!(found.contains("ORDER BY"), has_order, "{found}");
        }
    }

    #[test]
    fn a_deep_statement_does_not_grow_with_its_depth() {
        let mut list = "1".to_owned();
        for _ in 0..20 {
            list = format!("ARRAY(SELECT {list} ORDER BY 1, 1)");
        }
        let sql = format!("SELECT 'pg_' AS a, {list} AS b");
        let written = rewritten(&sql).unwrap_or_default();
        assert!(written.len() < 20 * sql.len(), "{} bytes", written.len());
        let many = vec!["1"; 5_000].join(", ");
        let sql = format!(
            "SELECT 'pg_' AS a, ARRAY(SELECT {} ORDER BY {many}) AS b",
            "x + ".repeat(100) + "1"
        );
        let written = rewritten(&sql).unwrap_or_default();
        assert!(written.len() < 20 * sql.len(), "{} bytes", written.len());
    }
}
