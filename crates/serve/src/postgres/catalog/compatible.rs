//! Statements as the library reads them, as far as they mean the same then.
//!
//! The library's parser makes statements of clients about the system catalog such
//! that DataFusion plans them. Some of what it does for them is wrong for others:
//!
//! | rule of the library | for statements that read the catalog alone | for others |
//! |---|---|---|
//! | answers to whole statements of clients | yes | no |
//! | subqueries in the answer's columns are NULL, or have LIMIT 1 | yes | no |
//! | `x = ANY (list)` is `array_contains`, which knows no unknown | yes | no, DataFusion plans it |
//! | a name without a table is one of `t` beside `t.*` | yes | no |
//! | texts are cut into arrays at commas | yes | no: `array_literals.rs` |
//! | COLLATE is left out | yes | where texts are compared by their bytes, else refused |
//! | names: of functions without schemas, of catalog tables with theirs, `current_user`, `version`, `OPERATOR(pg_catalog.~)`, `'item'::regclass`, and one for a column beside `*` that has it too | yes | yes |

use std::mem::replace;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Statement, Value, VisitorMut};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_postgres::datafusion_pg_catalog::sql::rules::{
    AliasDuplicatedProjectionRewrite, CurrentUserVariableToSessionUserFunctionCall,
    FixVersionColumnName, PrependUnqualifiedPgTableName, RewritePgCatalogOperator,
    RewriteRegCastToSubquery, SqlStatementRewriteRule, StripCallableQualifier,
};
use sluice_syntax::{Part, QUERIES};

use super::array_literals::write_arrays;
use super::exprs::value;
use super::names::last;
use super::what_is_read::{reads_catalog_alone, reads_own};

/// What the library makes of statements about the catalog.
static LIBRARY: LazyLock<PostgresCompatibilityParser> =
    LazyLock::new(PostgresCompatibilityParser::new);

/// Its rules that leave all statements their meaning.
static HARMLESS: LazyLock<Vec<Box<dyn SqlStatementRewriteRule>>> = LazyLock::new(|| {
    vec![
        Box::new(AliasDuplicatedProjectionRewrite),
        Box::new(PrependUnqualifiedPgTableName),
        Box::new(StripCallableQualifier),
        Box::new(CurrentUserVariableToSessionUserFunctionCall),
        Box::new(RewritePgCatalogOperator),
        Box::new(RewriteRegCastToSubquery::new()),
        Box::new(FixVersionColumnName),
    ]
});

/// Collations in which texts are compared by their bytes, as they are here.
const BY_BYTES: [&str; 7] = [
    "c",
    "posix",
    "default",
    "ucs_basic",
    "c.utf8",
    "c.utf-8",
    "pg_c_utf8",
];

/// Brackets inside each other up to which the library reads a text: it tries
/// every call twice, so that each level doubles its time.
const DEPTH_MAX: usize = 10;

/// Whether the library reads this in little time.
fn is_shallow(sql: &str) -> bool {
    let mut depth = 0_usize;
    for byte in sql.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth > DEPTH_MAX {
            return false;
        }
    }
    true
}

/// The statements of a text.
///
/// # Errors
/// When it cannot be read, and when one asks for what would be answered otherwise.
pub(in crate::postgres) fn read(sql: &str) -> Result<Vec<Statement>, ParserError> {
    let statements = match Parser::parse_sql(&QUERIES, sql) {
        Ok(statements) => statements,
        // The library knows ABORT, and whole statements of clients.
        Err(problem) => {
            if !is_shallow(sql) {
                return Err(problem);
            }
            let known = LIBRARY.parse(sql).ok();
            let known = known.filter(|statements| !statements.iter().any(reads_own));
            return known.ok_or(problem);
        }
    };
    let is_of_catalog = !statements.is_empty() && statements.iter().all(reads_catalog_alone);
    if is_of_catalog && is_shallow(sql) {
        return LIBRARY.parse(sql);
    }
    statements.into_iter().map(compatible).collect()
}

/// A statement that was read already.
///
/// # Errors
/// When it asks for what would be answered otherwise.
pub(in crate::postgres) fn compatible(mut statement: Statement) -> Result<Statement, ParserError> {
    if reads_catalog_alone(&statement) {
        return Ok(LIBRARY.rewrite(statement));
    }
    write_arrays(&mut statement);
    let mut collations = Collations { refused: None };
    let _ = statement.rewrite(&mut collations);
    if let Some(collation) = collations.refused {
        let problem = format!(
            "COLLATE {collation} is not answered: texts are compared by their bytes, as COLLATE \"C\" has them; leave it out"
        );
        return Err(ParserError::ParserError(problem));
    }
    Ok(HARMLESS
        .iter()
        .fold(statement, |statement, rule| rule.rewrite(statement)))
}

