//! Makes an epoch durable: positions, router, engine and tables of one epoch,
//! under one manifest of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sluice_core::{EpochCut, PartitionId};
use sluice_engine::{EngineCheckpoint, Program};
use sluice_log::ModelText;
use sluice_route::Starts;
use sluice_store::{CheckpointRequest, Recovered};

use super::idle_partitions::IdleChange;
use super::route_step::{Positions, RouteStep};
use crate::failure::{Doing, Failure};
use crate::project::Project;

/// Version of [`CheckpointMeta`] and of the parts beside it.
pub const META_VERSION: u32 = 1;

const ROUTER_PREFIX: &str = "router/";
const CAPTURE_PREFIX: &str = "capture/";
const ENGINE_PREFIX: &str = "engine/";

/// What the manifest says about a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointMeta {
    /// [`META_VERSION`].
    pub version: u32,
    /// Whether it is the result of a run over exported files: there is no log
    /// behind it to go on from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_batch: bool,
    /// Where the epoch ends in the log.
    pub cut: EpochCut,
    /// The partitions that were idle.
    #[serde(default)]
    pub idle: BTreeSet<PartitionId>,
    /// When the idle partitions were others, since the start of the log.
    #[serde(default)]
    pub idle_changes: Vec<IdleChange>,
    /// The definitions that the state belongs to.
    pub definitions: Definitions,
}

/// What a reader of a stopped warehouse needs to know of its definitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// Name of the warehouse.
    pub name: String,
    /// Identifies tables and views.
    pub fingerprint: u64,
    /// The business time zone.
    pub time_zone: String,
    /// Query views: name and SELECT text.
    pub query_views: Vec<(String, String)>,
    /// Identifies tables alone. Older checkpoints do not say it.
    #[serde(default)]
    pub sources: Option<u64>,
    /// The models, to go on under them when the project has others by now.
    /// Older checkpoints do not say them.
    #[serde(default)]
    pub models: Option<Vec<ModelText>>,
    /// The files of topics and tables: paths and texts. Older checkpoints do not
    /// say them.
    #[serde(default)]
    pub source_files: Option<Vec<(String, String)>>,
    /// Where tables begin that do not have all of the log.
    #[serde(default)]
    pub starts: Starts,
    /// Where the epochs began that brought rules of diversion which are not in
    /// force yet, by rule.
    #[serde(default)]
    pub rule_starts: Starts,
    /// Words that `split_words` knows besides its own.
    #[serde(default)]
    pub user_dictionary: String,
}

impl Definitions {
    /// Those of a project.
    pub fn new(project: &Project, program: &Program, starts: Starts) -> Self {
        Self {
            name: project.config.name.clone(),
            fingerprint: project.fingerprint(program),
            time_zone: project.config.time_zone.get_ref().clone(),
            query_views: program.query_views().to_vec(),
            sources: Some(project.sources_fingerprint()),
            models: Some(project.models()),
            source_files: Some(project.source_texts().to_vec()),
            starts,
            rule_starts: Starts::new(),
            user_dictionary: program.functions().user_dictionary().to_owned(),
        }
    }
}

/// A checkpoint, taken apart.
#[derive(Debug)]
pub struct Restored {
    /// What the manifest says.
    pub meta: CheckpointMeta,
    /// The router's parts.
    pub router: BTreeMap<String, Vec<u8>>,
    /// Positions of the sources at the checkpoint's epoch.
    pub positions: Positions,
    /// The engine's parts.
    pub engine: BTreeMap<String, Vec<u8>>,
    /// Where each part lies, for messages.
    pub files: PartFiles,
}

/// The files of state parts.
#[derive(Debug, Default)]
pub struct PartFiles(BTreeMap<String, PathBuf>);

impl PartFiles {
    /// What is being read, for a message: a part of the engine's state.
    pub fn of_engine(&self, part: &str) -> String {
        self.describe("engine", &format!("{ENGINE_PREFIX}{part}"))
    }

    /// What is being read, for a message: a part of the router's state.
    pub fn of_router(&self, part: &str) -> String {
        self.describe("router", &format!("{ROUTER_PREFIX}{part}"))
    }

    fn describe(&self, owner: &str, part: &str) -> String {
        match self.0.get(part) {
            Some(path) => format!("reading the {owner}'s state from {}", path.display()),
            None => format!("reading the {owner}'s state from the checkpoint"),
        }
    }
}

