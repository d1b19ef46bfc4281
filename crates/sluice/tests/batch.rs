//! `sluice run --batch`: exported files give the same answers as the live
//! warehouse that they were exported from.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use common::{ask, fail, run_command, sluice, succeed};
use parquet::arrow::ArrowWriter;

const SOURCES: &str = r#"
[topic.sales]
[topic.sales.capture]
kind = "file"
path = "*.ndjson"
format = "ndjson"

[table.sale]
topic = "sales"
when = [{ field = "/kind", equals = "sale" }]
primary_key = ["id"]
columns = [
  { name = "id", from = "/no", type = "string" },
  { name = "place", from = "/place", type = "string", missing = "null" },
  { name = "amount", from = "/amount", type = "decimal(12,2)" },
  { name = "sold_at", from = "/at", type = "timestamp", format = "%Y-%m-%d %H:%M:%S", time_zone = "Asia/Shanghai" },
]

[table.visit]
topic = "sales"
when = [{ field = "/kind", equals = "visit" }]
event_time = "ts"
lateness = "1 min"
columns = [
  { name = "device", from = "/device", type = "string" },
  { name = "ts", from = "/ms", type = "timestamp", unit = "ms" },
]
"#;

const BY_PLACE: &str = "CREATE MATERIALIZED VIEW by_place AS
SELECT place, count(*) AS sales, sum(amount) AS amount, max(sold_at) AS last_sale
FROM sale GROUP BY place";

const BY_MINUTE: &str = "CREATE MATERIALIZED VIEW by_minute AS
SELECT window_start, window_end, count(DISTINCT device) AS devices
FROM tumble(visit, ts, INTERVAL '1 minute') GROUP BY window_start, window_end
EMIT ON WINDOW CLOSE";

const RECORDS: &str = r#"{"kind":"sale","no":"s1","place":"east","amount":"10.50","at":"2026-01-01 08:00:00"}
{"kind":"sale","no":"s2","place":"a \"quoted\", place","amount":"3.25","at":"2026-01-01 09:30:00"}
{"kind":"sale","no":"s3","amount":"1","at":"2026-01-02 00:00:00"}
{"kind":"visit","device":"d1","ms":1767225601000}
{"kind":"visit","device":"d1","ms":1767225602000}
{"kind":"visit","device":"d2","ms":1767225603000}
{"kind":"visit","device":"d2","ms":1767225663000}
{"kind":"visit","device":"d3","ms":1767225999000}
"#;

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test writes its files")]
    std::fs::write(path, text).unwrap();
}

fn project(folder: &Path) -> PathBuf {
    let project = folder.join("project");
    write(&project.join("warehouse.toml"), "name = \"sales\"\n");
    write(&project.join("sources/sales.toml"), SOURCES);
    write(&project.join("models/by_place.sql"), BY_PLACE);
    write(&project.join("models/by_minute.sql"), BY_MINUTE);
    write(&project.join("a.ndjson"), RECORDS);
    project
}

fn batch(project: &Path, state: &Path, inputs: &[(&str, &Path)]) -> std::process::Command {
    let mut command = sluice();
    command.arg("run").arg(project).arg("--state").arg(state);
    for (table, path) in inputs {
        command
            .arg("--batch")
            .arg(format!("{table}={}", path.display()));
    }
    command
}

const PLACES: &str = "SELECT * FROM by_place ORDER BY place";
const MINUTES: &str = "SELECT * FROM by_minute ORDER BY window_start";

