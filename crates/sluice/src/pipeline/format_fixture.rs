//! States that were stored by earlier builds open as they did, and a file of
//! another version is refused by name.
//!
//! When a format changes, its version changes with it; then the program reads
//! the old version too, or says that it does not. Give [`NEWEST`] another name,
//! add it to [`FIXTURES`], and write it with
//! `cargo test --release --workspace --bin sluice -- --ignored write_the_fixture`;
//! the older ones stay as they are.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::damage::{
    Files, MANIFEST, change_part, disk_of, frame, mend_segment, open, payload, read_all,
    stored_state,
};
use super::fault_injection::small_warehouse::{Definitions, Models, state, write_project};
use super::fault_injection::{Rows, rows};

/// Before the log's blocks and the parts of checkpoints were compressed.
const OLDEST: &str = "small";
const NEWEST: &str = "compressed";
const FIXTURES: [&str; 2] = [OLDEST, NEWEST];

/// From the package's folder, in which tests run: the state names the files of its
/// models.
fn folder(fixture: &str) -> PathBuf {
    Path::new("tests/fixtures").join(fixture)
}

fn definitions(fixture: &str) -> Definitions {
    Definitions::load(&folder(fixture).join("project"))
}

fn files_below(folder: &Path, shown_as: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let shown_as = shown_as.join(path.file_name().unwrap());
        if path.is_dir() {
            files_below(&path, &shown_as, files);
        } else {
            files.insert(shown_as, std::fs::read(&path).unwrap());
        }
    }
}

fn stored(fixture: &str) -> Files {
    let mut files = Files::new();
    files_below(&folder(fixture).join("state"), state(), &mut files);
    files
}

fn text_of(rows: &Rows) -> String {
    let mut text = String::new();
    for (name, rows) in rows {
        text.push_str(&format!("{name}: {} rows\n", rows.len()));
        for row in rows {
            text.push_str(&format!("  {row}\n"));
        }
    }
    text
}

#[test]
#[ignore = "writes the fixture"]
#[expect(clippy::disallowed_methods, reason = "the fixture is files")]
fn write_the_fixture() {
    if folder(NEWEST).exists() {
        std::fs::remove_dir_all(folder(NEWEST)).unwrap();
    }
    write_project(&folder(NEWEST).join("project"), Models::First);
    let (files, rows) = stored_state(&definitions(NEWEST), true);
    for (path, bytes) in files {
        let path = folder(NEWEST).join(path.strip_prefix("/").unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::write(folder(NEWEST).join("rows.txt"), text_of(&rows)).unwrap();
}

#[test]
fn states_that_were_stored_before_open_as_they_did() {
    for fixture in FIXTURES {
        opens_as_it_did(fixture);
    }
}

fn opens_as_it_did(fixture: &str) {
    let definitions = definitions(fixture);
    let disk = disk_of(&stored(fixture));
    let mut warehouse = open(&definitions, &disk).unwrap().warehouse;
    let epoch = warehouse.durable_epoch.unwrap();
    assert!(
        epoch > 10 && warehouse.epoch() > epoch,
        "{fixture}: it was computed anew, not opened"
    );
    let wanted = std::fs::read_to_string(folder(fixture).join("rows.txt")).unwrap();
    let found = text_of(&rows(&warehouse.published().snapshot()));
    assert!(
        found == wanted,
        "{fixture}: other rows than were stored:\n{found}"
    );
    // And it goes on from there.
    warehouse.checkpoint().unwrap();
    drop(warehouse);
    let warehouse = open(&definitions, &disk).unwrap().warehouse;
    let found = text_of(&rows(&warehouse.published().snapshot()));
    assert!(found == wanted, "{fixture}: {found}");
}

/// The message of a state with one changed file: it names the file, the
/// version that was found, and the one that is known.
#[track_caller]
fn check_refusal(fixture: &str, files: &Files, file: &str, found: u64, known: u64) {
    let failure = read_all(&definitions(fixture), files).unwrap_err();
    let text = failure.to_string();
    assert!(text.contains(file), "does not name {file}: {text}");
    for wanted in [
        format!("version {found}, "),
        format!("reads version {known}"),
    ] {
        assert!(text.contains(&wanted), "does not say `{wanted}`: {text}");
    }
}

#[test]
fn segments_of_another_version_are_refused() {
    for fixture in FIXTURES {
        let files = stored(fixture);
        let segments: Vec<PathBuf> = files
            .keys()
            .filter(|path| path.extension().is_some_and(|ending| ending == "seg"))
            .cloned()
            .collect();
        // Complete ones, last ones, and those of the control log.
        assert!(segments.len() > 3);
        for path in segments {
            for version in [1_u32, 3] {
                let mut changed = files.clone();
                let bytes = changed.get_mut(&path).unwrap();
                bytes[8..12].copy_from_slice(&version.to_le_bytes());
                mend_segment(bytes);
                check_refusal(fixture, &changed, path.to_str().unwrap(), version.into(), 2);
                // Even if nothing was written behind its header.
                changed.get_mut(&path).unwrap().truncate(48);
                let failure = read_all(&definitions(fixture), &changed).unwrap_err();
                assert!(failure.to_string().contains("/state/"), "{failure}");
            }
        }
    }
}

#[test]
fn a_manifest_of_another_version_is_refused() {
    for fixture in FIXTURES {
        let files = stored(fixture);
        for version in [0_u32, 2] {
            let mut changed = files.clone();
            let manifest = changed.get_mut(Path::new(MANIFEST)).unwrap();
            manifest[8..12].copy_from_slice(&version.to_le_bytes());
            check_refusal(fixture, &changed, MANIFEST, version.into(), 1);

            let mut json: Value = serde_json::from_slice(&payload(&files)).unwrap();
            json["meta"]["version"] = version.into();
            let framed = frame(&serde_json::to_vec(&json).unwrap());
            changed.insert(MANIFEST.into(), framed);
            check_refusal(fixture, &changed, MANIFEST, version.into(), 1);
        }
    }
}

/// The file that holds a part after [`change_part`], and what the part holds.
fn change(files: &mut Files, wanted: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut chosen = String::new();
    let choose = |names: &[String]| {
        let found = names.iter().position(|name| name.starts_with(wanted));
        let found = found.unwrap_or_else(|| panic!("no part {wanted} in {names:?}"));
        chosen.clone_from(&names[found]);
        found
    };
    change_part(files, choose, change);
    let json: Value = serde_json::from_slice(&payload(files)).unwrap();
    json["parts"][&chosen]["file"].as_str().unwrap().to_owned()
}

#[test]
fn state_parts_of_another_version_are_refused() {
    for fixture in FIXTURES {
        let files = stored(fixture);
        for wanted in ["engine/arrangement/", "engine/node/", "engine/"] {
            for version in [1_u8, 4] {
                let mut changed = files.clone();
                let file = change(&mut changed, wanted, |part| part[0] = version);
                check_refusal(fixture, &changed, &file, version.into(), 3);
            }
        }
        for version in [1_u32, 5] {
            let mut changed = files.clone();
            let file = change(&mut changed, "router/general", |part| {
                let mut json: Value = serde_json::from_slice(part).unwrap();
                json["version"] = version.into();
                *part = serde_json::to_vec(&json).unwrap();
            });
            check_refusal(fixture, &changed, &file, version.into(), 4);
        }
    }
}
