//! Changes become visible to readers, an epoch at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use sluice_engine::{EpochOutput, Program};
use sluice_route::Retention;
use sluice_store::{
    CacheCounts, CheckpointJob, CheckpointRequest, CollectionDefinition, Horizon, Snapshot,
    StagedCollections, Store, StoreMemory, WrittenCheckpoint, WrittenRows,
};

use crate::failure::{Doing, Failure};

/// The snapshot that readers get, replaced after each epoch.
#[derive(Debug, Clone)]
pub struct Published(Arc<RwLock<Snapshot>>);

impl Published {
    /// The newest snapshot.
    pub fn snapshot(&self) -> Snapshot {
        self.0.read().clone()
    }
}

/// See the module.
#[derive(Debug)]
pub struct StoreStep {
    store: Store,
    published: Published,
    retentions: Vec<Retention>,
}

impl StoreStep {
    /// Takes over an open store.
    ///
    /// # Errors
    /// When the collections do not fit what is stored.
    pub fn new(
        mut store: Store,
        program: &Program,
        retentions: Vec<Retention>,
    ) -> Result<Self, Failure> {
        store
            .define(collection_definitions(program))
            .doing("preparing the store")?;
        let published = Published(Arc::new(RwLock::new(store.snapshot())));
        Ok(Self {
            store,
            published,
            retentions,
        })
    }

    /// What readers see.
    pub fn published(&self) -> Published {
        self.published.clone()
    }

    /// Makes one epoch visible; rows that have become old by `event_times`, the
    /// newest of each table, leave with it.
    ///
    /// # Errors
    /// For faults of the program.
    pub fn run(
        &mut self,
        output: &EpochOutput,
        event_times: &BTreeMap<String, i64>,
    ) -> Result<(), Failure> {
        let what = format!("storing epoch {}", output.epoch);
        self.store
            .apply(output.epoch, &output.deltas)
            .doing(&what)?;
        self.store
            .expire(&horizons(&self.retentions, event_times))
            .doing(&what)?;
        *self.published.0.write() = self.store.snapshot();
        Ok(())
    }

    /// Goes over to the collections of another program, with the next epoch;
    /// `staged` are those that are new.
    ///
    /// # Errors
    /// For faults of the program.
    pub fn change(
        &mut self,
        program: &Program,
        staged: StagedCollections,
        retentions: Vec<Retention>,
    ) -> Result<(), Failure> {
        self.retentions = retentions;
        self.store
            .change(collection_definitions(program), staged)
            .doing("changing the stored views")
    }

    /// Collects what a checkpoint of the last epoch holds.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn begin_checkpoint(
        &mut self,
        request: CheckpointRequest,
    ) -> Result<CheckpointJob, Failure> {
        let job = self.store.begin_checkpoint(request);
        job.doing("preparing a checkpoint")
    }

    /// What the store keeps in memory.
    pub fn memory(&self) -> StoreMemory {
        self.store.memory()
    }

    /// What the cache of segments has done.
    pub fn cache_counts(&self) -> CacheCounts {
        self.store.cache_counts()
    }

    /// Takes note of the rows of a checkpoint that are in files: memory need not
    /// hold them, and readers get them from there.
    pub fn rows_written(&mut self, rows: WrittenRows) {
        self.store.rows_written(rows);
        *self.published.0.write() = self.store.snapshot();
    }

    /// Takes note of a checkpoint that is durable.
    pub fn finish_checkpoint(&mut self, written: WrittenCheckpoint) {
        self.store.finish_checkpoint(written);
    }
}

/// What is old in each table, by its newest event time.
pub fn horizons(retentions: &[Retention], event_times: &BTreeMap<String, i64>) -> Vec<Horizon> {
    let horizon = |retention: &Retention| {
        let newest_us = *event_times.get(&retention.table)?;
        Some(Horizon {
            collection: retention.table.clone(),
            column: retention.column,
            before_us: retention.horizon_us(newest_us),
        })
    };
    retentions.iter().filter_map(horizon).collect()
}

/// The store's collections for a program's tables and views.
pub fn collection_definitions(program: &Program) -> Vec<CollectionDefinition> {
    program
        .collections()
        .iter()
        .map(|collection| CollectionDefinition {
            name: collection.name.clone(),
            schema: collection.schema.clone(),
            append_only: collection.append_only,
            unique_key: collection.unique_key.clone(),
        })
        .collect()
}
