//! Ad-hoc SQL over values that take too much memory, or that the processor
//! compares otherwise than SQL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/no_tables.rs"]
mod no_tables;

use sluice_serve::QueryEngine;

use no_tables::{answered, engine};

/// The values of an answer's first row.
async fn answer(engine: &QueryEngine, sql: &str) -> Result<Vec<String>, String> {
    let rows = answered(engine, sql).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

#[tokio::test]
async fn what_is_too_long_is_an_error() {
    let engine = engine(&[]);
    for call in [
        "repeat('x', 1000000000)",
        "lpad('x', n * 1000000000)",
        "repeat('x', n * 1000000000)",
        "array_repeat(n, n * 100000000000)",
        "replace(repeat('a', 1000000), 'a', repeat('b', n * 10000))",
        "generate_series(1, n * 100000000000)",
    ] {
        let sql = format!("SELECT {call} AS made FROM (VALUES (1), (2)) AS t(n)");
        let error = answer(&engine, &sql).await.unwrap_err();
        assert!(error.contains("` would make a"), "{call}: {error}");
    }
    for call in [
        "levenshtein(repeat('x', n * 400), repeat('y', 400))",
        "array_has_any(generate_series(1, n * 2000), generate_series(3000, 5000))",
        "generate_series(1, n * 2000) @> generate_series(3000, 5000)",
    ] {
        let sql = format!("SELECT {call} AS made FROM (VALUES (1), (2)) AS t(n)");
        let error = answer(&engine, &sql).await.unwrap_err();
        assert!(error.contains("` would compare"), "{call}: {error}");
    }
    let sql = "SELECT levenshtein(repeat('x', n * 200), repeat('y', 300)) AS d, generate_series(1, n * 3) @> ARRAY[2, 3] AS h FROM (VALUES (1), (2)) AS t(n)";
    assert_eq!(answer(&engine, sql).await.unwrap(), ["300", "true"]);
    let sql = "SELECT repeat('x', n * 100000) AS made FROM generate_series(1, 10) AS t(n)";
    answer(&engine, sql).await.unwrap();
    let sql = "SELECT repeat('x', n + 100000) AS made FROM generate_series(1, 5000) AS t(n)";
    let error = answer(&engine, sql).await.unwrap_err();
    assert!(error.contains("rows at once"), "{error}");
    let sql =
        "SELECT approx_percentile_cont(n, 0.5, 1000000000000) AS p FROM (VALUES (1), (2)) AS t(n)";
    let error = answer(&engine, sql).await.unwrap_err();
    assert!(error.contains("from 1 to 100000"), "{error}");
}

#[tokio::test]
async fn floats_are_compared_as_sql_has_it() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("f / f > 1", "true"),
        ("f / f = 0 / f", "true"),
        ("f * -1 = 0", "true"),
        ("f * -1 IN (0, 7)", "true"),
        ("CASE f * -1 WHEN 0 THEN 1 ELSE 2 END", "1"),
        ("nullif(-f, 0)", "null"),
        ("greatest(f / f, 5)", "NaN"),
        ("CAST(f * -1 AS TEXT)", "0.0"),
        ("max(f / f)", "NaN"),
    ] {
        let sql = format!(
            "SELECT {expression} AS x FROM (SELECT CAST(n AS DOUBLE) AS f FROM (VALUES (0), (0)) AS t(n))"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
    // Also where only the first of all groups is wanted.
    for rows in ["('A', '1'), ('B', 'NaN')", "('B', 'NaN'), ('A', '1')"] {
        let sql = format!(
            "SELECT g, min(f) AS least FROM (SELECT g, CAST(f AS DOUBLE) AS f FROM (VALUES {rows}) AS t(g, f)) GROUP BY g ORDER BY min(f) LIMIT 1"
        );
        assert_eq!(answer(&engine, &sql).await.unwrap(), ["A", "1.0"], "{rows}");
        let sql = sql
            .replace("min(f)", "max(f)")
            .replace("LIMIT", "DESC LIMIT");
        assert_eq!(answer(&engine, &sql).await.unwrap(), ["B", "NaN"], "{rows}");
    }
    let sql = "SELECT count(*) AS n FROM (SELECT f / f AS q FROM (VALUES (0.0), (1.0)) AS t(n), (SELECT CAST(0 AS DOUBLE) AS f) AS z) WHERE q > 1";
    assert_eq!(answer(&engine, sql).await.unwrap(), ["2"]);
}

#[tokio::test]
async fn numbers_with_an_exponent_are_decimals_or_floats() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("1e10", "10000000000"),
        ("-1.5e3", "-1500"),
        ("1e-3", "0.001"),
        ("1e300 = CAST('1e300' AS DOUBLE)", "true"),
        ("-1e-300 = CAST('-1e-300' AS DOUBLE)", "true"),
        ("1e39 > 1e38", "true"),
        ("CAST(1e18 AS DOUBLE) = 1000000000000000000", "true"),
        ("CAST('NaN' AS DOUBLE) > 1e300", "true"),
        ("2.5 < 1e300", "true"),
        ("3 * 1e2 > 5", "true"),
    ] {
        let sql = format!("SELECT {expression} AS x");
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
    for number in ["1e400", "1e-400"] {
        let sql = format!("SELECT {number} AS x");
        assert!(answer(&engine, &sql).await.is_err(), "{number}");
    }
    for wrong in [
        "n * CAST(100 AS NUMERIC(3, -2)) > 5",
        "n > arrow_cast(100, 'Decimal128(3, -2)')",
    ] {
        let sql = format!("SELECT {wrong} AS x FROM (VALUES (1), (2)) AS t(n)");
        let error = answer(&engine, &sql).await.unwrap_err();
        assert!(error.contains("round(value, -2)"), "{wrong}: {error}");
    }
}

