//! What the demo shop's books say of untidy shops, for a few records that a person
//! can count: apps that name no session, provinces that get another name or are in
//! no table, rows that no rule allows, coupons that come back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod warehouse_data;

use serde_json::{Value, json};
use warehouse_data::two_days::{check_audit, line, order, payment};
use warehouse_data::{Transaction, Warehouse, at};

/// A page view of an app that names no session.
fn view(id: &str, mid: &str, ts_ms: i64, page: &str, last_page: Option<&str>) -> Value {
    let mut record = json!({
        "event_id": id, "ts": ts_ms, "page": {"page_id": page, "during_time": 1_000},
        "common": {"mid": mid, "ch": "app", "vc": "1.0", "ar": "1", "is_new": "1"},
    });
    if let Some(last_page) = last_page {
        record["page"]["last_page_id"] = json!(last_page);
    }
    record
}

#[test]
fn pages_without_a_session_belong_to_the_last_entry_or_pause() {
    let mut warehouse = Warehouse::start();
    let mut named = view("e9", "m4", at(0, 9, 0, 0), "home", None);
    let mut named_later = view("e10", "m4", at(0, 11, 0, 0), "cart", Some("home"));
    for record in [&mut named, &mut named_later] {
        record["common"]["sid"] = json!("s1");
    }
    let records = [
        // Thirty minutes are no pause, a second more is one.
        view("e1", "m1", at(0, 9, 0, 0), "home", None),
        view("e2", "m1", at(0, 9, 10, 0), "cart", Some("home")),
        view("e3", "m1", at(0, 9, 40, 0), "trade", Some("cart")),
        view("e4", "m1", at(0, 10, 10, 1), "payment", Some("trade")),
        // Two visits at once: who leaves the home page cannot be told.
        view("e5", "m2", at(0, 9, 0, 0), "home", None),
        view("e6", "m2", at(0, 9, 5, 0), "good_detail", None),
        view("e7", "m2", at(0, 9, 6, 0), "cart", Some("home")),
        // The entry page is lost.
        view("e8", "m3", at(0, 9, 0, 0), "cart", Some("home")),
        // With a name a session may pause.
        named,
        named_later,
    ];
    warehouse.send(&records, &[]);
    let sessions = "SELECT mid, first_time, entry_page, exit_page, pages FROM dwd_traffic_session ORDER BY 1, 2";
    assert_eq!(
        warehouse.ask(sessions),
        [
            "m1,2024-11-10T09:00:00+08:00,home,trade,3",
            "m1,2024-11-10T10:10:01+08:00,payment,payment,1",
            "m2,2024-11-10T09:00:00+08:00,home,home,1",
            "m2,2024-11-10T09:05:00+08:00,good_detail,cart,2",
            "m3,2024-11-10T09:00:00+08:00,cart,cart,1",
            "m4,2024-11-10T09:00:00+08:00,home,cart,2",
        ]
    );
    let day = "SELECT pv, uv, sessions, bounces FROM ads_traffic_day";
    assert_eq!(warehouse.ask(day), ["10,4,6,3"]);

    // A record that comes late fills the pause of the first device.
    let late = view("e11", "m1", at(0, 9, 55, 0), "trade", Some("cart"));
    warehouse.send(&[late], &[]);
    assert_eq!(
        warehouse.ask(sessions)[..2],
        [
            "m1,2024-11-10T09:00:00+08:00,home,payment,5",
            "m2,2024-11-10T09:00:00+08:00,home,home,1",
        ]
    );
    assert_eq!(warehouse.ask(day), ["11,4,5,2"]);
    check_audit(&warehouse);
}

/// An order of one line, in the morning of the first day.
fn bought(
    transaction: Transaction,
    id: i64,
    province: i64,
    time: &str,
    amount: &str,
) -> Transaction {
    let time = format!("2024-11-10 {time}");
    transaction
        .insert("order_info", order(id, 11, province, "app", &time, amount))
        .insert("order_detail", line(id, id, 1, "Cup", 1, amount, amount))
}

