//! Rows that have become old leave a table, the same ones whatever happens in
//! between; and rows that left memory are still there for those who hold them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use common::checkpoint;
use sluice_core::{Delta, Disk, Random, SimulatedDisk};
use sluice_store::{CollectionDefinition, Horizon, Snapshot, Store, StoreError, StoreOptions};

const FOLDER: &str = "/store";
const DAY_US: i64 = 86_400_000_000;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("number", DataType::Int64, false),
        Field::new("day", DataType::Date32, true),
    ]))
}

fn open(disk: &SimulatedDisk, cache_bytes: usize) -> Store {
    let options = StoreOptions {
        segment_cache_bytes_max: cache_bytes,
    };
    let (mut store, _) = Store::open(Arc::new(disk.clone()), Path::new(FOLDER), options).unwrap();
    let definition = CollectionDefinition {
        name: "visits".into(),
        schema: schema(),
        append_only: true,
        unique_key: None,
    };
    store.define(vec![definition]).unwrap();
    store
}

fn delta(rows: &[(i64, Option<i32>)]) -> BTreeMap<String, Delta> {
    let numbers: Int64Array = rows.iter().map(|row| Some(row.0)).collect();
    let days: Date32Array = rows.iter().map(|row| row.1).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(days)];
    let batch = RecordBatch::try_new(schema(), columns).unwrap();
    let delta = Delta::try_new(batch, vec![1; rows.len()]).unwrap();
    BTreeMap::from([("visits".to_owned(), delta)])
}

fn content(snapshot: &Snapshot) -> BTreeMap<i64, Option<i32>> {
    let mut rows = BTreeMap::new();
    for batch in snapshot.scan("visits", None).unwrap() {
        let numbers = batch.column(0).as_primitive::<Int64Type>();
        let days = batch.column(1).as_primitive::<Date32Type>();
        for row in 0..batch.num_rows() {
            let day = days.is_valid(row).then(|| days.value(row));
            assert_eq!(rows.insert(numbers.value(row), day), None, "a row twice");
        }
    }
    assert_eq!(snapshot.row_count("visits"), Some(rows.len() as u64));
    rows
}

fn before_day(day: i32) -> [Horizon; 1] {
    [Horizon {
        collection: "visits".into(),
        column: 1,
        before_us: i64::from(day) * DAY_US,
    }]
}

fn segment_files(disk: &SimulatedDisk) -> usize {
    let names = disk.list(Path::new(FOLDER)).unwrap();
    names
        .iter()
        .filter(|name| name.starts_with("segment-"))
        .count()
}

#[test]
fn the_same_rows_leave_whatever_happens_in_between() {
    let mut left = 0;
    for seed in 1..60 {
        let disk = SimulatedDisk::new(seed);
        let mut random = Random(seed * 77);
        let mut store = open(&disk, 2_000);
        let mut model: BTreeMap<i64, Option<i32>> = BTreeMap::new();
        let mut saved = (0, model.clone(), 0, 0);
        let (mut epoch, mut today, mut next) = (0, 0, 0);
        for _ in 0..100 {
            epoch += 1;
            if random.below(4) == 0 {
                today += random.below(4) as i32;
            }
            let rows: Vec<(i64, Option<i32>)> = (0..random.below(9))
                .map(|_| {
                    next += 1;
                    // Some come so late that they are old at once.
                    let age_max = if random.below(5) == 0 { 30 } else { 3 };
                    let age = random.below(age_max);
                    (next, (random.below(20) > 0).then_some(today - age as i32))
                })
                .collect();
            let deltas = match rows.is_empty() {
                true => BTreeMap::new(),
                false => delta(&rows),
            };
            let held = store.snapshot();
            let held_content = content(&held);
            store.apply(epoch, &deltas).unwrap();
            store.expire(&before_day(today - 10)).unwrap();
            model.extend(rows);
            let before = model.len();
            model.retain(|_, day| day.is_none_or(|day| day >= today - 10));
            left += before - model.len();
            assert_eq!(
                content(&store.snapshot()),
                model,
                "seed {seed} epoch {epoch}"
            );
            assert_eq!(content(&held), held_content, "a snapshot changed");
            match random.below(9) {
                0 | 1 => {
                    checkpoint(&mut store);
                    saved = (epoch, model.clone(), today, next);
                    assert_eq!(content(&store.snapshot()), model);
                    assert_eq!(content(&held), held_content, "its file is gone");
                }
                2 => {
                    drop((store, held));
                    disk.crash();
                    store = open(&disk, 2_000);
                    (epoch, model, today, next) = saved.clone();
                    assert_eq!(content(&store.snapshot()), model);
                }
                _ => {}
            }
        }
    }
    assert!(left > 1_000, "only {left} rows became old");
}

#[test]
fn segments_of_old_rows_leave_the_disk_unread() {
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk, 0);
    for day in 0..5 {
        let rows: Vec<(i64, Option<i32>)> = (0..200_000)
            .map(|number| (i64::from(day) * 1_000_000 + number, Some(day)))
            .collect();
        store.apply(day as u64 + 1, &delta(&rows)).unwrap();
        store.expire(&before_day(0)).unwrap();
        checkpoint(&mut store);
    }
    drop(store);
    let mut store = open(&disk, 0);
    assert_eq!(segment_files(&disk), 5);
    store.apply(6, &BTreeMap::new()).unwrap();
    store.expire(&before_day(3)).unwrap();
    assert_eq!(store.cache_counts().misses, 0, "old segments were read");
    assert_eq!(store.snapshot().row_count("visits"), Some(400_000));
    checkpoint(&mut store);
    assert_eq!(segment_files(&disk), 2);
}

#[test]
fn a_snapshot_keeps_the_files_that_it_needs() {
    let disk = SimulatedDisk::new(1);
    // Nothing stays in memory.
    let mut store = open(&disk, 0);
    let mut epoch = 0;
    let mut add = |store: &mut Store| {
        epoch += 1;
        let row = (epoch as i64, Some(1));
        store.apply(epoch, &delta(&[row])).unwrap();
        checkpoint(store);
    };
    for _ in 0..8 {
        add(&mut store);
    }
    let held = store.snapshot();
    let held_content = content(&held);
    for _ in 0..3 {
        add(&mut store);
    }
    assert!(segment_files(&disk) > 8, "merged files were removed");
    assert_eq!(content(&held), held_content);
    drop(held);
    add(&mut store);
    assert!(segment_files(&disk) < 8, "{}", segment_files(&disk));
    assert_eq!(content(&store.snapshot()).len(), 12);
    assert_eq!(store.cache_counts().bytes, 0);
}

#[test]
fn rows_that_may_be_removed_do_not_leave_by_age() {
    let (mut store, _) = Store::open(
        Arc::new(SimulatedDisk::new(1)),
        Path::new(FOLDER),
        StoreOptions::default(),
    )
    .unwrap();
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let definition = CollectionDefinition {
        name: "visits".into(),
        schema: Arc::new(Schema::new(vec![Field::new("at", time, true)])),
        append_only: false,
        unique_key: None,
    };
    store.define(vec![definition]).unwrap();
    let error = store.expire(&before_day(1)).unwrap_err();
    assert!(matches!(error, StoreError::BadDelta { .. }), "{error}");
    let unknown = Horizon {
        collection: "other".into(),
        column: 0,
        before_us: 0,
    };
    let error = store.expire(&[unknown]).unwrap_err();
    assert!(matches!(error, StoreError::UnknownCollection(_)), "{error}");
}
