//! Hand-made: decimals beside floats, and intervals, mean what they mean to
//! PostgreSQL. Each case gives the rows of `orders`, an expression, and its value for
//! each row.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use sluice_engine::{EVALUATION_ERRORS, Program};

use crate::common::{Row, Warehouse, delete, tables, upsert, views};

/// The rows of a view, which all go when those of the table go.
fn rows_of(select: &str, orders: &[Row]) -> Vec<String> {
    let mut warehouse = Warehouse::new(&[select]);
    warehouse.epoch(vec![upsert("orders", orders, 1)]);
    let found = warehouse.of("v");
    let errors = warehouse.of(EVALUATION_ERRORS);
    assert!(errors.is_empty(), "{select}: {errors:?}");
    warehouse.restart();
    warehouse.epoch(vec![delete("orders", orders, 2)]);
    assert!(warehouse.of("v").is_empty(), "{select}");
    found
}

/// The values of an expression over the columns `f` DOUBLE, `d` DECIMAL, `id` and `t`.
fn values_of(expression: &str, orders: &[Row]) -> Vec<String> {
    let select = format!(
        "SELECT id, {expression} AS x FROM (SELECT id, t, CAST(k AS DOUBLE) AS f, CAST(n AS DECIMAL(18, 2)) AS d FROM orders) AS o"
    );
    let rows = rows_of(&select, orders);
    let values = rows.iter().map(|row| row.split_once(' ').unwrap().1);
    values.map(str::to_owned).collect()
}

fn error_of(select: &str) -> String {
    let errors = Program::plan(&tables(), &views(&[select])).unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("\n")
}

/// A decimal has room for none of these floats.
const FLOATS: &[Row] = &[
    (1, "0.30000000000000004", Some(0), 0),
    (2, "-1e-20", Some(0), 0),
    (3, "1e300", Some(0), 1),
    (4, "NaN", Some(0), 0),
];

#[test]
fn decimals_are_floats_where_they_meet_some() {
    for (expression, wanted) in [
        ("f = 0.3", [false, false, false, false]),
        ("f < 0.0", [false, true, false, false]),
        ("f > 0.5", [false, false, true, true]),
        ("f BETWEEN 0.0 AND 0.3", [false; 4]),
        ("f NOT IN (0.3, 0.0)", [true; 4]),
        ("f = d", [false; 4]),
        ("f IS DISTINCT FROM 0.0", [true; 4]),
        ("CASE f WHEN 0.3 THEN false ELSE true END", [true; 4]),
        ("CASE WHEN id > 0 THEN f ELSE 0.0 END = f", [true; 4]),
        ("coalesce(f, 0.0) = f", [true; 4]),
        ("nullif(f, 0.0) = f", [true; 4]),
        ("greatest(f, 0.3) = f", [true, false, true, true]),
        ("f + 0.1 > 0.9", [false, false, true, true]),
        ("f - d > 0.9", [false, false, true, true]),
        ("array_has([f], 0.3)", [false; 4]),
        ("array_has([f, 0.3], 0.3)", [true; 4]),
        ("[f] @> [0.3]", [false; 4]),
        ("[0.3] <@ [f]", [false; 4]),
        ("0.3 = ANY (make_array(f))", [false; 4]),
        ("array_has([d], 0.0)", [true, true, false, true]),
        ("0.0 = ANY (make_array(d))", [true, true, false, true]),
        ("array_position([f], 0.3) IS NULL", [true; 4]),
    ] {
        let wanted = wanted.map(|value| value.to_string());
        assert_eq!(values_of(expression, FLOATS), wanted, "{expression}");
    }
    for (select, wanted) in [
        (
            "SELECT id FROM orders WHERE CAST(k AS DOUBLE) IN (SELECT CAST(n AS DECIMAL(18, 2)) FROM orders)",
            &[][..],
        ),
        (
            "SELECT o.id FROM orders AS o JOIN orders AS p ON CAST(o.k AS DOUBLE) = CAST(p.n AS DECIMAL(18, 2))",
            &[],
        ),
        (
            "SELECT x < 0.0 AS b, count(*) AS c FROM (SELECT CAST(k AS DOUBLE) AS x FROM orders UNION ALL SELECT CAST(n AS DECIMAL(18, 2)) FROM orders) AS u GROUP BY 1",
            &["false 7", "true 1"],
        ),
    ] {
        assert_eq!(rows_of(select, FLOATS), wanted, "{select}");
    }
}

