//! However records are read, one by one by the parser, in batches by their
//! shapes, or on several threads, the same rows and dead letters come of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use common::{partition, record_at, sources_of};
use sluice_core::{LogRecord, RecordKind};
use sluice_route::{Routed, Router, Sources};

/// Tables that ask nothing of the records before.
const FREE: &str = r#"
[topic.t]

[table.plain]
topic = "t"
when = [{ field = "/kind", not_equals = "change" }]
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "small", from = "/n/small", type = "int32", wrong = "null", missing = "null" },
  { name = "price", from = "/n/price", type = "decimal(10,2)", missing = "null" },
  { name = "weight", from = "/n/weight", type = "float64", missing = { constant = "1.5" }, wrong = { constant = "2.5" } },
  { name = "flag", from = "/flag", type = "boolean", missing = "null", wrong = "drop" },
  { name = "name", from = "/name", type = "string", missing = "null" },
  { name = "trimmed", from = "/name", type = "string", trim = true, empty_is_missing = true, missing = "null" },
  { name = "at", from = "/at", type = "timestamp", unit = "ms", missing = "null" },
  { name = "written", from = "/written", type = "timestamp", missing = "null", wrong = "null" },
  { name = "local", from = "/local", type = "timestamp", format = "%Y-%m-%d %H:%M:%S", time_zone = "Europe/London", missing = "null", wrong = "null" },
  { name = "day", from = "/day", type = "date", missing = "null" },
  { name = "whole", from = "/n", type = "string", missing = "null" },
  { name = "bounded", from = "/id", type = "int64", min = -5, max = 1e15, wrong = "null" },
]

[table.listed]
topic = "t"
when = [{ field = "/list", exists = true }]
explode = "/list"
columns = [
  { name = "id", from = "/id", type = "string", missing = "null" },
  { name = "item", from = "./item", type = "int64" },
  { name = "self", from = ".", type = "string", missing = "null" },
]

[table.changed]
topic = "t"
when = [{ field = "/kind", equals = "change" }]
row = "/data"
before = "/old"
version = ["/id", "/minor"]
primary_key = ["key"]
change_kind = { field = "/type", insert = ["i"], update = ["u"], delete = ["d"] }
columns = [
  { name = "key", from = "./key", type = "int64" },
  { name = "price", from = "./price", type = "decimal(18,3)", missing = "null" },
]
"#;

/// Tables that remember.
const MINDFUL: &str = r#"
[topic.t]

[table.known]
topic = "t"
dedup_key = ["id"]
event_time = "at"
lateness = "3 s"
max_ahead = "1 hour"
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "at", from = "/at", type = "timestamp", unit = "ms", missing = "null" },
  { name = "name", from = "/name", type = "string", missing = "null" },
]

[table.listed]
topic = "t"
explode = "/list"
dedup_key = ["id"]
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "item", from = "./item", type = "int64" },
]
"#;

const LAST: &str = r#"
[topic.t]

[table.filled]
topic = "t"
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "name", from = "/name", type = "string", missing = "last", last_by = ["id"] },
]
"#;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn one_of(&mut self, choices: &[&str]) -> String {
        choices[self.below(choices.len())].to_owned()
    }
}

fn integer(random: &mut Random) -> String {
    let usual = random.below(2_000).to_string();
    match random.below(12) {
        0 => random.one_of(&[
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "1e3",
            "1.0",
            "1.5",
            "-0",
            "\"17\"",
            "\"+17\"",
            "\" 17\"",
            "\"\"",
            "null",
            "true",
            "{}",
            "1E400",
            "2147483648",
            "999999999999999999",
            "1000000000000000000",
        ]),
        _ => usual,
    }
}

fn decimal(random: &mut Random) -> String {
    match random.below(4) {
        0 => random.one_of(&[
            "99999999.99",
            "100000000",
            "0.001",
            "1.230",
            "-5.5",
            "\"7.25\"",
            "\".5\"",
            "\"5.\"",
            "\".\"",
            "\"\"",
            "\"-\"",
            "\"1.2.3\"",
            "\"½\"",
            "123456789012345678.90",
            "0.000000000000000000000",
            "1e2",
            "1.5e-1",
            "null",
        ]),
        _ => format!("{}.{:02}", random.below(500), random.below(100)),
    }
}

fn text(random: &mut Random) -> String {
    random.one_of(&[
        "\"plain\"",
        "\"a name longer than sixteen bytes\"",
        "\"\"",
        "\"  spaces \"",
        "\"日本é\"",
        "\"\\u00e9\\n\"",
        "\"\\ud83d\\ude00\"",
        "\"say \\\"hi\\\"\"",
        "\"\\ud83d\"",
        "\"tab\there\"",
        "12.50",
        "1e2",
        "false",
        "null",
        "[1, {\"x\":\"]\"}]",
        "{\"x\":1,\"x\":2}",
    ])
}

