//! The built-in warehouse with a hand-made shop: records go in over HTTP as a
//! client sends them, answers come out over SQL.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod two_days;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Running, root};

/// 2024-11-10 00:00 in Shanghai, the first day of the hand-made shop.
const FIRST_DAY_MS: i64 = 1_731_168_000_000;

/// Milliseconds since 1970 of a time of the first (0) or second (1) day there.
pub fn at(day: i64, hour: i64, minute: i64, second: i64) -> i64 {
    FIRST_DAY_MS + (((day * 24 + hour) * 60 + minute) * 60 + second) * 1_000
}

/// Changes of one transaction as Maxwell writes them.
pub struct Transaction {
    id: i64,
    time_ms: i64,
    changes: Vec<Value>,
}

impl Transaction {
    pub fn new(id: i64) -> Self {
        Self {
            id,
            time_ms: FIRST_DAY_MS,
            changes: Vec::new(),
        }
    }

    /// When it was committed.
    pub fn at(mut self, time_ms: i64) -> Self {
        self.time_ms = time_ms;
        self
    }

    fn change(mut self, kind: &str, table: &str, data: Value, old: Value) -> Self {
        // The time of the change, in seconds.
        let mut message = json!({
            "database": "shop", "table": table, "type": kind, "ts": self.time_ms / 1_000,
            "xid": self.id, "xoffset": self.changes.len(), "data": data,
        });
        if !old.is_null() {
            message["old"] = old;
        }
        self.changes.push(message);
        self
    }

    pub fn insert(self, table: &str, data: Value) -> Self {
        self.change("insert", table, data, Value::Null)
    }

    /// `old` holds the changed columns only.
    pub fn update(self, table: &str, data: Value, old: Value) -> Self {
        self.change("update", table, data, old)
    }

    pub fn delete(self, table: &str, data: Value) -> Self {
        self.change("delete", table, data, Value::Null)
    }

    pub fn messages(mut self) -> Vec<Value> {
        if let Some(last) = self.changes.last_mut() {
            last["commit"] = json!(true);
        }
        self.changes
    }
}

/// A page view.
pub fn page(event_id: &str, mid: &str, sid: &str, channel: &str, ts_ms: i64) -> Value {
    let version = if channel == "app" { "1.0" } else { "2.0" };
    json!({
        "event_id": event_id, "ts": ts_ms, "page": {"page_id": "home", "during_time": 900},
        "common": {"mid": mid, "sid": sid, "ch": channel, "vc": version, "is_new": "1"},
    })
}

/// The warehouse of the repository, running, with tables of `mistakes.toml`
/// beside its own.
pub struct Warehouse {
    running: Option<Running>,
    http: String,
    marks: i64,
    pub folder: TempDir,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Replaces a part of a file of the project, which must be there once.
pub fn replace(project: &Path, name: &str, part: &str, with: &str) {
    let path = project.join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(part).count(), 1, "{name}: {part}");
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(text.replace(part, with).as_bytes()).unwrap();
}

impl Warehouse {
    pub fn start() -> Self {
        Self::start_changed(|_| ())
    }

    /// The same after `change` was made to the copy of the project.
    pub fn start_changed(change: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        copy(&root().join("warehouse"), &project);
        let mistakes = "crates/sluice/tests/warehouse_data/mistakes.toml";
        let target = project.join("sources/mistakes.toml");
        std::fs::copy(root().join(mistakes), target).unwrap();
        change(&project);
        let mut warehouse = Self {
            running: None,
            http: String::new(),
            marks: 0,
            folder,
        };
        warehouse.resume();
        warehouse
    }

    pub fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn resume(&mut self) {
        let running = Running::start(&self.project(), &self.state(), &[]);
        let text = std::fs::read_to_string(self.state().join("address.json")).unwrap();
        let address: Value = serde_json::from_str(&text).unwrap();
        self.http = format!("http://{}", address["http"].as_str().unwrap());
        self.running = Some(running);
    }

    pub fn stop(&mut self) {
        let status = self.running.take().unwrap().stop();
        assert!(status.success(), "{status}");
    }

    /// Ends it as a power failure does.
    pub fn kill(&mut self) {
        drop(self.running.take());
        std::fs::remove_file(self.state().join("address.json")).unwrap();
    }

    fn post(&self, path: &str, kind: &str, body: &str) -> Value {
        let request = ureq::post(format!("{}{path}", self.http)).header("Content-Type", kind);
        let request = request.config().http_status_as_error(false).build();
        let mut answer = request.send(body).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{path} {body}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn collect(&self, topic: &str, records: &[Value]) {
        if records.is_empty() {
            return;
        }
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        let path = format!("/collect/{topic}");
        let answer = self.post(&path, "application/x-ndjson", &lines.join("\n"));
        assert_eq!(answer["accepted"], records.len());
    }

    /// Sends records of both topics, and waits until they are in the views.
    pub fn send(&mut self, log: &[Value], database: &[Value]) {
        self.collect("app_log", log);
        self.collect("shop_db", database);
        self.marks += 1;
        let mark = self.marks;
        let error = json!({
            "event_id": format!("mark {mark}"), "ts": FIRST_DAY_MS + 86_400_000,
            "common": {"mid": "mark"}, "err": {"error_code": mark},
        });
        let region = json!({"id": mark, "region_name": "mark"});
        let region = Transaction::new(mark).insert("base_region", region);
        self.collect("app_log", &[error]);
        self.collect("shop_db", &region.messages());
        let sql = format!(
            "SELECT (SELECT count(*) FROM error_log WHERE mid = 'mark' AND error_code = {mark})
                  + (SELECT count(*) FROM base_region WHERE id = {mark})"
        );
        for _ in 0..400 {
            if self.ask(&sql) == ["2"] {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("what was sent is not in the warehouse after ten seconds");
    }

    /// A page that it serves.
    pub fn page(&self, path: &str) -> String {
        let mut answer = ureq::get(format!("{}{path}", self.http)).call().unwrap();
        answer.body_mut().read_to_string().unwrap()
    }

    /// The rows of an answer, their values separated by commas.
    pub fn ask(&self, sql: &str) -> Vec<String> {
        let body = json!({ "sql": sql }).to_string();
        let answer = self.post("/api/v1/sql", "application/json", &body);
        let rows = answer["rows"].as_array().unwrap();
        rows.iter()
            .map(|row| {
                let values = row.as_array().unwrap().iter();
                let values = values.map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                values.collect::<Vec<_>>().join(",")
            })
            .collect()
    }
}
