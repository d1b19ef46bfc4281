//! Opens the key store of a project whose sources are masked.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use sluice_core::{Clock, Disk, RealDisk, SystemClock};
use sluice_log::Log;
use sluice_mask::{KeyStore, LeftOut, Masks, MasterSecret};
use sluice_route::Sources;

use crate::diversion_masks::RuleReader;
use crate::erasing::{Erased, Request};
use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;
use crate::secret::named_secret;

/// The folder of keys in the state.
const KEYS_FOLDER: &str = "keys";
/// The key store in its folder.
const STORE_FILE: &str = "persons.keys";
/// The master secret of a project that names none, in the state's folder of
/// keys.
const OWN_SECRET_FILE: &str = "master.secret";

/// The masks of a project with their keys, which are in `state` unless the
/// project says otherwise.
///
/// # Errors
/// When a secret is missing, or the key store is damaged or of another secret.
pub fn open(project: &Project, state: &Path, reporter: Reporter) -> Result<Masks, Failure> {
    let disk = Arc::new(RealDisk);
    open_for(project, &project.sources, state, disk, reporter)
}

/// The masks of other sources than the project's, with its keys, whose store is on
/// `disk`.
///
/// # Errors
/// See [`open`].
pub fn open_for(
    project: &Project,
    sources: &Sources,
    state: &Path,
    disk: Arc<dyn Disk>,
    reporter: Reporter,
) -> Result<Masks, Failure> {
    let rules = sources.masks();
    let has_rules = rules.values().any(|rules| !rules.is_empty());
    // Rules of diversion may mask, and come later; not with rows of exports.
    let diversion = sources.diversion().filter(|diversion| {
        let mut captures = sources.captures().iter();
        captures.any(|capture| capture.topic == diversion.topic) && sources.unmaskable().is_none()
    });
    if !has_rules && sources.person_kinds().is_empty() && diversion.is_none() {
        return Ok(Masks::none());
    }
    let config = &project.config.masking;
    let folder = keys_folder(project, state);
    let secret = match &config.secret {
        Some(reference) => read_secret(project, reference)?,
        None => own_secret(&state.join(KEYS_FOLDER), reporter)?,
    };
    let previous = config.previous_secret.as_ref();
    let previous = previous
        .map(|reference| read_secret(project, reference))
        .transpose()?;
    let path = folder.join(STORE_FILE);
    let random = Box::new(SystemRandom::new());
    let (keys, opened) = KeyStore::open(disk, &path, &secret, previous.as_ref(), random)
        .doing("opening the key store of masking")?;
    if opened.has_new_secret {
        reporter.info(&format!(
            "{}: the keys are wrapped with the new master secret now; `previous_secret` of [masking] can go, and the old secret can be destroyed",
            path.display()
        ));
    }
    if opened.torn_entries > 0 {
        reporter.warn(&format!(
            "{}: {} entries at its end were not whole and are cut; if no crash tore them, values of as many persons cannot be decrypted any more",
            path.display(),
            opened.torn_entries
        ));
    }
    let has_records = |topic: &String| state.join("log/topics").join(topic).exists();
    let masked = rules.iter().filter(|(_, rules)| !rules.is_empty());
    let known: Vec<&str> = masked
        .map(|(topic, _)| topic)
        .filter(|topic| has_records(topic))
        .map(String::as_str)
        .collect();
    if opened.is_new && !known.is_empty() {
        reporter.warn(&format!(
            "{} is new, and the log has records of {}: if they were masked under another key store, put that one back and start again, or equal values get other tokens from here on",
            path.display(),
            known.join(", ")
        ));
    }
    let rules = rules.iter().map(|(topic, rules)| (topic.as_str(), rules));
    let record_bytes_max = project.config.limits.record_bytes_max;
    let masks = Masks::new(rules, Arc::new(keys), record_bytes_max);
    Ok(match diversion {
        Some(diversion) => masks.with_rules(&diversion.topic, Box::new(RuleReader::new(diversion))),
        None => masks,
    })
}

/// Destroys the key of a person and remembers the person, if everything can be
/// computed again from `log`: a warehouse that cannot would not start any more.
///
/// # Errors
/// When the key store refuses.
pub fn erase(masks: &Masks, request: &Request, log: &Log) -> Result<Erased, Failure> {
    let partitions = log.partitions();
    let without_begin = partitions.iter().find(|id| log.start_offset(id) > 0);
    let time_us = without_begin.is_none().then(|| SystemClock.now_us());
    let had_key = match masks.keys() {
        Some(keys) => {
            let person = keys.person(&request.kind, &request.id);
            keys.erase(person, time_us).doing("erasing a person")?
        }
        None => false,
    };
    let rows_stay = without_begin.map(|id| id.topic.clone());
    Ok(Erased { had_key, rows_stay })
}

/// Whose rows are left out.
pub fn left_out(masks: &Masks) -> Option<LeftOut> {
    LeftOut::new(masks.keys()?)
}

/// Whether the key store of a project is there: something was masked before.
pub fn has_keys(project: &Project, state: &Path) -> bool {
    keys_folder(project, state).join(STORE_FILE).exists()
}

/// The folder of the key store.
fn keys_folder(project: &Project, state: &Path) -> PathBuf {
    match &project.config.masking.keys {
        Some(folder) => PathBuf::from(project.resolve(folder)),
        None => state.join(KEYS_FOLDER),
    }
}

fn read_secret(project: &Project, reference: &str) -> Result<MasterSecret, Failure> {
    let setting = "the master secret of [masking]";
    let text = named_secret(setting, reference, &project.folder)?;
    MasterSecret::new(text.as_bytes()).map_err(|error| {
        Failure::Definitions(format!(
            "{setting}: {reference}: {error}\n  help: make one with `openssl rand -hex 32`, and keep it safe: nothing can be decrypted without it"
        ))
    })
}

/// The secret of a project that names none: a file that only its owner reads,
/// made at the first start.
fn own_secret(folder: &Path, reporter: Reporter) -> Result<MasterSecret, Failure> {
    let path = folder.join(OWN_SECRET_FILE);
    let what = format!("making a master secret in {}", path.display());
    if !path.exists() {
        let mut bytes = [0; 32];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled
            .map_err(|_| Failure::Failed(format!("{what}: the machine gives no random bytes")))?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        RealDisk.create_dir_all(folder).doing(&what)?;
        // Beside first: a secret of which a crash left a part would be taken.
        let beside = path.with_extension("new");
        match RealDisk.remove(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::doing(&what, &error));
            }
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .doing(&what)?;
        file.write_all(text.as_bytes()).doing(&what)?;
        file.sync_all().doing(&what)?;
        RealDisk.rename(&beside, &path).doing(&what)?;
        RealDisk.sync_dir(folder).doing(&what)?;
        reporter.info(&format!(
            "made a master secret for masking in {}: whoever reads it can undo masks; for a real shop name one outside of the state, with `secret` of [masking] in warehouse.toml",
            path.display()
        ));
    }
    let text = RealDisk
        .read(&path)
        .doing(&format!("reading {}", path.display()))?;
    let secret = MasterSecret::new(&text);
    secret.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}
