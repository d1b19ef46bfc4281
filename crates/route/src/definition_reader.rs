//! Reads and checks the text of `sources/*.toml`.

mod captures;
mod places;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::stable_hash;
use sluice_mask::TopicRules;
use toml::Spanned;

use crate::definition::{CaptureDefinition, DefinitionError, SourceFile, Sources, Table};
use crate::diversion::Diversion;
use crate::messages::MessageForm;
use crate::slots::SlotPlan;
use crate::source_text::{FileText, TopicText, Unplaced};
use crate::time::parse_duration_us;
use places::PlaceNowhere;

/// Reads and checks definitions. Places that records of JSON cannot have are told by
/// [`Sources::places_nowhere`] instead of being errors: what a running warehouse stands
/// on stays readable.
///
/// # Errors
/// All that is wrong in all files, with file, line and column.
pub fn parse_sources(files: &[SourceFile]) -> Result<Sources, Vec<DefinitionError>> {
    let mut reading = Reading::default();
    for file in files {
        reading.file(file);
    }
    for (topic, file, at) in std::mem::take(&mut reading.wanted_topics) {
        if !reading.topics.contains_key(&topic) {
            let message = format!("there is no topic `{topic}`");
            let help = format!("add [topic.{topic}] to a file of sources/");
            reading.error(&files[file], at, message, &help);
        }
    }
    let places_nowhere = reading.places_in_json(files);
    if !reading.errors.is_empty() {
        reading.errors.extend(places_nowhere);
        return Err(reading.errors);
    }
    let mut tables: Vec<Table> = reading.tables.into_values().collect();
    tables.sort_by(|first, second| first.definition.name.cmp(&second.definition.name));
    let mut plans: BTreeMap<String, SlotPlan> = BTreeMap::new();
    for table in &mut tables {
        let delimiter = reading.csv_delimiters.get(&table.topic);
        let is_csv = delimiter.is_some();
        // Before places are numbered: the numbers depend on other tables.
        let messages = reading.messages.get(&table.topic);
        let partitions = reading.topics.get(&table.topic);
        table.print =
            stable_hash(format!("{table:?} {delimiter:?} {partitions:?} {messages:?}").as_bytes());
        table.number_fields(plans.entry(table.topic.clone()).or_default(), is_csv);
    }
    let mut identity = String::new();
    for file in files {
        identity.push_str(&file.text);
        identity.push('\0');
    }
    Ok(Sources {
        captures: reading.captures,
        topics: reading.topics,
        masks: reading.masks,
        left_out: Default::default(),
        csv_delimiters: reading.csv_delimiters,
        tables,
        unplaced_dropped: reading.unplaced_dropped,
        diversion: reading.diversion,
        messages: reading.messages,
        plans,
        places_nowhere,
        fingerprint: stable_hash(identity.as_bytes()),
    })
}

#[derive(Default)]
struct Reading {
    topics: BTreeMap<String, u32>,
    masks: BTreeMap<String, TopicRules>,
    captures: Vec<CaptureDefinition>,
    csv_delimiters: BTreeMap<String, u8>,
    unplaced_dropped: BTreeSet<String>,
    tables: BTreeMap<String, Table>,
    diversion: Option<Diversion>,
    messages: BTreeMap<String, MessageForm>,
    /// Topic, number of the file, byte position.
    wanted_topics: Vec<(String, usize, usize)>,
    /// Of all topics, those of CSV too.
    places_nowhere: Vec<PlaceNowhere>,
    errors: Vec<DefinitionError>,
    files: usize,
}

impl Reading {
    fn error(&mut self, file: &SourceFile, at: usize, message: String, help: &str) {
        self.errors
            .push(DefinitionError::at(file, at, message, help));
    }

    /// The places that no record has of topics that hold JSON.
    fn places_in_json(&self, files: &[SourceFile]) -> Vec<DefinitionError> {
        let holds_json = |topic: &String| {
            self.topics.contains_key(topic) && !self.csv_delimiters.contains_key(topic)
        };
        let places = self.places_nowhere.iter();
        let places = places.filter(|place| holds_json(&place.topic));
        places
            .filter_map(|place| {
                let file = files.get(place.file)?;
                let message = place.message.clone();
                Some(DefinitionError::at(file, place.at, message, &place.help))
            })
            .collect()
    }

    fn file(&mut self, file: &SourceFile) {
        let number = self.files;
        self.files += 1;
        let text: FileText = match toml::from_str(&file.text) {
            Ok(text) => text,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.error(file, at, error.message().to_owned(), "");
                return;
            }
        };
        if let Some(diversion) = text.diversion {
            let at = diversion.span().start;
            self.diversion(file, number, at, diversion.into_inner());
        }
        for (name, topic) in text.topic {
            let at = topic.span().start;
            self.topic(file, name, at, topic.into_inner());
        }
        for (name, table) in text.table {
            let at = table.span().start;
            self.table(file, number, name, at, table.into_inner());
        }
    }

    fn diversion(&mut self, file: &SourceFile, number: usize, at: usize, text: Diversion) {
        self.wanted_topics.push((text.topic.clone(), number, at));
        let rules: FileText = match toml::from_str(&text.rules_table()) {
            Ok(rules) => rules,
            Err(error) => return self.error(file, at, error.message().to_owned(), ""),
        };
        for (name, table) in rules.table {
            self.table(file, number, name, at, table.into_inner());
        }
        if self.diversion.replace(text).is_some() {
            let message = "there is already a [diversion]".to_owned();
            self.error(file, at, message, "one table can hold the rules of all");
        }
    }

    fn topic(&mut self, file: &SourceFile, name: String, at: usize, topic: TopicText) {
        if topic.partitions == 0 || topic.partitions > 1_024 {
            let message = format!("topic `{name}` has {} partitions", topic.partitions);
            self.error(file, at, message, "choose 1 to 1024");
        }
        if topic.unplaced == Unplaced::Drop {
            self.unplaced_dropped.insert(name.clone());
        }
        if let Some(form) = topic.messages {
            self.messages.insert(name.clone(), form);
        }
        if let Some(mask) = topic.mask {
            self.mask(file, &name, at, mask, topic.capture.as_ref());
        }
        if let Some(capture) = topic.capture {
            self.capture(file, &name, at, topic.partitions, topic.owner, capture);
        }
        if self.csv_delimiters.contains_key(&name) && self.messages.contains_key(&name) {
            let message = "lines of CSV are no change messages".to_owned();
            self.error(file, at, message, "leave `messages` out");
        }
        if self.topics.insert(name.clone(), topic.partitions).is_some() {
            let message = format!("there is already a topic `{name}`");
            self.error(file, at, message, "choose another name");
        }
    }

    fn duration(&mut self, file: &SourceFile, text: Option<Spanned<String>>, absent: i64) -> i64 {
        let Some(text) = text else { return absent };
        parse_duration_us(text.get_ref()).unwrap_or_else(|| {
            let message = format!("`{}` is no duration", text.get_ref());
            let help = "write a number and a unit: 500 ms, 30 s, 15 min, 1 hour, 2 days";
            self.error(file, text.span().start, message, help);
            0
        })
    }
}
