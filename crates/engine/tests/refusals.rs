//! What the engine does not keep current is refused with its place, and what
//! fails on a row costs that row only.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/table_changes.rs"]
mod table_changes;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use sluice_core::{ChangeKind, ColumnDefinition, TableChanges, TableDefinition, TableKind};
use sluice_engine::{
    EVALUATION_ERRORS, Engine, EngineError, EngineOptions, Program, ViewDefinition,
};

use table_changes::table_changes;

fn table() -> TableDefinition {
    let column = |name: &str| ColumnDefinition {
        name: name.into(),
        data_type: DataType::Int64,
        nullable: true,
    };
    TableDefinition {
        name: "t".into(),
        columns: vec![column("a"), column("b")],
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    }
}

fn view(name: &str, sql: &str) -> ViewDefinition {
    ViewDefinition {
        name: name.into(),
        file: format!("models/dws/{name}.sql"),
        sql: sql.into(),
    }
}

fn errors_of(views: &[ViewDefinition]) -> Vec<String> {
    let errors = Program::plan(&[table()], views).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

fn error_of(select: &str) -> String {
    let sql = format!("-- a comment\nCREATE MATERIALIZED VIEW v AS\n{select}");
    errors_of(&[view("v", &sql)]).join("\n")
}

#[test]
fn unsupported_constructs_are_refused_with_line_and_column() {
    let cases = [
        ("SELECT a FROM t ORDER BY a", "ORDER BY"),
        (
            "SELECT a, ema(b, 2) OVER (ORDER BY a) FROM t",
            "a constant above 0 and at most 1",
        ),
        (
            "SELECT a, ema(b, 1.0 / a) OVER (ORDER BY a) FROM t",
            "a constant above 0 and at most 1",
        ),
        ("SELECT a, ema(b) OVER (ORDER BY a) FROM t", "ema"),
        ("SELECT a FROM t LIMIT 3", "LIMIT"),
        (
            "SELECT a FROM t FULL JOIN (SELECT b AS a FROM t) AS u USING (a)",
            "coalesce(a.id, b.id)",
        ),
        (
            "SELECT a FROM t NATURAL RIGHT JOIN (SELECT b AS a FROM t) AS u",
            "coalesce(a.id, b.id)",
        ),
        (
            "SELECT DATE '2026-11-22' + INTERVAL '1 hour' AS d FROM t",
            "CAST(day AS TIMESTAMP)",
        ),
        (
            "SELECT a FROM t WHERE DATE '2026-11-22' - INTERVAL '1 day 1 second' > DATE '2026-11-20'",
            "CAST(day AS TIMESTAMP)",
        ),
        (
            "SELECT a FROM t WHERE (a, (a, b)) = (1, (2, 3))",
            "none of them a row",
        ),
        (
            "SELECT a FROM t WHERE named_struct('a', a) = named_struct('a', b)",
            "as many values",
        ),
        (
            "SELECT a FROM t WHERE row(a, row(a, b)) IS DISTINCT FROM row(b, row(b, a))",
            "none of them a row",
        ),
        (
            "SELECT DATE '2026-11-22' + a * INTERVAL '1 hour' AS d FROM t",
            "CAST(day AS TIMESTAMP)",
        ),
        (
            "SELECT DATE '2026-11-22' + INTERVAL '1 day' / 2 AS d FROM t",
            "CAST(day AS TIMESTAMP)",
        ),
        (
            "SELECT a FROM t WHERE INTERVAL '1 day' * INTERVAL '2 days' > INTERVAL '1 day'",
            "an interval is multiplied with a number",
        ),
        (
            "SELECT a FROM t WHERE b / INTERVAL '1 day' > INTERVAL '1 day'",
            "an interval is multiplied with a number",
        ),
        (
            "SELECT max(make_array(a, b)) AS m FROM t",
            "max of lists is not supported",
        ),
        (
            "SELECT a FROM t WHERE greatest(make_array(a), make_array(b)) = make_array(1)",
            "greatest of lists is not supported",
        ),
        (
            "SELECT a, encode(CAST(b AS TEXT), 'nonsense') AS x FROM t",
            "write one of the formats 'base64' and 'hex'",
        ),
        (
            "SELECT a FROM t WHERE decode(CAST(b AS TEXT), CAST(a AS TEXT)) IS NULL",
            "write one of the formats 'base64' and 'hex'",
        ),
        (
            "SELECT string_agg(CAST(a AS TEXT), CAST(b AS TEXT)) AS x FROM t",
            "string_agg with a delimiter of each row",
        ),
        (
            "SELECT a, b::numeric(3, -2) AS x FROM t",
            "round(value, -2)",
        ),
        (
            "SELECT a FROM t WHERE b > arrow_cast(100, 'Decimal128(3, -2)')",
            "round(value, -2)",
        ),
        ("SELECT a, b * 1e400 AS x FROM t", "exceeds the"),
        (
            "SELECT a, now() AS at FROM t",
            ":3:11: `now` reads the clock",
        ),
        (
            "SELECT a, random() AS r FROM t",
            "`random` reads the clock or chance",
        ),
        ("SELECT a, current_date AS d FROM t", "reads the clock"),
        ("SELECT a FROM t EXCEPT ALL SELECT b FROM t", "EXCEPT ALL"),
        (
            "SELECT a FROM t INTERSECT ALL SELECT b FROM t",
            "INTERSECT ALL",
        ),
        ("SELECT a FROM t FOR UPDATE", "FOR UPDATE"),
        ("SELECT DISTINCT ON (a) a, b FROM t", "DISTINCT ON"),
        (
            "SELECT x.a, EXISTS (SELECT 1 FROM t y WHERE y.b < x.b) AS e FROM t x",
            "a subquery that cannot become a join",
        ),
        (
            "SELECT first_value(b) AS s FROM t",
            "`first_value` without an order",
        ),
        (
            "SELECT array_agg(DISTINCT a ORDER BY b) AS s FROM t",
            "`array_agg` of DISTINCT values in the order of others",
        ),
        ("SELECT a FROM generate_series(1, 3)", "table function"),
        ("SELECT aa FROM t", ":3:8:"),
        ("SELECT a FROM tt", "tt"),
        (
            "SELECT x.a, y.a FROM t x JOIN t y ON x.a = y.b",
            "two columns are named `a`",
        ),
        (
            "SELECT a, a FROM t",
            ":3:8: Projections require unique expression names",
        ),
        ("SELEC a FROM t", ":3:"),
    ];
    for (select, wanted) in cases {
        let found = error_of(select);
        assert!(found.contains(wanted), "{select}\n  gave: {found}");
        assert!(found.starts_with("models/dws/v.sql:"), "{found}");
    }
}

#[test]
fn the_text_of_a_plain_view_is_read_as_it_was_written() {
    for (select, kept) in [
        ("SELECT 'a''''b' AS q FROM t", "SELECT 'a''''b' AS q FROM t"),
        ("SELECT a, - -b AS q FROM t", "SELECT a, -(-b) AS q FROM t"),
        (
            "SELECT a, b * 1e2 > 5 AS q FROM t LIMIT 1e0",
            "SELECT a, b * 100. > 5 AS q FROM t LIMIT 1",
        ),
    ] {
        let sql = format!("CREATE VIEW v AS {select}");
        let program = Program::plan(&[table()], &[view("v", &sql)]).unwrap();
        assert_eq!(program.query_views(), [("v".to_owned(), kept.to_owned())]);
    }
}

#[test]
fn cycles_and_names_are_refused() {
    let found = errors_of(&[
        view("x", "CREATE MATERIALIZED VIEW x AS SELECT a FROM y"),
        view("y", "CREATE MATERIALIZED VIEW y AS SELECT a FROM z"),
        view("z", "CREATE MATERIALIZED VIEW z AS SELECT a FROM x"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("x → y → z → x"), "{found:?}");
    let found = errors_of(&[view("t", "CREATE MATERIALIZED VIEW t AS SELECT a FROM t")]);
    assert!(
        found[0].contains("already a table or view `t`"),
        "{found:?}"
    );
    let found = errors_of(&[view("v", "CREATE MATERIALIZED VIEW w AS SELECT a FROM t")]);
    assert!(found[0].contains("not its own name"), "{found:?}");
    let found = errors_of(&[view("v", "DROP TABLE t")]);
    assert!(found[0].contains("not a view"), "{found:?}");
}

fn changes(rows: &[(i64, Option<i64>)], kind: ChangeKind, version: u64) -> Vec<TableChanges> {
    let keys: Int64Array = rows.iter().map(|(key, _)| Some(*key)).collect();
    let values: Int64Array = rows.iter().map(|(_, value)| *value).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values)];
    let kinds = vec![kind; rows.len()];
    vec![table_changes(&table(), columns, kinds, version)]
}

fn engine(select: &str) -> Engine {
    let sql = format!("CREATE MATERIALIZED VIEW v AS {select}");
    let program = Program::plan(&[table()], &[view("v", &sql)]).unwrap();
    Engine::new(Arc::new(program), EngineOptions::default()).unwrap()
}

fn rows_of(engine: &mut Engine, epoch: u64, input: Vec<TableChanges>, name: &str) -> Vec<i64> {
    let output = engine.step(epoch, input).unwrap();
    output
        .deltas
        .get(name)
        .map(|delta| delta.weights().to_vec())
        .unwrap_or_default()
}

#[test]
fn a_failing_row_goes_to_the_errors_and_comes_back_when_it_is_mended() {
    for (select, bad) in [
        ("SELECT a, 100 / b AS q FROM t", 0),
        ("SELECT a, b + 1 AS q FROM t", i64::MAX),
        ("SELECT a, b * 3 AS q FROM t", i64::MAX / 2),
    ] {
        let mut engine = engine(select);
        let rows = [(1, Some(5)), (2, Some(bad)), (3, Some(7))];
        let output = engine
            .step(1, changes(&rows, ChangeKind::Upsert, 1))
            .unwrap();
        assert_eq!(output.deltas["v"].len(), 2, "{select}");
        assert_eq!(output.deltas[EVALUATION_ERRORS].weights(), &[1], "{select}");
        let mended = changes(&[(2, Some(1))], ChangeKind::Upsert, 2);
        let output = engine.step(2, mended).unwrap();
        assert_eq!(output.deltas["v"].weights(), &[1]);
        assert_eq!(output.deltas[EVALUATION_ERRORS].weights(), &[-1]);
    }
}

#[test]
fn a_sum_that_overflows_is_an_error_until_it_fits_again() {
    let mut engine = engine("SELECT sum(b) AS s FROM t");
    let rows = [(1, Some(i64::MAX)), (2, Some(i64::MAX))];
    assert_eq!(
        rows_of(
            &mut engine,
            1,
            changes(&rows, ChangeKind::Upsert, 1),
            EVALUATION_ERRORS
        ),
        [1]
    );
    let gone = changes(&[(1, None)], ChangeKind::Delete, 2);
    let output = engine.step(2, gone).unwrap();
    assert_eq!(output.deltas["v"].weights(), &[1]);
    assert_eq!(output.deltas[EVALUATION_ERRORS].weights(), &[-1]);
}

#[test]
fn a_sum_that_overflows_is_another_than_one_of_nothing() {
    for select in [
        "SELECT sum(b) AS s FROM t",
        "SELECT a % 1 AS k, sum(b) AS s FROM t GROUP BY a % 1",
    ] {
        let mut engine = engine(select);
        let all = |value: Option<i64>, version| {
            changes(&[(1, value), (2, value)], ChangeKind::Upsert, version)
        };
        engine.step(1, all(Some(i64::MAX), 1)).unwrap();
        for version in [2, 4, 6] {
            // The group's row without a value comes, and the error goes.
            let output = engine.step(version, all(None, version)).unwrap();
            assert_eq!(output.deltas["v"].weights(), &[1], "{select}");
            assert_eq!(
                output.deltas[EVALUATION_ERRORS].weights(),
                &[-1],
                "{select}"
            );
            let output = engine
                .step(version + 1, all(Some(i64::MAX), version + 1))
                .unwrap();
            assert_eq!(output.deltas["v"].weights(), &[-1], "{select}");
            assert_eq!(output.deltas[EVALUATION_ERRORS].weights(), &[1], "{select}");
        }
        let output = engine.step(8, all(Some(4), 8)).unwrap();
        assert_eq!(output.deltas["v"].weights(), &[1], "{select}");
        assert_eq!(
            output.deltas[EVALUATION_ERRORS].weights(),
            &[-1],
            "{select}"
        );
    }
}

#[test]
fn a_scalar_subquery_has_one_row_by_its_form() {
    for select in [
        "SELECT a, (SELECT b FROM t) AS x FROM t",
        "SELECT a FROM t WHERE b > (SELECT b FROM t WHERE a = 1)",
        "SELECT a FROM t WHERE b > (SELECT max(b) FROM t GROUP BY a)",
        "SELECT a FROM t WHERE b > (SELECT b FROM t UNION ALL SELECT 1)",
        "SELECT a, (SELECT p.x FROM (SELECT max(b) AS x FROM t) p
             FULL JOIN (SELECT min(b) AS y FROM t) q ON p.x = q.y) AS m FROM t",
        "SELECT a, (SELECT count(*) FROM (SELECT max(b) AS x FROM t) p
             GROUP BY ROLLUP(x)) AS m FROM t",
    ] {
        let found = error_of(select);
        assert!(found.contains("scalar subquery"), "{select}: {found}");
    }
    for select in [
        "SELECT a, (SELECT max(b) FROM t) AS x FROM t",
        "SELECT a FROM t WHERE b > (SELECT b + 1 FROM t ORDER BY a LIMIT 1)",
        "SELECT a FROM t WHERE b > (SELECT 1)",
        "SELECT a, (SELECT p.x FROM (SELECT max(b) AS x FROM t) p
             LEFT JOIN (SELECT min(b) AS y FROM t) q ON p.x = q.y) AS m FROM t",
        "SELECT a, (SELECT count(*) FROM (SELECT max(b) AS x FROM t) p GROUP BY x) AS m FROM t",
        "SELECT a FROM t AS o WHERE b > (SELECT max(b) FROM t AS i WHERE i.a = o.a)",
    ] {
        engine(select);
    }
}

