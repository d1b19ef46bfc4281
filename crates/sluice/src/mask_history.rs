//! Since when values are masked. A mask holds for records from the start on that
//! brought it; those from before are in the log as they came, which nothing in
//! them tells. So the state remembers where each topic stood then.
//!
//! Format of `masks.since`: a framed file `SLUICEMS`, version 1, around JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sluice_core::{CodecError, PartitionId, RealDisk, read_framed_file, write_framed_file};
use sluice_log::Log;
use sluice_mask::{Action, TopicRules};

use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;

const MAGIC: &[u8; 8] = b"SLUICEMS";
const VERSION: u32 = 1;
/// The file in the state's folder.
pub const MASKED_SINCE_FILE: &str = "masks.since";
/// So many places are named in a warning.
const NAMED_MAX: usize = 5;

/// The end of each partition when a mask came that has records from before.
type Ends = BTreeMap<u32, u64>;

/// How much is done at each place of each topic, as [`strength`] says it.
type Masked = BTreeMap<String, BTreeMap<String, String>>;

/// The masks of each topic, by the place that they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskHistory {
    topics: BTreeMap<String, BTreeMap<String, Ends>>,
    /// Files of earlier programs do not say it.
    #[serde(default)]
    strengths: Masked,
}

fn path(state: &Path) -> PathBuf {
    state.join(MASKED_SINCE_FILE)
}

fn is_masked((_, action): &&(String, Action)) -> bool {
    *action != Action::Keep
}

/// The places that rules mask: fields, and columns of tables.
fn places(rules: &TopicRules) -> BTreeMap<String, String> {
    let fields = rules.fields.iter().filter(is_masked);
    let fields = fields.map(|(field, action)| (field.clone(), strength(action)));
    let columns = rules.tables.iter().flat_map(|(table, columns)| {
        let columns = columns.iter().filter(is_masked);
        columns.map(move |(column, action)| (format!("{table}.{column}"), strength(action)))
    });
    fields.chain(columns).collect()
}

/// A digit that grows with what is left out of a value. What leaves a part of it says
/// which one: of two parts nobody knows which is less.
fn strength(action: &Action) -> String {
    match action {
        Action::Keep => "0".to_owned(),
        Action::Truncate(_) | Action::Generalise(_) => format!("1 {action:?}"),
        Action::Hash | Action::Tokenise(_) | Action::Encrypt(_) => "2".to_owned(),
        Action::Drop => "3".to_owned(),
    }
}

fn is_stronger(now: &str, known: &str) -> bool {
    now != known && now.get(..1) >= known.get(..1)
}

fn masked_places(project: &Project) -> Masked {
    let rules = project.sources.masks().iter();
    let topics = rules.map(|(topic, rules)| (topic.clone(), places(rules)));
    topics.filter(|(_, places)| !places.is_empty()).collect()
}

