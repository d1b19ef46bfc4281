//! Books of members, and what reports say of them.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Ledger, day_of};
use super::live::days_of;
use super::table::{Days, Table, date, id_cell, money, ratio};
use super::trade::{day_results, orders_of, refunds};
use super::traffic::{Traffic, window_cells};
use crate::row;

/// When a member, none of the shop's own, was first active on a day.
pub fn active_days(ledger: &Ledger) -> BTreeMap<(u32, i64), i64> {
    let mut days: BTreeMap<(u32, i64), i64> = BTreeMap::new();
    let views = ledger
        .people()
        .filter(|view| view.user > 0 && !view.is_test);
    for view in views {
        let key = (view.user, day_of(view.time_us));
        let first = days.entry(key).or_insert(view.time_us);
        *first = (*first).min(view.time_us);
    }
    days
}

/// The first and the last day on which anybody, a member or not, looked at a page.
fn page_days(ledger: &Ledger) -> Option<(i64, i64)> {
    let days = || ledger.people().map(|view| day_of(view.time_us));
    Some((days().min()?, days().max()?))
}

/// Members who came back: day, first moment of it.
fn backs(active: &BTreeMap<(u32, i64), i64>) -> Vec<(i64, i64)> {
    let mut backs = Vec::new();
    let mut before: Option<(u32, i64)> = None;
    for ((user, day), first_us) in active {
        // Days of a member follow one another.
        if before.is_some_and(|(last_user, last)| last_user == *user && day - last >= 8) {
            backs.push((*day, *first_us));
        }
        before = Some((*user, *day));
    }
    backs
}

pub fn login_window(ledger: &Ledger, days: &Days) -> Table {
    let active = active_days(ledger);
    let mut groups: BTreeMap<i64, [i64; 2]> = BTreeMap::new();
    for first_us in active.values() {
        groups.entry(ledger.window(*first_us)).or_default()[0] += 1;
    }
    for (_, first_us) in backs(&active) {
        groups.entry(ledger.window(first_us)).or_default()[1] += 1;
    }
    let rows = groups.iter();
    let rows = rows.filter(|(start, _)| days.contains(&day_of(**start * 1_000_000)));
    let rows = rows.map(|(start, [active, back])| row![window_cells(ledger, *start), active, back]);
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, uu_ct, back_ct",
        rows: rows.collect(),
    }
}

/// Members registered in a window. All days: old members registered long ago.
pub fn register_window(ledger: &Ledger) -> Table {
    let mut groups: BTreeMap<i64, i64> = BTreeMap::new();
    for (time_us, _, _) in ledger.registers.iter().filter(|(_, _, is_test)| !is_test) {
        *groups.entry(ledger.window(*time_us)).or_default() += 1;
    }
    let rows = groups.iter();
    let rows = rows.map(|(start, count)| row![window_cells(ledger, *start), count]);
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, register_ct",
        rows: rows.collect(),
    }
}

/// What a member did on a day.
#[derive(Default)]
pub struct UserDay {
    pages: i64,
    carts: i64,
    favors: i64,
    orders: i64,
    ordered: i64,
    paid: i64,
    refunded: i64,
}

/// By day and member.
pub fn user_days(ledger: &Ledger) -> BTreeMap<(i64, u64), UserDay> {
    let mut groups: BTreeMap<(i64, u64), UserDay> = BTreeMap::new();
    for view in ledger.people().filter(|it| it.user > 0 && !it.is_test) {
        let key = (day_of(view.time_us), u64::from(view.user));
        groups.entry(key).or_default().pages += 1;
    }
    for add in ledger.cart_adds.iter().filter(|add| !add.is_test) {
        let key = (day_of(add.time_us), add.user);
        groups.entry(key).or_default().carts += 1;
    }
    for favor in ledger.favor_adds.iter().filter(|favor| !favor.is_test) {
        let key = (day_of(favor.time_us), favor.user);
        groups.entry(key).or_default().favors += 1;
    }
    for order in ledger.counted() {
        let user = order.fact.user;
        let of_day = groups.entry((order.day(), user)).or_default();
        of_day.orders += 1;
        of_day.ordered += order.goods();
        if let Some(paid_us) = order.paid_us {
            groups.entry((day_of(paid_us), user)).or_default().paid += order.goods();
        }
    }
    for (time_us, order, _, cents) in refunds(ledger) {
        let key = (day_of(time_us), order.fact.user);
        groups.entry(key).or_default().refunded += cents;
    }
    groups
}

pub fn user_day(ledger: &Ledger, days: &Days) -> Table {
    let groups = user_days(ledger);
    let rows = groups.iter().filter(|((day, _), _)| days.contains(day));
    let rows = rows.map(|((day, user), of_day)| {
        row![
            date(*day),
            user,
            of_day.pages,
            of_day.carts,
            of_day.favors,
            of_day.orders,
            money(of_day.ordered),
            money(of_day.paid),
            money(of_day.refunded)
        ]
    });
    Table {
        columns: "day, user_id, pages, carts, favors, orders, order_amount, paid_amount, refund_amount",
        rows: rows.collect(),
    }
}

