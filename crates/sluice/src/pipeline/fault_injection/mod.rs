//! A whole small warehouse on a disk that dies at any call: torn, lost and
//! reordered writes, or no space left. Whatever happens, nothing acknowledged
//! is missing or doubled, no epoch number gets two contents, and in the end
//! every table and view equals a run that nothing disturbed.
//!
//! `SLUICE_FAULT_SEEDS=5000` runs more seeds, `SLUICE_FAULT_SEED=17` one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod interrupted_disk;
pub(super) mod small_warehouse;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::util::display::array_value_to_string;
use parking_lot::Mutex;
use sluice_core::{
    Disk, Epoch, FaultPlan, FileRange, ManualClock, OpenMode, Record, SimulatedDisk, Spans,
    stable_hash,
};
use sluice_log::{Log, LogError};
use sluice_store::Snapshot;

use self::interrupted_disk::{InterruptedDisk, Lie};
use self::small_warehouse::{
    CLICKS, Definitions, INPUT, INPUT_FILE, Models, SHOP, click_script, is_good_click, partition,
    shop_script, state,
};
use super::recovery::{Recovery, recover};
use super::surroundings::{CheckpointWriter, Surroundings};
use super::{ChangeOutcome, Warehouse, read_between};
use crate::dead_letters::DEAD_LETTERS;
use crate::failure::{Doing, Failure};
use crate::report::Reporter;

const SHOP_RECORDS: usize = 160;
const CLICK_RECORDS: usize = 120;

/// xorshift64*: the same on every run.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(stable_hash(&seed.to_le_bytes()) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }
}

/// One topic, as those who write to it know it.
#[derive(Debug, Default)]
struct TopicBook {
    /// What the source says, from its beginning.
    script: Vec<Record>,
    /// Place in the script of what was appended, by offset.
    appended: Vec<usize>,
    /// So many are acknowledged.
    acknowledged: usize,
    /// Where the source goes on in the script.
    next: usize,
}

/// Capture: appends to the log what the sources say.
#[derive(Debug)]
struct Feed {
    random: Random,
    shop: TopicBook,
    clicks: TopicBook,
    /// Why appending failed, when nobody was told.
    failure: Option<Failure>,
}

impl Feed {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0xfeed);
        let topic = |script| TopicBook {
            script,
            ..TopicBook::default()
        };
        let shop = topic(shop_script(&mut random, SHOP_RECORDS));
        let clicks = topic(click_script(&mut random, CLICK_RECORDS));
        Self {
            random,
            shop,
            clicks,
            failure: None,
        }
    }

    fn topics(&mut self) -> [(&'static str, &mut TopicBook); 2] {
        [(SHOP, &mut self.shop), (CLICKS, &mut self.clicks)]
    }

    /// Appends a little to one or both topics and waits until it is durable.
    fn append_some(&mut self, log: &Log) -> Result<(), Failure> {
        let chosen = self.random.below(3);
        let counts = [chosen < 2, chosen > 0].map(|is_chosen| match is_chosen {
            true => 1 + self.random.below(7) as usize,
            false => 0,
        });
        let repeats = self.random.below(8) == 0;
        for ((name, topic), count) in self.topics().into_iter().zip(counts) {
            let from = match name == CLICKS && repeats {
                // A client that did not hear the answer.
                true => topic.next.saturating_sub(3),
                false => topic.next,
            };
            // Several blocks before one sync, of which any may be lost.
            let first = count.div_ceil(2);
            topic.append(name, from, first, log)?;
            topic.append(name, from + first, count - first, log)?;
        }
        self.sync(log)
    }

    /// Appends all that is left.
    fn append_rest(&mut self, log: &Log) -> Result<(), Failure> {
        for (name, topic) in self.topics() {
            topic.append(name, topic.next, topic.script.len(), log)?;
        }
        self.sync(log)
    }

    fn sync(&mut self, log: &Log) -> Result<(), Failure> {
        log.sync().doing("making the log durable")?;
        for (_, topic) in self.topics() {
            topic.acknowledged = topic.appended.len();
        }
        Ok(())
    }
}

