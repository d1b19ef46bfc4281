//! What a record of Kafka becomes.
//!
//! Without `include` it is the value as it came. With it, the value gets one
//! member more, `_kafka`:
//!
//! ```json
//! {"id":7,"total":12.50,"_kafka":{"topic":"orders","partition":0,"offset":41,
//!  "timestamp":1767225600000,"key":"7","headers":{"source":"app"},"tombstone":false}}
//! ```
//!
//! A value that is no object stands in `value`, and a tombstone has `_kafka`
//! alone. What is no JSON stays as it came: the router tells of it. The member
//! stands last, where it counts whatever the value itself holds.

use std::borrow::Cow;

use bytes::Bytes;
use rdkafka::message::{Headers as _, Message};
use serde::de::IgnoredAny;
use sluice_core::{Record, RecordKind, UNDECODED};

use crate::base64::base64;
use crate::format::Formats;
use crate::options::Include;
use crate::position::record_step;

/// The record of Sluice that a message becomes; the error is that it cannot be
/// known now.
pub(crate) fn record<M: Message>(
    message: &M,
    formats: &mut Formats,
    include: Include,
    now_us: i64,
) -> Result<Record, String> {
    let value = match message.payload() {
        Some(value) => Some(formats.value(value, now_us)?),
        None => None,
    };
    let key = match message.key() {
        Some(key) if include.key => Some(formats.key(key, now_us)?),
        _ => None,
    };
    let payload = match (value.transpose(), key.transpose()) {
        (Ok(value), Ok(key)) => payload(message, value, key, include),
        (Err(problem), _) => Some(undecoded(&problem, message.payload())),
        (_, Err(problem)) => Some(undecoded(&format!("key: {problem}"), message.key())),
    };
    let next = message.offset().saturating_add(1);
    Ok(Record {
        kind: match payload {
            Some(_) => RecordKind::Data,
            None => RecordKind::Position,
        },
        payload: payload.unwrap_or_default(),
        capture_time_us: now_us,
        position: Bytes::from(record_step(message.topic(), message.partition(), next)),
        transaction: None,
    })
}

/// The payload of a record with this value; `None` for one that says nothing:
/// a tombstone beside which nothing is wanted. `key` is JSON.
fn payload<M: Message>(
    message: &M,
    value: Option<Cow<'_, [u8]>>,
    key: Option<String>,
    include: Include,
) -> Option<Bytes> {
    if !include.any() {
        return value.map(|value| Bytes::from(value.into_owned()));
    }
    let is_tombstone = value.is_none();
    let value = value.unwrap_or_default();
    let trimmed = value.trim_ascii();
    let is_object = trimmed.first() == Some(&b'{') && trimmed.last() == Some(&b'}');
    let mut out = Vec::with_capacity(value.len() + 128);
    if is_object && trimmed.len() > 1 {
        let inside = trimmed[..trimmed.len() - 1].trim_ascii_end();
        out.extend_from_slice(inside);
        if inside.len() > 1 {
            out.push(b',');
        }
    } else if is_tombstone {
        out.push(b'{');
    } else if serde_json::from_slice::<IgnoredAny>(trimmed).is_ok() {
        out.extend_from_slice(b"{\"value\":");
        out.extend_from_slice(trimmed);
        out.push(b',');
    } else {
        return Some(Bytes::from(value.into_owned()));
    }
    out.extend_from_slice(b"\"_kafka\":{");
    write_beside(&mut out, message, key, include);
    let tombstone: &[u8] = match is_tombstone {
        true => b"\"tombstone\":true}}",
        false => b"\"tombstone\":false}}",
    };
    out.extend_from_slice(tombstone);
    Some(Bytes::from(out))
}

fn write_beside<M: Message>(out: &mut Vec<u8>, message: &M, key: Option<String>, include: Include) {
    let mut member = |name: &str, json: &str| {
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(json.as_bytes());
        out.push(b',');
    };
    if include.topic {
        member("topic", &quoted(message.topic()));
    }
    if include.partition {
        member("partition", &message.partition().to_string());
    }
    if include.offset {
        member("offset", &message.offset().to_string());
    }
    if include.timestamp {
        let time = message.timestamp().to_millis();
        member(
            "timestamp",
            &time.map_or("null".into(), |ms| ms.to_string()),
        );
    }
    if include.key {
        member("key", &key.unwrap_or_else(|| "null".to_owned()));
    }
    if include.headers {
        member("headers", &headers(message));
    }
}

