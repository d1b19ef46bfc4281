//! The small files of `tests/logs`, which other tests read and damage, are what servers
//! write: servers of its own write the same events now. They are recorded anew by:
//!
//! ```sh
//! SLUICE_WRITE_CORPUS=crates/mysql/tests/logs cargo test -p sluice-mysql --test recorded_logs
//! ```
//!
//! A relative folder is one of the project.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes files"
)]

mod common;
#[path = "common/recorded.rs"]
mod recorded;

use std::path::{Path, PathBuf};

use common::{Kind, Server};
use recorded::events;
use sluice_mysql::binlog::event::kind;

/// Every kind of change, in transactions of one row and of several.
const SHOP: [&str; 14] = [
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE TABLE shop.orders (id INT UNSIGNED PRIMARY KEY, status VARCHAR(20) NOT NULL DEFAULT 'new', total DECIMAL(10,2), note TEXT, at DATETIME(3), doc JSON)",
    "INSERT INTO shop.orders VALUES (1, 'new', 19.99, 'née', '2026-01-31 12:00:00.5', '{\"a\": [1, 2.5, null]}'), (2, 'new', -5, NULL, NULL, NULL), (3, 'paid', 0.01, REPEAT('ab', 40), '2026-02-01', '\"x\"')",
    "BEGIN",
    "INSERT INTO shop.orders (id, total, note) VALUES (4, 1, 'x')",
    "UPDATE shop.orders SET status = 'paid' WHERE id < 3",
    "COMMIT",
    "UPDATE shop.orders SET note = 'changed', total = 2.5 WHERE id = 3",
    "ALTER TABLE shop.orders ADD COLUMN city VARCHAR(10) DEFAULT 'Köln' AFTER status",
    "INSERT INTO shop.orders (id, status, total) VALUES (5, 'new', 7)",
    "DELETE FROM shop.orders WHERE id = 2",
    "UPDATE shop.orders SET id = 40 WHERE id = 4",
    "TRUNCATE TABLE shop.orders",
    "INSERT INTO shop.orders (id, status) VALUES (6, 'last')",
];

/// The kinds of a log's events, in order, but for those that say which file a recovery
/// needs: they come when the server finds the time.
fn kinds(log: &[u8]) -> Vec<u8> {
    let events = events(log).into_iter().map(|event| event.kind);
    events
        .filter(|&of| of != kind::MARIADB_BINLOG_CHECKPOINT)
        .collect()
}

/// The file that the server writes now.
fn newest_log(server: &Server) -> PathBuf {
    let data = server.folder.path().join("data");
    let files = std::fs::read_dir(data)
        .unwrap()
        .map(|it| it.unwrap().path());
    let is_log = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let number = name.strip_prefix("binlog.").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    files.filter(is_log).max().unwrap()
}

/// Compares the file that holds these statements and nothing else with the one that is
/// kept under the name, or keeps it where a folder is named. The settings are those of
/// the server, and stay.
fn record(server: &Server, name: &str, settings: &[&str], statements: &[&str]) {
    server.run(settings);
    server.run(&["DROP DATABASE IF EXISTS shop", "FLUSH BINARY LOGS"]);
    let log = newest_log(server);
    server.run(statements);
    server.run(&["FLUSH BINARY LOGS"]);
    let found = std::fs::read(log).unwrap();
    let of_crate = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(folder) = std::env::var_os("SLUICE_WRITE_CORPUS") {
        let folder = of_crate.join("../..").join(folder);
        std::fs::write(folder.join(name), found).unwrap();
        return;
    }
    let kept = std::fs::read(of_crate.join("tests/logs").join(name)).unwrap();
    assert_eq!(kinds(&found), kinds(&kept), "{name}: found, kept");
}