pub fn user_uniq_day(ledger: &Ledger) -> Table {
    let mut groups: BTreeMap<i64, [i64; 2]> = BTreeMap::new();
    for ((day, _), of_day) in user_days(ledger) {
        let group = groups.entry(day).or_default();
        group[0] += 1;
        group[1] += i64::from(of_day.orders > 0);
    }
    let rows = groups.iter();
    let rows = rows.map(|(day, [active, ordered])| row![date(*day), active, ordered]);
    Table {
        columns: "day, active_uu_ct, order_uu_ct",
        rows: rows.collect(),
    }
}

/// Members who ordered, by day.
fn buyers(ledger: &Ledger) -> BTreeMap<i64, BTreeSet<u64>> {
    let mut days: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    for order in ledger.counted() {
        days.entry(order.day()).or_default().insert(order.fact.user);
    }
    days
}

pub fn continuous_buyers(ledger: &Ledger) -> Table {
    let buyers = buyers(ledger);
    let none = BTreeSet::new();
    let on = |day: i64| buyers.get(&day).unwrap_or(&none);
    let mut rows = Vec::new();
    for day in buyers.keys() {
        let mut users: BTreeSet<u64> = BTreeSet::new();
        for first in day - 6..=day - 2 {
            let three = on(first).iter();
            let three = three.filter(|user| on(first + 1).contains(user));
            users.extend(three.filter(|user| on(first + 2).contains(user)));
        }
        rows.push(row![date(*day), users.len()]);
    }
    Table {
        columns: "day, users",
        rows,
    }
}

pub fn user_change(ledger: &Ledger) -> Table {
    let active = active_days(ledger);
    let mut gone: BTreeMap<i64, i64> = BTreeMap::new();
    let mut keys = active.keys().peekable();
    while let Some((user, day)) = keys.next() {
        // On the seventh day after it, unless the member was there until then.
        let next = keys.peek().filter(|(next, _)| next == user);
        if next.is_none_or(|(_, next)| *next > day + 7) {
            *gone.entry(day + 7).or_default() += 1;
        }
    }
    let mut back: BTreeMap<i64, i64> = BTreeMap::new();
    for (day, _) in backs(&active) {
        *back.entry(day).or_default() += 1;
    }
    let count = |counts: &BTreeMap<i64, i64>, day| counts.get(&day).copied().unwrap_or(0);
    // A day on which nobody was there has a row too.
    let oldest = active.keys().map(|(_, day)| *day).min();
    let days = oldest
        .zip(page_days(ledger).map(|(_, last)| last))
        .into_iter();
    let days = days.flat_map(|(oldest, newest)| oldest..=newest);
    let rows = days.map(|day| row![date(day), count(&gone, day), count(&back, day)]);
    Table {
        columns: "day, user_churn_ct, user_back_ct",
        rows: rows.collect(),
    }
}

pub fn user_retention(ledger: &Ledger) -> Table {
    let active = active_days(ledger);
    let days = page_days(ledger);
    let mut groups: BTreeMap<i64, (i64, [i64; 7])> = BTreeMap::new();
    for (time_us, user, _) in ledger.registers.iter().filter(|(_, _, is_test)| !is_test) {
        let day = day_of(*time_us);
        let (users, kept) = groups.entry(day).or_default();
        *users += 1;
        for (after, kept) in (1..).zip(kept) {
            *kept += i64::from(active.contains_key(&(*user as u32, day + after)));
        }
    }
    let mut rows = Vec::new();
    for (day, (users, kept)) in groups {
        for (after, kept) in (1..).zip(kept) {
            let is_known =
                days.is_some_and(|(first, last)| (first..=last).contains(&(day + after)));
            let (kept, rate) = match is_known {
                true => (kept.to_string(), ratio(kept as f64, users)),
                // Nobody knows: it has not come, or nobody looked.
                false => (String::new(), String::new()),
            };
            rows.push(row![date(day), after, users, kept, rate]);
        }
    }
    Table {
        columns: "register_day, retention_day, new_users, retained, retention_rate",
        rows,
    }
}

/// What a member is by the parts of five.
fn segment(r: usize, f: usize, m: usize) -> &'static str {
    match (r >= 4, f >= 4, m >= 4) {
        (true, true, true) => "best",
        (true, false, _) => "fresh",
        (false, _, true) => "at risk",
        (false, _, false) if r <= 2 => "asleep",
        _ => "middle",
    }
}

