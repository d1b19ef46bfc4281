//! The router: records in, changes of tables and dead letters out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_core::{DeadLetter, EpochCut, LogRecord, PartitionId, RecordKind, TableChanges};

use crate::Sources;
use crate::accept::Acceptance;
use crate::changes::Changes;
use crate::csv_header::Header;
use crate::definition::Table;
use crate::letters::Letters;
use crate::memory::{self, PartitionMemory};
use crate::read_rows::{ReadRange, RowReader, Tools, Topic};
use crate::slots::SlotPlan;
use crate::table_rows::TableRows;

/// A saved router cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// It is damaged.
    #[error("the router's state cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A part of it is damaged.
    #[error("the part {} of the router's state cannot be read: {problem}", .part.replace('\n', "/"))]
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

impl RouteError {
    /// Name of the part that cannot be used.
    pub fn part(&self) -> &str {
        match self {
            Self::Damaged(_) | Self::Version { .. } => memory::GENERAL_PART,
            Self::BadPart { part, .. } => part,
        }
    }
}

/// What came of some records.
#[derive(Debug, Default)]
pub struct Routed {
    /// Changes, in the order of records for each table.
    pub changes: Vec<TableChanges>,
    /// Records that became no rows.
    pub dead_letters: Vec<DeadLetter>,
    /// Rows left out because their key was seen before.
    pub duplicates: u64,
    /// Greatest event time minus lateness, by table, in microseconds.
    pub watermarks: BTreeMap<String, i64>,
}

impl Routed {
    /// Takes in what came of the records behind.
    pub(crate) fn add(&mut self, behind: Self) {
        self.changes.extend(behind.changes);
        self.dead_letters.extend(behind.dead_letters);
        self.duplicates += behind.duplicates;
        // They never go back.
        self.watermarks.extend(behind.watermarks);
    }
}

/// The parts of the router's memory.
#[derive(Debug, Default)]
pub struct RouterCheckpoint {
    /// Those that changed since the checkpoint before.
    pub changed: BTreeMap<String, Vec<u8>>,
    /// The names of all that there are.
    pub live: BTreeSet<String>,
}

/// Where tables begin that do not have all of the log: records before are not
/// theirs. By table.
pub type Starts = BTreeMap<String, EpochCut>;

/// Below so many records a second thread costs more than it brings.
pub(crate) const PARALLEL_RECORDS_MIN: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub struct Router {
    pub(crate) sources: Arc<Sources>,
    starts: Starts,
    pub(crate) memory: BTreeMap<PartitionId, PartitionMemory>,
    /// Threads that read records at the same time.
    pub(crate) threads: usize,
    /// By topic, one a thread; they hold nothing that results depend on.
    tools: BTreeMap<String, Vec<Tools>>,
}

impl Router {
    /// A router that has seen nothing.
    pub fn new(sources: Arc<Sources>) -> Self {
        Self::with_memory(sources, BTreeMap::new())
    }

    fn with_memory(sources: Arc<Sources>, memory: BTreeMap<PartitionId, PartitionMemory>) -> Self {
        Self {
            sources,
            starts: Starts::new(),
            memory,
            threads: 1,
            tools: BTreeMap::new(),
        }
    }

    /// Reads records on so many threads. What comes of them does not depend on
    /// it.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// With tables that do not have all of the log.
    #[must_use]
    pub fn with_starts(mut self, starts: Starts) -> Self {
        self.starts = starts;
        self
    }

    /// Goes over to other definitions between two records. What is remembered
    /// for the tables in `computed` comes from `part`, which has seen the same
    /// records under them.
    pub fn change(
        &mut self,
        sources: Arc<Sources>,
        starts: Starts,
        mut part: Option<Self>,
        computed: &BTreeSet<String>,
    ) {
        let is_there = |name: &String| {
            let mut tables = sources.tables.iter();
            tables.any(|table| table.definition.name == *name)
        };
        let old = self.sources.tables.iter();
        let old = old.map(|table| table.definition.name.clone());
        let leaving = old.filter(|name| computed.contains(name) || !is_there(name));
        for name in leaving {
            for memory in self.memory.values_mut() {
                memory.forget(&name);
            }
        }
        let seen = part.as_mut().map(|part| std::mem::take(&mut part.memory));
        for (id, mut theirs) in seen.into_iter().flatten() {
            let ours = self.memory.entry(id).or_default();
            for name in computed {
                ours.take(name, &mut theirs);
            }
            // Lines of a topic that was none of CSV before have a header by now.
            if let Some(header) = theirs.general.header.take() {
                ours.general.header = Some(header);
            }
        }
        self.sources = sources;
        self.starts = starts;
        self.tools.clear();
    }

