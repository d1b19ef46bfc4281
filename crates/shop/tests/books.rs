//! The books tell what was sent: a naive reader of the messages makes books of
//! its own, and finds the same numbers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Reader, START_US, Tables, cents, number, options, sent, text};
use serde_json::Value;
use sluice_shop::{DayBook, Message, ShopOptions, Topic};

/// Day number and minute of a naive local time.
fn day_and_minute(local: &str) -> (i64, u32) {
    let part = |from: usize, to: usize| local[from..to].parse::<i64>().unwrap();
    // Days of the civil calendar, counted one year and month at a time.
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut day = part(8, 10) - 1;
    for year in 1970..part(0, 4) {
        day += if is_leap(year) { 366 } else { 365 };
    }
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for month in 1..part(5, 7) {
        day += lengths[month as usize - 1] + i64::from(month == 2 && is_leap(part(0, 4)));
    }
    (day, (part(11, 13) * 60 + part(14, 16)) as u32)
}

/// Books by day, from messages alone.
fn books_of(messages: &[Message]) -> BTreeMap<i64, DayBook> {
    let mut reader = Reader::default();
    let mut tables = Tables::default();
    let mut pages = Vec::new();
    for message in messages {
        match (message.topic, reader.read(message)) {
            (Topic::AppLog, Some(value))
                if value["page"].is_object() && value["common"]["is_bot"].is_null() =>
            {
                pages.push(value);
            }
            (Topic::ShopDb, Some(value)) => {
                tables.apply(&value);
            }
            _ => {}
        }
    }
    // Late records are read where they belong.
    pages.sort_by_key(|page| page["ts"].as_i64());
    let mut days = BTreeMap::new();
    count_pages(&pages, &mut days);
    count_trade(&tables, &mut days);
    days
}

fn count_pages(pages: &[Value], days: &mut BTreeMap<i64, DayBook>) {
    let mut devices = BTreeSet::new();
    let mut devices_of_channels = BTreeSet::new();
    let mut sessions = BTreeSet::new();
    // Of devices that name no session: when the last one began, and its last page.
    let mut unnamed: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for page in pages {
        let local_ms = page["ts"].as_i64().unwrap() + 8 * 3_600_000;
        let day = local_ms.div_euclid(86_400_000);
        let minute = (local_ms.rem_euclid(86_400_000) / 60_000) as u32;
        let book = days.entry(day).or_default();
        let (mid, channel) = (text(page, "/common/mid"), text(page, "/common/ch"));
        let is_new_device = u64::from(devices.insert((day, mid)));
        let minute = book.minutes.entry(minute).or_default();
        minute.pv += 1;
        minute.uv_new_today += is_new_device;
        book.pv += 1;
        book.uv += is_new_device;
        let session = match text(page, "/common/sid") {
            "" => {
                let ts = page["ts"].as_i64().unwrap();
                let (begun, last) = unnamed.entry(mid).or_insert((ts, ts));
                if page["page"]["last_page_id"].is_null() || ts - *last > 30 * 60_000 {
                    *begun = ts;
                }
                *last = ts;
                format!("{mid} {begun}")
            }
            sid => sid.to_owned(),
        };
        book.sessions += u64::from(sessions.insert(session));
        let of_channel = book.channels.entry(channel.to_owned()).or_default();
        of_channel.pv += 1;
        of_channel.uv += u64::from(devices_of_channels.insert((day, channel, mid)));
    }
}