#[test]
fn numbers_with_an_exponent_are_decimals_or_floats() {
    for (expression, wanted) in [
        ("d * 1e2 > 5", [false, false, true, false]),
        ("f < 1e299", [true, true, false, false]),
        ("f = 1e300", [false, false, true, false]),
        ("f = -1e-20", [false, true, false, false]),
        ("id < 1e39", [true; 4]),
    ] {
        let wanted = wanted.map(|value| value.to_string());
        assert_eq!(values_of(expression, FLOATS), wanted, "{expression}");
    }
    let select = "SELECT id, CAST(id * 1.5e1 AS BIGINT) AS x FROM orders ORDER BY id LIMIT 2e0";
    assert_eq!(rows_of(select, FLOATS), ["1 15", "2 30"]);
}

#[test]
fn integers_beside_reals_keep_their_digits() {
    for (expression, wanted) in [
        ("CAST(id + 16777216 AS REAL) = 16777217", [false; 4]),
        (
            "CAST(id + 16777216 AS REAL) IN (16777217, 16777218)",
            [false, true, false, false],
        ),
        (
            "CAST(id + 16777216 AS REAL) < 16777217",
            [true, false, false, false],
        ),
    ] {
        let wanted = wanted.map(|value| value.to_string());
        assert_eq!(values_of(expression, FLOATS), wanted, "{expression}");
    }
}

#[test]
fn texts_are_intervals_as_to_postgresql() {
    let rows: &[Row] = &[
        (1, "5", Some(0), 0),
        (2, "1 day 02:03:04", Some(0), 0),
        (3, "-1.5 hours", Some(0), 0),
    ];
    for (condition, wanted) in [
        ("k::interval < INTERVAL '1 minute'", &["1", "3"][..]),
        ("k::interval = INTERVAL '93784 seconds'", &["2"]),
        ("t + k::interval > t + '4'::interval", &["1", "2"]),
        ("TRY_CAST(k || ' x' AS INTERVAL) IS NOT NULL", &[]),
    ] {
        let select = format!("SELECT id FROM orders WHERE {condition}");
        assert_eq!(rows_of(&select, rows), wanted, "{condition}");
    }
    let error = error_of("SELECT id FROM orders WHERE t > t + 'soon'::interval");
    assert!(error.contains("is no interval"), "{error}");
}

#[test]
fn what_a_case_or_coalesce_leaves_out_is_not_computed() {
    let rows: &[Row] = &[(1, "a", Some(0), 0), (2, "a", Some(0), 2)];
    for case in [
        "CASE WHEN n <> 0 THEN 10 / n > 2 ELSE false END",
        "CASE WHEN n = 0 THEN false WHEN 10 / n > 2 THEN true ELSE false END",
        "CASE WHEN n = 0 THEN 'none' WHEN 10 / n > 2 THEN 'many' ELSE 'few' END = 'many'",
        "coalesce(nullif(n <> 0, true), 10 / n > 2)",
        "nvl(nullif(n <> 0, true), 10 / n > 2)",
        "nvl2(nullif(n <> 0, true), false, 10 / n > 2)",
    ] {
        let select = format!("SELECT id, {case} AS x FROM orders");
        assert_eq!(rows_of(&select, rows), ["1 false", "2 true"], "{case}");
        let select = format!("SELECT id FROM orders WHERE {case}");
        assert_eq!(rows_of(&select, rows), ["2"], "{case}");
    }
}

