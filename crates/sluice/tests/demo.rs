//! The demo shop through the whole program: every number of the live views
//! equals the shop's own books, also when the process is killed while it fills.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod demo_answers;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{ask, output, sluice, succeed};
use sluice_shop::{DayBook, Shop};

/// A number from the environment, to make a test larger than it is by default.
fn from_environment(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    text.parse().unwrap_or(default)
}

fn demo(state: &Path) -> Command {
    let rate = from_environment("SLUICE_DEMO_RATE", 4).to_string();
    let seed = from_environment("SLUICE_DEMO_SEED", 5).to_string();
    let mut command = sluice();
    command.args(["demo", "--rate", &rate, "--seed", &seed, "--fill-only"]);
    command.arg("--state").arg(state);
    for name in ["listen.http", "listen.postgres"] {
        command.args(["--set", &format!("{name}=127.0.0.1:0")]);
    }
    command
}

fn shop(state: &Path) -> Shop {
    Shop::restore(&std::fs::read(state.join("demo/shop.json")).unwrap()).unwrap()
}

fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// `2026-11-20` of a day number, by the warehouse itself.
fn dates(state: &Path, days: &BTreeMap<i64, DayBook>) -> BTreeMap<i64, String> {
    let list = days.keys().map(|day| {
        let date = ask(state, &format!("SELECT date '1970-01-01' + {day}"));
        (*day, date[0].clone())
    });
    list.collect()
}

/// Rows of a live view for one day, without the day.
fn rows(state: &Path, view: &str, columns: &str, date: &str) -> Vec<String> {
    let sql = format!("SELECT {columns} FROM {view} WHERE day = date '{date}' ORDER BY 1");
    let mut rows = ask(state, &sql);
    rows.sort();
    rows
}

#[track_caller]
fn expect(mut expected: Vec<String>, mut found: Vec<String>, what: &str) {
    expected.sort();
    found.sort();
    assert_eq!(expected, found, "{what}");
}

/// Dead letters by which the alarm in the file `alert` judges its only topic.
fn letters(state: &Path, alert: &Path) -> u64 {
    let text = std::fs::read_to_string(alert).unwrap();
    let alert: toml::Table = toml::from_str(&text).unwrap();
    let sql = alert["sql"].as_str().unwrap();
    let rows = ask(state, &format!("SELECT letters FROM ({sql}) AS topics"));
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].parse().unwrap()
}

/// A newcomer meets no alarm for what the shop does on purpose.
fn check_alarm(state: &Path) {
    let project = state.join("demo/project");
    succeed(sluice().arg("check").arg(&project));
    let found = letters(state, &project.join("alerts/dead_letters.toml"));
    assert!((1..=30).contains(&found), "{found} letters");
}

/// Records of the log may still be under way when the shop stops; what they
/// concern is compared for days that are over only.
fn compare(state: &Path) {
    let shop = shop(state);
    let days = &shop.books().days;
    let last = *days.keys().next_back().unwrap();
    let dates = dates(state, days);
    assert_eq!(days.len(), 2, "yesterday and today");
    for (number, day) in days {
        let date = &dates[number];
        let is_over = *number != last;
        let trade = [
            money(day.gross),
            money(day.unpaid),
            money(day.cancelled),
            money(day.paid),
            money(day.refunded),
            money(day.paid - day.refunded),
            money(day.freight),
            day.orders.to_string(),
            day.order_users.to_string(),
            day.paid_orders.to_string(),
        ];
        let columns = "gmv_gross, gmv_unpaid, gmv_cancelled, gmv_paid, gmv_refunded, gmv_net, freight, orders, order_users, paid_orders";
        let found = rows(state, "ads_live_day", columns, date);
        assert_eq!(found, [trade.join(",")], "trade of {date}");
        let provinces = day.provinces.iter();
        let provinces =
            provinces.map(|(id, sales)| format!("{id},{},{}", sales.orders, money(sales.gross)));
        let found = rows(
            state,
            "ads_live_province_day",
            "province_id, orders, gmv_gross",
            date,
        );
        expect(provinces.collect(), found, "provinces");
        let skus = day.skus.iter();
        let skus = skus.map(|(id, sales)| {
            format!(
                "{id},{},{},{}",
                sales.orders,
                sales.pieces,
                money(sales.gross)
            )
        });
        let found = rows(
            state,
            "ads_live_sku_day",
            "sku_id, orders, pieces, gmv_gross",
            date,
        );
        expect(skus.collect(), found, "goods");

        let traffic = rows(state, "ads_live_day", "pv, uv, sessions", date);
        if !is_over {
            let pv: u64 = traffic[0].split(',').next().unwrap().parse().unwrap();
            assert!(pv <= day.pv && pv + 50 > day.pv, "{pv} of {}", day.pv);
            continue;
        }
        assert_eq!(traffic, [format!("{},{},{}", day.pv, day.uv, day.sessions)]);
        let minutes = day.minutes.iter().map(|(minute, book)| {
            format!(
                "{minute},{},{},{},{},{},{}",
                money(book.gross),
                money(book.net),
                book.orders,
                book.paid_orders,
                book.pv,
                book.uv_new_today
            )
        });
        let columns = "minute, gmv_gross, gmv_net, orders, paid_orders, pv, uv_new_today";
        let found = rows(state, "ads_live_minute", columns, date);
        expect(minutes.collect(), found, "minutes");
        let channels = day.channels.iter().map(|(name, book)| {
            format!(
                "{name},{},{},{},{}",
                book.pv,
                book.uv,
                book.orders,
                money(book.gross)
            )
        });
        let columns = "channel, pv, uv, orders, gmv_gross";
        let found = rows(state, "ads_live_channel_day", columns, date);
        expect(channels.collect(), found, "channels");
        demo_answers::compare_answers(state, date, day);
    }
    demo_answers::check_audits(state);
    assert_eq!(
        ask(state, "SELECT count(*) FROM sluice_evaluation_errors"),
        ["0"]
    );
}

