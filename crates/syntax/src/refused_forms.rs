//! Forms that the planner takes and answers otherwise than PostgreSQL, and that are
//! written in another way as easily: they are refused rather than answered wrongly.
//! So are those of which it would make too much (`planned_size.rs`).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType, ExactNumberInfo, Expr, Function, Query, SetExpr, SetOperator,
    SetQuantifier, TableFactor, TypedString, Visitor,
};

use crate::Part;
use crate::limited_texts::problem_of_type;
use crate::planned_size::problem_of_size;

/// Why a statement is refused, and what to write instead; `None` for all others.
///
/// ```
/// use datafusion::sql::sqlparser::parser::Parser;
/// use sluice_syntax::{QUERIES, refused_form};
///
/// let sql = "SELECT a FROM t WHERE b IN (SELECT c FROM u AS v TABLESAMPLE SYSTEM (1))";
/// let problem = refused_form(&Parser::parse_sql(&QUERIES, sql)?[0]);
/// assert!(problem.is_some_and(|problem| problem.starts_with("TABLESAMPLE is not supported")));
/// assert_eq!(refused_form(&Parser::parse_sql(&QUERIES, "SELECT a FROM t")?[0]), None);
/// # Ok::<(), datafusion::sql::sqlparser::parser::ParserError>(())
/// ```
pub fn refused_form(part: &impl Part) -> Option<&'static str> {
    let mut finder = Finder { problem: None };
    let _ = part.read(&mut finder);
    finder.problem.or_else(|| problem_of_size(part))
}

/// Stops at the first such form.
struct Finder {
    problem: Option<&'static str>,
}

impl Finder {
    fn note(&mut self, problem: Option<&'static str>) -> ControlFlow<()> {
        self.problem = problem;
        match problem {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.note(problem_of_set(&query.body))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.note(problem_of_table(factor))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.note(match expr {
            Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
                problem_of_type(data_type).or_else(|| problem_of_scale(data_type))
            }
            Expr::AtTimeZone { .. } if zones_of(expr) > ZONES_MAX => Some(
                "more than two AT TIME ZONE behind each other are not supported: two of them say what the clocks of one zone show at a time of another, and a third begins again",
            ),
            Expr::Function(call) => problem_of_call(call),
            _ => None,
        })
    }
}

/// Functions that take a function, each with why a call is refused.
macro_rules! taking_functions {
    ($($name:literal),+ $(,)?) => {
        &[$((
            $name,
            concat!(
                "`",
                $name,
                "` takes a function, which is not supported: unnest the list in a subquery, and write what the function says over its values",
            ),
        )),+]
    };
}

/// Those of DataFusion, and their like of other systems.
const TAKING_FUNCTIONS: &[(&str, &str)] = taking_functions![
    "array_any_match",
    "any_match",
    "list_any_match",
    "array_filter",
    "list_filter",
    "array_first",
    "list_first",
    "array_transform",
    "list_transform",
    "array_reduce",
    "list_reduce",
    "reduce",
];

/// A function would be read as a comparison, or as a path into JSON.
fn problem_of_call(call: &Function) -> Option<&'static str> {
    let name = call.name.0.last()?.as_ident()?;
    let mut taking = TAKING_FUNCTIONS.iter();
    let found = taking.find(|(taking, _)| taking.eq_ignore_ascii_case(&name.value));
    found.map(|(_, problem)| *problem)
}

/// The planner divides by zero where it looks for the same number in another type.
fn problem_of_scale(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Numeric(ExactNumberInfo::PrecisionAndScale(_, ..=-1))
        | DataType::Decimal(ExactNumberInfo::PrecisionAndScale(_, ..=-1))
        | DataType::Dec(ExactNumberInfo::PrecisionAndScale(_, ..=-1)) => Some(
            "a decimal with a negative scale is not supported: write round(value, -2) for numeric(n, -2)",
        ),
        DataType::Array(
            ArrayElemTypeDef::AngleBracket(of)
            | ArrayElemTypeDef::SquareBracket(of, _)
            | ArrayElemTypeDef::Parenthesis(of),
        ) => problem_of_scale(of),
        _ => None,
    }
}

/// A third would be put to what the second gives, of which the planner knows no more
/// whether it is a moment or what clocks show.
const ZONES_MAX: usize = 2;

/// How many zones a value is put into, one behind the other.
fn zones_of(mut value: &Expr) -> usize {
    let mut zones = 0;
    loop {
        value = match value {
            Expr::Nested(inner) => inner,
            Expr::AtTimeZone { timestamp, .. } => {
                zones += 1;
                timestamp
            }
            _ => return zones,
        };
    }
}

