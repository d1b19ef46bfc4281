//! The shop is the same whenever it is made, keeps the rules of a shop, and
//! does not grow without end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{HOUR_US, Reader, START_US, Tables, cents, number, options, sent, text};
use serde_json::Value;
use sluice_shop::{Shop, ShopOptions, Topic};

/// FNV-1a, so that the figure below can be computed anywhere.
fn hash(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(hash, step)
}

#[test]
fn the_first_messages_of_a_seed_are_the_same_on_every_machine() {
    let (_, messages) = sent(options(5.0), 1);
    let mut found = 0xcbf2_9ce4_8422_2325;
    for message in &messages[..8_000] {
        found = hash(found, &message.send_time_us.to_le_bytes());
        found = hash(found, message.topic.name().as_bytes());
        found = hash(found, message.payload.as_bytes());
    }
    // Changes with what the shop does, never with the machine.
    assert_eq!(found, 0xf953_ba9f_a51b_daeb, "{found:#x}");
}

#[test]
fn the_same_options_give_the_same_bytes_however_time_is_cut() {
    let (whole, expected) = sent(options(5.0), 5);
    assert!(expected.len() > 10_000, "{}", expected.len());
    let mut shop = Shop::new(options(5.0)).unwrap();
    let mut messages = Vec::new();
    let mut step_us = 1;
    while shop.now_us() < START_US + 5 * HOUR_US {
        step_us = step_us * 7 % 1_999_999_973;
        let until_us = (shop.now_us() + step_us).min(START_US + 5 * HOUR_US);
        shop.advance(until_us, &mut messages);
        if step_us % 3 == 0 {
            let saved = shop.save();
            shop = Shop::restore(&saved).unwrap();
        }
    }
    assert!(
        messages == expected,
        "cuts and restarts must change nothing"
    );
    assert_eq!(shop.books(), whole.books());
    assert_eq!(shop.sequence(), expected.len() as u64);
    let (_, other) = sent(
        ShopOptions {
            seed: 12,
            ..options(5.0)
        },
        1,
    );
    assert!(other != expected[..other.len()]);
}

#[test]
fn a_damaged_or_foreign_save_is_refused() {
    let (shop, _) = sent(options(5.0), 1);
    let saved = shop.save();
    assert!(Shop::restore(&saved[..saved.len() - 1]).is_err());
    let foreign = String::from_utf8(saved)
        .unwrap()
        .replacen("\"version\":5", "\"version\":9", 1);
    let error = Shop::restore(foreign.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("version 9"), "{error}");
    assert!(Shop::new(options(0.0)).is_err() && Shop::new(options(f64::NAN)).is_err());
}

/// Changes of a database in the form of Maxwell, checked one by one.
#[derive(Default)]
struct Changes {
    tables: Tables,
    last_xid: u64,
    next_xoffset: u64,
    is_open: bool,
}

impl Changes {
    fn read(&mut self, change: &Value) {
        let kind = text(change, "/type");
        if kind == "bootstrap-insert" {
            assert!(self.tables.apply(change).is_none());
            return;
        }
        self.position(change);
        let before = self.tables.apply(change);
        match (kind, before) {
            ("insert", None) => assert!(change.get("old").is_none()),
            ("update", Some(before)) => {
                let old = change["old"].as_object().unwrap();
                assert!(!old.is_empty());
                for (column, now) in change["data"].as_object().unwrap() {
                    let then = &before[column];
                    match old.get(column) {
                        Some(old) => assert!(old == then && then != now, "{column}: {change}"),
                        None => assert_eq!(now, then, "{column}: {change}"),
                    }
                }
            }
            ("delete", Some(before)) => assert_eq!(before, change["data"]),
            (_, before) => panic!("{change} after {before:?}"),
        }
        self.rules(change);
    }

    /// Transactions come whole, in order, with a commit at the end.
    fn position(&mut self, change: &Value) {
        let xid = number(change, "/xid");
        match self.is_open {
            true => assert_eq!(xid, self.last_xid),
            false => {
                assert!(xid > self.last_xid, "{xid} after {}", self.last_xid);
                self.next_xoffset = 0;
            }
        }
        assert_eq!(number(change, "/xoffset"), self.next_xoffset);
        self.last_xid = xid;
        self.next_xoffset += 1;
        self.is_open = change.get("commit").is_none();
    }

    fn row(&self, table: &str, id: u64) -> &Value {
        &self.tables.0[table][&id]
    }