/// An object of all headers; of equal names the last one counts.
fn headers<M: Message>(message: &M) -> String {
    let all: Vec<(&str, Option<&[u8]>)> = match message.headers() {
        Some(headers) => headers.iter().map(|it| (it.key, it.value)).collect(),
        None => Vec::new(),
    };
    let mut out = String::from("{");
    for (number, (name, value)) in all.iter().enumerate() {
        if all[number + 1..].iter().any(|(later, _)| later == name) {
            continue;
        }
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&quoted(name));
        out.push(':');
        out.push_str(&value.map_or("null".to_owned(), text));
    }
    out.push('}');
    out
}

/// The payload of a record that could not be read. It is no JSON, so that no
/// mask takes it for a record without personal fields.
fn undecoded(problem: &str, bytes: Option<&[u8]>) -> Bytes {
    let mut payload = UNDECODED.as_bytes().to_vec();
    payload.extend_from_slice(problem.as_bytes());
    payload.push(0);
    payload.extend_from_slice(bytes.unwrap_or_default());
    Bytes::from(payload)
}

/// Bytes as a JSON string: their text, or Base64 of what is no UTF-8.
pub(crate) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => quoted(text),
        Err(_) => quoted(&base64(bytes)),
    }
}

pub(crate) fn quoted(text: &str) -> String {
    // Texts always have a JSON form.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};

    use super::*;

    fn made(value: Option<&[u8]>, include: Include) -> Option<String> {
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: "source",
                value: Some("old"),
            })
            .insert(Header {
                key: "none",
                value: None::<&str>,
            })
            .insert(Header {
                key: "source",
                value: Some("app\""),
            });
        let message = OwnedMessage::new(
            value.map(<[u8]>::to_vec),
            Some(b"7".to_vec()),
            "orders".into(),
            Timestamp::CreateTime(5),
            3,
            41,
            Some(headers),
        );
        let key = message.key().map(text);
        let payload = payload(&message, value.map(Cow::Borrowed), key, include)?;
        Some(String::from_utf8_lossy(&payload).into_owned())
    }

    const KEY: Include = Include {
        key: true,
        headers: false,
        topic: false,
        partition: false,
        offset: false,
        timestamp: false,
    };

    #[test]
    fn without_include_the_value_stays_and_tombstones_say_nothing() {
        let none = Include::default();
        assert_eq!(made(Some(b" {\"a\": 1} "), none).unwrap(), " {\"a\": 1} ");
        assert_eq!(made(Some(b""), none).unwrap(), "");
        assert_eq!(made(None, none), None);
    }

    #[test]
    fn everything_stands_beside_the_value() {
        let all = Include {
            key: true,
            headers: true,
            topic: true,
            partition: true,
            offset: true,
            timestamp: true,
        };
        assert_eq!(
            made(Some(b"{\"a\":1}\n"), all).unwrap(),
            r#"{"a":1,"_kafka":{"topic":"orders","partition":3,"offset":41,"timestamp":5,"key":"7","headers":{"none":null,"source":"app\""},"tombstone":false}}"#
        );
    }

    #[test]
    fn values_of_every_kind_have_a_form() {
        let cases: [(Option<&[u8]>, &str); 7] = [
            (Some(b"{}"), r#"{"_kafka":{"key":"7","tombstone":false}}"#),
            (
                Some(b" { } "),
                r#"{"_kafka":{"key":"7","tombstone":false}}"#,
            ),
            (
                Some(b"[1,{}]"),
                r#"{"value":[1,{}],"_kafka":{"key":"7","tombstone":false}}"#,
            ),
            (
                Some(b"null"),
                r#"{"value":null,"_kafka":{"key":"7","tombstone":false}}"#,
            ),
            (None, r#"{"_kafka":{"key":"7","tombstone":true}}"#),
            (Some(b"}{"), "}{"),
            (Some(b""), ""),
        ];
        for (value, wanted) in cases {
            assert_eq!(made(value, KEY).unwrap(), wanted);
        }
    }

    #[test]
    fn what_is_no_json_is_none_behind_it_either() {
        let bad: [&[u8]; 6] = [
            b"{\"a\":1",
            b"{\"a\":{}",
            b"{\"a\":\"}",
            b"{\"a\":1}}",
            b"{,}",
            b"{}{}",
        ];
        for bad in bad {
            let made = made(Some(bad), KEY).unwrap();
            let read = serde_json::from_str::<IgnoredAny>(&made);
            assert!(read.is_err(), "{made}");
        }
    }
}
