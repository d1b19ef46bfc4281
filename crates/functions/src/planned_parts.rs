//! What DataFusion would write more than once of a statement, counted before it does.
//!
//! | expression | what becomes of it |
//! |---|---|
//! | `x BETWEEN a AND b` | `x >= a AND x <= b` |
//! | a condition on what a subquery computes | the same below the subquery, on what that is computed of, wherever it is named |
//! | `(a = b)::int` | it stays, but whether it can be NULL is asked of `a = b` twice |
//!
//! Each inside another doubles it again, so that a few lines take longer than anyone
//! waits; and so do plain views that name the one before them twice. So parts are counted
//! as often as they would stand there, and a statement of too many is refused.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// Parts of one expression that are written again may be so many. Literals do not count,
/// which lists may have very many of.
const REPEATED_PARTS_MAX: u64 = 20_000;

/// Tables, joins, conditions and such of one plan may be so many, those of subqueries and
/// of the plain views that it reads included.
const NODES_MAX: usize = 10_000;

/// So many literals of a list count as one part.
const LITERALS_OF_PART: usize = 100;

/// See the module. It comes before the rules that rewrite expressions, and after those
/// that match types, which write casts.
#[derive(Debug)]
pub(crate) struct PlannedParts;

impl AnalyzerRule for PlannedParts {
    fn name(&self) -> &str {
        "planned_parts"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        check_planned_parts(&plan)?;
        Ok(plan)
    }
}

/// Refuses a plan of which DataFusion would make too much.
///
/// # Errors
/// When it has too many nodes, or an expression would have too many parts.
pub fn check_planned_parts(plan: &LogicalPlan) -> Result<()> {
    check_nodes(plan)?;
    columns_of(plan)?;
    Ok(())
}

