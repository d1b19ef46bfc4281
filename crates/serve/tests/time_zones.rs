//! Ad-hoc SQL in the business time zone, patterns of dates, and integers that do
//! not fit.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use arrow::util::display::array_value_to_string;
use common::client::{Events, get, rows};
use common::{Options, Server};
use sluice_serve::{QueryOptions, ServeError};

/// A shop in Shanghai. Order 600 is of 18:00 there, order 1000 of the next day.
fn start() -> Server {
    let view = |name: &str, select: &str| (name.to_owned(), select.to_owned());
    let query = QueryOptions {
        time_zone: "Asia/Shanghai".to_owned(),
        query_views: vec![
            view(
                "days",
                "SELECT id, at, CAST(at AS DATE) AS utc_day, CAST(at AT TIME ZONE 'Asia/Shanghai' AS DATE) AS day, CAST(at AT TIME ZONE 'Asia/Shanghai' AS TIMESTAMP) AS utc_time, at >= DATE '1970-01-02' AS is_later FROM orders",
            ),
            view(
                "days_again",
                "SELECT * FROM days WHERE CAST(at AS DATE) = utc_day",
            ),
        ],
        ..QueryOptions::default()
    };
    let server = Server::start_with(Options {
        query,
        ..Options::default()
    });
    let order = |id: i64| ((id, "a".to_owned(), 100), 1);
    server.shop.apply_orders(&[order(600), order(1_000)]);
    server
}

fn ask(server: &Server, sql: &str) -> Result<Vec<String>, ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = runtime.block_on(server.engine.query(sql))?;
    let mut rows = Vec::new();
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            let columns = batch.columns().iter();
            let cells = columns.map(|column| array_value_to_string(column, row).unwrap());
            rows.push(cells.collect::<Vec<_>>().join(","));
        }
    }
    Ok(rows)
}

