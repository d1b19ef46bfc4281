//! Statements in words that DataFusion takes as SQL means them.

use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use sluice_functions::bracket_negative_intervals;

use crate::column_names::name_casts;

/// Words without which nothing is to be mended.
const SIGNS: [&str; 4] = ["::", "cast", "time zone", "interval"];

/// The same statements in such words; `None` where they are as they should be.
pub(crate) fn mended_text(sql: &str) -> Option<String> {
    let lower = sql.to_lowercase();
    if !SIGNS.iter().any(|sign| lower.contains(sign)) {
        return None;
    }
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?;
    let mut is_changed = false;
    for statement in &mut statements {
        is_changed |= mend(statement);
    }
    let texts = statements.iter().map(Statement::to_string);
    is_changed.then(|| texts.collect::<Vec<_>>().join("; "))
}

/// Puts a statement, or the one that it explains, into such words.
pub(crate) fn mend_in(statement: &mut DataFusionStatement) {
    match statement {
        DataFusionStatement::Statement(inner) => {
            mend(inner);
        }
        DataFusionStatement::Explain(explained) => mend_in(&mut explained.statement),
        _ => {}
    }
}

/// Puts a statement into such words. Whether that changed anything.
pub(crate) fn mend(statement: &mut Statement) -> bool {
    let has_names = name_casts(statement);
    let has_brackets = bracket_negative_intervals(statement);
    has_names || has_brackets
}
