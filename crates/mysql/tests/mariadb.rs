//! A MariaDB server of the test's own: first copy and stream give its tables,
//! row by row and type by type, while writers write and connections end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes files, and starts its own threads"
)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use sluice_core::{Clock as _, Record, RecordKind, SystemClock};
use sluice_mysql::filter::TableFilter;
use sluice_mysql::net::connection::{Address, Connection};
use sluice_mysql::net::tls::TlsMode;
use sluice_mysql::position::{CopyProgress, DatabasePosition};
use sluice_mysql::server::{ServerOptions, ServerSource};

/// A server that is stopped when it is dropped.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
    address: Address,
}

impl Server {
    /// `None` where MariaDB is not installed.
    fn start() -> Option<Self> {
        let is_there = Command::new("mariadbd")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if is_there.is_err() {
            eprintln!("SKIPPED: mariadbd is not installed; scripts/install-test-tools installs it");
            return None;
        }
        // Making several at once is more than a small machine takes.
        static MAKING: Mutex<()> = Mutex::new(());
        let _making = MAKING
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("mariadb-install-db")
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .arg(format!(
                "--datadir={}",
                folder.path().join("data").display()
            ))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = spawn(folder.path(), port);
        let address = Address {
            host: "127.0.0.1".into(),
            port,
            user: "root".into(),
            password: String::new(),
            tls: TlsMode::Off,
        };
        let server = Self {
            process,
            folder,
            address,
        };
        server.connect();
        Some(server)
    }

