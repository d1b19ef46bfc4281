//! The records of the golden shop, as the apps and the shop's database send them.

use serde_json::{Value, json};

use crate::warehouse_data::{Transaction, at};

/// A page view: device and session, time, page and the one before, duration.
struct View {
    id: &'static str,
    mid: &'static str,
    sid: Option<&'static str>,
    time_ms: i64,
    page: &'static str,
    last_page: Option<&'static str>,
    during_ms: i64,
    item: Option<(&'static str, &'static str)>,
}

impl View {
    fn record(&self) -> Value {
        let (uid, channel, is_new) = match self.mid {
            "m1" => (Some("11"), "app", "0"),
            "m2" => (None, "web", "1"),
            _ => (Some("12"), "app", "1"),
        };
        let mut record = json!({
            "event_id": self.id, "ts": self.time_ms,
            "common": {"mid": self.mid, "sid": self.sid, "ch": channel, "vc": "1.0", "ar": "1",
                       "is_new": is_new, "uid": uid},
            "page": {"page_id": self.page, "during_time": self.during_ms},
        });
        if let Some(last_page) = self.last_page {
            record["page"]["last_page_id"] = json!(last_page);
        }
        if let Some((item, item_type)) = self.item {
            record["page"]["item"] = json!(item);
            record["page"]["item_type"] = json!(item_type);
        }
        if self.sid == Some("s1") {
            record["common"]["utm_campaign"] = json!("spring");
        }
        match self.id {
            // Clients call the place of what they show by one of two names.
            "e1" => {
                record["displays"] = json!([
                    {"display_type": "promotion", "item": "1", "item_type": "sku_id",
                     "pos_id": 1, "pos_seq": 1},
                    {"display_type": "promotion", "item": "2", "item_type": "sku_id",
                     "pos_id": 2, "order": 2},
                ]);
            }
            "e3" => {
                record["actions"] = json!([
                    {"action_id": "cart_add", "item": "1", "item_type": "sku_id",
                     "ts": at(0, 9, 0, 10)},
                    {"action_id": "favor_add", "item": "2", "item_type": "sku_id",
                     "ts": at(0, 9, 0, 11)},
                ]);
            }
            "e10" => record["err"] = json!({"error_code": 500, "msg": "no answer"}),
            _ => (),
        }
        record
    }
}

/// What the apps and the page tell.
#[rustfmt::skip]
pub fn visits() -> Vec<Value> {
    let view = |id, mid, sid, time_ms, page, last_page, during_ms, item| {
        View { id, mid, sid, time_ms, page, last_page, during_ms, item }.record()
    };
    let tea = Some(("1", "sku_id"));
    let coffee = Some(("2", "sku_id"));
    let words = Some(("Green Tea", "keyword"));
    let [s1, s2, s3, s5, s6] = ["s1", "s2", "s3", "s5", "s6"].map(Some);
    let start = json!({
        "event_id": "e0", "ts": at(0, 9, 0, 0),
        "common": {"mid": "m1", "sid": "s1", "ch": "app", "vc": "1.0", "ar": "1", "is_new": "0",
                   "uid": "11"},
        "start": {"entry": "icon", "loading_time": 700},
    });
    vec![
        start,
        view("e1", "m1", s1, at(0, 9, 0, 1), "home", None, 3_000, None),
        view("e2", "m1", s1, at(0, 9, 0, 4), "search", Some("home"), 5_000, words),
        view("e3", "m1", s1, at(0, 9, 0, 9), "good_detail", Some("search"), 12_000, tea),
        view("e4", "m1", s1, at(0, 9, 0, 21), "cart", Some("good_detail"), 4_000, None),
        view("e5", "m1", s1, at(0, 9, 0, 25), "trade", Some("cart"), 5_000, None),
        view("e6", "m1", s1, at(0, 9, 0, 30), "payment", Some("trade"), 3_000, None),
        view("e7", "m2", s2, at(0, 9, 0, 5), "home", None, 1_000, None),
        view("e8", "m3", s3, at(0, 10, 0, 0), "good_detail", None, 2_000, coffee),
        view("e9", "m3", s3, at(0, 10, 0, 2), "home", Some("good_detail"), 2_000, None),
        view("e10", "m3", s3, at(0, 10, 0, 4), "cart", Some("home"), 1_000, None),
        view("e11", "m2", s5, at(1, 8, 0, 0), "home", None, 1_000, None),
        view("e12", "m1", None, at(1, 11, 59, 50), "home", None, 5_000, None),
        view("e13", "m1", None, at(1, 11, 59, 55), "good_detail", Some("home"), 4_000, tea),
        view("e14", "m3", s6, at(9, 8, 0, 0), "home", None, 500, None),
    ]
}

