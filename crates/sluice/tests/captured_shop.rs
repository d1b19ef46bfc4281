//! The demo shop writes into a real server at full speed while the real
//! program copies and follows it, is killed again and again, and the server
//! ends too: in the end every table is the server's, row by row and type by
//! type, every view is what the log gives, and no reader saw half a
//! transaction.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes its project"
)]

mod common;
#[path = "../../mysql/tests/common/mod.rs"]
mod mysql;
#[path = "../../postgres/tests/common/mod.rs"]
mod postgres;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Running, ask, replay_command, sluice, succeed};
use sluice_core::{Clock as _, SystemClock};
use sluice_mysql::net::connection::Connection as MySqlConnection;
use sluice_postgres::net::connection::{Connection as PostgresConnection, Purpose};

type Texts = Vec<Vec<String>>;

/// Either server.
enum Database {
    MySql(mysql::Server),
    Postgres(postgres::Server),
}

/// A connection to either.
enum Client {
    MySql(MySqlConnection),
    Postgres(PostgresConnection),
}

/// How to connect.
#[derive(Clone)]
enum Place {
    MySql(sluice_mysql::net::connection::Address),
    Postgres(sluice_postgres::net::connection::Address),
}

impl Place {
    fn connect(&self) -> Option<Client> {
        Some(match self {
            Self::MySql(address) => {
                let mut client = MySqlConnection::open(address).ok()?;
                client.query("SET NAMES utf8mb4").ok()?;
                client.query("USE shop").ok()?;
                Client::MySql(client)
            }
            Self::Postgres(address) => {
                Client::Postgres(PostgresConnection::open(address, Purpose::Statements).ok()?)
            }
        })
    }
}

impl Client {
    fn query(&mut self, sql: &str) -> Result<Texts, String> {
        let rows: Vec<Vec<Option<String>>> = match self {
            Self::MySql(client) => {
                let rows = client.query(sql).map_err(|error| error.to_string())?;
                let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
                let row = |row: Vec<Option<Vec<u8>>>| {
                    row.into_iter().map(|value| value.map(text)).collect()
                };
                rows.into_iter().map(row).collect()
            }
            Self::Postgres(client) => client.query(sql).map_err(|error| error.to_string())?,
        };
        let texts = rows.into_iter().map(|row| {
            let texts = row.into_iter().map(Option::unwrap_or_default);
            texts.collect()
        });
        Ok(texts.collect())
    }
}

impl Database {
    fn place(&self) -> Place {
        match self {
            Self::MySql(server) => Place::MySql(server.address.clone()),
            Self::Postgres(server) => Place::Postgres(server.address.clone()),
        }
    }

