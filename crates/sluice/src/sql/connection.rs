//! One way to ask, whether the warehouse runs or not.

use std::path::Path;
use std::sync::Arc;

use sluice_core::{Disk, RealDisk};
use sluice_functions::Functions;
use sluice_serve::{QueryEngine, QueryResult, SnapshotSource};
use sluice_store::Store;
use tokio::runtime::Runtime;

use super::remote::Remote;
use crate::address;
use crate::config::Limits;
use crate::failure::{Doing, Failure};
use crate::lock::{StateLock, lock_to_read};
use crate::pipeline::{Definitions, read_meta};
use crate::serving::{EngineSettings, query_engine};

enum Way {
    /// It runs.
    Remote(Remote),
    /// It does not: its last checkpoint is read.
    Stored {
        engine: QueryEngine,
        _lock: StateLock,
    },
}

/// See the module.
pub struct Connection {
    runtime: Runtime,
    way: Way,
    description: String,
}

impl Connection {
    /// Opens the warehouse whose state is in `state`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(state: &Path) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(sluice_core::PLANNING_STACK_BYTES)
            .enable_all()
            .build()
            .doing("starting threads")?;
        let (way, description) = match lock_to_read(state)? {
            Some(lock) => open_stored(state, lock)?,
            None => {
                let found = address::find(state)?;
                let remote = runtime.block_on(Remote::connect(&found))?;
                let description = format!("{}, running at {}", found.name, found.postgres);
                (Way::Remote(remote), description)
            }
        };
        Ok(Self {
            runtime,
            way,
            description,
        })
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn query(&self, sql: &str) -> Result<QueryResult, Failure> {
        match &self.way {
            Way::Remote(remote) => self.runtime.block_on(remote.query(sql)),
            Way::Stored { engine, .. } => self
                .runtime
                .block_on(engine.query(sql))
                .map_err(|error| Failure::Failed(error.to_string())),
        }
    }

    /// What is asked, for a person.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// True if the warehouse runs.
    pub fn is_running(&self) -> bool {
        matches!(self.way, Way::Remote(_))
    }
}

fn open_stored(state: &Path, lock: StateLock) -> Result<(Way, String), Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let folder = state.join("store");
    let (snapshot, recovered) = Store::open_read_only(disk, &folder)
        .doing(&format!("reading the store in {}", folder.display()))?;
    let Some(recovered) = recovered else {
        return Err(Failure::Failed(format!(
            "the warehouse in {} has no checkpoint yet, so that there is nothing to read while it is stopped\n  help: start it with `sluice run`; it goes on from its log",
            state.display()
        )));
    };
    let Definitions {
        name,
        time_zone,
        query_views,
        user_dictionary,
        ..
    } = read_meta(&recovered)?.definitions;
    let description = format!(
        "{name}, stopped, as of its checkpoint of epoch {}",
        snapshot.epoch()
    );
    let source: SnapshotSource = Arc::new(move || snapshot.clone());
    let functions = Functions::new(&user_dictionary);
    let engine = query_engine(
        &Limits::default(),
        &time_zone,
        query_views,
        functions,
        Vec::new(),
        EngineSettings::default(),
        source,
    )?;
    Ok((
        Way::Stored {
            engine,
            _lock: lock,
        },
        description,
    ))
}
