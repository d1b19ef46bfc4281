//! Whatever moment the machine dies at, every acknowledged record is there
//! afterwards, and nothing that was never written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{FaultPlan, PartitionId, Record, RecordKind, SimulatedDisk, TransactionMark};
use sluice_log::{ControlEntry, ControlLog, Log, LogError, LogOptions};

fn record(number: u64) -> Record {
    Record {
        kind: RecordKind::Data,
        payload: Bytes::from(format!(
            "payload {number} {}",
            "x".repeat(number as usize % 50)
        )),
        capture_time_us: number as i64,
        position: Bytes::from(number.to_string()),
        transaction: number.is_multiple_of(3).then(|| TransactionMark {
            id: format!("tx{number}"),
            commit: number.is_multiple_of(2),
        }),
    }
}

fn id(partition: u32) -> PartitionId {
    PartitionId {
        topic: "orders".into(),
        partition,
    }
}

fn options() -> LogOptions {
    LogOptions {
        segment_bytes_max: 700,
        record_bytes_max: 1_000,
    }
}

fn open(disk: &SimulatedDisk) -> Result<Log, LogError> {
    let log = Log::open(Arc::new(disk.clone()), Path::new("/log"), options())?;
    log.create_topic("orders", 2)?;
    Ok(log)
}

/// Appends until the disk fails; returns how many records of each partition
/// were acknowledged, and how many were attempted.
fn write_until_failure(log: &Log, start: [u64; 2]) -> ([u64; 2], [u64; 2]) {
    let mut attempted = start;
    let mut acknowledged = start;
    for round in 0..40_u64 {
        let partition = (round % 2) as usize;
        let batch: Vec<Record> = (0..round % 4 + 1)
            .map(|index| record(attempted[partition] + index))
            .collect();
        attempted[partition] += batch.len() as u64;
        if log.append(&id(partition as u32), &batch).is_err() {
            break;
        }
        if round % 3 == 0 {
            if log.sync().is_err() {
                break;
            }
            acknowledged = attempted;
        }
    }
    (acknowledged, attempted)
}

fn check(log: &Log, acknowledged: [u64; 2], attempted: [u64; 2]) -> [u64; 2] {
    let mut ends = [0; 2];
    for partition in 0..2 {
        let end = log.end_offset(&id(partition as u32));
        assert!(
            end >= acknowledged[partition],
            "an acknowledged record is lost"
        );
        assert!(end <= attempted[partition]);
        let mut next = 0;
        while next < end {
            let records = log.read(&id(partition as u32), next, end, 100).unwrap();
            for found in records {
                assert_eq!(found.offset, next);
                assert_eq!(found.record, record(next));
                next += 1;
            }
        }
        ends[partition] = end;
    }
    ends
}

#[test]
fn acknowledged_records_survive_a_crash_at_every_call() {
    for seed in 0..40 {
        for crash_after in (0..120).step_by(3) {
            let disk = SimulatedDisk::new(seed * 1_000 + crash_after);
            disk.set_faults(FaultPlan {
                crash_after_calls: Some(crash_after),
                capacity_bytes: None,
            });
            let Ok(log) = open(&disk) else { continue };
            let (acknowledged, attempted) = write_until_failure(&log, [0; 2]);
            drop(log);
            disk.crash();
            let log = open(&disk).unwrap();
            let ends = check(&log, acknowledged, attempted);
            // And once more, on top of what survived.
            disk.set_faults(FaultPlan {
                crash_after_calls: Some(crash_after / 2 + 4),
                capacity_bytes: None,
            });
            let (acknowledged, attempted) = write_until_failure(&log, ends);
            disk.crash();
            check(&open(&disk).unwrap(), acknowledged, attempted);
        }
    }
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    for capacity_bytes in (0..4_000).step_by(97) {
        let disk = SimulatedDisk::new(capacity_bytes);
        disk.set_faults(FaultPlan {
            capacity_bytes: Some(capacity_bytes),
            crash_after_calls: None,
        });
        let Ok(log) = open(&disk) else { continue };
        let (acknowledged, attempted) = write_until_failure(&log, [0; 2]);
        disk.set_faults(FaultPlan::default());
        drop(log);
        let log = open(&disk).unwrap();
        let ends = check(&log, acknowledged, attempted);
        let (acknowledged, attempted) = write_until_failure(&log, ends);
        check(&log, acknowledged, attempted);
    }
}

