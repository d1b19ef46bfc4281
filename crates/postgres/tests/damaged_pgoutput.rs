//! Damaged messages: an error that names the place in the server's log, or a
//! clean result; never a panic, and never an end that does not come.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at the time that it has"
)]

#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;

use std::path::Path;

use fuzz_rounds::rounds;
use sluice_core::RecordKind;
use sluice_mysql::filter::TableFilter;
use sluice_postgres::lsn::Lsn;
use sluice_postgres::pgoutput::decoder::{Decoded, Decoder, StreamError, Wanted};
use sluice_postgres::position::PostgresPosition;
use sluice_postgres::value::form::ValueForm;

struct Random(u64);

impl Random {
    fn of(round: u64) -> Self {
        Self(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }
}

/// Messages of a server, written like it does.
#[derive(Default)]
struct Messages(Vec<Vec<u8>>);

/// A value: null, unchanged, or text.
enum Of<'a> {
    Null,
    Unchanged,
    Text(&'a str),
}

fn tuple(values: &[Of<'_>]) -> Vec<u8> {
    let mut bytes = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        match value {
            Of::Null => bytes.push(b'n'),
            Of::Unchanged => bytes.push(b'u'),
            Of::Text(text) => {
                bytes.push(b't');
                bytes.extend((text.len() as u32).to_be_bytes());
                bytes.extend(text.bytes());
            }
        }
    }
    bytes
}

impl Messages {
    fn push(&mut self, kind: u8, parts: &[&[u8]]) {
        self.0.push([&[kind], parts.concat().as_slice()].concat());
    }

    fn begin(&mut self, lsn: u64) {
        self.push(b'B', &[&lsn.to_be_bytes(), &[0; 8], &7_u32.to_be_bytes()]);
    }

    fn commit(&mut self, lsn: u64) {
        let (at, end) = (lsn.to_be_bytes(), (lsn + 48).to_be_bytes());
        self.push(b'C', &[&[0], &at, &end, &[0; 8]]);
    }

    fn relation(&mut self, columns: &[(&str, u32, bool)]) {
        let mut list = (columns.len() as u16).to_be_bytes().to_vec();
        for (name, type_id, is_key) in columns {
            list.push(u8::from(*is_key));
            list.extend(name.bytes().chain([0]));
            list.extend(type_id.to_be_bytes());
            list.extend((-1_i32).to_be_bytes());
        }
        self.push(b'R', &[&5_u32.to_be_bytes(), b"public\0t\0d", &list]);
    }

