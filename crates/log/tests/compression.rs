//! Long blocks are compressed: they come back as they were, beside blocks that
//! are not, and whatever happens to their bytes is found.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;
#[path = "../../core/tests/support/mutator.rs"]
mod mutator;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{
    Disk, FileRange, LogRecord, OpenMode, PartitionId, Record, RecordKind, SimulatedDisk,
};
use sluice_log::{Log, LogError, LogOptions};

use fuzz_rounds::rounds;
use mutator::{Mutator, Watch};

const FIRST_SEGMENT: &str = "/log/topics/orders/00000/00000000000000000000.seg";
/// Lengths of the headers of a segment and of a block.
const SEGMENT_HEADER: usize = 48;
const BLOCK_HEADER: usize = 44;
/// What bodies begin with: records, or something compressed.
const PLAIN: u8 = 0;
const COMPRESSED: u8 = 253;

fn id() -> PartitionId {
    PartitionId {
        topic: "orders".into(),
        partition: 0,
    }
}

/// Some 60 bytes in a block: 70 of them are over 4 KiB.
fn record(number: u64) -> Record {
    let shop = number % 7;
    Record {
        kind: RecordKind::Data,
        payload: Bytes::from(format!(
            r#"{{"order":{number},"shop":{shop},"note":"as before"}}"#
        )),
        capture_time_us: number as i64,
        position: Bytes::from(number.to_string()),
        transaction: None,
    }
}

fn open_with(disk: &SimulatedDisk, options: LogOptions) -> Result<Log, LogError> {
    let log = Log::open(Arc::new(disk.clone()), Path::new("/log"), options)?;
    log.create_topic("orders", 1)?;
    Ok(log)
}

fn open(disk: &SimulatedDisk) -> Result<Log, LogError> {
    open_with(disk, LogOptions::default())
}

/// Appends one block, which is durable.
fn append(log: &Log, numbers: Range<u64>) {
    let records: Vec<Record> = numbers.map(record).collect();
    log.append(&id(), &records).unwrap();
    log.sync().unwrap();
}

#[track_caller]
fn check(log: &Log, end: u64) {
    assert_eq!(log.end_offset(&id()), end);
    let found = log.read(&id(), 0, end, usize::MAX).unwrap();
    let expected = (0..end).map(|offset| LogRecord {
        offset,
        record: record(offset),
    });
    assert!(found.into_iter().eq(expected));
}

fn payload_bytes(numbers: Range<u64>) -> usize {
    numbers.map(|number| record(number).payload.len()).sum()
}

fn first_segment(disk: &SimulatedDisk) -> Vec<u8> {
    disk.read(Path::new(FIRST_SEGMENT)).unwrap()
}

fn overwrite(disk: &SimulatedDisk, bytes: &[u8]) {
    let path = Path::new(FIRST_SEGMENT);
    let mut file = disk.open(path, OpenMode::Create).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
    disk.sync_dir(path.parent().unwrap()).unwrap();
}

/// What the bodies of a segment begin with.
fn first_bytes(segment: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let mut place = SEGMENT_HEADER;
    while place < segment.len() {
        let length: [u8; 4] = segment[place + 4..place + 8].try_into().unwrap();
        found.push(segment[place + BLOCK_HEADER]);
        place += BLOCK_HEADER + u32::from_le_bytes(length) as usize;
    }
    found
}

