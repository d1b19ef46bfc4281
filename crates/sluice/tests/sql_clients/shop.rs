//! A small shop with a warehouse, for tests of SQL clients.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{Running, ask_until, root, write_files, write_models};

const SOURCE: &str = r#"
[topic.items.capture]
kind = "file"
path = "items.ndjson"
format = "ndjson"
[table.item]
topic = "items"
primary_key = ["id"]
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "name", from = "/name", type = "string", missing = "null" },
  { name = "price", from = "/price", type = "decimal(18,2)" },
  { name = "sold_on", from = "/day", type = "date" },
  { name = "sold_at", from = "/time", type = "timestamp" },
  { name = "is_new", from = "/new", type = "boolean" },
  { name = "weight", from = "/weight", type = "float64" },
]
"#;
const MODELS: &str = "-- Grain: day. What was sold on it.
CREATE MATERIALIZED VIEW by_day AS SELECT sold_on, count(*) AS items, sum(price) AS total FROM item GROUP BY sold_on;
CREATE VIEW new_items AS SELECT id, name FROM item WHERE is_new;
";

/// Starts the shop, and waits until what was sold is there.
pub fn start(folder: &Path) -> Running {
    let project = folder.join("shop");
    let mut items = String::new();
    for id in 1..=1000 {
        let name = match id {
            2 => String::new(),
            _ => format!("\"name\":\"name {id}\","),
        };
        let (cents, is_new) = (1050 + 100 * (id - 1), id % 2 == 1);
        items += &format!(
            "{{\"id\":{id},{name}\"price\":\"{}.{:02}\",\"day\":\"2026-11-01\",\"time\":\"2026-11-01T00:00:00Z\",\"new\":{is_new},\"weight\":{}}}\n",
            cents / 100,
            cents % 100,
            f64::from(id) * 1.5,
        );
    }
    write_files(
        &project,
        &[
            ("warehouse.toml", "name = \"shop\"\n"),
            ("sources/items.toml", SOURCE),
            ("columns.toml", "name = \"Name on the label\"\n"),
            ("items.ndjson", &items),
        ],
    );
    write_models(&project, MODELS);
    let state = folder.join("state");
    let running = Running::start(&project, &state, &[]);
    ask_until(&state, "SELECT count(*) FROM item", &["1000"]);
    running
}

/// Tests the shop with psql, where it is here.
pub fn with_psql(test: impl FnOnce(&Running)) {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path());
    match psql(&running, &["SELECT 1"]) {
        Some(_) => test(&running),
        None => skipped("psql"),
    }
}

/// Asks psql each text, whose answer must have all the parts beside it.
#[track_caller]
pub fn check<'a>(running: &Running, asked: impl IntoIterator<Item = (&'a str, &'a [&'a str])>) {
    let mut failures = Vec::new();
    for (text, expected) in asked {
        let (is_good, found) = psql(running, &[text]).unwrap();
        if !is_good || expected.iter().any(|part| !found.contains(part)) {
            failures.push(format!("{text}: {expected:?} is not in:\n{found}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

pub fn skipped(what: &str) {
    eprintln!("SKIPPED: {what} is not here; scripts/install-test-tools installs it");
}

pub fn clients() -> PathBuf {
    let home = std::env::var("HOME").unwrap_or_default();
    Path::new(&home).join(".cache/sluice/sql-clients")
}

pub fn scripts() -> PathBuf {
    root().join("crates/sluice/tests/sql_clients")
}

/// Standard output and error of psql commands, each its own `-c`.
pub fn psql(running: &Running, commands: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new("psql");
    let port = running.port.to_string();
    command.args(["-X", "-h", "127.0.0.1", "-p", &port, "-U", "li"]);
    command.args(["-d", "sluice", "-v", "ON_ERROR_STOP=1"]);
    command.env("PGCONNECT_TIMEOUT", "10").env("PAGER", "cat");
    for text in commands {
        command.args(["-c", text]);
    }
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(text).unwrap()))
}