#[test]
fn comparisons_of_too_many_rows_are_refused() {
    let rows = vec!["(1, 2)"; 4_000].join(", ");
    let error = error_of(&format!("SELECT a FROM t WHERE (a, b) IN ({rows})"));
    assert!(error.contains("compare fewer or shorter values"), "{error}");
}

/// A few lines that would be planned for longer than anyone waits.
#[test]
fn short_models_of_which_too_much_would_be_made_are_refused() {
    let mut tables = vec!["c0 AS (SELECT a FROM t)".to_owned()];
    for number in 1..30 {
        let before = number - 1;
        tables.push(format!(
            "c{number} AS (SELECT x.a FROM c{before} AS x JOIN c{before} AS y ON x.a = y.a)"
        ));
    }
    let between = format!(
        "{}a{}",
        "CAST(".repeat(18),
        " BETWEEN 0 AND 1 AS INT)".repeat(18)
    );
    let mut doubled = "t".to_owned();
    for _ in 0..16 {
        doubled = format!("(SELECT a + a AS a FROM {doubled}) AS s");
    }
    for (select, expected) in [
        (
            format!("WITH {} SELECT a FROM c29", tables.join(", ")),
            "more than 1000 selects and tables",
        ),
        (
            "SELECT a FROM t WHERE a < ALL (SELECT a FROM t WHERE a < ALL (SELECT a FROM t WHERE a < ALL (SELECT a FROM t WHERE a < ALL (SELECT a FROM t WHERE a < ALL (SELECT a FROM t)))))".to_owned(),
            "behind ANY or ALL",
        ),
        (
            format!("SELECT count(*) AS n FROM t GROUP BY CUBE ({})", vec!["a"; 20].join(", ")),
            "more than 4096 grouping sets",
        ),
        (
            format!("SELECT {between} AS x FROM t"),
            "parts of an expression would stand in it more than once",
        ),
        (
            format!("SELECT a FROM {doubled} WHERE a > 3"),
            "parts of an expression would stand in it more than once",
        ),
    ] {
        let error = error_of(&select);
        assert!(error.contains(expected), "{select}: {error}");
    }
}

