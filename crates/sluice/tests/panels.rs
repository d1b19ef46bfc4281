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
#[path = "panels/figures.rs"]
mod figures;
#[path = "golden/shop.rs"]
mod shop;
mod warehouse_data;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Running, fail, root, sluice, succeed};
use serde_json::{Value, json};
use tempfile::TempDir;
use warehouse_data::{Transaction, Warehouse, at};

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

    fn text(&self, path: &str) -> String {
        let request = ureq::get(format!("{}{path}", self.url));
        let request = request.config().http_status_as_error(false).build();
        let mut answer = request.call().unwrap();
        // Without the limit of what is read at once: all rows of a detail may be many.
        let body = answer.body_mut().with_config();
        let text = body.read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{path}: {text}");
        text
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path)).unwrap()
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
        if panel["detail"] == true {
            // The rows of all of its figures.
            served.get(&format!("/api/v1/panels/{name}/detail?{}", query.join("&")));
        }
    }
    assert_eq!(kinds.len(), 9, "every kind of chart: {kinds:?}");
    // In two days nobody is closed, lost for seven days or ordering on three.
    let allowed = ["trade_closed"];
    empty.retain(|name| !allowed.contains(&name.as_str()));
    assert!(empty.is_empty(), "panels without a row: {empty:?}");

    // Of a larger shop not all rows are in an answer, but all are in the file.
    let made = figures::check(&|path: &str| served.text(path), &[day_before.as_str()], 2);
    assert!(made.contains("goods_brands.gmv_refunded"), "{made:?}");
    let brands = served.get(&format!(
        "/api/v1/panels/goods_brands?day={day_before}&limit=1000"
    ));
    let rows = brands["rows"].as_array().unwrap();
    let sum: i64 = rows.iter().map(|row| cents(&row[2])).sum();
    let total = served.get(&format!("/api/v1/panels/trade_totals?day={day_before}"));
    assert_eq!(sum, cents(&total["rows"][0][0]), "all brands are all trade");

    change_while_running(&served);
}

/// The shop of the golden answers, with a member who was away for a week, orders of one
/// on three days running, a record that is no row, and every figure of three days closed
/// as what it never was.
#[test]
fn every_figure_is_made_of_the_rows_behind_it() {
    let mut warehouse = Warehouse::start();
    let closed = [
        "gmv_gross",
        "gmv_unpaid",
        "gmv_cancelled",
        "gmv_paid",
        "gmv_refunded",
        "gmv_net",
        "freight",
        "orders",
        "order_users",
        "paid_orders",
        "pv",
        "uv",
        "sessions",
        "refunded_of_orders",
        "net_of_orders",
    ];
    let mut reports = shop::reports();
    for day in ["2024-11-10", "2024-11-11", "2024-11-12"] {
        reports.extend(closed.iter().map(|metric| {
            json!({
                "day": day, "metric": metric, "version": 3, "value": "-1",
                "closed_at": at(10, 0, 0, 0), "epoch": 1,
            })
        }));
    }
    let reports: Vec<String> = reports.iter().map(Value::to_string).collect();
    let text = std::fs::read_to_string(warehouse.state().join("address.json")).unwrap();
    let address: Value = serde_json::from_str(&text).unwrap();
    let url = format!(
        "http://{}/collect/period_close",
        address["http"].as_str().unwrap()
    );
    let body = ("application/x-ndjson", &reports.join("\n")[..]);
    let (status, answer) = common::request("POST", &url, None, Some(body));
    assert_eq!(status, 200, "{answer}");

    let mut visits = shop::visits();
    let client = json!({"mid": "m1", "sid": "s7", "ch": "app", "vc": "1.0", "ar": "1",
                        "is_new": "0", "uid": "11"});
    let page = json!({"page_id": "home", "during_time": 900});
    let at_last = visits.len() - 1;
    // Seven days after the last visit of member 12.
    let later = json!({"event_id": "e15", "ts": at(7, 8, 0, 0), "common": client, "page": page});
    visits.insert(at_last, later);
    visits.push(json!({"event_id": "e16", "ts": "never", "common": client, "page": page}));
    let mut changes = shop::changes();
    let order = json!({
        "id": 5, "user_id": 11, "province_id": 1, "channel": "web",
        "create_time": "2024-11-12 10:00:00", "order_status": "1001", "total_amount": "50.00",
        "original_total_amount": "50.00", "feight_fee": "0.00",
    });
    let line = json!({
        "id": 7, "order_id": 5, "sku_id": 2, "sku_name": "Coffee Beans", "sku_num": 1,
        "order_price": "50.00", "split_total_amount": "50.00", "source_type": "2401",
    });
    let ordered = Transaction::new(900).at(at(2, 10, 0, 0));
    let ordered = ordered.insert("order_info", order);
    changes.extend(ordered.insert("order_detail", line).messages());
    // Put in a cart, and never ordered.
    let cart = json!({
        "id": 9, "user_id": 12, "sku_id": 1, "sku_num": 1, "cart_price": "30.00", "is_ordered": 0,
        "create_time": "2024-11-12 11:00:00", "operate_time": null,
    });
    let carted = Transaction::new(901).at(at(2, 11, 0, 0));
    changes.extend(carted.insert("cart_info", cart).messages());
    warehouse.send(&visits, &changes);

    let days = [
        "2024-11-09",
        "2024-11-10",
        "2024-11-11",
        "2024-11-12",
        "2024-11-17",
        "2024-11-19",
    ];
    let not_zero = figures::check(&|path: &str| warehouse.page(path), &days, 1_000);
    let missing: Vec<String> = figures::made_of_rows()
        .difference(&not_zero)
        .cloned()
        .collect();
    let none: [&str; 0] = [];
    assert_eq!(missing, none, "figures that are zero everywhere");
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
