//! Makes the time forms of FROM plannable: the planner resolves the arguments
//! of a table function against nothing, so the table that a window function
//! names becomes a subquery, which every later stage understands.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query, Select,
    TableFactor, TableWithJoins, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use sluice_syntax::Part;

/// Names of the table functions that give windows.
pub(crate) const WINDOW_FUNCTIONS: [&str; 3] = ["tumble", "hop", "session"];

/// The window function that a relation calls, if it does, in lower case.
pub(crate) fn window_function(name: &ObjectName) -> Option<&'static str> {
    let [ObjectNamePart::Identifier(ident)] = &name.0[..] else {
        return None;
    };
    let found = ident.value.to_lowercase();
    WINDOW_FUNCTIONS.into_iter().find(|known| *known == found)
}

/// Name of the table function that joins with a table as it is.
pub(crate) const LOOKUP: &str = "lookup";

fn is_lookup(name: &ObjectName) -> bool {
    matches!(&name.0[..], [ObjectNamePart::Identifier(ident)] if ident.value.eq_ignore_ascii_case(LOOKUP))
}

/// Whether a joined relation is one of versions: AS OF or LOOKUP.
pub(crate) fn is_temporal(relation: &TableFactor) -> bool {
    match relation {
        TableFactor::Table {
            name,
            args,
            version,
            ..
        } => version.is_some() || (args.is_some() && is_lookup(name)),
        _ => false,
    }
}

/// Rewrites the relations of `query` and of all its subqueries.
pub(crate) fn rewrite(query: &mut Query) {
    let _ = query.rewrite(&mut Rewriter);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            args: Some(arguments),
            ..
        } = factor
            && (window_function(name).is_some() || is_lookup(name))
            && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) =
                arguments.args.first_mut()
            && let Expr::Identifier(table) = first
            && let Some(query) = all_rows_of(table)
        {
            *first = Expr::Subquery(Box::new(query));
        }
        ControlFlow::Continue(())
    }

    // After what is inside, so that nothing is put together twice.
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = factor
        {
            nest_temporal_joins(table_with_joins);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.from.iter_mut().for_each(nest_temporal_joins);
        ControlFlow::Continue(())
    }
}

/// Puts each join with versions and all before it into brackets, because only a
/// relation can be planned, and its left side is needed for that.
fn nest_temporal_joins(tables: &mut TableWithJoins) {
    for join in std::mem::take(&mut tables.joins) {
        let is_temporal = is_temporal(&join.relation);
        tables.joins.push(join);
        if is_temporal {
            let nested = TableWithJoins {
                relation: tables.relation.clone(),
                joins: std::mem::take(&mut tables.joins),
            };
            tables.relation = TableFactor::NestedJoin {
                table_with_joins: Box::new(nested),
                alias: None,
            };
        }
    }
}

/// `SELECT * FROM table`, with the name where it stood in the text.
fn all_rows_of(table: &Ident) -> Option<Query> {
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql("SELECT * FROM name");
    let mut query = *parser.ok()?.parse_query().ok()?;
    let _ = query.rewrite(&mut Rename(table));
    Some(query)
}

struct Rename<'a>(&'a Ident);

impl VisitorMut for Rename<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        *relation = ObjectName(vec![ObjectNamePart::Identifier(self.0.clone())]);
        ControlFlow::Continue(())
    }
}
