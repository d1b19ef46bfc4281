//! Books of money: orders, payments, cancellations, refunds.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Deed, Ledger, Order, day_of};
use super::live::days_of;
use super::table::{Days, Table, date, money, ratio};
use super::traffic::{Traffic, window_cells};
use crate::row;

/// A member's first order and first payment.
pub fn user_firsts(ledger: &Ledger) -> BTreeMap<u64, (i64, Option<i64>)> {
    let mut users: BTreeMap<u64, (i64, Option<i64>)> = BTreeMap::new();
    for order in ledger.counted() {
        let first = users
            .entry(order.fact.user)
            .or_insert((order.time_us, order.paid_us));
        first.0 = first.0.min(order.time_us);
        first.1 = [first.1, order.paid_us].into_iter().flatten().min();
    }
    users
}

/// What goods of an order went back until now, and when: of each sku never more
/// than was paid for it.
pub fn refunded_of(order: &Order) -> i64 {
    let mut skus: BTreeMap<u64, i64> = BTreeMap::new();
    for (_, sku, cents) in &order.refunds {
        *skus.entry(*sku).or_default() += cents;
    }
    let of_sku = |sku: u64| {
        let lines = order.fact.lines.iter().filter(|line| line.sku == sku);
        lines.map(|line| line.total()).sum::<i64>()
    };
    let parts = skus.into_iter();
    parts.map(|(sku, cents)| cents.min(of_sku(sku))).sum()
}

/// Money that went back for orders that count: when, of which order, which sku,
/// cents.
pub fn refunds(ledger: &Ledger) -> impl Iterator<Item = (i64, &Order, u64, i64)> {
    ledger.counted().flat_map(|order| {
        let refunds = order.refunds.iter();
        refunds.map(move |(time_us, sku, cents)| (*time_us, order, *sku, *cents))
    })
}

#[derive(Default)]
struct Window {
    orders: i64,
    users: BTreeSet<u64>,
    new_users: i64,
    original: i64,
    activity: i64,
    coupon: i64,
    gross: i64,
    unpaid: i64,
    cancelled: i64,
    paid_of_orders: i64,
    freight: i64,
    cancelled_then: i64,
    paid: i64,
    refunded: i64,
}

pub fn order_window(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<i64, Window> = BTreeMap::new();
    let mut group = |time_us: i64, change: &mut dyn FnMut(&mut Window)| {
        if days.contains(&day_of(time_us)) {
            change(groups.entry(ledger.window(time_us)).or_default());
        }
    };
    for order in ledger.counted() {
        let goods = order.goods();
        group(order.time_us, &mut |window| {
            window.orders += 1;
            window.users.insert(order.fact.user);
            for line in &order.fact.lines {
                window.original += line.original;
                window.activity += line.activity;
                window.coupon += line.coupon;
            }
            window.gross += goods;
            window.freight += order.fact.freight;
            *match order.status() {
                "paid" => &mut window.paid_of_orders,
                "cancelled" => &mut window.cancelled,
                _ => &mut window.unpaid,
            } += goods;
        });
        if let Some(time_us) = order.paid_us {
            group(time_us, &mut |window| window.paid += goods);
        } else if let Some(time_us) = order.cancelled_us {
            group(time_us, &mut |window| window.cancelled_then += goods);
        }
    }
    for (time_us, _) in user_firsts(ledger).into_values() {
        group(time_us, &mut |window| window.new_users += 1);
    }
    for (time_us, _, _, cents) in refunds(ledger) {
        group(time_us, &mut |window| window.refunded += cents);
    }
    let rows = groups.iter().map(|(start, window)| {
        row![
            window_cells(ledger, *start),
            window.orders,
            window.users.len(),
            window.new_users,
            money(window.original),
            money(window.activity),
            money(window.coupon),
            money(window.gross),
            money(window.unpaid),
            money(window.cancelled),
            money(window.paid_of_orders),
            money(window.freight),
            money(window.cancelled_then),
            money(window.paid),
            money(window.refunded),
            money(window.paid - window.refunded)
        ]
    });
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, order_ct, order_uu_ct, new_order_uu_ct, original_amount, activity_amount, coupon_amount, gmv_gross, gmv_unpaid, gmv_cancelled, gmv_paid_of_orders, freight, cancel_amount, gmv_paid, gmv_refunded, gmv_net",
        rows: rows.collect(),
    }
}

