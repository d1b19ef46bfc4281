//! Conditions that a scan tries while it reads, against the same conditions as
//! columns of the answer: over segments in files and in memory, with rows that
//! are gone, unknown values, and pieces whose bounds exclude them. Conditions with a
//! subquery, over as many rows as a scan gives them. And groups by text that lies in
//! dictionaries, against groups by the same text computed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use sluice_core::{Delta, Random, SimulatedDisk};
use sluice_serve::{QueryEngine, QueryOptions, QueryResult};
use sluice_store::{CheckpointRequest, CollectionDefinition, Store, StoreOptions};

fn one<'a>(random: &mut Random, of: &[&'a str]) -> &'a str {
    of[random.below(of.len() as u64) as usize]
}

const SHOPS: [&str; 5] = ["north", "south", "east", "west", "上海"];

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("shop", DataType::Utf8, true),
        Field::new("note", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(16, 2), true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("share", DataType::Float64, true),
        Field::new("is_new", DataType::Boolean, true),
    ]))
}

/// Rows whose values follow from their numbers.
fn rows(ids: &[i64]) -> RecordBatch {
    let some = |id: i64, part: i64| (id % part != 0).then_some(id);
    let of = |id: i64| Random((id as u64 + 1) * 0x9E37_79B9).below(1_000) as i64;
    let shop = ids
        .iter()
        .map(|&id| some(id, 11).map(|id| SHOPS[of(id) as usize % 5]));
    let note = ids
        .iter()
        .map(|&id| some(id, 13).map(|id| format!("note {} of {id}", of(id))));
    let amount = ids
        .iter()
        .map(|&id| some(id, 17).map(|id| i128::from(of(id) - 500)));
    let at = ids.iter().map(|&id| some(id, 19).map(|id| id * 1_000_000));
    let share = ids.iter().map(|&id| match id % 23 {
        0 => None,
        1 => Some(f64::NAN),
        _ => Some(of(id) as f64 / 7.0),
    });
    let is_new = ids.iter().map(|&id| some(id, 7).map(|id| of(id) % 2 == 0));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.to_vec())),
        Arc::new(shop.collect::<StringArray>()),
        Arc::new(note.collect::<StringArray>()),
        Arc::new(
            amount
                .collect::<Decimal128Array>()
                .with_precision_and_scale(16, 2)
                .unwrap(),
        ),
        Arc::new(
            at.collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(share.collect::<Float64Array>()),
        Arc::new(is_new.collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// A store of several files and of rows in memory; some rows are gone.
fn filled(seed: u64, cache_bytes: usize) -> (Store, BTreeSet<i64>) {
    filled_with(seed, cache_bytes, 200)
}

/// The same with so many new rows in each epoch, or up to 400 more.
fn filled_with(seed: u64, cache_bytes: usize, new_rows: i64) -> (Store, BTreeSet<i64>) {
    let mut random = Random(seed * 7_919 + 1);
    let options = StoreOptions {
        segment_cache_bytes_max: cache_bytes,
    };
    let disk = Arc::new(SimulatedDisk::new(seed));
    let (mut store, _) = Store::open(disk, Path::new("/store"), options).unwrap();
    let definition = CollectionDefinition {
        name: "sales".to_owned(),
        schema: schema(),
        append_only: false,
        unique_key: Some(vec![0]),
    };
    store.define(vec![definition]).unwrap();
    let (mut there, mut next) = (BTreeSet::new(), 0);
    for epoch in 1..=6 {
        let new: Vec<i64> = (next..next + new_rows + random.below(400) as i64).collect();
        next += new.len() as i64;
        let gone: Vec<i64> = there
            .iter()
            .copied()
            .filter(|_| random.below(9) == 0)
            .collect();
        let weights = std::iter::repeat_n(1, new.len()).chain(std::iter::repeat_n(-1, gone.len()));
        let changed: Vec<i64> = new.iter().chain(&gone).copied().collect();
        let delta = Delta::try_new(rows(&changed), weights.collect()).unwrap();
        store
            .apply(epoch, &BTreeMap::from([("sales".to_owned(), delta)]))
            .unwrap();
        there.extend(new);
        there.retain(|id| !gone.contains(id));
        if epoch < 6 {
            let request = CheckpointRequest {
                epoch,
                changed_parts: BTreeMap::new(),
                live_parts: BTreeSet::new(),
                meta: serde_json::Value::Null,
            };
            store.checkpoint(request).unwrap();
        }
    }
    (store, there)
}

fn condition(random: &mut Random, depth: u64) -> String {
    if depth > 0 && random.below(2) == 0 {
        let (left, right) = (condition(random, depth - 1), condition(random, depth - 1));
        return match random.below(4) {
            0 => format!("({left} OR {right})"),
            1 => format!("NOT ({left} AND {right})"),
            _ => format!("{left} AND {right}"),
        };
    }
    let comparison = one(random, &["=", "<>", "<", "<=", ">", ">="]);
    let number = random.below(2_500) as i64;
    match random.below(12) {
        0 => format!("id {comparison} {number}"),
        1 => format!("shop {comparison} '{}'", one(random, &SHOPS)),
        2 => format!("shop IN ('{}', 'nowhere')", one(random, &SHOPS)),
        3 => format!("note LIKE 'note {}%'", number % 100),
        4 => format!("amount {comparison} {}.5", number % 500 - 250),
        5 => format!(
            "at {comparison} '1970-01-01 08:{:02}:{:02}'",
            number / 60,
            number % 60
        ),
        6 => format!("share {comparison} CAST({} AS DOUBLE)", number % 150),
        7 => "is_new".to_owned(),
        8 => format!(
            "{} IS NULL",
            one(random, &["shop", "note", "at", "share", "is_new"])
        ),
        9 => format!(
            "coalesce(shop, 'none') {comparison} '{}'",
            one(random, &SHOPS)
        ),
        10 => format!("note {comparison} 'note {}'", number % 1_000),
        _ => format!("id BETWEEN {number} AND {}", number + 300),
    }
}

fn answer(engine: &QueryEngine, sql: &str) -> QueryResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(engine.query(sql))
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn ids(result: &QueryResult, is_wanted: impl Fn(&RecordBatch, usize) -> bool) -> BTreeSet<i64> {
    let mut ids = BTreeSet::new();
    for batch in &result.batches {
        let values = batch.column(0).as_primitive::<Int64Type>();
        let wanted = (0..batch.num_rows()).filter(|&row| is_wanted(batch, row));
        ids.extend(wanted.map(|row| values.value(row)));
    }
    ids
}

fn engine(store: &Store) -> QueryEngine {
    let snapshot = store.snapshot();
    let options = QueryOptions {
        time_zone: "Asia/Shanghai".to_owned(),
        ..QueryOptions::default()
    };
    QueryEngine::new(Arc::new(move || snapshot.clone()), options).unwrap()
}

#[test]
fn a_scan_gives_the_rows_for_which_the_condition_holds() {
    let mut found = 0;
    for seed in 1..=6 {
        // Nothing stays in memory; a part of it; all of it.
        let cache_bytes = [0, 20_000, 1 << 30][seed as usize % 3];
        let (store, there) = filled(seed, cache_bytes);
        let engine = engine(&store);
        assert_eq!(
            ids(&answer(&engine, "SELECT id FROM sales"), |_, _| true),
            there
        );
        let mut random = Random(seed);
        for _ in 0..60 {
            let condition = condition(&mut random, 2);
            let judged = answer(
                &engine,
                &format!("SELECT id, ({condition}) AS holds FROM sales"),
            );
            let wanted = ids(&judged, |batch, row| {
                let holds = batch.column(1).as_boolean();
                holds.is_valid(row) && holds.value(row)
            });
            for columns in ["id", "id, note, amount"] {
                let sql = format!("SELECT {columns} FROM sales WHERE {condition}");
                assert_eq!(
                    ids(&answer(&engine, &sql), |_, _| true),
                    wanted,
                    "seed {seed}: {sql}"
                );
            }
            let sql = format!("SELECT count(*) FROM sales WHERE {condition}");
            let count = ids(&answer(&engine, &sql), |_, _| true);
            assert_eq!(
                count,
                BTreeSet::from([wanted.len() as i64]),
                "seed {seed}: {sql}"
            );
            found += wanted.len();
        }
    }
    assert!(found > 50_000, "only {found} rows were found");
}

#[test]
fn a_row_that_is_gone_cannot_fail_a_query() {
    let (store, there) = filled(3, 0);
    let engine = engine(&store);
    let gone = (0..).find(|id| !there.contains(id)).unwrap();
    // It divides by zero for that row alone.
    let sql = format!("SELECT id FROM sales WHERE 100 / (id - {gone}) > 1000000");
    assert!(ids(&answer(&engine, &sql), |_, _| true).is_empty());
}

#[test]
fn a_limit_is_a_limit_and_a_plan_tells_what_is_read() {
    let (store, there) = filled(2, 1 << 30);
    let engine = engine(&store);
    let some = answer(&engine, "SELECT id FROM sales LIMIT 7");
    assert_eq!(ids(&some, |_, _| true).len(), 7);
    let last = there.last().unwrap();
    // Times are conditions in the zone of whoever reads, and bounds in UTC.
    let last_time = format!("1970-01-01 08:{:02}:{:02}", last / 60, last % 60);
    for condition in [
        format!("id >= {}", last - 3),
        format!("at >= '{last_time}'"),
        format!("at >= TIMESTAMP '{last_time}'"),
        "at >= DATE '1970-01-02'".to_owned(),
    ] {
        let (read, all) = pieces_read(&engine, &condition);
        assert!(read < all, "{condition}: {read} of {all} pieces are read");
    }
}

#[test]
fn a_time_of_day_is_looked_for_in_the_pieces_of_several_days() {
    let (store, _) = filled_with(4, 0, 36_000);
    let engine = engine(&store);
    for condition in [
        "CAST(at AS TIME) >= TIME '12:00:00'",
        "CAST(at AS TIME) BETWEEN TIME '01:00:00' AND TIME '02:00:00'",
        "TRY_CAST(at AS TIME) < TIME '03:00:00'",
        "CAST(id - 50000 AS BOOLEAN) = false",
    ] {
        let count = |sql: String| lines(&engine, &sql);
        let found = count(format!("SELECT count(*) AS n FROM sales WHERE {condition}"));
        let all = format!("SELECT count(*) FILTER (WHERE {condition}) AS n FROM sales");
        assert_eq!(found, count(all), "{condition}");
    }
}

/// What the row of a number says in `note`.
fn note(id: i64) -> Option<String> {
    let rows = rows(&[id]);
    let notes = rows.column(2).as_string::<i32>();
    notes.is_valid(0).then(|| notes.value(0).to_owned())
}

#[test]
fn a_value_is_looked_for_in_the_pieces_that_may_hold_it() {
    let (store, there) = filled_with(6, 0, 36_000);
    let engine = engine(&store);
    let last = *there.last().unwrap();
    let mut found = 0;
    for id in (0..last + 2_000).step_by(4_001) {
        let Some(note) = note(id) else { continue };
        let sql = format!("SELECT id FROM sales WHERE note = '{note}'");
        let expected: BTreeSet<i64> = there.get(&id).copied().into_iter().collect();
        assert_eq!(ids(&answer(&engine, &sql), |_, _| true), expected, "{sql}");
        found += expected.len();
    }
    assert!(found > 25, "only {found} were there");
    // Five files, of which the bounds of text exclude none, and rows in memory. One
    // file may seem to hold the value nevertheless.
    for condition in [
        "note = 'note 5 of nobody'",
        "'note 5 of nobody' = note",
        "note IN ('note 5 of nobody', 'note 6 of nobody')",
        "note IN ('note 1 of a', 'note 2 of b', 'note 3 of c', 'note 4 of d', 'note 5 of e')",
        "id >= 0 AND note = 'note 5 of nobody' AND shop <> 'north'",
    ] {
        let (read, all) = pieces_read(&engine, condition);
        assert!(read <= 2 && all == 6, "{condition}: {read} of {all}");
    }
    let first = (0..).find_map(note).unwrap();
    let one = format!("note = '{first}' OR note = 'note 5 of nobody'");
    let (read, _) = pieces_read(&engine, &one);
    assert!((2..=3).contains(&read), "{one}: {read}");
    for condition in [
        "note <> 'note 5 of nobody'",
        "note NOT IN ('note 5 of nobody', 'note 6 of nobody')",
        "note = 'note 5 of nobody' OR shop = 'north'",
        "upper(note) = 'NOTE 5 OF NOBODY'",
    ] {
        assert_eq!(pieces_read(&engine, condition), (6, 6), "{condition}");
    }
}

#[test]
fn the_first_rows_are_found_without_reading_the_others() {
    let (store, there) = filled_with(7, 0, 36_000);
    let engine = engine(&store);
    let columns_read = |sql: &str| {
        let before = store.cache_counts().misses;
        let result = answer(&engine, sql);
        (result, store.cache_counts().misses - before)
    };
    let in_order = |result: &QueryResult| {
        let batches = result.batches.iter();
        let ids =
            batches.flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().iter());
        ids.copied().collect::<Vec<i64>>()
    };
    let with_time = |id: &&i64| **id % 19 != 0;
    let rising = || there.iter().filter(with_time).copied();
    let without_time = there.iter().filter(|id| *id % 19 == 0).copied();
    for (order, expected) in [
        ("id", there.iter().copied().take(9).collect::<Vec<i64>>()),
        ("id DESC", there.iter().rev().copied().take(9).collect()),
        ("at", rising().take(9).collect()),
        ("at, note, id", rising().take(9).collect()),
        ("at DESC NULLS LAST", rising().rev().take(9).collect()),
        ("at NULLS FIRST, id", without_time.take(9).collect()),
    ] {
        let first = format!("SELECT id, at, note FROM sales ORDER BY {order} LIMIT 9");
        let plan = lines(&engine, &format!("EXPLAIN {first}")).concat();
        assert!(plan.contains("fewer once enough rows are found"), "{plan}");
        let (found, few) = columns_read(&first);
        assert_eq!(in_order(&found), expected, "{order}");
        // Of fifteen: three columns of five files. Two parts read one file each before
        // they know.
        let is_known = !order.contains("FIRST");
        assert!(few <= 6 || !is_known, "{order}: {few} columns were read");
    }
    let (found, few) = columns_read(
        "SELECT id, note FROM sales WHERE shop = 'east' ORDER BY at DESC NULLS LAST LIMIT 3",
    );
    let expected = rows(
        &there
            .iter()
            .copied()
            .filter(|id| with_time(&id))
            .collect::<Vec<_>>(),
    );
    let shops = expected.column(1).as_string::<i32>();
    let numbers = expected.column(0).as_primitive::<Int64Type>();
    let rows = (0..expected.num_rows()).rev();
    let in_east = rows.filter(|&row| shops.is_valid(row) && shops.value(row) == "east");
    let expected: Vec<i64> = in_east.map(|row| numbers.value(row)).take(3).collect();
    assert_eq!(in_order(&found), expected);
    assert!(few <= 8, "{few} columns were read");
}

/// How many pieces a condition leaves, and how many there are.
fn pieces_read(engine: &QueryEngine, condition: &str) -> (usize, usize) {
    let sql = format!("EXPLAIN SELECT note FROM sales WHERE {condition}");
    let plan = answer(engine, &sql);
    let plan = plan.batches[0].column(1).as_string::<i32>().clone();
    let plan: String = plan.iter().flatten().collect();
    let (_, read) = plan
        .split_once("SnapshotScan: sales [note], pieces ")
        .unwrap_or_else(|| panic!("{plan}"));
    let (read, all) = read.split_once(" of ").unwrap();
    let all = all.split(|letter: char| !letter.is_ascii_digit()).next();
    (read.parse().unwrap(), all.unwrap().parse().unwrap())
}

/// The answer as text, its lines in order.
fn lines(engine: &QueryEngine, sql: &str) -> Vec<String> {
    let answer = answer(engine, sql);
    let text = pretty_format_batches(&answer.batches).unwrap().to_string();
    let mut lines: Vec<String> = text.lines().skip(3).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn groups_by_text_in_dictionaries_are_groups_by_text() {
    const KEYS: [&str; 7] = [
        "shop",
        "shop, is_new",
        "date_trunc('day', at), shop",
        "shop, CAST(id % 7 AS INTEGER)",
        "note, shop",
        "shop, is_new, id % 1000, shop",
        "note",
    ];
    const FUNCTIONS: &str = "count(*), count(note), count(DISTINCT at), count(DISTINCT shop), \
        sum(amount), avg(amount), min(note), max(shop), min(share), bool_or(is_new), \
        count(*) FILTER (WHERE is_new), sum(id) FILTER (WHERE amount > 0)";
    for (seed, cache_bytes) in [(1, 1 << 30), (2, 0)] {
        let (store, there) = filled_with(seed, cache_bytes, 36_000);
        let engine = engine(&store);
        for keys in KEYS {
            for condition in ["true", "id % 3 = 1 AND shop <> 'west'", "id < 0"] {
                let query = |keys: &str| {
                    format!("SELECT {FUNCTIONS} FROM sales WHERE {condition} GROUP BY {keys}")
                };
                // Text that is computed has no dictionary.
                let computed = keys
                    .replace("shop", "shop || ''")
                    .replace("note", "note || ''");
                let sql = query(keys);
                let coded = lines(&engine, &format!("EXPLAIN {sql}")).concat();
                // Few rows are dealt out to two parts before they are grouped.
                let is_coded = coded.contains("CodedAggregate");
                assert_eq!(is_coded, condition != "id < 0", "{coded}");
                let general = lines(&engine, &format!("EXPLAIN {}", query(&computed))).concat();
                assert!(!general.contains("CodedAggregate"), "{general}");
                let found = lines(&engine, &sql);
                assert_eq!(
                    found,
                    lines(&engine, &query(&computed)),
                    "seed {seed}: {sql}"
                );
                assert_eq!(
                    found.len() <= 1,
                    condition == "id < 0",
                    "seed {seed}: {sql}"
                );
            }
        }
        let distinct = lines(&engine, "SELECT DISTINCT shop, is_new FROM sales");
        assert_eq!(distinct.len(), 6 * 3 + 1, "{} rows", there.len());
    }
}

#[test]
fn groups_that_have_no_room_are_handed_on_or_refused() {
    let (store, _) = filled_with(5, 1 << 30, 36_000);
    let sql = "SELECT shop, id, count(*), max(note) FROM sales GROUP BY shop, id ORDER BY id";
    let expected = lines(&engine(&store), sql);
    let mut answered = 0;
    for memory_mib in [3, 12, 24, 36, 48, 256] {
        let snapshot = store.snapshot();
        let options = QueryOptions {
            memory_bytes_max: memory_mib << 20,
            ..QueryOptions::default()
        };
        let engine = QueryEngine::new(Arc::new(move || snapshot.clone()), options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        match runtime.block_on(engine.query(sql)) {
            Ok(_) => {
                answered += 1;
                assert_eq!(lines(&engine, sql), expected, "{memory_mib} MiB");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("may take"), "{memory_mib} MiB: {text}");
            }
        }
    }
    assert!(answered >= 1);
}

#[test]
fn pieces_of_a_cross_join_are_counted_once() {
    let (store, _) = filled_with(5, 1 << 30, 36_000);
    let snapshot = store.snapshot();
    let options = QueryOptions {
        memory_bytes_max: 128 << 20,
        ..QueryOptions::default()
    };
    let engine = QueryEngine::new(Arc::new(move || snapshot.clone()), options).unwrap();
    let sql = "SELECT days.n, newest.id, count(*), count(DISTINCT sales.shop)
        FROM sales
        CROSS JOIN (SELECT unnest([1, 2, 3, 4, 5, 6, 7]) AS n) AS days
        CROSS JOIN (SELECT max(id) AS id FROM sales) AS newest
        GROUP BY days.n, newest.id";
    let header = 1;
    assert_eq!(lines(&engine, sql).len(), header + 7);
}

#[test]
fn in_costs_what_both_sides_hold_and_not_their_product() {
    let (store, _) = filled(1, 1 << 30);
    let snapshot = store.snapshot();
    let options = QueryOptions {
        // Ten thousand million pairs take minutes.
        time_ms_max: 20_000,
        ..QueryOptions::default()
    };
    let engine = QueryEngine::new(Arc::new(move || snapshot.clone()), options).unwrap();
    let count = |columns: &str, condition: &str| {
        let sql = format!(
            "WITH t AS (SELECT nullif(value, 7) AS x FROM generate_series(1, 100000)),
                  s AS (SELECT nullif(value, 0) AS c FROM generate_series(50001, 150000)),
                  nulls AS (SELECT nullif(value % 2, 0) AS c FROM generate_series(1, 200000)),
                  nothing AS (SELECT c FROM s WHERE c < 0)
             SELECT count(*) FROM (SELECT x, {columns} AS y FROM t) AS d WHERE {condition}"
        );
        let found = ids(&answer(&engine, &sql), |_, _| true);
        found.into_iter().next().unwrap()
    };
    for (columns, condition, wanted) in [
        ("1", "x NOT IN (SELECT c FROM s)", 49_999),
        ("1", "NOT (x IN (SELECT c FROM s))", 49_999),
        ("1", "x < 0 OR x NOT IN (SELECT c FROM s)", 49_999),
        ("1", "x = 1 OR x IN (SELECT c FROM s)", 50_001),
        ("1", "x NOT IN (SELECT c FROM nulls)", 0),
        ("1", "x = 2 OR x IN (SELECT c FROM nulls)", 2),
        ("1", "x NOT IN (SELECT c FROM nothing)", 100_000),
        ("x NOT IN (SELECT c FROM s)", "y", 49_999),
        ("x IN (SELECT c FROM nulls)", "y IS NULL", 99_999),
    ] {
        assert_eq!(count(columns, condition), wanted, "{columns}, {condition}");
    }
}
