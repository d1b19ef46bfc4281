//! The harness finds what it is for: an engine that forgets a retraction, one
//! that forgets what came before a restart, and it makes the case small. An
//! engine that mistakes a form of SQL is in `mistaken_forms.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_core::{Delta, TableChanges};
use sluice_differential::check_seed;
use sluice_differential::generator::generate;
use sluice_differential::run::{Case, RealEngine, Start, Subject, Wrong, WrongKind, run_case};
use sluice_differential::{report::report, shrink::shrink};
use sluice_engine::Program;

/// Drops the first retraction of each view's changes.
struct DropsRetractions(Box<dyn Subject>);

impl Subject for DropsRetractions {
    fn step(
        &mut self,
        epoch: u64,
        changes: Vec<TableChanges>,
        watermarks: &BTreeMap<String, i64>,
    ) -> Result<BTreeMap<String, Delta>, String> {
        let mut deltas = self.0.step(epoch, changes, watermarks)?;
        for (name, delta) in &mut deltas {
            let first = delta.weights().iter().position(|&weight| weight < 0);
            if let (true, Some(first)) = (name.starts_with('v'), first) {
                let kept: Vec<u32> = (0..delta.len() as u32)
                    .filter(|&row| row as usize != first)
                    .collect();
                *delta = delta.take(&kept.into()).unwrap();
            }
        }
        Ok(deltas)
    }
    fn checkpoint(&mut self) -> Result<(), String> {
        self.0.checkpoint()
    }
    fn restart(&mut self, worker_threads: usize) -> Result<(), String> {
        self.0.restart(worker_threads)
    }
}

/// Saves nothing after the first checkpoint, and does not say so.
struct ForgetsCheckpoints {
    engine: Box<dyn Subject>,
    program: Arc<Program>,
}

impl Subject for ForgetsCheckpoints {
    fn step(
        &mut self,
        epoch: u64,
        changes: Vec<TableChanges>,
        watermarks: &BTreeMap<String, i64>,
    ) -> Result<BTreeMap<String, Delta>, String> {
        self.engine.step(epoch, changes, watermarks)
    }
    fn checkpoint(&mut self) -> Result<(), String> {
        Ok(())
    }
    fn restart(&mut self, worker_threads: usize) -> Result<(), String> {
        self.engine = RealEngine::start(self.program.clone(), worker_threads)?;
        Ok(())
    }
}

fn first_wrong(start: &Start<'_>) -> (u64, Case, Wrong) {
    for seed in 0..100 {
        let case = generate(seed, 0);
        if let Err(wrong) = run_case(&case, start) {
            if wrong.kind != WrongKind::Rows {
                continue;
            }
            let (case, wrong) = shrink(&case, &wrong, start);
            return (seed, case, wrong);
        }
    }
    panic!("no case showed the error");
}

fn forgets_checkpoints(program: Arc<Program>, threads: usize) -> Result<Box<dyn Subject>, String> {
    let engine = RealEngine::start(program.clone(), threads)?;
    Ok(Box::new(ForgetsCheckpoints { engine, program }))
}

fn changes(case: &Case) -> usize {
    let batches = case.epochs.iter().flat_map(|epoch| &epoch.batches);
    batches.map(|batch| batch.changes.len()).sum()
}

#[test]
fn a_dropped_retraction_is_found_and_made_small() {
    let start: &Start<'_> = &|program, threads| {
        let engine = RealEngine::start(program, threads)?;
        Ok(Box::new(DropsRetractions(engine)))
    };
    let (seed, case, wrong) = first_wrong(start);
    let text = report(seed, 0, &case, &wrong);
    println!("{text}");
    assert_eq!(wrong.kind, WrongKind::Rows);
    // A view that reads another one is not put into it.
    assert!(case.views.len() <= 2, "{text}");
    assert!(changes(&case) <= 3, "{text}");
    assert!(case.epochs.len() <= 2, "{text}");
    let alone = format!("SLUICE_DIFFERENTIAL_FIRST={seed} ");
    assert!(text.contains(&alone), "{text}");
    assert!(text.contains("CREATE MATERIALIZED VIEW"));
    assert!(text.contains("in interpreter"));
}

#[test]
fn a_lost_state_is_found_and_made_small() {
    let start: &Start<'_> = &forgets_checkpoints;
    let (seed, case, wrong) = first_wrong(start);
    let text = report(seed, 0, &case, &wrong);
    println!("{text}");
    assert!(changes(&case) <= 3, "{text}");
    let restarts = case
        .epochs
        .iter()
        .filter(|epoch| epoch.restart_threads.is_some());
    assert_eq!(restarts.count(), 1, "{text}");
}

#[test]
fn a_report_names_the_one_history_that_shows_it() {
    let histories = 1..5;
    let mut reports =
        (0..100).filter_map(|seed| check_seed(seed, histories.clone(), &forgets_checkpoints).err());
    let text = reports.next().unwrap();
    let named = |name: &str| -> u64 {
        let (_, rest) = text.split_once(&format!("{name}=")).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let seed = named("SLUICE_DIFFERENTIAL_FIRST");
    let history = named("SLUICE_DIFFERENTIAL_FIRST_HISTORY");
    assert!(histories.contains(&history), "{text}");
    let alone = check_seed(seed, history..history + 1, &forgets_checkpoints);
    assert_eq!(alone.unwrap_err(), text);
}
