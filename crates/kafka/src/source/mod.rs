//! The source: what brokers have, behind what is durable.

mod assignment;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use sluice_core::Clock;
use sluice_mysql::batch::Batch;

use crate::error::{KafkaSourceError, Problem};
use crate::format::Formats;
use crate::listener::{End, Listener, Partition};
use crate::options::KafkaOptions;
use crate::partitions::list;
use crate::position::KafkaPosition;

/// Time between two reports to the group.
const COMMIT_INTERVAL_US: i64 = 1_000_000;
const BACK_OFF_MIN_US: i64 = 500_000;
const BACK_OFF_MAX_US: i64 = 10_000_000;
/// A partition may seem shorter than it is while brokers come up again.
const SHORTER_US_MAX: i64 = 30_000_000;

/// See the module.
pub struct KafkaSource {
    options: KafkaOptions,
    clock: Arc<dyn Clock>,
    listener: Listener,
    formats: Formats,
    consumer: Option<BaseConsumer<Listener>>,
    /// Behind what was given.
    position: KafkaPosition,
    /// Partitions that are being read.
    assigned: BTreeSet<Partition>,
    /// Partitions that the group gave and that are not read yet.
    given: Vec<Partition>,
    /// Topics that the group was asked for.
    subscribed: BTreeSet<String>,
    /// Whether the cluster is the one of the position.
    knows_cluster: bool,
    /// Whether topics and partitions were looked up.
    has_looked: bool,
    /// A record that could not be given yet.
    held: Option<OwnedMessage>,
    /// What the client knows of ends; `None` since the last record.
    ends: Option<BTreeMap<Partition, End>>,
    unread: u64,
    look_us: i64,
    /// What time it was last.
    polled_us: i64,
    failures: u32,
    committed_us: i64,
    committed: KafkaPosition,
    shorter_since_us: Option<i64>,
    /// What was warned about last.
    trouble: Option<String>,
    /// Topics that were said to be missing.
    missing: Vec<String>,
    /// Topics that may be their own log.
    checked: BTreeSet<String>,
}

