//! Names of CSV columns where JSON pointers belong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sluice_route::{SourceFile, parse_sources};

/// What is told of a topic with this capture, whose table begins so and has these
/// columns.
fn told(capture: &str, table: &str, columns: &str) -> Vec<String> {
    let file = SourceFile {
        path: "a.toml".into(),
        text: format!(
            "[topic.t.capture]\n{capture}\n\n[table.goods]\ntopic = \"t\"\n{table}\ncolumns = [\n  {columns},\n]\n"
        ),
    };
    let sources = parse_sources(&[file]).unwrap();
    let places = sources.places_nowhere().iter();
    places.map(ToString::to_string).collect()
}

const JSON: &str = "kind = \"http\"";
const CSV: &str = "kind = \"file\"\npath = \"*.csv\"\nformat = \"csv\"";
const LINES: &str = "kind = \"file\"\npath = \"*.json\"\nformat = \"ndjson\"";
const POLL: &str = "kind = \"poll\"\nurl = \"https://shop.example\"";
const ID: &str = r#"{ name = "id", from = "id", type = "int64" }"#;

#[test]
fn a_column_of_json_is_named_by_a_pointer() {
    for (capture, line) in [(JSON, 8), (LINES, 10), (POLL, 9)] {
        let said = format!(
            "a.toml:{line}:25: `from = \"id\"`: a JSON pointer begins with `/`: `/id`\n  help: write from = \"/id\"; only columns of CSV are named without it"
        );
        assert_eq!(told(capture, "", ID), [said]);
    }
    assert!(told(CSV, "", ID).is_empty());
}

#[test]
fn a_topic_without_a_capture_holds_json() {
    let file = SourceFile {
        path: "a.toml".into(),
        text: format!("[topic.t]\n[table.goods]\ntopic = \"t\"\ncolumns = [{ID}]\n"),
    };
    let sources = parse_sources(&[file]).unwrap();
    assert_eq!(sources.places_nowhere().len(), 1);
}

#[test]
fn what_is_wrong_is_said_of_every_place() {
    let row = "row = \"data\"\nwhen = [{ field = \"table\", equals = \"goods\" }, { field = \"./type\", exists = true }]\nprimary_key = [\"id\"]\nversion = [\"$.xid\"]\nchange_kind = { field = \"type\" }";
    let columns = r#"{ name = "id", from = "./id", type = "int64" }, { name = "name", from = "data.name", type = "string" }"#;
    let told_of_all = told(JSON, row, columns).join("\n");
    for said in [
        "a.toml:6:7: `row = \"data\"`: a JSON pointer begins with `/`: `/data`",
        "`field = \"table\"`: a JSON pointer begins with `/`: `/table`",
        "`field = \"./type\"` is a place in the record, and `./` starts from its row\n  help: write the whole JSON pointer, as in `/data/type`",
        "a.toml:9:12: `version = \"$.xid\"`: a JSON pointer begins with `/`: `/xid`",
        "`field = \"type\"`: a JSON pointer begins with `/`: `/type`",
        "`from = \"data.name\"`: a JSON pointer begins with `/`: `/data/name`\n  help: write `./data/name` for what the row holds, `/data/name` for what stands beside it",
    ] {
        assert!(told_of_all.contains(said), "{said}\n{told_of_all}");
    }
    assert_eq!(told_of_all.matches("a.toml:").count(), 6, "{told_of_all}");
}

#[test]
fn a_row_has_a_beginning() {
    let inside = ID.replace("\"id\", t", "\"./id\", t");
    let said = told(JSON, "", &inside).join("\n");
    let wanted = "`from = \"./id\"`: nothing says where `./` starts\n  help: write `/id`, or say it with `row` or `explode`";
    assert!(said.contains(wanted), "{said}");
    for table in ["row = \"/data\"", "explode = \"/lines\"", "row = \"\""] {
        assert!(told(JSON, table, &inside).is_empty(), "{table}");
    }
    let whole = ID.replace("\"id\", t", "\"\", t");
    assert!(told(JSON, "", &whole).is_empty());
}