pub fn payment_window(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<i64, (i64, BTreeSet<u64>, i64, i64)> = BTreeMap::new();
    for order in ledger.counted() {
        let paid_us = order.paid_us.filter(|time| days.contains(&day_of(*time)));
        if let Some(time_us) = paid_us {
            let (count, users, _, cents) = groups.entry(ledger.window(time_us)).or_default();
            *count += 1;
            users.insert(order.fact.user);
            *cents += order.goods();
        }
    }
    for (_, first_us) in user_firsts(ledger).into_values() {
        if let Some(time_us) = first_us.filter(|time| days.contains(&day_of(*time))) {
            groups.entry(ledger.window(time_us)).or_default().2 += 1;
        }
    }
    let rows = groups.iter().map(|(start, (count, users, new, cents))| {
        let window = window_cells(ledger, *start);
        row![window, count, users.len(), new, money(*cents)]
    });
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, payment_suc_ct, payment_suc_uu_ct, payment_new_uu_ct, amount",
        rows: rows.collect(),
    }
}

/// Orders, pieces and goods by what an order belongs to.
pub fn sales<'a, K: Ord>(
    orders: impl Iterator<Item = &'a Order>,
    key: impl Fn(&Order) -> K,
) -> BTreeMap<K, (i64, i64)> {
    let mut groups: BTreeMap<K, (i64, i64)> = BTreeMap::new();
    for order in orders {
        let (count, goods) = groups.entry(key(order)).or_default();
        *count += 1;
        *goods += order.goods();
    }
    groups
}

pub fn orders_of<'a>(ledger: &'a Ledger, days: &Days) -> impl Iterator<Item = &'a Order> {
    let days = days.clone();
    ledger
        .counted()
        .filter(move |order| days.contains(&order.day()))
}

/// The greatest of the names that provinces had when orders were made, by what
/// these belong to.
fn province_names<'a, K: Ord>(
    ledger: &'a Ledger,
    days: &Days,
    key: impl Fn(&Order) -> K,
) -> BTreeMap<K, &'a str> {
    let mut names: BTreeMap<K, &str> = BTreeMap::new();
    for order in orders_of(ledger, days) {
        let name = ledger.name_at("base_province", order.fact.province, order.time_us);
        let greatest = names.entry(key(order)).or_default();
        *greatest = name.max(*greatest);
    }
    names
}

pub fn province_window(ledger: &Ledger, days: &Days) -> Table {
    let key = |order: &Order| (ledger.window(order.time_us), order.fact.province);
    let groups = sales(orders_of(ledger, days), key);
    let names = province_names(ledger, days, key);
    let rows = groups.iter().map(|((start, province), (count, goods))| {
        let name = names[&(*start, *province)];
        row![
            window_cells(ledger, *start),
            province,
            name,
            count,
            money(*goods)
        ]
    });
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, province_id, province_name, order_count, order_amount",
        rows: rows.collect(),
    }
}

pub fn province_day(ledger: &Ledger, days: &Days) -> Table {
    let key = |order: &Order| (order.day(), order.fact.province);
    let groups = sales(orders_of(ledger, days), key);
    let names = province_names(ledger, days, key);
    let rows = groups.iter().map(|((day, province), (count, goods))| {
        let name = names[&(*day, *province)];
        row![date(*day), province, name, count, money(*goods)]
    });
    Table {
        columns: "day, province_id, province_name, orders, gmv_gross",
        rows: rows.collect(),
    }
}

pub fn order_by_province(ledger: &Ledger) -> Table {
    let newest = ledger.counted().map(Order::day).max().unwrap_or_default();
    let mut rows = Vec::new();
    for recent in [1, 7, 30] {
        let orders = ledger.counted();
        let orders = orders.filter(|order| newest - order.day() < recent);
        for (province, (count, goods)) in sales(orders, |order| order.fact.province) {
            let name = ledger.name("base_province", province);
            let region = ledger.above("base_province", province);
            let region = ledger.name("base_region", region);
            rows.push(row![recent, province, name, region, count, money(goods)]);
        }
    }
    Table {
        columns: "recent_days, province_id, province_name, region_name, order_count, order_amount",
        rows,
    }
}

