//! The queries of Nexmark as incremental views: with people, auctions and bids
//! coming, changing and going, each equals DataFusion's answer over the whole
//! tables after every epoch, also after a restart from a checkpoint.

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
use sluice_core::{ChangeKind, PartitionId, SourceVersion, TableChanges, TableDefinition};
use sluice_engine::{EVALUATION_ERRORS, Engine, EngineOptions, Program, ViewDefinition};

const EPOCHS: u64 = 25;

type Rows = BTreeMap<Vec<String>, i64>;

fn program(definitions: &[TableDefinition]) -> Arc<Program> {
    let view = |(name, select): &(&str, &str)| ViewDefinition {
        name: (*name).to_owned(),
        file: format!("{name}.sql"),
        sql: format!(
            "CREATE MATERIALIZED VIEW {name} AS {}",
            queries::text(select, false)
        ),
    };
    let views: Vec<ViewDefinition> = QUERIES.iter().map(view).collect();
    let program = Program::plan(definitions, &views).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.join("\n")
    });
    Arc::new(program.unwrap())
}

fn to_engine(definition: &TableDefinition, changes: &[Change], epoch: u64) -> TableChanges {
    let own = changes.iter().filter(|it| it.table == definition.name);
    let own: Vec<&Change> = own.collect();
    let rows: Vec<&data::Row> = own.iter().map(|change| &change.row).collect();
    let version = |minor| SourceVersion {
        major: epoch,
        minor,
    };
    TableChanges {
        table: definition.name.clone(),
        partition: PartitionId {
            topic: "house".into(),
            partition: 0,
        },
        rows: data::batch(definition, &rows),
        kinds: own.iter().map(|change| change.kind).collect(),
        versions: (0..own.len() as u64).map(version).collect(),
        key_changes: vec![],
        before_rows: None,
        unchanged: Vec::new(),
    }
}

fn apply(contents: &mut Contents, changes: Vec<Change>) {
    for Change { table, kind, row } in changes {
        let rows = contents.entry(table).or_default();
        let key = data::key_of(&row);
        if kind == ChangeKind::Delete {
            rows.remove(&key);
        } else {
            rows.insert(key, row);
        }
    }
}

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
        let name = definition.name.as_str();
        let rows: Vec<&data::Row> = contents[name].values().collect();
        let batch = data::batch(definition, &rows);
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        context.register_table(name, Arc::new(table)).unwrap();
    }
    let mut answers = BTreeMap::new();
    for (name, select) in QUERIES {
        let frame = context.sql(&queries::text(select, true)).await;
        let frame = frame.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut rows = Rows::new();
        for batch in frame.collect().await.unwrap() {
            add(&mut rows, &batch, &vec![1; batch.num_rows()]);
        }
        answers.insert(name.to_owned(), rows);
    }
    answers
}

#[tokio::test]
async fn all_queries_stay_current_while_rows_come_change_and_go() {
    follow(false).await;
}

#[tokio::test]
async fn all_queries_stay_current_while_rows_are_only_added() {
    follow(true).await;
}

async fn follow(adds_only: bool) {
    let definitions = data::definitions(adds_only);
    let program = program(&definitions);
    let options = EngineOptions::with_threads(2);
    let mut engine = Engine::new(program.clone(), options.clone()).unwrap();
    let mut random = Random(20_260_301);
    let mut contents = Contents::new();
    let mut found: BTreeMap<String, Rows> = BTreeMap::new();
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut without: BTreeSet<&str> = QUERIES.iter().map(|(name, _)| *name).collect();
    for epoch in 1..=EPOCHS {
        let changes = data::changes(&mut random, &contents, epoch, adds_only);
        let of_table = |definition| to_engine(definition, &changes, epoch);
        let input = definitions.iter().map(of_table).collect();
        apply(&mut contents, changes);
        let output = engine.step(epoch, input).unwrap();
        assert!(!output.deltas.contains_key(EVALUATION_ERRORS), "{output:?}");
        for (name, delta) in &output.deltas {
            let rows = found.entry(name.clone()).or_default();
            add(rows, delta.rows(), delta.weights());
        }
        for (name, wanted) in expected(&definitions, &contents).await {
            let rows = found.get(&name).cloned().unwrap_or_default();
            assert_eq!(rows, wanted, "{name}, epoch {epoch}");
            if !wanted.is_empty() {
                without.remove(name.as_str());
            }
        }
        if random.below(4) == 0 {
            let checkpoint = engine.checkpoint().unwrap();
            parts.extend(checkpoint.changed);
            parts.retain(|name, _| checkpoint.live.contains(name));
            engine = Engine::restore(program.clone(), options.clone(), epoch, &parts).unwrap();
        }
    }
    assert!(without.is_empty(), "never a row in {without:?}");
}