#[test]
fn exports_give_the_answers_of_the_warehouse_that_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let live = folder.path().join("live");
    succeed(run_command(&project, &live).arg("--until-idle"));
    let places = ask(&live, PLACES);
    assert_eq!(places.len(), 3);
    // The last minutes are still open there.
    assert_eq!(ask(&live, MINUTES).len(), 2);

    let export = |table: &str| {
        let mut command = sluice();
        command
            .args(["sql", "--format", "csv", "--state"])
            .arg(&live);
        let rows = succeed(command.arg(format!("SELECT * FROM {table}")));
        let file = folder.path().join(format!("{table}.csv"));
        write(&file, &rows);
        file
    };
    let (sale, visit) = (export("sale"), export("visit"));
    let again = folder.path().join("again");
    succeed(&mut batch(
        &project,
        &again,
        &[("sale", &sale), ("visit", &visit)],
    ));
    assert_eq!(ask(&again, PLACES), places);
    // History is over: all windows are closed.
    let minutes = ask(&again, MINUTES);
    assert_eq!(minutes.len(), 3);
    assert_eq!(minutes[..2], ask(&live, MINUTES));
    assert!(ask(&again, "SELECT * FROM sluice_dead_letters").is_empty());

    // There is no log to go on from, and nothing is overwritten.
    let refused = fail(run_command(&project, &again).arg("--until-idle"), 1);
    assert!(refused.contains("run --batch"), "{refused}");
    let refused = fail(&mut batch(&project, &again, &[("sale", &sale)]), 2);
    assert!(refused.contains("holds a warehouse already"), "{refused}");
    assert_eq!(ask(&again, PLACES), places);
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_files_of_the_shop_are_read_by_the_names_of_their_source() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let history = folder.path().join("history");
    std::fs::create_dir(&history).unwrap();
    let amounts = |values: Vec<i128>| {
        let array = Decimal128Array::from(values);
        Arc::new(array.with_precision_and_scale(10, 2).unwrap())
    };
    let rows = |ids: Vec<&str>, pence: Vec<i128>, times: Vec<i64>| -> Vec<(&str, ArrayRef)> {
        vec![
            ("no", Arc::new(StringArray::from(ids))),
            ("amount", amounts(pence)),
            // Without a zone: the zone of the source.
            ("at", Arc::new(TimestampMicrosecondArray::from(times))),
        ]
    };
    let second = 1_000_000;
    write_parquet(
        &history.join("1.parquet"),
        rows(vec!["s1", "s2"], vec![100, 250], vec![0, second]),
    );
    // A later file knows better.
    write_parquet(
        &history.join("2.parquet"),
        rows(vec!["s1"], vec![175], vec![2 * second]),
    );
    let state = folder.path().join("state");
    succeed(&mut batch(&project, &state, &[("sale", &history)]));
    assert_eq!(
        ask(
            &state,
            "SELECT id, place, amount, sold_at FROM sale ORDER BY id"
        ),
        [
            "s1,,1.75,1969-12-31T16:00:02Z",
            "s2,,2.50,1969-12-31T16:00:01Z"
        ]
    );
    assert_eq!(
        ask(&state, "SELECT sales, amount FROM by_place"),
        ["2,4.25"]
    );
}

#[test]
fn what_does_not_fit_is_refused_or_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let state = folder.path().join("state");
    let file = folder.path().join("sale.csv");
    write(&file, "id,amount\ns1,1\n");
    let refused = fail(&mut batch(&project, &state, &[("sale", &file)]), 2);
    assert!(
        refused.contains("column `sold_at` of table `sale`"),
        "{refused}"
    );
    assert!(refused.contains("it has id, amount"), "{refused}");
    let refused = fail(&mut batch(&project, &state, &[("sold", &file)]), 2);
    assert!(refused.contains("there is no table `sold`"), "{refused}");
    let text = folder.path().join("sale.txt");
    write(&text, "id\n");
    let refused = fail(&mut batch(&project, &state, &[("sale", &text)]), 2);
    assert!(refused.contains(".parquet and .csv"), "{refused}");

    let lines = "id,amount,sold_at\ns1,1.5,2026-01-01 00:00:00\ns2,much,2026-01-01 00:00:00\n";
    write(&file, lines);
    succeed(&mut batch(&project, &state, &[("sale", &file)]));
    assert_eq!(ask(&state, "SELECT id FROM sale"), ["s1"]);
    assert_eq!(
        ask(
            &state,
            "SELECT record_offset, table_name, column_name, reason FROM sluice_dead_letters"
        ),
        ["1,sale,amount,wrong_type"]
    );
}

