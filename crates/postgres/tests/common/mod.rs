//! A PostgreSQL server of the tests' own, and what records make of tables.

#![allow(dead_code, reason = "each test file uses a part of it")]

mod standby;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use sluice_core::{Clock as _, Record, RecordKind, SystemClock};
use sluice_mysql::filter::TableFilter;
use sluice_mysql::net::tls::TlsMode;
use sluice_postgres::net::connection::{Address, Connection, Purpose, TextRows};
use sluice_postgres::pgoutput::decoder::Wanted;
use sluice_postgres::position::PostgresPosition;
use sluice_postgres::server::{ServerOptions, ServerSource};

/// A server that is stopped when it is dropped.
pub struct Server {
    process: Child,
    folder: tempfile::TempDir,
    settings: Vec<String>,
    pub address: Address,
}

fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .collect();
    versions.sort();
    versions.pop()
}

fn run(command: &mut Command) -> bool {
    let output = command.output().unwrap();
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// The server refuses to be run by the administrator: as somebody else then.
fn as_other(program: &Path) -> Command {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    if id.trim_ascii() != b"0" {
        return Command::new(program);
    }
    let is_there = |name: &&str| {
        let found = Command::new("id").arg(name).output();
        found.is_ok_and(|found| found.status.success())
    };
    let user = ["postgres", "nobody"].into_iter().find(is_there).unwrap();
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        user,
        "--regid",
        &group_of(user),
        "--clear-groups",
    ]);
    command.arg(program);
    command
}

fn group_of(user: &str) -> String {
    let group = Command::new("id").args(["-g", user]).output().unwrap();
    String::from_utf8(group.stdout).unwrap().trim().to_owned()
}

