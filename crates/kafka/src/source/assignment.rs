//! Which partitions are read, and from where on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{Consumer as _, RebalanceProtocol};
use sluice_core::{Record, RecordKind};
use sluice_mysql::batch::Batch;

use super::KafkaSource;
use crate::error::{KafkaSourceError, Problem};
use crate::listener::{End, Heard, Partition};
use crate::options::{KafkaOptions, Start};
use crate::partitions::{ANSWER_TIME, Begin, begin, committed, find, list};
use crate::position::{StateStep, state_step};
use crate::topic_settings::check_own_log;

/// Events in which the client tells why no broker answers, at most.
const REASONS: usize = 50;

impl KafkaSource {
    /// Looks for topics and partitions that are new.
    pub(super) fn look(&mut self, now_us: i64, batch: &mut Batch) -> Result<(), Problem> {
        let Some(consumer) = &self.consumer else {
            return Ok(());
        };
        let is_first = self.position.cluster.is_empty();
        let mut cluster = String::new();
        if !self.knows_cluster {
            let asked = consumer.client().fetch_cluster_id(ANSWER_TIME);
            let Some(asked) = asked else {
                // Nothing is assigned yet: what the client has to say are
                // reasons, not records.
                for _ in 0..REASONS {
                    drop(consumer.poll(Duration::ZERO));
                }
                return Err(Problem::Later(self.unanswered()));
            };
            cluster = asked;
            if !is_first && cluster != self.position.cluster {
                return Err(KafkaSourceError::OtherCluster {
                    name: self.options.name.clone(),
                    known: self.position.cluster.clone(),
                    found: cluster,
                }
                .into());
            }
        }
        let found = find(consumer, &self.options).map_err(|problem| match problem {
            Problem::Later(problem) => {
                let reason = self.listener.take_reason();
                Problem::Later(reason.unwrap_or(problem))
            }
            never => never,
        })?;
        for name in &found.missing {
            if !self.missing.contains(name) {
                let warning = format!("{}: there is no topic `{name}` yet", self.options.name);
                batch.warnings.push(warning);
            }
        }
        self.missing = found.missing;
        let looked = look_at_own_logs(&self.options, &mut self.checked, &found.partitions);
        batch.warnings.extend(looked?);
        if self.options.is_group_assigned {
            let topics = found.partitions.into_iter().map(|(topic, _)| topic);
            let topics: BTreeSet<String> = topics.collect();
            if topics != self.subscribed && !topics.is_empty() {
                let names: Vec<&str> = topics.iter().map(String::as_str).collect();
                consumer.subscribe(&names)?;
                self.subscribed = topics;
            }
            if is_first {
                let step = StateStep {
                    cluster,
                    ..StateStep::default()
                };
                self.move_to(step, now_us, batch);
            }
        } else {
            let news = found.partitions.difference(&self.assigned);
            let news: Vec<Partition> = news.cloned().collect();
            // Later ones are read from their first record: nothing that came
            // before they were found is left out.
            let start = match is_first {
                true => self.options.start,
                false => Start::Earliest,
            };
            self.assign(news, &BTreeMap::new(), start, cluster, now_us, batch)?;
        }
        self.knows_cluster = true;
        self.has_looked = true;
        Ok(())
    }

    fn unanswered(&self) -> String {
        let servers = self.options.servers.join(", ");
        match self.listener.take_reason() {
            Some(reason) => format!("no broker of {servers} answers: {reason}"),
            None => format!("no broker of {servers} answers"),
        }
    }

