//! What a table makes of changes.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::util::display::array_value_to_string;
use sluice_core::{ColumnDefinition, PartitionId};

use super::*;

fn input() -> TableInput {
    let column = |name: &str, data_type| ColumnDefinition {
        name: name.into(),
        data_type,
        nullable: true,
    };
    let definition = TableDefinition {
        name: "t".into(),
        columns: vec![
            column("id", DataType::Int64),
            column("n", DataType::Int64),
            column("text", DataType::Utf8),
        ],
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    };
    TableInput::new(definition).unwrap()
}

type RowText<'a> = (i64, i64, Option<&'a str>);

fn changes(input: &TableInput, rows: &[RowText<'_>]) -> TableChanges {
    let batch = |rows: &[RowText<'_>]| {
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(StringArray::from_iter(rows.iter().map(|row| row.2))),
        ];
        RecordBatch::try_new(input.schema.clone(), columns).unwrap()
    };
    TableChanges {
        table: "t".into(),
        partition: PartitionId {
            topic: "t".into(),
            partition: 0,
        },
        rows: batch(rows),
        kinds: vec![ChangeKind::Upsert; rows.len()],
        versions: vec![SourceVersion::default(); rows.len()],
        key_changes: Vec::new(),
        before_rows: Some(batch(&[(1, 0, None)])),
        unchanged: Vec::new(),
    }
}

fn text(delta: &Delta) -> Vec<String> {
    let rows = delta.rows();
    let row = |row: usize| {
        let cells = rows.columns().iter();
        let cells: Vec<String> = cells
            .map(|column| array_value_to_string(column, row).unwrap())
            .collect();
        format!("{}x{}", delta.weights()[row], cells.join("|"))
    };
    let mut lines: Vec<String> = (0..rows.num_rows()).map(row).collect();
    lines.sort();
    lines
}

#[test]
fn a_table_that_is_emptied_keeps_what_newer_changes_stored() {
    let mut input = input();
    let mut first = changes(&input, &[(1, 1, None), (2, 2, None), (3, 3, None)]);
    let version = |major| SourceVersion { major, minor: 0 };
    first.versions = vec![version(1), version(9), version(1)];
    input.step(&[first]).unwrap();
    let mut second = changes(&input, &[(4, 4, None), (0, 0, None), (3, 5, None)]);
    second.kinds[1] = ChangeKind::Truncate;
    second.versions = vec![version(4), version(5), version(6)];
    assert_eq!(
        text(&input.step(&[second]).unwrap()),
        ["-1x1|1|", "-1x3|3|", "1x3|5|"]
    );
    assert_eq!(
        text(&input.step(&[changes(&input, &[(1, 7, None)])]).unwrap()),
        [""; 0]
    );
}

#[test]
fn what_a_change_does_not_say_stays_as_it_is_stored() {
    let mut input = input();
    let first = changes(&input, &[(1, 1, Some("long"))]);
    assert_eq!(text(&input.step(&[first]).unwrap()), ["1x1|1|long"]);
    // Twice in one batch, the second time with another key.
    let mut second = changes(&input, &[(1, 2, None), (5, 3, None), (7, 0, None)]);
    second.unchanged = vec![(0, 2), (1, 2), (2, 2)];
    second.key_changes = vec![(1, 0)];
    // Nothing is stored of the last one: it has no text.
    assert_eq!(
        text(&input.step(&[second]).unwrap()),
        ["-1x1|1|long", "1x5|3|long", "1x7|0|"]
    );
    let third = changes(&input, &[(5, 4, None)]);
    assert_eq!(
        text(&input.step(&[third]).unwrap()),
        ["-1x5|3|long", "1x5|4|"],
        "a null that is said is one"
    );
}

