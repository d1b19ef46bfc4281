//! Random cases through the engine. A seed gives tables and views, and a number
//! of histories of changes go through them; each is a case.
//! `SLUICE_DIFFERENTIAL_SEEDS` says how many seeds (4,000 by default),
//! `SLUICE_DIFFERENTIAL_HISTORIES` how many histories of each (25), which makes
//! 100,000 cases; `SLUICE_DIFFERENTIAL_FIRST` and
//! `SLUICE_DIFFERENTIAL_FIRST_HISTORY` say where they begin.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::ops::Range;

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
    fn run(&mut self, seed: u64, histories: Range<u64>) {
        match check_seed(seed, histories, &RealEngine::start) {
            Ok(outcomes) => outcomes
                .into_iter()
                .for_each(|outcome| self.count(seed, outcome)),
            Err(report) => {
                println!("{report}");
                self.wrong.push(seed);
            }
        }
    }

    fn count(&mut self, seed: u64, outcome: Outcome) {
        match outcome {
            Outcome::Agreed {
                comparisons,
                batch_comparisons,
                sqlite_comparisons,
                failures,
            } => {
                self.compared[0] += comparisons;
                self.compared[1] += batch_comparisons;
                self.compared[2] += sqlite_comparisons;
                self.failed_rows += failures;
            }
            Outcome::Refused(reason) | Outcome::Discarded(reason) => {
                // What is not supported is refused in words of its own.
                if reason.contains("Internal error") {
                    println!("seed {seed} is refused: {reason}");
                    self.wrong.push(seed);
                }
                let reason = reason.lines().next().unwrap_or_default().to_owned();
                *self.left_out.entry(reason).or_insert(0) += 1;
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
    let seeds = number("SLUICE_DIFFERENTIAL_SEEDS", 4_000);
    let first_history = number("SLUICE_DIFFERENTIAL_FIRST_HISTORY", 0);
    let history_count = number("SLUICE_DIFFERENTIAL_HISTORIES", 25);
    let histories = first_history..first_history + history_count;
    let count = seeds * history_count;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let of_thread = |thread: usize| {
            let mut tally = Tally::default();
            for seed in (first..first + seeds).skip(thread).step_by(threads) {
                tally.run(seed, histories.clone());
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
        "{count} cases of {seeds} plans, {left_out_count} left out; compared {} with the interpreter, {} with DataFusion, {} with SQLite; {failed_rows} failed rows",
        compared[0], compared[1], compared[2]
    );
    assert!(wrong.is_empty(), "wrong seeds: {wrong:?}");
    // One case alone may be one of those.
    if seeds >= 100 {
        assert!(left_out_count * 10 < count, "too many cases are left out");
    }
    if seeds >= 1_000 && first_history == 0 {
        assert!(compared.iter().all(|&count| count > 0), "{compared:?}");
        assert!(failed_rows > 0, "no case had a row that fails");
    }
}
