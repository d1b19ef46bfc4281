//! The Online Retail data from files to exact answers, through the real
//! program: the published figures to the last digit, and the same rows after
//! the process was killed at fifty random moments of the load.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::public_data::public_data;
use common::{all_rows, ask, example, output, plain, replay_command, run_command, succeed};

const KILLS: u32 = 50;
const FROM: &str = "the files 2010-12-01.csv to 2011-09-30.csv of https://github.com/databricks/Spark-The-Definitive-Guide/tree/master/data/retail-data/by-day";

fn load(input: &Path, state: &Path) -> String {
    let mut command = run_command(&example(), state);
    command
        .arg("--set")
        .arg(format!("input={}", input.display()));
    succeed(command.arg("--until-idle"))
}

fn plain_numbers(line: &str) -> Vec<String> {
    line.split(',').map(plain).collect()
}

/// The figures of the data's description, computed there with exact decimals.
#[track_caller]
fn check_figures(state: &Path) {
    let totals = ask(
        state,
        "SELECT rows, rows_with_customer, amount_all, clean_rows, clean_customers, clean_invoices, clean_revenue FROM totals",
    );
    assert_eq!(totals.len(), 1);
    let expected = [
        "370931",
        "272875",
        "6781619.004",
        "266495",
        "3616",
        "13168",
        "6192078.944",
    ];
    assert_eq!(plain_numbers(&totals[0]), expected);

    let months = ask(
        state,
        "SELECT month, revenue_clean FROM revenue_by_month ORDER BY month",
    );
    let months: Vec<String> = months
        .iter()
        .map(|line| plain_numbers(line).join(","))
        .collect();
    let expected = [
        "2010-12,572713.89",
        "2011-01,569445.04",
        "2011-02,447137.35",
        "2011-03,595500.76",
        "2011-04,469200.361",
        "2011-05,678594.56",
        "2011-06,661213.69",
        "2011-07,600091.011",
        "2011-08,645343.9",
        "2011-09,952838.382",
    ];
    assert_eq!(months, expected);

    let sums = ask(
        state,
        "SELECT
           (SELECT sum(revenue_all_rows) FROM revenue_by_month),
           (SELECT sum(revenue) FROM revenue_by_country),
           (SELECT sum(revenue) FROM revenue_by_customer),
           (SELECT count(*) FROM revenue_by_customer),
           (SELECT sum(lines) FROM dwd_cancellation),
           (SELECT count(DISTINCT cancellation_no) FROM dwd_cancellation),
           (SELECT sum(lines) FROM revenue_by_line_kind)",
    );
    let expected = [
        "6781619.004",
        "6192078.944",
        "6192078.944",
        "3616",
        "6652",
        "2887",
        "370931",
    ];
    assert_eq!(plain_numbers(&sums[0]), expected);

    // Products, and what is none, make up the clean revenue together.
    let parts = ask(
        state,
        "SELECT (SELECT sum(revenue) FROM revenue_by_product)
              + (SELECT sum(revenue_clean) FROM revenue_by_line_kind WHERE line_kind <> 'product')",
    );
    assert_eq!(plain_numbers(&parts[0]), ["6192078.944"]);

    // A cancellation is matched to no more than was bought and not more than
    // it cancels; every cancelled line is in exactly one status.
    let matched = ask(
        state,
        "SELECT count(*) FILTER (WHERE matched_quantity < 0 OR matched_quantity > quantity),
                (SELECT count(*) FROM dwd_cancellation) - count(*),
                count(*) FILTER (WHERE match_status = 'matched') > 0
         FROM dwd_cancellation_matched",
    );
    assert_eq!(matched, ["0,0,true"]);
    let dead_letters = ask(state, "SELECT count(*) FROM sluice_dead_letters");
    assert_eq!(dead_letters, ["0"]);
    let failed_rows = ask(state, "SELECT count(*) FROM sluice_evaluation_errors");
    assert_eq!(failed_rows, ["0"]);
}

#[test]
fn the_figures_are_exact_and_the_log_gives_them_again() {
    let Some(input) = public_data("online-retail", FROM) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let summary = load(&input, &state);
    assert!(
        summary.contains("invoice_line") && summary.contains("370,931"),
        "{summary}"
    );
    check_figures(&state);

    // Nothing is loaded twice.
    let summary = load(&input, &state);
    assert!(summary.starts_with("0 records"), "{summary}");
    check_figures(&state);

    let replayed = output(&mut replay_command(&example(), &state));
    let said = String::from_utf8_lossy(&replayed.stderr).into_owned();
    assert!(replayed.status.success(), "{said}");
    assert!(said.contains("the log gives the stored rows"), "{said}");
}

/// xorshift64: the same moments on every run of one seed.
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The first few rows that only one side has.
fn difference(expected: &[String], found: Option<&Vec<String>>) -> String {
    let Some(found) = found else {
        return "it is missing".to_owned();
    };
    let missing = expected.iter().filter(|row| !found.contains(row)).take(3);
    let extra = found.iter().filter(|row| !expected.contains(row)).take(3);
    format!(
        "{} rows for {}; missing {:?}, extra {:?}",
        found.len(),
        expected.len(),
        missing.collect::<Vec<_>>(),
        extra.collect::<Vec<_>>()
    )
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "it measures how long a load takes"
)]
fn killing_the_process_at_fifty_moments_of_the_load_changes_nothing() {
    let Some(input) = public_data("online-retail", FROM) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let quiet = folder.path().join("quiet");
    let start = Instant::now();
    load(&input, &quiet);
    let load_time = start.elapsed();
    let expected = all_rows(&quiet);
    assert!(expected.len() > 10, "{:?}", expected.keys());

    let seed = std::env::var("SLUICE_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let mut random = seed.unwrap_or(20_101_201);
    eprintln!("seed {random} (set SLUICE_SEED for another)");
    // The load runs several times over, so that it is under way at each kill:
    // a state that is complete is checked and given up for an empty one.
    let mut state = folder.path().join("killed-0");
    let mut states = 1;
    let mut kills_under_way = 0;
    while kills_under_way < KILLS {
        let mut command = run_command(&example(), &state);
        command
            .arg("--set")
            .arg(format!("input={}", input.display()));
        // Small epochs and frequent checkpoints give the kill more places.
        let interval_ms = [50, 200, 1000, 10_000][next_random(&mut random) as usize % 4];
        command.args([
            "--set",
            &format!("limits.checkpoint_interval_ms={interval_ms}"),
        ]);
        let epoch_records = [2_000, 16_384, 65_536][next_random(&mut random) as usize % 3];
        command.args([
            "--set",
            &format!("limits.epoch_records_max={epoch_records}"),
        ]);
        let mut child = command
            .arg("--until-idle")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let wait_us = next_random(&mut random) % (load_time.as_micros() as u64).max(1);
        std::thread::sleep(Duration::from_micros(wait_us));
        match child.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success(), "after {kills_under_way} kills: {status}");
                let rows = all_rows(&state);
                for (name, expected) in &expected {
                    let found = rows.get(name);
                    assert!(
                        found == Some(expected),
                        "{name} differs after {kills_under_way} kills: {}",
                        difference(expected, found)
                    );
                }
                std::fs::remove_dir_all(&state).unwrap();
                state = folder.path().join(format!("killed-{states}"));
                states += 1;
            }
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                kills_under_way += 1;
            }
        }
    }
    load(&input, &state);
    check_figures(&state);
    let rows = all_rows(&state);
    for (name, expected) in &expected {
        assert!(rows.get(name) == Some(expected), "{name} differs");
    }
    eprintln!("{KILLS} kills over {states} loads of {load_time:?} each");
}
