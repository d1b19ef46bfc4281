//! What a full shop tells and what happens in it: every page, action and field that
//! the log of a shop may have, and everything that makes its data hard.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{HOUR_US, Reader, START_US, Tables, number, options, sent, text};
use serde_json::Value;
use sluice_shop::{Message, Shop, ShopOptions, Topic};

const DAY_MS: i64 = 86_400_000;
/// Midnight in Shanghai is so much before that in Greenwich.
const ZONE_MS: i64 = 8 * 3_600_000;

fn detailed(messages_per_second: f64) -> ShopOptions {
    ShopOptions {
        has_details: true,
        ..options(messages_per_second)
    }
}

/// The records of the log and the changes of the database that can be used, once each.
fn usable(messages: &[Message]) -> (Vec<Value>, Vec<Value>) {
    let mut reader = Reader::default();
    let (mut log, mut changes) = (Vec::new(), Vec::new());
    for message in messages {
        match (message.topic, reader.read(message)) {
            (Topic::AppLog, Some(record)) => log.push(record),
            (Topic::ShopDb, Some(change)) => changes.push(change),
            (_, None) => {}
        }
    }
    (log, changes)
}

/// Different texts at a place of records.
fn texts<'a>(records: impl Iterator<Item = &'a Value>, place: &str) -> BTreeSet<&'a str> {
    let texts = records.filter_map(|record| record.pointer(place));
    texts.filter_map(Value::as_str).collect()
}

/// All elements of a list that records have.
fn elements<'a>(log: &'a [Value], list: &'a str) -> impl Iterator<Item = &'a Value> {
    let lists = log.iter().filter_map(move |record| record[list].as_array());
    lists.flatten()
}

#[test]
fn apps_tell_all_that_a_log_may_hold() {
    let (_, messages) = sent(detailed(1.0), 72);
    let (log, _) = usable(&messages);
    let pages = [
        "activity",
        "cart",
        "category",
        "comment",
        "coupon",
        "discovery",
        "favor",
        "good_detail",
        "good_list",
        "good_spec",
        "home",
        "login",
        "mine",
        "orders_unpaid",
        "payment",
        "payment_done",
        "register",
        "search",
        "top_n",
        "trade",
    ];
    assert_eq!(texts(log.iter(), "/page/page_id"), BTreeSet::from(pages));
    assert_eq!(
        texts(log.iter(), "/page/item_type"),
        BTreeSet::from(["activity_id", "coupon_id", "keyword", "sku_id", "sku_ids"])
    );
    assert_eq!(
        texts(log.iter(), "/page/source_type"),
        BTreeSet::from(["activity", "promotion", "query", "recommend"])
    );
    let actions = [
        "cart_add",
        "cart_add_num",
        "cart_minus_num",
        "cart_remove",
        "favor_add",
        "favor_cancel",
        "get_coupon",
        "trade_add_address",
    ];
    assert_eq!(
        texts(elements(&log, "actions"), "/action_id"),
        BTreeSet::from(actions)
    );
    assert_eq!(
        texts(elements(&log, "displays"), "/display_type"),
        BTreeSet::from(["activity", "promotion", "query", "recommend"])
    );
    assert_eq!(
        texts(elements(&log, "displays"), "/item_type"),
        BTreeSet::from(["activity_id", "coupon_id", "sku_id"])
    );
    let count = |place: &str| {
        let has_it = |record: &&Value| record.pointer(place).is_some();
        log.iter().filter(has_it).count()
    };
    for place in [
        "/common/ua",
        "/page/from_pos_id",
        "/page/from_pos_seq",
        "/page/refer_id",
    ] {
        assert!(count(place) > 0, "{place}");
    }
    let numbered = |name: &str| elements(&log, "displays").any(|it| it[name].is_u64());
    assert!(numbered("order") && numbered("pos_seq"));
    // Errors come alone, in page views and in starts.
    for kinds in [[false, false], [true, false], [false, true]] {
        let is_one = |record: &&Value| {
            let found = [record["page"].is_object(), record["start"].is_object()];
            record["err"].is_object() && found == kinds
        };
        assert!(log.iter().any(|record| is_one(&record)), "{kinds:?}");
    }
    // Some apps never give their records an identity, the others always do.
    let mut identities: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for record in &log {
        let has_one = record["event_id"].is_string();
        let of_device = identities.entry(text(record, "/common/mid")).or_default();
        of_device.insert(has_one);
    }
    assert!(identities.values().all(|kinds| kinds.len() == 1));
    let without = identities.values().filter(|kinds| kinds.contains(&false));
    let share = without.count() * 1_000 / identities.len();
    assert!((30..70).contains(&share), "{share} in a thousand");
}

