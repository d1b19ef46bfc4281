//! Books of facts in which a change of names, or of a coupon, would show first.

use sluice_shop::LineFact;

use super::ledger::{Coupon, Ledger, Order, day_of};
use super::table::{Days, Table, date, id_cell};
use crate::row;

/// Names of a line's dimensions when it was ordered.
fn names_then(ledger: &Ledger, order: &Order, line: &LineFact) -> String {
    let name = |table, id| ledger.name_at(table, id, order.time_us);
    let category2 = ledger.above("base_category3", line.category);
    let category1 = ledger.above("base_category2", category2);
    let level = ledger.level_at(order.fact.user, order.time_us);
    row![
        line.name,
        name("spu_info", line.spu),
        name("base_trademark", line.brand),
        name("base_category3", line.category),
        name("base_category2", category2),
        name("base_category1", category1),
        name("base_province", order.fact.province),
        id_cell(u64::from(level))
    ]
}

/// The same today, empty for goods that are gone.
fn names_now(ledger: &Ledger, order: &Order, line: &LineFact) -> String {
    let goods = ledger.goods.get(&line.sku);
    let (spu, brand, category) =
        goods.map_or((0, 0, 0), |goods| (goods.spu, goods.brand, goods.category));
    let category2 = ledger.above("base_category3", category);
    let category1 = ledger.above("base_category2", category2);
    let level = ledger.level_at(order.fact.user, i64::MAX);
    row![
        goods.map_or("", |goods| goods.name.as_str()),
        ledger.name("spu_info", spu),
        ledger.name("base_trademark", brand),
        ledger.name("base_category3", category),
        ledger.name("base_category2", category2),
        ledger.name("base_category1", category1),
        ledger.name("base_province", order.fact.province),
        id_cell(u64::from(level))
    ]
}

/// Order lines, those of tests too, with the names of both times.
pub fn order_names(ledger: &Ledger, days: &Days) -> Table {
    let mut rows = Vec::new();
    for order in ledger.orders.values() {
        if !days.contains(&order.day()) {
            continue;
        }
        for line in &order.fact.lines {
            let (then, now) = (
                names_then(ledger, order, line),
                names_now(ledger, order, line),
            );
            rows.push(row![line.id, date(order.day()), then, now]);
        }
    }
    Table {
        columns: "detail_id, day, sku_name, spu_name, tm_name, category3_name, category2_name, category1_name, province_name, user_level, sku_name_current, spu_name_current, tm_name_current, category3_name_current, category2_name_current, category1_name_current, province_name_current, user_level_current",
        rows,
    }
}

/// Coupons to which something happened that still holds.
fn coupons(ledger: &Ledger, moment: impl Fn(&Coupon) -> Option<i64>) -> Table {
    let rows = ledger.coupons.iter().filter_map(|(id, coupon)| {
        let day = date(day_of(moment(coupon)?));
        let order = id_cell(coupon.order);
        Some(row![id, coupon.coupon, coupon.user, order, day])
    });
    Table {
        columns: "coupon_use_id, coupon_id, user_id, order_id, day",
        rows: rows.collect(),
    }
}

pub fn coupons_taken(ledger: &Ledger) -> Table {
    coupons(ledger, |coupon| Some(coupon.taken_us))
}

pub fn coupons_in_orders(ledger: &Ledger) -> Table {
    coupons(ledger, |coupon| coupon.using_us)
}

pub fn coupons_paid(ledger: &Ledger) -> Table {
    coupons(ledger, |coupon| coupon.paid_us)
}
