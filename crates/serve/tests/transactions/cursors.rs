//! FETCH, MOVE and CLOSE in all the words that PostgreSQL takes.

use crate::common::Server;
use crate::common::wire::{WireClient, told};

/// A cursor over the numbers from 1 to 8, which stays open outside of transactions.
const DECLARE: &str = "DECLARE c CURSOR WITH HOLD FOR SELECT n FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) AS v(n) ORDER BY n";

#[test]
fn cursors_are_read_and_moved() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    client.ask(DECLARE);
    assert_eq!(client.rows("FETCH c"), ["1"]);
    assert_eq!(client.rows("fetch next c;"), ["2"]);
    assert_eq!(client.ask("MOVE 2 IN c"), told(&["MOVE 2"], 'I'));
    assert_eq!(client.rows("FETCH FORWARD C"), ["5"]);
    let moved = client.prepared("MOVE c");
    assert_eq!(moved, (told(&["MOVE 1"], 'I'), vec![]));
    let fetched = client.prepared("FETCH 1 c");
    assert_eq!(fetched, (told(&["FETCH 1"], 'I'), vec!["7".to_owned()]));
    assert_eq!(client.ask("MOVE FORWARD ALL c"), told(&["MOVE 1"], 'I'));
    assert_eq!(client.ask("MOVE c"), told(&["MOVE 0"], 'I'));
    assert_eq!(client.ask("FETCH c"), told(&["FETCH 0"], 'I'));
    // In a text of several.
    client.ask("CLOSE c");
    let all = client.ask(&format!("{DECLARE}; MOVE 7 FROM c; FETCH ALL c; CLOSE c"));
    let words = ["DECLARE CURSOR", "MOVE 7", "FETCH 1", "CLOSE CURSOR"];
    assert_eq!(all, told(&words, 'I'));
}

#[test]
fn what_no_cursor_does_is_refused() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    client.ask(DECLARE);
    for (statement, code) in [
        ("MOVE -1 IN c", "55000"),
        ("FETCH BACKWARD c", "55000"),
        ("MOVE PRIOR c", "55000"),
        ("MOVE 9999999 IN c", "54000"),
        ("MOVE nope", "34000"),
        ("FETCH 1 FROM c INTO x", "42601"),
        ("MOVE soon FROM c", "42601"),
    ] {
        assert_eq!(client.ask(statement), told(&[code], 'I'), "{statement}");
        let prepared = client.prepared(statement).0;
        assert_eq!(prepared, told(&[code], 'I'), "{statement}");
    }
    // None of them has moved it.
    assert_eq!(client.rows("FETCH c"), ["1"]);
    client.ask(&DECLARE.replace(" c ", " d "));
    assert_eq!(client.ask("CLOSE ALL"), told(&["CLOSE CURSOR ALL"], 'I'));
    for name in ["c", "d"] {
        let fetched = client.ask(&format!("FETCH {name}"));
        assert_eq!(fetched, told(&["34000"], 'I'), "{name}");
    }
    client.ask(DECLARE);
    let closed = client.prepared("CLOSE ALL").0;
    assert_eq!(closed, told(&["CLOSE CURSOR ALL"], 'I'));
}
