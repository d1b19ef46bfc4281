//! The rows behind figures: the first ones of each kind, beside how many there are.
//!
//! They are counted before they are read, so that of many rows only the first ones are
//! kept in memory; both are done on one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Column;
use datafusion::error::Result;
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Sort, lit};

use crate::{QueryEngine, QueryResult, ServeError};

/// The column by which a detail says for which figure each of its rows counts.
pub(super) const COUNTS_FOR: &str = "counts_for";
/// Each kind of which not all rows are given is a query.
const KINDS_MAX: usize = 50;

pub(super) const KINDS_HELP: &str =
    "it is a text that says for which figure a row counts, such as 'paid'";

/// How many rows a detail has, however many of them are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowTotals {
    pub(crate) all: u64,
    /// By what they count for, where the detail says it.
    pub(crate) by_kind: Option<BTreeMap<String, u64>>,
}

/// How many rows count for the same, by what it is; `None` where they do not say it.
type Kinds = BTreeMap<Option<String>, u64>;

/// The first rows of a detail, `rows_max` of each kind, and how many there are. Those of
/// a kind stand in the order of the query.
///
/// # Errors
/// When a query fails, or there are too many kinds.
pub(super) async fn first_rows(
    engine: &QueryEngine,
    plan: &LogicalPlan,
    rows_max: usize,
) -> Result<(QueryResult, RowTotals), ServeError> {
    let column = kind_column(plan);
    let work = async {
        let counted = counting(plan, column.clone())?;
        let mut found = engine.run(async { Ok(counted) }).await?;
        let kinds = kinds_of(&found, column.is_some())?;
        if kinds.len() > KINDS_MAX {
            let problem = format!(
                "the detail has {} kinds of rows in `{COUNTS_FOR}`, more than {KINDS_MAX}",
                kinds.len()
            );
            return Err(ServeError::Query(problem));
        }
        found.batches.clear();
        for rows in reading(plan, column, &kinds, rows_max)? {
            let part = engine.run(async { Ok(rows) }).await?;
            found.pinned.add(part.pinned);
            found.schema = part.schema;
            found.batches.extend(part.batches);
        }
        Ok::<_, ServeError>((found, kinds))
    };
    let (found, kinds) = engine.on_one_snapshot(work).await?;
    let all: u64 = kinds.values().sum();
    let by_kind = kind_column(plan).map(|_| kinds.into_iter().map(named).collect());
    Ok((found, RowTotals { all, by_kind }))
}

fn named((kind, rows): (Option<String>, u64)) -> (String, u64) {
    // As the page writes it.
    (kind.unwrap_or_else(|| "null".to_owned()), rows)
}

fn kind_column(plan: &LogicalPlan) -> Option<Expr> {
    let schema = plan.schema();
    let place = schema.index_of_column_by_name(None, COUNTS_FOR)?;
    Some(Expr::Column(Column::from(schema.qualified_field(place))))
}

/// Counts the rows of a plan, those of each kind by themselves.
fn counting(plan: &LogicalPlan, column: Option<Expr>) -> Result<LogicalPlan> {
    let rows = match plan {
        // Nothing is counted faster in order.
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => sort.input.as_ref(),
        other => other,
    };
    let rows = LogicalPlanBuilder::from(rows.clone());
    rows.aggregate(column, [count_all()])?.build()
}

/// What [`counting`] found.
fn kinds_of(counted: &QueryResult, has_names: bool) -> Result<Kinds, ServeError> {
    let mut kinds = Kinds::new();
    for batch in &counted.batches {
        let (Some(first), Some(last)) = (batch.columns().first(), batch.columns().last()) else {
            continue;
        };
        let names = has_names
            .then(|| cast(first, &DataType::Utf8))
            .transpose()?;
        let counts = cast(last, &DataType::Int64)?;
        let counts = counts.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let names = names.as_ref().map(|names| names.as_string::<i32>());
            let name = names.filter(|names| names.is_valid(row));
            let name = name.map(|names| names.value(row).to_owned());
            kinds.insert(name, u64::try_from(counts.value(row)).unwrap_or(0));
        }
    }
    Ok(kinds)
}

/// The plans that read the first rows of each kind: one where none has more than those.
fn reading(
    plan: &LogicalPlan,
    column: Option<Expr>,
    kinds: &Kinds,
    rows_max: usize,
) -> Result<Vec<LogicalPlan>> {
    if kinds.values().all(|rows| *rows <= rows_max as u64) {
        return Ok(vec![plan.clone()]);
    }
    let first = |kind: &Option<String>| {
        let rows = match (&column, kind) {
            (None, _) => plan.clone(),
            (Some(column), Some(kind)) => filtered(plan, column.clone().eq(lit(kind.as_str())))?,
            (Some(column), None) => filtered(plan, column.clone().is_null())?,
        };
        let rows = LogicalPlanBuilder::from(rows);
        rows.limit(0, Some(rows_max))?.build()
    };
    kinds.keys().map(first).collect()
}

