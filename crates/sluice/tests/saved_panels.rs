//! Panels that are made on the page become files, endpoints and entries at once,
//! stay over a restart, and lead nowhere else; numbers of panels are metrics.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Running, ask_until, write_files};
use serde_json::{Value, json};

const CONFIG: &str = r#"name = "shop"
[users.board]
role = "reader"
secret = "file:board"
[users.li]
role = "analyst"
secret = "file:li"
[[personal]]
table = "orders"
columns = ["phone"]
"#;
const SOURCE: &str = r#"
[topic.orders.capture]
kind = "file"
path = "orders.ndjson"
format = "ndjson"
[table.orders]
topic = "orders"
primary_key = ["id"]
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "phone", from = "/phone", type = "string" },
]
"#;
const PANEL: &str = r#"title = { en = "Orders", zh = "订单" }
subject = "trade"
chart = "number"
query = "SELECT count(*) AS orders, sum(id) / (count(*) - count(*)) AS broken, min(id) AS least FROM orders"
[columns.orders]
metric = "sluice_shop_orders"
[columns.least]
metric = "shop_least"
"#;

fn project(folder: &Path) -> PathBuf {
    let project = folder.join("shop");
    write_files(
        &project,
        &[
            ("warehouse.toml", CONFIG),
            ("sources/orders.toml", SOURCE),
            (
                "panels/orders.toml",
                &PANEL.replace(" sum(id) / (count(*) - count(*)) AS broken,", ""),
            ),
            ("board", "the-board"),
            ("li", "the-analyst"),
            ("orders.ndjson", "{\"id\":7,\"phone\":\"555\"}\n"),
        ],
    );
    project
}

fn run(project: &Path, state: &Path) -> Running {
    let running = Running::start(project, state, &[]);
    ask_until(state, "SELECT count(*) FROM orders", &["1"]);
    running
}

/// Status and body.
fn request(method: &str, url: &str, secret: &str, body: Option<&Value>) -> (u16, String) {
    let authorization = format!("Bearer {secret}");
    let body = body.map(Value::to_string);
    let body = body.as_deref().map(|body| ("application/json", body));
    common::request(method, url, Some(&authorization), body)
}

fn panel(name: &str, query: &str) -> Value {
    json!({
        "name": name,
        "title": { "en": "Ids", "zh": "编号" },
        "subject": "own",
        "chart": "table",
        "query": query,
        "columns": { "id": { "role": "category" } },
    })
}