fn check_nodes(plan: &LogicalPlan) -> Result<()> {
    let mut nodes = 0;
    plan.apply_with_subqueries(|_| {
        nodes += 1;
        Ok(match nodes > NODES_MAX {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    if nodes > NODES_MAX {
        return plan_err!(
            "the statement is too long: its plan has more than {NODES_MAX} tables, joins and conditions, those of the plain views that it reads included: read such a view less often, or make it a materialized one"
        );
    }
    Ok(())
}

/// The parts of an expression.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Parts {
    /// How many there are.
    written: u64,
    /// How many there would be.
    planned: u64,
}

impl Parts {
    fn of_one(planned: u64) -> Self {
        Self {
            written: 1,
            planned,
        }
    }

    /// Those of what is written once and planned twice.
    fn twice(self) -> Self {
        Self {
            planned: self.planned.saturating_mul(2),
            ..self
        }
    }

    fn add(&mut self, other: Self) {
        self.written = self.written.saturating_add(other.written);
        self.planned = self.planned.saturating_add(other.planned);
    }

    fn check(self) -> Result<()> {
        let repeated = self.planned.saturating_sub(self.written);
        if repeated > REPEATED_PARTS_MAX {
            return plan_err!(
                "the statement is too long: {repeated} parts of an expression would stand in it more than once, and {REPEATED_PARTS_MAX} are the most, because BETWEEN is written as two comparisons, and a condition on what a subquery computes as one on what that is made of: put fewer BETWEEN and casts around each other, or compute such a value in a view"
            );
        }
        Ok(())
    }
}

/// The columns that expressions read, and what each of them would be written as.
struct Read<'a>(Vec<(&'a DFSchema, &'a [u64])>);

impl Read<'_> {
    fn planned(&self, column: &Column) -> u64 {
        let mut found = self.0.iter().filter_map(|(schema, columns)| {
            let index = schema.maybe_index_of_column(column)?;
            columns.get(index).copied()
        });
        found.next().unwrap_or(1)
    }
}

/// How many parts a condition on each column of a plan would have for it, once it stands
/// below all that computes the column.
fn columns_of(plan: &LogicalPlan) -> Result<Vec<u64>> {
    plan.apply_subqueries(|subquery| {
        columns_of(subquery)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    let as_columns = Read(Vec::new());
    plan.apply_expressions(|expression| {
        parts_of(expression, &as_columns)?.check()?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    let inputs = plan.inputs();
    let columns: Vec<Vec<u64>> = inputs
        .iter()
        .copied()
        .map(columns_of)
        .collect::<Result<_>>()?;
    let are_plain = columns.iter().flatten().all(|parts| *parts <= 1);
    let read = match are_plain {
        true => as_columns,
        false => {
            let schemas = inputs.iter().map(|input| &**input.schema());
            Read(schemas.zip(columns.iter().map(Vec::as_slice)).collect())
        }
    };
    let planned = |expression: &Expr| -> Result<u64> { Ok(parts_of(expression, &read)?.planned) };
    Ok(match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().map(planned).collect::<Result<_>>()?
        }
        LogicalPlan::Filter(filter) => {
            parts_of(&filter.predicate, &read)?.check()?;
            columns.concat()
        }
        LogicalPlan::Join(join) => {
            let sides = join.on.iter().flat_map(|(left, right)| [left, right]);
            for condition in sides.chain(&join.filter) {
                parts_of(condition, &read)?.check()?;
            }
            columns.concat()
        }
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => columns.concat(),
        // Below grouping sets no condition stands.
        LogicalPlan::Aggregate(aggregate)
            if !matches!(aggregate.group_expr[..], [Expr::GroupingSet(_)]) =>
        {
            let keys = aggregate.group_expr.iter().map(planned);
            let mut columns = keys.collect::<Result<Vec<u64>>>()?;
            columns.resize(aggregate.schema.fields().len(), 1);
            columns
        }
        LogicalPlan::Window(window) => {
            let mut columns = columns.concat();
            columns.resize(window.schema.fields().len(), 1);
            columns
        }
        LogicalPlan::Aggregate(aggregate) => vec![1; aggregate.schema.fields().len()],
        other => {
            let most = columns.iter().flatten().max().copied().unwrap_or(1);
            vec![most; other.schema().fields().len()]
        }
    })
}

fn parts_of(expression: &Expr, read: &Read<'_>) -> Result<Parts> {
    let mut parts = Parts::of_one(1);
    match expression {
        Expr::Literal(..) => return Ok(Parts::default()),
        Expr::Column(column) => return Ok(Parts::of_one(read.planned(column))),
        Expr::Alias(alias) => return parts_of(&alias.expr, read),
        Expr::InList(inside) if inside.list.iter().all(is_literal) => {
            let list = (inside.list.len() / LITERALS_OF_PART) as u64;
            parts.add(Parts {
                written: list,
                planned: list,
            });
            parts.add(parts_of(&inside.expr, read)?);
        }
        Expr::Between(between) => {
            parts.add(parts_of(&between.expr, read)?.twice());
            parts.add(parts_of(&between.low, read)?);
            parts.add(parts_of(&between.high, read)?);
        }
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. })
            if is_asked_twice(expr) =>
        {
            parts.add(parts_of(expr, read)?.twice());
        }
        other => {
            other.apply_children(|inner| {
                parts.add(parts_of(inner, read)?);
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
    }
    Ok(parts)
}

fn is_literal(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(..))
}

/// Whether a cast of it asks it twice for what it can be.
fn is_asked_twice(expression: &Expr) -> bool {
    match expression {
        Expr::BinaryExpr(_)
        | Expr::Between(_)
        | Expr::InList(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_) => true,
        Expr::Alias(alias) => is_asked_twice(&alias.expr),
        Expr::Not(inner) => is_asked_twice(inner),
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => is_asked_twice(expr),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use datafusion::functions_aggregate::expr_fn::max;
    use datafusion::logical_expr::{LogicalPlanBuilder, cast, col, lit};

    use super::*;

    const NUMBER: &str = "column1";

    fn values() -> LogicalPlanBuilder {
        let row = vec![lit(1_i64), lit(true)];
        LogicalPlanBuilder::values(vec![row]).unwrap()
    }

    fn problem(plan: LogicalPlanBuilder) -> Option<String> {
        let plan = plan.build().unwrap();
        let found = PlannedParts.analyze(plan, &ConfigOptions::default());
        found.err().map(|error| error.to_string())
    }

    /// What is wrong with a value that stands inside the others.
    fn problem_of(times: usize, value: Expr, around: fn(Expr) -> Expr) -> Option<String> {
        let mut value = value;
        for _ in 0..times {
            value = around(value);
        }
        let in_condition = values().filter(value.clone().is_null()).unwrap();
        let found = problem(in_condition);
        let in_values = values().project(vec![value]).unwrap();
        assert_eq!(problem(in_values).is_some(), found.is_some());
        found
    }

    #[test]
    fn what_stands_in_between_counts_twice() {
        let around = |value: Expr| value.between(lit(false), lit(true));
        // 3 * 2^n - 1 parts, of which n + 2 are written.
        assert_eq!(problem_of(12, col("column2").is_true(), around), None);
        let found = problem_of(13, col("column2").is_true(), around).unwrap();
        assert!(found.contains(" 24560 parts of an expression"), "{found}");
        let found = problem_of(200, col("column2"), around).unwrap();
        assert!(found.contains("the statement is too long"), "{found}");
        let bounds = |value: Expr| lit(1_i64).between(value, lit(2_i64));
        assert_eq!(problem_of(100, col("column2"), bounds), None);
    }

    #[test]
    fn comparisons_in_casts_count_twice() {
        let around = |value: Expr| cast(value.eq(lit(1_i64)), DataType::Int64);
        assert_eq!(problem_of(12, col(NUMBER), around), None);
        // 4 * 2^n - 3 parts, of which 2 n + 1 are written.
        let found = problem_of(13, col(NUMBER), around).unwrap();
        assert!(found.contains(" 32738 parts of an expression"), "{found}");
        let casts = |value: Expr| cast(cast(value, DataType::Utf8), DataType::Int64);
        assert_eq!(problem_of(50, col(NUMBER), casts), None);
    }

    #[test]
    fn conditions_are_counted_where_they_will_stand() {
        let doubled = |times: usize| {
            let mut plan = values();
            for _ in 0..times {
                let sum = (col(NUMBER) + col(NUMBER)).alias(NUMBER);
                plan = plan.project(vec![sum]).unwrap();
            }
            plan
        };
        let above = || col(NUMBER).gt(lit(3_i64));
        // 2^(n + 1) parts.
        assert_eq!(problem(doubled(13).filter(above()).unwrap()), None);
        let found = problem(doubled(14).filter(above()).unwrap()).unwrap();
        assert!(found.contains(" 32766 parts of an expression"), "{found}");
        // Without a condition each is computed of the one before it.
        assert_eq!(problem(doubled(100)), None);
        let none: Vec<Expr> = Vec::new();
        let greatest = max(col(NUMBER)).alias(NUMBER);
        let of_all = doubled(14).aggregate(none.clone(), vec![greatest]).unwrap();
        assert_eq!(problem(of_all.filter(above()).unwrap()), None);
        let of_groups = doubled(14).aggregate(vec![col(NUMBER)], none).unwrap();
        assert!(problem(of_groups.filter(above()).unwrap()).is_some());
    }

    #[test]
    fn literals_hardly_count() {
        let list = (0..200_000_i64).map(lit).collect();
        let inside = col(NUMBER).in_list(list, false).alias("inside");
        let plan = values().project(vec![inside]).unwrap();
        assert_eq!(problem(plan.filter(col("inside")).unwrap()), None);
        let dates = (0..30_000_i64).map(|day| cast(lit(day), DataType::Date64));
        let dates = col(NUMBER).in_list(dates.collect(), false);
        assert_eq!(problem(values().filter(dates).unwrap()), None);
    }

    #[test]
    fn plans_have_an_end() {
        let doubled = |times: usize| {
            let mut plan = values().build().unwrap();
            for _ in 0..times {
                let twice = LogicalPlanBuilder::from(plan.clone()).union(plan);
                plan = twice.unwrap().build().unwrap();
            }
            LogicalPlanBuilder::from(plan)
        };
        assert_eq!(problem(doubled(8)), None);
        let found = problem(doubled(40)).unwrap();
        assert!(found.contains("more than 10000 tables"), "{found}");
    }
}