/// The rows of a plan for which a condition holds, in its order.
fn filtered(plan: &LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => Ok(LogicalPlan::Sort(Sort {
            input: Arc::new(filtered(&sort.input, condition)?),
            ..sort.clone()
        })),
        other => LogicalPlanBuilder::from(other.clone())
            .filter(condition)?
            .build(),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;

    use super::*;
    use crate::panels::one_panel::one_panel;
    use crate::panels::{PanelAnswer, Part};

    const PANEL: &str = "title = { en = \"One\", zh = \"一\" }
subject = \"own\"
chart = \"number\"
query = \"SELECT 1 AS n\"
[detail]
";
    const KINDS: &str = "query = \"SELECT counts_for, n FROM (VALUES ('paid', 3), ('ordered', 1), \
        ('paid', 5), ('ordered', 2), ('paid', 4), (NULL, 9)) AS r(counts_for, n) WHERE n < 10 \
        ORDER BY n DESC\"\n";

    /// The last column of a detail, and how many rows it has.
    fn ask(detail: &str, part: Part) -> Result<(Vec<i64>, Option<RowTotals>), String> {
        let one = one_panel(&format!("{PANEL}{detail}"))?;
        let values = one.panel.values(part, |_| None, 0)?;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let answer = runtime.block_on(PanelAnswer::ask(&one.engine, one.panel, part, values));
        let answer = answer.map_err(|error| error.to_string())?;
        let mut numbers = Vec::new();
        for batch in &answer.result.batches {
            let last = batch.columns().last().unwrap();
            for row in 0..batch.num_rows() {
                match ScalarValue::try_from_array(last, row).unwrap() {
                    ScalarValue::Int64(Some(number)) => numbers.push(number),
                    other => panic!("{other:?}"),
                }
            }
        }
        Ok((numbers, answer.totals))
    }

    fn totals(all: u64, by_kind: &[(&str, u64)]) -> Option<RowTotals> {
        let by_kind = by_kind.iter();
        let by_kind = by_kind.map(|(kind, rows)| ((*kind).to_owned(), *rows));
        Some(RowTotals {
            all,
            by_kind: Some(by_kind.collect()),
        })
    }

    #[test]
    fn the_first_rows_of_each_kind_are_given_and_all_are_counted() {
        let six = totals(6, &[("null", 1), ("ordered", 2), ("paid", 3)]);
        // One kind after the other, each in the order of the query.
        let found = ask(&format!("limit = 2\n{KINDS}"), Part::Detail).unwrap();
        assert_eq!(found, (vec![9, 2, 1, 5, 4], six.clone()));
        let found = ask(&format!("limit = 1\n{KINDS}"), Part::Detail).unwrap();
        assert_eq!(found, (vec![9, 2, 5], six.clone()));
        // Where no kind has more they stand as the query has them.
        let all = vec![9, 5, 4, 3, 2, 1];
        let found = ask(&format!("limit = 3\n{KINDS}"), Part::Detail).unwrap();
        assert_eq!(found, (all.clone(), six));
        let found = ask(&format!("limit = 2\n{KINDS}"), Part::WholeDetail).unwrap();
        assert_eq!(found, (all, None));
        let none = KINDS.replace("n < 10", "n > 10");
        assert_eq!(ask(&none, Part::Detail).unwrap(), (vec![], totals(0, &[])));
    }

    #[test]
    fn rows_of_one_kind_are_counted_together() {
        let detail =
            "limit = 2\nquery = \"SELECT n FROM (VALUES (1), (3), (2)) AS r(n) ORDER BY n DESC\"\n";
        let three = RowTotals {
            all: 3,
            by_kind: None,
        };
        let found = ask(detail, Part::Detail).unwrap();
        assert_eq!(found, (vec![3, 2], Some(three)));
        // What the query leaves out itself is not counted.
        let found = ask(&detail.replace("DESC", "DESC LIMIT 1"), Part::Detail);
        assert_eq!(found.unwrap().1.unwrap().all, 1);
    }

    #[test]
    fn limits_and_kinds_that_cannot_be_are_refused() {
        let refused = |detail: &str| ask(detail, Part::Detail).unwrap_err();
        for limit in ["0", "100001"] {
            let problem = refused(&format!("limit = {limit}\n{KINDS}"));
            assert_eq!(problem, format!("a detail cannot give {limit} rows"));
        }
        let problem = refused("query = \"SELECT 1 AS counts_for\"\n");
        assert_eq!(problem, "detail query: `counts_for` is of the type Int64");
        let kinds: Vec<String> = (0..=KINDS_MAX).map(|kind| format!("('{kind}')")).collect();
        let problem = refused(&format!(
            "query = \"SELECT counts_for FROM (VALUES {}) AS r(counts_for)\"\n",
            kinds.join(", ")
        ));
        assert_eq!(
            problem,
            "the detail has 51 kinds of rows in `counts_for`, more than 50"
        );
    }
}
