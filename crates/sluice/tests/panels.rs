//! The panels of the built-in warehouse over the demo's shop: every one answers,
//! with the numbers of its models; figures lead to rows that make them; panels
//! change while the warehouse runs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes its project"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Running, fail, root, sluice, succeed};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The demo's shop of yesterday and today, served.
struct Served {
    url: String,
    project: PathBuf,
    _running: Running,
    _folder: TempDir,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("demo");
        let mut demo = sluice();
        demo.args(["demo", "--rate", "4", "--seed", "5", "--fill-only"]);
        demo.arg("--state").arg(&state);
        for name in ["listen.http", "listen.postgres"] {
            demo.args(["--set", &format!("{name}=127.0.0.1:0")]);
        }
        succeed(&mut demo);
        let project = state.join("demo/project");
        let running = Running::start(&project, &state, &[]);
        let text = std::fs::read_to_string(state.join("address.json")).unwrap();
        let address: Value = serde_json::from_str(&text).unwrap();
        Self {
            url: format!("http://{}", address["http"].as_str().unwrap()),
            project,
            _running: running,
            _folder: folder,
        }
    }

    fn get(&self, path: &str) -> Value {
        let request = ureq::get(format!("{}{path}", self.url));
        let request = request.config().http_status_as_error(false).build();
        let mut answer = request.call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn sql(&self, sql: &str) -> Value {
        let request = ureq::post(format!("{}/api/v1/sql", self.url));
        let request = request.config().http_status_as_error(false).build();
        let mut answer = request.send(sql).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{sql}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()["rows"].take()
    }
}

/// A panel's query with its values written into it: another way to the same rows.
fn written(query: &str, parameters: &Value, values: &BTreeMap<&str, String>) -> String {
    let mut names: Vec<&Value> = parameters.as_array().unwrap().iter().collect();
    // A name may begin with another one.
    names.sort_by_key(|parameter| std::cmp::Reverse(parameter["name"].as_str().unwrap().len()));
    let mut text = query.to_owned();
    for parameter in names {
        let name = parameter["name"].as_str().unwrap();
        let value = match values.get(name) {
            Some(value) => value.clone(),
            None => parameter["value"]
                .as_str()
                .map_or(String::new(), str::to_owned),
        };
        let literal = match (parameter["type"].as_str().unwrap(), value.is_empty()) {
            ("text", true) => "CAST(NULL AS VARCHAR)".to_owned(),
            (_, true) => "NULL".to_owned(),
            ("date", false) => format!("DATE '{value}'"),
            ("text", false) => format!("'{value}'"),
            (_, false) => value,
        };
        text = text.replace(&format!("${name}"), &literal);
    }
    text
}

fn cents(value: &Value) -> i64 {
    let text = value.as_str().unwrap();
    let (whole, fraction) = text.split_once('.').unwrap();
    assert_eq!(fraction.len(), 2, "{text}");
    format!("{whole}{fraction}").parse().unwrap()
}