#[test]
fn a_decimal_becomes_the_nearest_float() {
    let rows: &[Row] = &[
        (1, "0.12345678901234567", Some(0), 0),
        (2, "0.30000000000000004", Some(0), 0),
        (3, "0.00554461693100611747", Some(0), 0),
        (4, "-8122406761877354.62", Some(0), 0),
        (5, "0.3", Some(0), 0),
    ];
    let select = "SELECT id FROM orders WHERE CAST(CAST(k AS DECIMAL(38, 20)) AS DOUBLE) = CAST(k AS DOUBLE)";
    assert_eq!(rows_of(select, rows), ["1", "2", "3", "4", "5"]);
    let select = "SELECT id FROM orders WHERE CAST(k AS DOUBLE) = 0.12345678901234567";
    assert_eq!(rows_of(select, rows), ["1"]);
}

#[test]
fn intervals_are_compared_by_their_length() {
    let order: &[Row] = &[(1, "0", Some(0), 0)];
    for (expression, wanted) in [
        ("(t + INTERVAL '31 days') - t > INTERVAL '30 days'", "true"),
        ("(t + INTERVAL '1 day') - t = INTERVAL '1 day'", "true"),
        ("INTERVAL '1 day' = INTERVAL '24 hours'", "true"),
        ("INTERVAL '1 month' < INTERVAL '31 days'", "true"),
        (
            "(t + INTERVAL '40 days') - t BETWEEN INTERVAL '1 month' AND INTERVAL '41 days'",
            "true",
        ),
        (
            "(t + INTERVAL '24 hours') - t IN (INTERVAL '1 day', INTERVAL '2 days')",
            "true",
        ),
        (
            "(t + INTERVAL '1 day') - t IS DISTINCT FROM INTERVAL '1 day'",
            "false",
        ),
        (
            "CASE (t + INTERVAL '1 day') - t WHEN INTERVAL '1 day' THEN 1 ELSE 2 END",
            "1",
        ),
        // Too long for the nanoseconds of an interval.
        ("(t + INTERVAL '5000 years') - t > INTERVAL '1 day'", "true"),
        (
            "nullif(CASE WHEN id > 0 THEN INTERVAL '1 day' END, INTERVAL '24 hours') IS NULL",
            "true",
        ),
        (
            "greatest(CASE WHEN id > 0 THEN INTERVAL '40 days' END, INTERVAL '1 month') > INTERVAL '39 days'",
            "true",
        ),
        (
            "least(CASE WHEN id > 0 THEN INTERVAL '40 days' END, NULL, INTERVAL '1 month') < INTERVAL '31 days'",
            "true",
        ),
        (
            "CASE WHEN d > 0 THEN INTERVAL '1 day' END < INTERVAL '25 hours'",
            "null",
        ),
    ] {
        assert_eq!(values_of(expression, order), [wanted], "{expression}");
    }
}

#[test]
fn intervals_are_written_down_as_casts_are() {
    let order: &[Row] = &[(1, "0", Some(0), 0)];
    for (expression, wanted) in [
        ("t + INTERVAL '1 day 04:05:06'", "02T04:05"),
        ("t + INTERVAL '04:05'", "04:05"),
        ("t + id * -INTERVAL '1 04:05' + INTERVAL '2 days'", "19:55"),
        (
            "INTERVAL '1 day 04:05:06' = '1 day 04:05:06'::interval",
            "true",
        ),
        ("INTERVAL '1-2' = INTERVAL '14 months'", "true"),
        ("'-1-2'::interval = INTERVAL '-14 months'", "true"),
        (
            "INTERVAL '1 2:03:04' = INTERVAL '1 day 2 hours 3 minutes 4 seconds'",
            "true",
        ),
    ] {
        assert_eq!(values_of(expression, order), [wanted], "{expression}");
    }
    let error = error_of("SELECT id FROM orders WHERE t > t + INTERVAL '1 day soon'");
    assert!(error.contains("interval"), "{error}");
}

