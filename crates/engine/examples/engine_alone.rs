//! The engine alone, fed with Arrow batches: CPU of each kind of work, latency
//! of small epochs over much state, cost by the number of keys, time where
//! one key has nine of ten rows, with one thread and two, and of window functions
//! where one row of a large partition changes.
//!
//! ```text
//! cargo run --release -p sluice-engine --example engine_alone -- work
//! cargo run --release -p sluice-engine --example engine_alone -- latency [KEYS]
//! cargo run --release -p sluice-engine --example engine_alone -- scale [KEYS …]
//! cargo run --release -p sluice-engine --example engine_alone -- hot
//! cargo run --release -p sluice-engine --example engine_alone -- windows [ROWS]
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement ends at its first error, and needs the time"
)]

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use sluice_core::{
    ChangeKind, ColumnDefinition, PartitionId, SourceVersion, TableChanges, TableDefinition,
    TableKind,
};
use sluice_engine::{Engine, EngineOptions, Program, ViewDefinition};

/// Rows of an epoch under load.
const EPOCH_ROWS: usize = 65_536;
const START_US: i64 = 1_790_000_040_000_000;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 32) * limit) >> 32
    }
}

fn table(name: &str, columns: &[(&str, DataType)], key: &[usize]) -> TableDefinition {
    let column = |(name, data_type): &(&str, DataType)| ColumnDefinition {
        name: (*name).to_owned(),
        data_type: data_type.clone(),
        nullable: false,
    };
    TableDefinition {
        name: name.to_owned(),
        columns: columns.iter().map(column).collect(),
        kind: match key.is_empty() {
            true => TableKind::AppendOnly,
            false => TableKind::Changelog {
                primary_key: key.to_vec(),
            },
        },
        event_time: columns.iter().position(|(name, _)| *name == "ts"),
        stored: false,
    }
}

fn changes(definition: &TableDefinition, columns: Vec<ArrayRef>, epoch: u64) -> TableChanges {
    let rows = RecordBatch::try_new(definition.schema(), columns).unwrap();
    let count = rows.num_rows();
    let kind = match &definition.kind {
        TableKind::AppendOnly => ChangeKind::Insert,
        TableKind::Changelog { .. } => ChangeKind::Upsert,
    };
    TableChanges {
        table: definition.name.clone(),
        partition: PartitionId {
            topic: "t".into(),
            partition: 0,
        },
        rows,
        kinds: vec![kind; count],
        versions: (0..count as u64)
            .map(|minor| SourceVersion {
                major: epoch,
                minor,
            })
            .collect(),
        key_changes: vec![],
        before_rows: None,
        unchanged: Vec::new(),
    }
}