    /// What must have happened before.
    fn rules(&self, change: &Value) {
        let data = &change["data"];
        match (text(change, "/table"), text(change, "/type")) {
            ("order_info", "insert") => {
                self.row("user_info", number(data, "/user_id"));
                self.row("base_province", number(data, "/province_id"));
            }
            ("order_detail", _) => {
                self.row("order_info", number(data, "/order_id"));
                let goods = self.row("sku_info", number(data, "/sku_id"));
                assert_eq!(goods["price"], data["order_price"], "{change}");
            }
            // Goods that lie in a cart may leave the shop.
            ("cart_info", "insert") => {
                self.row("user_info", number(data, "/user_id"));
                self.row("sku_info", number(data, "/sku_id"));
            }
            ("order_detail_activity" | "order_detail_coupon", _) => {
                let line = self.row("order_detail", number(data, "/order_detail_id"));
                assert_eq!(line["order_id"], data["order_id"]);
                assert_eq!(line["sku_id"], data["sku_id"]);
            }
            ("comment_info", _) => {
                let paid = self.row("payment_info", number(data, "/order_id"));
                assert_eq!(text(paid, "/payment_status"), "1602");
            }
            ("favor_info", "update") => {
                let is_cancelled = text(data, "/is_cancel") == "1";
                assert_eq!(is_cancelled, data["cancel_time"].is_string());
            }
            ("payment_info", "update") => {
                let order = self.row("order_info", number(data, "/order_id"));
                assert_eq!(text(order, "/order_status"), "1001");
                assert_eq!(order["total_amount"], data["total_amount"]);
                match text(data, "/payment_status") {
                    "1603" => assert!(data["callback_time"].is_null()),
                    _ => assert!(text(order, "/create_time") < text(data, "/callback_time")),
                }
            }
            ("order_refund_info" | "refund_payment", "insert") => {
                let order = number(data, "/order_id");
                let paid = self.row("payment_info", order);
                assert_eq!(text(paid, "/payment_status"), "1602");
                assert!(text(paid, "/callback_time") < text(data, "/create_time"));
            }
            _ => {}
        }
    }
}

/// A reduction is what its rule says, and of goods that it is for.
fn keep_within_rules(tables: &Tables) {
    let in_activity: BTreeSet<(u64, u64)> = tables
        .table("activity_sku")
        .map(|row| (number(row, "/activity_id"), number(row, "/sku_id")))
        .collect();
    let mut activities: BTreeMap<(u64, u64), Vec<&Value>> = BTreeMap::new();
    for reduced in tables.table("order_detail_activity") {
        let activity = number(reduced, "/activity_id");
        assert!(in_activity.contains(&(activity, number(reduced, "/sku_id"))));
        let key = (number(reduced, "/order_id"), activity);
        activities.entry(key).or_default().push(reduced);
    }
    let line_of =
        |reduced: &&Value| &tables.0["order_detail"][&number(reduced, "/order_detail_id")];
    let mut kinds = BTreeSet::new();
    for ((_, activity), reduced) in activities {
        let rule = &tables.0["activity_rule"][&activity];
        let lines: Vec<&Value> = reduced.iter().map(line_of).collect();
        let original =
            |line: &&Value| cents(&line["order_price"]) * line["sku_num"].as_i64().unwrap();
        let amount: i64 = lines.iter().map(original).sum();
        let off = |line: &&Value| cents(&line["split_activity_amount"]);
        let pieces: i64 = lines
            .iter()
            .map(|line| line["sku_num"].as_i64().unwrap())
            .sum();
        kinds.insert(text(rule, "/activity_type"));
        match text(rule, "/activity_type") {
            "3101" => {
                assert!(amount >= cents(&rule["condition_amount"]), "{rule}");
                let whole: i64 = lines.iter().map(off).sum();
                assert_eq!(whole, cents(&rule["benefit_amount"]));
            }
            kind => {
                assert!(kind == "3102" || pieces >= rule["condition_num"].as_i64().unwrap());
                for line in &lines {
                    let share = original(line) * cents(&rule["benefit_discount"]) / 10_000;
                    assert_eq!(off(line), share, "{line}");
                }
            }
        }
    }
    assert_eq!(kinds, BTreeSet::from(["3101", "3102", "3103"]));
    let mut ranges = BTreeSet::new();
    for reduced in tables.table("order_detail_coupon") {
        let used = &tables.0["coupon_use"][&number(reduced, "/coupon_use_id")];
        assert_eq!(used["order_id"], reduced["order_id"]);
        assert_eq!(used["coupon_id"], reduced["coupon_id"]);
        assert!(text(used, "/get_time") <= text(used, "/using_time"));
        ranges.insert(number(reduced, "/coupon_id"));
    }
    assert_eq!(ranges, BTreeSet::from([1, 2, 3]));
    // Some were taken before they were used.
    let kept =
        |used: &&Value| used["using_time"].is_string() && used["get_time"] != used["using_time"];
    assert!(tables.table("coupon_use").filter(kept).count() > 0);
}

