//! A real Prometheus scrapes a running shop: the shipped rules are evaluated,
//! every query of the shipped dashboard has an answer; a real Alertmanager gets
//! the warehouse's own alarms.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, waits, and says loudly what it skips"
)]

mod common;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Running, root, sluice, write_files};
use serde_json::Value;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that runs beside the warehouse, and is killed at the end of the test.
struct Tool(Child);

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program; `None`, loudly, where this machine does not have it.
fn start(program: &str, arguments: &[String]) -> Option<Tool> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Some(Tool(child)),
        Err(error) => {
            eprintln!(
                "SKIPPED: {program} is not here ({error}); scripts/install-test-tools installs it"
            );
            None
        }
    }
}

fn promtool(arguments: &[&str]) -> Option<()> {
    let folder = root().join("deploy/prometheus");
    let mut command = Command::new("promtool");
    let Ok(output) = command.args(arguments).current_dir(folder).output() else {
        eprintln!("SKIPPED: promtool is not here; scripts/install-test-tools installs it");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text} {errors}");
    Some(())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn get(url: &str) -> Option<Value> {
    let mut answer = ureq::get(url).call().ok()?;
    serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
}

#[track_caller]
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waiting for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn encode(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    });
    bytes.collect()
}

/// Every query of the dashboard with the title of its panel.
fn dashboard_queries() -> Vec<(String, String)> {
    let text = std::fs::read(root().join("deploy/grafana/sluice.json")).unwrap();
    let dashboard: Value = serde_json::from_slice(&text).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap().to_owned();
            queries.push((title, target["expr"].as_str().unwrap().to_owned()));
        }
    }
    queries
}

#[test]
fn the_shipped_rules_are_right() {
    if promtool(&["check", "rules", "sluice.rules.yml"]).is_none() {
        return;
    }
    promtool(&["test", "rules", "sluice.rules.test.yml"]);
    promtool(&["check", "config", "prometheus.yml"]);
}

#[test]
fn prometheus_evaluates_the_rules_and_answers_every_query_of_the_dashboard() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("demo");
    let mut command = sluice();
    command.args(["demo", "--rate", "20", "--days", "0", "--state"]);
    command
        .arg(&state)
        .args(["--set", "listen.http=127.0.0.1:0"]);
    command.args(["--set", "listen.postgres=127.0.0.1:0"]);
    command.args(["--set", "limits.checkpoint_interval_ms=1000"]);
    let demo = Running::of(&mut command, &state);

    let shop = demo.http.strip_prefix("http://").unwrap().to_owned();
    let config = folder.path().join("prometheus.yml");
    let rules = root().join("deploy/prometheus/sluice.rules.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}\"]\nscrape_configs:\n  - job_name: sluice\n    static_configs: [{{ targets: [\"{shop}\"] }}]\n",
        rules.display()
    );
    std::fs::write(&config, text).unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = [
        format!("--config.file={}", config.display()),
        format!(
            "--storage.tsdb.path={}",
            folder.path().join("tsdb").display()
        ),
        format!("--web.listen-address={address}"),
    ];
    let Some(prometheus) = start("prometheus", &arguments) else {
        return;
    };
    // Somebody asks, so that there are requests to count.
    let mut missing = dashboard_queries();
    assert!(missing.len() > 20);
    let started = Instant::now();
    while !missing.is_empty() {
        assert!(started.elapsed() < PATIENCE, "no answer: {missing:?}");
        let body = "SELECT count(*) FROM page_log";
        let _ = ureq::post(&format!("http://{shop}/api/v1/sql"))
            .header("Content-Type", "text/plain")
            .send(body);
        missing.retain(|(_, query)| {
            let url = format!("http://{address}/api/v1/query?query={}", encode(query));
            let answer = get(&url).unwrap_or(Value::Null);
            let result = answer["data"]["result"].as_array();
            let is_number = |sample: &Value| {
                let text = sample["value"][1].as_str().unwrap_or("NaN");
                text.parse::<f64>().is_ok_and(f64::is_finite)
            };
            !result.is_some_and(|result| result.iter().any(is_number))
        });
        std::thread::sleep(Duration::from_millis(500));
    }
    let answer = wait_for("the rules to be evaluated", || {
        let answer = get(&format!("http://{address}/api/v1/rules"))?;
        let rules = answer["data"]["groups"][0]["rules"].as_array()?.clone();
        let is_ok = |rule: &Value| rule["health"] == "ok";
        (!rules.is_empty() && rules.iter().all(is_ok)).then_some(rules)
    });
    let quiet = ["SluiceDown", "SluiceSourceStopped", "SluiceStateHasNoRoom"];
    for rule in &answer {
        let name = rule["name"].as_str().unwrap();
        assert!(
            !quiet.contains(&name) || rule["state"] == "inactive",
            "{rule}"
        );
    }
    // A shop that is gone is noticed.
    drop(demo);
    wait_for("SluiceDown to be pending", || {
        let answer = get(&format!("http://{address}/api/v1/alerts"))?;
        let alerts = answer["data"]["alerts"].as_array()?.clone();
        let is_down = |alert: &Value| alert["labels"]["alertname"] == "SluiceDown";
        alerts.iter().any(is_down).then_some(())
    });
    drop(prometheus);
}

#[test]
fn a_real_alertmanager_gets_the_alarms() {
    let folder = tempfile::tempdir().unwrap();
    let receivers = "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";
    write_files(folder.path(), &[("alertmanager.yml", receivers)]);
    let config = folder.path().join("alertmanager.yml");
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", folder.path().join("am").display()),
        format!("--web.listen-address={address}"),
        "--cluster.listen-address=".to_owned(),
    ];
    let Some(alertmanager) = start("prometheus-alertmanager", &arguments) else {
        return;
    };
    let project = folder.path().join("shop");
    let warehouse = format!(
        "name = \"shop\"\nowner = \"data\"\n[alarms.alertmanager.main]\nurl = \"http://{address}\"\n"
    );
    // Nothing answers there.
    let url = format!("http://127.0.0.1:{}/", free_port());
    let source = format!(
        "[topic.orders.capture]\nkind = \"poll\"\nurl = \"{url}\"\ninterval = \"1 s\"\n[table.orders]\ntopic = \"orders\"\ncolumns = [{{ name = \"id\", from = \"/id\", type = \"int64\" }}]\n"
    );
    let alarm = "severity = \"critical\"\nsql = \"SELECT source, error, 1 AS value FROM sluice_sources WHERE state = 'failing'\"\nlabels = [\"source\"]\nevery = \"1 second\"\nmessage = \"{error}\"\nwhen = { any_row = true }\n";
    write_files(
        &project,
        &[
            ("warehouse.toml", &warehouse),
            ("sources/orders.toml", &source),
            ("alerts/stopped.toml", alarm),
        ],
    );
    let running = Running::start(&project, &folder.path().join("state"), &[]);
    let alert = wait_for("the alarm", || {
        let alerts = get(&format!("http://{address}/api/v2/alerts"))?;
        Some(alerts.as_array()?.first()?.clone())
    });
    assert_eq!(alert["labels"]["alertname"], "stopped");
    assert_eq!(alert["labels"]["source"], "orders");
    assert_eq!(alert["labels"]["owner"], "data");
    assert_eq!(alert["labels"]["severity"], "critical");
    assert_eq!(alert["status"]["state"], "active");
    drop(running);
    drop(alertmanager);
}