#[test]
fn what_the_library_answers_otherwise_than_sql_is_refused() {
    for (select, expected) in [
        (
            "SELECT a FROM t WHERE CAST(a AS TEXT) SIMILAR TO '1'",
            "SIMILAR TO is not supported in a view",
        ),
        (
            "SELECT to_timestamp(a) AT TIME ZONE 'Mars/Phobos' AS x FROM t",
            "there is no time zone `Mars/Phobos`",
        ),
    ] {
        let found = error_of(select);
        assert!(found.contains(expected), "{select}: {found}");
    }
    engine(
        "SELECT to_timestamp(a) AT TIME ZONE 'Asia/Shanghai' - INTERVAL '1 hour 30 minutes' AS x FROM t",
    );
}

#[test]
fn the_negative_of_an_interval_is_that_of_all_its_parts() {
    for interval in [
        "-INTERVAL '1 hour 30 minutes'",
        "-INTERVAL '1h 30m'",
        "INTERVAL - '1hour 30minutes'",
        "-INTERVAL '90' MINUTE",
        "- - - INTERVAL '90 minutes'",
    ] {
        // 10,000 s, and it minus 5,400 s.
        let select =
            format!("SELECT a, b FROM t WHERE to_timestamp(a) + ({interval}) = to_timestamp(b)");
        let rows = [(10_000, Some(4_600)), (10_001, Some(8_201))];
        let input = changes(&rows, ChangeKind::Upsert, 1);
        let output = engine(&select).step(1, input).unwrap();
        assert_eq!(output.deltas["v"].weights(), &[1], "{interval}");
    }
}

