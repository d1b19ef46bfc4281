//! Statements as PostgreSQL reads them, in words that DataFusion takes as SQL means
//! them.

use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::sql::parser::{DFParserBuilder, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::parser::Parser;
use sluice_core::too_many_operators;
use sluice_functions::{
    StatementTooLong, bound_slices, bracket_negative_intervals, compare_rows_by_value,
    compare_with_any, put_into_zones_in_turn,
};
use sluice_syntax::{
    OTHER_NAMES, QUERIES, bracket_misread, cut_limited_texts, fit_numbers, may_have_exponent,
    order_by_inputs, refused_form, text_of,
};

use crate::answer_names::name_answers;
use crate::casts_apart::tell_casts_apart;
use crate::column_names::name_casts;
use crate::positions::put_columns_for_numbers;

/// Words without which nothing is to be mended but comparisons of rows; of AT TIME ZONE the
/// last, because more than a blank may stand between them.
const SIGNS: [&str; 16] = [
    "::", "cast", "char", "zone", "interval", "[", "any", "some", "all", "distinct", "order",
    "rollup", "cube", "grouping", "^", "~",
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

/// Whether a sign may follow another one, beside which it would be written: `--x` is a
/// comment.
fn may_repeat_signs(lower: &str) -> bool {
    lower.match_indices('-').any(|(place, _)| {
        let rest = lower[place + 1..].trim_start();
        rest.starts_with(['-', '/'])
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

/// Why a statement, or the one that it explains, is refused though the planner would
/// take it.
pub(crate) fn refused_in(statement: &DataFusionStatement) -> Option<&'static str> {
    match statement {
        DataFusionStatement::Statement(inner) => refused_form(&**inner),
        DataFusionStatement::Explain(explained) => refused_in(&explained.statement),
        _ => None,
    }
}

/// The same statements in such words; `None` where they are as they should be, or one is
/// refused: it would not be known as such once it is mended.
///
/// # Errors
/// What is wrong with the size of one.
pub(crate) fn mended_text(sql: &str) -> Result<Option<String>, String> {
    let lower = sql.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let has_signs = has(&SIGNED_OPERATORS);
    let has_words = has(&SIGNS) || has(&OTHER_NAMES);
    let is_plain = !has_signs && !has_words && !may_compare_rows(&lower);
    if is_plain && !may_have_exponent(&lower) && !may_repeat_signs(&lower) {
        return Ok(None);
    }
    if let Some(problem) = too_many_operators(sql) {
        return Err(problem);
    }
    // What is wrong with it the library says.
    let Ok(mut statements) = Parser::parse_sql(&QUERIES, sql) else {
        return Ok(None);
    };
    if statements.iter().any(|one| refused_form(one).is_some()) {
        return Ok(None);
    }
    // As text they stand apart.
    let mut is_changed = has_signs;
    for statement in &mut statements {
        is_changed |= mend(statement)?;
    }
    let texts = statements.iter().map(text_of);
    Ok(is_changed.then(|| texts.collect::<Vec<_>>().join("; ")))
}

/// Puts a statement, or the one that it explains, into such words, and names the columns
/// of its answer.
///
/// # Errors
/// What is wrong with its size then.
pub(crate) fn mend_in(statement: &mut DataFusionStatement) -> Result<(), String> {
    match statement {
        DataFusionStatement::Statement(inner) => {
            mend(inner)?;
            name_answers(inner);
            Ok(())
        }
        DataFusionStatement::Explain(explained) => mend_in(&mut explained.statement),
        _ => Ok(()),
    }
}

/// Puts a statement, whose operators were counted, into such words. Whether that
/// changed anything.
///
/// # Errors
/// What is wrong with its size then.
pub(crate) fn mend(statement: &mut Statement) -> Result<bool, String> {
    let has_groups = bracket_misread(statement);
    let has_columns = put_columns_for_numbers(statement);
    let has_orders = order_by_inputs(statement);
    let has_names = name_casts(statement) | tell_casts_apart(statement);
    // Casts that clash with what they cast have got their names.
    let has_limits = cut_limited_texts(statement);
    let has_brackets = bracket_negative_intervals(statement);
    let has_slices = bound_slices(statement);
    let too_long = |problem: StatementTooLong| problem.to_string();
    let has_rows = compare_rows_by_value(statement).map_err(too_long)?;
    let has_quantifiers = compare_with_any(statement).map_err(too_long)?;
    // These write operators of their own.
    if (has_rows || has_quantifiers)
        && let Some(problem) = too_many_operators(&statement.to_string())
    {
        return Err(problem);
    }
    let has_zones = put_into_zones_in_turn(statement);
    let has_numbers = fit_numbers(statement);
    let has_comparisons = has_rows || has_quantifiers || has_numbers;
    let has_casts = has_names || has_limits || has_zones;
    let has_others = has_columns || has_orders || has_brackets || has_slices;
    Ok(has_groups || has_casts || has_comparisons || has_others)
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
            (
                "SELECT s, s::varchar(2) FROM t",
                Some("SELECT s, left(s::VARCHAR, 2) AS \"s_2\" FROM t"),
            ),
            (
                "SELECT varchar(2) 'it''s' AS x",
                Some("SELECT left(VARCHAR 'it''s', 2) AS x"),
            ),
            ("SELECT DISTINCT x ^ 2 FROM t WHERE s ~ 'a'", None),
            ("SELECT x FROM t WHERE x=-1", None),
            ("SELECT - -x FROM t", Some("SELECT -(-x) FROM t")),
            ("SELECT -/* twice */ -x FROM t", Some("SELECT -(-x) FROM t")),
            ("SELECT x - -1, -2 FROM t -- or 3", None),
            (
                "SELECT l[:2], l[2:] FROM t",
                Some("SELECT l[1:2], l[2:2147483647] FROM t"),
            ),
            (
                "SELECT INTERVAL '04:05', INTERVAL '1 day' FROM t",
                Some(
                    "SELECT INTERVAL '0 months 0 days 14700000000000 nanoseconds', INTERVAL '1 day' FROM t",
                ),
            ),
            // What is refused stays, so that it is known.
            (
                "SELECT -x ^ 2, t AT TIME ZONE 'a' AT TIME\nZONE 'b' AT TIME ZONE 'c' FROM t",
                None,
            ),
        ] {
            assert_eq!(mended_text(sql).unwrap().as_deref(), expected, "{sql}");
        }
    }

    #[test]
    fn what_has_too_many_operators_then_is_refused() {
        let row = |value: &str, length: usize| format!("({})", vec![value; length].join(", "));
        let comparison = format!("{} < {}", row("x", 32), row("y", 32));
        let comparisons = |count: usize| vec![comparison.as_str(); count].join(" AND ");
        let rows = vec!["(1, 2)"; 300].join(", ");
        for condition in [
            // 1002 before; 1119 and 1199 only then.
            format!("s::TEXT = 'a' AND {}", vec!["x"; 1000].join(" = ")),
            comparisons(5),
            format!("(x, y) IN ({rows})"),
        ] {
            let problem = mended_text(&format!("SELECT x FROM t WHERE {condition}"));
            let problem = problem.unwrap_err();
            assert!(problem.contains("operators, more than 1000"), "{problem}");
        }
        let problem = mended_text(&format!("SELECT x FROM t WHERE {}", comparisons(400)));
        let problem = problem.unwrap_err();
        assert!(problem.contains("more than 262144 bytes"), "{problem}");
        let few = mended_text(&format!("SELECT x FROM t WHERE {}", comparisons(2)));
        assert!(few.unwrap().is_some());
    }
}
