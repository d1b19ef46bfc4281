//! A small hand-made shop of two days: its records in the order in which they
//! come, with duplicates, late ones and dirty ones.

use serde_json::{Value, json};

use super::{Transaction, Warehouse, at, page};

pub const TRADE: &str = "SELECT day, gmv_gross, gmv_unpaid, gmv_cancelled, gmv_paid, gmv_refunded,
    gmv_net, freight, orders, order_users, paid_orders FROM ads_live_day ORDER BY day";
pub const TRAFFIC: &str = "SELECT day, pv, uv, sessions FROM ads_live_day ORDER BY day";

/// An order whose total is its goods and its freight.
pub fn order(id: i64, user: i64, province: i64, channel: &str, time: &str, total: &str) -> Value {
    json!({
        "id": id, "user_id": user, "province_id": province, "channel": channel,
        "create_time": time, "operate_time": time, "order_status": "1001",
        "total_amount": total, "original_total_amount": total,
        "feight_fee": "0.00", "feight_fee_reduce": "0.00",
    })
}

pub fn line(
    id: i64,
    order: i64,
    sku: i64,
    name: &str,
    pieces: i64,
    price: &str,
    total: &str,
) -> Value {
    json!({
        "id": id, "order_id": order, "sku_id": sku, "sku_name": name, "sku_num": pieces,
        "order_price": price, "split_total_amount": total,
        "split_activity_amount": "0.00", "split_coupon_amount": "0.00",
        "create_time": "2024-11-10 10:00:00",
    })
}

pub fn payment(id: i64, order: i64, amount: &str, status: &str, callback: Option<&str>) -> Value {
    json!({
        "id": id, "order_id": order, "payment_type": "1101", "total_amount": amount,
        "payment_status": status, "callback_time": callback,
        "create_time": "2024-11-10 10:00:30",
    })
}

pub fn refund(id: i64, order: i64, sku: i64, amount: &str, callback: Option<&str>) -> Value {
    let status = if callback.is_some() { "0705" } else { "0701" };
    json!({
        "id": id, "order_id": order, "sku_id": sku, "payment_type": "1101",
        "total_amount": amount, "refund_status": status, "callback_time": callback,
        "create_time": "2024-11-10 12:00:00",
    })
}

pub fn with(mut row: Value, name: &str, value: &str) -> Value {
    row[name] = json!(value);
    row
}

/// 115.00 of goods in two lines, after 10.00 and 5.00 off the first, and 5.00
/// of freight.
pub fn first_order() -> Value {
    let mut first = order(1, 11, 1, "app", "2024-11-10 10:00:00", "120.00");
    first["feight_fee"] = json!("8.00");
    first["feight_fee_reduce"] = json!("3.00");
    first["activity_reduce_amount"] = json!("10.00");
    first["coupon_reduce_amount"] = json!("5.00");
    first["original_total_amount"] = json!("130.00");
    first
}

pub fn second_order() -> Value {
    order(2, 12, 2, "app", "2024-11-10 11:00:00", "50.00")
}

pub fn midnight_order() -> Value {
    order(3, 11, 1, "h5", "2024-11-10 23:59:59", "0.30")
}

pub fn returned_order() -> Value {
    order(5, 12, 1, "app", "2024-11-11 12:00:00", "60.00")
}

/// An order that is deleted later.
pub fn mistyped_order() -> (Value, Value) {
    let order = order(8, 14, 1, "app", "2024-11-10 11:05:00", "50.00");
    (order, line(109, 8, 1, "Cup", 1, "50.00", "50.00"))
}

/// Dimensions, and three orders of the first morning.
pub fn morning() -> Vec<Value> {
    let mut dimensions = Transaction::new(100);
    for (id, name) in [
        (1, "Guangdong"),
        (2, "Hainan"),
        (3, "Tibet"),
        (4, "Nowhere"),
    ] {
        let province = json!({"id": id, "name": name, "region_id": 1});
        dimensions = dimensions.insert("base_province", province);
    }
    let cup = json!({"id": 1, "price": "50.00", "sku_name": "Cup"});
    let mut messages = dimensions.insert("sku_info", cup).messages();

    let mut discounted = line(101, 1, 1, "Cup", 2, "50.00", "85.00");
    discounted["split_activity_amount"] = json!("10.00");
    discounted["split_coupon_amount"] = json!("5.00");
    let first = Transaction::new(101)
        .insert("order_info", first_order())
        .insert("order_detail", discounted)
        .insert("order_detail", line(102, 1, 2, "Tea", 1, "30.00", "30.00"));
    messages.extend(first.messages());
    let second = Transaction::new(102)
        .insert("order_info", second_order())
        .insert("order_detail", line(103, 2, 1, "Cup", 1, "50.00", "50.00"));
    messages.extend(second.messages());
    let (order, line) = mistyped_order();
    let mistyped = Transaction::new(103)
        .insert("order_info", order)
        .insert("order_detail", line);
    messages.extend(mistyped.messages());
    messages
}

