//! Where records lie in a Kafka topic that is its own log.

use bytes::Bytes;
use sluice_core::{Record, SourceRange, undecoded};

use crate::options::{Include, KafkaOptions, KeyFormat, ValueFormat};
use crate::position::record_place;

/// First byte of a place.
const PLACE_MARK: u8 = 1;

/// How values and keys became records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// What records have besides their value.
    pub include: Include,
    /// Form of values.
    pub value: ValueFormat,
    /// Form of keys.
    pub key: KeyFormat,
}

impl Form {
    /// The form that a source gives its records today.
    pub fn of(options: &KafkaOptions) -> Self {
        Self {
            include: options.include,
            value: options.format,
            key: options.key_format,
        }
    }
}

/// Records of one partition, by their offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaPlace {
    /// How they became records of Sluice.
    pub form: Form,
    /// Kafka's topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Offset of the first record.
    pub first: i64,
    /// Offset of the last record.
    pub last: i64,
}

/// A place is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place in a Kafka topic is not understood")]
pub struct BadPlace;

impl KafkaPlace {
    /// The place as bytes: mark, what is included (bits), form of values, form
    /// of keys, partition, first and last offset (highest byte first), topic.
    pub fn encode(&self) -> Vec<u8> {
        let include = self.form.include;
        let included = [
            include.key,
            include.headers,
            include.topic,
            include.partition,
            include.offset,
            include.timestamp,
        ];
        let bits = included.iter().enumerate();
        let bits = bits.fold(0, |bits, (at, &is_in)| bits | u8::from(is_in) << at);
        let mut bytes = Vec::with_capacity(24 + self.topic.len());
        bytes.extend([PLACE_MARK, bits]);
        bytes.push(match self.form.value {
            ValueFormat::Json => 0,
            ValueFormat::Avro => 1,
            ValueFormat::JsonSchema => 2,
        });
        bytes.push(match self.form.key {
            KeyFormat::Text => 0,
            KeyFormat::Json => 1,
            KeyFormat::Avro => 2,
            KeyFormat::JsonSchema => 3,
        });
        bytes.extend(self.partition.to_be_bytes());
        bytes.extend(self.first.to_be_bytes());
        bytes.extend(self.last.to_be_bytes());
        bytes.extend(self.topic.as_bytes());
        bytes
    }

    /// Reads a place.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadPlace> {
        let Some((&[PLACE_MARK, bits, value, key], rest)) = bytes.split_first_chunk::<4>() else {
            return Err(BadPlace);
        };
        let (partition, rest) = rest.split_first_chunk::<4>().ok_or(BadPlace)?;
        let (first, rest) = rest.split_first_chunk::<8>().ok_or(BadPlace)?;
        let (last, topic) = rest.split_first_chunk::<8>().ok_or(BadPlace)?;
        let is_in = |at: u8| bits >> at & 1 == 1;
        let form = Form {
            include: Include {
                key: is_in(0),
                headers: is_in(1),
                topic: is_in(2),
                partition: is_in(3),
                offset: is_in(4),
                timestamp: is_in(5),
            },
            value: match value {
                0 => ValueFormat::Json,
                1 => ValueFormat::Avro,
                2 => ValueFormat::JsonSchema,
                _ => return Err(BadPlace),
            },
            key: match key {
                0 => KeyFormat::Text,
                1 => KeyFormat::Json,
                2 => KeyFormat::Avro,
                3 => KeyFormat::JsonSchema,
                _ => return Err(BadPlace),
            },
        };
        Ok(Self {
            form,
            topic: String::from_utf8(topic.to_vec()).map_err(|_| BadPlace)?,
            partition: i32::from_be_bytes(*partition),
            first: i64::from_be_bytes(*first),
            last: i64::from_be_bytes(*last),
        })
    }

    /// The place in words.
    pub fn words(&self) -> String {
        let (topic, partition) = (&self.topic, self.partition);
        let (first, last) = (self.first, self.last);
        format!("offsets {first} to {last} of partition {partition} of Kafka's topic `{topic}`")
    }
}

/// A part of what a source gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Records that can only be copied.
    Copied(Vec<Record>),
    /// Records that can be read again.
    Range(SourceRange),
}

