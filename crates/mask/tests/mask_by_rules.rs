//! Masks that come with rules in the stream: every record behind a rule is masked and
//! says so, and none before it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{keys, masked, record};
use sluice_core::RecordKind;
use sluice_mask::{Action, ColumnMask, Masks, ReadRules, SEALED, TableMask};

/// A rule is `{"table":"rule","mask":"TABLE COLUMN WORD"}`.
#[derive(Debug)]
struct Rules;

impl ReadRules for Rules {
    fn read(&self, payload: &[u8]) -> Option<TableMask> {
        let message: serde_json::Value = serde_json::from_slice(payload).ok()?;
        Some(mask(message["mask"].as_str()?))
    }
}

fn mask(text: &str) -> TableMask {
    let words: Vec<&str> = text.split(' ').collect();
    let action = match words[2] {
        "drop" => Action::Drop,
        "first" => Action::Truncate(1),
        other => panic!("{other}"),
    };
    TableMask {
        table: words[0].to_owned(),
        columns: vec![ColumnMask {
            column: words[1].to_owned(),
            action,
            words: words[2].to_owned(),
        }],
    }
}

fn masks() -> Masks {
    Masks::new(std::iter::empty(), keys(), 1 << 20).with_rules("topic", Box::new(Rules))
}

const CLEAR: &str = r#"{"database":"shop","table":"users","type":"update","data":{"phone":"138"},"old":{"phone":"139"}}"#;
const FIRST: &str = r#"{"database":"shop","table":"users","type":"update","data":{"phone":"1"},"old":{"phone":"1"},"sluice_masked":{"phone":"first"}}"#;
const DROPPED: &str = r#"{"database":"shop","table":"users","type":"update","data":{},"old":{},"sluice_masked":{"phone":"drop"}}"#;

#[test]
fn what_stands_behind_a_rule_in_a_batch_is_masked() {
    let masks = masks();
    let rule = r#"{"table":"rule","mask":"shop.users Phone first"}"#;
    let other = r#"{"database":"web","table":"users","data":{"phone":"138"}}"#;
    let texts = [CLEAR, rule, other, CLEAR];
    let mut records = texts.map(|text| record(RecordKind::Data, text.as_bytes()));
    masks.mask("topic", &mut records).unwrap();
    let found = records.map(|record| String::from_utf8(record.payload.to_vec()).unwrap());
    assert_eq!(found, [CLEAR, rule, other, FIRST]);
    assert!(masks.has_rules("topic") && !masks.has_rules("other"));
    // What names no table may be of any.
    assert!(masked(&masks, r#"{"phone":"138"}"#).starts_with(SEALED));
    // Its own word that it is masked does not count.
    let lie = CLEAR.replace(
        "\"type\"",
        "\"sluice_masked\":{\"phone\":\"first\"},\"type\"",
    );
    assert_eq!(masked(&masks, &lie), FIRST);
}

#[test]
fn records_from_before_a_mask_are_known_by_their_marks() {
    let masks = masks();
    assert!(masks.is_masked_by_rules("topic", CLEAR.as_bytes()));
    masks.set_rules(vec![mask("users phone first")], 0);
    assert_eq!(masked(&masks, CLEAR), FIRST);
    assert!(masks.is_masked_by_rules("topic", FIRST.as_bytes()));
    assert!(!masks.is_masked_by_rules("topic", CLEAR.as_bytes()));
    let other = CLEAR.replace("users", "goods");
    assert!(masks.is_masked_by_rules("topic", other.as_bytes()));
    assert!(!masks.is_masked_by_rules("topic", b"no object"));
    // A stronger mask is wanted of them, too.
    masks.set_rules(vec![mask("users phone drop")], 0);
    assert_eq!(masked(&masks, CLEAR), DROPPED);
    assert!(!masks.is_masked_by_rules("topic", FIRST.as_bytes()));
}

#[test]
fn both_masks_hold_until_it_is_decided_which_one_does() {
    let masks = masks();
    masks.set_rules(vec![mask("users phone first")], 0);
    let rule = r#"{"table":"rule","mask":"users phone drop"}"#;
    masked(&masks, rule);
    masks.appended("topic", 40);
    assert_eq!(masked(&masks, CLEAR), DROPPED);
    // It was refused.
    masks.set_rules(vec![mask("users phone first")], 40);
    assert_eq!(masked(&masks, CLEAR), DROPPED);
    masks.set_rules(vec![mask("users phone first")], 41);
    assert_eq!(masked(&masks, CLEAR), FIRST);
    // It is in the log already when the program starts.
    masks.observe("topic", 50, rule.as_bytes());
    masks.set_rules(Vec::new(), 50);
    assert_eq!(masked(&masks, CLEAR), DROPPED);
    let rules = masks.rules("topic").unwrap();
    assert_eq!(rules.tables["users"], [("phone".to_owned(), Action::Drop)]);
    masks.set_rules(Vec::new(), 51);
    assert_eq!(masked(&masks, CLEAR), CLEAR);
    assert!(masks.rules("topic").is_none());
}