impl std::fmt::Debug for KafkaSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("KafkaSource")
            .field("name", &self.options.name)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl KafkaSource {
    /// A source that goes on at `position`.
    pub fn new(options: KafkaOptions, clock: Arc<dyn Clock>, position: KafkaPosition) -> Self {
        Self {
            formats: Formats::new(&options),
            options,
            clock,
            listener: Listener::default(),
            consumer: None,
            committed: position.clone(),
            position,
            assigned: BTreeSet::new(),
            given: Vec::new(),
            subscribed: BTreeSet::new(),
            knows_cluster: false,
            has_looked: false,
            held: None,
            ends: None,
            unread: 0,
            look_us: i64::MIN,
            polled_us: i64::MIN,
            failures: 0,
            committed_us: i64::MIN,
            shorter_since_us: None,
            trouble: None,
            missing: Vec::new(),
            checked: BTreeSet::new(),
        }
    }

    /// Why the brokers do not answer, while they do not.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Records that the brokers had at the last look and that were not given.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// Where reading goes on.
    pub fn position(&self) -> &KafkaPosition {
        &self.position
    }

    /// Takes what the brokers have; waits a little if they have nothing. All
    /// records that were given before must be durable: the group is told so.
    ///
    /// # Errors
    /// When trying again does not help.
    pub fn poll(&mut self) -> Result<Batch, KafkaSourceError> {
        let now_us = self.clock.now_us();
        self.follow_clock(now_us);
        let mut batch = Batch::default();
        let outcome = self.step(now_us, &mut batch);
        match outcome {
            Ok(()) => {}
            Err(Problem::Never(error)) => self.endure(*error, now_us, &mut batch)?,
            Err(Problem::Later(problem)) => self.fail(problem, now_us, &mut batch),
        }
        batch.at_end = batch.records.is_empty() && self.is_at_end();
        Ok(batch)
    }

    /// A clock that was set back puts nothing off that is due.
    fn follow_clock(&mut self, now_us: i64) {
        let back_us = self.polled_us.saturating_sub(now_us).max(0);
        self.polled_us = now_us;
        self.look_us = self.look_us.saturating_sub(back_us);
        self.committed_us = self.committed_us.saturating_sub(back_us);
        let since_us = self.shorter_since_us;
        self.shorter_since_us = since_us.map(|since_us| since_us.saturating_sub(back_us));
    }

    /// A partition that seems too short may only be a broker that comes up.
    fn endure(
        &mut self,
        error: KafkaSourceError,
        now_us: i64,
        batch: &mut Batch,
    ) -> Result<(), KafkaSourceError> {
        let since_us = *self.shorter_since_us.get_or_insert(now_us);
        let is_shorter = matches!(error, KafkaSourceError::PartitionShorter { .. });
        if !is_shorter || now_us - since_us > SHORTER_US_MAX {
            return Err(error);
        }
        self.fail(error.to_string(), now_us, batch);
        Ok(())
    }

    /// Warns once, and looks again later.
    fn fail(&mut self, problem: String, now_us: i64, batch: &mut Batch) {
        let name = &self.options.name;
        if self.trouble.is_none() {
            batch
                .warnings
                .push(format!("{name}: {problem}; trying again"));
        }
        // What the client says meanwhile does not put the next look off.
        if self.trouble.is_none() || now_us >= self.look_us {
            let doubled = BACK_OFF_MIN_US.saturating_mul(1 << self.failures.min(16));
            self.failures += 1;
            self.look_us = now_us.saturating_add(doubled.min(BACK_OFF_MAX_US));
        }
        self.trouble = Some(problem);
    }

    /// The brokers answer.
    fn recover(&mut self, batch: &mut Batch) {
        self.failures = 0;
        self.listener.take_reason();
        if self.trouble.take().is_some() {
            let name = &self.options.name;
            batch
                .notes
                .push(format!("{name}: the brokers answer again"));
        }
    }

    fn step(&mut self, now_us: i64, batch: &mut Batch) -> Result<(), Problem> {
        if self.consumer.is_none() {
            let config = self.options.config();
            let made = config.create_with_context(self.listener.clone());
            let refused = |error: KafkaError| KafkaSourceError::Settings {
                name: self.options.name.clone(),
                problem: error.to_string(),
            };
            self.consumer = Some(made.map_err(refused)?);
        }
        self.commit(now_us);
        if now_us >= self.look_us {
            let looked = self.look(now_us, batch);
            // A look that finds what the group gave does not begin to read it.
            if looked.is_err() || self.given.is_empty() {
                self.note_length(&looked);
            }
            looked?;
            self.look_us = now_us.saturating_add(self.options.discovery_us);
            self.recover(batch);
        }
        self.read(now_us, batch)?;
        if self.trouble.is_some() && !batch.records.is_empty() {
            self.look_us = now_us;
        }
        self.hear(now_us, batch);
        if !self.given.is_empty() && self.trouble.is_none() {
            let taken = self.take_given(now_us, batch);
            self.note_length(&taken);
            taken?;
        }
        Ok(())
    }

    /// Partitions are as long as they were, or nobody answered how long they are:
    /// whatever seemed shorter before does so no more.
    fn note_length(&mut self, looked: &Result<(), Problem>) {
        if !matches!(looked, Err(Problem::Never(_))) {
            self.shorter_since_us = None;
        }
    }

    /// Tells the group what is durable. That is only information: a report
    /// that is lost is followed by another one.
    fn commit(&mut self, now_us: i64) {
        let is_time = now_us.saturating_sub(self.committed_us) >= COMMIT_INTERVAL_US;
        if self.options.group.is_none() || !is_time || self.committed == self.position {
            return;
        }
        let Some(consumer) = &self.consumer else {
            return;
        };
        self.committed_us = now_us;
        let position = &self.position;
        let moved = self.assigned.iter().filter_map(|partition| {
            let next = position.next_of(&partition.0, partition.1)?;
            Some((partition, next))
        });
        let told = list(moved).map(|list| consumer.commit(&list, CommitMode::Async));
        if matches!(told, Ok(Ok(()))) {
            self.committed = self.position.clone();
        }
    }

    /// Whether all that the brokers had was given.
    fn is_at_end(&self) -> bool {
        if self.trouble.is_some() || !self.has_looked || self.held.is_some() {
            return false;
        }
        if self.assigned.is_empty() {
            return self.given.is_empty();
        }
        let Some(ends) = &self.ends else {
            return false;
        };
        let mut assigned = self.assigned.iter();
        assigned.all(|partition| ends.get(partition).is_some_and(End::is_reached))
    }
}
