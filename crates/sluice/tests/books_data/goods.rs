//! Books of goods: what was shown, liked, carted, ordered, paid, given back.

use std::collections::{BTreeMap, BTreeSet};

use sluice_shop::LineFact;

use super::ledger::{Deed, Ledger, Order, day_of};
use super::table::{Days, Table, date, id_cell, money, ratio};
use super::trade::refunds;
use super::traffic::window_cells;
use crate::row;

pub fn shown_window(ledger: &Ledger, days: &Days) -> Table {
    let rows = shown(ledger, days);
    let rows = rows
        .iter()
        .map(|((start, sku), [displays, clicks])| row![start, sku, displays, clicks]);
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), sku_id, display_ct, click_ct",
        rows: rows.collect(),
    }
}

/// Displays and clicks by window and sku.
fn shown(ledger: &Ledger, days: &Days) -> BTreeMap<(i64, u64), [i64; 2]> {
    let mut groups: BTreeMap<(i64, u64), [i64; 2]> = BTreeMap::new();
    for (time_us, sku) in &ledger.displays {
        if days.contains(&day_of(*time_us)) {
            let key = (ledger.window(*time_us), u64::from(*sku));
            groups.entry(key).or_default()[0] += 1;
        }
    }
    for view in ledger.people() {
        if view.sku > 0 && days.contains(&day_of(view.time_us)) {
            let key = (ledger.window(view.time_us), u64::from(view.sku));
            groups.entry(key).or_default()[1] += 1;
        }
    }
    groups
}

/// What members did with goods.
#[derive(Default, Clone)]
struct Events {
    favors: i64,
    carts: i64,
    lines: i64,
    pieces: i64,
    ordered: i64,
    orders: BTreeSet<u64>,
    paid: i64,
    refunded: i64,
    comments: i64,
    good_comments: i64,
}

impl Events {
    fn cells(&self) -> String {
        row![
            self.favors,
            self.carts,
            self.lines,
            self.pieces,
            money(self.ordered),
            self.orders.len(),
            money(self.paid),
            money(self.refunded),
            self.comments,
            self.good_comments
        ]
    }
}

fn events(ledger: &Ledger, days: &Days) -> BTreeMap<(i64, u64), Events> {
    let mut groups: BTreeMap<(i64, u64), Events> = BTreeMap::new();
    let mut group = |time_us: i64, sku: u64, change: &mut dyn FnMut(&mut Events)| {
        if days.contains(&day_of(time_us)) {
            change(groups.entry((ledger.window(time_us), sku)).or_default());
        }
    };
    let counts = |deed: &&Deed| !deed.is_test;
    for favor in ledger.favor_adds.iter().filter(counts) {
        group(favor.time_us, favor.sku, &mut |events| events.favors += 1);
    }
    for add in ledger.cart_adds.iter().filter(counts) {
        group(add.time_us, add.sku, &mut |events| events.carts += 1);
    }
    for comment in ledger.comments.iter().filter(counts) {
        group(comment.time_us, comment.sku, &mut |events| {
            events.comments += 1;
            events.good_comments += comment.count;
        });
    }
    for order in ledger.counted() {
        for line in &order.fact.lines {
            group(order.time_us, line.sku, &mut |events| {
                events.lines += 1;
                events.pieces += i64::from(line.pieces);
                events.ordered += line.total();
                events.orders.insert(order.fact.id);
            });
            if let Some(paid_us) = order.paid_us {
                group(paid_us, line.sku, &mut |events| {
                    events.paid += line.total();
                });
            }
        }
    }
    for (time_us, _, sku, cents) in refunds(ledger) {
        group(time_us, sku, &mut |events| events.refunded += cents);
    }
    groups
}

pub fn event_window(ledger: &Ledger, days: &Days) -> Table {
    let groups = events(ledger, days);
    let rows = groups.iter();
    let rows = rows.map(|((start, sku), events)| row![start, sku, events.cells()]);
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), sku_id, favor_ct, cart_ct, order_line_ct, order_pieces, order_amount, order_ct, payment_amount, refund_amount, comment_ct, good_comment_ct",
        rows: rows.collect(),
    }
}

pub fn sku_window(ledger: &Ledger, days: &Days) -> Table {
    let (shown, events) = (shown(ledger, days), events(ledger, days));
    let keys: BTreeSet<(i64, u64)> = shown.keys().chain(events.keys()).copied().collect();
    let rows = keys.into_iter().map(|key| {
        let [displays, clicks] = shown.get(&key).copied().unwrap_or_default();
        let events = events.get(&key).cloned().unwrap_or_default();
        let window = window_cells(ledger, key.0);
        row![window, key.1, displays, clicks, events.cells()]
    });
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, sku_id, display_ct, click_ct, favor_ct, cart_ct, order_line_ct, order_pieces, order_amount, order_ct, payment_amount, refund_amount, comment_ct, good_comment_ct",
        rows: rows.collect(),
    }
}

