//! The built-in warehouse as a process that is sent records, killed and asked.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_shop::{Message, Topic};
use tempfile::TempDir;

use crate::common::{Running, root};

/// Lines of one request.
const LINES: usize = 2_000;
const WAIT: Duration = Duration::from_millis(50);
/// So often is asked whether everything is in the views, for half an hour.
const WAITS: u32 = 36_000;

pub struct Warehouse {
    running: Option<Running>,
    http: String,
    marks: u64,
    /// The setting of currencies.
    currencies: &'static str,
    folder: TempDir,
}

impl Warehouse {
    /// Starts one for a shop with several currencies, or with one.
    pub fn start(has_several_currencies: bool) -> Self {
        let mut warehouse = Self {
            running: None,
            currencies: match has_several_currencies {
                true => "several_currencies=TRUE",
                false => "several_currencies=FALSE",
            },
            http: String::new(),
            marks: 0,
            folder: tempfile::tempdir().unwrap(),
        };
        warehouse.resume();
        warehouse
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// What it is started with, besides limits.
    pub fn settings(&self) -> [&'static str; 2] {
        ["--set", self.currencies]
    }

    fn resume(&mut self) {
        let more = [
            "--set",
            "limits.query_time_ms_max=600000",
            "--set",
            "limits.query_memory_bytes_max=6000000000",
        ];
        let more = [&more[..], &self.settings()].concat();
        let running = Running::start(&root().join("warehouse"), &self.state(), &more);
        let text = std::fs::read_to_string(self.state().join("address.json")).unwrap();
        let address: Value = serde_json::from_str(&text).unwrap();
        self.http = format!("http://{}", address["http"].as_str().unwrap());
        self.running = Some(running);
    }

    /// Ends it as a power failure does, and starts it again.
    pub fn kill(&mut self) {
        drop(self.running.take());
        self.resume();
    }

    fn post(&self, path: &str, kind: &str, body: &str) -> Value {
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60)));
        let agent = ureq::Agent::from(config.http_status_as_error(false).build());
        let mut last = String::new();
        for _ in 0..2_000 {
            let request = agent.post(format!("{}{path}", self.http));
            match request.header("Content-Type", kind).send(body) {
                Ok(mut answer) if answer.status() == 200 => {
                    let text = answer.body_mut().read_to_string().unwrap();
                    return serde_json::from_str(&text).unwrap();
                }
                Ok(mut answer) => last = answer.body_mut().read_to_string().unwrap(),
                Err(error) => last = error.to_string(),
            }
            // It has more than it can hold just now.
            std::thread::sleep(WAIT);
        }
        panic!("{path} is refused: {last}");
    }

    /// Sends records in their order, and calls `after_request` after each request.
    pub fn send(&mut self, messages: &[Message], mut after_request: impl FnMut(&mut Self)) {
        for topic in [Topic::ShopDb, Topic::AppLog] {
            let of_topic: Vec<&Message> = messages.iter().filter(|it| it.topic == topic).collect();
            for chunk in of_topic.chunks(LINES) {
                let lines: Vec<&str> = chunk.iter().map(|it| it.payload.as_str()).collect();
                let path = format!("/collect/{}", topic.name());
                let answer = self.post(&path, "application/x-ndjson", &lines.join("\n"));
                assert_eq!(answer["accepted"], chunk.len());
                after_request(self);
            }
        }
    }

    /// The epoch and the rows of an answer.
    pub fn answer(&self, sql: &str) -> (u64, Vec<Value>) {
        let body = json!({ "sql": sql }).to_string();
        let answer = self.post("/api/v1/sql", "application/json", &body);
        let rows = answer["rows"].as_array().unwrap().clone();
        (answer["epoch"].as_u64().unwrap(), rows)
    }

    /// Waits until some of what was sent since an epoch is in the views.
    pub fn wait_for_epoch_after(&self, last: u64) {
        for _ in 0..WAITS {
            let (epoch, _) = self.answer("SELECT 1 AS one");
            if epoch > last {
                return;
            }
            std::thread::sleep(WAIT);
        }
        panic!("no epoch came after {last} within half an hour");
    }

    /// Waits until everything that was sent is in the views. `now_us` is the
    /// shop's time.
    pub fn wait(&mut self, now_us: i64) {
        self.marks += 1;
        // A region that no province is in, and an error that no model counts.
        let mark = 1_000_000 + self.marks;
        let region = json!({
            "database": "shop", "table": "base_region", "type": "insert", "ts": now_us / 1_000_000,
            "xid": 1, "xoffset": self.marks, "commit": true,
            "data": {"id": mark, "region_name": "mark"},
        });
        let error = json!({
            "event_id": format!("mark {mark}"), "ts": now_us / 1_000,
            "common": {"mid": "mark"}, "err": {"error_code": mark},
        });
        self.post(
            "/collect/shop_db",
            "application/x-ndjson",
            &region.to_string(),
        );
        self.post(
            "/collect/app_log",
            "application/x-ndjson",
            &error.to_string(),
        );
        let sql = format!(
            "SELECT (SELECT count(*) FROM error_log WHERE mid = 'mark' AND error_code = {mark})
                  + (SELECT count(*) FROM base_region WHERE id = {mark}) AS marks"
        );
        let body = json!({ "sql": sql }).to_string();
        for _ in 0..WAITS {
            let answer = self.post("/api/v1/sql", "application/json", &body);
            if answer["rows"][0][0].to_string().trim_matches('"') == "2" {
                return;
            }
            std::thread::sleep(WAIT);
        }
        panic!("what was sent is not in the views after half an hour");
    }
}
