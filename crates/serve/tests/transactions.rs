//! Where transactions begin and end over the PostgreSQL wire, also within one text.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::Server;
use common::wire::{WireClient, told};

#[test]
fn a_transaction_ends_within_a_text() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    // What fails behind it fails alone.
    let found = client.ask("BEGIN; SELECT 1; COMMIT; SELECT nope");
    assert_eq!((found.words.len(), found.state), (1, 'I'), "{found:?}");
    assert_eq!(client.ask("SELECT 1"), told(&["SELECT 1"], 'I'));
    // Another one begins behind it.
    assert_eq!(
        client.ask("BEGIN; SELECT 1; COMMIT; BEGIN"),
        told(&["BEGIN", "SELECT 1", "COMMIT", "BEGIN"], 'T')
    );
    assert_eq!(client.ask("SAVEPOINT a"), told(&["SAVEPOINT"], 'T'));
    // One that has failed is over too.
    assert_eq!(client.ask("SELECT nope").state, 'E');
    assert_eq!(client.ask("SELECT 1").state, 'E');
    assert_eq!(
        client.ask("ROLLBACK; SELECT 1"),
        told(&["ROLLBACK", "SELECT 1"], 'I')
    );
    client.ask("BEGIN; SELECT nope");
    assert_eq!(
        client.ask("COMMIT; SELECT 1"),
        told(&["ROLLBACK", "SELECT 1"], 'I')
    );
    // Outside of one there is nothing to end, nor to go back to.
    assert_eq!(client.ask("COMMIT"), told(&["COMMIT"], 'I'));
    assert_eq!(
        client.ask("BEGIN; COMMIT; SAVEPOINT a"),
        told(&["25P01"], 'I')
    );
}

/// What SHOW says of the time zone, and of other settings.
fn shown(client: &mut WireClient) -> Vec<String> {
    let names = ["timezone", "statement_timeout", "application_name"];
    let shown = names.map(|name| client.rows(&format!("SHOW {name}")));
    shown.into_iter().flatten().collect()
}

#[test]
fn what_is_set_for_a_transaction_ends_with_it() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    client.ask("SET statement_timeout = '7s'");
    let first = ["UTC", "7000ms", ""];
    for (text, within, end, after) in [
        (
            "SET LOCAL TIME ZONE 'Asia/Tokyo'; SET LOCAL statement_timeout = '5s'; SET LOCAL application_name = 'x'",
            ["Asia/Tokyo", "5000ms", "x"],
            "COMMIT",
            first,
        ),
        (
            "SET LOCAL timezone TO 'Asia/Tokyo'; SET LOCAL statement_timeout TO DEFAULT",
            ["Asia/Tokyo", "0", ""],
            "ROLLBACK",
            first,
        ),
        (
            "SET TIME ZONE 'Asia/Tokyo'; SET statement_timeout = '5s'; SET application_name = 'x'",
            ["Asia/Tokyo", "5000ms", "x"],
            "ROLLBACK",
            first,
        ),
        ("RESET ALL", ["UTC", "0", ""], "ROLLBACK", first),
        // What has failed is not committed.
        (
            "SET TIME ZONE 'Asia/Tokyo'; SET statement_timeout = '5s'",
            ["Asia/Tokyo", "5000ms", ""],
            "SELECT nope; COMMIT",
            first,
        ),
        // The rest stays, and ends at once where it was set before.
        (
            "SET TIME ZONE 'Asia/Tokyo'; SET LOCAL TIME ZONE 'Asia/Kolkata'; SET LOCAL statement_timeout = '5s'; SET statement_timeout = '6s'",
            ["Asia/Kolkata", "6000ms", ""],
            "COMMIT",
            ["Asia/Tokyo", "6000ms", ""],
        ),
    ] {
        client.ask("BEGIN");
        client.ask(text);
        assert_eq!(shown(&mut client), within, "{text}");
        for part in end.split("; ") {
            client.ask(part);
        }
        assert_eq!(shown(&mut client), after, "{text} {end}");
    }
}

#[test]
fn what_is_set_for_a_transaction_needs_one() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    let set = client.ask("SET LOCAL TIME ZONE 'Asia/Tokyo'; SET LOCAL application_name = 'x'");
    assert_eq!(set, told(&["SET", "SET"], 'I'));
    assert_eq!(shown(&mut client), ["UTC", "0", ""]);
    // What is wrong is wrong all the same.
    assert_eq!(
        client.ask("SET LOCAL TIME ZONE 'Mars/Base'"),
        told(&["22023"], 'I')
    );
    // A prepared statement sets as a text does.
    for statement in ["BEGIN", "SET LOCAL TIME ZONE 'Asia/Tokyo'"] {
        assert_eq!(client.prepared(statement).0.state, 'T', "{statement}");
    }
    assert_eq!(client.rows("SHOW timezone"), ["Asia/Tokyo"]);
    client.prepared("COMMIT");
    assert_eq!(client.rows("SHOW timezone"), ["UTC"]);
}
