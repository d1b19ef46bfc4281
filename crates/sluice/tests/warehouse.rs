//! The built-in warehouse against a small hand-made shop of two days, whose
//! figures were worked out by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod warehouse_data;

use common::{all_rows, output, replay_command};
use serde_json::json;
use warehouse_data::two_days::{
    TRADE, TRAFFIC, check_audit, filled, first_visits, line, morning, noon, order, payment, refund,
};
use warehouse_data::{Transaction, Warehouse, at, page, replace};

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
            "1,11,Guangdong,2024-11-10T10:00:00+08:00,1006,paid,115.00,2",
            "2,12,Hainan,2024-11-10T11:00:00+08:00,1003,cancelled,50.00,1",
            "3,11,Guangdong,2024-11-10T23:59:59+08:00,1002,paid,0.30,2",
            "4,13,Tibet,2024-11-11T00:00:00+08:00,1001,unpaid,180.00,1",
            "5,12,Guangdong,2024-11-11T12:00:00+08:00,1003,paid,60.00,1",
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
    assert_eq!(action, ["m1,cart_add,1,2024-11-10T09:01:30+08:00"]);
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
    let replayed = output(&mut replay_command(
        &warehouse.project(),
        &warehouse.state(),
    ));
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
           AND table_schema = 'public' AND table_name NOT LIKE 'base_%' AND table_name NOT LIKE 'mistake_%'
           AND table_name NOT LIKE 'sluice_%' AND table_name NOT LIKE 'category%_change'
           AND table_name <> 'province_change'",
    );
    let none: [&str; 0] = [];
    assert_eq!(personal, none);
}

/// A shop may have several codes of refunds that were paid out.
#[test]
fn a_setting_may_be_several_codes() {
    let mut warehouse = Warehouse::start_changed(|project| {
        let codes = "refund_succeeded = [\"0705\", \"0788\"]";
        let one = "refund_succeeded = \"0705\"";
        replace(project, "warehouse.toml", one, codes);
    });
    let of_status = |id, sku, amount, status: &str| {
        let mut row = refund(id, 1, sku, amount, Some("2024-11-10 12:30:00"));
        row["refund_status"] = json!(status);
        row
    };
    let refunds = Transaction::new(150)
        .insert("refund_payment", of_status(1, 2, "30.00", "0705"))
        .insert("refund_payment", of_status(2, 1, "10.00", "0788"))
        .insert("refund_payment", of_status(3, 1, "5.00", "0704"));
    warehouse.send(&[], &[morning(), noon(), refunds.messages()].concat());
    assert_eq!(
        warehouse.ask(TRADE),
        ["2024-11-10,165.00,0.00,50.00,115.00,40.00,75.00,5.00,2,2,1"]
    );
    let lines = "SELECT detail_id, refund_amount FROM dwd_trade_refund_detail ORDER BY detail_id";
    assert_eq!(warehouse.ask(lines), ["101,10.00", "102,30.00"]);
    check_audit(&warehouse);
}

/// Who is still there on a day that has not come, or that was before the log, is
/// unknown, and not nobody.
#[test]
fn retention_is_known_from_the_first_day_of_the_log_to_the_newest() {
    let mut warehouse = Warehouse::start();
    let of_member = |event_id, ts_ms| {
        let mut view = page(event_id, "m1", event_id, "app", ts_ms);
        view["common"]["uid"] = json!("11");
        view
    };
    let visits = [
        of_member("e1", at(0, 9, 0, 0)),
        of_member("e2", at(1, 9, 0, 0)),
        page("e3", "m2", "e3", "web", at(2, 9, 0, 0)),
    ];
    let member = |id, time| json!({"id": id, "create_time": time});
    let registered = Transaction::new(160)
        .insert("user_info", member(11, "2024-11-10 09:00:00"))
        .insert("user_info", member(12, "2024-11-07 09:00:00"));
    warehouse.send(&visits, &registered.messages());
    let rates = "SELECT retention_day, new_users, retained, retention_rate
        FROM ads_user_retention WHERE register_day = '2024-11-10' ORDER BY retention_day";
    assert_eq!(
        warehouse.ask(rates),
        [
            "1,1,1,1.0",
            // So far.
            "2,1,0,0.0",
            "3,1,null,null",
            "4,1,null,null",
            "5,1,null,null",
            "6,1,null,null",
            "7,1,null,null",
        ]
    );
    // The log begins on the third day after, and ends on the fifth.
    let early = rates.replace("2024-11-10", "2024-11-07");
    assert_eq!(
        warehouse.ask(&early),
        [
            "1,1,null,null",
            "2,1,null,null",
            "3,1,0,0.0",
            "4,1,0,0.0",
            "5,1,0,0.0",
            "6,1,null,null",
            "7,1,null,null",
        ]
    );
}

