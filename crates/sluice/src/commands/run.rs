//! `sluice run`: the warehouse at work.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use sluice_capture::Submissions;
use sluice_core::{Clock, SystemClock};
use sluice_serve::{LiveFeed, Metrics};

use crate::address::{self, Address};
use crate::failure::{Doing, Failure};
use crate::gauges::Gauges;
use crate::lock::lock_to_write;
use crate::pipeline::{Capture, Published, Warehouse, collector, recover};
use crate::project::Project;
use crate::report::{Reporter, with_commas};
use crate::serving::{Serving, ServingParts};
use crate::summary;

/// How long the loop waits for records before it looks at other duties.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// How often a first load says how far it is.
const PROGRESS_INTERVAL_US: i64 = 2_000_000;

/// What the person asked for.
#[derive(Debug)]
pub struct RunOptions<'a> {
    /// The project's folder.
    pub folder: &'a Path,
    /// Settings of `--set`.
    pub overrides: &'a [(String, String)],
    /// The state's folder, where it is not the project's.
    pub state: Option<&'a Path>,
    /// End when the sources are drained.
    pub until_idle: bool,
}

/// Runs the warehouse until it is stopped, or until its sources are drained.
///
/// # Errors
/// When something cannot go on; what was accepted is safe.
pub fn run(options: &RunOptions<'_>, reporter: Reporter) -> Result<(), Failure> {
    let project = Project::load(options.folder, options.overrides)?;
    let program = project.plan()?;
    for warning in program.warnings() {
        reporter.warn(warning);
    }
    let stop = stop_on_signals()?;
    let state = project.state_folder(options.state);
    let _lock = lock_to_write(&state)?;
    address::withdraw(&state);

    let start_us = SystemClock.now_us();
    let recovery = recover(&project, &program, &state, &stop, reporter)?;
    let mut warehouse = recovery.warehouse;
    let published = warehouse.published();
    let submissions = Arc::new(Submissions::new(
        project.config.limits.collect_waiting_bytes_max,
    ));
    let collector = Arc::new(collector(&project, submissions.clone())?);
    let live = Arc::new(LiveFeed::new(published.snapshot()));
    warehouse.publish_to(live.clone());
    let metrics = Arc::new(Metrics::default());
    let parts = ServingParts {
        source: snapshot_source(&published),
        live,
        metrics: metrics.clone(),
        collector: collector.clone(),
    };
    let serving = Serving::start(&project.config, &program, parts, reporter)?;
    address::publish(
        &state,
        &Address {
            process_id: std::process::id(),
            name: project.config.name.clone(),
            postgres: serving.postgres_address(),
            http: serving.http_address(),
        },
    )?;
    reporter.info(&format!(
        "{}: running at epoch {}, started in {} ms\n  page and API     http://{}\n  PostgreSQL wire  psql -h {} -p {} sluice\n  state            {}",
        project.config.name,
        warehouse.epoch(),
        (SystemClock.now_us() - start_us) / 1000,
        serving.http_address(),
        serving.postgres_address().ip(),
        serving.postgres_address().port(),
        state.display(),
    ));

    let load_start_us = SystemClock.now_us();
    let log = warehouse.log();
    let capture = Capture::start(&project, &log, recovery.positions, submissions, reporter)?;
    serving.set_ready(true);
    let gauges = Gauges::new(&metrics, collector);
    let worked = work(
        &mut warehouse,
        &capture,
        &project,
        &gauges,
        &stop,
        options.until_idle,
        reporter,
    );
    serving.set_ready(false);
    let captured = capture.stop();
    // What is in the log is safe; the checkpoint makes the next start quick.
    let outcome = worked.and(captured).and_then(|()| warehouse.checkpoint());
    serving.stop();
    address::withdraw(&state);
    outcome?;
    if options.until_idle && !stop.load(Ordering::Acquire) {
        let elapsed_us = SystemClock.now_us() - load_start_us;
        summary::print(&warehouse, elapsed_us, &state)?;
    } else {
        reporter.info(&format!(
            "stopped at epoch {}, everything is durable",
            warehouse.epoch()
        ));
    }
    Ok(())
}

/// The loop: epochs while there is something, checkpoints in between.
fn work(
    warehouse: &mut Warehouse,
    capture: &Capture,
    project: &Project,
    gauges: &Gauges,
    stop: &AtomicBool,
    until_idle: bool,
    reporter: Reporter,
) -> Result<(), Failure> {
    let interval_ms = project.config.limits.checkpoint_interval_ms;
    let checkpoint_interval_us =
        i64::try_from(interval_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
    let start_us = SystemClock.now_us();
    let mut checkpoint_us = start_us;
    let mut said_us = start_us;
    while !stop.load(Ordering::Acquire) {
        // Read first: what the sources gave before this round is durable, so
        // that an empty log after it means that everything is in an epoch.
        let idle_rounds = capture.idle_rounds();
        let has_run = warehouse.run_epoch()?;
        gauges.update(warehouse);
        let now_us = SystemClock.now_us();
        if now_us - checkpoint_us >= checkpoint_interval_us {
            warehouse.checkpoint()?;
            checkpoint_us = SystemClock.now_us();
        }
        if has_run {
            if now_us - said_us >= PROGRESS_INTERVAL_US && !warehouse.has_caught_up() {
                said_us = now_us;
                report_progress(warehouse, now_us - start_us, reporter);
            }
            continue;
        }
        if until_idle && idle_rounds > 0 && warehouse.has_caught_up() {
            return Ok(());
        }
        capture.wait(WAIT_MAX)?;
    }
    Ok(())
}

fn report_progress(warehouse: &Warehouse, elapsed_us: i64, reporter: Reporter) {
    let progress = warehouse.progress();
    let seconds = elapsed_us as f64 / 1e6;
    let waiting = warehouse.records_waiting();
    let rate = progress.records as f64 / seconds;
    reporter.info(&format!(
        "loading: {} records in {} epochs, {} a second, {} waiting, about {:.0} s left for those",
        with_commas(progress.records),
        with_commas(progress.epochs),
        with_commas(rate as u64),
        with_commas(waiting),
        waiting as f64 / rate.max(1.0),
    ));
}

fn snapshot_source(published: &Published) -> sluice_serve::SnapshotSource {
    let published = published.clone();
    Arc::new(move || published.snapshot())
}

/// A flag that Ctrl-C and SIGTERM raise. A second one ends the process at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let what = "preparing for signals";
        signal_hook::flag::register_conditional_shutdown(signal, 130, stop.clone()).doing(what)?;
        signal_hook::flag::register(signal, stop.clone()).doing(what)?;
    }
    Ok(stop)
}