impl TopicBook {
    fn append(&mut self, name: &str, from: usize, count: usize, log: &Log) -> Result<(), Failure> {
        let to = self.script.len().min(from + count);
        let mut next = from;
        while next < to {
            // Some of the clients' records lie in a file that is its own log.
            let is_range = name == CLICKS && next % 4 < 2;
            let end = match name == CLICKS {
                true => to.min((next / 2 + 1) * 2),
                false => to,
            };
            if is_range {
                for place in next..end {
                    let appended = log.append_range(&partition(name), &self.range(place));
                    self.note(place..place + 1, appended)?;
                }
            } else {
                let appended = log.append(&partition(name), &self.script[next..end]);
                self.note(next..end, appended)?;
            }
            next = end;
        }
        Ok(())
    }

    fn note(
        &mut self,
        places: Range<usize>,
        appended: Result<u64, LogError>,
    ) -> Result<(), Failure> {
        let is_sure = !matches!(appended, Err(LogError::Poisoned(_)));
        if is_sure {
            self.appended.extend(places.clone());
        }
        appended.doing("appending to the log")?;
        self.next = self.next.max(places.end);
        Ok(())
    }

    /// The file with all records, a line each.
    fn file(&self) -> Vec<u8> {
        let lines = self.script.iter();
        let lines: Vec<&[u8]> = lines.map(|record| &record.payload[..]).collect();
        lines.join(&b'\n')
    }

    /// Where a record lies in that file.
    fn range(&self, place: usize) -> FileRange {
        let record = &self.script[place];
        let before = self.script[..place].iter();
        let before: usize = before.map(|record| record.payload.len() + 1).sum();
        FileRange {
            file: INPUT_FILE.to_owned(),
            start: before as u64,
            bytes: record.payload.clone(),
            records: vec![(0, record.payload.len() as u32)],
            capture_time_us: record.capture_time_us,
            position: record.position.clone(),
        }
    }

    /// What the log holds, after a restart, is what was appended: all that was
    /// acknowledged, and perhaps more.
    fn check(&mut self, name: &str, log: &Log) {
        let id = partition(name);
        let end = log.end_offset(&id) as usize;
        assert!(end >= self.acknowledged, "{name}: acknowledged is lost");
        assert!(end <= self.appended.len(), "{name}: never appended");
        // Clients send again what was not acknowledged, even if it is there.
        let known = self.appended[..self.acknowledged].iter().max();
        self.next = known.map_or(0, |last| last + 1);
        self.appended.truncate(end);
        self.acknowledged = end;
        let start = log.start_offset(&id);
        let held = read_between(log, &id, start, end as u64).unwrap();
        let wanted = &self.appended[start as usize..];
        assert_eq!(held.len(), wanted.len(), "{name}");
        for (held, &place) in held.iter().zip(wanted) {
            assert_eq!(held.record, self.script[place], "{name}");
        }
    }
}

/// Text of the rows of all collections, sorted.
pub type Rows = BTreeMap<String, Vec<String>>;

pub fn rows(snapshot: &Snapshot) -> Rows {
    let mut all = Rows::new();
    for collection in snapshot.collections() {
        let lines = all.entry(collection.name.clone()).or_default();
        for batch in snapshot.scan(&collection.name, None).unwrap() {
            for row in 0..batch.num_rows() {
                let values = batch.columns().iter();
                let values: Vec<String> = values
                    .map(|column| array_value_to_string(column, row).unwrap())
                    .collect();
                lines.push(values.join("|"));
            }
        }
        lines.sort();
    }
    all
}

/// The rows without the number of their epoch, which depends on when the
/// machine died.
fn without_epochs(mut rows: Rows) -> Rows {
    if let Some(letters) = rows.get_mut(DEAD_LETTERS) {
        for letter in letters.iter_mut() {
            *letter = letter.split_once('|').unwrap().1.to_owned();
        }
        letters.sort();
    }
    rows
}

/// One warehouse through its lives on one disk.
struct World<'a> {
    random: Random,
    definitions: &'a [Definitions; 4],
    /// Those that the project has now.
    current: usize,
    may_change: bool,
    simulated: SimulatedDisk,
    disk: InterruptedDisk,
    feed: Arc<Mutex<Feed>>,
    /// The content of each epoch that readers have seen.
    published: BTreeMap<Epoch, Rows>,
    /// Epoch of the newest checkpoint that was reported done.
    checkpoint: Option<Epoch>,
    trace: Vec<String>,
}