pub fn user_value(ledger: &Ledger) -> Table {
    let mut users: BTreeMap<u64, (i64, i64, i64)> = BTreeMap::new();
    for ((day, user), of_day) in user_days(ledger) {
        let (last, count, cents) = users.entry(user).or_insert((i64::MIN, 0, 0));
        *cents += of_day.paid - of_day.refunded;
        if of_day.paid > 0 {
            *last = day.max(*last);
            *count += 1;
        }
    }
    users.retain(|_, (_, count, _)| *count > 0);
    let newest = users.values().map(|(last, _, _)| *last).max();
    let newest = newest.unwrap_or_default();
    let ranks = |value: &dyn Fn(&(i64, i64, i64)) -> i64| -> BTreeMap<u64, usize> {
        let list = users.iter().map(|(user, numbers)| (value(numbers), *user));
        let mut list: Vec<(i64, u64)> = list.collect();
        list.sort_unstable();
        // By how many come before all that are alike.
        let before = |value: i64| list.partition_point(|(other, _)| *other < value);
        let fifths = list.iter();
        fifths
            .map(|(value, user)| (*user, 5 * before(*value) / list.len()))
            .collect()
    };
    let recency = ranks(&|(last, _, _)| newest - last);
    let frequency = ranks(&|(_, count, _)| *count);
    let monetary = ranks(&|(_, _, cents)| *cents);
    let rows = users.iter().map(|(user, (last, count, cents))| {
        let (r, f, m) = (5 - recency[user], 1 + frequency[user], 1 + monetary[user]);
        row![
            user,
            newest - last,
            count,
            money(*cents),
            r,
            f,
            m,
            segment(r, f, m)
        ]
    });
    Table {
        columns: "user_id, CAST(recency AS BIGINT), frequency, monetary, r, f, m, segment",
        rows: rows.collect(),
    }
}

pub fn visitor_days(ledger: &Ledger, traffic: &Traffic<'_>) -> Table {
    let mut devices: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
    for (day, device) in traffic.firsts.keys() {
        devices.entry(*day).or_default().insert(*device);
    }
    let mut users: BTreeMap<i64, [BTreeSet<u64>; 2]> = BTreeMap::new();
    for ((day, user), of_day) in user_days(ledger) {
        let [active, ordered] = users.entry(day).or_default();
        active.insert(user);
        if of_day.orders > 0 {
            ordered.insert(user);
        }
    }
    let days: BTreeSet<i64> = devices.keys().chain(users.keys()).copied().collect();
    let mut rows = Vec::new();
    for day in days {
        for recent in [1, 7, 30] {
            let span = day - recent + 1..=day;
            let seen: BTreeSet<u32> = devices
                .range(span.clone())
                .flat_map(|it| it.1.clone())
                .collect();
            let of_users = |place: usize| -> usize {
                let all = users.range(span.clone());
                let all = all.flat_map(|(_, sets)| sets[place].iter());
                all.collect::<BTreeSet<_>>().len()
            };
            rows.push(row![
                date(day),
                recent,
                seen.len(),
                of_users(0),
                of_users(1)
            ]);
        }
    }
    Table {
        columns: "day, recent_days, coalesce(uv, 0), coalesce(active_users, 0), coalesce(order_users, 0)",
        rows,
    }
}

/// What is reported of a day: day, metric, value in hundredths.
pub fn figures(ledger: &Ledger, traffic: &Traffic<'_>) -> BTreeMap<(i64, &'static str), i64> {
    let mut figures = BTreeMap::new();
    for (day, sums) in days_of(ledger, traffic) {
        for (metric, cents) in [
            ("gmv_gross", sums.gross),
            ("gmv_unpaid", sums.unpaid),
            ("gmv_cancelled", sums.cancelled),
            ("gmv_paid", sums.paid),
            ("gmv_refunded", sums.refunded),
            ("gmv_net", sums.paid - sums.refunded),
            ("freight", sums.freight),
            ("orders", sums.orders * 100),
            ("order_users", sums.users.len() as i64 * 100),
            ("paid_orders", sums.paid_orders * 100),
            ("pv", sums.pv * 100),
            ("uv", sums.uv * 100),
            ("sessions", sums.sessions * 100),
        ] {
            figures.insert((day, metric), cents);
        }
    }
    for (day, [_, _, paid, refunded]) in day_results(ledger) {
        figures.insert((day, "refunded_of_orders"), refunded);
        figures.insert((day, "net_of_orders"), paid - refunded);
    }
    figures
}

pub fn report_figure(ledger: &Ledger, traffic: &Traffic<'_>) -> Table {
    let figures = figures(ledger, traffic);
    let rows = figures
        .iter()
        .map(|((day, metric), cents)| row![date(*day), metric, money(*cents)]);
    Table {
        columns: "day, metric, CAST(value AS DECIMAL(24, 2))",
        rows: rows.collect(),
    }
}

pub fn user_level_day(ledger: &Ledger, _: &Traffic<'_>, days: &Days) -> Table {
    let mut groups: BTreeMap<(i64, u8), (i64, BTreeSet<u64>, i64)> = BTreeMap::new();
    for order in orders_of(ledger, days) {
        let level = ledger.level_at(order.fact.user, order.time_us);
        let key = (order.day(), level);
        let (orders, users, goods) = groups.entry(key).or_default();
        *orders += 1;
        users.insert(order.fact.user);
        *goods += order.goods();
    }
    let rows = groups.iter();
    let rows = rows.map(|((day, level), (orders, users, goods))| {
        let level = id_cell(u64::from(*level));
        row![date(*day), level, orders, users.len(), money(*goods)]
    });
    Table {
        columns: "day, user_level, orders, users, gmv_gross",
        rows: rows.collect(),
    }
}