#[test]
fn the_least_integer_has_no_negative() {
    let mut engine = engine("SELECT a, -b AS x FROM t");
    let rows = [(1, Some(i64::MIN)), (2, Some(5))];
    let output = engine.step(1, changes(&rows, ChangeKind::Upsert, 1));
    let output = output.unwrap();
    assert_eq!(output.deltas["v"].weights(), &[1]);
    assert_eq!(output.deltas[EVALUATION_ERRORS].weights(), &[1]);
}

#[test]
fn a_view_that_reads_a_wrong_one_hides_nothing() {
    let views = [
        view("a", "CREATE MATERIALIZED VIEW a AS SELECT x FROM b"),
        view(
            "b",
            "CREATE MATERIALIZED VIEW b AS SELECT wrong AS x FROM t",
        ),
        view("c", "CREATE MATERIALIZED VIEW c AS SELECT x FROM a"),
        view("d", "CREATE MATERIALIZED VIEW d AS SELECT other FROM t"),
    ];
    let errors = errors_of(&views);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("wrong"), "{errors:?}");
    assert!(errors[1].contains("other"), "{errors:?}");
}

#[test]
fn what_fails_without_a_column_is_an_error_of_its_row() {
    for select in [
        "SELECT 1 / (0 * 1) AS x FROM t",
        "SELECT 1 AS x FROM t WHERE 1 / 0 = 1",
    ] {
        let mut engine = engine(select);
        let rows = [(1, Some(i64::MAX)), (2, Some(i64::MAX))];
        let output = engine.step(1, changes(&rows, ChangeKind::Upsert, 1));
        let output = output.unwrap();
        assert!(!output.deltas.contains_key("v"), "{select}");
        let errors: i64 = output.deltas[EVALUATION_ERRORS].weights().iter().sum();
        assert_eq!(errors, 2, "{select}");
        let gone = changes(&[(1, None), (2, None)], ChangeKind::Delete, 2);
        let output = engine.step(2, gone).unwrap();
        let errors: i64 = output.deltas[EVALUATION_ERRORS].weights().iter().sum();
        assert_eq!(errors, -2, "{select}");
    }
}