#[tokio::test]
async fn texts_are_intervals_as_to_postgresql() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("'5'::interval = INTERVAL '5 seconds'", "true"),
        ("'5.5'::interval = INTERVAL '5500 milliseconds'", "true"),
        ("CAST('-5' AS INTERVAL) = -INTERVAL '5 seconds'", "true"),
        ("'1 day 02:03:04'::interval = INTERVAL '93784 s'", "true"),
        ("-'1 day 1 hour'::interval = INTERVAL '-25 hours'", "true"),
        ("s::interval = INTERVAL '3 seconds'", "true"),
        ("(s || ' days')::interval = INTERVAL '3 days'", "true"),
        ("TRY_CAST('soon' AS INTERVAL) IS NULL", "true"),
        ("TRY_CAST(s || ' x' AS INTERVAL) IS NULL", "true"),
        ("NULL::text::interval IS NULL", "true"),
    ] {
        let sql = format!("SELECT {expression} AS x FROM (VALUES ('3')) AS t(s)");
        let found = answer(&engine, &sql).await;
        assert_eq!(found, Ok(vec![wanted.to_owned()]), "{expression}");
    }
    for wrong in ["'soon'::interval", "(s || ' x')::interval"] {
        let sql = format!("SELECT {wrong} AS x FROM (VALUES ('3'), ('4')) AS t(s)");
        let error = answer(&engine, &sql).await.unwrap_err();
        assert!(error.contains("is no interval"), "{wrong}: {error}");
    }
}

