//! What the tests share: shops, and a reader of messages that knows nothing of
//! the shop's insides.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sluice_shop::{Message, Shop, ShopOptions, Topic};

pub const HOUR_US: i64 = 3_600_000_000;
/// Midnight in UTC+8.
pub const START_US: i64 = 1_790_006_400_000_000;

pub fn options(messages_per_second: f64) -> ShopOptions {
    ShopOptions {
        messages_per_second,
        devices: 2_000,
        ..ShopOptions::new(11, START_US)
    }
}

pub fn sent(options: ShopOptions, hours: i64) -> (Shop, Vec<Message>) {
    let start_us = options.start_us;
    let mut shop = Shop::new(options).unwrap();
    let mut messages = Vec::new();
    shop.advance(start_us + hours * HOUR_US, &mut messages);
    (shop, messages)
}

/// Cents of a JSON number with two digits.
pub fn cents(value: &Value) -> i64 {
    let text = value.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    whole.parse::<i64>().unwrap() * 100 + format!("{fraction:0<2}").parse::<i64>().unwrap()
}

pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

pub fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap()
}

/// Parses messages, and leaves out what is broken or came before.
#[derive(Default)]
pub struct Reader {
    seen: BTreeSet<String>,
    pub dirty: u64,
    pub repeated: u64,
    pub late: u64,
}

impl Reader {
    pub fn read(&mut self, message: &Message) -> Option<Value> {
        let parsed = serde_json::from_str::<Value>(&message.payload);
        let usable = parsed.ok().filter(|value| match message.topic {
            Topic::ShopDb => is_possible(value),
            Topic::AppLog => is_usable(value),
        });
        let Some(value) = usable else {
            self.dirty += 1;
            return None;
        };
        let identity = match (message.topic, text(&value, "/type")) {
            (Topic::AppLog, _) => identity_of(&value),
            (_, "bootstrap-insert") => return Some(value),
            _ => format!("{}/{}", value["xid"], value["xoffset"]),
        };
        if !self.seen.insert(identity) {
            self.repeated += 1;
            return None;
        }
        if message.topic == Topic::AppLog {
            let delay_ms = message.send_time_us / 1_000 - value["ts"].as_i64().unwrap();
            self.late += u64::from(delay_ms > 0);
        }
        Some(value)
    }
}

/// What tells a record of the log from all others: its own identity, or else device,
/// session, time, kind, page and what that is about.
fn identity_of(record: &Value) -> String {
    let own = text(record, "/event_id");
    if !own.is_empty() {
        return own.to_owned();
    }
    let kind = ["page", "start", "err"]
        .into_iter()
        .find(|kind| record[kind].is_object());
    let common = |name: &str| record["common"][name].to_string();
    [
        common("mid"),
        common("sid"),
        record["ts"].to_string(),
        kind.unwrap_or_default().to_owned(),
        record["page"]["page_id"].to_string(),
        record["page"]["item"].to_string(),
    ]
    .join("/")
}

/// Whether a row has no number below zero, which nothing in a shop is.
fn is_possible(change: &Value) -> bool {
    let row = change["data"].as_object().unwrap();
    let mut numbers = row.values().filter_map(Value::as_f64);
    numbers.all(|number| number >= 0.0)
}

/// Whether a record of the log has a known kind and fields of the right types.
fn is_usable(value: &Value) -> bool {
    let has_kind = ["page", "start", "err"].map(|kind| value[kind].is_object());
    has_kind.contains(&true) && value["ts"].is_i64() && value["common"]["mid"].is_string()
}

/// An update tells what changed, all of it, and nothing else.
pub fn check_update(change: &Value, before: &Value) {
    let old = change["old"].as_object().unwrap();
    assert!(!old.is_empty(), "{change}");
    for (column, now) in change["data"].as_object().unwrap() {
        let then = &before[column];
        match old.get(column) {
            Some(old) => assert!(old == then && then != now, "{column}: {change}"),
            None => assert_eq!(now, then, "{column}: {change}"),
        }
    }
}

/// The tables of the shop's database as they stand now.
#[derive(Default)]
pub struct Tables(pub BTreeMap<String, BTreeMap<u64, Value>>);

impl Tables {
    /// Applies a change, and returns the row before it.
    pub fn apply(&mut self, change: &Value) -> Option<Value> {
        let table = self.0.entry(text(change, "/table").to_owned()).or_default();
        // The key of the dictionary is a code, that of a rate its currency and day.
        let id = match (
            change.pointer("/data/dic_code"),
            change.pointer("/data/day"),
        ) {
            (Some(code), _) => code.as_str().unwrap().parse().unwrap(),
            (None, Some(day)) => {
                let digits = day.as_str().unwrap().replace('-', "");
                let currency = text(change, "/data/currency");
                let letters = currency.bytes().map(u64::from);
                letters.fold(digits.parse().unwrap(), |id, letter| id * 256 + letter)
            }
            (None, None) => number(change, "/data/id"),
        };
        match text(change, "/type") {
            "delete" => table.remove(&id),
            _ => table.insert(id, change["data"].clone()),
        }
    }

    pub fn table(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.0.get(name).into_iter().flat_map(BTreeMap::values)
    }
}
