//! What `sources/*.toml` may say of a Kafka cluster.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::source_text::{LogForm, TlsText};
use crate::time::parse_duration_us;

/// Topics of a Kafka cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaText {
    /// Brokers that are asked for the others, as `host:port`.
    pub bootstrap_servers: Vec<String>,
    /// Names of topics, and regular expressions that begin with `^`.
    pub topics: Vec<String>,
    /// Numbers of the partitions that are read; all if there is none.
    #[serde(default)]
    pub partitions: Vec<i32>,
    /// Group that is told how far reading has come.
    pub group: Option<String>,
    /// Who says which partitions are read.
    #[serde(default)]
    pub assignment: Assignment,
    /// Where partitions begin that were never read.
    #[serde(default)]
    pub start: StartText,
    /// What is done when records were deleted before they were read.
    #[serde(default)]
    pub missing_offsets: MissingOffsets,
    /// What holds the records.
    #[serde(default)]
    pub(crate) log: LogForm,
    /// What records have besides their value.
    #[serde(default)]
    pub include: Vec<Included>,
    /// Form of values.
    #[serde(default)]
    pub format: FormatText,
    /// Form of keys.
    #[serde(default)]
    pub key_format: KeyFormatText,
    /// Address of the schema registry.
    pub schema_registry: Option<String>,
    /// User of the schema registry.
    pub schema_registry_user: Option<String>,
    /// Its password, as `env:NAME` or `file:PATH`.
    pub schema_registry_password: Option<String>,
    /// Time between two looks for new topics and partitions.
    pub discovery_interval: Option<String>,
    /// How to sign in: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Password, as `env:NAME` or `file:PATH`.
    pub password: Option<String>,
    /// Encryption.
    #[serde(default)]
    pub tls: TlsText,
    /// File of certificates that the brokers' are checked against.
    pub tls_ca: Option<String>,
    /// The reader's certificate in PEM, as `env:NAME` or `file:PATH`.
    pub tls_certificate: Option<String>,
    /// Its key in PEM, as `env:NAME` or `file:PATH`.
    pub tls_key: Option<String>,
    /// More settings of librdkafka; values may be `env:NAME` or `file:PATH`.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// Form of values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatText {
    /// JSON.
    #[default]
    Json,
    /// Avro, by the schema registry.
    Avro,
    /// JSON behind the number of its schema in the registry.
    JsonSchema,
}

/// Form of keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFormatText {
    /// Text.
    #[default]
    Text,
    /// JSON.
    Json,
    /// Avro, by the schema registry.
    Avro,
    /// JSON behind the number of its schema in the registry.
    JsonSchema,
}

/// Who says which partitions are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assignment {
    /// The definition.
    #[default]
    Fixed,
    /// The group's coordinator.
    Group,
}

/// Where partitions begin that were never read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartText {
    /// At the first record.
    #[default]
    Earliest,
    /// Behind the last one.
    Latest,
}

/// What is done when records were deleted before they were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingOffsets {
    /// The warehouse ends with an error.
    #[default]
    Error,
    /// It goes on at the earliest record, with a warning.
    Earliest,
}

/// What a record has besides its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Included {
    /// Its key.
    Key,
    /// Its headers.
    Headers,
    /// Kafka's topic.
    Topic,
    /// Its partition.
    Partition,
    /// Its offset.
    Offset,
    /// Its time.
    Timestamp,
}

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
const DISCOVERY_INTERVAL_US: i64 = 10_000_000;

impl KafkaText {
    /// Whether the topics are their own log.
    pub fn is_own_log(&self) -> bool {
        self.log == LogForm::Source
    }

    /// Time between two looks for new topics and partitions, in microseconds.
    pub fn discovery_interval_us(&self) -> i64 {
        let given = self.discovery_interval.as_deref();
        given
            .and_then(parse_duration_us)
            .unwrap_or(DISCOVERY_INTERVAL_US)
    }