    fn ask(&self, sql: &str) -> Texts {
        for _ in 0..300 {
            if let Some(mut client) = self.place().connect() {
                let found = client.query(sql);
                return found.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not answer");
    }

    fn url(&self) -> String {
        match self {
            Self::MySql(server) => format!("mysql://root@127.0.0.1:{}/shop", server.address.port),
            Self::Postgres(server) => {
                format!("postgres://admin@127.0.0.1:{}/shop", server.address.port)
            }
        }
    }

    /// As after a loss of power.
    fn crash(&mut self) {
        match self {
            Self::MySql(server) => server.restart(),
            Self::Postgres(server) => server.crash(),
        }
    }

    /// Cuts the connection over which the log is read.
    fn cut(&self) {
        match self {
            Self::MySql(_) => {
                for row in self.ask("SHOW PROCESSLIST") {
                    if row[4].starts_with("Binlog Dump") {
                        self.ask(&format!("KILL {}", row[0]));
                    }
                }
            }
            Self::Postgres(_) => {
                self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
            }
        }
    }

    fn capture(&self) -> String {
        match self {
            Self::MySql(server) => format!(
                "kind = \"mysql\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"root\"\ntables = [\"shop.*\"]\n",
                server.address.port
            ),
            Self::Postgres(server) => format!(
                "kind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"shop\"\nuser = \"admin\"\npublications = [\"sluice\"]\n",
                server.address.port
            ),
        }
    }
}

/// A table of the server as it says itself.
struct Table {
    name: String,
    /// Names and types.
    columns: Vec<(String, String)>,
}

impl Table {
    fn key(&self) -> &str {
        &self.columns[0].0
    }

    /// As `sources/*.toml` says it.
    fn definition(&self, is_postgres: bool) -> String {
        let version = match is_postgres {
            true => "version = [\"/lsn\", \"/xoffset\"]\n",
            false => "",
        };
        let mut text = format!(
            "[table.{0}]\ntopic = \"shop\"\nwhen = [{{ field = \"/table\", equals = \"{0}\" }}]\nrow = \"/data\"\nbefore = \"/old\"\nunchanged = \"/unchanged\"\n{version}primary_key = [\"{1}\"]\nchange_kind = {{ field = \"/type\", insert = [\"insert\", \"bootstrap-insert\"], update = [\"update\"], delete = [\"delete\"] }}\ncolumns = [\n",
            self.name,
            self.key()
        );
        for (name, kind) in &self.columns {
            let of_type = match kind.as_str() {
                "bigint" | "int" | "integer" => "type = \"int64\"",
                "decimal" | "numeric" => "type = \"decimal(16,2)\"",
                "date" => "type = \"date\"",
                kind if kind.starts_with("timestamp") || kind == "datetime" => {
                    "type = \"timestamp\", format = \"%Y-%m-%d %H:%M:%S%.f\", time_zone = \"UTC\""
                }
                _ => "type = \"string\"",
            };
            let missing = if name == self.key() {
                ""
            } else {
                ", missing = \"null\""
            };
            text.push_str(&format!(
                "  {{ name = \"{name}\", from = \"./{name}\", {of_type}{missing} }},\n"
            ));
        }
        text.push_str("]\n");
        text
    }

    /// The question for all its rows: every value as a text that all servers
    /// write alike.
    fn question(&self, of: Asked) -> String {
        let columns = self.columns.iter().map(|(name, kind)| match kind.as_str() {
            "bigint" | "int" | "integer" | "decimal" | "numeric" | "date" => name.clone(),
            kind if kind.starts_with("timestamp") || kind == "datetime" => match of {
                Asked::Sluice => format!("CAST({name} AS BIGINT)"),
                Asked::MySql => format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {name})"),
                Asked::Postgres => format!("(extract(epoch FROM {name}) * 1000000)::bigint"),
            },
            _ => match of {
                // MySQL 9 has no md5 of its own.
                Asked::Sluice => format!("encode(sha256({name}), 'hex')"),
                Asked::MySql => format!("sha2({name}, 256)"),
                Asked::Postgres => {
                    format!("encode(sha256(convert_to({name}::text, 'UTF8')), 'hex')")
                }
            },
        });
        let columns: Vec<String> = columns.collect();
        format!(
            "SELECT {} FROM {} ORDER BY {}",
            columns.join(", "),
            self.name,
            self.key()
        )
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Sluice,
    MySql,
    Postgres,
}

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

fn write_project(project: &Path, database: &Database, tables: &[Table]) {
    std::fs::create_dir_all(project.join("sources")).unwrap();
    std::fs::create_dir_all(project.join("models")).unwrap();
    std::fs::write(
        project.join("warehouse.toml"),
        "name = \"shop\"\n[limits]\ncheckpoint_interval_ms = 500\n",
    )
    .unwrap();
    let is_postgres = matches!(database, Database::Postgres(_));
    let mut sources = format!("[topic.shop.capture]\n{}\n", database.capture());
    for table in tables {
        sources.push_str(&table.definition(is_postgres));
    }
    std::fs::write(project.join("sources/shop.toml"), sources).unwrap();
    for (name, query) in MODELS {
        let text = format!("CREATE MATERIALIZED VIEW {name} AS {query}");
        std::fs::write(project.join("models").join(format!("{name}.sql")), text).unwrap();
    }
}

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

/// The tables of the shop; waits until it has made them.
fn tables(database: &Database) -> Vec<Table> {
    let schema = match database {
        Database::MySql(_) => "shop",
        Database::Postgres(_) => "public",
    };
    let asked = format!(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = '{schema}' ORDER BY table_name, ordinal_position"
    );
    for _ in 0..600 {
        let rows = database.ask(&asked);
        if rows.iter().any(|row| row[0] == "refund_payment") {
            let mut tables: Vec<Table> = Vec::new();
            for mut row in rows {
                let kind = row.pop().unwrap();
                let column = row.pop().unwrap();
                let name = row.pop().unwrap();
                if tables.last().is_none_or(|table| table.name != name) {
                    let columns = Vec::new();
                    tables.push(Table { name, columns });
                }
                tables.last_mut().unwrap().columns.push((column, kind));
            }
            return tables;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the shop makes no tables");
}

/// Waits until the warehouse has the rows that the server has.
fn assert_same(database: &Database, state: &Path, table: &Table) -> usize {
    let of = match database {
        Database::MySql(_) => Asked::MySql,
        Database::Postgres(_) => Asked::Postgres,
    };
    let rows = database.ask(&table.question(of));
    let wanted: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
    let asked = table.question(Asked::Sluice);
    let start = Instant::now();
    let mut found = ask(state, &asked);
    while found != wanted && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(200));
        found = ask(state, &asked);
    }
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found, wanted, "{}", table.name);
    }
    assert_eq!(found.len(), wanted.len(), "{}", table.name);
    wanted.len()
}

fn killed_again_and_again(mut database: Database) {
    let accounts = (1..=20).map(|id| format!("({id}, 1000)"));
    let accounts: Vec<String> = accounts.collect();
    database.ask("CREATE TABLE account (id INT PRIMARY KEY, cents BIGINT NOT NULL)");
    database.ask(&format!(
        "INSERT INTO account VALUES {}",
        accounts.join(",")
    ));
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
    write_project(&project, &database, &tables);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, place) = (stop.clone(), database.place());
        std::thread::spawn(move || write_until(&stop, &place))
    };
    let seed = SystemClock.now_us().unsigned_abs();
    eprintln!("seed {seed}");
    let mut random = Random(seed | 1);
    for round in 0..6 {
        let running = Running::start(&project, &state, &[]);
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
    stop.store(true, Ordering::SeqCst);
    let written = writer.join().unwrap();
    assert!(written > 100, "{written} transactions were written");
    // It has ended, or the server's end has ended it.
    let _ = shop.kill();
    shop.wait().unwrap();

    let running = Running::start(&project, &state, &[]);
    let rows = tables
        .iter()
        .map(|table| assert_same(&database, &state, table));
    let rows: usize = rows.sum();
    // How much it wrote by then depends on the machine; it is not nothing.
    assert!(rows > 1_000, "the shop wrote {rows} rows");
    assert_eq!(ask(&state, "SELECT * FROM money"), ["20,20000"]);
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&state, letters), ["0"]);
    // A table that is emptied is empty here too.
    database.ask("TRUNCATE TABLE cart_info");
    common::ask_until(&state, "SELECT count(*) FROM cart_info", &["0"]);
    let behind = "SELECT behind_seconds, behind_bytes IS NULL FROM sluice_sources";
    common::ask_until(&state, behind, &["0,false"]);
    assert!(running.stop().success());
    // Every view and every table is what the log gives.
    succeed(&mut replay_command(&project, &state));
    eprintln!("{rows} rows in {} tables", tables.len());
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
