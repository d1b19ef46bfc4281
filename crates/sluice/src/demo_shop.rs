//! The thread that plays the shop: it sends to the collector over HTTP, as
//! every other client does.

use std::path::PathBuf;
use std::time::Duration;

use sluice_core::{Clock, Disk, OpenMode, RealDisk, SystemClock};
use sluice_shop::{Shop, Topic};

use crate::commands::run::CompanionContext;
use crate::failure::{Doing, Failure};
use crate::report::{Reporter, with_commas};
use crate::shop_records::Collector;

/// Records of one step while the past is filled, about.
const FILL_STEP_RECORDS: f64 = 20_000.0;
/// Time between steps of the live shop.
const LIVE_STEP: Duration = Duration::from_millis(50);
/// Time between savings of the shop. What was sent since is sent again after a
/// kill, and known as a duplicate.
const SAVE_INTERVAL_US: i64 = 5_000_000;
/// A shop that is so far behind the clock says how it comes along.
const BEHIND_US: i64 = 30_000_000;
const PROGRESS_INTERVAL_US: i64 = 200_000;

/// See the module.
pub struct DemoShop {
    shop: Shop,
    saved: PathBuf,
    fill_only: bool,
    reporter: Reporter,
    collector: Collector,
    saved_us: i64,
}

impl DemoShop {
    /// A shop that is saved in the file `saved`.
    pub fn new(shop: Shop, saved: PathBuf, fill_only: bool, reporter: Reporter) -> Self {
        Self {
            shop,
            saved,
            fill_only,
            reporter,
            collector: Collector::new(),
            saved_us: 0,
        }
    }

    /// Plays until the program stops, or the past is filled.
    ///
    /// # Errors
    /// When the shop cannot be saved, or the collector refuses what it sends.
    pub fn run(mut self, context: &CompanionContext) -> Result<(), Failure> {
        let from_us = self.shop.now_us();
        let start_us = SystemClock.now_us();
        let until_us = start_us;
        let first = self.shop.sequence();
        let is_behind = until_us - from_us > BEHIND_US;
        let mut said_us = start_us;
        let rate = self.shop.options().messages_per_second;
        let step_us = (FILL_STEP_RECORDS / rate * 1e6) as i64 + 1;
        while self.shop.now_us() < until_us && !context.is_stopping() {
            let next_us = (self.shop.now_us() + step_us).min(until_us);
            self.step(next_us, context)?;
            let now_us = SystemClock.now_us();
            if is_behind && now_us - said_us >= PROGRESS_INTERVAL_US {
                said_us = now_us;
                let done = self.shop.now_us() - from_us;
                let fraction = done as f64 / (until_us - from_us) as f64;
                let seconds = (now_us - start_us) as f64 / 1e6;
                let sent = self.shop.sequence() - first;
                self.reporter.progress(
                    fraction,
                    &format!(
                        "filling past days: {} records, {} a second, {:.0} s left",
                        with_commas(sent),
                        with_commas((sent as f64 / seconds) as u64),
                        seconds / fraction * (1.0 - fraction),
                    ),
                );
            }
        }
        self.save()?;
        if is_behind {
            self.reporter.end_progress();
            let seconds = (SystemClock.now_us() - start_us) as f64 / 1e6;
            let sent = with_commas(self.shop.sequence() - first);
            self.reporter.info(&format!(
                "filled the past: {sent} records in {seconds:.1} s"
            ));
        }
        while !self.fill_only && !context.is_stopping() {
            std::thread::sleep(LIVE_STEP);
            self.step(SystemClock.now_us(), context)?;
        }
        self.save()
    }

    /// Sends what happens until `until_us`, and waits until it is durable.
    fn step(&mut self, until_us: i64, context: &CompanionContext) -> Result<(), Failure> {
        let mut messages = Vec::new();
        self.shop.advance(until_us, &mut messages);
        for topic in [Topic::ShopDb, Topic::AppLog] {
            let of_topic = messages.iter().filter(|message| message.topic == topic);
            self.collector
                .send(&context.http.to_string(), topic, of_topic)?;
        }
        if SystemClock.now_us() - self.saved_us >= SAVE_INTERVAL_US {
            self.save()?;
        }
        Ok(())
    }

    /// Writes the shop down; the file is whole at any moment.
    fn save(&mut self) -> Result<(), Failure> {
        let what = format!("saving the shop in {}", self.saved.display());
        let beside = self.saved.with_extension("tmp");
        let mut file = RealDisk.open(&beside, OpenMode::Create).doing(&what)?;
        file.append(&self.shop.save()).doing(&what)?;
        file.sync().doing(&what)?;
        drop(file);
        RealDisk.rename(&beside, &self.saved).doing(&what)?;
        self.saved_us = SystemClock.now_us();
        Ok(())
    }
}
