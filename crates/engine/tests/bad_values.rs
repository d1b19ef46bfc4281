//! Values on which expressions fail, or that the processor compares otherwise than
//! SQL: they cost their row only, and never what is right about the others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/content.rs"]
mod content;
#[path = "common/table_changes.rs"]
mod table_changes;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::DataType;
use sluice_core::{ChangeKind, ColumnDefinition, TableChanges, TableDefinition, TableKind};
use sluice_engine::{EVALUATION_ERRORS, Engine, EngineOptions, Program, ViewDefinition};

use content::{Content, add};
use table_changes::table_changes;

fn table(name: &str, columns: [(&str, DataType); 3]) -> TableDefinition {
    let columns = columns.map(|(name, data_type)| ColumnDefinition {
        name: name.into(),
        data_type,
        nullable: name != "k",
    });
    TableDefinition {
        name: name.into(),
        columns: columns.into(),
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    }
}

/// `t` of a number and a float, `l` and `r` to join.
fn tables() -> Vec<TableDefinition> {
    let int = DataType::Int64;
    let of_ints = |name| table(name, ["k", "g", "x"].map(|column| (column, int.clone())));
    vec![
        table(
            "t",
            [
                ("k", int.clone()),
                ("n", int.clone()),
                ("f", DataType::Float64),
            ],
        ),
        of_ints("l"),
        of_ints("r"),
    ]
}

fn changes(
    name: &str,
    columns: Vec<ArrayRef>,
    kinds: Vec<ChangeKind>,
    version: u64,
) -> TableChanges {
    let tables = tables();
    let table = tables.iter().find(|table| table.name == name).unwrap();
    table_changes(table, columns, kinds, version)
}

fn rows_of_t(rows: &[(i64, i64, f64)], kind: ChangeKind, version: u64) -> Vec<TableChanges> {
    let ints = |value: fn(&(i64, i64, f64)) -> i64| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Int64Array>())
    };
    let floats: Float64Array = rows.iter().map(|row| row.2).collect();
    let columns = vec![ints(|row| row.0), ints(|row| row.1), Arc::new(floats)];
    vec![changes("t", columns, vec![kind; rows.len()], version)]
}

fn view(name: &str, sql: String) -> ViewDefinition {
    ViewDefinition {
        name: name.into(),
        file: format!("models/{name}.sql"),
        sql,
    }
}

fn program(select: &str) -> Result<Program, String> {
    let sql = format!("CREATE MATERIALIZED VIEW v AS {select}");
    let planned = Program::plan(&tables(), &[view("v", sql)]);
    planned.map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("\n")
    })
}

fn engine(select: &str) -> Engine {
    let program = program(select)
        .map_err(|error| format!("{select}: {error}"))
        .unwrap();
    Engine::new(Arc::new(program), EngineOptions::default()).unwrap()
}

/// What `select` gives for these rows, and the messages and rows of its errors.
fn answer(select: &str, rows: &[(i64, i64, f64)]) -> (Vec<String>, Vec<(String, String)>) {
    let mut engine = engine(select);
    let output = engine.step(1, rows_of_t(rows, ChangeKind::Upsert, 1));
    let output = output.unwrap();
    let mut content = Content::new();
    add(&mut content, output.deltas.get("v"));
    let errors = output.deltas.get(EVALUATION_ERRORS).map(|errors| {
        let texts = |column: usize| errors.rows().column(column).as_string::<i32>();
        let (messages, rows) = (texts(1), texts(2));
        (0..messages.len())
            .map(|row| (messages.value(row).to_owned(), rows.value(row).to_owned()))
            .collect()
    });
    // All goes as it came.
    let output = engine.step(2, rows_of_t(rows, ChangeKind::Delete, 2));
    let output = output.unwrap();
    let mut left = content.clone();
    add(&mut left, output.deltas.get("v"));
    assert!(left.is_empty(), "{select}: {left:?}");
    let gone = output.deltas.get(EVALUATION_ERRORS);
    let gone: i64 = gone.map_or(0, |gone| gone.weights().iter().sum());
    let errors: Vec<_> = errors.unwrap_or_default();
    assert_eq!(gone, -(errors.len() as i64), "{select}");
    (content.into_keys().collect(), errors)
}