#[test]
fn intervals_are_multiplied_and_divided_as_in_postgresql() {
    let order: &[Row] = &[(1, "2.5", Some(0), 3)];
    for (expression, wanted) in [
        ("t + id * INTERVAL '90 minutes'", "01:30"),
        ("t + INTERVAL '1 hour' * d", "03:00"),
        ("INTERVAL '1 day' * f = INTERVAL '60 hours'", "true"),
        (
            "0.5 * INTERVAL '1 month 3 days' = INTERVAL '16 days 12 hours'",
            "true",
        ),
        ("INTERVAL '1 hour' / 1.5 = INTERVAL '40 minutes'", "true"),
        (
            "(t + INTERVAL '1 day' - t) / (id + 1) = INTERVAL '12 hours'",
            "true",
        ),
        (
            "CASE WHEN d < 0 THEN INTERVAL '1 day' / (d - d) END < INTERVAL '1 day'",
            "null",
        ),
        ("t + NULL * INTERVAL '1 day'", "null"),
    ] {
        assert_eq!(values_of(expression, order), [wanted], "{expression}");
    }
    let select = "SELECT id, t + INTERVAL '1 day' / n AS x FROM orders";
    let mut warehouse = Warehouse::new(&[select]);
    let rows: &[Row] = &[(1, "", Some(0), 2), (2, "", Some(0), 0)];
    warehouse.epoch(vec![upsert("orders", rows, 1)]);
    assert_eq!(warehouse.of("v"), ["1 12:00"]);
    let errors = warehouse.of(EVALUATION_ERRORS);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("Divide by zero"), "{errors:?}");
}

#[test]
fn null_inside_lists_and_rows_is_a_value() {
    let order: &[Row] = &[(1, "2.5", Some(0), 3)];
    for (expression, wanted) in [
        ("ARRAY[id, NULL] = ARRAY[1, NULL]", "true"),
        ("ARRAY[id, NULL] <> ARRAY[1, 2]", "true"),
        ("ARRAY[id, NULL] IS DISTINCT FROM ARRAY[1, NULL]", "false"),
        ("ARRAY[id, NULL] IN (ARRAY[2, 1], ARRAY[1, NULL])", "true"),
        ("ARRAY[id, NULL] > ARRAY[1, 9]", "true"),
        ("ARRAY[id, 9] < ARRAY[1, NULL]", "true"),
        ("ARRAY[id] <= ARRAY[1, NULL]", "true"),
        ("ARRAY[id, NULL] >= ARRAY[2]", "false"),
        ("ARRAY[id, NULL] BETWEEN ARRAY[1, 8] AND ARRAY[2]", "true"),
        (
            "ARRAY[id, NULL] NOT BETWEEN ARRAY[1, 8] AND ARRAY[2]",
            "false",
        ),
        (
            "CASE WHEN id > 1 THEN ARRAY[id] END < ARRAY[1, NULL]",
            "null",
        ),
        (
            "row(id, CASE WHEN id > 1 THEN f END) IS NOT DISTINCT FROM row(1, NULL)",
            "true",
        ),
        ("ROW(id, f) IS DISTINCT FROM row(1, NULL)", "true"),
        ("ROW(id, f) IS DISTINCT FROM (1, 2.5)", "false"),
        ("row(id, f) < ROW(1, 2.6)", "true"),
    ] {
        assert_eq!(values_of(expression, order), [wanted], "{expression}");
    }
    let select = "SELECT l[1] AS x, c FROM (SELECT ARRAY[n, NULL] AS l, count(*) AS c FROM orders GROUP BY 1) AS g";
    assert_eq!(rows_of(select, FLOATS), ["0 3", "1 1"]);
}

/// Intervals of one order each: 1 month, 30 days, 40 days and none.
const INTERVALS: &str = "(SELECT id, CASE n WHEN 0 THEN INTERVAL '1 month' WHEN 1 THEN INTERVAL '30 days' WHEN 2 THEN INTERVAL '40 days' END AS i FROM orders)";
const ORDERS: &[Row] = &[
    (1, "", Some(0), 0),
    (2, "", Some(0), 1),
    (3, "", Some(0), 2),
    (4, "", Some(0), 3),
];