#[test]
fn damage_in_the_middle_is_reported_with_file_and_byte() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    for number in 0..10 {
        log.append(&id(0), &[record(number)]).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    let path = Path::new("/log/topics/orders/00000/00000000000000000000.seg");
    disk.damage(path, 60).unwrap();
    let error = open(&disk).unwrap_err().to_string();
    assert!(
        error.contains("00000000000000000000.seg: damaged at byte 16"),
        "{error}"
    );
}

#[test]
fn retention_drops_whole_segments_but_none_that_is_needed() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    for number in 0..100 {
        log.append(&id(0), &[record(number)]).unwrap();
    }
    log.sync().unwrap();
    let start = log.retain(&id(0), 50, Some(1_000), None).unwrap();
    assert!(start > 20 && start <= 50, "{start}");
    assert!(matches!(
        log.read(&id(0), 0, 10, 100),
        Err(LogError::OutOfRange { .. })
    ));
    drop(log);
    let log = open(&disk).unwrap();
    assert_eq!(log.start_offset(&id(0)), start);
    assert_eq!(
        log.read(&id(0), start, 100, 1 << 20).unwrap().len() as u64,
        100 - start
    );
}

#[test]
fn limits_and_names_are_checked() {
    let log = open(&SimulatedDisk::new(1)).unwrap();
    let mut large = record(1);
    large.payload = Bytes::from(vec![0; 1_001]);
    let error = log.append(&id(0), &[large]).unwrap_err();
    assert!(matches!(error, LogError::RecordTooLarge { .. }));
    assert!(matches!(
        log.create_topic("../x", 1),
        Err(LogError::BadName(_))
    ));
    assert!(matches!(
        log.create_topic("orders", 1),
        Err(LogError::Shrink { .. })
    ));
    assert!(matches!(
        log.append(&id(9), &[record(0)]),
        Err(LogError::UnknownPartition(_))
    ));
}

#[test]
fn control_entries_come_back_in_order() {
    let disk = SimulatedDisk::new(1);
    let folder = Path::new("/control");
    let entries = vec![
        ControlEntry::Definitions {
            epoch: 1,
            fingerprint: u64::MAX,
            description: "first".into(),
        },
        ControlEntry::Cut(sluice_core::EpochCut {
            epoch: 1,
            end_offsets: [(id(0), 5), (id(1), 7)].into(),
        }),
        ControlEntry::Idle {
            epoch: 1,
            partition: id(1),
            idle: true,
        },
    ];
    let (mut control, found) = ControlLog::open(Arc::new(disk.clone()), folder).unwrap();
    assert!(found.is_empty());
    control.append(&entries).unwrap();
    drop(control);
    disk.crash();
    let (_, found) = ControlLog::open(Arc::new(disk), folder).unwrap();
    assert_eq!(found, entries);
}

/// The bytes of format version 1: a segment that was written by it must stay
/// readable.
#[test]
fn version_1_segments_stay_readable() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    log.append(&id(0), &[record(0), record(3)]).unwrap();
    log.sync().unwrap();
    let path = Path::new("/log/topics/orders/00000/00000000000000000000.seg");
    let bytes = sluice_core::Disk::read(&disk, path).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(hex.starts_with("534c5549434c4f470100000000000000"), "{hex}");
    assert!(
        hex.contains("0000000000000000010000003002"),
        "kind, time, position, transaction: {hex}"
    );
}
