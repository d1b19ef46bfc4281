//! Activities, coupons and the codes of the shop: what is there from the start,
//! and what members do with coupons.

use serde::{Deserialize, Serialize};

use crate::catalogue::SKUS_PER_SPU;
use crate::facts::{CouponStep, Fact};
use crate::message::{Message, Object, RowChange, row};
use crate::offers::{ACTIVITIES, COUPONS, activity_of};
use crate::order::Order;
use crate::season::is_promotion;
use crate::shop::Shop;
use crate::time::DAY_US;

/// Activities last so long, and so long coupons can be taken.
const OFFERS_LAST_US: i64 = 60 * DAY_US;
/// Coupons that a member keeps for later at most.
const COUPONS_HELD_MAX: usize = 3;

/// A coupon that a member took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TakenCoupon {
    /// Its row.
    pub(crate) id: u64,
    pub(crate) coupon: u64,
    /// When it was taken.
    pub(crate) since: String,
    /// With the order that it is used for.
    pub(crate) is_new: bool,
    /// When an order was paid with it, or gave it back; empty while neither
    /// happened.
    #[serde(default)]
    changed: String,
    /// An order was paid with it.
    #[serde(default)]
    is_paid: bool,
    /// Until when it can be used; empty if it does not end.
    #[serde(default)]
    ends: String,
}

impl TakenCoupon {
    fn has_ended(&self, now: &str) -> bool {
        !self.ends.is_empty() && self.ends.as_str() < now
    }
}

/// Codes: code, name, code above.
const CODES: [(&str, &str, &str); 36] = [
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
    ("3101", "full reduction", "31"),
    ("3102", "discount", "31"),
    ("3103", "by number", "31"),
    ("32", "coupon type", ""),
    ("3201", "full reduction", "32"),
    ("3202", "discount for several items", "32"),
    ("3203", "voucher", "32"),
    ("33", "coupon range", ""),
    ("3301", "category", "33"),
    ("3302", "brand", "33"),
    ("3303", "product", "33"),
];
/// Codes that no number needs.
const MORE_CODES: [(&str, &str, &str); 23] = [
    ("07", "refund request", ""),
    ("0701", "asked", "07"),
    ("0702", "agreed", "07"),
    ("0703", "refused", "07"),
    ("0704", "goods sent back", "07"),
    ("0705", "finished", "07"),
    ("0706", "closed", "07"),
    ("13", "refund reason", ""),
    ("1301", "quality", "13"),
    ("1302", "not as described", "13"),
    ("1303", "out of stock", "13"),
    ("1304", "size", "13"),
    ("1305", "ordered by mistake", "13"),
    ("1306", "not wanted", "13"),
    ("1307", "other", "13"),
    ("14", "coupon status", ""),
    ("1401", "unused", "14"),
    ("1402", "in use", "14"),
    ("1403", "used", "14"),
    ("16", "payment status", ""),
    ("1601", "paying", "16"),
    ("1602", "paid", "16"),
    ("1603", "failed", "16"),
];
/// Names of activities and coupons: table, id, name.
pub(crate) fn names_of_reductions() -> impl Iterator<Item = (&'static str, u64, &'static str)> {
    let activities = (1..).zip(&ACTIVITIES);
    let activities = activities.map(|(id, offer)| ("activity_info", id, offer.name));
    let coupons = (1..).zip(&COUPONS);
    activities.chain(coupons.map(|(id, coupon)| ("coupon_info", id, coupon.offer.name)))
}