impl MaskHistory {
    /// What the state remembers; `None` if it never did.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn read(state: &Path) -> Result<Option<Self>, Failure> {
        let path = path(state);
        if !path.exists() {
            return Ok(None);
        }
        let what = "reading since when values are masked";
        let payload = read_framed_file(&RealDisk, &path, MAGIC, VERSION).doing(what)?;
        let read = serde_json::from_slice(&payload).map_err(|error| CodecError::BadFile {
            path: path.display().to_string(),
            problem: error.to_string(),
        });
        Ok(Some(read.doing(what)?))
    }

    fn write(&self, state: &Path) -> Result<(), Failure> {
        let what = "remembering since when values are masked";
        let payload = serde_json::to_vec(self).doing(what)?;
        write_framed_file(&RealDisk, &path(state), MAGIC, VERSION, &payload).doing(what)
    }

    /// The history with the masks of now; `ends_of` tells where a topic's partitions
    /// end that have records. A mask that goes is forgotten: what comes without
    /// it is in clear. One that becomes stronger is a new one.
    fn with(&self, masked: &Masked, ends_of: impl Fn(&str) -> Ends) -> Self {
        let topics = masked.iter().map(|(topic, places)| {
            let places = places.iter().map(|(place, strength)| {
                let known = match self.is_new(topic, place, strength) {
                    true => None,
                    false => self.topics.get(topic).and_then(|known| known.get(place)),
                };
                let ends = known.cloned().unwrap_or_else(|| ends_of(topic));
                (place.clone(), ends)
            });
            (topic.clone(), places.collect())
        });
        Self {
            topics: topics.collect(),
            strengths: masked.clone(),
        }
    }

    /// Whether a mask of a place is not known, or was less.
    fn is_new(&self, topic: &str, place: &str, strength: &str) -> bool {
        let is_known = self
            .topics
            .get(topic)
            .is_some_and(|it| it.contains_key(place));
        let known = self.strengths.get(topic).and_then(|it| it.get(place));
        !is_known || known.is_some_and(|known| is_stronger(strength, known))
    }

    /// The places of each topic of which records from before the mask are in the log.
    fn in_clear(&self, start_of: impl Fn(&str, u32) -> u64) -> Vec<(&str, Vec<&str>)> {
        let topics = self.topics.iter().map(|(topic, places)| {
            let has_older = |ends: &Ends| {
                let mut ends = ends.iter();
                ends.any(|(&partition, &end)| start_of(topic, partition) < end)
            };
            let places = places.iter().filter(|(_, ends)| has_older(ends));
            let places = places.map(|(place, _)| place.as_str());
            (topic.as_str(), places.collect::<Vec<_>>())
        });
        topics.filter(|(_, places)| !places.is_empty()).collect()
    }

    /// The masks that came after a record, in words; `None` if none did.
    pub fn later_than(&self, id: &PartitionId, offset: u64) -> Option<String> {
        let places = self.topics.get(&id.topic)?.iter();
        let is_later = |ends: &Ends| ends.get(&id.partition).is_some_and(|&end| offset < end);
        let later = places.filter(|(_, ends)| is_later(ends));
        let later: Vec<&str> = later.map(|(place, _)| place.as_str()).collect();
        (!later.is_empty()).then(|| named(&later))
    }
}

/// Remembers the masks of now, and tells which of them came after records that are
/// in the log. Gives what is remembered. `had_keys` says that something was masked before.
///
/// # Errors
/// When the history is damaged or cannot be kept.
pub fn remember(
    project: &Project,
    state: &Path,
    log: &Log,
    had_keys: bool,
    reporter: Reporter,
) -> Result<MaskHistory, Failure> {
    let known = MaskHistory::read(state)?;
    let partitions = log.partitions();
    let ends_of = |topic: &str| -> Ends {
        // A state of an earlier program, or from a backup of one: since when its
        // masks hold is not known.
        if known.is_none() && had_keys {
            return Ends::new();
        }
        let of_topic = partitions.iter().filter(|id| id.topic == topic);
        let ends = of_topic.map(|id| (id.partition, log.end_offset(id)));
        ends.filter(|(_, end)| *end > 0).collect()
    };
    let before = known.clone().unwrap_or_default();
    let now = before.with(&masked_places(project), ends_of);
    if known.as_ref() != Some(&now) {
        now.write(state)?;
    }
    let start_of = |topic: &str, partition| {
        let topic = topic.to_owned();
        log.start_offset(&PartitionId { topic, partition })
    };
    for (topic, places) in now.in_clear(start_of) {
        reporter.warn(&format!(
            "topic `{topic}`: {} came after its first records, which are in clear, or masked less, in the log, in tables and in backups\n  help: to be rid of them begin with a new state, and remove the old one and its backups; see docs/privacy.md",
            named(&places)
        ));
    }
    Ok(now)
}

/// Tells which masks of a project its state does not know, and has records for.
///
/// # Errors
/// When the history is damaged.
pub fn tell_of_new_masks(
    project: &Project,
    state: &Path,
    reporter: Reporter,
) -> Result<(), Failure> {
    let Some(known) = MaskHistory::read(state)? else {
        return Ok(());
    };
    for (topic, places) in masked_places(project) {
        let new = places
            .iter()
            .filter(|(place, strength)| known.is_new(&topic, place, strength));
        let new: Vec<&str> = new.map(|(place, _)| place.as_str()).collect();
        if new.is_empty() || !state.join("log/topics").join(&topic).exists() {
            continue;
        }
        reporter.warn(&format!(
            "topic `{topic}`: {} comes after its first records: those that {} holds stay in clear, or masked less, in the log, in tables and in backups\n  help: to be rid of them begin with a new state, and remove the old one and its backups; see docs/privacy.md",
            named(&new),
            state.display()
        ));
    }
    Ok(())
}

