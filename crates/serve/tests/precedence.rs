//! Statements are read as PostgreSQL reads them, over HTTP and over its wire.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "common/no_tables.rs"]
mod no_tables;

use common::Server;
use common::client::{rows, sql};
use common::wire::{WireClient, told};
use no_tables::{answered, engine};
use serde_json::Value;

/// The rows of an answer over HTTP, and over the wire.
fn both(server: &Server, client: &mut WireClient, statement: &str) -> [Vec<String>; 2] {
    [over_http(server, statement), client.rows(statement)]
}

/// The rows of an answer over HTTP, values with commas between them.
fn over_http(server: &Server, statement: &str) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let answer = rows(server.address, statement);
    let found = answer.as_array().unwrap().iter().map(|row| {
        let values = row.as_array().unwrap().iter().map(text);
        values.collect::<Vec<_>>().join(",")
    });
    found.collect()
}

#[test]
fn operators_are_grouped_as_in_postgresql() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    let values =
        "(VALUES (true, 1, 'ab'), (true, 3, 'xb'), (false, 3, 'x'), (NULL, 2, 'a')) AS t(b, x, s)";
    for (select, expected) in [
        (
            "SELECT x FROM t WHERE b IS DISTINCT FROM true AND x > 2",
            &["3"][..],
        ),
        (
            "SELECT x FROM t WHERE NOT b IS DISTINCT FROM true AND x > 2",
            &["3"],
        ),
        (
            "SELECT s FROM t WHERE x > 1 AND b IS NOT DISTINCT FROM true OR s = 'a' ORDER BY s",
            &["a", "xb"],
        ),
        ("SELECT - -x AS p FROM t WHERE x = - -2", &["2"]),
        ("SELECT x FROM t ORDER BY x LIMIT 1e0 OFFSET 1e0", &["2"]),
        (
            "SELECT sum(x) AS x FROM t GROUP BY s ORDER BY -sum(x), s",
            &["3", "3", "2", "1"],
        ),
        (
            "SELECT sum(x) AS x FROM t GROUP BY s HAVING count(*) = 1 ORDER BY sum(x) * -1, s",
            &["3", "3", "2", "1"],
        ),
        (
            "SELECT CAST(2 ^ 10 AS BIGINT) AS p FROM t WHERE x = 1",
            &["1024"],
        ),
        (
            "SELECT CAST(-x ^ 2 AS BIGINT) AS p FROM t WHERE x = 2",
            &["4"],
        ),
        (
            "SELECT CAST(2 ^ -(-x) ^ 2 AS BIGINT) AS p FROM t WHERE x = 2",
            &["16"],
        ),
        ("SELECT x | 3 & 1 AS bits FROM t WHERE x = 2", &["1"]),
        ("SELECT x # 3 AS bits FROM t WHERE x = 1", &["2"]),
        ("SELECT s ~ 'a' || 'b' AS w FROM t WHERE x = 1", &["trueb"]),
        (
            "SELECT s FROM t WHERE (x > 1) = s ~ 'x' ORDER BY s",
            &["ab", "x", "xb"],
        ),
        ("SELECT count(*) AS n FROM t WHERE x>-1", &["4"]),
        (
            "SELECT -x AS x FROM t WHERE s <> 'x' ORDER BY x + 0",
            &["-1", "-2", "-3"],
        ),
        (
            "SELECT DISTINCT -x AS x FROM t ORDER BY -x",
            &["-3", "-2", "-1"],
        ),
    ] {
        let statement = format!("WITH t AS (SELECT * FROM {values}) {select}");
        let [over_http, over_wire] = both(&server, &mut client, &statement);
        assert_eq!(over_http, expected, "{statement}");
        assert_eq!(over_wire, expected, "{statement}");
        let (_, prepared) = client.prepared(&statement);
        assert_eq!(prepared, expected, "{statement}");
    }
}

/// Read again for each call around it, the innermost value would be read some billion
/// times.
#[test]
fn calls_within_calls_are_read_once() {
    const CALLS: usize = 30;
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    let calls = format!("{}-1{}", "abs(".repeat(CALLS), ")".repeat(CALLS));
    let statement = format!("SELECT {calls} AS p");
    let [over_http, over_wire] = both(&server, &mut client, &statement);
    assert_eq!([over_http, over_wire], [["1"], ["1"]]);
    let (_, prepared) = client.prepared(&statement);
    assert_eq!(prepared, ["1"]);
    let explained = client.rows(&format!("EXPLAIN {statement}"));
    assert!(!explained.is_empty());
}

