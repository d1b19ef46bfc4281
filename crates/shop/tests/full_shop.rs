//! What a shop tells when all is asked for: every step of a request for money back,
//! and every column of the contract.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Reader, Tables, check_update, number, options, sent, text};
use serde_json::Value;
use sluice_shop::database::TABLES;
use sluice_shop::{Message, ShopOptions, Topic};

const HOURS: i64 = 8 * 24;

/// Changes of the database, once each, with the row before each of them.
fn changes(messages: &[Message]) -> Vec<(Value, Option<Value>)> {
    let (mut reader, mut tables) = (Reader::default(), Tables::default());
    let of_database = messages.iter().filter(|it| it.topic == Topic::ShopDb);
    let usable = of_database.filter_map(|message| reader.read(message));
    let usable: Vec<Value> = usable.collect();
    usable
        .into_iter()
        .map(|change| {
            let before = tables.apply(&change);
            (change, before)
        })
        .collect()
}

/// What a request and its payment went through.
#[derive(Default)]
struct Way {
    kind: String,
    of_request: Vec<String>,
    of_payment: Vec<String>,
    times: Vec<String>,
}

#[test]
fn requests_for_money_back_go_through_all_their_steps() {
    let options = ShopOptions {
        has_refund_steps: true,
        ..options(2.0)
    };
    let (_, messages) = sent(options, HOURS);
    let mut ways: BTreeMap<u64, Way> = BTreeMap::new();
    for (change, before) in changes(&messages) {
        let (data, status) = (&change["data"], text(&change, "/data/refund_status"));
        if let (Some(before), "update") = (&before, text(&change, "/type")) {
            check_update(&change, before);
        }
        match text(&change, "/table") {
            "order_refund_info" => {
                let way = ways.entry(number(data, "/id")).or_default();
                way.kind = text(data, "/refund_type").to_owned();
                way.of_request.push(status.to_owned());
                way.times.push(text(data, "/operate_time").to_owned());
            }
            "refund_payment" => {
                let way = ways.entry(number(data, "/id")).or_default();
                way.of_payment.push(status.to_owned());
                // Only money that went back has a time, and that is now.
                match status {
                    "0705" => assert_eq!(data["callback_time"], data["operate_time"]),
                    _ => assert!(data["callback_time"].is_null(), "{change}"),
                }
            }
            _ => {}
        }
    }
    let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (id, way) in &ways {
        // An order that was paid and then cancelled has refunds that nobody asked for.
        if way.of_request.is_empty() {
            assert_eq!(way.of_payment, ["0705"], "{id}");
            continue;
        }
        assert!(way.times.is_sorted(), "{id}: {:?}", way.times);
        let is_under_way = matches!(
            way.of_request.last().unwrap().as_str(),
            "0701" | "0702" | "0704"
        );
        if !is_under_way {
            let steps = (way.of_request.join(" "), way.of_payment.join(" "));
            let key = (format!("{} {}", way.kind, steps.0), steps.1);
            *found.entry(key).or_default() += 1;
        }
    }
    let keys = found.keys();
    let keys: Vec<(&str, &str)> = keys.map(|(way, paid)| (&**way, &**paid)).collect();
    let expected = [
        ("1501 0701 0702 0705", "0702 0705"),
        ("1501 0701 0702 0706", "0702 0706"),
        ("1501 0701 0703", ""),
        ("1502 0701 0702 0704 0705", "0704 0705"),
        ("1502 0701 0702 0706", ""),
        ("1502 0701 0703", ""),
    ];
    assert_eq!(keys, expected, "{found:?}");
}

/// Every column of the contract has a value somewhere.
#[test]
fn every_column_of_the_contract_is_written() {
    let (_, messages) = sent(options(0.5).with_everything(), HOURS);
    let mut written: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (change, _) in changes(&messages) {
        let columns = written.entry(text(&change, "/table").to_owned());
        let data = change["data"].as_object().unwrap();
        let with_values = data.iter().filter(|(_, value)| !value.is_null());
        let names = with_values.map(|(name, _)| name.clone());
        columns.or_default().extend(names);
    }
    for (table, columns) in TABLES {
        let names = columns.split(", ").map(|it| it.split(' ').next().unwrap());
        let names: BTreeSet<&str> = names.chain(["create_time", "operate_time"]).collect();
        let found: BTreeSet<&str> = written[*table].iter().map(String::as_str).collect();
        assert_eq!(found, names, "{table}");
    }
}

#[test]
fn columns_that_no_number_needs_tell_what_happens() {
    let options = ShopOptions {
        has_all_columns: true,
        ..options(0.5)
    };
    let (_, messages) = sent(options, HOURS);
    let (mut taken, mut counted): (BTreeMap<u64, u64>, BTreeMap<u64, u64>) = Default::default();
    let (mut arrived, mut own, mut presents) = (0, 0, 0);
    let mut phones: BTreeMap<u64, String> = BTreeMap::new();
    for (change, before) in changes(&messages) {
        let data = &change["data"];
        if let (Some(before), "update") = (&before, text(&change, "/type")) {
            check_update(&change, before);
        }
        match (text(&change, "/table"), text(&change, "/type")) {
            ("coupon_use", "insert") => {
                *taken.entry(number(data, "/coupon_id")).or_default() += 1;
                assert!(text(data, "/get_time") < text(data, "/expire_time"));
            }
            ("coupon_info", "update") => {
                let id = number(data, "/id");
                counted.insert(id, number(data, "/taken_count"));
                assert_eq!(counted[&id], taken[&id], "{change}");
            }
            ("user_info", _) => {
                let phone = text(data, "/phone_num").to_owned();
                phones.insert(number(data, "/id"), phone);
            }
            ("order_info", kind) => {
                // Only who has the goods can give them back.
                let has_them = text(data, "/order_status") == "1004";
                assert_eq!(data["refundable_time"].is_string(), has_them, "{change}");
                arrived += u64::from(has_them);
                if kind == "insert" {
                    assert!(text(data, "/create_time") < text(data, "/expire_time"));
                    let is_own = text(data, "/consignee_tel") == phones[&number(data, "/user_id")];
                    own += u64::from(is_own);
                    presents += u64::from(!is_own);
                }
            }
            _ => {}
        }
    }
    assert_eq!(counted, taken);
    assert!(taken.len() == 3 && arrived > 0, "{taken:?} {arrived}");
    assert!(presents > 0 && own > presents, "{own} {presents}");
}

/// What rows say beside changes nothing of what happens.
#[test]
fn columns_leave_everything_else_as_it_was() {
    let plain = sent(options(1.0), 24).0;
    let full = sent(
        ShopOptions {
            has_all_columns: true,
            ..options(1.0)
        },
        24,
    )
    .0;
    assert_eq!(full.books().days, plain.books().days);
}