fn sku(id: i64, name: &str, price: &str, brand: i64) -> Value {
    json!({"id": id, "spu_id": id, "sku_name": name, "price": price, "tm_id": brand,
           "category3_id": id, "is_sale": 1})
}

fn member(id: i64, registered: &str, is_test: i64) -> Value {
    json!({"id": id, "user_level": "1", "gender": "F", "birthday": "1990-01-15",
           "is_test": is_test, "create_time": registered})
}

fn opening() -> Vec<Value> {
    let opened = Transaction::new(1).at(at(-1, 0, 0, 0));
    let rows = [
        // The marks of the harness are regions from 1 on.
        ("base_region", json!({"id": 100, "region_name": "South"})),
        (
            "base_province",
            json!({"id": 1, "name": "Guangdong", "region_id": 100}),
        ),
        ("base_category1", json!({"id": 1, "name": "Food"})),
        (
            "base_category2",
            json!({"id": 1, "name": "Drinks", "category1_id": 1}),
        ),
        (
            "base_category3",
            json!({"id": 1, "name": "Tea", "category2_id": 1}),
        ),
        (
            "base_category3",
            json!({"id": 2, "name": "Coffee", "category2_id": 1}),
        ),
        ("base_trademark", json!({"id": 1, "tm_name": "Aldera"})),
        ("base_trademark", json!({"id": 2, "tm_name": "Bexo"})),
        (
            "base_dic",
            json!({"dic_code": "2401", "dic_name": "search"}),
        ),
        (
            "base_dic",
            json!({"dic_code": "1101", "dic_name": "Alipay"}),
        ),
        ("base_dic", json!({"dic_code": "1201", "dic_name": "good"})),
        (
            "spu_info",
            json!({"id": 1, "spu_name": "Tea", "category3_id": 1, "tm_id": 1}),
        ),
        (
            "spu_info",
            json!({"id": 2, "spu_name": "Coffee", "category3_id": 2, "tm_id": 2}),
        ),
        ("sku_info", sku(1, "Green Tea", "20.00", 1)),
        ("sku_info", sku(2, "Coffee Beans", "50.00", 2)),
        (
            "activity_info",
            json!({"id": 1, "activity_name": "Sale", "activity_type": "3102"}),
        ),
        (
            "activity_rule",
            json!({"id": 1, "activity_id": 1, "benefit_discount": "10.00"}),
        ),
        (
            "coupon_info",
            json!({"id": 1, "coupon_name": "Welcome", "coupon_type": "3202"}),
        ),
        ("user_info", member(11, "2024-11-09 08:00:00", 0)),
        ("user_info", member(12, "2024-11-10 08:00:05", 0)),
        ("user_info", member(13, "2024-11-10 08:00:06", 1)),
    ];
    let rows = rows.into_iter();
    rows.fold(opened, |opened, (table, row)| opened.insert(table, row))
        .messages()
}

fn cart(id: i64, user: i64, sku: i64, pieces: i64, is_ordered: i64) -> Value {
    json!({"id": id, "user_id": user, "sku_id": sku, "cart_price": "20.00", "sku_num": pieces,
           "is_ordered": is_ordered})
}

fn favor(is_cancelled: &str) -> Value {
    json!({"id": 1, "user_id": 11, "sku_id": 2, "is_cancel": is_cancelled})
}

fn order(id: i64, user: i64, time: &str, total: &str, freight: &str) -> Value {
    json!({"id": id, "user_id": user, "province_id": 1, "channel": "app", "create_time": time,
           "order_status": "1001", "total_amount": total, "original_total_amount": total,
           "feight_fee": freight})
}

fn line(id: i64, order: i64, sku: i64, pieces: i64, price: &str, total: &str) -> Value {
    let name = if sku == 1 {
        "Green Tea"
    } else {
        "Coffee Beans"
    };
    json!({"id": id, "order_id": order, "sku_id": sku, "sku_name": name, "sku_num": pieces,
           "order_price": price, "split_total_amount": total, "source_type": "2401"})
}

fn paid(id: i64, user: i64, total: &str, time: &str) -> Value {
    json!({"id": id, "order_id": id, "user_id": user, "payment_type": "1101",
           "total_amount": total, "payment_status": "1602", "callback_time": time})
}