#[test]
fn a_saved_panel_is_there_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let state = folder.path().join("state");
    let running = run(&project, &state);
    let panels = format!("{}/api/v1/panels", running.http);
    let wanted = panel("ids", "SELECT id FROM orders WHERE id > 1");
    let save = |secret: &str, body: &Value| request("POST", &panels, secret, Some(body));

    let (code, said) = save("the-board", &wanted);
    assert_eq!(code, 403, "{said}");
    let (code, said) = save("the-analyst", &wanted);
    assert_eq!(code, 201, "{said}");
    let (code, rows) = request("GET", &format!("{panels}/ids"), "the-board", None);
    assert!(code == 200 && rows.contains("\"rows\":[[7]]"), "{rows}");
    let (_, all) = request("GET", &panels, "the-board", None);
    assert!(
        all.contains("\"name\":\"ids\"") && all.contains("编号"),
        "{all}"
    );
    let file = project.join("panels/ids.toml");
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains("WHERE id > 1")
    );

    // Replaced only when it is said, and never one of the project.
    assert_eq!(save("the-analyst", &wanted).0, 409);
    let mut other = panel("ids", "SELECT id + 1 AS id FROM orders");
    other["replace"] = json!(true);
    assert_eq!(save("the-analyst", &other).0, 201);
    let (_, rows) = request("GET", &format!("{panels}/ids"), "the-board", None);
    assert!(rows.contains("\"rows\":[[8]]"), "{rows}");
    let mut theirs = panel("orders", "SELECT id FROM orders");
    theirs["replace"] = json!(true);
    assert_eq!(save("the-analyst", &theirs).0, 409);
    let remove = |name: &str| {
        let url = format!("{panels}/{name}");
        request("DELETE", &url, "the-analyst", None).0
    };
    assert_eq!(remove("orders"), 409);
    assert_eq!(remove("nothing"), 404);

    // What is no panel is no file.
    let mut count = 0;
    for body in [
        panel("../../outside", "SELECT 1 AS id"),
        panel("a/b", "SELECT 1 AS id"),
        panel("", "SELECT 1 AS id"),
        panel("nowhere", "SELECT id FROM nowhere"),
        panel("writes", "DELETE FROM orders"),
        panel("two", "SELECT 1 AS id; SELECT 2"),
        panel("setting", "SELECT '${secret}' AS id"),
        panel("phones", "SELECT phone AS id FROM orders"),
        json!({ "name": "x", "metric": "sluice_shop_x" }),
        json!([]),
    ] {
        let (code, said) = save("the-analyst", &body);
        assert!((400..=403).contains(&code), "{body}: {code} {said}");
        count += 1;
    }
    assert_eq!(count, 10);
    let files = std::fs::read_dir(project.join("panels")).unwrap();
    assert_eq!(files.count(), 2);
    assert!(!folder.path().join("outside.toml").exists());
    let metric = json!({ "role": "value", "metric": "sluice_shop_x" });
    let mut with_metric = panel("metric", "SELECT id FROM orders");
    with_metric["columns"]["id"] = metric;
    assert_eq!(save("the-analyst", &with_metric).0, 400);

    drop(running);
    let running = run(&project, &state);
    let ids = format!("{}/api/v1/panels/ids", running.http);
    let (_, rows) = request("GET", &ids, "the-board", None);
    assert!(rows.contains("\"rows\":[[8]]"), "{rows}");
    assert_eq!(request("DELETE", &ids, "the-analyst", None).0, 204);
    assert_eq!(request("GET", &ids, "the-board", None).0, 404);
    assert!(!file.exists());
    let audit = std::fs::read_to_string(state.join("audit/audit.jsonl")).unwrap();
    assert!(audit.contains("POST /api/v1/panels") && audit.contains("\"user\":\"li\""));
}

