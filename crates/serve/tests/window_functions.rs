//! Window functions of ad-hoc SQL against answers computed by hand: doubles of every
//! size that enter and leave frames, truth values, and rows that ORDER BY leaves equal.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/no_tables.rs"]
mod no_tables;

use std::collections::BTreeSet;

use sluice_core::Random;

use no_tables::{answered, engine};

/// Numbers that are whole multiples of 1/8 and below 2^75, so that their sums are
/// exact in integers of 128 bits, and by far not in doubles.
const PARTS: f64 = 8.0;

/// A row; no other one has its number.
#[derive(Debug, Clone)]
struct Row {
    number: i64,
    partition: u64,
    time: i64,
    double: Option<f64>,
    truth: Option<bool>,
}

/// Rows of a few partitions, with times that come more than once and leave gaps.
fn rows(random: &mut Random, count: i64) -> Vec<Row> {
    let row = |number| {
        let size = [1.0, PARTS, 2.0_f64.powi(40), 2.0_f64.powi(70)][random.below(4) as usize];
        let whole = random.below(31) as f64 - 15.0;
        Row {
            number,
            partition: random.below(3),
            time: random.below(count as u64 / 3) as i64 * 2,
            double: match random.below(24) {
                0 => Some(f64::NAN),
                1 => Some(f64::INFINITY),
                2 => Some(f64::NEG_INFINITY),
                3..6 => None,
                _ => Some(whole * size / PARTS),
            },
            truth: [None, Some(true), Some(true), Some(false)][random.below(4) as usize],
        }
    };
    (0..count).map(row).collect()
}

/// The rows as a table of SQL, in an order that says nothing, in two parts.
fn table(random: &mut Random, rows: &[Row]) -> String {
    let mut mixed: Vec<&Row> = rows.iter().collect();
    for place in (1..mixed.len()).rev() {
        mixed.swap(place, random.below(place as u64 + 1) as usize);
    }
    let text = |row: &&Row| {
        let double = match row.double {
            Some(double) => format!("'{}'", double.to_string().replace("inf", "Infinity")),
            None => "NULL".to_owned(),
        };
        let truth = row.truth.map_or("NULL".to_owned(), shown);
        let Row {
            number,
            partition,
            time,
            ..
        } = row;
        format!("({number}, {partition}, {time}, {double}, {truth})")
    };
    let part = |rows: &[&Row]| {
        let rows: Vec<String> = rows.iter().map(text).collect();
        let rows = rows.join(", ");
        format!(
            "SELECT n, p, t, CAST(d AS DOUBLE) AS d, b FROM (VALUES {rows}) AS v(n, p, t, d, b)"
        )
    };
    let (first, second) = mixed.split_at(mixed.len() / 2);
    format!("({} UNION ALL {}) AS r", part(first), part(second))
}

/// A frame: its first and its last row, or time, counted from the row's own.
#[derive(Debug, Clone, Copy)]
enum Frame {
    Rows(i64, i64),
    Range(i64, i64),
}

/// Behind every distance.
const FAR: i64 = 1 << 40;

const FRAMES: [(&str, Frame); 9] = [
    ("ROWS 3 PRECEDING", Frame::Rows(-3, 0)),
    (
        "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
        Frame::Rows(-1, 1),
    ),
    (
        "ROWS BETWEEN 2 FOLLOWING AND 4 FOLLOWING",
        Frame::Rows(2, 4),
    ),
    (
        "ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING",
        Frame::Rows(-1, FAR),
    ),
    ("ROWS UNBOUNDED PRECEDING", Frame::Rows(-FAR, 0)),
    ("RANGE 4 PRECEDING", Frame::Range(-4, 0)),
    (
        "RANGE BETWEEN 3 PRECEDING AND 2 PRECEDING",
        Frame::Range(-3, -2),
    ),
    (
        "RANGE BETWEEN 2 PRECEDING AND 6 FOLLOWING",
        Frame::Range(-2, 6),
    ),
    ("RANGE UNBOUNDED PRECEDING", Frame::Range(-FAR, 0)),
];

/// The rows of each partition in the order of a window: by time, then by number, which
/// is the first of their columns.
fn partitions(rows: &[Row]) -> Vec<Vec<Row>> {
    let mut partitions = vec![Vec::new(); 3];
    for row in rows {
        partitions[row.partition as usize].push(row.clone());
    }
    for partition in &mut partitions {
        partition.sort_by_key(|row: &Row| (row.time, row.number));
    }
    partitions
}