    pub(crate) fn has_begun(&self, table: &Table, id: &PartitionId, offset: u64) -> bool {
        offset >= self.start_of(table, id)
    }

    pub(crate) fn start_of(&self, table: &Table, id: &PartitionId) -> u64 {
        let start = self.starts.get(&table.definition.name);
        let start = start.and_then(|start| start.end_offsets.get(id));
        start.copied().unwrap_or(0)
    }

    /// How many of `records` have the same tables as the first.
    fn alike(&self, id: &PartitionId, records: &[LogRecord]) -> usize {
        let Some(first) = records.first() else {
            return 0;
        };
        let tables = self.sources.tables.iter();
        let tables = tables.filter(|table| table.topic == id.topic);
        let starts = tables.map(|table| self.start_of(table, id));
        let next = starts.filter(|&start| start > first.offset).min();
        let end = next.unwrap_or(u64::MAX);
        records.partition_point(|record| record.offset < end)
    }

    /// Routes records of one partition, in order. Never fails: what is wrong
    /// becomes a dead letter.
    pub fn route(&mut self, id: &PartitionId, records: &[LogRecord]) -> Routed {
        let of_source = |record: &LogRecord| {
            !matches!(record.record.kind, RecordKind::Retry | RecordKind::Backfill)
        };
        let Some(first) = records.iter().position(|record| !of_source(record)) else {
            return self.route_new(id, records);
        };
        let mut routed = self.route_new(id, &records[..first]);
        let is_one_run = |one: &LogRecord, next: &LogRecord| match one.record.kind {
            RecordKind::Retry => false,
            RecordKind::Backfill => next.record.kind == RecordKind::Backfill,
            _ => of_source(next),
        };
        for run in records[first..].chunk_by(is_one_run) {
            routed.add(match run[0].record.kind {
                RecordKind::Retry => self.route_retry(id, &run[0]),
                RecordKind::Backfill => self.route_backfill(id, run),
                _ => self.route_new(id, run),
            });
        }
        routed
    }

    /// Routes records of the source.
    fn route_new(&mut self, id: &PartitionId, records: &[LogRecord]) -> Routed {
        let (now, mut later) = records.split_at(self.alike(id, records));
        let mut routed = self.route_alike(id, now);
        while !later.is_empty() {
            let (now, rest) = later.split_at(self.alike(id, later));
            routed.add(self.route_alike(id, now));
            later = rest;
        }
        routed
    }

    /// Routes records that have the same tables.
    fn route_alike(&mut self, id: &PartitionId, records: &[LogRecord]) -> Routed {
        let sources = self.sources.clone();
        let no_places = SlotPlan::default();
        let first = records.first().map_or(0, |record| record.offset);
        let tables: Vec<&Table> = sources
            .tables
            .iter()
            .filter(|table| table.topic == id.topic && self.has_begun(table, id, first))
            .collect();
        let topic = Topic {
            id,
            plan: sources.slot_plan(&id.topic).unwrap_or(&no_places),
            tables: &tables,
            delimiter: sources.csv_delimiter(&id.topic),
            messages: sources.messages.get(&id.topic).copied(),
            drops_unplaced: sources.drops_unplaced(&id.topic),
            left_out: sources.left_out.get().map(AsRef::as_ref),
        };
        let memory = self.memory.entry(id.clone()).or_default();
        let in_order = tables.iter().any(|table| table.has_last_values());
        let threads = match in_order || records.len() < PARALLEL_RECORDS_MIN {
            true => 1,
            false => self.threads,
        };
        let tools = self.tools.entry(id.topic.clone()).or_default();
        tools.resize_with(tools.len().max(threads), Tools::default);
        let names = memory.general.header.take();
        let width = names.as_ref().map_or(0, Vec::len);
        let header = Header::new(names, width, topic.plan);

        let mut ranges = match threads {
            1 => {
                let memory = in_order.then_some(&mut *memory);
                let reader = RowReader::new(&topic, header, &mut tools[0], memory);
                vec![reader.read(0, records)]
            }
            _ => read_ranges(&topic, &header, &mut tools[..threads], records),
        };
        memory.general.header = ranges.last_mut().and_then(|last| last.header.names.take());
        merge(&topic, memory, ranges, records)
    }

