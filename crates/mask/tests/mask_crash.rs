//! A crash between the key and the record: what was written can be decrypted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{masks, record, secret, tables};
use ring::rand::SystemRandom;
use sluice_core::{Disk, FaultPlan, OpenMode, RecordKind, SimulatedDisk};
use sluice_mask::KeyStore;

const LOG: &str = "log";
const STORE: &str = "keys/store";

fn open(disk: &SimulatedDisk) -> Result<KeyStore, sluice_mask::KeyStoreError> {
    let random = Box::new(SystemRandom::new());
    let disk = Arc::new(disk.clone());
    KeyStore::open(disk, Path::new(STORE), &secret(), None, random).map(|(store, _)| store)
}

/// Masks and appends until the disk dies.
fn work(disk: &SimulatedDisk, first: u64) -> Option<()> {
    let masks = masks(&tables(), Arc::new(open(disk).ok()?));
    let mut log = disk.open(Path::new(LOG), OpenMode::Append).ok()?;
    for batch in 0..6 {
        let order = |person: u64| {
            let text = format!(
                r#"{{"database":"shop","table":"order_info","data":{{"delivery_address":"street","user_id":{person}}}}}"#
            );
            record(RecordKind::Data, text.as_bytes())
        };
        let from = first + batch * 50;
        let mut records: Vec<_> = (from..from + 50).map(order).collect();
        masks.mask("topic", &mut records).ok()?;
        for record in &records {
            log.append(&record.payload).ok()?;
            log.append(b"\n").ok()?;
        }
    }
    Some(())
}

#[test]
fn what_reached_the_log_can_be_decrypted_after_any_crash() {
    let mut decrypted = 0;
    for seed in 0..60 {
        let disk = SimulatedDisk::new(seed);
        for round in 0..4 {
            disk.set_faults(FaultPlan {
                crash_after_calls: Some((seed * 7 + round * 13) % 400),
                capacity_bytes: None,
            });
            let _ = work(&disk, round * 1_000);
            disk.crash();
            let keys = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let masks = masks(&tables(), Arc::new(keys));
            let log = disk.read(Path::new(LOG)).unwrap_or_default();
            let text = String::from_utf8_lossy(&log);
            for line in text.lines() {
                // What is torn in the log itself is the log's matter.
                let value = line
                    .split_once("_address\":\"")
                    .and_then(|it| it.1.split_once('"'));
                let Some((value, _)) = value else { continue };
                let is_whole = line.starts_with('{') && line.ends_with("}}");
                if !is_whole || line.matches("database").count() > 1 || line.contains('\0') {
                    continue;
                }
                assert_eq!(
                    masks.decrypt(value).as_deref(),
                    Some("street"),
                    "seed {seed}"
                );
                decrypted += 1;
            }
        }
    }
    assert!(decrypted > 1_000, "{decrypted}");
}

#[test]
fn a_full_disk_lets_nothing_through() {
    let disk = SimulatedDisk::new(1);
    let masks = masks(&tables(), Arc::new(open(&disk).unwrap()));
    disk.set_faults(FaultPlan {
        capacity_bytes: Some(10),
        crash_after_calls: None,
    });
    let text = r#"{"database":"shop","table":"order_info","data":{"delivery_address":"street","user_id":3}}"#;
    let mut records = [record(RecordKind::Data, text.as_bytes())];
    assert!(masks.mask("topic", &mut records).is_err());
    // Nor later, when there is room again: the end of the file is not known.
    disk.set_faults(FaultPlan::default());
    assert!(masks.mask("topic", &mut records).is_err());
}