/// `SHOP`, and then these.
fn shop_and(more: &[&'static str]) -> Vec<&'static str> {
    [&SHOP[..], more].concat()
}

#[test]
fn logs_of_mariadb() {
    let Some(server) = Server::start() else {
        return;
    };
    let full = "SET GLOBAL binlog_row_metadata = FULL";
    let domain = [
        "SET SESSION gtid_domain_id = 7",
        "INSERT INTO shop.orders (id) VALUES (7)",
    ];
    record(&server, "mariadb-gtids", &[full], &shop_and(&domain));
    for (name, image) in [("mariadb-minimal", "MINIMAL"), ("mariadb-noblob", "NOBLOB")] {
        let image = format!("SET GLOBAL binlog_row_image = {image}");
        record(&server, name, &[&image], &SHOP);
    }
    let settings = [
        "SET GLOBAL binlog_row_image = FULL",
        "SET GLOBAL binlog_checksum = NONE",
    ];
    record(&server, "mariadb-no-checksums", &settings, &SHOP);
    let statement = [
        "SET SESSION binlog_format = STATEMENT",
        "INSERT INTO shop.orders (id) VALUES (7)",
    ];
    let settings = ["SET GLOBAL binlog_checksum = CRC32"];
    record(
        &server,
        "mariadb-statement",
        &settings,
        &shop_and(&statement),
    );
}

#[test]
fn an_encrypted_log_of_mariadb() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, format!("1;{}\n", "5a".repeat(32))).unwrap();
    let file = format!("--file-key-management-filename={}", keys.display());
    let arguments = [
        "--server-id=1",
        "--plugin-load-add=file_key_management",
        &file,
        "--encrypt-binlog=ON",
    ];
    let Some(server) = Server::start_as(Kind::MariaDb, &arguments) else {
        return;
    };
    record(&server, "mariadb-encrypted", &[], &SHOP);
}

#[test]
fn logs_of_mysql() {
    let Some(server) = Server::start_as(Kind::MySql, &["--server-id=1"]) else {
        return;
    };
    record(&server, "mysql-gtids", &[], &SHOP);
    let full = "SET GLOBAL binlog_row_metadata = FULL";
    for (name, image) in [("mysql-minimal", "MINIMAL"), ("mysql-noblob", "NOBLOB")] {
        let image = format!("SET GLOBAL binlog_row_image = {image}");
        record(&server, name, &[full, &image], &SHOP);
    }
    let settings = [
        "SET GLOBAL binlog_row_image = FULL",
        "SET GLOBAL binlog_transaction_compression = ON",
    ];
    record(&server, "mysql-compressed", &settings, &SHOP);
    let settings = [
        "SET GLOBAL binlog_transaction_compression = OFF",
        "SET GLOBAL binlog_checksum = NONE",
    ];
    record(&server, "mysql-no-checksums", &settings, &SHOP);
    let settings = ["SET GLOBAL binlog_checksum = CRC32"];
    let partial = [
        "CREATE TABLE shop.doc (id INT PRIMARY KEY, j JSON)",
        "INSERT INTO shop.doc VALUES (1, '{\"a\": \"0123456789012345678901234567890123456789\", \"b\": 1}')",
        "SET SESSION binlog_row_value_options = PARTIAL_JSON",
        "SET SESSION binlog_row_image = MINIMAL",
        "UPDATE shop.doc SET j = JSON_SET(j, '$.b', 2)",
        "INSERT INTO shop.orders (id) VALUES (7)",
    ];
    record(
        &server,
        "mysql-partial-json",
        &settings,
        &shop_and(&partial),
    );
    let rows = server.folder.path().join("data/rows.tsv");
    std::fs::write(rows, "8\tpaid\n9\tnew\n").unwrap();
    let load = [
        "SET SESSION binlog_format = STATEMENT",
        "LOAD DATA INFILE './rows.tsv' INTO TABLE shop.orders (id, status)",
    ];
    record(&server, "mysql-load", &[], &shop_and(&load));
    let tagged = [
        "SET SESSION gtid_next = 'AUTOMATIC:night'",
        "INSERT INTO shop.orders (id) VALUES (7)",
    ];
    record(&server, "mysql-tagged", &[], &shop_and(&tagged));
    let settings = [
        "SET GLOBAL gtid_mode = ON_PERMISSIVE",
        "SET GLOBAL gtid_mode = OFF_PERMISSIVE",
    ];
    record(&server, "mysql-anonymous", &settings, &SHOP);
}