    /// How far event time has come in each table with event time, in
    /// microseconds: the least over the partitions that fill it and are not
    /// idle, of the greatest event time less the table's lateness. A partition
    /// without a row holds its table back.
    pub fn watermarks(&self, idle: &BTreeSet<PartitionId>) -> BTreeMap<String, i64> {
        let mut watermarks = BTreeMap::new();
        for table in &self.sources.tables {
            let partitions = self.sources.partitions_of(table);
            let awake = partitions.iter().filter(|id| !idle.contains(id));
            let greatest = awake.map(|id| {
                let event_times = &self.memory.get(id)?.general.event_times;
                event_times.get(&table.definition.name).copied()
            });
            if let Some(Some(least)) = greatest.min() {
                let watermark = least.saturating_sub(table.lateness_us);
                watermarks.insert(table.definition.name.clone(), watermark);
            }
        }
        watermarks
    }

    /// Whether all partitions that fill a table are idle, by table.
    pub fn idle_tables(&self, idle: &BTreeSet<PartitionId>) -> BTreeMap<String, bool> {
        let tables = self.sources.tables.iter();
        let is_idle = |table: &Table| {
            let partitions = self.sources.partitions_of(table);
            partitions.iter().all(|id| idle.contains(id))
        };
        tables
            .map(|table| (table.definition.name.clone(), is_idle(table)))
            .collect()
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
        Ok(Self::with_memory(sources, memory))
    }
}

/// Reads as many ranges of the records as there are tools, at the same time.
pub(crate) fn read_ranges<'a>(
    topic: &Topic<'a>,
    header: &Header,
    tools: &mut [Tools],
    records: &[LogRecord],
) -> Vec<ReadRange<'a>> {
    let length = records.len().div_ceil(tools.len());
    std::thread::scope(|scope| {
        let spawn = |(number, tools): (usize, _)| {
            let first = (number * length).min(records.len());
            let range = &records[first..(first + length).min(records.len())];
            let (before, delimiter) = (&records[..first], topic.delimiter);
            let header = Header::behind(header, before, delimiter, topic.plan);
            let reader = RowReader::new(topic, header, tools, None);
            scope.spawn(move || reader.read(first, range))
        };
        let handles: Vec<_> = tools.iter_mut().enumerate().map(spawn).collect();
        handles
            .into_iter()
            .map(|handle| match handle.join() {
                Ok(range) => range,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

/// Accepts rows in order and puts the ranges of each table together.
pub(crate) fn merge(
    topic: &Topic<'_>,
    memory: &mut PartitionMemory,
    ranges: Vec<ReadRange<'_>>,
    records: &[LogRecord],
) -> Routed {
    let mut routed = Routed::default();
    let mut letters = Letters::new(topic.id);
    let mut rows_of_ranges = Vec::with_capacity(ranges.len());
    for range in ranges {
        letters.letters.extend(range.letters.letters);
        rows_of_ranges.push(range.rows.into_iter());
    }
    for (number, table) in topic.tables.iter().enumerate() {
        let ranges: Vec<TableRows> = rows_of_ranges
            .iter_mut()
            .filter_map(Iterator::next)
            .collect();
        let mut acceptance = Acceptance::new(table, memory);
        let mut changes = Changes::new(table);
        for range in ranges {
            let taken = acceptance.decide(number, &range.candidates, records, &mut letters);
            changes.add(range, taken);
        }
        routed.duplicates += acceptance.duplicates;
        if let Some(greatest) = acceptance.greatest {
            let name = &table.definition.name;
            let event_times = &mut memory.general.event_times;
            event_times.insert(name.clone(), greatest);
            let watermark = greatest.saturating_sub(table.lateness_us);
            routed.watermarks.insert(name.clone(), watermark);
        }
        routed.changes.extend(changes.finish(topic.id));
    }
    // Each table's are in order; between tables the order of records counts.
    letters.letters.sort_by_key(|(place, _)| *place);
    routed.dead_letters = letters
        .letters
        .into_iter()
        .map(|(_, letter)| letter)
        .collect();
    routed
}