#[test]
fn messages_keep_the_rules_of_a_shop() {
    let (_, messages) = sent(options(1.5), 60);
    assert!(messages.is_sorted_by_key(|message| message.send_time_us));
    let mut reader = Reader::default();
    let mut changes = Changes::default();
    for message in &messages {
        assert!(!message.payload.contains('\n') && message.payload.len() < 2_000);
        let Some(value) = reader.read(message) else {
            continue;
        };
        match message.topic {
            Topic::ShopDb => changes.read(&value),
            Topic::AppLog => {
                let delay_ms = message.send_time_us / 1_000 - value["ts"].as_i64().unwrap();
                assert!((0..=60_000).contains(&delay_ms), "{delay_ms} ms late");
                for action in value["actions"].as_array().into_iter().flatten() {
                    if action["item_type"] == "sku_id" {
                        assert_eq!(action["item"], value["page"]["item"]);
                    }
                }
            }
        }
    }
    assert!(!changes.is_open);

    let tables = &changes.tables;
    let mut lines: BTreeMap<u64, i64> = BTreeMap::new();
    for line in tables.table("order_detail") {
        let total = cents(&line["order_price"]) * line["sku_num"].as_i64().unwrap()
            - cents(&line["split_activity_amount"])
            - cents(&line["split_coupon_amount"]);
        assert_eq!(total, cents(&line["split_total_amount"]));
        assert!(total > 0);
        *lines.entry(number(line, "/order_id")).or_default() += total;
    }
    let mut statuses: BTreeMap<&str, u64> = BTreeMap::new();
    for order in tables.table("order_info") {
        let goods = lines[&number(order, "/id")];
        let freight = cents(&order["feight_fee"]) - cents(&order["feight_fee_reduce"]);
        assert_eq!(cents(&order["total_amount"]), goods + freight);
        assert!(freight >= 0);
        *statuses.entry(text(order, "/order_status")).or_default() += 1;
    }
    let found: Vec<&str> = statuses.keys().copied().collect();
    assert_eq!(found, ["1001", "1002", "1003", "1004", "1005", "1006"]);
    let mut refunds: BTreeMap<u64, i64> = BTreeMap::new();
    for refund in tables.table("refund_payment") {
        *refunds.entry(number(refund, "/order_id")).or_default() += cents(&refund["total_amount"]);
    }
    assert!(!refunds.is_empty());
    keep_within_rules(tables);
    // Some were cancelled after they were paid, and everything went back.
    let revoked = tables.table("order_info").filter(|order| {
        text(order, "/order_status") == "1003" && refunds.contains_key(&number(order, "/id"))
    });
    let revoked: Vec<u64> = revoked.map(|order| number(order, "/id")).collect();
    assert!(!revoked.is_empty());
    assert!(revoked.iter().all(|id| refunds[id] == lines[id]));
    let requests: BTreeSet<&str> = tables
        .table("order_refund_info")
        .map(|request| text(request, "/refund_status"))
        .collect();
    assert_eq!(requests, BTreeSet::from(["0701", "0703", "0705"]));
    assert!(
        refunds
            .iter()
            .all(|(order, amount)| amount <= &lines[order])
    );
    let ordered = |row: &&Value| number(row, "/is_ordered") == 1;
    let carts = tables.table("cart_info").filter(ordered).count();
    let goods_of = |line: &Value| (number(line, "/order_id"), number(line, "/sku_id"));
    let lines = tables.table("order_detail");
    let goods: BTreeSet<(u64, u64)> = lines.map(goods_of).collect();
    assert_eq!(carts, goods.len());
    // Some goods took two lines of an order, some orders two refunds.
    assert!(goods.len() < tables.table("order_detail").count());
    let refunded = tables.table("refund_payment");
    let refunded: BTreeSet<u64> = refunded.map(|it| number(it, "/order_id")).collect();
    assert!(refunded.len() < tables.table("refund_payment").count());
    let mut coupons = BTreeMap::new();
    for used in tables.table("coupon_use") {
        let status = text(used, "/coupon_status").to_owned();
        *coupons.entry(status).or_insert(0) += 1;
    }
    let found: Vec<&str> = coupons.keys().map(String::as_str).collect();
    assert_eq!(found, ["1401", "1402", "1403"], "{coupons:?}");
    let reduced = |line: &&Value| cents(&line["split_activity_amount"]) > 0;
    let reduced = tables.table("order_detail").filter(reduced).count();
    assert_eq!(tables.table("order_detail_activity").count(), reduced);
    assert!(
        tables
            .table("favor_info")
            .any(|favor| text(favor, "/is_cancel") == "1")
    );
    assert!(tables.table("comment_info").count() > 10);
    let changed = |row: &&Value| row["create_time"] != row["operate_time"];
    assert!(tables.table("sku_info").filter(changed).count() > 20);
}