/// The planner leaves out, or keeps, all rows that are alike.
fn problem_of_set(body: &SetExpr) -> Option<&'static str> {
    let SetExpr::SetOperation {
        left,
        op,
        set_quantifier,
        right,
    } = body
    else {
        return None;
    };
    let is_of_all = matches!(
        set_quantifier,
        SetQuantifier::All | SetQuantifier::AllByName
    );
    if is_of_all && *op != SetOperator::Union {
        return Some(
            "EXCEPT ALL and INTERSECT ALL are not supported: leave out ALL; to count rows that are alike, GROUP BY all columns and compare count(*)",
        );
    }
    problem_of_set(left).or_else(|| problem_of_set(right))
}

/// The planner reads the whole table, and gives rows no numbers.
fn problem_of_table(factor: &TableFactor) -> Option<&'static str> {
    match factor {
        TableFactor::Table {
            sample: Some(_), ..
        }
        | TableFactor::Derived {
            sample: Some(_), ..
        } => Some(
            "TABLESAMPLE is not supported: leave it out, or keep the rows of some keys: WHERE key % 100 = 0",
        ),
        TableFactor::Table {
            name,
            with_ordinality: true,
            ..
        } if name.to_string().eq_ignore_ascii_case("generate_series") => Some(
            "WITH ORDINALITY is not supported: write row_number() OVER (ORDER BY n) beside the numbers",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::QUERIES;

    #[test]
    fn what_would_be_answered_otherwise_is_refused() {
        for (sql, words) in [
            (
                "SELECT a FROM t EXCEPT ALL SELECT a FROM u",
                Some("EXCEPT ALL"),
            ),
            (
                "SELECT 1 UNION SELECT a FROM t INTERSECT ALL SELECT a FROM u",
                Some("INTERSECT ALL"),
            ),
            ("SELECT a::char(3) FROM t", Some("write varchar(n)")),
            ("SELECT CAST(a AS character) FROM t", Some("char(n)")),
            ("SELECT char(2) 'abc'", Some("char(n)")),
            ("SELECT TRY_CAST(a AS char(3)[]) FROM t", Some("char(n)")),
            (
                "SELECT a::varchar(3)[] FROM t",
                Some("an array of varchar(n)"),
            ),
            ("SELECT a::varchar(0) FROM t", Some("from 1 to 10485760")),
            (
                "SELECT (a AT TIME ZONE 'x' AT TIME ZONE 'y') AT TIME ZONE 'z' FROM t",
                Some("more than two AT TIME ZONE"),
            ),
            ("SELECT a AT TIME ZONE 'x' AT TIME ZONE 'y' FROM t", None),
            ("SELECT a::numeric(3, -2) FROM t", Some("round(value, -2)")),
            (
                "SELECT 1 FROM t WHERE a IN (SELECT CAST(b AS decimal(3, -2)[]) FROM u)",
                Some("round(value, -2)"),
            ),
            ("SELECT numeric(3, -2) '100'", Some("round(value, -2)")),
            (
                "SELECT a::numeric(3, 0), b::decimal(3), c::dec FROM t",
                None,
            ),
            (
                "SELECT count(*) FROM t GROUP BY CUBE (a, b, c, d, e, f, g, h, i, j, k, l, m)",
                Some("4096 grouping sets"),
            ),
            (
                "SELECT array_filter(a, x -> x > 1) FROM t",
                Some("`array_filter` takes a function"),
            ),
            (
                "SELECT 1 FROM t WHERE List_Any_Match(a, x -> x > 1)",
                Some("`list_any_match` takes a function"),
            ),
            ("SELECT reduce, array_distinct(a) FROM t", None),
            (
                "SELECT n, i FROM generate_series(3, 5) WITH ORDINALITY AS g(n, i)",
                Some("WITH ORDINALITY is not supported"),
            ),
            ("SELECT n FROM generate_series(3, 5) AS g(n)", None),
            ("SELECT a FROM t UNION ALL SELECT a FROM u", None),
            ("SELECT a FROM t EXCEPT SELECT a FROM u", None),
            ("SELECT a::varchar(3), b::text[] FROM t", None),
            ("SELECT relkind::\"char\", relkind::pg_catalog.char", None),
        ] {
            let statement = Parser::parse_sql(&QUERIES, sql).unwrap().remove(0);
            let found = refused_form(&statement);
            match words {
                Some(words) => assert!(found.unwrap().contains(words), "{sql}: {found:?}"),
                None => assert_eq!(found, None, "{sql}"),
            }
        }
    }
}
