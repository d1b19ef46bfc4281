//! Which topics are read.

use regex::Regex;

use crate::error::KafkaSourceError;

/// Names of topics, and patterns: regular expressions that begin with `^`, as
/// everywhere in Kafka's clients, and must fit the whole name.
#[derive(Debug, Clone)]
pub struct TopicFilter {
    names: Vec<String>,
    patterns: Vec<Regex>,
}

impl TopicFilter {
    /// The filter of these names and patterns.
    ///
    /// # Errors
    /// Which is neither.
    pub fn new(topics: &[String]) -> Result<Self, KafkaSourceError> {
        let mut filter = Self {
            names: Vec::new(),
            patterns: Vec::new(),
        };
        let bad = |name: &str, problem: String| KafkaSourceError::BadTopic {
            name: name.to_owned(),
            problem,
        };
        for topic in topics {
            match topic.strip_prefix('^') {
                Some(pattern) => {
                    let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
                    let whole = Regex::new(&format!("^(?:{pattern})$"));
                    let whole = whole
                        .map_err(|error| bad(topic, format!("no regular expression: {error}")))?;
                    filter.patterns.push(whole);
                }
                None => {
                    let is_letter =
                        |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
                    let is_name = (1..=249).contains(&topic.len()) && topic.chars().all(is_letter);
                    if !is_name {
                        return Err(bad(topic, "no name of a topic".to_owned()));
                    }
                    filter.names.push(topic.clone());
                }
            }
        }
        Ok(filter)
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether new topics may come.
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether a topic is read. Kafka's own (`__consumer_offsets`) are never
    /// meant by a pattern.
    pub fn takes(&self, topic: &str) -> bool {
        self.names.iter().any(|name| name == topic)
            || !topic.starts_with("__")
                && (self.patterns.iter()).any(|pattern| pattern.is_match(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names_and_no_internal_topics() {
        let filter = TopicFilter::new(&["shop.orders".into(), "^app-[a-z]+$".into()]).unwrap();
        assert!(filter.takes("shop.orders") && filter.takes("app-x"));
        assert!(!filter.takes("shopXorders"), "a point is a point in a name");
        assert!(!filter.takes("app-x1") && !filter.takes("my-app-x"));
        let all = TopicFilter::new(&["^.*".into()]).unwrap();
        assert!(all.takes("a") && !all.takes("__consumer_offsets"));
        for bad in ["", "a*", "^app-(", "a b"] {
            let error = TopicFilter::new(&[bad.to_owned()]).unwrap_err();
            assert!(error.to_string().contains("begins with ^"), "{error}");
        }
    }
}