#[test]
fn every_panel_answers_with_the_numbers_of_its_models() {
    let served = Served::start();
    let panels = served.get("/api/v1/panels");
    let panels = panels["panels"].as_array().unwrap();
    assert!(panels.len() >= 38, "{} panels", panels.len());
    let today = served.sql("SELECT max(day) FROM ads_live_day");
    let today = today[0][0].as_str().unwrap().to_owned();
    let day_before = served.sql(&format!("SELECT DATE '{today}' - 1"));
    let day_before = day_before[0][0].as_str().unwrap().to_owned();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut empty = Vec::new();
    for panel in panels {
        let name = panel["name"].as_str().unwrap();
        let mut values = BTreeMap::new();
        for parameter in panel["parameters"].as_array().unwrap() {
            match parameter["name"].as_str().unwrap() {
                "day" => values.insert("day", day_before.clone()),
                "to" => values.insert("to", today.clone()),
                _ => None,
            };
        }
        let query: Vec<String> = values
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let answer = served.get(&format!("/api/v1/panels/{name}?{}", query.join("&")));
        let sql = written(
            panel["query"].as_str().unwrap(),
            &panel["parameters"],
            &values,
        );
        assert_eq!(answer["rows"], served.sql(&sql), "{name}: {sql}");
        let rows = answer["rows"].as_array().unwrap();
        if rows.is_empty() {
            empty.push(name.to_owned());
        }
        *kinds
            .entry(panel["chart"].as_str().unwrap().to_owned())
            .or_default() += 1;
        for words in [&panel["title"]["en"], &panel["title"]["zh"]] {
            assert!(!words.as_str().unwrap().is_empty(), "{name}");
        }
        for column in panel["columns"].as_array().unwrap() {
            let title = &column["title"];
            assert_ne!(
                title["zh"], column["name"],
                "{name}: a column without words"
            );
        }
        if panel["detail"] == false {
            continue;
        }
        // All rows of the panel, and those behind its first figure.
        served.get(&format!("/api/v1/panels/{name}/detail?{}", query.join("&")));
        let mut chosen = query;
        for (column, cell) in panel["columns"]
            .as_array()
            .unwrap()
            .iter()
            .zip(rows.first().and_then(Value::as_array).into_iter().flatten())
        {
            let column_name = column["name"].as_str().unwrap();
            let text = match cell {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if column["role"] != "value" && !cell.is_null() && !values.contains_key(column_name) {
                chosen.push(format!("{column_name}={}", encoded(&text)));
            }
        }
        served.get(&format!(
            "/api/v1/panels/{name}/detail?{}",
            chosen.join("&")
        ));
    }
    assert_eq!(kinds.len(), 9, "every kind of chart: {kinds:?}");
    // In two days nobody is closed, lost for seven days or ordering on three.
    let allowed = ["trade_closed"];
    empty.retain(|name| !allowed.contains(&name.as_str()));
    assert!(empty.is_empty(), "panels without a row: {empty:?}");

    // The figures of a brand are the sum of the rows behind them.
    let brands = served.get(&format!(
        "/api/v1/panels/goods_brands?day={day_before}&limit=1000"
    ));
    let mut sum = 0;
    for row in brands["rows"].as_array().unwrap() {
        let path = format!(
            "/api/v1/panels/goods_brands/detail?day={day_before}&tm_id={}",
            row[0]
        );
        let detail = served.get(&path);
        let amount = detail["columns"].as_array().unwrap().iter();
        let place = amount
            .clone()
            .position(|column| column["name"] == "amount")
            .unwrap();
        let rows = detail["rows"].as_array().unwrap();
        assert!(rows.len() < 1_000, "all rows are there");
        let of_rows: i64 = rows.iter().map(|row| cents(&row[place])).sum();
        assert_eq!(of_rows, cents(&row[2]), "{path}");
        sum += of_rows;
    }
    let total = served.get(&format!("/api/v1/panels/trade_totals?day={day_before}"));
    assert_eq!(sum, cents(&total["rows"][0][0]), "all brands are all trade");

    change_while_running(&served);
}

fn encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    });
    bytes.collect()
}

/// A panel comes, is broken, is mended and goes, while the warehouse runs.
fn change_while_running(served: &Served) {
    let file = served.project.join("panels/own.toml");
    let text = |query: &str| {
        format!(
            "title = {{ en = \"Own\", zh = \"自有\" }}\nsubject = \"own\"\nchart = \"number\"\nquery = \"{query}\"\n"
        )
    };
    let names = || {
        let panels = served.get("/api/v1/panels");
        let names = panels["panels"].as_array().unwrap().iter();
        names
            .map(|panel| panel["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let wait = |what: &str, is_there: &dyn Fn() -> bool| {
        for _ in 0..300 {
            if is_there() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{what} did not come within 30 s");
    };
    std::fs::write(&file, text("SELECT 41 + 1 AS answer")).unwrap();
    wait("the new panel", &|| names().contains(&"own".to_owned()));
    assert_eq!(served.get("/api/v1/panels/own")["rows"], json!([[42]]));
    std::fs::write(&file, text("SELECT nothing FROM nowhere")).unwrap();
    let refusal = || {
        served.get("/api/v1/info")["models"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    wait("the refusal", &|| refusal().contains("own.toml:4:9"));
    assert_eq!(
        served.get("/api/v1/panels/own")["rows"],
        json!([[42]]),
        "the old one stays"
    );
    std::fs::remove_file(&file).unwrap();
    wait("its end", &|| !names().contains(&"own".to_owned()));
    wait("the end of the refusal", &|| refusal().is_empty());
}

#[test]
fn check_says_what_is_wrong_with_a_panel_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("warehouse");
    copy(&root().join("warehouse"), &project);
    let checked = common::output(sluice().arg("check").arg(&project));
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(
        checked.status.success() && said.contains(" panels"),
        "{said}"
    );
    let file = project.join("panels/goods_skus.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("gmv_gross", "gmv_grose")).unwrap();
    let error = fail(sluice().arg("check").arg(&project), 2);
    assert!(
        error.contains("panels/goods_skus.toml:5:9: query: "),
        "{error}"
    );
    assert!(error.contains("gmv_grose"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}