fn record(random: &mut Random) -> Vec<u8> {
    let mut members = vec![format!("\"id\":{}", integer(random))];
    let mut add = |random: &mut Random, one_in: usize, key: &str, value: String| {
        if random.below(one_in) != 0 {
            members.push(format!("\"{key}\":{value}"));
        }
    };
    let is_change = random.below(3) == 0;
    if is_change {
        let kind = random.one_of(&["\"i\"", "\"u\"", "\"u\"", "\"d\"", "\"x\""]);
        add(random, 50, "kind", "\"change\"".into());
        add(random, 50, "type", kind);
        let key = integer(random);
        let price = decimal(random);
        let data = format!("{{\"key\":{key},\"price\":{price}}}");
        let data = match random.below(20) {
            0 => "null".to_owned(),
            1 => "{}".to_owned(),
            2 => format!("[{data}]"),
            _ => data,
        };
        add(random, 20, "data", data);
        let old = random.one_of(&["{\"price\":1}", "{\"key\":3}", "null", "[]", "{}"]);
        add(random, 2, "old", old);
        add(random, 3, "minor", "4".into());
    } else {
        let numbers = format!(
            "{{\"small\":{},\"price\":{},\"weight\":{}}}",
            integer(random),
            decimal(random),
            decimal(random)
        );
        add(random, 30, "n", numbers);
        let flag = random.one_of(&["true", "false", "1", "\"no\"", "\"maybe\"", "null"]);
        add(random, 10, "flag", flag);
        let name = text(random);
        add(random, 10, "name", name);
        let at = match random.below(10) {
            0 => integer(random),
            _ => (1_790_000_000_000 + random.below(6_000) as u64).to_string(),
        };
        add(random, 10, "at", at);
        let written = random.one_of(&[
            "\"2026-11-21T08:00:00Z\"",
            "\"2026-11-21T08:00:00.123456+01:00\"",
            "\"2026-11-21 08:00:00Z\"",
            "\"2026-02-30T08:00:00Z\"",
            "\"2026-11-21T08:00:60Z\"",
            "\"2026-11-21T08:00Z\"",
            "\"nothing\"",
        ]);
        add(random, 3, "written", written);
        let local = random.one_of(&[
            "\"2011-03-27 00:30:00\"",
            "\"2011-03-27 01:30:00\"",
            "\"2011-10-30 01:30:00\"",
            "\"2011-1-2 3:4:5\"",
            "\"2011-13-02 03:04:05\"",
            "\"2011-01-02 03:04:60\"",
            "\"2011-01-02 03:04:61\"",
            "\"2011-01-02T03:04:05\"",
            "\"2011-01-02 03:04:05 \"",
            "\"+2011-01-02 03:04:05\"",
            "\"12011-01-02 03:04:05\"",
            "\"2011-02-29 24:00:00\"",
        ]);
        add(random, 3, "local", local);
        let day = random.one_of(&[
            "\"2024-02-29\"",
            "\"2023-02-29\"",
            "\"2024-2-9\"",
            "\"0000-01-01\"",
            "\"-0001-01-01\"",
            "\"20240229\"",
            "null",
        ]);
        add(random, 3, "day", day);
        let item = integer(random);
        let list = match random.below(4) {
            0 => "[]".to_owned(),
            1 => format!("[{{\"item\":{item}}}, {{\"item\": 2, \"more\": [{{}}]}}]"),
            2 => format!("[{item}, null, {{\"item\":{item}}}]"),
            _ => item,
        };
        add(random, 2, "list", list);
    }
    let mut bytes = format!("{{{}}}", members.join(",")).into_bytes();
    if random.below(25) == 0 {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes[at] = [0xff, 0xc3, b'"', b'\\', b'{', b','][random.below(6)],
            2 => bytes.extend_from_slice(b" \n"),
            _ => bytes.push(b'}'),
        }
    }
    bytes
}

fn records(random: &mut Random, count: usize) -> Vec<LogRecord> {
    let record = |offset: u64| {
        let capture_time_us = 1_790_000_000_000_000 + offset as i64;
        record_at(capture_time_us, offset, RecordKind::Data, record(random))
    };
    (0..count as u64).map(record).collect()
}

/// All that came of some records, by table, in order, and the dead letters.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    rows: BTreeMap<String, Vec<String>>,
    letters: Vec<String>,
    duplicates: u64,
    watermarks: BTreeMap<String, i64>,
}

fn cells(rows: &RecordBatch, row: usize) -> String {
    let columns = rows.columns().iter();
    let cells = columns.map(|column| {
        let text = array_value_to_string(column, row).unwrap();
        format!("{}{text}", if column.is_null(row) { "∅" } else { "" })
    });
    cells.collect::<Vec<_>>().join("|")
}

