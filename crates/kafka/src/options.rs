//! Settings of Kafka as a source, and the consumer that they make.

use std::fmt;

use rdkafka::ClientConfig;

use crate::topics::TopicFilter;

/// Bytes of one partition that are fetched ahead, in KiB.
const AHEAD_KIB: &str = "8192";
/// Time between two looks of the client at how far partitions were read.
const LOOK_MS: &str = "200";

/// Where the offsets of a partition begin that was never read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// At its first record.
    #[default]
    Earliest,
    /// Behind its last one.
    Latest,
}

/// What a record has besides its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Include {
    /// Its key.
    pub key: bool,
    /// Its headers.
    pub headers: bool,
    /// Kafka's topic.
    pub topic: bool,
    /// The partition.
    pub partition: bool,
    /// The offset.
    pub offset: bool,
    /// Its time, in milliseconds since 1970 UTC.
    pub timestamp: bool,
}

impl Include {
    /// Whether there is anything.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// A secret that no message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

/// The form of values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ValueFormat {
    /// JSON.
    #[default]
    Json,
    /// Avro, by a schema registry.
    Avro,
    /// JSON behind the number of its schema in a registry.
    JsonSchema,
}

/// The form of keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyFormat {
    /// Text; Base64 of what is no UTF-8.
    #[default]
    Text,
    /// JSON.
    Json,
    /// Avro, by a schema registry.
    Avro,
    /// JSON behind the number of its schema in a registry.
    JsonSchema,
}

/// A schema registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Its address.
    pub url: String,
    /// User and password, if it wants some.
    pub user: Option<(String, Secret)>,
}

/// How the reader signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// Encryption of connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tls {
    /// None.
    #[default]
    Off,
    /// With any broker.
    Required,
    /// With brokers whose certificates hold; against those in this file, or
    /// the machine's.
    Verified(Option<String>),
}

/// Settings of the source.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Name, for messages.
    pub name: String,
    /// Brokers that are asked for the others, as `host:port`.
    pub servers: Vec<String>,
    /// Which topics.
    pub topics: TopicFilter,
    /// Which of their partitions; all if there is none.
    pub partitions: Vec<i32>,
    /// Group that is told how far reading has come.
    pub group: Option<String>,
    /// Whether the group's coordinator says which partitions are read.
    pub is_group_assigned: bool,
    /// Where partitions begin that were never read.
    pub start: Start,
    /// Go on at the earliest offset where records are gone, with a warning.
    pub accepts_gaps: bool,
    /// Whether the topics are their own log.
    pub own_log: bool,
    /// What records have besides their value.
    pub include: Include,
    /// Form of values.
    pub format: ValueFormat,
    /// Form of keys.
    pub key_format: KeyFormat,
    /// Where schemas are.
    pub registry: Option<RegistryOptions>,
    /// Time between two looks for new topics and partitions, in microseconds.
    pub discovery_us: i64,
    /// How to sign in.
    pub sasl: Option<Sasl>,
    /// Encryption.
    pub tls: Tls,
    /// Certificate and key of the reader, in PEM.
    pub identity: Option<(Secret, Secret)>,
    /// More settings of librdkafka.
    pub properties: Vec<(String, Secret)>,
}

/// Settings of librdkafka that decide what is read, and are not to be changed.
pub const OWN_PROPERTIES: [&str; 11] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "enable.auto.commit",
    "auto.commit.enable",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "isolation.level",
    "enable.partition.eof",
    "statistics.interval.ms",
    "check.crcs",
];

impl KafkaOptions {
    /// The group, or the name that stands for none: the client library wants
    /// one even if the broker is never told of it.
    fn group_name(&self) -> String {
        match &self.group {
            Some(group) => group.clone(),
            None => format!("sluice-{}", self.name),
        }
    }

    /// The consumer's settings. Offsets are Sluice's own, so that the client
    /// never commits by itself and never goes on elsewhere when one is gone.
    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, &value.0);
        }
        config
            .set("bootstrap.servers", self.servers.join(","))
            .set("group.id", self.group_name())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("check.crcs", "true")
            .set("statistics.interval.ms", LOOK_MS);
        let mut default = |name: &str, value: &str| {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        };
        default("client.id", "sluice");
        default("queued.max.messages.kbytes", AHEAD_KIB);
        default("fetch.wait.max.ms", "100");
        default("reconnect.backoff.max.ms", "10000");
        let encryption = match (&self.tls, &self.sasl) {
            (Tls::Off, None) => "plaintext",
            (Tls::Off, Some(_)) => "sasl_plaintext",
            (_, None) => "ssl",
            (_, Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", encryption);
        match &self.tls {
            Tls::Off | Tls::Verified(None) => {}
            Tls::Required => {
                config.set("enable.ssl.certificate.verification", "false");
            }
            Tls::Verified(Some(path)) => {
                config.set("ssl.ca.location", path);
            }
        }
        if let Some((certificate, key)) = &self.identity {
            config.set("ssl.certificate.pem", &certificate.0);
            config.set("ssl.key.pem", &key.0);
        }
        if let Some(sasl) = &self.sasl {
            config
                .set("sasl.mechanism", &sasl.mechanism)
                .set("sasl.username", &sasl.user)
                .set("sasl.password", &sasl.password.0);
        }
        config
    }
}