/// The block of a body, with sound checksums.
fn block(place: usize, numbers: Range<u64>, body: &[u8]) -> Vec<u8> {
    let count = (numbers.end - numbers.start) as u32;
    let mut bytes = b"BLCK".to_vec();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(numbers.start.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend((numbers.end - 1).to_le_bytes());
    bytes.extend(numbers.start.to_le_bytes());
    bytes.extend(crc32fast::hash(body).to_le_bytes());
    let mut checked = bytes.clone();
    checked.extend((place as u64).to_le_bytes());
    bytes.extend(crc32fast::hash(&checked).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Records as they stand in a body.
fn plain_body(numbers: Range<u64>) -> Vec<u8> {
    let mut body = Vec::new();
    for record in numbers.map(record) {
        body.push(PLAIN);
        body.extend(record.capture_time_us.to_le_bytes());
        body.extend((record.position.len() as u32).to_le_bytes());
        body.extend_from_slice(&record.position);
        body.push(0);
        body.extend((record.payload.len() as u32).to_le_bytes());
        body.extend_from_slice(&record.payload);
    }
    body
}

fn compressed_body(length: u32, plain: &[u8]) -> Vec<u8> {
    let mut body = vec![COMPRESSED];
    body.extend(length.to_le_bytes());
    body.extend(zstd::bulk::compress(plain, 1).unwrap());
    body
}

#[test]
fn long_blocks_are_compressed_and_come_back() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    append(&log, 0..2_000);
    append(&log, 2_000..2_003);
    append(&log, 2_003..4_000);
    check(&log, 4_000);
    let segment = first_segment(&disk);
    assert_eq!(first_bytes(&segment), [COMPRESSED, PLAIN, COMPRESSED]);
    let held = payload_bytes(0..4_000);
    assert!(segment.len() * 5 < held, "{} of {held}", segment.len());

    // Parts of blocks, by a log that must find them first.
    let log = open(&disk).unwrap();
    check(&log, 4_000);
    let part = log.read(&id(), 1_990, 2_010, usize::MAX).unwrap();
    let expected = (1_990..2_010).map(|offset| LogRecord {
        offset,
        record: record(offset),
    });
    assert!(part.into_iter().eq(expected));
}

/// Whoever reads asks for what fits into memory, where nothing is compressed.
#[test]
fn a_read_ends_by_what_blocks_hold_and_not_by_what_they_take() {
    let log = open(&SimulatedDisk::new(1)).unwrap();
    for first in [0, 2_000, 4_000] {
        append(&log, first..first + 2_000);
    }
    let of_one = payload_bytes(0..2_000);
    for (bytes_max, count) in [(1, 2_000), (of_one, 2_000), (of_one + 1, 4_000)] {
        let found = log.read(&id(), 0, 6_000, bytes_max).unwrap();
        assert_eq!(found.len(), count, "{bytes_max}");
    }
}

#[test]
fn a_segment_is_full_by_what_it_takes() {
    let disk = SimulatedDisk::new(1);
    let options = LogOptions {
        segment_bytes_max: 5_000,
        ..LogOptions::default()
    };
    let log = open_with(&disk, options.clone()).unwrap();
    for first in (0..4_000).step_by(400) {
        append(&log, first..first + 400);
    }
    drop(log);
    let folder = Path::new(FIRST_SEGMENT).parent().unwrap();
    let names = disk.list(folder).unwrap();
    // One block is over 16 KB of payloads.
    assert!((3..8).contains(&names.len()), "{names:?}");
    for name in &names[..names.len() - 1] {
        let length = disk.read(&folder.join(name)).unwrap().len();
        assert!((5_000..10_000).contains(&length), "{name}: {length}");
    }
    check(&open_with(&disk, options).unwrap(), 4_000);
}

/// A segment that a program from before compression began.
#[test]
fn one_segment_holds_blocks_of_both_forms() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    append(&log, 0..1);
    drop(log);
    let mut old = first_segment(&disk);
    for numbers in [1..401, 401..403] {
        let body = plain_body(numbers.clone());
        let bytes = block(old.len(), numbers, &body);
        old.extend(bytes);
    }
    overwrite(&disk, &old);
    let log = open(&disk).unwrap();
    check(&log, 403);
    append(&log, 403..900);
    append(&log, 900..902);
    check(&log, 902);
    drop(log);
    let segment = first_segment(&disk);
    assert!(segment.starts_with(&old));
    let expected = [PLAIN, PLAIN, PLAIN, COMPRESSED, PLAIN];
    assert_eq!(first_bytes(&segment), expected);
    check(&open(&disk).unwrap(), 902);
}

/// Places of lines in a file take less, too.
#[test]
fn ranges_of_a_file_are_compressed() {
    let disk = SimulatedDisk::new(1);
    let lines: Vec<String> = (0..5_000).map(|number| format!("line {number}")).collect();
    let text = lines.join("\n");
    disk.create_dir_all(Path::new("/input")).unwrap();
    let path = Path::new("/input/a.ndjson");
    let mut file = disk.open(path, OpenMode::Create).unwrap();
    file.append(text.as_bytes()).unwrap();
    let mut records = Vec::new();
    let mut first = 0;
    for line in &lines {
        records.push((first, line.len() as u32));
        first += line.len() as u32 + 1;
    }
    let range = FileRange {
        file: "a.ndjson".into(),
        start: 0,
        bytes: text.into(),
        records,
        capture_time_us: 7,
        position: Bytes::from_static(b"behind"),
    };
    let log = open(&disk).unwrap();
    log.append_range(&id(), &range).unwrap();
    log.sync().unwrap();
    drop(log);
    let segment = first_segment(&disk);
    assert_eq!(first_bytes(&segment), [COMPRESSED]);
    assert!(segment.len() < 1_000, "{}", segment.len());
    let log = open(&disk).unwrap();
    log.set_source_folder("orders", Path::new("/input"))
        .unwrap();
    let found = log.read(&id(), 0, 5_000, usize::MAX).unwrap();
    let payloads = found.iter().map(|it| &it.record.payload[..]);
    assert!(payloads.eq(lines.iter().map(String::as_bytes)));
    assert_eq!(found[4_999].record.position, range.position);
}

#[test]
fn a_torn_block_is_cut_off() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    append(&log, 0..10);
    let whole = first_segment(&disk).len();
    append(&log, 10..500);
    drop(log);
    let segment = first_segment(&disk);
    assert_eq!(first_bytes(&segment), [PLAIN, COMPRESSED]);
    for length in (whole..segment.len()).step_by(31) {
        overwrite(&disk, &segment[..length]);
        let log = open(&disk).unwrap();
        check(&log, 10);
        assert_eq!(first_segment(&disk).len(), whole);
        append(&log, 10..500);
        drop(log);
        check(&open(&disk).unwrap(), 500);
    }
}

