//! How fast small and large epochs are on a large state, how long a checkpoint
//! holds them up, and what a memory budget costs:
//!
//! ```text
//! state_speed KEYS [BUDGET_MIB]
//! ```
//!
//! The state is a table of KEYS rows with a primary key, a GROUP BY of it with
//! KEYS / 4 groups, and its join with a table of KEYS / 4 rows. After the load
//! come epochs of 1, 100 and 10,000 updates of random rows, and checkpoints
//! with 10,000 changed rows each.

#![allow(clippy::disallowed_methods, reason = "a measurement asks the clock")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use sluice_core::{
    ChangeKind, ColumnDefinition, PartitionId, SourceVersion, TableChanges, TableDefinition,
    TableKind,
};
use sluice_engine::{Engine, EngineOptions, Program, ViewDefinition};

type Outcome<T> = Result<T, Box<dyn Error>>;

const LOAD_ROWS: u64 = 65_536;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let keys: u64 = arguments
        .first()
        .ok_or("usage: state_speed KEYS [BUDGET_MIB]")?
        .parse()?;
    if let Some(budget) = arguments.get(1) {
        sluice_memory::install(sluice_memory::StateBudget {
            folder: std::env::current_dir()?,
            memory_bytes_max: budget.parse::<usize>()? << 20,
            disk_bytes_max: 64 << 30,
        })?;
    }
    let mut bench = Bench::new()?;
    let begun = Instant::now();
    let mut first = 0;
    while first < keys {
        let count = LOAD_ROWS.min(keys - first);
        let ids: Vec<u64> = (first..first + count).collect();
        let of_groups: Vec<u64> = ids.iter().copied().filter(|id| id % 4 == 0).collect();
        let changes = vec![
            rows("orders", &ids, keys, 1),
            rows("goods", &of_groups, keys, 1),
        ];
        bench.step(changes)?;
        first += count;
    }
    println!(
        "load of {keys} keys: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    report_memory();
    let begun = Instant::now();
    bench.engine.checkpoint()?;
    println!(
        "first checkpoint: {:.1} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    for (size, rounds) in [(1, 500), (100, 300), (10_000, 40)] {
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(bench.update(size, keys)?);
        }
        report(&format!("epoch of {size} updates"), times);
    }
    bench.engine.checkpoint()?;
    let (mut times, mut bytes) = (Vec::new(), 0);
    const CHECKPOINTS: usize = 100;
    for _ in 0..CHECKPOINTS {
        bench.update(10_000, keys)?;
        let begun = Instant::now();
        let saved = bench.engine.checkpoint()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        bytes += saved.changed.values().map(Vec::len).sum::<usize>();
    }
    report("checkpoint after 10,000 updates", times);
    println!("  of {} KiB on average", bytes / CHECKPOINTS / 1024);
    report_memory();
    Ok(())
}

struct Bench {
    engine: Engine,
    epoch: u64,
    random: u64,
}

impl Bench {
    fn new() -> Outcome<Self> {
        let table = |name: &str| TableDefinition {
            name: name.into(),
            columns: [
                ("id", DataType::Int64),
                ("g", DataType::Int64),
                ("n", DataType::Int64),
                ("s", DataType::Utf8),
            ]
            .map(|(name, data_type)| ColumnDefinition {
                name: name.into(),
                data_type,
                nullable: false,
            })
            .to_vec(),
            kind: TableKind::Changelog {
                primary_key: vec![0],
            },
            event_time: None,
            stored: true,
        };
        let view = |name: &str, select: &str| ViewDefinition {
            name: name.into(),
            file: format!("{name}.sql"),
            sql: format!("CREATE MATERIALIZED VIEW {name} AS {select}"),
        };
        let views = [
            view(
                "totals",
                "SELECT g, count(*) AS c, sum(n) AS n FROM orders GROUP BY g",
            ),
            view(
                "priced",
                "SELECT o.id, o.n, p.s FROM orders AS o JOIN goods AS p ON o.g = p.id",
            ),
        ];
        let program = Program::plan(&[table("orders"), table("goods")], &views)
            .map_err(|errors| format!("{errors:?}"))?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            engine: Engine::new(Arc::new(program), EngineOptions::with_threads(threads))?,
            epoch: 0,
            random: 7,
        })
    }

    fn step(&mut self, changes: Vec<TableChanges>) -> Outcome<()> {
        self.epoch += 1;
        self.engine.step(self.epoch, changes)?;
        Ok(())
    }

    /// Milliseconds of an epoch with updates of random rows.
    fn update(&mut self, count: u64, keys: u64) -> Outcome<f64> {
        let ids: Vec<u64> = (0..count)
            .map(|_| {
                self.random = self
                    .random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (self.random >> 24) % keys
            })
            .collect();
        let changes = rows("orders", &ids, keys, self.epoch + 1);
        let begun = Instant::now();
        self.step(vec![changes])?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }
}

fn rows(table: &str, ids: &[u64], keys: u64, version: u64) -> TableChanges {
    let number = |id: u64| (id * 31 + version * 7) as i64 % 1_000;
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "id",
            Arc::new(Int64Array::from_iter_values(
                ids.iter().map(|&id| id as i64),
            )),
        ),
        (
            "g",
            Arc::new(Int64Array::from_iter_values(
                ids.iter().map(|&id| (id * 4 % keys / 4 * 4) as i64),
            )),
        ),
        (
            "n",
            Arc::new(Int64Array::from_iter_values(
                ids.iter().map(|&id| number(id)),
            )),
        ),
        (
            "s",
            Arc::new(StringArray::from_iter_values(
                ids.iter().map(|id| format!("article {id}")),
            )),
        ),
    ];
    let rows = RecordBatch::try_from_iter(columns);
    TableChanges {
        table: table.into(),
        partition: PartitionId {
            topic: "t".into(),
            partition: 0,
        },
        kinds: vec![ChangeKind::Upsert; ids.len()],
        versions: (0..ids.len() as u64)
            .map(|minor| SourceVersion {
                major: version,
                minor,
            })
            .collect(),
        rows: rows.unwrap_or_else(|_| {
            RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()))
        }),
        before_rows: None,
        unchanged: Vec::new(),
        key_changes: vec![],
    }
}

fn report(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: median {:.2} ms, 99th percentile {:.2}, greatest {:.2}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn report_memory() {
    let used = sluice_memory::usage();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident: Vec<&str> = status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("RssFile"))
        .collect();
    println!(
        "state: {} MiB in memory, {} MiB on disk; {}",
        used.memory_bytes >> 20,
        used.disk_bytes >> 20,
        resident.join(", ").replace('\t', " ")
    );
}
