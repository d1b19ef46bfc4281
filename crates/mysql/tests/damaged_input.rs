//! Damaged logs: an error that names file and place behind all that came
//! before, or a clean result; never a panic, never rows that nobody wrote, and
//! never an end that does not come.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes files, and looks at the time that it has"
)]

#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;
#[path = "common/recorded.rs"]
mod recorded;

use std::sync::Arc;

use fuzz_rounds::rounds;
use recorded::{Event, FILE, FLAGS_AT, Log, Random, Reading, logs, read, read_tables};
use sluice_core::ManualClock;
use sluice_mysql::binlog::event::{FLAG_IGNORABLE, FormatDescription, HEADER_BYTES, kind};
use sluice_mysql::files::BinlogFiles;
use sluice_mysql::filter::TableFilter;
use sluice_mysql::position::DatabasePosition;

#[test]
fn recorded_logs_are_read_or_refused_with_the_place() {
    let folder = tempfile::tempdir().unwrap();
    for log in logs(folder.path()) {
        let (name, sound) = (&log.name, &log.sound);
        assert_eq!(sound.warnings, [""; 0], "{name}");
        assert!(sound.open.is_empty(), "{name}");
        // The kind of the event that is refused, and what is said of it.
        let refused = match name.as_str() {
            "mariadb-encrypted" => (kind::MARIADB_START_ENCRYPTION, "encrypted from here on"),
            "mariadb-statement" => (kind::QUERY, "as a statement instead of rows (`INSERT INTO"),
            "mysql-load" => (kind::EXECUTE_LOAD_QUERY, "(`LOAD DATA INFILE"),
            "mysql-partial-json" => (kind::PARTIAL_UPDATE_ROWS, "logged as differences"),
            "mysql-tagged" => (kind::GTID_TAGGED, "GTID has a tag"),
            _ => {
                assert_eq!(sound.error, None, "{name}");
                assert!(sound.transactions.len() >= 8, "{name}");
                continue;
            }
        };
        let error = sound.error.as_ref().unwrap();
        let mut events = log.events.iter();
        let event = events
            .find(|it| it.begin > 0 && it.kind == refused.0 && it.begin as u64 == error.offset);
        assert!(event.is_some(), "{name}: {error}");
        let text = error.to_string();
        let begin = format!("{FILE}, the event at byte {}: ", error.offset);
        assert!(
            text.starts_with(&begin) && text.contains(refused.1),
            "{name}: {text}"
        );
        let is_first = name == "mariadb-encrypted";
        assert_eq!(sound.transactions.is_empty(), is_first, "{name}");
    }
}

/// They are in no database, and name the table with its own.
#[test]
fn statements_are_refused_where_they_name_a_captured_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    for log in logs(folder.path()) {
        if !["mariadb-statement", "mysql-load"].contains(&log.name.as_str()) {
            continue;
        }
        std::fs::write(&path, &log.bytes).unwrap();
        let read = |tables: &str| {
            let filter = TableFilter::new(&[tables.to_owned()]).unwrap();
            read_tables(&path, filter)
        };
        assert_eq!(read("shop.orders").error, log.sound.error, "{}", log.name);
        assert_eq!(read("other.*").error, None, "{}", log.name);
    }
}

/// One of the logs, its bytes with damage somewhere behind `begin`, and what it is
/// called: the same in each run of a round.
fn damaged_log(logs: &[Log], round: u64, begin: usize) -> (&Log, Vec<u8>, String) {
    let mut random = Random::of(round);
    let log = &logs[random.below(logs.len())];
    let mut damaged = log.bytes.clone();
    for _ in 0..=random.below(3) {
        random.damage(&mut damaged, begin, log.bytes.len());
    }
    (log, damaged, format!("{}, round {round}", log.name))
}

#[test]
fn damage_is_found_by_checksums_behind_all_that_came_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let mut logs = logs(folder.path());
    logs.retain(|log| log.has_checksums);
    for round in rounds(4_000) {
        let (log, damaged, what) = damaged_log(&logs, round, 0);
        std::fs::write(&path, &damaged).unwrap();
        let found = read(&path);
        let first = log.first_damaged(&damaged);
        let Some(event) = first.filter(|event| !log.sound.ends_before(event.begin)) else {
            assert!(found.transactions == log.sound.transactions, "{what}");
            assert_eq!(found.error, log.sound.error, "{what}");
            continue;
        };
        let before = log.sound.until(event.begin);
        assert!(found.transactions == before, "{what}");
        let after = log.sound.transactions.get(before.len());
        let after = after.map_or(&log.sound.open, |(_, done)| done);
        assert!(after.starts_with(&found.open), "{what}");
        match &found.error {
            Some(error) => {
                let place = (error.file.as_str(), error.offset);
                assert_eq!(place, (FILE, event.begin as u64), "{what}: {error}");
            }
            // It seems longer than the file, like one that is being written.
            None => assert_ends_inside(&found, event, &what),
        }
    }
}

