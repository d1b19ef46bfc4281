//! What the router remembers of one partition, and its saved form: parts by
//! name, of which a checkpoint writes those that changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sluice_core::PartitionId;

use crate::backfill::BackfilledRows;
use crate::dedup::{Bucket, DedupMemory};
use crate::definition::Table;
use crate::last_values::LastValues;
use crate::retry::{Tried, TriedRecords};
use crate::router::{RouteError, RouterCheckpoint};

/// Version of the saved state.
const STATE_VERSION: u32 = 2;
/// The same with records that were tried again, which a program that knows only
/// the one before would forget.
const TRIED_VERSION: u32 = 3;
/// The same with rows of exports, in the same way.
const BACKFILLED_VERSION: u32 = 4;
pub(crate) const GENERAL_PART: &str = "general";
const DEDUP_PREFIX: &str = "dedup";
const LAST_PREFIX: &str = "last";

/// The small part of the memory, saved whole.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct GeneralMemory {
    /// Names of the columns of the file that is being read.
    pub(crate) header: Option<Vec<String>>,
    /// Greatest accepted event time by table.
    pub(crate) event_times: BTreeMap<String, i64>,
    /// What came of records that were tried again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tried: TriedRecords,
    /// Which rows of exports came.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) backfilled: BackfilledRows,
}

/// See the module. Acceptance is decided from earlier records of the same
/// partition alone.
#[derive(Debug, Default)]
pub(crate) struct PartitionMemory {
    pub(crate) general: GeneralMemory,
    /// By table.
    dedup: BTreeMap<String, DedupMemory>,
    /// By table and column.
    last: BTreeMap<(String, String), LastValues>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedGeneral {
    version: u32,
    partitions: Vec<(PartitionId, GeneralMemory)>,
}

impl PartitionMemory {
    /// The keys of a table that were seen; `None` if it declares no key.
    pub(crate) fn dedup(&mut self, table: &Table) -> Option<&mut DedupMemory> {
        let dedup = table.dedup.as_ref()?;
        let name = &table.definition.name;
        if !self.dedup.contains_key(name) {
            let memory = DedupMemory::new(dedup.horizon_us);
            self.dedup.insert(name.clone(), memory);
        }
        self.dedup.get_mut(name)
    }

    /// Forgets what was remembered for a table.
    pub(crate) fn forget(&mut self, table: &str) {
        self.general.event_times.remove(table);
        self.general.tried.remove(table);
        self.general.backfilled.remove(table);
        self.dedup.remove(table);
        self.last.retain(|(known, _), _| known != table);
    }

    /// Takes over what `other` remembers for a table.
    pub(crate) fn take(&mut self, table: &str, other: &mut Self) {
        self.forget(table);
        let event_time = other.general.event_times.remove(table);
        let event_times = &mut self.general.event_times;
        event_times.extend(event_time.map(|time| (table.to_owned(), time)));
        let tried = other.general.tried.remove_entry(table);
        self.general.tried.extend(tried);
        let backfilled = other.general.backfilled.remove_entry(table);
        self.general.backfilled.extend(backfilled);
        let dedup = other.dedup.remove_entry(table);
        self.dedup.extend(dedup);
        let last = std::mem::take(&mut other.last);
        let (ours, others) = last.into_iter().partition(|((of, _), _)| of == table);
        other.last = others;
        let ours: BTreeMap<(String, String), LastValues> = ours;
        self.last.extend(ours);
    }

    /// Notes what came of a record that was tried again.
    pub(crate) fn note_tried(&mut self, table: &str, offset: u64, tried: Tried) {
        let of_table = self.general.tried.entry(table.to_owned()).or_default();
        of_table.insert(offset, tried);
    }

