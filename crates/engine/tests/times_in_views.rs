//! Dates, moments and times without a zone in views, which go by UTC where they name
//! no zone; patterns of dates, and differences of counts. The answers are those of
//! PostgreSQL whose zone is UTC, worked out by hand.
//!
//! The clocks of Berlin go from 02:00 to 03:00 on 2026-03-29, at 01:00 in UTC, and
//! from 03:00 to 02:00 on 2026-10-25, at 01:00 in UTC.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/content.rs"]
mod content;
#[path = "common/table_changes.rs"]
mod table_changes;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use sluice_core::{ChangeKind, ColumnDefinition, TableChanges, TableDefinition, TableKind};
use sluice_engine::{EVALUATION_ERRORS, Engine, EngineOptions, Program, ViewDefinition};

use content::{Content, add};
use table_changes::table_changes;

/// The number, the moment, the date, and a text.
type Row = (
    i64,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
);

const ROWS: [Row; 7] = [
    (1, Some("2026-03-29T00:59:00Z"), Some("9999-12-31"), "a"),
    (2, Some("2026-03-29T01:00:00Z"), Some("0001-01-01"), "b;c"),
    (
        3,
        Some("2026-10-25T00:30:00Z"),
        Some("2026-10-25"),
        "21.11.2026 08:10",
    ),
    (
        4,
        Some("2026-10-25T01:30:00Z"),
        Some("2026-10-26"),
        "2026-11-21 08:10:00.25+01",
    ),
    (5, Some("2026-03-28T16:30:00Z"), None, "d"),
    (6, Some("2026-10-25T00:00:00Z"), None, "e"),
    (7, None, Some("2026-01-01"), "f"),
];

fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn table() -> TableDefinition {
    let column = |name: &str, data_type| ColumnDefinition {
        name: name.into(),
        data_type,
        nullable: name != "id",
    };
    TableDefinition {
        name: "t".into(),
        columns: vec![
            column("id", DataType::Int64),
            column("ts", moment()),
            column("d", DataType::Date32),
            column("s", DataType::Utf8),
        ],
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    }
}

fn changes(rows: &[Row], kind: ChangeKind, version: u64) -> TableChanges {
    let typed = |texts: StringArray, data_type: &DataType| cast(&texts, data_type).unwrap();
    let ids = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids),
        typed(rows.iter().map(|row| row.1).collect(), &moment()),
        typed(rows.iter().map(|row| row.2).collect(), &DataType::Date32),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.3))),
    ];
    table_changes(&table(), columns, vec![kind; rows.len()], version)
}

fn plan(select: &str) -> Result<Program, String> {
    let view = ViewDefinition {
        name: "v".into(),
        file: "v.sql".into(),
        sql: format!("CREATE MATERIALIZED VIEW v AS {select}"),
    };
    Program::plan(&[table()], &[view]).map_err(|errors| {
        let texts = errors.iter().map(ToString::to_string);
        texts.collect::<Vec<_>>().join("\n")
    })
}

/// The rows of a view and what it could not compute, as text.
fn answer(select: &str) -> Result<Vec<String>, String> {
    let mut engine = Engine::new(Arc::new(plan(select)?), EngineOptions::default()).unwrap();
    let mut content = Content::new();
    // The last rows come later, and those before them go and come again.
    let (first, last) = ROWS.split_at(4);
    let steps = [
        changes(first, ChangeKind::Upsert, 1),
        changes(last, ChangeKind::Upsert, 1),
        changes(first, ChangeKind::Delete, 2),
        changes(first, ChangeKind::Upsert, 3),
    ];
    for (epoch, step) in (1..).zip(steps) {
        let output = engine.step(epoch, vec![step]).unwrap();
        for name in ["v", EVALUATION_ERRORS] {
            add(&mut content, output.deltas.get(name));
        }
    }
    Ok(content.into_keys().collect())
}

