//! Whatever moment the machine dies at, every acknowledged record is there
//! afterwards, and nothing that was never written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{
    Disk, FaultPlan, OpenMode, PartitionId, Record, RecordKind, SimulatedDisk, TransactionMark,
};
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

/// A record that takes some 100 bytes of a block, compressed or not.
fn noise(number: u64) -> Record {
    let mut state = number + 1;
    let byte = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    Record {
        payload: (0..100).map(byte).collect(),
        ..record(number)
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

const FIRST_SEGMENT: &str = "/log/topics/orders/00000/00000000000000000000.seg";

/// A log whose segments are never full: what is written is in the first.
fn open_large(disk: &SimulatedDisk) -> Result<Log, LogError> {
    let options = LogOptions::default();
    let log = Log::open(Arc::new(disk.clone()), Path::new("/log"), options)?;
    log.create_topic("orders", 2)?;
    Ok(log)
}

fn append_each(log: &Log, numbers: std::ops::Range<u64>) {
    for number in numbers {
        log.append(&id(0), &[record(number)]).unwrap();
    }
}

/// Puts other bytes into a file.
fn overwrite(disk: &SimulatedDisk, path: &Path, bytes: &[u8]) {
    let mut file = disk.open(path, OpenMode::Create).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
    disk.sync_dir(path.parent().unwrap()).unwrap();
}

/// Wherever a bit flips in front of the last block, the log does not open:
/// nothing that was acknowledged is cut off.
#[test]
fn damage_in_the_last_segment_is_reported_with_file_and_byte() {
    let disk = SimulatedDisk::new(1);
    let log = open_large(&disk).unwrap();
    append_each(&log, 0..10);
    log.sync().unwrap();
    drop(log);
    let path = Path::new(FIRST_SEGMENT);
    let length = disk.read(path).unwrap().len();
    // The last block alone cannot be told from a torn one.
    let last_block = 44 + 1 + 8 + 4 + 1 + 1 + 4 + 3 + 1 + 4 + "payload 9 ".len() + 9;
    for at in 0..length - last_block {
        disk.damage(path, at).unwrap();
        let error = open_large(&disk).unwrap_err().to_string();
        assert!(error.contains("00000000000000000000.seg"), "{at}: {error}");
        assert!(at < 48 || error.contains("damaged at byte"), "{error}");
        disk.damage(path, at).unwrap();
    }
    check(&open_large(&disk).unwrap(), [10, 0], [10, 0]);
}

#[test]
fn damage_in_a_complete_segment_is_found_when_it_is_read() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    append_each(&log, 0..40);
    log.sync().unwrap();
    drop(log);
    let path = Path::new(FIRST_SEGMENT);
    let bytes = disk.read(path).unwrap();
    for at in 48..bytes.len() {
        disk.damage(path, at).unwrap();
        let log = open(&disk).unwrap();
        let mut result = Ok(Vec::new());
        for from in 0..5 {
            result = result.and_then(|_| log.read(&id(0), from, 40, 1 << 20));
        }
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("00000000000000000000.seg: damaged at byte"),
            "{error}"
        );
        disk.damage(path, at).unwrap();
    }
    // Shorter than it was, or gone: opening says so.
    overwrite(&disk, path, &bytes[..bytes.len() - 1]);
    let error = open(&disk).unwrap_err().to_string();
    assert!(error.contains("when it was complete"), "{error}");
    overwrite(&disk, path, &bytes);
    let names = disk.list(path.parent().unwrap()).unwrap();
    disk.remove(&path.with_file_name(&names[1])).unwrap();
    let error = open(&disk).unwrap_err().to_string();
    assert!(error.contains("a segment is missing"), "{error}");
}

/// The system may write a later page first. What was not synced may then go,
/// although a sound block stands behind it; what was synced may not.
#[test]
fn a_page_that_was_never_written_is_torn_and_a_durable_one_is_damaged() {
    for syncs_between in [false, true] {
        let disk = SimulatedDisk::new(1);
        let log = open_large(&disk).unwrap();
        append_each(&log, 0..3);
        log.sync().unwrap();
        let large: Vec<Record> = (3..203).map(noise).collect();
        log.append(&id(0), &large).unwrap();
        if syncs_between {
            log.sync().unwrap();
        }
        log.append(&id(0), &[record(203)]).unwrap();
        drop(log);
        let path = Path::new(FIRST_SEGMENT);
        let mut bytes = disk.read(path).unwrap();
        bytes[4096..8192].fill(0);
        overwrite(&disk, path, &bytes);
        let opened = open_large(&disk);
        if syncs_between {
            let error = opened.unwrap_err().to_string();
            assert!(error.contains("damaged at byte"), "{error}");
        } else {
            let log = opened.unwrap();
            assert_eq!(check(&log, [3, 0], [3, 0]), [3, 0]);
            append_each(&log, 3..6);
            log.sync().unwrap();
            check(&open_large(&disk).unwrap(), [6, 0], [6, 0]);
        }
    }
}

