//! What the client library tells besides records: how far partitions go, why
//! brokers cannot be reached, which partitions the group gives and takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use serde::Deserialize;

/// A topic's partition.
pub(crate) type Partition = (String, i32);

/// How far a partition goes, as the client saw it last.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct End {
    /// Offset behind the last committed record; negative before it is known.
    #[serde(default)]
    pub(crate) ls_offset: i64,
    /// Offset at which the client saw the end last.
    #[serde(default)]
    pub(crate) eof_offset: i64,
    /// Records that were fetched and not taken.
    #[serde(default)]
    pub(crate) fetchq_cnt: i64,
}

impl End {
    /// Whether all that was there was given.
    pub(crate) fn is_reached(&self) -> bool {
        self.ls_offset >= 0 && self.eof_offset >= self.ls_offset && self.fetchq_cnt == 0
    }
}

/// See the module. Taken by the source after each look.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Newest ends, if there are newer ones than at the last look.
    pub(crate) ends: Option<BTreeMap<Partition, End>>,
    /// The newest error in words.
    pub(crate) reason: Option<String>,
    /// Partitions that the group gave.
    pub(crate) given: Vec<Partition>,
    /// Partitions that the group took.
    pub(crate) taken: Vec<Partition>,
}

/// The client's callbacks.
#[derive(Debug, Default, Clone)]
pub(crate) struct Listener(Arc<Mutex<Heard>>);

impl Listener {
    /// What was heard since the last time; the error stays.
    pub(crate) fn take(&self) -> Heard {
        let mut heard = self.0.lock();
        let reason = heard.reason.clone();
        let taken = std::mem::take(&mut *heard);
        heard.reason = reason;
        taken
    }

    /// The newest error in words.
    pub(crate) fn take_reason(&self) -> Option<String> {
        self.0.lock().reason.take()
    }
}

/// The part of the client's statistics that is wanted: see its STATISTICS.md.
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    topics: BTreeMap<String, TopicStatistics>,
}

#[derive(Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: BTreeMap<i32, End>,
}

impl ClientContext for Listener {
    // Sluice says itself what is wrong, in its own words.
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) else {
            return;
        };
        let mut ends = BTreeMap::new();
        for (topic, of_topic) in statistics.topics {
            for (partition, end) in of_topic.partitions {
                ends.insert((topic.clone(), partition), end);
            }
        }
        self.0.lock().ends = Some(ends);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut heard = self.0.lock();
        // That all are down says less than why the last one is.
        let is_all_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let is_end = error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF);
        let says_less = is_all_down && heard.reason.is_some();
        if !is_end && !says_less {
            heard.reason = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Listener {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let elements = partitions.elements();
        let named = elements.iter();
        let named: Vec<Partition> = named
            .map(|it| (it.topic().to_owned(), it.partition()))
            .collect();
        if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // The source looks up where they begin, and assigns them then.
            self.0.lock().given.extend(named);
            return;
        }
        // Whatever was fetched and not taken is left to the next reader.
        let protocol = consumer.rebalance_protocol();
        let is_cooperative = matches!(protocol, RebalanceProtocol::Cooperative);
        let left = match is_cooperative {
            true => consumer.incremental_unassign(partitions),
            false => consumer.unassign(),
        };
        let mut heard = self.0.lock();
        if let Err(error) = left {
            heard.reason = Some(format!("partitions could not be given back: {error}"));
        }
        heard.given.retain(|given| !named.contains(given));
        heard.taken.extend(named);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_from_statistics() {
        let listener = Listener::default();
        listener.stats_raw(
            br#"{"name":"x","topics":{"orders":{"topic":"orders","partitions":{
              "0":{"partition":0,"fetchq_cnt":0,"eof_offset":7,"ls_offset":7,"hi_offset":9},
              "1":{"fetchq_cnt":2,"eof_offset":7,"ls_offset":7},
              "-1":{"fetchq_cnt":0,"eof_offset":-1001,"ls_offset":-1001}}}}}"#,
        );
        let ends = listener.take().ends.unwrap();
        let reached = |partition| ends[&("orders".to_owned(), partition)].is_reached();
        assert!(reached(0) && !reached(1) && !reached(-1));
        listener.stats_raw(b"{");
        assert!(listener.take().ends.is_none());
    }
}