#[test]
fn a_zero_is_taken_back_as_it_was_given() {
    let column = |name: &str, data_type| ColumnDefinition {
        name: name.into(),
        data_type,
        nullable: true,
    };
    let mut input = TableInput::new(TableDefinition {
        name: "t".into(),
        columns: vec![
            column("id", DataType::Int64),
            column("f", DataType::Float64),
        ],
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    })
    .unwrap();
    let mut step = |float: f64, kind, major| {
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values([1])),
            Arc::new(Float64Array::from_iter_values([float])),
        ];
        let change = TableChanges {
            table: "t".into(),
            partition: PartitionId {
                topic: "t".into(),
                partition: 0,
            },
            rows: RecordBatch::try_new(input.schema.clone(), columns).unwrap(),
            kinds: vec![kind],
            versions: vec![SourceVersion { major, minor: 0 }],
            key_changes: Vec::new(),
            before_rows: None,
            unchanged: Vec::new(),
        };
        let delta = input.step(&[change]).unwrap();
        let floats = delta.rows().column(1).as_primitive::<Float64Type>();
        let bits = floats.values().iter().map(|float| float.to_bits());
        bits.zip(delta.weights().to_vec()).collect::<Vec<_>>()
    };
    let zero = 0.0_f64.to_bits();
    assert_eq!(step(-0.0, ChangeKind::Upsert, 1), [(zero, 1)]);
    assert_eq!(step(0.0, ChangeKind::Upsert, 2), []);
    assert_eq!(step(-0.0, ChangeKind::Delete, 3), [(zero, -1)]);
    let nan = f64::NAN.to_bits();
    assert_eq!(step(-f64::NAN, ChangeKind::Upsert, 4), [(nan, 1)]);
    assert_eq!(step(f64::NAN, ChangeKind::Delete, 5), [(nan, -1)]);
}

