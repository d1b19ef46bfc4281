//! The built-in warehouse is sent every personal column of its contract, well formed
//! and not; what was in them is then looked for in every byte on disk, in all that it
//! says, and in all that it answers over HTTP and SQL.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "common/files_below.rs"]
mod files_below;
#[path = "common/found_below.rs"]
mod found_below;
#[path = "common/found_nowhere.rs"]
mod found_nowhere;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use common::{Running, ask, ask_until, request, root};
use found_below::found_below;
use found_nowhere::stop_and_find_nowhere;
use serde_json::{Value, json};

/// What must be nowhere: all personal values here begin with one of these.
const MARKS: [&str; 13] = [
    "ZQPASS",
    "zqlogin",
    "Zqnick",
    "Zqperson",
    "张三丰无忌",
    "139555011",
    "zqmail",
    "ZQMAIL",
    "zqdomain",
    "1985-06-17",
    "Zqreceiver",
    "Zqstreet",
    "Zqcomment",
];
/// Stands in a column that no rule masks, so that the search can be seen to find.
const VISIBLE: &str = "Zqvisible";

/// A row of `user_info`.
fn member(id: Value) -> Value {
    json!({
        "id": id, "login_name": "zqlogin1", "nick_name": "Zqnickname", "passwd": "ZQPASS1",
        "name": "张三丰无忌", "phone_num": "13955501101", "email": "zqmail1@zqdomain.org",
        "birthday": "1985-06-17", "user_level": "1", "gender": "F", "is_test": 0,
        "note": VISIBLE,
    })
}

/// A row of `order_info`, with the time at which it was made.
fn order(id: u32, time: &str) -> Value {
    json!({
        "id": id, "user_id": 1, "province_id": 1, "order_status": "1001", "channel": "app",
        "total_amount": "10.00", "original_total_amount": "10.00", "create_time": time,
        "consignee": "Zqreceiver Somebody", "consignee_tel": "13955501102",
        "delivery_address": "Zqstreet 7, Wuhan",
    })
}

fn comment(text: Value, time: &str) -> Value {
    json!({
        "id": 1, "user_id": 1, "sku_id": 1, "spu_id": 1, "order_id": 1, "appraise": "1201",
        "comment_txt": text, "create_time": time,
    })
}

/// A change as Maxwell tells of it, a transaction of its own.
fn change(xid: u32, kind: &str, table: &str, data: &Value, old: &Value) -> Value {
    let mut message = json!({
        "database": "shop", "table": table, "type": kind, "ts": 1_731_168_000, "xid": xid,
        "xoffset": 0, "commit": true, "data": data,
    });
    // What the shop asked its database for, of other tables maybe.
    message["sql"] = json!(format!("UPDATE {table} SET phone_num = '13955501103'"));
    if !old.is_null() {
        message["old"] = old.clone();
    }
    message
}

/// Changes as the shop's database makes them.
fn good(time: &str) -> Vec<String> {
    let none = Value::Null;
    let line = json!({
        "id": 1, "order_id": 1, "sku_id": 1, "sku_name": "Cup", "sku_num": 1,
        "order_price": "10.00", "split_total_amount": "10.00",
        "split_activity_amount": "0.00", "split_coupon_amount": "0.00", "create_time": time,
    });
    let mut snapshot = change(0, "bootstrap-insert", "user_info", &member(json!(2)), &none);
    for field in ["xid", "xoffset", "commit"] {
        snapshot.as_object_mut().unwrap().remove(field);
    }
    let former = json!({
        "name": "Zqperson Former", "phone_num": "13955501104", "passwd": "ZQPASS0",
        "email": "ZQMAIL@zqdomain.org", "birthday": "1985-06-17",
    });
    let elsewhere = json!({
        "consignee": "Zqreceiver Former", "consignee_tel": "13955501105",
        "delivery_address": "Zqstreet 8, Wuhan",
    });
    let said = json!({"comment_txt": "Zqcomment before"});
    let changes = [
        snapshot,
        change(1, "insert", "user_info", &member(json!(1)), &none),
        change(2, "insert", "user_info", &member(json!(3)), &none),
        change(3, "update", "user_info", &member(json!(1)), &former),
        change(4, "delete", "user_info", &member(json!(3)), &none),
        change(5, "insert", "order_info", &order(1, time), &none),
        change(6, "insert", "order_detail", &line, &none),
        change(7, "update", "order_info", &order(1, time), &elsewhere),
        change(
            8,
            "insert",
            "comment_info",
            &comment(json!("Zqcomment said"), time),
            &none,
        ),
        change(
            9,
            "update",
            "comment_info",
            &comment(json!("Zqcomment again"), time),
            &said,
        ),
    ];
    changes.iter().map(Value::to_string).collect()
}

