//! Hand-made: what NULL means in IN, EXISTS, joins, set operations and
//! aggregates. Each case gives the rows of `a` and `b`, a query, and the answer
//! by the SQL standard; then everything is taken away again row by row.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sluice_core::{
    ChangeKind, ColumnDefinition, PartitionId, SourceVersion, TableChanges, TableDefinition,
    TableKind,
};
use sluice_engine::{EVALUATION_ERRORS, Engine, EngineOptions, Program, ViewDefinition};

/// Tables `a` and `b` of a key `k` and values `x`, `y`.
fn table(name: &str) -> TableDefinition {
    let column = |name: &str, nullable| ColumnDefinition {
        name: name.into(),
        data_type: DataType::Int64,
        nullable,
    };
    TableDefinition {
        name: name.into(),
        columns: vec![column("k", false), column("x", true), column("y", true)],
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    }
}

/// The value x, and the value y.
type Pair = (Option<i64>, Option<i64>);

fn changes(
    name: &str,
    first: usize,
    rows: &[Pair],
    kind: ChangeKind,
    version: u64,
) -> TableChanges {
    let keys = Int64Array::from_iter_values((0..rows.len()).map(|row| (first + row) as i64));
    let xs: Int64Array = rows.iter().map(|(x, _)| *x).collect();
    let ys: Int64Array = rows.iter().map(|(_, y)| *y).collect();
    let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(keys), Arc::new(xs), Arc::new(ys)];
    TableChanges {
        table: name.into(),
        partition: PartitionId {
            topic: "t".into(),
            partition: 0,
        },
        rows: RecordBatch::try_new(table(name).schema(), columns).unwrap(),
        kinds: vec![kind; rows.len()],
        versions: vec![
            SourceVersion {
                major: version,
                minor: 0
            };
            rows.len()
        ],
        key_changes: vec![],
        before_rows: None,
        unchanged: Vec::new(),
    }
}

struct Case {
    engine: Engine,
    epoch: u64,
    rows: BTreeMap<String, i64>,
}

impl Case {
    fn new(select: &str) -> Self {
        let view = ViewDefinition {
            name: "v".into(),
            file: "v.sql".into(),
            sql: format!("CREATE MATERIALIZED VIEW v AS {select}"),
        };
        let planned = Program::plan(&[table("a"), table("b")], &[view]);
        let program = planned
            .map_err(|errors| format!("{select}: {errors:?}"))
            .unwrap();
        Self {
            engine: Engine::new(Arc::new(program), EngineOptions::default()).unwrap(),
            epoch: 0,
            rows: BTreeMap::new(),
        }
    }

    fn step(&mut self, input: Vec<TableChanges>) {
        self.epoch += 1;
        let output = self.engine.step(self.epoch, input).unwrap();
        assert!(!output.deltas.contains_key(EVALUATION_ERRORS), "{output:?}");
        let Some(delta) = output.deltas.get("v") else {
            return;
        };
        let options = FormatOptions::default().with_null("null");
        for (row, weight) in delta.weights().iter().enumerate() {
            let columns = delta.rows().columns().iter();
            let texts = columns.map(|column| {
                let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
                formatter.value(row).to_string()
            });
            let text = texts.collect::<Vec<_>>().join(" ");
            let total = self.rows.entry(text.clone()).or_insert(0);
            *total += weight;
            if *total == 0 {
                self.rows.remove(&text);
            }
        }
    }

    fn found(&self) -> Vec<String> {
        let repeated = self.rows.iter().map(|(row, &weight)| {
            assert!(weight > 0, "{row}: weight {weight}");
            vec![row.clone(); weight as usize]
        });
        repeated.flatten().collect()
    }
}