#[track_caller]
fn check(asked: &[(&str, &[&str])]) {
    let server = start();
    let mut failures = Vec::new();
    for (sql, expected) in asked {
        match ask(&server, sql) {
            Ok(found) if found == *expected => {}
            Ok(found) => failures.push(format!("{sql}: {found:?} is not {expected:?}")),
            Err(problem) => failures.push(format!("{sql}: {problem}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn days_and_hours_are_those_of_the_business() {
    check(&[
        (
            "SELECT at FROM orders ORDER BY id",
            &["1970-01-01T18:00:00+08:00", "1970-01-02T00:40:00+08:00"],
        ),
        (
            "SELECT at::date, count(*) FROM orders GROUP BY at::date ORDER BY 1",
            &["1970-01-01,1", "1970-01-02,1"],
        ),
        (
            "SELECT date_trunc('day', at) FROM orders ORDER BY id",
            &["1970-01-01T00:00:00+08:00", "1970-01-02T00:00:00+08:00"],
        ),
        (
            "SELECT extract(hour FROM at), date_part('day', at) FROM orders ORDER BY id",
            &["18,1", "0,2"],
        ),
        (
            "SELECT extract(epoch FROM at) FROM orders WHERE id = 600",
            &["36000.0"],
        ),
        (
            "SELECT at::timestamp FROM orders WHERE id = 1000",
            &["1970-01-02T00:40:00"],
        ),
        (
            "SELECT date_trunc('day', CAST(at AS TIMESTAMP)) FROM orders WHERE id = 1000",
            &["1970-01-02T00:00:00"],
        ),
        // Times without a zone, however they are written.
        (
            "SELECT id FROM orders WHERE at >= '1970-01-02 00:00:00'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at = TIMESTAMP '1970-01-02 00:40:00'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at = '1970-01-01T16:40:00Z'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at = TIMESTAMPTZ '1970-01-02 00:40:00'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at >= DATE '1970-01-02'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE DATE '1970-01-02' > at",
            &["600"],
        ),
        (
            "SELECT id FROM orders WHERE at BETWEEN DATE '1970-01-01' AND DATE '1970-01-02'",
            &["600"],
        ),
        (
            "SELECT id FROM orders WHERE date_trunc('day', at) IN (DATE '1970-01-02', DATE '1970-01-03')",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at > DATE '1970-01-01' + INTERVAL '1 day'",
            &["1000"],
        ),
        (
            "SELECT at AT TIME ZONE 'America/New_York' AS there, (at AT TIME ZONE 'America/New_York')::date AS day FROM orders WHERE id = 1000",
            &["1970-01-01T11:40:00-05:00,1970-01-01"],
        ),
        (
            "SELECT count(DISTINCT at) FROM (SELECT at FROM orders UNION ALL SELECT at FROM days)",
            &["2"],
        ),
        (
            "SELECT o.id FROM orders AS o JOIN days AS d ON o.at = d.at ORDER BY 1",
            &["600", "1000"],
        ),
    ]);
}

#[test]
fn a_plain_view_means_what_it_means_as_a_model() {
    check(&[
        (
            "SELECT utc_day, day, utc_time, is_later FROM days ORDER BY id",
            &[
                "1970-01-01,1970-01-01,1970-01-01T10:00:00,false",
                "1970-01-01,1970-01-02,1970-01-01T16:40:00,false",
            ],
        ),
        // What it gives is read as any table is.
        (
            "SELECT at, at::date FROM days WHERE at >= '1970-01-02'",
            &["1970-01-02T00:40:00+08:00,1970-01-02"],
        ),
        ("SELECT count(*) FROM days_again", &["2"]),
    ]);
}

/// The page puts rows of an answer and changes of the stream together: what is
/// the same row must be the same text.
#[test]
fn look_ups_and_live_changes_write_times_as_answers_do() {
    let server = start();
    let answer = rows(server.address, "SELECT * FROM orders WHERE id = 600");
    assert_eq!(answer[0][3], "1970-01-01T18:00:00+08:00");
    let found = get(server.address, "/api/v1/tables/orders/600").json();
    assert_eq!(found["rows"], answer);
    let path = "orders?filter.orders=id%3D600";
    let Ok(mut events) = Events::open(server.address, path) else {
        panic!("{path} is not answered");
    };
    let snapshot = events.next();
    assert_eq!(snapshot.data["rows"], answer);
    assert_eq!(snapshot.data["columns"], found["columns"]);
    server
        .shop
        .apply_orders(&[((600, "a".to_owned(), 100), -1)]);
    let delta = events.next();
    assert_eq!(delta.data["changes"][0][1], answer[0]);
}

#[test]
fn dates_are_written_and_read_by_patterns_of_both_kinds() {
    check(&[
        (
            "SELECT to_char(at, 'YYYY-MM-DD HH24:MI:SS TZ') FROM orders ORDER BY id",
            &["1970-01-01 18:00:00 CST", "1970-01-02 00:40:00 CST"],
        ),
        (
            "SELECT to_char(at, '%Y-%m-%d %H:%M') FROM orders WHERE id = 1000",
            &["1970-01-02 00:40"],
        ),
        (
            "SELECT to_char(DATE '2026-11-21', 'FMDay DD Mon YYYY, \"Q\"Q')",
            &["Saturday 21 Nov 2026, Q4"],
        ),
        (
            "SELECT to_char(at, CASE id WHEN 600 THEN 'YYYY' ELSE 'MM' END) FROM orders ORDER BY id",
            &["1970", "01"],
        ),
        (
            "SELECT to_char(at, NULL) IS NULL FROM orders WHERE id = 600",
            &["true"],
        ),
        (
            "SELECT id FROM orders WHERE at = to_timestamp('02.01.1970 00:40', 'DD.MM.YYYY HH24:MI')",
            &["1000"],
        ),
        (
            "SELECT to_date('21.11.2026', 'DD.MM.YYYY'), to_date('2026-11-21', '%Y-%m-%d')",
            &["2026-11-21,2026-11-21"],
        ),
        (
            "SELECT to_date('2026-11-21 00:10+08', 'YYYY-MM-DD HH24:MIOF')",
            &["2026-11-21"],
        ),
    ]);
    let server = start();
    assert!(ask(&server, "SELECT to_date('21.13.2026', 'DD.MM.YYYY')").is_err());
}

#[test]
fn integers_that_do_not_fit_are_errors() {
    check(&[
        ("SELECT sum(id) FROM orders", &["1600"]),
        (
            "SELECT sum(id), sum(id + 1) FROM orders GROUP BY buyer",
            &["1600,1602"],
        ),
        ("SELECT sum(id) FROM orders WHERE id < 0", &[""]),
        (
            "SELECT sum(DISTINCT id), sum(amount) FROM orders",
            &["1600,2.00"],
        ),
        (
            "SELECT sum(id) OVER (ORDER BY id ROWS 1 PRECEDING) FROM orders ORDER BY id",
            &["600", "1600"],
        ),
        (
            "SELECT id * 2 + 1 - 1 FROM orders WHERE id + 1 = 601",
            &["1200"],
        ),
        (
            "SELECT CAST(2 AS SMALLINT) * id FROM orders WHERE id = 600",
            &["1200"],
        ),
        (
            "SELECT row_number() OVER (ORDER BY id) - row_number() OVER (ORDER BY id DESC)
             FROM orders ORDER BY id",
            &["-1", "1"],
        ),
        // What does not fit on the way fits at the end.
        (
            "SELECT sum(x) FROM (VALUES (9223372036854775807), (1), (-1)) AS v(x)",
            &["9223372036854775807"],
        ),
    ]);
    let server = start();
    for sql in [
        "SELECT 9223372036854775807 + 1",
        "SELECT -9223372036854775807 - 2",
        "SELECT id * 9223372036854775807 FROM orders",
        "SELECT id FROM orders WHERE id + 9223372036854775807 > 0",
        "SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS v(x)",
        "SELECT g, sum(x) FROM (VALUES (1, 9223372036854775807), (1, 1)) AS v(g, x) GROUP BY g",
        "SELECT sum(x) OVER (ORDER BY x) FROM (VALUES (9223372036854775807), (1)) AS v(x)",
    ] {
        let problem = ask(&server, sql).map(|found| found.join(";"));
        let problem = problem.expect_err(sql).to_string();
        assert!(problem.contains("verflow"), "{sql}: {problem}");
    }
}
