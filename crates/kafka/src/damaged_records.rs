//! Damaged records of Avro and JSON Schema among sound ones: each becomes a value
//! or says why not, with its bytes as they came, and costs only itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;
#[path = "../../core/tests/support/mutator.rs"]
mod mutator;

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::Timestamp;
use rdkafka::message::OwnedMessage;
use serde::de::IgnoredAny;
use sluice_core::{Record, RecordKind, undecoded};

use self::fuzz_rounds::rounds;
use self::mutator::{Mutator, Watch};
use crate::avro::SchemaReader;
use crate::format::Formats;
use crate::options::{Include, ValueFormat};
use crate::position::record_step;
use crate::record::record;
use crate::registry::Writer;

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[
  {"name":"id","type":"long"},{"name":"note","type":["null","string"]},
  {"name":"tags","type":{"type":"array","items":"string"}},{"name":"paid","type":"boolean"}]}"#;
const AVRO: u32 = 1;
const JSON: u32 = 2;
/// One that the registry does not have.
const UNKNOWN: u32 = 9;

/// 7, a text of four bytes, two texts of one, true; and what they are.
const FIRST: &[u8] = b"\x0e\x02\x08n\xc3\xa9e\x04\x02a\x02b\x00\x01";
const FIRST_JSON: &str = r#"{"id":7,"note":"née","tags":["a","b"],"paid":true}"#;
/// 8, nothing, nothing, false; and what they are.
const LAST: &[u8] = b"\x10\x00\x00\x00";
const LAST_JSON: &str = r#"{"id":8,"note":null,"tags":[],"paid":false}"#;

fn formats(value: ValueFormat) -> Formats {
    let schema = SchemaReader::default().finish(SCHEMA).unwrap();
    let missing = Writer::Unusable("the registry has no schema 9".into());
    let known = BTreeMap::from([
        (AVRO, Writer::Avro(Arc::new(schema))),
        (JSON, Writer::Json),
        (UNKNOWN, missing),
    ]);
    Formats::knowing(value, known)
}

fn framed(number: u32, value: &[u8]) -> Vec<u8> {
    [&[0], &number.to_be_bytes()[..], value].concat()
}

/// The records of these values, one behind the other in a partition.
fn records(format: ValueFormat, values: [&[u8]; 3]) -> Vec<Record> {
    let mut formats = formats(format);
    let mut records = Vec::new();
    for (value, offset) in values.into_iter().zip(41..) {
        let message = OwnedMessage::new(
            Some(value.to_vec()),
            None,
            "orders".into(),
            Timestamp::NotAvailable,
            3,
            offset,
            None,
        );
        let record = record(&message, &mut formats, Include::default(), 5).unwrap();
        // What was refused is passed, and no more.
        assert_eq!(record.position, record_step("orders", 3, offset + 1));
        assert_eq!(record.kind, RecordKind::Data);
        records.push(record);
    }
    records
}

#[test]
fn a_damaged_record_costs_only_itself() {
    let watch = Watch::new("records of a registry");
    let (mut tried, mut values, mut refused) = (0, 0, 0);
    for round in rounds(20_000) {
        let mut random = Mutator::new(round);
        let (format, number, first, last) = match random.below(2) {
            0 => (ValueFormat::Avro, AVRO, FIRST, LAST),
            _ => {
                let texts = (FIRST_JSON.as_bytes(), LAST_JSON.as_bytes());
                (ValueFormat::JsonSchema, JSON, texts.0, texts.1)
            }
        };
        let other = [AVRO, JSON, UNKNOWN][random.below(3)];
        let mut damaged = framed(number, first);
        match random.below(6) {
            0 => damaged = framed(other, first),
            1 => damaged[0] = 1 + random.below(255) as u8,
            2 => damaged.truncate(random.below(6)),
            _ => {
                let mut value = first.to_vec();
                random.mutate(&mut value);
                damaged = framed(number, &value);
            }
        }
        let (first, last) = (framed(number, first), framed(number, last));
        let records = records(format, [first.as_slice(), &damaged, &last]);
        assert_eq!(records[0].payload, FIRST_JSON, "round {round}");
        assert_eq!(records[2].payload, LAST_JSON, "round {round}");
        tried += 1;
        match undecoded(&records[1].payload) {
            Some((reason, bytes)) => {
                refused += 1;
                assert!(!reason.is_empty(), "round {round}");
                assert_eq!(bytes, damaged, "round {round}");
            }
            // Whether it is JSON is for the router to say.
            None if format == ValueFormat::JsonSchema => {
                values += 1;
                assert_eq!(records[1].payload, damaged[5..], "round {round}");
            }
            None => {
                values += 1;
                let read = serde_json::from_slice::<IgnoredAny>(&records[1].payload);
                assert!(read.is_ok(), "round {round}");
            }
        }
        watch.tick();
    }
    assert!(
        values > tried / 20 && refused > tried / 4,
        "{values} {refused}"
    );
}

#[test]
fn what_is_wrong_is_said() {
    let sound = framed(AVRO, FIRST);
    let said = |damaged: &[u8]| {
        let records = records(ValueFormat::Avro, [sound.as_slice(), damaged, &sound]);
        undecoded(&records[1].payload).unwrap().0
    };
    let frame = "it does not begin with a zero byte and the number of a schema";
    assert_eq!(said(b""), frame);
    assert_eq!(said(&sound[..4]), frame);
    assert_eq!(said(&framed(JSON, FIRST)), "schema 2 is one of JSON");
    assert_eq!(
        said(&framed(UNKNOWN, FIRST)),
        "the registry has no schema 9"
    );
    let cut = said(&sound[..sound.len() - 1]);
    assert!(cut.starts_with("it is no value of schema 1: "), "{cut}");
}