fn framed(partition: &[Row], own: usize, frame: Frame) -> Vec<&Row> {
    let places = partition.iter().enumerate();
    let is_inside = |place: usize, row: &Row| match frame {
        Frame::Rows(first, last) => (first..=last).contains(&(place as i64 - own as i64)),
        Frame::Range(first, last) => (first..=last).contains(&(row.time - partition[own].time)),
    };
    let inside = places.filter(|(place, row)| is_inside(*place, row));
    inside.map(|(_, row)| row).collect()
}

/// The sum of doubles, rounded once.
fn exact_sum(doubles: &[f64]) -> f64 {
    if doubles.iter().any(|double| !double.is_finite()) {
        // What IEEE 754 says of the sum of these alone.
        return doubles.iter().filter(|double| !double.is_finite()).sum();
    }
    let parts: i128 = doubles.iter().map(|double| (double * PARTS) as i128).sum();
    parts as f64 / PARTS
}

/// What `sum`, `avg`, `bool_and`, `bool_or`, `string_agg`, `bit_xor`, and `count` of
/// times and of rows say of the rows of a frame.
fn expected(frame: &[&Row]) -> Vec<String> {
    let doubles: Vec<f64> = frame.iter().filter_map(|row| row.double).collect();
    let truths: Vec<bool> = frame.iter().filter_map(|row| row.truth).collect();
    let sum = (!doubles.is_empty()).then(|| exact_sum(&doubles));
    let average = sum.map(|sum| sum / doubles.len() as f64);
    let all = truths.iter().all(|truth| *truth);
    let any = truths.contains(&true);
    let is_known = !truths.is_empty();
    let numbers: Vec<String> = frame.iter().map(|row| row.number.to_string()).collect();
    let parity = frame.iter().map(|row| row.number).reduce(|a, b| a ^ b);
    let times: BTreeSet<i64> = frame.iter().map(|row| row.time).collect();
    vec![
        written(sum),
        written(average),
        is_known.then_some(all).map_or("null".into(), shown),
        is_known.then_some(any).map_or("null".into(), shown),
        parity.map_or("null".into(), |_| numbers.join("+")),
        parity.map_or("null".into(), |parity| parity.to_string()),
        times.len().to_string(),
        frame.len().to_string(),
    ]
}

fn shown(truth: bool) -> String {
    truth.to_string()
}

fn written(double: Option<f64>) -> String {
    double.map_or("null".to_owned(), |double| format!("{double:?}"))
}

/// An answer's doubles in one form.
fn in_one_form(mut row: Vec<String>) -> Vec<String> {
    for text in &mut row[1..3] {
        *text = written(text.parse().ok());
    }
    row
}

#[tokio::test]
async fn what_has_left_a_frame_leaves_nothing_behind() {
    let engine = engine(&[]);
    for seed in 1..6 {
        let mut random = Random(seed * 7_919);
        let rows = rows(&mut random, 90);
        let table = table(&mut random, &rows);
        for (text, frame) in FRAMES {
            let over = format!("OVER (PARTITION BY p ORDER BY t {text})");
            let sql = format!(
                "SELECT n, sum(d) {over}, avg(d) {over}, bool_and(b) {over}, bool_or(b) {over}, string_agg(CAST(n AS VARCHAR), '+') {over}, bit_xor(n) {over}, count(DISTINCT t) {over}, count(*) {over} FROM {table} ORDER BY n"
            );
            let found = answered(&engine, &sql).await.unwrap();
            let found: Vec<Vec<String>> = found.into_iter().map(in_one_form).collect();
            let mut wanted = Vec::new();
            for partition in partitions(&rows) {
                for (place, row) in partition.iter().enumerate() {
                    let answer = expected(&framed(&partition, place, frame));
                    wanted.push((row.number, answer));
                }
            }
            wanted.sort_by_key(|(number, _)| *number);
            for ((number, answer), found) in wanted.into_iter().zip(&found) {
                let wanted = [vec![number.to_string()], answer].concat();
                assert_eq!(found, &wanted, "seed {seed}, {text}");
            }
            assert_eq!(found.len(), rows.len(), "seed {seed}, {text}");
        }
    }
}