/// Changes with values of other types, in other places and of other names, and what is
/// no change.
fn odd(time: &str) -> Vec<String> {
    let none = Value::Null;
    let mut strange = member(json!(4));
    strange["name"] = json!(["Zqperson", {"name": "Zqperson"}]);
    strange["phone_num"] = json!({"number": 13_955_501_106_u64});
    strange["passwd"] = json!({"old": "ZQPASS2"});
    strange["email"] = json!(["zqmail4@zqdomain.org"]);
    strange["birthday"] = json!("born 1985-06-17");
    let mut unread = order(2, time);
    unread["total_amount"] = json!("much");
    unread["consignee"] = json!({"name": "Zqreceiver"});
    unread["delivery_address"] = json!(["Zqstreet 9", "Wuhan"]);
    let escaped = change(13, "insert", "user_info", &member(json!("five")), &none);
    let whole = change(14, "insert", "user_info", &member(json!(6)), &none).to_string();
    vec![
        change(10, "insert", "user_info", &strange, &none).to_string(),
        change(11, "insert", "order_info", &unread, &none).to_string(),
        change(
            12,
            "update",
            "comment_info",
            &comment(json!({"text": "Zqcomment"}), time),
            &json!("Zqcomment"),
        )
        .to_string(),
        escaped
            .to_string()
            .replace("\"phone_num\"", "\"ph\\u006fne_num\""),
        whole.replace("\"user_info\"", "\"USER_INFO\""),
        whole.replace("\"table\":", "\"table\":\"order_info\",\"table\":"),
        whole.trim_end_matches('}').to_owned(),
        "\"13955501107\"".to_owned(),
        json!([member(json!(7))]).to_string(),
    ]
}

/// What a warehouse answered, whatever it was.
struct Answers {
    http: String,
    text: String,
}

impl Answers {
    #[track_caller]
    fn get(&mut self, path: &str) -> String {
        let (status, answer) = request("GET", &format!("{}{path}", self.http), None, None);
        assert_eq!(status, 200, "{path}: {answer}");
        self.text += &answer;
        answer
    }

    /// The body is a kind of content and a text.
    #[track_caller]
    fn post(&mut self, path: &str, body: (&str, &str), expected: u16) {
        let (status, answer) = request("POST", &format!("{}{path}", self.http), None, Some(body));
        assert_eq!(status, expected, "{path}: {answer}");
        self.text += &answer;
    }

    #[track_caller]
    fn select(&mut self, format: &str, sql: &str) {
        let path = format!("/api/v1/sql?format={format}");
        self.post(&path, ("text/plain", sql), 200);
    }
}

/// Asks for all that there is.
fn ask_everything(answers: &mut Answers, state: &Path) {
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    let tables = ask(state, tables);
    assert!(tables.len() > 100, "{tables:?}");
    for table in &tables {
        answers.select("json", &format!("SELECT * FROM {table}"));
    }
    for table in ["user_info", "order_info", "sluice_dead_letters"] {
        let sql = format!("SELECT * FROM {table}");
        let rows = ask(state, &sql);
        assert!(!rows.is_empty(), "{table}");
        answers.text += &rows.join("\n");
        for format in ["csv", "arrow", "xlsx"] {
            answers.select(format, &sql);
        }
    }
    let listed: Value = serde_json::from_str(&answers.get("/api/v1/panels")).unwrap();
    let panels = listed["panels"].as_array().unwrap();
    assert!(panels.len() > 30);
    for panel in panels {
        let path = format!("/api/v1/panels/{}", panel["name"].as_str().unwrap());
        for format in ["json", "csv", "xlsx"] {
            answers.get(&format!("{path}?format={format}"));
        }
        if panel["detail"] == true {
            answers.get(&format!("{path}/detail"));
        }
    }
    let index = answers.get("/docs");
    let links = index.split("href=\"/docs/").skip(1);
    let layers: BTreeSet<&str> = links
        .filter_map(|link| link.split(['"', '#']).next())
        .collect();
    assert!(layers.len() > 4, "{layers:?}");
    for layer in layers {
        answers.get(&format!("/docs/{layer}"));
    }
    for path in [
        "/",
        "/metrics",
        "/api/v1/catalog",
        "/api/v1/info",
        "/api/v1/models",
        "/api/v1/openapi.json",
        "/api/v1/dead-letters",
        "/api/v1/tables/user_info/1",
        "/api/v1/tables/order_info/1",
    ] {
        answers.get(path);
    }
}

#[test]
fn what_is_personal_in_the_built_in_warehouse_is_nowhere_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let often = ["--set", "limits.checkpoint_interval_ms=300"];
    let running = Running::start(&root().join("warehouse"), &state, &often);
    let mut answers = Answers {
        http: running.http.clone(),
        text: String::new(),
    };
    // Of today, so that panels show it.
    let today = "SELECT CAST(now() AT TIME ZONE 'Asia/Shanghai' AS DATE)";
    let time = format!("{} 00:00:01", ask(&state, today)[0]);
    for lines in [good(&time), odd(&time)] {
        let body = lines.join("\n");
        let body = ("application/x-ndjson", body.as_str());
        answers.post("/collect/shop_db", body, 200);
    }
    // Refused.
    let body = ("application/json", "{\"passwd\": \"ZQPASS3\"");
    answers.post("/collect/nothing", body, 404);

    ask_until(
        &state,
        "SELECT id FROM user_info ORDER BY id",
        &["1", "2", "4"],
    );
    let year = "SELECT id FROM user_info WHERE birthday = DATE '1985-01-01' ORDER BY id";
    assert_eq!(ask(&state, year), ["1", "2"]);
    let orders = "SELECT order_id, goods_amount FROM dwd_trade_order";
    assert_eq!(ask(&state, orders), ["1,10.00"]);
    let sealed = "SELECT count(*) > 2 FROM sluice_dead_letters WHERE reason = 'sealed'";
    ask_until(&state, sealed, &["true"]);
    ask_everything(&mut answers, &state);
    assert!(answers.text.contains("1985-01-01"));
    // The search finds what is there.
    let found = found_below(&state, &[VISIBLE]);
    assert!(!found.is_empty());
    std::thread::sleep(Duration::from_millis(700));
    stop_and_find_nowhere(running, &state, &answers.text, &MARKS);
}
