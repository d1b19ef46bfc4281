//! The built-in warehouse against a small hand-made shop of two days, whose
//! figures were worked out by hand, and against the mistakes that such
//! warehouses are known for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod warehouse_data;

use common::{all_rows, output, sluice};
use serde_json::{Value, json};
use warehouse_data::{Transaction, Warehouse, at, page};

const TRADE: &str = "SELECT day, gmv_gross, gmv_unpaid, gmv_cancelled, gmv_paid, gmv_refunded,
    gmv_net, freight, orders, order_users, paid_orders FROM ads_live_day ORDER BY day";
const TRAFFIC: &str = "SELECT day, pv, uv, sessions FROM ads_live_day ORDER BY day";

/// An order whose total is its goods and its freight.
fn order(id: i64, user: i64, province: i64, channel: &str, time: &str, total: &str) -> Value {
    json!({
        "id": id, "user_id": user, "province_id": province, "channel": channel,
        "create_time": time, "operate_time": time, "order_status": "1001",
        "total_amount": total, "original_total_amount": total,
        "feight_fee": "0.00", "feight_fee_reduce": "0.00",
    })
}

fn line(id: i64, order: i64, sku: i64, name: &str, pieces: i64, price: &str, total: &str) -> Value {
    json!({
        "id": id, "order_id": order, "sku_id": sku, "sku_name": name, "sku_num": pieces,
        "order_price": price, "split_total_amount": total,
        "split_activity_amount": "0.00", "split_coupon_amount": "0.00",
        "create_time": "2024-11-10 10:00:00",
    })
}

fn payment(id: i64, order: i64, amount: &str, status: &str, callback: Option<&str>) -> Value {
    json!({
        "id": id, "order_id": order, "payment_type": "1101", "total_amount": amount,
        "payment_status": status, "callback_time": callback,
        "create_time": "2024-11-10 10:00:30",
    })
}

fn refund(id: i64, order: i64, sku: i64, amount: &str, callback: Option<&str>) -> Value {
    let status = if callback.is_some() { "0705" } else { "0701" };
    json!({
        "id": id, "order_id": order, "sku_id": sku, "payment_type": "1101",
        "total_amount": amount, "refund_status": status, "callback_time": callback,
        "create_time": "2024-11-10 12:00:00",
    })
}

fn with(mut row: Value, name: &str, value: &str) -> Value {
    row[name] = json!(value);
    row
}

/// 115.00 of goods in two lines, after 10.00 and 5.00 off the first, and 5.00
/// of freight.
fn first_order() -> Value {
    let mut first = order(1, 11, 1, "app", "2024-11-10 10:00:00", "120.00");
    first["feight_fee"] = json!("8.00");
    first["feight_fee_reduce"] = json!("3.00");
    first["activity_reduce_amount"] = json!("10.00");
    first["coupon_reduce_amount"] = json!("5.00");
    first["original_total_amount"] = json!("130.00");
    first
}

fn second_order() -> Value {
    order(2, 12, 2, "app", "2024-11-10 11:00:00", "50.00")
}

fn midnight_order() -> Value {
    order(3, 11, 1, "h5", "2024-11-10 23:59:59", "0.30")
}

fn returned_order() -> Value {
    order(5, 12, 1, "app", "2024-11-11 12:00:00", "60.00")
}

/// An order that is deleted later.
fn mistyped_order() -> (Value, Value) {
    let order = order(8, 14, 1, "app", "2024-11-10 11:05:00", "50.00");
    (order, line(109, 8, 1, "Cup", 1, "50.00", "50.00"))
}

