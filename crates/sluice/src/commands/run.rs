//! `sluice run`: the warehouse at work.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use sluice_capture::Submissions;
use sluice_core::{Clock, RealDisk, SystemClock};
use sluice_mask::Masks;
use sluice_serve::{Auditor, LiveFeed, Metrics};

use crate::access;
use crate::address::{self, Address};
use crate::audit_log::AuditLog;
use crate::commands::erase;
use crate::diversion::{self, DIVERSION_TABLE, DiversionStates};
use crate::docs::ProjectDocs;
use crate::erasing;
use crate::failure::{Doing, Failure};
use crate::gauges::Gauges;
use crate::lock::lock_to_write;
use crate::machine_gauges::cpu_us;
use crate::mask_history;
use crate::masking;
use crate::models_control::ModelsControl;
use crate::pipeline::{
    Begun, Capture, LetterRetry, Published, RowTaker, SourceStates, SourcesInForce, Surroundings,
    Warehouse, check_secrets, collector, recover,
};
use crate::project::Project;
use crate::project_watch::{ProjectWatch, stamps};
use crate::report::{Reporter, with_commas};
use crate::running_views::OperatorReports;
use crate::saved_panels::SavedPanels;
use crate::serving::{Serving, ServingParts};
use crate::source_connections;
use crate::source_gauges::SourceGauges;
use crate::state_memory;
use crate::summary::{self, Took};
use crate::traces::Traces;
use crate::waiting_disk::WaitingDisk;
use crate::watching::{WatchThreads, add_tables, audits_interval, open_reporting, open_watcher};

/// How long the loop waits for records before it looks at other duties.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Collecting a checkpoint may take one part in so many of the time.
const CHECKPOINT_PAUSE_SHARE: i64 = 100;
/// But a start after a kill should not have to compute more than this again.
const CHECKPOINT_PAUSE_MAX_US: i64 = 60_000_000;
/// How often it is looked at how many rows in memory no checkpoint has written.
const UNWRITTEN_INTERVAL_US: i64 = 500_000;
/// With so many times those with which a checkpoint begins early, epochs wait until
/// the running one is written.
const UNWRITTEN_LIMIT_FACTOR: u64 = 3;
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
    /// Where panels that are made on the page last, if the project is written anew
    /// at each start.
    pub saved_panels: Option<&'a Path>,
    /// End when the sources are drained.
    pub until_idle: bool,
}

