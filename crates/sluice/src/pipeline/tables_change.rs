//! What a change of `sources/*.toml` means for the rows that are there: which
//! tables are computed anew, from where in the log, and which dead letters are
//! others.
//!
//! A table whose rules changed is computed from the log as if they had always
//! held. So are the dead letters that speak of such tables, and those of records
//! that no table took, in the topics of these tables; others stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use sluice_core::{
    ChangeKind, DeadLetter, Delta, EpochCut, PartitionId, SourceVersion, TableChanges,
};
use sluice_log::Log;
use sluice_route::{Sources, SourcesChange, Starts};

use crate::dead_letters::DEAD_LETTERS;
use crate::failure::Failure;

/// See the module.
#[derive(Debug)]
pub(super) struct TablesChange {
    sources: Arc<Sources>,
    change: SourcesChange,
    /// Where tables begin, but for those of `beginning`.
    starts: Starts,
    /// Tables whose rows begin with the change.
    beginning: BTreeSet<String>,
    /// Partitions in which other records than before are without a table, with the
    /// first that may be.
    other_letters: BTreeMap<PartitionId, u64>,
}

impl TablesChange {
    /// The change from `old` to `new`. `old_starts` are the beginnings of tables
    /// before it, `given` those of new tables that begin at a place that is known.
    pub(super) fn new(
        old: &Sources,
        new: &Arc<Sources>,
        old_starts: &Starts,
        given: &Starts,
        log: &Log,
    ) -> Self {
        let change = SourcesChange::new(old, new);
        let mut beginning = change.beginning.clone();
        let mut starts = old_starts.clone();
        starts.retain(|name, _| new.begins_empty(name) && !beginning.contains(name));
        let given = given.iter().filter(|(name, _)| new.begins_empty(name));
        for (name, start) in given {
            // What began before keeps its beginning.
            if starts.contains_key(name) {
                continue;
            }
            beginning.remove(name);
            starts.insert(name.clone(), start.clone());
        }
        let mut other_letters: BTreeMap<PartitionId, u64> = BTreeMap::new();
        for id in log.partitions() {
            let topic = id.topic.as_str();
            let drops = old.drops_unplaced(topic) && new.drops_unplaced(topic);
            if drops && old.is_csv(topic) == new.is_csv(topic) {
                continue;
            }
            let is_left = change.gone.values().any(|left| left == topic)
                || change.other_unplaced.contains(topic)
                || (change.changed.iter()).any(|name| old.topic_of(name) == Some(topic));
            let computed = change.computed();
            let computed = computed.difference(&beginning);
            let computed = computed.filter(|name| new.topic_of(name) == Some(topic));
            let firsts = computed.map(|name| first_of(&starts, name, &id));
            let first = firsts.chain(is_left.then_some(0)).min();
            // Of what the log has no more, letters stay as they are.
            if let Some(first) = first.filter(|&first| log.start_offset(&id) <= first) {
                other_letters.insert(id, first);
            }
        }
        Self {
            other_letters,
            sources: new.clone(),
            change,
            starts,
            beginning,
        }
    }

    /// The new definitions.
    pub(super) fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// Tables whose rows are computed anew.
    pub(super) fn computed(&self) -> BTreeSet<String> {
        self.change.computed()
    }

    /// Tables that the views must take for new, dead letters among them.
    pub(super) fn other_rows(&self) -> BTreeSet<String> {
        let mut names = self.change.computed();
        if self.changes_letters() {
            names.insert(DEAD_LETTERS.to_owned());
        }
        names
    }

    /// Whether the rows of a table do not come from the log.
    pub(super) fn is_given(&self, table: &str) -> bool {
        self.beginning.contains(table) || (table == DEAD_LETTERS && self.changes_letters())
    }

    /// Whether any dead letters are others.
    pub(super) fn changes_letters(&self) -> bool {
        let only_beginning = self.change.new.is_subset(&self.beginning);
        let keeps_letters = only_beginning
            && self.change.changed.is_empty()
            && self.change.gone.is_empty()
            && self.other_letters.is_empty();
        !keeps_letters
    }

    /// Where the tables begin while the change is being computed: those that begin
    /// with it have no record yet.
    pub(super) fn starts_before(&self, log: &Log) -> Starts {
        let partitions = log.partitions();
        let never = partitions.into_iter().map(|id| (id, u64::MAX)).collect();
        let never = EpochCut {
            epoch: 0,
            end_offsets: never,
        };
        let beginning = self.beginning.iter();
        let beginning = beginning.map(|name| (name.clone(), never.clone()));
        self.starts.clone().into_iter().chain(beginning).collect()
    }