#[test]
fn a_saved_panel_has_the_rows_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let lines = (1..=5).map(|id| format!("{{\"id\":{id},\"phone\":\"555\"}}\n"));
    write_files(&project, &[("orders.ndjson", &lines.collect::<String>())]);
    let state = folder.path().join("state");
    let running = Running::start(&project, &state, &[]);
    ask_until(&state, "SELECT count(*) FROM orders", &["5"]);
    let panels = format!("{}/api/v1/panels", running.http);
    let save = |query: &str, limit: i64| {
        let mut body = panel(
            "odd",
            "SELECT id % 2 AS odd, sum(id) AS id FROM orders GROUP BY 1",
        );
        body["columns"] = json!({ "odd": { "role": "category" } });
        body["detail"] = json!({ "query": query, "limit": limit });
        request("POST", &panels, "the-analyst", Some(&body))
    };
    let detail = |rest: &str| {
        let url = format!("{panels}/odd/detail{rest}");
        let (code, text) = request("GET", &url, "the-board", None);
        assert_eq!(code, 200, "{rest}: {text}");
        text
    };

    // Whatever is wrong with the detail is wrong with the panel.
    for (query, limit, problem) in [
        ("SELECT id FROM nowhere", 2, (400, "detail query: ")),
        (
            "SELECT id FROM orders WHERE id = $even",
            2,
            (400, "`$even` is no parameter"),
        ),
        (
            "SELECT id AS counts_for FROM orders",
            2,
            (400, "`counts_for` is of the type Int64"),
        ),
        (
            "SELECT id FROM orders",
            0,
            (400, "a detail cannot give 0 rows"),
        ),
        ("SELECT ${secret} AS id FROM orders", 2, (400, "settings")),
        // Who keeps it must be able to read it.
        ("SELECT phone FROM orders", 2, (403, "phone")),
    ] {
        let (code, said) = save(query, limit);
        assert!(
            code == problem.0 && said.contains(problem.1),
            "{query}: {code} {said}"
        );
    }
    assert!(!project.join("panels/odd.toml").exists());

    let kinds = "SELECT CASE id % 2 WHEN 1 THEN 'odd' ELSE 'even' END AS counts_for, id FROM orders
        WHERE $odd IS NULL OR id % 2 = $odd ORDER BY id DESC";
    let (code, said) = save(kinds, 2);
    assert_eq!(code, 201, "{said}");
    // Two of three odd ones, and both others.
    let all: Value = serde_json::from_str(&detail("")).unwrap();
    assert_eq!(
        all["rows"],
        json!([["even", 4], ["even", 2], ["odd", 5], ["odd", 3]])
    );
    assert_eq!(all["rows_total"], 5);
    assert_eq!(all["rows_total_by_kind"], json!({ "even": 2, "odd": 3 }));
    let odd: Value = serde_json::from_str(&detail("?odd=1")).unwrap();
    assert_eq!(odd["rows"], json!([["odd", 5], ["odd", 3]]));
    assert_eq!(odd["rows_total_by_kind"], json!({ "odd": 3 }));
    // A file has all of them.
    let file = detail("?format=csv");
    assert_eq!(file, "counts_for,id\nodd,5\neven,4\nodd,3\neven,2\nodd,1\n");
    let (_, described) = request(
        "GET",
        &format!("{}/api/v1/openapi.json", running.http),
        "the-board",
        None,
    );
    let described: Value = serde_json::from_str(&described).unwrap();
    let schema = |path: &str| {
        let answer = &described["paths"][path]["get"]["responses"]["200"]["content"];
        answer["application/json"]["schema"]["properties"].clone()
    };
    let of_detail = schema("/api/v1/panels/odd/detail");
    assert_eq!(of_detail["rows_total"]["type"], "integer");
    let rows = of_detail["rows"]["description"].as_str().unwrap();
    assert!(rows.starts_with("The first 2 of each kind"), "{rows}");
    assert!(schema("/api/v1/panels/odd")["rows_total"].is_null());
}

#[test]
fn numbers_of_panels_are_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let state = folder.path().join("state");
    let running = run(&project, &state);
    let http = running.http.as_str();
    let metrics = || request("GET", &format!("{http}/metrics"), "the-board", None);
    let (code, text) = metrics();
    assert_eq!(code, 200);
    let has = |text: &str, line: &str| text.lines().any(|found| found == line);
    assert!(has(&text, "# TYPE sluice_shop_orders gauge"), "{text}");
    assert!(has(&text, "sluice_shop_orders 1") && has(&text, "shop_least 7"));
    assert!(has(&text, "sluice_panel_metric_failures_total 0"));
    // One that fails costs itself alone.
    let broken = PANEL.replace("sluice_shop_orders", "sluice_shop_broken");
    let broken = broken.replace("shop_least", "shop_broken_least");
    std::fs::write(project.join("panels/broken.toml"), broken).unwrap();
    let listed = || request("GET", &format!("{http}/api/v1/panels"), "the-board", None).1;
    for _ in 0..200 {
        if listed().contains("\"broken\"") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_millis(1_100));
    let (code, text) = metrics();
    assert_eq!(code, 200);
    assert!(has(&text, "sluice_shop_orders 1"), "{text}");
    assert!(!text.contains("sluice_shop_broken"));
    assert!(!has(&text, "sluice_panel_metric_failures_total 0"));
    // The same name twice, and a name of the program's own, are refused.
    std::fs::remove_file(project.join("panels/broken.toml")).unwrap();
    for (name, problem) in [
        ("sluice_shop_orders", "comes from the panel"),
        ("sluice_epoch", "cannot be named"),
        ("Shop", "cannot be named"),
    ] {
        let text = PANEL.replace("sluice_shop_orders", name);
        std::fs::write(project.join("panels/wrong.toml"), text).unwrap();
        let error = common::fail(common::sluice().arg("check").arg(&project), 2);
        assert!(
            error.contains(problem) && error.contains("wrong.toml:"),
            "{error}"
        );
    }
}