#[test]
fn a_length_out_of_a_row_takes_no_more_memory_than_there_is() {
    for (function, made) in [
        ("lpad('x', n)", "  x"),
        ("rpad('x', n, 'ab')", "xab"),
        ("repeat('x', n)", "xxx"),
        ("array_repeat('x', n)", "[x, x, x]"),
        ("array_resize(['x'], n)", "[x, null, null]"),
        ("range(n)", "[0, 1, 2]"),
        ("generate_series(1, n)", "[1, 2, 3]"),
    ] {
        let select = format!("SELECT k, {function} AS made FROM t");
        let rows = [(1, 3, 0.0), (2, 2_000_000_000, 0.0), (3, i64::MAX, 0.0)];
        let (found, errors) = answer(&select, &rows);
        assert_eq!(found, [format!("1 {made}")], "{function}");
        assert_eq!(errors.len(), 2, "{function}");
        let name = function.split('(').next().unwrap();
        for (message, _) in errors {
            assert!(
                message.contains(&format!("`{name}` would make")),
                "{message}"
            );
        }
    }
    let (found, errors) = answer("SELECT k, lpad('x', n) AS made FROM t", &[(1, -1, 0.0)]);
    assert_eq!((found, errors), (vec!["1 ".to_owned()], vec![]));
}

#[test]
fn numbers_without_an_answer_cost_their_row() {
    let rows = [(1, 4, 0.5), (2, 0, -1.5), (3, 1, 2000.0)];
    for (expression, kept, problem) in [
        ("ln(f)", &[1, 3][..], "cannot take a logarithm"),
        ("log(n + 2, f)", &[1, 3], "cannot take a logarithm"),
        ("log(n + 1, 8)", &[1, 3], "Divide by zero"),
        ("exp(f)", &[1, 2], "value out of range"),
        ("power(f, 200)", &[1, 2], "value out of range"),
        ("power(f, 0.5)", &[1, 3], "complex result"),
        ("power(n, -1)", &[1, 3], "zero raised to a negative power"),
        ("sqrt(f)", &[1, 3], "cannot take square root"),
        ("asin(f)", &[1], "input is out of range"),
        ("acosh(f)", &[3], "input is out of range"),
    ] {
        let select = format!("SELECT k, {expression} AS x FROM t");
        let (found, errors) = answer(&select, &rows);
        let found = found.iter().filter_map(|row| row.split_once(' '));
        let found: Vec<i64> = found.map(|(key, _)| key.parse().unwrap()).collect();
        assert_eq!(found, kept, "{expression}");
        assert_eq!(errors.len(), rows.len() - kept.len(), "{expression}");
        for (message, _) in errors {
            assert!(message.contains(problem), "{expression}: {message}");
        }
    }
}

#[test]
fn many_long_values_are_made_few_at_a_time() {
    let rows: Vec<(i64, i64, f64)> = (0..5_000).map(|key| (key, 30_000, 0.0)).collect();
    let select = "SELECT sum(length(made)) AS made FROM (SELECT lpad('x', n) AS made FROM t)";
    let mut engine = engine(select);
    let output = engine.step(1, rows_of_t(&rows, ChangeKind::Upsert, 1));
    let output = output.unwrap();
    assert!(!output.deltas.contains_key(EVALUATION_ERRORS));
    let mut content = Content::new();
    add(&mut content, output.deltas.get("v"));
    assert!(content.contains_key("150000000"), "{content:?}");
}

#[test]
fn constants_that_are_too_long_are_refused_by_check() {
    for function in [
        "repeat('x', 1000000000)",
        "lpad('x', 1000000000)",
        "repeat('x', n * 0 + 5) || repeat('y', 1000000000)",
        "array_repeat(n, 1000000000)",
        "range(1000000000)",
        "repeat(CAST(n AS TEXT), 1000000000)",
    ] {
        let error = program(&format!("SELECT {function} AS made FROM t"));
        let error = error.map(|_| ()).unwrap_err();
        assert!(error.contains("` would make a"), "{function}: {error}");
        assert!(error.starts_with("models/v.sql:1:"), "{error}");
    }
}