#[test]
fn a_province_has_one_row_whatever_it_is_called_and_none_is_left_out() {
    let mut warehouse = Warehouse::start();
    let province = |name: &str| json!({"id": 1, "name": name, "region_id": 1});
    let mut changes = Transaction::new(101)
        .at(at(-1, 0, 0, 0))
        .insert("base_province", province("Guangdong"))
        .messages();
    // It gets another name between two orders of one window.
    let before = Transaction::new(102).at(at(0, 10, 0, 0));
    changes.extend(bought(before, 1, 1, "10:00:00", "20.00").messages());
    let renamed = Transaction::new(103).at(at(0, 10, 0, 4)).update(
        "base_province",
        province("Canton"),
        json!({"name": "Guangdong"}),
    );
    changes.extend(renamed.messages());
    let after = Transaction::new(104).at(at(0, 10, 0, 8));
    changes.extend(bought(after, 2, 1, "10:00:08", "30.00").messages());
    // One goes to a province that is in no table, one to none at all.
    let nowhere = Transaction::new(105).at(at(0, 10, 1, 0));
    changes.extend(bought(nowhere, 3, 99, "10:01:00", "5.00").messages());
    let mut digital = order(4, 11, 1, "app", "2024-11-10 10:02:00", "7.00");
    digital["province_id"] = Value::Null;
    let digital = Transaction::new(106)
        .at(at(0, 10, 2, 0))
        .insert("order_info", digital)
        .insert("order_detail", line(4, 4, 1, "Cup", 1, "7.00", "7.00"));
    changes.extend(digital.messages());
    warehouse.send(&[], &changes);

    let of_orders = "SELECT order_id, province_name FROM dwd_trade_order ORDER BY 1";
    assert_eq!(
        warehouse.ask(of_orders),
        ["1,Guangdong", "2,Canton", "3,null", "4,null"]
    );
    let of_windows = "SELECT province_id, province_name, order_count, order_amount
        FROM dws_trade_province_order_window ORDER BY stt";
    let rows = ["1,Guangdong,2,50.00", "99,null,1,5.00", "null,null,1,7.00"];
    assert_eq!(warehouse.ask(of_windows), rows);
    let of_days = "SELECT province_id, province_name, orders, gmv_gross
        FROM ads_live_province_day ORDER BY province_id NULLS LAST";
    assert_eq!(warehouse.ask(of_days), rows);
    let recent = "SELECT province_id, province_name, order_count, order_amount
        FROM ads_order_by_province WHERE recent_days = 7 ORDER BY province_id NULLS LAST";
    assert_eq!(
        warehouse.ask(recent),
        ["1,Canton,2,50.00", "99,null,1,5.00", "null,null,1,7.00"]
    );
    let gross = "SELECT (SELECT sum(gmv_gross) FROM ads_live_day) AS days,
        (SELECT sum(order_amount) FROM ads_order_by_province WHERE recent_days = 1) AS provinces";
    assert_eq!(warehouse.ask(gross), ["62.00,62.00"]);
    check_audit(&warehouse);
}

#[test]
fn rows_without_an_order_count_nowhere_and_impossible_ones_are_dead_letters() {
    let mut warehouse = Warehouse::start();
    // An order of a member and of goods that are in no table is an order.
    let mut changes = bought(Transaction::new(101), 1, 1, "10:00:00", "20.00")
        .insert(
            "payment_info",
            payment(1, 1, "20.00", "1602", Some("2024-11-10 10:00:30")),
        )
        .messages();
    let strays = Transaction::new(102)
        .insert("order_detail", line(2, 50, 1, "Cup", 1, "9.00", "9.00"))
        .insert("order_detail", line(3, 1, 1, "Cup", 1, "-5.00", "-5.00"))
        .insert(
            "payment_info",
            payment(60, 60, "9.00", "1602", Some("2024-11-10 10:01:00")),
        )
        .insert(
            "sku_info",
            json!({"id": 70, "price": "-1.00", "sku_name": "Nothing"}),
        );
    changes.extend(strays.messages());
    warehouse.send(&[], &changes);
    let day = "SELECT gmv_gross, gmv_unpaid, gmv_paid, orders, order_users, paid_orders FROM ads_live_day";
    assert_eq!(warehouse.ask(day), ["20.00,0.00,20.00,1,1,1"]);
    let brands = "SELECT tm_id, tm_name, orders, gmv_gross FROM ads_trademark_day";
    assert_eq!(warehouse.ask(brands), ["null,null,1,20.00"]);
    let levels = "SELECT user_level, orders, gmv_gross FROM ads_user_level_day";
    assert_eq!(warehouse.ask(levels), ["null,1,20.00"]);
    let letters = "SELECT table_name, column_name, reason FROM sluice_dead_letters
        WHERE table_name NOT LIKE 'mistake%' ORDER BY 1, 2";
    assert_eq!(
        warehouse.ask(letters),
        [
            "order_detail,order_price,out_of_range",
            "sku_change,price,out_of_range",
            "sku_info,price,out_of_range",
        ]
    );
    check_audit(&warehouse);
}

