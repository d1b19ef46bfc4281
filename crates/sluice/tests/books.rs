//! The big proof: every number of every model of the layers DWS and ADS equals the
//! shop's own books, at the end and at moments in between, although the process is
//! killed in between; the same when the records come in another order. Audits are asked
//! all the time.
//!
//! `SLUICE_BOOKS_SEEDS` (from `SLUICE_BOOKS_FIRST_SEED` on), `SLUICE_BOOKS_EVENTS`, `SLUICE_BOOKS_MOMENTS`,
//! `SLUICE_BOOKS_AUDITS` and `SLUICE_BOOKS_KILLS` make it larger; `SLUICE_BOOKS_IN_ORDER=0` leaves the records
//! in their order out; `SLUICE_BOOKS_CURRENCIES=1` makes it a shop
//! with one currency, `SLUICE_BOOKS_TIDY=1` one in which names stay, coupons do not
//! come back, every app names its sessions and nobody writes impossible rows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and tells how long it took"
)]

mod books_data;
mod common;

use std::collections::BTreeMap;
use std::time::Instant;

use books_data::audits::{self, Audits};
use books_data::ledger::{Ledger, day_of};
use books_data::table::{Days, date, difference, money};
use books_data::traffic::Traffic;
use books_data::warehouse::Warehouse;
use books_data::{BOOKS, By, members};
use common::{ask, root, sluice, succeed};
use sluice_shop::{Message, Shop, ShopOptions, Topic};

/// A moment in the past, so that no record is ahead of the clock: the afternoon of
/// a day in Shanghai.
const START_US: i64 = 1_760_000_000_000_000;
const HOUR_US: i64 = 3_600_000_000;
/// Long enough for members who come back after eight days.
const HOURS: i64 = 10 * 24 + 7;
/// How much later records come when they are shuffled. The log may come a day
/// late.
const LOG_LATER_US: i64 = 20 * HOUR_US;
const CHANGES_LATER_US: i64 = HOUR_US / 2;
/// With more events only days that may have changed are compared in between.
const EVENTS_OF_ALL_DAYS: u64 = 1_000_000;

fn from_environment(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    text.parse().unwrap_or(default)
}

/// How the records come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    InOrder,
    Shuffled,
}

/// Numbers that look like chance, from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Puts records in another order: each of the log comes up to so much later, and
/// each transaction of the database as a whole.
#[derive(Default)]
struct Shuffle {
    waiting: BTreeMap<(i64, u64), Message>,
    number: u64,
    transaction: (String, i64),
}

impl Shuffle {
    fn add(&mut self, message: Message, chance: &mut Chance) {
        self.number += 1;
        let later_us = match message.topic {
            Topic::AppLog => chance.below(LOG_LATER_US as u64) as i64,
            Topic::ShopDb => {
                let xid = message.payload.split("\"xid\":").nth(1).unwrap_or_default();
                let xid = xid.split(',').next().unwrap_or_default().to_owned();
                let id = format!("{xid} {}", message.send_time_us);
                if self.transaction.0 != id {
                    let later_us = match xid.is_empty() {
                        // A row of the snapshot, which comes before all changes.
                        true => 0,
                        false => chance.below(CHANGES_LATER_US as u64) as i64,
                    };
                    self.transaction = (id, later_us);
                }
                self.transaction.1
            }
        };
        let key = (message.send_time_us + later_us, self.number);
        self.waiting.insert(key, message);
    }

    fn take_until(&mut self, until_us: i64) -> Vec<Message> {
        let later = self.waiting.split_off(&(until_us, 0));
        let taken = std::mem::replace(&mut self.waiting, later);
        taken.into_values().collect()
    }
}

/// Rows of a model on the days.
fn found(warehouse: &Warehouse, model: &str, by: By, columns: &str, days: &Days) -> Vec<String> {
    let (first, last) = (date(*days.start()), date(*days.end()));
    let condition = match by {
        By::All => String::new(),
        By::Day => format!("WHERE day BETWEEN DATE '{first}' AND DATE '{last}'"),
        By::Date => format!("WHERE cur_date BETWEEN DATE '{first}' AND DATE '{last}'"),
        By::Start => format!(
            "WHERE CAST(stt AT TIME ZONE 'Asia/Shanghai' AS DATE) BETWEEN DATE '{first}' AND DATE '{last}'"
        ),
    };
    let sql = format!("SELECT {columns} FROM {model} AS t {condition}");
    ask(&warehouse.state(), &sql)
}

