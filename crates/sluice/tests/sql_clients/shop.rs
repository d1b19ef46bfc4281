//! A small shop with a warehouse, for tests of SQL clients.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{self, ask, run_command};

const PATIENCE: Duration = Duration::from_secs(120);

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

pub struct Running(Child, Value);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub fn port(&self) -> &str {
        let address = self.1["postgres"].as_str().unwrap();
        address.rsplit_once(':').unwrap().1
    }
}

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
    for (file, text) in [
        ("warehouse.toml", "name = \"shop\"\n"),
        ("sources/items.toml", SOURCE),
        ("columns.toml", "name = \"Name on the label\"\n"),
        ("items.ndjson", &items),
    ] {
        let path = project.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    // A file holds one model.
    for model in MODELS.split_terminator(";\n") {
        let name = model
            .split(" AS ")
            .next()
            .and_then(|begin| begin.split(' ').next_back());
        let path = project.join(format!("models/{}.sql", name.unwrap()));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{model}\n")).unwrap();
    }
    let state = folder.join("state");
    let mut command = run_command(&project, &state);
    let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut running = Running(child.unwrap(), Value::Null);
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "it does not start");
        if let Ok(text) = std::fs::read(state.join("address.json")) {
            running.1 = serde_json::from_slice(&text).unwrap();
            if ask(&state, "SELECT count(*) FROM item") == ["1000"] {
                return running;
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn skipped(what: &str) {
    eprintln!("SKIPPED: {what} is not here; scripts/install-test-tools installs it");
}

pub fn clients() -> PathBuf {
    let home = std::env::var("HOME").unwrap_or_default();
    Path::new(&home).join(".cache/sluice/sql-clients")
}

pub fn scripts() -> PathBuf {
    common::root().join("crates/sluice/tests/sql_clients")
}

/// Standard output and error of psql commands, each its own `-c`.
pub fn psql(running: &Running, commands: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new("psql");
    command.args(["-X", "-h", "127.0.0.1", "-p", running.port(), "-U", "li"]);
    command.args(["-d", "sluice", "-v", "ON_ERROR_STOP=1"]);
    command.env("PGCONNECT_TIMEOUT", "10").env("PAGER", "cat");
    for text in commands {
        command.args(["-c", text]);
    }
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(text).unwrap()))
}
