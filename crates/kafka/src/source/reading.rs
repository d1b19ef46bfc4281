//! Records, one after another.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use sluice_mysql::batch::Batch;

use super::KafkaSource;
use crate::error::{KafkaSourceError, Problem, is_damage, words};
use crate::listener::{Listener, Partition};
use crate::record::record;

/// How long a look waits for the first record.
const RECORD_TIME: Duration = Duration::from_millis(20);
/// Bytes and records of one batch, about.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_RECORDS: usize = 20_000;
/// What the client says when the log of a new leader ends, in the epoch of the last
/// record that was read, before that record. (KIP-320)
const TRUNCATED: &str = "log truncation detected";

impl KafkaSource {
    /// Takes records that are there.
    pub(super) fn read(&mut self, now_us: i64, batch: &mut Batch) -> Result<(), Problem> {
        if let Some(held) = self.held.take()
            && let Err(problem) = self.take(&held, now_us, batch)
        {
            self.held = Some(held);
            return Err(problem);
        }
        let Some(consumer) = self.consumer.take() else {
            return Ok(());
        };
        let outcome = self.read_from(&consumer, now_us, batch);
        self.consumer = Some(consumer);
        outcome
    }

    fn read_from(
        &mut self,
        consumer: &BaseConsumer<Listener>,
        now_us: i64,
        batch: &mut Batch,
    ) -> Result<(), Problem> {
        let mut bytes = 0;
        let mut time = match batch.records.is_empty() {
            true => RECORD_TIME,
            false => Duration::ZERO,
        };
        while bytes < BATCH_BYTES && batch.records.len() < BATCH_RECORDS {
            let Some(polled) = consumer.poll(time) else {
                return Ok(());
            };
            match polled {
                Ok(message) => {
                    bytes += message.payload_len() + message.key_len();
                    if let Err(problem) = self.take(&message, now_us, batch) {
                        self.held = Some(message.detach());
                        return Err(problem);
                    }
                    time = Duration::ZERO;
                }
                Err(KafkaError::PartitionEOF(_)) => {}
                // Without a group its coordinator is nobody that is needed.
                Err(KafkaError::MessageConsumption(RDKafkaErrorCode::GroupAuthorizationFailed))
                    if self.options.group.is_none() => {}
                Err(error) => return Err(self.refused(consumer, error)),
            }
        }
        Ok(())
    }

    /// What is to be done about an error of the client.
    fn refused(&mut self, consumer: &BaseConsumer<Listener>, error: KafkaError) -> Problem {
        let code = error.rdkafka_error_code();
        let reason = self.listener.take_reason();
        let reason = reason.unwrap_or_else(|| words(&error));
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) || code.is_some_and(is_damage) {
            return Problem::Never(Box::new(KafkaSourceError::Damaged {
                name: self.options.name.clone(),
                problem: reason,
            }));
        }
        let is_reset = code == Some(RDKafkaErrorCode::AutoOffsetReset);
        // A look at the ends would not find it: the log may be longer by now.
        if is_reset && reason.contains(TRUNCATED) {
            return Problem::Never(Box::new(self.truncated(reason)));
        }
        if is_reset {
            // The partition, whichever it is, stands still. All are looked up
            // anew, which tells what is gone.
            let left = std::mem::take(&mut self.assigned);
            if self.options.is_group_assigned {
                self.given.extend(left);
            }
            self.look_us = i64::MIN;
            let protocol = consumer.rebalance_protocol();
            let is_cooperative = matches!(protocol, RebalanceProtocol::Cooperative);
            let unassigned = match is_cooperative {
                true => consumer
                    .assignment()
                    .and_then(|all| consumer.incremental_unassign(&all)),
                false => consumer.unassign(),
            };
            if let Err(error) = unassigned {
                return error.into();
            }
        }
        Problem::Later(reason)
    }

    /// The error of a log that was cut back. Which partition it is the client says by
    /// its offset alone.
    fn truncated(&self, problem: String) -> KafkaSourceError {
        let offset = first_offset(&problem);
        let in_words =
            |(topic, partition): &Partition| format!("partition {partition} of topic `{topic}`");
        let stands_there = |(topic, partition): &&Partition| {
            offset.is_some() && self.position.next_of(topic, *partition) == offset
        };
        let there = self.assigned.iter().filter(stands_there);
        let mut places: Vec<String> = there.map(in_words).collect();
        if places.is_empty() {
            places = self.assigned.iter().map(in_words).collect();
        }
        KafkaSourceError::Truncated {
            name: self.options.name.clone(),
            place: places.join(" or "),
            problem,
        }
    }

    fn take<M: Message>(
        &mut self,
        message: &M,
        now_us: i64,
        batch: &mut Batch,
    ) -> Result<(), Problem> {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        // What was given is never given again, whatever the client does.
        let next = self.position.next_of(topic, partition);
        if next.is_some_and(|next| offset < next) {
            return Ok(());
        }
        let made = record(message, &mut self.formats, self.options.include, now_us);
        batch.records.push(made.map_err(Problem::Later)?);
        self.position.set(topic, partition, offset + 1);
        self.ends = None;
        Ok(())
    }
}