#[test]
fn intervals_are_keys_by_their_length() {
    for (select, wanted) in [
        (
            format!(
                "SELECT a.id, b.id AS other FROM {INTERVALS} AS a JOIN {INTERVALS} AS b ON a.i = b.i"
            ),
            &["1 1", "1 2", "2 1", "2 2", "3 3"][..],
        ),
        (
            format!(
                "SELECT id FROM {INTERVALS} AS a WHERE i IN (SELECT i FROM {INTERVALS} AS b WHERE b.id = 2)"
            ),
            &["1", "2"],
        ),
        (
            format!("SELECT id > 0 AS b, count(DISTINCT i) AS n FROM {INTERVALS} AS a GROUP BY 1"),
            &["true 2"],
        ),
    ] {
        assert_eq!(rows_of(&select, ORDERS), wanted, "{select}");
    }
}

#[test]
fn what_keeps_one_interval_of_several_alike_is_refused() {
    for (select, word) in [
        ("SELECT count(*) AS c FROM {} AS a GROUP BY i", "GROUP BY"),
        (
            "SELECT count(*) AS c FROM (SELECT DISTINCT i FROM {} AS a) AS b",
            "DISTINCT",
        ),
        (
            "SELECT max(i) > INTERVAL '1 day' AS long FROM {} AS a",
            "max",
        ),
        (
            "SELECT array_has([i], INTERVAL '1 day') AS has FROM {} AS a",
            "array_has",
        ),
    ] {
        let error = error_of(&select.replace("{}", INTERVALS));
        assert!(error.contains(word), "{error}");
        assert!(error.contains("extract(epoch FROM …)"), "{error}");
    }
}

#[test]
fn functions_and_casts_answer_as_in_postgresql() {
    let orders: &[Row] = &[(1, "2.5", Some(0), 3)];
    for (expression, wanted) in [
        ("round(f) = 2", "true"),
        ("round(f + 1) = 4", "true"),
        ("CAST(f AS INT)", "2"),
        ("CAST(d + 0.5 AS BIGINT)", "4"),
        ("TRY_CAST(-d - 0.5 AS BIGINT)", "-4"),
        ("CAST(12345 + id AS varchar(3))", "123"),
        ("'für' || id::varchar(5)", "für1"),
        ("('für' || id)::varchar(2)", "fü"),
        (r"regexp_replace('a' || id, '(a)', '[\1\&$1]')", "[aa$1]1"),
        ("encode('a' || id, 'base64')", "YTE="),
        ("encode('a' || id, 'HEX')", "6131"),
        ("encode(decode('613' || id, 'Hex'), 'hex')", "6131"),
        ("array_length(string_to_array('', ','), 1)", "null"),
        (
            "array_to_string(array_remove(ARRAY[id, 2, id], 1), ',')",
            "2",
        ),
        ("array_to_string((ARRAY[id, 2, 3])[id - 2:2], ',')", "1,2"),
        ("array_length((ARRAY[id, 2, 3])[0:-id], 1)", "null"),
        ("(ARRAY[id, 2, 3])[-id]", "null"),
        ("array_to_string((ARRAY[id, 2, 3])[:2], ',')", "1,2"),
        ("array_to_string((ARRAY[id, 2, 3])[id + 1:], ',')", "2,3"),
        ("array_to_string((ARRAY[id, 2, 3])[:], ',')", "1,2,3"),
        ("ln(f) > 0", "true"),
        ("CASE WHEN f < 0 THEN ln(f - f) ELSE 0 END = 0", "true"),
    ] {
        assert_eq!(values_of(expression, orders), [wanted], "{expression}");
    }
    // The column is called as what it is made of.
    let select = "SELECT k FROM (SELECT k::varchar(2) FROM orders) AS o";
    assert_eq!(rows_of(select, orders), ["2."]);
    let error = error_of("SELECT id, CAST(k AS char(3)) AS x FROM orders");
    assert!(error.contains("write varchar(n)"), "{error}");
}
