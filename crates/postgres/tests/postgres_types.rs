//! Values of all types: copied and streamed the same, and as the server means
//! them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;

use common::{Server, Tables, assert_equal, copied};
use serde_json::{Value, json};
use sluice_postgres::position::PostgresPosition;

#[test]
fn every_type_is_the_same_copied_and_streamed() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    // What the user's sessions are set to does not matter.
    server.run("ALTER ROLE admin SET datestyle = 'SQL, DMY'; ALTER ROLE admin SET timezone = 'Asia/Kolkata'; ALTER ROLE admin SET bytea_output = 'escape'");
    let mut tables = Tables::default();
    let mut source = server.source("types", PostgresPosition::default());
    tables.drain(&server, &mut source);
    assert!(tables.rows.is_empty());
    server.run(include_str!("all_types.sql"));
    // Nothing was there to be copied: all of it comes by the stream.
    tables.drain(&server, &mut source);
    assert_eq!(tables.rows.len(), 5);
    assert_equal(&tables.rows, &copied(&server));

    let row = |id: &str| tables.rows[&("every_type".to_owned(), id.to_owned())].clone();
    let first = row("1");
    let values = first.as_object().unwrap().values();
    assert_eq!(
        values.clone().filter(|value| value.is_null()).count(),
        values.count() - 1
    );
    let wanted: Value = serde_json::from_str(
        r##"{
        "i2": -32768, "i4": -2147483648, "o": 4294967295, "n10": -12345678.90, "f4": 1.1, "f8": 0.1,
        "m": -1234.56, "ok": true, "d": "2026-01-31", "t": "12:34:56.789",
        "ttz": "12:34:56+05:30", "ts": "2026-01-31 12:34:56.789012", "tstz": "2026-01-31T10:34:56.7Z",
        "iv": "1 year 2 mons -3 days +04:05:06.7", "bin": "AP9cIg==",
        "txt": "tab\t newline\n backslash\\ quote\" null \\N snowman ☃ \u0001 𝄞!", "ch": "ab   ", "one": "c", "nm": "a name",
        "j": {"a": [1, 2.50, null, "é"]}, "jb": {"b": {"c": 1e100}},
        "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "e": "It's \"blue\"", "dom": 5, "dmo": "2026-07-01T00:00:00Z",
        "p": "(1,\"a b\")", "ip": "192.168.0.1/24", "net": "10.0.0.0/8", "mac": "08:00:2b:01:02:03",
        "b3": "101", "vb": "0011", "x": "<a>b</a>", "r4": "[1,5)", "mr": "{[1,3),[5,7)}", "fr": "[1.5,2.5]",
        "rts": "[\"2026-01-01 00:00:00+00\",)", "pt": "(1,2)", "bx": "(1,1),(0,0)", "tv": "'a':1 'b':2", "lsn": "16/B374D848",
        "ai": [1, null, 3], "an": [1.50, "NaN"], "at": ["a", "b,c", null, "NULL", "", "q\"\\"], "ab": ["AP8="],
        "ats": ["2026-01-31T12:00:00Z"], "aj": [{"k": 1}], "ae": ["red", null], "ad": [1, 2],
        "ax": ["(1,1),(0,0)", "(3,3),(2,2)"], "aa": [[1, 2], [3, 4]], "iv2": "1 2 3", "odd \"name": "odd"
        }"##,
    )
    .unwrap();
    for (column, value) in wanted.as_object().unwrap() {
        assert_eq!(&row("2")[column], value, "{column}");
    }
    for (id, column, value) in [
        ("3", "n", json!("NaN")),
        ("3", "f8", json!("Infinity")),
        ("3", "d", json!("infinity")),
        ("3", "ts", json!("-infinity")),
        ("3", "tstz", json!("infinity")),
        ("3", "txt", json!("")),
        ("3", "ai", json!([])),
        ("4", "f4", json!("-Infinity")),
        ("4", "d", json!("0044-03-15 BC")),
        ("4", "tstz", json!("0044-03-15T12:00:00Z BC")),
        ("4", "txt", json!("\\")),
        ("5", "d", json!("5874897-12-31")),
        ("5", "tstz", json!("0001-01-01T00:00:00Z")),
        ("5", "txt", json!("ü".repeat(3_000))),
    ] {
        assert_eq!(row(id)[column], value, "{column} of {id}");
    }
    let digits = server.run("SELECT n FROM every_type WHERE id = 2");
    assert_eq!(
        digits[0][0].as_deref(),
        Some("123456789012345678901234567890.000000000123")
    );
    assert!(matches!(row("2")["n"], Value::Number(_)));
}
