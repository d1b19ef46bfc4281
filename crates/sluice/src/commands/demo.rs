//! `sluice demo`: the built-in warehouse with a shop that fills it.

use std::path::Path;
use std::sync::Arc;

use sluice_core::{Clock, Disk, OpenMode, RealDisk, SystemClock};
use sluice_shop::{Shop, ShopOptions};

use crate::built_in::WAREHOUSE_FILES;
use crate::commands::run::{Companion, RunOptions, run_with};
use crate::demo_shop::DemoShop;
use crate::failure::{Doing, Failure};
use crate::lock::{lock_to_back_up, lock_to_write};
use crate::report::Reporter;
use crate::saved_panels;

/// Files that the demo has in place of the built-in warehouse's: the alarm on dead
/// letters expects those that the shop makes on purpose, and no real project's does.
static DEMO_FILES: [(&str, &str); 1] = [(
    "alerts/dead_letters.toml",
    include_str!("../../templates/demo/alerts/dead_letters.toml"),
)];

/// The folder in the state that holds what belongs to the demo alone.
const DEMO_FOLDER: &str = "demo";
const DAY_US: i64 = 86_400_000_000;
/// What a state's folder holds beside its lock, and what is left of a command
/// that was interrupted. The demo's own folder goes last: what is left of an
/// interrupted removal is still known as a demo.
const STATE_PARTS: [&str; 21] = [
    "address.json",
    "address.tmp",
    "erase.request",
    "erase.pending",
    "erase.answer",
    "erase.new",
    "masks.since",
    "masks.tmp",
    "state-memory.tmp",
    "store",
    "store.unfinished",
    "control",
    "log",
    "keys",
    "watch",
    "audit",
    "replay",
    "backup",
    "panels",
    "BACKUP.LOCK",
    DEMO_FOLDER,
];

/// What the person asked for.
#[derive(Debug)]
pub struct DemoOptions<'a> {
    /// The state's folder.
    pub state: &'a Path,
    /// Settings of `--set`.
    pub overrides: &'a [(String, String)],
    /// Mean number of messages a second.
    pub rate: f64,
    /// Past days before today.
    pub days: u32,
    /// Seed of a new shop.
    pub seed: u64,
    /// Forget the shop of before.
    pub fresh: bool,
    /// End when the past is filled.
    pub fill_only: bool,
}

/// Runs the demo until it is stopped.
///
/// # Errors
/// When the state cannot be used, or an address is taken.
pub fn run(options: &DemoOptions<'_>, reporter: Reporter) -> Result<(), Failure> {
    if options.fresh {
        forget(options.state)?;
    }
    let folder = options.state.join(DEMO_FOLDER);
    let project = folder.join("project");
    write_project(&project)?;
    saved_panels::put_into(&project, options.state, options.overrides, reporter)?;
    let saved = folder.join("shop.json");
    let shop = open_shop(options, &saved)?;
    let demo_shop = DemoShop::new(shop, saved, options.fill_only, reporter);
    let companion = Companion {
        body: Box::new(move |context| demo_shop.run(context)),
        ends_with_it: options.fill_only,
    };
    let run_options = RunOptions {
        folder: &project,
        overrides: options.overrides,
        state: Some(options.state),
        saved_panels: Some(options.state),
        until_idle: false,
    };
    run_with(&run_options, Some(companion), reporter)
}

/// Removes the state of a demo, and nothing else.
fn forget(state: &Path) -> Result<(), Failure> {
    if !state.exists() {
        return Ok(());
    }
    let is_demo = state.join(DEMO_FOLDER).is_dir();
    let is_empty = std::fs::read_dir(state)
        .doing("looking into the state")?
        .next()
        .is_none();
    if !is_demo && !is_empty {
        return Err(Failure::Definitions(format!(
            "{} holds no demo, so that --fresh does not empty it\n  help: choose another folder with --state",
            state.display()
        )));
    }
    let _lock = lock_to_write(state)?;
    // A backup that was begun while the demo ran may still read it.
    let _no_backup = lock_to_back_up(state)?;
    let what = format!("removing the old demo in {}", state.display());
    for name in STATE_PARTS {
        let path = state.join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).doing(&what)?;
        } else if path.exists() {
            RealDisk.remove(&path).doing(&what)?;
        }
    }
    Ok(())
}