#[test]
fn floats_inside_expressions_are_compared_as_sql_has_it() {
    let rows = [(1, 0, 0.0), (2, 0, 1.0)];
    for (expression, of_zero, of_one) in [
        ("f / f > 1", "true", "false"),
        ("f / f = 0 / f", "true", "false"),
        ("f / f < f", "false", "false"),
        ("f * -1 = 0", "true", "false"),
        ("f * -1 < 0", "false", "true"),
        ("f * -1 BETWEEN 0 AND 1", "true", "false"),
        ("f * -1 IN (0, 7)", "true", "false"),
        ("f / f IN (7, CAST('NaN' AS DOUBLE))", "true", "false"),
        ("f * -1 IS DISTINCT FROM 0", "false", "true"),
        (
            "CASE f * -1 WHEN 0 THEN 'zero' ELSE 'other' END",
            "zero",
            "other",
        ),
        (
            "CASE WHEN -f = -0.0 THEN 'zero' ELSE 'other' END",
            "zero",
            "other",
        ),
        ("nullif(-f, 0)", "null", "-1.0"),
        ("greatest(f / f, 5)", "NaN", "5.0"),
        ("least(f / f, 5)", "5.0", "1.0"),
        ("array_has([f * -1], 0)", "true", "false"),
        ("CAST(f * -1 AS TEXT)", "0.0", "-1.0"),
        ("CAST('-0' AS DOUBLE) = f", "true", "false"),
    ] {
        let (found, errors) = answer(&format!("SELECT k, {expression} AS x FROM t"), &rows);
        let wanted = [format!("1 {of_zero}"), format!("2 {of_one}")];
        assert_eq!((found, errors), (wanted.to_vec(), vec![]), "{expression}");
    }
    for (select, wanted) in [
        (
            "SELECT k FROM (SELECT k, f / f AS q FROM t) WHERE q > 1",
            vec!["1"],
        ),
        ("SELECT max(f / f) AS m FROM t GROUP BY n", vec!["NaN"]),
        ("SELECT min(f / f) AS m FROM t GROUP BY n", vec!["1.0"]),
        (
            "SELECT a.k FROM t AS a JOIN t AS b ON a.f / a.f = -(0 / b.f)",
            vec!["1"],
        ),
    ] {
        assert_eq!(answer(select, &rows).0, wanted, "{select}");
    }
}

#[test]
fn rows_of_errors_name_what_a_person_knows() {
    let rows = [(1, -1, 0.0)];
    let select = "SELECT k, 100 / (n * 7 + 7) AS a, 200 / (n * 7 + 7) AS b FROM t";
    let (_, errors) = answer(select, &rows);
    assert_eq!(errors.len(), 1);
    for (message, row) in errors {
        assert!(!row.contains("__common_expr"), "{message} | {row}");
        assert!(row.contains("k=1"), "{message} | {row}");
    }
    let select = "SELECT n, sum(n * 9223372036854775807) AS a, sum(n * 9223372036854775807) + 1 AS b FROM t GROUP BY n";
    let (_, errors) = answer(select, &[(1, 1, 0.0), (2, 1, 0.0)]);
    assert!(!errors.is_empty());
    for (message, row) in errors {
        assert!(!row.contains("__common_expr"), "{message} | {row}");
    }
}

#[test]
fn percentiles_are_checked_with_the_model() {
    for (call, wanted) in [
        (
            "approx_percentile_cont(n, 95)",
            "is 95: write a number from 0 to 1",
        ),
        ("approx_percentile_cont(n, f)", "is no constant"),
        (
            "approx_percentile_cont(n, 0.5, 1000000000000)",
            "from 1 to 100000",
        ),
        ("approx_percentile_cont_with_weight(n, n, 1.5)", "is 1.5"),
        ("percentile_cont(-0.5) WITHIN GROUP (ORDER BY f)", "is -0.5"),
    ] {
        let error = program(&format!("SELECT {call} AS p FROM t"));
        let error = error.map(|_| ()).unwrap_err();
        assert!(error.contains(wanted), "{call}: {error}");
        let sql = format!("CREATE VIEW v AS SELECT {call} AS p FROM t");
        let errors = Program::plan(&tables(), &[view("v", sql)]);
        let errors = errors.map(|_| ()).unwrap_err();
        assert!(errors[0].message.contains(wanted), "{call}: {errors:?}");
    }
    for call in [
        "approx_percentile_cont(n, 0.95)",
        "approx_percentile_cont(n, 1 - 0.05, 200)",
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY f)",
    ] {
        program(&format!("SELECT {call} AS p FROM t")).unwrap();
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % limit) as i64
    }
}

/// Rows of `l` or `r` by their key: g and x.
type Side = BTreeMap<i64, (i64, i64)>;

/// What `ON l.g = r.g AND 10 / (l.x - r.x) > 1` says; `None` where it fails.
fn holds(left: (i64, i64), right: (i64, i64)) -> Option<bool> {
    if left.0 != right.0 {
        return Some(false);
    }
    let quotient = 10_i64.checked_div(left.1 - right.1)?;
    Some(quotient > 1)
}

