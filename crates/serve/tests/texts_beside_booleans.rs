//! Texts that are written beside truth values, over the PostgreSQL wire: as PostgreSQL
//! reads them, and as libraries write them that list the indexes of a table.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::Server;
use common::wire::{WireClient, told};

/// Truth values with a number each.
const FLAGS: &str = "(VALUES (1, true), (2, false), (3, NULL)) AS v(n, flag)";

#[test]
fn texts_that_are_written_are_truth_values() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for (condition, found) in [
        ("flag = 't'", "1"),
        ("flag = ' TRUE '", "1"),
        ("'yes' = flag", "1"),
        ("flag <> 'on'", "2"),
        ("flag < '1'", "2"),
        ("flag IN ('f', 'no')", "2"),
        ("flag NOT IN ('off')", "1"),
        ("flag BETWEEN 't' AND 'true'", "1"),
        ("flag IS DISTINCT FROM 'f' AND flag IS NOT NULL", "1"),
        ("flag AND 'y'", "1"),
        ("CASE flag WHEN '0' THEN true ELSE 'f' END", "2"),
    ] {
        let statement = format!("SELECT n FROM {FLAGS} WHERE {condition} ORDER BY n");
        assert_eq!(client.rows(&statement), [found], "{condition}");
    }
    let statement = format!("SELECT flag = 't', flag OR 'off' FROM {FLAGS} WHERE n = 2");
    assert_eq!(client.rows(&statement), ["f,f"]);
}

#[test]
fn other_texts_are_errors() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for (condition, code) in [
        ("flag = 'maybe'", "22P02"),
        ("flag IN ('t', 'o')", "22P02"),
        ("flag = ''", "22P02"),
        // A text that is no literal is a text.
        ("flag = 't'::text", "42883"),
        ("flag = lower('T')", "42883"),
    ] {
        let statement = format!("SELECT n FROM {FLAGS} WHERE {condition}");
        assert_eq!(client.ask(&statement), told(&[code], 'I'), "{statement}");
    }
}

#[test]
fn a_table_has_no_indexes() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    // The conditions by which SQLAlchemy 1.4 asks for them.
    let statement = "SELECT i.relname FROM pg_class AS t JOIN pg_index AS ix ON t.oid = ix.indrelid JOIN pg_class AS i ON i.oid = ix.indexrelid WHERE t.relkind IN ('r', 'v', 'f', 'm', 'p') AND ix.indisprimary = 'f' ORDER BY t.relname, i.relname";
    assert_eq!(client.ask(statement), told(&["SELECT 0"], 'I'));
}
