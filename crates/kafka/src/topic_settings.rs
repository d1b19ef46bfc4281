//! What the brokers are told to do with old records of a topic.

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;

use crate::error::KafkaSourceError;
use crate::options::KafkaOptions;
use crate::partitions::ANSWER_TIME;

/// Sluice says itself what is wrong, in its own words.
struct Silent;

impl ClientContext for Silent {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}
}

/// Looks whether topics may be their own log. Gives warnings of those whose old
/// records brokers remove. What a broker does not tell (that takes the right
/// `DESCRIBE_CONFIGS`) is found out when records are read again and checked.
///
/// # Errors
/// When one is compacted.
pub(crate) fn check_own_log(
    options: &KafkaOptions,
    topics: &[&str],
) -> Result<Vec<String>, KafkaSourceError> {
    let mut warnings = Vec::new();
    let made: Result<AdminClient<Silent>, _> = options.config().create_with_context(Silent);
    let Ok(admin) = made else {
        return Ok(warnings);
    };
    let wanted: Vec<ResourceSpecifier<'_>> = topics
        .iter()
        .map(|topic| ResourceSpecifier::Topic(topic))
        .collect();
    let how = AdminOptions::new().request_timeout(Some(ANSWER_TIME));
    let Ok(told) = block_on(admin.describe_configs(&wanted, &how)) else {
        return Ok(warnings);
    };
    for told in told.into_iter().flatten() {
        let OwnedResourceSpecifier::Topic(topic) = &told.specifier else {
            continue;
        };
        let value = |name: &str| told.get(name).and_then(|entry| entry.value.clone());
        let policy = value("cleanup.policy").unwrap_or_default();
        if policy.contains("compact") {
            return Err(KafkaSourceError::Compacted {
                name: options.name.clone(),
                topic: topic.clone(),
                policy,
            });
        }
        let is_limited = |name: &str| {
            let limit = value(name).and_then(|text| text.parse::<i64>().ok());
            limit.is_some_and(|limit| limit >= 0)
        };
        let limits: Vec<&str> = ["retention.ms", "retention.bytes"]
            .into_iter()
            .filter(|name| is_limited(name))
            .collect();
        if !limits.is_empty() {
            warnings.push(format!(
                "{}: the topic `{topic}` is its own log, and brokers remove its old records ({}): what was computed from them cannot be computed anew then",
                options.name,
                limits.join(", ")
            ));
        }
    }
    Ok(warnings)
}