#[test]
fn what_is_gone_needs_no_value_but_its_key() {
    let column = |name: &str| ColumnDefinition {
        name: name.into(),
        data_type: DataType::Int64,
        nullable: false,
    };
    let mut input = TableInput::new(TableDefinition {
        name: "t".into(),
        columns: vec![column("id"), column("n")],
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    })
    .unwrap();
    let fields = ["id", "n"].map(|name| Field::new(name, DataType::Int64, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let mut step = |rows: [(i64, Option<i64>, ChangeKind); 2], major| {
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
        ];
        let change = TableChanges {
            table: "t".into(),
            partition: PartitionId {
                topic: "t".into(),
                partition: 0,
            },
            rows: RecordBatch::try_new(schema.clone(), columns).unwrap(),
            kinds: rows.map(|row| row.2).to_vec(),
            versions: vec![SourceVersion { major, minor: 0 }; 2],
            key_changes: Vec::new(),
            before_rows: None,
            unchanged: Vec::new(),
        };
        input.step(&[change]).map(|delta| text(&delta))
    };
    let upsert = ChangeKind::Upsert;
    let two = [(1, Some(5), upsert), (2, Some(6), upsert)];
    assert_eq!(step(two, 1).unwrap(), ["1x1|5", "1x2|6"]);
    let gone = [(1, None, ChangeKind::Delete), (3, Some(7), upsert)];
    assert_eq!(step(gone, 2).unwrap(), ["-1x1|5", "1x3|7"]);
    let all = [(0, None, ChangeKind::Truncate), (4, Some(8), upsert)];
    assert_eq!(step(all, 3).unwrap(), ["-1x2|6", "-1x3|7", "1x4|8"]);
    // A row of the table has all that it must have.
    assert!(step([(5, None, upsert), (6, Some(1), upsert)], 4).is_err());
}

fn of_exports(input: &TableInput, rows: &[RowText<'_>], majors: &[u64]) -> TableChanges {
    let mut exported = changes(input, rows);
    exported.kinds = vec![ChangeKind::Backfill; rows.len()];
    let version = |&major: &u64| SourceVersion { major, minor: 0 };
    exported.versions = majors.iter().map(version).collect();
    exported
}

#[test]
fn rows_of_exports_come_in_where_no_change_did() {
    let mut input = input();
    // The versions of changes say nothing of exports: (0, 0) is that of a first copy.
    let mut first = changes(&input, &[(1, 1, None), (2, 2, None), (3, 3, None)]);
    first.kinds[1] = ChangeKind::Delete;
    input.step(&[first]).unwrap();
    let rows = [
        (1, 10, None),
        (2, 20, None),
        (4, 40, Some("old")),
        (5, 50, None),
    ];
    let exported = of_exports(&input, &rows, &[900, 901, 902, 903]);
    assert_eq!(
        text(&input.step(&[exported]).unwrap()),
        ["1x4|40|old", "1x5|50|"]
    );
    // Of two exports the later one counts, in whatever order they come.
    let exported = of_exports(&input, &[(4, 41, Some("new")), (5, 51, None)], &[950, 800]);
    assert_eq!(
        text(&input.step(&[exported]).unwrap()),
        ["-1x4|40|old", "1x4|41|new"]
    );
    // The oldest change is newer, and takes what it does not say from the export.
    let mut update = changes(&input, &[(4, 42, None)]);
    update.unchanged = vec![(0, 2)];
    assert_eq!(
        text(&input.step(&[update]).unwrap()),
        ["-1x4|41|new", "1x4|42|new"]
    );
    let exported = of_exports(&input, &[(4, 43, None), (5, 52, None)], &[990, 991]);
    assert_eq!(
        text(&input.step(&[exported]).unwrap()),
        ["-1x5|50|", "1x5|52|"]
    );
}

#[test]
fn rows_of_exports_are_known_for_what_they_are_after_a_restart() {
    let mut before = input();
    let exported = of_exports(&before, &[(1, 1, None), (2, 2, None)], &[500, 501]);
    before.step(&[exported]).unwrap();
    let mut input = input();
    for shard in 0..VIRTUAL_SHARDS {
        let mut writer = Writer::new();
        before.save(shard, SaveScope::All, &mut writer);
        input.load(shard, &writer.finish()).unwrap();
    }
    // A table that was emptied has none of them, and neither they nor others of an
    // export come back.
    let mut emptied = changes(&input, &[(0, 0, None), (3, 3, None)]);
    emptied.kinds[0] = ChangeKind::Truncate;
    assert_eq!(
        text(&input.step(&[emptied]).unwrap()),
        ["-1x1|1|", "-1x2|2|", "1x3|3|"]
    );
    let exported = of_exports(&input, &[(1, 1, None), (4, 4, None)], &[600, 601]);
    assert_eq!(text(&input.step(&[exported]).unwrap()), [""; 0]);
    assert_eq!(input.ignored_changes, 2);
}

/// A table that takes what is saved of each shard of another one.
fn restarted(mut save: impl FnMut(usize, &mut Writer)) -> TableInput {
    let mut input = input();
    for shard in 0..VIRTUAL_SHARDS {
        let mut writer = Writer::new();
        save(shard, &mut writer);
        input.load(shard, &writer.finish()).unwrap();
    }
    assert_eq!(input.changed_count(), 0);
    input
}

#[test]
fn every_checkpoint_tells_that_a_table_was_emptied() {
    // It never had a row.
    let mut before = input();
    let mut emptied = changes(&before, &[(0, 0, None)]);
    emptied.kinds[0] = ChangeKind::Truncate;
    assert_eq!(text(&before.step(&[emptied]).unwrap()), [""; 0]);
    assert_eq!(before.changed_count(), VIRTUAL_SHARDS);
    let mut after = vec![
        restarted(|shard, writer| before.save(shard, SaveScope::All, writer)),
        restarted(|shard, writer| before.save(shard, SaveScope::Changes, writer)),
    ];
    after.push(restarted(|shard, writer| {
        before.save_ahead(shard, Piece::Changes { rows_max: 8 }, writer);
    }));
    // It is no change any more, but a base has it.
    assert_eq!(before.changed_count(), 0);
    after.push(restarted(|shard, writer| {
        let (from, places_max) = (0, 8);
        before.save_ahead(shard, Piece::Base { from, places_max }, writer);
    }));
    for mut input in after {
        let exported = of_exports(&input, &[(1, 1, None)], &[600]);
        assert_eq!(text(&input.step(&[exported]).unwrap()), [""; 0]);
        let change = changes(&input, &[(1, 2, None)]);
        assert_eq!(text(&input.step(&[change]).unwrap()), ["1x1|2|"]);
    }
}