/// Whether a row has a partner; `None` where that is not known.
fn is_matched(row: (i64, i64), others: &Side, is_left: bool) -> Option<bool> {
    let truths = others.values().map(|&other| match is_left {
        true => holds(row, other),
        false => holds(other, row),
    });
    let truths: Vec<Option<bool>> = truths.collect();
    if truths.contains(&Some(true)) {
        return Some(true);
    }
    (!truths.contains(&None)).then_some(false)
}

const CONDITION: &str = "l.g = r.g AND 10 / (l.x - r.x) > 1";

/// The rows by the definition, of the join `kind`.
fn expected(kind: &str, left: &Side, right: &Side) -> Content {
    let mut rows = Vec::new();
    for (key, &row) in left {
        let matched = is_matched(row, right, true);
        match (kind, matched) {
            ("LEFT" | "FULL", Some(false)) => rows.push(format!("{key} null")),
            ("EXISTS", Some(true)) | ("NOT EXISTS", Some(false)) => rows.push(key.to_string()),
            _ => {}
        }
        if kind.ends_with("EXISTS") {
            continue;
        }
        let partners = right
            .iter()
            .filter(|(_, other)| holds(row, **other) == Some(true));
        rows.extend(partners.map(|(partner, _)| format!("{key} {partner}")));
    }
    if matches!(kind, "RIGHT" | "FULL") {
        for (key, &row) in right {
            if is_matched(row, left, false) == Some(false) {
                rows.push(format!("null {key}"));
            }
        }
    }
    rows.into_iter().map(|row| (row, 1)).collect()
}

