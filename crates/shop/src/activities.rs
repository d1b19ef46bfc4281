//! Activities, coupons and the codes of the shop: what is there from the start,
//! and what members do with coupons.

use crate::message::{Message, Object, RowChange, row};
use crate::order::Order;
use crate::shop::Shop;

/// Codes: code, name, code above.
const CODES: [(&str, &str, &str); 28] = [
    ("10", "order status", ""),
    ("1001", "unpaid", "10"),
    ("1002", "paid", "10"),
    ("1003", "cancelled", "10"),
    ("1004", "finished", "10"),
    ("1005", "refunding", "10"),
    ("1006", "refunded", "10"),
    ("11", "payment type", ""),
    ("1101", "Alipay", "11"),
    ("1102", "WeChat", "11"),
    ("1103", "UnionPay", "11"),
    ("12", "appraise", ""),
    ("1201", "good", "12"),
    ("1202", "middling", "12"),
    ("1203", "bad", "12"),
    ("1204", "automatic", "12"),
    ("15", "refund type", ""),
    ("1501", "money only", "15"),
    ("1502", "with goods", "15"),
    ("24", "source", ""),
    ("2401", "search", "24"),
    ("2402", "promotion", "24"),
    ("2403", "recommendation", "24"),
    ("2404", "activity", "24"),
    ("31", "activity type", ""),
    ("3102", "discount", "31"),
    ("32", "coupon type", ""),
    ("3202", "discount for several items", "32"),
];
const ACTIVITIES: [&str; 3] = ["Double Eleven", "Winter sale", "Brand day"];
const COUPONS: [&str; 3] = ["Five off", "Welcome", "Come again"];

/// The activity and the coupon that an order would have.
pub(crate) fn activity_of(order: u64) -> u64 {
    1 + order % ACTIVITIES.len() as u64
}
pub(crate) fn coupon_of(order: u64) -> u64 {
    1 + order / 3 % COUPONS.len() as u64
}

/// Names of activities and coupons: table, id, name.
pub(crate) fn names_of_reductions() -> impl Iterator<Item = (&'static str, u64, &'static str)> {
    let activities = (1..).zip(ACTIVITIES);
    let activities = activities.map(|(id, name)| ("activity_info", id, name));
    let coupons = (1..).zip(COUPONS);
    activities.chain(coupons.map(|(id, name)| ("coupon_info", id, name)))
}