    /// Where the tables begin when the change takes effect with the epoch that
    /// ends at `cut`.
    pub(super) fn starts_at(&self, cut: &EpochCut) -> Starts {
        let beginning = self.beginning.iter().map(|name| {
            let topic = self.sources.topic_of(name);
            let mut start = cut.clone();
            start
                .end_offsets
                .retain(|id, _| topic == Some(id.topic.as_str()));
            (name.clone(), start)
        });
        self.starts.clone().into_iter().chain(beginning).collect()
    }

    /// The partitions that must be read again, each with its first record, to
    /// compute `tables` and the dead letters that are others.
    ///
    /// # Errors
    /// When the log does not have them any more.
    pub(super) fn ranges(
        &self,
        tables: &BTreeSet<String>,
        log: &Log,
    ) -> Result<BTreeMap<PartitionId, u64>, Failure> {
        let reads_all = tables.contains(DEAD_LETTERS) && !self.changes_letters();
        let mut ranges: BTreeMap<PartitionId, u64> = BTreeMap::new();
        for id in log.partitions() {
            let of_topic = tables.iter().filter(|name| {
                self.sources.topic_of(name) == Some(&id.topic) && !self.beginning.contains(*name)
            });
            let firsts = of_topic.map(|name| first_of(&self.starts, name, &id));
            let of_letters = self.other_letters.get(&id).copied();
            let first = firsts.chain(of_letters).min();
            let first = match first {
                _ if reads_all => Some(0),
                // Lines are read only behind their header.
                Some(_) if self.sources.is_csv(&id.topic) => Some(0),
                first => first,
            };
            let Some(first) = first else { continue };
            let start = log.start_offset(&id);
            if start > first {
                return Err(Failure::Failed(format!(
                    "the log of topic `{}` begins at record {start}: what came before was dropped by [log] retention, so that it cannot be computed again\n  help: take the change back; a new table with history = \"none\" begins now",
                    id.topic
                )));
            }
            ranges.insert(id, first);
        }
        Ok(ranges)
    }

    /// Whether the computation makes this letter anew.
    pub(super) fn makes_letter(&self, letter: &DeadLetter) -> bool {
        let partition = PartitionId {
            topic: letter.topic.clone(),
            partition: letter.partition,
        };
        self.is_other(&partition, letter.offset, &letter.table)
    }

    fn is_other(&self, partition: &PartitionId, offset: u64, table: &str) -> bool {
        match table {
            "" => {
                let first = self.other_letters.get(partition);
                first.is_some_and(|&first| offset >= first)
            }
            name => self.change.new.contains(name) || self.change.changed.contains(name),
        }
    }

    /// Those letters of `stored` that stay, as changes of a table without rows.
    ///
    /// # Errors
    /// When Arrow refuses the columns.
    pub(super) fn letters_that_stay(&self, stored: &Delta) -> Result<TableChanges, ArrowError> {
        let rows: &RecordBatch = stored.rows();
        let topics = rows.column(1).as_string::<i32>();
        let partitions: &Int64Array = rows.column(2).as_primitive::<Int64Type>();
        let offsets: &Int64Array = rows.column(3).as_primitive::<Int64Type>();
        let tables = rows.column(4).as_string::<i32>();
        let mut kept: Vec<u32> = Vec::new();
        for row in 0..rows.num_rows() {
            let (offset, table) = (offsets.value(row).unsigned_abs(), tables.value(row));
            let partition = PartitionId {
                topic: topics.value(row).to_owned(),
                partition: u32::try_from(partitions.value(row)).unwrap_or_default(),
            };
            if self.is_other(&partition, offset, table) || self.change.gone.contains_key(table) {
                continue;
            }
            for _ in 0..stored.weights()[row].max(0) {
                kept.push(row as u32);
            }
        }
        let version = |&row: &u32| SourceVersion {
            major: offsets.value(row as usize).unsigned_abs(),
            minor: 0,
        };
        Ok(TableChanges {
            table: DEAD_LETTERS.to_owned(),
            partition: PartitionId {
                topic: String::new(),
                partition: 0,
            },
            kinds: vec![ChangeKind::Insert; kept.len()],
            versions: kept.iter().map(version).collect(),
            rows: take_record_batch(rows, &UInt32Array::from(kept))?,
            key_changes: Vec::new(),
            before_rows: None,
            unchanged: Vec::new(),
        })
    }
}

/// The first record of a table in a partition.
fn first_of(starts: &Starts, table: &str, partition: &PartitionId) -> u64 {
    let start = starts.get(table);
    let start = start.and_then(|start| start.end_offsets.get(partition));
    start.copied().unwrap_or(0)
}