#[tokio::test]
async fn rows_that_order_by_leaves_equal_follow_their_columns() {
    let engine = engine(&[]);
    for seed in 1..6 {
        let mut random = Random(seed * 104_729);
        let rows = rows(&mut random, 60);
        let table = table(&mut random, &rows);
        let over = "OVER (PARTITION BY p ORDER BY t)";
        let sql = format!(
            "SELECT n, row_number() {over}, lag(n) {over}, lead(n, 2) {over}, first_value(n) {over}, last_value(n) {over}, rank() {over}, count(*) {over} FROM {table} ORDER BY n"
        );
        let mut wanted = Vec::new();
        for partition in partitions(&rows) {
            let number = |place: Option<usize>| {
                let row = place.and_then(|place| partition.get(place));
                row.map_or("null".to_owned(), |row| row.number.to_string())
            };
            for (place, row) in partition.iter().enumerate() {
                let before = partition.partition_point(|other| other.time < row.time);
                let peers_end = partition.partition_point(|other| other.time <= row.time);
                let answer = [
                    row.number.to_string(),
                    (place + 1).to_string(),
                    number(place.checked_sub(1)),
                    number(Some(place + 2)),
                    number(Some(0)),
                    number(Some(peers_end - 1)),
                    (before + 1).to_string(),
                    peers_end.to_string(),
                ];
                wanted.push((row.number, answer));
            }
        }
        wanted.sort_by_key(|(number, _)| *number);
        let wanted: Vec<[String; 8]> = wanted.into_iter().map(|(_, answer)| answer).collect();
        assert_eq!(answered(&engine, &sql).await.unwrap(), wanted, "{seed}");
    }
}

#[tokio::test]
async fn ties_go_by_value_with_null_before_all() {
    let engine = engine(&[]);
    let rows = "(VALUES (1, 'b', 7), (1, NULL, 8), (0, 'c', 9), (1, 'a', 6), (1, 'a', 5)) AS v(k, name, n)";
    for (select, wanted) in [
        (
            "SELECT n, row_number() OVER (ORDER BY k) AS x",
            ["9 1", "5 2", "6 3", "7 4", "8 5"],
        ),
        (
            "SELECT n, row_number() OVER (ORDER BY k) AS x, name",
            ["9 1 c", "8 2 null", "5 3 a", "6 4 a", "7 5 b"],
        ),
        // The ORDER BY of the window is as it was: ties have one rank, and one sum.
        (
            "SELECT n, sum(n) OVER (ORDER BY k) AS s, rank() OVER (ORDER BY k) AS x, row_number() OVER (ORDER BY k) AS r",
            ["9 9 1 1", "5 35 2 2", "6 35 2 3", "7 35 2 4", "8 35 2 5"],
        ),
    ] {
        let order = if select.contains("rank()") { "r" } else { "x" };
        let sql = format!("{select} FROM {rows} ORDER BY {order}");
        let found = answered(&engine, &sql).await.unwrap();
        let found: Vec<String> = found.iter().map(|row| row.join(" ")).collect();
        assert_eq!(found, wanted, "{select}");
    }
}

#[tokio::test]
async fn ties_of_many_rows_follow_their_columns() {
    let engine = engine(&[]);
    // Of 30,000 rows 3,000 have each remainder, in the order of their numbers.
    let numbered = "SELECT n, n % 10 AS t, CAST(row_number() OVER (ORDER BY n % 10) AS BIGINT) AS x FROM generate_series(1, 30000) AS s(n)";
    // The same within each third.
    let in_thirds = "SELECT (n + 2) / 3 AS n, (n + 2) / 3 % 10 AS t, CAST(row_number() OVER (PARTITION BY n % 3 ORDER BY (n + 2) / 3 % 10) AS BIGINT) AS x FROM generate_series(1, 90000) AS s(n)";
    for (rows, count) in [(numbered, "30000"), (in_thirds, "90000")] {
        let sql = format!(
            "SELECT count(*), count(*) FILTER (WHERE x <> 3000 * t + (n + 9) / 10) FROM ({rows}) AS r"
        );
        assert_eq!(answered(&engine, &sql).await.unwrap(), [[count, "0"]]);
    }
}
