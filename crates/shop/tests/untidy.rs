//! What happens in a shop of some years: names that change, coupons that come back,
//! apps that name no session, rows that no rule allows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Reader, Tables, cents, check_update, number, options, sent, text};
use serde_json::Value;
use sluice_shop::{CouponStep, Fact, Shop, ShopOptions, Topic};

const HOURS: i64 = 8 * 24;

#[test]
fn names_change_and_orders_keep_them() {
    let options = ShopOptions {
        has_renames: true,
        ..options(0.5)
    };
    let (_, messages) = sent(options, HOURS);
    let (mut reader, mut tables) = (Reader::default(), Tables::default());
    let mut renamed: BTreeMap<String, u64> = BTreeMap::new();
    let mut ordered = 0;
    for message in messages.iter().filter(|it| it.topic == Topic::ShopDb) {
        let Some(change) = reader.read(message) else {
            continue;
        };
        let before = tables.apply(&change);
        let table = text(&change, "/table").to_owned();
        if let (Some(before), "update") = (&before, text(&change, "/type")) {
            check_update(&change, before);
        }
        let old = |column: &str| change["old"].get(column).is_some();
        if ["name", "spu_name", "sku_name"]
            .iter()
            .any(|name| old(name))
        {
            *renamed.entry(table.clone()).or_default() += 1;
        }
        if table == "order_detail" {
            let sku = number(&change, "/data/sku_id");
            let goods = &tables.0["sku_info"][&sku];
            assert_eq!(goods["sku_name"], change["data"]["sku_name"]);
            ordered += u64::from(text(goods, "/sku_name").ends_with(" Neo"));
        }
    }
    let found: Vec<&str> = renamed.keys().map(String::as_str).collect();
    let expected = [
        "base_category1",
        "base_category2",
        "base_category3",
        "base_province",
        "sku_info",
        "spu_info",
    ];
    assert_eq!(found, expected, "{renamed:?}");
    assert!(ordered > 0);
}

#[test]
fn coupons_of_orders_that_came_to_nothing_are_used_again() {
    let options = ShopOptions {
        returns_coupons: true,
        ..options(0.5)
    };
    let (_, messages) = sent(options, HOURS);
    let (mut reader, mut tables) = (Reader::default(), Tables::default());
    let (mut returned, mut again) = (BTreeMap::new(), 0);
    let mut of_status: BTreeMap<String, u64> = BTreeMap::new();
    for message in messages.iter().filter(|it| it.topic == Topic::ShopDb) {
        let Some(change) = reader.read(message) else {
            continue;
        };
        let before = tables.apply(&change);
        if text(&change, "/table") != "coupon_use" {
            continue;
        }
        let id = number(&change, "/data/id");
        let Some(before) = before else {
            continue;
        };
        check_update(&change, &before);
        let steps = (
            text(&before, "/coupon_status"),
            text(&change, "/data/coupon_status"),
        );
        match steps {
            ("1401", "1402") => again += u64::from(returned.contains_key(&id)),
            ("1402", "1403") => {}
            ("1402" | "1403", "1401") => {
                for column in ["order_id", "using_time", "used_time"] {
                    assert!(change["data"][column].is_null(), "{change}");
                }
                assert_eq!(change["data"]["get_time"], before["get_time"]);
                *of_status.entry(steps.0.to_owned()).or_default() += 1;
                returned.insert(id, number(&before, "/order_id"));
            }
            _ => panic!("{change} after {before}"),
        }
    }
    assert_eq!(of_status.len(), 2, "{of_status:?}");
    assert!(again > 0, "none of {} was used again", returned.len());
    for order in returned.values() {
        let status = text(&tables.0["order_info"][order], "/order_status");
        assert!(["1003", "1006"].contains(&status), "{status}");
    }
}

/// What the shop says of coupons is what their rows say.
#[test]
fn facts_of_coupons_are_those_of_their_rows() {
    let options = ShopOptions {
        returns_coupons: true,
        ..options(0.5)
    };
    let start_us = options.start_us;
    let mut shop = Shop::new(options).unwrap();
    shop.keep_facts();
    let mut messages = Vec::new();
    shop.advance(start_us + 48 * common::HOUR_US, &mut messages);
    let mut coupons: BTreeMap<u64, (u64, u64, &str, Option<u64>)> = BTreeMap::new();
    for known in shop.take_facts() {
        if let Fact::Coupon {
            id,
            coupon,
            user,
            step,
        } = known.fact
        {
            let row = coupons.entry(id).or_insert((coupon, user, "", None));
            assert_eq!((row.0, row.1), (coupon, user));
            (row.2, row.3) = match step {
                CouponStep::Taken | CouponStep::Returned => ("1401", None),
                CouponStep::InOrder(order) => ("1402", Some(order)),
                CouponStep::Paid => ("1403", row.3),
            };
        }
    }
    let (mut reader, mut tables) = (Reader::default(), Tables::default());
    for message in messages.iter().filter(|it| it.topic == Topic::ShopDb) {
        if let Some(change) = reader.read(message) {
            tables.apply(&change);
        }
    }
    let rows = tables.table("coupon_use");
    let rows = rows.map(|row| {
        let of_order = row["order_id"].as_u64();
        let who = (number(row, "/coupon_id"), number(row, "/user_id"));
        (
            number(row, "/id"),
            (who.0, who.1, text(row, "/coupon_status"), of_order),
        )
    });
    assert_eq!(rows.collect::<BTreeMap<_, _>>(), coupons);
}