impl<'a> World<'a> {
    fn new(
        seed: u64,
        definitions: &'a [Definitions; 4],
        may_change: bool,
        lie: Option<Lie>,
    ) -> Self {
        let simulated = SimulatedDisk::new(seed);
        let feed = Feed::new(seed);
        let path = Path::new(INPUT).join(INPUT_FILE);
        simulated.create_dir_all(Path::new(INPUT)).unwrap();
        let mut file = simulated.open(&path, OpenMode::Create).unwrap();
        file.append(&feed.clicks.file()).unwrap();
        file.sync().unwrap();
        simulated.sync_dir(Path::new(INPUT)).unwrap();
        Self {
            random: Random::new(seed),
            definitions,
            current: 0,
            may_change,
            disk: InterruptedDisk::new(simulated.clone(), lie),
            simulated,
            feed: Arc::new(Mutex::new(feed)),
            published: BTreeMap::new(),
            checkpoint: None,
            trace: Vec::new(),
        }
    }

    fn recover(&self) -> Result<Recovery, Failure> {
        self.recover_on(Arc::new(self.disk.clone()))
    }

    fn recover_on(&self, disk: Arc<dyn Disk>) -> Result<Recovery, Failure> {
        let surroundings = Surroundings {
            disk,
            clock: Arc::new(ManualClock::new(0)),
            checkpoint_writer: CheckpointWriter::Caller,
            collected_rows_min: 2,
            reporter: Reporter::silent(),
            spans: Spans::default(),
            stop: Arc::default(),
        };
        let Definitions { project, program } = &self.definitions[self.current];
        let stop = AtomicBool::new(false);
        recover(project, program, state(), &stop, &surroundings)
    }

    /// Starts the warehouse and looks at what it found.
    fn open(&mut self) -> Result<Warehouse, Failure> {
        let recovery = self.recover()?;
        let mut warehouse = recovery.warehouse;
        let log = warehouse.log();
        let mut feed = self.feed.lock();
        for (name, topic) in feed.topics() {
            topic.check(name, &log);
        }
        let mut positions = recovery.positions;
        let position = positions.remove(SHOP).unwrap_or_default().into_cursor();
        let next = position.map_or(0, |text| text.parse().unwrap());
        assert_eq!(next, feed.shop.appended.len(), "position of the source");
        assert!(feed.shop.appended.iter().copied().eq(0..next));
        feed.shop.next = next;
        drop(feed);
        assert!(
            warehouse.durable_epoch >= self.checkpoint,
            "a checkpoint is lost"
        );
        self.observe(&warehouse);
        self.begin_change(&mut warehouse)?;
        Ok(warehouse)
    }

    /// The warehouse shall go over to the models of the project.
    fn begin_change(&mut self, warehouse: &mut Warehouse) -> Result<(), Failure> {
        let Definitions { project, program } = &self.definitions[self.current];
        let begun = warehouse.begin_change(project, program)?;
        self.trace.push(format!("{begun:?}"));
        Ok(())
    }

