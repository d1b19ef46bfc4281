//! The binary log of the Sakila sample database gives what is published of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/public_data.rs"]
mod public_data;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use public_data::public_data;
use serde_json::Value;
use sluice_core::{ManualClock, Record, RecordKind};
use sluice_mysql::files::BinlogFiles;
use sluice_mysql::filter::TableFilter;
use sluice_mysql::position::DatabasePosition;

/// The file, where the public data is; tests that need it say so without it.
fn sakila() -> Option<PathBuf> {
    const FROM: &str = "mysql-bin.sakila, unpacked from https://github.com/shyiko/mysql-binlog-connector-java/raw/master/src/test/resources/mysql-bin.sakila.gz";
    Some(public_data("sakila-binlog", FROM)?.join("mysql-bin.*"))
}

fn read(path: &Path, position: DatabasePosition) -> Vec<Record> {
    let clock = Arc::new(ManualClock::new(7));
    let filter = TableFilter::default();
    let mut files = BinlogFiles::open(path, filter, position, clock).unwrap();
    let mut records = Vec::new();
    loop {
        let batch = files.poll().unwrap();
        records.extend(batch.records);
        if batch.at_end {
            return records;
        }
    }
}

#[test]
fn sakila_has_its_published_rows() {
    let Some(path) = sakila() else {
        return;
    };
    let records = read(&path, DatabasePosition::default());
    let mut tables: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for record in records
        .iter()
        .filter(|record| record.kind == RecordKind::Data)
    {
        let message: Value = serde_json::from_slice(&record.payload).unwrap();
        let data = &message["data"];
        let table = message["table"].as_str().unwrap();
        let key = match table {
            "film_actor" => format!("{}-{}", data["actor_id"], data["film_id"]),
            "film_category" => format!("{}-{}", data["film_id"], data["category_id"]),
            "film_text" => data["film_id"].to_string(),
            _ => data[format!("{table}_id")].to_string(),
        };
        assert!(!key.contains("null"), "{message}");
        let rows = tables.entry(table.to_owned()).or_default();
        match message["type"].as_str().unwrap() {
            "delete" => {
                rows.remove(&key);
            }
            _ => {
                rows.insert(key, data.clone());
            }
        }
    }
    for (table, count) in [
        ("rental", 16_044),
        ("payment", 16_049),
        ("film", 1_000),
        ("customer", 599),
        ("inventory", 4_581),
        ("film_actor", 5_462),
        ("actor", 200),
        ("address", 603),
        ("city", 600),
    ] {
        assert_eq!(tables[table].len(), count, "{table}");
    }
    let cents = |row: &Value| {
        row["amount"]
            .to_string()
            .replace('.', "")
            .parse::<u64>()
            .unwrap()
    };
    assert_eq!(
        tables["payment"].values().map(cents).sum::<u64>(),
        6_741_651
    );
    let film = &tables["film"]["1"];
    assert_eq!(film["title"], "ACADEMY DINOSAUR");
    assert_eq!(film["rating"], "PG");
    assert_eq!(film["special_features"], "Deleted Scenes,Behind the Scenes");
    assert_eq!(film["release_year"], 2006);
    assert_eq!(film["original_language_id"], Value::Null);
    let rental = &tables["rental"]["1"];
    assert_eq!(rental["rental_date"], "2005-05-24 22:53:30");
    assert_eq!(tables["city"]["1"]["city"], "A Corua (La Corua)");
}

#[test]
fn reading_goes_on_after_any_record() {
    let Some(path) = sakila() else {
        return;
    };
    let all = read(&path, DatabasePosition::default());
    let mut position = DatabasePosition::default();
    let step = all.len() / 23;
    for (number, record) in all.iter().enumerate() {
        position.apply(&record.position).unwrap();
        if number % step != step - 1 {
            continue;
        }
        let rest = read(&path, position.clone());
        assert_eq!(rest.len(), all.len() - number - 1, "after record {number}");
        for (found, expected) in rest.iter().zip(&all[number + 1..]) {
            assert_eq!(found, expected);
        }
    }
}