/// Writes the built-in warehouse. Changes of a newer program take effect; the
/// person's own are made in a copy.
fn write_project(project: &Path) -> Result<(), Failure> {
    let what = format!("writing the built-in warehouse to {}", project.display());
    if project.exists() {
        std::fs::remove_dir_all(project).doing(&what)?;
    }
    for (path, text) in WAREHOUSE_FILES {
        let own = DEMO_FILES.iter().find(|(own, _)| own == path);
        let text = own.map_or(*text, |(_, text)| *text);
        let path = project.join(path);
        if let Some(folder) = path.parent() {
            RealDisk.create_dir_all(folder).doing(&what)?;
        }
        let mut file = RealDisk.open(&path, OpenMode::Create).doing(&what)?;
        file.append(text.as_bytes()).doing(&what)?;
    }
    Ok(())
}

/// The shop as it was, or a new one.
fn open_shop(options: &DemoOptions<'_>, saved: &Path) -> Result<Shop, Failure> {
    if saved.exists() {
        let what = format!("reading the shop in {}", saved.display());
        let bytes = RealDisk.read(saved).doing(&what)?;
        let mut shop = Shop::restore(&bytes).map_err(|error| {
            Failure::Failed(format!(
                "{what}: {error}\n  help: begin again with `sluice demo --fresh`"
            ))
        })?;
        shop.set_rate(options.rate);
        return Ok(shop);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let shop_options = ShopOptions::new(options.seed, 0);
    let offset_us = i64::from(shop_options.time_zone_offset_minutes) * 60_000_000;
    let today = (clock.now_us() + offset_us).div_euclid(DAY_US);
    let first = today - i64::from(options.days);
    let shop_options = ShopOptions {
        start_us: first * DAY_US - offset_us,
        messages_per_second: options.rate,
        // A busier shop has more customers, or they would do nothing else.
        devices: (options.rate * 1_500.0).clamp(5_000.0, 500_000.0) as u32,
        ..shop_options
    };
    Shop::new(shop_options).map_err(|error| Failure::Definitions(format!("--rate: {error}")))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test makes its own files")]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_demo_take_the_place_of_the_warehouses() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        write_project(&project).unwrap();
        for (path, text) in DEMO_FILES {
            let built_in = WAREHOUSE_FILES.iter().find(|(known, _)| *known == path);
            assert!(built_in.is_some_and(|(_, known)| *known != text), "{path}");
            let written = std::fs::read_to_string(project.join(path)).unwrap();
            assert_eq!(written, text, "{path}");
        }
        let written = RealDisk.list(&project.join("alerts")).unwrap();
        let shipped = WAREHOUSE_FILES.iter();
        let shipped = shipped.filter(|(path, _)| path.starts_with("alerts/"));
        assert_eq!(written.len(), shipped.count());
    }

    #[test]
    fn the_whole_state_is_forgotten_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        let folders = [
            "store",
            "store.unfinished",
            "control",
            "log",
            "keys",
            "watch",
            "audit",
            "replay",
            "backup",
            "panels",
            "demo",
            "precious",
        ];
        for name in folders {
            std::fs::create_dir(state.join(name)).unwrap();
            std::fs::write(state.join(name).join("file"), "old").unwrap();
        }
        let files = [
            "LOCK",
            "BACKUP.LOCK",
            "address.json",
            "address.tmp",
            "erase.request",
            "erase.pending",
            "erase.answer",
            "erase.new",
            "masks.since",
            "masks.tmp",
            "state-memory.tmp",
            "notes.txt",
        ];
        for name in files {
            std::fs::write(state.join(name), "old").unwrap();
        }
        forget(state).unwrap();
        let left = RealDisk.list(state).unwrap();
        assert_eq!(left, ["LOCK", "notes.txt", "precious"]);
        assert!(state.join("precious/file").exists());
    }
}