/// What becomes of rows that only dimensions with history remember.
#[derive(Clone, Copy)]
enum Step {
    Made,
    Renamed,
    Gone,
}

/// A row of each dimension that is made, renamed, and mostly deleted.
fn short_lived(transaction: Transaction, step: Step) -> Transaction {
    let name = match step {
        Step::Made => "Old",
        Step::Renamed | Step::Gone => "New",
    };
    let rows = [
        ("base_trademark", "tm_name", json!({"id": 9})),
        ("base_category1", "name", json!({"id": 9})),
        (
            "base_category2",
            "name",
            json!({"id": 9, "category1_id": 9}),
        ),
        (
            "base_category3",
            "name",
            json!({"id": 9, "category2_id": 9}),
        ),
        (
            "spu_info",
            "spu_name",
            json!({"id": 9, "category3_id": 9, "tm_id": 9}),
        ),
        (
            "activity_info",
            "activity_name",
            json!({"id": 9, "activity_type": "3101"}),
        ),
        (
            "activity_rule",
            "activity_type",
            json!({"id": 9, "activity_id": 9, "condition_num": 2}),
        ),
        (
            "coupon_info",
            "coupon_name",
            json!({"id": 9, "coupon_type": "3201"}),
        ),
        (
            "coupon_range",
            "range_type",
            json!({"id": 9, "coupon_id": 9, "range_id": 1}),
        ),
        (
            "base_dic",
            "dic_name",
            json!({"dic_code": "99", "parent_code": "9"}),
        ),
    ];
    rows.into_iter()
        .fold(transaction, |one, (table, column, mut row)| {
            row[column] = json!(name);
            match step {
                Step::Made => one.insert(table, row),
                Step::Renamed => {
                    let mut old = json!({});
                    old[column] = json!("Old");
                    one.update(table, row, old)
                }
                // A code stays.
                Step::Gone if table == "base_dic" => one,
                Step::Gone => one.delete(table, row),
            }
        })
}