#[test]
fn a_header_that_names_a_column_twice_and_an_empty_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let state = folder.path().join("state");
    let file = folder.path().join("sale.csv");
    let twice = "the header has the column `id` twice, in places 1 and 3";
    let unnamed = "the header has a column without a name twice, in places 4 and 5";
    for (text, said) in [
        ("id,amount,id,sold_at\ns1,1,s2,2026-01-01 00:00:00\n", twice),
        // A header is read by its fields, however they are quoted.
        ("\"id\",amount,id,sold_at\n", twice),
        ("\u{feff}id,amount,id,sold_at\n", twice),
        ("id,amount,sold_at,,\n", unnamed),
        ("", "the file is empty"),
        ("\n\r\n", "the file is empty"),
        ("\u{feff}", "the file is empty"),
    ] {
        write(&file, text);
        let refused = fail(&mut batch(&project, &state, &[("sale", &file)]), 2);
        for part in [said, "sale.csv", "help:"] {
            assert!(refused.contains(part), "{text:?}: {refused}");
        }
    }
    // Names are told apart by their letters.
    write(&file, "id,ID,amount,sold_at\ns1,s2,1,2026-01-01 00:00:00\n");
    succeed(&mut batch(&project, &state, &[("sale", &file)]));
    assert_eq!(ask(&state, "SELECT id FROM sale"), ["s1"]);
}

#[test]
fn a_line_with_another_number_of_fields_is_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let state = folder.path().join("state");
    let file = folder.path().join("sale.csv");
    let at = "2026-01-01 00:00:00";
    let mut lines = format!(
        "id,amount,sold_at\ns1,1.5,{at}\ns2,1\ns3,1,{at},much\n\"s4 \"\"a\"\",\nb\",,{at}\ns5,2,{at}\n"
    )
    .into_bytes();
    lines.extend(b"s\xff,3,2026-01-01 00:00:00\n");
    #[expect(clippy::disallowed_methods, reason = "a test writes its files")]
    std::fs::write(&file, lines).unwrap();
    succeed(&mut batch(&project, &state, &[("sale", &file)]));
    assert_eq!(ask(&state, "SELECT id FROM sale ORDER BY id"), ["s1", "s5"]);
    let letters = "SELECT record_offset, table_name, reason, detail, payload FROM sluice_dead_letters WHERE reason <> 'missing_value' ORDER BY record_offset";
    assert_eq!(
        ask(&state, letters),
        [
            "1,sale,wrong_column_count,\"line 3: 2 fields, the header has 3\",",
            "2,sale,wrong_column_count,\"line 4: 4 fields, the header has 3\",",
            "5,sale,bad_utf8,line 8: `id` is not UTF-8,",
        ]
    );
    let missing = "SELECT record_offset, column_name, starts_with(payload, '{\"id\":\"s4 ') FROM sluice_dead_letters WHERE reason = 'missing_value'";
    assert_eq!(ask(&state, missing), ["3,amount,true"]);
}