#[track_caller]
fn assert_ends_inside(found: &Reading, event: &Event, what: &str) {
    let begin = format!("{FILE}: it ends at byte ");
    let end = format!(
        "in the middle of an event that begins at byte {}:",
        event.begin
    );
    let [warning] = found.warnings.as_slice() else {
        panic!("{what}: {:?}", found.warnings);
    };
    assert!(
        warning.starts_with(&begin) && warning.contains(&end),
        "{what}: {warning}"
    );
}

#[test]
fn damage_behind_checksums_costs_nothing_that_came_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let logs = logs(folder.path());
    let (mut refused, mut is_read) = (0, 0);
    for round in rounds(4_000) {
        let (log, mut damaged, what) = damaged_log(&logs, round, 4);
        log.mend_checksums(&mut damaged);
        std::fs::write(&path, &damaged).unwrap();
        let found = read(&path);
        let first = log.first_damaged(&damaged);
        let Some(event) = first.filter(|event| !log.sound.ends_before(event.begin)) else {
            assert!(found.transactions == log.sound.transactions, "{what}");
            continue;
        };
        let before = log.sound.until(event.begin);
        assert!(found.transactions.starts_with(before), "{what}");
        let Some(error) = found.error else {
            is_read += 1;
            continue;
        };
        refused += 1;
        let possible = event.begin as u64..=damaged.len() as u64;
        assert_eq!(error.file, FILE, "{what}: {error}");
        assert!(possible.contains(&error.offset), "{what}: {error}");
    }
    assert!(
        refused > 0 && is_read > 0,
        "{refused} refused, {is_read} read"
    );
}

#[test]
fn damaged_values_cost_their_transaction_alone() {
    // The rows stand behind which columns there are.
    const ROWS_AT: usize = 48;
    let is_rows = |event: &&Event| {
        let has_rows = matches!(
            event.kind,
            kind::WRITE_ROWS_V1..=kind::DELETE_ROWS_V1 | kind::WRITE_ROWS_V2..=kind::DELETE_ROWS_V2
        );
        has_rows && event.end - event.begin > ROWS_AT + 4
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let logs = logs(folder.path());
    let mut is_read = 0;
    for round in rounds(2_000) {
        let mut random = Random::of(round);
        let log = &logs[random.below(logs.len())];
        let what = format!("{}, round {round}", log.name);
        let events: Vec<&Event> = log.events.iter().filter(is_rows).collect();
        let Some(event) = events.get(random.below(events.len())) else {
            continue;
        };
        if log.sound.ends_before(event.begin) {
            continue;
        }
        let mut damaged = log.bytes.clone();
        random.damage(&mut damaged, event.begin + ROWS_AT, event.end - 4);
        log.mend_checksums(&mut damaged);
        std::fs::write(&path, &damaged).unwrap();
        let found = read(&path);
        let sound = &log.sound.transactions;
        let its_own = log.sound.until(event.begin).len();
        if found.error != log.sound.error {
            let error = found.error.unwrap();
            assert_eq!(error.offset, event.begin as u64, "{what}: {error}");
            assert!(found.transactions == sound[..its_own], "{what}");
            continue;
        }
        is_read += 1;
        assert_eq!(found.transactions.len(), sound.len(), "{what}");
        for (number, (damaged, sound)) in found.transactions.iter().zip(sound).enumerate() {
            assert!(number == its_own || damaged == sound, "{what}: {number}");
        }
    }
    assert!(is_read > 0);
}

#[test]
fn files_that_are_cut_off_give_what_is_whole_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let (path, next) = (folder.path().join(FILE), folder.path().join("log.000002"));
    let logs = logs(folder.path());
    for round in rounds(1_500) {
        let mut random = Random::of(round);
        let log = &logs[random.below(logs.len())];
        let what = format!("{}, round {round}", log.name);
        let length = 4 + random.below(log.bytes.len() - 4);
        std::fs::write(&path, &log.bytes[..length]).unwrap();
        let found = read(&path);
        let event = log.event_at(length);
        let before = log.sound.until(length);
        assert!(found.transactions == before, "{what}");
        if log.sound.ends_before(event.begin) {
            assert_eq!(found.error, log.sound.error, "{what}");
            continue;
        }
        assert_eq!(found.error, None, "{what}");
        let is_inside = length > event.begin;
        if is_inside {
            assert_ends_inside(&found, event, &what);
        } else if !found.open.is_empty() {
            let warning = found.warnings.join("\n");
            assert!(warning.contains("in the middle of a transaction"), "{what}");
        }
        // Where another file follows, nothing more comes.
        std::fs::write(&next, &log.bytes).unwrap();
        let found = read(&folder.path().join("log.*"));
        std::fs::remove_file(&next).unwrap();
        assert!(found.transactions.starts_with(before), "{what}");
        match found.error {
            Some(error) if is_inside => {
                let place = (error.file.as_str(), error.offset);
                assert_eq!(place, (FILE, event.begin as u64), "{what}: {error}");
                let text = error.to_string();
                assert!(text.contains("its end is missing"), "{what}: {text}");
                assert!(found.transactions == before, "{what}");
            }
            Some(error) if error.file == FILE => {
                let text = error.to_string();
                assert!(text.contains("has no end"), "{what}: {text}");
            }
            _ => {
                assert!(!is_inside, "{what}");
                let begin = format!("{FILE}: it ends at byte {length} without the event");
                let mut warnings = found.warnings.iter();
                assert!(warnings.any(|it| it.starts_with(&begin)), "{what}");
            }
        }
    }
}

