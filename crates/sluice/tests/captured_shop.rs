//! The demo shop writes into a real server at full speed while the real
//! program copies and follows it, is killed again and again, and the server
//! ends too: in the end every table is the server's, row by row and type by
//! type, every view is what the log gives, and no reader saw half a
//! transaction. The same while definitions of tables change, while tables join the
//! source, and through a broker of Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes its project"
)]

#[path = "captured_shop/asker.rs"]
mod asker;
#[path = "../../kafka/tests/common/mod.rs"]
mod brokers;
#[path = "captured_shop/changes.rs"]
mod changes;
mod common;
#[path = "captured_shop/database.rs"]
mod database;
#[path = "captured_shop/joining.rs"]
mod joining;
#[path = "captured_shop/kafka.rs"]
mod kafka;
#[path = "../../mysql/tests/common/mod.rs"]
mod mysql;
#[path = "../../postgres/tests/common/mod.rs"]
mod postgres;
#[path = "captured_shop/tables.rs"]
mod tables;
#[path = "captured_shop/traffic.rs"]
mod traffic;
#[path = "common/world.rs"]
mod world;

use std::path::Path;
use std::time::Duration;

use sluice_core::{Clock as _, SystemClock};

use asker::Asker;
use brokers::Broker;
use changes::definitions_change_at_full_speed;
use common::{Running, ask, replay_command, succeed};
use database::Database;
use joining::tables_join_at_full_speed;
use kafka::through_kafka;
use tables::{Table, assert_same};
use traffic::{Random, Traffic};

const MODELS: [(&str, &str); 3] = [
    (
        "by_status",
        "SELECT order_status, count(*) AS orders, sum(total_amount) AS amount FROM order_info GROUP BY order_status",
    ),
    (
        "by_sku",
        "SELECT d.sku_id, count(*) AS lines, sum(d.split_total_amount) AS amount FROM order_detail AS d JOIN order_info AS o ON d.order_id = o.id GROUP BY d.sku_id",
    ),
    (
        "money",
        "SELECT count(*) AS accounts, sum(cents) AS cents FROM account",
    ),
];

/// What `warehouse.toml` says.
const PROJECT: &str = "name = \"shop\"\n[limits]\ncheckpoint_interval_ms = 500\n";

/// What `sources/*.toml` says of these tables; `topic` is what is said of the topic
/// itself, `capture` where its records come from.
fn sources(topic: &str, capture: &str, tables: &[Table], is_postgres: bool) -> String {
    let mut sources = format!("{topic}[topic.shop.capture]\n{capture}\n");
    for table in tables {
        sources.push_str(&table.definition(is_postgres));
    }
    sources
}

/// A project of these sources and models.
fn write_project(project: &Path, sources: &str, models: &[(&str, &str)]) {
    std::fs::create_dir_all(project.join("sources")).unwrap();
    std::fs::create_dir_all(project.join("models")).unwrap();
    std::fs::write(project.join("warehouse.toml"), PROJECT).unwrap();
    std::fs::write(project.join("sources/shop.toml"), sources).unwrap();
    for (name, query) in models {
        let text = format!("CREATE MATERIALIZED VIEW {name} AS {query}");
        std::fs::write(project.join("models").join(format!("{name}.sql")), text).unwrap();
    }
}

/// Accounts with what is on them, and orders whose total is not their lines and freight.
const QUESTION: &str = "SELECT c.n, a.n, a.cents, w.n FROM (SELECT count(*) AS n FROM zz_copied) AS c CROSS JOIN (SELECT count(*) AS n, sum(cents) AS cents FROM account) AS a CROSS JOIN (SELECT count(*) AS n FROM order_info AS o FULL JOIN (SELECT order_id, sum(split_total_amount) AS goods FROM order_detail GROUP BY order_id) AS d ON d.order_id = o.id WHERE o.id IS NULL OR d.order_id IS NULL OR o.total_amount <> d.goods + o.feight_fee - o.feight_fee_reduce) AS w";

