//! Where transactions begin and end over the PostgreSQL wire, also within one text and
//! before one Sync, and what ends with them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "transactions/answers.rs"]
mod answers;
mod common;
#[path = "transactions/cursors.rs"]
mod cursors;
#[path = "transactions/setting_functions.rs"]
mod setting_functions;

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

#[test]
fn what_comes_before_a_sync_is_one_transaction() {
    let server = Server::start();
    let set = "SET TIME ZONE 'Asia/Tokyo'";
    let local = "SET LOCAL TIME ZONE 'Asia/Tokyo'";
    let failing: [(&[&str], &[&str], &str); 4] = [
        // What was set is taken back, and what is behind it is left out.
        (
            &[set, "SELECT nope", "SET datestyle = 'SQL'"],
            &["SET"],
            "UTC",
        ),
        (&[set, FAILS_LATE, "SELECT 1"], &["SET"], "UTC"),
        (&["SAVEPOINT a", set], &[], "UTC"),
        // What was committed stays.
        (
            &[set, "COMMIT", "SELECT nope", set],
            &["SET", "COMMIT"],
            "Asia/Tokyo",
        ),
    ];
    for (statements, words, zone) in failing {
        let mut client = WireClient::sign_in(&server);
        let found = client.pipeline(statements).0;
        let (code, done) = found.words.split_last().unwrap();
        assert_eq!((done, found.state), (words_of(words).as_slice(), 'I'));
        assert_eq!(code.len(), 5, "{statements:?}: {code}");
        let shown = client.rows("SHOW timezone; SHOW datestyle");
        assert_eq!(shown, [zone, "ISO, YMD"], "{statements:?}");
    }
    let ended: [(&[&str], &[&str], &str); 5] = [
        (&[set, "SELECT 1"], &["SET", "SELECT 1"], "Asia/Tokyo"),
        (&[local, "SHOW timezone"], &["SET", "SHOW"], "UTC"),
        (&[set, "ROLLBACK"], &["SET", "ROLLBACK"], "UTC"),
        (
            &[set, "BEGIN", "ROLLBACK"],
            &["SET", "BEGIN", "ROLLBACK"],
            "UTC",
        ),
        (
            &[set, "COMMIT", "SELECT 1"],
            &["SET", "COMMIT", "SELECT 1"],
            "Asia/Tokyo",
        ),
    ];
    for (statements, words, zone) in ended {
        let mut client = WireClient::sign_in(&server);
        let found = client.pipeline(statements).0;
        assert_eq!(found, told(words, 'I'), "{statements:?}");
        assert_eq!(client.rows("SHOW timezone"), [zone], "{statements:?}");
    }
    // A transaction that was begun goes on behind a Sync, and so does its failure.
    let mut client = WireClient::sign_in(&server);
    let begun = client.pipeline(&["BEGIN", set]).0;
    assert_eq!(begun, told(&["BEGIN", "SET"], 'T'));
    assert_eq!(client.pipeline(&["SELECT nope", set]).0.state, 'E');
    assert_eq!(client.pipeline(&["COMMIT"]).0, told(&["ROLLBACK"], 'I'));
    assert_eq!(client.rows("SHOW timezone"), ["UTC"]);
}

#[test]
fn a_transaction_may_read_one_state() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    let mut orders = 0;
    let mut add = || {
        orders += 1;
        let order = (1_000_000 + orders, "li".to_owned(), 100);
        server.shop.apply_orders(&[(order, 1)]);
    };
    let count = "SELECT count(*) AS n FROM orders";
    let read = |client: &mut WireClient| -> i64 { client.rows(count)[0].parse().unwrap() };
    let first = read(&mut client);
    // Before a Sync.
    let rows = client
        .parse("", count)
        .bind("", "")
        .execute("", 0)
        .flush()
        .1;
    assert_eq!(rows, [first.to_string()]);
    add();
    assert_eq!(client.pipeline(&[count]).1, [first.to_string()]);
    assert_eq!(read(&mut client), first + 1);
    // Between BEGIN and COMMIT where it asks for it.
    for (begin, sees_one) in [
        ("BEGIN", false),
        ("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", false),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ", true),
        ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE", true),
    ] {
        client.ask(begin);
        let before = read(&mut client);
        add();
        let after = before + i64::from(!sees_one);
        assert_eq!(read(&mut client), after, "{begin}");
        client.ask("COMMIT");
        assert_eq!(read(&mut client), before + 1, "{begin}");
    }
    client.ask("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    for (text, level) in [
        ("SHOW transaction_isolation", "repeatable read"),
        ("BEGIN; SHOW TRANSACTION ISOLATION LEVEL", "repeatable read"),
        (
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SHOW transaction_isolation",
            "read committed",
        ),
        (
            "COMMIT; SHOW default_transaction_isolation",
            "repeatable read",
        ),
    ] {
        assert_eq!(client.rows(text), [level], "{text}");
    }
}