/// A decimal has room for neither of these floats.
#[tokio::test]
async fn decimals_are_floats_where_they_meet_some() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("tiny = 0.0", "false"),
        ("tiny IN (0.0, 1.5)", "false"),
        ("0.0 IN (tiny, 1.5)", "false"),
        ("1.5 IN (nan, 1.5)", "true"),
        ("nan IN (nan, 1.5)", "true"),
        ("nan NOT IN (1.5, 2.5)", "true"),
        ("nan = nan", "true"),
        ("CAST('Infinity' AS DOUBLE) > 1.5", "true"),
        (
            "tiny BETWEEN 0.0 AND 0.5 AND NOT 0.0 BETWEEN tiny AND 0.5",
            "true",
        ),
        ("CASE tiny WHEN 0.0 THEN 1 ELSE 2 END", "2"),
        ("CASE WHEN tiny < 1 THEN tiny ELSE 0.5 END > 0", "true"),
        ("coalesce(tiny, 0.5) > 0", "true"),
        ("coalesce(nan, 0.5)", "NaN"),
        ("nullif(tiny, 0.0) IS NULL", "false"),
        ("greatest(tiny, 0.0) > 0", "true"),
        ("0.0 IN (SELECT tiny FROM f)", "false"),
        ("tiny IN (SELECT 0.0)", "false"),
        ("CAST(0.1 AS REAL) = 0.1", "false"),
        ("CAST(16777217 AS REAL) = 16777217", "false"),
        ("CAST(16777217 AS REAL) < 16777217", "true"),
        ("16777217 IN (CAST(16777217 AS REAL), 7)", "false"),
        ("16777217 IN (SELECT CAST(16777217 AS REAL))", "false"),
    ] {
        let sql = format!(
            "WITH f AS (SELECT CAST(t AS DOUBLE) AS tiny, CAST(n AS DOUBLE) AS nan FROM (VALUES ('1e-20', 'NaN')) AS v(t, n)) SELECT {expression} AS x FROM f"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
    let tiny = "CAST('1e-20' AS DOUBLE)";
    for (rows, wanted) in [
        (format!("VALUES (0.5), ({tiny}), (NULL), (1)"), "1"),
        (format!("SELECT {tiny} AS x UNION ALL SELECT 0.5"), "1"),
        (
            format!("SELECT {tiny} AS x UNION SELECT 0.0 UNION SELECT 0"),
            "1",
        ),
        (format!("SELECT {tiny} AS x EXCEPT SELECT 0.0"), "1"),
        (format!("SELECT 0.0 AS x INTERSECT SELECT {tiny}"), "0"),
        (
            format!(
                "SELECT a.x FROM (SELECT {tiny} AS x) AS a JOIN (SELECT 0.0 AS x) AS b ON a.x = b.x"
            ),
            "0",
        ),
    ] {
        let sql = format!("SELECT count(*) AS n FROM ({rows}) AS r(x) WHERE x > 0 AND x < 1e-10");
        assert_eq!(answer(&engine, &sql).await.unwrap(), [wanted], "{rows}");
    }
}

#[tokio::test]
async fn what_a_filter_leaves_out_is_not_computed() {
    let engine = engine(&[]);
    let rows = "(VALUES (1, 0), (1, 5), (1, 2)) AS t(g, n)";
    for (call, wanted) in [
        ("sum(10 / n) FILTER (WHERE n <> 0)", "7"),
        ("count(DISTINCT 10 / n) FILTER (WHERE n <> 0)", "2"),
        (
            "array_agg(10 / n ORDER BY 10 / n DESC) FILTER (WHERE n <> 0)",
            "[5, 2]",
        ),
        ("bool_and(10 / n > 3) FILTER (WHERE n <> 0)", "false"),
        ("sum(10 / n) FILTER (WHERE n = 7)", "null"),
    ] {
        let sql =
            format!("SELECT {call} AS x, count(*) AS c FROM {rows} GROUP BY g ORDER BY c LIMIT 1");
        let found = answer(&engine, &sql).await.unwrap();
        assert_eq!(found, [wanted, "3"], "{call}");
    }
    for (call, wanted) in [
        ("sum(10 / n) FILTER (WHERE n <> 0) OVER ()", "7"),
        (
            "bool_and(10 / n > 3) FILTER (WHERE n <> 0) OVER ()",
            "false",
        ),
    ] {
        let sql = format!("SELECT {call} AS x FROM {rows} ORDER BY n LIMIT 1");
        let found = answer(&engine, &sql).await.unwrap();
        assert_eq!(found, [wanted], "{call}");
    }
    // A filter that fails is an error, and so is a call without one.
    for call in [
        "sum(n) FILTER (WHERE 10 / n > 2)",
        "max(10 / n) FILTER (WHERE n <> 0) + sum(10 / n)",
    ] {
        let sql = format!("SELECT {call} AS x FROM {rows} GROUP BY g");
        let error = answer(&engine, &sql).await.unwrap_err();
        assert!(error.contains("Divide by zero"), "{call}: {error}");
    }
}

#[tokio::test]
async fn what_a_case_leaves_out_is_not_computed() {
    let engine = engine(&[]);
    let rows = "(VALUES (0), (5), (2)) AS t(n)";
    for (case, wanted) in [
        (
            "CASE WHEN n <> 0 THEN 10 / n > 2 ELSE false END",
            ["false", "true", "false"],
        ),
        (
            "CASE WHEN n <> 0 THEN 10 / n > 2 END",
            ["null", "true", "false"],
        ),
        (
            "CASE WHEN n = 0 THEN false WHEN 10 / n > 2 THEN true ELSE false END",
            ["false", "true", "false"],
        ),
        (
            "CASE WHEN n = 0 THEN 'none' WHEN 10 / n > 2 THEN 'many' ELSE 'few' END = 'many'",
            ["false", "true", "false"],
        ),
    ] {
        let sql = format!("SELECT {case} AS x FROM {rows} ORDER BY n");
        let found = answered(&engine, &sql).await.unwrap().concat();
        assert_eq!(found, wanted, "{case}");
        let sql = format!("SELECT n FROM {rows} WHERE {case}");
        let found = answered(&engine, &sql).await.unwrap().concat();
        assert_eq!(found, ["2"], "{case}");
    }
}

#[tokio::test]
async fn decimals_are_found_in_lists_of_floats() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("array_has(l, 0.5)", "true"),
        ("array_has(l, 0.1)", "false"),
        ("array_has(l, d)", "true"),
        ("array_has(ARRAY[0.5], f)", "true"),
        ("array_position(l, 0.5)", "2"),
        ("array_has_any(l, ARRAY[0.1, 0.5])", "true"),
        ("0.5 = ANY (l)", "true"),
        ("0.1 = ANY (l)", "false"),
        ("0.1 <> ALL (l)", "true"),
        ("l @> ARRAY[0.5, 1.5]", "true"),
        ("ARRAY[0.1] <@ l", "false"),
    ] {
        let sql = format!(
            "SELECT {expression} AS x FROM (SELECT ARRAY[CAST(a AS DOUBLE), CAST(b AS DOUBLE)] AS l, b AS d, CAST(b AS DOUBLE) AS f FROM (VALUES (1.5, 0.5)) AS v(a, b)) AS t"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
}

#[tokio::test]
async fn a_decimal_becomes_the_nearest_float() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("f = 0.3", "false"),
        ("f = 0.30000000000000004", "true"),
        (
            "CAST('0.12345678901234567' AS DOUBLE) = 0.12345678901234567",
            "true",
        ),
        (
            "CAST(d AS DOUBLE) = CAST('-8122406761877354.62' AS DOUBLE)",
            "true",
        ),
        ("f * d = f * CAST('-8122406761877354.62' AS DOUBLE)", "true"),
        ("CAST(0.1 AS REAL) + 0.0 = 0.1", "false"),
        ("coalesce(CAST(0.1 AS REAL), 0.5)", "0.1"),
        ("nullif(0.5, f)", "0.5"),
    ] {
        let sql = format!(
            "SELECT {expression} AS x FROM (SELECT CAST('0.30000000000000004' AS DOUBLE) AS f, CAST('-8122406761877354.62' AS DECIMAL(18, 2)) AS d) AS v"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
}

#[tokio::test]
async fn intervals_are_compared_by_their_length() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("t - TIMESTAMP '2026-01-01' > INTERVAL '30 days'", "true"),
        ("t - TIMESTAMP '2026-01-01' < INTERVAL '2 months'", "true"),
        ("INTERVAL '1 day' = INTERVAL '24 hours'", "true"),
        ("INTERVAL '1 month' <> INTERVAL '30 days'", "false"),
        (
            "i BETWEEN INTERVAL '1 month' AND INTERVAL '2 months'",
            "true",
        ),
        ("i IN (INTERVAL '1 month 10 days', NULL)", "true"),
        ("CASE i WHEN INTERVAL '960 hours' THEN 1 ELSE 2 END", "1"),
        ("nullif(i, INTERVAL '960 hours') IS NULL", "true"),
        ("greatest(i, INTERVAL '1 month') = i", "true"),
        ("least(i, INTERVAL '1 month') = i", "false"),
    ] {
        let sql = format!(
            "SELECT {expression} AS x FROM (SELECT TIMESTAMP '2026-02-10' AS t, INTERVAL '40 days' AS i) AS v"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
    let lengths =
        "(VALUES (INTERVAL '1 month', 1), (INTERVAL '40 days', 2), (INTERVAL '30 days', 3))";
    for (query, wanted) in [
        ("SELECT n FROM {} AS v(i, n) ORDER BY i DESC LIMIT 1", "2"),
        ("SELECT count(DISTINCT i) AS n FROM {} AS v(i, n)", "2"),
        (
            "SELECT count(*) AS n FROM {} AS a(i, n) JOIN {} AS b(i, n) ON a.i = b.i",
            "5",
        ),
        (
            "SELECT count(*) AS n FROM {} AS a(i, n) JOIN {} AS b(i, m) USING (i)",
            "5",
        ),
    ] {
        let sql = query.replace("{}", lengths);
        assert_eq!(answer(&engine, &sql).await.unwrap(), [wanted], "{sql}");
    }
    for query in [
        "SELECT max(i) AS m FROM {} AS v(i, n)",
        "SELECT i, count(*) AS c FROM {} AS v(i, n) GROUP BY i",
        "SELECT DISTINCT i FROM {} AS v(i, n)",
        "SELECT i FROM {} AS v(i, n) UNION SELECT INTERVAL '1 day'",
        "SELECT array_sort(array_agg(i)) AS l FROM {} AS v(i, n)",
    ] {
        let error = answer(&engine, &query.replace("{}", lengths)).await;
        let error = error.unwrap_err();
        assert!(error.contains("extract(epoch FROM …)"), "{query}: {error}");
    }
}

#[tokio::test]
async fn functions_and_casts_answer_as_in_postgresql() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("round(f)", "2.0"),
        ("round(f + 1)", "4.0"),
        ("round(d)", "3"),
        ("CAST(f AS INT)", "2"),
        ("CAST(d AS INT)", "3"),
        ("CAST(-d AS BIGINT)", "-3"),
        ("CAST(CAST('0.29' AS DOUBLE) * 100 AS INT)", "29"),
        ("TRY_CAST(f + 0.2 AS SMALLINT)", "3"),
        ("CAST(s AS varchar(3))", "stü"),
        ("s::character varying(3) || '!'", "stü!"),
        ("12345::varchar(3)", "123"),
        ("length(s::varchar(30))", "6"),
        (r"regexp_replace(s, '(t)(ü)', '[\2\&$1]')", "s[ütü$1]hle"),
        ("encode('ab', 'base64')", "YWI="),
        ("CAST(decode('YWI=', 'base64') AS TEXT)", "ab"),
        ("array_length(string_to_array('', ','), 1)", "null"),
        ("array_length(ARRAY[s], 1)", "1"),
        ("array_to_string(array_remove(ARRAY[1, 2, 1], 1), ',')", "2"),
        (
            "array_to_string(array_replace(ARRAY[1, 2, 1], 1, 3), ',')",
            "3,2,3",
        ),
        ("ln(f / f)", "0.0"),
    ] {
        let sql = format!(
            "SELECT {expression} AS x FROM (VALUES (CAST(2.5 AS DOUBLE), 2.5, 'stühle')) AS t(f, d, s)"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
    for (sql, words) in [
        ("SELECT ln(0.0) AS x", "logarithm"),
        ("SELECT log(-1) AS x", "logarithm"),
        ("SELECT CAST('ab' AS char(3)) AS x", "write varchar(n)"),
        ("EXPLAIN SELECT 'ab'::char AS x", "write varchar(n)"),
        (
            "VALUES (1), (1) EXCEPT ALL VALUES (1)",
            "EXCEPT ALL and INTERSECT ALL",
        ),
    ] {
        let error = answer(&engine, sql).await.unwrap_err();
        assert!(error.contains(words), "{sql}: {error}");
    }
    // The column is called as what it is made of.
    let sql = "SELECT s FROM (SELECT s::varchar(1) FROM (VALUES ('ab')) AS t(s)) AS u";
    assert_eq!(answer(&engine, sql).await.unwrap(), ["a"]);
}

/// What each call becomes has its values once: written twice, these would be a thousand
/// times as long.
#[tokio::test]
async fn calls_inside_each_other_stay_as_long_as_they_are() {
    let engine = engine(&[]);
    let nested = |begin: &str, value: &str, end: &str| {
        format!("{}{value}{}", begin.repeat(15), end.repeat(15))
    };
    let greatest = nested(
        "greatest(",
        "i",
        ", INTERVAL '2 days', NULL, INTERVAL '3 days')",
    );
    for (expression, wanted) in [
        // From 2 to 3, to 1, to 2.
        (nested("(ARRAY[2, 3, 1])[", "n", "]"), "2"),
        (nested("nullif(", "f", ", 0.25)"), "0.5"),
        (nested("nullif(", "0.3", ", f)"), "0.3"),
        (
            nested("nullif(", "i", ", INTERVAL '2 days')") + " = INTERVAL '24 hours'",
            "true",
        ),
        (greatest + " = INTERVAL '3 days'", "true"),
        (
            nested("least(", "i", ", INTERVAL '2 days')") + " = i",
            "true",
        ),
    ] {
        let sql = format!(
            "SELECT {expression} AS x FROM (SELECT 2 AS n, CAST(0.5 AS DOUBLE) AS f, INTERVAL '1 day' AS i) AS v"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
}

#[tokio::test]
async fn comparisons_of_too_many_rows_are_refused() {
    let engine = engine(&[]);
    let among = |count: usize| {
        let rows = vec!["(1, 2)"; count].join(", ");
        format!("SELECT n FROM (VALUES (1), (2)) AS t(n) WHERE (n, n + 1) IN ({rows})")
    };
    assert_eq!(answer(&engine, &among(100)).await.unwrap(), ["1"]);
    for (count, wanted) in [
        (300, "operators, more than 1000"),
        (5_000, "more than 262144 bytes"),
    ] {
        let error = answer(&engine, &among(count)).await.unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
}

/// A few lines that would be planned for longer than anyone waits.
#[tokio::test]
async fn short_queries_of_which_too_much_would_be_made_are_refused() {
    let engine = engine(&[]);
    let chain = |of_one_before: &str| {
        let mut tables = vec!["c0 AS (SELECT 1 AS x)".to_owned()];
        for number in 1..30 {
            let query = of_one_before.replace("BEFORE", &format!("c{}", number - 1));
            tables.push(format!("c{number} AS ({query})"));
        }
        format!("WITH {} SELECT x FROM c29", tables.join(", "))
    };
    let between = format!(
        "{}n{}",
        "CAST(".repeat(18),
        " BETWEEN 0 AND 1 AS INT)".repeat(18)
    );
    let mut doubled = "(VALUES (1)) AS t(n)".to_owned();
    for _ in 0..16 {
        doubled = format!("(SELECT n + n AS n FROM {doubled}) AS s");
    }
    for (sql, wanted) in [
        (
            chain("SELECT x FROM BEFORE UNION ALL SELECT x FROM BEFORE"),
            "more than 1000 selects and tables",
        ),
        (
            chain("SELECT x FROM (SELECT 1 AS x) AS s WHERE x IN (SELECT x FROM BEFORE)"),
            "too deep inside each other",
        ),
        (
            format!(
                "SELECT count(*) FROM (VALUES (1)) AS t(n) GROUP BY CUBE ({})",
                vec!["n"; 20].join(", ")
            ),
            "more than 4096 grouping sets",
        ),
        (
            format!("SELECT {between} AS x FROM (VALUES (1)) AS t(n)"),
            "parts of an expression would stand in it more than once",
        ),
        (
            format!("SELECT n FROM {doubled} WHERE n > 3"),
            "parts of an expression would stand in it more than once",
        ),
    ] {
        let error = answer(&engine, &sql).await.unwrap_err();
        assert!(error.contains(wanted), "{sql}: {error}");
    }
    // 2^16 times 1, without a condition that would stand below.
    let sql = format!("SELECT n FROM {doubled}");
    assert_eq!(answer(&engine, &sql).await.unwrap(), ["65536"]);
}

#[tokio::test]
async fn a_case_in_conditions_of_others_is_written_once() {
    let engine = engine(&[]);
    let (begin, end) = ("CASE WHEN ", " THEN n > 2 ELSE n > 3 END");
    let cases = format!("{}n > 1{}", begin.repeat(15), end.repeat(15));
    let sql = format!("SELECT {cases} AS x FROM (VALUES (2), (3)) AS t(n) ORDER BY n");
    let found = answered(&engine, &sql).await.unwrap();
    assert_eq!(found, [["false"], ["true"]]);
}

#[tokio::test]
async fn what_coalesce_leaves_out_is_not_computed() {
    let engine = engine(&[]);
    for call in [
        "coalesce(x > 0, 1 / y > 0)",
        "nvl(x > 0, 1 / y > 0)",
        "nvl2(x > 0, y = 0, 1 / y > 0)",
    ] {
        let sql = format!("SELECT {call} AS p FROM (VALUES (NULL, 1), (1, 0)) AS t(x, y)");
        let found = answered(&engine, &sql).await.unwrap();
        assert_eq!(found, [["true"], ["true"]], "{call}");
        let sql =
            format!("SELECT count(*) FROM (VALUES (NULL, 1), (1, 0)) AS t(x, y) WHERE {call}");
        assert_eq!(answer(&engine, &sql).await.unwrap(), ["2"], "{call}");
    }
}