/// The first order is paid after 40 minutes; the second fails to be paid and is
/// cancelled; the mistyped one is deleted.
pub fn noon() -> Vec<Value> {
    let paying = payment(1, 1, "120.00", "1601", None);
    let mut messages = Transaction::new(110)
        .insert("payment_info", paying)
        .insert("payment_info", payment(2, 2, "50.00", "1603", None))
        .messages();
    let paid = payment(1, 1, "120.00", "1602", Some("2024-11-10 10:40:00"));
    let old = json!({"payment_status": "1601", "callback_time": null});
    let changes = Transaction::new(111)
        .update("payment_info", paid, old)
        .update(
            "order_info",
            with(first_order(), "order_status", "1002"),
            json!({"order_status": "1001"}),
        );
    messages.extend(changes.messages());
    let mut cancelled = with(second_order(), "order_status", "1003");
    cancelled["operate_time"] = json!("2024-11-10 11:30:00");
    let old = json!({"order_status": "1001", "operate_time": "2024-11-10 11:00:00"});
    messages.extend(
        Transaction::new(112)
            .update("order_info", cancelled, old)
            .messages(),
    );
    let (order, line) = mistyped_order();
    let deleted = Transaction::new(113)
        .delete("order_detail", line)
        .delete("order_info", order);
    messages.extend(deleted.messages());
    messages
}

/// Around midnight and the second day: an order in the last second of the first
/// day, paid on the second; one in the first second of the second; one that is
/// paid, cancelled and given back; a refund of one line.
pub fn second_day() -> Vec<Value> {
    let lamp = "Lamp \"Retro\" \\ 40 W";
    let mut messages = Transaction::new(120)
        .insert("order_info", midnight_order())
        .insert("order_detail", line(104, 3, 3, lamp, 1, "0.10", "0.10"))
        .insert("order_detail", line(105, 3, 2, "Tea", 1, "0.20", "0.20"))
        .messages();
    // The price rises and the name changes; lines keep theirs.
    let mug = json!({"id": 1, "price": "60.00", "sku_name": "Mug"});
    let old = json!({"price": "50.00", "sku_name": "Cup"});
    let fourth = order(4, 13, 3, "app", "2024-11-11 00:00:00", "180.00");
    let changes = Transaction::new(121)
        .update("sku_info", mug, old)
        .insert("order_info", fourth)
        .insert("order_detail", line(106, 4, 1, "Mug", 3, "60.00", "180.00"));
    messages.extend(changes.messages());
    let paid = payment(3, 3, "0.30", "1602", Some("2024-11-11 00:00:30"));
    let changes = Transaction::new(122)
        .insert("payment_info", paid)
        .update(
            "order_info",
            with(midnight_order(), "order_status", "1002"),
            json!({"order_status": "1001"}),
        )
        // A line gets another id.
        .update(
            "order_detail",
            line(205, 3, 2, "Tea", 1, "0.20", "0.20"),
            json!({"id": 105}),
        );
    messages.extend(changes.messages());

    // One line of the first order goes back, and the shop marks all of it; for
    // the other one a refund is asked only.
    let changes = Transaction::new(123)
        .insert(
            "refund_payment",
            refund(1, 1, 2, "30.00", Some("2024-11-11 09:00:00")),
        )
        .insert("refund_payment", refund(2, 1, 1, "85.00", None))
        .update(
            "order_info",
            with(first_order(), "order_status", "1006"),
            json!({"order_status": "1002"}),
        );
    messages.extend(changes.messages());

    let changes = Transaction::new(124)
        .insert("order_info", returned_order())
        .insert("order_detail", line(107, 5, 1, "Mug", 1, "60.00", "60.00"))
        .insert(
            "payment_info",
            payment(5, 5, "60.00", "1602", Some("2024-11-11 12:01:00")),
        );
    messages.extend(changes.messages());
    let changes = Transaction::new(125)
        .update(
            "order_info",
            with(returned_order(), "order_status", "1003"),
            json!({"order_status": "1001"}),
        )
        .insert(
            "refund_payment",
            refund(5, 5, 1, "60.00", Some("2024-11-11 12:10:00")),
        )
        .delete(
            "base_province",
            json!({"id": 4, "name": "Nowhere", "region_id": 1}),
        );
    messages.extend(changes.messages());
    messages
}

