//! Another server takes over: a replica is promoted, and reading goes on there
//! by the identities of transactions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes files, and waits"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Kind, Server, Tables, assert_equal, copied, drain};
use sluice_core::{Clock as _, SystemClock};
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::ServerSource;

fn follow(kind: Kind, replica: &Server, of: &Server) {
    let port = of.address.port;
    match kind {
        Kind::MariaDb => replica.run(&[
            &format!("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='repl', MASTER_PASSWORD='secret', MASTER_USE_GTID=slave_pos"),
            "START SLAVE",
        ]),
        Kind::MySql => replica.run(&[
            &format!("CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='repl', SOURCE_PASSWORD='secret', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"),
            "START REPLICA",
        ]),
    }
}

fn wait_for(server: &Server, sql: &str, wanted: &str) {
    for _ in 0..200 {
        let found = server.connect().value(sql);
        if found.is_ok_and(|found| found == wanted) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("never: {sql} is {wanted}");
}

#[test]
fn a_promoted_replica_is_read_on_where_the_other_ended() {
    for kind in [Kind::MariaDb, Kind::MySql] {
        let replica_arguments = match kind {
            Kind::MariaDb => ["--server-id=2", "--log-slave-updates=ON"],
            Kind::MySql => ["--server-id=2", "--log-replica-updates=ON"],
        };
        let Some(mut first) = Server::start_as(kind, &["--server-id=1"]) else {
            continue;
        };
        let second = Server::start_as(kind, &replica_arguments).unwrap();
        if kind == Kind::MySql {
            // What making it wrote is not the other's.
            for server in [&first, &second] {
                server.run(&["RESET BINARY LOGS AND GTIDS"]);
            }
        }
        first.run(&[
            "CREATE USER repl@'%' IDENTIFIED BY 'secret'",
            "GRANT REPLICATION SLAVE ON *.* TO repl@'%'",
        ]);
        follow(kind, &second, &first);
        first.run(&[
            "CREATE DATABASE shop CHARACTER SET utf8mb4",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))",
            "INSERT INTO shop.t VALUES (1, 'first'), (2, 'first')",
        ]);
        if kind == Kind::MariaDb {
            // A second stream of identities, as shops with several sites have.
            first.run(&[
                "SET SESSION gtid_domain_id = 7",
                "INSERT INTO shop.t VALUES (3, 'x')",
            ]);
            let mut client = first.connect();
            client.query("SET SESSION gtid_domain_id = 7").unwrap();
            client
                .query("INSERT INTO shop.t VALUES (4, 'domain 7')")
                .unwrap();
        }
        let mut options = first.options();
        options.addresses.push(second.address.clone());
        let clock = Arc::new(SystemClock);
        let mut source =
            ServerSource::new(options.clone(), clock.clone(), DatabasePosition::default());
        let mut tables = Tables::default();
        drain(&mut source, &mut tables);
        // Other places in the second one's files, and changes that come while
        // nobody reads.
        second.run(&["FLUSH BINARY LOGS"]);
        drop(source);
        first.run(&[
            "UPDATE shop.t SET v = 'before the end' WHERE id = 1",
            "DELETE FROM shop.t WHERE id = 2",
        ]);
        wait_for(
            &second,
            "SELECT v FROM shop.t WHERE id = 1",
            "before the end",
        );
        wait_for(&second, "SELECT COUNT(*) FROM shop.t WHERE id = 2", "0");
        first.kill();
        match kind {
            Kind::MariaDb => second.run(&["STOP SLAVE", "RESET SLAVE ALL"]),
            Kind::MySql => second.run(&["STOP REPLICA", "RESET REPLICA ALL"]),
        }
        second.run(&["INSERT INTO shop.t VALUES (9, 'after')"]);
        let mut source = ServerSource::new(options, clock, tables.position.clone());
        let start_us = SystemClock.now_us();
        while !tables.rows.contains_key(&("t".to_owned(), "9".to_owned())) {
            let batch = source.poll().unwrap();
            tables.warnings.extend(batch.warnings);
            tables.take(batch.records);
            let waited_us = SystemClock.now_us() - start_us;
            assert!(waited_us < 60_000_000, "{:?}", tables.warnings);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(tables.warnings.iter().any(|it| it.contains("trying again")));
        assert_equal(&tables.rows, &copied(&second));
    }
}
