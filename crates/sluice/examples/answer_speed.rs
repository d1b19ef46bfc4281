//! Asks a stored warehouse's tables the questions of a file, and says how long
//! each answer took:
//!
//! ```text
//! answer_speed STORE QUERIES ANSWERS RUNS CACHE_MIB [NAME …]
//! ```
//!
//! STORE is the folder `store` of a state. QUERIES holds statements, each after a
//! line `-- name: words`; NAME chooses some of them. Each is asked RUNS times;
//! its times go to standard output, one line of JSON, and its last answer to
//! `ANSWERS/name.csv`. `bench/answers/run` uses it.

#![allow(clippy::disallowed_methods, reason = "a measurement asks the clock")]

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sluice_core::RealDisk;
use sluice_serve::{OutputFormat, QueryEngine, QueryOptions, write_result};
use sluice_store::{Store, StoreOptions};

type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: answer_speed STORE QUERIES ANSWERS RUNS CACHE_MIB [NAME …]";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, queries, answers, runs, cache_mib, names @ ..] = &arguments[..] else {
        return Err(USAGE.into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(sluice_core::PLANNING_STACK_BYTES)
        .enable_all()
        .build()?;
    let options = StoreOptions {
        segment_cache_bytes_max: cache_mib.parse::<usize>()? << 20,
    };
    let (store, _) = Store::open(Arc::new(RealDisk), Path::new(store), options)?;
    let snapshot = store.snapshot();
    let options = QueryOptions {
        memory_bytes_max: 2 << 30,
        all_memory_bytes_max: 2 << 30,
        time_ms_max: 600_000,
        ..QueryOptions::default()
    };
    let engine = QueryEngine::new(Arc::new(move || snapshot.clone()), options)?;
    for (name, statement) in statements(&std::fs::read_to_string(queries)?) {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let mut times_ms = Vec::new();
        let mut last = None;
        for _ in 0..runs.parse()? {
            let start = Instant::now();
            last = Some(runtime.block_on(engine.query(&statement))?);
            times_ms.push(format!("{:.3}", start.elapsed().as_secs_f64() * 1e3));
        }
        if let Some(answer) = last {
            let mut file = File::create(Path::new(answers).join(format!("{name}.csv")))?;
            write_result(OutputFormat::Csv, &answer, &mut file)?;
        }
        let times_ms = times_ms.join(", ");
        println!("{{\"name\": \"{name}\", \"times_ms\": [{times_ms}]}}");
    }
    Ok(())
}

/// Statements by the names before them.
fn statements(text: &str) -> Vec<(String, String)> {
    let parts = text.split("-- ").skip(1);
    let named = parts.filter_map(|part| {
        let (head, statement) = part.split_once('\n')?;
        let (name, _) = head.split_once(':')?;
        Some((
            name.to_owned(),
            statement.trim().trim_end_matches(';').to_owned(),
        ))
    });
    named.collect()
}