#[test]
fn a_block_that_was_durable_is_damaged_and_not_torn() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).unwrap();
    append(&log, 0..500);
    let end = first_segment(&disk).len();
    append(&log, 500..501);
    drop(log);
    let path = Path::new(FIRST_SEGMENT);
    for at in (SEGMENT_HEADER..end).step_by(13) {
        disk.damage(path, at).unwrap();
        let error = open(&disk).unwrap_err().to_string();
        assert!(error.contains("damaged at byte 48"), "{at}: {error}");
        disk.damage(path, at).unwrap();
    }
    check(&open(&disk).unwrap(), 501);
}

/// The error of reading a block whose checksums hold.
fn refusal(disk: &SimulatedDisk, numbers: Range<u64>, body: &[u8]) -> String {
    let mut segment = first_segment(disk);
    segment.truncate(SEGMENT_HEADER);
    segment.extend(block(SEGMENT_HEADER, numbers, body));
    overwrite(disk, &segment);
    let read = open(disk).unwrap().read(&id(), 0, 400, usize::MAX);
    read.unwrap_err().to_string()
}

#[test]
fn bodies_that_cannot_be_unpacked_are_refused_with_file_and_byte() {
    let disk = SimulatedDisk::new(1);
    append(&open(&disk).unwrap(), 0..400);
    let plain = plain_body(0..400);
    let length = plain.len() as u32;
    let sound = compressed_body(length, &plain);
    let nested = compressed_body(sound.len() as u32, &sound);
    let last = sound.len() - 1;
    let cases = [
        (compressed_body(length - 1, &plain), "cannot be unpacked"),
        (sound[..last].to_vec(), "cannot be unpacked"),
        ([&sound[..], b"x"].concat(), "cannot be unpacked"),
        (
            compressed_body(length + 1, &plain),
            "a compressed block says that it holds 24581 bytes, and holds 24580",
        ),
        // 4 GiB, less one byte, are not asked of the system.
        (
            compressed_body(u32::MAX, &plain),
            "says that it holds 4294967295 bytes, more than the 67108864 that one can",
        ),
        (sound[..3].to_vec(), "ends at byte 1"),
        (vec![COMPRESSED], "ends at byte 1"),
        (nested, "unknown record kind 253"),
        (compressed_body(0, &[]), "ends at byte 0"),
    ];
    for (body, why) in cases {
        let error = refusal(&disk, 0..400, &body);
        let place = format!("{FIRST_SEGMENT}: damaged at byte 48: ");
        assert!(error.starts_with(&place) && error.contains(why), "{error}");
    }
    let error = refusal(&disk, 0..399, &sound);
    assert!(error.contains("bytes after the last record"), "{error}");

    let mut segment = first_segment(&disk);
    segment.truncate(SEGMENT_HEADER);
    segment.extend(block(SEGMENT_HEADER, 0..400, &sound));
    overwrite(&disk, &segment);
    check(&open(&disk).unwrap(), 400);
}

/// As `pipeline/damage.rs` of the program does with whole states, whose blocks
/// are short.
#[test]
fn whatever_has_a_sound_checksum_gives_records_or_an_error() {
    let disk = SimulatedDisk::new(1);
    append(&open(&disk).unwrap(), 0..400);
    let mut header = first_segment(&disk);
    header.truncate(SEGMENT_HEADER);
    let plain = plain_body(0..400);
    let sound = compressed_body(plain.len() as u32, &plain);
    let watch = Watch::new("compressed blocks");
    let (mut tried, mut refused) = (0, 0);
    for round in rounds(2_000) {
        tried += 1;
        let mut random = Mutator::new(round);
        // What is stored, or what it holds.
        let body = if random.below(2) == 0 {
            let mut body = sound.clone();
            random.mutate(&mut body);
            body
        } else {
            let mut plain = plain.clone();
            random.mutate(&mut plain);
            compressed_body(plain.len() as u32, &plain)
        };
        let mut segment = header.clone();
        segment.extend(block(SEGMENT_HEADER, 0..400, &body));
        overwrite(&disk, &segment);
        let read = open(&disk).unwrap().read(&id(), 0, 400, usize::MAX);
        watch.tick();
        match read {
            Ok(found) => assert_eq!(found.len(), 400),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("damaged at byte 48"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > tried / 4, "only {refused} were refused");
}
