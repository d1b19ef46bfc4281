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
use common::wire::WireClient;
use no_tables::{answered, engine};
use serde_json::Value;

/// The values of the one column of an answer over HTTP, and over the wire.
fn both(server: &Server, client: &mut WireClient, statement: &str) -> [Vec<String>; 2] {
    let answer = rows(server.address, statement);
    let found = answer.as_array().unwrap().iter().map(|row| {
        let row = row.as_array().unwrap();
        match &row[0] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    });
    [found.collect(), client.rows(statement)]
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

#[tokio::test]
async fn plain_views_are_read_alike() {
    let view = "SELECT CAST(-x ^ 2 AS BIGINT) AS p FROM (VALUES (true, 3), (NULL, -1)) AS t(b, x) WHERE b IS DISTINCT FROM true AND x < 0";
    let engine = engine(&[("v", view)]);
    let rows = answered(&engine, "SELECT p FROM v WHERE p = 1").await;
    assert_eq!(rows, Ok(vec![vec!["1".to_owned()]]));
}