/// The page that was not written may hold no more of a block than its first
/// few bytes.
#[test]
fn a_block_that_begins_at_the_end_of_a_lost_page_is_torn() {
    for bytes_in_page in 1..70 {
        let disk = SimulatedDisk::new(1);
        let log = open_large(&disk).unwrap();
        let mut first = record(1);
        first.position = Bytes::new();
        first.transaction = None;
        // Behind the headers of segment, block and record.
        first.payload = Bytes::from(vec![b'x'; 4096 - bytes_in_page - 48 - 44 - 18]);
        log.append(&id(0), &[first]).unwrap();
        log.sync().unwrap();
        log.append(&id(0), &[record(1), record(2)]).unwrap();
        log.append(&id(0), &[record(3)]).unwrap();
        drop(log);
        let path = Path::new(FIRST_SEGMENT);
        let mut bytes = disk.read(path).unwrap();
        let block = bytes.windows(4).rposition(|window| window == b"BLCK");
        assert!(block > Some(4096), "the last block is in the second page");
        bytes[4096 - bytes_in_page..4096].fill(0);
        overwrite(&disk, path, &bytes);
        let log = open_large(&disk).unwrap();
        assert_eq!(log.end_offset(&id(0)), 1, "{bytes_in_page}");
    }
}

/// A process is killed: what it wrote is seen by the next, which acknowledges
/// it. Then the power fails.
#[test]
fn what_was_found_on_opening_is_durable() {
    for seed in 0..20 {
        let disk = SimulatedDisk::new(seed);
        let log = open(&disk).unwrap();
        append_each(&log, 0..20);
        drop(log);
        let end = open(&disk).unwrap().end_offset(&id(0));
        disk.crash();
        check(&open(&disk).unwrap(), [end, 0], [20, 0]);
    }
}

#[test]
fn retention_that_a_crash_interrupts_leaves_no_gap() {
    for seed in 0..20 {
        for crash_after in 0..20 {
            let disk = SimulatedDisk::new(seed * 100 + crash_after);
            let log = open(&disk).unwrap();
            append_each(&log, 0..100);
            log.sync().unwrap();
            disk.set_faults(FaultPlan {
                crash_after_calls: Some(crash_after),
                capacity_bytes: None,
            });
            // It may have failed, or not.
            let _ = log.retain(&id(0), 50, Some(1_000), None);
            drop(log);
            disk.crash();
            let log = open(&disk).unwrap();
            let start = log.start_offset(&id(0));
            assert!(start <= 50, "{start}");
            let mut next = start;
            while next < 100 {
                let records = log.read(&id(0), next, 100, 300).unwrap();
                assert_eq!(records[0].record, record(next));
                next += records.len() as u64;
            }
            // And goes on.
            append_each(&log, 100..110);
            log.sync().unwrap();
            let start = log.retain(&id(0), 50, Some(1_000), None).unwrap();
            assert!(start > 20 && start <= 50, "{start}");
            drop(log);
            let log = open(&disk).unwrap();
            assert_eq!(log.start_offset(&id(0)), start);
            assert_eq!(log.end_offset(&id(0)), 110);
        }
    }
}

/// The file that a crash left of a new segment is removed; that the one before
/// is whole is still checked.
#[test]
fn a_segment_without_a_header_is_removed() {
    let disk = SimulatedDisk::new(1);
    let log = open_large(&disk).unwrap();
    append_each(&log, 0..10);
    log.sync().unwrap();
    drop(log);
    let path = Path::new(FIRST_SEGMENT);
    let torn = path.with_file_name("00000000000000000010.seg");
    let bytes = disk.read(path).unwrap();
    for length in 0..48 {
        overwrite(&disk, &torn, &bytes[..length]);
        check(&open_large(&disk).unwrap(), [10, 0], [10, 0]);
        assert!(!disk.exists(&torn));
    }
    overwrite(&disk, &torn, &[]);
    overwrite(&disk, path, &bytes[..bytes.len() - 1]);
    let error = open_large(&disk).unwrap_err().to_string();
    assert!(error.contains("behind this byte are missing"), "{error}");
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
            starts: Default::default(),
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

/// A segment whose only block holds `record(3)`.
const VERSION_2: &str = "534c5549434c4f470200000000041eb50000000000000000ffffffffffffffff\
    00000000000000000000000000000000424c434b270000000000000000000000\
    010000000300000000000000000000000000000059b7b2a58045f39800030000\
    0000000000010000003301030000007478330d0000007061796c6f6164203320\
    787878";

/// The bytes of format version 2: a segment that was written by it must stay
/// readable.
#[test]
fn the_bytes_of_version_2_stay() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    log.append(&id(0), &[record(3)]).unwrap();
    log.sync().unwrap();
    let bytes = disk.read(Path::new(FIRST_SEGMENT)).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, VERSION_2);
}
