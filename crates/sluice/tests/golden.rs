//! A shop of a few visits and four orders whose figures a person can work out
//! with a pencil: every dimension, fact, window and answer of the built-in warehouse,
//! in `golden/*.slt`. `golden/shop.rs` has its records, `golden/ods.slt` what the tables
//! of the sources make of them.
//!
//! | 10 November | |
//! |---|---|
//! | 09:00:00 – 09:00:33 | device m1 (old; member 11; campaign spring) starts the app, sees home, searches "Green Tea", looks at the tea, at the cart, orders and pays |
//! | 09:00:05 | device m2 (new; web) sees home and leaves |
//! | 10:00:00 – 10:00:05 | device m3 (new; member 12) looks at the coffee, then at home and the cart, which fails to load |
//! | 09:00:26 | order 1, member 11: 2 teas at 20.00, 4.00 off by an activity and 1.00 by a coupon: 35.00; freight 8.00; paid after 7 s |
//! | 11:00:00 | order 2, member 12: coffee for 50.00; cancelled at 11:15:00 |
//! | **11 November** | from midnight on the coffee belongs to the other brand |
//! | 08:00:00 | m2 again, which still calls itself new |
//! | 11:59:50 – 11:59:59 | m1 again, by a client that names no session: home, tea |
//! | 12:00:00 | order 3, member 11: tea, tea again as another line, coffee: 90.00; paid after 10 s; 30.00 for tea go back at 13:00:00 |
//! | 12:15:00 | the province gets another name, member 11 another level |
//! | 12:30:00 | order 4, of a test member: counts nowhere |
//! | **12 – 14 November** | a brand, categories, a product, an activity, a coupon and a code are made, renamed on the next day and, but for the code, deleted on the third |
//! | **19 November** | m3 comes back, nine days later |
//!
//! 10 November was closed at midnight, and its net amount once more a day later.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "golden/shop.rs"]
mod shop;
#[path = "golden/slt.rs"]
mod slt;
mod warehouse_data;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{request, root};
use serde_json::{Value, json};
use shop::{changes, reports, visits};
use slt::{Answer, Record, records_of};
use warehouse_data::Warehouse;

/// What is in a folder, in the order of the names.
fn paths_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Every record of `golden/*.slt` with the name of its file.
fn golden_records() -> Vec<(String, Record)> {
    let mut records = Vec::new();
    for path in paths_in(&root().join("crates/sluice/tests/golden")) {
        if path.extension().is_none_or(|ending| ending != "slt") {
            continue;
        }
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let of_file = records_of(&text).unwrap_or_else(|wrong| panic!("{file}: {wrong}"));
        records.extend(of_file.into_iter().map(|record| (file.clone(), record)));
    }
    records
}

/// Sends a body to a path of the warehouse. Returns status and answer.
fn post(warehouse: &Warehouse, path: &str, content_type: &str, body: &str) -> (u16, String) {
    let text = std::fs::read_to_string(warehouse.state().join("address.json")).unwrap();
    let address: Value = serde_json::from_str(&text).unwrap();
    let url = format!("http://{}{path}", address["http"].as_str().unwrap());
    request("POST", &url, None, Some((content_type, body)))
}

/// Asks what the files ask, and tells all that is wrong at once.
fn check(warehouse: &Warehouse, when: &str) {
    let mut faults = Vec::new();
    for (file, record) in golden_records() {
        let body = json!({ "sql": record.sql }).to_string();
        let found = match post(warehouse, "/api/v1/sql", "application/json", &body) {
            (200, answer) => Ok(Answer::of(&serde_json::from_str::<Value>(&answer).unwrap())),
            (_, error) => Err(error),
        };
        if let Some(fault) = record.fault(&found) {
            faults.push(format!("{file}:{}: {fault}", record.line));
        }
    }
    assert!(faults.is_empty(), "{when}:\n{}", faults.join("\n"));
}

#[test]
fn every_model_has_the_figures_worked_out_by_hand() {
    let mut warehouse = Warehouse::start();
    let reports: Vec<String> = reports().iter().map(Value::to_string).collect();
    let (status, answer) = post(
        &warehouse,
        "/collect/period_close",
        "application/x-ndjson",
        &reports.join("\n"),
    );
    assert_eq!(status, 200, "{answer}");
    warehouse.send(&visits(), &changes());
    check(&warehouse, "at first");

    // Computed again from the log, and sent again, nothing changes.
    warehouse.kill();
    warehouse.resume();
    warehouse.send(&visits()[..5], &changes());
    check(&warehouse, "after a kill");
}

/// A model that nobody worked out by hand is not finished.
#[test]
fn every_model_is_asked_for_in_a_golden_file() {
    let mut named = BTreeSet::new();
    for (_, record) in golden_records() {
        let is_no_name = |letter: char| !letter.is_alphanumeric() && letter != '_';
        let words = record.sql.split(is_no_name).map(str::to_owned);
        named.extend(words);
    }
    let mut models = Vec::new();
    for layer in paths_in(&root().join("warehouse/models")) {
        for model in paths_in(&layer) {
            models.push(model.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    assert!(models.len() > 100, "{models:?}");
    models.retain(|model| !named.contains(model));
    let none: [&str; 0] = [];
    assert_eq!(models, none, "in no query of golden/*.slt");
}