/// Both tables at once; then b first and a after it; then away, row by row.
fn check(select: &str, a: &[Pair], b: &[Pair], wanted: &[&str]) {
    let mut wanted: Vec<String> = wanted.iter().map(|row| (*row).to_owned()).collect();
    wanted.sort();
    let mut nothing = Case::new(select);
    nothing.step(vec![]);
    let upsert = ChangeKind::Upsert;
    let mut case = Case::new(select);
    case.step(vec![
        changes("a", 0, a, upsert, 1),
        changes("b", 0, b, upsert, 1),
    ]);
    assert_eq!(case.found(), wanted, "{select}, at once");
    let mut case = Case::new(select);
    case.step(vec![]);
    for (row, pair) in b.iter().enumerate() {
        case.step(vec![changes("b", row, &[*pair], upsert, 1)]);
    }
    for (row, pair) in a.iter().enumerate() {
        case.step(vec![changes("a", row, &[*pair], upsert, 1)]);
    }
    assert_eq!(case.found(), wanted, "{select}, row by row");
    for (row, pair) in b.iter().enumerate() {
        case.step(vec![changes("b", row, &[*pair], ChangeKind::Delete, 2)]);
    }
    for (row, pair) in a.iter().enumerate() {
        case.step(vec![changes("a", row, &[*pair], ChangeKind::Delete, 2)]);
    }
    assert_eq!(case.found(), nothing.found(), "{select}, all gone");
}

const A: &[Pair] = &[(Some(1), Some(10)), (Some(2), Some(20)), (None, Some(30))];
const NULL: Pair = (None, None);

#[test]
fn not_in_is_unknown_beside_a_null() {
    let select = "SELECT y FROM a WHERE x NOT IN (SELECT x FROM b)";
    check(select, A, &[], &["10", "20", "30"]);
    check(select, A, &[(Some(1), None)], &["20"]);
    check(select, A, &[(Some(1), None), NULL], &[]);
    check(select, A, &[NULL], &[]);
}

#[test]
fn not_in_looks_at_its_own_rows_only() {
    let select = "SELECT y FROM a WHERE x NOT IN (SELECT x FROM b WHERE b.y = a.y)";
    check(select, A, &[], &["10", "20", "30"]);
    check(select, A, &[(None, Some(10))], &["20", "30"]);
    check(select, A, &[(Some(1), Some(20))], &["10", "20", "30"]);
    check(
        select,
        A,
        &[(Some(1), Some(10)), (Some(7), Some(30))],
        &["20"],
    );
}

#[test]
fn in_below_or_and_not_has_three_values() {
    let b = &[(Some(1), None), NULL];
    check(
        "SELECT y FROM a WHERE x IN (SELECT x FROM b) OR y = 30",
        A,
        b,
        &["10", "30"],
    );
    check(
        "SELECT y FROM a WHERE x NOT IN (SELECT x FROM b) OR y = 30",
        A,
        b,
        &["30"],
    );
    check(
        "SELECT y FROM a WHERE NOT (x IN (SELECT x FROM b) OR y = 30)",
        A,
        b,
        &[],
    );
    check(
        "SELECT y FROM a WHERE NOT (x NOT IN (SELECT x FROM b) AND y > 0)",
        A,
        b,
        &["10"],
    );
    let select = "SELECT y FROM a WHERE (x IN (SELECT x FROM b)) IS NULL";
    check(select, A, b, &["20", "30"]);
    check(select, A, &[(Some(1), None)], &["30"]);
    check(select, A, &[], &[]);
}

#[test]
fn subqueries_stand_in_the_select_list() {
    let b = &[(Some(1), Some(5)), (None, Some(6))];
    check(
        "SELECT y, x IN (SELECT x FROM b) AS i, x NOT IN (SELECT x FROM b) AS n FROM a",
        A,
        b,
        &["10 true false", "20 null null", "30 null null"],
    );
    check(
        "SELECT y, EXISTS (SELECT 1 FROM b WHERE b.x = a.x) AS e, NOT EXISTS (SELECT 1 FROM b WHERE b.x = a.x) AS n FROM a",
        A,
        b,
        &["10 true false", "20 false true", "30 false true"],
    );
    check(
        "SELECT y, (SELECT sum(b.y) FROM b WHERE b.x = a.x) AS s, (SELECT count(*) FROM b WHERE b.x = a.x) AS n FROM a",
        A,
        b,
        &["10 5 1", "20 null 0", "30 null 0"],
    );
}