    /// The names under which secrets are to be found, each behind the key that gives
    /// it.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        let given = self.given_secrets();
        let given = given
            .into_iter()
            .filter_map(|(key, given)| Some((key, given.as_deref()?)));
        let in_properties = self.properties.iter();
        let in_properties = in_properties.map(|(name, value)| (name.as_str(), value.as_str()));
        given.chain(in_properties.filter(|(_, value)| is_reference(value)))
    }

    fn given_secrets(&self) -> [(&'static str, &Option<String>); 4] {
        [
            ("password", &self.password),
            ("tls_certificate", &self.tls_certificate),
            ("tls_key", &self.tls_key),
            ("schema_registry_password", &self.schema_registry_password),
        ]
    }

    /// What is wrong, with what to do.
    pub(crate) fn problems(&self) -> Vec<(String, &'static str)> {
        let mut problems = Vec::new();
        let mut wrong = |message: &str, help| problems.push((message.to_owned(), help));
        if self.bootstrap_servers.is_empty() {
            let help = "write bootstrap_servers = [\"host:9092\"]";
            wrong("`bootstrap_servers` names no broker", help);
        }
        if self.topics.is_empty() {
            let help = "write topics = [\"orders\", \"^app-.*\"]";
            wrong("`topics` names no topic", help);
        }
        if self.partitions.iter().any(|&partition| partition < 0) {
            wrong("a partition has a number below 0", "count from 0");
        }
        if self.assignment == Assignment::Group {
            if self.group.is_none() {
                wrong("which group assigns partitions?", "add group = \"NAME\"");
            }
            if !self.partitions.is_empty() {
                let help = "leave `partitions` or `assignment` out";
                wrong("the group and `partitions` both say what is read", help);
            }
        }
        let interval = self.discovery_interval.as_deref();
        if interval.is_some_and(|text| parse_duration_us(text).is_none_or(|us| us <= 0)) {
            let help = "write a number and a unit: 500 ms, 30 s, 15 min, 1 hour, 2 days";
            wrong("`discovery_interval` is no duration", help);
        }
        if (self.sasl.as_deref()).is_some_and(|sasl| !MECHANISMS.contains(&sasl)) {
            let help = "choose PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
            wrong("`sasl` is no way to sign in", help);
        }
        let signs_in = [
            self.sasl.is_some(),
            self.user.is_some(),
            self.password.is_some(),
        ];
        if signs_in.contains(&true) && signs_in.contains(&false) {
            let help = "give sasl, user and password, or none of them";
            wrong("signing in takes three settings", help);
        }
        let needs_registry = matches!(self.format, FormatText::Avro | FormatText::JsonSchema)
            || matches!(
                self.key_format,
                KeyFormatText::Avro | KeyFormatText::JsonSchema
            );
        match self.schema_registry.as_deref() {
            None if needs_registry => {
                let help = "add schema_registry = \"http://host:8081\"";
                wrong("where are the schemas?", help);
            }
            Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                let help = "write it with http:// or https://";
                wrong("`schema_registry` is no address", help);
            }
            _ => {}
        }
        if self.schema_registry_user.is_some() != self.schema_registry_password.is_some() {
            let help = "give both `schema_registry_user` and `schema_registry_password`";
            wrong("signing in at the registry takes two settings", help);
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            let help = "give both `tls_certificate` and `tls_key`";
            wrong("a certificate and its key belong together", help);
        }
        let secrets = self.given_secrets().into_iter();
        let mut secrets = secrets.filter_map(|(_, given)| given.as_deref());
        if secrets.any(|given| !is_reference(given)) {
            let help = "name where it is: \"env:NAME\" or \"file:PATH\"";
            wrong("a secret is no text of a definition", help);
        }
        for name in self.properties.keys() {
            let is_secret = name.contains("password") || name.contains("secret");
            let value = self.properties.get(name);
            if is_secret && value.is_some_and(|value| !is_reference(value)) {
                let help = "name where it is: \"env:NAME\" or \"file:PATH\"";
                wrong(&format!("`{name}` is a secret"), help);
            }
        }
        problems
    }
}

fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(more: &str) -> String {
        let text = format!("bootstrap_servers = [\"a:9092\"]\ntopics = [\"t\"]\n{more}");
        let cluster: KafkaText = toml::from_str(&text).unwrap();
        let problems = cluster.problems().into_iter();
        problems.map(|(message, _)| message).collect()
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        assert_eq!(problems("group = \"g\"\nassignment = \"group\""), "");
        for (more, part) in [
            ("assignment = \"group\"", "which group"),
            ("partitions = [-1]", "below 0"),
            ("sasl = \"PLAIN\"", "three settings"),
            ("sasl = \"X\"\nuser = \"u\"\npassword = \"env:P\"", "no way"),
            (
                "sasl = \"PLAIN\"\nuser = \"u\"\npassword = \"p\"",
                "no text",
            ),
            ("tls_key = \"file:k\"", "belong together"),
            ("discovery_interval = \"soon\"", "no duration"),
            (
                "properties = { \"ssl.key.password\" = \"x\" }",
                "is a secret",
            ),
        ] {
            let found = problems(more);
            assert!(found.contains(part), "{more}: {found}");
        }
    }
}
