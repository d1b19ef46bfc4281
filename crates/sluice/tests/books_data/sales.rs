//! Books of what was sold: by brand, category, product, activity and coupon.

use std::collections::{BTreeMap, BTreeSet};

use sluice_shop::LineFact;

use super::goods::category_cells;
use super::ledger::{Ledger, Order};
use super::table::{Days, Table, date, id_cell, money, ratio};
use crate::row;

/// Orders, pieces, goods, and what of them went back until now.
#[derive(Default)]
struct Sales {
    orders: BTreeSet<u64>,
    pieces: i64,
    gross: i64,
    refunded: i64,
    /// The greatest of the names that goods had when they were ordered.
    sku_name: String,
}

impl Sales {
    fn cells(&self) -> String {
        let (gross, refunded) = (money(self.gross), money(self.refunded));
        row![self.orders.len(), self.pieces, gross, refunded]
    }
}

/// What of an order's refunds belongs to each line: lines of a sku take it one
/// after another, none more than was paid for it.
fn refunds_of_lines(order: &Order) -> Vec<i64> {
    let mut left: BTreeMap<u64, i64> = BTreeMap::new();
    for (_, sku, cents) in &order.refunds {
        *left.entry(*sku).or_default() += cents;
    }
    let lines = order.fact.lines.iter();
    let parts = lines.map(|line| {
        let left = left.entry(line.sku).or_default();
        let part = (*left).min(line.total());
        *left -= part;
        part
    });
    parts.collect()
}

fn sales_by(
    ledger: &Ledger,
    days: &Days,
    key: impl Fn(&LineFact) -> u64,
) -> BTreeMap<(i64, u64), Sales> {
    let mut groups: BTreeMap<(i64, u64), Sales> = BTreeMap::new();
    for order in ledger.counted().filter(|it| days.contains(&it.day())) {
        let refunds = refunds_of_lines(order);
        for (line, refunded) in order.fact.lines.iter().zip(refunds) {
            let sales = groups.entry((order.day(), key(line))).or_default();
            sales.orders.insert(order.fact.id);
            sales.pieces += i64::from(line.pieces);
            sales.gross += line.total();
            sales.refunded += refunded;
            if line.name > sales.sku_name {
                sales.sku_name.clone_from(&line.name);
            }
        }
    }
    groups
}

pub fn trademark_day(ledger: &Ledger, days: &Days) -> Table {
    let groups = sales_by(ledger, days, |line| line.brand);
    let rows = groups.iter().map(|((day, id), sales)| {
        row![
            date(*day),
            id_cell(*id),
            ledger.name("base_trademark", *id),
            sales.cells()
        ]
    });
    Table {
        columns: "day, tm_id, tm_name, orders, pieces, gmv_gross, gmv_refunded",
        rows: rows.collect(),
    }
}

pub fn category_day(ledger: &Ledger, days: &Days) -> Table {
    let groups = sales_by(ledger, days, |line| line.category);
    let rows = groups
        .iter()
        .map(|((day, id), sales)| row![date(*day), category_cells(ledger, *id), sales.cells()]);
    Table {
        columns: "day, category1_id, category1_name, category2_id, category2_name, category3_id, category3_name, orders, pieces, gmv_gross, gmv_refunded",
        rows: rows.collect(),
    }
}

pub fn spu_day(ledger: &Ledger, days: &Days) -> Table {
    let groups = sales_by(ledger, days, |line| line.spu);
    let rows = groups.iter().map(|((day, id), sales)| {
        let name = ledger.name("spu_info", *id);
        row![date(*day), id_cell(*id), name, sales.cells()]
    });
    Table {
        columns: "day, spu_id, spu_name, orders, pieces, gmv_gross, gmv_refunded",
        rows: rows.collect(),
    }
}

pub fn live_sku_day(ledger: &Ledger, days: &Days) -> Table {
    let groups = sales_by(ledger, days, |line| line.sku);
    let rows = groups.iter().map(|((day, id), sales)| {
        let (orders, gross) = (sales.orders.len(), money(sales.gross));
        row![date(*day), id, sales.sku_name, orders, sales.pieces, gross]
    });
    Table {
        columns: "day, sku_id, sku_name, orders, pieces, gmv_gross",
        rows: rows.collect(),
    }
}

/// Lines with a reduction: orders, members, original amount, what was taken off.
fn reductions(
    ledger: &Ledger,
    table: &'static str,
    id: impl Fn(&Order) -> u64,
    part: impl Fn(&LineFact) -> i64 + Copy,
) -> Vec<String> {
    type Group = (BTreeSet<u64>, BTreeSet<u64>, i64, i64);
    let mut groups: BTreeMap<(i64, u64), Group> = BTreeMap::new();
    for order in ledger.counted() {
        for line in order.reduced_lines(part) {
            let group = groups.entry((order.day(), id(order))).or_default();
            group.0.insert(order.fact.id);
            group.1.insert(order.fact.user);
            group.2 += line.original;
            group.3 += part(line);
        }
    }
    let rows = groups
        .iter()
        .map(|((day, id), (orders, users, original, off))| {
            row![
                date(*day),
                id,
                ledger.name(table, *id),
                orders.len(),
                users.len(),
                money(*original),
                money(*off),
                ratio(*off as f64, *original)
            ]
        });
    rows.collect()
}

pub fn activity_stats(ledger: &Ledger) -> Table {
    let id = |order: &Order| order.fact.activity;
    Table {
        columns: "day, activity_id, activity_name, orders, users, original_amount, reduce_amount, subsidy_rate",
        rows: reductions(ledger, "activity_info", id, |line| line.activity),
    }
}

pub fn coupon_stats(ledger: &Ledger) -> Table {
    let id = |order: &Order| order.fact.coupon;
    Table {
        columns: "day, coupon_id, coupon_name, orders, users, original_amount, reduce_amount, subsidy_rate",
        rows: reductions(ledger, "coupon_info", id, |line| line.coupon),
    }
}
