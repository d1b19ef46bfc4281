//! What readers see is always one moment of the shop's database: money that
//! moves between accounts is never seen missing or doubled, whatever joins a
//! view goes through, and lines add up to their orders, at every epoch, while
//! transactions flow in pieces and the warehouse is killed.
//!
//! `SLUICE_CONSISTENCY_KILLS` makes the test longer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and starts its own threads"
)]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Running, ask, ask_until, replay_command, succeed};

const ACCOUNTS: u64 = 40;
const OWNERS: u64 = 7;
const TOTAL: i64 = ACCOUNTS as i64 * 1_000;

const SOURCES: &str = r#"
[topic.db]
[topic.db.capture]
kind = "file"
path = "${input}/*.ndjson"
format = "ndjson"
transactions = "maxwell"

[table.account]
topic = "db"
when = [{ field = "/table", equals = "account" }]
row = "/data"
before = "/old"
version = ["/xid", "/xoffset"]
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "owner", from = "./owner", type = "int64" },
  { name = "partner", from = "./partner", type = "int64" },
  { name = "balance", from = "./balance", type = "int64" },
]

[table.orders]
topic = "db"
when = [{ field = "/table", equals = "orders" }]
row = "/data"
before = "/old"
version = ["/xid", "/xoffset"]
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "total", from = "./total", type = "int64" },
]

[table.line]
topic = "db"
when = [{ field = "/table", equals = "line" }]
row = "/data"
before = "/old"
version = ["/xid", "/xoffset"]
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "order_id", from = "./order_id", type = "int64" },
  { name = "amount", from = "./amount", type = "int64" },
]
"#;

/// Views that never change once the accounts are there.
const CONSTANT: [(&str, &str); 4] = [
    (
        "total",
        "SELECT sum(balance) AS money, count(*) AS n FROM account",
    ),
    (
        "total_of_owners",
        "SELECT sum(money) AS money, sum(n) AS n FROM by_owner",
    ),
    (
        "total_by_partner",
        "SELECT sum(a.balance + b.balance) / 2 AS money, count(*) AS n FROM account AS a JOIN account AS b ON b.id = a.partner",
    ),
    (
        "total_of_pairs",
        "SELECT sum(a.balance) AS money, count(*) AS n FROM account AS a LEFT JOIN by_owner AS o ON o.owner = a.owner",
    ),
];

const OTHERS: [(&str, &str); 2] = [
    (
        "by_owner",
        "SELECT owner, sum(balance) AS money, count(*) AS n FROM account GROUP BY owner",
    ),
    (
        "wrong_order",
        "SELECT o.id, o.total, l.amount FROM orders AS o FULL JOIN (SELECT order_id, sum(amount) AS amount FROM line GROUP BY order_id) AS l ON l.order_id = o.id WHERE o.total IS DISTINCT FROM l.amount",
    ),
];