#[test]
fn what_would_be_passed_over_or_is_open_is_refused() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for (statement, wanted) in [
        (
            "SELECT id FROM orders TABLESAMPLE BERNOULLI (10)",
            "TABLESAMPLE is not supported",
        ),
        (
            "SELECT amount AS id FROM orders ORDER BY id + 0",
            "give the answer's another name",
        ),
    ] {
        let answer = sql(server.address, "json", statement);
        assert!(answer.problem().contains(wanted), "{}", answer.text());
        let found = client.ask(statement);
        // The code of an error, and no `SELECT 0`.
        assert!(found.words.iter().all(|word| word.len() == 5), "{found:?}");
    }
}

#[test]
fn statements_of_datafusion_are_still_read() {
    let server = Server::start();
    for statement in [
        "EXPLAIN SELECT id FROM orders",
        "EXPLAIN ANALYZE SELECT id FROM orders",
        "SHOW TABLES",
        "DESCRIBE orders",
        "SELECT * EXCLUDE (day) FROM stock",
        "SELECT `sku` FROM stock",
    ] {
        let answer = sql(server.address, "json", statement);
        assert_eq!(answer.status, 200, "{statement}: {}", answer.text());
    }
}

#[test]
fn an_order_by_an_aggregate_needs_no_names() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    let rows = "(VALUES ('a', 1), ('a', 5), ('b', 4), ('b', 4)) AS t(k, n)";
    for (select, order, expected) in [
        ("sum(n) AS n, count(*)", "max(n)", ["8,2", "6,2"]),
        ("sum(n) AS n, COUNT(*)", "max(n) - sum(n)", ["8,2", "6,2"]),
        ("count(*), sum(n) AS n", "min(n), count(*)", ["2,6", "2,8"]),
        ("sum(n) AS n, count(k)", "sum(n) - max(n)", ["6,2", "8,2"]),
    ] {
        let statement = format!("SELECT {select} FROM {rows} GROUP BY k ORDER BY {order}");
        let found = both(&server, &mut client, &statement);
        assert_eq!(found, [expected, expected], "{statement}");
        assert_eq!(client.prepared(&statement).1, expected, "{statement}");
    }
}

#[test]
fn a_third_zone_is_refused_wherever_it_stands() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    let moment = "TIMESTAMPTZ '2026-11-21 00:00:00+00'";
    let two = format!("{moment} AT TIME ZONE 'Asia/Tokyo' AT TIME ZONE 'UTC'");
    let query = format!("SELECT {two} AT TIME ZONE 'UTC' AS t");
    for statement in [
        query.clone(),
        query.replace("TIME ZONE", "TIME\nZONE"),
        format!("EXPLAIN {query}"),
        format!("DECLARE c CURSOR FOR {query}"),
        format!("COPY ({query}) TO STDOUT"),
        format!("{query} FROM pg_class"),
        format!("{query}, o.id, c.relname FROM orders o, pg_class c"),
    ] {
        assert_eq!(client.ask(&statement), told(&["0A000"], 'I'), "{statement}");
        let prepared = client.prepared(&statement).0;
        assert_eq!(prepared, told(&["0A000"], 'I'), "{statement}");
    }
    let with_parameter = query.replace(moment, "$1::timestamptz");
    let refused = client.parse("", &with_parameter).sync().0;
    assert_eq!(refused, told(&["0A000"], 'I'));
    assert_eq!(sql(server.address, "json", &query).status, 400);
    // The second is the moment at which the clocks of UTC show what those of Tokyo do.
    for statement in [
        format!("SELECT {two} AS t"),
        format!("SELECT {two} AS t").replace("TIME ZONE", "TIME\nZONE"),
    ] {
        let expected = ["2026-11-21 09:00:00+00"];
        assert_eq!(client.rows(&statement), expected, "{statement}");
        assert_eq!(client.prepared(&statement).1, expected, "{statement}");
    }
}

#[tokio::test]
async fn plain_views_are_read_alike() {
    let view = "SELECT CAST(-x ^ 2 AS BIGINT) AS p FROM (VALUES (true, 3), (NULL, -1)) AS t(b, x) WHERE b IS DISTINCT FROM true AND x < 0";
    let engine = engine(&[("v", view)]);
    let rows = answered(&engine, "SELECT p FROM v WHERE p = 1").await;
    assert_eq!(rows, Ok(vec![vec!["1".to_owned()]]));
}