/// Dimensions, and three orders of the first morning.
fn morning() -> Vec<Value> {
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
fn noon() -> Vec<Value> {
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
fn second_day() -> Vec<Value> {
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

fn first_visits() -> Vec<Value> {
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
fn midnight_visits() -> Vec<Value> {
    vec![
        page("e3", "m1", "s2", "h5", at(0, 23, 59, 50)),
        page("e4", "m1", "s2", "h5", at(1, 0, 0, 10)),
        page("e7", "m3", "s4", "h5", at(1, 0, 0, 0) - 1),
        page("e8", "m3", "s4", "h5", at(1, 0, 0, 0)),
    ]
}

fn last_visits() -> Vec<Value> {
    let mut failing = page("e10", "m2", "s5", "app", at(1, 12, 1, 0));
    failing["err"] = json!({"error_code": 500, "msg": "out of tea"});
    vec![page("e9", "m2", "s5", "app", at(1, 12, 0, 0)), failing]
}

/// Log records that cannot count.
fn dirty_log() -> Vec<Value> {
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

fn dirty_changes() -> Vec<Value> {
    let mut comma = order(9, 15, 1, "app", "2024-11-11 13:00:00", "1.00");
    comma["total_amount"] = json!("12,50");
    Transaction::new(130)
        .insert("order_info", comma)
        .insert("unknown_table", json!({"id": 1}))
        .messages()
}

#[track_caller]
fn check_audit(warehouse: &Warehouse) {
    let none: [&str; 0] = [];
    assert_eq!(warehouse.ask("SELECT * FROM audit_gmv"), none);
    let failed = warehouse.ask("SELECT count(*) FROM sluice_evaluation_errors");
    assert_eq!(failed, ["0"]);
}

/// Both days, with every duplicate and every dirty record.
fn filled() -> Warehouse {
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

#[track_caller]
fn check_figures(warehouse: &Warehouse) {
    // 10 November: orders 1 (115.00, paid, 5.00 freight), 2 (50.00, cancelled)
    // and 3 (0.30, paid on the next day).
    // 11 November: orders 4 (180.00, unpaid) and 5 (60.00, paid and given back);
    // 30.00 of order 1 given back.
    assert_eq!(
        warehouse.ask(TRADE),
        [
            "2024-11-10,165.30,0.00,50.00,115.00,0.00,115.00,5.00,3,2,1",
            "2024-11-11,240.00,180.00,0.00,60.30,90.00,-29.70,0.00,2,2,2",
        ]
    );
    assert_eq!(
        warehouse.ask(TRAFFIC),
        ["2024-11-10,6,3,4", "2024-11-11,4,3,1"]
    );
    assert_eq!(
        warehouse.ask(
            "SELECT day, minute, gmv_gross, gmv_net, orders, paid_orders, pv, uv_new_today
             FROM ads_live_minute ORDER BY day, minute"
        ),
        [
            "2024-11-10,540,0.00,0.00,0,0,1,1",
            "2024-11-10,541,0.00,0.00,0,0,1,0",
            "2024-11-10,600,115.00,0.00,1,0,0,0",
            "2024-11-10,615,0.00,0.00,0,0,1,1",
            "2024-11-10,630,0.00,0.00,0,0,1,0",
            "2024-11-10,640,0.00,115.00,0,1,0,0",
            "2024-11-10,660,50.00,0.00,1,0,0,0",
            "2024-11-10,1439,0.30,0.00,1,0,2,1",
            "2024-11-11,0,180.00,0.30,1,1,2,2",
            "2024-11-11,540,0.00,-30.00,0,0,0,0",
            "2024-11-11,720,60.00,0.00,1,0,1,1",
            "2024-11-11,721,0.00,60.00,0,1,1,0",
            "2024-11-11,730,0.00,-60.00,0,0,0,0",
        ]
    );
    assert_eq!(
        warehouse.ask("SELECT day, channel, pv, uv, orders, gmv_gross FROM ads_live_channel_day ORDER BY day, channel"),
        [
            "2024-11-10,app,4,2,2,165.00",
            "2024-11-10,h5,2,2,1,0.30",
            "2024-11-11,app,2,1,2,240.00",
            "2024-11-11,h5,2,2,0,0.00",
        ]
    );
    assert_eq!(
        warehouse.ask("SELECT day, province_id, province_name, orders, gmv_gross FROM ads_live_province_day ORDER BY day, province_id"),
        [
            "2024-11-10,1,Guangdong,2,115.30",
            "2024-11-10,2,Hainan,1,50.00",
            "2024-11-11,1,Guangdong,1,60.00",
            "2024-11-11,3,Tibet,1,180.00",
        ]
    );
    assert_eq!(
        warehouse.ask("SELECT day, sku_id, sku_name, orders, pieces, gmv_gross FROM ads_live_sku_day ORDER BY day, sku_id"),
        [
            "2024-11-10,1,Cup,2,3,135.00",
            "2024-11-10,2,Tea,2,2,30.20",
            "2024-11-10,3,Lamp \"Retro\" \\ 40 W,1,1,0.10",
            "2024-11-11,1,Mug,2,4,240.00",
        ]
    );
    assert_eq!(
        warehouse.ask("SELECT order_id, user_id, province_name, create_time, status, status_name, goods_amount, lines FROM dwd_trade_order ORDER BY order_id"),
        [
            "1,11,Guangdong,2024-11-10T02:00:00Z,1006,paid,115.00,2",
            "2,12,Hainan,2024-11-10T03:00:00Z,1003,cancelled,50.00,1",
            "3,11,Guangdong,2024-11-10T15:59:59Z,1002,paid,0.30,2",
            "4,13,Tibet,2024-11-10T16:00:00Z,1001,unpaid,180.00,1",
            "5,12,Guangdong,2024-11-11T04:00:00Z,1003,paid,60.00,1",
        ]
    );
    check_audit(warehouse);
}

#[test]
fn two_days_have_the_figures_worked_out_by_hand() {
    let mut warehouse = filled();
    check_figures(&warehouse);

    // A record is diverted to a row for each thing that it says.
    let diverted = warehouse.ask(
        "SELECT (SELECT count(*) FROM start_log) AS starts,
                (SELECT count(*) FROM display_log) AS displays,
                (SELECT count(*) FROM action_log) AS actions,
                (SELECT count(*) FROM error_log WHERE mid <> 'mark') AS errors",
    );
    assert_eq!(diverted, ["1,2,1,1"]);
    let action = warehouse.ask("SELECT mid, action_id, item, ts FROM action_log");
    assert_eq!(action, ["m1,cart_add,1,2024-11-10T01:01:30Z"]);
    let dead_letters = warehouse.ask(
        "SELECT coalesce(table_name, ''), coalesce(column_name, ''), reason
         FROM sluice_dead_letters WHERE coalesce(table_name, '') NOT LIKE 'mistake%'
         ORDER BY 1, 2, 3",
    );
    assert_eq!(
        dead_letters,
        [
            ",,no_table",
            ",,no_table",
            "order_info,total_amount,wrong_type",
            "page_log,mid,missing_value",
            "page_log,page_id,missing_value",
            "page_log,ts,late",
            "page_log,ts,wrong_type",
        ]
    );

    // The same after a kill, after a stop, and when all is computed again.
    warehouse.kill();
    warehouse.resume();
    check_figures(&warehouse);
    warehouse.stop();
    assert!(all_rows(&warehouse.state()).len() > 20);
    let mut replay = sluice();
    replay.arg("replay").arg(warehouse.project());
    let replayed = output(replay.arg("--state").arg(warehouse.state()));
    let said = String::from_utf8_lossy(&replayed.stderr).into_owned();
    assert!(said.contains("the log gives the stored rows"), "{said}");
}

/// What every live view says of gross GMV.
const GROSS: &str = "SELECT
    (SELECT sum(gmv_gross) FROM ads_live_day) AS days,
    (SELECT sum(gmv_gross) FROM ads_live_minute) AS minutes,
    (SELECT sum(gmv_gross) FROM ads_live_channel_day) AS channels,
    (SELECT sum(gmv_gross) FROM ads_live_province_day) AS provinces,
    (SELECT sum(gmv_gross) FROM ads_live_sku_day) AS skus,
    (SELECT sum(gmv_net) FROM ads_live_minute) AS net_of_minutes";

#[test]
fn test_orders_test_members_and_bots_stay_in_the_detail_only() {
    let mut warehouse = Warehouse::start();
    warehouse.send(&first_visits(), &morning());
    let mut bot = page("b1", "robot", "s8", "app", at(0, 9, 5, 0));
    bot["common"]["is_bot"] = json!(true);
    let mut test_order = order(6, 15, 1, "app", "2024-11-10 11:40:00", "10.00");
    test_order["is_test"] = json!(1);
    let member = json!({"id": 16, "user_level": "1", "is_test": 0, "passwd": "x",
        "phone_num": "x", "email": "x", "name": "x", "login_name": "x"});
    let mut changes = noon();
    let orders = Transaction::new(140)
        .insert("order_info", test_order)
        .insert("order_detail", line(110, 6, 1, "Cup", 1, "10.00", "10.00"))
        .insert(
            "payment_info",
            payment(6, 6, "10.00", "1602", Some("2024-11-10 11:41:00")),
        )
        .insert(
            "refund_payment",
            refund(6, 6, 1, "4.00", Some("2024-11-10 11:50:00")),
        )
        .insert("user_info", member.clone())
        .insert(
            "order_info",
            order(7, 16, 1, "app", "2024-11-10 11:45:00", "20.00"),
        )
        .insert("order_detail", line(111, 7, 1, "Cup", 1, "20.00", "20.00"))
        .insert(
            "payment_info",
            payment(7, 7, "20.00", "1602", Some("2024-11-10 11:46:00")),
        )
        .insert(
            "refund_payment",
            refund(7, 7, 1, "5.00", Some("2024-11-10 11:55:00")),
        );
    changes.extend(orders.messages());
    warehouse.send(&[bot], &changes);

    let with_member = ["2024-11-10,185.00,0.00,50.00,135.00,5.00,130.00,5.00,3,3,2"];
    let gross_with_member = ["185.00,185.00,185.00,185.00,185.00,130.00"];
    let in_the_detail = "SELECT order_id FROM dwd_trade_order WHERE is_test ORDER BY order_id";
    assert_eq!(warehouse.ask(TRADE), with_member);
    assert_eq!(warehouse.ask(GROSS), gross_with_member);
    assert_eq!(warehouse.ask(in_the_detail), ["6"]);
    check_audit(&warehouse);

    // It turns out that the member is one of the shop's own.
    let mut known = member.clone();
    known["is_test"] = json!(1);
    let flag = Transaction::new(141).update("user_info", known.clone(), json!({"is_test": 0}));
    warehouse.send(&[], &flag.messages());
    assert_eq!(
        warehouse.ask(TRADE),
        ["2024-11-10,165.00,0.00,50.00,115.00,0.00,115.00,5.00,2,2,1"]
    );
    let gross = ["165.00,165.00,165.00,165.00,165.00,115.00"];
    assert_eq!(warehouse.ask(GROSS), gross);
    assert_eq!(warehouse.ask(in_the_detail), ["6", "7"]);
    check_audit(&warehouse);

    let unflag = Transaction::new(142).update("user_info", member, json!({"is_test": 1}));
    warehouse.send(&[], &unflag.messages());
    assert_eq!(warehouse.ask(TRADE), with_member);
    assert_eq!(warehouse.ask(GROSS), gross_with_member);

    assert_eq!(warehouse.ask(TRAFFIC), ["2024-11-10,3,2,2"]);
    let channels = "SELECT channel, pv, uv FROM ads_live_channel_day";
    assert_eq!(warehouse.ask(channels), ["app,3,2"]);
    let minutes = "SELECT sum(pv), sum(uv_new_today) FROM ads_live_minute";
    assert_eq!(warehouse.ask(minutes), ["3,2"]);
    assert_eq!(
        warehouse.ask("SELECT mid FROM page_log WHERE is_bot"),
        ["robot"]
    );

    // What says who somebody is never gets in.
    let personal = warehouse.ask(
        "SELECT table_name, column_name FROM information_schema.columns
         WHERE column_name IN ('passwd', 'phone_num', 'email', 'name', 'login_name', 'nick_name',
                               'consignee', 'consignee_tel', 'delivery_address')
           AND table_schema = 'public' AND table_name NOT LIKE 'base_%' AND table_name NOT LIKE 'mistake_%'",
    );
    let none: [&str; 0] = [];
    assert_eq!(personal, none);
}

/// A known mistake, with what it answers, beside the right statement.
struct Mistake {
    name: &'static str,
    wrong: (&'static str, &'static str),
    right: (&'static str, &'static str),
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        name: "the total of an order, summed over its lines",
        wrong: (
            "SELECT sum(o.total_amount) FROM order_info AS o JOIN order_detail AS d ON d.order_id = o.id",
            "530.60",
        ),
        right: ("SELECT sum(gmv_gross + freight) FROM ads_live_day", "410.30"),
    },
    Mistake {
        name: "cancelled and refunded orders stay in GMV",
        wrong: ("SELECT sum(split_total_amount) FROM order_detail", "405.30"),
        right: ("SELECT sum(gmv_net) FROM ads_live_day", "85.30"),
    },
    Mistake {
        name: "one refunded line takes the whole order out",
        wrong: (
            "SELECT sum(goods_amount) FROM dwd_trade_order WHERE status IN ('1002', '1004')",
            "0.30",
        ),
        right: (
            "SELECT sum(gmv_paid) - sum(gmv_refunded) FROM ads_live_day",
            "85.30",
        ),
    },
    Mistake {
        name: "an order that is paid, then cancelled, counts as cancelled too",
        wrong: (
            "SELECT sum(goods_amount) FROM dwd_trade_order WHERE status = '1003'",
            "110.00",
        ),
        right: ("SELECT sum(gmv_cancelled) FROM ads_live_day", "50.00"),
    },
    Mistake {
        name: "a payment is awaited for a quarter of an hour only",
        wrong: (
            "SELECT sum(o.goods_amount) FROM dwd_trade_order AS o JOIN payment_info AS p ON p.order_id = o.order_id
             WHERE p.payment_status = '1602' AND p.callback_time <= o.create_time + INTERVAL '15 minutes'",
            "60.30",
        ),
        right: ("SELECT sum(gmv_paid) FROM ads_live_day", "175.30"),
    },
    Mistake {
        name: "records that were sent twice count twice",
        wrong: (
            "SELECT count(*) FROM mistake_page_twice WHERE CAST(ts AT TIME ZONE 'Asia/Shanghai' AS DATE) = DATE '2024-11-11'",
            "6",
        ),
        right: (
            "SELECT pv FROM ads_live_day WHERE day = DATE '2024-11-11'",
            "4",
        ),
    },
    Mistake {
        name: "the horizon of repeated records in the wrong unit",
        wrong: (
            "SELECT count(*) FROM mistake_page_forgotten WHERE CAST(ts AT TIME ZONE 'Asia/Shanghai' AS DATE) = DATE '2024-11-11'",
            "6",
        ),
        right: (
            "SELECT pv FROM ads_live_day WHERE day = DATE '2024-11-11'",
            "4",
        ),
    },
    Mistake {
        name: "visitors summed over channels",
        wrong: (
            "SELECT sum(uv) FROM ads_live_channel_day WHERE day = DATE '2024-11-10'",
            "4",
        ),
        right: (
            "SELECT uv FROM ads_live_day WHERE day = DATE '2024-11-10'",
            "3",
        ),
    },
    Mistake {
        name: "visitors summed over app versions",
        wrong: (
            "SELECT sum(uv) FROM (SELECT vc, count(DISTINCT mid) AS uv FROM page_log
               WHERE CAST(ts AT TIME ZONE 'Asia/Shanghai' AS DATE) = DATE '2024-11-10' GROUP BY vc) AS of_version",
            "4",
        ),
        right: (
            "SELECT sum(uv_new_today) FROM ads_live_minute WHERE day = DATE '2024-11-10'",
            "3",
        ),
    },
    Mistake {
        name: "visitors summed over minutes",
        wrong: (
            "SELECT sum(uv) FROM (SELECT date_trunc('minute', ts) AS minute, count(DISTINCT mid) AS uv FROM page_log
               WHERE CAST(ts AT TIME ZONE 'Asia/Shanghai' AS DATE) = DATE '2024-11-10' GROUP BY 1) AS of_minute",
            "6",
        ),
        right: (
            "SELECT sum(uv_new_today) FROM ads_live_minute WHERE day = DATE '2024-11-10'",
            "3",
        ),
    },
    Mistake {
        name: "orders counted by line",
        wrong: ("SELECT count(*) FROM dwd_trade_order_detail", "7"),
        right: ("SELECT sum(orders) FROM ads_live_day", "5"),
    },
    Mistake {
        name: "money as floating point",
        wrong: (
            "SELECT sum(CAST(split_total_amount AS DOUBLE)) FROM order_detail WHERE order_id = 3",
            "0.30000000000000004",
        ),
        right: (
            "SELECT goods_amount FROM dwd_trade_order WHERE order_id = 3",
            "0.30",
        ),
    },
    Mistake {
        name: "seconds of Maxwell read as milliseconds",
        wrong: (
            "SELECT DISTINCT CAST(as_milliseconds AS DATE) FROM mistake_change_time",
            "1970-01-21",
        ),
        right: (
            "SELECT DISTINCT CAST(as_seconds AS DATE) FROM mistake_change_time",
            "2024-11-09",
        ),
    },
    Mistake {
        name: "deleted rows of a dimension stay",
        wrong: ("SELECT count(*) FROM mistake_province_kept", "4"),
        right: ("SELECT count(*) FROM base_province", "3"),
    },
    Mistake {
        name: "days cut at midnight in UTC",
        wrong: (
            "SELECT sum(d.split_total_amount) FROM order_info AS o JOIN order_detail AS d ON d.order_id = o.id
             WHERE CAST(o.create_time AS DATE) = DATE '2024-11-10'",
            "345.30",
        ),
        right: (
            "SELECT gmv_gross FROM ads_live_day WHERE day = DATE '2024-11-10'",
            "165.30",
        ),
    },
];

#[test]
fn known_mistakes_answer_something_else() {
    let warehouse = filled();
    for mistake in MISTAKES {
        let name = mistake.name;
        assert_eq!(
            warehouse.ask(mistake.wrong.0),
            [mistake.wrong.1],
            "the mistake: {name}"
        );
        assert_eq!(
            warehouse.ask(mistake.right.0),
            [mistake.right.1],
            "instead of: {name}"
        );
    }

    // JSON put together from strings breaks at the first quotation mark.
    let glued = warehouse.ask(
        "SELECT '{\"sku_name\":\"' || sku_name || '\"}' FROM ads_live_sku_day WHERE sku_id = 3",
    );
    assert!(serde_json::from_str::<Value>(&glued[0]).is_err());
    let named = warehouse.ask("SELECT sku_name FROM ads_live_sku_day WHERE sku_id = 3");
    assert_eq!(named, ["Lamp \"Retro\" \\ 40 W"]);
}