fn write_project(folder: &Path) {
    std::fs::create_dir_all(folder.join("sources")).unwrap();
    std::fs::create_dir_all(folder.join("models/dws")).unwrap();
    std::fs::create_dir_all(folder.join("input")).unwrap();
    let settings = "name = \"bank\"\n[settings]\ninput = \"input\"\n[limits]\nepoch_records_max = 50\ncheckpoint_interval_ms = 300\n";
    std::fs::write(folder.join("warehouse.toml"), settings).unwrap();
    std::fs::write(folder.join("sources/db.toml"), SOURCES).unwrap();
    for (name, sql) in CONSTANT.iter().chain(&OTHERS) {
        let text = format!("CREATE MATERIALIZED VIEW {name} AS {sql};\n");
        std::fs::write(folder.join(format!("models/dws/{name}.sql")), text).unwrap();
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A change, without what the transaction adds.
struct Change {
    table: &'static str,
    kind: &'static str,
    data: String,
}

/// The database: its tables, and its log as a file.
struct Database {
    random: Random,
    file: File,
    transaction: u64,
    /// Owner, partner, balance by id.
    accounts: BTreeMap<u64, (u64, u64, i64)>,
    /// Amounts by line of each order.
    orders: BTreeMap<u64, BTreeMap<u64, i64>>,
    lines: u64,
}

impl Database {
    fn new(path: &Path, seed: u64) -> Self {
        let mut database = Self {
            random: Random(seed),
            file: File::create(path).unwrap(),
            transaction: 0,
            accounts: BTreeMap::new(),
            orders: BTreeMap::new(),
            lines: 0,
        };
        let mut changes = Vec::new();
        for id in 0..ACCOUNTS {
            // Partners are a permutation, so that each account is one's partner.
            let account = (id % OWNERS, (id * 3 + 1) % ACCOUNTS, 1_000);
            database.accounts.insert(id, account);
            changes.push(database.account_change(id, "insert"));
        }
        database.commit(changes);
        database
    }

    fn account_change(&self, id: u64, kind: &'static str) -> Change {
        let (owner, partner, balance) = self.accounts[&id];
        Change {
            table: "account",
            kind,
            data: format!(
                r#"{{"id":{id},"owner":{owner},"partner":{partner},"balance":{balance}}}"#
            ),
        }
    }

    /// Money moves over several accounts, and some accounts to other owners.
    fn transfer(&mut self) {
        let mut changes = Vec::new();
        for _ in 0..=self.random.below(4) {
            let from = self.random.below(ACCOUNTS);
            let to = self.random.below(ACCOUNTS);
            let amount = self.random.below(500) as i64;
            for (id, amount) in [(from, -amount), (to, amount)] {
                self.accounts.get_mut(&id).unwrap().2 += amount;
                changes.push(self.account_change(id, "update"));
            }
        }
        if self.random.below(4) == 0 {
            let id = self.random.below(ACCOUNTS);
            self.accounts.get_mut(&id).unwrap().0 = self.random.below(OWNERS);
            changes.push(self.account_change(id, "update"));
        }
        self.commit(changes);
    }

    /// An order comes, changes or goes, with its lines.
    fn order(&mut self) {
        let id = self.random.below(300);
        let mut changes = Vec::new();
        let line_change = |kind, line: u64, amount: i64| Change {
            table: "line",
            kind,
            data: format!(r#"{{"id":{line},"order_id":{id},"amount":{amount}}}"#),
        };
        let order_change = |kind, total: i64| Change {
            table: "orders",
            kind,
            data: format!(r#"{{"id":{id},"total":{total}}}"#),
        };
        match self.orders.remove(&id) {
            Some(lines) if self.random.below(3) == 0 => {
                changes.push(order_change("delete", lines.values().sum()));
                changes.extend(
                    lines
                        .iter()
                        .map(|(&line, &sum)| line_change("delete", line, sum)),
                );
            }
            Some(mut lines) => {
                for amount in lines.values_mut() {
                    *amount = self.random.below(1_000) as i64;
                }
                changes.extend(
                    lines
                        .iter()
                        .map(|(&line, &sum)| line_change("update", line, sum)),
                );
                changes.push(order_change("update", lines.values().sum()));
                self.orders.insert(id, lines);
            }
            None => {
                let mut lines = BTreeMap::new();
                for _ in 0..=self.random.below(5) {
                    self.lines += 1;
                    lines.insert(self.lines, self.random.below(1_000) as i64);
                }
                changes.push(order_change("insert", lines.values().sum()));
                changes.extend(
                    lines
                        .iter()
                        .map(|(&line, &sum)| line_change("insert", line, sum)),
                );
                self.orders.insert(id, lines);
            }
        }
        self.commit(changes);
    }

    /// Writes a transaction, often with a pause inside it or inside a line.
    fn commit(&mut self, changes: Vec<Change>) {
        self.transaction += 1;
        let xid = self.transaction;
        let last = changes.len() - 1;
        for (number, change) in changes.into_iter().enumerate() {
            let Change { table, kind, data } = change;
            let end = match number == last {
                true => r#""commit":true"#.to_owned(),
                false => format!(r#""xoffset":{number}"#),
            };
            let line = format!(
                "{{\"database\":\"bank\",\"table\":\"{table}\",\"type\":\"{kind}\",\"xid\":{xid},{end},\"data\":{data}}}\n"
            );
            if self.random.below(20) == 0 {
                let half = line.len() / 2;
                self.file.write_all(&line.as_bytes()[..half]).unwrap();
                std::thread::sleep(Duration::from_millis(self.random.below(8)));
                self.file.write_all(&line.as_bytes()[half..]).unwrap();
            } else {
                self.file.write_all(line.as_bytes()).unwrap();
            }
        }
    }
}

/// Reads the changes of every epoch until the connection ends. Returns how many
/// epochs changed something.
fn watch(http: &str) -> u64 {
    let constant: Vec<&str> = CONSTANT.iter().map(|(name, _)| *name).collect();
    let views = format!("{},wrong_order,by_owner", constant.join(","));
    let config = ureq::Agent::config_builder().timeout_connect(Some(Duration::from_secs(5)));
    let agent = ureq::Agent::from(config.build());
    let url = format!("http://{http}/api/v1/live/{views}");
    let Ok(mut response) = agent.get(&url).call() else {
        return 0;
    };
    let mut lines = BufReader::new(response.body_mut().as_reader()).lines();
    let mut kind = String::new();
    let mut epochs = 0;
    // The connection breaks when the warehouse is killed.
    while let Some(Ok(line)) = lines.next() {
        if let Some(name) = line.strip_prefix("event: ").or(line.strip_prefix("event:")) {
            kind = name.trim().to_owned();
        }
        let Some(data) = line.strip_prefix("data:") else {
            continue;
        };
        let Ok(data) = serde_json::from_str::<serde_json::Value>(data) else {
            continue;
        };
        let view = data["view"].as_str().unwrap_or_default();
        match kind.as_str() {
            "snapshot" => {
                let rows = data["rows"].as_array().unwrap();
                if constant.contains(&view) {
                    check_total(&data, &rows[0]);
                }
                assert!(view != "wrong_order" || rows.is_empty(), "{data}");
            }
            "delta" => {
                assert!(!constant.contains(&view), "a total changed: {data}");
                assert_ne!(view, "wrong_order", "an order without its lines: {data}");
                let sum = |column: usize| -> i64 {
                    let changes = data["changes"].as_array().unwrap().iter();
                    changes
                        .map(|change| change[0].as_i64().unwrap() * number(&change[1][column]))
                        .sum()
                };
                assert_eq!((sum(1), sum(2)), (0, 0), "money came or went: {data}");
                epochs += 1;
            }
            _ => {}
        }
    }
    epochs
}

fn number(value: &serde_json::Value) -> i64 {
    match value.as_str() {
        Some(text) => text.parse().unwrap(),
        None => value.as_i64().unwrap(),
    }
}

fn check_total(data: &serde_json::Value, row: &serde_json::Value) {
    let found = (number(&row[0]), number(&row[1]));
    assert_eq!(found, (TOTAL, ACCOUNTS as i64), "{data}");
}

/// Asks all views and the tables behind them in one statement, again and again.
/// Returns how often.
fn ask_again(http: &str, stop: &AtomicBool) -> u64 {
    let mut parts: Vec<String> = CONSTANT
        .iter()
        .map(|(name, _)| format!("SELECT '{name}' AS what, money, n FROM {name}"))
        .collect();
    parts.push("SELECT 'tables', sum(balance), count(*) FROM account".into());
    parts.push(format!(
        "SELECT 'orders', coalesce(sum(total), 0) - (SELECT coalesce(sum(amount), 0) FROM line) + {TOTAL}, {ACCOUNTS} FROM orders"
    ));
    let sql = parts.join(" UNION ALL ");
    let mut asked = 0;
    while !stop.load(Ordering::Acquire) {
        let answer = ureq::post(format!("http://{http}/api/v1/sql")).send(&sql);
        let Ok(mut answer) = answer else { return asked };
        let Ok(text) = answer.body_mut().read_to_string() else {
            return asked;
        };
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        for row in answer["rows"].as_array().unwrap() {
            check_total(&answer, &serde_json::json!([row[1], row[2]]));
        }
        asked += 1;
    }
    asked
}

fn http_address(state: &Path) -> String {
    let text = std::fs::read_to_string(state.join("address.json")).unwrap();
    let address: serde_json::Value = serde_json::from_str(&text).unwrap();
    address["http"].as_str().unwrap().to_owned()
}

#[test]
fn every_epoch_is_one_moment_of_the_database() {
    let kills = std::env::var("SLUICE_CONSISTENCY_KILLS").unwrap_or_default();
    let kills: u64 = kills.parse().unwrap_or(4);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    write_project(folder.path());
    let mut database = Database::new(
        &folder.path().join("input/db.ndjson"),
        88_172_645_463_325_252,
    );
    let (mut epochs, mut asked) = (0, 0);
    for _ in 0..kills {
        let mut running = Running::start(folder.path(), &state, &[]);
        // From the first epoch on no total may change.
        let there = ACCOUNTS.to_string();
        ask_until(&state, "SELECT count(*) FROM account", &[&there]);
        let http = http_address(&state);
        let stop = Arc::new(AtomicBool::new(false));
        let watching = std::thread::spawn({
            let http = http.clone();
            move || watch(&http)
        });
        let asking = std::thread::spawn({
            let stop = stop.clone();
            move || ask_again(&http, &stop)
        });
        let until = Instant::now() + Duration::from_millis(1_500 + database.random.below(500));
        while Instant::now() < until {
            for _ in 0..5 {
                database.transfer();
                database.order();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        stop.store(true, Ordering::Release);
        epochs += watching.join().unwrap();
        asked += asking.join().unwrap();
    }
    assert!(epochs > 10 * kills, "only {epochs} epochs were seen");
    eprintln!("{epochs} epochs were seen, {asked} questions answered");
    assert!(asked > kills, "only {asked} questions were answered");

    let running = Running::start(folder.path(), &state, &[]);
    let lines: i64 = database.orders.values().flat_map(BTreeMap::values).sum();
    let expected = format!("{},{lines}", database.orders.len());
    ask_until(
        &state,
        "SELECT count(*), sum(total) FROM orders",
        &[&expected],
    );
    let of_accounts: Vec<String> = database
        .accounts
        .iter()
        .map(|(id, (owner, _, balance))| format!("{id},{owner},{balance}"))
        .collect();
    let found = ask(&state, "SELECT id, owner, balance FROM account ORDER BY id");
    assert_eq!(found, of_accounts);
    assert!(running.stop().success());
    // Everything again from the log.
    succeed(&mut replay_command(folder.path(), &state));
}