#[test]
fn what_was_prepared_before_a_failure_is_refused_behind_it() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    client.ask("BEGIN; DECLARE c CURSOR FOR SELECT 1 AS a");
    client.parse("f", "FETCH 1 FROM c").bind("p", "f");
    client
        .parse("r", "ROLLBACK")
        .parse("s", "SELECT 1")
        .bind("q", "s");
    assert_eq!(client.sync().0, told(&[], 'T'));
    assert_eq!(client.ask("SELECT nope").state, 'E');
    for name in ["f", "s"] {
        let refused = client.bind("", name).execute("", 0).sync().0;
        assert_eq!(refused, told(&["25P02"], 'E'), "{name}");
    }
    for portal in ["p", "q"] {
        let refused = client.execute(portal, 0).sync().0;
        assert_eq!(refused, told(&["25P02"], 'E'), "{portal}");
    }
    let ended = client.bind("", "r").execute("", 0).sync().0;
    assert_eq!(ended, told(&["ROLLBACK"], 'I'));
}

#[test]
fn a_savepoint_keeps_what_was_set_before_it() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    client.ask("BEGIN");
    client.ask("SET TIME ZONE 'Asia/Tokyo'; SAVEPOINT a");
    client.ask("SET TIME ZONE 'Asia/Kolkata'; SET LOCAL statement_timeout = '5s'; SAVEPOINT b");
    client.ask("SET application_name = 'x'");
    assert_eq!(shown(&mut client), ["Asia/Kolkata", "5000ms", "x"]);
    assert_eq!(
        client.ask("ROLLBACK TO SAVEPOINT B"),
        told(&["ROLLBACK"], 'T')
    );
    assert_eq!(shown(&mut client), ["Asia/Kolkata", "5000ms", ""]);
    // A failure is over, and what was set before it too.
    client.ask("SET application_name = 'y'");
    client.ask("SELECT nope");
    assert_eq!(client.ask("ROLLBACK TO a"), told(&["ROLLBACK"], 'T'));
    assert_eq!(shown(&mut client), ["Asia/Tokyo", "0", ""]);
    // The one behind it is no more, and a missing one is a failure.
    assert_eq!(client.ask("ROLLBACK TO b"), told(&["3B001"], 'E'));
    assert_eq!(client.ask("ROLLBACK TO a"), told(&["ROLLBACK"], 'T'));
    client.ask("COMMIT");
    assert_eq!(shown(&mut client), ["Asia/Tokyo", "0", ""]);
    // What is released stays set.
    let text = "BEGIN; SAVEPOINT a; SET application_name = 'z'; RELEASE a; RELEASE a";
    let released = client.ask(text);
    let words = ["BEGIN", "SAVEPOINT", "SET", "RELEASE", "3B001"];
    assert_eq!(released, told(&words, 'E'));
    client.ask("ROLLBACK");
    client.ask("BEGIN; SAVEPOINT a; SAVEPOINT a; SET application_name = 'z'");
    client.ask("RELEASE a; RELEASE a; COMMIT");
    assert_eq!(shown(&mut client), ["Asia/Tokyo", "0", "z"]);
    // So do cursors that there were before.
    client.ask("BEGIN; DECLARE one CURSOR FOR SELECT 1 AS a; SAVEPOINT a");
    client.ask("DECLARE other CURSOR FOR SELECT 2 AS a; ROLLBACK TO a");
    assert_eq!(client.rows("FETCH 1 FROM one"), ["1"]);
    let again = client.ask("DECLARE other CURSOR FOR SELECT 3 AS a; FETCH 1 FROM other");
    assert_eq!(again, told(&["DECLARE CURSOR", "FETCH 1"], 'T'));
}