impl Outcome {
    fn add(&mut self, routed: Routed) {
        for changes in routed.changes {
            let lines = self.rows.entry(changes.table).or_default();
            let mut key_changes = changes.key_changes.iter().peekable();
            for row in 0..changes.rows.num_rows() {
                let mut line = format!(
                    "{:?} {:?} {}",
                    changes.versions[row],
                    changes.kinds[row],
                    cells(&changes.rows, row)
                );
                if let Some((_, before)) = key_changes.next_if(|(changed, _)| *changed == row) {
                    let before_rows = changes.before_rows.as_ref().unwrap();
                    line.push_str(" was ");
                    line.push_str(&cells(before_rows, *before));
                }
                lines.push(line);
            }
            assert_eq!(key_changes.next(), None);
        }
        let letters = routed.dead_letters.iter();
        self.letters
            .extend(letters.map(|letter| format!("{letter:?}")));
        self.duplicates += routed.duplicates;
        self.watermarks.extend(routed.watermarks);
    }
}

fn routed(sources: &Arc<Sources>, records: &[LogRecord], batch: usize, threads: usize) -> Outcome {
    let mut router = Router::new(sources.clone()).with_threads(threads);
    let mut outcome = Outcome::default();
    for records in records.chunks(batch) {
        outcome.add(router.route(&partition("t"), records));
    }
    outcome
}

#[test]
fn shapes_and_threads_change_nothing() {
    let sources = sources_of(FREE);
    let mut random = Random(0x1234_5678_9abc_def1);
    let records = records(&mut random, 20_000);
    // A router that has seen nothing knows no shapes: all goes to the parser.
    let mut by_parser = Outcome::default();
    for record in records.chunks(1) {
        by_parser.add(Router::new(sources.clone()).route(&partition("t"), record));
    }
    for table in ["plain", "listed", "changed"] {
        assert!(by_parser.rows[table].len() > 500, "{table}");
    }
    assert!(
        by_parser.rows["changed"]
            .iter()
            .any(|row| row.contains("was"))
    );
    for reason in [
        "not_json",
        "bad_utf8",
        "wrong_type",
        "no_row",
        "not_in_list",
    ] {
        let found = by_parser
            .letters
            .iter()
            .any(|letter| letter.contains(reason));
        assert!(found, "{reason}");
    }
    for (batch, threads) in [(20_000, 1), (777, 1), (20_000, 2), (9_000, 3)] {
        let outcome = routed(&sources, &records, batch, threads);
        assert_same(&by_parser, &outcome);
    }
}

#[test]
fn what_is_remembered_does_not_depend_on_threads() {
    let mut random = Random(0x0fed_cba9_8765_4321);
    let records = records(&mut random, 30_000);
    for text in [MINDFUL, LAST] {
        let sources = sources_of(text);
        let expected = routed(&sources, &records, 10_000, 1);
        if text == MINDFUL {
            assert!(expected.duplicates > 1_000);
            let is_late = |letter: &&String| letter.contains("\"late\"");
            assert!(expected.letters.iter().filter(is_late).count() > 100);
        }
        for threads in [2, 3, 5] {
            let outcome = routed(&sources, &records, 10_000, threads);
            assert_same(&expected, &outcome);
        }
    }
}

#[test]
fn lines_of_csv_keep_the_header_of_their_file() {
    let sources = sources_of(
        r#"
[topic.t]
[topic.t.capture]
kind = "file"
path = "data/*.csv"
format = "csv"

[table.lines]
topic = "t"
columns = [
  { name = "a", from = "a", type = "int64" },
  { name = "b", from = "b", type = "string", missing = "null" },
]
"#,
    );
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut records = Vec::new();
    for offset in 0..15_000 {
        let (kind, line) = match random.below(2_000) {
            0 => (
                RecordKind::CsvHeader,
                random.one_of(&["a,b", "b,a", "a,b,c", "x,b", "b"]),
            ),
            _ => {
                let line = random.one_of(&[
                    "1,2",
                    "3,x",
                    " 4 ,\"q,\"\"r\"",
                    "5,",
                    ",6",
                    "7,8,9",
                    "",
                    "10",
                    "1\r,2",
                    "\u{feff}1,2",
                    ",",
                    "-5, padded ",
                    "\u{a0}7,8",
                    "+9,é",
                    "é,ü",
                ]);
                (RecordKind::Data, line)
            }
        };
        records.push(record_at(0, offset, kind, line));
    }
    let expected = routed(&sources, &records, 15_000, 1);
    assert!(expected.rows["lines"].len() > 1_000);
    for (batch, threads) in [(15_000, 4), (5_000, 3), (1, 1)] {
        assert_same(&expected, &routed(&sources, &records, batch, threads));
    }
}

fn assert_same(expected: &Outcome, found: &Outcome) {
    for (table, rows) in &expected.rows {
        let found = found.rows.get(table).map_or(&[][..], Vec::as_slice);
        let first = rows.iter().zip(found).find(|(one, other)| one != other);
        assert_eq!(first, None, "{table}");
    }
    let letters = expected.letters.iter().zip(&found.letters);
    assert_eq!(letters.clone().find(|(one, other)| one != other), None);
    assert!(expected == found);
}
