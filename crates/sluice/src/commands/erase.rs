//! `sluice erase`: forgets a person. The key under which fields of the person
//! were encrypted is destroyed, and everything is computed again from the log
//! without the person's rows.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sluice_log::Log;
use sluice_mask::Masks;

use crate::erasing::{self, Answer, Erased, Request};
use crate::failure::Failure;
use crate::lock::{lock_to_read, lock_to_write};
use crate::masking;
use crate::pipeline::{Surroundings, open_log, recover};
use crate::project::Project;
use crate::report::Reporter;

/// How often the answer of a running warehouse is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// So long the state may be free while a warehouse starts again.
const FREE_LOOKS_MAX: u32 = 100;

/// Erases `person` (`KIND:ID`) from the warehouse in `state`, running or
/// stopped. On return its rows are gone from all tables and views.
///
/// # Errors
/// When there is no such kind of person, or something cannot be done; it can
/// then be done again.
pub fn run(
    folder: &Path,
    overrides: &[(String, String)],
    state: Option<&Path>,
    person: &str,
    reporter: Reporter,
) -> Result<(), Failure> {
    let request = Request::parse(person)?;
    let project = Project::load(folder, overrides)?;
    let kinds = project.sources.person_kinds();
    if !kinds.contains(request.kind.as_str()) {
        let known: Vec<&str> = kinds.into_iter().collect();
        return Err(Failure::Definitions(format!(
            "--person {person}: the project knows no persons of the kind `{}`\n  help: known: {}; `person` of a table and `encrypt` of a mask name kinds",
            request.kind,
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            },
        )));
    }
    let state = project.state_folder(state);
    let erased = match lock_to_read(&state)? {
        Some(lock) => {
            drop(lock);
            erase_stopped(project, &state, &request, reporter)?
        }
        None => erase_running(&state, &request)?,
    };
    let key = match erased.had_key {
        true => "the key is destroyed",
        false => "there was no key",
    };
    match erased.rows_stay {
        None => {
            reporter.info(&format!(
                "erased {person}: {key}, and the rows of the person are gone from tables and views"
            ));
            Ok(())
        }
        Some(topic) => Err(Failure::Failed(format!(
            "erasing {person}: {key}, but the rows of the person stay in tables and views: the log of topic `{topic}` has lost its beginning by [log] retention, so that nothing can be computed again without them\n  help: delete the rows in the shop's database, whose changes come here"
        ))),
    }
}

fn erase_stopped(
    project: Project,
    state: &Path,
    request: &Request,
    reporter: Reporter,
) -> Result<Erased, Failure> {
    let _lock = lock_to_write(state)?;
    let masks = masking::open(&project, state, reporter)?;
    let surroundings = Surroundings::of_machine(reporter);
    let erased = {
        let log = open_log(&surroundings.disk, &project, state, reporter)?;
        masking::erase(&masks, request, &log)?
    };
    if erased.rows_stay.is_some() {
        return Ok(erased);
    }
    let project = project.leaving_out(masking::left_out(&masks));
    let program = project.plan()?;
    let stop = AtomicBool::new(false);
    let recovery = recover(&project, &program, state, &stop, &surroundings)?;
    let mut warehouse = recovery.warehouse;
    while warehouse.run_epoch()? {}
    warehouse.checkpoint()?;
    Ok(erased)
}

fn erase_running(state: &Path, request: &Request) -> Result<Erased, Failure> {
    erasing::ask(state, request)?;
    let mut free_looks = 0;
    loop {
        match erasing::answer(state) {
            Some(Answer::Erased(erased)) => return Ok(erased),
            Some(Answer::Refused(why)) => return Err(Failure::Failed(why)),
            None => std::thread::sleep(LOOK_INTERVAL),
        }
        let is_free = lock_to_read(state)?.is_some();
        free_looks = if is_free { free_looks + 1 } else { 0 };
        if free_looks > FREE_LOOKS_MAX {
            erasing::withdraw(state);
            return Err(Failure::Failed(format!(
                "the warehouse in {} ended before it answered\n  help: run the command again",
                state.display()
            )));
        }
    }
}

/// For a process that was asked: erases, and says whether it must start again.
///
/// # Errors
/// When the key store or the disk refuses.
pub fn take_request(
    state: &Path,
    masks: &Masks,
    log: &Log,
    can_start_again: bool,
    reporter: Reporter,
) -> Result<bool, Failure> {
    let Some(request) = erasing::asked(state) else {
        return Ok(false);
    };
    if !can_start_again {
        let why = "this warehouse cannot start again by itself\n  help: stop it, and run the command again";
        erasing::answer_now(state, &Answer::Refused(why.to_owned()))?;
        return Ok(false);
    }
    let erased = masking::erase(masks, &request, log)?;
    if erased.rows_stay.is_some() {
        erasing::answer_now(state, &Answer::Erased(erased))?;
        return Ok(false);
    }
    erasing::begin_again(state, &Answer::Erased(erased))?;
    reporter.info("a person was erased: starting again, without the person's rows");
    Ok(true)
}
