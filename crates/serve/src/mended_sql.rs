//! Statements in words that DataFusion takes as SQL means them.

use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use sluice_functions::{bracket_negative_intervals, compare_rows_by_value, compare_with_any};
use sluice_syntax::text_of;

use crate::column_names::name_casts;
use crate::number_literals::{fit_numbers, may_have_exponent};

/// Words without which nothing is to be mended but comparisons of rows.
const SIGNS: [&str; 7] = ["::", "cast", "time zone", "interval", "any", "some", "all"];

/// How what follows a row begins that is compared with another.
const COMPARISONS: [&str; 8] = ["=", "<", ">", "!", "in", "not", "between", "is"];

/// Whether something in brackets may be compared.
fn may_compare_rows(lower: &str) -> bool {
    lower.match_indices(')').any(|(place, _)| {
        let rest = lower[place + 1..].trim_start();
        COMPARISONS.iter().any(|sign| rest.starts_with(sign))
    })
}

/// The same statements in such words; `None` where they are as they should be.
pub(crate) fn mended_text(sql: &str) -> Option<String> {
    let lower = sql.to_lowercase();
    let has_signs = SIGNS.iter().any(|sign| lower.contains(sign));
    if !has_signs && !may_compare_rows(&lower) && !may_have_exponent(&lower) {
        return None;
    }
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?;
    let mut is_changed = false;
    for statement in &mut statements {
        is_changed |= mend(statement);
    }
    let texts = statements.iter().map(text_of);
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
    let has_rows = compare_rows_by_value(statement);
    let has_quantifiers = compare_with_any(statement);
    let has_numbers = fit_numbers(statement);
    has_names || has_brackets || has_rows || has_quantifiers || has_numbers
}