pub fn cart_window(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<i64, (BTreeSet<u64>, i64, i64)> = BTreeMap::new();
    for add in ledger.cart_adds.iter().filter(|add| !add.is_test) {
        if days.contains(&day_of(add.time_us)) {
            let group = groups.entry(ledger.window(add.time_us)).or_default();
            group.0.insert(add.user);
            group.1 += 1;
            group.2 += add.count;
        }
    }
    let rows = groups.iter().map(|(start, (users, count, pieces))| {
        row![window_cells(ledger, *start), users.len(), count, pieces]
    });
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, cart_add_uu_ct, cart_add_ct, cart_add_pieces",
        rows: rows.collect(),
    }
}

pub fn new_order_user_stats(ledger: &Ledger) -> Table {
    let mut groups: BTreeMap<i64, [i64; 2]> = BTreeMap::new();
    for (ordered_us, paid_us) in user_firsts(ledger).into_values() {
        groups.entry(day_of(ordered_us)).or_default()[0] += 1;
        if let Some(paid_us) = paid_us {
            groups.entry(day_of(paid_us)).or_default()[1] += 1;
        }
    }
    let rows = groups.iter();
    let rows = rows.map(|(day, [ordered, paid])| row![date(*day), ordered, paid]);
    Table {
        columns: "day, new_order_users, new_paid_users",
        rows: rows.collect(),
    }
}

/// By day of the order: orders, gross, paid, refunded.
pub fn day_results(ledger: &Ledger) -> BTreeMap<i64, [i64; 4]> {
    let mut groups: BTreeMap<i64, [i64; 4]> = BTreeMap::new();
    for order in ledger.counted() {
        let group = groups.entry(order.day()).or_default();
        group[0] += 1;
        group[1] += order.goods();
        group[2] += order.paid_us.map_or(0, |_| order.goods());
        group[3] += refunded_of(order);
    }
    groups
}

pub fn order_day_result(ledger: &Ledger) -> Table {
    let groups = day_results(ledger);
    let rows = groups.iter().map(|(day, [orders, gross, paid, refunded])| {
        let [gross, paid, refunded, net] = [*gross, *paid, *refunded, paid - refunded].map(money);
        row![date(*day), orders, gross, paid, refunded, net]
    });
    Table {
        columns: "day, orders, gmv_gross, paid_of_orders, refunded_of_orders, net_of_orders",
        rows: rows.collect(),
    }
}

pub fn order_to_pay(ledger: &Ledger) -> Table {
    let mut groups: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for order in ledger.counted() {
        if let Some(paid_us) = order.paid_us {
            let (count, seconds) = groups.entry(day_of(paid_us)).or_default();
            *count += 1;
            *seconds += (paid_us - order.time_us) / 1_000_000;
        }
    }
    let rows = groups
        .iter()
        .map(|(day, (count, seconds))| row![date(*day), count, ratio(*seconds as f64, *count)]);
    Table {
        columns: "day, paid_orders, seconds",
        rows: rows.collect(),
    }
}

/// Devices with which members ordered, by day: the one on which a member was last
/// logged in before, by the first page view of each of the member's days there.
fn order_devices(ledger: &Ledger) -> BTreeMap<i64, BTreeSet<u32>> {
    let mut logins: BTreeMap<(u32, u32, i64), i64> = BTreeMap::new();
    for view in ledger.people().filter(|view| view.user > 0) {
        let key = (view.user, view.device, day_of(view.time_us));
        let first = logins.entry(key).or_insert(view.time_us);
        *first = (*first).min(view.time_us);
    }
    let mut devices: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
    for order in ledger.counted() {
        // Somebody whom the shop does not know is nowhere logged in.
        let Ok(user) = u32::try_from(order.fact.user) else {
            continue;
        };
        // The order's time is known to the second only.
        let until_us = order.time_us + 1_000_000;
        let before = logins.range((user, 0, i64::MIN)..=(user, u32::MAX, i64::MAX));
        let before = before.filter(|(_, first_us)| **first_us < until_us);
        let before: Vec<(i64, u32)> = before
            .map(|((_, device, _), first_us)| (*first_us, *device))
            .collect();
        let Some((last_us, _)) = before.iter().max() else {
            continue;
        };
        let last = before.iter().filter(|(first_us, _)| first_us == last_us);
        let of_day = devices.entry(order.day()).or_default();
        of_day.extend(last.map(|(_, device)| *device));
    }
    devices
}

