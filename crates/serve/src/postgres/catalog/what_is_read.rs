//! Whether a statement reads the system catalog, the shop's own tables, or both.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Statement, TableFactor, Visitor, With,
};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::PG_CATALOG_TABLES;
use sluice_syntax::Part;

use super::exprs::called;
use super::names::{is_empty_table, parts, plain};
use super::views::is_own;

/// How names of functions begin that ask for the catalog, without a table of it.
const ASKING: [&str; 4] = ["pg_", "_pg_", "to_reg", "current_setting"];

/// Whether a statement reads tables of the catalog, and no others. What reads none,
/// or functions alone, does not.
pub(super) fn reads_catalog_alone(statement: &impl Part) -> bool {
    let read = what_is_read(statement);
    read.has_catalog && !read.has_own
}

/// Whether a statement reads tables that are none of the catalog's.
pub(super) fn reads_own(statement: &impl Part) -> bool {
    what_is_read(statement).has_own
}

/// Whether a statement asks for anything of the catalog.
pub(super) fn asks_catalog(statement: &Statement) -> bool {
    what_is_read(statement).has_catalog || statement.has_expression(&mut asks)
}

fn asks(expr: &Expr) -> bool {
    if let Expr::Cast { data_type, .. } = expr {
        let name = data_type.to_string().to_lowercase();
        return name.rsplit('.').next().is_some_and(is_identity);
    }
    called(expr).is_some_and(|name| ASKING.iter().any(|begin| name.starts_with(begin)))
}

/// Whether a type is one of the catalog's names, such as `regclass`.
fn is_identity(data_type: &str) -> bool {
    data_type.starts_with("reg")
}

fn what_is_read(statement: &impl Part) -> Read {
    let mut read = Read::default();
    let _ = statement.read(&mut read);
    read
}

/// What was seen so far.
#[derive(Default)]
struct Read {
    has_catalog: bool,
    has_own: bool,
    /// Names that stand for queries of WITH, for each query around the place.
    named: Vec<Vec<String>>,
}

impl Visitor for Read {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let with = query.with.as_ref();
        self.has_own |= with.is_some_and(reads_hidden);
        self.named.push(with.map(names_of).unwrap_or_default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.named.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name, args: None, ..
        } = factor
        {
            let is_named = match &parts(name)[..] {
                [only] => self.named.iter().flatten().any(|named| named == only),
                _ => false,
            };
            match is_known(name) {
                _ if is_named => {}
                true => self.has_catalog = true,
                false => self.has_own = true,
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether a name is that of a table of the catalog.
fn is_known(name: &ObjectName) -> bool {
    match &parts(name)[..] {
        [table] => PG_CATALOG_TABLES.contains(&&**table) || is_own(table) || is_empty_table(name),
        [.., schema, _] => schema == "pg_catalog" || schema == "information_schema",
        [] => false,
    }
}

/// The names that a WITH gives.
fn names_of(with: &With) -> Vec<String> {
    let tables = with.cte_tables.iter();
    tables.map(|named| plain(&named.alias.name)).collect()
}

/// Whether a query of a WITH reads a table whose name is given to itself, or to one
/// behind it: it reads the table then, and not that query.
fn reads_hidden(with: &With) -> bool {
    if with.recursive {
        return false;
    }
    let names = names_of(with);
    let mut queries = with.cte_tables.iter().enumerate();
    queries.any(|(place, named)| {
        let mut tables = SingleNames(Vec::new());
        let _ = named.query.read(&mut tables);
        tables.0.iter().any(|table| names[place..].contains(table))
    })
}

/// Names of tables without a schema.
struct SingleNames(Vec<String>);

impl Visitor for SingleNames {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        if let [only] = &parts(name)[..] {
            self.0.push(only.clone());
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn statement(sql: &str) -> Statement {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql);
        statements.unwrap().remove(0)
    }

    #[test]
    fn statements_are_told_apart_by_their_tables() {
        for (sql, is_catalog_alone, is_own) in [
            ("SELECT 1", false, false),
            ("SELECT * FROM generate_series(1, 3)", false, false),
            ("SELECT * FROM pg_class", true, false),
            ("SELECT * FROM PG_CATALOG.PG_CLASS c", true, false),
            ("SELECT * FROM information_schema.tables", true, false),
            ("SELECT * FROM pg_index", true, false),
            ("SELECT * FROM pg_prices", false, true),
            ("SELECT * FROM item", false, true),
            ("SELECT * FROM public.pg_class", false, true),
            (
                "SELECT (SELECT max(x) FROM item) FROM pg_class",
                false,
                true,
            ),
            ("EXPLAIN SELECT * FROM pg_class", true, false),
            (
                "WITH c AS (SELECT * FROM pg_class) SELECT (SELECT count(*) FROM c)",
                true,
                false,
            ),
            // The name stands for a table within its own query.
            (
                "WITH item AS (SELECT * FROM item, pg_class) SELECT * FROM item",
                false,
                true,
            ),
            (
                "WITH a AS (SELECT * FROM b, pg_class), b AS (SELECT 1) SELECT * FROM a",
                false,
                true,
            ),
            (
                "SELECT (WITH item AS (SELECT oid FROM pg_class) SELECT max(oid) FROM item) FROM item",
                false,
                true,
            ),
        ] {
            let statement = statement(sql);
            assert_eq!(reads_catalog_alone(&statement), is_catalog_alone, "{sql}");
            assert_eq!(reads_own(&statement), is_own, "{sql}");
        }
    }

    #[test]
    fn the_catalog_is_asked_by_functions_and_casts_too() {
        for (sql, expected) in [
            ("SELECT jpg_url FROM image", false),
            ("SELECT x::text FROM item", false),
            ("SELECT pg_total_relation_size(1) FROM item", true),
            ("SELECT 'item'::pg_catalog.regclass FROM item", true),
            ("SELECT i.x FROM item i, pg_class", true),
        ] {
            assert_eq!(asks_catalog(&statement(sql)), expected, "{sql}");
        }
    }
}
