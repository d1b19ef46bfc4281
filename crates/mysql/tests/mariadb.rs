//! A MariaDB server of the test's own: first copy and stream give its tables,
//! row by row and type by type, while writers write and connections end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes files, and starts its own threads"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::scenarios::{
    copy_and_stream_meet, every_type_is_the_same, new_rows_have_their_defaults,
    tables_change_inside_a_transaction, tables_join_and_are_emptied, tables_take_each_others_names,
    tables_without_a_key_come_once,
};
use common::{Kind, Server, Tables, drain};
use sluice_core::SystemClock;
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::ServerSource;

#[test]
fn every_type_is_the_same_copied_and_streamed() {
    let Some(server) = Server::start() else {
        return;
    };
    every_type_is_the_same(&server, include_str!("all_types.sql"), &["NO_LOG", "FULL"]);
}

#[test]
fn copy_and_stream_meet_without_gap_while_writers_write_and_everything_ends() {
    let Some(server) = Server::start() else {
        return;
    };
    copy_and_stream_meet(server, "FULL", &[]);
}

#[test]
fn minimal_images_keep_what_they_do_not_say() {
    for row_image in ["MINIMAL", "NOBLOB"] {
        let Some(server) = Server::start() else {
            return;
        };
        copy_and_stream_meet(server, row_image, &[]);
    }
}

#[test]
fn new_rows_of_minimal_images_have_their_defaults() {
    let Some(server) = Server::start() else {
        return;
    };
    new_rows_have_their_defaults(&server);
}

#[test]
fn tables_that_come_later_join_and_those_that_are_emptied_are_empty() {
    let Some(server) = Server::start() else {
        return;
    };
    tables_join_and_are_emptied(&server);
}

#[test]
fn tables_that_take_the_name_of_another_take_its_place() {
    let Some(server) = Server::start() else {
        return;
    };
    tables_take_each_others_names(&server);
}

#[test]
fn tables_that_change_inside_a_transaction_lose_and_double_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    tables_change_inside_a_transaction(&server);
}

#[test]
fn rows_without_a_key_come_once() {
    let Some(server) = Server::start() else {
        return;
    };
    tables_without_a_key_come_once(&server, true);
}

#[test]
fn settings_that_are_wrong_are_named_with_what_to_do() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut client = server.connect();
    let refused = |server: &Server| {
        let error = server
            .source(DatabasePosition::default())
            .poll()
            .unwrap_err();
        error.to_string()
    };
    client
        .query("SET GLOBAL binlog_format = STATEMENT")
        .unwrap();
    let text = refused(&server);
    assert!(
        text.contains("binlog_format") && text.contains("set it to ROW"),
        "{text}"
    );
    client.query("SET GLOBAL binlog_format = ROW").unwrap();
    client.query("CREATE DATABASE shop").unwrap();
    let mut source = server.source(DatabasePosition::default());
    let mut tables = Tables::default();
    tables.take(source.poll().unwrap().records);
    for statement in [
        "CREATE TABLE shop.t (id INT PRIMARY KEY)",
        "FLUSH BINARY LOGS",
        "INSERT INTO shop.t VALUES (1)",
        "FLUSH BINARY LOGS",
    ] {
        client.query(statement).unwrap();
    }
    drop(source);
    // A log is kept while the server believes that somebody reads it, which it
    // finds out when it has something to send.
    let error = (0..50).find_map(|_| {
        client.query("FLUSH BINARY LOGS").unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let file = client.value("SHOW MASTER STATUS").unwrap();
        let purge = format!("PURGE BINARY LOGS TO '{file}'");
        client.query(&purge).unwrap();
        server.source(tables.position.clone()).poll().err()
    });
    let text = error.unwrap().to_string();
    assert!(
        text.contains("any more") && text.contains("copied again"),
        "{text}"
    );
}

#[test]
fn a_first_copy_tells_how_far_it_has_come() {
    let Some(server) = Server::start() else {
        return;
    };
    let rows: Vec<String> = (0..250).map(|id| format!("({id})")).collect();
    server.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY)",
        &format!("INSERT INTO shop.t VALUES {}", rows.join(", ")),
        "ANALYZE TABLE shop.t",
    ]);
    let mut source = server.source(DatabasePosition::default());
    let mut tables = Tables::default();
    drain(&mut source, &mut tables);
    assert_eq!(
        tables.notes.first().unwrap(),
        "test: copying shop.t, about 250 rows"
    );
    let end = tables.notes.last().unwrap();
    assert!(end.starts_with("test: shop.t is copied: 250 rows"), "{end}");
    // It is read in parts of a hundred.
    let mut rows: Vec<(u64, bool)> = Vec::new();
    for copied in &tables.copies {
        assert_eq!(
            (copied.table.as_str(), copied.rows_expected),
            ("shop.t", Some(250))
        );
        rows.push((copied.rows, copied.is_over));
    }
    assert_eq!(rows, [(0, false), (100, false), (200, false), (250, true)]);
}

