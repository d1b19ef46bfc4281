//! The shop keeps its rules, and its books tell what it sent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sluice_shop::{Message, Shop, ShopOptions, Topic};

const HOUR_US: i64 = 3_600_000_000;
/// Midnight in UTC+8.
const START_US: i64 = 1_790_006_400_000_000;

fn options(messages_per_second: f64) -> ShopOptions {
    ShopOptions {
        messages_per_second,
        devices: 2_000,
        ..ShopOptions::new(11, START_US)
    }
}

fn sent(options: ShopOptions, hours: i64) -> (Shop, Vec<Message>) {
    let mut shop = Shop::new(options).unwrap();
    let mut messages = Vec::new();
    shop.advance(START_US + hours * HOUR_US, &mut messages);
    (shop, messages)
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
        .replacen("\"version\":1", "\"version\":9", 1);
    let error = Shop::restore(foreign.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("version 9"), "{error}");
    assert!(Shop::new(options(0.0)).is_err() && Shop::new(options(f64::NAN)).is_err());
}

/// Cents of a JSON number with two digits.
fn cents(value: &Value) -> i64 {
    let text = value.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    whole.parse::<i64>().unwrap() * 100 + format!("{fraction:0<2}").parse::<i64>().unwrap()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// What a reader finds who knows nothing of the shop but its messages.
#[derive(Default)]
struct Reader {
    seen: BTreeSet<String>,
    dirty: u64,
    pages: BTreeMap<i64, u64>,
    devices: BTreeMap<i64, BTreeSet<String>>,
    sessions: BTreeSet<String>,
    /// By table and id; in the order of their changes.
    rows: BTreeMap<(String, u64), Value>,
    last_xid: u64,
}

impl Reader {
    fn read(&mut self, message: &Message) {
        let Ok(value) = serde_json::from_str::<Value>(&message.payload) else {
            self.dirty += 1;
            return;
        };
        match message.topic {
            Topic::AppLog => self.log(&value, message),
            Topic::ShopDb => self.change(&value, message),
        }
    }

    fn log(&mut self, value: &Value, message: &Message) {
        if value.get("unknown").is_some() {
            self.dirty += 1;
            return;
        }
        if !self.seen.insert(text(value, "/event_id").to_owned()) {
            return;
        }
        let ts = value["ts"].as_i64().unwrap();
        let delay_ms = message.send_time_us / 1_000 - ts;
        assert!((0..=60_000).contains(&delay_ms), "{delay_ms} ms late");
        if value.get("page").is_some() {
            let day = (ts + 8 * 3_600_000).div_euclid(86_400_000);
            *self.pages.entry(day).or_default() += 1;
            let mid = text(value, "/common/mid").to_owned();
            self.devices.entry(day).or_default().insert(mid);
            self.sessions.insert(text(value, "/common/sid").to_owned());
            for action in value["actions"].as_array().into_iter().flatten() {
                assert_eq!(action["item"], value["page"]["item"]);
            }
        }
    }

    fn change(&mut self, value: &Value, message: &Message) {
        assert_eq!(
            value["ts"].as_i64().unwrap(),
            value["ts"]
                .as_i64()
                .unwrap()
                .min(message.send_time_us / 1_000_000)
        );
        let key = (
            text(value, "/table").to_owned(),
            value["data"]["id"].as_u64().unwrap(),
        );
        if text(value, "/type") == "bootstrap-insert" {
            assert!(self.rows.insert(key, value["data"].clone()).is_none());
            return;
        }
        let xid = value["xid"].as_u64().unwrap();
        let identity = format!("{xid}/{}", value["xoffset"]);
        if !self.seen.insert(identity) {
            return;
        }
        assert!(xid >= self.last_xid, "transactions come in order");
        self.last_xid = xid;
        let before = self.rows.insert(key, value["data"].clone());
        match text(value, "/type") {
            "insert" => assert!(before.is_none() && value.get("old").is_none()),
            "update" => {
                let before = before.unwrap();
                let old = value["old"].as_object().unwrap();
                for (column, now) in value["data"].as_object().unwrap() {
                    match old.get(column) {
                        Some(then) => assert_eq!(*then, before[column], "{column}"),
                        None if column == "operate_time" => {}
                        None => assert_eq!(*now, before[column], "{column}"),
                    }
                }
            }
            other => panic!("{other}"),
        }
    }

    fn table(&self, name: &str) -> impl Iterator<Item = &Value> {
        let rows = self
            .rows
            .iter()
            .filter(move |((table, _), _)| table == name);
        rows.map(|(_, row)| row)
    }
}

#[test]
fn messages_keep_the_rules_of_a_shop_and_the_books_tell_the_same() {
    let (shop, messages) = sent(options(4.0), 60);
    assert!(messages.is_sorted_by_key(|message| message.send_time_us));
    let mut reader = Reader::default();
    for message in &messages {
        assert!(!message.payload.contains('\n'));
        reader.read(message);
    }
    let books = shop.books();
    assert_eq!(reader.dirty, books.dirty);
    assert!(books.dirty > 50 && books.duplicates > 100 && books.late > 500);

    // A few messages are still on their way when the clock stops.
    let sum = |part: fn(&sluice_shop::DayBook) -> i64| books.days.values().map(part).sum::<i64>();
    let pages: u64 = reader.pages.values().sum();
    let pv = sum(|day| day.pv as i64) as u64;
    assert!(pages <= pv && pages + 20 >= pv, "{pages} {pv}");
    let first = books.days.keys().next().unwrap();
    assert_eq!(reader.pages[first], books.days[first].pv);
    assert_eq!(reader.devices[first].len() as u64, books.days[first].uv);
    for day in books.days.values() {
        assert_eq!(
            day.pv,
            day.minutes.values().map(|minute| minute.pv).sum::<u64>()
        );
        assert_eq!(
            day.uv,
            day.minutes
                .values()
                .map(|minute| minute.uv_new_today)
                .sum::<u64>()
        );
        assert_eq!(
            day.gross,
            day.minutes.values().map(|minute| minute.gross).sum::<i64>()
        );
        assert_eq!(
            day.paid - day.refunded,
            day.minutes.values().map(|minute| minute.net).sum::<i64>()
        );
        assert_eq!(
            day.gross,
            day.provinces.values().map(|sales| sales.gross).sum::<i64>()
        );
        assert_eq!(
            day.gross,
            day.skus.values().map(|sales| sales.gross).sum::<i64>()
        );
        assert_eq!(
            day.gross,
            day.channels
                .values()
                .map(|channel| channel.gross)
                .sum::<i64>()
        );
        assert!(day.order_users <= day.orders);
    }

    let mut lines: BTreeMap<u64, i64> = BTreeMap::new();
    for line in reader.table("order_detail") {
        let total = cents(&line["order_price"]) * line["sku_num"].as_i64().unwrap()
            - cents(&line["split_activity_amount"])
            - cents(&line["split_coupon_amount"]);
        assert_eq!(total, cents(&line["split_total_amount"]));
        *lines.entry(line["order_id"].as_u64().unwrap()).or_default() += total;
    }
    let mut by_status: BTreeMap<&str, i64> = BTreeMap::new();
    for order in reader.table("order_info") {
        let goods = lines[&order["id"].as_u64().unwrap()];
        let freight = cents(&order["feight_fee"]) - cents(&order["feight_fee_reduce"]);
        assert_eq!(cents(&order["total_amount"]), goods + freight);
        *by_status.entry(text(order, "/order_status")).or_default() += goods;
    }
    assert_eq!(by_status.values().sum::<i64>(), sum(|day| day.gross));
    assert_eq!(by_status["1001"], sum(|day| day.unpaid));
    assert_eq!(by_status["1003"], sum(|day| day.cancelled));
    let paid: i64 = ["1002", "1005", "1006"]
        .iter()
        .map(|status| by_status[status])
        .sum();
    assert_eq!(paid, sum(|day| day.paid));
    let payments = reader
        .table("payment_info")
        .filter(|row| text(row, "/payment_status") == "1602");
    assert_eq!(
        payments.count() as u64,
        sum(|day| day.paid_orders as i64) as u64
    );
    let mut refunded = 0;
    for refund in reader.table("refund_payment") {
        let amount = cents(&refund["total_amount"]);
        assert!(amount <= lines[&refund["order_id"].as_u64().unwrap()]);
        refunded += amount;
    }
    assert!(refunded > 0);
    assert_eq!(refunded, sum(|day| day.refunded));
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
    assert!(
        sizes[59] < sizes[44] * 11 / 10,
        "{} {}",
        sizes[44],
        sizes[59]
    );
}