/// Four members who paid 10.00 once, a day before a fifth one paid 20.00 more.
#[test]
fn members_alike_are_in_the_same_part_of_five() {
    let mut warehouse = Warehouse::start();
    let mut orders = Transaction::new(170);
    for (id, user, day, amount) in [
        (1, 11, "10", "10.00"),
        (2, 12, "10", "10.00"),
        (3, 13, "10", "10.00"),
        (4, 14, "10", "10.00"),
        (5, 15, "10", "10.00"),
        (6, 15, "11", "20.00"),
    ] {
        let ordered = format!("2024-11-{day} 10:00:00");
        let paid = format!("2024-11-{day} 10:00:30");
        orders = orders
            .insert("order_info", order(id, user, 1, "app", &ordered, amount))
            .insert("order_detail", line(id, id, 1, "Cup", 1, amount, amount))
            .insert("payment_info", payment(id, id, amount, "1602", Some(&paid)));
    }
    warehouse.send(&[], &orders.messages());
    let values = "SELECT user_id, CAST(recency AS BIGINT), frequency, monetary, r, f, m, segment
        FROM ads_user_value ORDER BY user_id";
    assert_eq!(
        warehouse.ask(values),
        [
            // One of five paid later; none has less: 5 - 5 / 5, 1 + 0.
            "11,1,1,10.00,4,1,1,fresh",
            "12,1,1,10.00,4,1,1,fresh",
            "13,1,1,10.00,4,1,1,fresh",
            "14,1,1,10.00,4,1,1,fresh",
            // Nobody paid later; four of five have less: 1 + 20 / 5.
            "15,0,2,30.00,5,5,5,best",
        ]
    );
}

/// A record may tell of everything at once.
#[test]
fn the_log_keeps_all_that_a_record_tells() {
    let mut warehouse = Warehouse::start();
    let ts = at(0, 9, 0, 0);
    let common = json!({
        "ar": "440000", "ba": "Bexo", "md": "Bexo P4", "os": "Android 14.0", "ch": "web",
        "vc": "1.0", "mid": "m1", "uid": "11", "is_new": "1", "sid": "s1", "ua": "Mozilla/5.0",
    });
    let start = json!({
        "event_id": "d1", "ts": ts, "common": common.clone(),
        "start": {"entry": "notice", "loading_time": 400, "open_ad_id": 3, "open_ad_ms": 900,
                  "open_ad_skip_ms": 700},
        "err": {"error_code": 1005, "msg": "too slow"},
    });
    let view = json!({
        "event_id": "d2", "ts": ts + 1_000, "common": common,
        "page": {"page_id": "activity", "last_page_id": "home", "during_time": 900, "item": "1",
                 "item_type": "activity_id", "source_type": "promotion", "from_pos_id": 3,
                 "from_pos_seq": 2, "refer_id": "7"},
        "displays": [
            {"display_type": "activity", "item": "1", "item_type": "activity_id", "pos_id": 1,
             "pos_seq": 1},
            {"display_type": "recommend", "item": "2", "item_type": "sku_id", "pos_id": 1,
             "order": 2},
        ],
        "actions": [
            {"action_id": "favor_cancel", "item": "2", "item_type": "sku_id", "ts": ts + 1_300},
            {"action_id": "trade_add_address", "ts": ts + 1_600},
        ],
        "err": {"error_code": 1004, "msg": "no answer"},
    });
    warehouse.send(&[start, view], &[]);
    let expected: [(&str, &[&str]); 5] = [
        (
            "SELECT ba, md, os, ua, item_type, source_type, from_pos_id, from_pos_seq, refer_id
             FROM dwd_traffic_page_log",
            &["Bexo,Bexo P4,Android 14.0,Mozilla/5.0,activity_id,promotion,3,2,7"],
        ),
        (
            "SELECT display_type, item_type, pos_id, pos_seq FROM dwd_traffic_display_log
             ORDER BY pos_seq",
            &["activity,activity_id,1,1", "recommend,sku_id,1,2"],
        ),
        (
            "SELECT action_id, item, item_type FROM dwd_traffic_action_log ORDER BY ts",
            &["favor_cancel,2,sku_id", "trade_add_address,null,null"],
        ),
        (
            "SELECT entry, open_ad_id, open_ad_skip_ms FROM dwd_traffic_start_log",
            &["notice,3,700"],
        ),
        (
            "SELECT page_id, error_code, msg FROM dwd_traffic_error_log WHERE mid = 'm1'
             ORDER BY ts",
            &["null,1005,too slow", "activity,1004,no answer"],
        ),
    ];
    for (sql, rows) in expected {
        assert_eq!(warehouse.ask(sql), rows, "{sql}");
    }
    let letters = warehouse.ask("SELECT count(*) FROM sluice_dead_letters");
    assert_eq!(letters, ["0"]);
}
