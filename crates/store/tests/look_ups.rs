//! Point look-ups against scans, on random data, while the writer goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use common::checkpoint;
use parking_lot::Mutex;
use sluice_core::{Delta, Random, SimulatedDisk};
use sluice_store::{CollectionDefinition, Snapshot, Store, StoreError, StoreOptions};

/// Two key columns around one that is no key; parts of keys may be null.
type Row = (Option<String>, i64, Option<i64>);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("shop", DataType::Utf8, true),
        Field::new("amount", DataType::Int64, true),
        Field::new("number", DataType::Int64, true),
    ]))
}

fn definitions() -> Vec<CollectionDefinition> {
    let keyed = CollectionDefinition {
        name: "orders".to_owned(),
        schema: schema(),
        append_only: false,
        unique_key: Some(vec![0, 2]),
    };
    let keyless = CollectionDefinition {
        name: "log".to_owned(),
        schema: schema(),
        append_only: true,
        unique_key: None,
    };
    vec![keyed, keyless]
}

fn batch(rows: &[Row]) -> RecordBatch {
    let shops: StringArray = rows.iter().map(|row| row.0.clone()).collect();
    let amounts: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
    let numbers: Int64Array = rows.iter().map(|row| row.2).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(shops), Arc::new(amounts), Arc::new(numbers)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let shops = batch.column(0).as_string::<i32>();
    let amounts = batch.column(1).as_primitive::<Int64Type>();
    let numbers = batch.column(2).as_primitive::<Int64Type>();
    let rows = (0..batch.num_rows()).map(|row| {
        let shop = shops.is_valid(row).then(|| shops.value(row).to_owned());
        let number = numbers.is_valid(row).then(|| numbers.value(row));
        (shop, amounts.value(row), number)
    });
    rows.collect()
}

fn random_key(random: &mut Random) -> (Option<String>, Option<i64>) {
    let shop = ["", "a", "b", "ab"].get(random.below(5) as usize);
    let number = random.below(60) as i64;
    (
        shop.map(|shop| (*shop).to_owned()),
        (number > 0).then_some(number),
    )
}

fn check(snapshot: &Snapshot, random: &mut Random, count: usize) {
    let mut by_key: BTreeMap<_, Vec<Row>> = BTreeMap::new();
    for scanned in snapshot.scan("orders", None).unwrap() {
        for row in rows_of(&scanned) {
            by_key.entry((row.0.clone(), row.2)).or_default().push(row);
        }
    }
    for _ in 0..count {
        let key = random_key(random);
        let values: [ArrayRef; 2] = [
            Arc::new(StringArray::from(vec![key.0.clone()])),
            Arc::new(Int64Array::from(vec![key.1])),
        ];
        let found = rows_of(&snapshot.lookup("orders", &values).unwrap());
        let expected = by_key.get(&key).cloned().unwrap_or_default();
        assert_eq!(found, expected, "{key:?} at epoch {}", snapshot.epoch());
    }
}

#[test]
fn look_ups_equal_scans_whatever_the_writer_does() {
    for seed in [1, 99, 20_261_121] {
        let disk = Arc::new(SimulatedDisk::new(seed));
        let open = || {
            let folder = Path::new("/store");
            Store::open(disk.clone(), folder, StoreOptions::default()).unwrap()
        };
        let (mut store, _) = open();
        store.define(definitions()).unwrap();
        let newest = Mutex::new(store.snapshot());
        let is_over = Mutex::new(false);
        std::thread::scope(|scope| {
            for reader in 0..2 {
                let (newest, is_over) = (&newest, &is_over);
                scope.spawn(move || {
                    let mut random = Random(seed * 7 + reader + 1);
                    while !*is_over.lock() {
                        let snapshot = newest.lock().clone();
                        check(&snapshot, &mut random, 20);
                    }
                });
            }
            let mut random = Random(seed);
            let mut model: BTreeMap<(Option<String>, Option<i64>), Row> = BTreeMap::new();
            for _ in 0..250 {
                let mut changes: Vec<(Row, i64)> = Vec::new();
                let mut touched = BTreeSet::new();
                for _ in 0..random.below(30) {
                    let key = random_key(&mut random);
                    if !touched.insert(key.clone()) {
                        continue;
                    }
                    if let Some(old) = model.remove(&key) {
                        changes.push((old, -1));
                    }
                    if random.below(3) > 0 {
                        let row = (key.0.clone(), random.below(9) as i64, key.1);
                        model.insert(key, row.clone());
                        changes.push((row, 1));
                    }
                }
                let rows: Vec<Row> = changes.iter().map(|(row, _)| row.clone()).collect();
                let weights = changes.iter().map(|(_, weight)| *weight).collect();
                let delta = Delta::try_new(batch(&rows), weights).unwrap();
                let epoch = store.epoch() + 1;
                store
                    .apply(epoch, &BTreeMap::from([("orders".to_owned(), delta)]))
                    .unwrap();
                if random.below(20) == 0 {
                    checkpoint(&mut store);
                    if random.below(2) == 0 {
                        drop(std::mem::replace(&mut store, open().0));
                        store.define(definitions()).unwrap();
                    }
                }
                *newest.lock() = store.snapshot();
                check(&store.snapshot(), &mut random, 10);
            }
            *is_over.lock() = true;
        });
    }
}

#[test]
fn wrong_look_ups_are_explained() {
    let disk = Arc::new(SimulatedDisk::new(1));
    let (mut store, _) = Store::open(disk, Path::new("/store"), StoreOptions::default()).unwrap();
    store.define(definitions()).unwrap();
    let snapshot = store.snapshot();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let two: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let error = |name: &str, key: &[ArrayRef]| snapshot.lookup(name, key).err().unwrap();
    assert!(matches!(
        error("nowhere", std::slice::from_ref(&text)),
        StoreError::UnknownCollection(_)
    ));
    for (name, key) in [
        ("log", vec![text.clone()]),
        ("orders", vec![text.clone()]),
        ("orders", vec![number.clone(), text.clone()]),
        ("orders", vec![text.clone(), two]),
    ] {
        assert!(matches!(error(name, &key), StoreError::BadKey { .. }));
    }
    assert_eq!(
        snapshot
            .lookup("orders", &[text, number])
            .unwrap()
            .num_rows(),
        0
    );
}
