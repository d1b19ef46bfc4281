//! `sluice dead-letters`: what a running warehouse could not read, and trying it
//! again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::commands::running::{self, Place, say, text};
use crate::failure::{Doing, Failure};

const PATH: &str = "/api/v1/dead-letters";
/// Letters that are tried with one request.
const LETTERS_MAX: u64 = 1_000;

/// What the person asked for.
#[derive(Debug, clap::Args)]
pub struct DeadLetterOptions {
    #[command(flatten)]
    place: Place,
    /// Only letters of a topic.
    #[arg(long)]
    topic: Option<String>,
    /// Only letters of a table.
    #[arg(long)]
    table: Option<String>,
    /// Only letters with a reason.
    #[arg(long)]
    reason: Option<String>,
    /// Only the letter of one record of the topic.
    #[arg(long, requires = "topic")]
    offset: Option<u64>,
    /// The partition of that record.
    #[arg(long, requires = "offset")]
    partition: Option<u32>,
    /// Give the records to their tables once more; what became rows since stays
    /// as it is.
    #[arg(long)]
    replay: bool,
    /// As JSON; of --replay one answer for every thousand letters.
    #[arg(long)]
    json: bool,
}

impl DeadLetterOptions {
    /// What was chosen, by the names of the API.
    fn chosen(&self) -> Vec<(&'static str, String)> {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let chosen = [
            ("topic", self.topic.clone()),
            ("table", self.table.clone()),
            ("reason", self.reason.clone()),
            ("offset", number(self.offset)),
            ("partition", number(self.partition.map(u64::from))),
        ];
        let chosen = chosen.into_iter();
        let chosen = chosen.filter_map(|(name, value)| Some((name, value?)));
        chosen.collect()
    }
}

/// Lists them, or tries them again.
///
/// # Errors
/// When the warehouse does not run, or refuses.
pub fn run(options: &DeadLetterOptions) -> Result<(), Failure> {
    match options.replay {
        true => replay(options),
        false => list(options),
    }
}

fn list(options: &DeadLetterOptions) -> Result<(), Failure> {
    let chosen = options.chosen();
    let pairs = chosen.iter().map(|(name, value)| {
        let escaped: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
        format!("{name}={escaped}")
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    let answer = running::ask(&options.place, "GET", &format!("{PATH}?{query}"), None)?;
    if options.json {
        say(&format!("{answer:#}"));
        return Ok(());
    }
    let empty = Vec::new();
    let groups = answer["groups"]["rows"].as_array().unwrap_or(&empty);
    if groups.is_empty() {
        say("there are no dead letters");
    }
    for group in groups {
        let table = match group[1].as_str() {
            Some("") | None => "(no table)",
            Some(table) => table,
        };
        let settled = match text(&group[4]).as_str() {
            "0" => String::new(),
            settled => format!(", {settled} settled since"),
        };
        say(&format!(
            "{:>9}  {:24}  {:24}  {} (last {}{settled})",
            text(&group[3]),
            text(&group[0]),
            table,
            text(&group[2]),
            text(&group[6]),
        ));
    }
    Ok(())
}

fn replay(options: &DeadLetterOptions) -> Result<(), Failure> {
    let mut body = serde_json::Map::new();
    for (name, value) in options.chosen() {
        let value = match name {
            "offset" | "partition" => json!(value.parse::<u64>().doing("reading a number")?),
            _ => json!(value),
        };
        body.insert(name.to_owned(), value);
    }
    body.insert("limit".to_owned(), json!(LETTERS_MAX));
    let path = format!("{PATH}/replay");
    let mut records = 0;
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        let text = Value::Object(body.clone()).to_string();
        let answer = running::ask(&options.place, "POST", &path, Some(text))?;
        if options.json {
            say(&format!("{answer:#}"));
        }
        records += answer["records"].as_u64().unwrap_or(0);
        let reasons = answer["refused_by_reason"].as_object();
        for (why, count) in reasons.into_iter().flatten() {
            *refused.entry(why.clone()).or_insert(0) += count.as_u64().unwrap_or(0);
        }
        match answer.get("next") {
            None | Some(Value::Null) => break,
            Some(next) => body.insert("after".to_owned(), next.clone()),
        };
    }
    if options.json {
        return Ok(());
    }
    say(&format!(
        "{records} records go to their tables once more; SELECT * FROM sluice_tried_letters says what came of them"
    ));
    for (why, count) in refused {
        say(&format!("{count} not tried: {why}"));
    }
    Ok(())
}