fn run_join(kind: &str, seed: u64) {
    let select = match kind {
        "EXISTS" | "NOT EXISTS" => {
            format!("SELECT l.k FROM l WHERE {kind} (SELECT 1 FROM r WHERE {CONDITION})")
        }
        _ => format!("SELECT l.k, r.k AS rk FROM l {kind} JOIN r ON {CONDITION}"),
    };
    let program = Arc::new(program(&select).unwrap());
    let mut engine = Engine::new(program.clone(), EngineOptions::default()).unwrap();
    let mut random = Random(seed * 7_919 + 1);
    let mut sides = BTreeMap::from([("l", Side::new()), ("r", Side::new())]);
    let (mut content, mut errors) = (Content::new(), 0);
    let mut parts = BTreeMap::new();
    for epoch in 1..=60 {
        let mut input = Vec::new();
        for (name, side) in &mut sides {
            let mut keys: Vec<i64> = (0..random.below(4)).map(|_| random.below(6)).collect();
            keys.sort_unstable();
            keys.dedup();
            let (mut groups, mut values, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
            for key in &keys {
                let row = (random.below(2), random.below(4));
                groups.push(row.0);
                values.push(row.1);
                if random.below(3) == 0 {
                    side.remove(key);
                    kinds.push(ChangeKind::Delete);
                } else {
                    side.insert(*key, row);
                    kinds.push(ChangeKind::Upsert);
                }
            }
            let columns = [keys, groups, values];
            let columns = columns.map(|column| Arc::new(Int64Array::from(column)) as ArrayRef);
            input.push(changes(name, columns.into(), kinds, epoch));
        }
        let output = engine.step(epoch, input).unwrap();
        add(&mut content, output.deltas.get("v"));
        let failed = output.deltas.get(EVALUATION_ERRORS);
        errors += failed.map_or(0, |failed| failed.weights().iter().sum::<i64>());
        let (left, right) = (&sides["l"], &sides["r"]);
        let wanted = expected(kind, left, right);
        assert_eq!(content, wanted, "{kind} {seed} {epoch}: {left:?} {right:?}");
        let failing = left.values().map(|row| {
            let failing = right
                .values()
                .filter(|other| holds(*row, **other).is_none());
            failing.count() as i64
        });
        assert_eq!(errors, failing.sum::<i64>(), "{kind} {seed} {epoch}");
        if random.below(8) == 0 {
            let checkpoint = engine.checkpoint().unwrap();
            parts.extend(checkpoint.changed);
            parts.retain(|name, _| checkpoint.live.contains(name));
            let options = EngineOptions::default();
            engine = Engine::restore(program.clone(), options, epoch, &parts).unwrap();
        }
    }
}

#[test]
fn a_condition_that_fails_leaves_open_whether_a_row_has_a_partner() {
    for kind in ["LEFT", "RIGHT", "FULL", "EXISTS", "NOT EXISTS", "INNER"] {
        for seed in 1..=5 {
            run_join(kind, seed);
        }
    }
}

#[test]
fn what_a_filter_leaves_out_is_not_computed() {
    let rows = [(1, 0, 0.0), (2, 5, 1.0), (3, 2, 0.5)];
    for (calls, wanted) in [
        ("sum(10 / n) FILTER (WHERE n <> 0) AS x", "7"),
        ("min(10 / n) FILTER (WHERE n <> 0) AS x", "2"),
        ("sum(DISTINCT 10 / n) FILTER (WHERE n <> 0) AS x", "7"),
        ("count(DISTINCT 10 / n) FILTER (WHERE n <> 0) AS x", "2"),
        ("count(10 / n) FILTER (WHERE n > 2) AS x", "1"),
        (
            "array_agg(10 / n ORDER BY 10 / n DESC) FILTER (WHERE n <> 0) AS x",
            "[5, 2]",
        ),
        (
            "array_agg(DISTINCT 10 / n ORDER BY 10 / n) FILTER (WHERE n <> 0) AS x",
            "[2, 5]",
        ),
        (
            "first_value(k ORDER BY 10 / n) FILTER (WHERE n <> 0) AS x",
            "2",
        ),
        (
            "string_agg(CAST(10 / n AS TEXT), '-' ORDER BY n) FILTER (WHERE n <> 0) AS x",
            "5-2",
        ),
        (
            "CAST(approx_percentile_cont(10 / n, 1.0) FILTER (WHERE n <> 0) AS BIGINT) AS x",
            "5",
        ),
        ("bool_or(10 / n > 3) FILTER (WHERE n <> 0) AS x", "true"),
        ("bool_and(10 / n > 3) FILTER (WHERE n <> 0) AS x", "false"),
        (
            "sum(10 / n) FILTER (WHERE n > 2) AS x, max(10 / n) FILTER (WHERE n > 2) AS y, sum(10 / n) FILTER (WHERE n IN (1, 2)) AS z",
            "2 2 5",
        ),
        ("sum(10 / n) FILTER (WHERE n = 7) AS x", "null"),
        (
            "uniq_count(uniq_state(10 / n, 'quotient') FILTER (WHERE n <> 0)) AS x",
            "2",
        ),
        ("count(*) FILTER (WHERE n <> 0) AS x", "2"),
    ] {
        let select = format!("SELECT count(*) AS c, {calls} FROM t GROUP BY k / 10");
        let (found, errors) = answer(&select, &rows);
        assert_eq!(
            (found, errors),
            (vec![format!("3 {wanted}")], vec![]),
            "{select}"
        );
    }
    for (select, wanted) in [
        (
            "SELECT k, sum(10 / n) FILTER (WHERE n <> 0) AS s, count(*) AS c FROM t GROUP BY GROUPING SETS ((k), (k / 10))",
            &["1 null 1", "2 2 1", "3 5 1", "null 7 3"][..],
        ),
        (
            "SELECT k, sum(10 / n) FILTER (WHERE n <> 0) OVER (ORDER BY k) AS s FROM t",
            &["1 null", "2 2", "3 7"],
        ),
        (
            "SELECT k, bool_and(10 / n > 3) FILTER (WHERE n <> 0) OVER () AS b FROM t",
            &["1 false", "2 false", "3 false"],
        ),
    ] {
        let (found, errors) = answer(select, &rows);
        assert_eq!(found, wanted, "{select}");
        assert_eq!(errors, vec![], "{select}");
    }
}

#[test]
fn a_filter_that_fails_costs_its_row() {
    let rows = [(1, 0, 0.0), (2, 5, 1.0), (3, 2, 0.5)];
    for (calls, wanted) in [
        ("sum(n) FILTER (WHERE 10 / n > 2) AS x", "2"),
        ("sum(20 / n) FILTER (WHERE 10 / n > 2) AS x", "10"),
        // Another call needs the value of all rows.
        (
            "max(10 / n) FILTER (WHERE n <> 0) AS x, sum(10 / n) AS y",
            "5 7",
        ),
    ] {
        let select = format!("SELECT count(*) AS c, {calls} FROM t GROUP BY k / 10");
        let (found, errors) = answer(&select, &rows);
        assert_eq!(found, [format!("2 {wanted}")], "{select}");
        assert_eq!(errors.len(), 1, "{select}");
        let (message, row) = &errors[0];
        assert!(message.contains("Divide by zero"), "{message}");
        assert!(row.contains("n=0"), "{row}");
    }
}
