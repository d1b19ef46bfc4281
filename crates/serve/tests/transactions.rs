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
    assert_eq!((found.words.len(), found.state), (4, 'I'), "{found:?}");
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
        told(&["BEGIN", "COMMIT", "25P01"], 'I')
    );
}

/// Fails when its rows are made, not when it is planned.
const FAILS_LATE: &str = "SELECT 1 / (n - 1) FROM (VALUES (1), (2)) AS v(n)";

#[test]
fn a_text_of_several_statements_is_one_transaction() {
    let server = Server::start();
    let set = "SET TIME ZONE 'Asia/Tokyo'";
    let failing: [(String, &[&str], &str); 8] = [
        // What was set is taken back, however late the failure.
        (format!("{set}; SELECT nope"), &["SET"], "UTC"),
        (format!("{set}; {FAILS_LATE}"), &["SET"], "UTC"),
        (
            format!("{set}; SELECT 1; SET datestyle = 'soon'"),
            &["SET", "SELECT 1"],
            "UTC",
        ),
        // What is behind it is left out.
        (format!("{FAILS_LATE}; {set}"), &[], "UTC"),
        (format!("SAVEPOINT a; {set}"), &[], "UTC"),
        // Nothing runs where a part cannot be read.
        (format!("{set}; SELECT 1 +"), &[], "UTC"),
        // What was committed stays.
        (
            format!("{set}; COMMIT; {FAILS_LATE}"),
            &["SET", "COMMIT"],
            "Asia/Tokyo",
        ),
        (
            format!("{set}; BEGIN; COMMIT; SELECT nope"),
            &["SET", "BEGIN", "COMMIT"],
            "Asia/Tokyo",
        ),
    ];
    for (text, words, zone) in failing {
        let mut client = WireClient::sign_in(&server);
        let found = client.ask(&text);
        let (code, done) = found.words.split_last().unwrap();
        assert_eq!((done, found.state), (words_of(words).as_slice(), 'I'));
        assert_eq!(code.len(), 5, "{text}: {code}");
        assert_eq!(client.rows("SHOW timezone"), [zone], "{text}");
    }
    let ended: [(String, &[&str]); 3] = [
        (format!("{set}; ROLLBACK"), &["SET", "ROLLBACK"]),
        // The text's transaction goes on as the one that is begun in it.
        (
            format!("{set}; BEGIN; ROLLBACK"),
            &["SET", "BEGIN", "ROLLBACK"],
        ),
        (
            "SET LOCAL TIME ZONE 'Asia/Tokyo'; -- the end".to_owned(),
            &["SET"],
        ),
    ];
    for (text, words) in ended {
        let mut client = WireClient::sign_in(&server);
        assert_eq!(client.ask(&text), told(words, 'I'), "{text}");
        assert_eq!(client.rows("SHOW timezone"), ["UTC"], "{text}");
    }
    // What holds until the transaction ends holds for the rest of the text.
    let mut client = WireClient::sign_in(&server);
    let text = "SET LOCAL TIME ZONE 'Asia/Tokyo'; SHOW timezone";
    assert_eq!(client.rows(text), ["Asia/Tokyo"]);
    assert_eq!(client.rows("SHOW timezone"), ["UTC"]);
    let text = "SET TIME ZONE 'Asia/Tokyo'; SELECT 1";
    assert_eq!(client.ask(text), told(&["SET", "SELECT 1"], 'I'));
    assert_eq!(client.rows("SHOW timezone"), ["Asia/Tokyo"]);
    for nothing in [";", " ; ;", "-- nothing", "; -- nothing\n;"] {
        assert_eq!(client.ask(nothing), told(&[], 'I'), "{nothing}");
    }
}

fn words_of(words: &[&str]) -> Vec<String> {
    told(words, 'I').words
}

#[test]
fn a_failed_transaction_answers_nothing_but_its_end() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for failing in [FAILS_LATE, "SELECT nope"] {
        // Its COMMIT is not reached.
        let text = format!("BEGIN; SET TIME ZONE 'Asia/Tokyo'; SAVEPOINT a; {failing}; COMMIT");
        let found = client.ask(&text);
        assert_eq!((found.words.len(), found.state), (4, 'E'), "{found:?}");
        for text in [
            "SHOW timezone",
            "SET application_name = 'x'",
            "RESET ALL",
            "DISCARD ALL",
            "EXPLAIN SELECT 1",
            "DECLARE c CURSOR FOR SELECT 1",
            "FETCH 1 FROM c",
            "CLOSE ALL",
            "COPY (SELECT 1) TO STDOUT",
            "SAVEPOINT b",
            "RELEASE SAVEPOINT a",
            "BEGIN",
            "SELECT 1",
            "SELECT nope",
            "CREATE TABLE t (id INT)",
        ] {
            assert_eq!(client.ask(text), told(&["25P02"], 'E'), "{text}");
            let prepared = client.prepared(text).0;
            assert_eq!(prepared, told(&["25P02"], 'E'), "{text}");
        }
        assert_eq!(client.ask(";"), told(&[], 'E'));
        assert_eq!(client.ask("COMMIT"), told(&["ROLLBACK"], 'I'));
        assert_eq!(client.rows("SHOW timezone"), ["UTC"]);
    }
    client.ask("BEGIN; SAVEPOINT a; SELECT nope");
    assert_eq!(
        client.ask("ROLLBACK TO a; SELECT 1"),
        told(&["ROLLBACK", "SELECT 1"], 'T')
    );
    assert_eq!(client.ask("COMMIT"), told(&["COMMIT"], 'I'));
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