#[test]
fn some_apps_name_no_session_and_some_visitors_pause() {
    let options = ShopOptions {
        without_sid_per_mille: 100,
        ..options(1.0)
    };
    let (_, messages) = sent(options, 48);
    let mut reader = Reader::default();
    let mut sids: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    let mut pages: BTreeMap<String, Vec<(i64, bool)>> = BTreeMap::new();
    for message in messages.iter().filter(|it| it.topic == Topic::AppLog) {
        let Some(record) = reader.read(message) else {
            continue;
        };
        let mid = text(&record, "/common/mid").to_owned();
        let has_sid = record["common"]["sid"].is_string();
        sids.entry(mid.clone()).or_default().insert(has_sid);
        if record["page"].is_object() && !has_sid {
            let is_entry = record["page"]["last_page_id"].is_null();
            let ts = record["ts"].as_i64().unwrap();
            pages.entry(mid).or_default().push((ts, is_entry));
        }
    }
    // An app names its sessions always or never.
    assert!(sids.values().all(|kinds| kinds.len() == 1));
    let share = pages.len() * 1_000 / sids.len();
    assert!((70..130).contains(&share), "{share} in a thousand");
    let (mut short, mut long) = (0, 0);
    for views in pages.values_mut() {
        views.sort_unstable();
        for pair in views.windows(2).filter(|pair| !pair[1].1) {
            match pair[1].0 - pair[0].0 {
                0..1_000_000 => {}
                1_000_000..=1_800_000 => short += 1,
                _ => long += 1,
            }
        }
    }
    assert!(short > 0 && long > 0, "{short} short pauses, {long} long");
}

#[test]
fn rows_that_no_rule_allows_are_known() {
    let options = ShopOptions {
        dirty_per_mille: 0,
        dirty_changes_per_mille: 20,
        ..options(1.0)
    };
    let (shop, messages) = sent(options, 48);
    let (mut reader, mut tables) = (Reader::default(), Tables::default());
    for message in messages.iter().filter(|it| it.topic == Topic::ShopDb) {
        if let Some(change) = reader.read(message) {
            tables.apply(&change);
        }
    }
    assert!(reader.dirty > 0);
    assert_eq!(reader.dirty, shop.books().dirty);
    let orders = &tables.0["order_info"];
    let is_stray = |row: &&Value| !orders.contains_key(&number(row, "/order_id"));
    let lines = tables.table("order_detail").filter(is_stray).count();
    let payments = tables.table("payment_info").filter(is_stray).count();
    assert!(
        lines > 0 && payments > 0,
        "{lines} lines, {payments} payments"
    );
    // Orders of somebody unknown, to nowhere, for goods that the shop does not have,
    // are orders.
    let members = &tables.0["user_info"];
    let is_unknown = |order: &&Value| !members.contains_key(&number(order, "/user_id"));
    let unknown: Vec<&Value> = tables.table("order_info").filter(is_unknown).collect();
    assert!(!unknown.is_empty());
    let mut gross = 0;
    for order in &unknown {
        let province = number(order, "/province_id");
        assert!(!tables.0["base_province"].contains_key(&province));
        let mut lines = tables.table("order_detail");
        let line = lines.find(|line| line["order_id"] == order["id"]).unwrap();
        assert!(!tables.0["sku_info"].contains_key(&number(line, "/sku_id")));
        assert_eq!(order["total_amount"], line["split_total_amount"]);
        gross += cents(&order["total_amount"]);
    }
    let days = shop.books().days.values();
    let of_nobody: Vec<_> = days.filter_map(|day| day.answers.brands.get(&0)).collect();
    let counted: u64 = of_nobody.iter().map(|book| book.orders).sum();
    assert_eq!(counted, unknown.len() as u64);
    assert_eq!(of_nobody.iter().map(|book| book.gross).sum::<i64>(), gross);
}

/// A thing that is turned on changes nothing of what chance decides elsewhere.
#[test]
fn names_leave_everything_else_as_it_was() {
    let plain = sent(options(1.0), 24).0;
    let options = ShopOptions {
        has_renames: true,
        ..options(1.0)
    };
    let renamed = sent(options, 24).0;
    assert_eq!(renamed.books().days.len(), plain.books().days.len());
    let trade = |shop: &Shop| -> Vec<(i64, i64, u64, u64)> {
        let days = shop.books().days.values();
        days.map(|day| (day.gross, day.paid - day.refunded, day.orders, day.pv))
            .collect()
    };
    assert_eq!(trade(&renamed), trade(&plain));
}