fn killed_again_and_again(mut database: Database) {
    let (traffic, tables) = Traffic::start(&database);
    let folder = tempfile::tempdir().unwrap();
    let (project, state) = (folder.path().join("project"), folder.path().join("state"));
    let is_postgres = database.is_postgres();
    let sources = sources("", &database.capture(&["*"]), &tables, is_postgres);
    write_project(&project, &sources, &MODELS);
    let asker = Asker::start(QUESTION, &["20", "20000", "0"]);
    let seed = SystemClock.now_us().unsigned_abs();
    eprintln!("seed {seed}");
    let mut random = Random::of(seed);
    for round in 0..6 {
        let running = Running::start(&project, &state, &[]);
        asker.turn_to(&running.http);
        std::thread::sleep(Duration::from_millis(200 + random.below(2_500)));
        match round {
            2 => database.cut(),
            4 => database.crash(),
            _ => {}
        }
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_millis(1_500));
            let money = ask(&state, "SELECT accounts, cents FROM money");
            // All of it, or nothing while the table is copied.
            let is_whole = money == ["20,20000"] || money.is_empty() || money == ["0,"];
            assert!(is_whole, "a reader saw {money:?}");
        }
        // With SIGKILL.
        drop(running);
    }
    let running = Running::start(&project, &state, &[]);
    asker.turn_to(&running.http);
    asker.wait_for(50);
    let written = traffic.end();
    assert!(written > 100, "{written} transactions were written");

    let rows = tables
        .iter()
        .map(|table| assert_same(&database, &state, table));
    let rows: usize = rows.sum();
    // How much it wrote by then depends on the machine; it is not nothing.
    assert!(rows > 1_000, "the shop wrote {rows} rows");
    assert_eq!(ask(&state, "SELECT * FROM money"), ["20,20000"]);
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&state, letters), ["0"]);
    let asked = asker.end();
    assert!(asked >= 50, "it was asked {asked} times");
    // A table that is emptied is empty here too.
    database.ask("TRUNCATE TABLE cart_info");
    common::ask_until(&state, "SELECT count(*) FROM cart_info", &["0"]);
    let behind = "SELECT behind_seconds, behind_bytes IS NULL FROM sluice_sources";
    common::ask_until(&state, behind, &["0,false"]);
    assert!(running.stop().success());
    // Every view and every table is what the log gives.
    succeed(&mut replay_command(&project, &state));
    eprintln!(
        "{rows} rows in {} tables, asked {asked} times",
        tables.len()
    );
}

fn mariadb() -> Option<Database> {
    let server = mysql::Server::start()?;
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]);
    Some(Database::MySql(server))
}

fn mysql() -> Option<Database> {
    let more = ["--server-id=1", "--binlog-row-metadata=FULL"];
    let server = mysql::Server::start_as(mysql::Kind::MySql, &more)?;
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]);
    Some(Database::MySql(server))
}

fn postgresql() -> Option<Database> {
    postgres::Server::start(&[]).map(Database::Postgres)
}

/// Runs a test on a server; where it is not installed, that was said.
fn on(database: Option<Database>, test: impl FnOnce(Database)) {
    if let Some(database) = database {
        test(database);
    }
}

#[test]
fn mariadb_s_shop_is_the_warehouse_s() {
    on(mariadb(), killed_again_and_again);
}

#[test]
fn mysql_s_shop_is_the_warehouse_s() {
    on(mysql(), killed_again_and_again);
}

#[test]
fn postgresql_s_shop_is_the_warehouse_s() {
    on(postgresql(), killed_again_and_again);
}

#[test]
fn definitions_that_change_on_mariadb_lose_nothing() {
    on(mariadb(), definitions_change_at_full_speed);
}

#[test]
fn definitions_that_change_on_postgresql_lose_nothing() {
    on(postgresql(), definitions_change_at_full_speed);
}

#[test]
fn tables_that_join_on_mariadb_are_whole() {
    on(mariadb(), tables_join_at_full_speed);
}

#[test]
fn tables_that_join_on_mysql_are_whole() {
    on(mysql(), tables_join_at_full_speed);
}

#[test]
fn tables_that_join_on_postgresql_are_whole() {
    on(postgresql(), tables_join_at_full_speed);
}

#[test]
fn the_shop_s_changes_come_through_kafka() {
    let Some(broker) = Broker::start() else {
        return;
    };
    on(mariadb(), |database| through_kafka(database, broker));
}