#[test]
fn a_quote_that_is_not_closed_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let state = folder.path().join("state");
    let file = folder.path().join("sale.csv");
    let at = "2026-01-01 00:00:00";
    let rows: String = (10..5_000).map(|id| format!("s{id},1,{at}\n")).collect();
    let begin = format!("id,amount,sold_at\ns1,1,{at}\n");
    for (lines, said) in [
        (
            format!("s2,\"1,{at}\n{rows}"),
            "the file ends inside the quote that opens in line 3",
        ),
        // With as many fields as there should be.
        (
            format!("s2,1,\"{at}\n{rows}"),
            "the file ends inside the quote that opens in line 3",
        ),
        (
            format!("s2,\"1,{at}\ns3,1,{at}\ns4,\"1\",{at}\n{rows}"),
            "a quote opens in line 3, and text stands right behind the next one, in line 5",
        ),
        (
            format!("s2,\"1,{at}\ns3,\",1\",{at}\n{rows}"),
            "the record that begins in line 3 spans 2 lines and has 4 fields, the header has 3",
        ),
    ] {
        let text = format!("{begin}{lines}");
        for text in [text.replace('\n', "\r\n"), text] {
            write(&file, &text);
            let failed = fail(&mut batch(&project, &state, &[("sale", &file)]), 1);
            for part in [said, "sale.csv", "help:"] {
                assert!(failed.contains(part), "{failed}");
            }
            assert!(!state.join("store").exists());
        }
    }
    // Only so much of it is in memory.
    write(&file, &format!("{begin}s2,\"1,{at}\n{rows}"));
    let mut command = batch(&project, &state, &[("sale", &file)]);
    let failed = fail(command.args(["--set", "limits.record_bytes_max=4000"]), 1);
    let said =
        "the record that begins in line 3 is longer than limits.record_bytes_max, 4000 bytes";
    assert!(failed.contains(said), "{failed}");
    write(&file, &format!("{begin}s2,\"1\",{at}\n{rows}"));
    succeed(&mut batch(&project, &state, &[("sale", &file)]));
    assert_eq!(ask(&state, "SELECT count(*) FROM sale"), ["4992"]);
}

#[test]
fn a_run_that_cannot_end_well_leaves_nothing_that_looks_whole() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let state = folder.path().join("state");
    let history = folder.path().join("history");
    std::fs::create_dir(&history).unwrap();
    let amount = Decimal128Array::from(vec![100; 50_000]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "no",
            Arc::new(StringArray::from_iter_values(
                (0..50_000).map(|id| format!("s{id}")),
            )),
        ),
        (
            "amount",
            Arc::new(amount.with_precision_and_scale(10, 2).unwrap()),
        ),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![0; 50_000])),
        ),
    ];
    write_parquet(&history.join("1.parquet"), columns);
    let whole = std::fs::read(history.join("1.parquet")).unwrap();
    let mut damaged = whole.clone();
    // Its end says what is in it; what it says is damaged.
    damaged[8..whole.len() / 2].fill(0);
    let second = history.join("2.parquet");
    let write = |bytes: &[u8]| {
        #[expect(clippy::disallowed_methods, reason = "a test writes its files")]
        std::fs::write(&second, bytes).unwrap();
    };
    write(&damaged);
    let failed = fail(&mut batch(&project, &state, &[("sale", &history)]), 1);
    assert!(failed.contains("2.parquet"), "{failed}");
    assert!(!state.join("store").exists());
    assert!(!state.join("store.unfinished").exists());
    let mut asked = sluice();
    asked.arg("sql").arg("--state").arg(&state).arg("SELECT 1");
    fail(&mut asked, 1);
    // What a killed one leaves is no hindrance either.
    std::fs::create_dir(state.join("store.unfinished")).unwrap();
    write(&whole);
    succeed(&mut batch(&project, &state, &[("sale", &history)]));
    assert_eq!(ask(&state, "SELECT count(*) FROM sale"), ["50000"]);
}

#[test]
fn what_is_masked_live_is_masked_in_history() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let masked = format!("{SOURCES}\n[topic.sales.mask.fields]\n\"/device\" = \"hash\"\n");
    write(&project.join("sources/sales.toml"), &masked);
    let file = folder.path().join("visit.csv");
    write(
        &file,
        "device,ms,telephone\nsecret-1,1767225601000,secret-2\nsecret-3,never,secret-4\n",
    );
    let state = folder.path().join("state");
    succeed(&mut batch(&project, &state, &[("visit", &file)]));
    assert_eq!(
        ask(&state, "SELECT count(*), min(length(device)) FROM visit"),
        ["1,64"]
    );
    let letters = ask(
        &state,
        "SELECT column_name, payload FROM sluice_dead_letters",
    );
    assert_eq!(letters.len(), 1);
    assert!(letters[0].starts_with("ts,"), "{letters:?}");
    assert!(!letters[0].contains("secret"), "{letters:?}");
}