/// Puts a checkpoint together.
///
/// # Errors
/// When positions cannot be written down.
pub fn request(
    cut: EpochCut,
    idle: BTreeSet<PartitionId>,
    idle_changes: Vec<IdleChange>,
    definitions: Definitions,
    route: &mut RouteStep,
    engine: EngineCheckpoint,
) -> Result<CheckpointRequest, Failure> {
    let what = "preparing a checkpoint";
    let mut changed_parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut live_parts: BTreeSet<String> = BTreeSet::new();
    let router = route.checkpoint();
    for (prefix, changed, live) in [
        (ENGINE_PREFIX, engine.changed, engine.live),
        (ROUTER_PREFIX, router.changed, router.live),
    ] {
        let prefixed = |name: String| format!("{prefix}{name}");
        live_parts.extend(live.into_iter().map(prefixed));
        let changed = changed.into_iter();
        changed_parts.extend(changed.map(|(name, bytes)| (prefixed(name), bytes)));
    }
    for (topic, positions) in route.positions() {
        let bytes = serde_json::to_vec(positions).doing(what)?;
        changed_parts.insert(format!("{CAPTURE_PREFIX}{topic}"), bytes);
    }
    live_parts.extend(changed_parts.keys().cloned());
    let epoch = cut.epoch;
    let meta = CheckpointMeta {
        version: META_VERSION,
        is_batch: false,
        cut,
        idle,
        idle_changes,
        definitions,
    };
    Ok(CheckpointRequest {
        epoch,
        changed_parts,
        live_parts,
        meta: serde_json::to_value(&meta).doing(what)?,
    })
}

/// Reads what the manifest says.
///
/// # Errors
/// When it is of another version.
pub fn read_meta(recovered: &Recovered) -> Result<CheckpointMeta, Failure> {
    let version = recovered
        .meta
        .get("version")
        .and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(META_VERSION)) {
        let found = version.map_or("no version".to_owned(), |version| {
            format!("version {version}")
        });
        return Err(Failure::Failed(format!(
            "{}: the checkpoint of epoch {} has format {found}, this program reads version {META_VERSION}\n  help: start the program that wrote it, or remove the folder `store` of the state: it is rebuilt from the log",
            recovered.manifest.display(),
            recovered.epoch
        )));
    }
    let meta = CheckpointMeta::deserialize(&recovered.meta);
    meta.doing("reading the checkpoint's manifest")
}

/// [`read_meta`] of a warehouse that has a log.
///
/// # Errors
/// Also when it is the result of a run over exported files.
pub fn read_meta_with_log(recovered: &Recovered) -> Result<CheckpointMeta, Failure> {
    let meta = read_meta(recovered)?;
    if meta.is_batch {
        return Err(Failure::Failed(format!(
            "{}: this is the result of `sluice run --batch`, which has no log to go on from\n  help: ask it with `sluice sql`, or run the warehouse with another --state",
            recovered.manifest.display()
        )));
    }
    Ok(meta)
}

/// Takes a checkpoint apart.
///
/// # Errors
/// When a part is missing or damaged.
pub fn take_apart(recovered: Recovered) -> Result<Restored, Failure> {
    let meta = read_meta_with_log(&recovered)?;
    let files = PartFiles(recovered.part_files);
    let mut router = BTreeMap::new();
    let mut positions = Positions::new();
    let mut engine = BTreeMap::new();
    for (name, bytes) in recovered.parts {
        if let Some(part) = name.strip_prefix(ROUTER_PREFIX) {
            router.insert(part.to_owned(), bytes);
        } else if let Some(topic) = name.strip_prefix(CAPTURE_PREFIX) {
            let what = files.describe("sources", &name);
            let of_topic = serde_json::from_slice(&bytes).doing(&what)?;
            positions.insert(topic.to_owned(), of_topic);
        } else if let Some(part) = name.strip_prefix(ENGINE_PREFIX) {
            engine.insert(part.to_owned(), bytes);
        }
    }
    if router.is_empty() {
        return Err(Failure::Failed(format!(
            "the checkpoint of epoch {} lacks the router's state\n  help: remove the folder `store` of the state: it is rebuilt from the log",
            recovered.epoch
        )));
    }
    Ok(Restored {
        meta,
        router,
        positions,
        engine,
        files,
    })
}