impl Shop {
    /// The rows of codes, activities and coupons.
    pub(crate) fn open_activities(&self, rows: &mut Vec<(&'static str, String)>) {
        let start_us = self.options.start_us;
        let now = self.local(start_us).text();
        let end = self.local(start_us + OFFERS_LAST_US).text();
        let mut add = |table, fields: &dyn Fn(&mut Object<'_>)| {
            let data = row(|data| {
                fields(data);
                data.text("create_time", &now).text("operate_time", &now);
            });
            rows.push((table, data));
        };
        let more: &[(&str, &str, &str)] = match self.options.has_details {
            true => &MORE_CODES,
            false => &[],
        };
        for (code, name, parent) in CODES.iter().chain(more) {
            add("base_dic", &|data| {
                data.text("dic_code", code).text("dic_name", name);
                if !parent.is_empty() {
                    data.text("parent_code", parent);
                }
            });
        }
        for (id, offer) in (1..).zip(&ACTIVITIES) {
            add("activity_info", &|data| {
                data.number("id", id)
                    .text("activity_name", offer.name)
                    .text("activity_type", offer.kind.activity_code())
                    .text("start_time", &now)
                    .text("end_time", &end);
            });
            add("activity_rule", &|data| {
                data.number("id", id)
                    .number("activity_id", id)
                    .text("activity_type", offer.kind.activity_code());
                offer.conditions(data);
                data.number("benefit_level", 1);
            });
        }
        let goods = (1..=self.options.skus).filter_map(|sku| Some((sku, activity_of(sku)?)));
        for (id, (sku, activity)) in (1..).zip(goods) {
            add("activity_sku", &|data| {
                data.number("id", id)
                    .number("activity_id", activity)
                    .number("sku_id", sku);
            });
        }
        let spus = self.options.skus.div_ceil(SKUS_PER_SPU);
        let mut range = 0;
        for (id, coupon) in (1..).zip(&COUPONS) {
            add("coupon_info", &|data| self.coupon_fields(data, id));
            for of in coupon.ids(spus) {
                range += 1;
                add("coupon_range", &|data| {
                    data.number("id", range)
                        .number("coupon_id", id)
                        .text("range_type", coupon.range_type)
                        .number("range_id", of);
                });
            }
        }
    }

    /// The columns of `coupon_info` besides its times.
    pub(crate) fn coupon_fields(&self, data: &mut Object<'_>, id: u64) {
        let coupon = &COUPONS[id as usize - 1];
        let start_us = self.options.start_us;
        let end_us = start_us + OFFERS_LAST_US;
        data.number("id", id)
            .text("coupon_name", coupon.offer.name)
            .text("coupon_type", coupon.offer.kind.coupon_code());
        coupon.offer.conditions(data);
        data.text("range_type", coupon.range_type)
            .number("limit_num", 100_000)
            .text("start_time", &self.local(start_us).text())
            .text("end_time", &self.local(end_us).text());
        if self.options.has_all_columns {
            self.of_coupon(data, id, end_us);
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
        let taken = self.new_coupon(time_us, user, coupon);
        let data = coupon_row(&taken, user, None, [&now, "", ""], &now);
        let mut changes = vec![RowChange::insert("coupon_use", data)];
        changes.extend(self.count_taken(time_us, coupon));
        self.send_changes(time_us, &changes, messages);
        self.hold(user, taken);
    }

    /// A member keeps a coupon for later.
    fn hold(&mut self, user: u64, coupon: TakenCoupon) {
        let held = self.coupons.entry(user).or_default();
        if held.len() < COUPONS_HELD_MAX {
            held.push(coupon);
        }
    }

    /// A coupon in somebody's hand.
    fn new_coupon(&mut self, time_us: i64, user: u64, coupon: u64) -> TakenCoupon {
        let local = self.local(time_us);
        self.counters.coupon_use += 1;
        self.books.day(local.day).answers.coupons_taken += 1;
        let taken = TakenCoupon {
            id: self.counters.coupon_use,
            coupon,
            since: local.text(),
            is_new: false,
            changed: String::new(),
            is_paid: false,
            ends: self.coupon_ends(time_us),
        };
        self.note_coupon(time_us, user, &taken, CouponStep::Taken);
        taken
    }

    /// Takes note of what became of a coupon.
    pub(crate) fn note_coupon(
        &mut self,
        time_us: i64,
        user: u64,
        taken: &TakenCoupon,
        step: CouponStep,
    ) {
        self.facts.note(time_us, || Fact::Coupon {
            id: taken.id,
            coupon: taken.coupon,
            user,
            step,
        });
    }

    /// The order came to nothing: where the shop gives coupons back, the member can
    /// use its coupon again.
    pub(crate) fn return_coupon(&mut self, time_us: i64, order: &mut Order) -> Option<RowChange> {
        if !self.options.returns_coupons {
            return None;
        }
        let mut used = order.coupon_use.take()?;
        self.note_coupon(time_us, order.user, &used, CouponStep::Returned);
        let now = self.local(time_us).text();
        let old = row(|old| {
            let (status, since) = match used.is_paid {
                true => ("1403", &used.changed),
                false => ("1402", &order.created),
            };
            old.text("coupon_status", status)
                .number("order_id", order.id)
                .text("using_time", &order.created);
            if used.is_paid {
                old.text("used_time", &used.changed);
            }
            if *since != now {
                old.text("operate_time", since);
            }
        });
        let times = [used.since.as_str(), "", ""];
        let data = coupon_row(&used, order.user, None, times, &now);
        used.is_new = false;
        used.is_paid = false;
        used.changed = now;
        self.hold(order.user, used);
        Some(RowChange::update("coupon_use", data, old))
    }

    /// Takes off what the activities of its goods give and a coupon that the member
    /// has, or else takes now, as far as their conditions are met.
    pub(crate) fn reduce(&mut self, time_us: i64, order: &mut Order) {
        let share = match is_promotion(self.local(time_us)) {
            true => 700,
            false => 400,
        };
        if self.random.per_mille(share) {
            order.use_activity();
        }
        let takes_one = self.random.per_mille(120);
        let held = self.coupons.remove(&order.user).unwrap_or_default();
        let now = self.local(time_us).text();
        let mut left = Vec::new();
        for coupon in held.into_iter().filter(|it| !it.has_ended(&now)) {
            match order.coupon_use.is_none() && order.redeem(coupon.coupon) {
                true => order.coupon_use = Some(coupon),
                false => left.push(coupon),
            }
        }
        if !left.is_empty() {
            self.coupons.insert(order.user, left);
        }
        let number = COUPONS.len() as u64;
        let id = order.id;
        let mut offers = (0..number).map(|place| 1 + (id + place) % number);
        if takes_one && order.coupon_use.is_none() {
            let fitting = offers.find(|coupon| order.redeem(*coupon));
            if let Some(coupon) = fitting {
                let mut taken = self.new_coupon(time_us, order.user, coupon);
                taken.is_new = true;
                order.coupon_use = Some(taken);
            }
        }
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
                    data.number("activity_id", self.activity)
                        .number("activity_rule_id", self.activity)
                        .text("create_time", &self.created)
                        .text("operate_time", &self.created);
                });
                changes.push(RowChange::insert("order_detail_activity", data));
            }
            if let Some(used) = self.coupon_use.as_ref().filter(|_| line.coupon > 0) {
                let data = row(|data| {
                    fields(data);
                    data.number("coupon_id", used.coupon)
                        .number("coupon_use_id", used.id)
                        .text("create_time", &self.created)
                        .text("operate_time", &self.created);
                });
                changes.push(RowChange::insert("order_detail_coupon", data));
            }
        }
        if let Some(used) = &self.coupon_use {
            let data = self.coupon_row(used, "", &self.created);
            changes.push(match used.is_new {
                true => RowChange::insert("coupon_use", data),
                false => {
                    let old = row(|old| {
                        old.text("coupon_status", "1401")
                            .raw("order_id", "null")
                            .raw("using_time", "null");
                        let since = match used.changed.is_empty() {
                            true => &used.since,
                            false => &used.changed,
                        };
                        if *since != self.created {
                            old.text("operate_time", since);
                        }
                    });
                    RowChange::update("coupon_use", data, old)
                }
            });
        }
        changes
    }

    /// The coupon was paid with.
    pub(crate) fn use_coupon(&mut self, now: &str) -> Option<RowChange> {
        let used = self.coupon_use.as_mut()?;
        used.is_paid = true;
        used.changed = now.to_owned();
        let used = self.coupon_use.as_ref()?;
        let data = self.coupon_row(used, now, now);
        let old = row(|old| {
            old.text("coupon_status", "1402").raw("used_time", "null");
            if self.created != now {
                old.text("operate_time", &self.created);
            }
        });
        Some(RowChange::update("coupon_use", data, old))
    }

    fn coupon_row(&self, used: &TakenCoupon, paid: &str, now: &str) -> String {
        let times = [used.since.as_str(), &self.created, paid];
        coupon_row(used, self.user, Some(self.id), times, now)
    }
}

/// The row of `coupon_use`; `times` are of taking, using in an order, and paying
/// with, empty while it has not happened.
fn coupon_row(
    taken: &TakenCoupon,
    user: u64,
    order: Option<u64>,
    times: [&str; 3],
    now: &str,
) -> String {
    row(|data| {
        data.number("id", taken.id)
            .number("coupon_id", taken.coupon)
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
        if !taken.ends.is_empty() {
            data.text("expire_time", &taken.ends);
        }
        data.text("create_time", times[0]).text("operate_time", now);
    })
}
