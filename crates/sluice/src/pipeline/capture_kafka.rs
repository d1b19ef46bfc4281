//! Capture from Kafka.

use std::sync::Arc;
use std::time::Duration;

use sluice_capture::SourcePosition;
use sluice_core::{PartitionId, Record, SystemClock};
use sluice_kafka::options::{
    Include, KafkaOptions, KeyFormat, OWN_PROPERTIES, RegistryOptions, Sasl, Secret, Start, Tls,
    ValueFormat,
};
use sluice_kafka::place::{Form, Part, parts};
use sluice_kafka::source::KafkaSource;
use sluice_kafka::topics::TopicFilter;
use sluice_route::{
    KafkaAssignment, KafkaCluster, KafkaFormat, KafkaIncluded, KafkaKeyFormat, KafkaMissingOffsets,
    KafkaStart, Tls as TlsText,
};

use super::capture_step::{CaptureEnd, Shared};
use super::door::{Door, DoorError};
use super::kafka_log::KafkaLog;
use super::source_states::count_data;
use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;
use crate::source_connections::check_authorities;

/// How long a thread waits while it may not read or brokers do not answer.
const WAIT: Duration = Duration::from_millis(5);

/// Kafka's topics as the source of a topic.
#[derive(Debug)]
pub(super) struct KafkaTopics {
    partition: PartitionId,
    source: KafkaSource,
    /// Form of the records, if the topics are their own log.
    own_log: Option<Form>,
}

impl KafkaTopics {
    /// The source of `topic`, behind `position`.
    pub(super) fn open(
        project: &Project,
        topic: &str,
        cluster: &KafkaCluster,
        position: SourcePosition,
    ) -> Result<Self, Failure> {
        let options = options(project, topic, cluster)?;
        let position = position.into_kafka().unwrap_or_default();
        let partition = PartitionId {
            topic: topic.to_owned(),
            partition: 0,
        };
        let own_log = options.own_log.then(|| Form::of(&options));
        let source = KafkaSource::new(options, Arc::new(SystemClock), position);
        Ok(Self {
            partition,
            source,
            own_log,
        })
    }
}

/// Reads records of the topics again, where they are their own log.
pub(super) fn kafka_log(
    project: &Project,
    topic: &str,
    cluster: &KafkaCluster,
    reporter: Reporter,
) -> Arc<KafkaLog> {
    Arc::new(KafkaLog::new(options(project, topic, cluster), reporter))
}

/// A secret that a definition names by a key.
fn secret(
    project: &Project,
    topic: &str,
    (key, reference): (&str, &str),
) -> Result<Secret, Failure> {
    let found = sluice_watch::secret(reference, &project.folder);
    let refused =
        |error| Failure::Definitions(format!("the source of topic `{topic}`, `{key}`: {error}"));
    found.map(Secret).map_err(refused)
}

/// Looks whether all secrets are there.
pub(super) fn check_kafka_secrets(
    project: &Project,
    topic: &str,
    cluster: &KafkaCluster,
) -> Result<(), Failure> {
    for named in cluster.secrets() {
        secret(project, topic, named)?;
    }
    Ok(())
}

