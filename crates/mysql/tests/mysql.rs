//! MySQL's own server: what is tested with MariaDB holds for it too, and what
//! only it has: `caching_sha2_password`, compressed transactions, JSON logged
//! as differences.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes files, and starts its own threads"
)]

mod common;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use common::scenarios::{
    copy_and_stream_meet, every_type_is_the_same, new_rows_have_their_defaults,
    tables_change_inside_a_transaction, tables_join_and_are_emptied, tables_take_each_others_names,
    tables_without_a_key_come_once,
};
use common::{Kind, Server, Tables, assert_equal, copied, drain};
use sluice_core::SystemClock;
use sluice_mysql::filter::TableFilter;
use sluice_mysql::net::connection::Address;
use sluice_mysql::net::tls::TlsMode;
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::{ServerOptions, ServerSource};

fn mysql() -> Option<Server> {
    Server::start_as(Kind::MySql, &["--server-id=1"])
}

/// The statements about all types without what only MariaDB has.
fn types() -> String {
    include_str!("all_types.sql")
        .replace(
            " u uuid, ip6 inet6, ip4 inet4, vc varchar(2000) compressed, tc text compressed\n",
            " vc varchar(2000), tc text\n",
        )
        .replace(",u,ip6,ip4,vc,tc)", ",vc,tc)")
        .replace(",u,vc,tc)", ",vc,tc)")
        .replace(
            "'123e4567-e89b-12d3-a456-426655440000','2001:db8::ff00:42:8329','192.168.0.1',",
            "",
        )
        .replace("'01932b5c-d1f5-7a3c-8a37-0123456789ab',", "")
        .replace("'00000000-0000-0000-0000-000000000000',", "")
}

#[test]
fn every_type_is_the_same_copied_and_streamed() {
    let Some(server) = mysql() else { return };
    every_type_is_the_same(&server, &types(), &["MINIMAL", "FULL"]);
}

#[test]
fn copy_and_stream_meet_without_gap() {
    let Some(server) = mysql() else { return };
    copy_and_stream_meet(server, "FULL", &[]);
}

#[test]
fn minimal_images_keep_what_they_do_not_say() {
    let Some(server) = mysql() else { return };
    new_rows_have_their_defaults(&server);
    server.run(&["DROP DATABASE shop"]);
    copy_and_stream_meet(server, "MINIMAL", &[]);
}

#[test]
fn compressed_transactions_meet_the_copy_without_gap() {
    let Some(server) = mysql() else { return };
    let compress = "SET PERSIST binlog_transaction_compression = ON";
    copy_and_stream_meet(server, "FULL", &[compress]);
}

#[test]
fn tables_that_come_later_join_and_those_that_are_emptied_are_empty() {
    let Some(server) = mysql() else { return };
    tables_join_and_are_emptied(&server);
}

#[test]
fn tables_that_take_the_name_of_another_take_its_place() {
    let Some(server) = mysql() else { return };
    tables_take_each_others_names(&server);
}

#[test]
fn tables_that_change_inside_a_transaction_lose_and_double_nothing() {
    let Some(server) = mysql() else { return };
    tables_change_inside_a_transaction(&server);
}

#[test]
fn rows_without_a_key_come_once() {
    let Some(server) = mysql() else { return };
    tables_without_a_key_come_once(&server, false);
}