/// A brand's, category's, member's and product's cells, with the names of today.
fn group_cells(ledger: &Ledger, brand: u64, category: u64, user: u64, spu: u64) -> String {
    let name = |table, id| ledger.name(table, id).to_owned();
    row![
        id_cell(brand),
        name("base_trademark", brand),
        category_cells(ledger, category),
        user,
        id_cell(spu),
        name("spu_info", spu)
    ]
}

/// The three levels of a category: number and name of each.
pub fn category_cells(ledger: &Ledger, category3: u64) -> String {
    let category2 = ledger.above("base_category3", category3);
    let category1 = ledger.above("base_category2", category2);
    row![
        id_cell(category1),
        ledger.name("base_category1", category1),
        id_cell(category2),
        ledger.name("base_category2", category2),
        id_cell(category3),
        ledger.name("base_category3", category3)
    ]
}

/// Window, brand, category, member, product.
type GroupKey = (i64, u64, u64, u64, u64);

fn group_key(ledger: &Ledger, time_us: i64, order: &Order, line: &LineFact) -> GroupKey {
    let start = ledger.window(time_us);
    (start, line.brand, line.category, order.fact.user, line.spu)
}

pub fn group_order_window(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<GroupKey, (BTreeSet<u64>, i64)> = BTreeMap::new();
    for order in ledger.counted().filter(|it| days.contains(&it.day())) {
        for line in &order.fact.lines {
            let key = group_key(ledger, order.time_us, order, line);
            let (orders, cents) = groups.entry(key).or_default();
            orders.insert(order.fact.id);
            *cents += line.total();
        }
    }
    let rows = groups.iter().map(|(key, (orders, cents))| {
        let (start, brand, category, user, spu) = *key;
        let cells = group_cells(ledger, brand, category, user, spu);
        row![
            window_cells(ledger, start),
            cells,
            orders.len(),
            money(*cents)
        ]
    });
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, tm_id, tm_name, category1_id, category1_name, category2_id, category2_name, category3_id, category3_name, user_id, spu_id, spu_name, order_count, order_amount",
        rows: rows.collect(),
    }
}

pub fn group_refund_window(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<GroupKey, (i64, i64)> = BTreeMap::new();
    for (time_us, order, sku, cents) in refunds(ledger) {
        if days.contains(&day_of(time_us)) {
            let line = order.fact.lines.iter().find(|line| line.sku == sku);
            let key = group_key(ledger, time_us, order, line.unwrap());
            let (count, sum) = groups.entry(key).or_default();
            *count += 1;
            *sum += cents;
        }
    }
    let rows = groups.iter().map(|(key, (count, cents))| {
        let (start, brand, category, user, spu) = *key;
        let cells = group_cells(ledger, brand, category, user, spu);
        row![window_cells(ledger, start), cells, count, money(*cents)]
    });
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, tm_id, tm_name, category1_id, category1_name, category2_id, category2_name, category3_id, category3_name, user_id, spu_id, spu_name, refund_count, refund_amount",
        rows: rows.collect(),
    }
}

pub fn repeat_purchase(ledger: &Ledger) -> Table {
    // The newest order of all, whoever made it.
    let newest = ledger.orders.values().map(Order::day).max();
    let newest = newest.unwrap_or_default();
    let mut buyers: BTreeMap<u64, BTreeMap<u64, BTreeSet<u64>>> = BTreeMap::new();
    for order in ledger.counted().filter(|it| newest - it.day() < 30) {
        for line in &order.fact.lines {
            let users = buyers.entry(line.brand).or_default();
            let orders = users.entry(order.fact.user).or_default();
            orders.insert(order.fact.id);
        }
    }
    let rows = buyers.iter().map(|(brand, users)| {
        let repeat = users.values().filter(|orders| orders.len() > 1).count();
        let name = ledger.name("base_trademark", *brand);
        let rate = ratio(repeat as f64, users.len() as i64);
        row![id_cell(*brand), name, users.len(), repeat, rate]
    });
    Table {
        columns: "tm_id, tm_name, buyers, repeat_buyers, repeat_rate",
        rows: rows.collect(),
    }
}

/// The three goods of each group with the greatest count, the smaller number
/// first where counts are equal: group, rank, sku, count.
fn top3(counts: BTreeMap<(u64, u64), i64>) -> Vec<(u64, usize, u64, i64)> {
    let mut groups: BTreeMap<u64, Vec<(i64, u64)>> = BTreeMap::new();
    for ((group, sku), count) in counts {
        groups.entry(group).or_default().push((-count, sku));
    }
    let mut top = Vec::new();
    for (group, mut list) in groups {
        list.sort_unstable();
        for (rank, (count, sku)) in (1..).zip(list.into_iter().take(3)) {
            top.push((group, rank, sku, -count));
        }
    }
    top
}