/// The error that reading ends with.
fn refused(source: &mut ServerSource) -> String {
    let error = (0..300).find_map(|_| source.poll().err());
    error.unwrap().to_string()
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn a_server_that_writes_no_log_is_refused() {
    let arguments = ["--server-id=1", "--skip-log-bin"];
    let Some(server) = Server::start_as(Kind::MariaDb, &arguments) else {
        return;
    };
    let text = refused(&mut server.source(DatabasePosition::default()));
    assert_says(&text, &["the server's `log_bin` is `OFF`", "set it to ON"]);
}

#[test]
fn row_images_that_say_too_little_are_named() {
    let Some(server) = Server::start() else {
        return;
    };
    server.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.b (id INT PRIMARY KEY, x VARBINARY(9) DEFAULT 'x')",
    ]);
    for (image, warns) in [("MINIMAL", true), ("NOBLOB", false), ("FULL", false)] {
        server.run(&[&format!("SET GLOBAL binlog_row_image = {image}")]);
        let mut source = server.source(DatabasePosition::default());
        let warnings = source.poll().unwrap().warnings.join("\n");
        let warned = warnings.contains("`binlog_row_image` is MINIMAL");
        assert_eq!(warned, warns, "{image}: {warnings}");
        assert_eq!(warnings.contains("NOBLOB or FULL"), warns, "{warnings}");
    }
    // A session may say it for itself, which is seen in the log only.
    let mut source = server.source(DatabasePosition::default());
    source.poll().unwrap();
    server.run(&[
        "SET SESSION binlog_row_image = MINIMAL",
        "INSERT INTO shop.b (id) VALUES (1)",
    ]);
    assert_says(
        &refused(&mut source),
        &[
            "shop.b: a new row does not say column `x`",
            "set `binlog_row_image = FULL`",
        ],
    );
}

#[test]
fn privileges_that_a_user_lacks_are_named_with_what_to_do() {
    let Some(server) = Server::start() else {
        return;
    };
    server.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY)",
        "INSERT INTO shop.t VALUES (1)",
        "CREATE USER reader@'%' IDENTIFIED BY 'secret'",
    ]);
    let source = || {
        let mut options = server.options();
        options.addresses[0].user = "reader".into();
        options.addresses[0].password = "secret".into();
        ServerSource::new(options, Arc::new(SystemClock), DatabasePosition::default())
    };
    let help = "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the user, and SELECT on";
    let text = refused(&mut source());
    assert_says(
        &text,
        &["user `reader` may not read", "BINLOG MONITOR", help],
    );
    server.run(&["GRANT REPLICATION CLIENT ON *.* TO reader@'%'"]);
    let text = refused(&mut source());
    assert_says(&text, &["`reader`", "REPLICATION SLAVE privilege", help]);

    // Tables that a user may not read at all are not shown to it.
    server.run(&["GRANT REPLICATION SLAVE ON *.* TO reader@'%'"]);
    let mut blind = source();
    let warnings = blind.poll().unwrap().warnings.join("\n");
    let shown = "the server shows user `reader` no table that `tables` takes";
    assert_says(&warnings, &[shown, "GRANT SELECT"]);
    server.run(&["INSERT INTO shop.t VALUES (2)"]);
    let text = refused(&mut blind);
    assert_says(&text, &["shop.t", "GRANT SELECT on the table"]);
    server.run(&["GRANT INSERT ON shop.t TO reader@'%'"]);
    let text = refused(&mut source());
    assert_says(&text, &["`reader`", "SELECT command denied", help]);

    server.run(&["GRANT SELECT ON shop.* TO reader@'%'"]);
    let mut tables = Tables::default();
    drain(&mut source(), &mut tables);
    assert_eq!(tables.rows.len(), 2);
    assert!(tables.warnings.is_empty(), "{:?}", tables.warnings);
}
