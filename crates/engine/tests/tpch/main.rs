//! The 22 queries of the TPC-H benchmark as incremental views: with orders
//! coming, changing and going, each equals DataFusion's answer over the whole
//! tables after every epoch.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod data;
mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use data::{Change, Contents, Random};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use queries::QUERIES;
use sluice_core::{ChangeKind, Delta, PartitionId, SourceVersion, TableChanges, TableDefinition};
use sluice_engine::{EVALUATION_ERRORS, Engine, EngineOptions, Program, ViewDefinition};

const EPOCHS: u64 = 30;

fn program(definitions: &[TableDefinition]) -> Arc<Program> {
    let views: Vec<ViewDefinition> = QUERIES
        .iter()
        .map(|(name, select)| ViewDefinition {
            name: (*name).to_owned(),
            file: format!("{name}.sql"),
            sql: format!("CREATE MATERIALIZED VIEW {name} AS {select}"),
        })
        .collect();
    let program = Program::plan(definitions, &views).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.join("\n")
    });
    Arc::new(program.unwrap())
}

/// The changes of an epoch, as they come from the log.
fn to_engine(
    definitions: &[TableDefinition],
    changes: &[Change],
    version: u64,
) -> Vec<TableChanges> {
    let of_table = |definition: &TableDefinition| {
        let own = changes
            .iter()
            .filter(|change| change.table == definition.name);
        let own: Vec<&Change> = own.collect();
        let rows: Vec<&data::Row> = own.iter().map(|change| &change.row).collect();
        TableChanges {
            table: definition.name.clone(),
            partition: PartitionId {
                topic: "shop".into(),
                partition: 0,
            },
            rows: data::batch(definition, &rows),
            kinds: own.iter().map(|change| change.kind).collect(),
            versions: (0..own.len() as u64)
                .map(|minor| SourceVersion {
                    major: version,
                    minor,
                })
                .collect(),
            key_changes: vec![],
            before_rows: None,
            unchanged: Vec::new(),
        }
    };
    definitions.iter().map(of_table).collect()
}

fn apply(contents: &mut Contents, changes: Vec<Change>) {
    for Change { table, kind, row } in changes {
        let rows = contents.entry(table).or_default();
        let key = data::key_of(table, &row);
        if kind == ChangeKind::Delete {
            rows.remove(&key);
        } else {
            rows.insert(key, row);
        }
    }
}

type Rows = BTreeMap<Vec<String>, i64>;

fn add(rows: &mut Rows, batch: &RecordBatch, weights: &[i64]) {
    let options = FormatOptions::default().with_null("∅");
    for (row, weight) in weights.iter().enumerate() {
        let texts = batch.columns().iter().map(|column| {
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
            formatter.value(row).to_string()
        });
        let texts: Vec<String> = texts.collect();
        let total = rows.entry(texts.clone()).or_insert(0);
        *total += weight;
        if *total == 0 {
            rows.remove(&texts);
        }
    }
}

async fn expected(definitions: &[TableDefinition], contents: &Contents) -> BTreeMap<String, Rows> {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    for definition in definitions {
        let rows: Vec<&data::Row> = contents[definition.name.as_str()].values().collect();
        let batch = data::batch(definition, &rows);
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        let name = definition.name.as_str();
        context.register_table(name, Arc::new(table)).unwrap();
    }
    let mut answers = BTreeMap::new();
    for (name, select) in QUERIES {
        let frame = context.sql(select).await.unwrap();
        let mut rows = Rows::new();
        for batch in frame.collect().await.unwrap() {
            add(&mut rows, &batch, &vec![1; batch.num_rows()]);
        }
        answers.insert(name.to_owned(), rows);
    }
    answers
}

#[tokio::test]
async fn all_22_queries_stay_current() {
    let definitions = data::definitions();
    let program = program(&definitions);
    let options = EngineOptions::with_threads(2);
    let mut engine = Engine::new(program.clone(), options.clone()).unwrap();
    let mut random = Random(20_240_229);
    let mut contents = Contents::new();
    let mut found: BTreeMap<String, Rows> = BTreeMap::new();
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut next_order = 0;
    let mut with_rows = BTreeSet::new();
    for epoch in 1..=EPOCHS {
        let mut changes = Vec::new();
        if epoch == 1 {
            changes = data::dimensions(&mut random);
        } else if epoch > 2 {
            changes.extend(data::corrections(&mut random, &contents));
        }
        let new_orders = if epoch == 1 { 90 } else { random.below(4) };
        for _ in 0..new_orders {
            changes.extend(data::new_order(&mut random, next_order));
            next_order += 1;
        }
        let input = to_engine(&definitions, &changes, epoch);
        apply(&mut contents, changes);
        let output = engine.step(epoch, input).unwrap();
        assert!(!output.deltas.contains_key(EVALUATION_ERRORS), "{output:?}");
        for (name, delta) in &output.deltas {
            let delta: &Delta = delta;
            let rows = found.entry(name.clone()).or_default();
            add(rows, delta.rows(), delta.weights());
        }
        for (name, wanted) in expected(&definitions, &contents).await {
            let rows = found.get(&name).cloned().unwrap_or_default();
            assert_eq!(rows, wanted, "{name}, epoch {epoch}");
            let is_null = |row: &Vec<String>| row.iter().all(|text| text == "∅");
            if !wanted.keys().all(is_null) {
                with_rows.insert(name);
            }
        }
        if random.below(4) == 0 {
            let checkpoint = engine.checkpoint().unwrap();
            parts.extend(checkpoint.changed);
            parts.retain(|name, _| checkpoint.live.contains(name));
            engine = Engine::restore(program.clone(), options.clone(), epoch, &parts).unwrap();
        }
    }
    let without: Vec<&str> = QUERIES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !with_rows.contains(*name))
        .collect();
    assert!(without.is_empty(), "never a row in {without:?}");
}
