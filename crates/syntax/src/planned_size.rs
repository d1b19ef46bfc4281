//! How much the planner makes of a short statement: it puts a table of WITH wherever that
//! is named, compares with ANY or ALL of a subquery by several subqueries, goes through
//! one inside another twice for each around it, and groups by every grouping set. Each
//! inside another multiplies, so that a few lines take longer than anyone waits, and a
//! statement that is being planned cannot be stopped.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::ptr;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, ObjectName, Query, Select, TableFactor, Visitor,
};

use crate::Part;
use crate::order_by_inputs::plain;

/// Selects and tables that stand in a plan more often than in the statement may be so
/// many.
const REPEATED_MAX: u64 = 1_000;

/// The planner may come to selects and tables so often: sixteen subqueries that stand in
/// each other's conditions.
const VISITS_MAX: u64 = 1 << 18;

/// Grouping sets that one GROUP BY may have, as in PostgreSQL.
const GROUPING_SETS_MAX: u64 = 4_096;

/// Why a statement is refused for what the planner would make of it.
pub(crate) fn problem_of_size(part: &impl Part) -> Option<&'static str> {
    let mut counter = Counter {
        around: vec![Around::default()],
        written: 0,
        has_many_sets: false,
    };
    let _ = part.read(&mut counter);
    if counter.has_many_sets {
        return Some(
            "GROUP BY has more than 4096 grouping sets, of which CUBE of n columns has two to the power of n: write those that are asked for with GROUPING SETS",
        );
    }
    let planned = counter.around.first().map(|all| all.size)?;
    if planned.parts.saturating_sub(counter.written) > REPEATED_MAX {
        return Some(
            "the statement is too long: more than 1000 selects and tables would stand in its plan more than once, because each table of WITH is written wherever it is named, and a subquery behind ANY or ALL several times: name them less often, or make a view of one",
        );
    }
    (planned.visits > VISITS_MAX).then_some(
        "subqueries stand too deep inside each other, each in a condition or a value of the one around it: write some of them as joins, or divide the statement",
    )
}

/// Selects and tables.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// How many a plan has.
    parts: u64,
    /// How often the planner comes to them.
    visits: u64,
}

/// A select or table by itself, and a query that stands once where it is written.
const ONE: Size = Size {
    parts: 1,
    visits: 1,
};

/// How often a subquery in an expression counts.
const IN_EXPRESSION: Size = Size {
    parts: 1,
    visits: 2,
};

/// How often one counts whose values are compared with ANY or ALL.
const COMPARED: Size = Size {
    parts: 4,
    visits: 4,
};

impl Size {
    fn add(&mut self, other: Self, times: Self) {
        let parts = other.parts.saturating_mul(times.parts);
        let visits = other.visits.saturating_mul(times.visits);
        self.parts = self.parts.saturating_add(parts);
        self.visits = self.visits.saturating_add(visits);
    }
}

/// A query around the place that is looked at.
#[derive(Debug, Default)]
struct Around {
    /// What was counted of it by now.
    size: Size,
    /// Its tables of WITH that were counted.
    tables: BTreeMap<String, Size>,
    /// The queries of those that were not, by where they are in memory.
    named: BTreeMap<*const Query, String>,
    /// How often subqueries in its expressions count.
    times: BTreeMap<*const Query, Size>,
}

struct Counter {
    /// The innermost last. The first is the statement.
    around: Vec<Around>,
    /// Selects and tables in the text.
    written: u64,
    has_many_sets: bool,
}

impl Counter {
    fn count(&mut self, size: Size) {
        if let Some(query) = self.around.last_mut() {
            query.size.add(size, ONE);
        }
    }

    /// What a table of WITH is made of; `None` for other tables.
    fn table_of_with(&self, name: &ObjectName) -> Option<Size> {
        let [part] = &name.0[..] else {
            return None;
        };
        let name = plain(part.as_ident()?);
        let mut around = self.around.iter().rev();
        around.find_map(|query| query.tables.get(&name).copied())
    }
}

