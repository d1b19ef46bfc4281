//! A stored state with random damage. As it is, the checksums find it, and the
//! error names the file; with checksums mended, the decoders behind them get
//! whatever there may be. Nothing panics, hangs, or takes all memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;
#[path = "../../../core/tests/support/mutator.rs"]
mod mutator;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use sluice_core::{Disk, ManualClock, OpenMode, SimulatedDisk, Spans, stable_hash};

use self::fuzz_rounds::rounds;
use self::mutator::{Mutator, Watch};
use super::fault_injection::small_warehouse::{
    CLICKS, Definitions, Models, SHOP, click_script, partition, shop_script, state,
};
use super::fault_injection::{Random, Rows, rows};
use super::read_between;
use super::recovery::{Recovery, recover};
use super::surroundings::{CheckpointWriter, Surroundings};
use crate::failure::Failure;
use crate::report::Reporter;

/// A state folder's files.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

pub fn open(definitions: &Definitions, disk: &SimulatedDisk) -> Result<Recovery, Failure> {
    let surroundings = Surroundings {
        disk: Arc::new(disk.clone()),
        clock: Arc::new(ManualClock::new(0)),
        checkpoint_writer: CheckpointWriter::Caller,
        collected_rows_min: 2,
        reporter: Reporter::silent(),
        spans: Spans::default(),
        stop: Arc::default(),
    };
    let Definitions { project, program } = definitions;
    let stop = AtomicBool::new(false);
    recover(project, program, state(), &stop, &surroundings)
}

/// A state with complete segments of the log, two checkpoints with masks of
/// removed rows, and, if asked for, epochs after the last checkpoint.
pub fn stored_state(definitions: &Definitions, has_epochs_after: bool) -> (Files, Rows) {
    let disk = SimulatedDisk::new(1);
    let mut warehouse = open(definitions, &disk).unwrap().warehouse;
    let log = warehouse.log();
    let mut random = Random::new(5);
    let shop = shop_script(&mut random, 120);
    let clicks = click_script(&mut random, 90);
    for step in 0..12 {
        log.append(&partition(SHOP), &shop[step * 10..][..10])
            .unwrap();
        log.append(&partition(CLICKS), &clicks[step * 7..][..7])
            .unwrap();
        log.sync().unwrap();
        while warehouse.run_epoch().unwrap() {}
        let is_last = step == 11 && !has_epochs_after;
        if step == 4 || step == 9 || is_last {
            warehouse.checkpoint().unwrap();
        }
    }
    let rows = rows(&warehouse.published().snapshot());
    (files_below(&disk, state()), rows)
}

fn files_below(disk: &SimulatedDisk, folder: &Path) -> Files {
    let mut files = Files::new();
    for name in disk.list(folder).unwrap() {
        let path = folder.join(name);
        match disk.read(&path) {
            Ok(bytes) => drop(files.insert(path, bytes)),
            Err(_) => files.extend(files_below(disk, &path)),
        }
    }
    files
}

pub fn disk_of(files: &Files) -> SimulatedDisk {
    let disk = SimulatedDisk::new(1);
    for (path, bytes) in files {
        let mut file = disk.open(path, OpenMode::Create).unwrap();
        file.append(bytes).unwrap();
    }
    disk
}

/// Opens a state and reads everything that it holds.
pub fn read_all(definitions: &Definitions, files: &Files) -> Result<Rows, Failure> {
    let disk = disk_of(files);
    let recovery = open(definitions, &disk)?;
    let warehouse = recovery.warehouse;
    let log = warehouse.log();
    for id in log.partitions() {
        read_between(&log, &id, log.start_offset(&id), log.end_offset(&id))?;
    }
    let snapshot = warehouse.published().snapshot();
    for collection in snapshot.collections() {
        let scanned = snapshot.scan(&collection.name, None);
        scanned.map_err(|error| Failure::Failed(error.to_string()))?;
    }
    Ok(rows(&snapshot))
}

fn is_last_segment(files: &Files, path: &Path) -> bool {
    let in_folder = |other: &&PathBuf| other.parent() == path.parent();
    path.extension().is_some_and(|ending| ending == "seg")
        && files
            .keys()
            .rfind(in_folder)
            .is_some_and(|last| last == path)
}

