//! The files of `deploy` that a machine can check without being root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::process::Command;

use common::root;

#[test]
fn systemd_understands_the_units() {
    let found = Command::new("systemd-analyze").arg("--version").output();
    if found.is_err() {
        eprintln!("SKIPPED: systemd-analyze is not there, so that nothing checks the units");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").arg("--man=no");
    for name in [
        "sluice.service",
        "sluice-backup.service",
        "sluice-backup.timer",
    ] {
        let unit = std::fs::read_to_string(root().join("deploy/systemd").join(name)).unwrap();
        // The program need not be installed.
        let unit = unit.replace("/usr/local/bin/sluice", "/bin/true");
        let copy = folder.path().join(name);
        #[expect(clippy::disallowed_methods, reason = "a test writes a copy")]
        std::fs::write(&copy, unit).unwrap();
        verify.arg(copy);
    }
    let verified = verify.output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    // What it says of units that the machine has is not ours.
    let ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("sluice"))
        .collect();
    assert!(ours.is_empty(), "{ours:?}");
}
