//! Another server takes over: a standby is promoted, and reading goes on there, or is
//! refused where changes would be left out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Server, Tables, assert_equal, copied};
use sluice_core::{RecordKind, SystemClock};
use sluice_postgres::lsn::Lsn;
use sluice_postgres::position::{PostgresPosition, Timeline};
use sluice_postgres::server::{ServerOptions, ServerSource};

const SLOT: &str = "follows";

/// A server with three rows, its standby, and how to read them.
fn two_servers() -> Option<(Server, Server, ServerOptions)> {
    let first = Server::start(&[])?;
    first.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text);
         INSERT INTO t SELECT i, 'first' FROM generate_series(1, 3) i",
    );
    // Before the slot: the standby has the log that it needs.
    let second = first.standby();
    let mut options = first.options(SLOT);
    options.addresses.push(second.address.clone());
    Some((first, second, options))
}

fn source_of(options: &ServerOptions, position: PostgresPosition) -> ServerSource {
    ServerSource::new(options.clone(), Arc::new(SystemClock), position)
}

/// What is read of the first server while all is well.
fn tables_of(first: &Server, options: &ServerOptions) -> Tables {
    let mut tables = Tables::default();
    let mut source = source_of(options, PostgresPosition::default());
    tables.drain(first, &mut source);
    let timeline = Timeline {
        number: 1,
        begin: Lsn(0),
    };
    assert_eq!(tables.position.timeline, Some(timeline));
    tables
}

/// Asks until it is warned of something; nothing is read meanwhile.
fn wait_for_warning(source: &mut ServerSource, word: &str) {
    let mut said = Vec::new();
    for _ in 0..400 {
        let batch = source.poll().unwrap();
        assert!(batch.records.is_empty(), "{said:?}");
        said.extend(batch.warnings);
        if said.iter().any(|warning| warning.contains(word)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("never: {word}; {said:?}");
}

#[test]
fn a_promoted_standby_is_read_on_where_the_other_ended() {
    let Some((mut first, mut second, options)) = two_servers() else {
        return;
    };
    let mut tables = tables_of(&first, &options);
    // The reader ends in the middle of a transaction.
    first.run("INSERT INTO t SELECT i, 'many' FROM generate_series(101, 200) i");
    let mut source = source_of(&options, tables.position.clone());
    loop {
        let mut records = source.poll().unwrap().records;
        let rows = records
            .iter()
            .filter(|record| record.kind == RecordKind::Data);
        let lost = rows.count() / 2;
        records.truncate(records.len() - lost);
        tables.take(records);
        if lost > 0 {
            break;
        }
    }
    assert!(tables.position.rows > 0);
    drop(source);
    // Changes come while nobody reads.
    first.run("UPDATE t SET v = 'before the end' WHERE id = 1; DELETE FROM t WHERE id = 2");
    second.wait_for_all_of(&first);
    first.quit();
    second.quit();
    second.take_slot(&first, SLOT);
    second.start_again();

    let mut source = source_of(&options, tables.position.clone());
    wait_for_warning(&mut source, "is a standby");
    second.promote();
    second.run("INSERT INTO t VALUES (9, 'after')");
    tables.drain(&second, &mut source);
    assert_eq!(tables.position.timeline.unwrap().number, 2);
    // After a stop, too.
    drop(source);
    second.run("UPDATE t SET v = 'last' WHERE id = 9");
    let mut source = source_of(&options, tables.position.clone());
    tables.drain(&second, &mut source);
    assert_equal(&tables.rows, &copied(&second));
    // Three rows were copied, and every change came once.
    assert_eq!(tables.changes, 3 + 100 + 2 + 1 + 1);
}

#[test]
fn a_standby_that_lacks_what_was_read_is_refused() {
    let Some((mut first, mut second, mut options)) = two_servers() else {
        return;
    };
    let mut tables = tables_of(&first, &options);
    let has_all = tables.position.clone();
    second.wait_for_all_of(&first);
    second.quit();
    second.take_slot(&first, SLOT);
    let mut source = source_of(&options, has_all.clone());
    first.run("INSERT INTO t VALUES (4, 'never seen by the standby')");
    tables.drain(&first, &mut source);
    drop(source);
    first.quit();
    second.start_again();
    second.promote();
    // Other changes take the places that were read.
    second.run("INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(11, 1010) i");

    options.addresses = vec![second.address.clone()];
    let said = second.refusal(options.clone(), tables.position.clone());
    for word in [
        "took over at",
        "(timeline 2)",
        "lacks",
        "empty state folder",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }

    // Where those places held nothing to take, the others are read, all of them.
    let quiet = PostgresPosition {
        lsn: tables.position.lsn,
        ..has_all
    };
    let mut tables = Tables::default();
    tables.position = quiet.clone();
    tables.drain(&second, &mut source_of(&options, quiet));
    assert_eq!(tables.changes, 1_000);
    assert_eq!(tables.position.timeline.unwrap().number, 2);
}

#[test]
fn a_slot_that_did_not_follow_and_an_old_primary_are_refused() {
    let Some((mut first, second, mut options)) = two_servers() else {
        return;
    };
    let tables = tables_of(&first, &options);
    second.wait_for_all_of(&first);
    first.quit();
    second.promote();
    options.addresses = vec![second.address.clone()];
    let said = second.refusal(options.clone(), tables.position.clone());
    for word in ["`follows` is not on", "(timeline 2)", "empty state folder"] {
        assert!(said.contains(word), "{word}: {said}");
    }

    // The other one was read since.
    let timeline = Timeline {
        number: 2,
        begin: tables.position.lsn,
    };
    let position = PostgresPosition {
        timeline: Some(timeline),
        ..tables.position
    };
    first.start_again();
    options.addresses = vec![first.address.clone()];
    let mut source = source_of(&options, position);
    wait_for_warning(&mut source, "an old primary that came back");
}