/// The first offset in a message of the client: `offset 7 (leader epoch 3)`.
fn first_offset(message: &str) -> Option<i64> {
    let mut behind = message.split("offset ").skip(1);
    behind.find_map(|rest| rest.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rdkafka::client::ClientContext as _;
    use sluice_core::SystemClock;

    use super::*;
    use crate::options::{Include, KafkaOptions, KeyFormat, Start, Tls, ValueFormat};
    use crate::position::KafkaPosition;
    use crate::topics::TopicFilter;

    /// A source that reads four partitions, and never reaches a broker.
    fn source() -> KafkaSource {
        let options = KafkaOptions {
            name: "shop".into(),
            servers: vec!["127.0.0.1:1".into()],
            topics: TopicFilter::new(&["orders".to_owned(), "visits".to_owned()]).unwrap(),
            partitions: Vec::new(),
            group: None,
            is_group_assigned: false,
            start: Start::Earliest,
            accepts_gaps: false,
            own_log: false,
            include: Include::default(),
            format: ValueFormat::Json,
            key_format: KeyFormat::Text,
            registry: None,
            discovery_us: 300_000,
            sasl: None,
            tls: Tls::Off,
            identity: None,
            properties: Vec::new(),
        };
        let mut position = KafkaPosition::default();
        for (topic, partition, next) in [
            ("orders", 0, 100),
            ("orders", 1, 7),
            ("visits", 0, 7),
            ("visits", 1, 101),
        ] {
            position.set(topic, partition, next);
        }
        let mut source = KafkaSource::new(options, Arc::new(SystemClock), position);
        for topic in ["orders", "visits"] {
            source.assigned.insert((topic.to_owned(), 0));
            source.assigned.insert((topic.to_owned(), 1));
        }
        source
    }

    /// What is made of it that the client resets an offset for this reason.
    fn reset(reason: &str) -> Problem {
        let mut source = source();
        let config = source.options.config();
        let made = config.create_with_context(source.listener.clone());
        let consumer: BaseConsumer<Listener> = made.unwrap();
        let code = RDKafkaErrorCode::AutoOffsetReset;
        source.listener.error(KafkaError::Global(code), reason);
        source.refused(&consumer, KafkaError::MessageConsumption(code))
    }

    #[test]
    fn a_log_that_was_cut_back_and_grew_is_an_error() {
        let said = |reason: &str| match reset(reason) {
            Problem::Never(error) => error.to_string(),
            Problem::Later(problem) => panic!("it is to be tried again: {problem}"),
        };
        let cut = |offset: i64| {
            format!(
                "Partition log truncation detected at offset {offset} (leader epoch 3): broker end offset is 50 (offset leader epoch 2). Reset to INVALID.: Local: Partition log truncation detected (broker 1)"
            )
        };
        let error = said(&cut(100));
        let begin = "shop: partition 0 of topic `orders` lost records that had been read";
        assert!(error.starts_with(begin), "{error}");
        let epochs =
            "at offset 100 (leader epoch 3): broker end offset is 50 (offset leader epoch 2)";
        assert!(error.contains(epochs), "{error}");
        assert!(
            error.contains("help: begin with an empty state folder"),
            "{error}"
        );
        let error = said(&cut(7));
        let places = "shop: partition 1 of topic `orders` or partition 0 of topic `visits` lost";
        assert!(error.starts_with(places), "{error}");
        let error = said(&cut(99));
        assert_eq!(error.matches("partition ").count(), 4, "{error}");
        let none = "No epoch found less or equal to offset 101 (leader epoch 3): broker end offset is -1 (offset leader epoch -1). Reset using configured policy.: Local: Partition log truncation detected (broker 1)";
        let error = said(none);
        let begin = "shop: partition 1 of topic `visits` lost";
        assert!(error.starts_with(begin), "{error}");
        // The client's own words for it.
        let code = RDKafkaErrorCode::LogTruncation.to_string();
        assert!(code.contains(TRUNCATED), "{code}");
    }

    #[test]
    fn an_offset_that_is_out_of_range_is_looked_up() {
        let reason = "fetch failed due to requested offset not available on the broker: Broker: Offset out of range (broker 1)";
        let problem = reset(reason);
        assert!(matches!(problem, Problem::Later(_)), "{problem:?}");
    }

    #[test]
    fn offsets_are_found_in_words() {
        assert_eq!(first_offset("at offset 7 (leader epoch 3)"), Some(7));
        assert_eq!(first_offset("to offset INVALID (x): offset 9 "), Some(9));
        assert_eq!(first_offset("broker 7"), None);
    }
}