    fn row(&mut self, kind: u8, parts: &[(u8, &[Of<'_>])]) {
        let mut bytes = 5_u32.to_be_bytes().to_vec();
        for (part, values) in parts {
            bytes.push(*part);
            bytes.extend(tuple(values));
        }
        self.push(kind, &[&bytes]);
    }
}

/// A stream with every kind of message.
fn sound() -> Vec<Vec<u8>> {
    use Of::{Null, Text, Unchanged};
    let mut messages = Messages::default();
    messages.begin(1_000);
    messages.relation(&[
        ("id", 23, true),
        ("v", 25, false),
        ("a", 1_007, false),
        ("j", 3_802, false),
    ]);
    messages.row(
        b'I',
        &[(
            b'N',
            &[Text("1"), Text("née"), Text("{1,NULL}"), Text("{\"a\":1}")],
        )],
    );
    messages.row(b'U', &[(b'N', &[Text("1"), Unchanged, Text("{}"), Null])]);
    messages.row(
        b'U',
        &[
            (b'K', &[Text("1"), Null, Null, Null]),
            (b'N', &[Text("2"), Text("x"), Null, Null]),
        ],
    );
    messages.push(b'M', &[b"\0\0\0\0\0\0\0\0\0anything"]);
    messages.commit(1_000);
    messages.begin(2_000);
    messages.push(b'O', &[&[0; 8], b"elsewhere\0"]);
    messages.push(b'Y', &[&[0; 4], b"public\0colour\0"]);
    messages.row(
        b'U',
        &[
            (b'O', &[Text("2"), Text("y"), Null, Null]),
            (b'N', &[Text("2"), Unchanged, Null, Null]),
        ],
    );
    messages.push(b'T', &[&1_u32.to_be_bytes(), &[0], &5_u32.to_be_bytes()]);
    messages.relation(&[("id", 23, true), ("v", 1_184, false)]);
    messages.row(
        b'I',
        &[(b'N', &[Text("3"), Text("2026-01-31 00:00:00+00")])],
    );
    messages.row(b'D', &[(b'K', &[Text("3"), Null])]);
    messages.commit(2_000);
    messages.0
}

/// Where all streams are read from.
const START: Lsn = Lsn(900);

/// What came of messages.
#[derive(Debug, Default)]
struct Reading {
    /// Rows of each transaction that ended, and where its commit ends.
    transactions: Vec<(Lsn, Vec<String>)>,
    /// Rows of one that did not end.
    open: Vec<String>,
    error: Option<StreamError>,
}

fn read(messages: &[Vec<u8>]) -> Reading {
    let wanted = Wanted {
        database: "shop".into(),
        filter: TableFilter::default(),
        copies: false,
    };
    let mut position = PostgresPosition {
        lsn: START,
        ..PostgresPosition::default()
    };
    let mut decoder = Decoder::new(position.clone(), wanted);
    let mut lookup = |type_id| match type_id {
        1_007 => ValueForm::Array(Box::new(ValueForm::Number), b','),
        _ => ValueForm::Text,
    };
    let mut out = Decoded::default();
    let mut take = |message: &Vec<u8>| decoder.message(message, 0, &mut lookup, &mut out).err();
    let mut reading = Reading {
        error: messages.iter().find_map(&mut take),
        ..Reading::default()
    };
    for record in out.records {
        if !record.position.is_empty() {
            position.apply(&record.position).unwrap();
        }
        if record.kind == RecordKind::Data {
            let row = String::from_utf8(record.payload.to_vec()).unwrap();
            let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&row);
            assert!(parsed.is_ok(), "{row}");
            reading.open.push(row);
        }
        if record.transaction.is_none_or(|mark| mark.commit) && !reading.open.is_empty() {
            let rows = std::mem::take(&mut reading.open);
            reading.transactions.push((position.lsn, rows));
        }
    }
    reading
}

/// A stream that is not damaged.
struct Stream {
    name: String,
    messages: Vec<Vec<u8>>,
    sound: Reading,
}

/// The stream above, and those that servers gave (`recorded_streams.rs`).
fn streams() -> Vec<Stream> {
    let mut named = vec![("by hand".to_owned(), sound())];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        let (mut rest, mut messages) = (bytes.as_slice(), Vec::new());
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let (message, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
            messages.push(message.to_vec());
            rest = behind;
        }
        let name = path.file_name().unwrap().to_string_lossy();
        named.push((name.into_owned(), messages));
    }
    assert!(named.len() >= 3, "the recorded streams are missing");
    let stream = |(name, messages): (String, Vec<Vec<u8>>)| {
        let sound = read(&messages);
        assert_eq!(sound.error, None, "{name}");
        // Each transaction has rows.
        assert_eq!(sound.transactions.len(), commits(&messages), "{name}");
        assert!(sound.open.is_empty(), "{name}");
        Stream {
            name,
            messages,
            sound,
        }
    };
    named.into_iter().map(stream).collect()
}

/// How many transactions end in these messages.
fn commits(messages: &[Vec<u8>]) -> usize {
    messages.iter().filter(|it| it[0] == b'C').count()
}

#[test]
fn a_sound_stream_gives_its_rows() {
    let head = r#"{"database":"shop","schema":"public","table":"t","type":"#;
    let reading = read(&sound());
    assert_eq!(reading.error, None);
    let rows: Vec<String> = (reading.transactions.into_iter())
        .flat_map(|(_, rows)| rows)
        .collect();
    let order =
        |xid: u64, row: u64| format!(r#""ts":946684800,"xid":7,"lsn":{xid},"xoffset":{row}"#);
    let wanted = [
        format!(
            r#"{head}"insert",{},"data":{{"id":1,"v":"née","a":[1,null],"j":{{"a":1}}}}}}"#,
            order(1_000, 0)
        ),
        format!(
            r#"{head}"update",{},"data":{{"id":1,"a":[],"j":null}},"old":{{}},"unchanged":["v"]}}"#,
            order(1_000, 1)
        ),
        format!(
            r#"{head}"update",{},"data":{{"id":2,"v":"x","a":null,"j":null}},"old":{{"id":1}},"commit":true}}"#,
            order(1_000, 2)
        ),
        format!(
            r#"{head}"update",{},"data":{{"id":2,"v":"y","a":null,"j":null}},"old":{{}}}}"#,
            order(2_000, 0)
        ),
        format!(r#"{head}"truncate",{}}}"#, order(2_000, 1)),
        format!(
            r#"{head}"insert",{},"data":{{"id":3,"v":"2026-01-31T00:00:00Z"}}}}"#,
            order(2_000, 1)
        ),
        format!(
            r#"{head}"delete",{},"data":{{"id":3}},"commit":true}}"#,
            order(2_000, 2)
        ),
    ];
    assert_eq!(rows, wanted);
}

#[test]
fn damaged_messages_are_refused_with_their_place_or_read() {
    let streams = streams();
    let (mut refused, mut is_read) = (0, 0);
    for round in rounds(10_000) {
        let mut random = Random::of(round);
        let stream = &streams[random.below(streams.len())];
        let what = format!("{}, round {round}", stream.name);
        let mut messages = stream.messages.clone();
        for _ in 0..=random.below(3) {
            let which = random.below(messages.len());
            let message = &mut messages[which];
            let at = random.below(message.len());
            match random.below(6) {
                0 => message.truncate(at),
                1 => message[at] ^= 1 << random.below(8),
                2 => message[at] = [0, 0xff, 0x7f, 0x80][random.below(4)],
                3 => {
                    let end = (at + random.below(9)).min(message.len());
                    message[at..end].fill(random.below(256) as u8);
                }
                4 => message.extend((0..random.below(9)).map(|byte| byte as u8)),
                _ => {
                    messages.remove(which);
                }
            }
            if messages.is_empty() || messages.iter().any(Vec::is_empty) {
                break;
            }
        }
        // All that ended before the first damage is there, and as it was.
        let pairs = messages.iter().zip(&stream.messages);
        let same = pairs
            .take_while(|(damaged, sound)| damaged == sound)
            .count();
        let before = commits(&stream.messages[..same]);
        let wanted = &stream.sound.transactions[..before];
        let found = read(&messages);
        assert!(found.transactions.starts_with(wanted), "{what}");
        let Some(error) = found.error else {
            is_read += 1;
            continue;
        };
        refused += 1;
        let text = error.to_string();
        let begin = format!("the stream of changes, behind {}: ", error.lsn);
        assert!(text.starts_with(&begin), "{what}: {text}");
        // The place is one up to which everything was given.
        let reached = found.transactions.last().map_or(START, |(end, _)| *end);
        assert!(error.lsn >= reached, "{what}: {text}, not {reached}");
        let mut ends = messages.iter().filter(|it| it.first() == Some(&b'C'));
        if ends.all(|end| stream.messages.contains(end)) {
            let is_end = |(end, _): &(Lsn, Vec<String>)| *end == error.lsn;
            let is_place = error.lsn == START || stream.sound.transactions.iter().any(is_end);
            assert!(is_place, "{what}: {text}");
        }
    }
    assert!(
        refused > 0 && is_read > 0,
        "{refused} refused, {is_read} read"
    );
}

#[test]
fn a_damaged_value_costs_its_row_alone() {
    // Kind and number of the table stand before the values.
    const VALUES_AT: usize = 6;
    let streams = streams();
    let mut is_read = 0;
    for round in rounds(10_000) {
        let mut random = Random::of(round);
        let stream = &streams[random.below(streams.len())];
        let what = format!("{}, round {round}", stream.name);
        let mut messages = stream.messages.clone();
        let which = random.below(messages.len());
        let before = commits(&messages[..which]);
        let message = &mut messages[which];
        if !matches!(message[0], b'I' | b'U' | b'D') {
            continue;
        }
        let at = VALUES_AT + random.below(message.len() - VALUES_AT);
        message[at] = random.below(256) as u8;
        let found = read(&messages);
        if let Some(error) = found.error {
            let sound = &stream.sound.transactions[..before];
            assert_eq!(found.transactions, sound, "{what}");
            let reached = sound.last().map_or(START, |(end, _)| *end);
            assert_eq!(error.lsn, reached, "{what}");
            continue;
        }
        is_read += 1;
        let sound = &stream.sound.transactions;
        assert_eq!(found.transactions.len(), sound.len(), "{what}");
        let mut others = 0;
        for (damaged, sound) in found.transactions.iter().zip(sound) {
            assert_eq!(damaged.0, sound.0, "{what}");
            assert_eq!(damaged.1.len(), sound.1.len(), "{what}");
            let pairs = damaged.1.iter().zip(&sound.1);
            others += pairs.filter(|(damaged, sound)| damaged != sound).count();
        }
        assert!(others <= 1, "{what}: {others} rows are others");
    }
    assert!(is_read > 0);
}

#[test]
fn a_transaction_that_comes_again_or_too_late_is_refused() {
    let mut messages = sound();
    // Its commit says an end that is behind the next one.
    let first_commit = messages.iter().position(|it| it[0] == b'C').unwrap();
    let end = 1 + 1 + 8;
    messages[first_commit][end..end + 8].copy_from_slice(&2_001_u64.to_be_bytes());
    let reading = read(&messages);
    assert_eq!(reading.transactions.len(), 1);
    assert_eq!(
        reading.error.unwrap().to_string(),
        "the stream of changes, behind 0/7D1: a transaction comes with its commit at 0/7D0, and all up to 0/7D1 was read before"
    );
}

#[test]
fn values_of_any_bytes_become_json() {
    let forms = [
        ValueForm::Boolean,
        ValueForm::Number,
        ValueForm::Money,
        ValueForm::Bytes,
        ValueForm::Moment,
        ValueForm::Json,
        ValueForm::Text,
        ValueForm::Array(Box::new(ValueForm::Number), b','),
        ValueForm::Array(Box::new(ValueForm::Json), b';'),
    ];
    let letters = b"{}[]\",;\\=+-.eE0123456789NULtf $:T xBC\xc3\xff";
    for round in rounds(20_000) {
        let mut random = Random::of(round);
        let length = random.below(24);
        let text: Vec<u8> = (0..length)
            .map(|_| letters[random.below(letters.len())])
            .collect();
        for form in &forms {
            let mut out = Vec::new();
            form.write(&mut out, &text);
            let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(&out);
            assert!(
                parsed.is_ok(),
                "{form:?}: {}",
                String::from_utf8_lossy(&out)
            );
        }
    }
}

#[test]
fn rows_that_were_taken_before_a_restart_are_not_given_again() {
    let sound = sound();
    for rows in 0..=3_u64 {
        let wanted = Wanted {
            database: "shop".into(),
            filter: TableFilter::default(),
            copies: false,
        };
        let position = PostgresPosition {
            rows,
            rows_of: Lsn(1_000),
            ..PostgresPosition::default()
        };
        let mut decoder = Decoder::new(position, wanted);
        let mut out = Decoded::default();
        for message in &sound {
            decoder
                .message(message, 0, &mut |_| ValueForm::Text, &mut out)
                .unwrap();
        }
        let data = out
            .records
            .iter()
            .filter(|record| record.kind == RecordKind::Data);
        assert_eq!(data.count() as u64, 7 - rows);
        // Each transaction ends, even if its last row was taken before.
        let ends = out
            .records
            .iter()
            .filter(|record| record.transaction.as_ref().is_some_and(|mark| mark.commit));
        assert_eq!(ends.count(), 2, "{rows}");
        assert_eq!(decoder.recorded(), Lsn(2_048));
    }
}
