//! State several times its memory budget gives the same changes as state in
//! memory, epoch by epoch, and survives a checkpoint.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Row, delete, insert, tables, upsert, views};
use sluice_core::{Delta, TableChanges};
use sluice_engine::{Engine, EngineOptions, Program};
use sluice_memory::{StateBudget, install, usage};

const EPOCHS: u64 = 24;
const ROWS: u64 = 20_000;
const KEYS: u64 = 200_000;
const MIB: u64 = 1 << 20;
const BUDGET: u64 = 32 * MIB;

fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn changes(epoch: u64) -> Vec<TableChanges> {
    let mut state = epoch;
    let mut rows = |count: u64| -> Vec<Row> {
        let kinds = ["pencil", "a much longer name of something", "", "cup"];
        (0..count)
            .map(|_| {
                let id = (random(&mut state) % KEYS) as i64;
                let kind = kinds[(random(&mut state) % 4) as usize];
                let minute = Some((random(&mut state) % 1_000) as i64);
                (id, kind, minute, (random(&mut state) % (KEYS / 2)) as i64)
            })
            .collect()
    };
    vec![
        upsert("orders", &rows(ROWS), epoch),
        delete("orders", &rows(ROWS / 10), epoch + 1),
        insert("events", &rows(ROWS / 2)),
    ]
}

fn program() -> Arc<Program> {
    let selects = [
        "SELECT n, count(*) AS c, min(id) AS i, count(DISTINCT k) AS d, sum(id) AS s
         FROM orders GROUP BY n",
        "SELECT o.id, o.k, e.n, e.t FROM orders AS o JOIN events AS e ON o.id = e.id",
        "SELECT o.id, o.n FROM orders AS o LEFT JOIN events AS e ON o.id = e.id AND e.n > o.n
         WHERE e.id IS NULL",
    ];
    Arc::new(Program::plan(&tables(), &views(&selects)).unwrap())
}

fn run(program: &Arc<Program>, mut each: impl FnMut(u64, &mut Engine, BTreeMap<String, Delta>)) {
    let mut engine = Engine::new(program.clone(), EngineOptions::with_threads(2)).unwrap();
    for epoch in 1..=EPOCHS {
        let output = engine.step(epoch, changes(epoch)).unwrap();
        each(epoch, &mut engine, output.deltas);
    }
}

/// Pages of files that are mapped into this process and in memory.
fn mapped_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssFile:"));
    let kibibytes = line.unwrap().split_ascii_whitespace().nth(1).unwrap();
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// One test, because the budget is the process's.
#[test]
fn a_state_of_several_budgets_changes_as_one_in_memory() {
    let program = program();
    let mut expected = Vec::new();
    let mut in_memory_bytes = 0;
    run(&program, |_, _, deltas| {
        expected.push(deltas);
        in_memory_bytes = usage().memory_bytes;
    });
    assert!(in_memory_bytes > 4 * BUDGET, "{in_memory_bytes}");

    let folder = std::env::temp_dir().join(format!("sluice-state-{}", std::process::id()));
    install(StateBudget {
        folder: folder.clone(),
        memory_bytes_max: BUDGET as usize,
        disk_bytes_max: 1 << 30,
    })
    .unwrap();
    let mapped_before = mapped_bytes();
    let mut parts = BTreeMap::new();
    run(&program, |epoch, engine, deltas| {
        let wanted = &expected[epoch as usize - 1];
        assert_eq!(
            deltas.keys().collect::<Vec<_>>(),
            wanted.keys().collect::<Vec<_>>()
        );
        for (name, delta) in &deltas {
            let wanted = &wanted[name];
            assert_eq!(delta.weights(), wanted.weights(), "{name} in epoch {epoch}");
            assert!(delta.rows() == wanted.rows(), "{name} in epoch {epoch}");
        }
        let used = usage();
        let of_arrays = used.memory_bytes - used.ordered_bytes;
        assert!(of_arrays <= BUDGET * 3 / 4, "{used:?} in epoch {epoch}");
        assert!(!used.is_over(), "{used:?} in epoch {epoch}");
        let mapped = mapped_bytes().saturating_sub(mapped_before);
        assert!(mapped <= BUDGET / 4 + 80 * MIB, "{mapped} in epoch {epoch}");
        if epoch % 5 == 0 {
            let saved = engine.checkpoint().unwrap();
            parts.extend(saved.changed);
            parts.retain(|name, _| saved.live.contains(name));
        }
        if epoch == 20 {
            assert!(used.disk_bytes > 3 * BUDGET, "{used:?}");
            let options = EngineOptions::with_threads(2);
            *engine = Engine::restore(program.clone(), options, epoch, &parts).unwrap();
        }
    });
    assert_eq!(usage().disk_bytes, 0, "everything is given back");
    std::fs::remove_dir_all(folder).unwrap();
}
