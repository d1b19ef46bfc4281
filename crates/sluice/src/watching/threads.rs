//! The threads of alarms: one evaluates, one delivers, one sends reports, one counts
//! audits, so that a slow receiver or query keeps nobody from noticing what is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sluice_serve::Metrics;
use sluice_watch::{Ask, Phase, Reporting, Watcher};

use crate::failure::{Doing, Failure};
use crate::report::Reporter;
use crate::watching::audits::Audits;

/// How often is looked whether something is due.
const TURN: Duration = Duration::from_millis(250);
/// A problem that goes on is said again after so many turns.
const SAID_AGAIN_TURNS: u32 = 4 * 3600;

/// See the module.
#[derive(Debug)]
pub struct WatchThreads {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl WatchThreads {
    /// Starts them; audits are counted so often, if at all.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        watcher: &Arc<Watcher>,
        ask: impl Ask + Clone + 'static,
        reporting: Option<Reporting>,
        audits_interval: Option<Duration>,
        metrics: &Arc<Metrics>,
        reporter: Reporter,
    ) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let spawn = |name: &str, body: Box<dyn FnMut() -> Vec<String> + Send>| {
            let stop = stop.clone();
            std::thread::Builder::new()
                .name(name.to_owned())
                .stack_size(sluice_core::PLANNING_STACK_BYTES)
                .spawn(move || turns(&stop, body, reporter))
                .doing("starting the threads of alarms")
        };
        if let Some(reporting) = reporting {
            let (remembering, ask) = (watcher.clone(), ask.clone());
            let body = move || reporting.send(&remembering, &ask);
            threads.push(spawn("reports", Box::new(body))?);
        }
        if let Some(interval) = audits_interval {
            let (ask, numbers) = (ask.clone(), metrics.clone());
            let mut audits = Audits::new(interval);
            let body = move || audits.turn(TURN, &ask, &numbers);
            threads.push(spawn("audits", Box::new(body))?);
        }
        let evaluating = watcher.clone();
        let numbers = metrics.clone();
        threads.push(spawn(
            "alarms",
            Box::new(move || {
                let problem = evaluating
                    .evaluate(&ask)
                    .err()
                    .map(|error| error.to_string());
                count(&evaluating, &numbers);
                problem
                    .into_iter()
                    .chain(evaluating.cut_answers())
                    .collect()
            }),
        )?);
        let delivering = watcher.clone();
        threads.push(spawn(
            "notify",
            Box::new(move || match delivering.deliver() {
                Ok(problems) => problems,
                Err(error) => vec![error.to_string()],
            }),
        )?);
        Ok(Self { stop, threads })
    }

    /// Ends them after the message that is on its way.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn turns(stop: &AtomicBool, mut body: Box<dyn FnMut() -> Vec<String> + Send>, reporter: Reporter) {
    let mut said: Vec<String> = Vec::new();
    let mut turns = 0;
    while !stop.load(Ordering::Acquire) {
        turns += 1;
        if turns % SAID_AGAIN_TURNS == 0 {
            said.clear();
        }
        for problem in body() {
            if !said.contains(&problem) {
                reporter.warn(&problem);
                said.push(problem);
            }
        }
        std::thread::park_timeout(TURN);
    }
}

/// Numbers about the alarms themselves.
fn count(watcher: &Watcher, metrics: &Metrics) {
    let instances = watcher.instances();
    for phase in [Phase::Pending, Phase::Firing] {
        let found = instances.iter().filter(|found| found.phase == phase);
        let help = "Instances of alarms by state.";
        metrics
            .gauge_of("sluice_alarms", help, &[("state", phase.name())])
            .set(found.count() as u64);
    }
    metrics
        .gauge(
            "sluice_alarms_undelivered",
            "Receivers and owners that could not be told of alarms, and are tried again.",
        )
        .set(watcher.undelivered().len() as u64);
}
