//! Avro values against an encoder of the test's own: every schema and value
//! that chance makes comes out as it went in, and bytes that were damaged give
//! a value or an error, but never a panic or endless work.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;

use fuzz_rounds::rounds;
use serde_json::{Value, json};
use sluice_kafka::avro::{Schema, SchemaReader, to_json};

/// Numbers that are the same in every run (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

fn long(out: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn text(out: &mut Vec<u8>, text: &str) {
    long(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

/// A schema by chance.
fn schema(chance: &mut Chance, depth: u32, names: &mut u32) -> Value {
    let kinds = if depth > 3 { 9 } else { 15 };
    *names += 1;
    let name = format!("T{names}");
    match chance.below(kinds) {
        0 => json!("null"),
        1 => json!("boolean"),
        2 => json!("int"),
        3 => json!({"type": "long"}),
        4 => json!("double"),
        5 => json!("string"),
        6 => json!({"type": "int", "logicalType": "date"}),
        7 => json!({"type": "long", "logicalType": "timestamp-micros"}),
        8 => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": chance.below(6)})
        }
        9 | 10 => {
            let fields: Vec<Value> = (0..chance.below(5))
                .map(|field| json!({"name": format!("f{field}"), "type": schema(chance, depth + 1, names)}))
                .collect();
            json!({"type": "record", "name": name, "namespace": "shop", "fields": fields})
        }
        11 => json!({"type": "array", "items": schema(chance, depth + 1, names)}),
        12 => json!({"type": "map", "values": schema(chance, depth + 1, names)}),
        13 => json!(["null", schema_of_no_union(chance, depth + 1, names)]),
        _ => json!({"type": "enum", "name": name, "symbols": ["A", "B", "C\"D"]}),
    }
}

fn schema_of_no_union(chance: &mut Chance, depth: u32, names: &mut u32) -> Value {
    loop {
        let made = schema(chance, depth, names);
        if !made.is_array() && made != json!("null") {
            return made;
        }
    }
}

/// A value by chance: its bytes, and what it is as JSON.
fn value(chance: &mut Chance, schema: &Value, out: &mut Vec<u8>) -> String {
    let logical = schema["logicalType"].as_str();
    let kind = schema["type"].as_str().or(schema.as_str());
    match (kind, logical) {
        (Some("null"), _) => "null".to_owned(),
        (Some("boolean"), _) => {
            let value = chance.below(2);
            out.push(value as u8);
            ["false", "true"][value as usize].to_owned()
        }
        (Some("int"), Some("date")) => {
            // 2000-03-01 and the days behind it, of one month.
            let day = chance.below(31);
            long(out, 11_017 + day as i64);
            format!("\"2000-03-{:02}\"", day + 1)
        }
        (Some("int"), _) => {
            let value = chance.next() as i32;
            long(out, i64::from(value));
            value.to_string()
        }
        (Some("long"), Some(_)) => {
            let micros = chance.below(1_000_000) as i64;
            long(out, 951_868_800_000_000 + micros);
            let part = format!("{micros:06}");
            match part.trim_end_matches('0') {
                "" => "\"2000-03-01T00:00:00Z\"".to_owned(),
                part => format!("\"2000-03-01T00:00:00.{part}Z\""),
            }
        }
        (Some("long"), None) => {
            let value = chance.next() as i64 >> chance.below(64);
            long(out, value);
            value.to_string()
        }
        (Some("double"), _) => {
            let value = f64::from(chance.next() as i32) / 64.0;
            out.extend(value.to_le_bytes());
            serde_json::to_string(&value).unwrap()
        }
        (Some("string"), _) => {
            let letters = ["", "a", "ä\"\\", "\n\u{1}", "商品"];
            let value: String = (0..chance.below(4))
                .map(|_| letters[chance.below(5) as usize])
                .collect();
            text(out, &value);
            serde_json::to_string(&value).unwrap()
        }
        (Some("bytes"), _) => {
            let number = chance.next() as i64 >> chance.below(64);
            long(out, 8);
            out.extend(number.to_be_bytes());
            let scale = schema["scale"].as_u64().unwrap() as usize;
            if scale == 0 {
                return number.to_string();
            }
            let digits = format!("{:0width$}", number.unsigned_abs(), width = scale + 1);
            let (whole, part) = digits.split_at(digits.len() - scale);
            let sign = if number < 0 { "-" } else { "" };
            format!("{sign}{whole}.{part}")
        }
        (Some("record"), _) => {
            let fields = schema["fields"].as_array().unwrap();
            let members: Vec<String> = fields
                .iter()
                .map(|field| format!("{}:{}", field["name"], value(chance, &field["type"], out)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        (Some("array"), _) => {
            let items = items(chance, out, |chance, out, _| {
                value(chance, &schema["items"], out)
            });
            format!("[{}]", items.join(","))
        }
        (Some("map"), _) => {
            let items = items(chance, out, |chance, out, number| {
                text(out, &format!("k{number}"));
                format!("\"k{number}\":{}", value(chance, &schema["values"], out))
            });
            format!("{{{}}}", items.join(","))
        }
        (Some("enum"), _) => {
            let number = chance.below(3);
            long(out, number as i64);
            schema["symbols"][number as usize].to_string()
        }
        _ => {
            let branches = schema.as_array().unwrap();
            let number = chance.below(branches.len() as u64);
            long(out, number as i64);
            value(chance, &branches[number as usize], out)
        }
    }
}

/// Items in blocks, some of them with their length in bytes before them.
fn items(
    chance: &mut Chance,
    out: &mut Vec<u8>,
    mut item: impl FnMut(&mut Chance, &mut Vec<u8>, usize) -> String,
) -> Vec<String> {
    let mut items = Vec::new();
    for _ in 0..chance.below(3) {
        let count = 1 + chance.below(3);
        let mut block = Vec::new();
        for _ in 0..count {
            items.push(item(chance, &mut block, items.len()));
        }
        match chance.below(2) {
            0 => long(out, count as i64),
            _ => {
                long(out, -(count as i64));
                long(out, block.len() as i64);
            }
        }
        out.extend(block);
    }
    out.push(0);
    items
}

fn read(schema: &Value) -> Schema {
    SchemaReader::default().finish(&schema.to_string()).unwrap()
}

#[test]
fn what_chance_makes_comes_out_as_it_went_in() {
    for round in rounds(20_000) {
        let mut chance = Chance(round);
        let made = schema(&mut chance, 0, &mut 0);
        let mut bytes = Vec::new();
        let wanted = value(&mut chance, &made, &mut bytes);
        let found = to_json(&read(&made), &bytes);
        assert_eq!(found.as_deref(), Ok(&wanted[..]), "round {round}: {made}");
        assert!(serde_json::from_str::<Value>(&wanted).is_ok());
        bytes.push(0);
        assert!(to_json(&read(&made), &bytes).is_err(), "round {round}");
    }
}

#[test]
fn damaged_values_give_a_value_or_an_error() {
    let mut good = 0_u64;
    let mut tried = 0;
    for round in rounds(20_000) {
        let mut chance = Chance(round);
        tried += 1;
        let made = schema(&mut chance, 0, &mut 0);
        let mut bytes = Vec::new();
        value(&mut chance, &made, &mut bytes);
        for _ in 0..=chance.below(3) {
            let place = chance.below(bytes.len() as u64 + 1) as usize;
            match (chance.below(3), place < bytes.len()) {
                (0, true) => bytes[place] = chance.next() as u8,
                (1, true) => bytes.truncate(place),
                _ => bytes.insert(place, chance.next() as u8),
            }
        }
        if let Ok(json) = to_json(&read(&made), &bytes) {
            assert!(
                serde_json::from_str::<Value>(&json).is_ok(),
                "{made}: {json}"
            );
            good += 1;
        }
    }
    assert!(good > 0 && good < tried);
}

#[test]
fn damaged_schemas_give_a_schema_or_an_error() {
    for round in rounds(20_000) {
        let mut chance = Chance(round);
        let mut text = schema(&mut chance, 0, &mut 0).to_string().into_bytes();
        let place = chance.below(text.len() as u64) as usize;
        match chance.below(3) {
            0 => text[place] = b"{}[]\",:0a"[chance.below(9) as usize],
            1 => text.truncate(place),
            _ => {
                let end = place + chance.below(20) as usize;
                let part: Vec<u8> = text[place..end.min(text.len())].to_vec();
                text.splice(place..place, part);
            }
        }
        let Ok(text) = String::from_utf8(text) else {
            continue;
        };
        if let Ok(schema) = SchemaReader::default().finish(&text) {
            let bytes: Vec<u8> = (0..chance.below(40)).map(|_| chance.next() as u8).collect();
            let _ = to_json(&schema, &bytes);
        }
    }
}

#[test]
fn little_input_never_makes_much_work() {
    // A record of its own type without an end, and a block of so many nothings.
    let endless = json!({"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]});
    let error = to_json(&read(&endless), &[]).unwrap_err();
    assert!(error.problem.contains("inside each other"), "{error}");
    let mut bytes = Vec::new();
    long(&mut bytes, i64::MAX);
    let nothings = json!({"type": "array", "items": "null"});
    let error = to_json(&read(&nothings), &bytes).unwrap_err();
    assert!(error.problem.contains("more than"), "{error}");
    let mut bytes = Vec::new();
    long(&mut bytes, 1 << 60);
    for kind in ["bytes", "string"] {
        let error = to_json(&read(&json!(kind)), &bytes).unwrap_err();
        assert!(error.problem.contains("are wanted"), "{error}");
    }
}

#[test]
fn logical_types_have_their_forms() {
    let cases: [(Value, &[u8], &str); 9] = [
        (
            json!({"type": "int", "logicalType": "time-millis"}),
            &[0x02],
            "\"00:00:00.001\"",
        ),
        (
            json!({"type": "long", "logicalType": "local-timestamp-millis"}),
            &[0x00],
            "\"1970-01-01 00:00:00\"",
        ),
        (
            json!({"type": "string", "logicalType": "uuid"}),
            b"\x02a",
            "\"a\"",
        ),
        (
            json!({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}),
            &[0x11; 16],
            "\"11111111-1111-1111-1111-111111111111\"",
        ),
        (
            json!({"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}),
            &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0],
            r#"{"months":1,"days":2,"milliseconds":3}"#,
        ),
        (
            json!({"type": "fixed", "name": "M", "size": 2, "logicalType": "decimal", "precision": 4, "scale": 2}),
            &[0xff, 0x9c],
            "-1.00",
        ),
        (json!("bytes"), b"\x06foo", "\"Zm9v\""),
        (json!("float"), &[0, 0, 0xc0, 0x7f], "\"NaN\""),
        (json!("float"), &[0xcd, 0xcc, 0xcc, 0x3d], "0.1"),
    ];
    for (schema, bytes, wanted) in cases {
        let found = to_json(&read(&schema), bytes);
        assert_eq!(found.as_deref(), Ok(wanted), "{schema}");
    }
}
