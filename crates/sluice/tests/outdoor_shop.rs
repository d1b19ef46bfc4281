//! The example of a shop whose tables are others: the built-in warehouse over
//! them gives the answers that were worked out by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::{Running, root};
use serde_json::{Value, json};

struct Outdoor {
    http: String,
    _running: Running,
    _folder: tempfile::TempDir,
}

impl Outdoor {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = root().join("examples/outdoor-shop");
        let running = Running::start(&project, folder.path(), &[]);
        let text = std::fs::read_to_string(folder.path().join("address.json")).unwrap();
        let address: Value = serde_json::from_str(&text).unwrap();
        Self {
            http: format!("http://{}", address["http"].as_str().unwrap()),
            _running: running,
            _folder: folder,
        }
    }

    fn post(&self, path: &str, kind: &str, body: &str) -> Value {
        let request = ureq::post(format!("{}{path}", self.http)).header("Content-Type", kind);
        let mut answer = request.send(body).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    fn ask(&self, sql: &str) -> Vec<String> {
        let body = json!({ "sql": sql }).to_string();
        let answer = self.post("/api/v1/sql", "application/json", &body);
        let rows = answer["rows"]
            .as_array()
            .unwrap_or_else(|| panic!("{sql}: {answer}"));
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let cells = |row: &Value| row.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        rows.iter().map(|row| cells(row).join(",")).collect()
    }
}

#[test]
fn other_tables_give_the_same_models() {
    let shop = Outdoor::start();
    let sample = root().join("examples/outdoor-shop/sample/changes.ndjson");
    let changes = std::fs::read_to_string(sample).unwrap();
    let accepted = shop.post("/collect/outdoor", "application/x-ndjson", &changes);
    assert_eq!(accepted["accepted"], changes.lines().count());
    let refunds = "SELECT count(*) FROM dwd_trade_refund_pay_suc";
    for _ in 0..400 {
        if shop.ask(refunds) == ["1"] {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    // Order 1 of half past midnight in Berlin: 199.90 - 6.00 + 2 × 45.50 = 284.90
    // of goods, 4.90 to ship them. Order 2 is cancelled, order 3 is of staff.
    let days = "SELECT day, gmv_gross, gmv_unpaid, gmv_cancelled, gmv_paid, gmv_refunded, gmv_net,
        freight, orders, order_users, paid_orders FROM ads_live_day ORDER BY day";
    assert_eq!(
        shop.ask(days),
        [
            "2024-11-10,330.40,0.00,45.50,284.90,0.00,284.90,4.90,2,2,1",
            "2024-11-11,0.00,0.00,0.00,0.00,193.90,-193.90,0.00,0,0,0",
        ]
    );
    let lines =
        "SELECT detail_id, sku_name, pieces, original_amount, coupon_amount, amount, currency
        FROM dwd_trade_order_detail WHERE NOT is_test ORDER BY detail_id";
    assert_eq!(
        shop.ask(lines),
        [
            "11,Tent Två,1,199.90,6.00,193.90,EUR",
            "12,Stove,2,91.00,0.00,91.00,EUR",
            "13,Stove,1,45.50,0.00,45.50,EUR",
        ]
    );
    let result =
        "SELECT day, gmv_gross, refunded_of_orders, net_of_orders FROM ads_order_day_result";
    assert_eq!(shop.ask(result), ["2024-11-10,330.40,193.90,91.00"]);
    let provinces = "SELECT province_name, orders, gmv_gross FROM ads_live_province_day
        WHERE day = DATE '2024-11-10' ORDER BY 1";
    assert_eq!(shop.ask(provinces), ["Bayern,1,284.90", "Tirol,1,45.50"]);
    // What the shop does not have is there and empty.
    assert_eq!(shop.ask("SELECT count(*) FROM ads_activity_stats"), ["0"]);
    let audits = shop.ask(
        "SELECT table_name FROM information_schema.tables
         WHERE table_schema = 'public' AND table_name LIKE 'audit%'",
    );
    assert!(audits.len() > 10, "{audits:?}");
    let none: [&str; 0] = [];
    for audit in audits {
        assert_eq!(shop.ask(&format!("SELECT * FROM {audit}")), none, "{audit}");
    }
    let failed = "SELECT (SELECT count(*) FROM sluice_evaluation_errors)
        + (SELECT count(*) FROM sluice_dead_letters)";
    assert_eq!(shop.ask(failed), ["0"]);
}

#[test]
fn check_says_what_the_tables_switch_off_that_the_shop_does_not_have() {
    let mut command = common::sluice();
    command
        .arg("check")
        .arg(common::root().join("examples/outdoor-shop"));
    let checked = common::output(&mut command);
    assert!(checked.status.success());
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    let line = |start: &str| -> Vec<String> {
        let line = said.lines().find_map(|line| line.split_once(start));
        let (_, names) = line.unwrap_or_else(|| panic!("no `{start}` in {said}"));
        names
            .split(", ")
            .map(|name| name.trim().to_owned())
            .collect()
    };
    let absent = line("the shop has no table for ");
    let without_rows = line("models without rows: ");
    let lacking = line("models that lack their part: ");
    let has = |names: &[String], name: &str| names.iter().any(|one| one == name);
    assert!(has(&absent, "activity_info") && has(&absent, "cart_info"));
    assert!(
        !has(&absent, "order_info") && !has(&absent, "page_log"),
        "{absent:?}"
    );
    assert!(has(&without_rows, "dim_activity"));
    assert!(
        has(&lacking, "dwd_trade_order_detail") && has(&lacking, "ads_activity_stats"),
        "{lacking:?}"
    );
    assert!(!has(&lacking, "dwd_trade_pay_suc"), "{lacking:?}");

    // The built-in warehouse has all of its tables.
    let mut command = common::sluice();
    command.arg("check").arg(common::root().join("warehouse"));
    let said = common::output(&mut command);
    assert!(!String::from_utf8_lossy(&said.stderr).contains("has no table"));
}
