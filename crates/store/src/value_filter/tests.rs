use std::path::Path;
use std::slice;
use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use parquet::file::metadata::ColumnChunkMetaData;
use sluice_core::{Disk, SimulatedDisk, stable_hash};

use super::*;
use crate::parquet_file;
use crate::segment_cache::SegmentCache;

const ROWS: i64 = 50_000;
const FOLDER: &str = "/store";
const FILE: &str = "segment-1.parquet";

/// A number that looks like chance, the same for the same `number`.
fn random(number: i64) -> i64 {
    stable_hash(&number.to_le_bytes()) as i64
}

fn key(number: i64) -> String {
    format!("order-{:x}", random(number))
}

/// Columns with many values: text, long and short numbers; and without filters: a
/// counter, text of few values, long text, and nothing but nulls.
fn rows() -> RecordBatch {
    let numbers = || 0..ROWS;
    let some = |number: i64| (number % 5 != 0).then_some(number);
    let keys: StringArray = numbers().map(|it| some(it).map(key)).collect();
    let users: Int64Array = numbers().map(|it| some(it).map(random)).collect();
    let short: Int32Array = numbers().map(|it| Some(random(it) as i32)).collect();
    let counter: Int64Array = numbers().map(Some).collect();
    let shops: StringArray = numbers()
        .map(|it| Some(["north", "south"][it as usize % 2]))
        .collect();
    let long: StringArray = numbers().map(|it| Some(key(it).repeat(10))).collect();
    let nothing = Int64Array::new_null(ROWS as usize);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("key", Arc::new(keys)),
        ("user", Arc::new(users)),
        ("short", Arc::new(short)),
        ("counter", Arc::new(counter)),
        ("shop", Arc::new(shops)),
        ("long", Arc::new(long)),
        ("nothing", Arc::new(nothing)),
    ];
    let fields = columns.iter().map(|(name, column)| {
        let data_type = column.data_type().clone();
        Field::new(*name, data_type, true)
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

struct Written {
    disk: SimulatedDisk,
    file: SegmentFile,
    shape: Shape,
    rows: RecordBatch,
}

fn written() -> Written {
    let disk = SimulatedDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    shared.create_dir_all(Path::new(FOLDER)).unwrap();
    let rows = rows();
    let column_ids: Vec<u32> = (0..rows.num_columns() as u32).collect();
    let folder = Path::new(FOLDER);
    let (file, _) = parquet_file::write(&shared, folder, FILE, &rows, &column_ids).unwrap();
    let shape = Shape {
        schema: rows.schema(),
        column_ids,
    };
    Written {
        disk,
        file,
        shape,
        rows,
    }
}

impl Written {
    fn opened(&self) -> Arc<OpenedFile> {
        self.file.opened(self.file.footer.unwrap()).unwrap()
    }

    fn chunks(&self) -> Vec<ColumnChunkMetaData> {
        let opened = self.opened();
        let roots = 0..self.rows.num_columns();
        let chunks = roots.flat_map(|root| opened.chunks_of(root).map(|(_, chunk)| chunk.clone()));
        chunks.collect()
    }

    /// Asks for the one value of `value`.
    fn may_hold(&self, column: usize, value: &ArrayRef) -> Result<bool, StoreError> {
        let cached = CachePlace::new(&SegmentCache::new(0));
        let sought = SoughtValues::of(value).unwrap();
        self.file.may_hold(&self.shape, column, &sought, &cached)
    }

    /// The values of a column, each alone.
    fn values(&self, column: usize) -> Vec<ArrayRef> {
        let column = self.rows.column(column);
        let rows = (0..column.len()).filter(|&row| column.is_valid(row));
        rows.map(|row| column.slice(row, 1)).collect()
    }
}

#[test]
fn columns_of_many_values_have_filters_and_others_none() {
    let written = written();
    let chunks = written.chunks();
    let has_filter: Vec<bool> = chunks
        .iter()
        .map(|chunk| chunk.bloom_filter_offset().is_some())
        .collect();
    let expected = [true, true, true, false, false, false, false];
    assert_eq!(has_filter, expected);
    // At least ten bits a value, and as many blocks as a power of two.
    let opened = written.opened();
    let blocks: Vec<u32> = opened.filters.iter().map(|place| place.blocks).collect();
    assert_eq!(blocks, [2048, 2048, 2048]);
}

#[test]
fn every_value_that_is_there_is_found_and_few_others() {
    let written = written();
    for column in [0, 1, 2] {
        for value in written.values(column) {
            assert!(written.may_hold(column, &value).unwrap(), "{value:?}");
        }
    }
    let absent = ROWS..ROWS + 10_000;
    let found = |column: usize, value: fn(i64) -> ArrayRef| {
        let values = absent.clone().map(value);
        let found = values.filter(|value| written.may_hold(column, value).unwrap());
        found.count()
    };
    let found = [
        found(0, |it| Arc::new(StringArray::from(vec![key(it)]))),
        found(1, |it| Arc::new(Int64Array::from(vec![random(it)]))),
        found(2, |it| Arc::new(Int32Array::from(vec![random(it) as i32]))),
    ];
    assert!(found.iter().all(|&found| found <= 100), "{found:?}");
}

#[test]
fn one_value_of_several_is_enough_and_what_has_no_filter_may_hold_all() {
    let written = written();
    let texts = |texts: Vec<Option<String>>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let absent = key(-1);
    assert!(
        !written
            .may_hold(0, &texts(vec![Some(absent.clone())]))
            .unwrap()
    );
    let both = texts(vec![Some(absent.clone()), Some(key(1))]);
    assert!(written.may_hold(0, &both).unwrap());
    for column in [4, 5] {
        let absent = texts(vec![Some(absent.clone())]);
        assert!(written.may_hold(column, &absent).unwrap());
    }
    // Of another type than the column.
    let number: ArrayRef = Arc::new(Int64Array::from(vec![random(-1)]));
    assert!(!written.may_hold(1, &number).unwrap());
    assert!(written.may_hold(0, &number).unwrap());
    assert!(written.may_hold(2, &number).unwrap());
    assert!(SoughtValues::of(&texts(vec![Some(absent), None])).is_none());
    assert!(SoughtValues::of(&texts(Vec::new())).is_none());
}

#[test]
fn other_readers_of_parquet_find_the_same() {
    let written = written();
    let bytes = written.disk.read(&Path::new(FOLDER).join(FILE)).unwrap();
    let bytes = Bytes::from(bytes);
    let chunks = written.chunks();
    let read = |column: usize| {
        let filter = Sbbf::read_from_column_chunk(&chunks[column], &bytes);
        filter.unwrap().unwrap()
    };
    let (keys, users) = (read(0), read(1));
    for number in (-10_000..ROWS).filter(|number| number % 5 != 0) {
        let (text, user) = (key(number), random(number));
        let sought: [ArrayRef; 2] = [
            Arc::new(StringArray::from(vec![text.clone()])),
            Arc::new(Int64Array::from(vec![user])),
        ];
        let found = [0, 1].map(|column| written.may_hold(column, &sought[column]).unwrap());
        assert_eq!(found, [keys.check(text.as_str()), users.check(&user)]);
    }
}

#[test]
fn a_damaged_filter_is_an_error_and_its_column_is_still_read() {
    let written = written();
    let values = written.values(0);
    let place = written.opened().filters[0].clone();
    let path = Path::new(FOLDER).join(FILE);
    // A bit of the second page.
    let at = place.start as usize + PAGE_BYTES + 7;
    written.disk.damage(&path, at).unwrap();
    let mut refused = 0;
    for value in &values {
        match written.may_hold(0, value) {
            Ok(may_hold) => assert!(may_hold),
            Err(error) => {
                assert!(error.to_string().contains(FILE), "{error}");
                refused += 1;
            }
        }
    }
    // It has four pages.
    let part = values.len() / refused;
    assert!((3..=5).contains(&part), "{refused} of {}", values.len());
    let shape = &written.shape;
    let read = written.file.read_columns(shape, &[0], ROWS as usize);
    assert_eq!(read.unwrap()[0].len(), ROWS as usize);
}

#[test]
fn an_entry_says_how_large_its_pages_are() {
    let written = written();
    let place = written.opened().filters[0].clone();
    assert_eq!(place.page_bytes(), PAGE_BYTES);
    let entry = serde_json::to_string(&[&place]).unwrap();
    assert_eq!(parse_places(&entry), slice::from_ref(&place));
    // Entries of the first form do not say it, and have such pages.
    let first = entry.replace(r#""page_bytes":16384,"#, "");
    assert_ne!(first, entry);
    assert_eq!(parse_places(&first), [place]);
    let smaller = r#"[{"chunk":0,"start":100,"blocks":600,"page_bytes":8192,"checksums":[1,2,3]}]"#;
    let places = parse_places(smaller);
    let smaller = &places[0];
    assert_eq!(smaller.range_of(1), (100 + 8192, 8192));
    assert_eq!(smaller.range_of(2), (100 + 16384, 600 * 32 - 16384));
    // The block in the middle, which is that of a hash in the middle: 300 of 600.
    assert_eq!(smaller.page_of(1 << 63), (1, 300 * 32 - 8192));
}

#[test]
fn places_that_are_none_are_passed_over_and_those_beyond_the_file_refused() {
    for entry in [
        "",
        "[]",
        "{}",
        "[7]",
        r#"[{"chunk":0,"start":0,"blocks":0,"checksums":[]}]"#,
        r#"[{"chunk":0,"start":0,"blocks":4294967295,"checksums":[1]}]"#,
        r#"[{"chunk":0,"start":-1,"blocks":1,"checksums":[1]}]"#,
        r#"[{"chunk":0,"start":0,"blocks":1,"page_bytes":0,"checksums":[1]}]"#,
        r#"[{"chunk":0,"start":0,"blocks":2,"page_bytes":40,"checksums":[1,2]}]"#,
        // Pages of which there would be another number.
        r#"[{"chunk":0,"start":0,"blocks":512,"page_bytes":8192,"checksums":[1]}]"#,
    ] {
        assert!(parse_places(entry).is_empty(), "{entry}");
    }
    let written = written();
    let entry = format!(
        r#"[{{"chunk":0,"start":{},"blocks":1,"checksums":[1]}}]"#,
        u64::MAX
    );
    let beyond = parse_places(&entry);
    for number in [0, 1, usize::MAX / PAGE_BYTES] {
        assert!(written.file.read_filter_page(&beyond[0], number).is_err());
    }
}