/// A folder in which a server makes its own; it may be run as somebody else.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut open_to_all = Command::new("chmod");
    assert!(run(open_to_all.arg("777").arg(folder.path())));
    folder
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// `None` where PostgreSQL is not installed.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let Some(bin) = programs() else {
            eprintln!(
                "SKIPPED: there is no PostgreSQL server in /usr/lib/postgresql; scripts/install-test-tools installs it"
            );
            return None;
        };
        // Making several at once is more than a small machine takes.
        static MAKING: Mutex<()> = Mutex::new(());
        let _making = MAKING
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let folder = open_folder();
        let data = folder.path().join("data");
        let mut make = as_other(&bin.join("initdb"));
        make.args([
            "--wal-segsize=1",
            "-N",
            "-A",
            "trust",
            "-U",
            "admin",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-D",
        ]);
        assert!(run(make.arg(&data)), "initdb");
        let port = free_port();
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let address = Address {
            host: "127.0.0.1".into(),
            port,
            database: "postgres".into(),
            user: "admin".into(),
            password: String::new(),
            tls: TlsMode::Off,
        };
        let mut server = Self {
            process: spawn(folder.path(), port, &settings),
            folder,
            settings,
            address,
        };
        server.client().query("CREATE DATABASE shop").unwrap();
        server.address.database = "shop".into();
        server.run("CREATE PUBLICATION sluice FOR ALL TABLES");
        Some(server)
    }

    /// Lets it take connections with these certificates, encrypted ones only.
    pub fn encrypt(&mut self, certificates: &Path) {
        let data = self.folder().join("data");
        for file in ["server.pem", "server.key"] {
            let to = data.join(file);
            std::fs::copy(certificates.join(file), &to).unwrap();
            // The server reads a key of its own that nobody else may read.
            assert!(run(Command::new("chmod").arg("600").arg(&to)));
            let owner = format!("--reference={}", data.display());
            assert!(run(Command::new("chown").arg(owner).arg(&to)));
        }
        let rules = data.join("pg_hba.conf");
        let text = std::fs::read_to_string(&rules).unwrap();
        let lines = text.lines().map(|line| match line.strip_prefix("host ") {
            Some(rest) => format!("hostssl {rest}\n"),
            None => format!("{line}\n"),
        });
        std::fs::write(&rules, lines.collect::<String>()).unwrap();
        for setting in [
            "ssl_cert_file = 'server.pem'",
            "ssl_key_file = 'server.key'",
            "ssl = on",
        ] {
            self.run(&format!("ALTER SYSTEM SET {setting}"));
        }
        self.run("SELECT pg_reload_conf()");
        // Asked until the server has read its settings again.
        self.address.tls = TlsMode::Required;
        self.client();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn client(&self) -> Connection {
        for _ in 0..600 {
            if let Ok(connection) = Connection::open(&self.address, Purpose::Statements) {
                return connection;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not answer");
    }

    pub fn run(&self, sql: &str) -> TextRows {
        let result = self.client().query(sql);
        result.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As after a loss of power.
    pub fn crash(&mut self) {
        self.quit();
        self.start_again();
    }

    pub fn options(&self, slot: &str) -> ServerOptions {
        ServerOptions {
            name: "test".into(),
            addresses: vec![self.address.clone()],
            wanted: Wanted {
                database: self.address.database.clone(),
                filter: TableFilter::new(&["public.*".to_owned()]).unwrap(),
                copies: true,
            },
            copied_first: None,
            publications: vec!["sluice".into()],
            slot: slot.into(),
            slot_bytes_warning: 1 << 30,
        }
    }

    pub fn source(&self, slot: &str, position: PostgresPosition) -> ServerSource {
        ServerSource::new(self.options(slot), Arc::new(SystemClock), position)
    }

    /// What the source of these options is refused with.
    pub fn refusal(&self, options: ServerOptions, position: PostgresPosition) -> String {
        let mut warnings = Vec::new();
        let mut source = ServerSource::new(options, Arc::new(SystemClock), position);
        for _ in 0..200 {
            match source.poll() {
                Err(error) => return error.to_string(),
                Ok(batch) => warnings.extend(batch.warnings),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nothing was refused; {warnings:?}");
    }
}

fn spawn(folder: &Path, port: u16, settings: &[String]) -> Child {
    let bin = programs().unwrap();
    let mut command = as_other(&bin.join("postgres"));
    command.arg("-D").arg(folder.join("data"));
    let socket = format!("unix_socket_directories={}", folder.display());
    let own = [
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "wal_level=logical",
        "max_wal_senders=20",
        "max_replication_slots=20",
        "shared_buffers=16MB",
        "log_min_messages=fatal",
        &format!("port={port}"),
        &socket,
    ];
    let given = settings.iter().map(String::as_str);
    for setting in own.into_iter().chain(given) {
        command.args(["-c", setting]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its number may be another process's when it has ended.
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        let signal = ["-QUIT".to_owned(), self.process.id().to_string()];
        let _ = Command::new("kill").args(signal).status();
        let _ = self.process.wait();
    }
}

/// Rows by table and key.
pub type Rows = BTreeMap<(String, String), Value>;

/// What records make of tables.
#[derive(Default)]
pub struct Tables {
    pub rows: Rows,
    pub position: PostgresPosition,
    pub warnings: Vec<String>,
    /// Columns that messages left out because they had not changed.
    pub unchanged: u64,
    /// Rows that were copied or changed.
    pub changes: u64,
    open: Vec<Record>,
}

impl Tables {
    /// Takes what is durable, whole transactions at a time.
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
            if record.kind == RecordKind::Data {
                self.change(&serde_json::from_slice(&record.payload).unwrap());
            }
        }
        self.check_accounts();
    }

    fn change(&mut self, message: &Value) {
        let table = message["table"].as_str().unwrap().to_owned();
        if message["type"] == "truncate" {
            self.rows.retain(|(of, _), _| *of != table);
            return;
        }
        let key = (table.clone(), message["data"]["id"].to_string());
        self.changes += u64::from(table != "mark");
        let before = match message["old"].get("id") {
            Some(old) => self.rows.remove(&(table, old.to_string())),
            None => self.rows.get(&key).cloned(),
        };
        if message["type"] == "delete" {
            self.rows.remove(&key);
            return;
        }
        let mut row = message["data"].clone();
        for column in message["unchanged"].as_array().into_iter().flatten() {
            self.unchanged += 1;
            let column = column.as_str().unwrap();
            let before = before.as_ref().unwrap_or_else(|| panic!("{message}"));
            row[column] = before[column].clone();
        }
        self.rows.insert(key, row);
    }

    /// Money only moves between accounts: half a transaction would show.
    fn check_accounts(&self) {
        let is_copied = |copy: &sluice_postgres::position::TableCopy| {
            copy.table.table == "account"
                && copy.progress == sluice_postgres::position::CopyProgress::Done
        };
        if !self.position.copies.iter().any(is_copied) {
            return;
        }
        let of_accounts = |((table, _), _): &(&(String, String), &Value)| table == "account";
        let accounts: Vec<_> = self.rows.iter().filter(of_accounts).collect();
        let cents = accounts
            .iter()
            .map(|(_, row)| row["cents"].as_i64().unwrap());
        assert_eq!((accounts.len(), cents.sum::<i64>()), (20, 20_000));
    }

    /// Reads until everything is copied and what the server has now is read.
    pub fn drain(&mut self, server: &Server, source: &mut ServerSource) {
        let start_us = SystemClock.now_us();
        let mark = server
            .run("CREATE TABLE IF NOT EXISTS mark (id bigint PRIMARY KEY); INSERT INTO mark SELECT coalesce(max(id), 0) + 1 FROM mark; SELECT max(id) FROM mark");
        let mark = mark[0][0].clone().unwrap();
        let key = ("mark".to_owned(), mark);
        while !self.rows.contains_key(&key) || !self.position.is_copied() {
            let batch = source.poll().unwrap();
            self.warnings.extend(batch.warnings);
            self.take(batch.records);
            assert!(
                SystemClock.now_us() - start_us < 120_000_000,
                "it does not end; {:?}, {:?}",
                self.warnings,
                self.position
            );
        }
        self.rows.retain(|(table, _), _| table != "mark");
    }
}

/// The tables as a first copy alone shows them.
pub fn copied(server: &Server) -> Rows {
    let mut tables = Tables::default();
    let name = format!("copy_{:x}", SystemClock.now_us());
    let mut source = server.source(&name, PostgresPosition::default());
    while tables.position.lsn.0 == 0 || !tables.position.is_copied() {
        tables.take(source.poll().unwrap().records);
    }
    drop(source);
    for _ in 0..100 {
        let drop = format!("SELECT pg_drop_replication_slot('{name}')");
        if server.client().query(&drop).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    tables.rows.retain(|(table, _), _| table != "mark");
    tables.rows
}

pub fn assert_equal(found: &Rows, server: &Rows) {
    for (key, row) in server {
        let of_found = found
            .get(key)
            .unwrap_or_else(|| panic!("{key:?} is missing"));
        assert_eq!(of_found, row, "{key:?}");
    }
    let more: Vec<_> = found
        .keys()
        .filter(|key| !server.contains_key(*key))
        .collect();
    assert!(more.is_empty(), "too many: {more:?}");
}
