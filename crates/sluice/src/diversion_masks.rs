//! What rules of diversion mask: the door of the log reads them in the stream
//! itself, so that each record behind a rule is masked as the rule says.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_mask::{MaskChange, MaskingRules, TableMask};
use sluice_route::{Diversion, DiversionRule};

use crate::diversion::{Rules, path_of};

/// Reads the records of the table with the rules.
#[derive(Debug)]
pub struct RuleReader(Diversion);

impl RuleReader {
    /// For the rules of a project.
    pub fn new(diversion: &Diversion) -> Self {
        Self(diversion.clone())
    }

    fn change(&self, message: &Value) -> Option<Vec<MaskChange>> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(is_so) => Some(is_so.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let is_of_rules = message["table"] == self.0.table.as_str();
        let database = self.0.database.as_deref();
        if !is_of_rules || database.is_some_and(|it| message["database"] != it) {
            return None;
        }
        let kind = message["type"].as_str()?;
        if kind == "truncate" {
            return Some(vec![MaskChange::Clear]);
        }
        let row = &message["data"];
        let name = text(&row["sink_table"])?;
        if kind == "delete" {
            return Some(vec![MaskChange::Unset(name)]);
        }
        let field = |name: &str| row.get(name).and_then(text);
        let rule = DiversionRule {
            sink_table: name.clone(),
            source_database: field("source_database"),
            source_table: field("source_table"),
            operation_types: field("operation_types"),
            sink_columns: field("sink_columns"),
            sink_key: field("sink_key"),
            filter: field("filter"),
            masking: field("masking"),
            snapshot: field("snapshot"),
        };
        let mut changes = Vec::new();
        let before = text(&message["old"]["sink_table"]);
        if let Some(before) = before.filter(|before| *before != name) {
            changes.push(MaskChange::Unset(before));
        }
        match rule.mask(&self.0.topic) {
            Ok(Some(mask)) => changes.push(MaskChange::Set(name, mask)),
            Ok(None) => changes.push(MaskChange::Unset(name)),
            // It is refused: what held for the rule before stays.
            Err(_) => {}
        }
        Some(changes)
    }
}

impl MaskingRules for RuleReader {
    fn changes(&self, payload: &[u8]) -> Vec<MaskChange> {
        // Of nearly all records this is all that is looked at.
        let Ok(text) = std::str::from_utf8(payload) else {
            return Vec::new();
        };
        if !text.contains(self.0.table.as_str()) {
            return Vec::new();
        }
        let message: Result<Value, _> = serde_json::from_str(text);
        let changes = message.ok().and_then(|message| self.change(&message));
        changes.unwrap_or_default()
    }
}

/// What rules mask that are known from before: those in force come first, because
/// what they mask stays. Where a row is refused, the text in force counts.
pub fn known_masks(rules: &Rules, topic: &str) -> Vec<(String, TableMask)> {
    let mask_of = |name: &str, rule: &DiversionRule| match rule.mask(topic) {
        Ok(mask) => mask,
        Err(_) => {
            let text = rules.in_force.get(&path_of(name))?;
            DiversionRule::of_text(text)?.mask(topic).ok()?
        }
    };
    let (in_force, others): (BTreeMap<_, _>, BTreeMap<_, _>) = rules
        .rows
        .iter()
        .partition(|(name, _)| rules.in_force.contains_key(&path_of(name)));
    let masks = in_force.into_iter().chain(others);
    masks
        .filter_map(|(name, rule)| Some((name.clone(), mask_of(name, rule)?)))
        .collect()
}