#[test]
fn what_starts_and_actions_tell_is_possible() {
    let (_, messages) = sent(detailed(1.0), 72);
    let (log, changes) = usable(&messages);
    let starts: Vec<&Value> = log.iter().filter(|it| it["start"].is_object()).collect();
    let of_entry = texts(starts.iter().copied(), "/start/entry");
    assert_eq!(of_entry, BTreeSet::from(["icon", "install", "notice"]));
    let mut skipped = 0;
    for start in starts {
        if start["start"]["entry"] == "install" {
            assert_eq!(start["common"]["is_new"], "1", "{start}");
        }
        let shown_ms = number(start, "/start/open_ad_ms");
        let skipped_ms = number(start, "/start/open_ad_skip_ms");
        assert!(skipped_ms <= shown_ms, "{start}");
        skipped += u64::from(skipped_ms > 0);
    }
    assert!(skipped > 0);
    // A favourite that is taken back on a page is taken back in the database then.
    let of_favors = changes
        .iter()
        .filter(|it| text(it, "/table") == "favor_info");
    let changed: BTreeSet<(String, String, u64, String)> = of_favors
        .map(|change| {
            let data = &change["data"];
            let made = text(data, "/is_cancel").to_owned();
            let (user, sku) = (data["user_id"].to_string(), data["sku_id"].to_string());
            (user, sku, number(change, "/ts"), made)
        })
        .collect();
    let (mut cancelled, mut made_again) = (0, 0);
    for record in log.iter().filter(|it| text(it, "/page/page_id") == "favor") {
        for action in record["actions"].as_array().into_iter().flatten() {
            let is_cancel = match text(action, "/action_id") {
                "favor_cancel" => "1",
                _ => "0",
            };
            let key = (
                text(record, "/common/uid").to_owned(),
                text(action, "/item").to_owned(),
                number(record, "/ts") / 1_000,
                is_cancel.to_owned(),
            );
            assert!(changed.contains(&key), "{record}");
            cancelled += u64::from(is_cancel == "1");
            made_again += u64::from(is_cancel == "0");
        }
    }
    assert!(cancelled > 0 && made_again > 0, "{cancelled} {made_again}");
}

/// What makes the data of a shop hard is in what a full one sends.
#[test]
fn everything_happens_in_a_full_shop() {
    let (shop, messages) = sent(options(0.5).with_everything(), 8 * 24);
    let mut reader = Reader::default();
    let mut tables = Tables::default();
    let mut days_of: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    let (mut bots, mut newest_ms, mut out_of_order) = (0, 0, 0);
    for message in &messages {
        let Some(value) = reader.read(message) else {
            continue;
        };
        if message.topic == Topic::ShopDb {
            tables.apply(&value);
            continue;
        }
        let ts = value["ts"].as_i64().unwrap();
        out_of_order += u64::from(ts < newest_ms);
        newest_ms = newest_ms.max(ts);
        bots += u64::from(value["common"]["is_bot"] == true);
        let sid = text(&value, "/common/sid");
        if value["page"].is_object() && !sid.is_empty() {
            let day = (ts + ZONE_MS).div_euclid(DAY_MS);
            days_of.entry(sid.to_owned()).or_default().insert(day);
        }
    }
    assert!(bots > 0 && out_of_order > 0);
    assert!(reader.dirty > 0 && reader.repeated > 0 && reader.late > 0);
    let over_midnight = days_of.values().filter(|days| days.len() > 1).count();
    assert!(over_midnight > 0);
    let orders = || tables.table("order_info");
    assert!(orders().any(|order| number(order, "/is_test") == 1));
    let currencies = texts(orders(), "/currency");
    assert_eq!(currencies, BTreeSet::from(["EUR", "HKD", "JPY", "USD"]));
    let codes = texts(tables.table("base_dic"), "/dic_code");
    for code in ["0706", "1307", "1403", "1603", "2404", "3303"] {
        assert!(codes.contains(code), "{code}");
    }
    // The shop opens on a Tuesday, the 22nd of September; the 26th is a Saturday, the
    // 28th a Monday and a day of promotion.
    let pv = |after: i64| shop.books().days[&(shop.day_of(START_US) + after)].pv;
    assert!(pv(4) * 100 > pv(0) * 110, "{} {}", pv(4), pv(0));
    assert!(pv(6) * 100 > pv(0) * 125, "{} {}", pv(6), pv(0));
}

/// A shop may be small or large; what is asked for is what comes.
#[test]
fn a_shop_has_the_size_that_was_asked_for() {
    // Visits that begin within the time, from midnight on: 0.55 of the mean hour on a
    // Tuesday, which has 0.93 of the mean day; 5.65 messages a visit.
    for (rate, time_us) in [(100_000.0, HOUR_US / 3_600), (1.0, 10 * HOUR_US)] {
        let mut shop = Shop::new(options(rate)).unwrap();
        let mut messages = Vec::new();
        shop.advance(START_US + time_us, &mut messages);
        let (log, _) = usable(&messages);
        let is_entry = |it: &&Value| it["page"].is_object() && it["page"]["last_page_id"].is_null();
        let visits = log.iter().filter(is_entry).count() as f64;
        let seconds = time_us as f64 / 1e6;
        // Ten hours of the night and the morning have 0.453 of the mean.
        let busyness = if seconds < 3_600.0 { 0.55 } else { 0.453 };
        let expected = rate * seconds * busyness * 0.93 / 5.65;
        let ratio = visits / expected;
        assert!((0.93..1.07).contains(&ratio), "{visits}, not {expected}");
    }
}