#[test]
fn a_global_aggregate_has_a_row_before_any_input() {
    let mut engine = engine("SELECT count(*) AS n, sum(b) AS s FROM t");
    assert_eq!(rows_of(&mut engine, 1, vec![], "v"), [1]);
    assert_eq!(rows_of(&mut engine, 2, vec![], "v"), [0_i64; 0]);
}

#[test]
fn older_changes_and_wrong_epochs_do_nothing() {
    let mut engine = engine("SELECT a, b FROM t");
    rows_of(
        &mut engine,
        1,
        changes(&[(1, Some(5))], ChangeKind::Upsert, 9),
        "v",
    );
    let older = changes(&[(1, Some(6))], ChangeKind::Upsert, 8);
    assert!(rows_of(&mut engine, 2, older, "v").is_empty());
    assert_eq!(engine.metrics().ignored_changes["t"], 1);
    let error = engine.step(7, vec![]).unwrap_err();
    assert!(matches!(error, EngineError::EpochOrder { .. }));
}

#[test]
fn a_checkpoint_of_other_definitions_or_version_is_refused() {
    let mut first = engine("SELECT a FROM t");
    first
        .step(1, changes(&[(1, Some(5))], ChangeKind::Upsert, 1))
        .unwrap();
    let mut parts = first.checkpoint().unwrap().changed;
    let sql = "CREATE MATERIALIZED VIEW v AS SELECT b FROM t";
    let other = Arc::new(Program::plan(&[table()], &[view("v", sql)]).unwrap());
    let error = Engine::restore(other, EngineOptions::default(), 1, &parts).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("other table and view definitions"),
        "{error}"
    );
    let sql = "CREATE MATERIALIZED VIEW v AS SELECT a FROM t";
    let same = Arc::new(Program::plan(&[table()], &[view("v", sql)]).unwrap());
    assert!(Engine::restore(same.clone(), EngineOptions::default(), 1, &parts).is_ok());
    for part in parts.values_mut() {
        part[0] = 200;
    }
    let error = Engine::restore(same, EngineOptions::default(), 1, &parts).unwrap_err();
    assert!(error.to_string().contains("format version 200"), "{error}");
}

