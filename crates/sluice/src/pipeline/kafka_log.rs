//! Kafka's topics as their own log: what was captured is read from the brokers
//! again.

use std::fmt;
use std::sync::Arc;

use sluice_core::{Record, SystemClock};
use sluice_kafka::again::{AgainError, KafkaAgain, Told};
use sluice_kafka::options::KafkaOptions;
use sluice_kafka::place::{BadPlace, KafkaPlace};
use sluice_log::{SourceLimits, SourceReadError, SourceReader};

use crate::failure::Failure;
use crate::report::Reporter;

/// What is needed to ask the brokers is not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoOptions(String);

/// See the module.
pub(super) struct KafkaLog {
    /// Secrets that are missing matter only where records must be read again.
    again: Result<KafkaAgain, String>,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("KafkaLog")
            .field(&self.again)
            .finish()
    }
}

impl KafkaLog {
    pub(super) fn new(options: Result<KafkaOptions, Failure>, reporter: Reporter) -> Self {
        let tell = move |told: Told| match told {
            Told::Waiting(text) => reporter.warn(&text),
            Told::Answered(text) => reporter.info(&text),
        };
        let again = options
            .map(|options| KafkaAgain::new(options, Arc::new(SystemClock), Box::new(tell)))
            .map_err(|failure| failure.to_string());
        Self { again }
    }
}

impl SourceReader for KafkaLog {
    fn read(
        &self,
        place: &[u8],
        limits: SourceLimits,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<Record>, SourceReadError> {
        let lost = SourceReadError::Lost;
        let again = self.again.as_ref();
        let again = again.map_err(|problem| lost(Box::new(NoOptions(problem.clone()))))?;
        let place = KafkaPlace::decode(place).map_err(|bad: BadPlace| lost(Box::new(bad)))?;
        let read = again.read(&place, (limits.records, limits.bytes), is_stopped);
        read.map_err(|error| match error {
            AgainError::Stopped => SourceReadError::Stopped,
            AgainError::Lost(error) => lost(error),
        })
    }

    fn words(&self, place: &[u8]) -> String {
        match KafkaPlace::decode(place) {
            Ok(place) => place.words(),
            Err(bad) => bad.to_string(),
        }
    }

    fn rest(&self) {
        if let Ok(again) = &self.again {
            again.rest();
        }
    }
}
