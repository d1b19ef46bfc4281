//! Servers of the tests' own, and what records make of tables.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod scenarios;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use sluice_core::{Clock as _, Record, RecordKind, SystemClock};
use sluice_mysql::copy_report::CopiedRows;
use sluice_mysql::filter::TableFilter;
use sluice_mysql::net::connection::{Address, Connection};
use sluice_mysql::net::tls::TlsMode;
use sluice_mysql::position::{CopyProgress, DatabasePosition};
use sluice_mysql::server::{ServerOptions, ServerSource};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    MariaDb,
    MySql,
}

impl Kind {
    /// The program; `None` where it is not installed.
    fn program(self) -> Option<PathBuf> {
        let program = match self {
            Self::MariaDb => PathBuf::from("mariadbd"),
            Self::MySql => match std::env::var_os("SLUICE_MYSQLD") {
                Some(chosen) => PathBuf::from(chosen),
                None => {
                    let home = std::env::var_os("HOME").unwrap_or_default();
                    Path::new(&home).join(".cache/sluice/mysql/mysqld")
                }
            },
        };
        let is_there = Command::new(&program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !is_there.is_ok_and(|status| status.success()) {
            eprintln!(
                "SKIPPED: {} is not there; scripts/install-test-tools installs it",
                program.display()
            );
            return None;
        }
        Some(program)
    }
}

/// A server that is stopped when it is dropped.
pub struct Server {
    process: Child,
    kind: Kind,
    program: PathBuf,
    more: Vec<String>,
    pub folder: tempfile::TempDir,
    pub address: Address,
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

impl Server {
    /// A MariaDB server; `None` where it is not installed.
    pub fn start() -> Option<Self> {
        Self::start_as(Kind::MariaDb, &["--server-id=1"])
    }

    /// A server with more arguments, among them its number.
    pub fn start_as(kind: Kind, more: &[&str]) -> Option<Self> {
        let program = kind.program()?;
        // Making several at once is more than a small machine takes.
        static MAKING: Mutex<()> = Mutex::new(());
        let _making = MAKING
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let folder = tempfile::tempdir().unwrap();
        let data = format!("--datadir={}", folder.path().join("data").display());
        let mut make = match kind {
            Kind::MariaDb => {
                let mut make = Command::new("mariadb-install-db");
                make.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
                make.arg("--skip-test-db");
                make
            }
            Kind::MySql => {
                let mut make = Command::new(&program);
                make.args(["--no-defaults", "--user=root", "--initialize-insecure"]);
                make
            }
        };
        make.arg(&data);
        // A machine that makes other servers at the same time may refuse once.
        let is_made = (0..3).any(|_| {
            let _ = std::fs::remove_dir_all(folder.path().join("data"));
            quiet(&mut make).status().unwrap().success()
        });
        assert!(is_made, "{make:?}");
        let port = free_port();
        let more: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
        let process = spawn((kind, &program), folder.path(), port, &more);
        let address = Address {
            host: "127.0.0.1".into(),
            port,
            user: "root".into(),
            password: String::new(),
            tls: TlsMode::Off,
        };
        let server = Self {
            process,
            kind,
            program,
            more,
            folder,
            address,
        };
        server.connect();
        Some(server)
    }

    pub fn connect(&self) -> Connection {
        for _ in 0..600 {
            if let Ok(mut connection) = Connection::open(&self.address) {
                connection.query("SET NAMES utf8mb4").unwrap();
                return connection;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not answer");
    }

    /// Runs statements one after another.
    pub fn run(&self, statements: &[&str]) {
        let mut client = self.connect();
        for statement in statements {
            let result = client.query(statement);
            result.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.kill();
        let program = (self.kind, self.program.as_path());
        self.process = spawn(program, self.folder.path(), self.address.port, &self.more);
    }

    pub fn options(&self) -> ServerOptions {
        ServerOptions {
            name: "test".into(),
            addresses: vec![self.address.clone()],
            filter: TableFilter::new(&["shop.*".to_owned()]).unwrap(),
            server_id: 4_711,
            copies: true,
            copied_first: None,
            part_rows: 100,
        }
    }

    pub fn source(&self, position: DatabasePosition) -> ServerSource {
        ServerSource::new(self.options(), Arc::new(SystemClock), position)
    }
}

fn spawn((kind, program): (Kind, &Path), folder: &Path, port: u16, more: &[String]) -> Child {
    let mut command = Command::new(program);
    command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"]);
    command.args(["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"]);
    command
        .arg(format!("--port={port}"))
        .arg(format!("--datadir={}", folder.join("data").display()))
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg(format!(
            "--log-bin={}",
            folder.join("data/binlog").display()
        ));
    match kind {
        Kind::MariaDb => command.arg("--binlog-format=ROW"),
        Kind::MySql => command.args([
            "--mysqlx=OFF",
            "--secure-file-priv=",
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
        ]),
    };
    quiet(command.args(more)).spawn().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What records make of tables: rows by table and key.
#[derive(Default)]
pub struct Tables {
    pub rows: BTreeMap<(String, String), Value>,
    pub position: DatabasePosition,
    pub warnings: Vec<String>,
    pub notes: Vec<String>,
    pub copies: Vec<CopiedRows>,
    /// How often a row came as a new one or a copied one, by table and key.
    pub times: BTreeMap<(String, String), u32>,
    open: Vec<Record>,
}

impl Tables {
    pub fn take(&mut self, records: Vec<Record>) {
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
            if message["type"] == "truncate" {
                self.rows.retain(|(of, _), _| *of != table);
                continue;
            }
            let key = (table.clone(), message["data"]["id"].to_string());
            if message["type"].as_str().unwrap().ends_with("insert") {
                *self.times.entry(key.clone()).or_default() += 1;
            }
            let before = match message["old"].get("id") {
                Some(old) => self.rows.remove(&(table, old.to_string())),
                None => self.rows.get(&key).cloned(),
            };
            let mut row = message["data"].clone();
            // Of a row whose copy is still to come the rest is not known.
            for column in message["unchanged"].as_array().into_iter().flatten() {
                let column = column.as_str().unwrap();
                if let Some(before) = before.as_ref().and_then(|row| row.get(column)) {
                    row[column] = before.clone();
                }
            }
            match message["type"].as_str().unwrap() {
                "delete" => self.rows.remove(&key),
                _ => self.rows.insert(key, row),
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

pub fn is_copied(position: &DatabasePosition) -> bool {
    !position.copies.is_empty()
        && position
            .copies
            .iter()
            .all(|(_, progress)| *progress == CopyProgress::Done)
}

/// Reads until everything is copied and nothing came for a while.
pub fn drain(source: &mut ServerSource, tables: &mut Tables) {
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
        tables.warnings.extend(batch.warnings);
        tables.notes.extend(batch.notes);
        tables.copies.extend(batch.copies);
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
pub fn copied(server: &Server) -> BTreeMap<(String, String), Value> {
    let mut tables = Tables::default();
    let mut options = server.options();
    options.server_id = 4_712;
    let clock = Arc::new(SystemClock);
    let mut source = ServerSource::new(options, clock, DatabasePosition::default());
    drain(&mut source, &mut tables);
    tables.rows
}

pub fn assert_equal(
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
    let more: Vec<_> = found
        .iter()
        .filter(|(key, _)| !server.contains_key(*key))
        .collect();
    assert!(more.is_empty(), "too many: {more:?}");
}
