//! Partitions that are attached, detached and dropped, of which the server sends nothing:
//! the table has the server's rows all the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at the time"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Rows, Server, Tables, copied};
use sluice_postgres::position::PostgresPosition;
use sluice_postgres::server::ServerSource;

/// More than the time between two looks at the tables.
const LOOK: Duration = Duration::from_secs(12);

const TABLES: &str = "
    DROP PUBLICATION sluice;
    CREATE PUBLICATION sluice FOR ALL TABLES WITH (publish_via_partition_root = true);
    CREATE TABLE part (id bigint, k int, s text, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
    CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (100);
    CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (100) TO (200);
    INSERT INTO part VALUES (1, 1, 'x'), (2, 150, 'y')";

fn of_part(rows: &Rows) -> Rows {
    let mut rows = rows.clone();
    rows.retain(|(table, _), _| table == "part");
    rows
}

fn poll(source: &mut ServerSource, tables: &mut Tables) {
    let batch = source.poll().unwrap();
    tables.warnings.extend(batch.warnings);
    tables.take(batch.records);
}

/// Reads until the table is the server's.
fn follow(server: &Server, source: &mut ServerSource, tables: &mut Tables) {
    let wanted = of_part(&copied(server));
    let start = Instant::now();
    while of_part(&tables.rows) != wanted || !tables.position.is_copied() {
        poll(source, tables);
        let found = of_part(&tables.rows);
        assert!(start.elapsed() < LOOK * 4, "{found:?}, not {wanted:?}");
    }
}

fn copied_again(tables: &Tables) -> usize {
    let said = tables.warnings.iter();
    said.filter(|said| said.contains("is copied again")).count()
}

#[test]
fn rows_come_and_go_with_their_partitions() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.run(TABLES);
    let mut tables = Tables::default();
    let mut source = server.source("parts", PostgresPosition::default());
    follow(&server, &mut source, &mut tables);
    assert_eq!(of_part(&tables.rows).len(), 2);

    server.run("ALTER TABLE part DETACH PARTITION part2");
    follow(&server, &mut source, &mut tables);
    assert_eq!(of_part(&tables.rows).len(), 1);
    assert_eq!(copied_again(&tables), 1, "{:?}", tables.warnings);

    server.run(
        "CREATE TABLE part3 (id bigint, k int, s text, PRIMARY KEY (id, k));
         INSERT INTO part3 SELECT g, 250, 'att' FROM generate_series(5000, 5009) g;
         ALTER TABLE part ATTACH PARTITION part3 FOR VALUES FROM (200) TO (300);
         INSERT INTO part VALUES (5010, 251, 'att2')",
    );
    follow(&server, &mut source, &mut tables);
    assert_eq!(of_part(&tables.rows).len(), 12);
    assert_eq!(copied_again(&tables), 2, "{:?}", tables.warnings);

    // The partition of tomorrow costs nothing.
    server.run("CREATE TABLE part4 PARTITION OF part FOR VALUES FROM (300) TO (400)");
    let start = Instant::now();
    while start.elapsed() < LOOK {
        poll(&mut source, &mut tables);
    }
    server.run("INSERT INTO part VALUES (6000, 350, 'new')");
    follow(&server, &mut source, &mut tables);
    let start = Instant::now();
    while start.elapsed() < LOOK {
        poll(&mut source, &mut tables);
    }
    assert_eq!(copied_again(&tables), 2, "{:?}", tables.warnings);

    // What happens while nobody reads is found later.
    drop(source);
    server.run("DROP TABLE part3; UPDATE part SET s = 'later' WHERE id = 1");
    let mut source = server.source("parts", tables.position.clone());
    follow(&server, &mut source, &mut tables);
    assert_eq!(of_part(&tables.rows).len(), 2);
    assert_eq!(copied_again(&tables), 3, "{:?}", tables.warnings);
}
