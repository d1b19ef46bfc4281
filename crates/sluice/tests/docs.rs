//! The documentation in `docs/models` is what the models say.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{output, root, sluice};

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn the_documentation_is_up_to_date_and_leaves_no_column_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = sluice();
    command.arg("docs").arg(root().join("warehouse"));
    let said = output(command.arg("--out").arg(folder.path()));
    let said_text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{said_text}");
    assert!(
        !said_text.contains("nothing says what these columns"),
        "{said_text}"
    );
    let (written, kept) = (files(folder.path()), files(&root().join("docs/models")));
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    let help = "run `sluice docs warehouse --out docs/models`";
    assert_eq!(names(&written), names(&kept), "{help}");
    for (name, text) in &written {
        assert!(*text == kept[name], "docs/models/{name} is old: {help}");
    }
}

/// The first line of a model says its grain, and its inputs are those that it
/// reads.
#[test]
fn every_model_says_its_grain_and_its_inputs() {
    let mut wrong = Vec::new();
    let mut folders = vec![root().join("warehouse/models")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            count += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let comment: Vec<&str> = text
                .lines()
                .take_while(|line| line.starts_with("--"))
                .collect();
            let comment = comment.join(" ");
            let says_grain =
                comment.starts_with("-- Grain: ") || comment.starts_with("-- Must be empty: ");
            if !says_grain || !comment.contains("Inputs: ") {
                wrong.push(path);
            }
        }
    }
    assert!(count > 100, "{count} models");
    assert!(wrong.is_empty(), "{wrong:?}");
}