/// Which of the records that a source of this form gave can be read again, in
/// their order. Steps that move the position alone cannot, and records that
/// could not be decoded could be another time.
pub fn parts(records: Vec<Record>, form: Form) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut open: Option<(KafkaPlace, i64, Vec<Record>)> = None;
    let close = |open: Option<(KafkaPlace, i64, Vec<Record>)>, parts: &mut Vec<Part>| {
        if let Some((place, _, records)) = open {
            let place = Bytes::from(place.encode());
            parts.push(Part::Range(SourceRange { place, records }));
        }
    };
    for record in records {
        let place = record_place(&record.position);
        let place = place.filter(|_| undecoded(&record.payload).is_none());
        let Some((topic, partition, offset)) = place else {
            close(open.take(), &mut parts);
            match parts.last_mut() {
                Some(Part::Copied(copied)) => copied.push(record),
                _ => parts.push(Part::Copied(vec![record])),
            }
            continue;
        };
        let time_us = record.capture_time_us;
        match &mut open {
            Some((place, of_place_us, records))
                if place.topic == topic
                    && place.partition == partition
                    && place.last < offset
                    && *of_place_us == time_us =>
            {
                place.last = offset;
                records.push(record);
            }
            _ => {
                let place = KafkaPlace {
                    form,
                    topic: topic.to_owned(),
                    partition,
                    first: offset,
                    last: offset,
                };
                close(open.replace((place, time_us, vec![record])), &mut parts);
            }
        }
    }
    close(open, &mut parts);
    parts
}

#[cfg(test)]
mod tests {
    use sluice_core::{RecordKind, UNDECODED};

    use super::*;
    use crate::position::{StateStep, record_step, state_step};

    const FORM: Form = Form {
        include: Include {
            key: true,
            headers: false,
            topic: false,
            partition: false,
            offset: true,
            timestamp: true,
        },
        value: ValueFormat::Avro,
        key: KeyFormat::JsonSchema,
    };

    fn record(position: Vec<u8>, payload: &str, capture_time_us: i64) -> Record {
        Record {
            kind: RecordKind::Data,
            payload: Bytes::from(payload.to_owned()),
            capture_time_us,
            position: Bytes::from(position),
            transaction: None,
        }
    }

    #[test]
    fn places_come_back_and_others_are_refused() {
        let place = KafkaPlace {
            form: FORM,
            topic: "orders".into(),
            partition: 3,
            first: 5,
            last: i64::MAX,
        };
        let bytes = place.encode();
        assert_eq!(KafkaPlace::decode(&bytes), Ok(place));
        // Their bytes stand in logs.
        let beginning = [1, 0b11_0001, 1, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5];
        assert_eq!(bytes[..16], beginning);
        for end in 0..24 {
            assert_eq!(KafkaPlace::decode(&bytes[..end]), Err(BadPlace));
        }
        for (at, byte) in [(0, 2), (2, 3), (3, 4), (24, 0xff)] {
            let mut bad = bytes.clone();
            bad[at] = byte;
            assert_eq!(KafkaPlace::decode(&bad), Err(BadPlace));
        }
    }

    #[test]
    fn runs_of_a_partition_are_ranges_and_what_cannot_be_read_again_is_copied() {
        let bad = format!("{UNDECODED}why\0");
        let state = state_step(&StateStep::default());
        let records = vec![
            record(state.clone(), "", 1),
            record(record_step("a", 0, 1), "{}", 1),
            record(record_step("a", 0, 4), "{}", 1),
            record(record_step("a", 1, 9), "{}", 1),
            record(record_step("a", 1, 10), &bad, 1),
            record(state, "", 1),
            record(record_step("a", 1, 11), "{}", 1),
            record(record_step("a", 1, 12), "{}", 2),
            record(record_step("b", 1, 13), "{}", 2),
        ];
        let mut words = Vec::new();
        let mut kept = Vec::new();
        for part in parts(records.clone(), FORM) {
            match part {
                Part::Copied(records) => {
                    words.push(format!("{} copied", records.len()));
                    kept.extend(records);
                }
                Part::Range(range) => {
                    let place = KafkaPlace::decode(&range.place).unwrap();
                    let (first, last) = (place.first, place.last);
                    let of = format!("{}{}", place.topic, place.partition);
                    words.push(format!("{of}: {first} to {last}"));
                    kept.extend(range.records);
                }
            }
        }
        let wanted = [
            "1 copied",
            "a0: 0 to 3",
            "a1: 8 to 8",
            "2 copied",
            "a1: 10 to 10",
            "a1: 11 to 11",
            "b1: 12 to 12",
        ];
        assert_eq!(words, wanted);
        assert_eq!(kept, records);
    }
}