/// A cart is abandoned after so long.
const ABANDONED_US: i64 = 24 * 3_600_000_000;

pub fn trade_quality_day(ledger: &Ledger, traffic: &Traffic<'_>) -> Table {
    // When a member ordered which goods.
    let mut bought: BTreeMap<(u64, u64), Vec<i64>> = BTreeMap::new();
    let mut pieces: BTreeMap<i64, [i64; 4]> = BTreeMap::new();
    let mut payers: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    for order in ledger.counted() {
        let sums = pieces.entry(order.day()).or_default();
        sums[0] += order.pieces();
        for line in &order.fact.lines {
            sums[1] += line.original;
            sums[2] += line.activity;
            sums[3] += line.coupon;
            let key = (order.fact.user, line.sku);
            bought.entry(key).or_default().push(order.time_us);
        }
        if let Some(paid_us) = order.paid_us {
            let users = payers.entry(day_of(paid_us)).or_default();
            users.insert(order.fact.user);
        }
    }
    let mut carted: BTreeMap<(i64, u64, u64), i64> = BTreeMap::new();
    for Deed {
        time_us, user, sku, ..
    } in ledger.cart_adds.iter().filter(|add| !add.is_test)
    {
        let first = carted
            .entry((day_of(*time_us), *user, *sku))
            .or_insert(*time_us);
        *first = (*first).min(*time_us);
    }
    let mut carts: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for ((day, user, sku), add_us) in carted {
        let times = bought.get(&(user, sku));
        let mut times = times.into_iter().flatten();
        let is_bought = times.any(|time| (add_us..=add_us + ABANDONED_US).contains(time));
        let (all, kept) = carts.entry(day).or_default();
        *all += 1;
        *kept += i64::from(is_bought);
    }
    let mut new_buyers: BTreeMap<i64, i64> = BTreeMap::new();
    for (first_us, _) in user_firsts(ledger).into_values() {
        *new_buyers.entry(day_of(first_us)).or_default() += 1;
    }
    let days = days_of(ledger, traffic);
    let devices = order_devices(ledger);
    let rows = days.iter().map(|(day, sums)| {
        let devices = devices.get(day).map_or(0, BTreeSet::len);
        let parts = pieces.get(day);
        let part = |place: usize, below: i64| {
            parts.map_or(String::new(), |parts| ratio(parts[place] as f64, below))
        };
        let original = parts.map_or(0, |parts| parts[1]);
        let (carted, kept) = match carts.get(day) {
            Some((all, kept)) => (all.to_string(), 1.0 - *kept as f64 / *all as f64),
            None => (String::new(), f64::NAN),
        };
        let abandonment = match kept.is_nan() {
            true => String::new(),
            false => kept.to_string(),
        };
        row![
            date(*day),
            ratio((sums.paid - sums.refunded) as f64 / 100.0, sums.paid_orders),
            part(0, sums.orders),
            part(2, original),
            part(3, original),
            ratio(sums.orders as f64, sums.sessions),
            devices,
            ratio(devices as f64, sums.uv),
            payers.get(day).map_or(0, BTreeSet::len),
            new_buyers.get(day).copied().unwrap_or(0),
            carted,
            abandonment
        ]
    });
    Table {
        columns: "day, aov, units_per_order, activity_subsidy_rate, coupon_subsidy_rate, conversion, order_devices, device_conversion, pay_users, new_buyers, carted, cart_abandonment",
        rows: rows.collect(),
    }
}
