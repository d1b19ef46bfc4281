//! Comparisons of rows, with lists, and with ANY and ALL.

use crate::case::{NULL, Pair, check};

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
