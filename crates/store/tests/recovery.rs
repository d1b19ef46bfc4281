//! The store against a multiset kept by hand, through checkpoints, restarts
//! and crashes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use sluice_core::{Delta, FaultPlan, Random, SimulatedDisk};
use sluice_store::{
    CheckpointJob, CheckpointRequest, CollectionDefinition, Recovered, Snapshot, StateJob, Store,
    StoreError, StoreOptions, checkpoint_files,
};

const FOLDER: &str = "/store";

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Utf8, true),
    ]))
}

fn definitions() -> Vec<CollectionDefinition> {
    ["log", "view"]
        .iter()
        .map(|name| CollectionDefinition {
            name: (*name).into(),
            schema: schema(),
            append_only: *name == "log",
            unique_key: None,
        })
        .collect()
}

type Row = (Option<i64>, Option<String>);
type Model = BTreeMap<String, BTreeMap<Row, i64>>;

fn batch(rows: &[Row]) -> RecordBatch {
    let numbers: Int64Array = rows.iter().map(|row| row.0).collect();
    let texts: StringArray = rows.iter().map(|row| row.1.clone()).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(texts)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn random_deltas(random: &mut Random, model: &mut Model) -> BTreeMap<String, Delta> {
    let mut deltas = BTreeMap::new();
    for name in ["log", "view"] {
        let content = model.entry(name.to_owned()).or_default();
        let mut change: BTreeMap<Row, i64> = BTreeMap::new();
        for _ in 0..random.below(12) {
            let number = (random.below(8) > 0).then_some(random.below(30) as i64);
            let text = (random.below(8) > 0).then(|| format!("t{}", random.below(3)));
            *change.entry((number, text)).or_default() += 1 + random.below(2) as i64;
        }
        if name == "view" {
            for (row, &count) in content.iter() {
                if random.below(4) == 0 && !change.contains_key(row) {
                    change.insert(row.clone(), -(1 + random.below(count as u64) as i64));
                }
            }
        }
        let rows: Vec<Row> = change.keys().cloned().collect();
        let weights: Vec<i64> = change.values().copied().collect();
        if !rows.is_empty() {
            deltas.insert(
                name.to_owned(),
                Delta::try_new(batch(&rows), weights).unwrap(),
            );
        }
        for (row, weight) in change {
            let total = content.entry(row.clone()).or_default();
            *total += weight;
            if *total == 0 {
                content.remove(&row);
            }
        }
    }
    deltas
}

fn content(snapshot: &Snapshot, name: &str) -> BTreeMap<Row, i64> {
    let mut content = BTreeMap::new();
    for rows in snapshot.scan(name, None).unwrap() {
        let numbers = rows.column(0).as_primitive::<Int64Type>();
        let texts = rows.column(1).as_string::<i32>();
        for row in 0..rows.num_rows() {
            let number = numbers.is_valid(row).then(|| numbers.value(row));
            let text = texts.is_valid(row).then(|| texts.value(row).to_owned());
            *content.entry((number, text)).or_default() += 1;
        }
    }
    content
}

fn check(snapshot: &Snapshot, model: &Model) {
    for name in ["log", "view"] {
        let wanted = model.get(name).cloned().unwrap_or_default();
        let total: i64 = wanted.values().sum();
        assert_eq!(
            content(snapshot, name),
            wanted,
            "{name} at {}",
            snapshot.epoch()
        );
        assert_eq!(snapshot.row_count(name), Some(total as u64));
    }
}

fn open(disk: &SimulatedDisk) -> Result<(Store, Option<Recovered>), StoreError> {
    let disk = Arc::new(disk.clone());
    // So little that rows are read from disk again and again.
    let options = StoreOptions {
        segment_cache_bytes_max: 6_000,
    };
    let (mut store, recovered) = Store::open(disk, Path::new(FOLDER), options)?;
    store.define(definitions())?;
    Ok((store, recovered))
}

fn request(
    epoch: u64,
    random: &mut Random,
    parts: &mut BTreeMap<String, Vec<u8>>,
) -> CheckpointRequest {
    let mut changed = BTreeMap::new();
    for number in 0..random.below(4) {
        let length = random.below(60) as usize;
        changed.insert(format!("part/{number}"), vec![epoch as u8; length]);
    }
    parts.extend(changed.clone());
    CheckpointRequest {
        epoch,
        changed_parts: changed,
        live_parts: parts.keys().cloned().collect::<BTreeSet<_>>(),
        meta: serde_json::json!({ "epoch": epoch }),
    }
}

#[test]
fn random_changes_with_checkpoints_and_restarts() {
    for seed in 1..40 {
        let disk = SimulatedDisk::new(seed);
        let mut random = Random(seed * 31);
        let (mut store, _) = open(&disk).unwrap();
        let mut model = Model::new();
        let mut parts = BTreeMap::new();
        let mut saved = (0, Model::new(), BTreeMap::new());
        let mut epoch = 0;
        for _ in 0..120 {
            epoch += 1;
            let before = store.snapshot();
            let before_content = content(&before, "view");
            store
                .apply(epoch, &random_deltas(&mut random, &mut model))
                .unwrap();
            check(&store.snapshot(), &model);
            assert_eq!(
                content(&before, "view"),
                before_content,
                "a snapshot changed"
            );
            match random.below(12) {
                0 | 1 => {
                    store
                        .checkpoint(request(epoch, &mut random, &mut parts))
                        .unwrap();
                    saved = (epoch, model.clone(), parts.clone());
                    check(&store.snapshot(), &model);
                }
                2 => {
                    drop(store);
                    disk.crash();
                    let (opened, recovered) = open(&disk).unwrap();
                    store = opened;
                    (epoch, model, parts) = saved.clone();
                    assert_eq!(store.epoch(), epoch);
                    check(&store.snapshot(), &model);
                    assert_eq!(
                        recovered.map(|found| found.parts).unwrap_or_default(),
                        parts
                    );
                }
                _ => {}
            }
        }
    }
}

/// Writes the rows of a checkpoint and tells the store, which reads them from
/// their files then.
fn begin(store: &mut Store, request: CheckpointRequest) -> Result<StateJob, StoreError> {
    let begun = store.begin_checkpoint(request);
    let (rows, state) = begun.and_then(CheckpointJob::write_rows)?;
    store.rows_written(rows);
    assert_eq!(store.memory().unwritten_bytes, 0);
    Ok(state)
}

#[test]
fn a_crash_or_a_full_disk_at_any_moment_leaves_a_whole_checkpoint() {
    for limit in 0..160 {
        let disk = SimulatedDisk::new(limit + 1);
        let mut random = Random(limit * 17 + 5);
        let (mut store, _) = open(&disk).unwrap();
        let mut model = Model::new();
        let mut parts = BTreeMap::new();
        let mut history = BTreeMap::from([(0, Model::new())]);
        let full = limit % 2 == 0;
        disk.set_faults(FaultPlan {
            crash_after_calls: (!full).then_some(limit),
            capacity_bytes: full.then_some(limit * 400),
        });
        let mut completed = 0;
        let mut begun: Option<(u64, StateJob)> = None;
        for epoch in 1..30 {
            store
                .apply(epoch, &random_deltas(&mut random, &mut model))
                .unwrap();
            history.insert(epoch, model.clone());
            // What is left of a checkpoint is written after the epoch that
            // follows, which removes some of its rows.
            if let Some((of_epoch, state)) = begun.take() {
                let Ok(written) = state.write() else {
                    break;
                };
                store.finish_checkpoint(written);
                completed = of_epoch;
            }
            if epoch % 3 != 0 {
                continue;
            }
            match begin(&mut store, request(epoch, &mut random, &mut parts)) {
                Ok(state) => begun = Some((epoch, state)),
                Err(_) => break,
            }
            check(&store.snapshot(), &model);
        }
        drop(store);
        disk.crash();
        let (store, recovered) = open(&disk).unwrap();
        assert!(store.epoch() >= completed, "a completed checkpoint is lost");
        check(&store.snapshot(), &history[&store.epoch()]);
        let meta_epoch = recovered.map_or(0, |found| found.meta["epoch"].as_u64().unwrap());
        assert_eq!(meta_epoch, store.epoch());
    }
}

fn numbers(range: std::ops::Range<i64>) -> Vec<Row> {
    range.map(|number| (Some(number), None)).collect()
}

fn change(added: &[Row], removed: &[Row]) -> BTreeMap<String, Delta> {
    let rows: Vec<Row> = added.iter().chain(removed).cloned().collect();
    let added = added.iter().map(|_| 1);
    let weights = added.chain(removed.iter().map(|_| -1)).collect();
    let delta = Delta::try_new(batch(&rows), weights).unwrap();
    BTreeMap::from([("view".to_owned(), delta)])
}

/// A request with one part of 100 bytes.
fn request_of(epoch: u64) -> CheckpointRequest {
    let part = ("x".to_owned(), vec![epoch as u8; 100]);
    CheckpointRequest {
        epoch,
        changed_parts: BTreeMap::from([part]),
        live_parts: BTreeSet::from(["x".to_owned()]),
        meta: serde_json::Value::Null,
    }
}

fn files_in_manifest(disk: &SimulatedDisk) -> BTreeSet<String> {
    let files = checkpoint_files(disk, Path::new(FOLDER)).unwrap();
    files.unwrap().files
}

#[test]
fn rows_of_a_checkpoint_that_fails_are_read_from_their_files_and_in_the_next_one() {
    for is_retried in [true, false] {
        let disk = SimulatedDisk::new(1);
        let (mut store, _) = open(&disk).unwrap();
        store.apply(1, &change(&numbers(0..3), &[])).unwrap();
        store.checkpoint(request_of(1)).unwrap();
        let before: BTreeSet<String> = names(&disk, "segment-").into_iter().collect();

        store.apply(2, &change(&numbers(3..6), &[])).unwrap();
        assert!(store.memory().unwritten_bytes > 0);
        let state = begin(&mut store, request_of(2)).unwrap();
        let after: BTreeSet<String> = names(&disk, "segment-").into_iter().collect();
        let new: Vec<&String> = after.difference(&before).collect();
        assert_eq!(new.len(), 1, "{after:?}");
        let more = change(&numbers(6..8), &numbers(4..5));
        store.apply(3, &more).unwrap();
        disk.set_faults(FaultPlan {
            capacity_bytes: Some(0),
            crash_after_calls: None,
        });
        let error = state.write().unwrap_err().to_string();
        assert!(error.contains("no space left"), "{error}");
        disk.set_faults(FaultPlan::default());
        assert_eq!(files_in_manifest(&disk).intersection(&after).count(), 1);

        let mut expected: BTreeMap<Row, i64> = BTreeMap::new();
        match is_retried {
            true => {
                let kept = [numbers(0..4), numbers(5..8)].concat();
                expected.extend(kept.into_iter().map(|row| (row, 1)));
                assert_eq!(content(&store.snapshot(), "view"), expected);
                store.checkpoint(request_of(3)).unwrap();
                let files = files_in_manifest(&disk);
                assert!(files.contains(new[0]), "its rows were written again");
                assert_eq!(names(&disk, "state-").len(), 1, "one is left over");
            }
            false => expected.extend(numbers(0..3).into_iter().map(|row| (row, 1))),
        }
        drop(store);
        disk.crash();
        let (store, recovered) = open(&disk).unwrap();
        assert_eq!(store.epoch(), if is_retried { 3 } else { 1 });
        assert_eq!(content(&store.snapshot(), "view"), expected);
        let part = vec![store.epoch() as u8; 100];
        assert_eq!(recovered.unwrap().parts["x"], part);
    }
}

#[test]
fn a_reader_keeps_a_file_that_no_manifest_has_named() {
    let disk = SimulatedDisk::new(1);
    let (mut store, _) = open(&disk).unwrap();
    store.apply(1, &change(&numbers(0..3), &[])).unwrap();
    let state = begin(&mut store, request_of(1)).unwrap();
    let file = names(&disk, "segment-");
    assert_eq!(file.len(), 1);
    drop(state);
    let held = store.snapshot();
    store.apply(2, &change(&[], &numbers(0..3))).unwrap();
    store.checkpoint(request_of(2)).unwrap();
    assert!(files_in_manifest(&disk).is_disjoint(&file.iter().cloned().collect()));
    assert_eq!(names(&disk, "segment-"), file, "a reader needs it");
    let rows = numbers(0..3).into_iter().map(|row| (row, 1));
    assert_eq!(content(&held, "view"), rows.collect());
    drop(held);
    store.apply(3, &BTreeMap::new()).unwrap();
    store.checkpoint(request_of(3)).unwrap();
    assert_eq!(names(&disk, "segment-"), Vec::<String>::new());
}

#[test]
fn a_part_moves_out_of_a_file_that_is_mostly_dead() {
    for is_damaged in [false, true] {
        let disk = SimulatedDisk::new(1);
        let (mut store, _) = open(&disk).unwrap();
        let parts = |large: u8| {
            let small = ("small".to_owned(), vec![7; 100]);
            BTreeMap::from([small, ("large".to_owned(), vec![large; 300])])
        };
        let request_with = |epoch: u64, changed: BTreeMap<String, Vec<u8>>| CheckpointRequest {
            epoch,
            changed_parts: changed,
            live_parts: ["large", "small"].map(str::to_owned).into(),
            meta: serde_json::Value::Null,
        };
        store.apply(1, &BTreeMap::new()).unwrap();
        store.checkpoint(request_with(1, parts(1))).unwrap();
        let old = names(&disk, "state-");
        // Of 400 bytes 100 stay in use; they lie behind the 300.
        let mut changed = parts(2);
        changed.remove("small");
        if is_damaged {
            disk.damage(&Path::new(FOLDER).join(&old[0]), 350).unwrap();
        }
        store.apply(2, &BTreeMap::new()).unwrap();
        let outcome = store.checkpoint(request_with(2, changed));
        if is_damaged {
            let error = outcome.unwrap_err().to_string();
            assert!(
                error.contains(&old[0]) && error.contains("`small`"),
                "{error}"
            );
            continue;
        }
        outcome.unwrap();
        assert_ne!(names(&disk, "state-"), old);
        assert_eq!(names(&disk, "state-").len(), 1);
        drop(store);
        let (_, recovered) = open(&disk).unwrap();
        assert_eq!(recovered.unwrap().parts, parts(2));
    }
}

fn checkpointed() -> (SimulatedDisk, Store) {
    let disk = SimulatedDisk::new(3);
    let (mut store, _) = open(&disk).unwrap();
    let mut random = Random(9);
    let mut model = Model::new();
    for epoch in 1..5 {
        store
            .apply(epoch, &random_deltas(&mut random, &mut model))
            .unwrap();
    }
    let mut parts = BTreeMap::from([("x".to_owned(), vec![7; 100])]);
    let mut all = request(4, &mut random, &mut parts);
    all.changed_parts = parts;
    store.checkpoint(all).unwrap();
    (disk, store)
}

fn names(disk: &SimulatedDisk, start: &str) -> Vec<String> {
    let all = sluice_core::Disk::list(disk, Path::new(FOLDER)).unwrap();
    all.into_iter()
        .filter(|name| name.starts_with(start))
        .collect()
}

#[test]
fn damage_is_reported_with_the_file() {
    for (start, at) in [
        ("state-", 3),
        ("segment-", 50),
        ("MANIFEST", 30),
        ("MANIFEST", 8),
    ] {
        let (disk, store) = checkpointed();
        drop(store);
        let name = names(&disk, start)[0].clone();
        disk.damage(&Path::new(FOLDER).join(&name), at).unwrap();
        let outcome = open(&disk).and_then(|(store, _)| {
            for name in ["log", "view"] {
                store.snapshot().scan(name, None)?;
            }
            Ok(())
        });
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(&name), "{message}");
        if at == 8 {
            assert!(message.contains("version"), "{message}");
        }
    }
}