/// The row of a coupon of member 11; `order` is the one that uses it.
fn coupon(order: Option<i64>, using: Option<&str>, used: Option<&str>) -> Value {
    let day = |time: Option<&str>| time.map(|time| format!("2024-11-10 {time}"));
    let status = 1_401 + i64::from(using.is_some()) + i64::from(used.is_some());
    json!({
        "id": 1, "coupon_id": 1, "user_id": 11, "order_id": order,
        "coupon_status": status.to_string(), "get_time": "2024-11-10 08:00:00",
        "using_time": day(using), "used_time": day(used),
    })
}

#[test]
fn a_coupon_that_came_back_was_taken_but_not_used() {
    let mut warehouse = Warehouse::start();
    let steps = "SELECT (SELECT count(*) FROM dwd_tool_coupon_get) AS taken,
        (SELECT coalesce(max(order_id), 0) FROM dwd_tool_coupon_order) AS in_order,
        (SELECT coalesce(max(order_id), 0) FROM dwd_tool_coupon_pay) AS paid";
    let with_coupon = |transaction: Transaction, id: i64, time: &str| {
        let mut reduced = line(id, id, 1, "Cup", 1, "20.00", "18.00");
        reduced["split_coupon_amount"] = json!("2.00");
        let made = order(id, 11, 1, "app", &format!("2024-11-10 {time}"), "18.00");
        let of_coupon = json!({"id": id, "order_id": id, "order_detail_id": id, "coupon_id": 1,
                               "coupon_use_id": 1, "sku_id": 1});
        transaction
            .insert("order_info", made)
            .insert("order_detail", reduced)
            .insert("order_detail_coupon", of_coupon)
    };
    let first = coupon(Some(1), Some("10:00:00"), None);
    let ordered = with_coupon(Transaction::new(101), 1, "10:00:00");
    let ordered = ordered.insert("coupon_use", first.clone());
    warehouse.send(&[], &ordered.messages());
    assert_eq!(warehouse.ask(steps), ["1,1,0"]);

    let mut cancelled = order(1, 11, 1, "app", "2024-11-10 10:00:00", "18.00");
    cancelled["order_status"] = json!("1003");
    let free = coupon(None, None, None);
    let came_back = Transaction::new(102)
        .at(at(0, 10, 15, 0))
        .update("order_info", cancelled, json!({"order_status": "1001"}))
        .update("coupon_use", free.clone(), first);
    warehouse.send(&[], &came_back.messages());
    assert_eq!(warehouse.ask(steps), ["1,0,0"]);

    let again = coupon(Some(2), Some("11:00:00"), Some("11:00:30"));
    let paid = with_coupon(Transaction::new(103), 2, "11:00:00")
        .insert(
            "payment_info",
            payment(2, 2, "18.00", "1602", Some("2024-11-10 11:00:30")),
        )
        .update("coupon_use", again, free);
    warehouse.send(&[], &paid.messages());
    assert_eq!(warehouse.ask(steps), ["1,2,2"]);
    // Both orders were made with it, whatever became of them.
    let stats = "SELECT coupon_id, orders, original_amount, reduce_amount FROM ads_coupon_stats";
    assert_eq!(warehouse.ask(stats), ["1,2,40.00,4.00"]);
    check_audit(&warehouse);
}