#[test]
fn damage_is_found_and_its_file_is_named() {
    let definitions = Definitions::new(Models::First);
    let (files, rows) = stored_state(&definitions, true);
    let paths: Vec<&PathBuf> = files.keys().collect();
    let kinds = [
        "/control/",
        "/shop/",
        "/clicks/",
        "MANIFEST",
        "segment-",
        "state-",
    ];
    for kind in kinds {
        let is_there = |path: &&&PathBuf| path.to_string_lossy().contains(kind);
        assert!(paths.iter().any(|path| is_there(&path)), "no {kind}");
    }
    assert_eq!(read_all(&definitions, &files).unwrap(), rows);
    let watch = Watch::new("damage");
    let (mut tried, mut found) = (0, 0);
    for round in rounds(1_500) {
        tried += 1;
        let mut random = Mutator::new(round);
        let path = paths[random.below(paths.len())];
        let mut damaged = files.clone();
        let bytes = damaged.get_mut(path).unwrap();
        random.mutate(bytes);
        if random.below(30) == 0 {
            damaged.remove(path);
        }
        let outcome = read_all(&definitions, &damaged);
        watch.tick();
        if damaged == files || is_last_segment(&files, path) {
            // The end of a last segment cannot be told from a torn one.
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy();
        match outcome {
            Err(failure) => {
                let text = failure.to_string();
                // A segment that is missing or short is noticed by its
                // neighbours.
                let folder = path.parent().unwrap().to_string_lossy();
                assert!(
                    text.contains(&*name) || text.contains(&*folder),
                    "{name}: {text}"
                );
                found += 1;
            }
            Ok(found) => {
                let is_gone = !damaged.contains_key(path);
                let is_first = path.ends_with("00000000000000000000.seg");
                assert!(
                    is_gone && (is_first || *name == *"MANIFEST") || found == rows,
                    "{name}"
                );
            }
        }
    }
    assert!(found > tried / 3, "only {found} were found");
}

/// CRC-32 (IEEE 802.3), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..at + 4).unwrap_or(&[0; 4]);
    u32::from_le_bytes(bytes.try_into().unwrap())
}

/// Makes the checksums of a segment of the log hold again.
pub fn mend_segment(bytes: &mut [u8]) {
    if bytes.len() >= 48 {
        let checksum = crc32(&bytes[16..48]);
        put(bytes, 12, checksum);
    }
    let mut place = 48;
    while bytes.len() >= place + 44 && bytes[place..].starts_with(b"BLCK") {
        let body = place + 44;
        let end = body.saturating_add(u32_at(bytes, place + 4) as usize);
        if let Some(body) = bytes.get(body..end) {
            let checksum = crc32(body);
            put(bytes, place + 36, checksum);
        }
        let mut header = bytes[place..place + 40].to_vec();
        header.extend_from_slice(&(place as u64).to_le_bytes());
        put(bytes, place + 40, crc32(&header));
        place = end;
    }
}

pub const MANIFEST: &str = "/state/store/MANIFEST";

pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"SLUICEMF".to_vec();
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    let checksum = crc32(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

pub fn payload(files: &Files) -> Vec<u8> {
    let framed = &files[Path::new(MANIFEST)];
    framed[20..framed.len() - 4].to_vec()
}

/// Changes the state part that `choose` takes from their names, and lets the
/// manifest say that it is so.
pub fn change_part(
    files: &mut Files,
    choose: impl FnOnce(&[String]) -> usize,
    change: impl FnOnce(&mut Vec<u8>),
) {
    let mut manifest: Value = serde_json::from_slice(&payload(files)).unwrap();
    let parts = manifest["parts"].as_object_mut().unwrap();
    let names: Vec<String> = parts.keys().cloned().collect();
    let entry = &mut parts[&names[choose(&names)]];
    let path = Path::new(MANIFEST).with_file_name(entry["file"].as_str().unwrap());
    let at = |field: &str| entry[field].as_u64().unwrap() as usize;
    let file = files.get_mut(&path).unwrap();
    let mut part = file[at("offset")..][..at("length")].to_vec();
    change(&mut part);
    entry["offset"] = file.len().into();
    entry["length"] = part.len().into();
    entry["checksum"] = (stable_hash(&part) as u32).into();
    file.extend(part);
    let framed = frame(&serde_json::to_vec(&manifest).unwrap());
    files.insert(MANIFEST.into(), framed);
}

/// The state parts that the manifest names, in its order.
fn parts(files: &Files) -> Vec<Vec<u8>> {
    let manifest: Value = serde_json::from_slice(&payload(files)).unwrap();
    let entries = manifest["parts"].as_object().unwrap().values();
    let part = |entry: &Value| {
        let path = Path::new(MANIFEST).with_file_name(entry["file"].as_str().unwrap());
        let at = |field: &str| entry[field].as_u64().unwrap() as usize;
        files[&path][at("offset")..][..at("length")].to_vec()
    };
    entries.map(part).collect()
}

/// A compressed part of the engine's state in the form that is not; none if it is
/// another one.
fn decompressed(part: &[u8]) -> Option<Vec<u8>> {
    // Changes have their pieces behind the version, bases behind their epoch.
    [1, 9].into_iter().find_map(|head_bytes| {
        let (head, mut pieces) = part.split_at_checked(head_bytes)?;
        if head[0] != 3 {
            return None;
        }
        let mut plain = head.to_vec();
        plain[0] = 2;
        while !pieces.is_empty() {
            let (lengths, rest) = pieces.split_at_checked(8)?;
            let length = u32_at(lengths, 0) as usize;
            let (frame, rest) = rest.split_at_checked(u32_at(lengths, 4) as usize)?;
            let content = zstd::bulk::decompress(frame, length.min(1 << 20)).ok()?;
            if content.len() != length {
                return None;
            }
            plain.extend(content);
            pieces = rest;
        }
        Some(plain)
    })
}

#[test]
fn decoders_take_whatever_has_a_sound_checksum() {
    let definitions = Definitions::new(Models::First);
    let (files, rows) = stored_state(&definitions, false);
    // The helpers above do not damage by themselves.
    let mut mended = files.clone();
    for (path, bytes) in &mut mended {
        if path.extension().is_some_and(|ending| ending == "seg") {
            mend_segment(bytes);
        }
    }
    mended.insert(MANIFEST.into(), frame(&payload(&files)));
    assert!(mended == files);
    let mut compressed = 0;
    for (number, part) in parts(&files).iter().enumerate() {
        if let Some(plain) = decompressed(part) {
            change_part(&mut mended, |_| number, |part| *part = plain);
            compressed += 1;
        }
    }
    assert!(compressed > 10, "only {compressed} parts are compressed");
    assert_eq!(read_all(&definitions, &mended).unwrap(), rows);
    let segments: Vec<&PathBuf> = files
        .keys()
        .filter(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .collect();
    let watch = Watch::new("decoders");
    let (mut tried, mut refused) = (0, 0);
    for round in rounds(2_500) {
        tried += 1;
        let mut random = Mutator::new(round + (1 << 40));
        let mut damaged = files.clone();
        match random.below(4) {
            0 => {
                let path = segments[random.below(segments.len())];
                let bytes = damaged.get_mut(path).unwrap();
                random.mutate(bytes);
                mend_segment(bytes);
            }
            1 => {
                let mut json = payload(&files);
                random.mutate(&mut json);
                damaged.insert(MANIFEST.into(), frame(&json));
            }
            _ => {
                let chosen = random.below(1 << 16);
                let choose = |names: &[String]| chosen % names.len();
                let is_behind_frames = random.below(2) == 0;
                change_part(&mut damaged, choose, |part| {
                    if is_behind_frames && let Some(plain) = decompressed(part) {
                        *part = plain;
                    }
                    random.mutate(part);
                });
            }
        }
        let outcome = read_all(&definitions, &damaged);
        watch.tick();
        match outcome {
            Ok(found) => assert!(found.len() == rows.len()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > tried / 4, "only {refused} were refused");
}
