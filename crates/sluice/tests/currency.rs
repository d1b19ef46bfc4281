//! Orders in several currencies, in the currency of the shop.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod warehouse_data;

use std::io::Write;

use serde_json::{Value, json};
use warehouse_data::two_days::{TRADE, check_audit, line, order, payment, refund};
use warehouse_data::{Transaction, Warehouse};

fn rate(day: &str, rate: &str) -> Value {
    json!({"currency": "EUR", "day": day, "rate": rate})
}

/// The rate of the day is 7.85: 10.00 € a piece, two of them less 1.01 €, and
/// 3.33 € of freight.
fn euros() -> Transaction {
    let mut of_order = order(30, 11, 1, "app", "2024-11-10 10:00:00", "22.32");
    of_order["currency"] = json!("EUR");
    of_order["feight_fee"] = json!("3.33");
    let mut of_line = line(130, 30, 1, "Cup", 2, "10.00", "18.99");
    of_line["split_coupon_amount"] = json!("1.01");
    Transaction::new(300)
        .insert("order_info", of_order)
        .insert("order_detail", of_line)
        .insert(
            "payment_info",
            payment(30, 30, "22.32", "1602", Some("2024-11-10 10:05:00")),
        )
}

fn yuan() -> Transaction {
    Transaction::new(301)
        .insert(
            "order_info",
            order(31, 12, 1, "app", "2024-11-10 11:00:00", "50.00"),
        )
        .insert("order_detail", line(131, 31, 1, "Cup", 1, "50.00", "50.00"))
}

#[test]
fn amounts_are_converted_at_the_rate_of_the_orders_day() {
    let mut warehouse = Warehouse::start_changed(|project| {
        let path = project.join("warehouse.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (off, on) = (
            "several_currencies = \"FALSE\"",
            "several_currencies = \"TRUE\"",
        );
        assert!(text.contains(off));
        let mut file = std::fs::File::create(path).unwrap();
        file.write_all(text.replace(off, on).as_bytes()).unwrap();
    });
    let mut messages = euros().messages();
    messages.extend(yuan().messages());
    warehouse.send(&[], &messages);
    // Nobody knows the rate: the order counts, its money does not, and an audit
    // names it.
    assert_eq!(
        warehouse.ask(TRADE),
        ["2024-11-10,50.00,50.00,0.00,0.00,0.00,0.00,0.00,2,2,1"]
    );
    let audit = "SELECT order_id, currency, day FROM audit_currency";
    assert_eq!(warehouse.ask(audit), ["30,EUR,2024-11-10"]);

    // 18.99 € are 149.07, 3.33 € are 26.14; the next day's rate does not matter.
    let rates = Transaction::new(302)
        .insert("currency_rate", rate("2024-11-10", "7.85"))
        .insert("currency_rate", rate("2024-11-11", "9.99"));
    warehouse.send(&[], &rates.messages());
    assert_eq!(
        warehouse.ask(TRADE),
        ["2024-11-10,199.07,50.00,0.00,149.07,0.00,149.07,26.14,2,2,1"]
    );
    let lines = "SELECT detail_id, currency, original_amount, coupon_amount, amount
        FROM dwd_trade_order_detail ORDER BY detail_id";
    assert_eq!(
        warehouse.ask(lines),
        ["130,EUR,157.00,7.93,149.07", "131,CNY,50.00,0.00,50.00"]
    );
    // A refund on the next day goes by the order's day: 5.00 € are 39.25.
    let back = refund(30, 30, 1, "5.00", Some("2024-11-11 09:00:00"));
    let back = Transaction::new(303).insert("refund_payment", back);
    warehouse.send(&[], &back.messages());
    assert_eq!(
        warehouse.ask("SELECT day, gmv_refunded FROM ads_live_day ORDER BY day"),
        ["2024-11-10,0.00", "2024-11-11,39.25"]
    );
    // The rate was wrong.
    let corrected = Transaction::new(304).update(
        "currency_rate",
        rate("2024-11-10", "8.00"),
        json!({"rate": "7.85"}),
    );
    warehouse.send(&[], &corrected.messages());
    assert_eq!(
        warehouse.ask("SELECT day, gmv_gross, gmv_refunded FROM ads_live_day ORDER BY day"),
        ["2024-11-10,201.92,0.00", "2024-11-11,0.00,40.00"]
    );
    check_audit(&warehouse);
}

#[test]
fn a_shop_with_one_currency_is_told_of_others() {
    let mut warehouse = Warehouse::start();
    warehouse.send(&[], &euros().messages());
    let audit = "SELECT order_id, currency, is_converted FROM audit_currency";
    assert_eq!(warehouse.ask(audit), ["30,EUR,false"]);
}