pub fn cart_top3(ledger: &Ledger) -> Table {
    let mut counts: BTreeMap<(u64, u64), i64> = BTreeMap::new();
    for (is_test, sku, pieces) in ledger.carts.values() {
        let goods = ledger.goods.get(sku);
        if let (false, true, Some(goods)) = (*is_test, *pieces > 0, goods) {
            *counts.entry((goods.category, *sku)).or_default() += pieces;
        }
    }
    let rows = top3(counts)
        .into_iter()
        .map(|(category, rank, sku, count)| {
            let category2 = ledger.above("base_category3", category);
            let category1 = ledger.above("base_category2", category2);
            row![
                category,
                rank,
                ledger.name("base_category1", category1),
                ledger.name("base_category2", category2),
                ledger.name("base_category3", category),
                sku,
                ledger.goods[&sku].name,
                count
            ]
        });
    Table {
        columns: "category3_id, rk, category1_name, category2_name, category3_name, sku_id, sku_name, cart_num",
        rows: rows.collect(),
    }
}

pub fn favor_top3(ledger: &Ledger) -> Table {
    let mut counts: BTreeMap<(u64, u64), i64> = BTreeMap::new();
    for (is_test, sku, is_made) in ledger.favors.values() {
        let goods = ledger.goods.get(sku);
        if let (false, true, Some(goods)) = (*is_test, *is_made, goods) {
            *counts.entry((goods.brand, *sku)).or_default() += 1;
        }
    }
    let rows = top3(counts).into_iter().map(|(brand, rank, sku, count)| {
        let (brand_name, name) = (
            ledger.name("base_trademark", brand),
            &ledger.goods[&sku].name,
        );
        row![brand, rank, brand_name, sku, name, count]
    });
    Table {
        columns: "tm_id, rk, tm_name, sku_id, sku_name, favor_count",
        rows: rows.collect(),
    }
}

/// Words of a name that is written in Latin letters.
fn words_of(name: &str) -> Vec<String> {
    let words = name.split(|letter: char| !letter.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// How often a word scored, by day, word, what it scored by, and goods (0: none).
type Scored = BTreeMap<(i64, String, &'static str, u64), i64>;

fn scored(ledger: &Ledger) -> Scored {
    let mut times = Scored::new();
    for view in ledger.people() {
        for word in ledger.text(view.words).split_whitespace() {
            let key = (day_of(view.time_us), word.to_owned(), "search", 0);
            *times.entry(key).or_default() += 1;
        }
    }
    let mut of_goods: BTreeMap<(i64, &str, u64), i64> = BTreeMap::new();
    for view in ledger.people().filter(|view| view.sku > 0) {
        let key = (day_of(view.time_us), "click", u64::from(view.sku));
        *of_goods.entry(key).or_default() += 1;
    }
    for add in ledger.cart_adds.iter().filter(|add| !add.is_test) {
        let key = (day_of(add.time_us), "cart", add.sku);
        *of_goods.entry(key).or_default() += 1;
    }
    for order in ledger.counted() {
        for line in &order.fact.lines {
            let key = (order.day(), "order", line.sku);
            *of_goods.entry(key).or_default() += 1;
        }
    }
    for ((day, source, sku), count) in of_goods {
        let name = ledger.goods.get(&sku).map(|goods| goods.name.as_str());
        for word in words_of(name.unwrap_or_default()) {
            *times.entry((day, word, source, sku)).or_default() += count;
        }
    }
    times
}

fn score_of(source: &str) -> i64 {
    match source {
        "search" => 10,
        "order" => 5,
        "cart" => 2,
        _ => 1,
    }
}

pub fn keyword_source_day(ledger: &Ledger, days: &Days) -> Table {
    let times = scored(ledger);
    let rows = times.iter().filter(|((day, ..), _)| days.contains(day));
    let rows = rows.map(|((day, word, source, sku), times)| {
        let score = times * score_of(source);
        row![date(*day), word, source, id_cell(*sku), times, score]
    });
    Table {
        columns: "day, keyword, source, sku_id, times, score",
        rows: rows.collect(),
    }
}

pub fn keyword_score_day(ledger: &Ledger, days: &Days) -> Table {
    let mut scores: BTreeMap<(i64, String), i64> = BTreeMap::new();
    for ((day, word, source, _), times) in scored(ledger) {
        *scores.entry((day, word)).or_default() += times * score_of(source);
    }
    let rows = scores.iter().filter(|((day, _), _)| days.contains(day));
    let rows = rows.map(|((day, word), score)| row![date(*day), word, score]);
    Table {
        columns: "day, keyword, score",
        rows: rows.collect(),
    }
}
