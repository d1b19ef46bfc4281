//! The small files of `tests/streams`, which other tests read and damage, are what a
//! server sends: one of its own sends the same messages now. They are recorded anew by:
//!
//! ```sh
//! SLUICE_WRITE_CORPUS=crates/postgres/tests/streams \
//!     cargo test -p sluice-postgres --test recorded_streams
//! ```
//!
//! A relative folder is one of the project. A file holds the messages of
//! `pgoutput`, each behind its length in four bytes, the highest first.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes files, and waits"
)]

mod common;

use std::path::Path;

use common::Server;

/// Every kind of change, in transactions of one row and of several.
const SHOP: [&str; 11] = [
    "INSERT INTO orders VALUES (1, 'new', 19.99, repeat('née ', 600), '2026-01-31 12:00:00.5+01', '{\"a\": [1, 2.50, null]}'), (2, 'new', -5, NULL, NULL, NULL), (3, 'paid', 0.01, 'x', 'infinity', '\"x\"')",
    // The long note is not sent again.
    "BEGIN; INSERT INTO orders (id, total) VALUES (4, 1); UPDATE orders SET status = 'paid' WHERE id < 3; COMMIT",
    "ALTER TABLE orders ADD COLUMN city VARCHAR(10) DEFAULT 'Köln'",
    "INSERT INTO orders (id, status, total) VALUES (5, 'new', 7)",
    "DELETE FROM orders WHERE id = 2",
    "UPDATE orders SET id = 40 WHERE id = 4",
    "SELECT pg_logical_emit_message(true, 'shop', 'anything')",
    "ALTER TABLE orders REPLICA IDENTITY FULL",
    "UPDATE orders SET status = 'sent' WHERE id = 3; DELETE FROM orders WHERE id = 3",
    "TRUNCATE orders, codes",
    "INSERT INTO orders (id) VALUES (6); INSERT INTO codes VALUES ('a', 1), ('b', 2); UPDATE codes SET code = 'c' WHERE code = 'a'",
];

/// The letters of a file's messages, in order.
fn kinds(mut file: &[u8]) -> String {
    let mut kinds = String::new();
    while let Some((length, rest)) = file.split_first_chunk::<4>() {
        let (message, behind) = rest.split_at(u32::from_be_bytes(*length) as usize);
        kinds.push(char::from(message[0]));
        file = behind;
    }
    // Servers before version 15 send transactions without changes, too.
    kinds.replace("BC", "")
}

/// Compares what the server sends of these statements with the file that is kept under
/// the name, or keeps it where a folder is named.
fn record(server: &Server, name: &str, statements: &[String]) {
    server.run("SELECT pg_create_logical_replication_slot('corpus', 'pgoutput')");
    for statement in statements {
        server.run(statement);
    }
    let changes = server.run("SELECT encode(data, 'hex') FROM pg_logical_slot_get_binary_changes('corpus', NULL, NULL, 'proto_version', '1', 'publication_names', 'sluice')");
    server.run("SELECT pg_drop_replication_slot('corpus')");
    let mut bytes = Vec::new();
    for change in changes {
        let digits = change[0].as_deref().unwrap();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let message: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        bytes.extend((message.len() as u32).to_be_bytes());
        bytes.extend(message);
    }
    let of_crate = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(folder) = std::env::var_os("SLUICE_WRITE_CORPUS") {
        let folder = of_crate.join("../..").join(folder);
        std::fs::write(folder.join(name), bytes).unwrap();
        return;
    }
    let kept = std::fs::read(of_crate.join("tests/streams").join(name)).unwrap();
    assert_eq!(kinds(&bytes), kinds(&kept), "{name}: found, kept");
}

#[test]
fn streams_of_postgres() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.run("CREATE TABLE orders (id INT PRIMARY KEY, status TEXT NOT NULL DEFAULT 'new', total NUMERIC(10,2), note TEXT, at TIMESTAMPTZ, doc JSONB); ALTER TABLE orders ALTER note SET STORAGE EXTERNAL; CREATE TABLE codes (code TEXT NOT NULL, number INT); CREATE UNIQUE INDEX codes_key ON codes (code); ALTER TABLE codes REPLICA IDENTITY USING INDEX codes_key");
    record(&server, "shop", &SHOP.map(str::to_owned));
    let types = include_str!("all_types.sql")
        .replace("repeat('ü', 3000)", "repeat('ü', 30)")
        .replace("repeat('00', 5000)", "repeat('00', 50)");
    record(&server, "types", &[types]);
}
