//! Dates that meet moments.

use crate::common::wire::WireClient;
use crate::zoned_shop::{ask, check, start};

/// Dates that meet moments, and what both protocols of the PostgreSQL wire answer.
const DATES_AND_MOMENTS: &[(&str, &[&str])] = &[
    (
        "SELECT id FROM orders WHERE DATE '1970-01-02' BETWEEN at - INTERVAL '1 hour' AND at",
        &["1000"],
    ),
    (
        "SELECT id FROM orders WHERE DATE '1970-01-02' NOT BETWEEN DATE '1970-01-01' AND at",
        &["600"],
    ),
    (
        "SELECT id FROM orders WHERE DATE '1970-01-02' IN (at, date_trunc('day', at))",
        &["1000"],
    ),
    (
        "SELECT id FROM orders WHERE date_trunc('day', at) IN (SELECT d FROM (VALUES (DATE '1970-01-02')) AS v(d))",
        &["1000"],
    ),
    (
        "SELECT id FROM orders WHERE date_trunc('day', at) NOT IN (SELECT d FROM (VALUES (DATE '1970-01-02')) AS v(d))",
        &["600"],
    ),
    (
        "SELECT d FROM (VALUES (DATE '1970-01-01'), (DATE '1970-01-02')) AS v(d) WHERE d IN (SELECT date_trunc('day', at) FROM orders WHERE id = 1000)",
        &["1970-01-02"],
    ),
    (
        "SELECT coalesce(CASE WHEN id = 600 THEN at END, DATE '1970-01-02') FROM orders ORDER BY id",
        &["1970-01-01 18:00:00+08", "1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT coalesce(DATE '1970-01-02', at) FROM orders WHERE id = 600",
        &["1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT nullif(date_trunc('day', at), DATE '1970-01-02') IS NULL FROM orders ORDER BY id",
        &["f", "t"],
    ),
    (
        "SELECT greatest(at, DATE '1970-01-02') FROM orders ORDER BY id",
        &["1970-01-02 00:00:00+08", "1970-01-02 00:40:00+08"],
    ),
    (
        "SELECT least(DATE '1970-01-02', at) FROM orders ORDER BY id",
        &["1970-01-01 18:00:00+08", "1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT CASE id WHEN 600 THEN at ELSE DATE '1970-01-02' END FROM orders ORDER BY id",
        &["1970-01-01 18:00:00+08", "1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT CASE date_trunc('day', at) WHEN DATE '1970-01-02' THEN 'later' ELSE 'sooner' END FROM orders ORDER BY id",
        &["sooner", "later"],
    ),
    (
        "SELECT at FROM orders UNION ALL SELECT DATE '1970-01-03' ORDER BY 1",
        &[
            "1970-01-01 18:00:00+08",
            "1970-01-02 00:40:00+08",
            "1970-01-03 00:00:00+08",
        ],
    ),
    (
        "SELECT x FROM (SELECT DATE '1970-01-02' AS x UNION SELECT date_trunc('day', at) FROM orders) AS u WHERE x >= DATE '1970-01-02'",
        &["1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT date_trunc('day', at) FROM orders INTERSECT SELECT DATE '1970-01-02'",
        &["1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT id FROM (SELECT id, date_trunc('day', at) AS x FROM orders) AS o JOIN (SELECT DATE '1970-01-02' AS x) AS d USING (x)",
        &["1000"],
    ),
    (
        "SELECT id FROM orders JOIN (SELECT DATE '1970-01-02' AS x) AS d ON date_trunc('day', at) = d.x",
        &["1000"],
    ),
    (
        "SELECT TRY_CAST(at AS TIMESTAMP) FROM orders WHERE id = 1000",
        &["1970-01-02 00:40:00"],
    ),
    // What is left to the matching of types.
    (
        "SELECT nvl2(CASE WHEN id = 600 THEN at END, at, DATE '1970-01-05') FROM orders ORDER BY id",
        &["1970-01-01 18:00:00", "1970-01-05 00:00:00"],
    ),
    (
        "SELECT id FROM orders WHERE to_timestamp(CAST(extract(epoch FROM at) AS BIGINT)) = at ORDER BY id",
        &["600", "1000"],
    ),
    (
        "SELECT at::timestamp AS t, count(*) FROM orders GROUP BY ROLLUP(at::timestamp) ORDER BY 1",
        &["1970-01-01 18:00:00,1", "1970-01-02 00:40:00,1", ",2"],
    ),
    (
        "SELECT at::timestamp AS t, grouping(at::timestamp) FROM orders GROUP BY CUBE(at::timestamp) ORDER BY 1",
        &["1970-01-01 18:00:00,0", "1970-01-02 00:40:00,0", ",1"],
    ),
    (
        "SELECT id, id * 2 AS twice, count(*) FROM orders GROUP BY GROUPING SETS ((id), (id * 2)) ORDER BY 1, 2",
        &["600,,1", "1000,,1", ",1200,1", ",2000,1"],
    ),
];

#[test]
fn dates_are_moments_of_the_zone_where_they_meet_some() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    let mut failures = Vec::new();
    for (sql, expected) in DATES_AND_MOMENTS {
        let expected: Vec<String> = expected.iter().map(|row| (*row).to_owned()).collect();
        let (told, prepared) = client.prepared(sql);
        if prepared != expected {
            failures.push(format!("{sql}: prepared {prepared:?} {told:?}"));
            continue;
        }
        let found = client.rows(sql);
        if found != expected {
            failures.push(format!("{sql}: {found:?}"));
        }
        // What says which types the columns have fits them.
        if let Err(problem) = ask(&server, sql) {
            failures.push(format!("{sql}: {problem}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What dates are beside moments in VALUES, INTERSECT and EXCEPT.
const ROWS_OF_DATES_AND_MOMENTS: &[(&str, &[&str])] = &[
    (
        "SELECT x FROM (VALUES (DATE '1970-01-02'), (TIMESTAMPTZ '1970-01-01 23:40:00')) AS v(x) ORDER BY x",
        &["1970-01-01 23:40:00+08", "1970-01-02 00:00:00+08"],
    ),
    (
        "VALUES (1, TIMESTAMPTZ '1970-01-01 23:40:00'), (2, DATE '1970-01-02'), (3, NULL)",
        &["1,1970-01-01 23:40:00+08", "2,1970-01-02 00:00:00+08", "3,"],
    ),
    (
        "SELECT id FROM orders JOIN (VALUES (DATE '1970-01-02'), (TIMESTAMPTZ '1970-01-01 18:00:00')) AS v(x) ON at = x OR date_trunc('day', at) = x ORDER BY id",
        &["600", "1000"],
    ),
    ("VALUES (DATE '1970-01-02'), (NULL)", &["1970-01-02", ""]),
    (
        "SELECT DATE '1970-01-02' INTERSECT SELECT date_trunc('day', at) FROM orders",
        &["1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT DATE '1970-01-05' EXCEPT SELECT at FROM orders",
        &["1970-01-05 00:00:00+08"],
    ),
    (
        "SELECT date_trunc('day', at) FROM orders EXCEPT SELECT DATE '1970-01-02'",
        &["1970-01-01 00:00:00+08"],
    ),
    (
        "SELECT DATE '1970-01-02' AS x INTERSECT SELECT date_trunc('day', at) FROM orders UNION ALL SELECT at FROM orders ORDER BY x",
        &[
            "1970-01-01 18:00:00+08",
            "1970-01-02 00:00:00+08",
            "1970-01-02 00:40:00+08",
        ],
    ),
];

#[test]
fn dates_are_moments_in_rows_of_both() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    for (sql, expected) in ROWS_OF_DATES_AND_MOMENTS {
        assert_eq!(client.rows(sql), *expected, "{sql}");
        assert_eq!(client.prepared(sql).1, *expected, "{sql}");
    }
}

#[test]
fn a_date_in_another_zone_begins_in_that_of_the_reader() {
    check(&[
        (
            "SELECT DATE '1970-01-02' AT TIME ZONE 'America/New_York'",
            &["1970-01-01T11:00:00-05:00"],
        ),
        (
            "SELECT d AT TIME ZONE 'America/New_York' AS there, (d AT TIME ZONE 'America/New_York')::date AS day FROM (VALUES (DATE '1970-01-02')) AS v(d)",
            &["1970-01-01T11:00:00-05:00,1970-01-01"],
        ),
        (
            "SELECT DATE '1970-01-02' AT TIME ZONE 'Asia/Shanghai'",
            &["1970-01-02T00:00:00+08:00"],
        ),
        (
            "SELECT id FROM orders WHERE at >= DATE '1970-01-02' AT TIME ZONE 'America/New_York'",
            &["1000"],
        ),
        // Where the moment is in another zone, the date is one of that zone.
        (
            "SELECT id FROM orders WHERE at AT TIME ZONE 'America/New_York' >= DATE '1970-01-02'",
            &[],
        ),
        (
            "SELECT id FROM orders WHERE date_trunc('day', at AT TIME ZONE 'America/New_York') IN (SELECT DATE '1970-01-01') ORDER BY id",
            &["600", "1000"],
        ),
    ]);
}

#[test]
fn an_answer_has_the_types_of_its_rows() {
    let server = start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for sql in [
        "SELECT coalesce(DATE '1970-01-02', at) AS x FROM orders",
        "SELECT CASE id WHEN 600 THEN DATE '1970-01-02' ELSE at END AS x FROM orders",
        "SELECT CASE id WHEN 600 THEN 1 ELSE 2.5 END AS x FROM orders",
    ] {
        let answer = runtime.block_on(server.engine.query(sql)).unwrap();
        let rows = answer.batches.first().unwrap().schema();
        let (said, had) = (answer.schema.field(0), rows.field(0));
        assert_eq!(said.data_type(), had.data_type(), "{sql}");
    }
}