#[test]
fn every_number_equals_the_shops_own_books() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("demo");
    succeed(&mut demo(&state));
    // Only letters of the last minutes are judged.
    check_alarm(&state);
    compare(&state);
    let dead_letters = ask(&state, "SELECT count(*) FROM sluice_dead_letters");
    assert_eq!(dead_letters, [shop(&state).books().dirty.to_string()]);

    // The next start goes on where the shop was; `--fresh` does not.
    let before = shop(&state).sequence();
    succeed(&mut demo(&state));
    assert!(shop(&state).sequence() >= before);
    compare(&state);
    let mut replay = sluice();
    replay.arg("replay").arg(state.join("demo/project"));
    let replayed = output(replay.arg("--state").arg(&state));
    let said = String::from_utf8_lossy(&replayed.stderr).into_owned();
    assert!(said.contains("the log gives the stored rows"), "{said}");
    // All that a state can hold of the shop before goes, and nothing else.
    for name in ["watch", "audit", "backup"] {
        std::fs::create_dir_all(state.join(name)).unwrap();
        std::fs::File::create(state.join(name).join("old")).unwrap();
    }
    let old = ["erase.pending", "erase.answer", "masks.since"];
    for name in old.into_iter().chain(["precious"]) {
        std::fs::File::create(state.join(name)).unwrap();
    }
    succeed(demo(&state).args(["--fresh", "--days", "0"]));
    assert_eq!(shop(&state).books().days.len(), 1);
    for name in [
        "watch/old",
        "audit/old",
        "backup",
        "erase.pending",
        "erase.answer",
    ] {
        assert!(!state.join(name).exists(), "{name}");
    }
    assert!(state.join("precious").exists());

    // What is no demo is not emptied.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::File::create(other.join("precious")).unwrap();
    let error = common::fail(demo(&other).arg("--fresh"), 2);
    assert!(error.contains("holds no demo"), "{error}");
    assert!(other.join("precious").exists());
}

#[test]
fn kills_while_the_shop_sends_lose_nothing_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("demo");
    let kills_max = from_environment("SLUICE_DEMO_KILLS", 12);
    let wait_ms_max = from_environment("SLUICE_DEMO_WAIT_MS", 500);
    let mut random = 77_u64;
    let mut kills = 0;
    loop {
        let mut command = demo(&state);
        // Small epochs and frequent checkpoints give the kill more places.
        command.args(["--set", "limits.epoch_records_max=1500"]);
        command.args(["--set", "limits.checkpoint_interval_ms=150"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let wait_ms = 30 + (random >> 33) % wait_ms_max;
        std::thread::sleep(Duration::from_millis(wait_ms));
        if kills >= kills_max {
            assert!(child.wait().unwrap().success());
            break;
        }
        match child.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success(), "after {kills} kills: {status}");
                break;
            }
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
            }
        }
    }
    assert!(kills >= 3, "the demo was over after {kills} kills");
    compare(&state);
    let sent = shop(&state).sequence();
    eprintln!("{kills} kills, {sent} messages, every number equal");
}