/// What a companion knows of the warehouse that it belongs to.
#[derive(Debug)]
pub struct CompanionContext {
    /// Where the collector is.
    pub http: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl CompanionContext {
    /// True when the companion should end soon.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// What a companion does until the warehouse stops.
pub type CompanionBody = Box<dyn FnOnce(&CompanionContext) -> Result<(), Failure> + Send>;

/// Something that runs in a thread beside the warehouse and sends to it.
pub struct Companion {
    /// What it does.
    pub body: CompanionBody,
    /// The warehouse ends when its companion has ended and everything that it
    /// sent is in the views.
    pub ends_with_it: bool,
}

/// Runs the warehouse until it is stopped, or until its sources are drained.
///
/// # Errors
/// When something cannot go on; what was accepted is safe.
pub fn run(options: &RunOptions<'_>, reporter: Reporter) -> Result<(), Failure> {
    match run_to_end(options, None, reporter)? {
        Ended::Stopped => Ok(()),
        // In the same process: whoever watches it sees no end.
        Ended::Erased => {
            let program = std::env::current_exe().doing("starting again")?;
            let error = Command::new(program)
                .args(std::env::args_os().skip(1))
                .exec();
            Err(Failure::doing("starting again", &error))
        }
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It was stopped, or had nothing more to do.
    Stopped,
    /// A person was erased, and everything must be computed again.
    Erased,
}

/// [`run`] with a companion.
///
/// # Errors
/// As for [`run`], and when the companion fails.
pub fn run_with(
    options: &RunOptions<'_>,
    companion: Option<Companion>,
    reporter: Reporter,
) -> Result<(), Failure> {
    run_to_end(options, companion, reporter).map(|_| ())
}

fn run_to_end(
    options: &RunOptions<'_>,
    companion: Option<Companion>,
    reporter: Reporter,
) -> Result<Ended, Failure> {
    let files = stamps(options.folder);
    let own_project = Project::load(options.folder, options.overrides)?;
    // Models may read tables that rules of diversion made.
    let is_diverted = own_project.sources.diversion().is_some();
    if !is_diverted {
        let program = own_project.plan()?;
        own_project.clone().check_panels(&program)?;
    }
    let stop = stop_on_signals()?;
    let state = own_project.state_folder(options.state);
    let _lock = lock_to_write(&state)?;
    let had_keys = masking::has_keys(&own_project, &state);
    // Whoever waits for the end of a load must not wait for ever.
    let gives_up = match options.until_idle {
        true => Arc::new(AtomicBool::new(true)),
        false => stop.clone(),
    };
    let disk = WaitingDisk::new(Arc::new(RealDisk), gives_up, reporter);
    let sources = &own_project.sources;
    let masks = masking::open_for(
        &own_project,
        sources,
        &state,
        Arc::new(disk.clone()),
        reporter,
    )?;
    let masks = Arc::new(masks);
    let own_project = own_project.leaving_out(masking::left_out(&masks));
    let project = diversion::with_rules_in_force(&own_project, &state)?;
    let program = project.plan()?;
    for warning in program.warnings() {
        reporter.warn(warning);
    }
    if let Some(warning) = source_connections::check(&project)? {
        reporter.warn(&warning);
    }
    // Before the log is computed, which may take its time.
    check_secrets(&project)?;
    let (access, secret) = access::open(&project, &program)?;
    let audit = AuditLog::open(&project.config.audit, &state, reporter)?;
    let warn_of_tls = move |problem: &str| reporter.warn(problem);
    let tls = access::open_tls(&project, Box::new(warn_of_tls))?;
    address::withdraw(&state);

    state_memory::install(&project.config.limits, &state)?;
    let metrics = Arc::new(Metrics::default());
    let traces = Traces::start(&project, &metrics, reporter)?;
    let start_us = SystemClock.now_us();
    let surroundings = Surroundings {
        spans: traces.spans(),
        stop: stop.clone(),
        disk: Arc::new(disk.clone()),
        ..Surroundings::of_machine(reporter)
    };
    let recovery = recover(&project, &program, &state, &stop, &surroundings)?;
    let mut warehouse = recovery.warehouse;
    // They may have changed while it was stopped. Other tables than those that
    // the person has asked for are no start.
    let rules = warehouse.rules()?;
    warehouse.tell_all_masks(&masks, &rules)?;
    let diverted = diversion::plan(&own_project, &rules)?;
    let project = diverted.project.clone();
    let begun = warehouse.begin_change(&project, &diverted.program);
    if warehouse.has_other_sources(&project)
        && let Err(failure) = begun
    {
        return Err(failure);
    }
    let published = warehouse.published();
    let submissions = Arc::new(Submissions::new(
        project.config.limits.collect_waiting_bytes_max,
    ));
    let collector = Arc::new(collector(&project, submissions.clone())?);
    let live = Arc::new(LiveFeed::new(published.snapshot()));
    warehouse.publish_to(live.clone());
    disk.tell(metrics.gauge(
        "sluice_disk_waits",
        "Writes that wait for room on the disk of the state; while it is not 0, sources and clients wait.",
    ));
    let operators = OperatorReports::default();
    operators.publish(warehouse.operators());
    let watcher = Arc::new(open_watcher(&project, &state)?);
    let reporting = open_reporting(&project)?;
    if project.config.alarms.quiet {
        reporter.info(
            "quiet: alarms are evaluated and shown, and nobody is told; reports are not sent; Kafka's topics are read without their groups, PostgreSQL's slots not at all",
        );
    }
    let sources = SourceStates::new(project.sources.captures());
    let parts = ServingParts {
        source: snapshot_source(&published),
        live,
        metrics: metrics.clone(),
        collector: collector.clone(),
        views: Arc::new(operators.clone()),
        docs: ProjectDocs::new(&project, &program),
        watcher: watcher.clone(),
        access: Arc::new(access),
        auditor: audit.map(|audit| Arc::new(audit) as Arc<dyn Auditor>),
        tls: tls.map(Arc::new),
        spans: traces.spans(),
        sugar_token: project.config.sugar.token(&project.folder)?,
        // Only beside the demo's own shop are its clicks among their like.
        has_sample_shop: companion.is_some(),
    };
    let serving = Serving::start(&project.config, warehouse.program(), parts, reporter)?;
    let in_force = SourcesInForce::new(warehouse.sources());
    let taker = RowTaker::new(warehouse.log(), masks.clone(), in_force.clone());
    serving.set_row_taker(Arc::new(taker));
    let load_start_us = SystemClock.now_us();
    let log = warehouse.log();
    let history = mask_history::remember(&project, &state, &log, had_keys, reporter)?;
    let asker = serving.asker();
    let tried = warehouse.tried_letters();
    add_tables(
        &asker.engine,
        &project,
        &watcher,
        &metrics,
        &sources,
        tried.clone(),
    )?;
    let panels = SavedPanels::new(options.folder, options.saved_panels);
    serving.set_panel_keeper(Arc::new(panels));
    serving.set_retries(Arc::new(LetterRetry::new(
        log.clone(),
        masks.clone(),
        history,
        tried,
        csv_topics(&project),
    )));
    // Panels over models that are on their way come with these.
    if matches!(begun, Ok(Begun::Nothing)) {
        serving.set_panels(project.panels.clone());
    }
    // Whoever finds the address may bring rows, ask panels, and have letters tried again.
    address::publish(
        &state,
        &Address {
            process_id: std::process::id(),
            name: project.config.name.clone(),
            postgres: serving.postgres_address(),
            http: serving.http_address(),
            secret,
            models: None,
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
    let states = DiversionStates::default();
    let told = Arc::new(states.clone());
    let added = asker.engine.add_table(DIVERSION_TABLE, told);
    added.doing("preparing the table of diversion")?;
    let mut capture = Capture::start(
        &project,
        &log,
        &masks,
        recovery.positions,
        submissions,
        sources.clone(),
        reporter,
    )?;
    serving.set_ready(true);
    let ends_with_companion = companion.as_ref().is_some_and(|it| it.ends_with_it);
    let companion = companion
        .map(|companion| RunningCompanion::start(companion, serving.http_address(), &stop))
        .transpose()?;
    let sources = SourceGauges::new(metrics.clone(), sources);
    let gauges = Gauges::new(&metrics, collector.clone(), operators, sources, &state);
    let audits = audits_interval(&project)?;
    let watching = WatchThreads::start(&watcher, asker, reporting, audits, &metrics, reporter)?;
    let look_now = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, look_now.clone()).doing("preparing for signals")?;
    let watch = ProjectWatch::start(
        options.folder,
        options.overrides,
        files,
        masking::left_out(&masks),
        look_now,
        rules,
    )?;
    let mut models = ModelsControl::new(
        &project, &state, &serving, collector, states, &metrics, reporter,
    )
    .telling(in_force)
    .masking(masks.clone());
    models.begun(&warehouse, &diverted, begun);
    let worker = Worker {
        watch: &watch,
        project: &project,
        gauges: &gauges,
        stop: &stop,
        disk: &disk,
        companion: companion.as_ref(),
        state: &state,
        masks: &masks,
        reporter,
    };

    let ends_when = match (options.until_idle, ends_with_companion) {
        (true, _) => EndsWhen::Idle,
        (false, true) => EndsWhen::CompanionEnds,
        (false, false) => EndsWhen::Stopped,
    };
    let worked = worker.work(&mut warehouse, &mut capture, &mut models, ends_when);
    watching.stop();
    warehouse.cancel_change();
    let is_stopped = stop.load(Ordering::Acquire);
    serving.set_ready(false);
    // The companion ends first: what it is sending is still taken.
    let worked = match companion {
        Some(companion) => {
            let companion_ended = companion.end(&stop);
            worked.and_then(|ended| companion_ended.map(|()| ended))
        }
        None => worked,
    };
    let captured = capture.stop();
    // What is in the log is safe; the checkpoint makes the next start quick.
    let before_checkpoint = (SystemClock.now_us(), cpu_us().unwrap_or(0));
    let outcome = worked.and_then(|ended| {
        captured?;
        warehouse.checkpoint()?;
        Ok(ended)
    });
    serving.stop();
    traces.stop();
    address::withdraw(&state);
    let ended = outcome?;
    if ended == Ended::Erased {
        return Ok(ended);
    }
    if options.until_idle && !is_stopped {
        let end_us = SystemClock.now_us();
        let took = Took {
            elapsed_us: end_us - load_start_us,
            checkpoint_us: end_us - before_checkpoint.0,
            checkpoint_cpu_us: cpu_us().unwrap_or(0).saturating_sub(before_checkpoint.1),
        };
        summary::print(&warehouse, &took, &state)?;
    } else {
        reporter.info(&format!(
            "stopped at epoch {}, everything is durable",
            warehouse.epoch()
        ));
    }
    Ok(ended)
}

/// A companion's thread.
struct RunningCompanion {
    thread: JoinHandle<Result<(), Failure>>,
}

impl RunningCompanion {
    fn start(
        companion: Companion,
        http: SocketAddr,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let context = CompanionContext {
            http,
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("companion".to_owned())
            .spawn(move || (companion.body)(&context))
            .doing("starting the companion's thread")?;
        Ok(Self { thread })
    }

    fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end, which was asked for.
    fn end(self, stop: &AtomicBool) -> Result<(), Failure> {
        stop.store(true, Ordering::Release);
        match self.thread.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Failed("the companion ended abnormally".into())),
        }
    }
}

/// When the loop ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndsWhen {
    /// Never.
    Stopped,
    /// The sources have nothing more.
    Idle,
    /// The companion has ended.
    CompanionEnds,
}

/// The loop: epochs while there is something, checkpoints in between.
struct Worker<'a> {
    watch: &'a ProjectWatch,
    project: &'a Project,
    gauges: &'a Gauges,
    stop: &'a AtomicBool,
    disk: &'a WaitingDisk,
    companion: Option<&'a RunningCompanion>,
    state: &'a Path,
    masks: &'a Arc<Masks>,
    reporter: Reporter,
}

impl Worker<'_> {
    fn work(
        &self,
        warehouse: &mut Warehouse,
        capture: &mut Capture,
        models: &mut ModelsControl<'_>,
        ends_when: EndsWhen,
    ) -> Result<Ended, Failure> {
        let interval_ms = self.project.config.limits.checkpoint_interval_ms;
        let checkpoint_interval_us =
            i64::try_from(interval_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        let start_us = SystemClock.now_us();
        let mut next_checkpoint_us = start_us.saturating_add(checkpoint_interval_us);
        let mut said_us = start_us;
        let (mut is_over, mut is_paused) = (false, false);
        let mut has_answered = false;
        let unwritten_max = state_memory::unwritten_bytes_max(&self.project.config.limits);
        let unwritten_limit = unwritten_max.saturating_mul(UNWRITTEN_LIMIT_FACTOR);
        let mut unwritten_bytes = 0;
        let mut looked_us = start_us;
        while !self.stop.load(Ordering::Acquire) {
            // Asked first: what the sources gave before is durable, so that an
            // empty log after it means that everything is in an epoch.
            let companion_has_ended = self.companion.is_some_and(RunningCompanion::has_ended);
            let nothing_comes = match ends_when {
                EndsWhen::Stopped => companion_has_ended,
                EndsWhen::Idle => capture.idle_rounds() > 0,
                EndsWhen::CompanionEnds => companion_has_ended,
            };
            let usage = sluice_memory::usage();
            if usage.is_over() != is_over {
                is_over = usage.is_over();
                match is_over {
                    true => self.reporter.warn(&state_memory::no_room(usage)),
                    false => self.reporter.info("the state has room again"),
                }
            }
            // The disk says itself what it waits for.
            let must_pause = is_over || self.disk.is_waiting();
            if must_pause != is_paused {
                is_paused = must_pause;
                capture.pause(is_paused);
            }
            if unwritten_bytes > unwritten_limit && warehouse.is_writing_checkpoint() {
                capture.wait(WAIT_MAX / 4)?;
                warehouse.poll_checkpoint()?;
                unwritten_bytes = warehouse.store_memory().unwritten_bytes;
                continue;
            }
            let epoch_start_us = SystemClock.now_us();
            let has_run = !is_paused && warehouse.run_epoch()?;
            if has_run {
                let time_us = SystemClock.now_us() - epoch_start_us;
                self.gauges.epoch_ran(time_us.unsigned_abs());
            }
            self.gauges.update(warehouse);
            warehouse.poll_checkpoint()?;
            if let Some(rules) = warehouse.new_rules()? {
                self.watch.set_rules(rules);
            }
            if let Some(found) = self.watch.take() {
                models.take(warehouse, found);
            }
            if models.poll(warehouse, capture)? {
                // A restart should not have to compute the new views again.
                next_checkpoint_us = 0;
            }
            let must_end = ends_when == EndsWhen::Idle;
            capture.look_after_refused(must_end, || warehouse.positions())?;
            let now_us = SystemClock.now_us();
            if now_us - looked_us >= UNWRITTEN_INTERVAL_US {
                looked_us = now_us;
                let can_start_again = ends_when == EndsWhen::Stopped && self.companion.is_none();
                if erase::take_request(
                    self.state,
                    self.masks,
                    &warehouse.log(),
                    can_start_again,
                    self.reporter,
                )? {
                    return Ok(Ended::Erased);
                }
                unwritten_bytes = warehouse.store_memory().unwritten_bytes;
            }
            let is_due = now_us >= next_checkpoint_us || unwritten_bytes > unwritten_max;
            let is_ready = is_due && warehouse.prepare_checkpoint();
            if is_due && !is_ready {
                // A piece between epochs, or the next one at once.
                continue;
            }
            if is_ready {
                let state_bytes = warehouse.begin_checkpoint()?;
                let end_us = SystemClock.now_us();
                if let Some(state_bytes) = state_bytes {
                    unwritten_bytes = 0;
                    let time_us = (end_us - now_us).unsigned_abs();
                    self.gauges
                        .checkpoint_begun(warehouse, time_us, state_bytes);
                }
                // Collecting a large state holds epochs up: rarely enough, so
                // that they seldom meet it.
                let pause_us = (end_us - now_us).saturating_mul(CHECKPOINT_PAUSE_SHARE);
                let pause_us = pause_us.min(CHECKPOINT_PAUSE_MAX_US);
                next_checkpoint_us = end_us + checkpoint_interval_us.max(pause_us);
            }
            if has_run {
                let is_loading = self.companion.is_none()
                    && warehouse.records_waiting() > self.project.config.limits.epoch_records_max;
                if is_loading && now_us - said_us >= PROGRESS_INTERVAL_US {
                    said_us = now_us;
                    report_progress(warehouse, now_us - start_us, self.reporter);
                }
                continue;
            }
            let is_changing = warehouse.change_progress().is_some();
            if !is_paused && nothing_comes && !is_changing && warehouse.has_caught_up() {
                return Ok(Ended::Stopped);
            }
            if !has_answered && warehouse.has_caught_up() {
                // If it started again to erase: that is done now.
                erasing::done(self.state)?;
                has_answered = true;
            }
            capture.wait(WAIT_MAX)?;
        }
        Ok(Ended::Stopped)
    }
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

/// The topics whose records are lines of CSV files.
fn csv_topics(project: &Project) -> BTreeSet<String> {
    let topics = project.sources.topics().into_iter().map(|(topic, _)| topic);
    let of_csv = topics.filter(|topic| project.sources.is_csv(topic));
    of_csv.collect()
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