    /// Begins to read partitions.
    fn assign(
        &mut self,
        partitions: Vec<Partition>,
        committed: &BTreeMap<Partition, i64>,
        start: Start,
        cluster: String,
        now_us: i64,
        batch: &mut Batch,
    ) -> Result<(), Problem> {
        let Some(consumer) = &self.consumer else {
            return Ok(());
        };
        let mut begins = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let committed = committed.get(&partition).copied();
            let (options, position) = (&self.options, &self.position);
            // A partition that comes to a topic is read from its first record.
            let start = match position.next.contains_key(&partition.0) {
                true => Start::Earliest,
                false => start,
            };
            let found = begin(consumer, options, position, &partition, committed, start)?;
            begins.push((partition, found));
        }
        let offsets = begins.iter().map(|(it, begin)| (it, begin.offset()));
        let list = list(offsets)?;
        let is_eager = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Eager);
        match is_eager {
            true => consumer.assign(&list)?,
            false if begins.is_empty() => {}
            false => consumer.incremental_assign(&list)?,
        }
        let mut step = StateStep {
            cluster: match self.position.cluster.is_empty() {
                true => cluster,
                false => String::new(),
            },
            ..StateStep::default()
        };
        for (partition, begin) in begins {
            let (topic, number) = &partition;
            match begin {
                Begin::Known(_) => {}
                Begin::New(offset) => step.next.push((topic.clone(), *number, offset)),
                Begin::BehindGap { wanted, earliest } => {
                    step.next.push((topic.clone(), *number, earliest));
                    batch.warnings.push(format!(
                        "{}: {} records of partition {number} of topic `{topic}` were deleted before they were read; it goes on at offset {earliest}",
                        self.options.name,
                        earliest - wanted
                    ));
                }
            }
            self.assigned.insert(partition);
        }
        self.ends = None;
        if step != StateStep::default() {
            self.move_to(step, now_us, batch);
        }
        Ok(())
    }

    /// Moves the position without a record.
    fn move_to(&mut self, step: StateStep, now_us: i64, batch: &mut Batch) {
        self.position.apply_state(&step);
        batch.records.push(Record {
            kind: RecordKind::Position,
            payload: Bytes::new(),
            capture_time_us: now_us,
            position: Bytes::from(state_step(&step)),
            transaction: None,
        });
    }

    /// Takes in what the client told besides records.
    pub(super) fn hear(&mut self, now_us: i64, batch: &mut Batch) {
        let Heard {
            ends, given, taken, ..
        } = self.listener.take();
        for partition in &taken {
            self.assigned.remove(partition);
        }
        if !taken.is_empty() {
            let name = &self.options.name;
            let note = format!("{name}: the group took {} partitions", taken.len());
            batch.notes.push(note);
        }
        self.given.retain(|partition| !taken.contains(partition));
        self.given.extend(given);
        if let Some(ends) = ends {
            let position = &self.position;
            let unread = self.assigned.iter().map(|partition| {
                let next = position.next_of(&partition.0, partition.1).unwrap_or(0);
                match ends.get(partition) {
                    Some(end) if !end.is_reached() => end.ls_offset.saturating_sub(next).max(0),
                    _ => 0,
                }
            });
            self.unread = unread.sum::<i64>().unsigned_abs();
            // Records that came behind them are not in them.
            if batch.records.is_empty() {
                self.pass_over_marks(&ends, now_us, batch);
                self.ends = Some(ends);
            }
        }
    }

    /// Moves to the ends behind which there is nothing to read: what stands
    /// between the last record and the end are marks of transactions and
    /// records that were taken back. Where they are deleted later, nothing is
    /// missing.
    fn pass_over_marks(&mut self, ends: &BTreeMap<Partition, End>, now_us: i64, batch: &mut Batch) {
        let mut step = StateStep::default();
        for (topic, partition) in &self.assigned {
            let end = ends.get(&(topic.clone(), *partition));
            let Some(end) = end.filter(|end| end.is_reached()) else {
                continue;
            };
            let next = self.position.next_of(topic, *partition);
            if next.is_some_and(|next| next < end.eof_offset) {
                step.next.push((topic.clone(), *partition, end.eof_offset));
            }
        }
        if !step.next.is_empty() {
            self.move_to(step, now_us, batch);
        }
    }

    /// Begins to read what the group gave.
    pub(super) fn take_given(&mut self, now_us: i64, batch: &mut Batch) -> Result<(), Problem> {
        let Some(consumer) = &self.consumer else {
            return Ok(());
        };
        let given: Vec<Partition> = self.given.clone();
        let unknown: Vec<Partition> = given
            .iter()
            .filter(|(topic, partition)| self.position.next_of(topic, *partition).is_none())
            .cloned()
            .collect();
        let known = match unknown.is_empty() {
            true => BTreeMap::new(),
            false => committed(consumer, &unknown)?,
        };
        let count = given.len();
        let start = self.options.start;
        self.assign(given, &known, start, String::new(), now_us, batch)?;
        self.given.clear();
        let name = &self.options.name;
        batch
            .notes
            .push(format!("{name}: the group gave {count} partitions"));
        Ok(())
    }
}

/// Looks once at each topic that is to be its own log. Gives what a person should
/// know of them.
fn look_at_own_logs(
    options: &KafkaOptions,
    checked: &mut BTreeSet<String>,
    found: &BTreeSet<Partition>,
) -> Result<Vec<String>, Problem> {
    if !options.own_log {
        return Ok(Vec::new());
    }
    let topics: BTreeSet<&String> = found.iter().map(|(topic, _)| topic).collect();
    let news: Vec<&str> = topics
        .into_iter()
        .filter(|topic| !checked.contains(*topic))
        .map(String::as_str)
        .collect();
    if news.is_empty() {
        return Ok(Vec::new());
    }
    let warnings = check_own_log(options, &news)?;
    checked.extend(news.into_iter().map(str::to_owned));
    Ok(warnings)
}
