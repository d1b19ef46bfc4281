//! Records, one after another.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use sluice_mysql::batch::Batch;

use super::KafkaSource;
use crate::error::{KafkaSourceError, Problem, is_damage, words};
use crate::listener::Listener;
use crate::record::record;

/// How long a look waits for the first record.
const RECORD_TIME: Duration = Duration::from_millis(20);
/// Bytes and records of one batch, about.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_RECORDS: usize = 20_000;

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
        if code == Some(RDKafkaErrorCode::AutoOffsetReset) {
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