    fn poll_change(&mut self, warehouse: &mut Warehouse) -> Result<(), Failure> {
        match warehouse.poll_change()? {
            Some(ChangeOutcome::Failed(failure)) => Err(failure),
            Some(ChangeOutcome::Applied { description, .. }) => {
                self.trace.push(description);
                self.observe(warehouse);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Readers see the epoch; who saw it before saw the same.
    fn observe(&mut self, warehouse: &Warehouse) {
        let snapshot = warehouse.published().snapshot();
        let epoch = snapshot.epoch();
        // A change of tables makes dead letters anew, without an epoch; one that
        // is found already made when a checkpoint is loaded has kept its own.
        let rows = without_epochs(rows(&snapshot));
        let total: usize = rows.values().map(Vec::len).sum();
        self.trace.push(format!("epoch {epoch}: {total} rows"));
        if epoch == 0 {
            return;
        }
        let before = self.published.entry(epoch).or_insert_with(|| rows.clone());
        assert_eq!(*before, rows, "epoch {epoch} got another content");
    }

    fn note_checkpoint(&mut self, warehouse: &Warehouse) {
        // One of the empty warehouse holds nothing.
        let durable = warehouse.durable_epoch.filter(|&epoch| epoch > 0);
        self.checkpoint = self.checkpoint.max(durable);
    }

    /// Starts, works for a while, and stops or fails.
    fn live(&mut self, steps: u64) -> Result<(), Failure> {
        let mut warehouse = self.open()?;
        let log = warehouse.log();
        let (feed, of_visitor) = (self.feed.clone(), log.clone());
        for _ in 0..steps {
            if self.may_change && self.random.below(20) == 0 {
                self.current = self.random.below(4) as usize;
                self.begin_change(&mut warehouse)?;
            }
            match self.random.below(14) {
                12..=13 => self.poll_change(&mut warehouse)?,
                0..=4 => feed.lock().append_some(&log)?,
                5..=8 => {
                    if warehouse.run_epoch()? {
                        self.observe(&warehouse);
                    }
                }
                9 => {
                    if self.random.below(2) == 0 || warehouse.prepare_checkpoint() {
                        warehouse.begin_checkpoint()?;
                    }
                }
                _ => {
                    // Sources go on while a checkpoint is written.
                    let (feed, log) = (feed.clone(), of_visitor.clone());
                    let visitor = move || {
                        let mut feed = feed.lock();
                        if feed.failure.is_none() && feed.random.below(9) == 0 {
                            feed.failure = feed.append_some(&log).err();
                        }
                    };
                    self.disk.set_visitor(Some(Box::new(visitor)));
                    let polled = match self.random.below(3) {
                        0 => warehouse.checkpoint(),
                        _ => warehouse.poll_checkpoint(),
                    };
                    self.disk.set_visitor(None);
                    if let Some(failure) = self.feed.lock().failure.take() {
                        return Err(failure);
                    }
                    polled?;
                    // Rows that are in files by now are the same ones.
                    self.observe(&warehouse);
                }
            }
            self.note_checkpoint(&warehouse);
        }
        if self.random.below(2) == 0 {
            warehouse.checkpoint()?;
            self.note_checkpoint(&warehouse);
        }
        Ok(())
    }

    /// One life on a disk that may fail.
    fn live_dangerously(&mut self) {
        if self.may_change && self.random.below(6) == 0 {
            self.current = self.random.below(4) as usize;
            self.trace.push("the definitions change".to_owned());
        }
        let fault = self.random.below(8);
        self.simulated.set_faults(FaultPlan {
            crash_after_calls: (fault < 5).then(|| self.random.below(250)),
            capacity_bytes: (fault == 5 || fault == 6).then(|| self.random.below(60_000)),
        });
        let steps = self.random.below(60);
        let ended = self.live(steps);
        self.trace
            .push(format!("{ended:?} after {} calls", self.simulated.calls()));
        if let Err(failure) = &ended {
            let text = failure.to_string();
            let expected = if fault < 5 {
                "simulated crash: the disk is gone"
            } else {
                "the disk is full: free some space and start again, nothing that was accepted is lost"
            };
            assert!(text.contains(expected), "{text}");
            assert!(text.contains("/state/"), "names no file: {text}");
        }
        // The power fails; or the process ended, and what it wrote is there.
        let power_fails = fault < 5 || self.random.below(3) == 0;
        if power_fails {
            self.simulated.crash();
        } else {
            self.simulated.set_faults(FaultPlan::default());
        }
    }

    /// Everything arrives, and is compared with an undisturbed run.
    fn end(&mut self) {
        self.simulated.set_faults(FaultPlan::default());
        let mut warehouse = self.open().unwrap();
        while warehouse.change_progress().is_some() {
            self.poll_change(&mut warehouse).unwrap();
        }
        let log = warehouse.log();
        self.feed.lock().append_rest(&log).unwrap();
        while warehouse.run_epoch().unwrap() {
            self.observe(&warehouse);
        }
        assert!(warehouse.has_caught_up());
        warehouse.checkpoint().unwrap();
        self.note_checkpoint(&warehouse);
        let found = rows(&warehouse.published().snapshot());
        drop(warehouse);
        let reopened = self.open().unwrap();
        assert_eq!(rows(&reopened.published().snapshot()), found);

        let clicks: BTreeSet<&str> = found["clicked_product"]
            .iter()
            .map(|row| row.split('|').next().unwrap())
            .collect();
        let good = (0..CLICK_RECORDS).filter(|&number| is_good_click(number));
        let good: Vec<String> = good.map(|number| format!("e{number}")).collect();
        assert_eq!(found["clicked_product"].len(), good.len(), "a click twice");
        assert_eq!(clicks, good.iter().map(String::as_str).collect());
        // Views keep what they counted; the table keeps two days and today.
        let kept = found["click"].len();
        assert!((48..=72).contains(&kept), "{kept} clicks are kept");
        assert_eq!(without_epochs(found), without_epochs(self.undisturbed()));
    }

    /// The same records on a disk that never fails, in as few epochs as may be.
    fn undisturbed(&self) -> Rows {
        let feed = self.feed.lock();
        let recovery = self.recover_on(Arc::new(SimulatedDisk::new(1))).unwrap();
        let mut warehouse = recovery.warehouse;
        for (name, topic) in [(SHOP, &feed.shop), (CLICKS, &feed.clicks)] {
            let records = topic
                .appended
                .iter()
                .map(|&place| topic.script[place].clone());
            let records: Vec<Record> = records.collect();
            warehouse.log().append(&partition(name), &records).unwrap();
        }
        warehouse.log().sync().unwrap();
        while warehouse.run_epoch().unwrap() {}
        rows(&warehouse.published().snapshot())
    }
}

/// Projects that keep the whole log, or drop what a checkpoint holds; each
/// with several sets of models.
struct Projects {
    keeping: [Definitions; 4],
    dropping: [Definitions; 4],
}

impl Projects {
    fn new() -> Self {
        let all = |bytes: Option<u64>| {
            let models = [
                Models::First,
                Models::OfStored,
                Models::OfLog,
                Models::OtherTables,
            ];
            models.map(|models| Definitions::new(models).retain_bytes(bytes))
        };
        Self {
            keeping: all(None),
            dropping: all(Some(15_000)),
        }
    }
}

/// Runs one seed; what happened, in words.
fn run(seed: u64, projects: &Projects, lie: Option<Lie>) -> Vec<String> {
    let drops_log = seed.is_multiple_of(3);
    // What retention has dropped cannot be computed again.
    let (definitions, may_change) = match drops_log {
        true => (&projects.dropping, false),
        false => (&projects.keeping, true),
    };
    let mut world = World::new(seed, definitions, may_change, lie);
    for _ in 0..2 + world.random.below(4) {
        world.live_dangerously();
    }
    world.end();
    world.trace
}

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap())
}

#[test]
fn a_warehouse_survives_whatever_its_disk_does() {
    let projects = Projects::new();
    let seeds = match number_of("SLUICE_FAULT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_of("SLUICE_FAULT_SEEDS").unwrap_or(200),
    };
    let is_sample = seeds.end - seeds.start >= 100;
    let mut trace = Vec::new();
    for seed in seeds {
        let attempt = AssertUnwindSafe(|| run(seed, &projects, None));
        match catch_unwind(attempt) {
            Ok(told) => trace.extend(told),
            Err(problem) => {
                eprintln!("failed with SLUICE_FAULT_SEED={seed}");
                resume_unwind(problem);
            }
        }
    }
    // Changes took effect, of each kind.
    for new in ["line_of_product", "visitor_session", "small_line"] {
        let is_told = |line: &&String| line.starts_with("computed: ") && line.contains(new);
        let count = trace.iter().filter(is_told).count();
        assert!(!is_sample || count > 20, "{count} changes to {new}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let projects = Projects::new();
    for seed in 1_000..1_006 {
        let first = run(seed, &projects, None);
        assert!(first.len() > 3);
        assert_eq!(first, run(seed, &projects, None));
    }
}

/// A disk that forgets what it says is durable must be found out.
#[test]
fn a_disk_that_lies_is_noticed() {
    let projects = Projects::new();
    for lie in [
        Lie::FileSync("/state/log"),
        Lie::FileSync("/state/control"),
        Lie::FileSync("/state/store"),
        Lie::FolderSync("/state/log"),
        Lie::FolderSync("/state/control"),
        Lie::FolderSync("/state/store"),
    ] {
        let is_noticed = |seed: u64| {
            let attempt = AssertUnwindSafe(|| run(seed, &projects, Some(lie)));
            catch_unwind(attempt).is_err()
        };
        assert!((0..60).any(is_noticed), "{lie:?} is not noticed");
    }
}
