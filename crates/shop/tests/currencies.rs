//! A shop with several currencies: its books, in its own one, are what a naive
//! reader of its messages computes with the table of rates.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;

use common::{Reader, Tables, cents, number, options, sent, text};
use serde_json::Value;
use sluice_shop::{ShopOptions, Topic};

/// Millionths of a JSON number with six digits.
fn millionths(value: &Value) -> i64 {
    let text = format!("{value:.6}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    whole.parse::<i64>().unwrap() * 1_000_000 + format!("{fraction:0<6}").parse::<i64>().unwrap()
}

/// By currency and day.
fn rates(tables: &Tables) -> BTreeMap<(String, String), i64> {
    let rows = tables.table("currency_rate");
    let rows = rows.map(|row| {
        let key = (
            text(row, "/currency").to_owned(),
            text(row, "/day").to_owned(),
        );
        (key, millionths(&row["rate"]))
    });
    rows.collect()
}

/// Gross, paid, refunded, freight of a day, in cents of the shop's currency.
type Money = [i64; 4];

#[test]
fn the_books_are_in_the_shops_own_currency() {
    let options = ShopOptions {
        several_currencies: true,
        ..options(2.0)
    };
    let (shop, messages) = sent(options, 130);
    let (mut reader, mut tables) = (Reader::default(), Tables::default());
    let (mut late, mut mended) = (0, 0);
    for message in messages.iter().filter(|it| it.topic == Topic::ShopDb) {
        let Some(change) = reader.read(message) else {
            continue;
        };
        if text(&change, "/table") == "currency_rate" {
            mended += u64::from(text(&change, "/type") == "update");
            late += u64::from(&text(&change, "/data/create_time")[11..13] == "08");
        }
        tables.apply(&change);
    }
    assert!(late > 0 && mended > 0, "{late} late, {mended} mended");
    let rates = rates(&tables);
    assert!(rates.len() >= 12, "{rates:?}");
    // Halves up, each amount by itself.
    let worth = |order: &Value, cents: i64| match order.get("currency") {
        None => cents,
        Some(currency) => {
            let currency = currency.as_str().unwrap().to_owned();
            let day = text(order, "/create_time")[..10].to_owned();
            (cents * rates[&(currency, day)] + 500_000) / 1_000_000
        }
    };
    let orders: BTreeMap<u64, &Value> = tables
        .table("order_info")
        .map(|order| (number(order, "/id"), order))
        .collect();
    let is_counted = |order: &Value| order["is_test"] == 0;
    let mut goods: BTreeMap<u64, i64> = BTreeMap::new();
    for line in tables.table("order_detail") {
        let id = number(line, "/order_id");
        let amount = worth(orders[&id], cents(&line["split_total_amount"]));
        *goods.entry(id).or_default() += amount;
    }
    let mut days: BTreeMap<String, Money> = BTreeMap::new();
    let mut currencies: BTreeMap<String, u64> = BTreeMap::new();
    for (id, order) in orders.iter().filter(|(_, order)| is_counted(order)) {
        let day = days
            .entry(text(order, "/create_time")[..10].to_owned())
            .or_default();
        day[0] += goods[id];
        day[3] += worth(
            order,
            cents(&order["feight_fee"]) - cents(&order["feight_fee_reduce"]),
        );
        let code = text(order, "/currency").to_owned();
        *currencies.entry(code).or_default() += 1;
    }
    for payment in tables.table("payment_info") {
        let id = number(payment, "/order_id");
        if text(payment, "/payment_status") == "1602" && is_counted(orders[&id]) {
            let day = text(payment, "/callback_time")[..10].to_owned();
            days.entry(day).or_default()[1] += goods[&id];
        }
    }
    for refund in tables.table("refund_payment") {
        let order = orders[&number(refund, "/order_id")];
        if is_counted(order) {
            let day = text(refund, "/callback_time")[..10].to_owned();
            days.entry(day).or_default()[2] += worth(order, cents(&refund["total_amount"]));
        }
    }
    assert_eq!(currencies.len(), 5, "{currencies:?}");
    let found: Vec<Money> = days.into_values().collect();
    let books = shop.books().days.values();
    let books: Vec<Money> = books
        .map(|day| [day.gross, day.paid, day.refunded, day.freight])
        .collect();
    assert!(books.iter().any(|day| day[2] > 0));
    assert_eq!(found, books);
}

/// A shop with one currency tells nobody of others.
#[test]
fn one_currency_needs_no_rates() {
    let (_, messages) = sent(options(5.0), 30);
    let texts = messages.iter().map(|message| &message.payload);
    assert_eq!(texts.filter(|text| text.contains("currency")).count(), 0);
}
