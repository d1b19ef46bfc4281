//! Random cases through the engine. `SLUICE_DIFFERENTIAL_SEEDS` says how many
//! (2,000 by default), `SLUICE_DIFFERENTIAL_FIRST` where they begin.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use sluice_differential::check_seed;
use sluice_differential::run::{Outcome, RealEngine};

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

#[test]
fn engine_equals_the_oracles() {
    let first = number("SLUICE_DIFFERENTIAL_FIRST", 0);
    let count = number("SLUICE_DIFFERENTIAL_SEEDS", 2_000);
    let mut compared = [0; 3];
    let mut failed_rows = 0;
    let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
    let mut left_out_count = 0;
    let mut wrong = Vec::new();
    for seed in first..first + count {
        match check_seed(seed, &RealEngine::start) {
            Ok(Outcome::Agreed {
                comparisons,
                batch_comparisons,
                sqlite_comparisons,
                failures,
            }) => {
                compared[0] += comparisons;
                compared[1] += batch_comparisons;
                compared[2] += sqlite_comparisons;
                failed_rows += failures;
            }
            Ok(Outcome::Refused(reason) | Outcome::Discarded(reason)) => {
                left_out_count += 1;
                let reason = reason.lines().next().unwrap_or_default().to_owned();
                *left_out.entry(reason).or_insert(0) += 1;
            }
            Err(report) => {
                println!("{report}");
                wrong.push(seed);
            }
        }
    }
    for (reason, count) in &left_out {
        println!("left out {count}: {reason}");
    }
    println!(
        "{count} cases, {left_out_count} left out; compared {} with the interpreter, {} with DataFusion, {} with SQLite; {failed_rows} failed rows",
        compared[0], compared[1], compared[2]
    );
    assert!(wrong.is_empty(), "wrong seeds: {wrong:?}");
    assert!(left_out_count * 10 < count, "too many cases are left out");
    if count >= 100 {
        assert!(compared.iter().all(|&count| count > 0), "{compared:?}");
        assert!(failed_rows > 0, "no case had a row that fails");
    }
}
