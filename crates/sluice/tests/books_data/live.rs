//! Books of days, hours and minutes: visits and money together.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Ledger, Order, day_of, minute_of};
use super::table::{Days, Table, date, money, ratio};
use super::trade::{orders_of, refunded_of, refunds, sales};
use super::traffic::{Traffic, session_sums};
use crate::row;

/// What a day or a minute of it brought.
#[derive(Default, Clone)]
pub struct Sums {
    pub gross: i64,
    pub unpaid: i64,
    pub cancelled: i64,
    pub paid: i64,
    pub refunded: i64,
    pub freight: i64,
    pub orders: i64,
    pub users: BTreeSet<u64>,
    pub paid_orders: i64,
    pub pv: i64,
    pub uv: i64,
    pub sessions: i64,
}

/// Everything by a part of time.
fn by_time<K: Ord>(
    ledger: &Ledger,
    traffic: &Traffic<'_>,
    key: impl Fn(i64) -> K,
) -> BTreeMap<K, Sums> {
    let mut groups: BTreeMap<K, Sums> = BTreeMap::new();
    for order in ledger.counted() {
        let goods = order.goods();
        let sums = groups.entry(key(order.time_us)).or_default();
        sums.gross += goods;
        sums.freight += order.fact.freight;
        sums.orders += 1;
        sums.users.insert(order.fact.user);
        match order.status() {
            "unpaid" => sums.unpaid += goods,
            "cancelled" => sums.cancelled += goods,
            _ => {}
        }
        if let Some(time_us) = order.paid_us {
            let sums = groups.entry(key(time_us)).or_default();
            sums.paid += goods;
            sums.paid_orders += 1;
        }
    }
    for (time_us, _, _, cents) in refunds(ledger) {
        groups.entry(key(time_us)).or_default().refunded += cents;
    }
    for view in ledger.people() {
        groups.entry(key(view.time_us)).or_default().pv += 1;
    }
    for view in traffic.firsts.values() {
        groups.entry(key(view.time_us)).or_default().uv += 1;
    }
    for session in &traffic.sessions {
        groups
            .entry(key(session.first.time_us))
            .or_default()
            .sessions += 1;
    }
    groups
}

pub fn days_of(ledger: &Ledger, traffic: &Traffic<'_>) -> BTreeMap<i64, Sums> {
    by_time(ledger, traffic, day_of)
}

pub fn live_day(ledger: &Ledger, traffic: &Traffic<'_>) -> Table {
    let groups = days_of(ledger, traffic);
    let rows = groups.iter().map(|(day, sums)| {
        row![
            date(*day),
            money(sums.gross),
            money(sums.unpaid),
            money(sums.cancelled),
            money(sums.paid),
            money(sums.refunded),
            money(sums.paid - sums.refunded),
            money(sums.freight),
            sums.orders,
            sums.users.len(),
            sums.paid_orders,
            sums.pv,
            sums.uv,
            sums.sessions
        ]
    });
    Table {
        columns: "day, gmv_gross, gmv_unpaid, gmv_cancelled, gmv_paid, gmv_refunded, gmv_net, freight, orders, order_users, paid_orders, pv, uv, sessions",
        rows: rows.collect(),
    }
}

fn live_rows(groups: &BTreeMap<(i64, i64), Sums>, days: &Days) -> Vec<String> {
    let groups = groups.iter().filter(|((day, _), sums)| {
        // A session alone makes no row: a page view does.
        days.contains(day) && (sums.orders + sums.paid_orders + sums.pv > 0 || sums.refunded > 0)
    });
    let rows = groups.map(|((day, part), sums)| {
        row![
            date(*day),
            part,
            money(sums.gross),
            money(sums.paid - sums.refunded),
            sums.orders,
            sums.paid_orders,
            sums.pv,
            sums.uv
        ]
    });
    rows.collect()
}

pub fn live_minute(ledger: &Ledger, traffic: &Traffic<'_>, days: &Days) -> Table {
    let groups = by_time(ledger, traffic, |time| (day_of(time), minute_of(time)));
    Table {
        columns: "day, minute, gmv_gross, gmv_net, orders, paid_orders, pv, uv_new_today",
        rows: live_rows(&groups, days),
    }
}

pub fn hour(ledger: &Ledger, traffic: &Traffic<'_>, days: &Days) -> Table {
    let groups = by_time(ledger, traffic, |time| (day_of(time), minute_of(time) / 60));
    Table {
        columns: "day, hour, gmv_gross, gmv_net, orders, paid_orders, pv, uv_new_today",
        rows: live_rows(&groups, days),
    }
}

pub fn live_channel_day(ledger: &Ledger, days: &Days) -> Table {
    let key = |order: &Order| (order.day(), order.fact.channel.clone());
    let mut orders = sales(orders_of(ledger, days), key);
    let mut rows = Vec::new();
    let mut visits: BTreeMap<(i64, &str), (i64, BTreeSet<u32>)> = BTreeMap::new();
    for view in ledger.people() {
        let day = day_of(view.time_us);
        if days.contains(&day) {
            let group = visits.entry((day, ledger.text(view.channel)));
            let (pv, devices) = group.or_default();
            *pv += 1;
            devices.insert(view.device);
        }
    }
    for ((day, channel), (pv, devices)) in visits {
        let sold = orders.remove(&(day, channel.to_owned()));
        let (count, goods) = sold.unwrap_or_default();
        let uv = devices.len();
        rows.push(row![date(day), channel, pv, uv, count, money(goods)]);
    }
    for ((day, channel), (count, goods)) in orders {
        rows.push(row![date(day), channel, 0, 0, count, money(goods)]);
    }
    Table {
        columns: "day, channel, pv, uv, orders, gmv_gross",
        rows,
    }
}

pub fn campaign_day(ledger: &Ledger, traffic: &Traffic<'_>, days: &Days) -> Table {
    let mut groups: BTreeMap<(i64, &str, &str), [i64; 8]> = BTreeMap::new();
    let sessions = session_sums(traffic, |session| {
        let (channel, campaign) = (session.first.channel, session.first.campaign);
        (session.day(), ledger.text(channel), ledger.text(campaign))
    });
    for (key, sums) in sessions {
        let group = groups.entry(key).or_default();
        group[0] += sums.sessions;
        group[1] += sums.bounces;
    }
    for order in ledger.counted() {
        let key = (order.day(), &*order.fact.channel, &*order.fact.campaign);
        let group = groups.entry(key).or_default();
        group[2] += 1;
        group[3] += order.goods();
        group[4] += order.paid_us.map_or(0, |_| order.goods());
        group[5] += order.paid_us.map_or(0, |_| 1);
        group[6] += refunded_of(order);
        group[7] += order.pieces();
    }
    let rows = groups.iter().filter(|(key, _)| days.contains(&key.0));
    let rows = rows.map(|((day, channel, campaign), sums)| {
        let [
            sessions,
            bounces,
            orders,
            gross,
            paid,
            paid_orders,
            refunded,
            pieces,
        ] = *sums;
        row![
            date(*day),
            channel,
            campaign,
            sessions,
            bounces,
            orders,
            money(gross),
            money(paid),
            money(refunded),
            ratio((paid - refunded) as f64 / 100.0, paid_orders),
            ratio(pieces as f64, orders),
            ratio(orders as f64, sessions)
        ]
    });
    Table {
        columns: "day, channel, campaign, sessions, bounces, orders, gmv_gross, gmv_paid, gmv_refunded, aov, units_per_order, conversion",
        rows: rows.collect(),
    }
}