/// Compares every model. Returns how many rows were the same.
fn compare(warehouse: &Warehouse, ledger: &Ledger, days: &Days, what: &str) -> usize {
    let traffic = Traffic::new(ledger);
    let mut problems = Vec::new();
    let mut rows = 0;
    for (model, by, book) in BOOKS {
        let table = book(ledger, &traffic, days);
        let found = found(warehouse, model, *by, table.columns, days);
        rows += found.len();
        assert!(
            !found.is_empty() || days.start() == days.end(),
            "{model} is empty"
        );
        if let Some(problem) = difference(table.rows, found) {
            problems.push(format!("{model}: {problem}"));
        }
    }
    assert!(problems.is_empty(), "{what}\n{}", problems.join("\n"));
    rows
}

/// Models without a book would be numbers that nobody knows.
#[test]
fn every_model_of_dws_and_ads_has_a_book() {
    let mut names: Vec<String> = Vec::new();
    for layer in ["dws", "ads"] {
        let folder = root().join("warehouse/models").join(layer);
        let files = std::fs::read_dir(folder).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        names.extend(paths.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()));
    }
    assert!(names.len() > 50, "{names:?}");
    let others = ["ads_period_closed", "ads_period_adjustment"];
    let is_known = |name: &String| {
        BOOKS.iter().any(|(model, ..)| model == name) || others.contains(&name.as_str())
    };
    names.retain(|name| !is_known(name));
    assert!(names.is_empty(), "{names:?}");
}

