//! The router: records in, changes of tables and dead letters out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_core::{DeadLetter, LogRecord, PartitionId, TableChanges};

use crate::Sources;
use crate::batch::Batch;
use crate::memory::{self, PartitionMemory};

/// A saved router cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// It is damaged.
    #[error("the router's state cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A part of it is damaged.
    #[error("the part {part} of the router's state cannot be read: {problem}")]
    BadPart {
        /// The part.
        part: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It is of another version.
    #[error("the router's state has format version {found}, this program reads version {expected}")]
    Version {
        /// Version found.
        found: u32,
        /// Version expected.
        expected: u32,
    },
}

/// What came of some records.
#[derive(Debug, Default)]
pub struct Routed {
    /// Changes, at most one batch for each table.
    pub changes: Vec<TableChanges>,
    /// Records that became no rows.
    pub dead_letters: Vec<DeadLetter>,
    /// Rows left out because their key was seen before.
    pub duplicates: u64,
    /// Greatest event time minus lateness, by table, in microseconds.
    pub watermarks: BTreeMap<String, i64>,
}

/// The parts of the router's memory.
#[derive(Debug, Default)]
pub struct RouterCheckpoint {
    /// Those that changed since the checkpoint before.
    pub changed: BTreeMap<String, Vec<u8>>,
    /// The names of all that there are.
    pub live: BTreeSet<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Router {
    sources: Arc<Sources>,
    memory: BTreeMap<PartitionId, PartitionMemory>,
}

impl Router {
    /// A router that has seen nothing.
    pub fn new(sources: Arc<Sources>) -> Self {
        Self {
            sources,
            memory: BTreeMap::new(),
        }
    }

    /// Routes records of one partition, in order. Never fails: what is wrong
    /// becomes a dead letter.
    pub fn route(&mut self, id: &PartitionId, records: &[LogRecord]) -> Routed {
        let sources = self.sources.clone();
        let memory = self.memory.entry(id.clone()).or_default();
        let mut batch = Batch::new(&sources, id, memory);
        for record in records {
            batch.record(record);
        }
        batch.finish()
    }

    /// Greatest accepted event time of each table that has one, in
    /// microseconds.
    pub fn event_times(&self) -> BTreeMap<String, i64> {
        let mut greatest: BTreeMap<String, i64> = BTreeMap::new();
        for memory in self.memory.values() {
            for (table, &time) in &memory.general.event_times {
                let known = greatest.entry(table.clone()).or_insert(time);
                *known = time.max(*known);
            }
        }
        greatest
    }

    /// What changed in the router's memory since the last call.
    pub fn checkpoint(&mut self) -> RouterCheckpoint {
        memory::save(&mut self.memory)
    }

    /// A router as it was saved.
    ///
    /// # Errors
    /// When a part is damaged or of another version.
    pub fn restore(
        sources: Arc<Sources>,
        parts: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, RouteError> {
        let memory = memory::load(&sources.tables, parts)?;
        Ok(Self { sources, memory })
    }
}