fn count_trade(tables: &Tables, days: &mut BTreeMap<i64, DayBook>) {
    let mut lines_of: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for line in tables.table("order_detail") {
        let order = number(line, "/order_id");
        lines_of.entry(order).or_default().push(line);
    }
    let goods_of = |order: u64| -> i64 {
        let amounts = lines_of[&order].iter();
        amounts.map(|line| cents(&line["split_total_amount"])).sum()
    };
    let orders = tables.table("order_info");
    let of_tests = orders.filter(|order| number(order, "/is_test") == 1);
    let of_tests: BTreeSet<u64> = of_tests.map(|order| number(order, "/id")).collect();
    let orders = tables.table("order_info");
    let orders: BTreeSet<u64> = orders.map(|order| number(order, "/id")).collect();
    let mut paid = BTreeSet::new();
    for payment in tables.table("payment_info") {
        if text(payment, "/payment_status") == "1602" {
            let order = number(payment, "/order_id");
            if of_tests.contains(&order) || !orders.contains(&order) {
                continue;
            }
            assert!(paid.insert(order), "order {order} is paid once");
            let (day, minute) = day_and_minute(text(payment, "/callback_time"));
            let book = days.entry(day).or_default();
            let minute = book.minutes.entry(minute).or_default();
            book.paid += goods_of(order);
            book.paid_orders += 1;
            minute.net += goods_of(order);
            minute.paid_orders += 1;
        }
    }
    for refund in tables.table("refund_payment") {
        let is_paid = text(refund, "/refund_status") == "0705";
        if !is_paid || of_tests.contains(&number(refund, "/order_id")) {
            continue;
        }
        let (day, minute) = day_and_minute(text(refund, "/callback_time"));
        let book = days.entry(day).or_default();
        let amount = cents(&refund["total_amount"]);
        book.refunded += amount;
        book.minutes.entry(minute).or_default().net -= amount;
    }
    let mut buyers = BTreeSet::new();
    for order in tables.table("order_info") {
        let id = number(order, "/id");
        if of_tests.contains(&id) {
            continue;
        }
        let goods = goods_of(id);
        let (day, minute) = day_and_minute(text(order, "/create_time"));
        let book = days.entry(day).or_default();
        book.gross += goods;
        book.orders += 1;
        book.order_users += u64::from(buyers.insert((day, number(order, "/user_id"))));
        book.freight += cents(&order["feight_fee"]) - cents(&order["feight_fee_reduce"]);
        match (paid.contains(&id), text(order, "/order_status")) {
            (true, _) => {}
            (false, "1003") => book.cancelled += goods,
            (false, _) => book.unpaid += goods,
        }
        let minute = book.minutes.entry(minute).or_default();
        minute.gross += goods;
        minute.orders += 1;
        let channel = text(order, "/channel").to_owned();
        let channel = book.channels.entry(channel).or_default();
        channel.orders += 1;
        channel.gross += goods;
        let mut pieces = 0;
        let mut skus = BTreeSet::new();
        for line in &lines_of[&id] {
            let sku = number(line, "/sku_id");
            let of_sku = book.skus.entry(sku).or_default();
            of_sku.orders += u64::from(skus.insert(sku));
            of_sku.pieces += number(line, "/sku_num");
            of_sku.gross += cents(&line["split_total_amount"]);
            pieces += number(line, "/sku_num");
        }
        let province = number(order, "/province_id");
        let province = book.provinces.entry(province).or_default();
        province.orders += 1;
        province.pieces += pieces;
        province.gross += goods;
    }
}

#[test]
fn a_reader_of_the_messages_finds_the_same_books() {
    for (seed, is_tidy) in [(1, true), (2, true), (3, true), (4, false)] {
        let options = match is_tidy {
            true => options(0.8),
            // Amounts are compared as they stand in the rows.
            false => ShopOptions {
                several_currencies: false,
                ..options(0.8).with_everything()
            },
        };
        let options = ShopOptions { seed, ..options };
        let (shop, messages) = sent(options, 3 * 24 + 5);
        let expected = books_of(&messages);
        let found = &shop.books().days;
        assert_eq!(found.len(), 4);
        let last = shop.day_of(shop.now_us());
        for (day, expected) in &expected {
            let found = &found[day];
            // Records of the log may still be under way when the clock stops,
            // changes of the database are not.
            if *day != last {
                // The answers are compared with those of the warehouse.
                let found = &DayBook {
                    answers: Default::default(),
                    ..found.clone()
                };
                assert_eq!(found, expected, "seed {seed}, day {day}");
                assert!(found.refunded > 0 || *day == shop.day_of(START_US));
            }
            let trade = |book: &DayBook| {
                let money = [
                    book.gross,
                    book.unpaid,
                    book.cancelled,
                    book.paid,
                    book.refunded,
                    book.freight,
                ];
                let counts = [book.orders, book.order_users, book.paid_orders];
                (money, counts, book.provinces.clone(), book.skus.clone())
            };
            assert_eq!(trade(found), trade(expected), "seed {seed}, day {day}");
        }
    }
}

#[test]
fn what_was_broken_repeated_or_late_is_counted() {
    let (shop, messages) = sent(options(3.0), 24);
    let mut reader = Reader::default();
    for message in &messages {
        reader.read(message);
    }
    let books = shop.books();
    assert_eq!(reader.dirty, books.dirty);
    // A few are still on their way when the clock stops. A late record whose
    // repetition overtakes it is the repetition then.
    let is_near = |found: u64, counted: u64| found <= counted && found + 30 >= counted;
    assert!(
        is_near(reader.repeated, books.duplicates),
        "{} {}",
        reader.repeated,
        books.duplicates
    );
    assert!(
        is_near(reader.late, books.late),
        "{} {}",
        reader.late,
        books.late
    );
    let of_log = |message: &&Message| message.topic == Topic::AppLog;
    let records = messages.iter().filter(of_log).count() as u64;
    let options = shop.options();
    for (counted, total, per_mille) in [
        (books.dirty, records, options.dirty_per_mille),
        (books.late, records, options.late_per_mille),
        (
            books.duplicates,
            messages.len() as u64,
            options.duplicate_per_mille,
        ),
    ] {
        let expected = total * per_mille / 1_000;
        assert!(
            counted * 100 > expected * 85 && counted * 100 < expected * 115,
            "{counted} of {total}, expected {expected}"
        );
    }
}
