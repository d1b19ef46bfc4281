//! Damaged logs: an error that names file and place, or a clean result; never
//! a panic, and never an end that does not come.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes files, and starts its own threads"
)]

#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;

use std::path::Path;
use std::sync::Arc;

use fuzz_rounds::rounds;
use sluice_core::ManualClock;
use sluice_mysql::binlog::event::FormatDescription;
use sluice_mysql::files::{BinlogFiles, FilesError};
use sluice_mysql::filter::TableFilter;
use sluice_mysql::position::DatabasePosition;

/// Small logs of servers of several kinds, made for this test.
const LOGS: [&str; 2] = ["mariadb-all-types", "mariadb-compressed"];

struct Random(u64);

impl Random {
    fn of(round: u64) -> Self {
        Self(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }
}

fn read_all(path: &Path) -> Result<usize, FilesError> {
    let filter = TableFilter::default();
    let clock = Arc::new(ManualClock::new(0));
    let mut files = BinlogFiles::open(path, filter, DatabasePosition::default(), clock)?;
    let mut count = 0;
    loop {
        let batch = files.poll()?;
        count += batch.records.len();
        if batch.at_end {
            return Ok(count);
        }
    }
}

/// Makes the checksums of all events fit again, so that what is behind them is
/// reached.
fn mend_checksums(log: &mut [u8]) {
    let mut at = 4;
    while let Some(head) = log.get(at..at + 19) {
        let length = u32::from_le_bytes([head[9], head[10], head[11], head[12]]) as usize;
        if length < 23 || at + length > log.len() {
            return;
        }
        let end = at + length;
        let checksum = crc32fast::hash(&log[at..end - 4]);
        log[end - 4..end].copy_from_slice(&checksum.to_le_bytes());
        at = end;
    }
}

#[test]
fn damaged_logs_are_refused_by_name_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.000001");
    for name in LOGS {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/logs")
            .join(name);
        let sound = std::fs::read(fixture).unwrap();
        std::fs::write(&path, &sound).unwrap();
        let rows = read_all(&path).unwrap();
        assert!(rows > 0, "{name}");
        let mut refused = 0;
        for round in rounds(300) {
            let mut random = Random::of(round);
            let mut log = sound.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(log.len());
                match random.below(4) {
                    0 => log.truncate(at.max(5)),
                    1 => log[at] ^= 1 << random.below(8),
                    2 => log[at] = [0, 0xff, 0x7f, 0x80][random.below(4)],
                    _ => {
                        let end = (at + random.below(9)).min(log.len());
                        log[at..end].fill(random.below(256) as u8);
                    }
                }
            }
            // With checksums that do not fit most damage is found at once.
            if round % 4 > 0 {
                mend_checksums(&mut log);
            }
            std::fs::write(&path, &log).unwrap();
            if let Err(error) = read_all(&path) {
                refused += 1;
                let text = error.to_string();
                assert!(text.contains("log.000001"), "{text}");
            }
        }
        assert!(refused > 0, "{name}: no damage was noticed");
    }
}

#[test]
fn encrypted_and_foreign_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.000001");
    for (bytes, word) in [
        (b"\xfdbin rest".as_slice(), "encrypted"),
        (b"SQLite format 3", "does not begin like a binary log"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let text = read_all(&path).unwrap_err().to_string();
        assert!(text.contains(word) && text.contains("log.000001"), "{text}");
    }
    std::fs::write(&path, b"\xfeb").unwrap();
    assert_eq!(read_all(&path).unwrap(), 0, "a file that is being made");
}

#[test]
fn descriptions_of_any_bytes_do_no_harm() {
    for round in rounds(300) {
        let mut random = Random::of(round);
        let length = random.below(200);
        let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        let _ = FormatDescription::read(&bytes);
    }
}