#[test]
fn unknown_events_are_refused_unless_they_may_be_ignored() {
    const UNKNOWN: u8 = 200;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    for log in logs(folder.path()) {
        let name = &log.name;
        for event in &log.events[2..] {
            if log.sound.ends_before(event.begin) {
                break;
            }
            let mut damaged = log.bytes.clone();
            damaged[event.begin + 4] = UNKNOWN;
            damaged[event.begin + FLAGS_AT] &= !(FLAG_IGNORABLE as u8);
            log.mend_checksums(&mut damaged);
            std::fs::write(&path, &damaged).unwrap();
            let found = read(&path);
            assert!(found.transactions == log.sound.until(event.begin), "{name}");
            assert_eq!(
                found.error.unwrap().to_string(),
                format!(
                    "{FILE}, the event at byte {}: events of kind 200 are not known; a newer version of this program may know them",
                    event.begin
                ),
                "{name}"
            );
        }
        if log.sound.error.is_some() {
            continue;
        }
        // One more at the end.
        let mut longer = log.bytes.clone();
        let length = HEADER_BYTES as u32 + 8;
        let end = longer.len() as u32 + length;
        longer.extend([0, 0, 0, 0, UNKNOWN, 1, 0, 0, 0]);
        longer.extend(length.to_le_bytes());
        longer.extend(end.to_le_bytes());
        longer.extend(FLAG_IGNORABLE.to_le_bytes());
        longer.extend([0; 8]);
        log.mend_checksums(&mut longer);
        std::fs::write(&path, &longer).unwrap();
        let found = read(&path);
        assert_eq!(found.error, None, "{name}");
        assert!(found.transactions == log.sound.transactions, "{name}");
    }
}

#[test]
fn a_transaction_without_its_end_is_refused_where_the_next_begins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    for log in logs(folder.path()) {
        if log.sound.error.is_some() {
            continue;
        }
        let name = &log.name;
        let ends: Vec<&Event> = (log.events.iter())
            .filter(|event| event.kind == kind::XID)
            .collect();
        // Behind the last one no other transaction begins.
        let Some((_, ends)) = ends.split_last() else {
            continue;
        };
        for end in ends {
            // What nobody looks at takes its place.
            let mut damaged = log.bytes.clone();
            damaged[end.begin + 4] = kind::RAND;
            log.mend_checksums(&mut damaged);
            std::fs::write(&path, &damaged).unwrap();
            let found = read(&path);
            let error = found.error.unwrap();
            let is_next = |event: &&Event| {
                let begins = matches!(
                    event.kind,
                    kind::GTID | kind::ANONYMOUS_GTID | kind::MARIADB_GTID
                );
                begins && event.begin > end.begin
            };
            let next = log.events.iter().find(is_next).unwrap();
            assert_eq!(error.offset, next.begin as u64, "{name}: {error}");
            let text = error.to_string();
            assert!(
                text.contains("a transaction begins before"),
                "{name}: {text}"
            );
            assert!(found.transactions == log.sound.until(end.begin), "{name}");
        }
    }
}

#[test]
fn an_error_comes_again_until_the_file_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let logs = logs(folder.path());
    let log = logs.iter().find(|log| log.name == "mysql-gtids").unwrap();
    let mut xids = log.events.iter().filter(|event| event.kind == kind::XID);
    let event = xids.next_back().unwrap();
    let mut damaged = log.bytes.clone();
    damaged[event.begin] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let clock = Arc::new(ManualClock::new(0));
    let (filter, mut position) = (TableFilter::default(), DatabasePosition::default());
    let mut files = BinlogFiles::open(&path, filter, position.clone(), clock).unwrap();
    let mut reading = Reading::default();
    for record in files.poll().unwrap().records {
        reading.take(record, &mut position);
    }
    assert!(reading.transactions == log.sound.until(event.begin));
    for _ in 0..3 {
        let text = files.poll().unwrap_err().to_string();
        let begin = format!("{FILE}, the event at byte {}: ", event.begin);
        assert!(text.starts_with(&begin), "{text}");
    }
    std::fs::write(&path, &log.bytes).unwrap();
    for record in files.poll().unwrap().records {
        reading.take(record, &mut position);
    }
    assert!(reading.transactions == log.sound.transactions);
}

#[test]
fn encrypted_and_foreign_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    for (bytes, word) in [
        (b"\xfdbin rest".as_slice(), "encrypted"),
        (b"SQLite format 3", "does not begin like a binary log"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let text = read(&path).error.unwrap().to_string();
        let begin = format!("{FILE}, the event at byte 0: ");
        assert!(text.starts_with(&begin) && text.contains(word), "{text}");
    }
    std::fs::write(&path, b"\xfeb").unwrap();
    let being_made = read(&path);
    assert!(being_made.error.is_none() && being_made.transactions.is_empty());
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
