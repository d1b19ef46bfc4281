//! Statements on the shop's own tables over the PostgreSQL wire mean what they mean
//! elsewhere: what is done for clients that ask for the system catalog leaves them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;

use common::wire::{WireClient, told};
use common::{Server, order_delta, stock_delta};

fn server() -> Server {
    let server = Server::start();
    let orders = [
        ((1, "ann".to_owned(), 10_000), 1),
        ((2, "bob".to_owned(), 20_000), 1),
        ((3, String::new(), 5_000), 1),
    ];
    server.shop.apply(BTreeMap::from([
        ("orders".to_owned(), order_delta(&orders)),
        (
            "stock".to_owned(),
            stock_delta(&[("a", 1, 5), ("a", 2, 7), ("b", 1, 9)]),
        ),
    ]));
    server
}

#[test]
fn statements_are_answered_as_elsewhere() {
    let server = server();
    let mut client = WireClient::sign_in(&server);
    let asked: [(&str, &[&str]); 11] = [
        (
            "SELECT id, (SELECT count(*) FROM stock WHERE stock.day = orders.day) AS n FROM orders ORDER BY id",
            &["1,2", "2,1", "3,0"],
        ),
        ("SELECT (SELECT max(stock.pieces) FROM stock) AS m", &["9"]),
        (
            "SELECT m FROM (SELECT id, (SELECT sum(s.pieces) FROM stock AS s WHERE s.day = o.day) AS m FROM orders AS o) AS t ORDER BY id",
            &["14", "7", ""],
        ),
        // Beside a table of the catalog.
        (
            "SELECT (SELECT count(*) FROM stock AS s) AS n FROM pg_catalog.pg_class AS c WHERE c.relname = 'stock'",
            &["3"],
        ),
        (
            "SELECT s.* FROM orders AS o JOIN stock AS s ON s.day = o.day WHERE buyer = 'ann' ORDER BY sku",
            &["a,1970-01-02,5", "b,1970-01-02,9"],
        ),
        ("SELECT 'a''''b' AS s", &["a''b"]),
        (
            "SELECT id FROM orders WHERE id = ANY('{1,3}') ORDER BY id",
            &["1", "3"],
        ),
        (
            "SELECT count(*) AS n FROM orders WHERE (id = ANY('{1,NULL}')) IS NULL",
            &["2"],
        ),
        (
            "SELECT ('{\"a,b\",c}'::text[])[1] AS s FROM orders LIMIT 1",
            &["a,b"],
        ),
        (
            "SELECT sku FROM stock WHERE pieces > 5 ORDER BY sku COLLATE \"C\" DESC",
            &["b", "a"],
        ),
        // What the catalog is asked is answered as before.
        (
            "SELECT c.relname FROM pg_class c WHERE c.relname COLLATE pg_catalog.default = 'stock'",
            &["stock"],
        ),
    ];
    for (sql, expected) in asked {
        assert_eq!(client.rows(sql), expected, "{sql}");
        let (_, rows) = client.prepared(sql);
        assert_eq!(rows, expected, "{sql}");
    }
}

#[test]
fn what_would_be_answered_otherwise_is_refused() {
    let server = server();
    let mut client = WireClient::sign_in(&server);
    let sorted = "SELECT buyer FROM orders ORDER BY buyer COLLATE \"de_DE\"";
    assert_eq!(client.ask(sorted), told(&["42601"], 'I'));
    // Several rows are no value.
    let several = "SELECT (SELECT pieces FROM stock) AS p FROM orders";
    let found = client.ask(several);
    assert!(!found.words[0].starts_with("SELECT"), "{found:?}");
}