/// `the mask of a`, or `the masks of a, b and 3 more`.
fn named(places: &[&str]) -> String {
    let word = match places.len() {
        1 => "the mask",
        _ => "the masks",
    };
    let shown: Vec<&str> = places.iter().copied().take(NAMED_MAX).collect();
    let more = match places.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{word} of {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked_as(places: &[(&str, Action)]) -> Masked {
        let places = places.iter();
        let places = places.map(|(place, action)| ((*place).to_owned(), strength(action)));
        BTreeMap::from([("t".to_owned(), places.collect())])
    }

    fn masked(places: &[&str]) -> Masked {
        let places: Vec<(&str, Action)> = places.iter().map(|it| (*it, Action::Hash)).collect();
        masked_as(&places)
    }

    #[test]
    fn a_mask_that_becomes_stronger_is_a_new_one() {
        let later = |known: Action, now: Action| {
            let before = MaskHistory::default().with(&masked_as(&[("/a", known)]), |_| Ends::new());
            let after = before.with(&masked_as(&[("/a", now)]), |_| Ends::from([(0, 10)]));
            let (topic, partition) = ("t".to_owned(), 0);
            let first = PartitionId { topic, partition };
            after.later_than(&first, 9).is_some()
        };
        assert!(later(Action::Truncate(3), Action::Hash));
        assert!(later(Action::Hash, Action::Drop));
        assert!(later(Action::Truncate(3), Action::Truncate(1)));
        assert!(!later(Action::Truncate(3), Action::Truncate(3)));
        assert!(!later(Action::Drop, Action::Hash));
        // A file of an earlier program does not say what was done.
        let old = r#"{"topics":{"t":{"/a":{}}}}"#;
        let old: MaskHistory = serde_json::from_str(old).unwrap();
        let now = old.with(&masked(&["/a"]), |_| Ends::from([(0, 10)]));
        assert!(now.in_clear(|_, _| 0).is_empty());
    }

    #[test]
    fn a_mask_that_comes_later_is_told_until_older_records_are_gone() {
        let empty = MaskHistory::default();
        let first = empty.with(&masked(&["/a"]), |_| Ends::new());
        assert!(first.in_clear(|_, _| 0).is_empty());
        let ends = |_: &str| Ends::from([(0, 10), (1, 5)]);
        let second = first.with(&masked(&["/a", "/b"]), ends);
        assert_eq!(second.in_clear(|_, _| 0), [("t", vec!["/b"])]);
        // It stays so at the next start, however much came since.
        let third = second.with(&masked(&["/a", "/b"]), |_| Ends::from([(0, 90)]));
        assert_eq!(third, second);
        let start = |_: &str, partition: u32| [10_u64, 4][partition as usize];
        assert_eq!(third.in_clear(start), [("t", vec!["/b"])]);
        assert!(third.in_clear(|_, _| 10).is_empty());
        let later = |topic: &str, partition, offset| {
            let topic = topic.to_owned();
            third.later_than(&PartitionId { topic, partition }, offset)
        };
        assert_eq!(later("t", 0, 9).as_deref(), Some("the mask of /b"));
        assert_eq!(later("t", 1, 4).as_deref(), Some("the mask of /b"));
        for (topic, partition, offset) in [("t", 0, 10), ("t", 1, 5), ("t", 2, 0), ("u", 0, 0)] {
            assert_eq!(later(topic, partition, offset), None);
        }
        // What came while it was away is in clear.
        let without = third.with(&masked(&["/a"]), ends);
        let again = without.with(&masked(&["/a", "/b"]), |_| Ends::from([(0, 99)]));
        assert_eq!(again.in_clear(|_, _| 98), [("t", vec!["/b"])]);
    }

    #[test]
    fn places_are_named_up_to_a_few() {
        assert_eq!(named(&["/a"]), "the mask of /a");
        let many = ["a", "b", "c", "d", "e", "f", "g"];
        assert_eq!(named(&many), "the masks of a, b, c, d, e and 2 more");
    }
}