/// The figures of closed days, as they were then.
type Closed = BTreeMap<(i64, &'static str), i64>;

fn close(warehouse: &Warehouse, ledger: &Ledger, day: i64) -> Closed {
    let mut command = sluice();
    command
        .arg("close")
        .arg(root().join("warehouse"))
        .arg(date(day));
    command.args(warehouse.settings());
    succeed(command.arg("--state").arg(warehouse.state()));
    let figures = members::figures(ledger, &Traffic::new(ledger));
    let of_day = figures.into_iter().filter(|((of, _), _)| *of == day);
    of_day.collect()
}

/// What was reported stays, and what changed since is beside it.
fn compare_closed(warehouse: &Warehouse, ledger: &Ledger, closed: &Closed) {
    let rows = closed.iter();
    let rows = rows.map(|((day, metric), cents)| row![date(*day), metric, 1, money(*cents)]);
    let columns = "day, metric, version, CAST(value AS DECIMAL(24, 2))";
    let sql = format!("SELECT {columns} FROM ads_period_closed");
    let problem = difference(rows.collect(), ask(&warehouse.state(), &sql));
    assert!(problem.is_none(), "ads_period_closed: {problem:?}");

    let figures = members::figures(ledger, &Traffic::new(ledger));
    let mut rows = Vec::new();
    for ((day, metric), reported) in closed {
        let current = figures.get(&(*day, *metric)).copied().unwrap_or(0);
        if current != *reported {
            let change = money(current - reported);
            let (reported, current) = (money(*reported), money(current));
            rows.push(row![date(*day), metric, reported, current, change]);
        }
    }
    assert!(!rows.is_empty(), "nothing changed after the day was closed");
    let columns = "day, metric, CAST(reported AS DECIMAL(24, 2)), CAST(current AS DECIMAL(24, 2)), CAST(adjustment AS DECIMAL(24, 2))";
    let sql = format!("SELECT {columns} FROM ads_period_adjustment");
    let problem = difference(rows, ask(&warehouse.state(), &sql));
    assert!(problem.is_none(), "ads_period_adjustment: {problem:?}");
}

/// Every audit is empty, and nothing was lost but what is broken.
fn check_rest(warehouse: &Warehouse, shop: &Shop) {
    for name in audits::names() {
        let rows = ask(&warehouse.state(), &format!("SELECT * FROM {name}"));
        assert!(rows.is_empty(), "{name}: {rows:?}");
    }
    let errors = "SELECT count(*) FROM sluice_evaluation_errors";
    assert_eq!(ask(&warehouse.state(), errors), ["0"]);
    // A change may be meant for several tables, which all refuse it.
    let dirty = shop.books().dirty.to_string();
    let dead_letters = "SELECT count(*) FROM (SELECT DISTINCT topic, record_offset FROM sluice_dead_letters) AS records";
    assert_eq!(ask(&warehouse.state(), dead_letters), [dirty]);
}

fn prove(seed: u64, events: u64, moments: i64, way: Way, kills: u64) {
    let began = Instant::now();
    let mut options = ShopOptions::new(seed, START_US);
    if from_environment("SLUICE_BOOKS_TIDY", 0) == 0 {
        options = options.with_everything();
    }
    options.messages_per_second = events as f64 / (HOURS as f64 * 3_600.0);
    options.devices = (events / 20).clamp(2_000, 250_000) as u32;
    let several = from_environment("SLUICE_BOOKS_CURRENCIES", 5) > 1;
    options.several_currencies = several;
    let mut warehouse = Warehouse::start(several);
    let mut shop = Shop::new(options).unwrap();
    shop.keep_facts();
    let mut ledger = Ledger::new(10_000_000);
    let mut chance = Chance(seed + 1);
    let mut shuffle = Shuffle::default();
    let (mut killed, mut sent, mut rows) = (0, 0_u64, 0);
    let mut audits = Audits::new(several);
    let audit_times = from_environment("SLUICE_BOOKS_AUDITS", 24) as i64;
    let mut closed = Closed::new();
    let mut days_first = day_of(START_US);
    for hour in 1..=HOURS {
        let now_us = START_US + hour * HOUR_US;
        let mut messages = Vec::new();
        shop.advance(now_us, &mut messages);
        ledger.learn(shop.take_facts(), now_us);
        if way == Way::Shuffled {
            for message in messages {
                shuffle.add(message, &mut chance);
            }
            let is_last = hour == HOURS;
            messages = shuffle.take_until(if is_last { i64::MAX } else { now_us });
        }
        sent += messages.len() as u64;
        // None near the end, where a request less could leave one out.
        let kills_until = kills * (hour as u64 + 24) / HOURS as u64;
        let kills_until = kills_until.min(kills);
        warehouse.send(&messages, |warehouse| {
            if killed < kills_until && chance.below(2) == 0 {
                warehouse.kill();
                killed += 1;
            }
        });
        // In another order a refund may come before its order, which is an audit's row.
        if way == Way::InOrder && hour * audit_times / HOURS > (hour - 1) * audit_times / HOURS {
            audits.ask(&warehouse);
        }
        let is_moment =
            way == Way::InOrder && hour * moments / HOURS > (hour - 1) * moments / HOURS;
        if is_moment && hour < HOURS {
            warehouse.wait(now_us);
            if events <= EVENTS_OF_ALL_DAYS {
                days_first = day_of(START_US);
            }
            let days = days_first..=day_of(now_us);
            let moment = format!("seed {seed}, hour {hour}");
            let same = compare(&warehouse, &ledger, &days, &moment);
            println!("{moment}: {sent} records, {same} rows equal");
            rows += same;
            days_first = day_of(now_us) - 1;
            if day_of(now_us) > day_of(START_US) + 1 {
                closed.append(&mut close(&warehouse, &ledger, day_of(now_us) - 1));
            }
        }
    }
    let now_us = START_US + HOURS * HOUR_US;
    warehouse.wait(now_us);
    let took_s = began.elapsed().as_secs();
    let days = day_of(START_US)..=day_of(now_us);
    rows += compare(
        &warehouse,
        &ledger,
        &days,
        &format!("seed {seed}, {way:?}, the end"),
    );
    if !closed.is_empty() {
        compare_closed(&warehouse, &ledger, &closed);
    }
    check_rest(&warehouse, &shop);
    match way {
        Way::InOrder => audits.check_times(audit_times as usize),
        Way::Shuffled => {
            audits.ask(&warehouse);
            audits.check_times(1);
        }
    }
    assert_eq!(killed, kills);
    println!(
        "seed {seed}, {way:?}: {sent} records, {killed} kills, {rows} rows equal; {took_s} s until all were in, {} s in all",
        began.elapsed().as_secs()
    );
}

#[test]
fn every_number_of_every_day_equals_the_books() {
    let events = from_environment("SLUICE_BOOKS_EVENTS", 100_000);
    let moments = from_environment("SLUICE_BOOKS_MOMENTS", 4) as i64 + 1;
    let kills = from_environment("SLUICE_BOOKS_KILLS", 1);
    let first = from_environment("SLUICE_BOOKS_FIRST_SEED", 1);
    let ways: &[Way] = match from_environment("SLUICE_BOOKS_IN_ORDER", 1) {
        0 => &[Way::Shuffled],
        _ => &[Way::InOrder, Way::Shuffled],
    };
    for seed in first..first + from_environment("SLUICE_BOOKS_SEEDS", 1) {
        for &way in ways {
            prove(seed, events, moments, way, kills);
        }
    }
}
