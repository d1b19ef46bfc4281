//! A MariaDB server of the test's own: first copy and stream give its tables,
//! row by row and type by type, while writers write and connections end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes files, and starts its own threads"
)]

mod common;

use std::time::Duration;

use common::scenarios::{
    copy_and_stream_meet, every_type_is_the_same, new_rows_have_their_defaults,
    tables_change_inside_a_transaction, tables_join_and_are_emptied,
    tables_without_a_key_come_once,
};
use common::{Server, Tables};
use sluice_mysql::position::DatabasePosition;

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
