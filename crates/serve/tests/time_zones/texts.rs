//! How dates, times and intervals are written and read.

use crate::common::client::{Events, get, rows};
use crate::common::wire::WireClient;
use crate::zoned_shop::{ask, check, start};

#[test]
fn values_are_written_as_a_client_wants_them() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    let sql = "SELECT at, at::date AS day, INTERVAL '1 day 2 hours' AS i, CAST('ab' AS BYTEA), CAST(0.1 AS DOUBLE) + CAST(0.2 AS DOUBLE) FROM orders WHERE id = 600";
    let first = client.rows(sql);
    assert_eq!(
        first,
        ["1970-01-01 18:00:00+08,1970-01-01,1 day 02:00:00,\\x6162,0.30000000000000004"]
    );
    client.ask("SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'escape'; SET extra_float_digits = 0");
    let other = ["01/01/1970 18:00:00 CST,01/01/1970,P1DT2H,ab,0.3"];
    assert_eq!(client.rows(sql), other);
    assert_eq!(client.prepared(sql).1, other);
    client.ask(&format!("BEGIN; DECLARE c CURSOR FOR {sql}"));
    assert_eq!(client.rows("FETCH ALL FROM c"), other);
    client.ask("COMMIT; RESET ALL");
    assert_eq!(client.rows(sql), first);
    for sql in [
        "SET datestyle = 'soon'",
        "SET bytea_output = 'base64'",
        "SET extra_float_digits = 4",
    ] {
        assert_eq!(client.ask(sql).words, ["22023"], "{sql}");
    }
    assert_eq!(client.rows("SHOW datestyle"), ["ISO, YMD"]);
    // As they said when they connected, however they wrote it.
    let mut client = WireClient::sign_in_with(&server, "DateStyle\0German\0");
    assert_eq!(client.rows("SELECT DATE '2026-11-21'"), ["21.11.2026"]);
}

#[test]
fn intervals_are_written_in_all_styles() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    let sql = "SELECT CASE id WHEN 600 THEN INTERVAL '2 hours' - INTERVAL '1 day' END FROM orders ORDER BY id";
    for (style, expected) in [
        ("postgres", "-1 days +02:00:00"),
        ("postgres_verbose", "@ 1 day -2 hours ago"),
        ("sql_standard", "+0-0 -1 +2:00:00"),
        ("iso_8601", "P-1DT2H"),
    ] {
        client.ask(&format!("SET intervalstyle = '{style}'"));
        // The other one is NULL.
        assert_eq!(client.rows(sql), [expected, ""], "{style}");
        assert_eq!(client.prepared(sql).1, [expected, ""], "{style}");
    }
}

/// Dates begin with their year: no order of day and month is guessed.
#[test]
fn dates_that_do_not_begin_with_the_year_are_errors() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    for style in ["ISO, DMY", "SQL, MDY", "German, DMY", "Postgres, YMD"] {
        let set = client.ask(&format!("SET datestyle = '{style}'"));
        assert_eq!(set.words, ["SET"]);
        for date in ["03/04/2025", "03.04.2025", "03-04-2025", "3/4/25"] {
            for sql in [
                format!("SELECT DATE '{date}'"),
                format!("SELECT '{date}'::date"),
                format!("SELECT TIMESTAMP '{date} 10:00:00'"),
                format!("SELECT id FROM orders WHERE at::date = '{date}'"),
                format!("SELECT id FROM orders WHERE at >= '{date}'"),
                format!("SELECT to_date('{date}')"),
            ] {
                let found = client.ask(&sql);
                let code = found.words.first().map_or(0, String::len);
                assert_eq!((found.words.len(), code), (1, 5), "{sql}: {found:?}");
            }
        }
    }
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
        (
            "SELECT to_timestamp('2026-11-21 08:10:00.25', 'YYYY-MM-DD HH24:MI:SS.MS'), to_timestamp('2026-XI-21 08:10:00.5-03:30', 'YYYY-RM-DD HH24:MI:SS.FF6TZH:TZM')",
            &["2026-11-21T08:10:00.250+08:00,2026-11-21T19:40:00.500+08:00"],
        ),
        (
            r#"SELECT to_char(at, 'rm TMMonth \"x\" "\"\\" TZH:TZM OF') FROM orders WHERE id = 600"#,
            &[r#"i    January "x" "\ +08:00 +08"#],
        ),
    ]);
    let server = start();
    assert!(ask(&server, "SELECT to_date('21.13.2026', 'DD.MM.YYYY')").is_err());
    let problem = ask(&server, "SELECT to_timestamp('9999-12-31', 'YYYY-MM-DD')");
    let problem = problem.unwrap_err().to_string();
    assert!(
        problem.contains("`9999-12-31` is out of range"),
        "{problem}"
    );
    check(&[(
        "SELECT to_date('9999-12-31', 'YYYY-MM-DD')",
        &["9999-12-31"],
    )]);
    for call in [
        "to_timestamp('2026 12.3456', 'YYYY SS.MS')",
        "to_timestamp('2026 08 CST', 'YYYY HH24 TZ')",
        "to_date('2026-IIII', 'YYYY-RM')",
    ] {
        let problem = ask(&server, &format!("SELECT {call} AS t"));
        assert!(problem.is_err(), "{call}: {problem:?}");
    }
    for pattern in ["'FM'", "'%A'", "CASE id WHEN 600 THEN 'YYYY' ELSE 'x' END"] {
        let sql = format!("SELECT to_char(at, repeat({pattern}, 1000)) FROM orders");
        let problem = ask(&server, &sql).unwrap_err().to_string();
        assert!(problem.contains("at most 1000 characters"), "{problem}");
    }
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