fn integers(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// An engine with one view.
struct Bench {
    engine: Engine,
    tables: Vec<TableDefinition>,
    epoch: u64,
}

impl Bench {
    fn new(tables: Vec<TableDefinition>, select: &str) -> Self {
        Self::with_threads(tables, select, 1)
    }

    fn with_threads(tables: Vec<TableDefinition>, select: &str, threads: usize) -> Self {
        let view = ViewDefinition {
            name: "v".into(),
            file: "v.sql".into(),
            sql: format!("CREATE MATERIALIZED VIEW v AS {select}"),
        };
        let program = Arc::new(Program::plan(&tables, &[view]).unwrap());
        Self {
            engine: Engine::new(program, EngineOptions::with_threads(threads)).unwrap(),
            tables,
            epoch: 0,
        }
    }

    /// One epoch: seconds of CPU, and rows of output.
    fn step(&mut self, input: Vec<(usize, Vec<ArrayRef>)>) -> (f64, usize) {
        self.epoch += 1;
        let of_table = |(table, columns): (usize, Vec<ArrayRef>)| {
            changes(&self.tables[table], columns, self.epoch)
        };
        let input = input.into_iter().map(of_table).collect();
        let start = cpu_seconds();
        let output = self.engine.step(self.epoch, input).unwrap();
        let rows = output.deltas.values().map(|delta| delta.len());
        (cpu_seconds() - start, rows.sum())
    }
}

/// CPU of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

/// CPU of all threads so far, in seconds.
fn process_cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
    (ticks(12) + ticks(13)) / 100.0
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Runs epochs and says the CPU of an event; the first tenth warms up.
fn report(name: &str, epochs: usize, events_of_epoch: usize, mut step: impl FnMut(usize) -> f64) {
    let warm = epochs / 10;
    let total: f64 = (0..epochs)
        .map(|epoch| (epoch, step(epoch)))
        .filter(|(epoch, _)| *epoch >= warm)
        .map(|(_, seconds)| seconds)
        .sum();
    let events = (epochs - warm) * events_of_epoch;
    println!(
        "{name}: {:.3} µs of CPU an event",
        total * 1e6 / events as f64
    );
}

/// Views by minute and four more columns: count, distinct devices, sum.
fn windowed() {
    let columns = [
        ("ts", time_type()),
        ("channel", DataType::Utf8),
        ("province", DataType::Utf8),
        ("device", DataType::Utf8),
        ("during", DataType::Int64),
    ];
    let mut bench = Bench::new(
        vec![table("ev", &columns, &[])],
        "SELECT window_start, channel, province, count(*) AS pv, count(DISTINCT device) AS uv, sum(during) AS during
         FROM tumble(ev, ts, INTERVAL '1 minute') GROUP BY window_start, window_end, channel, province",
    );
    let mut random = Random(1);
    report(
        "windowed count and count distinct",
        40,
        EPOCH_ROWS,
        |epoch| {
            let rows = 0..EPOCH_ROWS as i64;
            let base = START_US + epoch as i64 * 40_000_000;
            let times = rows.clone().map(|row| base + row * 600);
            let users: Vec<u64> = rows.map(|_| random.below(500_000)).collect();
            let text = |make: &dyn Fn(u64) -> String| -> ArrayRef {
                Arc::new(StringArray::from_iter_values(
                    users.iter().map(|&user| make(user)),
                ))
            };
            let columns = vec![
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
                    as ArrayRef,
                text(&|user| format!("channel_{}", user % 8)),
                text(&|user| format!("{}", user / 8 % 34)),
                text(&|user| format!("mid_{user:08}")),
                integers(users.iter().map(|&user| (user % 20_000) as i64)),
            ];
            bench.step(vec![(0, columns)]).0
        },
    );
}

/// Order lines joined with goods, a tenth of which is replaced in each epoch.
fn join() {
    const GOODS: u64 = 100_000;
    let lines = [
        ("id", DataType::Int64),
        ("sku", DataType::Int64),
        ("amount", DataType::Int64),
    ];
    let goods = [("sku", DataType::Int64), ("category", DataType::Int64)];
    let mut bench = Bench::new(
        vec![table("line", &lines, &[]), table("sku", &goods, &[0])],
        "SELECT l.id, l.amount, s.category FROM line l JOIN sku s ON l.sku = s.sku",
    );
    let mut random = Random(2);
    let mut step = |skus: Vec<i64>, count: usize, random: &mut Random| {
        let ids = (0..count).map(|_| random.below(1 << 40) as i64);
        let line = vec![
            integers(ids.collect::<Vec<_>>().into_iter()),
            integers(
                (0..count)
                    .map(|_| random.below(GOODS) as i64)
                    .collect::<Vec<_>>()
                    .into_iter(),
            ),
            integers(
                (0..count)
                    .map(|_| random.below(100_000) as i64)
                    .collect::<Vec<_>>()
                    .into_iter(),
            ),
        ];
        let categories: Vec<i64> = skus.iter().map(|_| random.below(200) as i64).collect();
        let sku = vec![integers(skus.into_iter()), integers(categories.into_iter())];
        bench.step(vec![(0, line), (1, sku)])
    };
    step((0..GOODS as i64).collect(), 1, &mut random);
    // The outputs count as events: every replaced product takes its lines back
    // and gives them anew.
    let (mut total, mut events) = (0.0, 0_usize);
    for epoch in 0..30 {
        let skus = (0..500).map(|number| (epoch * 500 + number) % GOODS as i64);
        let (seconds, rows) = step(skus.collect(), EPOCH_ROWS, &mut random);
        if epoch >= 3 {
            total += seconds;
            events += rows.max(EPOCH_ROWS);
        }
    }
    println!(
        "join with retractions: {:.3} µs of CPU an output row",
        total * 1e6 / events as f64
    );
}

/// The ten best sold goods of each category: sums that change all the time.
fn top_k() {
    const GOODS: u64 = 20_000;
    let lines = [
        ("sku", DataType::Int64),
        ("category", DataType::Int64),
        ("amount", DataType::Int64),
    ];
    let mut bench = Bench::new(
        vec![table("sum", &lines, &[0])],
        "SELECT sku, category, amount FROM (SELECT *, row_number() OVER (PARTITION BY category ORDER BY amount DESC, sku) AS place FROM sum) AS r WHERE place <= 10",
    );
    let mut random = Random(3);
    let mut sums = vec![0_i64; GOODS as usize];
    report("top 10 of changing sums", 40, EPOCH_ROWS / 4, |_| {
        let skus: Vec<u64> = (0..EPOCH_ROWS / 4).map(|_| random.below(GOODS)).collect();
        let amounts: Vec<i64> = skus
            .iter()
            .map(|&sku| {
                sums[sku as usize] += random.below(1_000) as i64;
                sums[sku as usize]
            })
            .collect();
        let columns = vec![
            integers(skus.iter().map(|&sku| sku as i64)),
            integers(skus.iter().map(|&sku| (sku % 200) as i64)),
            integers(amounts.into_iter()),
        ];
        bench.step(vec![(0, columns)]).0
    });
}

/// A view of sums by key.
fn keyed() -> Bench {
    let columns = [("k", DataType::Int64), ("n", DataType::Int64)];
    Bench::new(
        vec![table("ev", &columns, &[])],
        "SELECT k, count(*) AS c, sum(n) AS s FROM ev GROUP BY k",
    )
}

fn events(keys: u64, count: usize, random: &mut Random) -> Vec<ArrayRef> {
    let chosen: Vec<i64> = (0..count).map(|_| random.below(keys) as i64).collect();
    vec![
        integers(chosen.iter().copied()),
        integers(chosen.iter().map(|key| key % 100)),
    ]
}

fn fill(bench: &mut Bench, keys: u64) {
    let mut first = 0;
    while first < keys as i64 {
        let end = (first + 4 * EPOCH_ROWS as i64).min(keys as i64);
        bench.step(vec![(0, vec![integers(first..end), integers(first..end)])]);
        first = end;
    }
}

fn latency(keys: u64) {
    let mut bench = keyed();
    fill(&mut bench, keys);
    println!("{} keys, {} MiB resident", keys, resident_mib());
    let mut random = Random(4);
    let small = Small { keys, rows: 100 };
    small.epoch_ms(&mut bench, &mut random);
    small.report(
        "the first checkpoint",
        &small.during_checkpoint(&mut bench, &mut random),
    );
    for rows in [1, 100, 10_000] {
        let small = Small { keys, rows };
        let usual: Vec<f64> = (0..500)
            .map(|_| small.epoch_ms(&mut bench, &mut random))
            .collect();
        small.report("usual", &usual);
        small.report(
            "a checkpoint",
            &small.during_checkpoint(&mut bench, &mut random),
        );
    }
    fill(&mut bench, keys);
    let start = Instant::now();
    bench.engine.checkpoint().unwrap();
    let pause_ms = start.elapsed().as_secs_f64() * 1e3;
    println!("a checkpoint of all keys at once: {pause_ms:.1} ms");
}

/// Epochs of few rows over many keys, in time by the clock: what a thread took
/// of the CPU is only known to a few milliseconds.
struct Small {
    keys: u64,
    rows: usize,
}

impl Small {
    fn epoch_ms(&self, bench: &mut Bench, random: &mut Random) -> f64 {
        let columns = events(self.keys, self.rows, random);
        let start = Instant::now();
        bench.step(vec![(0, columns)]);
        start.elapsed().as_secs_f64() * 1e3
    }

    /// What epochs take with the piece of a checkpoint between each and the one
    /// before.
    fn during_checkpoint(&self, bench: &mut Bench, random: &mut Random) -> Vec<f64> {
        let mut times = Vec::new();
        loop {
            let start = Instant::now();
            let is_ready = bench.engine.collect_ahead();
            // Whoever writes the parts gives their memory back, elsewhere.
            let parts = is_ready.then(|| bench.engine.checkpoint().unwrap());
            let waited_ms = start.elapsed().as_secs_f64() * 1e3;
            drop(parts);
            times.push(waited_ms + self.epoch_ms(bench, random));
            if is_ready {
                return times;
            }
        }
    }

    fn report(&self, name: &str, times: &[f64]) {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        println!(
            "delta of {}, {name}: {} epochs, median {:.3} ms, p99 {:.3} ms, at most {:.3} ms",
            self.rows,
            times.len(),
            times[times.len() / 2],
            times[times.len() * 99 / 100],
            times[times.len() - 1]
        );
    }
}

fn scale(keys: u64) {
    let mut bench = keyed();
    fill(&mut bench, keys);
    let mut random = Random(5);
    let name = format!("{keys} keys, {} MiB resident", resident_mib());
    report(&name, 40, EPOCH_ROWS, |_| {
        let columns = events(keys, EPOCH_ROWS, &mut random);
        bench.step(vec![(0, columns)]).0
    });
}

/// Keys of which the first has nine of ten rows.
fn hot_keys(count: usize, random: &mut Random) -> Vec<i64> {
    let key = |random: &mut Random| match random.below(10) {
        0 => 1 + random.below(10_000) as i64,
        _ => 0,
    };
    (0..count).map(|_| key(random)).collect()
}

/// Time of an event where one key is hot, by the threads at work.
fn hot(threads: usize) {
    const EPOCHS: usize = 30;
    let columns = [
        ("k", DataType::Int64),
        ("n", DataType::Int64),
        ("device", DataType::Utf8),
    ];
    let goods = [("k", DataType::Int64), ("category", DataType::Int64)];
    let aggregates = [
        ("count and sum", "count(*) AS c, sum(n) AS s"),
        ("count(DISTINCT)", "count(DISTINCT device) AS u"),
    ];
    let by_key = aggregates.map(|(name, calls)| {
        let select = format!("SELECT k, {calls} FROM ev GROUP BY k");
        (name, vec![table("ev", &columns, &[])], select)
    });
    let joined = (
        "join",
        vec![table("ev", &columns, &[]), table("sku", &goods, &[0])],
        "SELECT e.k, e.n, e.device, s.category FROM ev e JOIN sku s ON e.k = s.k".to_owned(),
    );
    for (name, tables, select) in by_key.into_iter().chain([joined]) {
        let is_join = tables.len() > 1;
        let mut bench = Bench::with_threads(tables, &select, threads);
        let mut random = Random(6);
        if is_join {
            let sku = vec![integers(0..10_001), integers((0..10_001).map(|k| k % 200))];
            bench.step(vec![(1, sku)]);
        }
        let mut times = Vec::new();
        let (mut alone_us, mut all_us) = (0.0, 0.0);
        for _ in 0..EPOCHS {
            let keys = hot_keys(EPOCH_ROWS, &mut random);
            let users: Vec<u64> = keys.iter().map(|_| random.below(50_000)).collect();
            let devices = users.iter().map(|user| format!("mid_{user:08}"));
            let ev = vec![
                integers(keys.into_iter()),
                integers(users.iter().map(|&user| user as i64)),
                Arc::new(StringArray::from_iter_values(devices)) as ArrayRef,
            ];
            let (start, all_start) = (Instant::now(), process_cpu_seconds());
            alone_us += bench.step(vec![(0, ev)]).0 * 1e6;
            all_us += (process_cpu_seconds() - all_start) * 1e6;
            times.push(start.elapsed().as_secs_f64() * 1e6 / EPOCH_ROWS as f64);
        }
        times.sort_by(f64::total_cmp);
        println!(
            "{name}, a hot key, threads {threads}: {:.3} µs an event, at best {:.3}; CPU {:.3} µs, of which {:.3} in one thread",
            times[times.len() / 2],
            times[0],
            all_us / (EPOCHS * EPOCH_ROWS) as f64,
            alone_us / (EPOCHS * EPOCH_ROWS) as f64,
        );
    }
}

/// Time of an epoch that changes one row of a partition with so many, at its end, in
/// its middle and at its begin.
fn windows(rows: u64) {
    let columns = [("id", DataType::Int64), ("n", DataType::Int64)];
    let calls = [
        "lag(n) OVER (ORDER BY id)",
        "avg(n) OVER (ORDER BY id ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)",
        "row_number() OVER (ORDER BY id)",
        "sum(n) OVER (ORDER BY id)",
        "ntile(10) OVER (ORDER BY id)",
    ];
    for call in calls {
        let mut bench = Bench::new(
            vec![table("ev", &columns, &[0])],
            &format!("SELECT id, {call} AS v FROM ev"),
        );
        fill(&mut bench, rows);
        let mut random = Random(7);
        let mut newest = rows as i64;
        let mut report = |bench: &mut Bench, place: &str, id: &mut dyn FnMut() -> i64| {
            let mut times: Vec<f64> = (0..50)
                .map(|_| {
                    let changed = [id()].into_iter();
                    let value = [random.below(1_000_000) as i64].into_iter();
                    let columns = vec![integers(changed), integers(value)];
                    let start = Instant::now();
                    bench.step(vec![(0, columns)]);
                    start.elapsed().as_secs_f64() * 1e3
                })
                .collect();
            times.sort_by(f64::total_cmp);
            println!(
                "{call}, {rows} rows, one {place}: median {:.3} ms, at most {:.3} ms",
                times[25], times[49]
            );
        };
        // The first change makes the order.
        report(&mut bench, "to begin with", &mut || 0);
        report(&mut bench, "new at the end", &mut || {
            newest += 1;
            newest
        });
        report(&mut bench, "in the middle", &mut || rows as i64 / 2);
        report(&mut bench, "at the begin", &mut || 0);
    }
}

fn resident_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4 / 1024
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers = arguments
        .iter()
        .skip(1)
        .map(|text| text.parse::<u64>().unwrap());
    let numbers: Vec<u64> = numbers.collect();
    match arguments.first().map(String::as_str) {
        Some("latency") => latency(numbers.first().copied().unwrap_or(10_000_000)),
        Some("scale") => match numbers.is_empty() {
            true => [100_000, 1_000_000, 10_000_000].into_iter().for_each(scale),
            false => numbers.into_iter().for_each(scale),
        },
        Some("windows") => windows(numbers.first().copied().unwrap_or(100_000)),
        Some("hot") => [1, 2].into_iter().for_each(hot),
        _ => {
            windowed();
            join();
            top_k();
        }
    }
}
