//! JSON records: what is masked, and that nothing else changes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;

use bytes::Bytes;
use common::{Random, columns, encrypt, keys, masked, masks, record, tables};
use fuzz_rounds::rounds;
use serde_json::{Map, Value, json};
use sluice_core::RecordKind;
use sluice_mask::{Action, Format, RecordForm, SEALED, TopicRules};

fn fields(list: &[(&str, Action)]) -> TopicRules {
    TopicRules {
        form: RecordForm::Json,
        fields: columns(list),
        tables: Default::default(),
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn rows_of_change_messages_are_masked_in_every_form() {
    let masks = masks(&tables(), keys());
    let row = r#"{"id":7,"passwd":"PW-secret","phone_num":"13800001111","email":"ann@x.org","name":"王小明","nick_name":"Annie","birthday":"1990-05-17","address":"Elm 3","user_level":"1"}"#;
    let messages = [
        format!(
            r#"{{"database":"shop","table":"user_info","type":"insert","data":{row},"old":{row}}}"#
        ),
        format!(r#"{{"type":"insert","old":[{row}],"data":[{row},{row}],"table":"USER_INFO"}}"#),
        format!(
            r#"{{"before":{row},"after":{row},"op":"u","source":{{"db":"shop","table":"user_info","query":"INSERT PW-secret"}}}}"#
        ),
        format!(
            r#"{{"schema":{{}},"payload":{{"before":null,"after":{row},"source":{{"table":"user_info"}}}}}}"#
        ),
    ];
    let mut phones = Vec::new();
    for message in messages {
        let message = message.replace("phone_num", r"ph\u006fne_num");
        let text = masked(&masks, &message);
        for secret in [
            "PW-secret",
            "13800001111",
            "ann@",
            "王小明",
            "Annie",
            "05-17",
            "Elm 3",
        ] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains(r#""birthday":"1990-01-01""#) && text.contains(r#""nick_name":"A""#));
        let after = ["/data", "/data/0", "/after", "/payload/after"];
        let value = parsed(&text);
        let row = after
            .iter()
            .find_map(|place| value.pointer(place)?.get("phone_num")?.as_str());
        phones.push(row.unwrap().to_owned());
        assert!(text.contains(r#""id":7"#) && text.contains(r#""user_level":"1""#));
    }
    assert!(
        phones.windows(2).all(|pair| pair[0] == pair[1]),
        "{phones:?}"
    );
}

/// A statement may be about several tables, of which the message names one.
#[test]
fn statements_are_left_out_of_tables_without_masks_too() {
    let masks = masks(&tables(), keys());
    let message = r#"{"database":"shop","table":"order_detail","type":"update","sql":"UPDATE user_info SET email='ann@x.org'","query":"ann@x.org","primary_key":[7],"data":{"id":7}}"#;
    let wanted = r#"{"database":"shop","table":"order_detail","type":"update","primary_key":[7],"data":{"id":7}}"#;
    assert_eq!(parsed(&masked(&masks, message)), parsed(wanted));
}

#[test]
fn what_is_encrypted_belongs_to_the_person_of_its_row() {
    let keys = keys();
    let masks = masks(&tables(), keys.clone());
    let message = r#"{"database":"shop","table":"order_info",
        "data":[{"delivery_address":"A 1","user_id":1},{"delivery_address":"B 2","user_id":"2"},{"delivery_address":"C"}],
        "old":[{"delivery_address":"A 0"},{"delivery_address":"B 0"}]}"#;
    let value = parsed(&masked(&masks, message));
    let at = |place: &str| value.pointer(place).unwrap().as_str().unwrap().to_owned();
    let open = |place: &str| masks.decrypt(&at(place));
    assert_eq!(open("/data/0/delivery_address").as_deref(), Some("A 1"));
    assert_eq!(open("/old/1/delivery_address").as_deref(), Some("B 0"));
    assert_eq!(open("/data/2/delivery_address"), None, "of nobody: hashed");
    assert_eq!(
        masked(&masks, message),
        value_text(&value, message, &masks),
        "equal for equal"
    );
    let person = keys.person("user", " 2 ");
    assert!(keys.erase(person, Some(5)).unwrap());
    assert_eq!(open("/old/1/delivery_address"), None);
    assert_eq!(open("/data/1/delivery_address"), None);
    assert_eq!(open("/old/0/delivery_address").as_deref(), Some("A 0"));
}

/// The text that the same message gives once more.
fn value_text(value: &Value, message: &str, masks: &sluice_mask::Masks) -> String {
    let again = masked(masks, message);
    assert_eq!(&parsed(&again), value);
    again
}

#[test]
fn numbers_stay_numbers_and_what_has_no_form_is_hashed() {
    let rules = fields(&[
        ("/a/phone", Action::Tokenise(Format::Phone)),
        ("/list/*/x", Action::Truncate(2)),
        ("/gone", Action::Drop),
        ("/list/*/gone", Action::Drop),
    ]);
    let masks = masks(&rules, keys());
    let value = parsed(&masked(&masks, r#"{"a":{"phone":13800001111}}"#));
    assert!(value["a"]["phone"].is_number() && value["a"]["phone"] != json!(13_800_001_111_u64));
    for odd in [
        r#"{"a":["13955501101","13800001111",[["13800001111"],{"phone":"13800001111"}]]}"#,
        r#"{"list":[["13800001111"],"13800001111",{"x":["13800001111"]}]}"#,
        r#"{"a":{"phone":{"n":"13800001111"}}}"#,
        r#"{"a":"13800001111"}"#,
        r#"{"a":{"phone":true}}"#,
        r#"{"a":{"phone":["13800001111"]}}"#,
    ] {
        let text = masked(&masks, odd);
        assert!(
            !text.contains("13800001111") && !text.contains("true"),
            "{text}"
        );
        assert!(!text.starts_with(SEALED), "{text}");
    }
    let untouched = "{ \"a\" : {\"phone\":null, \"b\":1e5},\"list\":[{},{\"y\":\"\\u00e9\"}] }";
    assert_eq!(masked(&masks, untouched), untouched);
    let cases = [
        (r#"{"gone":1}"#, r#"{}"#),
        (r#"{"gone":1 , "b":2}"#, r#"{ "b":2}"#),
        (r#"{"b":2, "gone":1}"#, r#"{"b":2}"#),
        (
            r#"{"gone":1,"gone":[{}],"b":2,"gone":3,"GONE":4,"c":5}"#,
            r#"{"b":2,"c":5}"#,
        ),
        (
            r#"{"list":[{"x":"a\"b\n"},{"gone":0,"x":"é\u00e9é"}]}"#,
            r#"{"list":[{"x":"a\""},{"x":"éé"}]}"#,
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(masked(&masks, text), wanted);
    }
}

#[test]
fn what_cannot_be_taken_apart_is_sealed() {
    let masks = masks(&tables(), keys());
    let row = r#"{"phone_num":"13800001111"}"#;
    let whole = format!(r#"{{"table":"user_info","data":{row}}}"#);
    let mut broken: Vec<Vec<u8>> = (1..whole.len())
        .map(|end| whole.as_bytes()[..end].to_vec())
        .collect();
    for text in [
        format!("{whole}{whole}"),
        format!("[{whole}]"),
        r#""13800001111""#.to_owned(),
        format!(r#"{{"data":{row}}}"#),
        format!(r#"{{"table":"other","table":"user_info","data":{row}}}"#),
        format!(r#"{{"table":"user_info","data":{row},}}"#),
        format!(
            r#"{{"table":"user_info","deep":{},"data":{row}}}"#,
            "[".repeat(300) + &"]".repeat(300)
        ),
    ] {
        broken.push(text.into_bytes());
    }
    broken.push([whole.as_bytes(), &[0xff]].concat());
    for payload in broken {
        let mut records = [record(RecordKind::Data, &payload)];
        assert_eq!(
            masks.mask("topic", &mut records).unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&payload)
        );
        let text = String::from_utf8(records[0].payload.to_vec()).unwrap();
        assert!(text.starts_with(SEALED) && !text.contains("1380"), "{text}");
        assert_eq!(
            parsed(&text)["sluice_sealed"]["length"],
            json!(payload.len())
        );
        assert_eq!(masks.unseal(&text).unwrap(), payload);
    }
}

/// Stands for the hash of an object or array.
const ANY_HASH: &str = "any hash";

/// What the rules of the fuzz test make of a value, done the slow way.
fn naive(value: &mut Value, masks: &sluice_mask::Masks) {
    fn text_of(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
    fn cut(value: &mut Value, hash: &dyn Fn(&str) -> String) {
        match value {
            Value::Null => {}
            Value::String(text) => *text = text.chars().take(2).collect(),
            Value::Number(_) => {
                let text: String = text_of(value).chars().take(2).collect();
                let is_number =
                    !text.starts_with('0') && text.bytes().all(|it| it.is_ascii_digit());
                *value = if is_number {
                    serde_json::from_str(&text).unwrap()
                } else {
                    json!(text)
                };
            }
            Value::Bool(_) => *value = json!(hash(&text_of(value))),
            // Its text is spelled as in the record.
            other => *other = json!(ANY_HASH),
        }
    }
    fn visit(value: &mut Value, path: &[&str], hash: &dyn Fn(&str) -> String) {
        match value {
            Value::Object(members) => {
                let old = std::mem::take(members);
                let mut kept = Map::new();
                for (name, mut member) in old {
                    let small = name.to_ascii_lowercase();
                    let mut inner = path.to_vec();
                    inner.push(&small);
                    match &inner[..] {
                        ["gone"] | ["a", "gone"] => continue,
                        ["a", "b"] | ["list", _, "x"] => cut(&mut member, hash),
                        ["a"] | ["list"] => {
                            if member.is_object() || member.is_array() {
                                visit(&mut member, &inner, hash);
                            } else if !member.is_null() {
                                member = json!(hash(&text_of(&member)));
                            }
                        }
                        ["list", _] => {
                            if member.is_object() || member.is_array() {
                                visit(&mut member, &inner, hash);
                            } else if !member.is_null() {
                                member = json!(hash(&text_of(&member)));
                            }
                        }
                        _ => {}
                    }
                    kept.insert(name, member);
                }
                *members = kept;
            }
            Value::Array(elements) => {
                let of_element = match path {
                    ["list", ..] => &["list", "*"][..],
                    path => path,
                };
                for element in elements {
                    if element.is_object() || element.is_array() {
                        visit(element, of_element, hash);
                    } else if !element.is_null() {
                        *element = json!(hash(&text_of(element)));
                    }
                }
            }
            _ => {}
        }
    }
    let hash = |text: &str| {
        let asked = json!({ "h": text }).to_string();
        let answer = parsed(&masked(masks, &asked));
        answer["h"].as_str().unwrap().to_owned()
    };
    if let Value::Object(members) = value {
        let hashed = members.get("h").filter(|it| !it.is_null()).map(|it| {
            if it.is_object() || it.is_array() {
                return ANY_HASH.to_owned();
            }
            let text = text_of(it);
            if text.is_empty() { text } else { hash(&text) }
        });
        visit(value, &[], &hash);
        if let Some(hashed) = hashed {
            value["h"] = json!(hashed);
        }
    }
}

/// A random value as text.
fn write(random: &mut Random, depth: usize, out: &mut String) {
    const NAMES: [&str; 9] = [
        "a",
        "b",
        "list",
        "x",
        "gone",
        "h",
        r"g\u006fne",
        "n\\n",
        "é",
    ];
    const SCALARS: [&str; 12] = [
        "null",
        "true",
        "0",
        "-12",
        "12345",
        "\"\"",
        r#""text""#,
        r#""\u00e9\ud83d\ude00z""#,
        r#""a\"b\\c""#,
        "\"漢字仮名\"",
        "7",
        "\"x y\"",
    ];
    match random.below(if depth > 4 { 1 } else { 4 }) {
        0 => out.push_str(SCALARS[random.below(SCALARS.len())]),
        1 => {
            out.push('[');
            for index in 0..random.below(4) {
                if index > 0 {
                    out.push(',');
                }
                write(random, depth + 1, out);
            }
            out.push(']');
        }
        _ => write_object(random, depth, &NAMES, out),
    }
}

fn write_object(random: &mut Random, depth: usize, names: &[&str], out: &mut String) {
    out.push('{');
    // Of equal names the last one would count for one and the other, so that
    // they are left to another test.
    let mut seen: Vec<&str> = Vec::new();
    for _ in 0..random.below(6) {
        let name = names[random.below(names.len())];
        let plain = if name.starts_with('g') { "gone" } else { name };
        if seen.contains(&plain) {
            continue;
        }
        if !seen.is_empty() {
            out.push(',');
        }
        seen.push(plain);
        out.push_str(&format!("\"{name}\":"));
        write(random, depth + 1, out);
    }
    out.push('}');
}

#[test]
fn the_editor_equals_a_tree_of_values() {
    let rules = fields(&[
        ("/gone", Action::Drop),
        ("/a/gone", Action::Drop),
        ("/a/b", Action::Truncate(2)),
        ("/list/*/x", Action::Truncate(2)),
        ("/h", Action::Hash),
    ]);
    let masks = masks(&rules, keys());
    for round in rounds(30_000) {
        let mut random = Random(round);
        let mut text = String::new();
        write_object(
            &mut random,
            0,
            &["a", "list", "gone", "h", "b", "z"],
            &mut text,
        );
        let answer = masked(&masks, &text);
        let mut wanted = parsed(&text);
        naive(&mut wanted, &masks);
        assert!(
            is_same(&parsed(&answer), &wanted),
            "{text}\n{answer}\n{wanted}"
        );
        // Damage never panics, and passes only where it is JSON.
        let mut damaged = text.into_bytes();
        let place = random.below(damaged.len());
        damaged[place] = random.next() as u8;
        let mut records = [record(RecordKind::Data, &damaged)];
        let sealed = masks.mask("topic", &mut records).unwrap();
        let is_object = match serde_json::from_slice::<Value>(&damaged) {
            Ok(value) => value.is_object(),
            // A number beyond any float is JSON all the same.
            Err(error) if error.to_string().contains("out of range") => continue,
            Err(_) => false,
        };
        assert_eq!(
            sealed == 0,
            is_object,
            "{}",
            String::from_utf8_lossy(&damaged)
        );
    }
}

/// Whether two values are the same, [`ANY_HASH`] being any hash.
fn is_same(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::String(text), Value::String(wanted)) if wanted == ANY_HASH => text.len() == 64,
        (Value::Object(one), Value::Object(other)) => {
            let is_there = |(name, one): (&String, &Value)| {
                other.get(name).is_some_and(|other| is_same(one, other))
            };
            one.len() == other.len() && one.iter().all(is_there)
        }
        (Value::Array(one), Value::Array(other)) => {
            let are_same = one
                .iter()
                .zip(other)
                .all(|(one, other)| is_same(one, other));
            one.len() == other.len() && are_same
        }
        _ => value == wanted,
    }
}

#[test]
fn every_column_but_those_named_can_be_dropped() {
    let mut rules = tables();
    let only = columns(&[
        ("id", Action::Keep),
        ("*", Action::Drop),
        ("note", encrypt("id")),
    ]);
    rules.tables.insert("visits".to_owned(), only);
    rules
        .tables
        .insert("*".to_owned(), columns(&[("phone", Action::Hash)]));
    let masks = masks(&rules, keys());
    let text = masked(
        &masks,
        r#"{"table":"visits","data":{"x":1,"id":2,"y":{"z":3},"note":"hm"}}"#,
    );
    let data = parsed(&text)["data"].as_object().unwrap().clone();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["id", "note"]);
    let text = masked(&masks, r#"{"table":"unknown","data":{"phone":"1380000"}}"#);
    assert!(!text.contains("1380000"), "{text}");
}

#[test]
fn rows_of_exports_are_masked_by_rules_of_their_own() {
    let masks = masks(&tables(), keys());
    let rules = fields(&[("/phone", Action::Hash), ("/secret", Action::Drop)]);
    let row = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let mut rows = [
        row(r#"{"id":1,"phone":"13900001111","secret":"a"}"#),
        row(r#"{"id":2}"#),
        row(r#"{"id":3,"phone":"13900001111""#),
    ];
    assert_eq!(masks.mask_rows(&rules, &mut rows, 64).unwrap(), 1);
    let text = |row: &Bytes| String::from_utf8(row.to_vec()).unwrap();
    let first = text(&rows[0]);
    assert!(first.starts_with(r#"{"id":1,"phone":""#), "{first}");
    assert!(!first.contains("1390000") && !first.contains("secret"));
    assert_eq!(text(&rows[1]), r#"{"id":2}"#);
    // What cannot be taken apart is sealed.
    assert!(text(&rows[2]).starts_with(SEALED));
    // What is masked already is left alone on its way into the log.
    let mut records = [record(RecordKind::Backfill, b"{\"table\":\"user_info\"}")];
    assert_eq!(masks.mask("topic", &mut records).unwrap(), 0);
    assert_eq!(&records[0].payload[..], b"{\"table\":\"user_info\"}");
}
