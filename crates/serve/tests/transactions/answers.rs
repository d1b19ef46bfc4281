//! What a connection keeps, and the answers that clients get.

use crate::common::Server;
use crate::common::wire::{WireClient, told};
use crate::{FAILS_LATE, shown};

#[test]
fn portals_and_cursors_end_with_their_transaction() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    let rows = "SELECT n FROM (VALUES (1), (2), (3)) AS v(n)";
    client.ask("BEGIN");
    client.parse("", rows).bind("p", "").execute("p", 2);
    assert_eq!(client.sync().0, told(&["…"], 'T'));
    // It goes on behind other statements.
    assert_eq!(client.prepared("SELECT 1").0, told(&["SELECT 1"], 'T'));
    assert_eq!(
        client.execute("p", 2).sync(),
        (told(&["SELECT 1"], 'T'), vec!["3".to_owned()])
    );
    client.ask("COMMIT");
    assert_eq!(client.execute("p", 2).sync().0, told(&["34000"], 'I'));
    client.parse("", rows).bind("p", "").execute("p", 2);
    assert_eq!(client.sync().0, told(&["…"], 'I'));
    assert_eq!(client.execute("p", 2).sync().0, told(&["34000"], 'I'));
    // A cursor is held once its transaction is committed.
    let held = "DECLARE Held CURSOR WITH HOLD FOR SELECT 1 AS a";
    client.ask(&format!("BEGIN; {held}; ROLLBACK"));
    assert_eq!(client.ask("FETCH 1 FROM held"), told(&["34000"], 'I'));
    client.ask(&format!("BEGIN; {held}; COMMIT; BEGIN; ROLLBACK"));
    assert_eq!(client.rows("FETCH 1 FROM held"), ["1"]);
}

#[test]
fn pools_make_a_connection_like_new() {
    let server = Server::start();
    let options = "options\0-c statement_timeout=5s -c DateStyle=SQL,\\ DMY\0";
    let mut client = WireClient::sign_in_with(&server, options);
    let first = ["UTC", "5000ms", ""];
    assert_eq!(shown(&mut client), first);
    let dirty = "SET statement_timeout = '7s'; SET TIME ZONE 'Asia/Tokyo'; DECLARE c CURSOR WITH HOLD FOR SELECT 1 AS a";
    for (clean, closes) in [
        ("DISCARD ALL", true),
        // As asyncpg does.
        (
            "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",
            true,
        ),
        ("RESET statement_timeout; RESET timezone; CLOSE c", true),
        (
            "SET statement_timeout TO DEFAULT; SET TIME ZONE DEFAULT",
            false,
        ),
    ] {
        client.ask(dirty);
        client.parse("s", "SELECT 1").sync();
        assert_eq!(client.ask(clean).state, 'I');
        assert_eq!(shown(&mut client), first, "{clean}");
        assert_eq!(client.rows("SHOW datestyle"), ["SQL, DMY"]);
        let fetched = client.ask("FETCH 1 FROM c").words;
        assert_eq!(fetched == ["34000"], closes, "{clean}: {fetched:?}");
    }
    // The first of these has forgotten it, others have not.
    assert_eq!(client.ask("DEALLOCATE s"), told(&["DEALLOCATE"], 'I'));
    assert_eq!(client.ask("DEALLOCATE s"), told(&["26000"], 'I'));
    client.parse("s", "SELECT 1").sync();
    client.ask("DISCARD ALL");
    assert_eq!(client.bind("", "s").sync().0, told(&["26000"], 'I'));
    client.parse("s", "SELECT 1").sync();
    assert_eq!(client.ask("DEALLOCATE ALL"), told(&["DEALLOCATE ALL"], 'I'));
    assert_eq!(client.bind("", "s").sync().0, told(&["26000"], 'I'));
    assert_eq!(client.ask("BEGIN; DISCARD ALL").words, ["BEGIN", "25001"]);
    client.ask("ROLLBACK");
    for all in [client.rows("SHOW ALL"), client.prepared("SHOW ALL").1] {
        assert!(all.contains(&"TimeZone,UTC,".to_owned()), "{all:?}");
        assert!(
            all.contains(&"statement_timeout,5000ms,".to_owned()),
            "{all:?}"
        );
    }
}

#[test]
fn values_of_all_types_are_read() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for (value, expected) in [
        (
            "CAST('1234567890123456789012345678901.1234567' AS DECIMAL(38, 7))",
            "1234567890123456789012345678901.1234567",
        ),
        ("arrow_cast('-0.05', 'Decimal256(60, 2)')", "-0.05"),
        ("arrow_cast('1.5', 'Decimal32(9, 2)')", "1.50"),
        (
            "ARRAY[arrow_cast('1.5', 'Decimal256(60, 2)'), NULL]",
            "{1.50,NULL}",
        ),
        ("arrow_cast(1.5, 'Float16')", "1.5"),
        ("arrow_cast('9', 'UInt64')", "9"),
        ("arrow_cast('ab', 'BinaryView')", "\\x6162"),
        ("arrow_cast(90, 'Duration(Second)')", "00:01:30"),
        ("arrow_cast('a', 'Dictionary(Int8, Utf8)')", "a"),
        ("arrow_cast(make_array(1, 2), 'LargeList(Int64)')", "{1,2}"),
        (
            "make_array(make_array(1, 2), make_array(3, NULL))",
            "{{1,2},{3,NULL}}",
        ),
        (
            "make_array(named_struct('a', 1, 'b', 'x y'))",
            "{\"(1,\\\"x y\\\")\"}",
        ),
        (
            "map(make_array('a', 'b'), make_array(1.5, NULL))",
            "{\"a\":1.5,\"b\":null}",
        ),
        ("TIME '08:10:00'", "08:10:00"),
    ] {
        let text = format!("SELECT {value} AS x");
        assert_eq!(client.rows(&text), [expected], "{value}");
        assert_eq!(client.prepared(&text).1, [expected], "{value}");
    }
    // What has no form is an error, and the connection goes on.
    let text = "SELECT make_array(make_array(1), make_array(1, 2)) AS x";
    assert_eq!(client.ask(text), told(&["0A000"], 'I'));
    assert_eq!(client.prepared(text).0, told(&["0A000"], 'I'));
    assert_eq!(client.rows("SELECT 1 AS x"), ["1"]);
}

#[test]
fn copies_count_rows_and_fail_as_others_do() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for (query, form, word) in [
        ("SELECT 1 AS a WHERE false", "FORMAT csv, HEADER", "COPY 0"),
        ("SELECT 1 AS a", "FORMAT csv, HEADER", "COPY 1"),
        ("SELECT 1 AS a WHERE false", "FORMAT binary", "COPY 0"),
        ("SELECT 1 AS a", "FORMAT binary", "COPY 1"),
        ("SELECT 1 AS a", "FORMAT text", "COPY 1"),
    ] {
        let text = format!("COPY ({query}) TO STDOUT WITH ({form})");
        assert_eq!(client.ask(&text), told(&[word], 'I'), "{text}");
        assert_eq!(client.prepared(&text).0, told(&[word], 'I'), "{text}");
    }
    let failed = client.ask(&format!("COPY ({FAILS_LATE}) TO STDOUT"));
    assert_eq!((failed.words.len(), failed.state), (1, 'I'), "{failed:?}");
    assert_eq!(client.rows("SELECT 1 AS x"), ["1"]);
}