#[track_caller]
fn check(asked: &[(&str, &[&str])]) {
    let mut failures = Vec::new();
    for (select, expected) in asked {
        match answer(select) {
            Ok(found) if found == *expected => {}
            Ok(found) => failures.push(format!("{select}: {found:?} is not {expected:?}")),
            Err(problem) => failures.push(format!("{select}: {problem}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_time_without_a_zone_is_that_of_the_zone_that_is_named() {
    check(&[
        (
            "SELECT id, (ts AT TIME ZONE 'Europe/Berlin')::timestamp AS x FROM t WHERE id < 6",
            &[
                "1 2026-03-29T01:59:00",
                "2 2026-03-29T03:00:00",
                "3 2026-10-25T02:30:00",
                "4 2026-10-25T02:30:00",
                "5 2026-03-28T17:30:00",
            ],
        ),
        (
            "SELECT date_trunc('day', ts AT TIME ZONE 'Asia/Shanghai')::timestamp AS x, count(*) AS c FROM t WHERE id IN (1, 2, 5) GROUP BY date_trunc('day', ts AT TIME ZONE 'Asia/Shanghai')::timestamp",
            &["2026-03-29T00:00:00 3"],
        ),
        (
            "SELECT id, TRY_CAST(ts AT TIME ZONE 'America/New_York' AS TIMESTAMP) AS x FROM t WHERE id = 5",
            &["5 2026-03-28T12:30:00"],
        ),
        // Without a name it is that of UTC.
        (
            "SELECT id, ts::timestamp AS x FROM t WHERE id = 5",
            &["5 2026-03-28T16:30:00"],
        ),
        (
            "SELECT id, (ts AT TIME ZONE 'Europe/Berlin')::date AS x FROM t WHERE id = 5",
            &["5 2026-03-28"],
        ),
        (
            "SELECT id FROM t WHERE (ts AT TIME ZONE 'Europe/Berlin')::timestamp = TIMESTAMP '2026-10-25 02:30:00'",
            &["3", "4"],
        ),
        (
            "SELECT id FROM t WHERE (ts AT TIME ZONE 'Europe/Berlin')::timestamp >= TIMESTAMP '2026-03-29 02:30:00' AND id < 6",
            &["2", "3", "4"],
        ),
    ]);
}

/// A time that the clocks leave out is as far behind the gap as it is in it, and one
/// that they show twice is the second one.
#[test]
fn a_time_without_a_zone_is_a_moment_of_the_zone_that_is_named() {
    check(&[
        (
            "SELECT id FROM t WHERE ts AT TIME ZONE 'Europe/Berlin' = TIMESTAMP '2026-03-29 03:00:00'",
            &["2"],
        ),
        (
            "SELECT id FROM t WHERE ts AT TIME ZONE 'Europe/Berlin' >= TIMESTAMP '2026-03-29 02:30:00' AND id < 6",
            &["3", "4"],
        ),
        (
            "SELECT id FROM t WHERE ts = TIMESTAMP '2026-10-25 02:30:00' AT TIME ZONE 'Europe/Berlin'",
            &["4"],
        ),
        // 2026-10-25 begins at 22:00 of the day before in UTC.
        (
            "SELECT id FROM t WHERE CASE WHEN id = 3 THEN d END <= (ts AT TIME ZONE 'Europe/Berlin') - INTERVAL '2 hours 30 minutes'",
            &["3"],
        ),
        (
            "SELECT id FROM t WHERE CASE WHEN id = 3 THEN d END < (ts AT TIME ZONE 'Europe/Berlin') - INTERVAL '2 hours 30 minutes'",
            &[],
        ),
        // A date begins in UTC, where it is then seen from elsewhere.
        (
            "SELECT id, (d AT TIME ZONE 'America/New_York')::timestamp AS x FROM t WHERE id = 3",
            &["3 2026-10-24T20:00:00"],
        ),
    ]);
}

#[test]
fn dates_of_all_years_are_compared_with_moments() {
    check(&[
        ("SELECT id FROM t WHERE d > ts", &["1", "4"]),
        ("SELECT id FROM t WHERE ts < d + 1", &["1", "3", "4"]),
        ("SELECT id FROM t WHERE ts >= d", &["2", "3"]),
        ("SELECT id FROM t WHERE d > ts::timestamp", &["1", "4"]),
        (
            "SELECT id FROM t WHERE d > TIMESTAMP '2026-10-25 10:00:00'",
            &["1", "4"],
        ),
        (
            "SELECT id FROM t WHERE d > TIMESTAMPTZ '2026-10-25 10:00:00'",
            &["1", "4"],
        ),
        (
            "SELECT id FROM t WHERE to_timestamp(id) BETWEEN d AND d + INTERVAL '1 day'",
            &[],
        ),
        (
            "SELECT a.id AS x, b.id AS y FROM t AS a JOIN t AS b ON a.d = b.ts::timestamp",
            &["3 6"],
        ),
        (
            "SELECT id FROM t WHERE ts BETWEEN d AND d + INTERVAL '1 day'",
            &["3"],
        ),
        (
            "SELECT id, d > ts AS x FROM t WHERE id < 4",
            &["1 true", "2 false", "3 false"],
        ),
        (
            "SELECT a.id AS x, b.id AS y FROM t AS a JOIN t AS b ON a.d = b.ts",
            &["3 6"],
        ),
        (
            "SELECT a.id AS x, b.id AS y FROM t AS a LEFT JOIN t AS b ON a.d = b.ts WHERE a.id < 4",
            &["1 null", "2 null", "3 6"],
        ),
        ("SELECT id FROM t WHERE ts IN (SELECT d FROM t)", &["6"]),
        ("SELECT id FROM t WHERE d IN (SELECT ts FROM t)", &["3"]),
        (
            "SELECT id FROM t WHERE ts NOT IN (SELECT d FROM t WHERE d IS NOT NULL)",
            &["1", "2", "3", "4", "5"],
        ),
        (
            "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM t AS o WHERE o.ts = t.d)",
            &["3"],
        ),
        (
            "SELECT CASE ts WHEN DATE '2026-10-25' THEN 'begin' ELSE 'later' END AS x, count(*) AS c FROM t WHERE id IN (3, 6) GROUP BY CASE ts WHEN DATE '2026-10-25' THEN 'begin' ELSE 'later' END",
            &["begin 1", "later 1"],
        ),
    ]);
}

#[test]
fn what_is_a_moment_or_a_date_is_a_moment() {
    let selects: [(&str, &[&str]); 6] = [
        (
            "SELECT coalesce(ts, d) AS x, id FROM t WHERE id > 5",
            &["2026-01-01T00:00:00Z 7", "2026-10-25T00:00:00Z 6"],
        ),
        (
            "SELECT CASE WHEN id = 3 THEN ts ELSE d END AS x, id FROM t WHERE id IN (2, 3)",
            &["0001-01-01T00:00:00Z 2", "2026-10-25T00:30:00Z 3"],
        ),
        (
            "SELECT greatest(ts, d) AS x, id FROM t WHERE id IN (1, 3)",
            &["2026-10-25T00:30:00Z 3", "9999-12-31T00:00:00Z 1"],
        ),
        (
            "SELECT ts AS x, id FROM t WHERE id = 3 UNION ALL SELECT d, id FROM t WHERE id = 3",
            &["2026-10-25T00:00:00Z 3", "2026-10-25T00:30:00Z 3"],
        ),
        (
            "SELECT d AS x, id FROM t WHERE id = 3 UNION SELECT ts, 3 FROM t WHERE id = 6",
            &["2026-10-25T00:00:00Z 3"],
        ),
        (
            "SELECT d AS x FROM t INTERSECT SELECT ts FROM t",
            &["2026-10-25T00:00:00Z", "null"],
        ),
    ];
    check(&selects);
    for (select, _) in selects {
        let program = plan(select).unwrap();
        let mut collections = program.collections().iter();
        let view = collections.find(|found| found.name == "v").unwrap();
        assert_eq!(view.schema.field(0).data_type(), &moment(), "{select}");
        // What is said of a view is what it gives, also where it is computed when asked.
        for kind in ["MATERIALIZED VIEW", "VIEW"] {
            let view = ViewDefinition {
                name: "v".into(),
                file: "v.sql".into(),
                sql: format!("CREATE {kind} v AS {select}"),
            };
            let program = Program::plan(&[table()], &[view]).unwrap();
            let said = program.shapes()["v"].schema.field(0).data_type();
            assert_eq!(said, &moment(), "{kind}: {select}");
        }
    }
}

/// Of numbers, and of texts.
#[test]
fn moments_that_are_made_are_as_those_of_tables() {
    check(&[
        (
            "SELECT id, to_timestamp(id * 3600) AS x, (to_timestamp(id * 3600) AT TIME ZONE 'Asia/Shanghai')::timestamp AS y FROM t WHERE id = 5",
            &["5 1970-01-01T05:00:00Z 1970-01-01T13:00:00"],
        ),
        (
            "SELECT id, (to_timestamp(id * 0.5) AT TIME ZONE 'Asia/Shanghai')::timestamp AS x, (to_timestamp_millis(id * 1000) AT TIME ZONE 'Asia/Shanghai')::timestamp AS y FROM t WHERE id = 5",
            &["5 1970-01-01T08:00:02.500 1970-01-01T08:00:05"],
        ),
        (
            "SELECT id, (TIMESTAMPTZ '2026-01-01 00:00:00+08' AT TIME ZONE 'Asia/Shanghai')::timestamp AS x, ('2026-01-01 00:00:00'::timestamptz AT TIME ZONE 'Asia/Shanghai')::timestamp AS y FROM t WHERE id = 5",
            &["5 2026-01-01T00:00:00 2026-01-01T08:00:00"],
        ),
        (
            "SELECT id, date_trunc('day', to_timestamp(id * 86399)) AS x, to_timestamp(id * 86399)::date AS y, extract(hour FROM to_timestamp(id * 86399)) AS z FROM t WHERE id = 1",
            &["1 1970-01-01T00:00:00Z 1970-01-01 23"],
        ),
        (
            "SELECT id FROM t WHERE ts = to_timestamp(1774715400)",
            &["5"],
        ),
        (
            "SELECT id FROM t WHERE ts >= TIMESTAMPTZ '2026-10-25 02:00:00+01'",
            &["4"],
        ),
        (
            "SELECT id FROM t WHERE ts AT TIME ZONE 'Europe/Berlin' < to_timestamp(1774715401)",
            &["5"],
        ),
        (
            "SELECT a.id AS x, b.id AS y FROM t AS a JOIN t AS b ON a.ts = to_timestamp(b.id * 354943080)",
            &["5 5"],
        ),
    ]);
}

#[test]
fn a_time_without_a_zone_leaves_out_that_of_its_text() {
    check(&[
        (
            "SELECT id, s::timestamp AS x, s::date AS y, TRY_CAST(s AS TIMESTAMP) AS z FROM t WHERE id = 4",
            &["4 2026-11-21T08:10:00.250 2026-11-21 2026-11-21T08:10:00.250"],
        ),
        (
            "SELECT id, '2026-01-01 00:30:00+02'::timestamp AS x, '2026-01-01 00:30:00+05:30'::date AS y FROM t WHERE id = 5",
            &["5 2026-01-01T00:30:00 2026-01-01"],
        ),
        (
            "SELECT id, TIMESTAMP '2026-01-01T10:00:00Z' AS x, '2026-01-01 10:00:00 Europe/Berlin'::timestamp AS y FROM t WHERE id = 5",
            &["5 2026-01-01T10:00:00 2026-01-01T10:00:00"],
        ),
        (
            "SELECT id FROM t WHERE ts::timestamp = '2026-03-28 16:30:00+05'",
            &["5"],
        ),
        (
            "SELECT id FROM t WHERE ts::timestamp IN ('2026-03-28 16:30:00-05', '2026-03-28 10:30:00-05')",
            &["5"],
        ),
        // A moment is that of the zone.
        (
            "SELECT id, '2026-01-01 00:30:00+02'::timestamptz AS x, s::timestamptz AS y FROM t WHERE id = 4",
            &["4 2025-12-31T22:30:00Z 2026-11-21T07:10:00.250Z"],
        ),
        (
            "SELECT id FROM t WHERE ts = '2026-03-28 21:30:00+05'",
            &["5"],
        ),
    ]);
}

/// To PostgreSQL what is in a zone is a time without one, and what is put into a zone
/// then a moment, which is seen in UTC.
#[test]
fn what_is_in_a_zone_is_put_into_another_one() {
    check(&[
        (
            "SELECT id, ts AT TIME ZONE 'Asia/Shanghai' AT TIME ZONE 'UTC' AS x FROM t WHERE id = 5",
            &["5 2026-03-29T00:30:00Z"],
        ),
        (
            "SELECT id, (ts AT TIME ZONE 'UTC') AT TIME ZONE 'Asia/Shanghai' AS x FROM t WHERE id = 5",
            &["5 2026-03-28T08:30:00Z"],
        ),
        (
            "SELECT id, (x AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Shanghai')::timestamp AS y FROM (SELECT id, ts::timestamp AS x FROM t) AS u WHERE id = 5",
            &["5 2026-03-29T00:30:00"],
        ),
        (
            "SELECT id, (ts::timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Shanghai')::timestamp AS x FROM t WHERE id = 5",
            &["5 2026-03-29T00:30:00"],
        ),
        (
            "SELECT id, (d AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Shanghai') AS x FROM t WHERE id = 3",
            &["3 2026-10-24T16:00:00Z"],
        ),
        (
            "SELECT id, TIMESTAMP '2026-01-01 00:00:00' AT TIME ZONE 'Asia/Shanghai' AS x, (TIMESTAMP '2026-01-01 00:00:00' AT TIME ZONE 'Asia/Shanghai')::date AS y FROM t WHERE id = 5",
            &["5 2025-12-31T16:00:00Z 2025-12-31"],
        ),
        (
            "SELECT id, date_trunc('day', '2026-01-01'::timestamp AT TIME ZONE 'Asia/Shanghai') AS x, extract(hour FROM '2026-01-01'::timestamp AT TIME ZONE 'Asia/Shanghai') AS y FROM t WHERE id = 5",
            &["5 2025-12-31T00:00:00Z 16"],
        ),
        (
            "SELECT id, ('2026-01-01 00:00:00' AT TIME ZONE 'Asia/Shanghai')::timestamp AS x FROM t WHERE id = 5",
            &["5 2026-01-01T08:00:00"],
        ),
    ]);
}

#[test]
fn dates_are_written_and_read_by_patterns_of_both_kinds() {
    check(&[
        (
            "SELECT id, to_char(ts, 'YYYY-MM-DD HH24:MI TZ') AS x, to_char(ts, '%H:%M') AS y FROM t WHERE id = 5",
            &["5 2026-03-28 16:30 UTC 16:30"],
        ),
        (
            "SELECT id, to_char(ts AT TIME ZONE 'Europe/Berlin', 'DD.MM.YYYY HH24:MI TZ') AS x FROM t WHERE id IN (3, 4)",
            &["3 25.10.2026 02:30 CEST", "4 25.10.2026 02:30 CET"],
        ),
        (
            "SELECT id, to_char(d, 'FMDay, DD Mon YYYY') AS x FROM t WHERE id IN (3, 7)",
            &["3 Sunday, 25 Oct 2026", "7 Thursday, 01 Jan 2026"],
        ),
        (
            "SELECT id, to_timestamp(s, 'DD.MM.YYYY HH24:MI') AS x, to_date(s, 'DD.MM.YYYY HH24:MI') AS y FROM t WHERE id = 3",
            &["3 2026-11-21T08:10:00Z 2026-11-21"],
        ),
        (
            "SELECT id, to_timestamp(s, 'YYYY-MM-DD HH24:MI:SS.MSTZH') AS x FROM t WHERE id = 4",
            &["4 2026-11-21T07:10:00.250Z"],
        ),
    ]);
    let problem = plan("SELECT id, to_date(s, 'YYYY-WW') AS x FROM t").err();
    let problem = problem.unwrap_or_default();
    assert!(
        problem.contains("is written by to_char and not read"),
        "{problem}"
    );
}

#[test]
fn differences_of_counts_may_be_negative() {
    check(&[
        (
            "SELECT id, row_number() OVER (ORDER BY id) - row_number() OVER (ORDER BY id DESC) AS x FROM t WHERE id < 4",
            &["1 -2", "2 0", "3 2"],
        ),
        (
            "SELECT id, ntile(2) OVER (ORDER BY id) - ntile(3) OVER (ORDER BY id) AS x FROM t WHERE id < 4",
            &["1 0", "2 -1", "3 -1"],
        ),
        (
            "SELECT id, array_length(string_to_array(s, ',')) - array_length(string_to_array(s, ';')) AS x FROM t WHERE id < 3",
            &["1 0", "2 -1"],
        ),
        (
            "SELECT approx_distinct(d) - approx_distinct(ts) AS x FROM t",
            &["-1"],
        ),
    ]);
}