/// What a definition says.
fn options(
    project: &Project,
    topic: &str,
    cluster: &KafkaCluster,
) -> Result<KafkaOptions, Failure> {
    let wrong =
        |problem: String| Failure::Definitions(format!("the source of topic `{topic}`: {problem}"));
    let named = |key: &str, reference: &Option<String>| {
        let reference = reference.as_deref();
        let found = reference.map(|it| secret(project, topic, (key, it)));
        found.transpose()
    };
    let mut properties = Vec::with_capacity(cluster.properties.len());
    for (name, value) in &cluster.properties {
        if OWN_PROPERTIES.contains(&name.as_str()) {
            let problem = format!("`{name}` in `properties` is set by Sluice itself");
            return Err(wrong(problem));
        }
        let is_reference = value.starts_with("env:") || value.starts_with("file:");
        let value = match is_reference {
            true => secret(project, topic, (name.as_str(), value.as_str()))?,
            false => Secret(value.clone()),
        };
        properties.push((name.clone(), value));
    }
    check_authorities(cluster.tls, cluster.tls_ca.as_deref())?;
    let password = named("password", &cluster.password)?;
    let sasl = match (&cluster.sasl, &cluster.user, password) {
        (Some(mechanism), Some(user), Some(password)) => Some(Sasl {
            mechanism: mechanism.clone(),
            user: user.clone(),
            password,
        }),
        _ => None,
    };
    let registry_password = named(
        "schema_registry_password",
        &cluster.schema_registry_password,
    )?;
    let includes = |what| cluster.include.contains(&what);
    // A member of the group, the copy would take partitions from the real
    // warehouse, and tell the group how far the copy is.
    let is_copy = project.config.alarms.quiet;
    Ok(KafkaOptions {
        name: topic.to_owned(),
        servers: cluster.bootstrap_servers.clone(),
        topics: TopicFilter::new(&cluster.topics).map_err(|error| wrong(error.to_string()))?,
        partitions: cluster.partitions.clone(),
        group: cluster.group.clone().filter(|_| !is_copy),
        is_group_assigned: cluster.assignment == KafkaAssignment::Group && !is_copy,
        start: match cluster.start {
            KafkaStart::Earliest => Start::Earliest,
            KafkaStart::Latest => Start::Latest,
        },
        own_log: cluster.is_own_log(),
        accepts_gaps: cluster.missing_offsets == KafkaMissingOffsets::Earliest,
        include: Include {
            key: includes(KafkaIncluded::Key),
            headers: includes(KafkaIncluded::Headers),
            topic: includes(KafkaIncluded::Topic),
            partition: includes(KafkaIncluded::Partition),
            offset: includes(KafkaIncluded::Offset),
            timestamp: includes(KafkaIncluded::Timestamp),
        },
        format: match cluster.format {
            KafkaFormat::Json => ValueFormat::Json,
            KafkaFormat::Avro => ValueFormat::Avro,
            KafkaFormat::JsonSchema => ValueFormat::JsonSchema,
        },
        key_format: match cluster.key_format {
            KafkaKeyFormat::Text => KeyFormat::Text,
            KafkaKeyFormat::Json => KeyFormat::Json,
            KafkaKeyFormat::Avro => KeyFormat::Avro,
            KafkaKeyFormat::JsonSchema => KeyFormat::JsonSchema,
        },
        registry: cluster.schema_registry.clone().map(|url| RegistryOptions {
            url,
            user: cluster.schema_registry_user.clone().zip(registry_password),
        }),
        discovery_us: cluster.discovery_interval_us(),
        sasl,
        tls: match cluster.tls {
            TlsText::Off => Tls::Off,
            TlsText::Required => Tls::Required,
            TlsText::Verified => {
                Tls::Verified(cluster.tls_ca.as_deref().map(|path| project.resolve(path)))
            }
        },
        identity: named("tls_certificate", &cluster.tls_certificate)?
            .zip(named("tls_key", &cluster.tls_key)?),
        properties,
    })
}

/// Follows the topics.
pub(super) fn follow_kafka(
    shared: &Shared,
    log: &Door,
    mut topics: KafkaTopics,
    reporter: Reporter,
) -> Result<(), CaptureEnd> {
    let KafkaTopics {
        partition,
        source,
        own_log,
    } = &mut topics;
    let topic = partition.topic.clone();
    while !shared.is_stopping() {
        let has_room = own_log.is_none() || log.has_room(partition);
        if shared.is_paused() || !has_room {
            std::thread::park_timeout(WAIT);
            continue;
        }
        let polled = source.poll();
        let polled = polled.doing(&format!("reading the source of topic `{topic}`"));
        let batch = polled.map_err(|failure| CaptureEnd::Refused(topic.clone(), failure))?;
        for note in &batch.notes {
            reporter.info(note);
        }
        for warning in &batch.warnings {
            reporter.warn(warning);
        }
        let (count, bytes) = count_data(&batch.records);
        let states = &shared.states;
        states.note(&topic, count, bytes, batch.at_end, source.trouble());
        states.note_unread(&topic, source.unread());
        if !batch.records.is_empty() {
            append(log, partition, batch.records, *own_log)
                .and_then(|()| log.sync())
                .doing("appending to the log")?;
            shared.tell_records();
        } else if source.trouble().is_some() {
            std::thread::park_timeout(WAIT);
        }
        if batch.at_end {
            log.rest_source(partition);
            shared.tell_idle();
        }
    }
    Ok(())
}

/// Appends records, or where they lie.
fn append(
    log: &Door,
    partition: &PartitionId,
    mut records: Vec<Record>,
    own_log: Option<Form>,
) -> Result<(), DoorError> {
    let Some(form) = own_log else {
        return log.append(partition, &mut records);
    };
    for part in parts(records, form) {
        match part {
            Part::Copied(mut records) => log.append(partition, &mut records)?,
            Part::Range(range) => log.append_source(partition, range)?,
        }
    }
    Ok(())
}