#[test]
fn a_null_key_joins_nothing() {
    let b = &[(Some(1), Some(5)), (None, Some(6))];
    check(
        "SELECT a.y, b.y AS z FROM a JOIN b ON a.x = b.x",
        A,
        b,
        &["10 5"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a FULL JOIN b ON a.x = b.x",
        A,
        b,
        &["10 5", "20 null", "30 null", "null 6"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a FULL JOIN b ON a.x = b.x AND a.y > b.y * 3",
        A,
        b,
        &["10 null", "20 null", "30 null", "null 5", "null 6"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a FULL JOIN b ON a.y = b.y * 5",
        A,
        b,
        &["10 null", "20 null", "30 6", "null 5"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a JOIN b ON a.x IS NOT DISTINCT FROM b.x",
        A,
        b,
        &["10 5", "30 6"],
    );
    check(
        "SELECT coalesce(a.x, b.x) AS x, a.y, b.y AS z FROM a FULL JOIN b ON a.x = b.x",
        A,
        b,
        &["1 10 5", "2 20 null", "null 30 null", "null null 6"],
    );
}

#[test]
fn a_key_meets_every_row_with_it() {
    let twice = &[(Some(1), Some(5)), (Some(1), Some(6))];
    check(
        "SELECT y FROM a WHERE x IN (SELECT x FROM b)",
        A,
        twice,
        &["10"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a LEFT JOIN b ON a.x = b.x",
        A,
        twice,
        &["10 5", "10 6", "20 null", "30 null"],
    );
    check(
        "SELECT a.y, l.m FROM a, LATERAL (SELECT max(b.y) AS m FROM b WHERE b.x = a.x) AS l",
        A,
        twice,
        &["10 6", "20 null", "30 null"],
    );
}

#[test]
fn a_condition_on_an_aggregate_of_everything_stays_above_it() {
    check(
        "SELECT a.y, c.n FROM a LEFT JOIN (SELECT count(*) AS n FROM b) AS c ON a.y > CAST(NULL AS BIGINT)",
        A,
        &[],
        &["10 null", "20 null", "30 null"],
    );
    check(
        "SELECT n, three FROM (SELECT n, 3 AS three FROM (SELECT count(*) AS n FROM a)) WHERE three > 5",
        A,
        &[],
        &[],
    );
    check(
        "SELECT x, n FROM (SELECT x, count(*) AS n FROM a GROUP BY ROLLUP (x)) WHERE x > 1",
        A,
        &[],
        &["2 1"],
    );
}

#[test]
fn set_operations_take_nulls_for_equal() {
    let b = &[(None, Some(1)), (Some(2), Some(2)), (Some(2), Some(3))];
    check(
        "SELECT x FROM a INTERSECT SELECT x FROM b",
        A,
        b,
        &["2", "null"],
    );
    check("SELECT x FROM a EXCEPT SELECT x FROM b", A, b, &["1"]);
    check(
        "SELECT x FROM b UNION SELECT x FROM a",
        A,
        b,
        &["1", "2", "null"],
    );
    check("SELECT x FROM b EXCEPT SELECT x FROM a", A, b, &[]);
}

#[test]
fn aggregates_and_grouping_sets() {
    let rows = &[
        (Some(1), Some(3)),
        (Some(1), Some(5)),
        (Some(1), None),
        (None, Some(7)),
    ];
    check(
        "SELECT x, bool_and(y > 3) AS a, bool_or(y > 4) AS o, array_agg(y ORDER BY y DESC NULLS LAST) AS l, string_agg(CAST(y AS VARCHAR), '+' ORDER BY y) AS s, first_value(y ORDER BY y NULLS FIRST) AS f, last_value(y ORDER BY y NULLS FIRST) AS z, median(y) AS m FROM a GROUP BY x",
        rows,
        &[],
        &[
            "1 false true [5, 3, null] 3+5 null 5 4.0",
            "null true true [7] 7 7 7 7.0",
        ],
    );
    check(
        "SELECT x, grouping(x) AS g, count(*) AS n FROM a GROUP BY ROLLUP (x)",
        rows,
        &[],
        &["1 0 3", "null 0 1", "null 1 4"],
    );
    check(
        "SELECT x, count(*) AS n FROM a GROUP BY GROUPING SETS ((x), ())",
        &[],
        &[],
        &["null 0"],
    );
    check(
        "SELECT unnest(l) AS e FROM (SELECT x, array_agg(y ORDER BY y) AS l FROM a GROUP BY x)",
        rows,
        &[],
        &["3", "5", "7", "null"],
    );
}

#[test]
fn rows_are_compared_value_by_value() {
    let rows: &[Pair] = &[
        (Some(1), Some(2)),
        (Some(1), None),
        (Some(2), None),
        (None, Some(2)),
    ];
    for (condition, wanted) in [
        ("(x, y) = (1, 2)", ["true", "null", "false", "null"]),
        ("(x, y) <> (1, 2)", ["false", "null", "true", "null"]),
        ("(x, y) > (1, 1)", ["true", "null", "true", "null"]),
        ("(x, y) >= (1, 3)", ["false", "null", "true", "null"]),
        ("(x, y) < (2, 0)", ["true", "true", "null", "null"]),
        (
            "(x, y) IN ((1, 2), (2, NULL))",
            ["true", "null", "null", "null"],
        ),
        ("(x, y) NOT IN ((1, 2))", ["false", "null", "true", "null"]),
        (
            "(x, y) BETWEEN (1, 1) AND (1, 9)",
            ["true", "null", "false", "null"],
        ),
        (
            "(x, y) IS DISTINCT FROM (1, NULL)",
            ["true", "false", "true", "true"],
        ),
        ("(x, y) IS NOT NULL", ["true", "false", "false", "false"]),
    ] {
        let select = format!("SELECT k, {condition} AS c FROM a");
        let numbered = wanted.iter().enumerate();
        let wanted: Vec<String> = numbered
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        check(&select, rows, &[], &wanted);
    }
    check(
        "SELECT a.k, b.k AS other FROM a JOIN b ON (a.x, a.y) = (b.x, b.y)",
        rows,
        &[(Some(1), None), (Some(1), Some(2)), (None, Some(2))],
        &["0 1"],
    );
}

#[test]
fn any_and_all_are_unknown_beside_a_null() {
    for (condition, wanted) in [
        ("2 = ANY(l)", ["true", "null"]),
        ("NOT (3 = ANY(l))", ["true", "null"]),
        ("1 <> ANY(l)", ["true", "null"]),
        ("1 < ANY(l)", ["true", "null"]),
        ("0 >= ANY(l)", ["false", "null"]),
        ("3 > ALL(l)", ["true", "null"]),
        ("1 > ALL(l)", ["false", "null"]),
        ("CAST(NULL AS BIGINT) = ANY(l)", ["null", "null"]),
        ("2 = ANY(ARRAY[x, NULL])", ["null", "null"]),
    ] {
        let lists = "SELECT x, array_agg(y ORDER BY k) AS l FROM a GROUP BY x";
        let select = format!("SELECT x, {condition} AS c FROM ({lists})");
        let wanted = [format!("null {}", wanted[0]), format!("7 {}", wanted[1])];
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let rows = &[(None, Some(2)), (Some(7), None)];
        check(&select, rows, &[], &wanted);
    }
    for (select, wanted) in [
        (
            "SELECT y FROM a WHERE x = ANY (SELECT x FROM b)",
            &["2"][..],
        ),
        ("SELECT k FROM a WHERE x <> ALL (SELECT x FROM b)", &[]),
    ] {
        check(
            select,
            &[(Some(1), Some(2)), NULL],
            &[(Some(1), None), NULL],
            wanted,
        );
    }
}

#[test]
fn lists_with_null_over_one_column_are_as_sql_says() {
    let rows: &[Pair] = &[
        (Some(1), None),
        (Some(2), None),
        (Some(3), None),
        (None, None),
    ];
    let wanted = [
        ("x IN (1, NULL)", ["true", "null", "null", "null"]),
        ("x NOT IN (1, NULL)", ["false", "null", "null", "null"]),
        ("x IN (NULL)", ["null", "null", "null", "null"]),
        ("x IN (1, NULL) AND x IN (2, NULL)", ["null"; 4]),
        (
            "x IN (1, 2, NULL) AND x IN (2, 3, CAST(NULL AS BIGINT))",
            ["null", "true", "null", "null"],
        ),
        ("x NOT IN (1, NULL) OR x NOT IN (2, NULL)", ["null"; 4]),
        (
            "x IN (1, NULL) OR x IN (2)",
            ["true", "true", "null", "null"],
        ),
        (
            "x IN (1, 2) AND x IN (3, 4)",
            ["false", "false", "false", "null"],
        ),
        (
            "NOT (x IN (1, 2) AND x IN (3, 4))",
            ["true", "true", "true", "null"],
        ),
        (
            "x NOT IN (1, 5) OR x NOT IN (2, 4)",
            ["true", "true", "true", "null"],
        ),
        (
            "x IN (1, 2, 5, 6) AND x NOT IN (1, 2, 5, 6)",
            ["false", "false", "false", "null"],
        ),
        (
            "(x = 1 OR x = 2) AND (x = 3 OR x = 4)",
            ["false", "false", "false", "null"],
        ),
        (
            "x IN (y, 2, 5, 6, 7) AND x IN (x, 8, 9, 10, 11)",
            ["null", "true", "null", "null"],
        ),
    ];
    for (condition, truths) in wanted {
        let values = ["1", "2", "3", "null"].iter().zip(truths);
        let texts: Vec<String> = values.map(|(x, truth)| format!("{x} {truth}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        check(
            &format!("SELECT x, {condition} AS c FROM a"),
            rows,
            &[],
            &texts,
        );
        let kept: Vec<&str> = texts
            .iter()
            .filter(|text| text.ends_with("true"))
            .copied()
            .collect();
        check(
            &format!("SELECT x, true AS c FROM a WHERE {condition}"),
            rows,
            &[],
            &kept,
        );
    }
}

#[test]
fn an_aggregate_over_nothing_is_a_row_of_a_subquery() {
    let b = &[(Some(1), Some(5)), (Some(1), Some(9)), (Some(2), Some(7))];
    for (condition, wanted) in [
        (
            "EXISTS (SELECT count(*) FROM b WHERE b.x = a.x)",
            &["10", "20", "30"][..],
        ),
        ("NOT EXISTS (SELECT max(b.y) FROM b WHERE b.x = a.x)", &[]),
        (
            "EXISTS (SELECT count(*) FROM b WHERE b.x = a.x GROUP BY ROLLUP (b.y))",
            &["10", "20", "30"],
        ),
        (
            "x NOT IN (SELECT max(b.y) FROM b WHERE b.x = a.x)",
            &["10", "20"],
        ),
        ("0 IN (SELECT count(*) FROM b WHERE b.x = a.x)", &["30"]),
        (
            "NOT (0 IN (SELECT count(*) FROM b WHERE b.x = a.x))",
            &["10", "20"],
        ),
        (
            "x IN (SELECT max(b.y) - 8 FROM b WHERE b.x = a.x) OR y = 30",
            &["10", "30"],
        ),
        (
            "x IN (SELECT DISTINCT max(b.k) AS m FROM b WHERE b.x = a.x ORDER BY m LIMIT 1)",
            &["10", "20"],
        ),
        ("y IN (SELECT max(b.y) + 1 FROM b)", &["10"]),
        ("y NOT IN (SELECT max(b.y) + 1 FROM b)", &["20", "30"]),
    ] {
        let select = format!("SELECT y FROM a WHERE {condition}");
        check(&select, A, b, wanted);
    }
    for (condition, wanted) in [
        (
            "EXISTS (SELECT count(*) FROM b WHERE b.x = a.x)",
            &["10", "20", "30"][..],
        ),
        ("EXISTS (SELECT max(b.y) FROM b)", &["10", "20", "30"]),
        ("x NOT IN (SELECT max(b.y) FROM b WHERE b.x = a.x)", &[]),
        ("y NOT IN (SELECT max(b.y) FROM b)", &[]),
        (
            "0 IN (SELECT count(*) FROM b WHERE b.x = a.x)",
            &["10", "20", "30"],
        ),
    ] {
        let select = format!("SELECT y FROM a WHERE {condition}");
        check(&select, A, &[], wanted);
    }
    check(
        "SELECT y FROM a WHERE x IN (SELECT coalesce(max(b.k), 9) - 8 FROM b WHERE b.x = a.x)",
        A,
        &[(Some(2), Some(5))],
        &["10"],
    );
    check(
        "SELECT y, 0 IN (SELECT count(*) FROM b WHERE b.x = a.x) AS n, EXISTS (SELECT max(b.y) FROM b WHERE b.x = a.x) AS e, y IN (SELECT max(b.y) FROM b WHERE b.x = a.x) AS i, (SELECT DISTINCT count(*) FROM b WHERE b.x = a.x) AS d FROM a",
        A,
        b,
        &[
            "10 false true false 2",
            "20 false true false 1",
            "30 true true null 0",
        ],
    );
    check(
        "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND b.y NOT IN (SELECT count(*) FROM b AS c WHERE c.x = b.y))",
        A,
        &[(Some(1), Some(5)), (Some(2), Some(0))],
        &["10"],
    );
}

/// What the errors of a view say, if there are any.
fn error_of(sql: &str) -> Option<String> {
    let view = ViewDefinition {
        name: "v".into(),
        file: "v.sql".into(),
        sql: sql.into(),
    };
    let planned = Program::plan(&[table("a"), table("b")], &[view]);
    planned.err().map(|errors| format!("{errors:?}"))
}

#[test]
fn correlated_subqueries_are_refused_where_their_rows_would_be_others() {
    for (select, wanted) in [
        (
            "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x HAVING count(*) = 0)",
            "HAVING",
        ),
        (
            "SELECT y, (SELECT max(b.y) FROM b WHERE b.x = a.x HAVING count(*) = 0) AS m FROM a",
            "HAVING",
        ),
        (
            "SELECT y, (SELECT count(*) FROM b WHERE CAST(b.y AS BOOLEAN) = (a.y > 15)) AS n FROM a",
            "as they are",
        ),
        (
            "SELECT a.y, l.n FROM a, LATERAL (SELECT b.k, row_number() OVER (ORDER BY b.k) AS n FROM b WHERE b.x = a.x) AS l",
            "window functions",
        ),
        (
            "SELECT a.y, l.n, l.five FROM a, LATERAL (SELECT count(*) AS n, 5 AS five FROM b WHERE b.x = a.x) AS l",
            "constant",
        ),
        (
            "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM b AS c LEFT JOIN (SELECT * FROM b WHERE b.x = a.x) AS q ON q.k = c.k)",
            "outer join",
        ),
        (
            "SELECT y FROM a WHERE x IN (SELECT count(*) FROM b WHERE b.x = a.x GROUP BY ROLLUP (b.y))",
            "ROLLUP",
        ),
        (
            "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM (SELECT count(*) AS n FROM b WHERE b.x = a.x) AS q JOIN b AS c ON c.y = q.n)",
            "select it alone",
        ),
    ] {
        for kind in ["MATERIALIZED VIEW", "VIEW"] {
            let sql = format!("CREATE {kind} v AS {select}");
            let found = error_of(&sql).unwrap_or_default();
            assert!(found.contains(wanted), "{sql}: {found}");
        }
    }
    let exists = "CREATE VIEW v AS SELECT y FROM a WHERE EXISTS (SELECT count(*) FROM b WHERE b.x = a.x) AND x IN (SELECT max(b.y) FROM b WHERE b.x = a.x)";
    assert_eq!(error_of(exists), None);
}

#[test]
fn operators_are_grouped_as_in_postgresql() {
    let rows = [(Some(1), Some(10)), (Some(-2), Some(20)), (None, None)];
    for (select, expected) in [
        // Not `x IS DISTINCT FROM (1 AND …)`.
        (
            "SELECT y FROM a WHERE x IS DISTINCT FROM 1 AND k < 2",
            &["20"][..],
        ),
        (
            "SELECT k FROM a WHERE NOT (x > 0) IS NOT DISTINCT FROM true AND k > 0",
            &["1", "2"],
        ),
        (
            "SELECT k FROM a WHERE x IS NOT DISTINCT FROM -2 OR y = 10",
            &["0", "1"],
        ),
        // Not -4: a sign holds more than a power.
        (
            "SELECT CAST(-x ^ 2 AS BIGINT) AS p FROM a WHERE x = -2",
            &["4"],
        ),
        (
            "SELECT CAST(-2 ^ 2 AS BIGINT) AS p FROM a WHERE k = 0",
            &["4"],
        ),
        (
            "SELECT CAST(2 ^ -x ^ 2 AS BIGINT) AS p FROM a WHERE x = -2",
            &["16"],
        ),
        ("SELECT x | 4 & 6 AS b FROM a WHERE k = 0", &["4"]),
        ("SELECT x # 3 AS b FROM a WHERE k = 0", &["2"]),
        ("SELECT k FROM a WHERE x>-2", &["0"]),
        (
            "SELECT k FROM a WHERE (x > 0) = CAST(y AS VARCHAR) ~ '^1'",
            &["0", "1"],
        ),
    ] {
        let mut case = Case::new(select);
        case.step(vec![changes("a", 0, &rows, ChangeKind::Insert, 1)]);
        assert_eq!(case.found(), expected, "{select}");
    }
}

#[test]
fn a_name_in_an_expression_of_an_order_is_a_column_of_the_table() {
    let rows = [(Some(-3), Some(1)), (Some(2), Some(2)), (Some(1), Some(3))];
    for (select, expected) in [
        (
            "SELECT abs(x) AS x, k FROM a ORDER BY x LIMIT 1",
            &["1 2"][..],
        ),
        (
            "SELECT abs(x) AS x, k FROM a ORDER BY x + 0 LIMIT 1",
            &["3 0"],
        ),
        (
            "SELECT abs(x) AS x, k FROM a ORDER BY a.x LIMIT 1",
            &["3 0"],
        ),
        (
            "SELECT abs(x) AS x, k FROM a ORDER BY abs(x) DESC LIMIT 1",
            &["3 0"],
        ),
        (
            "SELECT s.x FROM (SELECT x * x AS x, k FROM a ORDER BY -x LIMIT 2) AS s",
            &["1", "4"],
        ),
        ("SELECT y AS z, k FROM a ORDER BY -z LIMIT 1", &["3 2"]),
    ] {
        let mut case = Case::new(select);
        case.step(vec![changes("a", 0, &rows, ChangeKind::Insert, 1)]);
        assert_eq!(case.found(), expected, "{select}");
    }
    let open = "CREATE MATERIALIZED VIEW v AS SELECT y AS x, k FROM a ORDER BY x + 0 LIMIT 1";
    let found = error_of(open).unwrap_or_default();
    assert!(found.contains("give the answer's another name"), "{found}");
}

#[test]
fn samples_are_refused() {
    for kind in ["MATERIALIZED VIEW", "VIEW"] {
        let sql = format!("CREATE {kind} v AS SELECT x FROM a TABLESAMPLE BERNOULLI (10)");
        let found = error_of(&sql).unwrap_or_default();
        assert!(found.contains("TABLESAMPLE"), "{sql}: {found}");
    }
}
