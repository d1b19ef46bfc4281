//! Statements as PostgreSQL reads them, in words that DataFusion takes as SQL means
//! them.

use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::sql::parser::{DFParserBuilder, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::parser::Parser;
use sluice_functions::{bracket_negative_intervals, compare_rows_by_value, compare_with_any};
use sluice_syntax::{QUERIES, bracket_misread, has_sample, order_by_inputs, text_of};

use crate::column_names::name_casts;
use crate::number_literals::{fit_numbers, may_have_exponent};

/// Why a statement with TABLESAMPLE is refused.
pub(crate) const SAMPLED: &str = "TABLESAMPLE is not supported: leave it out, or keep the rows of some keys: WHERE key % 100 = 0";

/// Words without which nothing is to be mended but comparisons of rows.
const SIGNS: [&str; 11] = [
    "::",
    "cast",
    "time zone",
    "interval",
    "any",
    "some",
    "all",
    "distinct",
    "order",
    "^",
    "~",
];

/// Operators with a sign behind them, which the library takes for one operator.
const SIGNED_OPERATORS: [&str; 10] = [">-", ">=-", "|-", "&-", "%-", ">+", ">=+", "|+", "&+", "%+"];

/// How what follows a row begins that is compared with another.
const COMPARISONS: [&str; 8] = ["=", "<", ">", "!", "in", "not", "between", "is"];

/// Whether something in brackets may be compared.
fn may_compare_rows(lower: &str) -> bool {
    lower.match_indices(')').any(|(place, _)| {
        let rest = lower[place + 1..].trim_start();
        COMPARISONS.iter().any(|sign| rest.starts_with(sign))
    })
}

/// One statement, DataFusion's own forms among them.
///
/// # Errors
/// When it is wrong, or none, or several.
pub(crate) fn read_statement(sql: &str, state: &SessionState) -> Result<DataFusionStatement> {
    let levels_max = state.config_options().sql_parser.recursion_limit.get();
    let reader = DFParserBuilder::new(sql)
        .with_dialect(&QUERIES)
        .with_recursion_limit(levels_max);
    let mut statements = reader.build()?.parse_statements()?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        _ => plan_err!("write one statement"),
    }
}

/// Whether a statement, or the one that it explains, has TABLESAMPLE.
pub(crate) fn is_sampled(statement: &DataFusionStatement) -> bool {
    match statement {
        DataFusionStatement::Statement(inner) => has_sample(&**inner),
        DataFusionStatement::Explain(explained) => is_sampled(&explained.statement),
        _ => false,
    }
}

/// The same statements in such words; `None` where they are as they should be.
pub(crate) fn mended_text(sql: &str) -> Option<String> {
    let lower = sql.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let has_signs = has(&SIGNED_OPERATORS);
    let is_plain = !has_signs && !has(&SIGNS) && !may_compare_rows(&lower);
    if is_plain && !may_have_exponent(&lower) {
        return None;
    }
    let mut statements = Parser::parse_sql(&QUERIES, sql).ok()?;
    // As text they stand apart.
    let mut is_changed = has_signs;
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
    let has_groups = bracket_misread(statement);
    let has_orders = order_by_inputs(statement);
    let has_names = name_casts(statement);
    let has_brackets = bracket_negative_intervals(statement);
    let has_rows = compare_rows_by_value(statement);
    let has_quantifiers = compare_with_any(statement);
    let has_numbers = fit_numbers(statement);
    let has_comparisons = has_rows || has_quantifiers || has_numbers;
    has_groups || has_orders || has_names || has_brackets || has_comparisons
}

#[cfg(test)]
mod tests {
    use super::mended_text;

    #[test]
    fn what_the_library_would_group_otherwise_is_in_brackets() {
        for (sql, expected) in [
            (
                "SELECT a FROM t WHERE b IS DISTINCT FROM true AND x > 0",
                Some("SELECT a FROM t WHERE (b IS DISTINCT FROM true) AND x > 0"),
            ),
            ("SELECT -x ^ 2 FROM t", Some("SELECT (-x) ^ 2 FROM t")),
            (
                "SELECT s ~ 'a' || 'b' FROM t",
                Some("SELECT (s ~ 'a') || 'b' FROM t"),
            ),
            (
                "SELECT 'it''s' FROM t WHERE x>-1",
                Some("SELECT 'it''s' FROM t WHERE x > -1"),
            ),
            ("SELECT DISTINCT x ^ 2 FROM t WHERE s ~ 'a'", None),
            ("SELECT x FROM t WHERE x=-1", None),
        ] {
            assert_eq!(mended_text(sql).as_deref(), expected, "{sql}");
        }
    }
}