#[test]
fn columns_can_be_added_and_dropped_but_not_change_type() {
    let (disk, store) = checkpointed();
    let rows = store.snapshot().row_count("log").unwrap();
    drop(store);
    let disk: Arc<dyn sluice_core::Disk> = Arc::new(disk);
    let open = || {
        Store::open(disk.clone(), Path::new(FOLDER), StoreOptions::default())
            .unwrap()
            .0
    };
    let with = |fields: Vec<Field>| {
        let mut all = definitions();
        all[0].schema = Arc::new(Schema::new(fields));
        all
    };
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut store = open();
    store
        .define(with(vec![
            Field::new("b", DataType::Utf8, true),
            Field::new("at", utc.clone(), true),
            Field::new("money", DataType::Decimal128(16, 2), true),
        ]))
        .unwrap();
    let batches = store.snapshot().scan("log", None).unwrap();
    let nulls: usize = batches
        .iter()
        .map(|batch| batch.column(1).null_count())
        .sum();
    assert_eq!(nulls as u64, rows);
    let request = CheckpointRequest {
        epoch: 4,
        changed_parts: BTreeMap::new(),
        live_parts: BTreeSet::new(),
        meta: serde_json::Value::Null,
    };
    store.checkpoint(request).unwrap();
    drop(store);
    let store = open();
    assert_eq!(
        store.snapshot().collections()[0]
            .schema
            .field(1)
            .data_type(),
        &utc
    );
    drop(store);
    // A name that comes back is a new column: the old values stay gone.
    let mut store = open();
    store.define(definitions()).unwrap();
    let batches = store.snapshot().scan("log", None).unwrap();
    let nulls: usize = batches
        .iter()
        .map(|batch| batch.column(0).null_count())
        .sum();
    assert_eq!(nulls as u64, rows);
    let error = open()
        .define(with(vec![Field::new("b", DataType::Int64, true)]))
        .unwrap_err();
    assert!(matches!(error, StoreError::TypeChange { .. }), "{error}");
}

#[test]
fn broken_invariants_are_errors() {
    let (_, mut store) = checkpointed();
    let missing = Delta::insert(batch(&[(Some(999), None)])).negate();
    let error = store
        .apply(5, &BTreeMap::from([("view".to_owned(), missing)]))
        .unwrap_err();
    assert!(matches!(error, StoreError::MissingRow { .. }), "{error}");
    let error = store.apply(9, &BTreeMap::new()).unwrap_err();
    assert!(matches!(error, StoreError::EpochOrder { .. }), "{error}");
}