/// Leaves out collations by bytes.
struct Collations {
    /// The first other one.
    refused: Option<ObjectName>,
}

impl VisitorMut for Collations {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Collate {
            expr: inner,
            collation,
        } = expr
        else {
            return ControlFlow::Continue(());
        };
        if !BY_BYTES.contains(&&*last(collation)) {
            self.refused = Some(collation.clone());
            return ControlFlow::Break(());
        }
        let inner = replace(&mut **inner, value(Value::Null));
        *expr = inner;
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(sql: &str) -> String {
        let statements = read(sql).unwrap();
        let texts: Vec<String> = statements.iter().map(Statement::to_string).collect();
        texts.join("; ")
    }

    #[test]
    fn statements_on_other_tables_keep_their_meaning() {
        for sql in [
            "SELECT a.k, (SELECT count(*) FROM c WHERE c.x = a.x) AS n FROM a",
            "SELECT (SELECT max(c.x) FROM c)",
            "SELECT (SELECT x FROM c) AS x",
            "SELECT n FROM (SELECT (SELECT max(c.x) FROM c) AS n FROM a) AS b",
            "SELECT (SELECT v.x FROM (VALUES (1)) AS v (x))",
            "SELECT (SELECT count(*) FROM item) AS n FROM pg_catalog.pg_class",
            "SELECT (SELECT count(*) FROM pg_catalog.pg_class AS c WHERE c.relname = i.name) FROM item AS i",
            "EXPLAIN SELECT (SELECT max(c.x) FROM c)",
            "WITH w AS (SELECT (SELECT max(c.x) FROM c) AS n) SELECT n FROM w",
            "SELECT o.* FROM orders AS o JOIN buyer AS b ON b.id = o.buyer WHERE country = 'DE' ORDER BY town",
            "SELECT k FROM a WHERE x = ANY(l) AND y <> ALL(l)",
            "SELECT abort FROM a",
            "SELECT ARRAY['{a,b}'] FROM a",
        ] {
            assert_eq!(written(sql), sql);
        }
    }

    /// The library would take seconds for twenty levels and hours for forty.
    #[test]
    fn calls_within_calls_are_read_once() {
        let calls = |count: usize, end: &str| {
            format!(
                "SELECT {}oid{} FROM pg_class{end}",
                "abs(".repeat(count),
                ")".repeat(count)
            )
        };
        assert!(read(&calls(40, " x y z")).is_err());
        let statements = read(&calls(40, "")).unwrap();
        assert!(
            statements[0]
                .to_string()
                .contains("FROM pg_catalog.pg_class")
        );
    }

    #[test]
    fn what_leaves_the_meaning_is_written_as_the_planner_takes_it() {
        for (sql, expected) in [
            ("SELECT current_user", "SELECT session_user"),
            ("SELECT pg_catalog.version()", "SELECT version() AS version"),
            ("SELECT k, * FROM a", "SELECT k AS __alias_k, * FROM a"),
            (
                "SELECT s FROM a WHERE s OPERATOR(pg_catalog.~) 'b' ORDER BY s COLLATE \"C\"",
                "SELECT s FROM a WHERE s ~ 'b' ORDER BY s",
            ),
            (
                "SELECT '{\"a,b\",c}'::text[] FROM a",
                "SELECT ARRAY['a,b', 'c']::TEXT[] FROM a",
            ),
            (
                "SELECT a.k FROM a JOIN pg_class ON true",
                "SELECT a.k FROM a JOIN pg_catalog.pg_class ON true",
            ),
            ("ABORT", "ROLLBACK"),
            ("", ""),
            (" ; -- nothing", ""),
        ] {
            assert_eq!(written(sql), expected, "{sql}");
        }
    }

    #[test]
    fn statements_on_the_catalog_alone_are_the_library_s() {
        for (sql, expected) in [
            (
                "SELECT (SELECT d.x FROM pg_attrdef d WHERE d.adrelid = a.attrelid) FROM pg_attribute a",
                "SELECT NULL FROM pg_catalog.pg_attribute a",
            ),
            (
                "SELECT relname COLLATE \"de_DE\" FROM pg_class WHERE oid = ANY(l)",
                "SELECT relname FROM pg_catalog.pg_class WHERE array_contains(l, oid)",
            ),
        ] {
            assert_eq!(written(sql), expected, "{sql}");
        }
    }

    #[test]
    fn other_collations_are_refused() {
        let problem = read("SELECT s FROM a ORDER BY s COLLATE \"de_DE\"").unwrap_err();
        let problem = problem.to_string();
        assert!(problem.contains("compared by their bytes"), "{problem}");
    }
}
