//! The demo shop writes into a real server at full speed while the real
//! program copies and follows it, is killed again and again, and the server
//! ends too: in the end every table is the server's, row by row and type by
//! type, every view is what the log gives, and no reader saw half a
//! transaction. The same while definitions of tables change.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes its project"
)]

#[path = "captured_shop/asker.rs"]
mod asker;
#[path = "captured_shop/changes.rs"]
mod changes;
mod common;
#[path = "captured_shop/database.rs"]
mod database;
#[path = "../../mysql/tests/common/mod.rs"]
mod mysql;
#[path = "../../postgres/tests/common/mod.rs"]
mod postgres;
#[path = "captured_shop/tables.rs"]
mod tables;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sluice_core::{Clock as _, SystemClock};

use asker::{Asker, MAKE_COPIED_LAST};
use changes::definitions_change_at_full_speed;
use common::{Running, ask, replay_command, sluice, succeed};
use database::{Database, Place};
use tables::{Table, assert_same, tables};

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

/// A project of these tables and models; `topic` is what is said of the topic itself.
fn write_project(
    project: &Path,
    database: &Database,
    topic: &str,
    tables: &[Table],
    models: &[(&str, &str)],
) {
    std::fs::create_dir_all(project.join("sources")).unwrap();
    std::fs::create_dir_all(project.join("models")).unwrap();
    std::fs::write(
        project.join("warehouse.toml"),
        "name = \"shop\"\n[limits]\ncheckpoint_interval_ms = 500\n",
    )
    .unwrap();
    let is_postgres = matches!(database, Database::Postgres(_));
    let mut sources = format!("{topic}[topic.shop.capture]\n{}\n", database.capture());
    for table in tables {
        sources.push_str(&table.definition(is_postgres));
    }
    std::fs::write(project.join("sources/shop.toml"), sources).unwrap();
    for (name, query) in models {
        let text = format!("CREATE MATERIALIZED VIEW {name} AS {query}");
        std::fs::write(project.join("models").join(format!("{name}.sql")), text).unwrap();
    }
}

/// Accounts with what is on them, and orders whose total is not their lines and freight.
const QUESTION: &str = "SELECT c.n, a.n, a.cents, w.n FROM (SELECT count(*) AS n FROM zz_copied) AS c CROSS JOIN (SELECT count(*) AS n, sum(cents) AS cents FROM account) AS a CROSS JOIN (SELECT count(*) AS n FROM order_info AS o FULL JOIN (SELECT order_id, sum(split_total_amount) AS goods FROM order_detail GROUP BY order_id) AS d ON d.order_id = o.id WHERE o.id IS NULL OR d.order_id IS NULL OR o.total_amount <> d.goods + o.feight_fee - o.feight_fee_reduce) AS w";

/// Pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

/// Moves money and changes what the shop wrote, over connections that may end.
fn write_until(stop: &AtomicBool, place: &Place) -> u64 {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let Some(mut client) = place.connect() else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        while !stop.load(Ordering::SeqCst) {
            count += 1;
            let (from, to) = (random.below(20) + 1, random.below(20) + 1);
            let id = random.below(2_000) + 1;
            let change = match random.below(4) {
                0 => format!("UPDATE order_info SET channel = 'é{count}' WHERE id = {id}"),
                1 => format!("DELETE FROM cart_info WHERE id = {id}"),
                2 => format!("UPDATE user_info SET birthday = NULL WHERE id = {id}"),
                _ => format!(
                    "UPDATE sku_info SET price = price + 0.01, operate_time = NULL WHERE id = {}",
                    id % 40
                ),
            };
            let statements = [
                "BEGIN".to_owned(),
                format!("UPDATE account SET cents = cents - 3 WHERE id = {from}"),
                change,
                format!("UPDATE account SET cents = cents + 3 WHERE id = {to}"),
                "COMMIT".to_owned(),
            ];
            if statements.iter().any(|sql| client.query(sql).is_err()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    count
}

fn killed_again_and_again(mut database: Database) {
    let accounts = (1..=20).map(|id| format!("({id}, 1000)"));
    let accounts: Vec<String> = accounts.collect();
    database.ask("CREATE TABLE account (id INT PRIMARY KEY, cents BIGINT NOT NULL)");
    database.ask(&format!(
        "INSERT INTO account VALUES {}",
        accounts.join(",")
    ));
    for statement in MAKE_COPIED_LAST {
        database.ask(statement);
    }
    let mut shop = sluice()
        .args(["shop", "--into", &database.url(), "--hours", "12"])
        .args(["--rate", "3", "--devices", "3000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let tables = tables(&database);
    let folder = tempfile::tempdir().unwrap();
    let (project, state) = (folder.path().join("project"), folder.path().join("state"));
    write_project(&project, &database, "", &tables, &MODELS);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, place) = (stop.clone(), database.place());
        std::thread::spawn(move || write_until(&stop, &place))
    };
    let asker = Asker::start(QUESTION, &["20", "20000", "0"]);
    let seed = SystemClock.now_us().unsigned_abs();
    eprintln!("seed {seed}");
    let mut random = Random(seed | 1);
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
    stop.store(true, Ordering::SeqCst);
    let written = writer.join().unwrap();
    assert!(written > 100, "{written} transactions were written");
    // It has ended, or the server's end has ended it.
    let _ = shop.kill();
    shop.wait().unwrap();

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

#[test]
fn mariadb_s_shop_is_the_warehouse_s() {
    let Some(server) = mysql::Server::start() else {
        return;
    };
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]);
    killed_again_and_again(Database::MySql(server));
}

#[test]
fn mysql_s_shop_is_the_warehouse_s() {
    let more = ["--server-id=1", "--binlog-row-metadata=FULL"];
    let Some(server) = mysql::Server::start_as(mysql::Kind::MySql, &more) else {
        return;
    };
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]);
    killed_again_and_again(Database::MySql(server));
}

#[test]
fn postgresql_s_shop_is_the_warehouse_s() {
    let Some(server) = postgres::Server::start(&[]) else {
        return;
    };
    killed_again_and_again(Database::Postgres(server));
}

#[test]
fn definitions_that_change_on_mariadb_lose_nothing() {
    let Some(server) = mysql::Server::start() else {
        return;
    };
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]);
    definitions_change_at_full_speed(Database::MySql(server));
}

#[test]
fn definitions_that_change_on_postgresql_lose_nothing() {
    let Some(server) = postgres::Server::start(&[]) else {
        return;
    };
    definitions_change_at_full_speed(Database::Postgres(server));
}