#[test]
fn a_user_signs_in_by_caching_sha2_password_over_tls_and_then_without() {
    let Some(server) = mysql() else { return };
    server.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY)",
        "INSERT INTO shop.t VALUES (1)",
        "CREATE USER reader@'%' IDENTIFIED WITH caching_sha2_password BY 'sécret'",
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO reader@'%'",
        "GRANT SELECT ON shop.* TO reader@'%'",
    ]);
    let source = |tls: TlsMode, password: &str| {
        let mut options: ServerOptions = server.options();
        options.addresses[0].user = "reader".into();
        options.addresses[0].password = password.into();
        options.addresses[0].tls = tls;
        ServerSource::new(options, Arc::new(SystemClock), DatabasePosition::default())
    };
    // The server has no proof of the password yet and asks for itself.
    let error = source(TlsMode::Off, "sécret")
        .poll()
        .unwrap_err()
        .to_string();
    assert!(error.contains("tls = \"required\""), "{error}");
    let error = source(TlsMode::Required, "wrong")
        .poll()
        .unwrap_err()
        .to_string();
    assert!(error.contains("Access denied"), "{error}");
    let refused = "refuses the name or the password of user `reader`";
    assert!(error.contains(refused), "{error}");
    let mut tables = Tables::default();
    drain(&mut source(TlsMode::Required, "sécret"), &mut tables);
    assert_eq!(tables.rows.len(), 1);
    // Now it remembers one.
    let mut tables = Tables::default();
    drain(&mut source(TlsMode::Off, "sécret"), &mut tables);
    assert_equal(&tables.rows, &copied(&server));
}

/// A server that answers every connection with this error.
fn refusing_server(code: u16, message: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut payload = vec![0xff];
            payload.extend(code.to_le_bytes());
            payload.extend(message.as_bytes());
            let mut packet = (payload.len() as u32).to_le_bytes().to_vec();
            packet.extend(payload);
            connection.unwrap().write_all(&packet).unwrap();
        }
    });
    address
}

#[test]
fn a_refused_name_or_password_is_no_missing_privilege() {
    let said = |code: u16| {
        let place = refusing_server(code, "Access denied");
        let address = Address {
            host: place.ip().to_string(),
            port: place.port(),
            user: "reader".into(),
            ..Address::default()
        };
        let options = ServerOptions {
            name: "shop".into(),
            addresses: vec![address],
            filter: TableFilter::new(&["shop.*".to_owned()]).unwrap(),
            server_id: 4_711,
            copies: true,
            copied_first: None,
            part_rows: 100,
        };
        let clock = Arc::new(SystemClock);
        let mut source = ServerSource::new(options, clock, DatabasePosition::default());
        (place, source.poll().unwrap_err().to_string())
    };
    for code in [1045, 1698] {
        let (place, error) = said(code);
        let first = format!(
            "the server at {place} refuses the name or the password of user `reader`: Access denied\n"
        );
        assert!(error.starts_with(&first), "{error}");
        assert!(error.contains("`password = \"env:NAME\"`"), "{error}");
        assert!(!error.contains("GRANT"), "{error}");
    }
    let (_, error) = said(1044);
    assert!(error.contains("may not read the log"), "{error}");
    assert!(error.contains("GRANT"), "{error}");
}

#[test]
fn json_that_is_logged_as_differences_is_refused_by_the_name_of_the_setting() {
    let Some(server) = mysql() else { return };
    server.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, j JSON)",
        "INSERT INTO shop.t VALUES (1, '{\"a\": \"0123456789012345678901234567890123456789\", \"b\": 1}')",
    ]);
    let mut tables = Tables::default();
    let mut source = server.source(DatabasePosition::default());
    drain(&mut source, &mut tables);
    // A session may say it for itself, which is seen in the log only.
    let mut client = server.connect();
    for statement in [
        "SET SESSION binlog_row_value_options = PARTIAL_JSON",
        "SET SESSION binlog_row_image = MINIMAL",
        "UPDATE shop.t SET j = JSON_SET(j, '$.b', 2)",
    ] {
        client.query(statement).unwrap();
    }
    let error = (0..100)
        .find_map(|_| source.poll().err())
        .unwrap()
        .to_string();
    assert!(error.contains("binlog_row_value_options = ''"), "{error}");
    server.run(&["SET GLOBAL binlog_row_value_options = PARTIAL_JSON"]);
    let error = server
        .source(DatabasePosition::default())
        .poll()
        .unwrap_err();
    assert!(
        error.to_string().contains("binlog_row_value_options"),
        "{error}"
    );
}