    pub(crate) fn last(&mut self, table: &str, column: &str) -> &mut LastValues {
        let key = (table.to_owned(), column.to_owned());
        self.last.entry(key).or_default()
    }
}

/// Part names hold what they are for, apart by line breaks, which no name has.
fn part_name(prefix: &str, id: &PartitionId, rest: &[&str]) -> String {
    let mut name = format!("{prefix}\n{}\n{}", id.topic, id.partition);
    for part in rest {
        name.push('\n');
        name.push_str(part);
    }
    name
}

/// What changed in `memory` since the last call.
pub(crate) fn save(memory: &mut BTreeMap<PartitionId, PartitionMemory>) -> RouterCheckpoint {
    let mut changed = BTreeMap::new();
    let mut live = BTreeSet::new();
    let has_tried = memory.values().any(|it| !it.general.tried.is_empty());
    let has_backfilled = memory.values().any(|it| !it.general.backfilled.is_empty());
    let general = SavedGeneral {
        version: match (has_backfilled, has_tried) {
            (true, _) => BACKFILLED_VERSION,
            (false, true) => TRIED_VERSION,
            (false, false) => STATE_VERSION,
        },
        partitions: memory
            .iter()
            .map(|(id, memory)| (id.clone(), memory.general.clone()))
            .collect(),
    };
    // Maps with text keys, lists and numbers always have a JSON form.
    let general = serde_json::to_vec(&general).unwrap_or_default();
    changed.insert(GENERAL_PART.to_owned(), general);
    for (id, memory) in memory {
        for (table, dedup) in &mut memory.dedup {
            let name = |(time, number): &Bucket| {
                part_name(DEDUP_PREFIX, id, &[table, &format!("{time} {number}")])
            };
            let (parts, buckets) = dedup.save();
            live.extend(buckets.iter().map(name));
            changed.extend(
                parts
                    .into_iter()
                    .map(|(bucket, bytes)| (name(&bucket), bytes)),
            );
        }
        for ((table, column), last) in &mut memory.last {
            let name = part_name(LAST_PREFIX, id, &[table, column]);
            live.insert(name.clone());
            changed.extend(last.save().map(|bytes| (name, bytes)));
        }
    }
    live.extend(changed.keys().cloned());
    RouterCheckpoint { changed, live }
}

/// The memory that was saved in `parts`.
pub(crate) fn load(
    tables: &[Table],
    parts: &BTreeMap<String, Vec<u8>>,
) -> Result<BTreeMap<PartitionId, PartitionMemory>, RouteError> {
    let general = parts.get(GENERAL_PART).map_or(&[][..], Vec::as_slice);
    let general: SavedGeneral = serde_json::from_slice(general)?;
    let is_known = matches!(
        general.version,
        STATE_VERSION | TRIED_VERSION | BACKFILLED_VERSION
    );
    if !is_known {
        return Err(RouteError::Version {
            found: general.version,
            expected: BACKFILLED_VERSION,
        });
    }
    let mut memory: BTreeMap<PartitionId, PartitionMemory> = BTreeMap::new();
    for (id, general) in general.partitions {
        memory.entry(id).or_default().general = general;
    }
    for (name, bytes) in parts {
        let damaged = |problem: &str| RouteError::BadPart {
            part: name.clone(),
            problem: problem.to_owned(),
        };
        let fields: Vec<&str> = name.split('\n').collect();
        let &[prefix, topic, partition, table, last] = &fields[..] else {
            if name == GENERAL_PART {
                continue;
            }
            return Err(damaged("its name is not understood"));
        };
        let id = PartitionId {
            topic: topic.to_owned(),
            partition: partition
                .parse()
                .map_err(|_| damaged("its name has no partition"))?,
        };
        let memory = memory.entry(id).or_default();
        let definition = tables.iter().find(|known| known.definition.name == table);
        match (prefix, definition) {
            (DEDUP_PREFIX, Some(definition)) => {
                let bucket = parse_bucket(last).ok_or(damaged("its name has no bucket"))?;
                if let Some(dedup) = memory.dedup(definition) {
                    let loaded = dedup.load(bucket, bytes);
                    loaded.map_err(|error| damaged(&error.to_string()))?;
                }
            }
            (LAST_PREFIX, Some(_)) => {
                let values = LastValues::load(bytes);
                let values = values.map_err(|error| damaged(&error.to_string()))?;
                memory
                    .last
                    .insert((table.to_owned(), last.to_owned()), values);
            }
            (_, Some(_)) => return Err(damaged("its name is not understood")),
            (_, None) => return Err(damaged("there is no such table")),
        }
    }
    Ok(memory)
}

fn parse_bucket(text: &str) -> Option<Bucket> {
    let (time, number) = text.split_once(' ')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}