/// The changes of the shop's database, a transaction each.
pub fn changes() -> Vec<Value> {
    let mut messages = opening();
    let mut id = 1;
    let mut add = |time_ms: i64, build: &dyn Fn(Transaction) -> Transaction| {
        id += 1;
        messages.extend(build(Transaction::new(id).at(time_ms)).messages());
    };
    add(at(0, 9, 0, 10), &|one| {
        one.insert("cart_info", cart(1, 11, 1, 2, 0))
    });
    add(at(0, 9, 0, 11), &|one| one.insert("favor_info", favor("0")));
    add(at(0, 9, 0, 12), &|one| {
        one.update("cart_info", cart(1, 11, 1, 3, 0), json!({"sku_num": 2}))
    });
    add(at(0, 9, 0, 15), &|one| {
        one.update("cart_info", cart(1, 11, 1, 2, 0), json!({"sku_num": 3}))
    });
    add(at(0, 9, 0, 26), &|one| {
        let mut first = order(1, 11, "2024-11-10 09:00:26", "43.00", "8.00");
        first["campaign"] = json!("spring");
        let mut of_first = line(1, 1, 1, 2, "20.00", "35.00");
        of_first["split_activity_amount"] = json!("4.00");
        of_first["split_coupon_amount"] = json!("1.00");
        let activity = json!({"id": 1, "order_id": 1, "order_detail_id": 1, "activity_id": 1,
                              "activity_rule_id": 1, "sku_id": 1});
        let coupon = json!({"id": 1, "order_id": 1, "order_detail_id": 1, "coupon_id": 1,
                            "coupon_use_id": 1, "sku_id": 1});
        one.insert("order_info", first)
            .insert("order_detail", of_first)
            .insert("order_detail_activity", activity)
            .insert("order_detail_coupon", coupon)
            .update("cart_info", cart(1, 11, 1, 2, 1), json!({"is_ordered": 0}))
    });
    add(at(0, 9, 0, 33), &|one| {
        let used = json!({"id": 1, "coupon_id": 1, "user_id": 11, "order_id": 1,
                          "coupon_status": "1403", "get_time": "2024-11-10 08:00:00",
                          "using_time": "2024-11-10 09:00:26", "used_time": "2024-11-10 09:00:33"});
        one.insert("payment_info", paid(1, 11, "43.00", "2024-11-10 09:00:33"))
            .insert("coupon_use", used)
    });
    add(at(0, 9, 30, 0), &|one| {
        one.update("favor_info", favor("1"), json!({"is_cancel": "0"}))
    });
    add(at(0, 10, 0, 3), &|one| {
        one.insert("cart_info", cart(2, 12, 2, 1, 0))
    });
    add(at(0, 11, 0, 0), &|one| {
        one.insert(
            "order_info",
            order(2, 12, "2024-11-10 11:00:00", "50.00", "0.00"),
        )
        .insert("order_detail", line(2, 2, 2, 1, "50.00", "50.00"))
    });
    add(at(0, 11, 15, 0), &|one| {
        let mut cancelled = order(2, 12, "2024-11-10 11:00:00", "50.00", "0.00");
        cancelled["order_status"] = json!("1003");
        let log = json!({"id": 1, "order_id": 2, "order_status": "1003",
                         "create_time": "2024-11-10 11:15:00"});
        one.update("order_info", cancelled, json!({"order_status": "1001"}))
            .insert("order_status_log", log)
    });
    add(at(1, 0, 0, 0), &|one| {
        one.update(
            "sku_info",
            sku(2, "Coffee Beans", "50.00", 1),
            json!({"tm_id": 2}),
        )
    });
    add(at(1, 8, 0, 0), &|one| {
        one.update("favor_info", favor("0"), json!({"is_cancel": "1"}))
    });
    add(at(1, 9, 0, 0), &|one| {
        let good = json!({"id": 1, "user_id": 11, "sku_id": 1, "order_id": 1, "appraise": "1201",
                          "create_time": "2024-11-11 09:00:00"});
        one.insert("comment_info", good)
    });
    add(at(1, 12, 0, 0), &|one| {
        one.insert(
            "order_info",
            order(3, 11, "2024-11-11 12:00:00", "90.00", "0.00"),
        )
        .insert("order_detail", line(3, 3, 1, 1, "20.00", "20.00"))
        .insert("order_detail", line(4, 3, 1, 1, "20.00", "20.00"))
        .insert("order_detail", line(5, 3, 2, 1, "50.00", "50.00"))
    });
    add(at(1, 12, 0, 10), &|one| {
        one.insert("payment_info", paid(3, 11, "90.00", "2024-11-11 12:00:10"))
    });
    add(at(1, 12, 15, 0), &|one| {
        let province = json!({"id": 1, "name": "Canton", "region_id": 100});
        let mut member = member(11, "2024-11-09 08:00:00", 0);
        member["user_level"] = json!("2");
        one.update("base_province", province, json!({"name": "Guangdong"}))
            .update("user_info", member, json!({"user_level": "1"}))
    });
    for (day, step) in [(2, Step::Made), (3, Step::Renamed), (4, Step::Gone)] {
        add(at(day, 0, 0, 0), &|one| short_lived(one, step));
    }
    add(at(1, 12, 30, 0), &|one| {
        one.insert(
            "order_info",
            order(4, 13, "2024-11-11 12:30:00", "50.00", "0.00"),
        )
        .insert("order_detail", line(6, 4, 2, 1, "50.00", "50.00"))
        .insert("payment_info", paid(4, 13, "50.00", "2024-11-11 12:30:05"))
    });
    add(at(1, 13, 0, 0), &|one| {
        let back = json!({"id": 1, "order_id": 3, "sku_id": 1, "payment_type": "1101",
                          "total_amount": "30.00", "refund_status": "0705",
                          "callback_time": "2024-11-11 13:00:00"});
        let asked = json!({"id": 1, "user_id": 11, "order_id": 3, "sku_id": 1,
                           "refund_type": "1501", "refund_num": 2, "refund_amount": "30.00",
                           "refund_status": "0705", "create_time": "2024-11-11 12:50:00"});
        one.insert("order_refund_info", asked)
            .insert("refund_payment", back)
    });
    messages
}

/// Figures of 10 November as they were reported, the net amount twice.
pub fn reports() -> Vec<Value> {
    let report = |metric: &str, version: i64, value: &str| {
        json!({
            "day": "2024-11-10", "metric": metric, "version": version, "value": value,
            "closed_at": at(version, 0, 0, 0), "epoch": 1,
        })
    };
    vec![
        report("gmv_gross", 1, "85.00"),
        report("gmv_net", 1, "40.00"),
        report("pv", 1, "10"),
        report("gmv_net", 2, "34.00"),
    ]
}