impl Visitor for Counter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        let named = tables.map(|table| (ptr::from_ref(&*table.query), plain(&table.alias.name)));
        self.around.push(Around {
            named: named.collect(),
            ..Around::default()
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Some(inner) = self.around.pop() else {
            return ControlFlow::Continue(());
        };
        let Some(outer) = self.around.last_mut() else {
            return ControlFlow::Continue(());
        };
        let place = ptr::from_ref(query);
        match outer.named.remove(&place) {
            Some(name) => {
                outer.tables.insert(name, inner.size);
            }
            None => {
                let times = outer.times.remove(&place).unwrap_or(ONE);
                outer.size.add(inner.size, times);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.written += 1;
        self.count(ONE);
        self.has_many_sets |= grouping_sets(&select.group_by) > GROUPING_SETS_MAX;
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.written += 1;
        self.count(ONE);
        if let TableFactor::Table {
            name, args: None, ..
        } = factor
            && let Some(size) = self.table_of_with(name)
        {
            self.count(size);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let found = match expr {
            Expr::Exists { subquery, .. }
            | Expr::InSubquery { subquery, .. }
            | Expr::Subquery(subquery) => Some((&**subquery, IN_EXPRESSION)),
            Expr::AnyOp {
                compare_op, right, ..
            } => compared(right, *compare_op == BinaryOperator::Eq),
            Expr::AllOp {
                compare_op, right, ..
            } => compared(right, *compare_op == BinaryOperator::NotEq),
            _ => None,
        };
        if let (Some((subquery, times)), Some(query)) = (found, self.around.last_mut()) {
            let place = ptr::from_ref(subquery);
            // A comparison is seen before its subquery is by itself.
            query.times.entry(place).or_insert(times);
        }
        ControlFlow::Continue(())
    }
}

/// What stands behind ANY or ALL, where that is a subquery. Of some comparisons IN is
/// made.
fn compared(right: &Expr, is_as_in: bool) -> Option<(&Query, Size)> {
    let times = match is_as_in {
        true => IN_EXPRESSION,
        false => COMPARED,
    };
    match right {
        Expr::Nested(inner) => compared(inner, is_as_in),
        Expr::Subquery(subquery) => Some((&**subquery, times)),
        _ => None,
    }
}

/// Each of those of one key with each of those of the others.
fn grouping_sets(group_by: &GroupByExpr) -> u64 {
    let GroupByExpr::Expressions(keys, _) = group_by else {
        return 1;
    };
    let sets = keys.iter().map(|key| match key {
        Expr::Cube(columns) => 1_u64
            .checked_shl(columns.len().try_into().unwrap_or(u32::MAX))
            .unwrap_or(u64::MAX),
        Expr::Rollup(columns) => columns.len() as u64 + 1,
        Expr::GroupingSets(sets) => sets.len() as u64,
        _ => 1,
    });
    sets.fold(1, u64::saturating_mul)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::{MODELS, QUERIES};

    fn problem(sql: &str) -> Option<&'static str> {
        let [of_queries, of_models] = [QUERIES, MODELS].map(|dialect| {
            let parser = Parser::new(&dialect).with_recursion_limit(1_000);
            let parser = parser.try_with_sql(sql);
            let statement = parser.unwrap().parse_statement().unwrap();
            problem_of_size(&statement)
        });
        assert_eq!(of_queries, of_models);
        of_queries
    }

    /// Tables of WITH, each made of the one before it.
    fn chain(length: usize, of_one_before: &str) -> String {
        let mut tables = vec!["c0 AS (SELECT x FROM t)".to_owned()];
        for number in 1..=length {
            let query = of_one_before.replace("BEFORE", &format!("C{}", number - 1));
            tables.push(format!("c{number} AS ({query})"));
        }
        let tables = tables.join(", ");
        format!("WITH {tables} SELECT x FROM c{length}")
    }

    /// A condition inside others.
    fn nested(levels: usize, around: &str) -> String {
        let mut condition = "x > 1".to_owned();
        for _ in 0..levels {
            condition = around.replace("INSIDE", &condition);
        }
        format!("SELECT x FROM t WHERE {condition}")
    }

    #[test]
    fn tables_of_with_count_wherever_they_are_named() {
        // Of the first kind the last table has 5 * 2^n - 3 parts, which are 2, then 3 and
        // twice those before: 297 are not written for n of 6, and 1251 for 8.
        for twice in [
            "SELECT a.x FROM BEFORE AS a JOIN BEFORE AS b ON a.x = b.x",
            "SELECT a.x FROM BEFORE AS a, (WITH t AS (SELECT 1) SELECT * FROM BEFORE) AS b",
        ] {
            assert_eq!(problem(&chain(6, twice)), None);
            let found = problem(&chain(8, twice)).unwrap();
            assert!(found.contains("more than 1000 selects"), "{found}");
            assert_eq!(problem(&chain(200, twice)), Some(found));
        }
        let once = "SELECT x + 1 AS x FROM BEFORE WHERE x > 1";
        assert_eq!(problem(&chain(300, once)), None);
        // Another table of that name, and one in quotes.
        let other = "SELECT x FROM s.BEFORE UNION SELECT x FROM \"BEFORE\"";
        assert_eq!(problem(&chain(300, other)), None);
    }

    #[test]
    fn subqueries_in_expressions_count_twice_for_each_around_them() {
        // 2^(n + 2) - 2 visits: a select and a table each.
        for (around, most) in [
            ("EXISTS (SELECT 1 FROM t WHERE INSIDE)", 16),
            ("x NOT IN (SELECT x FROM t WHERE INSIDE)", 16),
            ("x = ANY (SELECT x FROM t WHERE INSIDE)", 16),
            ("x <> ALL (SELECT x FROM t WHERE INSIDE)", 16),
            ("x = (SELECT max(x) FROM t WHERE INSIDE)", 16),
        ] {
            assert_eq!(problem(&nested(most, around)), None, "{around}");
            let found = problem(&nested(most + 1, around)).unwrap();
            assert!(found.contains("too deep inside each other"), "{found}");
        }
        let of_one_before = "SELECT x FROM t WHERE x IN (SELECT x FROM BEFORE)";
        assert_eq!(problem(&chain(15, of_one_before)), None);
        assert!(problem(&chain(16, of_one_before)).is_some());
        let many = vec!["EXISTS (SELECT 1 FROM t)"; 200].join(" AND ");
        assert_eq!(problem(&format!("SELECT 1 WHERE {many}")), None);
    }

    #[test]
    fn comparisons_with_any_and_all_are_several_subqueries() {
        // (2 * 4^(n + 1) - 2) / 3 parts: 682 after 4, 2730 after 5.
        for around in [
            "x < ANY (SELECT x FROM t WHERE INSIDE)",
            "x <> SOME (SELECT x FROM t WHERE INSIDE)",
            "x = ALL (SELECT x FROM t WHERE INSIDE)",
        ] {
            assert_eq!(problem(&nested(4, around)), None, "{around}");
            let found = problem(&nested(5, around)).unwrap();
            assert!(found.contains("behind ANY or ALL"), "{found}");
        }
    }

    #[test]
    fn grouping_sets_are_counted() {
        let columns = |count: usize| vec!["x"; count].join(", ");
        for (keys, is_refused) in [
            (format!("CUBE ({})", columns(12)), false),
            (format!("CUBE ({})", columns(13)), true),
            (format!("CUBE ({})", columns(100)), true),
            (
                format!("ROLLUP ({}), ROLLUP ({})", columns(63), columns(63)),
                false,
            ),
            (
                format!("ROLLUP ({}), ROLLUP ({})", columns(64), columns(63)),
                true,
            ),
            (
                format!("CUBE ({}), GROUPING SETS ((x), ())", columns(11)),
                false,
            ),
            (
                format!("CUBE ({}), GROUPING SETS ((x), (y), ())", columns(11)),
                true,
            ),
            (columns(5_000), false),
        ] {
            let sql = format!("SELECT 1 WHERE x IN (SELECT count(*) FROM t GROUP BY {keys})");
            let found = problem(&sql);
            assert_eq!(found.is_some(), is_refused, "{keys}");
            assert!(found.is_none_or(|found| found.contains("4096 grouping sets")));
        }
    }
}
