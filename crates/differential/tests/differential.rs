//! Random cases through the engine. `SLUICE_DIFFERENTIAL_SEEDS` says how many
//! (8,000 by default), `SLUICE_DIFFERENTIAL_FIRST` where they begin.

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

/// What the cases of some seeds gave.
#[derive(Default)]
struct Tally {
    /// Comparisons with the interpreter, DataFusion and SQLite.
    compared: [usize; 3],
    failed_rows: i64,
    left_out: BTreeMap<String, u64>,
    wrong: Vec<u64>,
}

impl Tally {
    fn run(&mut self, seed: u64) {
        match check_seed(seed, &RealEngine::start) {
            Ok(Outcome::Agreed {
                comparisons,
                batch_comparisons,
                sqlite_comparisons,
                failures,
            }) => {
                self.compared[0] += comparisons;
                self.compared[1] += batch_comparisons;
                self.compared[2] += sqlite_comparisons;
                self.failed_rows += failures;
            }
            Ok(Outcome::Refused(reason) | Outcome::Discarded(reason)) => {
                let reason = reason.lines().next().unwrap_or_default().to_owned();
                *self.left_out.entry(reason).or_insert(0) += 1;
            }
            Err(report) => {
                println!("{report}");
                self.wrong.push(seed);
            }
        }
    }

    fn add(&mut self, other: Self) {
        for (sum, count) in self.compared.iter_mut().zip(other.compared) {
            *sum += count;
        }
        self.failed_rows += other.failed_rows;
        self.wrong.extend(other.wrong);
        for (reason, count) in other.left_out {
            *self.left_out.entry(reason).or_insert(0) += count;
        }
    }
}

#[test]
fn engine_equals_the_oracles() {
    let first = number("SLUICE_DIFFERENTIAL_FIRST", 0);
    let count = number("SLUICE_DIFFERENTIAL_SEEDS", 8_000);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let of_thread = |thread: usize| {
            let mut tally = Tally::default();
            for seed in (first..first + count).skip(thread).step_by(threads) {
                tally.run(seed);
            }
            tally
        };
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || of_thread(thread)))
            .collect();
        for thread in running {
            all.add(thread.join().unwrap());
        }
    });
    let Tally {
        compared,
        failed_rows,
        left_out,
        wrong,
    } = all;
    let left_out_count: u64 = left_out.values().sum();
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
