//! Records become changes of tables, or dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_capture::SourcePosition;
use sluice_core::{LogRecord, PartitionId, TableChanges};
use sluice_route::{Router, RouterCheckpoint, Sources};

use super::EpochContent;
use super::checkpoint_step::PartFiles;
use crate::dead_letters;
use crate::failure::{Doing, Failure};

/// Where capture stands in its sources, by topic.
pub type Positions = BTreeMap<String, SourcePosition>;

/// What route makes of an epoch.
#[derive(Debug, Default)]
pub struct RoutedEpoch {
    /// Changes of tables, among them the one of dead letters.
    pub changes: Vec<TableChanges>,
    /// How far event time has come, by table.
    pub watermarks: BTreeMap<String, i64>,
    /// The newest event time of each table that has one, in microseconds.
    pub event_times: BTreeMap<String, i64>,
    /// Number of dead letters.
    pub dead_letters: u64,
    /// Rows left out because their key was seen before.
    pub duplicates: u64,
    /// Whether all that fills a table is idle, by table.
    pub idle: BTreeMap<String, bool>,
}

/// See the module. Also follows the sources' positions, so that a checkpoint
/// holds those that belong to its epoch.
#[derive(Debug)]
pub struct RouteStep {
    router: Router,
    positions: Positions,
}

impl RouteStep {
    /// At the start of the log.
    pub fn new(sources: Arc<Sources>) -> Self {
        Self {
            router: Router::new(sources),
            positions: Positions::new(),
        }
    }

    /// As saved in a checkpoint.
    ///
    /// # Errors
    /// When the state is damaged or of another version.
    pub fn restore(
        sources: Arc<Sources>,
        router: &BTreeMap<String, Vec<u8>>,
        positions: Positions,
        files: &PartFiles,
    ) -> Result<Self, Failure> {
        let router = Router::restore(sources, router)
            .map_err(|error| Failure::doing(&files.of_router(error.part()), &error))?;
        Ok(Self { router, positions })
    }

    /// Reads records on so many threads; what comes of them does not depend on
    /// it.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.router = self.router.with_threads(threads);
        self
    }

    /// Routes one epoch.
    ///
    /// # Errors
    /// Only for faults of the program; bad records become dead letters.
    pub fn run(&mut self, content: &EpochContent) -> Result<RoutedEpoch, Failure> {
        let mut routed_epoch = RoutedEpoch::default();
        for (id, records) in &content.records {
            observe(&mut self.positions, id, records)?;
            let routed = self.router.route(id, records);
            routed_epoch.changes.extend(routed.changes);
            routed_epoch.duplicates += routed.duplicates;
            if routed.dead_letters.is_empty() {
                continue;
            }
            let changes = dead_letters::changes(content.cut.epoch, id, &routed.dead_letters)
                .doing("writing down dead letters")?;
            routed_epoch.dead_letters += routed.dead_letters.len() as u64;
            routed_epoch.changes.push(changes);
        }
        routed_epoch.watermarks = self.router.watermarks(&content.idle);
        routed_epoch.idle = self.router.idle_tables(&content.idle);
        routed_epoch.event_times = self.router.event_times();
        Ok(routed_epoch)
    }

    /// What changed in the router's state since the last checkpoint.
    pub fn checkpoint(&mut self) -> RouterCheckpoint {
        self.router.checkpoint()
    }

    /// Where the sources stood at the end of the last epoch.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }
}

/// Moves positions past `records`.
///
/// # Errors
/// When a record's position cannot be understood.
pub fn observe(
    positions: &mut Positions,
    id: &PartitionId,
    records: &[LogRecord],
) -> Result<(), Failure> {
    let of_topic = positions.entry(id.topic.clone()).or_default();
    for record in records {
        of_topic.observe(&record.record).map_err(|error| {
            let (offset, topic) = (record.offset, &id.topic);
            let what = format!("reading the position of record {offset} of topic `{topic}`");
            Failure::doing(&what, &error)
        })?;
    }
    Ok(())
}