impl Shop {
    /// The rows of codes, activities and coupons.
    pub(crate) fn open_activities(&self, rows: &mut Vec<(&'static str, String)>) {
        let start_us = self.options.start_us;
        let now = self.local(start_us).text();
        let end = self.local(start_us + 60 * crate::time::DAY_US).text();
        let mut add = |table, fields: &dyn Fn(&mut Object<'_>)| {
            let data = row(|data| {
                fields(data);
                data.text("create_time", &now).text("operate_time", &now);
            });
            rows.push((table, data));
        };
        for (code, name, parent) in CODES {
            add("base_dic", &|data| {
                data.text("dic_code", code).text("dic_name", name);
                if !parent.is_empty() {
                    data.text("parent_code", parent);
                }
            });
        }
        for (id, name) in (1..).zip(ACTIVITIES) {
            add("activity_info", &|data| {
                data.number("id", id)
                    .text("activity_name", name)
                    .text("activity_type", "3102")
                    .text("start_time", &now)
                    .text("end_time", &end);
            });
            add("activity_rule", &|data| {
                data.number("id", id)
                    .number("activity_id", id)
                    .text("activity_type", "3102")
                    .money("condition_amount", 0)
                    .money("benefit_discount", 1_000)
                    .number("benefit_level", 1);
            });
            add("activity_sku", &|data| {
                data.number("id", id)
                    .number("activity_id", id)
                    .number("sku_id", id);
            });
        }
        for (id, name) in (1..).zip(COUPONS) {
            add("coupon_info", &|data| {
                data.number("id", id)
                    .text("coupon_name", name)
                    .text("coupon_type", "3202")
                    .money("benefit_discount", 500)
                    .text("range_type", "3301")
                    .number("limit_num", 100_000)
                    .text("start_time", &now)
                    .text("end_time", &end);
            });
            add("coupon_range", &|data| {
                data.number("id", id)
                    .number("coupon_id", id)
                    .text("range_type", "3301")
                    .number("range_id", id);
            });
        }
    }

    /// A member takes a coupon, for later.
    pub(crate) fn take_coupon(
        &mut self,
        time_us: i64,
        user: u64,
        coupon: u64,
        messages: &mut Vec<Message>,
    ) {
        let now = self.local(time_us).text();
        self.counters.coupon_use += 1;
        let id = self.counters.coupon_use;
        let data = coupon_row(id, coupon, user, None, [&now, "", ""], &now);
        let day = self.local(time_us).day;
        self.books.day(day).answers.coupons_taken += 1;
        self.send_changes(time_us, &[RowChange::insert("coupon_use", data)], messages);
    }
}

impl Order {
    /// The rows that say which activity and coupon reduced which line.
    pub(crate) fn reductions(&self) -> Vec<RowChange> {
        let mut changes = Vec::new();
        for line in &self.lines {
            let fields = |data: &mut Object<'_>| {
                data.number("id", line.id)
                    .number("order_id", self.id)
                    .number("order_detail_id", line.id)
                    .number("sku_id", line.sku);
            };
            if line.activity > 0 {
                let data = row(|data| {
                    fields(data);
                    data.number("activity_id", activity_of(self.id))
                        .number("activity_rule_id", activity_of(self.id))
                        .text("create_time", &self.created)
                        .text("operate_time", &self.created);
                });
                changes.push(RowChange::insert("order_detail_activity", data));
            }
            if line.coupon > 0 {
                let data = row(|data| {
                    fields(data);
                    data.number("coupon_id", coupon_of(self.id))
                        .number("coupon_use_id", self.coupon_use)
                        .text("create_time", &self.created)
                        .text("operate_time", &self.created);
                });
                changes.push(RowChange::insert("order_detail_coupon", data));
            }
        }
        if self.coupon_use > 0 {
            let times = [self.created.as_str(), &self.created, ""];
            let data = self.coupon_row(times, &self.created);
            changes.push(RowChange::insert("coupon_use", data));
        }
        changes
    }

    /// The coupon was paid with.
    pub(crate) fn use_coupon(&self, now: &str) -> Option<RowChange> {
        if self.coupon_use == 0 {
            return None;
        }
        let data = self.coupon_row([&self.created, &self.created, now], now);
        let old = row(|old| {
            old.text("coupon_status", "1402").raw("used_time", "null");
            if self.created != now {
                old.text("operate_time", &self.created);
            }
        });
        Some(RowChange::update("coupon_use", data, old))
    }

    fn coupon_row(&self, times: [&str; 3], now: &str) -> String {
        let (id, coupon) = (self.coupon_use, coupon_of(self.id));
        coupon_row(id, coupon, self.user, Some(self.id), times, now)
    }
}

/// The row of `coupon_use`; `times` are of taking, using in an order, and paying
/// with, empty while it has not happened.
fn coupon_row(
    id: u64,
    coupon: u64,
    user: u64,
    order: Option<u64>,
    times: [&str; 3],
    now: &str,
) -> String {
    row(|data| {
        data.number("id", id)
            .number("coupon_id", coupon)
            .number("user_id", user);
        match order {
            Some(order) => data.number("order_id", order),
            None => data.raw("order_id", "null"),
        };
        let done = times.iter().filter(|time| !time.is_empty()).count();
        data.text("coupon_status", &(1_400 + done).to_string());
        for (name, time) in ["get_time", "using_time", "used_time"].iter().zip(times) {
            match time.is_empty() {
                true => data.raw(name, "null"),
                false => data.text(name, time),
            };
        }
        data.text("create_time", times[0]).text("operate_time", now);
    })
}
