//! Pieces that say that they lack a value, against their rows: of random changes, with
//! rows that are gone, unknown values, rows in memory, and after a restart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use common::checkpoint;
use sluice_core::{Delta, SimulatedDisk};
use sluice_store::{CollectionDefinition, Piece, SoughtValues, Store, StoreOptions};

/// Rows that are new in an epoch.
const NEW_ROWS: i64 = 20_000;

/// A number that looks like chance, the same for the same `number`.
fn spread(number: i64) -> i64 {
    let mixed = (number as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) as i64
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("code", DataType::Utf8, true),
        Field::new("user", DataType::Int64, true),
    ]))
}

fn code(number: i64) -> Option<String> {
    (number % 7 != 0).then(|| format!("{:x}", spread(number)))
}

fn user(number: i64) -> Option<i64> {
    (number % 11 != 0).then(|| spread(-number))
}

fn rows(numbers: &[i64]) -> RecordBatch {
    let codes: StringArray = numbers.iter().map(|&it| code(it)).collect();
    let users: Int64Array = numbers.iter().map(|&it| user(it)).collect();
    RecordBatch::try_new(schema(), vec![Arc::new(codes), Arc::new(users)]).unwrap()
}

fn open(disk: &SimulatedDisk, cache_bytes: usize) -> Store {
    let options = StoreOptions {
        segment_cache_bytes_max: cache_bytes,
    };
    let disk = Arc::new(disk.clone());
    let (mut store, _) = Store::open(disk, Path::new("/store"), options).unwrap();
    let definition = CollectionDefinition {
        name: "orders".to_owned(),
        schema: schema(),
        append_only: false,
        unique_key: None,
    };
    store.define(vec![definition]).unwrap();
    store
}

/// One row in ten of those that are there goes, and new ones come.
fn change(store: &mut Store, there: &mut BTreeSet<i64>) {
    let epoch = store.epoch() + 1;
    let first = epoch as i64 * NEW_ROWS;
    let new = first..first + NEW_ROWS;
    let is_gone = |number: &&i64| spread(**number + first) % 10 == 0;
    let gone: Vec<i64> = there.iter().filter(is_gone).copied().collect();
    let numbers: Vec<i64> = new.clone().chain(gone.iter().copied()).collect();
    let weights = std::iter::repeat_n(1, new.clone().count());
    let weights = weights.chain(std::iter::repeat_n(-1, gone.len()));
    let delta = Delta::try_new(rows(&numbers), weights.collect()).unwrap();
    let deltas = BTreeMap::from([("orders".to_owned(), delta)]);
    store.apply(epoch, &deltas).unwrap();
    there.extend(new);
    for number in gone {
        there.remove(&number);
    }
}

/// The values of a column in the stored rows of a piece, as text.
fn values_of(piece: &Piece, column: usize) -> BTreeSet<String> {
    let values = piece.columns(&[column]).unwrap().remove(0);
    let values = cast(&values, &DataType::Utf8).unwrap();
    let values = values.as_string::<i32>().iter().flatten();
    values.map(str::to_owned).collect()
}

/// Asks all pieces for values that are there, were there, and never were; returns how
/// many pieces said that they lack one.
fn check(store: &Store, there: &BTreeSet<i64>) -> usize {
    let pieces = store.snapshot().pieces("orders");
    let mut left_out = 0;
    for piece in &pieces {
        let stored = [0, 1].map(|column| values_of(piece, column));
        for number in (0..(store.epoch() as i64 + 2) * NEW_ROWS).step_by(97) {
            let values: [ArrayRef; 2] = [
                Arc::new(StringArray::from(vec![code(number)])),
                Arc::new(Int64Array::from(vec![user(number)])),
            ];
            let text = [code(number), user(number).map(|user| user.to_string())];
            for column in 0..2 {
                let Some(sought) = SoughtValues::of(&values[column]) else {
                    assert!(text[column].is_none());
                    continue;
                };
                let may_hold = piece.may_hold(column, &sought).unwrap();
                let is_stored = stored[column].contains(text[column].as_ref().unwrap());
                assert!(may_hold || !is_stored, "{number} in column {column}");
                left_out += usize::from(!may_hold);
            }
        }
    }
    let mut found = BTreeSet::new();
    for batch in store.snapshot().scan("orders", None).unwrap() {
        let users = batch.column(1).as_primitive::<Int64Type>();
        found.extend(users.iter().flatten());
    }
    let expected: BTreeSet<i64> = there.iter().filter_map(|&number| user(number)).collect();
    assert_eq!(found, expected);
    left_out
}

#[test]
fn no_piece_says_that_it_lacks_what_it_holds() {
    for cache_bytes in [0, 1 << 30] {
        let disk = SimulatedDisk::new(1);
        let mut store = open(&disk, cache_bytes);
        let mut there = BTreeSet::new();
        for _ in 0..3 {
            change(&mut store, &mut there);
        }
        // What is in memory has no filters.
        assert_eq!(check(&store, &there), 0);
        checkpoint(&mut store);
        assert!(check(&store, &there) > 0);
        change(&mut store, &mut there);
        assert!(check(&store, &there) > 0);
        checkpoint(&mut store);
        drop(store);
        let mut store = open(&disk, cache_bytes);
        let left_out = check(&store, &there);
        // Asked again, of pages that may be in the cache by now.
        assert_eq!(check(&store, &there), left_out);
        change(&mut store, &mut there);
        assert!(check(&store, &there) > 0);
    }
}

#[test]
fn what_is_not_there_is_known_without_reading_a_column() {
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk, 1 << 30);
    change(&mut store, &mut BTreeSet::new());
    checkpoint(&mut store);
    drop(store);
    let store = open(&disk, 1 << 30);
    let absent: ArrayRef = Arc::new(StringArray::from(vec!["nowhere"]));
    let sought = SoughtValues::of(&absent).unwrap();
    for piece in store.snapshot().pieces("orders") {
        assert!(!piece.may_hold(0, &sought).unwrap());
        assert!(!piece.may_hold(0, &sought).unwrap());
    }
    let counts = store.cache_counts();
    // One page of 16 KiB at most, read once.
    assert_eq!((counts.misses, counts.hits), (1, 1));
    assert!(counts.bytes <= 1 << 14, "{} bytes", counts.bytes);
}

#[test]
fn the_disk_is_told_of_what_will_be_read() {
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk, 1 << 30);
    change(&mut store, &mut BTreeSet::new());
    checkpoint(&mut store);
    drop(store);
    let store = open(&disk, 1 << 30);
    let pieces = store.snapshot().pieces("orders");
    assert!(!pieces.is_empty());
    let there: ArrayRef = Arc::new(StringArray::from(vec![code(NEW_ROWS + 1)]));
    let sought = SoughtValues::of(&there).unwrap();
    let before = disk.surprising_reads();
    for piece in &pieces {
        piece.will_open();
        piece.bounds(0).unwrap().unwrap();
        piece.will_look_for(0, &sought);
        piece.may_hold(0, &sought).unwrap();
        piece.will_read(&[0]);
        piece.columns(&[0]).unwrap();
    }
    assert_eq!(disk.surprising_reads(), before);
    for piece in &pieces {
        piece.columns(&[1]).unwrap();
    }
    let read = disk.surprising_reads();
    assert!(read > before, "nobody told of the other column");
}