#[test]
fn columns_that_cannot_be_stored_are_refused_with_their_place() {
    for (column, holds, advice) in [
        ("INTERVAL '1 day'", "INTERVAL", "extract(epoch FROM …)"),
        (
            "CASE WHEN a = 1 THEN INTERVAL '1 month' END",
            "INTERVAL",
            "extract(epoch FROM …)",
        ),
        (
            "make_array(INTERVAL '1 day')",
            "INTERVAL",
            "extract(epoch FROM …)",
        ),
        (
            "named_struct('since', a, 'length', INTERVAL '1 day')",
            "INTERVAL",
            "extract(epoch FROM …)",
        ),
        (
            "arrow_cast(a, 'Dictionary(Int32, Int64)')",
            "Dictionary(Int32, Int64)",
            "leave out the arrow_cast",
        ),
        (
            "arrow_cast(make_array(a), 'List(Dictionary(Int32, Int64))')",
            "Dictionary(Int32, Int64)",
            "leave out the arrow_cast",
        ),
    ] {
        let select = format!("SELECT a, {column} AS q FROM t");
        let found = error_of(&select);
        let place = select.find(" q ").unwrap() + 2;
        let wanted = format!("models/dws/v.sql:3:{place}: `q` cannot be stored: it holds {holds}");
        assert!(found.starts_with(&wanted), "{found}");
        assert!(found.contains(advice), "{found}");
    }
    let found = error_of("SELECT a, arrow_cast(a, 'Decimal128(10, -2)') AS q FROM t");
    assert!(found.contains("a decimal with a negative scale"), "{found}");
    // A view that only others read is stored like all.
    let lengths = "CREATE MATERIALIZED VIEW lengths AS SELECT a, CASE WHEN a > 1 THEN INTERVAL '1 month' END AS length FROM t";
    let long =
        "CREATE MATERIALIZED VIEW long AS SELECT a FROM lengths WHERE length > INTERVAL '1 week'";
    let errors = errors_of(&[view("lengths", lengths), view("long", long)]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("`length` cannot be stored"),
        "{errors:?}"
    );
}

#[test]
fn what_the_state_cannot_hold_is_refused_wherever_it_is() {
    for select in [
        "SELECT count(*) AS n FROM t GROUP BY arrow_cast(a, 'Dictionary(Int32, Int64)')",
        "SELECT count(DISTINCT arrow_cast(a, 'Dictionary(Int32, Int64)')) AS n FROM t GROUP BY b",
        "SELECT x.a FROM t AS x JOIN t AS y ON arrow_cast(x.a, 'Dictionary(Int32, Int64)') = arrow_cast(y.b, 'Dictionary(Int32, Int64)')",
    ] {
        let found = error_of(select);
        assert!(
            found.contains("`Dictionary(Int32, Int64)`"),
            "{select}: {found}"
        );
        assert!(
            found.contains("leave out the arrow_cast"),
            "{select}: {found}"
        );
    }
}

#[test]
fn intervals_may_be_computed_with() {
    for select in [
        "SELECT extract(epoch FROM CASE WHEN a = 1 THEN INTERVAL '1 hour' END) AS q FROM t",
        "SELECT to_timestamp(a) - to_timestamp(b) AS q FROM t",
        "SELECT DATE '2026-11-22' + a * INTERVAL '1 day' AS q FROM t",
        "SELECT b, count(DISTINCT CASE WHEN a = 1 THEN INTERVAL '1 hour' END) AS q FROM t GROUP BY b",
    ] {
        engine(select);
    }
    let sql = "CREATE VIEW v AS SELECT a, INTERVAL '1 day' AS q FROM t";
    Program::plan(&[table()], &[view("v", sql)]).unwrap();
}