#[test]
fn a_day_has_the_wanted_rate_and_mix() {
    let (shop, messages) = sent(options(4.0), 24);
    let rate = messages.len() as f64 / 86_400.0;
    assert!((3.6..4.4).contains(&rate), "{rate} messages a second");
    let day = shop.books().days.values().next().unwrap();
    let views = day.pv / day.orders;
    assert!((55..85).contains(&views), "{views} page views an order");
    let of_log = messages.iter().filter(|one| one.topic == Topic::AppLog);
    let sizes: Vec<usize> = of_log.map(|one| one.payload.len()).collect();
    let size = sizes.iter().sum::<usize>() / sizes.len();
    assert!((300..700).contains(&size), "{size} bytes a record");
    // Half past four in the morning against nine in the evening.
    let pages = |from: u32| -> u64 { day.minutes.range(from..from + 60).map(|(_, m)| m.pv).sum() };
    assert!(pages(4 * 60) * 5 < pages(21 * 60));
}

#[test]
fn the_rate_changes_while_the_shop_works() {
    let mut shop = Shop::new(options(10.0)).unwrap();
    let mut counts = Vec::new();
    for rate in [10.0, 1_000.0, 1.0] {
        shop.set_rate(rate);
        // The visits of before come to their end first.
        let mut messages = Vec::new();
        shop.advance(shop.now_us() + HOUR_US / 2, &mut messages);
        messages.clear();
        shop.advance(shop.now_us() + HOUR_US / 6, &mut messages);
        counts.push(messages.len());
    }
    assert!(counts[1] > counts[0] * 30, "{counts:?}");
    assert!(counts[2] < counts[0], "{counts:?}");
}

#[test]
fn state_stays_bounded() {
    let mut shop = Shop::new(options(0.5)).unwrap();
    let mut messages = Vec::new();
    let mut sizes = Vec::new();
    for day in 1..=60 {
        messages.clear();
        shop.advance(START_US + day * 24 * HOUR_US, &mut messages);
        sizes.push(shop.save().len());
    }
    assert_eq!(shop.books().days.len(), 40);
    let with_minutes = |day: &&sluice_shop::DayBook| !day.minutes.is_empty();
    assert_eq!(shop.books().days.values().filter(with_minutes).count(), 8);
    assert!(
        sizes[59] < sizes[44] * 11 / 10,
        "{} {}",
        sizes[44],
        sizes[59]
    );
}

#[test]
fn goods_members_and_devices_change() {
    let (_, messages) = sent(options(1.5), 10 * 24);
    let mut reader = Reader::default();
    let mut apps: BTreeMap<String, String> = BTreeMap::new();
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let mut count = |kind| *kinds.entry(kind).or_default() += 1;
    let mut gone = BTreeSet::new();
    for message in &messages {
        let Some(value) = reader.read(message) else {
            continue;
        };
        if message.topic == Topic::AppLog {
            let (sid, app) = (text(&value, "/common/sid"), text(&value, "/common/vc"));
            let before = apps.insert(sid.to_owned(), app.to_owned());
            if before.is_some_and(|before| *before < *app) {
                count("upgrade in mid-session");
            }
            let users = users
                .entry(text(&value, "/common/mid").to_owned())
                .or_default();
            let user = text(&value, "/common/uid");
            if !user.is_empty() && users.insert(user.to_owned()) && users.len() == 2 {
                count("shared device");
            }
            continue;
        }
        let id = value.pointer("/data/id").and_then(Value::as_u64);
        let is_old = |column: &str| value["old"].get(column).is_some();
        match (text(&value, "/table"), text(&value, "/type")) {
            ("sku_info", "delete") => {
                count("goods left");
                gone.insert(id);
            }
            ("sku_info", "insert") => {
                assert!(gone.remove(&id), "{value}");
                count("goods came back");
            }
            ("sku_info", "update") if is_old("price") => count("price"),
            ("sku_info", "update") if is_old("tm_id") => count("brand"),
            ("sku_info", "update") if is_old("category3_id") => count("category"),
            ("base_trademark", "update") => count("brand renamed"),
            ("user_info", "update") if is_old("user_level") => count("level"),
            ("cart_info", "delete") => count("taken out of the cart"),
            ("order_detail", "insert") => {
                let sku = value.pointer("/data/sku_id").and_then(Value::as_u64);
                assert!(!gone.contains(&sku), "{value}");
            }
            _ => {}
        }
    }
    let found: Vec<&str> = kinds.keys().copied().collect();
    let expected = [
        "brand",
        "brand renamed",
        "category",
        "goods came back",
        "goods left",
        "level",
        "price",
        "shared device",
        "taken out of the cart",
        "upgrade in mid-session",
    ];
    assert_eq!(found, expected, "{kinds:?}");
}