    fn connect(&self) -> Connection {
        for _ in 0..300 {
            if let Ok(mut connection) = Connection::open(&self.address) {
                connection.query("SET NAMES utf8mb4").unwrap();
                return connection;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not answer");
    }

    fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(self.folder.path(), self.address.port);
    }

    fn source(&self, position: DatabasePosition) -> ServerSource {
        let options = ServerOptions {
            name: "test".into(),
            addresses: vec![self.address.clone()],
            filter: TableFilter::new(&["shop.*".to_owned()]).unwrap(),
            server_id: 4_711,
            copies: true,
            part_rows: 100,
        };
        ServerSource::new(options, Arc::new(SystemClock), position)
    }
}

fn spawn(folder: &Path, port: u16) -> Child {
    Command::new("mariadbd")
        .args([
            "--no-defaults",
            "--user=root",
            "--bind-address=127.0.0.1",
            "--server-id=1",
        ])
        .args([
            "--binlog-format=ROW",
            "--innodb-flush-log-at-trx-commit=1",
            "--sync-binlog=1",
        ])
        .arg(format!("--port={port}"))
        .arg(format!("--datadir={}", folder.join("data").display()))
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg(format!(
            "--log-bin={}",
            folder.join("data/binlog").display()
        ))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What records make of tables: rows by table and key.
#[derive(Default)]
struct Tables {
    rows: BTreeMap<(String, String), Value>,
    position: DatabasePosition,
    open: Vec<Record>,
}

impl Tables {
    fn take(&mut self, records: Vec<Record>) {
        for record in records {
            if !record.position.is_empty() {
                self.position.apply(&record.position).unwrap();
            }
            let is_open = record.transaction.as_ref().is_some_and(|mark| !mark.commit);
            self.open.push(record);
            if !is_open {
                self.commit();
            }
        }
    }

    fn commit(&mut self) {
        for record in std::mem::take(&mut self.open) {
            if record.kind != RecordKind::Data {
                continue;
            }
            let message: Value = serde_json::from_slice(&record.payload).unwrap();
            let table = message["table"].as_str().unwrap().to_owned();
            let key = (table.clone(), message["data"]["id"].to_string());
            if let Some(old) = message["old"].get("id") {
                self.rows.remove(&(table, old.to_string()));
            }
            match message["type"].as_str().unwrap() {
                "delete" => self.rows.remove(&key),
                _ => self.rows.insert(key, message["data"].clone()),
            };
        }
        self.check_accounts();
    }

    /// Money only moves between accounts: half a transaction would show.
    fn check_accounts(&self) {
        let of_accounts = |((table, _), _): &(&(String, String), &Value)| table == "account";
        let accounts: Vec<_> = self.rows.iter().filter(of_accounts).collect();
        let is_copied = self
            .position
            .copies
            .iter()
            .any(|(name, progress)| name.table == "account" && *progress == CopyProgress::Done);
        if is_copied {
            let sum: i64 = accounts
                .iter()
                .map(|(_, row)| row["cents"].as_i64().unwrap())
                .sum();
            assert_eq!((accounts.len(), sum), (20, 20_000));
        }
    }
}

fn is_copied(position: &DatabasePosition) -> bool {
    !position.copies.is_empty()
        && position
            .copies
            .iter()
            .all(|(_, progress)| *progress == CopyProgress::Done)
}

/// Reads until everything is copied and nothing came for a while.
fn drain(source: &mut ServerSource, tables: &mut Tables) {
    // Longer than a source waits before it connects again.
    const QUIET_US: i64 = 4_000_000;
    let start_us = SystemClock.now_us();
    let mut heard_us = start_us;
    while SystemClock.now_us() - heard_us < QUIET_US || !is_copied(&tables.position) {
        let batch = source.poll().unwrap();
        if batch
            .records
            .iter()
            .any(|record| record.kind == RecordKind::Data)
        {
            heard_us = SystemClock.now_us();
        }
        tables.take(batch.records);
        assert!(
            SystemClock.now_us() - start_us < 120_000_000,
            "it does not end"
        );
        if batch.at_end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The tables as a first copy alone shows them.
fn copied(server: &Server) -> BTreeMap<(String, String), Value> {
    let mut tables = Tables::default();
    drain(&mut server.source(DatabasePosition::default()), &mut tables);
    tables.rows
}

fn assert_equal(
    found: &BTreeMap<(String, String), Value>,
    server: &BTreeMap<(String, String), Value>,
) {
    for (key, row) in server {
        let of_found = found
            .get(key)
            .unwrap_or_else(|| panic!("{key:?} is missing"));
        for (column, value) in row.as_object().unwrap() {
            // A column that was added is not in the log for rows that did not
            // change since.
            if column != "extra" || of_found.get(column).is_some() {
                let name = if of_found.get("vv").is_none() && column == "vv" {
                    "v"
                } else {
                    column
                };
                assert_eq!(&of_found[name], value, "{key:?}, column {column}");
            }
        }
    }
    assert_eq!(found.len(), server.len());
}

#[test]
fn every_type_is_the_same_copied_and_streamed() {
    let Some(server) = Server::start() else {
        return;
    };
    for metadata in ["NO_LOG", "FULL"] {
        let mut client = server.connect();
        let mut run = |sql: &str| {
            client
                .query(sql)
                .unwrap_or_else(|error| panic!("{sql}: {error}"))
        };
        run(&format!("SET GLOBAL binlog_row_metadata = {metadata}"));
        run("DROP DATABASE IF EXISTS shop");
        run("CREATE DATABASE shop CHARACTER SET utf8mb4");
        let mut tables = Tables::default();
        let mut source = server.source(DatabasePosition::default());
        tables.take(source.poll().unwrap().records);
        let mut client = server.connect();
        for statement in include_str!("all_types.sql").split(';').map(str::trim) {
            if !statement.is_empty() {
                client
                    .query(statement)
                    .unwrap_or_else(|error| panic!("{statement}: {error}"));
            }
        }
        // Nothing was there to be copied: all of it comes through the log.
        let start_us = SystemClock.now_us();
        while SystemClock.now_us() - start_us < 3_000_000 {
            tables.take(source.poll().unwrap().records);
        }
        assert!(tables.rows.len() >= 4);
        assert_equal(&tables.rows, &copied(&server));
    }
}

#[test]
fn copy_and_stream_meet_without_gap_while_writers_write_and_everything_ends() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let mut client = server.connect();
    for statement in [
        "CREATE DATABASE shop CHARACTER SET utf8mb4",
        "CREATE TABLE shop.account (id INT PRIMARY KEY, cents INT NOT NULL)",
        "CREATE TABLE shop.item (id VARCHAR(20) PRIMARY KEY, n INT, t VARCHAR(30))",
        "INSERT INTO shop.account SELECT seq, 1000 FROM mysql.seq_1_to_20",
        "INSERT INTO shop.item SELECT CONCAT('k', seq), seq, 'first' FROM mysql.seq_1_to_3000",
    ] {
        client
            .query(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, address) = (stop.clone(), server.address.clone());
        std::thread::spawn(move || write_until(&stop, &address))
    };
    let mut tables = Tables::default();
    let mut source = server.source(DatabasePosition::default());
    for round in 0..400 {
        let mut batch = source.poll().unwrap();
        // As after a kill: what was not durable is lost, mid-transaction too.
        if round % 40 == 39 {
            let kept = batch.records.len() / 2;
            batch.records.truncate(kept);
            tables.take(batch.records);
            source = server.source(tables.position.clone());
        } else {
            tables.take(batch.records);
        }
        std::thread::sleep(Duration::from_millis(5));
        if round == 200 {
            server.restart();
        }
    }
    stop.store(true, Ordering::SeqCst);
    let written = writer.join().unwrap();
    assert!(written > 50, "{written} transactions were written");
    drain(&mut source, &mut tables);
    assert_equal(&tables.rows, &copied(&server));
}

/// Moves money and changes items; gives the number of transactions.
fn write_until(stop: &AtomicBool, address: &Address) -> u64 {
    let mut count = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut client) = Connection::open(address) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        while !stop.load(Ordering::SeqCst) {
            count += 1;
            let (from, to) = (count % 20 + 1, count * 7 % 19 + 1);
            let key = count * 37 % 3_000;
            let statements = [
                "BEGIN".to_owned(),
                format!("UPDATE shop.account SET cents = cents - 1 WHERE id = {from}"),
                format!("UPDATE shop.account SET cents = cents + 1 WHERE id = {to}"),
                format!("UPDATE shop.item SET n = n + {count}, t = 'changed' WHERE id = 'k{key}'"),
                format!("DELETE FROM shop.item WHERE id = 'k{}'", key + 1),
                format!(
                    "REPLACE INTO shop.item VALUES ('n{}', {count}, 'née')",
                    count % 500
                ),
                "COMMIT".to_owned(),
            ];
            if statements
                .iter()
                .any(|statement| client.query(statement).is_err())
            {
                break;
            }
        }
    }
    count
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
        .query("SET GLOBAL binlog_row_image = MINIMAL")
        .unwrap();
    let text = refused(&server);
    assert!(
        text.contains("binlog_row_image") && text.contains("set it to FULL"),
        "{text}"
    );
    client
        .query("SET GLOBAL binlog_row_image = FULL, GLOBAL binlog_format = STATEMENT")
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
