//! How far the partitions of a cluster's topics were read.
//!
//! Each record holds how it moves the position (a step), so that reading goes
//! on behind the last record that is durable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The first byte of a step.
pub const STEP_MARK: u8 = 0x83;
const RECORD: u8 = 1;
const STATE: u8 = 2;

/// A step is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a position in Kafka's partitions {0}")]
pub struct BadStep(String);

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaPosition {
    /// Identity of the cluster; empty before the first connection.
    #[serde(default)]
    pub cluster: String,
    /// Offset of the next record, by topic and partition.
    #[serde(default)]
    pub next: BTreeMap<String, BTreeMap<i32, i64>>,
}

/// A change besides the records: where partitions begin that are new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateStep {
    /// Identity of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Topic, partition and offset of the next record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<(String, i32, i64)>,
}

impl KafkaPosition {
    /// Moves by the step of a record.
    ///
    /// # Errors
    /// When its bytes are not understood.
    pub fn apply(&mut self, step: &[u8]) -> Result<(), BadStep> {
        match step {
            [STEP_MARK, RECORD, rest @ ..] => {
                let short = || BadStep("ends too early".to_owned());
                let (partition, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
                let (next, topic) = rest.split_first_chunk::<8>().ok_or_else(short)?;
                let topic = std::str::from_utf8(topic);
                let topic = topic.map_err(|_| BadStep("names a topic in no UTF-8".to_owned()))?;
                self.set(
                    topic,
                    i32::from_be_bytes(*partition),
                    i64::from_be_bytes(*next),
                );
                Ok(())
            }
            [STEP_MARK, STATE, rest @ ..] => {
                let step: StateStep =
                    serde_json::from_slice(rest).map_err(|error| BadStep(error.to_string()))?;
                self.apply_state(&step);
                Ok(())
            }
            [STEP_MARK, form, ..] => Err(BadStep(format!("has the unknown form {form}"))),
            _ => Err(BadStep("does not begin as one".to_owned())),
        }
    }

    /// Moves by a step.
    pub fn apply_state(&mut self, step: &StateStep) {
        if !step.cluster.is_empty() {
            self.cluster.clone_from(&step.cluster);
        }
        for (topic, partition, next) in &step.next {
            self.set(topic, *partition, *next);
        }
    }

    /// Offset of the next record of a partition; `None` if it was never read.
    pub fn next_of(&self, topic: &str, partition: i32) -> Option<i64> {
        self.next.get(topic)?.get(&partition).copied()
    }

    pub(crate) fn set(&mut self, topic: &str, partition: i32, next: i64) {
        // Most records are of a topic that is known: no name is copied.
        match self.next.get_mut(topic) {
            Some(partitions) => {
                partitions.insert(partition, next);
            }
            None => {
                let partitions = BTreeMap::from([(partition, next)]);
                self.next.insert(topic.to_owned(), partitions);
            }
        }
    }
}

/// The step of a record: its partition goes on at `next`.
pub(crate) fn record_step(topic: &str, partition: i32, next: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(14 + topic.len());
    bytes.extend([STEP_MARK, RECORD]);
    bytes.extend(partition.to_be_bytes());
    bytes.extend(next.to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes
}

/// Topic, partition and offset of the record that has this step; `None` for
/// steps of anything else.
pub(crate) fn record_place(step: &[u8]) -> Option<(&str, i32, i64)> {
    let rest = step.strip_prefix(&[STEP_MARK, RECORD])?;
    let (partition, rest) = rest.split_first_chunk::<4>()?;
    let (next, topic) = rest.split_first_chunk::<8>()?;
    let offset = i64::from_be_bytes(*next).checked_sub(1)?;
    let topic = std::str::from_utf8(topic).ok()?;
    Some((topic, i32::from_be_bytes(*partition), offset))
}

/// The step of anything else.
pub(crate) fn state_step(step: &StateStep) -> Vec<u8> {
    let mut bytes = vec![STEP_MARK, STATE];
    // Names and numbers do not fail to be written.
    bytes.extend(serde_json::to_vec(step).unwrap_or_default());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_move_a_position_and_survive_as_json() {
        let mut position = KafkaPosition::default();
        let begin = StateStep {
            cluster: "c1".into(),
            next: vec![("orders".into(), 0, 5), ("orders".into(), 1, 0)],
        };
        position.apply(&state_step(&begin)).unwrap();
        position.apply(&record_step("orders", 0, 6)).unwrap();
        position.apply(&record_step("ärger", 3, 1)).unwrap();
        assert_eq!(position.cluster, "c1");
        assert_eq!(position.next_of("orders", 0), Some(6));
        assert_eq!(position.next_of("orders", 1), Some(0));
        assert_eq!(position.next_of("ärger", 3), Some(1));
        assert_eq!(position.next_of("orders", 2), None);
        let json = serde_json::to_string(&position).unwrap();
        let back: KafkaPosition = serde_json::from_str(&json).unwrap();
        assert_eq!(back, position);
        let bad: [&[u8]; 6] = [
            &[],
            &[STEP_MARK],
            &[STEP_MARK, 9],
            &[STEP_MARK, RECORD, 0, 0],
            &[STEP_MARK, STATE, b'{'],
            &[7, 1, 0, 0, 0, 0],
        ];
        for bad in bad {
            assert!(position.apply(bad).is_err(), "{bad:?}");
        }
        assert_eq!(back, position);
    }

    /// Steps are in every record of the log: their bytes must not change.
    #[test]
    fn the_bytes_of_steps_stay() {
        assert_eq!(
            record_step("ab", 258, 3),
            [0x83, 1, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, b'a', b'b']
        );
        let step = StateStep {
            next: vec![("t".into(), 1, 7)],
            ..StateStep::default()
        };
        assert_eq!(state_step(&step), b"\x83\x02{\"next\":[[\"t\",1,7]]}");
        let text = r#"{"cluster":"c","next":{"t":{"1":7}}}"#;
        let position: KafkaPosition = serde_json::from_str(text).unwrap();
        assert_eq!(position.next_of("t", 1), Some(7));
        assert_eq!(serde_json::to_string(&position).unwrap(), text);
    }
}