pub fn first_visits() -> Vec<Value> {
    let mut detail = page("e2", "m1", "s1", "app", at(0, 9, 1, 0));
    detail["displays"] = json!([
        {"display_type": "recommend", "item": "1", "item_type": "sku_id", "pos_id": 1},
        {"display_type": "recommend", "item": "2", "item_type": "sku_id", "pos_id": 2},
    ]);
    detail["actions"] = json!([
        {"action_id": "cart_add", "item": "1", "item_type": "sku_id", "ts": at(0, 9, 1, 30)},
    ]);
    vec![
        json!({
            "event_id": "e0", "ts": at(0, 8, 59, 59), "common": {"mid": "m1", "sid": "s1"},
            "start": {"entry": "icon", "loading_time": 700},
        }),
        page("e1", "m1", "s1", "app", at(0, 9, 0, 0)),
        detail,
        page("e5", "m2", "s3", "app", at(0, 10, 30, 0)),
    ]
}

/// Devices over midnight: one session goes on, one ends in the last millisecond.
pub fn midnight_visits() -> Vec<Value> {
    vec![
        page("e3", "m1", "s2", "h5", at(0, 23, 59, 50)),
        page("e4", "m1", "s2", "h5", at(1, 0, 0, 10)),
        page("e7", "m3", "s4", "h5", at(1, 0, 0, 0) - 1),
        page("e8", "m3", "s4", "h5", at(1, 0, 0, 0)),
    ]
}

pub fn last_visits() -> Vec<Value> {
    let mut failing = page("e10", "m2", "s5", "app", at(1, 12, 1, 0));
    failing["err"] = json!({"error_code": 500, "msg": "out of tea"});
    vec![page("e9", "m2", "s5", "app", at(1, 12, 0, 0)), failing]
}

/// Log records that cannot count.
pub fn dirty_log() -> Vec<Value> {
    let mut nobody = page("d1", "m9", "s9", "app", at(1, 12, 2, 0));
    nobody["common"].as_object_mut().unwrap().remove("mid");
    let mut nowhere = page("d2", "m9", "s9", "app", at(1, 12, 2, 0));
    nowhere["page"].as_object_mut().unwrap().remove("page_id");
    let mut whenever = page("d3", "m9", "s9", "app", 0);
    whenever["ts"] = json!("yesterday");
    let nothing = json!({"event_id": "d4", "ts": at(1, 12, 2, 0), "common": {"mid": "m9"}});
    // More than a day behind what came before.
    let late = page("d5", "m9", "s9", "app", at(0, 9, 30, 0));
    vec![nobody, nowhere, whenever, nothing, late]
}

pub fn dirty_changes() -> Vec<Value> {
    let mut comma = order(9, 15, 1, "app", "2024-11-11 13:00:00", "1.00");
    comma["total_amount"] = json!("12,50");
    Transaction::new(130)
        .insert("order_info", comma)
        .insert("unknown_table", json!({"id": 1}))
        .messages()
}

#[track_caller]
pub fn check_audit(warehouse: &Warehouse) {
    let none: [&str; 0] = [];
    assert_eq!(warehouse.ask("SELECT * FROM audit_gmv"), none);
    let failed = warehouse.ask("SELECT count(*) FROM sluice_evaluation_errors");
    assert_eq!(failed, ["0"]);
}

/// Both days, with every duplicate and every dirty record.
pub fn filled() -> Warehouse {
    let mut warehouse = Warehouse::start();
    warehouse.send(&first_visits(), &morning());
    assert_eq!(
        warehouse.ask(TRADE),
        ["2024-11-10,215.00,215.00,0.00,0.00,0.00,0.00,5.00,3,3,0"],
        "nothing is paid yet"
    );
    let first_minutes = "SELECT minute, uv_new_today FROM ads_live_minute
        WHERE uv_new_today > 0 ORDER BY minute";
    assert_eq!(warehouse.ask(first_minutes), ["540,1", "630,1"]);
    check_audit(&warehouse);

    // All of the morning once more, and a page of m2 that comes late.
    warehouse.send(&first_visits(), &morning());
    let late = page("e6", "m2", "s3", "app", at(0, 10, 15, 0));
    warehouse.send(&[late.clone(), late], &noon());
    let after_noon = ["2024-11-10,165.00,0.00,50.00,115.00,0.00,115.00,5.00,2,2,1"];
    assert_eq!(warehouse.ask(TRADE), after_noon);
    assert_eq!(warehouse.ask(first_minutes), ["540,1", "615,1"]);
    check_audit(&warehouse);

    // Older changes that come again move nothing back.
    warehouse.send(&[], &morning());
    warehouse.send(&[], &noon());
    assert_eq!(warehouse.ask(TRADE), after_noon);
    check_audit(&warehouse);

    warehouse.send(&midnight_visits(), &second_day());
    check_audit(&warehouse);
    warehouse.send(&last_visits(), &[]);
    warehouse.send(&dirty_log(), &dirty_changes());
    let again = [midnight_visits()[1].clone(), midnight_visits()[3].clone()];
    warehouse.send(&again, &second_day());
    check_audit(&warehouse);
    warehouse
}
