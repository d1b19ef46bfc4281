//! Records become changes of tables, or dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_capture::SourcePosition;
use sluice_core::{LogRecord, PartitionId, RecordKind, TableChanges};
use sluice_route::{Router, RouterCheckpoint, Sources, Starts};

use super::EpochContent;
use super::checkpoint_step::PartFiles;
use super::letter_retry::TriedLetters;
use super::tables_change::TablesChange;
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
    /// Of a change: the dead letters that it makes anew.
    letters_of: Option<Arc<TablesChange>>,
    /// What came of dead letters that were tried again.
    tried: TriedLetters,
}

impl RouteStep {
    /// At the start of the log.
    pub fn new(sources: Arc<Sources>) -> Self {
        Self {
            router: Router::new(sources),
            positions: Positions::new(),
            letters_of: None,
            tried: TriedLetters::default(),
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
        let tried = TriedLetters::default();
        tried.set(router.tried());
        Ok(Self {
            router,
            positions,
            letters_of: None,
            tried,
        })
    }

    /// With tables that do not have all of the log.
    #[must_use]
    pub fn with_starts(mut self, starts: Starts) -> Self {
        self.router = self.router.with_starts(starts);
        self
    }

    /// Gives only the dead letters that a change makes anew. As they are of
    /// epochs that are long gone, they have epoch 0.
    #[must_use]
    pub(super) fn with_letters_of(mut self, change: Arc<TablesChange>) -> Self {
        self.letters_of = Some(change);
        self
    }

    /// Goes over to other definitions between two epochs; `part` has seen the
    /// same records for the tables in `computed`.
    pub fn change(
        &mut self,
        sources: Arc<Sources>,
        starts: Starts,
        part: Option<Self>,
        computed: &BTreeSet<String>,
    ) {
        let part = part.map(|part| part.router);
        self.router.change(sources, starts, part, computed);
        self.tried.set(self.router.tried());
    }

    /// What came of dead letters that were tried again, as of the last epoch.
    pub fn tried(&self) -> &TriedLetters {
        &self.tried
    }

    /// The newest event time of each table that has one, in microseconds.
    pub fn event_times(&self) -> BTreeMap<String, i64> {
        self.router.event_times()
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
        let mut has_retries = false;
        for (id, records) in &content.records {
            observe(&mut self.positions, id, records)?;
            let mut kinds = records.iter().map(|record| record.record.kind);
            has_retries |= kinds.any(|kind| kind == RecordKind::Retry);
            let mut routed = self.router.route(id, records);
            let mut epoch = content.cut.epoch;
            if let Some(change) = &self.letters_of {
                routed.dead_letters.retain(|it| change.makes_letter(it));
                epoch = 0;
            }
            routed_epoch.changes.extend(routed.changes);
            routed_epoch.duplicates += routed.duplicates;
            if routed.dead_letters.is_empty() {
                continue;
            }
            let changes = dead_letters::changes(epoch, id, &routed.dead_letters)
                .doing("writing down dead letters")?;
            routed_epoch.dead_letters += routed.dead_letters.len() as u64;
            routed_epoch.changes.push(changes);
        }
        if has_retries {
            self.tried.set(self.router.tried());
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
